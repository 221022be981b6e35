"""Several columns of captions: one for each captioner (caption_blip, llava_caption), language, or number."""

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
_NAME = re.compile(r"captions?[_-](?P<after>.+)|(?P<before>.+)[_-]captions?|captions?(?P<number>\d+)", re.I)
# caption_score and num_captions say something about a caption.
_FACTS = frozenset(
    (
        *("count", "date", "embedding", "hash", "id", "ids", "index", "lang", "language", "len", "length"),
        *("license", "method", "model", "n", "num", "path", "score", "similarity", "source", "time", "token"),
        *("tokens", "type", "url", "version"),
    )
)
_FIELD_COLUMNS = frozenset(name for names in TEXT_FIELDS.values() for name in names)
# ISO 639-1, two letters each: caption_en is English, and not written by somebody called en.
_LANGUAGES = frozenset(
    re.findall(
        "..",
        "aaabaeafakamanarasavayazbabebgbibmbnbobrbscacechcocrcscucvcydadedvdzeeeleneoeseteufafffifjfofrfygagdgl"
        "gngugvhahehihohrhthuhyhziaidieigiiikioisitiujajvkakgkikjkkklkmknkokrkskukvkwkylalblglilnloltlulvmgmhmi"
        "mkmlmnmrmsmtmynanbndnengnlnnnonrnvnyocojomorospapiplpsptqurmrnrorurwsascsdsesgsiskslsmsnsosqsrssstsusv"
        "swtatetgthtitktltntotrtstttwtyugukuruzvevivowawoxhyiyozazhzu",
    )
)
_LANGUAGE = re.compile(r"([a-z]{2})(?:[_-]([A-Za-z]{2}))?")


def fields_of(column: str) -> dict[str, object] | None:
    """Tell what a column's name says of its captions; None if it is no column of captions.

    Returns:
        The captioner or the language as a field of `CaptionText`; nothing for a number, as in caption_2.
    """
    found = _NAME.fullmatch(column)
    if found is None or column in _FIELD_COLUMNS:
        return None
    part = str(found["after"] or found["before"] or found["number"])
    last = part.lower().rpartition("_")[2] if found["after"] else part.lower()
    if last in _FACTS:
        return None
    if part.isdecimal():
        return {}
    language = _LANGUAGE.fullmatch(part)
    if language is not None and language[1] in _LANGUAGES:
        return {"language": "-".join(filter(None, language.groups()))}
    return {"captioner": part}


def _read(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a row: each filled column is a caption; an empty one says that there is none of its captioner."""
    columns = {name: named for name in cells.others(()) if (named := fields_of(name)) is not None}
    if "caption" in roles and cells.value(roles["caption"]) is not None:  # a plain one beside them
        columns[roles["caption"]] = {}
    fields = take_fields(cells) | {"extras": take_extras(cells, (roles["image"], *columns))}
    texts = [
        make_caption(cells, column, fields | named | {"caption": caption})
        for column, named in columns.items()
        if (caption := take_text(cells, column))
    ]
    return [text for text in texts if text]


def _fits(columns: Sequence[str]) -> bool:
    return sum(fields_of(name) is not None for name in columns) >= _MIN_COLUMNS


FORM = Form(_fits, _read)
