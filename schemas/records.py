"""Row types: what one row of the tables of images means, and of the table of rejected rows."""

from collections.abc import Mapping
from typing import Annotated, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, model_validator

from schemas.columns import Column, struct
from schemas.generators import GENERATORS, SETTINGS_COLUMNS, Generator, OpenSettings, settings_row
from schemas.problems import Problem
from schemas.prompts import AskedAttribute

ID_CHARS = 16
DEFAULT_SPLIT = "train"
GENERATORS_KEY = "generators"
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"

# Real format → file name extension. Only these formats are ever decoded.
IMAGE_FORMATS: Mapping[str, str] = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}

_Pixels = Annotated[int, Field(ge=1, le=2**31 - 1), Column(pa.int32(), unit="px")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{ID_CHARS}}}$")]
SplitName = Annotated[str, Field(pattern=r"^\w+$")]


def image_id_of(sha256: str) -> str:
    """Shorten the SHA-256 of an image's bytes to its identity in the dataset.

    64 bits: among a million images the chance of any two sharing an id is below 1e-7, and the catalog
    refuses a release in which it happens.
    """
    return sha256[:ID_CHARS]


def image_path(image_id: str, image_format: str) -> str:
    """Name an image inside the dataset: unique, and the same wherever its file came from."""
    return f"{image_id}.{IMAGE_FORMATS[image_format]}"


class ImageRecord(BaseModel):
    """One image: what it shows, how it was made, where it came from, and what binds it.

    Declared generators are known only if the validation context has them, under `GENERATORS_KEY`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_id: Identifier = Field(
        description="Identity of the image: the first 16 hexadecimal digits of `sha256`."
    )
    prompt: str | None = Field(
        description="Text the generator was given; for DALL-E 3 as the provider revised it. Null if unknown."
    )
    original_prompt: str | None = Field(
        description="Text that was asked for before the provider revised it (DALL-E 3 only)."
    )
    captions: list[str] = Field(
        description="Every caption of the image; `captions` says who wrote each. Empty if there is none."
    )
    prompt_attributes: list[AskedAttribute] = Field(
        description="What the prompt asks for, as in `generation`. An image may show something else. Empty "
        "if unknown."
    )
    generator: str = Field(description="Model that made the image.")
    settings: Annotated[
        SerializeAsAny[OpenSettings] | None, Column(struct(SETTINGS_COLUMNS), children=SETTINGS_COLUMNS)
    ] = Field(description="The generator's settings; keys that it does not have are null.")
    config_json: str | None = Field(
        description="The settings exactly as the source wrote them (JSON). Null where unknown."
    )
    width: _Pixels = Field(description="Width of the image.")
    height: _Pixels = Field(description="Height of the image.")
    format: str = Field(description="Real format of the bytes: JPEG, PNG or WEBP.")
    mode: str = Field(description="Pixel mode as Pillow names it, such as RGB or L.")
    num_bytes: Annotated[int, Field(ge=1), Column(unit="bytes")] = Field(
        description="Size of the image file, whose bytes are published unchanged."
    )
    sha256: _Sha256 = Field(description="SHA-256 of the image file's bytes.")
    license: str = Field(description="Terms that bind the image; `LICENSES.md` explains each.")
    digital_source_type: str = Field(
        description="IPTC digital source type, which marks the image as synthetic."
    )
    source: str = Field(description="Source folder that the image came from.")
    file_name: str = Field(description="Name of the file in its source; not unique across sources.")
    other_origins: list[str] = Field(
        description="Where else the same bytes came from, as source/file name; usually nowhere."
    )
    split: SplitName = Field(description="Split that the row belongs to.")

    @model_validator(mode="after")
    def _facts_agree(self, info: ValidationInfo) -> Self:
        generators: Mapping[str, Generator] = (info.context or {}).get(GENERATORS_KEY, GENERATORS)
        generator = generators.get(self.generator)
        if generator is None:
            raise ValueError(f"generator {self.generator!r} is not one of {', '.join(generators)}")
        if self.settings is not None and not isinstance(self.settings, generator.settings):
            wanted, given = generator.settings.__name__, type(self.settings).__name__
            raise ValueError(f"settings of {self.generator} are {wanted}, not {given}")
        if self.image_id != image_id_of(self.sha256):
            raise ValueError(f"image_id {self.image_id!r} does not begin the sha256 {self.sha256!r}")
        if self.format not in IMAGE_FORMATS:
            raise ValueError(f"format {self.format!r} is not one of {', '.join(IMAGE_FORMATS)}")
        return self

    def row(self) -> dict[str, object]:
        """Lay the record out as one row of a table, without the image."""
        values = dict(vars(self))  # of pydantic's, each field's value in the order of the fields
        values["prompt_attributes"] = [each.model_dump() for each in self.prompt_attributes]
        values["settings"] = settings_row(self.settings) if self.settings is not None else None
        return values


_Bytes = bytes  # the field below hides the built-in name


class EncodedImage(BaseModel):
    """An image as the Hub stores it in Parquet."""

    bytes: _Bytes = Field(description="The image file's own bytes.")
    path: str = Field(description="`image_id` and the extension of the real format.")


class ImageRow(ImageRecord):
    """An image record together with the image."""

    image: Annotated[EncodedImage, Column(image=True)] = Field(
        description="The image; `datasets` decodes it to a PIL image."
    )


class ProblemEntry(BaseModel):
    """A problem as a row of a rejected row's list."""

    reason: str = Field(description="Kind of problem.")
    message: str = Field(description="What is wrong.")
    file: str = Field(description="File it is in, relative to the source.")
    row: int | None = Field(description="Row as a spreadsheet numbers it; the header is row 1.")
    column: str | None = Field(description="Column it is in.")
    value: str | None = Field(description="The offending value.")
    fix: str = Field(description="What to do.")

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Make the entry of a problem."""
        return cls.model_validate({name: getattr(problem, name) for name in cls.model_fields})


class RejectedRow(BaseModel):
    """An input row that is not published, with every reason and its own text."""

    table: str = Field(
        description="What it was to become a row of: images, captions, preferences or generation."
    )
    source: str = Field(description="Source it came from.")
    file: str = Field(description="Table, or the image that no row names.")
    row: int | None = Field(description="Row as a spreadsheet numbers it; null for an image without a row.")
    name: str = Field(description="Image or pair that it names.")
    reason: str = Field(description="First reason; the manifest counts rows by it.")
    problems: list[ProblemEntry] = Field(description="Everything that is wrong with it.")
    raw: str = Field(description="The row as it came, undecodable bytes escaped.")
