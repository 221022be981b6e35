"""Files on the disk: written whole or not at all, forced to the disk, compared with their digest.

Own code, since the known library for atomic writes is no longer maintained.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` at the end.

    Readers see the old or the new content. If the block fails, `path` is unchanged, and nothing is left.
    """
    open_path = path.with_name(f".{path.name}.open")
    try:
        yield open_path
    except BaseException:
        open_path.unlink(missing_ok=True)
        raise
    open_path.replace(path)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically: readers see the old or the new content."""
    with open_whole(path) as open_path:
        open_path.write_bytes(data)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk, so that a power cut loses nothing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def real_path(path: Path) -> Path:
    """Return a path with its links followed; a link that leads back to itself stays as it is.

    `Path.resolve` of Python 3.11 raises `RuntimeError` on such a link.
    """
    return Path(os.path.realpath(path))


def is_intact(path: Path, num_bytes: int, sha256: str) -> bool:
    """Return whether a regular file has a size and a SHA-256 (hexadecimal); False if it cannot be read."""
    try:
        if path.is_symlink() or path.stat().st_size != num_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
