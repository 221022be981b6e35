"""Captions and attributes of images: sentences about faces, in any of the forms that people write them in.

Which form a file has is told from its columns and values, never from its name alone:

    table           a column that names the image, and one with the text or with attributes
    mapping         a JSON object {file name: caption or list of captions}
    conversations   ShareGPT4V-style records: image, conversations [{from, value}]
    attributes      one attribute a row: image, attribute, value
    wide            one column for each attribute that schemas/attributes.py knows: image, Smiling, Age …
    sidecars        a folder with one .txt or .caption beside (or in place of) each image
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from builders.sources.cells import Cells, find_infinite, looks_empty, parse_literal
from builders.sources.intake import CaptionInput, InputRow, SourceOptions
from builders.sources.listing import IMAGE_SUFFIXES, list_files
from builders.sources.sidecars import digest_files, list_sidecars, read_sidecar
from builders.sources.tables import Table, TableRow, open_table
from schemas.attributes import Attribute, preset_of, publish_value
from schemas.captions import CaptionText
from schemas.configs import Table as TableName
from schemas.problems import Problem, Reason, Severity, SourceError, name_some, suggest

IMAGE_COLUMNS = (
    "image_filename",
    "file_name",
    "filename",
    "image",
    "image_path",
    "image_id",
    "sha256",
    "id",
    "key",
)
TEXT_COLUMNS = ("caption", "text", "captions")
METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
# Field of `CaptionText` → the columns that say it, the first that is there.
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "captioner": ("captioner", "caption_model", "model"),
    "captioner_version": ("captioner_version", "model_version"),
    "language": ("language", "lang"),
    "method": ("method", "source"),
    "instruction": ("instruction",),
}
_SCORES = ("score", "similarity")
_ATTRIBUTES, _WORDS = ("attributes",), ("bag_of_words", "words")
_MODEL_COLUMNS, _CONFIDENCE_COLUMNS = ("source_model", "model"), ("confidence", "score")
_LOOKS_LIKE_IMAGE = re.compile(
    rf".*({'|'.join(map(re.escape, IMAGE_SUFFIXES))})|[0-9a-f]{{16}}|[0-9a-f]{{64}}",
    re.IGNORECASE | re.DOTALL,
)
_SAMPLE_ROWS = 20
_MAX_NOTED_ATTRIBUTES = 200


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
        table = _find_table(path)
        if table is None:
            self._rows: Callable[[], Iterator[InputRow]] = partial(self._sidecar_rows, path)
            self.kind, self._paths = "captions/sidecars", list_sidecars(path)
            self.num_rows = len(self._paths)
            self.sha256 = f"{digest_files(path, self._paths)} {options.fingerprint}"
            return
        form = "mapping" if table.is_mapping else options.form or _form_of(table.columns)
        if form is None or form not in _FORMS:
            raise SourceError(_not_captions(table, form))
        self.kind, self.num_rows = f"captions/{form}", table.num_rows
        self.sha256 = f"{table.sha256} {options.fingerprint}"
        self._unread = [each.relative_to(path).as_posix() for each in list_sidecars(path)]
        if self._unread:
            self.sha256 += f" {self._unread}"
        self._roles = _choose_columns(table, options)
        self._rows = partial(self._table_rows, table, _FORMS[form])

    def rows(self) -> Iterator[InputRow]:
        """Yield every caption, in order; a row with several captions gives as many."""
        self._noted.clear()
        return self._rows()

    def _table_rows(self, table: Table, read: "_Form") -> Iterator[InputRow]:
        for row in table.rows():
            cells = Cells(row, table.name)
            image = cells.text(self._roles["image"], required=not row.problems)
            texts = read(cells, self._roles) if not row.problems else []
            problems = [*cells.problems, *self._note_attributes(texts, table.name, row.number)]
            if not texts:
                yield self._input_row(row, table.name, image, None, problems)
            for text in texts:
                yield self._input_row(row, table.name, image, text, problems)
                problems = [problem for problem in problems if problem not in cells.problems]
            for place in _empty_members(cells, self._roles.get("caption")) if texts else ():
                message, fix = f"caption {place} of the list is empty", "fill it in, or remove it"
                at = partial(Problem, file=table.name, row=row.number, column=self._roles["caption"], fix=fix)
                empty = at(Reason.EMPTY_CAPTION, message, value=row.raw)
                yield self._input_row(row, table.name, image, None, [empty])
        for name in self._unread:
            message, fix = (
                f"{table.name} is read in place of this file",
                "add its text there, or move it away",
            )
            problem = Problem(Reason.SIDECAR_NOT_READ, message, file=name, fix=fix)
            yield InputRow(self.name, name, 1, "", name, None, (problem,))

    def _input_row(
        self, row: TableRow, file: str, image: str | None, text: CaptionText | None, problems: list[Problem]
    ) -> InputRow:
        content = CaptionInput(image, self._options.of, text) if image is not None and text else None
        if content is None and all(problem.severity is Severity.WARNING for problem in problems):
            message = "the row has neither a caption nor attributes"
            problems = [
                *problems,
                Problem(
                    Reason.EMPTY_CAPTION,
                    message,
                    file=file,
                    row=row.number,
                    column=None,
                    value=row.raw,
                    fix="fill it in",
                ),
            ]
        return InputRow(self.name, file, row.number, row.raw, image or "", content, tuple(problems))

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

    def _sidecar_rows(self, folder: Path) -> Iterator[InputRow]:
        for path in self._paths:
            name = path.relative_to(folder).as_posix()
            said, raw, problems = read_sidecar(path, name)
            row = TableRow(1, {}, raw, tuple(problems))
            yield self._input_row(row, name, name.rpartition(".")[0], said, problems)


_Form = Callable[[Cells, Mapping[str, str]], list[CaptionText]]


def _read_table_row(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a row with one text, several, or attributes alone."""
    column = roles.get("caption")
    value = parse_literal(cells.value(column)) if column else None
    captions = _without_empty(value) if isinstance(value, list) else [cells.text(column) if column else None]
    said = _said(cells, roles)
    said["attributes"] = _attributes(cells)
    said["bag_of_words"] = _words(cells)
    texts = [_caption_text(cells, column or "", said | {"caption": caption or None}) for caption in captions]
    return [text for text in texts if text and (text.caption or text.attributes or text.bag_of_words)]


def _read_member(cells: Cells, _: Mapping[str, str]) -> list[CaptionText]:
    """Read a member of a JSON object {file name: caption or list of captions}."""
    value = cells.value("value")
    captions = _without_empty(value) if isinstance(value, list) else [value]
    texts = [_caption_text(cells, "value", {"caption": caption}) for caption in captions if caption]
    return [text for text in texts if text]


def _is_empty(caption: object) -> bool:
    return caption is None or (isinstance(caption, str) and not caption.strip())


def _without_empty(captions: list[object]) -> list[object]:
    """Leave out the empty members of a list, which `_empty_members` reports; a list of these alone stays."""
    return [caption for caption in captions if not _is_empty(caption)] or captions


def _empty_members(cells: Cells, column: str | None) -> Iterator[str]:
    """Yield the place of each empty caption in a list that has others, such as "2 of 3"."""
    captions = parse_literal(cells.value(column)) if column else None
    if isinstance(captions, list) and not all(map(_is_empty, captions)):
        for number, caption in enumerate(captions, 1):
            if _is_empty(caption):
                yield f"{number} of {len(captions)}"


def _read_conversation(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a ShareGPT4V-style record: each answer is a caption, the question its instruction."""
    said, texts = _said(cells, roles), []
    question: str | None = None
    for turn in cells.items("conversations") or []:
        speaker, value = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        if speaker not in ("human", "user", "gpt", "assistant", "system") or not isinstance(value, str):
            cells.wrong("conversations", "a turn is not {from: human or gpt, value: text}", "correct it")
            return []
        if speaker in ("human", "user"):
            question = value.replace("<image>", "").strip() or None
        elif speaker != "system" and value.strip():
            texts.append(
                _caption_text(cells, "conversations", said | {"caption": value, "instruction": question})
            )
    return [text for text in texts if text]


def _read_attribute(cells: Cells, _: Mapping[str, str]) -> list[CaptionText]:
    """Read a row that holds one attribute; those of one image become one record."""
    model, confidence = (cells.first(names) for names in (_MODEL_COLUMNS, _CONFIDENCE_COLUMNS))
    attribute = {
        "attribute": cells.text("attribute", required=True),
        "value": cells.text("value", required=True),
        "confidence": cells.number(confidence, 0, 1) if confidence else None,
        "source_model": cells.text(model) if model else None,
    }
    found = [] if cells.problems else _make_attributes(cells, "value", [attribute])
    return [CaptionText(attributes=found)] if found else []


def _read_wide_row(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a row with a column for each attribute; an empty cell says nothing."""
    known = {roles["image"], *(name for names in _TEXTS.values() for name in names)}
    others = cells.others(known)
    named = {
        name: value
        for name, value in others.items()
        if preset_of(name) is not None and not find_infinite(value)  # pandas writes NaN for a gap
    }
    attributes = _make_attributes(cells, "attributes", [_one(name, value) for name, value in named.items()])
    extras = {name: value for name, value in others.items() if name not in named}
    said = _said(cells, roles) | {"attributes": attributes, "extras": cells.extras(extras)}
    text = _caption_text(cells, "", said)
    return [text] if text and text.attributes else []


_FORMS: Mapping[str, _Form] = {
    "table": _read_table_row,
    "mapping": _read_member,
    "conversations": _read_conversation,
    "attributes": _read_attribute,
    "wide": _read_wide_row,
}


def _form_of(columns: Sequence[str]) -> str | None:
    """Tell a table's form from its columns; None if it is none of captions."""
    names = set(columns)
    if names.isdisjoint(IMAGE_COLUMNS):
        return None
    if "conversations" in names:
        return "conversations"
    if not names.isdisjoint((*TEXT_COLUMNS, *_ATTRIBUTES, *_WORDS)):
        return "table"
    if {"attribute", "value"} <= names:
        return "attributes"
    return "wide" if any(preset_of(name) for name in names) else None


def _choose_columns(table: Table, options: SourceOptions) -> dict[str, str]:
    """Choose the column that names the image and the one with the text; ask where there are several.

    Raises:
        SourceError: There are several, or the one that is asked for is not there.
    """
    if table.is_mapping:
        return {"image": "key", "caption": "value"}
    problems: list[Problem] = []
    roles: dict[str, str] = {}
    for role, candidates in (("image", IMAGE_COLUMNS), ("caption", TEXT_COLUMNS)):
        there = [name for name in candidates if name in table.columns]
        if wanted := options.columns.get(role):
            there = [wanted] if wanted in table.columns else []
            if not there:
                fix = f"the table has {', '.join(table.columns)}"
                problems.append(_question(table, f"there is no column {wanted!r}", fix))
        elif role == "image" and len(there) > 1:
            there = _columns_of_images(table, there)
        if len(there) > 1:
            choices = " or ".join(f'columns = {{ {role} = "{name}" }}' for name in there)
            message = f"more than one column may be the {role}: {', '.join(there)}"
            problems.append(_question(table, message, f"say which in release.toml, [[sources]]: {choices}"))
        roles |= {role: there[0]} if there else {}
    if problems:
        raise SourceError(problems)
    return roles


def _columns_of_images(table: Table, candidates: list[str]) -> list[str]:
    """Keep the columns whose values look like image files or ids; of columns that say the same, one."""
    rows = [row.cells for row in islice(table.rows(), _SAMPLE_ROWS)]
    values = {name: [str(row[name]) for row in rows if row.get(name)] for name in candidates}
    fitting = [
        name for name in candidates if values[name] and all(map(_LOOKS_LIKE_IMAGE.fullmatch, values[name]))
    ]
    different: dict[tuple[str, ...], str] = {}
    for name in fitting or candidates:
        different.setdefault(tuple(values[name]), name)
    return list(different.values())


def _said(cells: Cells, roles: Mapping[str, str]) -> dict[str, object]:
    """Take what a row says beside the text: captioner, language, score and what the kit does not know."""
    taken = {field: cells.first(names) for field, names in _TEXTS.items()}
    score = cells.first(_SCORES)
    said: dict[str, object] = {field: cells.text(name) if name else None for field, name in taken.items()}
    said["score"] = cells.number(score) if score else None
    known = {*roles.values(), *taken.values(), score, *_WORDS, "conversations"} - {None}
    others = {name: value for name, value in cells.others(map(str, known)).items() if not _is_attribute(name)}
    said["extras"] = cells.extras(others)
    return said


def _is_attribute(column: str) -> bool:
    return column.partition(".")[0] in _ATTRIBUTES


def _attributes(cells: Cells) -> list[Attribute]:
    """Take attributes: a list of records or of words, or an object {attribute: value}."""
    value = parse_literal(cells.value("attributes"))
    others = cells.others(())
    nested = {name.partition(".")[2]: others[name] for name in others if name.startswith("attributes.")}
    if value is None and not nested:
        return []
    if isinstance(value, list):
        return _make_attributes(cells, "attributes", [_one(item, "yes") for item in value])
    if nested:
        return _make_attributes(cells, "attributes", _of_object(nested))
    cells.wrong("attributes", "the attributes are neither a list nor an object", 'write {"hair": "red"}')
    return []


def _of_object(dotted: Mapping[str, object]) -> list[object]:
    """Turn {"hair": "red"} or {"hair.value": "red", "hair.confidence": 0.9} into attributes."""
    whole: dict[str, dict[str, object]] = {}
    items: list[object] = []
    for name, value in dotted.items():
        attribute, _, field = name.rpartition(".")
        if attribute and field in Attribute.model_fields:
            whole.setdefault(attribute, {"attribute": attribute})[field] = value
        elif isinstance(value, list):
            items += [_one(name, item) for item in value]
        else:
            items.append(_one(name, value))
    return [*items, *whole.values()]


def _one(item: object, value: object) -> object:
    """Make one attribute of a name and a value; a record is one already."""
    return item if isinstance(item, dict) else {"attribute": item, "value": value}


def _make_attributes(cells: Cells, column: str, items: Sequence[object]) -> list[Attribute]:
    attributes = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise TypeError
            values = {name: item.get(name) for name in Attribute.model_fields}
            text = _value_text(values["value"])
            values["value"] = publish_value(str(values["attribute"]), text) if text is not None else None
            attributes.append(Attribute.model_validate(values))
        except ValidationError as error:
            detail = error.errors()[0]
            message = f"an attribute is wrong: {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            cells.wrong(column, message, "see schemas/attributes.py for what an attribute is")
        except TypeError:
            cells.wrong(column, "an attribute is not a record", 'write {"attribute": "hair", "value": "red"}')
    return attributes


def _value_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)


def _words(cells: Cells) -> list[str]:
    column = cells.first(_WORDS)
    value = parse_literal(cells.value(column)) if column else None
    if value is None:
        return []
    words = value if isinstance(value, list) else str(value).split(",")
    return [word.strip() for word in map(str, words) if word.strip()]


def _caption_text(cells: Cells, column: str, said: Mapping[str, object]) -> CaptionText | None:
    try:
        text = CaptionText.model_validate({name: value for name, value in said.items() if value is not None})
        if text.caption is not None and looks_empty(text.caption):
            message = "the caption looks like a missing one, and is published as it is"
            cells.wrong(column, message, "remove the row if there is no caption", Reason.LOOKS_EMPTY)
        return text
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0])
            fix = "correct it; schemas/captions.py has each field's type"
            cells.wrong(cells.first(_TEXTS.get(name, ())) or column, f"{name}: {detail['msg']}", fix)
        return None


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
        message = f"the folder has neither {', '.join(METADATA_NAMES)} nor a .txt or .caption file"
        others = [other.name for other in list_files(path, (".csv", ".tsv", ".json", ".jsonl", ".parquet"))]
        fix = f"give the path of the table: {name_some(others, 5)}" if others else "check the path"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))
    return None


def _question(table: Table, message: str, fix: str) -> Problem:
    return Problem(Reason.SOURCE, message, file=table.name, fix=fix)


def _not_captions(table: Table, form: str | None) -> Problem:
    if form is not None:
        return _question(
            table, f"there is no form of captions {form!r}", suggest(form, [*_FORMS, "sidecars"])
        )
    broken = next((row for row in table.rows() if row.problems), None) if not table.columns else None
    if broken is not None:  # none of the first rows could be read: the reason of one is that of all
        return replace(broken.problems[0], reason=Reason.SOURCE, code="")
    has_image = not set(IMAGE_COLUMNS).isdisjoint(table.columns)
    message = "no column says anything of the image" if has_image else "no column names an image"
    wanted = f"one of {', '.join(TEXT_COLUMNS if has_image else IMAGE_COLUMNS)}"
    return _question(table, message, f"the table has {', '.join(table.columns)}; rename one to {wanted}")
