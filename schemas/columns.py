"""Columns: from a pydantic row type to an Arrow schema, `datasets.Features` and a table for people.

A row type is written once, as a pydantic model. Python types map to Arrow types (`ARROW_TYPES`); a
field that needs a narrower type, a unit or nested columns says so with a `Column` mark:

    width: Annotated[int, Field(ge=1, description="Width of the image."), Column(pa.int32(), unit="px")]
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from datasets import Features

ARROW_TYPES: Mapping[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}
_METADATA_KEY = b"huggingface"
_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})  # as `datasets.Image` stores one
_DTYPES = {pa.float16(): "float16", pa.float32(): "float32", pa.float64(): "float64"}  # Arrow: "double"
_LISTS = (list, tuple)  # a frozen model has `tuple[X, ...]`


@dataclass(frozen=True, slots=True)
class Column:
    """Mark on a field: what its Python type alone does not say.

    Attributes:
        arrow: Arrow type, where the default for the Python type is not the one wanted.
        unit: Unit of the values, for people.
        children: Columns inside a struct whose Python type is a union of models.
        image: Whether `datasets` should decode the column as an image.
    """

    arrow: pa.DataType | None = None
    unit: str | None = None
    children: "tuple[ColumnSpec, ...]" = ()
    image: bool = False


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One published column: everything that a file, a loader or a reader needs to know of it."""

    name: str
    arrow: pa.DataType
    nullable: bool
    description: str
    unit: str | None = None
    children: "tuple[ColumnSpec, ...]" = ()
    image: bool = False


def columns_of(model: type[BaseModel]) -> tuple[ColumnSpec, ...]:
    """List the columns of a row type in field order.

    Raises:
        TypeError: A field's type has no Arrow type and its mark gives none.
    """
    return tuple(_column(name, field) for name, field in model.model_fields.items())


def arrow_schema(columns: Iterable[ColumnSpec]) -> pa.Schema:
    """Build the Arrow schema of a table, with the Hub's `huggingface` metadata that types images.

    It is the schema of `features`, without the 1.8 CPU seconds that importing `datasets` takes. The metadata
    names lists as `datasets` did before 4.0, whose versions refuse to read a file with the newer name `List`;
    newer ones read both. Tried with 2.19, 3.6, 4.0 and 5.2: `tests/readers/test_old_readers.py`.
    """
    specs = list(columns)
    described = {spec.name: {"_type": "Image"} if spec.image else _describe(spec.arrow) for spec in specs}
    fields = [pa.field(spec.name, _IMAGE if spec.image else spec.arrow) for spec in specs]
    return pa.schema(fields, {_METADATA_KEY: json.dumps({"info": {"features": described}})})


def _describe(kind: pa.DataType) -> Any:
    """Describe an Arrow type as `datasets.Features.to_dict` does, but lists without the type `List`."""
    if pa.types.is_struct(kind):
        return {field.name: _describe(field.type) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _describe(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return [_describe(kind.value_type)]
    return {"dtype": _DTYPES.get(kind, str(kind)), "_type": "Value"}


def features(columns: Iterable[ColumnSpec]) -> "Features":
    """Build the `datasets.Features` of a table."""
    from datasets import Features, Image  # noqa: PLC0415 - slow to import, and not always needed

    specs = list(columns)
    plain = Features.from_arrow_schema(pa.schema([pa.field(spec.name, spec.arrow) for spec in specs]))
    return Features({spec.name: Image() if spec.image else plain[spec.name] for spec in specs})


def flatten(columns: Iterable[ColumnSpec], prefix: str = "") -> Iterator[tuple[str, ColumnSpec]]:
    """Yield each column with its dotted name, the columns inside a struct after the struct."""
    for spec in columns:
        yield f"{prefix}{spec.name}", spec
        yield from flatten(spec.children, f"{prefix}{spec.name}.")


def type_names(schema: pa.Schema) -> dict[str, str]:
    """Name the Arrow type of every column of a schema, those inside structs and lists by dotted names."""
    names: dict[str, str] = {}

    def add(field: pa.Field, prefix: str) -> None:
        is_vector = pa.types.is_fixed_size_list(field.type)  # the name of what is in it differs in files
        is_list = is_vector or pa.types.is_list(field.type)
        item = field.type.value_type if is_list else field.type
        is_struct = pa.types.is_struct(item)
        name = "struct" if is_struct else str(item)
        size = f"{field.type.list_size} " if is_vector else ""
        names[f"{prefix}{field.name}"] = f"list of {size}{name}" if is_list else name
        for child in item if is_struct else ():
            add(child, f"{prefix}{field.name}.")

    for field in schema:
        add(field, "")
    return names


def merge(groups: Iterable[tuple[ColumnSpec, ...]]) -> tuple[ColumnSpec, ...]:
    """Unite the columns of several models into one struct in which each may be null.

    Raises:
        TypeError: Two models give one name different Arrow types.
    """
    merged: dict[str, ColumnSpec] = {}
    for spec in (spec for group in groups for spec in group):
        known = merged.setdefault(spec.name, spec)
        if known.arrow != spec.arrow:
            raise TypeError(
                f"settings key {spec.name!r} is {known.arrow} in one model and {spec.arrow} in another"
            )
    return tuple(merged.values())


def struct(children: Iterable[ColumnSpec]) -> pa.DataType:
    """Build the Arrow struct that holds these columns."""
    return pa.struct([pa.field(spec.name, spec.arrow) for spec in children])


def _column(name: str, field: FieldInfo) -> ColumnSpec:
    base, marks, nullable = _unwrap(field.annotation, list(field.metadata))
    mark = next((mark for mark in marks if isinstance(mark, Column)), Column())
    item = get_args(base)[0] if get_origin(base) in _LISTS else base
    is_model = isinstance(item, type) and issubclass(item, BaseModel)
    children = mark.children or (columns_of(item) if is_model else ())
    arrow = mark.arrow or _arrow_type(name, base)
    return ColumnSpec(name, arrow, nullable, field.description or "", mark.unit, children, mark.image)


def _arrow_type(name: str, base: object) -> pa.DataType:
    if get_origin(base) in _LISTS:
        return pa.list_(_arrow_type(name, _unwrap(get_args(base)[0], [])[0]))
    if get_origin(base) is Literal:
        base = type(get_args(base)[0])
    if isinstance(base, type):
        if issubclass(base, BaseModel):
            return struct(columns_of(base))
        for python_type in base.__mro__:
            if python_type in ARROW_TYPES:
                return ARROW_TYPES[python_type]
    raise TypeError(f"column {name!r}: no Arrow type for {base!r}; mark the field with Column(...)")


def _unwrap(annotation: Any, marks: list[Any]) -> tuple[Any, list[Any], bool]:
    """Take `Annotated` and `| None` off a type: the bare type, all marks, whether it may be None."""
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            marks += more
        elif origin in (Union, UnionType):
            rest = [arg for arg in get_args(annotation) if arg is not type(None)]
            nullable = nullable or len(rest) < len(get_args(annotation))
            if len(rest) != 1:
                return annotation, marks, nullable
            annotation = rest[0]
        else:
            return annotation, marks, nullable
