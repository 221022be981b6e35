"""Listing of a folder's images: which names there are, and whether each leads to one safe file."""

import filecmp
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builders.files import real_path
from schemas.problems import Problem, Reason, SourceError

IMAGE_FOLDERS = ("images", "images/images", ".")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Endings of other images: a file that the table does not name is reported if it has one of these, too.
STRAY_SUFFIXES = (
    *IMAGE_SUFFIXES,
    *(".jfif", ".jpe", ".jp2", ".jxl", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"),
)
_MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a name leads to no image that can be published."""

    reason: Reason
    message: str
    fix: str


def check_name(name: str) -> Fault | None:
    """Refuse a name that is not a plain file name: empty, with a folder or drive, or unprintable."""
    if not name:
        return Fault(Reason.EMPTY_NAME, "the row names no image", "write the image's file name")
    unsafe = (
        name in (".", "..")
        or any(char in "/\\" or not char.isprintable() for char in name)
        or name[1:2] == ":"
        or len(name.encode("utf-8", "surrogateescape")) > _MAX_NAME_BYTES
    )
    if unsafe:
        return Fault(
            Reason.UNSAFE_NAME,
            "this is not a plain file name, and could lead out of the folder",
            "write the file name alone, without any folder",
        )
    return None


class ImageListing:
    """The files of a folder that may be images: by name in `IMAGE_FOLDERS`, and strays elsewhere below.

    Args:
        folder: The source folder.

    Raises:
        SourceError: One of the image folders is a link that leads out of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._root = real_path(folder)
        # Name → indices into IMAGE_FOLDERS: 122,726 names must not cost a Path object each.
        self._places: dict[str, tuple[int, ...]] = {}
        # Links, folders, pipes: only these need a closer look.
        self._special: set[str] = set()
        for index, place in enumerate(IMAGE_FOLDERS):
            for entry in _image_entries(self._root, place):
                self._places[entry.name] = (*self._places.get(entry.name, ()), index)
                if not entry.is_file(follow_symlinks=False):
                    self._special.add(entry.name)
        self._folded: dict[str, str] | None = None
        self._elsewhere = _images_elsewhere(self._root)

    def names_without(self, named: set[str]) -> Iterator[str]:
        """Yield the names of images that are not in `named`, and paths of images in other folders, sorted."""
        strays = (name for name in self._places if name not in named and is_stray(name))
        return iter(sorted((*strays, *self._elsewhere)))

    def path(self, name: str) -> Path:
        """Return the real path of a name that has no fault."""
        path = self._paths(name)[0]
        return real_path(path) if name in self._special else path

    def fault(self, name: str) -> Fault | None:
        """Return why a name leads to no single regular file inside the folder; None if it does."""
        if name not in self._places:
            return self._missing(name)
        for path in self._paths(name) if name in self._special else ():
            if not real_path(path).is_relative_to(self._root):
                return Fault(
                    Reason.LINK_LEAVES_FOLDER,
                    "this is a link that leaves the folder",
                    "replace the link with the image",
                )
            if not path.is_file():
                return Fault(
                    Reason.NOT_A_REGULAR_FILE,
                    "this is not a regular file",
                    "replace it with the image itself",
                )
        return self._two_contents(name)

    def _two_contents(self, name: str) -> Fault | None:
        if len(self._places[name]) == 1:
            return None
        first, *others = self._paths(name)
        if all(filecmp.cmp(first, other, shallow=False) for other in others):
            return None
        where = " and ".join(IMAGE_FOLDERS[index] + "/" for index in self._places[name])
        return Fault(
            Reason.NAME_WITH_TWO_CONTENTS,
            f"different images have this name in {where}",
            "keep the one that the row describes",
        )

    def _missing(self, name: str) -> Fault:
        if self._folded is None:
            self._folded = {_fold(known): known for known in self._places if is_stray(known)}
        near = self._folded.get(_fold(name))
        below = next((path for path in self._elsewhere if path.rpartition("/")[2] == name), None)
        fix = f"did you mean {near}?" if near else "add the image, or remove the row"
        if below:
            fix = f"move {below} to images/"
        return Fault(Reason.IMAGE_MISSING, "there is no such image in the folder", fix)

    def _paths(self, name: str) -> list[Path]:
        return [self._root / IMAGE_FOLDERS[index] / name for index in self._places[name]]


def list_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the files of a folder with one of some endings, in small letters or capitals, sorted.

    Files that macOS puts beside real ones are left out: ._faces.csv is no table.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(suffixes) and not is_of_macos(path.name) and path.is_file()
    )


def is_of_macos(name: str) -> bool:
    """Return whether a name is that of a file in which macOS keeps what it knows of another file."""
    return name.startswith("._")


def is_stray(name: str) -> bool:
    """Return whether a file is an image by its name, which a row of the table should name."""
    return name.lower().endswith(STRAY_SUFFIXES) and not is_of_macos(name)


def walk_folder(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder from a root down, with the names in it that are not folders; links are not followed.

    Hidden folders are left out: programs keep copies there, such as Jupyter in .ipynb_checkpoints.

    Raises:
        OSError: A folder cannot be read; `os.walk` by itself would leave it out without a word.
    """

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield Path(place), names


def _images_elsewhere(root: Path) -> list[str]:
    """List the images below a folder that are in none of `IMAGE_FOLDERS`; links are not followed."""
    places = {real_path(root / place) for place in IMAGE_FOLDERS}  # images/ may be a link to a folder below
    found: list[str] = []
    for place, names in walk_folder(root):
        if place not in places:
            found += [(place / name).relative_to(root).as_posix() for name in names if is_stray(name)]
    return sorted(found)


def _image_entries(root: Path, place: str) -> Iterator[os.DirEntry[str]]:
    folder = root / place
    if not folder.is_dir():
        return
    if not real_path(folder).is_relative_to(root):
        raise SourceError(
            Problem(
                Reason.SOURCE,
                "the image folder is a link that leaves its source",
                file=str(folder),
                fix="put the images themselves there, or give the folder that holds them",
            )
        )
    with os.scandir(folder) as entries:
        yield from entries


def _fold(name: str) -> str:
    """Fold case, accents' spelling and extension, the ways in which a name is most often written wrong."""
    return unicodedata.normalize("NFC", Path(name).stem).casefold().strip()
