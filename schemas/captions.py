"""Captions: what one row of the table of sentences and attributes means."""

import hashlib
import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.attributes import Attribute
from schemas.records import ID_CHARS, Identifier, SplitName

Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
_ShortText = Annotated[str, Field(min_length=1, max_length=500)]


class CaptionText(BaseModel):
    """What a caption source says of one image: a sentence, attributes, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    caption: Annotated[str, Field(min_length=1, max_length=100_000)] | None = Field(
        None, description="The sentence; null where a source gives attributes alone."
    )
    language: Language | None = Field(None, description="Language of the caption as BCP 47; null if unknown.")
    captioner: _ShortText | None = Field(
        None, description="Who or what wrote the caption: a model's name. Null where the source does not say."
    )
    captioner_version: _ShortText | None = Field(None, description="Version of the captioner, if known.")
    method: _ShortText | None = Field(None, description="How it was made, in the source's own word.")
    instruction: str | None = Field(None, description="What the captioner was asked, if known.")
    score: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None, description="The source's score of the caption, on the source's own scale."
    )
    attributes: list[Attribute] = Field(
        default_factory=list,
        description="What models inferred from the image, with errors. The people shown do not exist.",
    )
    bag_of_words: list[str] = Field(
        default_factory=list, description="Words that the caption was made from, where it was made so."
    )
    extras: str | None = Field(None, description="What else the source says, as a JSON object.")


class CaptionRecord(CaptionText):
    """One caption of one image, or attributes of it without a sentence."""

    caption_id: Identifier = Field(
        description="Identity of the row: a digest of the image and of everything said of it."
    )
    image_id: Identifier = Field(description="The image, as in the other configs.")
    source: str = Field(description="Source that the caption came from.")
    file: str = Field(description="File of that source.")
    row: int = Field(description="Row of that file, counted as the file's readers do: a CSV's header is 1.")
    split: SplitName = Field(description="Split that the row belongs to: the image's.")


def caption_id_of(image_id: str, text: CaptionText) -> str:
    """Derive the identity of a caption; equal content gives equal ids, wherever it was read.

    `extras` are left out: they say where a source has a caption, not what it says.
    """
    content = text.model_dump(exclude={"extras"})
    canonical = json.dumps([image_id, content], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:ID_CHARS]
