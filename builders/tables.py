"""CSV tables read strictly: UTF-8 or it is said where not, every row accounted for, nothing guessed.

Python's `csv` is used and not Arrow's reader, because a rejected row must be reported with its number
and kept as it came, and one bad row must not cost the rest of the file.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from schemas.problems import Problem, Reason, SourceError, suggest

_CHUNK_BYTES = 1 << 20
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table.

    Attributes:
        number: As a spreadsheet numbers it; the header is row 1.
        cells: Column → text; empty when the row could not be split into its columns.
        raw: The row's own text, undecodable bytes escaped.
        problems: What is wrong with it as text.
    """

    number: int
    cells: dict[str, str]
    raw: str
    problems: tuple[Problem, ...]


class CsvTable:
    """A CSV file with a header.

    Args:
        path: The file.
        columns: Columns that must be there, in any order. Others are reported and not read.

    Attributes:
        name: The file's name, for problems.
        sha256: Digest of its bytes.
        num_lines: Lines after the header; as many as rows where no cell spans lines.
        problems: What is wrong with the table as a whole without stopping the run.

    Raises:
        SourceError: The file is missing, empty or not text, or its header is not usable.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self.path, self.name, self.columns = path, path.name, columns
        self.sha256, num_newlines = _digest(path)
        self.num_lines = max(0, num_newlines - 1)
        self._header = self._read_header()
        self.problems = tuple(
            Problem(
                Reason.UNKNOWN_COLUMN,
                "the table should not have this column, and it is not published",
                file=self.name,
                row=1,
                column=name,
                fix=suggest(name, columns),
            )
            for name in self._header
            if name not in columns
        )

    def rows(self) -> Iterator[TableRow]:
        """Yield every row that has text, in order."""
        with _Lines(self.path) as lines:
            reader = csv.reader(lines, strict=True)
            next(reader)
            number = 1
            cells: list[str] | None = []
            while cells is not None:
                number += 1
                lines.taken.clear()
                try:
                    cells = next(iter(reader), None)
                except csv.Error as error:
                    yield self._broken_row(number, lines.raw(), error)
                    continue
                if cells:
                    yield self._row(number, cells, lines.raw())

    def _row(self, number: int, cells: list[str], raw: str) -> TableRow:
        at = partial(Problem, file=self.name, row=number)
        if len(cells) != len(self._header):
            message = f"the row has {len(cells)} cells, the header has {len(self._header)}"
            fix = 'quote cells that hold commas or line breaks: "…"'
            return TableRow(number, {}, raw, (at(Reason.WRONG_CELL_COUNT, message, value=raw, fix=fix),))
        named = dict(zip(self._header, cells, strict=True))
        problems = []
        for column, text in named.items():
            if not _is_utf8(text):
                fix = "save the table as UTF-8"
                problems.append(
                    at(Reason.NOT_UTF8, "the cell is not UTF-8", column=column, value=text, fix=fix)
                )
            if "\0" in text:
                message, fix = "the cell holds a NUL character", "remove the character"
                problems.append(at(Reason.CONTROL_CHARACTER, message, column=column, value=text, fix=fix))
        return TableRow(number, named, raw, tuple(problems))

    def _broken_row(self, number: int, raw: str, error: csv.Error) -> TableRow:
        problem = Problem(
            Reason.BROKEN_QUOTES,
            f"the row's quotes do not match ({error}), and it may have swallowed the lines after it",
            file=self.name,
            row=number,
            value=raw,
            fix='close the quote, and write a quote inside a cell as ""',
        )
        return TableRow(number, {}, raw, (problem,))

    def _read_header(self) -> list[str]:
        at = partial(Problem, Reason.SOURCE, file=self.name, row=1)
        with self.path.open("rb") as file:
            if file.read(2) in _UTF16_BOMS:
                raise SourceError(at("the table is UTF-16", fix="save it as UTF-8"))
        try:
            with _Lines(self.path) as lines:
                header = next(csv.reader(lines, strict=True), [])
        except csv.Error as error:
            raise SourceError(at(f"the header cannot be read: {error}", fix="mend its quotes")) from error
        if not header:
            raise SourceError(at("the table is empty", fix=f"its first row must be {','.join(self.columns)}"))
        others = ", ".join(repr(name) for name in header if name not in self.columns) or "no other column"
        fix = f"the header has {others}; rename a column, or add this one"
        problems = [
            at("the table has no such column", column=name, fix=fix)
            for name in self.columns
            if name not in header
        ]
        problems += [
            at("the header has this column more than once", column=name, fix="remove one")
            for name in sorted({name for name in header if header.count(name) > 1})
        ]
        if problems:
            raise SourceError(problems)
        return header


class _Lines:
    """The lines of a file, remembering those taken since the last `taken.clear()`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        self.taken: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.taken.append(line)
        return line

    def raw(self) -> str:
        text = "".join(self.taken).rstrip("\r\n")
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that were not UTF-8 came in as lone surrogates
        return False
    return True


def _digest(path: Path) -> tuple[str, int]:
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
