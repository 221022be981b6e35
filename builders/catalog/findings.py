"""Private data that was found in the rows of a catalog: counted and noted once rows are settled."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from builders.catalog.ledger import Insert, Ledger, storable
from builders.catalog.privacy import WHAT, Finding, PrivacyCheck
from schemas.configs import Table
from schemas.generators import SETTINGS_COLUMNS
from schemas.problems import Problem, Reason, SourceError, name_some, suggest
from schemas.settings import PrivacySettings

_SCHEMA = """
CREATE TABLE findings (input_id INTEGER, reason TEXT, place TEXT, value TEXT, image TEXT);
CREATE INDEX findings_by_kind ON findings (reason, place);
"""
_PUBLISHED = "findings JOIN inputs ON inputs.id = input_id WHERE rejected IS NULL"
_MAX_PLACES = 5
_MAX_SECRETS = 10_000  # as many problems as `--json` lists
_MAX_COLUMNS = 20
_KNOWN_SETTINGS = frozenset(spec.name for spec in SETTINGS_COLUMNS)  # these cannot be dropped
_MAX_GROUPS = 200  # rows may each have other columns


class Findings:
    """What is private in the rows of a catalog.

    Args:
        db: The database, in which it makes its table.
        ledger: The ledger of the same database.
        settings: What is to be done about it.

    Attributes:
        check: Finds it.
    """

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, settings: PrivacySettings) -> None:
        self._db, self._ledger, self._settings = db, ledger, settings
        self.check = PrivacyCheck(settings)
        db.executescript(_SCHEMA)
        self._insert = Insert(db, "INSERT INTO findings VALUES (?, ?, ?, ?, ?)")

    def add(self, input_id: int, findings: Sequence[Finding]) -> None:
        """Add what was found in a row or in its images."""
        for found in findings:
            values = (storable(text) for text in (found.place, found.value, found.image))
            self._insert(input_id, found.reason, *values)

    def settle(self) -> None:
        """Note what is published all the same, one note for each kind and place, once rows are settled.

        Raises:
            SourceError: Secrets would be published; every row is named.
        """
        self._insert.flush()
        if secrets := list(self._secrets()):
            raise SourceError(secrets)
        self._note_groups()
        self._note_idle_columns()
        self._ledger.flush()

    def counts(self, table: Table) -> Mapping[str, int]:
        """Count the published rows of a table by what was found in them or left out of them."""
        query = (
            f'SELECT reason, count(DISTINCT input_id) FROM {_PUBLISHED} AND "table" = ? GROUP BY 1 ORDER BY 1'
        )
        return dict(self._db.execute(query, (table,)))

    def _secrets(self) -> Iterator[Problem]:
        query = (
            f"SELECT file, inputs.row, place, value, image FROM {_PUBLISHED} AND reason = ? "
            "ORDER BY input_id, findings.rowid"
        )
        fix = "revoke it, since others may have seen it, and remove it from the source"
        num_more = 0
        for number, (file, row, place, said, image) in enumerate(self._db.execute(query, (Reason.SECRET,))):
            if number >= _MAX_SECRETS:
                num_more += 1
                continue
            what, _, masked = said.partition(": ")
            message = f"{image}: the file holds" if image is not None else "the text holds"
            message = f"{message} what looks like {what}, and would be published"
            yield Problem(Reason.SECRET, message, file=file, row=row, column=place, value=masked, fix=fix)
        if num_more:
            yield Problem(Reason.SECRET, f"{num_more:,} more texts hold secrets", fix=fix)

    def _note_groups(self) -> None:
        """Note each kind in each place; of many, the first ones, and how many more there are."""
        groups = self._db.execute(
            "SELECT source, reason, place, image IS NULL, count(DISTINCT coalesce(image, input_id)), "
            f"min(input_id) FROM {_PUBLISHED} GROUP BY 1, 2, 3, 4 ORDER BY min(input_id), min(findings.rowid)"
        ).fetchall()
        for *key, count, first_id in groups[:_MAX_GROUPS]:
            self._ledger.note(first_id, self._describe_group(_Group(*key), count, first_id))
        if left_out := groups[_MAX_GROUPS:]:
            _, word, _, _, _, first_id = left_out[0]
            message = f"{len(left_out):,} more columns or parts of image files hold private data"
            file, row, _ = self._ledger.place_of(first_id)
            self._ledger.note(first_id, Problem(Reason(word), message, file=file, row=row))

    def _describe_group(self, group: "_Group", count: int, first_id: int) -> Problem:
        """Describe what is private in one place of one source, with the first rows or image files."""
        reason = Reason(group.reason)
        where = f"{_PUBLISHED} AND source = ? AND reason = ? AND place = ? AND (image IS NULL) = ?"
        query = f"SELECT value FROM {where} ORDER BY input_id, findings.rowid LIMIT 1"
        value: str | None = self._db.execute(query, group).fetchone()[0]
        if reason is Reason.DROPPED_COLUMN:
            message = f"the column is left out of {_count(count, 'row')}, as [privacy] asks"
            value, fix = None, "no action is needed"
        elif group.is_text:
            query = f"SELECT DISTINCT file, inputs.row FROM {where} ORDER BY input_id LIMIT {_MAX_PLACES + 1}"
            places = (f"{file}:{row}" for file, row in self._db.execute(query, group))
            message = f"{_count(count, 'row')} with {WHAT[reason]}: {name_some(places, _MAX_PLACES)}"
            fix = _fix_text(group.place)
        else:
            order = f"GROUP BY image ORDER BY min(input_id) LIMIT {_MAX_PLACES + 1}"
            names = (name for (name,) in self._db.execute(f"SELECT image FROM {where} {order}", group))
            message = f"{_count(count, 'image file')} with {WHAT[reason]}: {name_some(names, _MAX_PLACES)}"
            fix = 'remove it from the files, or set them aside: images = "reject" under [privacy]'
        file, row, _ = self._ledger.place_of(first_id)
        return Problem(reason, message, file=file, row=row, column=group.place, value=value, fix=fix)

    def _note_idle_columns(self) -> None:
        query = "SELECT DISTINCT value FROM findings WHERE reason = ?"
        dropped = [name for (name,) in self._db.execute(query, (Reason.DROPPED_COLUMN,))]
        there = sorted(self.check.columns)[:_MAX_COLUMNS]
        for column in self._settings.drop_columns:
            if self.check.is_idle(column, dropped):
                message = "no row has this column among its extras, so nothing is left out"
                fix = suggest(column, there) if there else "remove it: there are no extra columns"
                note = Problem(
                    Reason.IDLE_DROPPED_COLUMN, message, column="privacy.drop_columns", value=column, fix=fix
                )
                self._ledger.note(None, note)


class _Group(NamedTuple):
    """What is of one kind in one place of one source."""

    source: str
    reason: str
    place: str
    is_text: int


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _fix_text(place: str) -> str:
    """Advise what to do about a text: an extra column can be left out, others belong to the row."""
    prefix, has_key, column = place.partition(".")
    is_extra = prefix == "extras" or (
        prefix == "settings" and column.partition(".")[0] not in _KNOWN_SETTINGS
    )
    if has_key and is_extra:
        names = json.dumps([column], ensure_ascii=False)
        return f"to leave the column out, write drop_columns = {names} under [privacy] in release.toml"
    return 'remove it from the source, or set such rows aside: texts = "reject" under [privacy]'
