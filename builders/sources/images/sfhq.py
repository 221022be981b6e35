"""SFHQ-T2I folders: `SFHQ_T2I_dataset.csv` beside the images it names.

The images may be in `images/`, in `images/images/` (how Kaggle unpacks the archive), beside the table, or in
folders below. Nothing is written to the folder, and no file outside it is opened: names in the table are
looked up in a listing, never joined to a path.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builders.file_kinds import tell_file_kind
from builders.files import real_path
from builders.images.files import ImageFile
from builders.sources.images.rows import (
    asked_prompt,
    digital_source_type_of,
    find_image,
    parse_settings,
    read_prompt,
    stray_image,
    unknown_generator,
)
from builders.sources.intake import ImageInput, ImageText, InputRow, SourceOptions
from builders.sources.listing import FolderListing, Listing, list_files
from builders.sources.tables import open_delimited
from builders.sources.tables.delimited import require_columns
from builders.sources.tables.head import read_head
from builders.sources.tables.rows import TableRow
from schemas.configs import Table
from schemas.generators import OpenSettings, find_generator
from schemas.problems import Place, Problem, Reason, SourceError, name_some

TABLE_NAME = "SFHQ_T2I_dataset.csv"
COLUMNS = ("image_filename", "model_used", "text_prompt", "configs")
# Endings of files that may hold a table; of a packed one, the last ending.
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".gz", ".zip", ".xlsx", ".xls")
_MAX_NAMED = 5
_NO_OPTIONS = SourceOptions()


@dataclass(frozen=True, slots=True)
class Origin:
    """What the images of a table are.

    Attributes:
        kind: Key in `SOURCES`, with the form where there are several.
        digital_source_type: IPTC term; None for that of each image's generator.
        notice: What the card must say first.
    """

    kind: str
    digital_source_type: str | None = None
    notice: str | None = None


_SFHQ = Origin("sfhq")


class SfhqSource:
    """An SFHQ-T2I table and its images; see `builders.sources.intake.Source` for what it gives.

    Args:
        table: The table.
        listing: The images.
        name: Name to publish it under.
        options: What the maintainer says of it.
        origin: What its images are.

    Raises:
        SourceError: The table cannot be read.
    """

    table = Table.IMAGES
    images = None

    def __init__(
        self,
        table: Path,
        listing: Listing,
        name: str,
        options: SourceOptions = _NO_OPTIONS,
        origin: Origin = _SFHQ,
    ) -> None:
        self.name, self.kind, self.notice = name, origin.kind, origin.notice
        self._options, self._listing = options, listing
        self._digital_source_type = origin.digital_source_type
        self._table = open_delimited(table)
        null_texts = options.null_texts
        self.sha256 = f"{self._table.sha256} {null_texts}" if null_texts else self._table.sha256
        self.table_problems = require_columns(self._table, COLUMNS)
        self.num_rows = self._table.num_rows

    def rows(self) -> Iterator[InputRow]:
        """Yield every row of the table in order, then every stray image by name."""
        named: set[str] = set()
        for row in self._table.rows():
            named.add(str(row.cells.get("image_filename", "")))
            yield self._input_row(row)
        for name in self._listing.strays(named):
            yield stray_image(self.name, name, self._table.name)

    def _input_row(self, row: TableRow) -> InputRow:
        name = str(row.cells.get("image_filename", ""))
        image: ImageFile | None = None
        text, problems = None, list(row.problems)
        if not problems:
            text, text_problems = self._type_cells(row)
            place = Place(file=self._table.name, row=row.number, column="image_filename")
            image, image_problems = find_image(self._listing, name, place)
            problems = [*text_problems, *image_problems]
        content = ImageInput(image, text)
        name = self._listing.canonical(name)
        return InputRow(self.name, self._table.name, row.number, row.raw, name, content, tuple(problems))

    def _type_cells(self, row: TableRow) -> tuple[ImageText | None, list[Problem]]:
        """Type the cells of a row; say everything that is wrong with them."""
        name, prompt, config = (str(row.cells[column]) for column in COLUMNS[1:])
        table, options = self._table.name, self._options
        generator = find_generator(name, options.generators)
        if generator is None:
            problem = unknown_generator(
                name, options.generators, file=table, row=row.number, column="model_used"
            )
            return None, [problem]
        settings: OpenSettings | None = None
        if config:
            settings, problems = parse_settings(generator, config, table, row.number)
        else:
            message = "the settings are empty, and published as null"
            fix = "nothing, if they are not known; else write them as a JSON object"
            at = partial(Problem, Reason.EMPTY_CONFIG, file=table, row=row.number, column="configs", fix=fix)
            problems = [at(message)]
        knows_keys = generator.settings is not OpenSettings  # else it is a declared generator
        problems += [
            Problem(
                Reason.UNKNOWN_SETTING,
                f"{name} has no such setting; it is kept in `extras`",
                file=table,
                row=row.number,
                column=f"configs.{key}",
                value=repr(value),
                fix="nothing, if it is right",
            )
            for key, value in (settings.extras if settings and knows_keys else {}).items()
        ]
        said, noted = read_prompt(prompt, "text_prompt", table, row.number, options.null_texts)
        source_type = self._digital_source_type or digital_source_type_of(generator)
        text = ImageText(said, asked_prompt(settings), name, settings, config or None, source_type)
        return text, [*problems, *noted]


def open_sfhq_folder(folder: Path, name: str, options: SourceOptions = _NO_OPTIONS) -> SfhqSource:
    """Open an SFHQ-T2I folder.

    Raises:
        SourceError: The folder or its table cannot be read.
    """
    return SfhqSource(find_table(folder), FolderListing(folder), name, options)


def find_table(folder: Path) -> Path:
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
