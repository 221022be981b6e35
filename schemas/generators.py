"""The image generators: the settings each one records, and the terms its images come under.

A maintainer declares other generators in `release.toml`: `DeclaredGenerator` is one such entry.

To build a generator in, add one line to `_GENERATORS`. Its settings model may be one of those here or
`OpenSettings`, which accepts any keys. Key names are those that the upstream script writes:
https://github.com/SelfishGene/SFHQ-T2I-dataset/blob/main/create_face_dataset.py
"""

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.columns import Column, ColumnSpec, columns_of, merge
from schemas.problems import suggest

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
        None,
        description='Size asked for: a preset such as "square_hd", or "WxH" in pixels (FLUX, drawn).',
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

    size: _Size | None = Field(
        None, description='Size asked for as "WxH" in pixels (DALL-E 3 and GPT Image).'
    )
    quality: Literal["standard", "hd"] | None = Field(
        None, description="standard or hd (DALL-E 3); low to high, or auto (GPT Image)."
    )
    style: Literal["vivid", "natural"] | None = Field(None, description="vivid or natural (DALL-E 3).")
    orig_prompt: str | None = Field(None, description="The prompt asked for; see `original_prompt`.")


class Flux2Settings(FluxOpenSettings):
    """What FLUX.2 models take: https://fal.ai/models/fal-ai/flux-2/api."""

    output_format: _Text | None = Field(
        None, description="File format asked for, such as png or jpeg (FLUX.2 and GPT Image)."
    )


class GptImageSettings(OpenSettings):
    """What OpenAI's GPT Image models take: https://platform.openai.com/docs/api-reference/images/create."""

    size: _Size | None = Field(None, description="See DALL-E 3.")
    quality: Literal["auto", "low", "medium", "high"] | None = Field(None, description="See DALL-E 3.")
    output_format: _Text | None = Field(None, description="See FLUX.2.")
    output_compression: (
        Annotated[int, BeforeValidator(_whole), Field(ge=0, le=100), Column(pa.int32(), unit="%")] | None
    ) = Field(None, description="Compression of JPEG and WebP files, 0 to 100 (GPT Image).")
    background: Literal["auto", "opaque", "transparent"] | None = Field(
        None, description="auto, opaque or transparent (GPT Image)."
    )
    moderation: Literal["auto", "low"] | None = Field(
        None, description="How strict the provider's filter was: auto or low (GPT Image)."
    )


class DrawnSettings(SeededSettings):
    """What the kit's own portraits depend on: `builders.sample.faces`."""

    image_size: _Size | None = Field(None, description="See FLUX.")
    look: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="What was drawn, as `attribute=value` with `; ` between (drawn portraits)."
    )


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
    "https://www.apache.org/licenses/LICENSE-2.0",
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
_FLUX2_DEV = Terms(
    "flux-2-dev-non-commercial-license",
    "FLUX.2 [dev] Non-Commercial License",
    "https://huggingface.co/black-forest-labs/FLUX.2-dev",
    "The model is for non-commercial use; outputs may not be used to train a competing model.",
    conditions=Conditions.RESTRICTED,
)
_MIT = Terms(
    "mit",
    "MIT License",
    "https://opensource.org/license/mit",
    "The program that draws the images is under the MIT License, which has no clause on outputs.",
    conditions=Conditions.NONE,
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
        retired: Why it can make no more images, and what to use instead; None if it can.
        is_trained: Whether it is a trained model; False for code that draws.
    """

    name: str
    title: str
    url: str
    settings: type[OpenSettings]
    terms: Terms
    retired: str | None = None
    is_trained: bool = True


_HUB = "https://huggingface.co"
_OPENAI_MODELS = "https://platform.openai.com/docs/models"
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
    Generator(
        "DALLE3",
        "DALL-E 3",
        "https://openai.com/index/dall-e-3/",
        Dalle3Settings,
        _OPENAI,
        retired="OpenAI shut it down on 2026-05-12; use gpt-image-2",
    ),
    Generator(
        "SD2_1",
        "Stable Diffusion 2.1",
        f"{_HUB}/stabilityai/stable-diffusion-2-1",
        SdxlSettings,
        _OPENRAIL,
        retired="Stability AI withdrew its weights; use SDXL",
    ),
    Generator(
        "FLUX2_klein_4B",
        "FLUX.2 [klein] 4B",
        f"{_HUB}/black-forest-labs/FLUX.2-klein-4B",
        Flux2Settings,
        _APACHE,
    ),
    Generator("FLUX2_dev", "FLUX.2 [dev]", f"{_HUB}/black-forest-labs/FLUX.2-dev", Flux2Settings, _FLUX2_DEV),
    Generator(
        "gpt-image-1",
        "GPT Image 1",
        f"{_OPENAI_MODELS}/gpt-image-1",
        GptImageSettings,
        _OPENAI,
        retired="OpenAI shut it down on 2026-10-23; use gpt-image-2",
    ),
    *(
        Generator(name, title, f"{_OPENAI_MODELS}/{name}", GptImageSettings, _OPENAI)
        for name, title in (
            ("gpt-image-1-mini", "GPT Image 1 mini"),
            ("gpt-image-1.5", "GPT Image 1.5"),
            ("gpt-image-2", "GPT Image 2"),
            ("gpt-image-2.6", "GPT Image 2.6"),
        )
    ),
    Generator(
        "drawn",
        "Drawn portraits",
        "https://opensource.org/license/mit",
        DrawnSettings,
        _MIT,
        is_trained=False,
    ),
)
# Those that are built in. A release may have more: `generators_with` adds those that its manifest declares.
GENERATORS: Mapping[str, Generator] = {generator.name: generator for generator in _GENERATORS}
# Id → terms that the kit knows.
KNOWN_TERMS: Mapping[str, Terms] = {
    terms.id: terms for terms in (*(each.terms for each in _GENERATORS), *PREFERENCE_MODELS.values())
}

_NO_CELL = frozenset('|`"\\<>')


def _line(value: str) -> str:
    """Refuse text that is not one printable line without blanks around it."""
    if not value.isprintable() or value != value.strip():
        raise ValueError("write one line without control characters, and without blanks around it")
    return value


def _cell(value: str) -> str:
    """Refuse what the card could not put into a cell of a table or between quotes in an example of code."""
    if found := sorted(_NO_CELL & set(value)):
        raise ValueError(f"leave out {' '.join(found)}")
    return value


_Line = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_line)]
_Name = Annotated[_Line, Field(max_length=100), AfterValidator(_cell)]
_Address = Annotated[str, Field(max_length=500, pattern=r"^https?://[^\s<>\"{}|\\^`]+$")]
_TermsId = Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9][a-z0-9.+_-]*$")]
_TERMS_KEYS = ("license_name", "license_url", "license_summary", "license_conditions")


class DeclaredGenerator(BaseModel):
    """One `[[generators]]` entry of `release.toml`: a model that the kit does not know.

    The last four keys explain a licence that the kit does not know. A licence that it knows takes none of
    them, so that one id never has two meanings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Name = Field(description="As the column `model_used` of a table writes it.")
    title: _Name = Field(description="As people write it.")
    url: _Address = Field(description="Page of its maker about it.")
    license: _TermsId = Field(description="Terms of its images, for the column `license` of each row.")
    license_name: _Line | None = Field(None, exclude_if=operator.not_, description="Full name of the terms.")
    license_url: _Address | None = Field(None, exclude_if=operator.not_, description="Where their text is.")
    license_summary: _Line | None = Field(
        None, exclude_if=operator.not_, description="One sentence on what they say of outputs."
    )
    license_conditions: Annotated[Conditions, Field(strict=False)] | None = Field(
        None, exclude_if=operator.not_, description="Kind of conditions that they put on outputs."
    )

    @model_validator(mode="after")
    def _has_terms(self) -> Self:
        given = [key for key in _TERMS_KEYS if getattr(self, key) is not None]
        if self.license in KNOWN_TERMS and given:
            raise ValueError(f"the kit knows the terms {self.license!r}: leave out {', '.join(given)}")
        missing = [key for key in _TERMS_KEYS if key not in given]
        if self.license not in KNOWN_TERMS and missing:
            known = ", ".join(KNOWN_TERMS)
            raise ValueError(
                f"the terms {self.license!r} need {', '.join(missing)}; terms that need no more are: {known}"
            )
        return self

    @property
    def generator(self) -> Generator:
        """The generator, whose settings may have any keys."""
        name, url, summary, conditions = (getattr(self, key) for key in _TERMS_KEYS)
        terms = KNOWN_TERMS.get(self.license) or Terms(self.license, name, url, summary, conditions)
        return Generator(self.name, self.title, self.url, OpenSettings, terms)


def find_generator(name: str, declared: Iterable[Generator] = ()) -> Generator | None:
    """Return the generator of this name, built in or declared; None if there is none."""
    return GENERATORS.get(name) or next((each for each in declared if each.name == name), None)


def advise_on_generator(name: str, declared: Iterable[Generator] = ()) -> str:
    """Return what to do about a name that `find_generator` does not find."""
    near = suggest(name, [*GENERATORS, *(each.name for each in declared)])
    if not name.strip():
        return near
    keys = f'name = {json.dumps(name, ensure_ascii=False)}, title = "…", url = "https://…", license = "…"'
    return f"{near}; or declare it in release.toml, one key a line: [[generators]] {keys}"


def generators_with(declared: Iterable[DeclaredGenerator]) -> Mapping[str, Generator]:
    """Return every generator by its name: the built-in ones, then the declared ones in their order."""
    return {**GENERATORS, **{each.name: each.generator for each in declared}}


def terms_by_model(generators: Mapping[str, Generator]) -> Mapping[str, Terms]:
    """Return model → terms of its images, for generators and for models that only preference data name.

    Args:
        generators: From `generators_with`.
    """
    return {**PREFERENCE_MODELS, **{name: each.terms for name, each in generators.items()}}


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
