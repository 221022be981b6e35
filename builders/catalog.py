"""The catalog: every input row of a build, unified, on disk.

Rows go into an SQLite file as sources are read and come out in the order in which they are published.
So memory does not grow with the number of images, and identities, conflicts and counts are queries.
A row is never dropped: it is published, or it is rejected with its problems.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from builders.images import ImageFacts
from builders.intake import ImageText, InputRow
from schemas.generators import GENERATORS
from schemas.manifest import Counts
from schemas.problems import BuildError, Problem, Reason, Severity
from schemas.records import DEFAULT_SPLIT, ImageRecord, ProblemEntry, RejectedRow, image_id_of

_SCHEMA = """
CREATE TABLE rows (
    id INTEGER PRIMARY KEY, source TEXT, file TEXT, row INTEGER, raw TEXT, file_name TEXT,
    path TEXT, sha256 TEXT, image_id TEXT, record TEXT, rejected TEXT
);
CREATE TABLE problems (
    row_id INTEGER, severity TEXT, reason TEXT, message TEXT,
    file TEXT, row INTEGER, "column" TEXT, value TEXT, fix TEXT
);
"""
_ROW_PARAMETERS = ":id, :source, :file, :row, :raw, :file_name, :path, :sha256, :image_id, :record, :rejected"
_INDEXES = """
CREATE INDEX by_image ON rows (image_id, source, file_name, row);
CREATE INDEX by_name ON rows (source, file_name);
CREATE INDEX by_row ON problems (row_id);
"""
_PUBLISHED = "rejected IS NULL"
_NO_ROW = 0
_ROWS_PER_WRITE = 500


class Catalog:
    """The unified rows of one build.

    Args:
        path: The SQLite file, made anew. It may be lost at any time: it is rebuilt from the sources.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._num_rows = 0
        self._rows: list[dict[str, object]] = []
        self._new_problems: list[tuple[object, ...]] = []
        self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_SCHEMA} BEGIN;")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def add(self, row: InputRow, facts: ImageFacts | None, digital_source_type: str) -> None:
        """Add one input row; without facts of its image, or with a rejecting problem, it is rejected.

        Args:
            row: What the source said.
            facts: What the image's bytes say.
            digital_source_type: IPTC term for the source's images.
        """
        record = None
        if facts is not None and row.text is not None and not row.is_rejected:
            record = _record(row, row.text, facts, digital_source_type)
        rejecting = (problem.reason for problem in row.problems if problem.severity is Severity.REJECTED)
        self._num_rows += 1
        self._rows.append(
            {
                "id": self._num_rows,
                "source": row.source,
                "file": _storable(row.file),
                "row": row.row,
                "raw": row.raw,
                "file_name": _storable(row.file_name),
                "path": row.image and str(row.image),
                "sha256": record and record.sha256,
                "image_id": record and record.image_id,
                "record": record and json.dumps(record.row(), ensure_ascii=False),
                "rejected": next(rejecting, None),
            }
        )
        for problem in row.problems:
            self._add_problem(self._num_rows, problem)
        if len(self._rows) >= _ROWS_PER_WRITE:
            self._write()

    def add_table_problems(self, problems: Iterable[Problem]) -> None:
        """Add what is wrong with a table as a whole."""
        for problem in problems:
            self._add_problem(_NO_ROW, problem)

    def resolve(self) -> None:
        """Settle what only all rows together show: repeated and contradictory rows, identical images.

        Raises:
            BuildError: Two different images share an image id.
        """
        self._write()
        self._db.executescript(f"{_INDEXES} BEGIN;")  # commits what is open, too
        self._reject_repeated_rows()
        self._reject_identical_images()
        self._refuse_shared_ids()
        self._warn_of_shared_names()
        self._write()
        self._db.execute("COMMIT")

    def published(self) -> Iterator[tuple[dict[str, object], Path]]:
        """Yield each published row with its image's path, in order of image id.

        Ids are digests, so this order is a shuffle that depends on nothing but the images themselves.
        """
        query = f"SELECT record, path FROM rows WHERE {_PUBLISHED} ORDER BY image_id"
        for record, path in self._db.execute(query):
            yield json.loads(record), Path(path)

    def rejected(self) -> Iterator[RejectedRow]:
        """Yield each rejected row with all its problems, in input order."""
        columns = "id, source, file, row, raw, file_name, rejected"
        query = f"SELECT {columns} FROM rows WHERE rejected IS NOT NULL ORDER BY id"
        for row_id, source, file, row, raw, file_name, reason in self._db.execute(query):
            problems = [ProblemEntry.of(problem) for problem in self._problems("row_id = ?", row_id)]
            yield RejectedRow(
                source=source,
                file=file,
                row=row,
                file_name=file_name,
                reason=reason,
                problems=problems,
                raw=raw,
            )

    def problems(self, severity: Severity, limit: int, reason: str | None = None) -> Iterator[Problem]:
        """Yield the first problems of a severity, and of one kind if asked for, in input order."""
        where = "severity = ? AND reason = coalesce(?, reason) ORDER BY row_id, rowid LIMIT ?"
        return self._problems(where, severity, reason, limit)

    def published_bytes(self) -> int:
        """Add up the sizes of the images to publish, in bytes."""
        query = f"SELECT coalesce(sum(json_extract(record, '$.num_bytes')), 0) FROM rows WHERE {_PUBLISHED}"
        return int(self._db.execute(query).fetchone()[0])

    def counts(self) -> Counts:
        """Count what came in and where it went."""
        read, published = self._db.execute(
            f"SELECT count(*), count(*) FILTER (WHERE {_PUBLISHED}) FROM rows"
        ).fetchone()
        rejected = self._db.execute(
            "SELECT rejected, count(*) FROM rows WHERE rejected IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
        warnings = self._db.execute(
            "SELECT reason, count(*) FROM problems LEFT JOIN rows ON rows.id = row_id "
            "WHERE severity = ? AND rejected IS NULL GROUP BY 1 ORDER BY 1",
            (Severity.WARNING,),
        )
        return Counts(read=read, published=published, rejected=dict(rejected), warnings=dict(warnings))

    def _reject_repeated_rows(self) -> None:
        """Of equal rows that name one image keep the first; of contradictory ones keep none."""
        names = self._db.execute(
            f"SELECT source, file_name, count(DISTINCT raw) FROM rows WHERE {_PUBLISHED} "
            "GROUP BY source, file_name HAVING count(*) > 1"
        ).fetchall()
        for source, file_name, num_different in names:
            query = (
                f"SELECT id, row FROM rows WHERE {_PUBLISHED} AND source = ? AND file_name = ? ORDER BY row"
            )
            rows = self._db.execute(query, (source, file_name)).fetchall()
            if num_different > 1:
                numbers = ", ".join(str(row) for _, row in rows)
                message = f"rows {numbers} name this image and contradict each other"
                for row_id, _ in rows:
                    self._reject(row_id, Reason.CONFLICTING_ROWS, message, "keep the true one")
            else:
                message = f"row {rows[0][1]} says the same of this image"
                for row_id, _ in rows[1:]:
                    self._reject(row_id, Reason.DUPLICATE_ROW, message, "remove one of them")

    def _reject_identical_images(self) -> None:
        """Of images with identical bytes keep the first by source, file name and row."""
        query = (
            "SELECT r.id, first.source, first.file_name FROM rows r JOIN ("
            "  SELECT id, source, file_name, sha256, row_number() OVER same AS place FROM rows "
            f"  WHERE {_PUBLISHED} "
            "  WINDOW same AS (PARTITION BY sha256 ORDER BY source, file_name, row)"
            f") first ON first.sha256 = r.sha256 AND place = 1 WHERE r.{_PUBLISHED} AND r.id <> first.id"
        )
        fix = "remove the row, or replace the image if it should be another"
        for row_id, source, file_name in self._db.execute(query).fetchall():
            message = f"the image has the same bytes as {source}/{file_name}, which is published"
            self._reject(row_id, Reason.DUPLICATE_IMAGE, message, fix)

    def _refuse_shared_ids(self) -> None:
        query = (
            f"SELECT image_id, group_concat(source || '/' || file_name, ', ') FROM rows WHERE {_PUBLISHED} "
            "GROUP BY image_id HAVING count(DISTINCT sha256) > 1"
        )
        fix = "leave one of them out; if nobody contrived this, lengthen IMAGE_ID_CHARS in schemas/records.py"
        problems = [
            Problem(Reason.RELEASE, f"the different images {names} share an id", value=image_id, fix=fix)
            for image_id, names in self._db.execute(query)
        ]
        if problems:
            raise BuildError(problems)

    def _warn_of_shared_names(self) -> None:
        """Tell of one name that stands for different images in several sources; both are published."""
        query = (
            f"SELECT min(id), file_name, group_concat(source, ', ') FROM rows WHERE {_PUBLISHED} "
            "GROUP BY file_name HAVING count(*) > 1"
        )
        for row_id, file_name, sources in self._db.execute(query).fetchall():
            message = f"the sources {sources} have different images of this name; `source` tells them apart"
            self._add_problem(row_id, Problem(Reason.SHARED_NAME, message, value=file_name))

    def _reject(self, row_id: int, reason: Reason, message: str, fix: str) -> None:
        self._db.execute("UPDATE rows SET rejected = ? WHERE id = ?", (reason, row_id))
        query = "SELECT file, row, file_name FROM rows WHERE id = ?"
        file, row, file_name = self._db.execute(query, (row_id,)).fetchone()
        self._add_problem(row_id, Problem(reason, message, file, row, "image_filename", file_name, fix))

    def _add_problem(self, row_id: int, problem: Problem) -> None:
        values = (problem.message, problem.file, problem.row, problem.column, problem.value, problem.fix)
        self._new_problems.append(
            (row_id, problem.severity, problem.reason, *(_storable(value) for value in values))
        )

    def _write(self) -> None:
        """Hand what was added to the database, many rows at once: each call costs a switch of threads."""
        self._db.executemany(f"INSERT INTO rows VALUES ({_ROW_PARAMETERS})", self._rows)
        self._db.executemany(f"INSERT INTO problems VALUES ({', '.join('?' * 9)})", self._new_problems)
        self._rows.clear()
        self._new_problems.clear()

    def _problems(self, where: str, *parameters: object) -> Iterator[Problem]:
        query = f'SELECT reason, message, file, row, "column", value, fix FROM problems WHERE {where}'
        for reason, *values in self._db.execute(query, parameters):
            yield Problem(Reason(reason), *values)


def _record(row: InputRow, text: ImageText, facts: ImageFacts, digital_source_type: str) -> ImageRecord:
    """Join what the source says of an image and what its bytes say."""
    return ImageRecord(
        image_id=image_id_of(facts.sha256),
        prompt=text.prompt,
        original_prompt=text.original_prompt,
        generator=text.generator,
        settings=text.settings,
        config_json=text.config_json,
        width=facts.width,
        height=facts.height,
        format=facts.format,
        mode=facts.mode,
        num_bytes=facts.num_bytes,
        sha256=facts.sha256,
        license=GENERATORS[text.generator].terms.id,
        digital_source_type=digital_source_type,
        source=row.source,
        file_name=row.file_name,
        split=DEFAULT_SPLIT,
    )


def _storable(value: object) -> object:
    """Escape undecodable bytes of a name or cell, which no database or Parquet file takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
