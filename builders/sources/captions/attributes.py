"""Attributes alone: one in each row, or a column for each (CelebA, FairFace and tables of face APIs)."""

from collections.abc import Mapping

from builders.sources.captions.attribute_values import make_attributes, name_attribute
from builders.sources.captions.form import (
    TEXT_FIELDS,
    Form,
    make_caption,
    take_extras,
    take_fields,
    take_number,
)
from builders.sources.cells import Cells, find_infinite
from schemas.attributes import preset_of
from schemas.captions import CaptionText

_MODELS, _CONFIDENCES = ("source_model", "model"), ("confidence", "score")


def _read_long(cells: Cells, _: Mapping[str, str]) -> list[CaptionText]:
    """Read a row that holds one attribute; the catalog unites those of one image."""
    model, confidence = (cells.first(names) for names in (_MODELS, _CONFIDENCES))
    attribute = {
        "attribute": cells.text("attribute", required=True),
        "value": cells.text("value", required=True),
        "confidence": take_number(cells, confidence, 0, 1) if confidence else None,
        "source_model": cells.text(model) if model else None,
    }
    if attribute["attribute"] is None or attribute["value"] is None:
        return []
    found = make_attributes(cells, "value", [attribute])
    return [CaptionText(attributes=found)] if found else []


def _read_wide(cells: Cells, roles: Mapping[str, str]) -> list[CaptionText]:
    """Read a row with a column for each attribute; an empty cell says nothing."""
    others = cells.others({roles["image"], *(name for names in TEXT_FIELDS.values() for name in names)})
    named = {
        name: value
        for name, value in others.items()
        if preset_of(name) is not None and not find_infinite(value)  # pandas writes NaN for a gap
    }
    items = [name_attribute(name, value) for name, value in named.items()]
    fields = take_fields(cells) | {"extras": take_extras(cells, (roles["image"], *named))}
    text = make_caption(cells, "", fields | {"attributes": make_attributes(cells, "attributes", items)})
    return [text] if text and text.attributes else []


LONG = Form(lambda columns: {"attribute", "value"} <= set(columns), _read_long)
WIDE = Form(lambda columns: any(preset_of(name) for name in columns), _read_wide)
