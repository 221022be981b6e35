"""Zip and tar archives as folders of images, which are read where they are.

An image is a range of bytes of the archive, and only tables are copied out. An archive that is compressed as
a whole (.tar.gz) has no such ranges, and is refused.
"""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builders.file_kinds import HEAD_BYTES, FileKind, tell_file_kind
from builders.files import real_path
from builders.images.files import ImageFile, ImageRefusedError, read_image
from builders.sources.listing import Fault, Listing, check_name, is_of_macos, is_stray
from schemas.problems import Problem, Reason, SourceError

_ZIP_MAGIC = b"PK\x03\x04"
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.3.7
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ZIP, _TAR = "a zip archive", "a tar archive"  # as `tell_file_kind` calls them
_ENCRYPTED = 1
_MAX_TABLE_BYTES, _MAX_COMPARED_BYTES = 4 << 30, 1 << 28
# What the readers raise on damaged archives, which is not only their own errors.
_DAMAGED = (OSError, ValueError, EOFError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)
_NOT_REGULAR = Fault(Reason.NOT_A_REGULAR_FILE, "this is not a regular file", "pack the image itself")
_FIX = "make the archive again, or give the folder that it was made of"


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of an archive: where its bytes are, or why it cannot be read."""

    start: int = 0
    num_bytes: int = 0
    is_deflated: bool = False
    fault: Fault | None = None


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip or tar archive by its content; a workbook of Excel is none."""
    kind = _kind_of(path)
    return kind is not None and kind.what in (_ZIP, _TAR)


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar by its content."""
    kind = _kind_of(path)
    return kind is not None and kind.what == _TAR


def split_archive(path: Path) -> tuple[Path, str] | None:
    """Split a path such as `faces.zip/inner` into archive and folder; None without an archive."""
    for parent in (path, *path.parents):
        if parent.is_file():
            folder = path.relative_to(parent).as_posix()
            return (parent, "" if folder == "." else folder) if is_archive(parent) else None
        if parent.exists():
            return None
    return None


class ArchiveListing(Listing):
    """The files of an archive that may be images.

    A single folder that holds everything else is left out of all paths: archives are often made so.

    Args:
        path: The archive.
        folder: The folder in it that is meant; "" for all of it.
        scratch: Folder of ours, for tables.

    Raises:
        SourceError: It is damaged, or has no such folder.
    """

    def __init__(self, path: Path, folder: str, scratch: Path) -> None:
        self._archive, self._scratch = real_path(path), scratch  # images are read through no link
        try:
            with path.open("rb") as file:
                is_zip = file.read(4) == _ZIP_MAGIC
            members = dict(_zip_members(path) if is_zip else _tar_members(path))
        except _DAMAGED as error:
            message = f"the archive is damaged: {error}"
            raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=_FIX)) from error
        self._top = f"{folder}/" if folder else _top_folder(members)
        # A name that leads out of the archive is that of no file here; an image of such a name is a stray.
        self._unsafe = [name for name in members if check_name(name) is not None and is_stray(name)]
        self._members = {
            name.removeprefix(self._top): member
            for name, member in members.items()
            if name.startswith(self._top) and check_name(name) is None
        }
        if not self._members:
            message, fix = "the archive has no files in this folder", _name_folders(members)
            raise SourceError(Problem(Reason.SOURCE, message, file=str(path), value=folder or None, fix=fix))
        parts = (member.rpartition("/") for member in self._members)
        super().__init__(str(path), ((place, file) for place, _, file in parts))

    def strays(self, named: Iterable[str] = ()) -> Iterator[str]:
        """Yield the names of images that none of some other names leads to."""
        yield from super().strays(named)
        yield from sorted(self._unsafe)

    def find(self, names: Iterable[str]) -> list[str]:
        """Return the paths of the files with one of some names."""
        wanted = set(names)
        found = [path for path in self._members if path.rpartition("/")[2] in wanted]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def open(self, path: str) -> Path:
        """Copy a table out of the archive and return where it is.

        Raises:
            SourceError: It is damaged, or larger than 4 GB.
        """
        at = partial(Problem, Reason.SOURCE, file=f"{self._archive}/{self._top}{path}")
        if fault := self._check(path):
            raise SourceError(at(fault.message, fix=fault.fix))
        try:
            data = read_image(self._locate(path), _MAX_TABLE_BYTES)
        except ImageRefusedError as error:
            raise SourceError(at(error.message, fix=_FIX)) from error
        copy = self._scratch / self._archive.name / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data)
        return copy

    def copy_files(self, suffixes: tuple[str, ...]) -> Path:
        """Copy the files with one of some endings out of the archive, and return the folder that has them."""
        for path in self._members:
            if path.lower().endswith(suffixes) and self._check(path) is None:
                self.open(path)
        return self._scratch / self._archive.name

    def _locate(self, path: str) -> ImageFile:
        member = self._members[path]
        return ImageFile(self._archive, member.start, member.num_bytes, member.is_deflated)

    def _check(self, path: str) -> Fault | None:
        return self._members[path].fault

    def _are_equal(self, path: str, other: str) -> bool:
        one, two = (self._members[name] for name in (path, other))
        if one.is_deflated == two.is_deflated and one.num_bytes != two.num_bytes:
            return False
        try:
            data = [read_image(self._locate(name), _MAX_COMPARED_BYTES) for name in (path, other)]
        except ImageRefusedError:
            return False
        return data[0] == data[1]


def _zip_members(path: Path) -> Iterator[tuple[str, _Member]]:
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            if not info.is_dir() and _is_wanted(info.filename):
                yield info.filename, _zip_member(info, file)


def _zip_member(info: zipfile.ZipInfo, file: io.BufferedReader) -> _Member:
    kind = info.external_attr >> 16
    if kind and stat.S_IFMT(kind) not in (0, stat.S_IFREG):
        return _Member(fault=_NOT_REGULAR)
    if info.flag_bits & _ENCRYPTED:
        message, fix = "the file is encrypted", "pack it without a password"
        return _Member(fault=Fault(Reason.IMAGE_UNREADABLE, message, fix))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        message, fix = "the file is packed by a method that is not deflate", "pack it again with zip"
        return _Member(fault=Fault(Reason.IMAGE_UNREADABLE, message, fix))
    # Only the local header says where data begins: its extra field may be longer than that of the directory.
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_ZIP_MAGIC):
        raise zipfile.BadZipFile(f"{info.filename} is not where the directory says")
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    start = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    return _Member(start, info.compress_size, info.compress_type == zipfile.ZIP_DEFLATED)


def _tar_members(path: Path) -> Iterator[tuple[str, _Member]]:
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined] # else all of them stay in memory
            name = info.name.removeprefix("./")
            if info.isdir() or not _is_wanted(name):
                continue
            is_plain = info.isreg() and not info.issparse()
            yield name, _Member(info.offset_data, info.size) if is_plain else _Member(fault=_NOT_REGULAR)


def _is_wanted(name: str) -> bool:
    """Return whether a path in an archive is one to look at; others are hidden, or of macOS."""
    folders = name.split("/")
    return not is_of_macos(folders[-1]) and not any(
        folder.startswith((".", "__MACOSX")) and folder != ".." for folder in folders[:-1]
    )


def _top_folder(members: Mapping[str, _Member]) -> str:
    """Return the folder that holds everything, with a slash; "" if there is none."""
    names = [name for name in members if check_name(name) is None]
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    return f"{top}/" if top and top != "images" else ""


def _name_folders(members: Mapping[str, _Member]) -> str:
    folders = sorted({name.partition("/")[0] for name in members if "/" in name})[:5]
    return f"it has {', '.join(folders)}" if folders else "give an archive with images"


def refuse_compressed(path: Path) -> Problem | None:
    """Return why a file cannot be read as an archive, if it is a compressed one."""
    kind = _kind_of(path)
    if kind is None:
        return None
    fix = kind.fix
    if "compressed" in kind.what:
        fix = "unpack it once (gunzip makes a .tar of a .tar.gz), and give that"
    return Problem(Reason.SOURCE, f"the file is {kind.what}", file=str(path), fix=fix)


def _kind_of(path: Path) -> FileKind | None:
    """Tell what a file is; None for a folder, and for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return tell_file_kind(file.read(HEAD_BYTES))
    except OSError:
        return None
