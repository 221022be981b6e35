"""Exclusions: what the maintainer lists is not published, nowhere, and nothing else goes."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from builders.sources.captions import CaptionSource
from builders.sources.exclusions import read_exclusions
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import Source, SourceOptions
from builders.sources.preferences import PreferenceSource
from schemas.configs import Table
from schemas.problems import SourceError
from schemas.records import image_id_of
from tests.support import Reading, good_folder, image_bytes, read_into_catalog

WHY = "shows a child"
MANY_FAULTS = (
    "image,reason\n"
    ",no image\n"  # row 2
    "a.jpg,\n"  # row 3
    "b.jpg, \t\n"  # row 4
    "c.jpg\n"  # row 5
    "d.jpg,one,two\n"  # row 6
    "e\0.jpg,a NUL\n"  # row 7
    "f.jpg,fine\n"
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of four images, one by each of four generators."""
    return good_folder(tmp_path / "images").write()


def names_of(images: Path) -> list[str]:
    """List the images' names, in the order of their rows."""
    return [row[0] for row in good_folder(images).rows]


def id_of(images: Path, name: str) -> str:
    """Return an image's id, from its bytes."""
    return image_id_of(hashlib.sha256((images / "images" / name).read_bytes()).hexdigest())


def listed(path: Path, *rows: Sequence[str]) -> Path:
    """Write a list."""
    path.write_text("\n".join(",".join(row) for row in (("image", "reason"), *rows)) + "\n")
    return path


def read(work: Path, exclusions: Path, *sources: Source) -> Reading:
    """Read sources with a list of exclusions."""
    return read_into_catalog(work, *sources, exclusions=read_exclusions(exclusions))


def told(reading: Reading, file: str = "exclusions.csv") -> list[str]:
    """List the problems of one file."""
    return [str(problem) for problem in reading.problems if problem.file == file]


@pytest.mark.parametrize("way", ["name", "stem", "source/name", "id", "sha256"])
def test_an_image_is_excluded_by_any_of_its_names(way: str, images: Path, work: Path) -> None:
    first, *others = names_of(images)
    sha256 = hashlib.sha256((images / "images" / first).read_bytes()).hexdigest()
    names = {
        "name": first,
        "stem": Path(first).stem,
        "source/name": f"images/{first}",
        "id": id_of(images, first),
        "sha256": sha256,
    }
    reading = read(
        work, listed(work / "exclusions.csv", (names[way], WHY)), open_sfhq_folder(images, "images")
    )
    assert sorted(str(row["file_name"]) for row in reading.published) == sorted(others)
    assert (reading.counts.read, reading.counts.rejected, reading.counts.warnings) == (4, {"excluded": 1}, {})
    (rejected,) = reading.rejected
    assert (rejected.name, rejected.reason, rejected.row) == (first, "excluded", 2)
    assert [problem.message for problem in rejected.problems] == [f"the maintainer excludes it: {WHY}"]
    assert [problem.fix for problem in rejected.problems] == ["see row 2 of exclusions.csv"]


def test_every_copy_of_an_excluded_image_goes(images: Path, work: Path) -> None:
    first = names_of(images)[0]
    other = Path(shutil.copytree(images, work / "other"))
    exclusions = listed(work / "exclusions.csv", (f"other/{first}", WHY))
    reading = read(work, exclusions, open_sfhq_folder(images, "images"), open_sfhq_folder(other, "other"))
    assert first not in {row["file_name"] for row in reading.published}
    assert reading.counts.rejected == {"excluded": 2}
    assert len(reading.published) == 3


def test_its_captions_and_pairs_are_rejected_and_say_so(images: Path, work: Path) -> None:
    one, two, three, four = names_of(images)
    captions = work / "captions.jsonl"
    rows = [{"file_name": name, "caption": f"a caption of {name}"} for name in (one, two, id_of(images, one))]
    captions.write_text("\n".join(json.dumps(row) for row in rows))
    pairs = work / "pairs.json"
    sides = [(one, two), (three, four), (four, one), (id_of(images, one), four)]
    pairs.write_text(
        json.dumps([{"prompt": "p", "img_better": better, "img_worse": worse} for better, worse in sides])
    )
    reading = read(
        work,
        listed(work / "exclusions.csv", (one, WHY)),
        open_sfhq_folder(images, "images"),
        CaptionSource(captions, "captions", SourceOptions()),
        PreferenceSource(pairs, "pairs", SourceOptions()),
    )
    assert [row["caption"] for row in reading.captions] == [f"a caption of {two}"]
    assert [(pair.image_1, pair.image_2) for pair in reading.pairs] == [(three, four)]
    assert reading.tables[Table.CAPTIONS].rejected == {"excluded": 2}
    assert reading.tables[Table.PREFERENCES].rejected == {"excluded": 3}
    messages = {row.problems[0].message for row in reading.rejected}
    assert messages == {
        f"the maintainer excludes it: {WHY}",
        f"the image is excluded itself: {WHY}",
        f"an image of it is excluded itself: {WHY}",
    }


def test_of_a_ranking_only_the_excluded_image_goes(images: Path, work: Path) -> None:
    names = names_of(images)
    ranks = work / "ranks.json"
    rows = [
        {"prompt_id": "p", "prompt": "a face", "image_path": name, "rank": rank + 1}
        for rank, name in enumerate(names[:3])
    ]
    ranks.write_text(json.dumps(rows))
    reading = read(
        work,
        listed(work / "exclusions.csv", (names[1], WHY)),
        open_sfhq_folder(images, "images"),
        PreferenceSource(ranks, "ranks", SourceOptions()),
    )
    assert [(pair.image_1, pair.image_2) for pair in reading.pairs] == [(names[0], names[2])]
    counts = reading.tables[Table.PREFERENCES]
    assert (counts.read, counts.published, counts.rejected) == (3, 2, {"excluded": 1})


def test_an_image_that_only_pairs_have_is_excluded_by_its_id(images: Path, work: Path) -> None:
    folder = work / "folder"
    folder.mkdir()
    for number in (50, 51):
        (folder / f"{number}.jpg").write_bytes(image_bytes(number))
    pairs = work / "pairs.json"
    pairs.write_text(json.dumps([{"prompt": "p", "img_better": "50.jpg", "img_worse": "51.jpg"}]))
    image_id = image_id_of(hashlib.sha256(image_bytes(51)).hexdigest())
    exclusions = listed(work / "exclusions.csv", (image_id, WHY))
    source = PreferenceSource(pairs, "pairs", SourceOptions(images=folder))
    reading = read(work, exclusions, open_sfhq_folder(images, "images"), source)
    assert reading.pairs == []
    assert reading.tables[Table.PREFERENCES].rejected == {"excluded": 1}
    assert told(reading) == []


def test_rows_that_exclude_nothing_are_noted(images: Path, work: Path) -> None:
    first, second, *_ = names_of(images)
    (images / "images" / second).write_bytes(b"damaged")
    exclusions = listed(
        work / "exclusions.csv",
        (first, WHY),
        (first.replace("image", "imagr"), WHY),
        ("f" * 16, WHY),
        (f"images/{first}", "again"),
        (second, WHY),
    )
    reading = read(work, exclusions, open_sfhq_folder(images, "images"))
    missing = first.replace("image", "imagr")
    starts = [
        f"exclusions.csv:3:image: no source has such an image (value: '{missing}') → did you mean {first}",
        f"exclusions.csv:4:image: nothing that came in has this image id (value: '{'f' * 16}')",
        f"exclusions.csv:5:image: the image is listed above already (value: 'images/{first}')",
        f"exclusions.csv:6:image: the image images/{second} is rejected itself (image format)",
    ]
    for line, start in zip(sorted(told(reading)), starts, strict=True):
        assert line.startswith(start)
    assert reading.counts.warnings == {"idle_exclusion": 4}
    assert reading.counts.rejected == {"excluded": 1, "image_format": 1}


def test_a_name_of_several_images_is_refused(images: Path, work: Path) -> None:
    other = good_folder(work / "other")
    other.images = {name: image_bytes(90 + number) for number, name in enumerate(other.images)}
    other.write()
    first, second, *_ = names_of(images)
    exclusions = listed(work / "exclusions.csv", (first, WHY), (f"other/{second}", WHY), (second, WHY))
    with pytest.raises(SourceError) as refused:
        read(work, exclusions, open_sfhq_folder(images, "images"), open_sfhq_folder(other.path, "other"))
    assert [(problem.row, problem.value) for problem in refused.value.problems] == [(2, first), (4, second)]
    assert all("images, other" in problem.message for problem in refused.value.problems)


def test_every_fault_of_a_list_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "exclusions.csv").write_text(MANY_FAULTS)
    with pytest.raises(SourceError) as refused:
        read_exclusions(tmp_path / "exclusions.csv")
    assert [(problem.row, problem.column, problem.message) for problem in refused.value.problems] == [
        (2, "image", "the row names no image"),
        (3, "reason", "the image is excluded without a reason"),
        (4, "reason", "the image is excluded without a reason"),
        (5, None, "the row has 1 cells, the header has 2"),
        (6, None, "the row has 3 cells, the header has 2"),
        (7, "image", "the cell holds a NUL character"),
    ]
    assert all(problem.fix and problem.severity == "blocking" for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the table is empty"),
        (b"image\na.jpg\n", "the table has no such column"),
        (b"image,reason,image\na.jpg,b,c\n", "the header has this column more than once"),
        (b'image,reason\na.jpg,"open\n', "the row's quotes do not match"),
        (b"image,reason\na.jpg,caf\xe9\n", "the cell is not UTF-8"),
        (b'[{"image": "a.jpg", "reason": "b"}]', "the list of exclusions is not CSV"),
        (b"PK\x03\x04[Content_Types].xml", "the file is an Excel workbook"),
    ],
)
def test_what_is_no_list_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "exclusions.csv").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        read_exclusions(tmp_path / "exclusions.csv")


def test_a_list_without_rows_excludes_nothing(images: Path, work: Path) -> None:
    reading = read(work, listed(work / "exclusions.csv"), open_sfhq_folder(images, "images"))
    assert (len(reading.published), reading.rejected, reading.problems) == (4, [], [])
