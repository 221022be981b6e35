"""Near-duplicates: what one row of the table of images that look alike means."""

from enum import StrEnum
from typing import Annotated, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.columns import Column
from schemas.records import Identifier


class DuplicateKind(StrEnum):
    """What says that an image looks like another."""

    EMBEDDING = "embedding"
    HASH = "hash"
    BOTH = "both"


class NearDuplicate(BaseModel):
    """One image that looks like another of the release; images without such another have no row."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    image_id: Identifier = Field(description="The image, as in the other configs.")
    group: Identifier = Field(
        description="Images that look alike, directly or through others: the `image_id` of the first of them."
    )
    similarity: Annotated[float, Field(ge=-1.01, le=1.01), Column(pa.float32())] | None = Field(
        description="Cosine similarity of its embedding and that of the image most like it; null where none "
        "reaches the threshold."
    )
    hash_distance: Annotated[int, Field(ge=0, le=255), Column(pa.int16(), unit="bits")] | None = Field(
        description="Bits of 255 in which its perceptual hash differs from the nearest; null where none is "
        "near enough."
    )
    kind: DuplicateKind = Field(description="What says so: `embedding`, `hash` or `both`.")

    @model_validator(mode="after")
    def _kind_agrees(self) -> Self:
        if self.kind is not kind_of(self.similarity, self.hash_distance):
            raise ValueError(f"kind {self.kind.value!r} does not say which of the two measures is there")
        return self


def kind_of(similarity: float | None, hash_distance: int | None) -> DuplicateKind:
    """Name the measures that found an image.

    Raises:
        ValueError: Neither did.
    """
    if similarity is None and hash_distance is None:
        raise ValueError("an image that nothing found is no near-duplicate")
    if hash_distance is None:
        return DuplicateKind.EMBEDDING
    return DuplicateKind.HASH if similarity is None else DuplicateKind.BOTH
