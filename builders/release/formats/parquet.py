"""Parquet as the Hugging Face Hub and its viewer want it.

Images are a struct of bytes and path, stored uncompressed and never re-encoded; the page index is on; and
pages are cut by content, so that a changed row changes few of them:
https://arrow.apache.org/docs/python/parquet.html#content-defined-chunking.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.release.formats.hashing import HashingFile
from builders.release.reader import open_table
from schemas.columns import ColumnSpec, arrow_schema

# Small chunks put each image into pages of its own; large ones re-send neighbours of a deleted image.
_CHUNKING = {"min_chunk_size": 32 * 1024, "max_chunk_size": 128 * 1024, "norm_level": 0}
_VALUES_PER_WRITE = 4


class ParquetShard:
    """One Parquet file being written, one row group at a time; its digest is taken on the way.

    Args:
        path: File to make.
        columns: Its columns; rows may have others, which are left out.
        metadata: What its schema says besides.

    Attributes:
        file: The file, whose size and digest are final once it is closed.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[ColumnSpec],
        metadata: Mapping[bytes, str] = MappingProxyType({}),
    ) -> None:
        schema = arrow_schema(columns)
        self._schema = schema.with_metadata({**schema.metadata, **metadata})
        self.file = HashingFile(path)
        images = {f"{column.name}.bytes" for column in columns if column.image}
        leaves = _leaves(self._schema)
        vectors = {
            f"{field.name}.list.element" for field in schema if pa.types.is_fixed_size_list(field.type)
        }
        # Bytes and numbers of which no two are equal need no dictionary and have no use for statistics.
        others = [leaf for leaf in leaves if leaf not in images | vectors]
        # Texts beside images are not compressed, either: those of 100 rows would be half a chunk of Xet's, so
        # that an edited caption re-sends the ends of the images on both sides. Uncompressed, they have chunks
        # that begin and end within them. Xet compresses what it sends, so this costs next to nothing there.
        self._writer = pq.ParquetWriter(
            self.file,
            self._schema,
            compression="none" if images else "zstd",
            use_dictionary=others,
            write_statistics=others,
            use_content_defined_chunking=_CHUNKING,
            write_page_index=True,
            write_batch_size=_VALUES_PER_WRITE if images else None,
        )

    def write_group(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows as one row group."""
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=self._schema)
        self._writer.write_table(table, row_group_size=len(rows))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
        self.file.close()


def read_parquet(
    path: Path, columns: Sequence[ColumnSpec], *, with_images: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, in order, one row group at a time.

    Args:
        path: A file as `ParquetShard` makes it.
        columns: Its columns.
        with_images: Whether to read the images; rows have none otherwise.

    Raises:
        ArrowException: It is not Parquet.
        OSError: It cannot be read.
    """
    names = [column.name for column in columns if with_images or not column.image]
    with open_table(path) as file:
        for group in file.row_groups(names):
            yield from group.to_pylist()


def _leaves(schema: pa.Schema) -> list[str]:
    """List a schema's leaf columns by the paths that Parquet gives them."""
    file = io.BytesIO()
    pq.write_table(schema.empty_table(), file)
    parquet = pq.ParquetFile(file).schema
    return [parquet.column(index).path for index in range(len(parquet))]
