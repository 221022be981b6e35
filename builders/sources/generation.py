"""What was asked for: `generation.jsonl` in an SFHQ folder, one request and its answer on each line.

The file comes from other programs, or from people, as well as from `sfhq generate`. So each line is checked
against `schemas.generation.GenerationRecord`, and one that does not fit is a rejected row.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from builders.files import real_path
from builders.sources.cells import in_utc
from builders.sources.intake import GenerationInput, InputRow
from builders.sources.tables.head import read_head, refuse_others
from builders.sources.tables.json_text import JsonTable
from builders.sources.tables.rows import TableRow
from schemas.configs import Table
from schemas.generation import GENERATION_FILE, GenerationRecord
from schemas.problems import Place, Problem, Reason, SourceError

# Prompt and revised prompt have at most 10,000 characters each, and a grammar has tens of attributes.
MAX_LINE_BYTES = 1 << 20
_MAX_PROBLEMS = 20  # of one line: a list may have thousands of wrong items
_FIX = "correct it; schemas/generation.py has each key's type"


class GenerationSource:
    """A file of requests and answers; see `builders.sources.intake.Source` for what it gives.

    Args:
        path: The file.
        name: Name to publish it under.
        of: Name of the source whose images it names.

    Raises:
        SourceError: It cannot be read, or is no text.
    """

    table = Table.GENERATION
    kind = "sfhq/generation"
    notice = None
    images = None

    def __init__(self, path: Path, name: str, of: str) -> None:
        refuse_others(path, read_head(path))
        self.name, self._of = name, of
        self.table_problems: tuple[Problem, ...] = ()
        self._table = JsonTable(path, max_chars=MAX_LINE_BYTES, is_lines=True)
        self.sha256, self.num_rows = self._table.sha256, self._table.num_rows

    def rows(self) -> Iterator[InputRow]:
        """Yield every line in order."""
        for row in self._table.rows():
            content, problems = None, row.problems
            if not problems:
                record, problems = read_record(row, self._table.name)
                if record is not None:
                    # The column is not published, so `text` is without it.
                    text = record.model_copy(update={"image_filename": None})
                    content = GenerationInput(record.image_filename, self._of, text)
            names = (row.cells.get(key) for key in ("image_filename", "request_key"))
            name = next((name for name in names if isinstance(name, str) and name), "")
            yield InputRow(self.name, self._table.name, row.number, row.raw, name, content, problems)


def open_generation(folder: Path, name: str) -> tuple[GenerationSource, ...]:
    """Open the file of requests of an SFHQ folder; a folder without one has no such source.

    Args:
        folder: The folder.
        name: Name of the source of its images.

    Raises:
        SourceError: The file cannot be read, or is a link that leaves the folder.
    """
    path = folder / GENERATION_FILE
    if not os.path.lexists(path):  # a broken link is there, and opening it says what it is
        return ()
    if not real_path(path).is_relative_to(real_path(folder)):
        message, fix = f"{GENERATION_FILE} is a link that leaves the folder", "put the file there"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(folder), fix=fix))
    return (GenerationSource(path, name_generation(name), name),)


def name_generation(name: str) -> str:
    """Return the name of the source of requests beside a source of images."""
    return f"{name}-generation"


def read_record(row: TableRow, file: str) -> tuple[GenerationRecord | None, tuple[Problem, ...]]:
    """Return the record of a line that is a JSON object, or what is wrong with it.

    Its time is in UTC, in one form, so that times sort as texts.
    """
    at = Place(file=file, row=row.number)
    try:
        record = GenerationRecord.model_validate_json(row.raw, strict=True)
    except ValidationError as error:
        details = islice(error.errors(include_url=False, include_context=False), _MAX_PROBLEMS)
        return None, tuple(
            at.problem(
                Reason.BAD_VALUE,
                detail["msg"],
                column=".".join(map(str, detail["loc"])),
                # Of a key that is missing, pydantic gives the whole line.
                value=None if detail["type"] == "missing" else _shown(detail["input"]),
                fix=_FIX,
            )
            for detail in details
        )
    problems = []
    if (record.status == "delivered") != (record.image_filename is not None):
        message = "a delivered image has a file name, and a refused request has none"
        fix = "write the image's file name, or null with the status refused"
        problems.append(
            at.problem(
                Reason.BAD_VALUE, message, column="image_filename", value=record.image_filename, fix=fix
            )
        )
    time = record.requested_at and in_utc(record.requested_at)
    if record.requested_at is not None and not time:
        message, fix = "this is not a time", "write it in ISO 8601, such as 2026-11-29T22:56:01Z, or null"
        column = "requested_at"
        problems.append(
            at.problem(Reason.BAD_VALUE, message, column=column, value=record.requested_at, fix=fix)
        )
    if problems:
        return None, tuple(problems)
    return record.model_copy(update={"requested_at": time}), ()


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
