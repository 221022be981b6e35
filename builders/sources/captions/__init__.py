"""Captions and attributes of images: sentences about faces, in any of the forms that people write them in.

Which form a file has is told from its columns and values, never from its name alone. A new form is one
module here and one line in `FORMS`.

    table           a column that names the image, and one with the text or with attributes
    mapping         a JSON object {file name: caption, list of captions, or record}
    conversations   ShareGPT4V-style records: image, conversations [{from, value}]
    captioners      a column for each captioner: image, caption_blip, caption_llava
    attributes      one attribute a row: image, attribute, value
    wide            one column for each attribute that schemas/attributes.py knows: image, Smiling, Age …
    sidecars        a folder with one .txt, .caption or .json beside (or in place of) each image
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from builders.sources.captions import attributes, captioners, conversations, records
from builders.sources.captions.columns import (
    IMAGE_COLUMNS,
    TEXT_COLUMNS,
    ask,
    choose_columns,
    names_image,
)
from builders.sources.captions.form import EmptyCaption, Form, Said, make_caption
from builders.sources.captions.images import take_image
from builders.sources.captions.sidecars import (
    digest_files,
    has_sidecars,
    is_json,
    list_sidecars,
    read_sidecar,
)
from builders.sources.cells import Cells
from builders.sources.intake import CaptionInput, InputRow, SourceOptions
from builders.sources.listing import METADATA_NAMES, list_files
from builders.sources.tables import Table, TableRow, open_table
from schemas.attributes import preset_of
from schemas.captions import CaptionText
from schemas.configs import Table as TableName
from schemas.problems import Problem, Reason, Severity, SourceError, name_some, suggest

__all__ = ["FORMS", "CaptionSource", "has_captions", "has_sidecars"]

_MAX_NOTED_ATTRIBUTES = 200
# The first that fits is the form of a table; a JSON object of rows is always a mapping.
FORMS: Mapping[str, Form] = {
    "mapping": records.MAPPING,
    "conversations": conversations.FORM,
    "table": records.TABLE,
    "captioners": captioners.FORM,
    "attributes": attributes.LONG,
    "wide": attributes.WIDE,
}


def has_captions(columns: Sequence[str], *, is_mapping: bool) -> bool:
    """Return whether a table with these columns can be one of captions or attributes."""
    return is_mapping or _form_of(columns) is not None


class CaptionSource:
    """A file or folder of captions; see `builders.sources.intake.Source` for what it gives.

    Args:
        path: The file, an image folder with `metadata.*`, or a folder of sidecars.
        name: Name to publish it under.
        options: What the maintainer says of it.

    Raises:
        SourceError: It cannot be read, or it can be read in more ways than one.
    """

    table = TableName.CAPTIONS
    notice = None
    images = None

    def __init__(self, path: Path, name: str, options: SourceOptions) -> None:
        self.name, self._options = name, options
        self.table_problems: tuple[Problem, ...] = ()
        self._noted: set[tuple[str, str]] = set()
        table = None if options.form == "sidecars" else _find_table(path)
        if table is None:
            self._rows: Callable[[], Iterator[InputRow]] = partial(self._sidecar_rows, path)
            self.kind, self._paths = "captions/sidecars", list_sidecars(path)
            self.num_rows = len(self._paths)
            self.sha256 = f"{digest_files(path, self._paths)} {options.fingerprint}"
            return
        form = "mapping" if table.is_mapping else options.form or _form_of(table.columns, options)
        if form is None or form not in FORMS:
            raise SourceError(_not_captions(table, form))
        self.kind, self.num_rows = f"captions/{form}", table.num_rows
        self.sha256 = f"{table.sha256} {options.fingerprint}"
        self._unread = [each.relative_to(path).as_posix() for each in list_sidecars(path)]
        if self._unread:
            self.sha256 += f" {self._unread}"
        self._roles = choose_columns(table, options)
        self._rows = partial(self._table_rows, table, FORMS[form])

    def rows(self) -> Iterator[InputRow]:
        """Yield every caption, in order; a row with several captions gives as many."""
        self._noted.clear()
        return self._rows()

    def _table_rows(self, table: Table, form: Form) -> Iterator[InputRow]:
        for row in table.rows():
            cells = Cells(row, table.name)
            image = take_image(cells, self._roles["image"], required=not row.problems)
            said = form.read(cells, self._roles) if not row.problems else []
            yield from self._input_rows(row, table.name, image, said, cells)
        for name in self._unread:
            message, fix = (
                f"{table.name} is read in place of this file",
                "add its text there, or move it away",
            )
            problem = Problem(Reason.SIDECAR_NOT_READ, message, file=name, fix=fix)
            yield InputRow(self.name, name, 1, "", name, None, (problem,))

    def _sidecar_rows(self, folder: Path) -> Iterator[InputRow]:
        objects = {path.with_suffix(""): path for path in self._paths if is_json(path)}
        for path in self._paths:
            name = path.relative_to(folder).as_posix()
            row, cells, said = _read_sidecar(path, name)
            other = objects.get(path.with_suffix(""), path)
            # img2dataset writes one caption into two files; the JSON file has its score and address, too.
            if other != path and said and not cells.problems and _is_published(other, said):
                continue
            yield from self._input_rows(row, name, name.rpartition(".")[0], said, cells)

    def _input_rows(
        self, row: TableRow, file: str, image: str | None, said: Sequence[Said], cells: Cells
    ) -> Iterator[InputRow]:
        """Yield the captions of one row, each empty one among them, or else the row that has none."""
        texts = [one for one in said if isinstance(one, CaptionText)]
        problems = [*cells.problems, *self._note_attributes(texts, file, row.number)]
        at = partial(Problem, Reason.EMPTY_CAPTION, file=file, row=row.number, value=row.raw)
        if not texts and all(problem.severity is Severity.WARNING for problem in problems):
            message = "the row has neither a caption nor attributes"
            problems.append(at(message, column=None, fix="fill it in"))
        for text in texts or (None,):
            content = CaptionInput(image, self._options.of, text) if image is not None and text else None
            yield InputRow(self.name, file, row.number, row.raw, image or "", content, tuple(problems))
            # A warning counts once for a row; what is wrong with a row is wrong with all of its captions.
            problems = [problem for problem in problems if problem.severity is not Severity.WARNING]
        for empty in (one for one in said if isinstance(one, EmptyCaption)):
            message = f"caption {empty.place} of the list is empty"
            problem = at(message, column=empty.column, fix="fill it in, or remove it")
            yield InputRow(self.name, file, row.number, row.raw, image or "", None, (problem,))

    def _note_attributes(self, texts: Sequence[CaptionText], file: str, row: int) -> Iterator[Problem]:
        """Note attributes and values that no preset knows, each once."""
        for attribute in (attribute for text in texts for attribute in text.attributes):
            preset = preset_of(attribute.attribute)
            if preset is not None and preset.allows(attribute.value):
                continue
            key = (attribute.attribute, "" if preset is None else attribute.value)
            if key in self._noted or len(self._noted) >= _MAX_NOTED_ATTRIBUTES:
                continue
            self._noted.add(key)
            at = partial(Problem, file=file, row=row, fix="nothing, if it is right")
            if preset is None:
                message = "no preset knows this attribute; it is published as it is, and noted once"
                yield at(Reason.UNKNOWN_ATTRIBUTE, message, column="attributes", value=attribute.attribute)
            else:
                message = (
                    f"no preset of {preset.name} has this value; it is published as it is, and noted once"
                )
                yield at(Reason.UNUSUAL_VALUE, message, column=attribute.attribute, value=attribute.value)


def _form_of(columns: Sequence[str], options: SourceOptions | None = None) -> str | None:
    """Tell a table's form from its columns and the settings; None if it is none of captions."""
    named = options.columns if options is not None else {}
    if "image" not in named and not names_image(columns):
        return None
    if "caption" in named and "conversations" not in columns:
        return "table"
    return next((name for name, form in FORMS.items() if form.fits(columns)), None)


def _read_sidecar(path: Path, name: str) -> tuple[TableRow, Cells, Sequence[Said]]:
    row = read_sidecar(path, name)
    cells = Cells(row, name)
    if is_json(path) and row.cells:
        return row, cells, records.read_record(cells)
    text = make_caption(cells, "caption", row.cells) if row.cells else None
    return row, cells, [text] if text else []


def _is_published(path: Path, said: Sequence[Said]) -> bool:
    """Return whether a JSON sidecar has the captions of a text beside it, and nothing that rejects it."""
    _, cells, other = _read_sidecar(path, path.name)
    texts = {one.caption.strip() for one in other if isinstance(one, CaptionText) and one.caption}
    is_rejected = any(problem.severity is not Severity.WARNING for problem in cells.problems)
    return not is_rejected and all(isinstance(one, CaptionText) and one.caption in texts for one in said)


def _find_table(path: Path) -> Table | None:
    """Open the table of captions at a path; None for a folder of sidecars.

    Raises:
        SourceError: There is no such thing, or there are several.
    """
    if not path.is_dir():
        return open_table(path)
    tables = [path / name for name in METADATA_NAMES if (path / name).is_file()]
    if len(tables) > 1:
        names = " or ".join(table.name for table in tables)
        raise SourceError(
            Problem(
                Reason.SOURCE, f"the folder has {names}", file=str(path), fix="give the path of the one meant"
            )
        )
    if tables:
        return open_table(tables[0])
    if not list_sidecars(path):
        message = (
            f"the folder has neither {', '.join(METADATA_NAMES)} nor a sidecar (.txt, .caption or .json)"
        )
        others = [other.name for other in list_files(path, (".csv", ".tsv", ".json", ".jsonl", ".parquet"))]
        fix = f"give the path of the table: {name_some(others, 5)}" if others else "check the path"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))
    return None


def _not_captions(table: Table, form: str | None) -> Problem:
    if form is not None:
        return ask(table, f"there is no form of captions {form!r}", suggest(form, [*FORMS, "sidecars"]))
    broken = next((row for row in table.rows() if row.problems), None) if not table.columns else None
    if broken is not None:  # none of the first rows could be read: the reason of one is that of all
        return replace(broken.problems[0], reason=Reason.SOURCE, code="")
    has_image = names_image(table.columns)
    message = "no column says anything of the image" if has_image else "no column names an image"
    wanted = f"one of {', '.join(TEXT_COLUMNS if has_image else IMAGE_COLUMNS)}"
    return ask(table, message, f"the table has {', '.join(table.columns)}; rename one to {wanted}")
