"""Parquet, a few rows at a time.

Memory holds the largest page of each column, and not its row group: pages are read through a buffer. What
that saves depends on the writer: one that cuts pages by bytes makes pages of about 1 MB; one that puts a
thousand images into a page makes its readers hold all of them.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.images.files import ImageFile
from builders.sources.tables.rows import TableRow, digest_file, escape_bytes, is_unicode, text_problems
from schemas.problems import Problem, Reason, SourceError

# What Arrow raises on damaged files, which is not only its own errors.
_ARROW_ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError)
_FIX = "get it again, and compare its size with that of the original"
_READ_BUFFER_BYTES = 1 << 20
_BATCH_BYTES = 4 << 20
_MAX_BATCH_ROWS = 1024


class BatchTable(ABC):
    """A file of Arrow's batches; see `builders.sources.tables.rows.Table` for what it gives.

    Cells are Python values: structs are dicts, lists are lists, binary is bytes, timestamps are datetimes.

    Args:
        path: The file.

    Raises:
        SourceError: It is damaged, or has two columns of one name.

    Attributes:
        format: What people call its format.
        schema: Its columns and types.
    """

    format: str

    def __init__(self, path: Path) -> None:
        self.name, self.is_mapping, self._path = path.name, False, path
        self.sha256, _ = digest_file(path)
        with self._telling_damage():
            self.schema, self.num_rows = self._inspect()
        self.columns = tuple(str(name) for name in self.schema.names)
        repeated = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if repeated:
            at = partial(Problem, Reason.SOURCE, file=self.name, fix="rename or remove one")
            raise SourceError(
                at("the table has this column more than once", column=name) for name in repeated
            )

    def rows(self) -> Iterator[TableRow]:
        """Yield every row in order.

        Raises:
            SourceError: The file is damaged on the way.
        """
        number = 0
        for columns in self._columns():
            for values in zip(*columns, strict=True):
                number += 1
                yield self._row(number, values)
        if number != self.num_rows:
            message = f"the file says that it has {self.num_rows} rows, and has {number}"
            raise SourceError(Problem(Reason.SOURCE, message, file=self.name, fix=_FIX))

    def _row(self, number: int, values: Sequence[object]) -> TableRow:
        at = partial(Problem, file=self.name, row=number)
        cells: dict[str, object] = {}
        problems: list[Problem] = []
        for column, value in zip(self.columns, values, strict=True):
            cells[column] = None if isinstance(value, _Unreadable) else value
            if isinstance(value, _Unreadable):
                fix = "correct the value, or write the file again"
                problems.append(at(value.reason, value.message, column=column, fix=fix))
        raw = json.dumps(cells, ensure_ascii=False, default=_plain)
        if "\\u0000" in raw or not is_unicode(raw):  # rare: only then is it looked for where
            for column, value in cells.items():
                for text in _texts(value):
                    problems += text_problems(at, column, text)
        return TableRow(number, cells, escape_bytes(raw), tuple(problems))

    @abstractmethod
    def _inspect(self) -> tuple[pa.Schema, int]:
        """Return the schema, and the number of rows."""

    @abstractmethod
    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of a few rows."""

    def _columns(self) -> Iterator[list[Sequence[object]]]:
        """Yield the values of each column, for each batch."""
        with self._telling_damage():
            for batch in self._batches():
                yield [self._values(batch.column(index), index) for index in range(batch.num_columns)]

    def _values(self, column: pa.Array, index: int) -> Sequence[object]:
        """Return the values of a column; `index` is its place among the columns."""
        del index
        return read_values(column)

    @contextmanager
    def _telling_damage(self) -> Iterator[None]:
        try:
            yield
        except _ARROW_ERRORS as error:
            detail = str(error).partition("\n")[0]
            message = f"the {self.format} file is cut off or damaged: {detail}"
            raise SourceError(Problem(Reason.SOURCE, message, file=self.name, fix=_FIX)) from error


class ParquetTable(BatchTable):
    """A Parquet file; see `BatchTable`."""

    format = "Parquet"

    def _inspect(self) -> tuple[pa.Schema, int]:
        with self._open() as file:
            self._batch_rows = _rows_per_batch(file.metadata)
            return file.schema_arrow, int(file.metadata.num_rows)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._open() as file:
            yield from file.iter_batches(batch_size=self._batch_rows, use_threads=False)

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(
            self._path, pre_buffer=False, buffer_size=_READ_BUFFER_BYTES, page_checksum_verification=True
        )


def read_schema(path: Path) -> pa.Schema:
    """Return the columns and types of a Parquet file; none if it is damaged, which opening it reports."""
    try:
        return pq.read_schema(path)
    except _ARROW_ERRORS:
        return pa.schema([])


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A value that Python cannot hold, and why."""

    reason: Reason
    message: str


def _rows_per_batch(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=1)
    return int(min(_MAX_BATCH_ROWS, max(1, _BATCH_BYTES // max(1, largest))))


def read_values(column: pa.Array) -> list[object]:
    """Turn a column into Python values, each by itself if one of them cannot be."""
    try:
        return list(column.to_pylist())
    except _ARROW_ERRORS:
        return [_value(column[index]) for index in range(len(column))]


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        if isinstance(scalar, pa.StringScalar | pa.LargeStringScalar):
            return scalar.as_buffer().to_pybytes().decode("utf-8", "surrogateescape")
        return _Unreadable(Reason.NOT_UTF8, f"the cell holds text that is not UTF-8: {error.object!r}")
    except _ARROW_ERRORS as error:
        return _Unreadable(Reason.BAD_VALUE, f"the value cannot be read: {error}")


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value, keys left out: Arrow names its fields once, in the schema."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for element in value:
            yield from _texts(element)


def _plain(value: object) -> str:
    """Write what JSON does not have."""
    if isinstance(value, ImageFile):
        return f"<{value.num_bytes} bytes>"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()}>"
    return value.isoformat() if isinstance(value, date | time) else str(value)
