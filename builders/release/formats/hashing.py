"""A file that is hashed while it is written."""

import hashlib
from pathlib import Path


class HashingFile:
    """The least file object that writers of formats need; it hashes what passes.

    Args:
        path: File to make; what is there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self.num_bytes = 0

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    @property
    def sha256(self) -> str:
        """Digest of what has been written, in hexadecimal digits."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Write bytes at the end; give their number."""
        self._hash.update(data)
        self.num_bytes += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Return the position in the file: its size so far."""
        return self.num_bytes

    def flush(self) -> None:
        """Hand to the system what is buffered."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
