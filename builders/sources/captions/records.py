"""Records: a row of a table, or a member of a JSON object, with a caption, several, or attributes alone."""

from collections.abc import Iterable, Mapping

from builders.sources.captions.attribute_values import take_attributes
from builders.sources.captions.columns import TEXT_COLUMNS
from builders.sources.captions.form import (
    ATTRIBUTE_COLUMN,
    WORD_COLUMNS,
    EmptyCaption,
    Form,
    Said,
    has_one_of,
    make_caption,
    take_extras,
    take_fields,
    take_text,
    take_words,
)
from builders.sources.cells import Cells

_PROMPT_COLUMNS = ("prompt",)  # of an object that has no caption: the text that an image was made from


def _read_row(cells: Cells, roles: Mapping[str, str]) -> list[Said]:
    """Read a row with one caption, a list of them, or attributes alone."""
    column = roles.get("caption")
    listed = cells.literal(column) if column else None
    captions = listed if isinstance(listed, list) else [take_text(cells, column) if column else None]
    fields = take_fields(cells) | {"extras": take_extras(cells, roles.values())}
    fields |= {"attributes": take_attributes(cells), "bag_of_words": take_words(cells)}
    return _make_captions(cells, column or "", captions, fields)


def _read_member(cells: Cells, _: Mapping[str, str]) -> list[Said]:
    """Read a member of a JSON object {file name: caption, list of captions, or a record}."""
    record = cells.member("value")
    if record is not None:
        return read_record(record)
    value = cells.value("value")
    return _make_captions(cells, "value", value if isinstance(value, list) else [value], {})


def read_record(cells: Cells) -> list[Said]:
    """Read an object with a caption and what else is known: kohya's {caption, tags}, or a JSON sidecar."""
    there = [name for name in TEXT_COLUMNS if cells.value(name) is not None]
    if len(there) > 1:
        message = f"more than one key may be the caption: {', '.join(there)}"
        cells.wrong(there[0], message, "keep one of them, or rename the others")
        return []
    column = there[0] if there else cells.first(_PROMPT_COLUMNS)
    return _read_row(cells, {"caption": column} if column else {})


def _make_captions(
    cells: Cells, column: str, captions: list[object], fields: Mapping[str, object]
) -> list[Said]:
    """Make the captions of one row, and report each empty one if there are others."""
    full = [caption for caption in captions if not _is_empty(caption)]
    texts = [make_caption(cells, column, {**fields, "caption": caption}) for caption in full or [None]]
    kept: list[Said] = [
        text for text in texts if text and (text.caption or text.attributes or text.bag_of_words)
    ]
    return kept + [EmptyCaption(place, column) for place in _empty_places(captions) if full]


def _empty_places(captions: list[object]) -> Iterable[str]:
    return (f"{n} of {len(captions)}" for n, caption in enumerate(captions, 1) if _is_empty(caption))


def _is_empty(caption: object) -> bool:
    return caption is None or (isinstance(caption, str) and not caption.strip())


TABLE = Form(has_one_of((*TEXT_COLUMNS, ATTRIBUTE_COLUMN, *WORD_COLUMNS)), _read_row)
MAPPING = Form(lambda _: False, _read_member)
