"""JSON: a record on each line, an array of records, or one object whose members are the rows.

Arrays and objects are read element by element; memory holds the largest of them, not the file.
"""

import codecs
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from builders.sources.tables.json_scan import BrokenJsonError, JsonScanner
from builders.sources.tables.rows import TableRow, digest_file, escape_bytes, is_unicode
from schemas.problems import Problem, Reason, SourceError
from schemas.secrets import mask_secrets

CHUNK_CHARS = 1 << 20
MAX_ELEMENT_CHARS = 64 << 20
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
_LINE_FIX = 'write one JSON object on the line, such as {"image": "a.jpg"}, with null for what is not known'
_ELEMENT_FIX = 'write a JSON object, such as {"image": "a.jpg"}, with null for what is not known'


def parse_json(text: str) -> object:
    """Parse JSON strictly: no repeated key, no NaN, no NUL, no text that is not Unicode.

    A number too large for a float, such as 1e999, is valid JSON and comes out as infinite.

    Raises:
        ValueError: It is anything else, is nested too deep, or has an integer of thousands of digits.
    """
    try:
        value: object = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
        plain = json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    plain.encode("utf-8")  # refuses lone surrogates
    if "\\u0000" in plain.replace("\\\\", ""):
        raise ValueError("it holds a NUL character")
    return value


class JsonTable:
    """A JSON file of rows; see `builders.sources.tables.rows.Table` for what it gives.

    A line that is not an object is a row with a problem, and so is an element that is not one, or that has
    what strict JSON has not. A key that stands twice in a mapping gives two rows.

    Args:
        path: The file; UTF-8, a byte order mark is accepted.
        chunk_chars: How many characters are read at a time.
        max_chars: How long a line (in bytes) or an element (in characters) may be.

    Raises:
        SourceError: The file cannot be read, or is one object that is not a mapping of rows.
    """

    def __init__(
        self, path: Path, *, chunk_chars: int = CHUNK_CHARS, max_chars: int = MAX_ELEMENT_CHARS
    ) -> None:
        self.name, self._path = path.name, path
        self._chunk_chars, self._max_chars = chunk_chars, max_chars
        self.sha256, num_newlines = digest_file(path)
        self._form = self._find_form()
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
        at = partial(Problem, Reason.BAD_JSON, file=self.name, fix=_LINE_FIX)
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
                    yield self._record(number, text, "line")

    def _element_rows(self) -> Iterator[TableRow]:
        with self._scan() as text:
            for number, raw in enumerate(text.elements(), 1):
                yield self._record(number, raw, "element")
            text.expect_end()

    def _member_rows(self) -> Iterator[TableRow]:
        with self._scan() as text:
            for number, (key, value) in enumerate(text.members(), 1):
                raw = f"{key}: {value}"
                try:
                    cells = {"key": parse_json(key), "value": parse_json(value)}
                except ValueError as error:
                    yield self._bad_row(number, raw, f"the member {_explain(error)}", "correct it")
                else:
                    yield TableRow(number, cells, raw, ())
            text.expect_end()

    def _record(self, number: int, raw: str, what: str) -> TableRow:
        fix = _LINE_FIX if what == "line" else _ELEMENT_FIX
        try:
            value = parse_json(raw)
        except ValueError as error:
            return self._bad_row(number, raw, f"the {what} {_explain(error)}", fix)
        if not isinstance(value, dict):
            message = f"the {what} is a JSON {type(value).__name__}, and not an object"
            return self._bad_row(number, raw, message, fix)
        return TableRow(number, value, raw, ())

    def _bad_row(self, number: int, raw: str, message: str, fix: str) -> TableRow:
        problem = Problem(Reason.BAD_JSON, message, file=self.name, row=number, value=raw, fix=fix)
        return TableRow(number, {}, raw, (problem,))

    @contextmanager
    def _scan(self) -> Iterator[JsonScanner]:
        """Open the file for reading by element.

        Raises:
            SourceError: It cannot be read on.
        """
        with JsonScanner(self._path, self._chunk_chars, self._max_chars) as scanner:
            try:
                yield scanner
            except BrokenJsonError as error:
                place = f"line {error.line}, column {error.column}"
                message = f"the JSON cannot be read on from {place}: {error}"
                fix = "the file is cut off or broken there: get it again, or correct it"
                raise SourceError(Problem(Reason.SOURCE, message, file=self.name, fix=fix)) from error

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


def _explain(error: ValueError) -> str:
    """Return the error as the end of a sentence, without Python's jargon."""
    if isinstance(error, json.JSONDecodeError):
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return f"is not JSON: {error.msg} ({line}column {error.colno})"
    if isinstance(error, UnicodeEncodeError):
        half = ascii(error.object[error.start])[1:-1]
        return f"is not valid: it holds {half}, half of a character"
    if "integer string conversion" in str(error):
        return "is not valid: it holds an integer of thousands of digits"
    return f"is not valid: {error}"


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = min(key for key, count in counts.items() if count > 1)
        raise ValueError(f"the key {repeated!r} stands twice")
    return members


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
