"""Generator settings: typed by generator, nothing coerced, nothing dropped."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.generators import GENERATORS, SETTINGS_COLUMNS, FluxProSettings, OpenSettings, settings_row
from tests.support import CONFIGS

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("generator", CONFIGS)
def test_upstream_settings_are_typed(generator: str) -> None:
    row = settings_row(GENERATORS[generator].settings.model_validate(CONFIGS[generator]))
    for key, value in CONFIGS[generator].items():
        assert row[key] == (5 if key == "safety_tolerance" else value)
    assert row["extras"] is None


def test_absent_keys_and_other_generators_keys_are_null() -> None:
    row = settings_row(GENERATORS["FLUX1_schnell"].settings.model_validate({"seed": 7}))
    assert {key: value for key, value in row.items() if value is not None} == {"seed": 7}
    assert list(row) == [column.name for column in SETTINGS_COLUMNS]


@given(st.dictionaries(st.text(min_size=1), JSON_VALUES, max_size=4))
def test_unknown_keys_are_kept(extra: dict[str, object]) -> None:
    known = GENERATORS["SDXL"].settings.model_fields
    extra = {key: value for key, value in extra.items() if key not in known}
    row = settings_row(GENERATORS["SDXL"].settings.model_validate({"steps": 30} | extra))
    assert row["steps"] == 30
    assert json.loads(str(row["extras"] or "{}")) == extra


def test_another_generators_key_is_an_unknown_key_here() -> None:
    row = settings_row(GENERATORS["DALLE3"].settings.model_validate({"steps": "many", "extras": 1}))
    assert row["steps"] is None
    assert json.loads(str(row["extras"])) == {"steps": "many", "extras": 1}


@pytest.mark.parametrize("size", ["square_hd", {"width": 640, "height": 480}])
def test_both_forms_of_a_size_are_taken(size: object) -> None:
    settings = GENERATORS["FLUX1_dev"].settings.model_validate({"image_size": size})
    assert settings_row(settings)["image_size"] == ("640x480" if isinstance(size, dict) else size)


@given(st.integers())
def test_seeds_are_unsigned_32_bit(seed: int) -> None:
    model = GENERATORS["FLUX1_dev"].settings
    if 0 <= seed < 2**32:
        assert settings_row(model.model_validate({"seed": seed}))["seed"] == seed
    else:
        with pytest.raises(ValidationError):
            model.model_validate({"seed": seed})


def test_a_generator_without_a_model_of_its_own_takes_any_settings() -> None:
    assert settings_row(OpenSettings.model_validate({"seed": "x"}))["extras"] == '{"seed": "x"}'


def test_every_generator_has_terms() -> None:
    for generator in GENERATORS.values():
        assert generator.terms.url.startswith("https://")
        assert generator.terms.summary


@pytest.mark.parametrize("name", ["seed", "num_inference_steps", "safety_tolerance"])
def test_a_whole_number_with_a_point_is_an_integer(name: str) -> None:
    model = FluxProSettings.model_validate({name: 4.0})
    value = getattr(model, name)
    assert (value, type(value)) == (4, int)
    with pytest.raises(ValidationError):
        FluxProSettings.model_validate({name: 4.5})
