"""The layout: which row goes into which part, so that a new version changes what changed and no more.

A part is the rows that share a file in every config and format of their table; a group is those of them that
share a row group. Rows stay in the part and the group in which the previous release has them, in their order;
an image that takes the place of another under one file name takes its place here, too; all other new rows
make new parts after those, in the order of the catalog, which has no meaning. So what is added rewrites
nothing, and what is edited or removed rewrites its own part, and in it its own group, alone.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from builders.catalog.ledger import Insert
from schemas.configs import Config, Table

_SCHEMA = """
CREATE TABLE layout (
    "table" TEXT, split TEXT, number INTEGER, position INTEGER, key TEXT,
    PRIMARY KEY ("table", split, number, position)
) WITHOUT ROWID;
CREATE TABLE now (
    "table" TEXT, key TEXT, split TEXT, num_bytes INTEGER, name TEXT, digest BLOB, is_decided INTEGER,
    text_digest BLOB, rank INTEGER,
    PRIMARY KEY ("table", key)
) WITHOUT ROWID;
CREATE TABLE was (
    "table" TEXT, key TEXT, split TEXT, number INTEGER, position INTEGER, num_bytes INTEGER, name TEXT,
    digest BLOB, is_decided INTEGER, text_digest BLOB,
    PRIMARY KEY ("table", key)
) WITHOUT ROWID;
CREATE TABLE edited (
    "table" TEXT, key TEXT, digests BLOB, columns TEXT, PRIMARY KEY ("table", key)
) WITHOUT ROWID;
"""
# The rows of one part, in order; its parameters are `Part.place`.
IN_PART = (
    'layout."table" = ? AND layout.split = ? AND layout.number = ? '
    'ORDER BY layout."table", layout.split, layout.number, layout.position'
)
_GROUP = 2**20  # positions are this times the group, and the place in it
_MAX_GROWTH = 1.5  # of a part whose images are replaced by larger ones, before rows move to a new one
_MAX_PART_BYTES = 1_950_000_000  # the hosts' limit is 2 GB a file
_STAYS = "now.split = was.split"
_IS_EDITED = "(now.digest <> was.digest OR now.split <> was.split)"
_CHANGES = """
    SELECT now.key, now.split, 'added', 0, now.is_decided, NULL FROM now LEFT JOIN was USING ("table", key)
        WHERE now."table" = :table AND was.key IS NULL
    UNION ALL SELECT now.key, now.split, 'edited', was.is_decided, now.is_decided, edited.columns
        FROM now JOIN was USING ("table", key) LEFT JOIN edited USING ("table", key)
        WHERE now."table" = :table AND (:all OR now.{digest} <> was.{digest} OR now.split <> was.split)
    UNION ALL SELECT was.key, was.split, 'removed', was.is_decided, 0, NULL
        FROM was LEFT JOIN now USING ("table", key) WHERE was."table" = :table AND now.key IS NULL
"""
_ROWS = {
    "num_rows": 'SELECT layout.split, number, count(*) FROM layout WHERE "table" = :table GROUP BY 1, 2',
    "num_decided": (
        'SELECT layout.split, number, sum(is_decided) FROM layout JOIN now USING ("table", key) '
        'WHERE "table" = :table GROUP BY 1, 2'
    ),
    "num_bytes": (
        'SELECT layout.split, number, sum(num_bytes) FROM layout JOIN now USING ("table", key) '
        'WHERE "table" = :table GROUP BY 1, 2'
    ),
}
_DIFFERENCES = {
    "num_before": 'SELECT split, number, count(*) FROM was WHERE "table" = :table GROUP BY 1, 2',
    "num_edited": (
        'SELECT was.split, number, count(*) FROM was JOIN now USING ("table", key) '
        f'WHERE "table" = :table AND {_STAYS} AND now.digest <> was.digest GROUP BY 1, 2'
    ),
    "num_edited_texts": (
        'SELECT was.split, number, count(*) FROM was JOIN now USING ("table", key) '
        f'WHERE "table" = :table AND {_STAYS} AND now.text_digest <> was.text_digest GROUP BY 1, 2'
    ),
    "num_removed": (
        'SELECT was.split, number, count(*) FROM was LEFT JOIN now USING ("table", key) '
        f'WHERE was."table" = :table AND (now.key IS NULL OR NOT {_STAYS}) GROUP BY 1, 2'
    ),
}
_COUNT_KEPT = f"""
    SELECT count(*), coalesce(sum({_IS_EDITED}), 0) FROM now JOIN was USING ("table", key) WHERE "table" = ?
"""
_IS_ROW_EDITED = f"""
    SELECT 1 FROM now JOIN was USING ("table", key) WHERE "table" = ? AND key = ? AND {_IS_EDITED}
"""
_KEEP_ROWS = f"""
    INSERT INTO layout SELECT "table", was.split, number, position, key
    FROM was JOIN now USING ("table", key) WHERE "table" = ? AND {_STAYS}
"""
# New rows, and the places of rows that have gone, by name; a name of two rows stands for neither.
_REPLACE_ROWS = f"""
    INSERT INTO layout
    SELECT gone."table", gone.split, gone.number, gone.position, new.key FROM
        (SELECT was.*, count(*) AS times FROM was LEFT JOIN now USING ("table", key)
            WHERE was."table" = ?1 AND now.key IS NULL AND was.name <> '' GROUP BY was.name) gone
    JOIN
        (SELECT now.*, count(*) AS times FROM now LEFT JOIN was USING ("table", key)
            WHERE now."table" = ?1 AND was.key IS NULL GROUP BY now.name) new
    ON gone.name = new.name AND gone.split = new.split AND gone.times = 1 AND new.times = 1
        AND new.num_bytes <= gone.num_bytes * {_MAX_GROWTH}
"""
# Rows that a part has no room for any more, since images in it were replaced or came to rows without.
_MOVE_ROWS = """
    DELETE FROM layout WHERE "table" = ?1 AND (split, number, position) IN (
        SELECT split, number, position FROM (
            SELECT layout.split, number, position, num_bytes,
                sum(num_bytes) OVER (PARTITION BY layout.split, number ORDER BY position) AS total
            FROM layout JOIN now USING ("table", key) WHERE "table" = ?1
        ) WHERE total > ?2 AND total > num_bytes
    )
"""
_GROUPS = f"""
    SELECT position / {_GROUP}, num_bytes FROM layout JOIN now USING ("table", key)
    WHERE "table" = ? AND layout.split = ? AND number = ? ORDER BY position
"""
_UNPLACED = """
    SELECT now.key, now.split, num_bytes FROM now WHERE "table" = ?1
        AND key NOT IN (SELECT key FROM layout WHERE "table" = ?1) ORDER BY rank
"""
_TALLIED = (*_ROWS, *_DIFFERENCES)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that is to be placed.

    Attributes:
        key: Names it in its table.
        split: Its split.
        num_bytes: Size of the images that it carries.
        name: What it is called where it comes from; another row of that name may take its place. Empty if
            none may.
        digest: Of what it says; empty where there is nothing to compare it with.
        is_decided: Of a pair, whether it is in configs of decided ones, too.
        text_digest: Of the text that features compare with its image; all that they say depends on this, and
            on images, which never change under one key.
    """

    key: str
    split: str
    num_bytes: int = 0
    name: str = ""
    digest: bytes = b""
    is_decided: bool = False
    text_digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Placed:
    """A row of the previous release: its part, group and place in that, and the rest as in `Entry`."""

    key: str
    split: str
    number: int
    group: int
    index: int
    num_bytes: int
    name: str
    digest: bytes
    is_decided: bool = False
    text_digest: bytes = b""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that differs from the previous release.

    Attributes:
        key: Names it in its table.
        split: Its split; of a removed row, the one it was in.
        kind: "added", "edited" or "removed".
        columns: Of an edited row, the columns that differ; None where they are not compared.
    """

    key: str
    split: str
    kind: str
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a part ends, and a group in it."""

    num_rows: int
    num_bytes: int
    group_rows: int
    group_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that share a file.

    Attributes:
        table: Their table.
        split: Their split.
        number: Its number in that split.
        num_rows: How many there are; none if all of them have gone.
        num_decided: How many are decided pairs, where the release follows another.
        num_bytes: Sum of the sizes of their images.
        num_edited: How many of them the previous release has with other content.
        num_removed: How many rows the previous release has in this part and this one has not.
        num_before: How many rows the previous release has in this part; none if it does not have it.
        num_edited_texts: How many of them the previous release has with another text.
    """

    table: Table
    split: str
    number: int
    num_rows: int
    num_decided: int
    num_bytes: int
    num_edited: int
    num_removed: int
    num_before: int
    num_edited_texts: int = 0

    @property
    def place(self) -> tuple[str, str, int]:
        """Return the table, the split and the number, which name it."""
        return self.table.value, self.split, self.number

    @property
    def is_kept(self) -> bool:
        """Whether the previous release has just these rows in it."""
        return self.num_rows == self.num_before and not (self.num_edited or self.num_removed)

    def num_edited_in(self, config: Config) -> int:
        """Count the rows that the previous release has with other content in a config of the table."""
        return self.num_edited_texts if config.provenance is not None else self.num_edited

    def is_kept_in(self, config: Config) -> bool:
        """Return whether the previous release has exactly these rows, as a config of the table has them."""
        return self.num_rows == self.num_before and not (self.num_edited_in(config) or self.num_removed)


@dataclass(slots=True)
class _Cursor:
    """The part of a split that is being filled."""

    number: int
    num_rows: int = 0
    num_bytes: int = 0
    group: int = 0
    group_rows: int = 0
    group_bytes: int = 0

    def add(self, num_bytes: int, limits: Limits) -> "_Cursor":
        """Make room for a row: in this part and its group, in its next group, or in the next part."""
        cursor = self
        if self.num_rows and (
            self.num_rows >= limits.num_rows or self.num_bytes + num_bytes > limits.num_bytes
        ):
            cursor = _Cursor(self.number + 1)
        elif self.group_rows and (
            self.group_rows >= limits.group_rows or self.group_bytes + num_bytes > limits.group_bytes
        ):
            self.group, self.group_rows, self.group_bytes = self.group + 1, 0, 0
        cursor.num_rows += 1
        cursor.num_bytes += num_bytes
        cursor.group_rows += 1
        cursor.group_bytes += num_bytes
        return cursor

    @property
    def position(self) -> int:
        """Return the position of the row that was added last."""
        return _position(self.group, self.group_rows - 1)


class Layout:
    """Where the rows of a release are.

    Args:
        db: The catalog's database, in which it makes its tables.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._repacked: set[Table] = set()
        self._limits: dict[Table, Limits] = {}
        self._parts: dict[Table, tuple[Part, ...]] = {}
        db.executescript(_SCHEMA)

    def arrange(
        self,
        table: Table,
        entries: Iterable[Entry],
        limits: Limits,
        previous: Iterable[Placed] = (),
        *,
        repack: bool = False,
    ) -> None:
        """Place the rows of one table.

        Args:
            table: The table; each is arranged once.
            entries: Its rows, in an order that depends on nothing but themselves; keys are unique.
            limits: What a part holds at most. One row alone may have more bytes.
            previous: Where the previous release has its rows.
            repack: Whether to place all rows again, wherever they were.
        """
        insert = Insert(self._db, f"INSERT INTO now VALUES ({', '.join('?' * 9)})")
        for rank, entry in enumerate(entries):
            content = (entry.num_bytes, entry.name, entry.digest, entry.is_decided, entry.text_digest)
            insert(table, entry.key, entry.split, *content, rank)
        insert.flush()
        insert = Insert(self._db, f"INSERT OR IGNORE INTO was VALUES ({', '.join('?' * 10)})")
        for old in previous:
            place = (old.split, old.number, _position(old.group, old.index))
            content = (old.num_bytes, old.name, old.digest, old.is_decided, old.text_digest)
            insert(table, old.key, *place, *content)
        insert.flush()
        self._limits[table] = limits
        if repack:
            self._repacked.add(table)
        else:
            self._db.execute(_KEEP_ROWS, (table,))
            self._db.execute(_REPLACE_ROWS, (table,))
            most = min(limits.num_bytes * _MAX_GROWTH, max(limits.num_bytes, _MAX_PART_BYTES))
            self._db.execute(_MOVE_ROWS, (table, most))
        self._place_new_rows(table, limits)
        self._parts[table] = tuple(self._count_parts(table))

    def parts(self, table: Table) -> tuple[Part, ...]:
        """List the parts of a table, those that have gone with no rows, by split and number."""
        return self._parts.get(table, ())

    def changes(self, config: Config, *, is_remade: bool = False) -> Iterator[RowChange]:
        """Yield each row of a config that differs.

        A pair that has become decided is added to a config of decided ones, wherever it was before.

        Args:
            config: The config.
            is_remade: Whether all its rows differ that were there before.
        """
        query = _CHANGES.format(digest="text_digest" if config.provenance is not None else "digest")
        rows = self._db.execute(query, {"table": config.table, "all": is_remade})
        names = {column.name for column in config.columns}
        for key, split, change, was_decided, is_decided, edited in rows:
            if config.decided_only and was_decided != is_decided:
                yield RowChange(key, split, "added" if is_decided else "removed")
            elif is_decided or not config.decided_only:
                # Rows of features are computed from others, and have no columns of their own to compare.
                columns = json.loads(edited) if edited and config.provenance is None else None
                is_own = None if columns is None else tuple(name for name in columns if name in names)
                yield RowChange(key, split, change, is_own)

    def count_kept(self, table: Table) -> tuple[int, int]:
        """Count the rows that the previous release has, too, and those of them that are edited."""
        (counted,) = self._db.execute(_COUNT_KEPT, (table,))
        return int(counted[0]), int(counted[1])

    def is_edited(self, table: Table, key: str) -> bool:
        """Return whether a row is in the previous release with other content."""
        return self._db.execute(_IS_ROW_EDITED, (table, key)).fetchone() is not None

    def keep_edited(self, table: Table, rows: Iterable[tuple[str, Sequence[bytes]]]) -> None:
        """Keep a digest of each column of rows of the previous release that are edited, by key."""
        insert = Insert(self._db, "INSERT OR IGNORE INTO edited VALUES (?, ?, ?, NULL)")
        for key, digests in rows:
            insert(table, key, b"".join(digests))
        insert.flush()

    def edited(self, table: Table, key: str, digest_bytes: int) -> list[bytes]:
        """Return what `keep_edited` was given of a row; nothing if it is not edited."""
        for (kept,) in self._db.execute(
            'SELECT digests FROM edited WHERE "table" = ? AND key = ?', (table, key)
        ):
            return [kept[at : at + digest_bytes] for at in range(0, len(kept), digest_bytes)]
        return []

    def keep_edited_columns(self, table: Table, rows: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Keep the names of the columns in which rows are edited, by key; `changes` yields them."""
        update = Insert(self._db, 'UPDATE edited SET columns = ?3 WHERE "table" = ?1 AND key = ?2')
        for key, columns in rows:
            update(table, key, json.dumps(columns))
        update.flush()

    def rows(self, config: Config) -> Iterator[tuple[str, str]]:
        """Yield (key, split) for each row of a config, where the release follows another."""
        decided = "AND is_decided" if config.decided_only else ""
        query = f'SELECT key, split FROM now WHERE "table" = ? {decided} ORDER BY key'
        yield from self._db.execute(query, (config.table,))

    def groups(self, part: Part) -> list[tuple[int, int]]:
        """List the groups of a part, in order: the number of each, and how many rows it has.

        One that has become larger than it may be comes in several pieces, under one number.
        """
        limits = self._limits[part.table]
        groups: list[tuple[int, int]] = []
        group_bytes = 0
        for group, num_bytes in self._db.execute(_GROUPS, part.place):
            number, num_rows = groups[-1] if groups else (None, 0)
            if (
                number != group
                or num_rows >= limits.group_rows
                or group_bytes + num_bytes > limits.group_bytes
            ):
                groups.append((group, 0))
                num_rows = group_bytes = 0
            groups[-1] = (group, num_rows + 1)
            group_bytes += num_bytes
        return groups

    def _count_parts(self, table: Table) -> Iterator[Part]:
        """Count the rows of each part, now and before: a pass over the table for each number."""
        tallies: dict[tuple[str, int], dict[str, int]] = {}
        queries = dict(_ROWS) if table in self._repacked else _ROWS | _DIFFERENCES
        for name, query in queries.items():
            for split, number, value in self._db.execute(query, {"table": table}):
                tallies.setdefault((split, number), dict.fromkeys(_TALLIED, 0))[name] = value
        for (split, number), tally in sorted(tallies.items()):
            yield Part(table, split, number, **tally)

    def _place_new_rows(self, table: Table, limits: Limits) -> None:
        """Put the rows that have no place yet into new parts, in the order in which they came."""
        last = 'SELECT split, max(number) FROM was WHERE "table" = ? GROUP BY 1'
        numbers = {} if table in self._repacked else dict(self._db.execute(last, (table,)))
        cursors: dict[str, _Cursor] = {}
        insert = Insert(self._db, "INSERT INTO layout VALUES (?, ?, ?, ?, ?)")
        for key, split, num_bytes in self._db.execute(_UNPLACED, (table,)):
            cursor = cursors.setdefault(split, _Cursor(numbers.get(split, -1) + 1))
            cursor = cursors[split] = cursor.add(num_bytes, limits)
            insert(table, split, cursor.number, cursor.position, key)
        insert.flush()


def _position(group: int, index: int) -> int:
    return group * _GROUP + index
