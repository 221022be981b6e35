"""Conversations: ShareGPT4V-style records {image, conversations: [{from, value}]}.

https://huggingface.co/datasets/Lin-Chen/ShareGPT4V
"""

from collections.abc import Mapping

from builders.sources.captions.form import Form, has_one_of, make_caption, take_extras, take_fields
from builders.sources.cells import Cells
from schemas.captions import CaptionText

_COLUMN = "conversations"
_ASKING, _ANSWERING = ("human", "user"), ("gpt", "assistant")


def _read(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a record: each answer is a caption, the question before it its instruction."""
    fields, texts = take_fields(cells), []
    fields["extras"] = take_extras(cells, (roles["image"], _COLUMN))
    question: str | None = None
    for turn in cells.items(_COLUMN) or []:
        speaker, value = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        if speaker not in (*_ASKING, *_ANSWERING, "system") or not isinstance(value, str):
            cells.wrong(_COLUMN, "a turn is not {from: human or gpt, value: text}", "correct it")
            return []
        if speaker in _ASKING:
            question = value.replace("<image>", "").strip() or None
        elif speaker in _ANSWERING and value.strip():
            texts.append(make_caption(cells, _COLUMN, fields | {"caption": value, "instruction": question}))
    return [text for text in texts if text]


FORM = Form(has_one_of((_COLUMN,)), _read)
