"""Image files that an earlier run has read, so that a file that did not change is not read again.

The rule is that of git's index: a file is unchanged while its size, its time of change (mtime), its time of
status change (ctime) and its inode are what they were. Programs can set mtime, so that a copy with the old
time looks unchanged; they cannot set ctime. A file that changed within two seconds of being read is not
noted, since a second change within the same tick of the clock would leave the same times.

What is noted is a digest, not a verdict: the image is published only if that digest is known to be sound,
and whoever writes it into a release reads it and compares the digest again. Images with private data are not
noted; each run reads those, and applies its rules to them.
"""

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

from builders.images.files import FileState, ImageFile

KNOWN_FILES_NAME = "known-files.txt"
_RECENT_NS = 2_000_000_000  # FAT keeps mtime in steps of two seconds, the coarsest of any file system
_KEY_BYTES = 16
_NUM_WORDS = 7
# A file that changes in each run adds a line in each. The list is written again once most lines are old.
_MAX_OLD_LINES = 1_000


class KnownFile(NamedTuple):
    """What a file held when it was read: digest and size of the image."""

    sha256: str
    num_bytes: int


class KnownFiles:
    """The files that earlier runs have read, by path.

    They may be kept in a text file from run to run, one line for each image, which may be removed at any
    time. A kit with other rules for private data, or with other settings of what becomes of it, starts the
    list again. About 0.3 kB of memory for each image.

    Args:
        path: The list; None to keep nothing.
        rules: Digest of all that decides whether an image holds private data; see
            `builders.catalog.reader.digest_rules`.
        is_read_only: Whether the list is only read.
        reads_again: Whether to forget what is in the list, so that every image is read again.
    """

    def __init__(
        self,
        path: Path | None = None,
        rules: str = "",
        *,
        is_read_only: bool = False,
        reads_again: bool = False,
    ) -> None:
        self._known: dict[bytes, tuple[FileState, KnownFile]] = {}
        self._lock = threading.Lock()
        self._file = None
        if path is None:
            return
        head = f"# by rules {rules or '-'}: path, size, mtime, ctime, inode, sha256, bytes\n"
        num_lines = 0 if reads_again else self._load(path, head)
        if is_read_only:
            return
        is_kept = num_lines is not None and 0 < num_lines <= 2 * len(self._known) + _MAX_OLD_LINES
        self._file = path.open("a" if is_kept else "w", encoding="ascii")
        if not is_kept:
            self._file.write(head)
            self._file.writelines(_line(key, *known) for key, known in self._known.items())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def find(self, file: ImageFile) -> KnownFile | None:
        """Return what a file holds if it has not changed since it was noted; it is not opened."""
        found = self._known.get(_key(file)) if self._known else None
        if found is None:
            return None
        try:
            state = FileState.of(os.lstat(file.path))
        except OSError:
            return None
        return found[1] if found[0] == state else None

    def add(self, file: ImageFile, state: FileState, sha256: str, num_bytes: int, read_at_ns: int) -> None:
        """Note a file that was read in full, unless it changed shortly before.

        Args:
            file: Where the image is.
            state: Of the open file, before the first byte was read.
            sha256: Digest of the image.
            num_bytes: Size of the image.
            read_at_ns: When `state` was taken, on the system's clock.
        """
        if self._file is None or max(state.mtime_ns, state.ctime_ns) > read_at_ns - _RECENT_NS:
            return
        key, known = _key(file), (state, KnownFile(sha256, num_bytes))
        with self._lock:
            self._known[key] = known
            self._file.write(_line(key, *known))

    def _load(self, path: Path, head: str) -> int | None:
        """Read the list; return its number of lines with the head, None if it must be written again."""
        num_lines = 0
        try:
            with path.open(encoding="ascii", errors="replace") as file:
                if file.readline() != head:
                    return None
                num_lines, line = 1, head
                for line in file:
                    num_lines += 1
                    self._learn(line.split())
        except OSError:
            return None
        return num_lines if line.endswith("\n") else None  # a torn line: write the list again

    def _learn(self, words: list[str]) -> None:
        """Take in one line, unless it is damaged."""
        if len(words) != _NUM_WORDS or len(words[5]) != hashlib.sha256().digest_size * 2:
            return
        try:
            key, sha256 = bytes.fromhex(words[0]), bytes.fromhex(words[5]).hex()
            state = FileState(*map(int, words[1:5]))
            self._known[key] = state, KnownFile(sha256, int(words[6]))
        except ValueError:
            return


def now_ns() -> int:
    """Return the time by the clock that file systems stamp changes with, in nanoseconds."""
    return time.time_ns()


def _key(file: ImageFile) -> bytes:
    text = file.to_text().encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=_KEY_BYTES).digest()


def _line(key: bytes, state: FileState, known: KnownFile) -> str:
    return f"{key.hex()} {' '.join(map(str, state))} {known.sha256} {known.num_bytes}\n"
