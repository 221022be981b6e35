"""What a form of captions is, and what its rows say beside the caption: captioner, score and others."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from builders.sources.cells import Cells, looks_empty
from schemas.captions import CaptionText
from schemas.problems import Reason

# Field of `CaptionText` → the columns that hold it, the first that is there.
TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "captioner": ("captioner", "caption_model", "model"),
    "captioner_version": ("captioner_version", "model_version"),
    "language": ("language", "lang"),
    "method": ("method", "source"),
    "instruction": ("instruction",),
}
ATTRIBUTE_COLUMN = "attributes"
_SCORES = ("score", "similarity")
WORD_COLUMNS = ("bag_of_words", "words", "tags")  # kohya's sd-scripts call them tags


@dataclass(frozen=True, slots=True)
class EmptyCaption:
    """An empty caption in a list that has others.

    Attributes:
        place: Its place, such as "2 of 3".
        column: Column of the list.
    """

    place: str
    column: str


Said = CaptionText | EmptyCaption
Read = Callable[[Cells, Mapping[str, str]], Sequence[Said]]


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing captions down in a table.

    Attributes:
        fits: Whether a table with these columns can have the form, if one of them names the image.
        read: Reads one row; gets role → column for `image` and `caption`.
    """

    fits: Callable[[Sequence[str]], bool]
    read: Read


def has_one_of(names: Iterable[str]) -> Callable[[Sequence[str]], bool]:
    """Return a check of whether a table has at least one of some columns."""
    wanted = frozenset(names)
    return lambda columns: not wanted.isdisjoint(columns)


def make_caption(cells: Cells, column: str, fields: Mapping[str, object]) -> CaptionText | None:
    """Make a caption of its fields; None if one is wrong, which is then among the row's problems.

    Args:
        cells: The row.
        column: Column of the text, for problems.
        fields: Field of `CaptionText` → value; None where the row does not say.
    """
    try:
        text = CaptionText.model_validate(
            {name: value for name, value in fields.items() if value is not None}
        )
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0])
            fix = "correct it; schemas/captions.py has each field's type"
            cells.wrong(cells.first(TEXT_FIELDS.get(name, ())) or column, f"{name}: {detail['msg']}", fix)
        return None
    if text.caption is not None and looks_empty(text.caption):
        message = "the caption looks like a missing one, and is published as it is"
        cells.wrong(column, message, "remove the row or file if there is no caption", Reason.LOOKS_EMPTY)
    return text


def take_fields(cells: Cells) -> dict[str, object]:
    """Take captioner, language, score and the like: field of `CaptionText` → value."""
    taken = {field: cells.first(names) for field, names in TEXT_FIELDS.items()}
    fields: dict[str, object] = {
        field: take_text(cells, name) if name else None for field, name in taken.items()
    }
    score = cells.first(_SCORES)
    fields["score"] = take_number(cells, score) if score else None
    return fields


def take_extras(cells: Cells, known: Iterable[str]) -> str | None:
    """Write as JSON what a row says that no field has.

    Args:
        cells: The row.
        known: Columns that are read elsewhere; fields of their structs are, too.
    """
    taken = {cells.first(names) for names in (*TEXT_FIELDS.values(), _SCORES, WORD_COLUMNS)}
    whole = {*known, ATTRIBUTE_COLUMN}
    kept = {
        name: value
        for name, value in cells.others(filter(None, taken)).items()
        if whole.isdisjoint((name, name.partition(".")[0]))
    }
    return cells.extras(kept)


def take_text(cells: Cells, column: str) -> str | None:
    """Take a text; NaN, by which pandas writes that there is none, is null with a warning."""
    return None if _is_nan(cells, column) else cells.text(column)


def take_number(
    cells: Cells, column: str, low: float | None = None, high: float | None = None
) -> float | None:
    """Take a number within limits; NaN or a word for a missing one, such as N/A, is null with a warning."""
    value = cells.value(column)
    is_missing = _is_nan(cells, column)
    if isinstance(value, str) and looks_empty(value):
        _note_missing(cells, column)
        is_missing = True
    return None if is_missing else cells.number(column, low, high)


def take_words(cells: Cells) -> list[str]:
    """Take a list of words, or text with commas between them."""
    column = cells.first(WORD_COLUMNS)
    words = cells.literal(column) if column else None
    if words is None:
        return []
    listed = words if isinstance(words, list) else str(words).split(",")
    return [word.strip() for word in map(str, listed) if word.strip()]


def _is_nan(cells: Cells, column: str) -> bool:
    value = cells.value(column)
    if isinstance(value, float) and math.isnan(value):
        _note_missing(cells, column)
        return True
    return False


def _note_missing(cells: Cells, column: str) -> None:
    message, fix = "the value is missing, and is published as null", "leave the cell empty"
    cells.wrong(column, message, fix, Reason.NUMBER_NOT_FINITE)
