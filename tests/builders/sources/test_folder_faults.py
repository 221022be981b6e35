"""Faults of folders by kinds of source that are folders: one fault is reported alike, whatever the kind.

A new kind of source is one line in `KINDS`.
"""

import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builders.sources import open_source
from builders.sources.intake import SourceOptions
from publish.release import main
from schemas.problems import Problem, Severity, SourceError
from tests.support import good_folder, image_bytes, read_into_catalog
from tests.test_cases import write_settings

NUM_IMAGES = 3
NAMES = ("one.jpg", "two.jpg", "three.jpg")


@dataclass(frozen=True)
class Kind:
    """A kind of source that is a folder.

    Attributes:
        kind: Its key in `SOURCES`.
        make: Makes a good folder with three images.
        image: One of them, relative to the folder.
        entries: Files without which the folder is no such source, as a pattern.
        has_images: Whether its rows are images; else only texts are read, and images are left alone.
        options: What the maintainer says of it.
    """

    kind: str
    make: Callable[[Path], object]
    image: str
    entries: str
    has_images: bool
    options: SourceOptions = field(default_factory=SourceOptions)


def make_sidecars(path: Path) -> None:
    path.mkdir()
    for number, name in enumerate(NAMES):
        (path / name).write_bytes(image_bytes(number))
        (path / name).with_suffix(".txt").write_text(f"face {number}")


def make_metadata(path: Path) -> None:
    path.mkdir()
    for number, name in enumerate(NAMES):
        (path / name).write_bytes(image_bytes(number))
    rows = [{"file_name": name, "text": f"face {number}"} for number, name in enumerate(NAMES)]
    (path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_sfhq(path: Path) -> None:
    good_folder(path, NUM_IMAGES).write()


KINDS = {
    "sfhq": Kind("sfhq", make_sfhq, "images/FLUX1_dev_image_0000001.jpg", "*.csv", has_images=True),
    "sidecars": Kind("captions", make_sidecars, NAMES[1], "*.txt", has_images=False),
    "metadata": Kind("captions", make_metadata, NAMES[1], "metadata.*", has_images=False),
    "image folder": Kind(
        "images",
        make_metadata,
        NAMES[1],
        "*.j*",
        has_images=True,
        options=SourceOptions(generator="FLUX1_schnell"),
    ),
}


def read(kind: Kind, path: Path, work: Path) -> list[Problem]:
    """Read a folder as a release does, and return all that is reported; no row may be lost."""
    try:
        sources = open_source(kind.kind, path, "source", kind.options)
        if not kind.has_images:  # which are what its rows would be looked up in
            return [problem for source in sources for row in source.rows() for problem in row.problems]
        reading = read_into_catalog(work, *sources)
    except SourceError as error:
        return list(error.problems)
    assert reading.counts.read == reading.counts.published + len(reading.rejected)
    assert reading.counts.published >= NUM_IMAGES - 1
    return reading.problems


@dataclass(frozen=True)
class Fault:
    """One way in which a folder is wrong.

    Attributes:
        make: Spoils a good folder of a kind.
        says: What is reported, as a regular expression; None if the folder is read as if nothing were wrong.
        fix: What is advised, as a regular expression.
        is_of_images: Whether only kinds with images report it; others read their texts as before.
    """

    make: Callable[[Path, Kind], object]
    says: str | None
    fix: str = ""
    is_of_images: bool = False


def in_place_of_folder(make: Callable[[Path], object]) -> Callable[[Path, Kind], object]:
    """Move the good folder away, and make something else with its name."""

    def spoil(path: Path, kind: Kind) -> None:
        path.rename(path.with_name("moved"))
        make(path)

    return spoil


def in_place_of_image(make: Callable[[Path], object]) -> Callable[[Path, Kind], object]:
    def spoil(path: Path, kind: Kind) -> None:
        (path / kind.image).unlink()
        make(path / kind.image)

    return spoil


def beside_image(name: bytes | str, make: Callable[[Path], object]) -> Callable[[Path, Kind], object]:
    """Make something in the folder of an image, at a relative path."""

    def spoil(path: Path, kind: Kind) -> None:
        place = (path / kind.image).parent / os.fsdecode(name)
        place.parent.mkdir(exist_ok=True)
        make(place)

    return spoil


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("collection/a.txt", "a")


def without_entries(path: Path, kind: Kind) -> None:
    for entry in path.glob(kind.entries):
        entry.unlink()
    (path / "README").touch()


def unreadable(path: Path, kind: Kind) -> None:
    path.chmod(0)


def unreadable_below(path: Path, kind: Kind) -> None:
    (path / "below").mkdir(mode=0)


def link_out(path: Path, kind: Kind) -> None:
    other = path.with_name("other.jpg")
    other.write_bytes((path / kind.image).read_bytes())
    (path / kind.image).unlink()
    (path / kind.image).symlink_to(other)


def link_out_entry(path: Path, kind: Kind) -> None:
    """Put a link beside the texts that leads to a text elsewhere."""
    path.with_name("other.txt").write_text("secret")
    (path / "link.txt").symlink_to(path.with_name("other.txt"))


def macos_files(path: Path, kind: Kind) -> None:
    (path / "__MACOSX").mkdir()
    for name in ("._two.jpg", "._one.txt", "._SFHQ_T2I_dataset.csv", ".DS_Store", "__MACOSX/._two.jpg"):
        (path / name).write_bytes(b"\0\5\x16\7" + bytes(60))
    (path / "Thumbs.db").write_bytes(bytes(60))


def hidden_copies(path: Path, kind: Kind) -> None:
    (path / ".ipynb_checkpoints").mkdir()
    for name in ("two-checkpoint.jpg", "one-checkpoint.txt"):
        (path / ".ipynb_checkpoints" / name).write_bytes(image_bytes(9))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
NOT_REGULAR = "this is not a regular file"
UNNAMED = "names this image"
FAULTS: dict[str, Fault] = {
    # Read as if nothing were wrong
    "files of macOS and Windows": Fault(macos_files, None),
    "hidden copies": Fault(hidden_copies, None),
    "a link to the folder": Fault(
        in_place_of_folder(lambda path: path.symlink_to(path.with_name("moved"))), None
    ),
    # In place of the folder
    "missing": Fault(
        in_place_of_folder(lambda path: None), "there is no such (folder|file)", "check the path"
    ),
    "a text file": Fault(
        in_place_of_folder(content(b"some text\n")),
        "this is a file, and not a folder|no rows|no column names an image|the file holds no images",
        "give (the|a) folder|a table with rows|rename",
    ),
    "empty file": Fault(
        in_place_of_folder(content(b"")),
        "this is a file, and not a folder|the table is empty|the file holds no images",
        "folder|with rows",
    ),
    "empty": Fault(in_place_of_folder(Path.mkdir), "the folder is empty", "check the path"),
    "zip": Fault(
        in_place_of_folder(zip_file), "is a zip archive|the folder has no images", "unpack it|check the path"
    ),
    "pipe": Fault(in_place_of_folder(os.mkfifo), "a pipe or a device", "as a file"),
    "link loop": Fault(
        in_place_of_folder(lambda path: path.symlink_to(path)), "it cannot be read", "check the path"
    ),
    "link to nothing": Fault(
        in_place_of_folder(lambda path: path.symlink_to(path.with_name("gone"))),
        "there is no such (folder|file)",
        "check the path",
    ),
    "no table": Fault(
        without_entries,
        "the folder (has no|has neither)|the folder has no images",
        "put the table|check the path",
    ),
    "unreadable": Fault(unreadable, "cannot be read: Permission denied", "permissions"),
    "unreadable below": Fault(unreadable_below, "cannot be read: Permission denied", "permissions"),
    # In place of one of its images
    "image is missing": Fault(in_place_of_image(lambda path: None), "no such image", "add the image", True),
    "image is empty": Fault(in_place_of_image(content(b"")), "not an image", "the original image", True),
    "image is LFS": Fault(in_place_of_image(content(LFS)), "not an image", "git lfs pull", True),
    "image is a web page": Fault(
        in_place_of_image(content(b"<!DOCTYPE html><html>")), "not an image", "download the file itself", True
    ),
    "image is a GIF": Fault(
        in_place_of_image(content(image_bytes(1, "GIF", "L"))),
        "not an image",
        "save it as JPEG, PNG or WebP",
        True,
    ),
    "image is JPEG XL": Fault(
        in_place_of_image(content(b"\0\0\0\x0cJXL \r\n\x87\n")), "not an image", "save it as JPEG", True
    ),
    "image is an SVG": Fault(
        in_place_of_image(content(b'<svg xmlns="http://www.w3.org/2000/svg"/>')),
        "not an image",
        "save it as",
        True,
    ),
    "image is a zip": Fault(in_place_of_image(zip_file), "not an image", "unpack it", True),
    "image is a folder": Fault(in_place_of_image(Path.mkdir), NOT_REGULAR, "with the image itself", True),
    "image is a pipe": Fault(in_place_of_image(os.mkfifo), NOT_REGULAR, "with the image itself", True),
    "image is a link loop": Fault(
        in_place_of_image(lambda path: path.symlink_to(path)), NOT_REGULAR, "with the image itself", True
    ),
    "image is a link to nothing": Fault(
        in_place_of_image(lambda path: path.symlink_to("gone")), NOT_REGULAR, "with the image itself", True
    ),
    "image is a link out": Fault(link_out, "a link that leaves the folder", "with the image", True),
    # Beside its images
    "stray image": Fault(
        beside_image("stray.jpg", content(image_bytes(9))), UNNAMED, "add a row for it", True
    ),
    "ending in capitals": Fault(
        beside_image("STRAY.JPG", content(image_bytes(9))), UNNAMED, "add a row", True
    ),
    "stray of another format": Fault(beside_image("stray.heic", content(b"x")), UNNAMED, "add a row", True),
    "nested": Fault(beside_image("deep/er.jpg", content(image_bytes(9))), UNNAMED, "add a row", True),
    "name not UTF-8": Fault(
        beside_image(b"caf\xe9.jpg", content(image_bytes(9))), UNNAMED, "add a row", True
    ),
    "name with a line break": Fault(
        beside_image("a\nb.jpg", content(image_bytes(9))), UNNAMED, "add a row", True
    ),
    "stray folder": Fault(beside_image("stray.jpg", Path.mkdir), UNNAMED, "add a row", True),
    "stray pipe": Fault(beside_image("stray.jpg", os.mkfifo), UNNAMED, "add a row", True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_folder_has_no_fault(kind: str, tmp_path: Path, work: Path) -> None:
    KINDS[kind].make(tmp_path / "folder")
    assert read(KINDS[kind], tmp_path / "folder", work) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_alike_whatever_the_kind(
    name: str, kind: str, tmp_path: Path, work: Path
) -> None:
    fault, path = FAULTS[name], tmp_path / "folder"
    KINDS[kind].make(path)
    fault.make(path, KINDS[kind])
    try:
        problems = read(KINDS[kind], path, work)
    finally:
        if fault.make is unreadable:
            path.chmod(0o700)
    if fault.make in (unreadable, unreadable_below) and problems == [] and os.geteuid() == 0:
        pytest.skip("root may read everything")
    if fault.says is None or (fault.is_of_images and not KINDS[kind].has_images):
        assert problems == []
        return
    told = [problem for problem in problems if re.search(fault.says, problem.message)]
    assert told, problems
    assert re.search(fault.fix, told[0].fix), told
    assert told[0].file
    assert str(told[0]).isprintable()
    assert [problem for problem in problems if problem.severity is not Severity.WARNING] == told


@pytest.mark.parametrize("name", ["link.txt", "pipe.txt", "loop.txt"])
def test_a_sidecar_that_is_no_regular_file_is_reported(name: str, tmp_path: Path, work: Path) -> None:
    make_sidecars(tmp_path / "folder")
    path = tmp_path / "folder" / name
    if name == "pipe.txt":
        os.mkfifo(path)
    else:
        path.symlink_to(path if name == "loop.txt" else "/etc/passwd")
    (problem,) = read(KINDS["sidecars"], tmp_path / "folder", work)
    assert (problem.file, problem.message) == (name, NOT_REGULAR)
    assert problem.fix


IN_THE_COMMAND = ("missing", "empty", "zip", "link loop")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", IN_THE_COMMAND)
def test_the_command_reports_a_fault_and_writes_nothing(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault, path, out = FAULTS[name], tmp_path / "folder", tmp_path / "dist"
    KINDS[kind].make(path)
    fault.make(path, KINDS[kind])
    good = good_folder(tmp_path / "good", 2).write()
    settings = write_settings(tmp_path / "release.toml", {})
    sources = ["--sfhq", str(good), f"--{KINDS[kind].kind}", str(path)]
    if generator := KINDS[kind].options.generator:
        sources += ["--generator", generator]
    status = main(["--version", "1.0", "--config", str(settings), "--out", str(out), *sources, "--plan"])
    said = re.sub(r"\s+", " ", "".join(capsys.readouterr()))
    assert status == 1, said
    assert "Traceback" not in said
    assert fault.says is not None
    assert re.search(fault.says, said), said
    assert re.search(fault.fix, said), said
    assert path.name in said, said
    assert not (out / "1.0").exists()
