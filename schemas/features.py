"""Image features: which encoder a release asks for, and what is recorded of the one that made them."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.columns import Column, ColumnSpec, columns_of
from schemas.problems import Problem, Reason
from schemas.records import Identifier

# Under this key a file of features says in JSON what made them: a `Provenance`.
PROVENANCE_KEY = b"sfhq.provenance"

# Of the two configs of an encoder, that of the captions is named after that of the images.
OF_CAPTIONS = "_captions"

DEMO_MODEL, DEMO_TAG = "sfhq-demo", "built-in"
DEMO_NOTICE = (
    "These features come from the kit's demonstration encoder, trained on faces drawn by code. "
    "It knows nothing of photographs; it shows what features look like."
)

Dtype = Literal["float32", "bfloat16", "float16"]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Size = Annotated[int, Field(ge=1)]
_Channels = tuple[float, float, float]


class FeatureSettings(BaseModel):
    """One `[[features]]` table of the settings: an encoder whose features are published."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description='Model as open_clip names it, such as "ViT-B-32", or "sfhq-demo".'
    )
    pretrained: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="Weights: a tag of open_clip's for this model, the path of a checkpoint of your own, or "
        '"built-in" for the demonstration encoder.'
    )
    weights: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        None,
        description="File that holds the tag's weights: nothing is downloaded, and the tag says how images "
        "are prepared.",
    )
    name: Annotated[str, Field(pattern=r"^clip_[a-z0-9]+(_[a-z0-9]+)*$", max_length=60)] | None = Field(
        None, description='Name of the config; "clip_" and the model if missing.'
    )
    dtype: Literal["auto"] | Dtype = Field(
        "auto", description="Numbers that the model computes in; auto: bfloat16 where the processor has it."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is one.")
    allow_demonstration: bool = Field(
        default=False,
        description="Publish the demonstration encoder's features of images that are not drawn.",
    )

    @model_validator(mode="after")
    def _names_images(self) -> Self:
        if self.config.endswith(OF_CAPTIONS):
            raise ValueError(
                f"the config's name is {self.config!r}, and what ends in {OF_CAPTIONS!r} is the config of "
                'captions: give it another, name = "clip_…"'
            )
        return self

    @property
    def config(self) -> str:
        """Name of the config that holds the features."""
        return self.name or config_name(self.model)

    @property
    def is_demonstration(self) -> bool:
        """Whether this is the encoder that comes with the kit."""
        return self.model == DEMO_MODEL


def config_name(model: str) -> str:
    """Name a model's config: `ViT-B-32` → `clip_vit_b_32`."""
    slug = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
    return "clip_" + slug.removeprefix("clip_")


def refuse_demonstration(settings: FeatureSettings, *, images_are_drawn: bool) -> Problem | None:
    """Return the refusal of the demonstration encoder for real images; None if it may be used."""
    if images_are_drawn or settings.allow_demonstration or not settings.is_demonstration:
        return None
    return Problem(
        Reason.SETTINGS,
        "the demonstration encoder has only ever seen drawn faces; its features of other images mean nothing",
        column="features.model",
        value=settings.model,
        fix='name a real model, such as model = "ViT-B-32", pretrained = "laion2b_s34b_b79k", '
        "or set allow_demonstration = true",
    )


class Provenance(BaseModel):
    """Everything that an encoder's numbers depend on, apart from the image and the processor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Model as open_clip names it.")
    pretrained: str = Field(description="Tag of the weights, or the name of their file.")
    weights_sha256: _Sha256 = Field(description="SHA-256 of the weights' file.")
    dimension: _Size = Field(description="Numbers in one feature vector.")
    input_size: tuple[_Size, _Size] = Field(description="Height and width, in pixels, that the model sees.")
    image_mean: _Channels = Field(description="Subtracted from red, green and blue, which run from 0 to 1.")
    image_std: _Channels = Field(description="What red, green and blue are then divided by.")
    interpolation: str = Field(description="How images are resized.")
    resize_mode: str = Field(
        description="What of an image is seen: shortest (side fits, then centre), squash, longest."
    )
    decoding: str = Field(description="At which scale images are decoded.")
    context_length: _Size = Field(description="Most tokens of a text.")
    quick_gelu: bool = Field(description="Whether the model uses the sigmoid approximation of GELU.")
    dtype: Dtype = Field(description="Numbers that the model computed in; vectors are rounded to float16.")
    normalized: bool = Field(description="Whether vectors have length 1.")
    is_demonstration: bool = Field(description="Whether this is the kit's demonstration encoder.")
    libraries: Mapping[str, str] = Field(description="Library → version.")

    @property
    def text(self) -> str:
        """All of it as one line of JSON, as files of features carry it."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it: equal where features can stand beside each other."""
        return hashlib.sha256(self.text.encode()).hexdigest()


_Cosine = Annotated[float, Field(ge=-1, le=1), Column(pa.float32())]


class ImageFeatures(BaseModel):
    """What an encoder makes of one image."""

    image_id: Identifier = Field(description="The image, as in the other configs.")
    # float32 in files, since Spark and older pyarrow and polars read no file with float16; see DECISIONS.md.
    embedding: Annotated[list[float], Column(pa.list_(pa.float32()))] = Field(
        description="The image as a vector of length 1, in numbers that float16 has, too; the dot product of "
        "two is their cosine similarity."
    )
    prompt_similarity: _Cosine | None = Field(
        description="Cosine similarity of the image and its prompt. Null where there is no prompt."
    )


class CaptionFeatures(BaseModel):
    """How well one caption fits its image."""

    caption_id: Identifier = Field(description="The caption, as in `captions`.")
    image_id: Identifier = Field(description="The image, as in the other configs.")
    similarity: _Cosine | None = Field(
        description="Cosine similarity of the image and the caption. Null for attributes without a sentence."
    )


def image_feature_columns(dimension: int) -> tuple[ColumnSpec, ...]:
    """Return the columns of `ImageFeatures` for vectors of some dimension."""
    return tuple(
        replace(column, arrow=pa.list_(pa.float32(), dimension)) if column.name == "embedding" else column
        for column in columns_of(ImageFeatures)
    )
