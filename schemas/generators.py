"""The image generators: the settings each one records, and the terms its images come under.

To add a generator, add one line to `_GENERATORS`. Its settings model may be one of those here or
`OpenSettings`, which accepts any keys. Key names are those that the upstream script writes:
https://github.com/SelfishGene/SFHQ-T2I-dataset/blob/main/create_face_dataset.py
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.columns import Column, ColumnSpec, columns_of, merge

MAX_SEED = 2**32 - 1


def _size_text(value: object) -> object:
    """Accept the provider's `{"width": w, "height": h}` form of a size as "WxH"."""
    if isinstance(value, dict) and value.keys() == {"width", "height"}:
        return f"{value['width']}x{value['height']}"
    return value


def _digits(value: object) -> object:
    """Accept a whole number written as a string; upstream writes the safety tolerance so."""
    return int(value) if isinstance(value, str) and len(value) < 10 and value.isdecimal() else value


def _whole(value: object) -> object:
    """Accept a whole number with a point: pandas writes 12.0 where a column has gaps."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Size = Annotated[_Text, BeforeValidator(_size_text)]
_Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=MAX_SEED)]
_Steps = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=1000), Column(pa.int32(), unit="steps")]
_Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_Tolerance = Annotated[
    int, BeforeValidator(_digits), BeforeValidator(_whole), Field(ge=0, le=6), Column(pa.int32())
]


class OpenSettings(BaseModel):
    """Settings of a generator with no model of its own; also the base of those that have one.

    Unknown keys are kept (`extras`), absent keys are None, and nothing is coerced: a number in
    quotes is not a number.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    @property
    def extras(self) -> dict[str, object]:
        """Return the keys that the model does not know."""
        return dict(self.model_extra or {})


class SeededSettings(OpenSettings):
    """Settings of a generator that can be asked for the same image again."""

    seed: _Seed | None = Field(None, description="Random seed, 0 to 2^32-1; DALL-E 3 has none.")


class FluxSettings(SeededSettings):
    """What every FLUX.1 model takes: https://fal.ai/models/fal-ai/flux/dev/api."""

    image_size: _Size | None = Field(
        None, description='Size asked for: a preset such as "square_hd", or "WxH" in pixels (FLUX).'
    )
    num_inference_steps: _Steps | None = Field(None, description="Denoising steps, 1 to 1000 (FLUX).")
    guidance_scale: _Scale | None = Field(
        None, description="Distilled guidance, 0 to 100, usually 2.5 to 4 (FLUX)."
    )


class FluxOpenSettings(FluxSettings):
    """FLUX.1 [dev] and FLUX.1 [schnell]."""

    enable_safety_checker: bool | None = Field(
        None, description="Whether the provider's safety checker was on (FLUX dev and schnell)."
    )


class FluxProSettings(FluxSettings):
    """FLUX.1 [pro]."""

    safety_tolerance: _Tolerance | None = Field(
        None, description="The provider's safety tolerance, 0 (strictest) to 6 (FLUX pro)."
    )


class SdxlSettings(SeededSettings):
    """SDXL as served by Stability AI: https://platform.stability.ai/docs/api-reference#tag/SDXL-1.0."""

    engine_id: _Text | None = Field(None, description="The provider's engine name (SDXL).")
    cfg_scale: _Scale | None = Field(
        None, description="Classifier-free guidance, 0 to 100, usually 5 to 8 (SDXL)."
    )
    steps: _Steps | None = Field(None, description="Diffusion steps, 1 to 1000 (SDXL).")
    style_preset: _Text | None = Field(
        None, description='The provider\'s style preset, such as "photographic" (SDXL).'
    )


class Dalle3Settings(OpenSettings):
    """DALL-E 3: https://platform.openai.com/docs/api-reference/images/create."""

    size: _Size | None = Field(None, description='Size asked for as "WxH" in pixels (DALL-E 3).')
    quality: Literal["standard", "hd"] | None = Field(None, description="standard or hd (DALL-E 3).")
    style: Literal["vivid", "natural"] | None = Field(None, description="vivid or natural (DALL-E 3).")
    orig_prompt: str | None = Field(None, description="The prompt asked for; see `original_prompt`.")


class Conditions(StrEnum):
    """Kinds of conditions that terms put on images, the least first."""

    NONE = "none"
    USE = "forbidden uses"
    RESTRICTED = "no training of competing models"
    SEE_TERMS = "see its terms"


@dataclass(frozen=True, slots=True)
class Terms:
    """What binds the images of one generator. An engineering reading, not legal advice.

    Attributes:
        id: Short name, as in the `license` column; the Hub's identifier where it has one.
        name: Full name.
        url: Where the text is.
        summary: What it says of outputs, in one sentence.
        conditions: What kind of conditions it puts on outputs; tables and figures show it.
    """

    id: str
    name: str
    url: str
    summary: str
    conditions: Conditions


_APACHE = Terms(
    "apache-2.0",
    "Apache License 2.0",
    "https://huggingface.co/black-forest-labs/FLUX.1-schnell",
    "The model is under Apache-2.0, which has no clause on outputs.",
    conditions=Conditions.NONE,
)
_OPENRAIL = Terms(
    "openrail++",
    "CreativeML Open RAIL++-M",
    "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
    "No claim on outputs; the use-based restrictions of its Attachment A apply to what is done with them.",
    conditions=Conditions.USE,
)
_FLUX_DEV = Terms(
    "flux-1-dev-non-commercial-license",
    "FLUX.1 [dev] Non-Commercial License",
    "https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md",
    "The model is for non-commercial use; outputs may not be used to train a competing model.",
    conditions=Conditions.RESTRICTED,
)
_FLUX_PRO = Terms(
    "flux-1-pro-api-terms",
    "FLUX API terms of service",
    "https://blackforestlabs.ai/flux-api-service-agreement/",
    "Outputs come under the terms of the API that made them; read those before you rely on them.",
    conditions=Conditions.SEE_TERMS,
)
_OPENAI = Terms(
    "openai-terms-of-use",
    "OpenAI Terms of Use",
    "https://openai.com/policies/terms-of-use/",
    "Outputs are assigned to the user; they may not be used to develop models that compete with OpenAI.",
    conditions=Conditions.RESTRICTED,
)
_STABILITY = Terms(
    "stability-ai-community-license",
    "Stability AI Community License",
    "https://huggingface.co/stabilityai/stable-diffusion-3.5-large/blob/main/LICENSE.md",
    "Outputs may not be used to create or improve any other foundational generative model.",
    conditions=Conditions.RESTRICTED,
)
# Models that only preference data names: name → terms of its images.
PREFERENCE_MODELS: Mapping[str, Terms] = {
    "black-forest-labs/FLUX.1-dev": _FLUX_DEV,
    "stabilityai/stable-diffusion-3.5-large": _STABILITY,
}


@dataclass(frozen=True, slots=True)
class Generator:
    """One text-to-image model.

    Attributes:
        name: As the `model_used` column of an SFHQ table writes it.
        title: As people write it.
        url: Page of its maker about it; croissant.json names the model by this address.
        settings: The model that types its `configs`.
        terms: What binds its images.
    """

    name: str
    title: str
    url: str
    settings: type[OpenSettings]
    terms: Terms


_HUB = "https://huggingface.co"
_GENERATORS = (
    Generator(
        "FLUX1_schnell",
        "FLUX.1 [schnell]",
        f"{_HUB}/black-forest-labs/FLUX.1-schnell",
        FluxOpenSettings,
        _APACHE,
    ),
    Generator(
        "SDXL",
        "Stable Diffusion XL",
        f"{_HUB}/stabilityai/stable-diffusion-xl-base-1.0",
        SdxlSettings,
        _OPENRAIL,
    ),
    Generator(
        "FLUX1_dev", "FLUX.1 [dev]", f"{_HUB}/black-forest-labs/FLUX.1-dev", FluxOpenSettings, _FLUX_DEV
    ),
    Generator(
        "FLUX1_pro",
        "FLUX.1 [pro]",
        "https://blackforestlabs.ai/announcing-black-forest-labs/",
        FluxProSettings,
        _FLUX_PRO,
    ),
    Generator("DALLE3", "DALL-E 3", "https://openai.com/index/dall-e-3/", Dalle3Settings, _OPENAI),
)
GENERATORS = {generator.name: generator for generator in _GENERATORS}

EXTRAS = ColumnSpec(
    "extras", pa.string(), nullable=True, description="Keys that the kit does not know, as a JSON object."
)
SETTINGS_COLUMNS = (*merge(columns_of(generator.settings) for generator in _GENERATORS), EXTRAS)


def settings_row(settings: OpenSettings) -> dict[str, object]:
    """Lay settings out over the columns of every generator: keys of other generators are None."""
    values = settings.model_dump()
    extras = settings.extras
    row = {spec.name: None if spec.name in extras else values.get(spec.name) for spec in SETTINGS_COLUMNS}
    row[EXTRAS.name] = json.dumps(extras, sort_keys=True, ensure_ascii=False) if extras else None
    return row
