"""JSON: a record on each line, an array of records, or one object whose members are the rows.

Arrays and objects are read element by element; memory holds the largest of them, not the file.
"""

import codecs
from collections.abc import Iterator
from enum import Enum, auto
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from builders.sources.tables.json_rows import (
    CHUNK_CHARS,
    LINE_FIX,
    MAX_ELEMENT_CHARS,
    explain,
    parse_json,
    read_record,
    reject_row,
    scan_json,
)
from builders.sources.tables.json_scan import BrokenJsonError, JsonScanner
from builders.sources.tables.rows import TableRow, digest_file, escape_bytes, is_unicode
from schemas.problems import Problem, Reason, SourceError
from schemas.secrets import mask_secrets

# Names of columns: an object that has one of them for a key is a record, and not a mapping of rows.
COLUMN_NAMES = frozenset(
    (
        "image_filename",
        "file_name",
        "filename",
        "image",
        "image_path",
        "id",
        "key",
        "image_id",
        "caption",
        "text",
        "conversations",
        "prompt",
        "images",
        "attributes",
    )
)
# Names under which files of other tools keep all of their rows.
_WRAPPERS = frozenset({"annotations", "data", "records", "rows"})
_SAMPLE_ROWS = 100
_SHOWN_CHARS = 1000


class JsonTable:
    """A JSON file of rows; see `builders.sources.tables.rows.Table` for what it gives.

    A line that is not an object is a row with a problem, and so is an element that is not one, or that has
    what strict JSON has not. A key that stands twice in a mapping gives two rows.

    Args:
        path: The file; UTF-8, a byte order mark is accepted.
        chunk_chars: How many characters are read at a time.
        max_chars: How long a line (in bytes) or an element (in characters) may be.
        is_lines: Whether it is JSON Lines, whatever it looks like; else its form is told from its content.

    Raises:
        SourceError: The file cannot be read, or is one object that is not a mapping of rows.
    """

    def __init__(
        self,
        path: Path,
        *,
        chunk_chars: int = CHUNK_CHARS,
        max_chars: int = MAX_ELEMENT_CHARS,
        is_lines: bool = False,
    ) -> None:
        self.name, self._path = path.name, path
        self._chunk_chars, self._max_chars = chunk_chars, max_chars
        self.sha256, num_newlines = digest_file(path)
        self._form = _Form.LINES if is_lines else self._find_form()
        self.is_mapping = self._form is _Form.MAPPING
        sample = self._sample()
        names = dict.fromkeys(name for row in sample for name in row.cells)
        self.columns = ("key", "value") if self.is_mapping else tuple(names)
        self.num_rows = len(sample)
        if len(sample) == _SAMPLE_ROWS:
            sampled_chars = sum(len(row.raw) + 2 for row in sample)
            by_size = path.stat().st_size * len(sample) // sampled_chars
            self.num_rows = num_newlines if self._form is _Form.LINES else by_size

    def rows(self) -> Iterator[TableRow]:
        """Yield every row in order.

        Raises:
            SourceError: An array or a mapping is broken, cut off or not UTF-8, or has an element too large.
        """
        if self._form is _Form.LINES:
            yield from self._line_rows()
        elif self._form is _Form.ARRAY:
            yield from self._element_rows()
        else:
            yield from self._member_rows()

    def _line_rows(self) -> Iterator[TableRow]:
        at = partial(Problem, Reason.BAD_JSON, file=self.name, fix=LINE_FIX)
        with self._path.open("rb") as file:
            for number, line, is_whole in _lines(file, self._max_chars):
                text = line.decode("utf-8", "surrogateescape")
                raw = escape_bytes(text)
                if not is_whole:
                    message, raw = (
                        f"the line is longer than {self._max_chars} bytes",
                        mask_secrets(raw[: 2 * _SHOWN_CHARS])[:_SHOWN_CHARS] + "…",  # one may be cut
                    )
                    yield TableRow(number, {}, raw, (at(message, row=number, value=raw),))
                elif not is_unicode(text):
                    fix = "save the table as UTF-8"
                    problem = Problem(
                        Reason.NOT_UTF8, "the line is not UTF-8", file=self.name, row=number, fix=fix
                    )
                    yield TableRow(number, {}, raw, (problem,))
                else:
                    yield read_record(self.name, number, text, "line")

    def _element_rows(self) -> Iterator[TableRow]:
        with scan_json(self._path, self._chunk_chars, self._max_chars) as text:
            for number, raw in enumerate(text.elements(), 1):
                yield read_record(self.name, number, raw, "element")
            text.expect_end()

    def _member_rows(self) -> Iterator[TableRow]:
        with scan_json(self._path, self._chunk_chars, self._max_chars) as text:
            for number, (key, value) in enumerate(text.members(), 1):
                raw = f"{key}: {value}"
                try:
                    cells = {"key": parse_json(key), "value": parse_json(value)}
                except ValueError as error:
                    yield reject_row(self.name, number, raw, f"the member {explain(error)}", "correct it")
                else:
                    yield TableRow(number, cells, raw, ())
            text.expect_end()

    def _sample(self) -> list[TableRow]:
        """Take the first rows, as far as they can be read."""
        rows = []
        try:
            for row in islice(self.rows(), _SAMPLE_ROWS):
                rows.append(row)  # noqa: PERF402 - those before an error are kept
        except SourceError:  # the reader of the rows gets the error
            pass
        return rows

    def _find_form(self) -> "_Form":
        """Tell lines, an array and a mapping apart.

        Raises:
            SourceError: It is one object that is not a mapping of rows.
        """
        with JsonScanner(self._path, self._chunk_chars, self._max_chars) as text:
            if text.peek() == "[":
                return _Form.ARRAY
            try:
                first = _FirstObject(text)
            except BrokenJsonError as error:
                is_line = self._second_line_is_object(error.line)
                return _Form.LINES if is_line else _Form.MAPPING
        if first.is_line and first.is_followed:
            return _Form.LINES
        self._refuse_columns(first)
        return _Form.LINES if first.column else _Form.MAPPING

    def _refuse_columns(self, first: "_FirstObject") -> None:
        at = partial(Problem, Reason.SOURCE, file=self.name)
        fix = "write one object for each row, each on a line of its own or all of them in an array"
        name = first.column or first.wrapper
        if name and first.is_of_arrays:
            message = "the file is one JSON object of arrays, which is not supported"
            raise SourceError(at(message, column=name, fix=fix))
        if first.column and not first.is_line:
            message = "the file is one JSON object over several lines, and a record by this key"
            raise SourceError(at(message, column=name, fix=fix))

    def _second_line_is_object(self, line: int) -> bool:
        """Whether the file goes on with an object at the start of a line, this one or a later one."""
        with self._path.open("rb") as file:
            starts = islice(_lines(file, self._chunk_chars), 1, 2)
            return any(number >= line and text.lstrip()[:1] == b"{" for number, text, _ in starts)


class _Form(Enum):
    """The forms in which JSON holds rows."""

    LINES = auto()
    ARRAY = auto()
    MAPPING = auto()


class _FirstObject:
    """The first object of a file, looked at as far as is needed to know what it is.

    Attributes:
        column: A key that is the name of a column, or None.
        wrapper: A key under which other tools keep all rows, or None.
        is_of_arrays: Whether all of its values are arrays.
        is_line: Whether it is on one line.
        is_followed: Whether there is text after it.
    """

    def __init__(self, text: JsonScanner) -> None:
        self.column: str | None = None
        self.wrapper: str | None = None
        self.is_of_arrays = self.is_followed = False
        text.peek()
        first_line = text.line
        for number, (key, value) in enumerate(text.members(), 1):
            name = key[1:-1]
            self.column = self.column or (name if name in COLUMN_NAMES else None)
            self.wrapper = self.wrapper or (name if name in _WRAPPERS else None)
            self.is_of_arrays = value.startswith("[") and (self.is_of_arrays or number == 1)
            if number % _SAMPLE_ROWS == 0 and text.line > first_line:
                break
        self.is_line = text.line == first_line
        self.is_followed = text.peek() != ""


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the number of each line that is not blank, its bytes, and whether these are all of them."""
    number = 0
    while line := file.readline(max_bytes + 1):
        number += 1
        is_whole = line.endswith(b"\n") or len(line) <= max_bytes
        rest = b"" if is_whole else line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(CHUNK_CHARS)
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if text.strip():
            yield number, text.rstrip(b"\r\n"), is_whole
