"""CSV and TSV: UTF-8 or it is said where not, every row accounted for, nothing guessed.

Python's `csv` is used and not Arrow's reader, because a rejected row must be reported with its number
and kept as it came, and one bad row must not cost the rest of the file.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

from builders.sources.tables.rows import TableRow, digest_file, escape_bytes, is_unicode, text_problems
from schemas.problems import Problem, Reason, SourceError, suggest

_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_QUOTED = re.compile(r'"(?:[^"]|"")*"?')
_MAX_HEADER_CHARS = 1 << 20
_MAX_CELL_CHARS = csv.field_size_limit()  # 131,072: the longest cell that Python's csv accepts
_MAX_ROW_CHARS = 4 << 20
_OTHER_SEPARATORS = {";": "semicolons", "|": "vertical bars"}  # Excel in much of Europe; exports of databases


class DelimitedTable:
    """A CSV or TSV file with a header; see `builders.sources.tables.rows.Table` for what it gives.

    Its `columns` are the header as it stands: with nothing in it if the first line is blank, and with
    repetitions. `check_header` or `require_columns` refuse both, and one of them is to be called first.

    Args:
        path: The file.
        delimiter: What stands between cells: a comma or a tab.

    Raises:
        SourceError: The file is missing or not text, or its header cannot be read.
    """

    def __init__(self, path: Path, delimiter: str = ",") -> None:
        self.name, self.is_mapping = path.name, False
        self._path, self._delimiter = path, delimiter
        self.sha256, num_newlines = digest_file(path)
        self.num_rows = max(0, num_newlines - 1)
        self.columns = self._read_header()

    def rows(self) -> Iterator[TableRow]:
        """Yield every row that has text, in order."""
        with _Lines(self._path) as lines:
            reader = csv.reader(lines, strict=True, delimiter=self._delimiter)
            next(reader)
            number = 1
            cells: list[str] | None = []
            while cells is not None:
                number += 1
                lines.taken.clear()
                try:
                    cells = next(iter(reader), None)
                except csv.Error as error:
                    long_cells = self._read_long_row(lines)
                    if long_cells is None:
                        yield self._broken_row(number, lines.raw(), error)
                    else:
                        yield self._long_row(number, long_cells, lines.raw())
                    continue
                if cells:
                    yield self._row(number, cells, lines.raw())

    def _row(self, number: int, cells: list[str], raw: str) -> TableRow:
        at = partial(Problem, file=self.name, row=number)
        if len(cells) != len(self.columns):
            message = f"the row has {len(cells)} cells, the header has {len(self.columns)}"
            separators = "commas" if self._delimiter == "," else "tabs"
            fix = f'quote cells that hold {separators} or line breaks: "…"'
            return TableRow(number, {}, raw, (at(Reason.WRONG_CELL_COUNT, message, value=raw, fix=fix),))
        named = dict(zip(self.columns, cells, strict=True))
        problems = [problem for column, text in named.items() for problem in text_problems(at, column, text)]
        return TableRow(number, named, raw, tuple(problems))

    def _read_long_row(self, lines: "_Lines") -> list[str] | None:
        """Read the row again whose cell is longer than `csv` accepts; None if its quotes are what is wrong.

        A quote that is never closed looks like a long cell. So the row must end within `_MAX_ROW_CHARS` and
        have as many cells as the header; else the lines after the first ones are given back.
        """
        if len(lines.raw()) <= _MAX_CELL_CHARS:
            return None
        first = list(lines.taken)
        limit = csv.field_size_limit(_MAX_ROW_CHARS)
        try:
            reader = csv.reader(lines.again(_MAX_ROW_CHARS), strict=True, delimiter=self._delimiter)
            cells = next(reader, [])
        except csv.Error:
            cells = []
        finally:
            csv.field_size_limit(limit)
        if len(cells) == len(self.columns):
            return cells
        lines.give_back(len(first))
        return None

    def _long_row(self, number: int, cells: list[str], raw: str) -> TableRow:
        problems = [
            Problem(
                Reason.CELL_TOO_LONG,
                f"the cell has {len(text):,} characters, and {_MAX_CELL_CHARS:,} are allowed",
                file=self.name,
                row=number,
                column=column,
                value=text,
                fix="shorten it, or remove the row",
            )
            for column, text in zip(self.columns, cells, strict=True)
            if len(text) > _MAX_CELL_CHARS
        ]
        return TableRow(number, {}, raw, tuple(problems))

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

    def _read_header(self) -> tuple[str, ...]:
        at = partial(Problem, Reason.SOURCE, file=self.name, row=1)
        with self._path.open("rb") as file:
            if file.read(2) in _UTF16_BOMS:
                raise SourceError(at("the table is UTF-16", fix="save it as UTF-8"))
        try:
            with _Lines(self._path) as lines:
                return tuple(next(csv.reader(lines, strict=True, delimiter=self._delimiter), []))
        except csv.Error as error:
            raise SourceError(at(f"the header cannot be read: {error}", fix="correct its quotes")) from error


def require_columns(table: DelimitedTable, columns: tuple[str, ...]) -> tuple[Problem, ...]:
    """Check a header against the columns that must be there, in any order.

    Returns:
        A problem for each other column; these are not published.

    Raises:
        SourceError: The table is empty, or columns are missing or there more than once; all are told.
    """
    at = partial(Problem, file=table.name, row=1)
    if not table.columns:
        fix = f"its first row must be {','.join(columns)}"
        raise SourceError(at(Reason.SOURCE, "the table is empty", fix=fix))
    others = ", ".join(repr(name) for name in table.columns if name not in columns) or "no other column"
    fix = f"the header has {others}; rename a column, or add this one"
    problems = [
        at(Reason.SOURCE, "the table has no such column", column=name, fix=fix)
        for name in columns
        if name not in table.columns
    ]
    problems += _repetitions(table)
    if problems:
        raise SourceError(problems)
    message = "the table should not have this column, and it is not published"
    return tuple(
        at(Reason.UNKNOWN_COLUMN, message, column=name, fix=suggest(name, columns))
        for name in table.columns
        if name not in columns
    )


def check_header(table: DelimitedTable) -> None:
    """Check that a header names every column once, whatever the names are.

    Raises:
        SourceError: It is blank, not text, in one piece, or names a column twice; all are told.
    """
    at = partial(Problem, Reason.SOURCE, file=table.name, row=1)
    if not table.columns:
        fix = "its first row must hold the names of its columns, such as image,caption"
        raise SourceError(at("the table has no header: its first line is blank", fix=fix))
    if table.columns[0].lower().startswith("sep="):
        message, fix = "its first line is for Excel, and no header", "remove the line"
        raise SourceError(at(message, value=table.columns[0], fix=fix))
    problems = _repetitions(table)
    problems += [
        at("the header is not text in UTF-8", value=name, fix="save the table as UTF-8")
        for name in table.columns
        if not is_unicode(name) or "\0" in name
    ]
    for sign, name in _OTHER_SEPARATORS.items():
        if len(table.columns) == 1 and sign in table.columns[0]:
            message, fix = f"{name} stand between its columns", "save it with commas or tabs in their place"
            problems.append(at(message, value=table.columns[0], fix=fix))
    if problems:
        raise SourceError(problems)


def find_delimiter(path: Path) -> str:
    """Tell from a table's first line what stands between its cells: a tab, or else a comma."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        plain = _QUOTED.sub("", file.readline(_MAX_HEADER_CHARS))
    return "\t" if "\t" in plain and "," not in plain else ","


def _repetitions(table: DelimitedTable) -> list[Problem]:
    at = partial(Problem, Reason.SOURCE, file=table.name, row=1)
    names = sorted({name for name in table.columns if table.columns.count(name) > 1})
    return [at("the header has this column more than once", column=name, fix="remove one") for name in names]


class _Lines:
    """The lines of a file, remembering those taken since the last `taken.clear()`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        self.taken: list[str] = []
        self._waiting: deque[str] = deque()  # given back, and read again before the file goes on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._file)
        self.taken.append(line)
        return line

    def again(self, max_chars: int) -> Iterator[str]:
        """Yield the taken lines and then those after them, as long as they have few enough characters."""
        num_chars = 0
        for line in tuple(self.taken):
            num_chars += len(line)
            yield line
        for line in self:
            num_chars += len(line)
            yield line
            if num_chars > max_chars:
                return

    def give_back(self, num_lines: int) -> None:
        """Give back the taken lines after the first few; they are read again."""
        self._waiting.extendleft(reversed(self.taken[num_lines:]))
        del self.taken[num_lines:]

    def raw(self) -> str:
        return escape_bytes("".join(self.taken).rstrip("\r\n"))
