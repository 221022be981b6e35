"""What was asked of a provider, and what came back.

One line of `generation.jsonl` in a folder of generated images is one `GenerationRecord`: a request that was
answered with an image, or refused. Requests that failed, or whose answer was lost, stay in the journal.
A release publishes each record as a `PublishedRequest`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import Column
from schemas.generators import MAX_SEED
from schemas.prompts import MAX_PROMPT_CHARS, AskedAttribute, PromptOrigin
from schemas.prompts import MAX_SEED as MAX_PROMPT_SEED
from schemas.records import Identifier, SplitName

GENERATION_FILE = "generation.jsonl"
KEY_CHARS = 24
MAX_RETURNED_SEED = 2**63 - 1

RequestKey = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{KEY_CHARS}}}$")]
_Text = Annotated[str, Field(max_length=1000)]
_Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
_PromptNumber = Annotated[int, Field(ge=0, le=MAX_PROMPT_SEED)]


class _AnsweredRequest(BaseModel):
    """What was asked of a provider, and what it answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_key: RequestKey = Field(
        description="Digest of prompt, generator, settings and seed: the identity of the request."
    )
    status: Literal["delivered", "refused"] = Field(
        description="delivered: an image came back; refused: the provider declined to make or show it."
    )
    image_filename: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        description="Name of the image in the folder; null where the request was refused."
    )
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS)] = Field(
        description="Text that was sent."
    )
    attributes: tuple[AskedAttribute, ...] = Field(description="Everything that the prompt asks for.")
    grammar: _Text | None = Field(description="Grammar that the prompt is from; null for other prompts.")
    grammar_version: _Text | None = Field(description="Version of the grammar.")
    prompt_seed: _PromptNumber | None = Field(description="Seed of the file of prompts.")
    prompt_index: _PromptNumber | None = Field(description="Index in the file of prompts, from 0.")
    generator: _Text = Field(description="Model that was asked for.")
    provider: _Text = Field(description="Who was asked to run it.")
    model: _Text = Field(description="The model as the provider names it.")
    seed: _Seed | None = Field(description="Seed that was sent; null where the provider takes none.")
    returned_seed: Annotated[int, Field(ge=0, le=MAX_RETURNED_SEED)] | None = Field(
        description="Seed that the provider says it used."
    )
    revised_prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] | None = Field(
        description="Prompt as the provider changed it; null where it did not say."
    )
    flags: tuple[_Text, ...] = Field(description="What the provider's safety checker said of the image.")
    refusal: _Text | None = Field(
        description="The provider's category of a refusal, such as content_policy_violation."
    )
    provider_request_id: _Text | None = Field(description="The provider's id of the request.")
    cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False), Column(unit="US dollars")] | None = Field(
        description="Cost in US dollars; null where no price is known."
    )
    cost_basis: Literal["usage", "price"] | None = Field(
        description="usage: the answer said what was used; price: from the list of prices."
    )
    requested_at: _Text | None = Field(
        description="When it was sent, in UTC, as ISO 8601; null for images drawn by the kit."
    )
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False), Column(unit="s")] | None = Field(
        description="Time from sending to the answer, in seconds; null for images drawn by the kit."
    )


class GenerationRecord(PromptOrigin, _AnsweredRequest):  # in this order, the origin's columns come last
    """One request that a provider answered, with where its prompt is from."""


class PublishedRequest(GenerationRecord):
    """A row of the config `generation`: a record with the image that it led to, and where it was read."""

    image_id: Identifier | None = Field(
        description="The image that came back, as in the other configs; null where the request was refused."
    )
    source: str = Field(description="Source that the record came from.")
    file: str = Field(description="File of that source.")
    row: int = Field(description="Row of that file: its line, from 1.")
    split: SplitName = Field(
        description="Split that the row belongs to: the image's, or the one of images with the same prompt."
    )
