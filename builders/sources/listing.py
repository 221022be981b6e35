"""Listing of the images of a folder or an archive: their names, and whether each leads to one safe file."""

import filecmp
import os
import re
import stat
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from builders.files import real_path
from builders.images.files import ImageFile
from schemas.problems import Problem, Reason, SourceError

# Where images are looked for first; "" is the folder of the table.
IMAGE_FOLDERS = ("images", "images/images", "")
# Tables of an image folder.
METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Endings of other images: a file that the table does not name is reported if it has one of these, too.
STRAY_SUFFIXES = (
    *IMAGE_SUFFIXES,
    *(".jfif", ".jpe", ".jp2", ".jxl", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"),
)
_MAX_NAME_BYTES = 255
# What nearly every name is, so that most are told from bad ones in a microsecond.
_USUAL_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_MAX_NAME_BYTES - 1}}}")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a name leads to no image that can be published."""

    reason: Reason
    message: str
    fix: str


_LEAVES = Fault(
    Reason.LINK_LEAVES_FOLDER, "this is a link that leaves the folder", "replace the link with the image"
)
_NOT_REGULAR = Fault(
    Reason.NOT_A_REGULAR_FILE, "this is not a regular file", "replace it with the image itself"
)


def check_name(name: str) -> Fault | None:
    """Refuse a name that is no plain path below a folder: empty, leading out of it, or unprintable."""
    if _USUAL_NAME.fullmatch(name):
        return None
    if not name:
        return Fault(Reason.EMPTY_NAME, "the row names no image", "write the image's file name")
    unsafe = (
        any(part in ("", ".", "..") for part in name.split("/"))
        or any(char == "\\" or not char.isprintable() for char in name)
        or name[1:2] == ":"
        or len(name.encode("utf-8", "surrogateescape")) > _MAX_NAME_BYTES
    )
    if unsafe:
        return Fault(
            Reason.UNSAFE_NAME,
            "this is not a plain file name, and could lead out of the folder",
            "write the file name alone, or its path below the folder",
        )
    return None


class Listing(ABC):
    """The files that may be images: those in `IMAGE_FOLDERS`, and images by their ending elsewhere.

    A name is a file's name, or its path below the source or below one of `IMAGE_FOLDERS`. A name without a
    folder is looked for in `IMAGE_FOLDERS`, and only then in other folders.

    Args:
        place: The source, for problems.
        places: Folder and name of each file, with slashes, relative to the source.
    """

    def __init__(self, place: str, places: Iterable[tuple[str, str]]) -> None:
        self.place = place
        # Name → folders that have it: 122,726 names must not cost a Path object each.
        self._folders: dict[str, tuple[str, ...]] = {}
        for folder, name in places:
            self._folders[name] = (*self._folders.get(name, ()), intern(folder))
        self._folded: dict[str, str] | None = None

    def strays(self, named: Iterable[str] = ()) -> Iterator[str]:
        """Yield the names of images that none of some other names leads to, sorted."""
        used = {path for name in named for path in self._paths(name)}
        paths = (
            _join(folder, name)
            for name, folders in self._folders.items()
            if is_stray(name)
            for folder in folders
        )
        return iter(sorted({_shorten(path) for path in paths if path not in used}))

    def file(self, name: str) -> ImageFile:
        """Return where the image is that a name without a fault leads to."""
        return self._locate(self._paths(name)[0])

    def canonical(self, name: str) -> str:
        """Return a name without the folders that usually hold the images, whether it has them or not."""
        return _shorten(name)

    def fault(self, name: str) -> Fault | None:
        """Return why a name leads to no single regular file of the source; None if it does."""
        if fault := check_name(name):
            return fault
        paths = self._paths(name)
        if not paths:
            return self._missing(name)
        for path in paths:
            if fault := self._check(path):
                return fault
        if len(paths) == 1 or all(self._are_equal(paths[0], other) for other in paths[1:]):
            return None
        where = " and ".join(f"{path.rpartition('/')[0] or '.'}/" for path in paths)
        return Fault(
            Reason.NAME_WITH_TWO_CONTENTS,
            f"different images have this name in {where}",
            "keep the one that the row describes, or write its folder, too",
        )

    @abstractmethod
    def find(self, names: Iterable[str]) -> list[str]:
        """Return the paths of the files with one of some names, sorted, those in the fewest folders first."""

    @abstractmethod
    def open(self, path: str) -> Path:
        """Return where a table can be opened, by its path from `find`."""

    @abstractmethod
    def copy_files(self, suffixes: tuple[str, ...]) -> Path:
        """Return a folder with the files of some endings, each at its path."""

    @abstractmethod
    def _locate(self, path: str) -> ImageFile:
        """Return where the bytes of a file are."""

    @abstractmethod
    def _check(self, path: str) -> Fault | None:
        """Return why a file is no regular file of the source; None if it is."""

    @abstractmethod
    def _are_equal(self, path: str, other: str) -> bool:
        """Return whether two files have the same bytes."""

    def _paths(self, name: str) -> list[str]:
        """Return the paths of the files that a name may mean."""
        folder, _, name = name.rpartition("/")
        folders = self._folders.get(name, ())
        if folder:
            wanted = {folder, *(_join(place, folder) for place in IMAGE_FOLDERS)}
            return [_join(place, name) for place in folders if place in wanted]
        usual = [place for place in folders if place in IMAGE_FOLDERS]
        return [_join(place, name) for place in usual or folders]

    def _missing(self, name: str) -> Fault:
        if self._folded is None:
            self._folded = {_fold(known): known for known in self._folders if is_stray(known)}
        near = self._folded.get(_fold(name.rpartition("/")[2]))
        if near and "/" in name:
            near = " or ".join(_join(folder, near) for folder in self._folders[near])
        fix = f"did you mean {near}?" if near else "add the image, or remove the row"
        return Fault(Reason.IMAGE_MISSING, "there is no such image in the folder", fix)


class FolderListing(Listing):
    """The files of a folder that may be images.

    Args:
        folder: The source folder.

    Raises:
        SourceError: One of the image folders is a link that leads out of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._root = real_path(folder)
        # Links, folders, pipes: only these need a closer look.
        self._special: set[str] = set()
        super().__init__(str(folder), self._places())

    def find(self, names: Iterable[str]) -> list[str]:
        """Return the paths of the files with one of some names; links are not followed into folders."""
        wanted = set(names)
        found = [
            (place / name).relative_to(self._root).as_posix()
            for place, names in walk_folder(self._root)
            for name in names
            if name in wanted
        ]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def open(self, path: str) -> Path:
        """Return the path of a table.

        Raises:
            SourceError: It is a link that leaves the folder.
        """
        table = self._root / path
        if not real_path(table).is_relative_to(self._root):
            message, fix = f"{path} is a link that leaves the folder", "put the table there"
            raise SourceError(Problem(Reason.SOURCE, message, file=str(table), fix=fix))
        return table

    def copy_files(self, suffixes: tuple[str, ...]) -> Path:
        """Return the folder itself."""
        del suffixes
        return self._root

    def _places(self) -> Iterator[tuple[str, str]]:
        places = {real_path(self._root / place) for place in IMAGE_FOLDERS}  # images/ may be a link below
        for place in IMAGE_FOLDERS:
            for entry in _image_entries(self._root, place):
                if not entry.is_file(follow_symlinks=False):
                    self._special.add(_join(place, entry.name))
                yield place, entry.name
        for folder, names in walk_folder(self._root):
            if folder not in places:
                place = folder.relative_to(self._root).as_posix()
                for name in filter(is_stray, names):
                    if not stat.S_ISREG(os.lstat(folder / name).st_mode):
                        self._special.add(_join(place, name))
                    yield place, name

    def _locate(self, path: str) -> ImageFile:
        return ImageFile(real_path(self._root / path) if path in self._special else self._root / path)

    def _check(self, path: str) -> Fault | None:
        if path not in self._special:
            return None
        real = real_path(self._root / path)
        if not real.is_relative_to(self._root):
            return _LEAVES
        return None if real.is_file() else _NOT_REGULAR

    def _are_equal(self, path: str, other: str) -> bool:
        return filecmp.cmp(self._root / path, self._root / other, shallow=False)


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
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield Path(place), names


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


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _shorten(path: str) -> str:
    """Leave out the folders that usually hold the images."""
    return path.removeprefix("images/").removeprefix("images/") or path
