"""A column for each captioner (image, caption_blip, caption_llava), or for each caption (caption_1, …)."""

import re
from collections.abc import Mapping, Sequence

from builders.sources.captions.form import (
    TEXT_FIELDS,
    Form,
    make_caption,
    take_extras,
    take_fields,
    take_text,
)
from builders.sources.cells import Cells
from schemas.captions import CaptionText

_MIN_COLUMNS = 2
_NAME = re.compile(r"captions?_(?P<after>.+)|(?P<before>.+)_captions?", re.IGNORECASE)
# caption_score and num_captions say something about a caption.
_FACTS = frozenset(
    (
        *("count", "date", "embedding", "hash", "id", "ids", "index", "lang", "language", "len", "length"),
        *("license", "method", "model", "n", "num", "path", "score", "similarity", "source", "time", "token"),
        *("tokens", "type", "url", "version"),
    )
)
_FIELD_COLUMNS = frozenset(name for names in TEXT_FIELDS.values() for name in names)


def captioner_of(column: str) -> str | None:
    """Return the part of a column's name that names a captioner; None if the column has no captions."""
    found = _NAME.fullmatch(column)
    if found is None or column in _FIELD_COLUMNS:
        return None
    name = found["after"] or found["before"]
    is_fact = name.lower() in _FACTS or (found["after"] and name.lower().rpartition("_")[2] in _FACTS)
    return None if is_fact else name


def _read(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a row: each filled column is a caption; an empty one says that its captioner wrote none.

    A number such as that of caption_2 names no captioner: the row's own captioner holds, if it has one.
    """
    columns = [name for name in cells.others(()) if captioner_of(name) is not None]
    fields = take_fields(cells) | {"extras": take_extras(cells, (roles["image"], *columns))}
    texts = []
    for column in columns:
        name = captioner_of(column)
        captioner = {} if name is None or name.isdecimal() else {"captioner": name}
        if caption := take_text(cells, column):
            texts.append(make_caption(cells, column, fields | captioner | {"caption": caption}))
    return [text for text in texts if text]


def _fits(columns: Sequence[str]) -> bool:
    return sum(captioner_of(name) is not None for name in columns) >= _MIN_COLUMNS


FORM = Form(_fits, _read)
