"""Attributes in cells: lists of records or of words, objects, and single values."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from builders.sources.captions.form import ATTRIBUTE_COLUMN
from builders.sources.cells import Cells
from schemas.attributes import Attribute, publish_value


def take_attributes(cells: Cells) -> list[Attribute]:
    """Take a row's attributes: a list of records or of words, or an object {attribute: value}."""
    value = cells.literal(ATTRIBUTE_COLUMN)
    nested = cells.member(ATTRIBUTE_COLUMN)
    if value is None and nested is None:
        return []
    if isinstance(value, list):
        return make_attributes(cells, ATTRIBUTE_COLUMN, [name_attribute(item, "yes") for item in value])
    if nested is not None:
        return make_attributes(cells, ATTRIBUTE_COLUMN, _of_object(nested.others(())))
    message = "the attributes are neither a list nor an object"
    cells.wrong(ATTRIBUTE_COLUMN, message, 'write {"hair": "red"}')
    return []


def make_attributes(cells: Cells, column: str, items: Sequence[object]) -> list[Attribute]:
    """Make attributes of records; one that is wrong is among the row's problems, and left out."""
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


def name_attribute(item: object, value: object) -> object:
    """Return the record of a name and a value; a record is returned unchanged."""
    return item if isinstance(item, dict) else {"attribute": item, "value": value}


def _of_object(dotted: Mapping[str, object]) -> list[object]:
    """Turn {"hair": "red"} or {"hair.value": "red", "hair.confidence": 0.9} into attributes."""
    whole: dict[str, dict[str, object]] = {}
    items: list[object] = []
    for name, value in dotted.items():
        attribute, _, field = name.rpartition(".")
        if attribute and field in Attribute.model_fields:
            whole.setdefault(attribute, {"attribute": attribute})[field] = value
        elif isinstance(value, list):
            items += [name_attribute(name, item) for item in value]
        else:
            items.append(name_attribute(name, value))
    return [*items, *whole.values()]


def _value_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)
