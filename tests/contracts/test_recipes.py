"""The recipes of CONTRIBUTING: what one line in a table adds is seen in a release."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

import builders.card.figures as figures
from builders.card.figures import FIGURES
from builders.card.figures.inputs import FigureInputs
from builders.release.rows import ROWS
from publish.release import main
from schemas.configs import CONFIGS, Config, Table
from tests.support import ROOT, good_folder

SIZES = Config(
    "sizes",
    "sizes",
    Table.IMAGES,
    ("image_id",),
    tuple(column for column in CONFIGS["prompts"].columns if column.name in ("image_id", "width", "height")),
    "A toy config: how large every image is.",
)


def release(tmp_path: Path) -> Path:
    """Release a folder of four images in this process."""
    folder = good_folder(tmp_path / "collection").write()
    arguments = [
        "--config",
        str(ROOT / "release.toml"),
        "--sfhq",
        str(folder),
        "--out",
        str(tmp_path / "dist"),
    ]
    assert main(["--version", "1.0", *arguments]) == 0
    return tmp_path / "dist" / "1.0"


def test_a_config_is_one_line_in_two_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "sizes", SIZES)
    monkeypatch.setitem(ROWS, "sizes", lambda record: record.row)
    folder = release(tmp_path)
    (file,) = (folder / "sizes").glob("*.parquet")
    assert pq.read_table(file).column_names == ["image_id", "width", "height"]
    assert pq.read_table(file).num_rows == 4
    assert "config_name: sizes" in (folder / "README.md").read_text()


def test_a_config_without_rows_is_an_error_and_never_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIGS, "sizes", SIZES)
    with pytest.raises(KeyError, match="sizes"):
        release(tmp_path)


def test_every_config_of_the_table_has_rows() -> None:
    assert ROWS.keys() == CONFIGS.keys()


def test_a_figure_is_one_line_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(inputs: FigureInputs) -> dict[str, str]:
        Image.new("RGB", (8, 8)).save(inputs.release.folder / "figures/toy.png")
        return {"figures/toy.png": "A toy figure"}

    monkeypatch.setitem(FIGURES, "toy", draw)
    folder = release(tmp_path)
    assert (folder / "figures/toy.png").is_file()
    assert "![A toy figure](figures/toy.png)" in (folder / "README.md").read_text()


@pytest.mark.parametrize("caption", ["", "a caption"], ids=["without a caption", "without a file"])
def test_a_figure_that_is_half_there_is_an_error(
    caption: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FIGURES", {"toy": lambda _: {"figures/toy.png": caption}})
    with pytest.raises(AssertionError, match="'toy' has no caption or no file"):
        release(tmp_path)
