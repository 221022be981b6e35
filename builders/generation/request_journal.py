"""The journal of requests that are paid for: which were sent, and what came of each.

A request goes through these states, each on the disk before the next step begins:

    planned → sent → delivered    an answer came back, and it is stored
                   → refused      the provider declined; it is never sent again
                   → failed       nothing was done; the next run sends it again
                   → uncertain    the answer was lost, and it may be charged for. It is sent again only if the
                                  user asks for it
    sent, in a journal that no run has open, is uncertain: the run was killed. It is planned again if this
    machine was to do it.

SQLite, because a transaction holds an answer with all that is known of it: killed at any point, a run has
stored an answer whole or not at all.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from schemas.problems import Problem, Reason, SettingsError

_FORMAT = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    planned TEXT NOT NULL,
    provider TEXT,
    model TEXT,
    sent_at TEXT,
    message TEXT,
    cost_usd REAL NOT NULL DEFAULT 0,
    lost_usd REAL NOT NULL DEFAULT 0,
    answer TEXT{more}
)"""
_WANTED = (
    "CREATE TEMP TABLE wanted (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, planned TEXT NOT NULL)"
)
_STATES = "CREATE INDEX IF NOT EXISTS by_state ON requests (state)"


class State(StrEnum):
    """Where a request is."""

    PLANNED = "planned"
    SENT = "sent"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


def states_to_send(*, sends_again: bool) -> tuple[State, ...]:
    """Return the states of the requests that a run sends.

    Args:
        sends_again: Whether the user asked for those of unknown outcome, too.
    """
    return State.PLANNED, State.FAILED, *((State.UNCERTAIN,) if sends_again else ())


class RequestJournal:
    """The journal of one folder; may be used from several threads.

    A kind of request is a subclass, with the columns that it has beside those of every request.

    Args:
        path: The database; None for one in memory.
        is_durable: Whether each step is forced to the disk before the next: always, if money is spent.
        is_read_only: Whether nothing is written, as for a plan.

    Raises:
        SettingsError: The file is of a newer kit, or no journal.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    indexes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: Path | None, *, is_durable: bool = True, is_read_only: bool = False) -> None:
        self._lock = threading.RLock()
        self._database = _connect(path, is_read_only=is_read_only)
        try:
            self._open(is_durable=is_durable, is_read_only=is_read_only)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise SettingsError(_not_a_journal(path, str(error))) from error
        except SettingsError:
            self._database.close()
            raise

    def _open(self, *, is_durable: bool, is_read_only: bool) -> None:
        run = self._database.execute
        (found,) = run("PRAGMA user_version").fetchone()
        if found > _FORMAT:
            raise SettingsError(_not_a_journal(None, f"format {found} is newer than this kit's"))
        if not is_read_only:
            run("PRAGMA journal_mode = WAL")
            run(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            with self.transaction():
                run(_TABLE.format(more="".join(f",\n    {column}" for column in self.columns)))
                run(_STATES)
                for index in self.indexes:
                    run(index)
                run(f"PRAGMA user_version = {_FORMAT}")
        run(_WANTED)

    def transaction(self) -> "Transaction":
        """Open a transaction."""
        return Transaction(self._database, self._lock)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def want_keys(self, rows: Iterable[tuple[str, str]]) -> None:
        """Take the keys of this run's requests, each with its request as JSON, in memory only."""
        with self._lock:
            self._database.execute("BEGIN")  # of the table in memory only
            try:
                self._database.executemany("INSERT OR IGNORE INTO wanted (key, planned) VALUES (?, ?)", rows)
            finally:
                self._database.execute("COMMIT")

    def recover(self, free: Iterable[str] = ()) -> None:
        """Decide on what was sent by a run that did not end.

        Args:
            free: Providers on this machine, where nothing is paid for.
        """
        with self.transaction() as run:
            for name in free:
                run.execute(
                    "UPDATE requests SET state = 'planned' WHERE state = 'sent' AND provider = ?", (name,)
                )
            message = "the run that sent it was ended before the answer came"
            run.execute(
                "UPDATE requests SET state = 'uncertain', message = ? WHERE state = 'sent'", (message,)
            )

    def counts(self) -> Mapping[State, int]:
        """Count the requests of this run by state; those that the journal does not have are planned."""
        rows = self.read(
            "SELECT COALESCE(state, 'planned'), COUNT(*) FROM wanted "
            "LEFT JOIN requests USING (key) GROUP BY 1"
        )
        return {State(state): number for state, number in rows}

    def messages(self, state: State, most: int) -> Mapping[str, int]:
        """Count the requests of this run in a state by what is wrong with them, the most frequent first."""
        rows = self.read(
            "SELECT message, COUNT(*) FROM wanted JOIN requests USING (key) WHERE state = ? "
            "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
            state,
            most,
        )
        return {str(message): number for message, number in rows}

    def spent_usd(self) -> float:
        """Return what all requests of the folder have cost, with those that may have, in US dollars."""
        ((total,),) = self.read("SELECT COALESCE(SUM(cost_usd + lost_usd), 0) FROM requests")
        return float(total)

    def send(self, key: str, provider: str, model: str, sent_at: str, price_usd: float) -> None:
        """Write that a request is about to be sent, and what it may cost.

        What an earlier try may have cost stays in the sum.
        """
        with self.transaction() as run:
            self.send_in(run, key, (provider, model, sent_at, price_usd))

    def send_in(self, run: sqlite3.Connection, key: str, asked: tuple[str, str, str, float]) -> None:
        """Write the same in a transaction: provider, model, time and price."""
        run.execute(
            "UPDATE requests SET state = 'sent', provider = ?, model = ?, sent_at = ?, "
            "lost_usd = lost_usd + cost_usd, cost_usd = ?, message = NULL, answer = NULL WHERE key = ?",
            (*asked, key),
        )

    def fail(self, key: str, message: str) -> None:
        """Write that nothing was done."""
        self.set_values(key, state=State.FAILED, cost_usd=0, message=message)

    def read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            return self._database.execute(sql, values).fetchall()

    def set_values(self, key: str, **values: object) -> None:
        """Write values of a request, as one step."""
        names = ", ".join(f"{name} = ?" for name in values)
        with self.transaction() as run:
            run.execute(f"UPDATE requests SET {names} WHERE key = ?", (*values.values(), key))


class Transaction:
    """One transaction at a time: committed at the end of the block, or undone."""

    def __init__(self, database: sqlite3.Connection, lock: threading.RLock) -> None:
        self._database, self._lock = database, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._database.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()


def _connect(path: Path | None, *, is_read_only: bool) -> sqlite3.Connection:
    """Open the database; one that is only read may be on a disk that cannot be written."""
    if path is None or not is_read_only:
        return sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        address = f"{path.absolute().as_uri()}?{mode}"
        database = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        try:
            database.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            database.close()
        except sqlite3.DatabaseError:
            return database  # the caller says what is wrong with it
        else:
            return database
    raise SettingsError(_not_a_journal(path, "it cannot be opened"))


def _not_a_journal(path: Path | None, why: str) -> Problem:
    return Problem(
        Reason.SETTINGS,
        f"the folder's journal cannot be read: {why}",
        file=str(path or ""),
        fix="give another --out; the journal says what was paid for, so keep it",
        code="run/generation-journal",
    )
