"""Exclusions: the maintainer's list of images that are not published, each with the reason.

Nothing else ever removes an image. A list that cannot be read in full stops the run, since it would leave
in what the maintainer wanted out.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from builders.sources.tables import TableRow, open_table
from builders.sources.tables.delimited import DelimitedTable, require_columns
from schemas.problems import Problem, Reason, SourceError

COLUMNS = ("image", "reason")
_UNREADABLE = "correct the row: a list that cannot be read in full excludes nothing"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One row of the list: an image, as `builders.catalog.references` takes it, and why it is excluded."""

    row: int
    image: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exclusions:
    """The list as it was read; `problems` are those of its header that stop nothing."""

    file: str
    sha256: str
    rows: tuple[Exclusion, ...]
    problems: tuple[Problem, ...] = ()


def read_exclusions(path: Path) -> Exclusions:
    """Read a CSV or TSV with the columns `image` and `reason`.

    Raises:
        SourceError: It is no such table, or a row is broken, names no image or gives no reason; every problem
            at once.
    """
    table = open_table(path)
    if not isinstance(table, DelimitedTable):
        message, fix = "the list of exclusions is not CSV", f"its first row must be {','.join(COLUMNS)}"
        raise SourceError(Problem(Reason.SOURCE, message, file=table.name, fix=fix))
    noted = require_columns(table, COLUMNS)
    rows: list[Exclusion] = []
    problems: list[Problem] = []
    for row in table.rows():
        found = [*_problems(table.name, row)]
        problems += found
        if not found:
            image, reason = (str(row.cells[name]).strip() for name in COLUMNS)
            rows.append(Exclusion(row.number, image, " ".join(reason.split())))
    if problems:
        raise SourceError(problems)
    return Exclusions(table.name, table.sha256, tuple(rows), noted)


def write_exclusions(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a list that `read_exclusions` reads.

    Args:
        path: The CSV file.
        rows: Image id and reason of each image.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)


def _problems(file: str, row: TableRow) -> Iterator[Problem]:
    """Return the problems of a row; each one stops the run."""
    if row.problems:
        for problem in row.problems:
            yield replace(problem, reason=Reason.SOURCE, fix=problem.fix or _UNREADABLE)
        return
    at = partial(Problem, Reason.SOURCE, file=file, row=row.number)
    image, reason = (str(row.cells[name]).strip() for name in COLUMNS)
    if not image:
        fix = "write its file name or its image id, or remove the row"
        yield at("the row names no image", column="image", value=reason, fix=fix)
    if not reason:
        fix = "say why, in a few words: those who ask later have nothing else"
        yield at("the image is excluded without a reason", column="reason", value=image, fix=fix)
