"""Image folders: images with a table `metadata.jsonl`, `metadata.csv` or `metadata.parquet`, or without.

The layout is that of `imagefolder` in datasets (https://huggingface.co/docs/datasets/image_dataset): column
`file_name` has each image's path below the table's folder. Folders below may have tables of their own.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.sources.images.img2dataset import FailedDownloads
from builders.sources.images.rows import (
    IMAGE_COLUMNS,
    Roles,
    ask_for_generator,
    check_generator,
    choose_roles,
    describe_image,
    find_image,
    stray_image,
)
from builders.sources.intake import ImageInput, ImageText, InputRow, SourceOptions
from builders.sources.listing import METADATA_NAMES, Listing
from builders.sources.tables import Table, TableRow, open_table
from schemas.configs import Table as TableName
from schemas.problems import Place, Problem, Reason, SourceError
from schemas.records import TRAINED_ALGORITHMIC_MEDIA

_CAPTIONS = ("caption", "captions", "text")


@dataclass(frozen=True, slots=True)
class _Metadata:
    """A table of images, its path below the source, the folder that its names start from, and its columns."""

    table: Table
    path: str
    folder: str
    roles: Roles


class ImageFolderSource:
    """A folder of images; see `builders.sources.intake.Source` for what it gives.

    Args:
        listing: Its images.
        name: Name to publish it under.
        options: What the maintainer says of it.
        kind: Its key in `SOURCES`, with its form.

    Raises:
        SourceError: It has no images, a table cannot be read, or nothing says which model made the images.
    """

    table = TableName.IMAGES
    notice = None
    images = None

    def __init__(self, listing: Listing, name: str, options: SourceOptions, kind: str) -> None:
        self.name, self.kind, self._listing, self._options = name, kind, listing, options
        check_generator(options, listing.place)
        self.table_problems: tuple[Problem, ...] = ()
        paths = listing.find(METADATA_NAMES)
        _refuse_two_in_one_folder(paths)
        self._tables = [self._open(path) for path in paths]
        if len(self._tables) == 1:
            self._tables = [_without_captions(self._tables[0], self._caption_columns)]
        # The images of img2dataset's layout "files" are in folders, each with a table beside it.
        folder = Path(listing.place)
        below = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        self._failures = FailedDownloads([] if self._tables else sorted(below))
        strays = [] if self._tables else list(listing.strays())
        if not self._tables and not strays:
            message, fix = "the folder has no images", "check the path"
            raise SourceError(Problem(Reason.SOURCE, message, file=listing.place, fix=fix))
        if not self._tables and options.generator is None:
            raise SourceError(ask_for_generator(listing.place))
        self.num_rows = sum(each.table.num_rows for each in self._tables) or len(strays)
        said = " ".join(each.table.sha256 for each in self._tables)
        said += self._failures.sha256
        self.sha256 = f"{hashlib.sha256(said.encode()).hexdigest()} {options.fingerprint}"

    def rows(self) -> Iterator[InputRow]:
        """Yield every row of every table in order, then every image that no row names."""
        if not self._tables:
            for number, name in enumerate(self._listing.strays(), 1):
                yield self._row_without_table(number, name)
            yield from self._failures.rows(self.name)
            return
        named: set[str] = set()
        for metadata in self._tables:
            for row in metadata.table.rows():
                name = self._name(metadata, row)
                named.add(name)
                yield self._input_row(metadata, row, name)
        for name in self._listing.strays(named):
            yield stray_image(self.name, name, "the metadata")

    @property
    def caption_table(self) -> Path | None:
        """The only table, if a column of it is of captions and not the prompt."""
        if len(self._tables) != 1:
            return None
        (metadata,) = self._tables
        others = set(self._caption_columns) & set(metadata.table.columns) - {metadata.roles.prompt}
        return self._listing.open(metadata.path) if others else None

    @property
    def _caption_columns(self) -> Sequence[str]:
        named = self._options.columns.get("caption")
        return (named,) if named else _CAPTIONS

    def _open(self, path: str) -> _Metadata:
        table = open_table(self._listing.open(path))
        roles = choose_roles(table, self._options, IMAGE_COLUMNS)
        if roles.image is None:
            message = "no column names an image"
            fix = f"the table has {', '.join(table.columns)}; rename one to file_name"
            raise SourceError(Problem(Reason.SOURCE, message, file=path, fix=fix))
        return _Metadata(table, path, path.rpartition("/")[0], roles)

    def _name(self, metadata: _Metadata, row: TableRow) -> str:
        name = str(row.cells.get(metadata.roles.image or "") or "").removeprefix("./")
        return f"{metadata.folder}/{name}" if metadata.folder and name else name

    def _input_row(self, metadata: _Metadata, row: TableRow, name: str) -> InputRow:
        text: ImageText | None = None
        file, problems = None, list(row.problems)
        if not problems:
            text, problems = describe_image(row, metadata.path, metadata.roles, self._options)
            place = Place(file=metadata.path, row=row.number, column=metadata.roles.image)
            file, wrong = find_image(self._listing, name, place)
            problems = [*problems, *wrong]
        content = ImageInput(file, text)
        name = self._listing.canonical(name)
        return InputRow(self.name, metadata.path, row.number, row.raw, name, content, tuple(problems))

    def _row_without_table(self, number: int, name: str) -> InputRow:
        file, problems = find_image(self._listing, name, Place(file=name))
        generator = str(self._options.generator)
        text = ImageText(None, None, generator, None, None, TRAINED_ALGORITHMIC_MEDIA)
        content = ImageInput(file, text)
        return InputRow(self.name, name, number, "", name, content, tuple(problems))


def _without_captions(metadata: _Metadata, columns: Sequence[str]) -> _Metadata:
    """Return a table whose columns of captions, which are read as such, are no settings of the image."""
    ignored = metadata.roles.ignored | (set(columns) - {metadata.roles.prompt})
    return replace(metadata, roles=replace(metadata.roles, ignored=ignored))


def _refuse_two_in_one_folder(paths: Sequence[str]) -> None:
    """Refuse two tables in one folder, such as metadata.csv and metadata.jsonl.

    Raises:
        SourceError: There are such.
    """
    folders = [path.rpartition("/")[0] for path in paths]
    problems = [
        Problem(
            Reason.SOURCE,
            "the folder has more than one table of metadata",
            file=path,
            fix="keep one of them, or move the other away",
        )
        for path, folder in zip(paths, folders, strict=True)
        if folders.count(folder) > 1
    ]
    if problems:
        raise SourceError(problems)
