"""The cells of one row, taken out by type; everything that is wrong with them is gathered."""

import ast
import json
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import UTC, date, datetime
from typing import Any

from builders.sources.tables import TableRow
from builders.sources.tables.json_rows import parse_json
from schemas.problems import Problem, Reason

# How pandas, R, SQL and spreadsheets write that a cell is empty.
_EMPTY_WORDS = frozenset(("nan", "na", "n/a", "#n/a", "<na>", "nat", "null", "none", "nil", "(null)", "\\n"))
_MAX_LITERAL_CHARS = 1_000_000
# Python warns of an escape in such a text that it does not know, with no file and no row.
warnings.filterwarnings("ignore", module="<unknown>")
_LARGE_NUMBER = re.compile(r"\d[eE]\+?\d{2}|\d{100}")
_MISSING_COMMA = re.compile(r"(['\"])\s+(['\"])")  # numpy writes ['a' 'b'], which Python reads as 'ab'


class Cells:
    """The cells of one row.

    Args:
        row: The row; a struct's fields are also found by dotted names, such as `images.prompt`.
        file: Name of the table, for problems.

    Attributes:
        problems: What is wrong with the cells that have been taken, and with the row as text.
    """

    def __init__(self, row: TableRow, file: str) -> None:
        self._values = dict(_flatten(row.cells))
        self._file, self._number = file, row.number
        self.problems: list[Problem] = list(row.problems)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of this row; a struct stands for its fields, by dotted names."""
        return tuple(self._values)

    def first(self, names: Iterable[str]) -> str | None:
        """Return the first of some columns that this row has, or None."""
        return next((name for name in names if name in self._values), None)

    def value(self, column: str) -> object:
        """Return a cell unchanged; None if it is empty or missing."""
        value = self._values.get(column)
        return None if isinstance(value, str) and not value else value

    def text(self, column: str, *, required: bool = False) -> str | None:
        """Take a text; a number stands for its digits."""
        value = self.value(column)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value
        if value is not None and not isinstance(value, str):
            self.wrong(column, f"the cell holds a {type(value).__name__}, not a text", "write a text")
        elif required:
            self.wrong(column, "the cell is empty or missing", "fill it in")
        return None

    def number(self, column: str, low: float | None = None, high: float | None = None) -> float | None:
        """Take a finite number within limits; text in digits stands for one."""
        value = self.value(column)
        if value is None:
            return None
        try:
            number = float(value) if isinstance(value, int | float | str) else None
        except (ValueError, OverflowError):
            number = None
        if number is None or isinstance(value, bool) or number != number or abs(number) == float("inf"):  # noqa: PLR0124
            self.wrong(column, "the cell is not a number", "write a number, or leave it empty")
            return None
        if (low is not None and number < low) or (high is not None and number > high):
            self.wrong(column, f"the number is not between {low:,} and {high:,}", "correct it")
            return None
        return number

    def count(self, column: str) -> int:
        """Take a whole number from 0 to a million; an empty cell is 0."""
        number = self.number(column, 0, 1_000_000)
        if number is not None and not number.is_integer():
            self.wrong(column, "the number of votes is not whole", "correct it")
            return 0
        return int(number or 0)

    def items(self, column: str) -> list[Any] | None:
        """Take a list; in a table of text, as JSON or as Python writes one."""
        value = self.literal(column)
        if value is None or isinstance(value, list):
            return value
        self.wrong(column, "the cell is not a list", 'write one, such as ["image_1", "image_2"]')
        return None

    def literal(self, column: str) -> object:
        """Return a cell as `value` does, with a list or an object parsed where its text stands for one."""
        return parse_literal(self.value(column))

    def member(self, column: str) -> "Cells | None":
        """Return the cells of an object in a cell, or None; their problems are gathered here."""
        prefix = f"{column}."
        values = {name.removeprefix(prefix): v for name, v in self._values.items() if name.startswith(prefix)}
        if not values:
            return None
        inner = copy(self)
        inner._values = values
        return inner

    def wrong(self, column: str, message: str, fix: str, reason: Reason = Reason.BAD_VALUE) -> None:
        """Gather a problem with a cell."""
        value = self._values.get(column)
        shown = value if isinstance(value, str) or value is None else plain_json(value)
        self.problems.append(
            Problem(reason, message, file=self._file, row=self._number, column=column, value=shown, fix=fix)
        )

    def extras(self, values: Mapping[str, object]) -> str | None:
        """Write some cells as a JSON object, None if there are none; JSON has neither NaN nor infinity.

        A number that is not finite becomes null, with a warning.
        """
        message, fix = "a number is not finite, and is published as null", "write a number or null"
        for column in (name for name, value in values.items() if find_infinite(value)):
            self.wrong(column, message, fix, Reason.NUMBER_NOT_FINITE)
        return plain_json(_finite(values)) if values else None

    def others(self, known: Iterable[str]) -> dict[str, object]:
        """Return the cells that are not among some columns and not empty."""
        left = self._values.keys() - set(known)
        return {name: self._values[name] for name in sorted(left) if self.value(name) is not None}


def settle_prompt(
    prompt: str | None, null_texts: Sequence[str]
) -> tuple[str | None, tuple[Reason, str, str] | None]:
    """Return the prompt to publish, and what to note of it.

    Args:
        prompt: As the row has it.
        null_texts: Prompts that mean that there is none.

    Returns:
        The prompt, None if there is none; reason, message and fix of a warning, or None.
    """
    if prompt is None or not prompt.strip() or prompt.strip() in null_texts:
        fix = "nothing, if there was no prompt; else write it"
        return None, (Reason.EMPTY_PROMPT, "the prompt is empty, and published as null", fix)
    if looks_empty(prompt):
        message = "the prompt looks like a missing one, and is published as it is"
        fix = f"for null, write null_texts = [{prompt.strip()!r}] under this source in release.toml"
        return prompt, (Reason.LOOKS_EMPTY, message, fix)
    return prompt, None


def looks_empty(text: str) -> bool:
    """Return whether a text is a word by which programs write that there is none, such as nan or N/A."""
    return text.strip().casefold() in _EMPTY_WORDS


def parse_literal(value: object) -> object:
    """Parse text that stands for a list or object, as JSON or as Python writes it; give the rest as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{") or len(value) > _MAX_LITERAL_CHARS:
        return value
    try:
        return parse_json(value)
    except (ValueError, RecursionError):
        pass
    try:
        parsed = ast.literal_eval(_MISSING_COMMA.sub(r"\1, \2", value.strip()))
        return parse_json(json.dumps(parsed, ensure_ascii=False))  # refuses what no text should have
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return value


def plain_json(value: object) -> str:
    """Write a value as JSON; bytes as their number, dates as ISO text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_plain)


def may_be_infinite(text: str) -> bool:
    """Return whether JSON may hold a number too large for a float; most texts have none such."""
    return _LARGE_NUMBER.search(text) is not None


def find_infinite(value: object, place: str = "") -> list[str]:
    """List the dotted places in a value at which a number is NaN or infinite, such as 1e999."""
    if isinstance(value, float):
        return [] if math.isfinite(value) else [place]
    members: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        members = value.items()
    elif isinstance(value, list | tuple):
        members = enumerate(value)
    return [
        found
        for key, each in members
        for found in find_infinite(each, f"{place}.{key}" if place else str(key))
    ]


def _finite(value: object) -> object:
    """Copy a value with null for each number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value.isoformat() if isinstance(value, date) else str(value)


def _flatten(cells: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in cells.items():
        dotted = f"{prefix}{name}"
        nested = parse_literal(value) if isinstance(value, str) and value[:1] == "{" else value
        if isinstance(nested, dict):
            yield from _flatten(nested, f"{dotted}.")
        else:
            yield dotted, value


def in_utc(text: str) -> str | None:
    """Write a time as 2026-11-29T22:56:01.250Z; None if it is none. A time without a zone is in UTC."""
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter at the ends of the calendar
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
