"""What every table gives, whatever its format: its columns, and rows with their own text and faults."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.problems import Problem, Reason, SourceError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table.

    Attributes:
        number: As people count it in that format: the line of a CSV (as a spreadsheet numbers it; the header
            is row 1) or of a JSON Lines file; in all others the first row is 1.
        cells: Column → value: text in CSV and TSV, Python values in others. Empty when the row could not be
            read; a cell that could not be read is None, or text in which each undecodable byte is a lone
            surrogate.
        raw: The row's own text, undecodable bytes escaped.
        problems: What is wrong with it as text.
    """

    number: int
    cells: Mapping[str, object]
    raw: str
    problems: tuple[Problem, ...]


class Table(Protocol):
    """One table; it is read again, as a stream, by each call of `rows`.

    Attributes:
        name: The file's name, for problems.
        sha256: Digest of its bytes.
        num_rows: About how many rows it has, for progress.
        columns: Names of its columns. Of JSON: the keys of its first 100 records, as they come up.
        is_mapping: Whether it is one JSON object whose members are the rows: `{"a.jpg": "a caption"}`. Its
            columns are `key` and `value`.
    """

    name: str
    sha256: str
    num_rows: int
    columns: tuple[str, ...]
    is_mapping: bool

    def rows(self) -> Iterator[TableRow]:
        """Yield every row in order.

        Raises:
            SourceError: The file turns out to be damaged on the way.
        """
        ...


def digest_file(path: Path) -> tuple[str, int]:
    """Hash a file and count its line feeds.

    Raises:
        SourceError: The file cannot be read.
    """
    sha256, num_newlines = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                sha256.update(chunk)
                num_newlines += chunk.count(b"\n")
    except OSError as error:
        message = f"the table cannot be read: {error.strerror}"
        fix = "check the path and its permissions"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix)) from error
    return sha256.hexdigest(), num_newlines


def is_unicode(text: str) -> bool:
    """Whether text has no lone surrogates, as which bytes come in that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape_bytes(text: str) -> str:
    """Write bytes that were not UTF-8 as Python's escapes, so that the text can be stored and shown."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def text_problems(at: Callable[..., Problem], column: str, text: str) -> Iterator[Problem]:
    """Report characters of a cell that no text should have.

    Args:
        at: Makes a problem of this row.
        column: The cell's column.
        text: Its text, or one of its texts.
    """
    if not text.isascii() and not is_unicode(text):
        fix = "save the table as UTF-8"
        yield at(Reason.NOT_UTF8, "the cell is not UTF-8", column=column, value=text, fix=fix)
    if "\0" in text:
        message, fix = "the cell holds a NUL character", "remove the character"
        yield at(Reason.CONTROL_CHARACTER, message, column=column, value=text, fix=fix)
