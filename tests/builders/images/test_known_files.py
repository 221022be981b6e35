"""Which image files are read again: those that may have changed since an earlier run, and no others."""

import os
import time
from pathlib import Path

import pytest

from builders.catalog.reader import digest_rules
from builders.images.checked import CheckedImages
from builders.images.files import FileState, ImageFile
from builders.images.known_files import KnownFiles
from builders.sources.images.sfhq import open_sfhq_folder
from schemas.settings import BuildSettings, PrivacySettings
from tests.builders.catalog.test_privacy import with_text
from tests.opens import watch_opens
from tests.support import Reading, SfhqFolder, good_folder, image_bytes, read_into_catalog

MINUTE_NS = 60 * 10**9
SHA256 = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SfhqFolder:
    """Four images, which were written long before they are read."""
    monkeypatch.setattr("builders.catalog.reader.now_ns", lambda: time.time_ns() + MINUTE_NS)
    made = good_folder(tmp_path / "in")
    made.write()
    return made


def read(
    folder: SfhqFolder, *, reads_again: bool = False, privacy: PrivacySettings | None = None
) -> tuple[Reading, list[str]]:
    """Read a folder as a run does; return what came of it, and the images that were opened."""
    work, privacy = folder.path.parent, privacy or PrivacySettings()
    rules = digest_rules(privacy)
    with (
        KnownFiles(work / "known-files.txt", rules, reads_again=reads_again) as files,
        CheckedImages(work / "checked.txt", files) as checked,
        watch_opens(folder.path / "images") as opened,
    ):
        source = open_sfhq_folder(folder.path, "in")
        reading = read_into_catalog(work, source, checked=checked, privacy=privacy)
    return reading, sorted(Path(path).name for path in opened)


def first(folder: SfhqFolder) -> Path:
    return folder.path / "images" / folder.rows[0][0]


def test_no_image_is_opened_where_nothing_changed(folder: SfhqFolder) -> None:
    before, opened = read(folder)
    assert len(opened) == 4
    for _ in range(2):
        after, opened = read(folder)
        assert opened == []
        assert after == before


def test_no_image_is_opened_where_the_table_changed(folder: SfhqFolder) -> None:
    read(folder)
    folder.images = {}
    folder.rows[1][2] = "another prompt"
    folder.write()
    after, opened = read(folder)
    assert opened == []
    assert "another prompt" in {row["prompt"] for row in after.published}


def test_a_new_image_alone_is_opened(folder: SfhqFolder) -> None:
    read(folder)
    folder.rows.append(["new.jpg", *folder.rows[0][1:]])
    folder.images = {"images/new.jpg": image_bytes(77)}
    folder.write()
    after, opened = read(folder)
    assert opened == ["new.jpg"]
    assert len(after.published) == 5


def test_a_change_in_place_is_seen_though_the_size_is_the_same(folder: SfhqFolder) -> None:
    before, _ = read(folder)
    path = first(folder)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\1", 1))
    assert path.stat().st_size == len(data)
    _, opened = read(folder)
    assert opened == [path.name]
    path.write_bytes(data)
    after, opened = read(folder)
    assert opened == [path.name]
    assert after.published == before.published


def test_a_change_with_the_old_time_is_seen(folder: SfhqFolder) -> None:
    """As programs copy that keep times."""
    before, _ = read(folder)
    path, status = first(folder), first(folder).stat()
    other = image_bytes(99).ljust(status.st_size, b"\0")[: status.st_size]
    path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (status.st_mtime_ns, status.st_size)
    after, opened = read(folder)
    assert opened == [path.name]
    assert after.published != before.published


def test_a_touched_file_is_read_and_found_equal(folder: SfhqFolder) -> None:
    before, _ = read(folder)
    first(folder).touch()
    after, opened = read(folder)
    assert opened == [first(folder).name]
    assert after == before


def test_every_image_is_opened_where_that_is_asked_for(folder: SfhqFolder) -> None:
    before, _ = read(folder)
    after, opened = read(folder, reads_again=True)
    assert (len(opened), after) == (4, before)
    assert read(folder)[1] == []


def test_an_image_is_opened_again_that_changed_just_before_it_was_read(
    folder: SfhqFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next change within the same tick of the clock would leave the same times."""
    monkeypatch.undo()
    read(folder)
    assert len(read(folder)[1]) == 4


def test_images_with_private_data_are_read_in_every_run(folder: SfhqFolder) -> None:
    first(folder).write_bytes(with_text("write to jane.doe@company.org"))
    for _ in range(2):
        reading, opened = read(folder)
        assert first(folder).name in opened
        assert any("e-mail address" in problem.message for problem in reading.problems)


def test_images_are_read_again_under_other_rules(folder: SfhqFolder) -> None:
    read(folder)
    assert len(read(folder, privacy=PrivacySettings(images="reject"))[1]) == 4


def test_a_smaller_limit_holds_for_images_that_are_not_opened(folder: SfhqFolder) -> None:
    folder.images = {
        f"images/{row[0]}": image_bytes(9 + at, size=(99, 99)) for at, row in enumerate(folder.rows)
    }
    folder.write()
    read(folder)
    work = folder.path.parent
    with (
        KnownFiles(work / "known-files.txt", digest_rules(PrivacySettings())) as files,
        CheckedImages(work / "checked.txt", files) as checked,
    ):
        source = open_sfhq_folder(folder.path, "in")
        limits = BuildSettings(max_image_bytes=1024)
        reading = read_into_catalog(work, source, settings=limits, checked=checked)
    assert reading.counts.rejected == {"image_too_large": 4}


@pytest.mark.parametrize("spoil", ["torn", "head", "noise", "gone"])
def test_a_damaged_list_costs_reading_and_nothing_else(folder: SfhqFolder, spoil: str) -> None:
    before, _ = read(folder)
    path = folder.path.parent / "known-files.txt"
    lines = path.read_text().splitlines(keepends=True)
    contents = {
        "torn": "".join(lines)[:-5],
        "head": "".join(["# by other rules\n", *lines[1:]]),
        "noise": "".join([lines[0], "x y z\n", *(line.replace(" ", "  g", 1) for line in lines[1:])]),
        "gone": "",
    }
    path.write_text(contents[spoil])
    after, opened = read(folder)
    assert opened
    assert after == before
    assert read(folder)[1] == []


def test_the_list_does_not_grow_with_files_that_change_in_each_run(tmp_path: Path) -> None:
    path, image = tmp_path / "list.txt", ImageFile(tmp_path / "a.jpg")
    with KnownFiles(path) as known:
        for number in range(3_000):
            known.add(image, FileState(1, number, number, 1), SHA256, 1, MINUTE_NS)
    assert len(path.read_text().splitlines()) == 3_001
    with KnownFiles(path):
        pass
    assert len(path.read_text().splitlines()) == 2
