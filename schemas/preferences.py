"""Preferences: people's votes between two images, and the pairs that trainers read."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import Column
from schemas.records import EncodedImage, Identifier, SplitName

_Count = Annotated[int, Field(ge=0), Column(pa.int32(), unit="votes")]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Label(StrEnum):
    """What a person can say of two images, in the words of open-image-preferences.

    `TIE` is for sources that know a tie but not whether both were good or bad.
    """

    IMAGE_1 = "image_1"
    IMAGE_2 = "image_2"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    TIE = "tie"
    TOXIC = "toxic_content"

    @property
    def mirrored(self) -> "Label":
        """The same opinion with the sides swapped."""
        return {Label.IMAGE_1: Label.IMAGE_2, Label.IMAGE_2: Label.IMAGE_1}.get(self, self)


class Status(StrEnum):
    """How far a response got."""

    SUBMITTED = "submitted"
    DRAFT = "draft"
    DISCARDED = "discarded"
    PENDING = "pending"


class Decision(StrEnum):
    """What the votes on a pair come to."""

    IMAGE_1 = "image_1"
    IMAGE_2 = "image_2"
    UNDECIDED = "undecided"
    TOXIC = "toxic"
    NO_VOTES = "no_votes"

    @property
    def is_decided(self) -> bool:
        """Whether one of the images is preferred."""
        return self in (Decision.IMAGE_1, Decision.IMAGE_2)


def decide_by_majority(counts: Mapping[str, int]) -> Decision:
    """Return what counted votes come to by `submitted-majority`.

    Campaigns ask by the same rule, so that what they stop asking about is decided in a release, too.

    Args:
        counts: How many votes there are for each label.
    """
    if counts.get(Label.TOXIC):
        return Decision.TOXIC
    total = sum(counts.values())
    if not total:
        return Decision.NO_VOTES
    for label, decision in ((Label.IMAGE_1, Decision.IMAGE_1), (Label.IMAGE_2, Decision.IMAGE_2)):
        if 2 * counts.get(label, 0) > total:
            return decision
    return Decision.UNDECIDED


class Vote(BaseModel):
    """One person's response to one pair, counted or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: str | None = Field(
        description="Who: a keyed hash, equal for one person's votes. Null where the source does not say."
    )
    label: Label | None = Field(description="What they said; null for a response without an answer.")
    status: Status = Field(description="submitted, draft, discarded or pending; only submitted ones count.")


class PreferencePair(BaseModel):
    """Two images for one prompt, what people said of them, and what that comes to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="The source's own id, or a digest of the pair; unique in its source.")
    prompt: str | None = Field(description="Prompt that both images were made for.")
    image_1: str = Field(description="First image as the source names it: address without query, or path.")
    image_2: str = Field(description="Second image, likewise.")
    image_1_id: Identifier | None = Field(description="Its `image_id`; null where the image is not here.")
    image_2_id: Identifier | None = Field(description="The same of the second image.")
    model_1: str | None = Field(description="Model that made the first image; null where unknown.")
    model_2: str | None = Field(description="Model that made the second image.")
    category: str | None = Field(description="Category of the prompt.")
    sub_category: str | None = Field(description="Category below it.")
    evolution: str | None = Field(description="How the prompt was evolved, such as quality or simplified.")
    decision: Decision = Field(description="image_1, image_2, undecided, toxic or no_votes, by `rule`.")
    rule: str = Field(description="Rule that decided; the card says what it does.")
    votes_image_1: _Count = Field(description="Votes for the first image that count.")
    votes_image_2: _Count = Field(description="Votes for the second image that count.")
    votes_both_good: _Count = Field(description="Votes for both that count.")
    votes_both_bad: _Count = Field(description="Votes against both that count.")
    # Pick-a-Pic's 0.5/0.5 and equal ranks mean that neither image is better, not that both are good.
    votes_tie: _Count = Field(description="Votes for neither that count, from sources that ask only so.")
    votes_toxic: _Count = Field(description="Votes for toxic content that count.")
    num_responses: _Count = Field(description="All responses as they came, counted or not.")
    agreement: _Share | None = Field(
        description="Share of pairs of counted votes that agree, 0 to 1; null with fewer than two."
    )
    confidence: _Share | None = Field(description="The source's own confidence in the choice, if it has one.")
    sides_shuffled: bool = Field(
        description="Whether the order of the sides is chance; otherwise it may follow the choice."
    )
    votes: list[Vote] = Field(description="Every response in the order of the source.")
    status: str | None = Field(description="The source's status of the whole record, such as completed.")
    license: str | None = Field(description="Terms of the votes; null where the source states none.")
    prompt_license: str | None = Field(description="Terms of the prompt; null where the source states none.")
    source: str = Field(description="Source that the pair came from.")
    file: str = Field(description="File of that source.")
    row: int = Field(description="Row of that file; the first of several about the pair.")
    split: SplitName = Field(description="Split that the row belongs to.")


class BinarizedPair(BaseModel):
    """A decided pair as trainers read it; the first nine columns are those of open-image-preferences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="As in `preferences`.")
    prompt: str | None = Field(description="Prompt that both images were made for.")
    chosen: Annotated[EncodedImage | None, Column(image=True)] = Field(
        description="The preferred image; null where it is not here, see `chosen_reference`."
    )
    rejected: Annotated[EncodedImage | None, Column(image=True)] = Field(
        description="The other image; null where it is not here."
    )
    chosen_model: str | None = Field(description="Model that made the preferred image.")
    rejected_model: str | None = Field(description="Model that made the other image.")
    evolution: str | None = Field(description="As in `preferences`.")
    category: str | None = Field(description="As in `preferences`.")
    sub_category: str | None = Field(description="As in `preferences`.")
    chosen_id: Identifier | None = Field(description="`image_id` of the preferred image.")
    rejected_id: Identifier | None = Field(description="`image_id` of the other image.")
    chosen_reference: str = Field(description="The preferred image as the source names it.")
    rejected_reference: str = Field(description="The other image as the source names it.")
    agreement: _Share | None = Field(description="As in `preferences`.")
    rule: str = Field(description="Rule that decided.")
    license: str | None = Field(description="Terms of the votes.")
    prompt_license: str | None = Field(description="Terms of the prompt.")
    source: str = Field(description="Source that the pair came from.")
    split: SplitName = Field(description="Split that the row belongs to.")


# Upstream's short names: https://huggingface.co/datasets/data-is-better-together/open-image-preferences-v1
MODEL_NAMES: Mapping[str, str] = {
    "dev": "black-forest-labs/FLUX.1-dev",
    "sd": "stabilityai/stable-diffusion-3.5-large",
}
# What binds open-image-preferences: its prompts come from a set of their own.
UPSTREAM_LICENSE, UPSTREAM_PROMPT_LICENSE = "apache-2.0", "cc-by-sa-4.0"


# "s3" and "git+https" are schemes, too.
_ADDRESS = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)")
# A path from the root, from a home, of a drive, of another machine, or as a file address.
_ABSOLUTE = re.compile(r"\s*([/~]|[A-Za-z]:|file:)", re.IGNORECASE)


def public_reference(reference: str) -> str:
    """Write how a source names an image so that it can be published.

    A web address loses user, query and fragment, where tokens stand, and so does a relative path its query;
    an absolute path, which would reveal a user's machine, loses its folders.
    """
    address = _ADDRESS.match(reference)
    if address and address[1].lower() != "file":
        scheme, host, path = address.groups()
        return f"{scheme}://{host.rpartition('@')[2]}{path}"
    path = reference.partition("?")[0]
    plain = path.replace("\\", "/")
    return plain.rpartition("/")[2] if _ABSOLUTE.match(plain) else path
