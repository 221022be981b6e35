"""Parquet files with images: what a change costs where Xet stores them, and how they are laid out."""

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.upload import copy_store, upload
from builders.release.formats import ParquetShard
from schemas.columns import arrow_schema
from schemas.configs import CONFIGS

COLUMNS = CONFIGS["default"].columns
ROWS_PER_GROUP = 200
NUM_REMOVED = 8
HEADER = 29  # bytes before an image, at least: the header of its page, two levels, its length
WORDS = ("a", "portrait", "of", "woman", "man", "with", "glasses", "hair", "smiling", "outside", "window")


def make_rows(sizes: Sequence[int]) -> list[dict[str, object]]:
    """Make rows with images of these sizes that do not compress, and texts that differ."""
    rng = random.Random(len(sizes))
    rows = []
    for index, size in enumerate(sizes):
        sha256 = f"{rng.getrandbits(256):064x}"
        row = {column.name: None for column in COLUMNS} | {
            "image_id": sha256[:16],
            "image": {"bytes": rng.randbytes(size), "path": f"{sha256[:16]}.jpg"},
            "sha256": sha256,
            "num_bytes": size,
            "generator": "SDXL",
            "prompt": " ".join(rng.choices(WORDS, k=60)),
            "captions": [" ".join(rng.choices(WORDS, k=60)) for _ in range(1 + index % 2)],
        }
        rows.append(row)
    return rows


def write(path: Path, groups: Sequence[Sequence[Mapping[str, object]]]) -> Path:
    """Write a file with these row groups."""
    file = ParquetShard(path, COLUMNS)
    for group in groups:
        file.write_group(group)
    file.close()
    return path


def split(rows: Sequence[Mapping[str, object]]) -> list[list[Mapping[str, object]]]:
    """Split rows into groups, as the layout does."""
    starts = range(0, len(rows), ROWS_PER_GROUP)
    return [list(rows[start : start + ROWS_PER_GROUP]) for start in starts]


@pytest.mark.parametrize("least", [500, 3_000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_a_removed_row_costs_three_chunks_at_most(
    least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "cache"))
    rng = random.Random(least)
    rows = make_rows([rng.randint(least, 3 * least) for _ in range(2 * ROWS_PER_GROUP)])
    gone = set(rng.sample(range(ROWS_PER_GROUP // 2, len(rows)), NUM_REMOVED))
    groups = split(rows)
    fewer = [
        [row for place, row in enumerate(group) if number * ROWS_PER_GROUP + place not in gone]
        for number, group in enumerate(groups)
    ]
    upload(tmp_path / "store", [write(tmp_path / "one.parquet", groups)])
    same = upload(copy_store(tmp_path / "store", tmp_path / "copy 1"), [tmp_path / "one.parquet"])
    assert same.sent_bytes < 2_000
    changed = write(tmp_path / "two.parquet", fewer)
    sent = upload(copy_store(tmp_path / "store", tmp_path / "copy 2"), [changed]).sent_bytes
    assert sent <= 200_000 * NUM_REMOVED


@given(st.lists(st.integers(4_096, 9_000), min_size=2, max_size=8), st.data())
def test_an_image_has_a_page_that_depends_on_nothing_else(sizes: list[int], data: st.DataObject) -> None:
    rows = make_rows(sizes)
    gone = data.draw(st.integers(0, len(rows) - 1))
    rest = [*rows[:gone], *rows[gone + 1 :]]
    with tempfile.TemporaryDirectory() as place:
        before = write(Path(place) / "one", [rows]).read_bytes()
        after = write(Path(place) / "two", [rest]).read_bytes()
    for row in rest:
        image = row["image"]["bytes"]  # type: ignore[index]
        assert before.count(image) == after.count(image) == 1
        start, end = before.index(image), after.index(image)
        assert before[start - HEADER : start] == after[end - HEADER : end]


def test_texts_are_stored_once_and_have_no_statistics(tmp_path: Path) -> None:
    path = write(tmp_path / "file", split(make_rows([100] * 30)))
    group = pq.ParquetFile(path).metadata.row_group(0)
    leaves = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    assert {name for name in ("generator", "width", "num_bytes") if leaves[name].statistics} == {
        *("generator", "width", "num_bytes")
    }
    for name in ("image.bytes", "image.path", "image_id", "prompt", "captions.list.element"):
        assert not leaves[name].has_dictionary_page
        assert leaves[name].statistics is None
        assert leaves[name].has_offset_index
    assert leaves["generator"].has_dictionary_page


def test_a_file_without_rows_has_its_columns(tmp_path: Path) -> None:
    assert pq.read_schema(write(tmp_path / "file", [])).names == arrow_schema(COLUMNS).names
