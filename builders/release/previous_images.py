"""The images of one file of the previous release, for a file whose rows changed and whose images did not.

An edited caption changes a row beside an image, and the file of that row is written again with all its
images. The previous release has them already, in the order in which they are needed, so no image file of a
source is opened. Each image is compared with its digest, as one from a source is.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from builders.release.reader import TableFile, open_table

_IMAGE, _ID = "image", "image_id"
_MAX_GROUPS = 2  # rows stay in their order, so that a group is needed until the next one is


class PreviousImages:
    """Finds images in one file of the config that holds them; memory is bounded by two row groups.

    Args:
        path: The file; None, a missing or a damaged one has no images.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._groups: OrderedDict[int, Mapping[str, pa.Scalar]] = OrderedDict()
        self._group_of: dict[str, int] = {}
        self._opened = ExitStack()
        self._file: TableFile | None = None
        if path is None:
            return
        try:
            self._file = self._opened.enter_context(open_table(path))
            for number, ids in enumerate(self._file.row_groups([_ID])):
                self._group_of |= dict.fromkeys(ids[_ID].to_pylist(), number)
        except (pa.ArrowException, OSError, KeyError):
            self._group_of.clear()

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()

    def find(self, image_id: str, sha256: str) -> bytes | None:
        """Return the bytes of an image; None if the file does not have them, or not with this digest."""
        number = self._group_of.get(image_id)
        if number is None:
            return None
        with self._lock:
            try:
                data = self._group(number)[image_id].as_py()
            except (pa.ArrowException, OSError, KeyError):
                return None
        is_whole = isinstance(data, bytes) and hashlib.sha256(data).hexdigest() == sha256
        return data if is_whole else None

    def _group(self, number: int) -> Mapping[str, pa.Scalar]:
        """Return the images of a row group by id, read once while rows come in their order."""
        if number not in self._groups:
            if self._file is None:
                return {}
            while len(self._groups) >= _MAX_GROUPS:
                self._groups.popitem(last=False)
            table = self._file.read_group(number, [_ID, f"{_IMAGE}.bytes"])
            images = table[_IMAGE].combine_chunks().field("bytes")
            self._groups[number] = dict(zip(table[_ID].to_pylist(), images, strict=True))
        return self._groups[number]
