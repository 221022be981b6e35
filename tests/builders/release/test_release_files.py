"""The files of a release: every row once, bytes untouched, as the Hub wants them, the same each time."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.card.facts import read_facts
from builders.catalog import Part
from builders.catalog import images as catalog_images
from builders.release import part_job
from builders.release.formats import ParquetShard, read_index
from builders.release.reader import ReleaseReader
from builders.release.rows import Rows, part_rows
from builders.release.shards import write_part
from builders.sample.faces import describe_face
from builders.sources.sample import COUNTS, sample_faces, write_sample
from publish.checks.files import read_manifest
from publish.release import main
from schemas import records
from schemas.columns import arrow_schema
from schemas.configs import CONFIGS, Format, Table, configs_of
from schemas.manifest import Shard
from schemas.problems import BuildError
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes, read_folders, tree_digest


def release(folder: Path, out: Path) -> Path:
    """Release a folder in this process."""
    arguments = ["--version", "1.0", "--config", str(ROOT / "release.toml"), "--out", str(out)]
    assert main([*arguments, "--sfhq", str(folder)]) == 0
    return out / "1.0"


def rows(number: int, num_bytes: int = 100) -> list[dict[str, object]]:
    """Make rows with images of a size."""
    return [
        {column.name: None for column in CONFIGS["default"].columns}
        | {
            "image_id": f"{index:016x}",
            "image": {"bytes": bytes([index % 256]) * num_bytes, "path": f"{index}.jpg"},
            "num_bytes": num_bytes,
            "generator": "SDXL",
            "prompt": f"prompt {index}",
        }
        for index in range(number)
    ]


def image(num_bytes: int) -> dict[str, object]:
    """Make an image of a size, as a row has it."""
    return {"bytes": bytes(num_bytes), "path": "0.jpg"}


def write_images(folder: Path, made: list[dict[str, object]]) -> tuple[Shard, ...]:
    """Write rows as one part into the configs of images."""
    part = Part(Table.IMAGES, "train", 0, len(made), 0, 0, 0, 0, 0)
    configs = configs_of(Table.IMAGES, tuple(Format))
    sizes = [len(made[start : start + 100]) for start in range(0, len(made), 100)]
    return write_part(
        folder, part, list(enumerate(sizes)), configs, (dict.fromkeys(CONFIGS, row) for row in made)
    )


def read_ids(folder: Path, shards: tuple[Shard, ...], config: str) -> list[str]:
    """Read the ids of a config in order."""
    paths = [folder / shard.path for shard in shards if shard.config == config]
    return [image_id for path in paths for image_id in pq.read_table(path)["image_id"].to_pylist()]


@pytest.mark.slow
def test_image_bytes_are_the_files_own(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "good", 10)
    built = release(folder.write(), tmp_path / "dist")
    (path,) = (built / "images").glob("*.parquet")
    table = pq.read_table(path).to_pylist()
    assert {row["file_name"]: row["image"]["bytes"] for row in table} == {
        name.removeprefix("images/"): data for name, data in folder.images.items()
    }
    assert all(row["image"]["path"] == f"{row['image_id']}.jpg" for row in table)


def test_parquet_is_as_the_hub_wants_it(sample_release: Path) -> None:
    (path,) = (sample_release / "images").glob("*.parquet")
    file = pq.ParquetFile(path)
    assert file.schema_arrow.metadata == arrow_schema(CONFIGS["default"].columns).metadata
    group = file.metadata.row_group(0)
    leaves = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    assert {leaf.compression for leaf in leaves.values()} == {
        "UNCOMPRESSED"
    }  # cheaper to edit where Xet stores
    (text_path,) = (sample_release / "prompts").glob("*.parquet")
    assert pq.ParquetFile(text_path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert all(leaf.has_offset_index and leaf.has_column_index for leaf in leaves.values() if leaf.statistics)
    assert leaves["image.bytes"].statistics is None
    assert path.name == f"train-00000-{tree_digest(sample_release)[f'images/{path.name}'][:12]}.parquet"


def test_row_groups_hold_at_most_100_images(tmp_path: Path) -> None:
    image_shard, text_shard, _ = write_images(tmp_path, rows(250))
    groups = pq.ParquetFile(tmp_path / image_shard.path).metadata
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [100, 100, 50]
    assert pq.ParquetFile(tmp_path / text_shard.path).metadata.num_row_groups == 1


@given(st.lists(st.integers(1, 8_000), min_size=1, max_size=250))
def test_every_row_is_in_every_config_in_order(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = [row | {"image": image(size)} for row, size in zip(rows(len(sizes)), sizes, strict=True)]
        shards = write_images(folder, made)
        ids = [row["image_id"] for row in made]
        assert read_ids(folder, shards, "default") == read_ids(folder, shards, "prompts") == ids
        (tar,) = (shard for shard in shards if shard.config == "webdataset")
        assert [row.image_id for row in read_index(folder / tar.path, "train")] == ids
        for shard in shards:
            assert (folder / shard.path).stat().st_size == shard.num_bytes
            assert shard.num_rows == len(sizes)
        assert not list(folder.rglob("*.open"))


@pytest.mark.slow
def test_two_builds_of_one_input_are_byte_identical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = good_folder(tmp_path / "good", 40).write()
    first = tree_digest(release(folder, tmp_path / "a"))
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert tree_digest(release(folder, tmp_path / "b")) == first


@pytest.mark.slow
def test_data_files_do_not_depend_on_the_order_of_rows_or_the_place_of_images(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "a" / "good", 12)
    first = release(folder.write(), tmp_path / "one")
    images = {
        name.replace("images/", "images/images/"): data for name, data in reversed(folder.images.items())
    }
    other = SfhqFolder(tmp_path / "b" / "good", folder.rows[::-1], images)
    second = release(other.write(), tmp_path / "two")
    for config in ("images", "prompts"):
        assert tree_digest(first / config) == tree_digest(second / config)


def test_an_image_that_changes_during_the_build_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "good", 3)
    path = folder.write()

    def change_then_read(*arguments: Any) -> Iterator[Rows]:
        (path / next(iter(folder.images))).write_bytes(image_bytes(1234))
        return part_rows(*arguments)

    monkeypatch.setattr(part_job, "part_rows", change_then_read)
    arguments = ["--version", "1.0", "--config", str(ROOT / "release.toml"), "--out", str(tmp_path / "dist")]
    assert main([*arguments, "--sfhq", str(path)]) == 1
    assert "the image changed while the release was being built" in capsys.readouterr().err
    assert not (tmp_path / "dist" / "1.0").exists()


def test_facts_are_read_back_from_files(sample_release: Path) -> None:
    facts = read_facts(ReleaseReader(sample_release, read_manifest(sample_release).shards)).images
    assert facts.total == sum(facts.generators.values()) == 60
    assert facts.sizes == {(256, 256): 60}
    least, lower, median, upper, most = facts.prompt_words
    assert 5 < least <= lower <= median <= upper <= most < 100


def test_a_shard_takes_rows_with_more_columns_than_it_has(tmp_path: Path) -> None:
    writer = ParquetShard(tmp_path / "x.parquet", CONFIGS["prompts"].columns)
    writer.write_group(rows(2))
    writer.close()
    assert pq.read_table(tmp_path / "x.parquet").column_names == [c.name for c in CONFIGS["prompts"].columns]


def test_shared_ids_are_refused(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_images, "image_id_of", lambda sha256: "0" * 16)
    monkeypatch.setattr(records, "image_id_of", lambda sha256: "0" * 16)
    with pytest.raises(BuildError, match="share an id"):
        read_folders(work, good_folder(tmp_path / "good", 2).write())


@pytest.mark.slow
def test_the_sample_is_drawn_as_its_prompts_say(tmp_path: Path) -> None:
    write_sample(tmp_path / "a")
    write_sample(tmp_path / "b")
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")
    faces = list(sample_faces())
    assert len(faces) == sum(COUNTS.values()) == 60
    table = (tmp_path / "a" / "SFHQ_T2I_dataset.csv").read_text()
    for index, (name, _, face) in enumerate(faces):
        assert describe_face(face, index) in table
        with Image.open(io.BytesIO((tmp_path / "a" / "images" / name).read_bytes())) as image:
            assert image.size == (256, 256)
