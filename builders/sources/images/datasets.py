"""Images inside of tables, as `datasets` writes them: Parquet files, and folders of `save_to_disk`.

A column of images is a struct of `bytes` and `path`, or bytes alone (img2dataset's Parquet). Images in Arrow
files are read where they are. Parquet must be decoded, so its images are kept in files during a build.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from builders.images.files import ImageFile
from builders.sources.images.img2dataset import check_status
from builders.sources.images.rows import IMAGE_COLUMNS, Roles, check_generator, choose_roles, describe_image
from builders.sources.intake import ImageInput, ImageText, InputRow, SourceOptions
from builders.sources.listing import METADATA_NAMES, list_files
from builders.sources.tables import Table, TableRow
from builders.sources.tables.arrow import ArrowTable, is_arrow, is_image_type
from builders.sources.tables.head import read_head
from builders.sources.tables.json_rows import parse_json
from builders.sources.tables.parquet import ParquetTable, read_schema
from schemas.configs import Table as TableName
from schemas.problems import Problem, Reason, SourceError

_BYTES_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes")
_KEYS = ("key", "__key__", "id", "image_id")
_STATE_NAME, _SPLITS_NAME = "state.json", "dataset_dict.json"
_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp"}
_FIX = "save the dataset again"


@dataclass(frozen=True, slots=True)
class _ImageTable:
    """A file, its columns' roles, and the columns that may name an image."""

    table: Table
    roles: Roles
    names: tuple[str, ...]


class DatasetsSource:
    """Tables with images; see `builders.sources.intake.Source` for what it gives.

    Args:
        paths: The files, in order.
        name: Name to publish it under.
        options: What the maintainer says of it.

    Raises:
        SourceError: A file is damaged, or it cannot be told which column has the images or the prompt.
    """

    table = TableName.IMAGES
    notice = None
    images = None

    def __init__(self, paths: Sequence[Path], name: str, options: SourceOptions) -> None:
        self.name, self.kind, self._options = name, "images/datasets", options
        check_generator(options, name)
        self.table_problems: tuple[Problem, ...] = ()
        self._tables = [self._open(path) for path in paths]
        self.num_rows = sum(each.table.num_rows for each in self._tables)
        said = " ".join(f"{each.table.name} {each.table.sha256}" for each in self._tables)
        self.sha256 = f"{hashlib.sha256(said.encode()).hexdigest()} {options.fingerprint}"

    def rows(self) -> Iterator[InputRow]:
        """Yield every row of every file, in order."""
        seen: set[str] = set()
        for each in self._tables:
            for row in each.table.rows():
                yield self._input_row(each, row, seen)

    def _open(self, path: Path) -> _ImageTable:
        table = ArrowTable(path) if is_arrow(read_head(path)) else ParquetTable(path)
        wanted = self._options.columns.get("image")
        columns = (wanted,) if wanted else image_columns(table.schema)
        if len(columns) != 1:
            choices = " or ".join(f'columns = {{ image = "{column}" }}' for column in columns)
            message = "several columns have images" if columns else "no column has images"
            fix = f"say which under this source in release.toml: {choices}" if columns else _FIX
            raise SourceError(Problem(Reason.SOURCE, message, file=path.name, fix=fix))
        roles = choose_roles(table, self._options, columns)
        names = tuple(name for name in IMAGE_COLUMNS if name in table.columns and name != columns[0])
        roles = replace(roles, ignored=roles.ignored | set(names))
        return _ImageTable(table, roles, names)

    def _input_row(self, table: _ImageTable, row: TableRow, seen: set[str]) -> InputRow:
        file = table.table.name
        text: ImageText | None = None
        image, problems = None, list(row.problems)
        data, path = _split(row.cells.get(table.roles.image or ""))
        name = _name(table, row, path, data)
        if name in seen:  # names of images in tables need not differ
            name = f"{Path(file).stem}-{row.number:07d}/{name}"
        seen.add(name)
        if not problems:
            text, problems = describe_image(row, file, table.roles, self._options)
            problems = [*problems, *check_status(row, file)]
            if not data and not any(problem.column == "status" for problem in problems):
                message = "the row has no bytes of an image" + (", only its path" if path else "")
                fix = "save the images in the table, not their paths"
                at = partial(Problem, file=file, row=row.number, column=table.roles.image)
                problems.append(at(Reason.IMAGE_MISSING, message, value=path, fix=fix))
        if isinstance(data, ImageFile):
            image = ImageInput(data, text)
        else:
            image = ImageInput(None, text, data or None)
        return InputRow(self.name, file, row.number, row.raw, name, image, tuple(problems))


def has_images(path: Path) -> bool:
    """Return whether a file is a table with one column of images.

    Raises:
        SourceError: It cannot be read.
    """
    head = read_head(path)
    if is_arrow(head):
        return True
    if not head.startswith(b"PAR1"):
        return False
    return len(image_columns(read_schema(path))) == 1


def image_columns(schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns that have images: structs with bytes, and bytes under a usual name."""
    return tuple(
        field.name
        for field in schema
        if is_image_type(field.type) and (pa.types.is_struct(field.type) or field.name in _BYTES_COLUMNS)
    )


def find_tables(path: Path) -> list[Path]:
    """Return the tables with images at a path, in order; none if it is something else.

    Raises:
        SourceError: A folder of `save_to_disk` lacks a file, or some files of a folder have no images.
    """
    if path.is_file():
        head = read_head(path)
        return [path] if head.startswith(b"PAR1") or is_arrow(head) else []
    if not path.is_dir():
        return []
    if (path / _SPLITS_NAME).is_file():
        splits = _read_json(path / _SPLITS_NAME).get("splits")
        names = [str(name) for name in splits] if isinstance(splits, list) else []
        return [file for name in names for file in _saved_files(path, name)]
    if (path / _STATE_NAME).is_file():
        return _saved_files(path.parent, path.name)
    for folder in (path, path / "data"):
        files = list_files(folder, (".parquet",)) if folder.is_dir() else []
        files = [file for file in files if file.name not in METADATA_NAMES]
        with_images = [file for file in files if has_images(file)]
        if with_images and len(with_images) < len(files):
            at = partial(Problem, Reason.SOURCE, "the file has no images, and others in the folder have")
            others = [file for file in files if file not in with_images]
            raise SourceError(at(file=str(file), fix="move it out of the folder") for file in others)
        if with_images:
            return with_images
    return []


def _saved_files(parent: Path, name: str) -> list[Path]:
    """Return the files of a dataset that `save_to_disk` wrote into a folder, as its state.json names them."""
    folder = parent / name
    at = partial(Problem, Reason.SOURCE, file=str(folder), fix=_FIX)
    if "/" in name or name in ("", ".", ".."):
        raise SourceError(at("the name of a split is not one of a folder", value=name))
    entries = _read_json(folder / _STATE_NAME).get("_data_files")
    entries = entries if isinstance(entries, list) else []
    names = [each.get("filename") for each in entries if isinstance(each, dict)]
    problems = [
        at("the dataset names a file that is not there", value=str(file))
        for file in names
        if not isinstance(file, str) or "/" in file or not (folder / file).is_file()
    ]
    if problems or not names:
        raise SourceError(problems or [at(f"{_STATE_NAME} names no files")])
    return [folder / str(file) for file in names]


def _read_json(path: Path) -> Mapping[str, object]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"the file cannot be read as JSON: {error}"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=_FIX)) from error
    return value if isinstance(value, dict) else {}


def _split(value: object) -> tuple[bytes | ImageFile | None, str | None]:
    """Split a cell with an image into its bytes and its path."""
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, Mapping) else (value, None)
    return (
        data if isinstance(data, bytes | ImageFile) else None,
        path if isinstance(path, str) and path else None,
    )


def _name(table: _ImageTable, row: TableRow, path: str | None, data: bytes | ImageFile | None) -> str:
    """Return the name of an image: as a column or its path says it, else by key or row and real format."""
    for column in table.names:
        value = row.cells.get(column)
        if isinstance(value, str) and value:
            return value
    if path:
        return path.replace("\\", "/").rpartition("/")[2]
    key = next((str(row.cells[name]) for name in _KEYS if row.cells.get(name) is not None), None)
    stem = key or f"{Path(table.table.name).stem}-{row.number:07d}"
    head = data if isinstance(data, bytes) else b""
    return stem + next((suffix for magic, suffix in _SUFFIXES.items() if head.startswith(magic)), "")
