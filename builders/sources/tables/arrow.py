"""Arrow files, as `save_to_disk` of datasets writes them: images in them are not copied.

The file is mapped into memory, and the bytes of an image are a range of it. So an image costs no memory, and
is read later from its place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from builders.files import real_path
from builders.images.files import ImageFile
from builders.sources.tables.parquet import BatchTable, read_values

# https://arrow.apache.org/docs/format/Columnar.html
_FILE_MAGIC, _STREAM_MARK = b"ARROW1", b"\xff\xff\xff\xff"


def is_arrow(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of an Arrow file or stream."""
    return head.startswith(_FILE_MAGIC) or (head.startswith(_STREAM_MARK) and len(head) > len(_STREAM_MARK))


class ArrowTable(BatchTable):
    """An Arrow file or stream; see `BatchTable`.

    In columns of images, structs of bytes and path, the bytes are an `ImageFile` in place of the bytes.
    """

    format = "Arrow"

    def __init__(self, path: Path) -> None:
        self._base, self._end = 0, 0
        super().__init__(real_path(path))  # images are read through no link

    def _inspect(self) -> tuple[pa.Schema, int]:
        reader = self._open()
        schema: pa.Schema = reader.schema
        return schema, sum(batch.num_rows for batch in self._read(reader))

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._read(self._open()):
            batch.validate(full=True)  # offsets of a hostile file lead anywhere
            yield batch

    def _values(self, column: pa.Array, index: int) -> Sequence[object]:
        if not pa.types.is_struct(column.type) or not is_image_type(column.type):
            return super()._values(column, index)
        places = self._places(column.field("bytes"))
        if places is None:
            return super()._values(column, index)
        others = read_values(column.field("path")) if column.type.get_field_index("path") >= 0 else None
        return [
            {"bytes": place, "path": others[row] if others else None} if valid else None
            for row, (place, valid) in enumerate(zip(places, column.is_valid().to_pylist(), strict=True))
        ]

    def _places(self, binary: pa.Array) -> list[ImageFile | None] | None:
        """Return where the values of a binary column are in the file; None if they are compressed in it."""
        _, offsets, data = binary.buffers()
        if data is None or not self._base <= data.address < self._end:
            return None if data is not None else [None] * len(binary)
        width = np.int64 if pa.types.is_large_binary(binary.type) else np.int32
        start = data.address - self._base
        ends = np.frombuffer(offsets, width)[binary.offset : binary.offset + len(binary) + 1].tolist()
        return [
            ImageFile(self._path, start + first, last - first) if valid else None
            for first, last, valid in zip(ends, ends[1:], binary.is_valid().to_pylist(), strict=False)
        ]

    def _open(self) -> pa.RecordBatchReader:
        with pa.memory_map(str(self._path)) as file:
            buffer = file.read_buffer()
        self._base, self._end = buffer.address, buffer.address + buffer.size
        is_file = buffer.size > len(_FILE_MAGIC) and bytes(buffer[: len(_FILE_MAGIC)]) == _FILE_MAGIC
        return pa.ipc.open_file(buffer) if is_file else pa.ipc.open_stream(buffer)

    @staticmethod
    def _read(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            yield from map(reader.get_batch, range(reader.num_record_batches))
        else:
            yield from reader


def is_image_type(column: pa.DataType) -> bool:
    """Return whether a column may have images: it is binary, or a struct with `bytes` as datasets has it."""
    if pa.types.is_struct(column):
        index = column.get_field_index("bytes")
        return index >= 0 and is_binary(column.field(index).type)
    return is_binary(column)


def is_binary(column: pa.DataType) -> bool:
    """Return whether a type is one of bytes."""
    return bool(pa.types.is_binary(column) or pa.types.is_large_binary(column))
