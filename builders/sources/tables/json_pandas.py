"""The objects that pandas' `DataFrame.to_json` writes with orient split, table, index and columns."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from builders.sources.tables.json_member_table import MemberTable, columns_of
from builders.sources.tables.json_rows import explain, parse_json, read_record, reject_row
from builders.sources.tables.rows import TableRow, is_unicode
from schemas.problems import Problem, Reason, SourceError

_SPOOL = """
PRAGMA journal_mode = OFF;
CREATE TABLE keys (number INTEGER PRIMARY KEY, key TEXT UNIQUE);
CREATE TABLE cells (
    number INTEGER, place INTEGER, nth INTEGER, value TEXT, PRIMARY KEY (number, place, nth)
) WITHOUT ROWID;
"""


class SplitTable(MemberTable):
    """{"columns": [name, …], "index": […], "data": [[value, …], …]}; the index is not read.

    Raises:
        SourceError: The columns are no list of different names.
    """

    def __init__(self, path: Path, num_rows: int) -> None:
        super().__init__(path, num_rows)
        names = self.parse_member("columns")
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not isinstance(names, list) or not is_list or len(set(names)) < len(names):
            message, fix = '"columns" is no list of different names', "give each column one name"
            raise SourceError(Problem(Reason.SOURCE, message, file=self.name, column="columns", fix=fix))
        self.columns = tuple(names)

    def rows(self) -> Iterator[TableRow]:
        """Yield every row in order."""
        for number, raw in enumerate(self.elements_of("data"), 1):
            yield self._row(number, raw)

    def _row(self, number: int, raw: str) -> TableRow:
        try:
            values = parse_json(raw)
        except ValueError as error:
            return reject_row(self.name, number, raw, f"the element {explain(error)}", "correct it")
        if not isinstance(values, list):
            message = f"the element is a JSON {type(values).__name__}, and not an array"
            return reject_row(self.name, number, raw, message, "write an array with a value for each column")
        if len(values) != len(self.columns):
            message = f"the row has {len(values)} cells, and there are {len(self.columns)} columns"
            fix = "write a value for each column, null if there is none"
            return reject_row(self.name, number, raw, message, fix, Reason.WRONG_CELL_COUNT)
        return TableRow(number, dict(zip(self.columns, values, strict=True)), raw, ())


class SchemaTable(MemberTable):
    """{"schema": {…}, "data": [record, …]}; the index that pandas adds to each record is left out."""

    def __init__(self, path: Path, num_rows: int) -> None:
        super().__init__(path, num_rows)
        schema = self.parse_member("schema")
        # A named index is a column of the table; "index" is what pandas calls one without a name.
        self._has_index = isinstance(schema, dict) and schema.get("primaryKey") == ["index"]
        self.columns = columns_of(self.rows())

    def rows(self) -> Iterator[TableRow]:
        """Yield every row in order."""
        for number, raw in enumerate(self.elements_of("data"), 1):
            row = read_record(self.name, number, raw, "element")
            cells = {name: v for name, v in row.cells.items() if not (self._has_index and name == "index")}
            yield TableRow(number, cells, raw, row.problems)


class IndexTable(MemberTable):
    """{key of the row: record, …}; the key is not read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 0)
        self.columns = columns_of(self.rows())
        first = next(self.rows(), None)
        self.num_rows = path.stat().st_size // (len(first.raw) + 1) if first else 0

    def rows(self) -> Iterator[TableRow]:
        """Yield every row in order."""
        with self.scan() as text:
            for number, (_, raw) in enumerate(text.members(), 1):
                yield read_record(self.name, number, raw, "member")
            text.expect_end()


class ColumnsTable(MemberTable):
    """{column: {key of the row: value, …}, …}, the layout of `to_json` without an orient.

    It has one column after the other, so each reading first puts its cells into a temporary database on disk.
    Memory holds a few megabytes of it.
    """

    def __init__(self, path: Path, num_rows: int, columns: tuple[str, ...]) -> None:
        super().__init__(path, num_rows)
        # Rows with other names are rejected, and messages must not hold them.
        self.columns = tuple(name for name in columns if is_unicode(name) and "\0" not in name)

    def rows(self) -> Iterator[TableRow]:
        """Yield every row, in the order in which its key comes up first."""
        with closing(sqlite3.connect("")) as db:
            db.executescript(_SPOOL)
            names = self._spool(db)
            cells = db.execute("SELECT number, place, value FROM cells ORDER BY number, place, nth")
            for number, row in groupby(cells, itemgetter(0)):
                raw = "{" + ", ".join(f"{names[place]}: {value}" for _, place, value in row) + "}"
                yield read_record(self.name, number, raw, "row")

    def _spool(self, db: sqlite3.Connection) -> list[str]:
        """Put the cells into the database, and return the names of columns as JSON."""
        names = []
        with self.scan() as text:
            for place, name in enumerate(text.member_keys()):
                names.append(name)
                for nth, (key, value) in enumerate(text.members()):
                    db.execute("INSERT OR IGNORE INTO keys (key) VALUES (?)", (key,))
                    # `nth` keeps a key that stands twice: its row is rejected for that, as in any object.
                    insert = "INSERT INTO cells SELECT number, ?, ?, ? FROM keys WHERE key = ?"
                    db.execute(insert, (place, nth, value, key))
            text.expect_end()
        return names
