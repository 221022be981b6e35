"""Integrity of a release folder: are its files those of the manifest, all of them, byte for byte?"""

import hashlib
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import ValidationError

from builders.parallel import Threads
from schemas.manifest import MANIFEST_NAME, FileEntry, Manifest
from schemas.problems import Problem, Reason, ReleaseError, printable

_OTHER_KIT = "build the release again, or use the version of the kit that wrote it"
_FIX = "restore the file from a copy, or build the release again"


def read_manifest(folder: Path) -> Manifest:
    """Read a release's manifest.

    Raises:
        ReleaseError: There is none, or it is damaged.
    """
    place = folder / MANIFEST_NAME
    try:
        data = place.read_bytes()
    except OSError as error:
        message = f"there is no release here: {error.strerror}"
        raise ReleaseError(
            Problem(Reason.RELEASE, message, file=str(place), fix="build it", code="check/manifest")
        ) from error
    return parse_manifest(data, str(place))


def parse_manifest(data: bytes, place: str) -> Manifest:
    """Parse a manifest, wherever it was read.

    Raises:
        ReleaseError: It is damaged, or of another version of the kit.
    """
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5]
        )
        message = f"the manifest is damaged: {printable(details)}"
        raise ReleaseError(
            Problem(Reason.RELEASE, message, file=place, fix=_OTHER_KIT, code="check/manifest")
        ) from error


def check_files(
    folder: Path, manifest: Manifest, verified: Collection[str] = (), *, by_size: bool = False
) -> Iterator[Problem]:
    """Compare a folder with a manifest.

    Args:
        folder: The release folder.
        manifest: What should be in it.
        verified: Paths of files whose bytes have just been compared.
        by_size: Whether to compare no bytes at all.

    Yields:
        A problem for each file that is missing, added, of another size or with other bytes.
    """
    if not folder.is_dir() or (folder / MANIFEST_NAME).read_bytes() != manifest.to_json():
        yield _problem("the manifest is not the one expected", MANIFEST_NAME)
        return

    def check(entry: FileEntry) -> list[Problem]:
        return list(_check_file(folder, entry, with_bytes=not by_size and entry.path not in verified))

    for _, problems in Threads().map_ordered(check, manifest.all_files):
        yield from problems
    known = {MANIFEST_NAME, *(entry.path for entry in manifest.all_files)}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in known and not (path.is_dir() and not path.is_symlink()):
            yield _problem("the file is not in the manifest", name, fix="move it out of the release")


def _check_file(folder: Path, entry: FileEntry, *, with_bytes: bool) -> Iterator[Problem]:
    path = folder / entry.path
    try:
        status = path.lstat()
    except OSError as error:
        yield _problem(f"the file is missing: {error.strerror}", entry.path)
        return
    if not stat.S_ISREG(status.st_mode) or not path.resolve().is_relative_to(folder.resolve()):
        yield _problem("this is not a regular file of the release", entry.path)
    elif status.st_size != entry.num_bytes:
        value = f"{status.st_size:,} bytes, {entry.num_bytes:,} in the manifest"
        yield _problem("the file has another size", entry.path, value)
    elif with_bytes and _digest(path) != entry.sha256:
        yield _problem("the file has other bytes than the manifest says", entry.path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(message: str, file: str, value: str | None = None, fix: str = _FIX) -> Problem:
    return Problem(Reason.RELEASE, message, file=file, value=value, fix=fix, code="check/file")
