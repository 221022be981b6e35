"""A file that is hashed while it is written."""

import hashlib
from pathlib import Path

_BYTES_PER_WRITE = 1 << 20


class HashingFile:
    """The least file object that writers of formats need; it hashes what passes.

    Args:
        path: File to make; what is there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self.num_bytes = 0
        # Parquet is written a page at a time, and a page may have one value. Hashing and writing hand the
        # interpreter's lock over, so that they wait for a megabyte.
        self._waiting: list[bytes] = []
        self._num_waiting = 0

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    @property
    def sha256(self) -> str:
        """Digest of what has been written, in hexadecimal digits."""
        self._hand_over()
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Write bytes at the end, soon; give their number."""
        num_bytes = len(data)
        self._waiting.append(bytes(data))
        self.num_bytes += num_bytes
        self._num_waiting += num_bytes
        if self._num_waiting >= _BYTES_PER_WRITE:
            self._hand_over()
        return num_bytes

    def tell(self) -> int:
        """Return the position in the file: its size so far."""
        return self.num_bytes

    def flush(self) -> None:
        """Hand to the system what is waiting."""
        self._hand_over()
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if not self._file.closed:
            self._hand_over()
        self._file.close()

    def _hand_over(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._num_waiting = 0
            self._hash.update(data)
            self._file.write(data)
