"""Which columns of its rows a version edits, in how many rows, and an example of each."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from builders.catalog import Layout
from builders.release.previous import DIGEST_BYTES, PreviousRelease, row_digest, row_key
from schemas.configs import CONFIG_OF, Table
from schemas.problems import printable

_VALUE_CHARS = 60
_BEFORE_DIFFERENCE_CHARS = 12  # what an example shows of what two values begin with alike
_MIN_WIDESPREAD_ROWS = 10  # of fewer rows, most are soon edited on purpose
_to_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class ColumnEdit:
    """What a version does to one column of the rows that the previous release has, too.

    Attributes:
        config: The config of their table without images; the others of that table share its rows.
        column: The column.
        num_rows: In how many rows the column has another value, 1 or more.
        num_kept: How many rows both releases have.
        key: Key of one of the edited rows.
        before: The value in the previous release, as JSON, shortened to where the two differ.
        after: The value now, likewise.
    """

    config: str
    column: str
    num_rows: int
    num_kept: int
    key: str
    before: str
    after: str

    @property
    def is_widespread(self) -> bool:
        """Whether most rows are edited in this column, which is often a mistake in the source."""
        return self.num_rows >= _MIN_WIDESPREAD_ROWS and 2 * self.num_rows > self.num_kept


def find_edits(
    layout: Layout, table: Table, rows: Iterable[Mapping[str, object]], previous: PreviousRelease
) -> Iterator[ColumnEdit]:
    """Compare the edited rows of a table, column by column; the layout keeps what differs in each.

    Args:
        layout: Arranged.
        table: The table.
        rows: All its rows now; they are read only if any row is edited.
        previous: The release that was given to the layout.

    Yields:
        The columns that differ, in the order of the config. Where a row stood is no column; one that is new,
        gone or of another type is none, either.
    """
    config, columns = CONFIG_OF[table], previous.shared_columns(CONFIG_OF[table])
    num_kept, num_edited = layout.count_kept(table)
    if not num_edited:
        return
    layout.keep_edited(
        table,
        (
            (key, [row_digest(row, [column]) for column in columns])
            for row in previous.rows(table, columns)
            if layout.is_edited(table, key := row_key(config, row))
        ),
    )
    counts, examples = Counter[str](), dict[str, tuple[str, object]]()

    def compare() -> Iterator[tuple[str, list[str]]]:
        for row in rows:
            key = row_key(config, row)
            digests = layout.edited(table, key, DIGEST_BYTES)
            differing = [
                column
                for column, digest in zip(columns, digests, strict=False)
                if row_digest(row, [column]) != digest
            ]
            if digests:
                counts.update(differing)
                examples.update({name: (key, row[name]) for name in differing if name not in examples})
                yield key, differing

    layout.keep_edited_columns(table, compare())
    before = _read_values(table, examples, previous)
    for column in columns:
        if column in examples:
            key, now = examples[column]
            shown = _show_difference(before[key, column], now)
            yield ColumnEdit(config.name, column, counts[column], num_kept, key, *shown)


def _read_values(
    table: Table, examples: Mapping[str, tuple[str, object]], previous: PreviousRelease
) -> Mapping[tuple[str, str], object]:
    """Return (key, column) → value in the previous release, of each example."""
    config, wanted = CONFIG_OF[table], {key for key, _ in examples.values()}
    return {
        (key, column): row[column]
        for row in previous.rows(table, list(examples))
        if (key := row_key(config, row)) in wanted
        for column in examples
    }


def _show_difference(before: object, after: object) -> tuple[str, str]:
    """Write two values as JSON, short enough for one line, and so that their first difference is seen."""
    old, new = _to_json(before), _to_json(after)
    alike = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = max(0, alike - _BEFORE_DIFFERENCE_CHARS)
    cut = "…" if start else ""
    return _cut(cut + old[start:]), _cut(cut + new[start:])


def _cut(text: str) -> str:
    shown = printable(text[:_VALUE_CHARS])
    return shown if len(text) <= _VALUE_CHARS else f"{shown}…"
