"""The benchmark of uploads measures what it says; `tests/test_docs.py` runs the benchmarks as a whole."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.upload import copy_store, main, upload
from benchmarks.versions import CHANGES, MIXED, Material, Row, average_bytes, changed_bytes, make_folder

SIZES = {"a.jpg": 1000, "b.jpg": 2000, "c.jpg": 4000}


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Three rows: `b` comes later, `c` is the one that changes."""
    rows = []
    for name, size in SIZES.items():
        path = tmp_path / name
        path.write_bytes(bytes(size))
        rows.append(Row({"image_filename": name, "text_prompt": "four"}, path, ("caption",)))
    return Material(rows, frozenset({1}), frozenset({2}))


# What a row has beside its image: 5 bytes of file name, 4 of prompt, 7 of caption.
@pytest.mark.parametrize(
    ("name", "names", "new", "gone"),
    [
        ("nothing", "ac", 0, 0),
        ("1 % appended", "acb", 2016, 0),
        ("1 % put in at one place", "abc", 2016, 0),
        ("1 % put in all over", "abc", 2016, 0),
        ("1 % removed", "a", 0, 4016),
        ("1 % of images replaced", "ac", 2000, 4000),
        ("features added", "ac", 0, 0),
    ],
)
def test_a_change_is_counted_by_what_is_new_and_what_is_gone(
    material: Material, name: str, names: str, new: int, gone: int
) -> None:
    (change,) = (change for change in CHANGES if change.name == name)
    rows = change.rows(material)
    assert [row.name for row in rows] == [f"{letter}.jpg" for letter in names]
    assert changed_bytes(material.base, rows) == (new, gone)


def test_an_edited_caption_is_all_that_changes(material: Material) -> None:
    (change,) = (change for change in CHANGES if change.name == "captions of 1 % edited")
    first, edited = change.rows(material)
    assert first == material.rows[0]
    assert replace(edited, captions=("caption",)) == material.rows[2]
    assert changed_bytes(material.base, [first, edited]) == (len(edited.captions[0]), len("caption"))


def test_an_upload_sends_what_the_store_lacks_and_copies_do_not_help_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "cache"))
    old, new = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(500_000)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(old)
    second.write_bytes(old + new)
    store = tmp_path / "store, of 1.0"
    assert upload(store, [first]).sent_bytes >= len(old)
    copies = [copy_store(store, tmp_path / f"copy {number}") for number in range(3)]
    assert upload(copies[0], [first]).sent_bytes < 2000
    sent = [upload(copy, [second]) for copy in copies[1:]]
    assert sent[0] == sent[1]
    assert sent[0].total_bytes == len(old + new)
    assert len(new) <= sent[0].sent_bytes < len(new) + 140_000  # and a chunk of the old at most
    assert sent[0].sent_bytes == sent[0].chunk_bytes + sent[0].metadata_bytes


@pytest.mark.parametrize("average", ["5", "56", MIXED])
def test_images_have_the_average_size(average: str, tmp_path: Path) -> None:
    make_folder(tmp_path / "made", 60, average)
    sizes = [path.stat().st_size for path in (tmp_path / "made" / "images").iterdir()]
    assert len(sizes) == 60
    tolerance = 0.4 if average == MIXED else 0.15
    assert sum(sizes) / 60 == pytest.approx(average_bytes(average), rel=tolerance)
    assert max(sizes) > 3 * min(sizes)
    made = (tmp_path / "made").stat().st_mtime_ns
    make_folder(tmp_path / "made", 60, average)
    assert (tmp_path / "made").stat().st_mtime_ns == made


@pytest.mark.parametrize("average", ["0.5", "60000", "nan", "many"])
def test_other_average_sizes_are_refused(average: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--average-kb", average])
    assert "--average-kb" in capsys.readouterr().err
