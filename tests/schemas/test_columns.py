"""One definition gives validation, Arrow schema, `datasets.Features` and descriptions."""

from typing import Annotated, Literal

import pyarrow as pa
import pytest
from datasets import Image, Value
from pydantic import BaseModel, Field

from schemas.columns import Column, arrow_schema, columns_of, features, flatten, merge, type_names
from schemas.configs import CONFIGS


class Inner(BaseModel):
    """A struct."""

    kind: Literal["a", "b"] = Field(description="A kind.")


class Row(BaseModel):
    """A row with every sort of field."""

    name: str = Field(description="A name.")
    width: Annotated[int, Field(ge=1, description="A width."), Column(pa.int32(), unit="px")]
    score: float | None = Field(None, description="A score.")
    limit: Annotated[int, Column(pa.int16())] | None = Field(None, description="A limit.")
    tags: list[str] = Field(description="Tags.")
    inner: Inner | None = Field(None, description="A struct.")


def test_python_types_and_marks_become_arrow_types() -> None:
    assert type_names(arrow_schema(columns_of(Row))) == {
        "name": "string",
        "width": "int32",
        "score": "double",
        "limit": "int16",
        "tags": "list of string",
        "inner": "struct",
        "inner.kind": "string",
    }


def test_columns_carry_units_nullability_and_descriptions() -> None:
    columns = dict(flatten(columns_of(Row)))
    assert (columns["width"].unit, columns["width"].nullable) == ("px", False)
    assert columns["limit"].nullable
    assert columns["inner.kind"].description == "A kind."


def test_a_type_without_arrow_type_is_refused() -> None:
    class Bad(BaseModel):
        value: complex

    with pytest.raises(TypeError, match="value"):
        columns_of(Bad)


def test_models_that_disagree_about_a_name_cannot_be_merged() -> None:
    class Other(BaseModel):
        name: int

    with pytest.raises(TypeError, match="name"):
        merge([columns_of(Row), columns_of(Other)])


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_published_column_is_described_and_typed_for_the_hub(config: object) -> None:
    columns = CONFIGS[config.name].columns  # type: ignore[attr-defined]
    assert all(column.description for _, column in flatten(columns))
    schema = arrow_schema(columns)
    assert b"huggingface" in (schema.metadata or {})
    assert features(columns).arrow_schema == schema


def test_the_default_config_shows_the_image_first_and_decodes_it() -> None:
    typed = features(CONFIGS["default"].columns)
    assert next(iter(typed)) == "image"
    assert isinstance(typed["image"], Image)
    assert typed["prompt"] == Value("string")
