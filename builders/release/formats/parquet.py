"""Parquet as the Hugging Face Hub and its viewer want it.

Images are a struct of bytes and path, stored uncompressed and never re-encoded. The page index is on.

Xet sends a file in chunks of 64 kB on average, and only those that it does not know. So the pages around a
changed row must keep their bytes. `benchmarks/upload.py` measures this:

- With images, a page ends at the first value that fills 4 kB. So an image has a page of its own, which
  depends on nothing else. Pages cut by content cost up to ten times as much: where an image is about as
  large as their limits, they do not find their place again after a removed row.
- Without images, pages are compressed, so they are cut by content:
  https://arrow.apache.org/docs/python/parquet.html#content-defined-chunking.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.release.formats.hashing import HashingFile
from builders.release.reader import open_table
from schemas.columns import ColumnSpec, arrow_schema

_CHUNKING = {"min_chunk_size": 32 * 1024, "max_chunk_size": 128 * 1024, "norm_level": 0}
_IMAGE_PAGES: Mapping[str, Any] = {"compression": "none", "data_page_size": 4096, "write_batch_size": 1}
_TEXT_PAGES: Mapping[str, Any] = {"compression": "zstd", "use_content_defined_chunking": _CHUNKING}
_ROWS_PER_BATCH = 32
_MOST_REPEATED = 0.5  # of a column's values; if more of them differ, a dictionary only copies them


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
        self._has_images = any(column.image for column in columns)
        self._writer: pq.ParquetWriter | None = None

    def write_group(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows as one row group."""
        # Arrow's builders double what they hold: of all images at once, a group would take twice its bytes.
        batches = [
            pa.RecordBatch.from_pylist(
                [dict(row) for row in rows[start : start + _ROWS_PER_BATCH]], self._schema
            )
            for start in range(0, len(rows), _ROWS_PER_BATCH)
        ]
        table = pa.Table.from_batches(batches, self._schema)
        if self._writer is None:
            self._writer = self._begin(table)
        self._writer.write_table(table, row_group_size=len(rows))

    def close(self) -> None:
        """Finish the file."""
        (self._writer or self._begin(self._schema.empty_table())).close()
        self.file.close()

    def _begin(self, first: pa.Table) -> pq.ParquetWriter:
        """Begin the file, whose settings depend on its columns and, with images, on its first row group."""
        leaves = _leaves(self._schema)
        if self._has_images:
            # Texts are not compressed, either: those of a row group would share a chunk with the ends of
            # images on both sides, which an edited caption would send again. Xet compresses what it sends.
            repeated = [name for name, values in zip(leaves, _values(first), strict=True) if _repeats(values)]
            # All statistics lie at the end of the file, which every change sends again, with whole texts.
            plain = {field.name for field in self._schema if not pa.types.is_nested(field.type)}
            texts = {field.name for field in self._schema if pa.types.is_string(field.type)}
            summed_up = sorted(plain - texts | plain & set(repeated))
            pages = _IMAGE_PAGES
        else:
            # Numbers of which no two are equal need no dictionary and have no use for statistics.
            vectors = {
                f"{field.name}.list.element"
                for field in self._schema
                if pa.types.is_fixed_size_list(field.type)
            }
            repeated = summed_up = [leaf for leaf in leaves if leaf not in vectors]
            pages = _TEXT_PAGES
        return pq.ParquetWriter(
            self.file,
            self._schema,
            use_dictionary=repeated,
            write_statistics=summed_up,
            write_page_index=True,
            **pages,
        )


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


def _values(table: pa.Table) -> Iterator[pa.Array]:
    """Yield the values of each leaf column, in the order of `_leaves`."""
    for column in table.columns:
        yield from _leaf_values(column.combine_chunks())


def _leaf_values(array: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_struct(array.type):
        for child in array.flatten():
            yield from _leaf_values(child)
    elif pa.types.is_nested(array.type):
        yield from _leaf_values(array.flatten())
    else:
        yield array


def _repeats(values: pa.Array) -> bool:
    """Return whether a dictionary of a leaf's values is worth its bytes; it is not for image bytes."""
    if pa.types.is_binary(values.type):
        return False
    return bool(pc.count_distinct(values).as_py() <= _MOST_REPEATED * len(values))
