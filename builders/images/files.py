"""Where the bytes of an image are: in a file of their own, or in a part of another file, such as a tar."""

import json
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from schemas.problems import Reason

_RAW_DEFLATE = -15  # zlib's number for a stream without a header, as zip archives hold it


class ImageRefusedError(Exception):
    """An image file that cannot be published: the reason, what is wrong, the value, what to do."""

    def __init__(self, reason: Reason, message: str, value: str | None, fix: str) -> None:
        super().__init__(message)
        self.reason, self.message, self.value, self.fix = reason, message, value, fix

    def __reduce__(self) -> tuple[type[Self], tuple[Reason, str, str | None, str]]:
        """Travel whole, from the process of a worker to that of the command."""
        return type(self), (self.reason, self.message, self.value, self.fix)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The bytes of one image on disk.

    Attributes:
        path: The file; a link is not followed.
        start: Offset of the bytes in the file, in bytes; None for all of the file.
        num_bytes: How many bytes there are from `start`.
        is_deflated: Whether they are compressed as zip archives do it.
    """

    path: Path
    start: int | None = None
    num_bytes: int = 0
    is_deflated: bool = False

    def __str__(self) -> str:
        """Name the image in messages."""
        return str(self.path) if self.start is None else f"{self.path} (at byte {self.start:,})"

    def to_text(self) -> str:
        """Write it as one text, for a database."""
        text = str(self.path)
        if self.start is None and text.isprintable() and not text.startswith("["):
            return text
        return json.dumps([text, self.start, self.num_bytes, self.is_deflated])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote."""
        if not text.startswith("["):
            return cls(Path(text))
        path, start, num_bytes, is_deflated = json.loads(text)
        return cls(Path(path), start, num_bytes, is_deflated)


class FileState(NamedTuple):
    """What changes when a file changes: its size in bytes, two times in nanoseconds, and its inode."""

    num_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Take it from a file's status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def read_image(file: ImageFile, max_bytes: int) -> bytes:
    """Read the bytes of an image; see `read_image_and_state` for arguments and errors."""
    return read_image_and_state(file, max_bytes)[0]


def read_image_and_state(file: ImageFile, max_bytes: int) -> tuple[bytes, FileState | None]:
    """Read the bytes of an image.

    Args:
        file: Where they are.
        max_bytes: Largest size accepted, in bytes; a larger image is not read.

    Returns:
        The bytes, and the state of the file that they were read from; None if it changed on the way.

    Raises:
        ImageRefusedError: The file is not a regular file, the image is empty or too large, or it cannot be
            read.
    """
    path = file.path
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        message = f"the file cannot be opened: {error.strerror}"
        raise ImageRefusedError(
            Reason.IMAGE_UNREADABLE, message, path.name, "check its permissions"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            message, fix = "this is not a regular file", "replace it with the image itself"
            raise ImageRefusedError(Reason.NOT_A_REGULAR_FILE, message, path.name, fix)
        num_bytes = status.st_size if file.start is None else file.num_bytes
        if num_bytes > max_bytes:
            raise too_large(num_bytes, max_bytes)
        if file.start is None:
            data = _read_whole(descriptor, num_bytes)
        else:
            data = os.pread(descriptor, num_bytes, file.start)
            data = _inflate(data, max_bytes) if file.is_deflated else data
        state = FileState.of(status)
        return data, state if state == FileState.of(os.fstat(descriptor)) else None
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise ImageRefusedError(Reason.IMAGE_UNREADABLE, message, path.name, "copy it again") from error
    finally:
        os.close(descriptor)


def _read_whole(descriptor: int, num_bytes: int) -> bytes:
    """Read a regular file; asking for one byte more than it has saves the call that finds its end."""
    data = os.read(descriptor, num_bytes + 1)
    if len(data) == num_bytes:
        return data
    return b"".join((data, *iter(lambda: os.read(descriptor, num_bytes + 1), b"")))


def too_large(num_bytes: int, max_bytes: int) -> ImageRefusedError:
    """Make the refusal of an image that is larger than the settings accept."""
    return ImageRefusedError(
        Reason.IMAGE_TOO_LARGE,
        f"the file is larger than {max_bytes:,} bytes",
        f"{num_bytes:,} bytes",
        "raise build.max_image_bytes in release.toml if the image is meant to be so large",
    )


def _inflate(data: bytes, max_bytes: int) -> bytes:
    """Decompress a member of a zip archive; a bomb stops at the limit."""
    decompressor = zlib.decompressobj(_RAW_DEFLATE)
    try:
        image = decompressor.decompress(data, max_bytes + 1)
    except zlib.error as error:
        message, fix = f"the image cannot be unpacked: {error}", "make the archive again"
        raise ImageRefusedError(Reason.IMAGE_DAMAGED, message, None, fix) from error
    if len(image) > max_bytes:
        raise too_large(len(image), max_bytes)
    return image
