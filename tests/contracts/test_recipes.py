"""The recipes of CONTRIBUTING: what one line in a table adds is seen in a release."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import BaseModel, Field

import builders.card.figures as figures
from builders import sources
from builders.card.figures import FIGURES
from builders.card.figures.inputs import FigureInputs
from builders.generation.campaign.exports import EXPORTS, CampaignExport, ExportKind
from builders.preferences.votes import RawVote
from builders.release.rows import ROWS
from builders.release.trainers import LAYOUTS, Layout
from builders.sources import SourceKind, captions, open_source, tell_kind
from builders.sources.cells import Cells
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import CaptionInput, PairInput, Side, SourceOptions, pair_id_of
from builders.sources.preferences import FORMS
from builders.sources.preferences.form import Annotators, Form
from publish import campaign
from publish.export import main as export
from publish.release import main
from schemas.captions import CaptionText
from schemas.configs import CONFIGS, Config, Table
from schemas.preferences import Label
from tests.publish.voting.server import make_campaign
from tests.support import ROOT, good_folder

SIZES = Config(
    "sizes",
    "sizes",
    Table.IMAGES,
    ("image_id",),
    tuple(column for column in CONFIGS["prompts"].columns if column.name in ("image_id", "width", "height")),
    "A toy config: how large every image is.",
)


class ToyPair(BaseModel):
    """A pair as a toy trainer reads it."""

    text: str = Field(description="Prompt of both images.")


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


def test_a_kind_of_source_is_one_line_and_is_told_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = good_folder(tmp_path / "collection").write()
    (folder / "toy.txt").write_text("a toy collection")
    toy = SourceKind(
        lambda path, name, _: (open_sfhq_folder(path, name),),  # the toy differs by its marker only
        lambda path: (path / "toy.txt").is_file(),
    )
    # Not by `delitem`: that puts the lines back in another order, which messages show.
    monkeypatch.setattr(sources, "SOURCES", {"toy": toy})
    (source,) = open_source(None, folder, "toys", SourceOptions())
    assert tell_kind(folder) == "toy"
    assert (source.name, source.num_rows) == ("toys", 4)


def test_a_form_of_captions_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(cells: Cells, _: Mapping[str, str]) -> list[CaptionText]:
        alt = cells.text("toy_alt", required=True)
        return [CaptionText(caption=alt, method="alt text")] if alt else []

    form = captions.form.Form(captions.form.has_one_of(("toy_alt",)), read)
    monkeypatch.setitem(captions.FORMS, "toy", form)
    table = tmp_path / "alt.csv"
    table.write_text("file_name,toy_alt\na.jpg,A face\nb.jpg,\n")
    assert tell_kind(table) == "captions"
    (source,) = open_source(None, table, "toys", SourceOptions())
    first, second = source.rows()
    assert source.kind == "captions/toy"
    assert isinstance(first.content, CaptionInput)
    assert (first.content.image, first.content.text.caption) == ("a.jpg", "A face")
    assert second.is_rejected


def test_a_form_of_preferences_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(cells: Cells, _: Annotators) -> PairInput | None:
        left, right = cells.text("left", required=True), cells.text("right", required=True)
        if left is None or right is None:
            return None
        vote = RawVote(None, Label.IMAGE_1.value)
        sides = (Side(left, None), Side(right, None))
        return PairInput(pair_id_of(None, [left, right]), None, sides, (vote,), is_whole=False)

    monkeypatch.setitem(FORMS, "toy", Form((("left",), ("right",), ("toy",)), read))
    folder = good_folder(tmp_path / "collection")
    first, second = (row[0] for row in folder.rows[:2])
    folder.write()
    votes = tmp_path / "votes.csv"
    votes.write_text(f"left,right,toy\n{first},{second},1\n")
    arguments = [
        "--config",
        str(ROOT / "release.toml"),
        "--sfhq",
        str(folder.path),
        "--preferences",
        str(votes),
    ]
    assert main(["--version", "1.0", *arguments, "--out", str(tmp_path / "dist")]) == 0
    (file,) = (tmp_path / "dist/1.0/preferences").glob("*.parquet")
    assert pq.read_table(file).column("decision").to_pylist() == ["image_1"]


def test_a_tool_for_campaigns_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(export: CampaignExport, out: Path) -> None:
        lines = [f"{pair.id},{pair.image_1},{pair.image_2}\n" for pair in export.asked]
        (out / "toy.csv").write_text("pair,left,right\n" + "".join(lines))
        export.copy_images(out)

    monkeypatch.setitem(EXPORTS, "toy", ExportKind("a toy", write, "play"))
    folder = make_campaign(tmp_path / "campaign", 3)
    assert campaign.main(["export", str(folder), "--for", "toy", "--out", str(tmp_path / "out")]) == 0
    rows = (tmp_path / "out" / "toy.csv").read_text().splitlines()[1:]
    assert len(rows) == 3
    assert all((tmp_path / "out" / image).is_file() for row in rows for image in row.split(",")[1:])


def test_a_layout_for_trainers_is_one_line(
    sample_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = Layout("binarized", ToyPair, lambda pair, _: ToyPair(text=pair["prompt"]))
    monkeypatch.setitem(LAYOUTS, "toy", toys)
    assert export([str(sample_release), "--layout", "toy", "--out", str(tmp_path / "toys")]) == 0
    table = pq.read_table(tmp_path / "toys" / "data")
    assert table.column_names[0] == "text"
    assert table.num_rows > 0
    assert {"chosen_model", "chosen_license", "rejected_license", "votes_license"} <= set(table.column_names)
    assert "`apache-2.0`" in (tmp_path / "toys" / "LICENSES.md").read_text()
    assert "exported for toy" in (tmp_path / "toys" / "README.md").read_text()
