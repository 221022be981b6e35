"""SFHQ-T2I folders: `SFHQ_T2I_dataset.csv` beside the images it names.

The images may lie in `images/`, in `images/images/` (how Kaggle unpacks the archive) or beside the
table. Nothing is written to the folder, and no file outside it is opened: names in the table are
looked up in a listing of those three places, never joined to a path.
"""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from builders.file_kinds import tell_file_kind
from builders.files import real_path
from builders.sources.cells import find_infinite, looks_empty
from builders.sources.intake import ImageInput, ImageText, InputRow
from builders.sources.listing import ImageListing, check_name, list_files
from builders.sources.tables import open_delimited
from builders.sources.tables.delimited import require_columns
from builders.sources.tables.head import read_head
from builders.sources.tables.json_text import parse_json
from builders.sources.tables.rows import TableRow
from schemas.configs import Table
from schemas.generators import GENERATORS, OpenSettings
from schemas.problems import Place, Problem, Reason, SourceError, name_some, suggest
from schemas.records import TRAINED_ALGORITHMIC_MEDIA

TABLE_NAME = "SFHQ_T2I_dataset.csv"
COLUMNS = ("image_filename", "model_used", "text_prompt", "configs")
# Endings of files that may hold a table; of a packed one, the last ending.
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".gz", ".zip", ".xlsx", ".xls")
_MAX_NAMED = 5


class SfhqSource:
    """An SFHQ-T2I folder; see `builders.sources.intake.Source` for what it gives.

    Args:
        folder: The folder that holds the table.
        name: Name to publish it under.
        kind: Its key in `SOURCES`.
        digital_source_type: IPTC term for its images.
        notice: What the card must say of it first.
        null_texts: Prompts that mean that there is none, such as "nan".

    Raises:
        SourceError: The folder or its table cannot be read.
    """

    table = Table.IMAGES
    images = None

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        kind: str = "sfhq",
        digital_source_type: str = TRAINED_ALGORITHMIC_MEDIA,
        notice: str | None = None,
        null_texts: tuple[str, ...] = (),
    ) -> None:
        self.name, self.kind, self.notice = name, kind, notice
        self._digital_source_type, self._null_texts = digital_source_type, null_texts
        self._table = open_delimited(_find_table(folder))
        self._listing = ImageListing(folder)
        self.sha256 = f"{self._table.sha256} {null_texts}" if null_texts else self._table.sha256
        self.table_problems = require_columns(self._table, COLUMNS)
        self.num_rows = self._table.num_rows

    def rows(self) -> Iterator[InputRow]:
        """Yield every row of the table in order, then every stray image by name."""
        named: set[str] = set()
        for row in self._table.rows():
            named.add(str(row.cells.get("image_filename", "")))
            yield self._input_row(row)
        for name in self._listing.names_without(named):
            yield self._stray_image(name)

    def _input_row(self, row: TableRow) -> InputRow:
        name = str(row.cells.get("image_filename", ""))
        image, text, problems = None, None, list(row.problems)
        if not problems:
            text, text_problems = _type_cells(
                row, self._table.name, self._digital_source_type, self._null_texts
            )
            image, image_problems = self._find_image(row)
            problems = [*text_problems, *image_problems]
        content = ImageInput(image, text)
        return InputRow(self.name, self._table.name, row.number, row.raw, name, content, tuple(problems))

    def _find_image(self, row: TableRow) -> tuple[Path | None, list[Problem]]:
        name = str(row.cells["image_filename"])
        fault = check_name(name) or self._listing.fault(name)
        if fault is None:
            return self._listing.path(name), []
        place = Place(file=self._table.name, row=row.number, column="image_filename")
        return None, [place.problem(fault.reason, fault.message, value=name, fix=fault.fix)]

    def _stray_image(self, name: str) -> InputRow:
        message = f"no row of {self._table.name} names this image"
        fix = "add a row for it, or move it out of the folder"
        problem = Problem(Reason.IMAGE_WITHOUT_ROW, message, file=name, fix=fix)
        return InputRow(self.name, name, None, "", name, ImageInput(None, None), (problem,))


def _find_table(folder: Path) -> Path:
    """Find the folder's table: the one with upstream's name, or else the only CSV file there is."""
    at = partial(Problem, Reason.SOURCE, file=str(folder))
    if folder.is_file():
        raise SourceError(_not_a_folder(folder))
    if not folder.is_dir():
        raise SourceError(at("there is no such folder", fix="check the path"))
    tables = list_files(folder, (".csv",))
    named = folder / TABLE_NAME
    is_named = os.path.lexists(named)  # a folder, a pipe or a broken link, too: opening it says what it is
    if is_named or len(tables) == 1:
        table = named if is_named else tables[0]
        if not real_path(table).is_relative_to(real_path(folder)):
            raise SourceError(at(f"{table.name} is a link that leaves the folder", fix="put the table there"))
        return table
    raise SourceError(at(f"the folder has no {TABLE_NAME}", fix=_advise(folder, tables)))


def _not_a_folder(path: Path) -> Problem:
    """Say what a file is that was given as a folder, and what to do."""
    kind = tell_file_kind(read_head(path))
    message = f"this is {kind.what if kind else 'a file'}, and not a folder"
    is_table = kind is None and path.suffix.lower() in _TABLE_SUFFIXES
    fix = f"give the folder that has it, {path.parent}" if is_table else "unpack it, and give the folder"
    return Problem(Reason.SOURCE, message, file=str(path), fix=fix)


def _advise(folder: Path, tables: Sequence[Path]) -> str:
    """Say what to do about a folder without a table: the table is often one folder below or above."""
    below = [path for path in _list_below(folder) if path.is_dir() and list_files(path, (".csv",))]
    if not tables and below:
        return f"give a folder below it that has one: {name_some(map(str, below), _MAX_NAMED)}"
    if not tables and (folder.absolute().parent / TABLE_NAME).is_file():
        return f"give the folder above it, which has one: {folder.absolute().parent}"
    if tables:
        found = f"it has {name_some((path.name for path in tables), _MAX_NAMED)}"
        return f"{found}; name the table of the images {TABLE_NAME}"
    others = list_files(folder, _TABLE_SUFFIXES)
    if others:
        found = f"it has no CSV file, but {name_some((path.name for path in others), _MAX_NAMED)}"
        return f"{found}; write a table with the columns {','.join(COLUMNS)}"
    return "it has no CSV file; put the table beside its images"


def _list_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def _type_cells(
    row: TableRow, table: str, digital_source_type: str, null_texts: tuple[str, ...]
) -> tuple[ImageText | None, list[Problem]]:
    """Type the cells of a row; say everything that is wrong with them."""
    generator, prompt, config = (str(row.cells[name]) for name in ("model_used", "text_prompt", "configs"))
    at = partial(Problem, file=table, row=row.number)
    if generator not in GENERATORS:
        fix = f"{suggest(generator, GENERATORS)}; a new one is one line in schemas/generators.py"
        unknown = at(
            Reason.UNKNOWN_GENERATOR,
            "this is not a known generator",
            column="model_used",
            value=generator,
            fix=fix,
        )
        return None, [unknown]
    # Reject the whole row for one wrong setting: its provenance is in doubt. Keep unknown keys, because
    # providers add keys.
    settings, problems = _type_settings(generator, config, table, row.number)
    if not prompt.strip() or prompt.strip() in null_texts:
        message = "the prompt is empty, and published as null"
        value, fix = prompt or None, "nothing, if there was no prompt; else write it"
        problems.append(at(Reason.EMPTY_PROMPT, message, column="text_prompt", value=value, fix=fix))
        prompt = ""
    elif looks_empty(prompt):
        message = "the prompt looks like a missing one, and is published as it is"
        fix = f"for null, write null_texts = [{prompt.strip()!r}] under this source in release.toml"
        problems.append(at(Reason.LOOKS_EMPTY, message, column="text_prompt", value=prompt, fix=fix))
    original = getattr(settings, "orig_prompt", None)
    text = ImageText(prompt or None, original, generator, settings, config or None, digital_source_type)
    return text, problems


def _type_settings(
    generator: str, config: str, table: str, row: int
) -> tuple[OpenSettings | None, list[Problem]]:
    """Type the `configs` cell by its generator's model."""
    at = partial(Problem, file=table, row=row)
    if not config:
        message = "the settings are empty, and published as null"
        fix = "nothing, if they are not known; else write them as a JSON object"
        return None, [at(Reason.EMPTY_CONFIG, message, column="configs", fix=fix)]
    try:
        said = _parse_json_object(config)
        # Settings are published as they came, and readers of JSON differ on such numbers.
        if places := find_infinite(said):
            message, fix = "the number is too large to be a finite number", "correct the value, or write null"
            return None, [
                at(Reason.BAD_CONFIG, message, column=f"configs.{place}", value=config, fix=fix)
                for place in places
            ]
        settings = GENERATORS[generator].settings.model_validate(said)
    except ValidationError as error:
        fix = "correct the value; schemas/generators.py has each setting's type and range"
        return None, [
            at(
                Reason.BAD_CONFIG,
                detail["msg"],
                column=".".join(map(str, ("configs", *detail["loc"]))),
                value=repr(detail["input"]),
                fix=fix,
            )
            for detail in error.errors()
        ]
    except ValueError as error:
        message, fix = f"the settings are not a JSON object: {error}", 'write one, such as {"seed": 1}'
        return None, [at(Reason.BAD_CONFIG, message, column="configs", value=config, fix=fix)]
    message, fix = f"{generator} has no such setting; it is kept in `extras`", "nothing, if it is right"
    return settings, [
        at(Reason.UNKNOWN_SETTING, message, column=f"configs.{key}", value=repr(value), fix=fix)
        for key, value in settings.extras.items()
    ]


def _parse_json_object(text: str) -> dict[str, object]:
    """Parse JSON strictly; see `parse_json`.

    Raises:
        ValueError: It is not one object.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"it is a {type(value).__name__}")
    return value
