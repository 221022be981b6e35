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
    """The image files of a folder, found in `IMAGE_FOLDERS`, by name.

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

    def names_without(self, named: set[str]) -> Iterator[str]:
        """Yield the names that are not in `named`, sorted."""
        return (name for name in sorted(self._places) if name not in named and not is_of_macos(name))

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
            self._folded = {_fold(known): known for known in self._places}
        near = self._folded.get(_fold(name))
        fix = f"did you mean {near}?" if near else "add the image, or remove the row"
        return Fault(Reason.IMAGE_MISSING, "there is no such image in the folder", fix)

    def _paths(self, name: str) -> list[Path]:
        return [self._root / IMAGE_FOLDERS[index] / name for index in self._places[name]]


def list_tables(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
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
        for entry in entries:
            if entry.name.lower().endswith(IMAGE_SUFFIXES):
                yield entry


def _fold(name: str) -> str:
    """Fold case, accents' spelling and extension, the ways in which a name is most often written wrong."""
    return unicodedata.normalize("NFC", Path(name).stem).casefold().strip()
