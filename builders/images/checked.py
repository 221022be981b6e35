"""Images that were decoded in full and found sound, so that none is decoded twice."""

import importlib.metadata
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from builders.images.files import ImageFile
from builders.images.integrity import ImageFacts
from builders.images.known_files import KnownFiles

CHECKED_NAME = "checked.txt"
_KEY_BYTES = 16
_LINE = re.compile(r"([0-9a-f]{64}) (\d{1,12}) ([A-Z]{1,8}) (\S{1,8}) (\d{1,6}) (\d{1,6})\n")


# Digest and size of each image decoded in full. Another decoder version starts the file again.
class CheckedImages:
    """What is known of images by the digest of their bytes.

    It may be kept in a text file from run to run, one line for each image, which may be removed at any time.
    Other versions of the decoders check again. About 0.3 kB of memory for each image.

    Args:
        path: The file; None to keep nothing.
        files: Files that earlier runs have read; by default, every file is read.
        is_read_only: Whether the file is only read.
    """

    def __init__(
        self, path: Path | None = None, files: KnownFiles | None = None, *, is_read_only: bool = False
    ) -> None:
        self.files = files if files is not None else KnownFiles()
        self._facts: dict[bytes, tuple[int, str, str, int, int]] = {}
        self._lock = threading.Lock()
        self._file = None
        if path is None:
            return
        head = f"# found sound by {_decoders()}: sha256 bytes format mode width height\n"
        last = self._load(path, head)
        if not is_read_only:
            self._file = path.open("a" if last else "w", encoding="ascii")
            self._file.write("" if last.endswith("\n") else "\n" if last else head)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def find(self, sha256: str, num_bytes: int) -> ImageFacts | None:
        """Return the facts known about the image with a digest (hexadecimal) and a size, or None."""
        found = self._facts.get(_key(sha256))
        return ImageFacts(sha256, *found) if found is not None and found[0] == num_bytes else None

    def find_file(self, file: ImageFile) -> ImageFacts | None:
        """Return the facts of the image in a file that has not changed since an earlier run, or None."""
        known = self.files.find(file)
        return self.find(known.sha256, known.num_bytes) if known is not None else None

    def add(self, facts: ImageFacts) -> None:
        """Note an image that has been found sound."""
        self._remember(facts)
        if self._file is not None:
            with self._lock:
                self._file.write(f"{facts.sha256} {' '.join(map(str, _values(facts)))}\n")

    def learn(self, known: Iterable[ImageFacts]) -> None:
        """Take over what is known from elsewhere, without writing it down."""
        for facts in known:
            self._remember(facts)

    def _remember(self, facts: ImageFacts) -> None:
        self._facts[_key(facts.sha256)] = _values(facts)

    def _load(self, path: Path, head: str) -> str:
        """Read the file and give its last line, which may be torn; nothing if it has another head."""
        line = ""
        try:
            with path.open(encoding="ascii", errors="replace") as file:
                line = file.readline()
                if line != head:
                    return ""
                for line in file:
                    if match := _LINE.fullmatch(line):
                        sha256, num_bytes, image_format, mode, width, height = match.groups()
                        numbers = int(num_bytes), int(width), int(height)
                        self._remember(ImageFacts(sha256, numbers[0], image_format, mode, *numbers[1:]))
        except OSError:
            return ""
        return line


def _key(sha256: str) -> bytes:
    return bytes.fromhex(sha256)[:_KEY_BYTES]


def _values(facts: ImageFacts) -> tuple[int, str, str, int, int]:
    image_format, mode = sys.intern(facts.format), sys.intern(facts.mode)
    return facts.num_bytes, image_format, mode, facts.width, facts.height


def _decoders() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pillow", "simplejpeg"))
