"""The ledger: every input row of a build, what is wrong with it, and whether it is published."""

import sqlite3
from collections.abc import Iterator

from builders.sources.intake import InputRow
from schemas.configs import Table
from schemas.manifest import Counts
from schemas.problems import Problem, Reason, Severity
from schemas.records import ProblemEntry, RejectedRow
from schemas.secrets import mask_secrets

_SCHEMA = """
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY, "table" TEXT, source TEXT, file TEXT, row INTEGER, raw TEXT, name TEXT,
    rejected TEXT
);
CREATE TABLE problems (
    input_id INTEGER, severity TEXT, reason TEXT, message TEXT,
    file TEXT, row INTEGER, "column" TEXT, value TEXT, fix TEXT, "table" TEXT
);
"""
_INDEXES = """
CREATE INDEX inputs_by_name ON inputs ("table", source, name);
CREATE INDEX problems_by_input ON problems (input_id);
"""
_NO_ROW = 0
_ROWS_PER_WRITE = 500


class Insert:
    """An SQL statement whose parameters are gathered and handed over many at once.

    Each call of the database costs a switch of threads, which is worth paying for many rows only.
    """

    def __init__(self, db: sqlite3.Connection, statement: str) -> None:
        self._db, self._statement = db, statement
        self._parameters: list[tuple[object, ...]] = []

    def __call__(self, *parameters: object) -> None:
        """Run the statement, soon, with these parameters."""
        self._parameters.append(parameters)
        if len(self._parameters) >= _ROWS_PER_WRITE:
            self.flush()

    def flush(self) -> None:
        """Run what is waiting."""
        self._db.executemany(self._statement, self._parameters)
        self._parameters.clear()


class Ledger:
    """Every input row with its problems.

    Args:
        db: The database, in which the ledger makes its tables.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._num_rows = 0
        db.executescript(_SCHEMA)
        self._insert = Insert(db, f"INSERT INTO inputs VALUES ({', '.join('?' * 8)})")
        self._insert_problem = Insert(db, f"INSERT INTO problems VALUES ({', '.join('?' * 10)})")

    def add(self, row: InputRow, table: Table) -> int:
        """Add one input row with what is wrong with it; return its number."""
        self._num_rows += 1
        rejecting = (problem.reason for problem in row.problems if problem.severity is Severity.REJECTED)
        place = (row.source, storable(row.file), row.row, row.raw, storable(row.name))
        self._insert(self._num_rows, table, *place, next(rejecting, None))
        for problem in row.problems:
            self.note(self._num_rows, problem)
        return self._num_rows

    def note(self, input_id: int | None, problem: Problem, table: Table = Table.IMAGES) -> None:
        """Add a problem of a row, or of a table as a whole: `table` is the table that counts the latter."""
        values = (problem.message, problem.file, problem.row, problem.column, problem.value, problem.fix)
        stored = (storable(value) for value in values)
        self._insert_problem(input_id or _NO_ROW, problem.severity, problem.reason, *stored, table)

    def reject(self, input_id: int, problem: Problem) -> None:
        """Reject a row that was not rejected before."""
        self._db.execute("UPDATE inputs SET rejected = ? WHERE id = ?", (problem.reason, input_id))
        self.note(input_id, problem)

    def place_of(self, input_id: int) -> tuple[str, int | None, str]:
        """Return the file, the row and the name of an input row."""
        query = "SELECT file, row, name FROM inputs WHERE id = ?"
        file, row, name = self._db.execute(query, (input_id,)).fetchone()
        return file, row, name

    def index(self) -> None:
        """Prepare for questions: every row has been added."""
        self.flush()
        self._db.executescript(_INDEXES)

    def flush(self) -> None:
        """Hand everything over to the database."""
        self._insert.flush()
        self._insert_problem.flush()

    def rejected(self) -> Iterator[RejectedRow]:
        """Yield each rejected row with all its problems, in input order; secrets in it are masked."""
        columns = 'id, "table", source, file, row, raw, name, rejected'
        query = f"SELECT {columns} FROM inputs WHERE rejected IS NOT NULL ORDER BY id"
        for input_id, table, source, file, row, raw, name, reason in self._db.execute(query):
            problems = [ProblemEntry.of(problem) for problem in self._problems("input_id = ?", input_id)]
            yield RejectedRow(
                table=table,
                source=mask_secrets(source),
                file=mask_secrets(file),
                row=row,
                name=mask_secrets(name),
                reason=reason,
                problems=problems,
                raw=mask_secrets(raw),
            )

    def problems(self, severity: Severity, limit: int, reason: str | None = None) -> Iterator[Problem]:
        """Yield the first problems of a severity, and of one kind if asked for, in input order."""
        where = "severity = ? AND reason = coalesce(?, reason) ORDER BY input_id, rowid LIMIT ?"
        return self._problems(where, severity, reason, limit)

    def unknown_generators(self) -> Iterator[tuple[str, int, Problem]]:
        """Yield the unknown generators that keep all images of a source from being published.

        Yields:
            Source, number of rows, and the problem of one of them without its row: its value is the name of
            the generator, None where rows have no name. The most rows of a source come first. Sources of
            which any row is published or excluded are left out.
        """
        # Not only sources all of whose rows are by unknown generators: one broken row would hide them.
        query = (
            'SELECT inputs.source, count(*), reason, message, min(problems.file), "column", value, fix '
            "FROM inputs JOIN problems ON input_id = id WHERE reason = ? AND inputs.source NOT IN "
            '(SELECT source FROM inputs WHERE "table" = ? AND coalesce(rejected, ?) = ?) '
            'GROUP BY inputs.source, message, "column", value, fix ORDER BY 1, 2 DESC, value'
        )
        excluded = Reason.EXCLUDED
        found = self._db.execute(query, (Reason.UNKNOWN_GENERATOR, Table.IMAGES, excluded, excluded))
        for source, num_rows, reason, message, file, column, value, fix in found:
            problem = Problem(Reason(reason), message, file=file, column=column, value=value, fix=fix)
            yield source, num_rows, problem

    def counts(self, table: Table, num_rows: int) -> Counts:
        """Count what came in of one table and where it went; `num_rows` is what it came to."""
        read, published = self._db.execute(
            'SELECT count(*), count(*) FILTER (WHERE rejected IS NULL) FROM inputs WHERE "table" = ?',
            (table,),
        ).fetchone()
        rejected = self._db.execute(
            'SELECT rejected, count(*) FROM inputs WHERE rejected IS NOT NULL AND "table" = ? '
            "GROUP BY 1 ORDER BY 1",
            (table,),
        )
        warnings = self._db.execute(
            "SELECT reason, count(*) FROM problems LEFT JOIN inputs ON inputs.id = input_id "
            'WHERE severity = ? AND rejected IS NULL AND coalesce(inputs."table", problems."table") = ? '
            "GROUP BY 1 ORDER BY 1",
            (Severity.WARNING, table),
        )
        return Counts(
            read=read,
            published=published,
            num_rows=num_rows,
            rejected=dict(rejected),
            warnings=dict(warnings),
        )

    def _problems(self, where: str, *parameters: object) -> Iterator[Problem]:
        query = f'SELECT reason, message, file, row, "column", value, fix FROM problems WHERE {where}'
        names = ("message", "file", "row", "column", "value", "fix")
        for reason, *values in self._db.execute(query, parameters):
            yield Problem(Reason(reason), **dict(zip(names, values, strict=True)))


def storable(value: object) -> object:
    """Escape undecodable bytes of a name or cell, which no database or Parquet file takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
