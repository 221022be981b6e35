"""A prompt that the kit made: its text, and every attribute that the text asks for.

One line of `prompts.jsonl` is one `PromptRecord`. The attributes come first and the text follows from them,
so a program never has to read them back from the text.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_PROMPT_CHARS = 10_000
MAX_NAME_CHARS = 200  # of an id, a category or a licence
MAX_SEED = 2**63 - 1  # the largest number that a column of Parquet has room for


class AskedAttribute(BaseModel):
    """One thing that a prompt asks for; `schemas.attributes.Attribute` is the same of what a model sees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="Name, as in schemas/attributes.py where it is there."
    )
    value: Annotated[str, Field(min_length=1, max_length=1000)] = Field(description="Value as text.")


_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]


class PromptOrigin(BaseModel):
    """Where a prompt is from, and what was made of it; all of it stays with the prompt's images and votes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: _Name | None = Field(None, description="Id of the prompt; null where none was given.")
    base_prompt_id: _Name | None = Field(
        None, description="Id of the prompt that this one was rewritten from; null for one as it was written."
    )
    category: _Name | None = Field(None, description="Category of the rewriting, such as Animation.")
    sub_category: _Name | None = Field(None, description="Sub-category, within the category.")
    evolution: _Name | None = Field(
        None, description="How the prompt was rewritten: quality (detailed wording) or simplified."
    )
    prompt_license: _Name | None = Field(None, description="Licence of the prompt that it began with.")


class PromptRecord(PromptOrigin):
    """One line of `prompts.jsonl`."""

    index: Annotated[int, Field(ge=0)] = Field(description="Number in the file, from 0.")
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="Seed of the whole file; null for a prompt that no grammar made."
    )
    attempt: Annotated[int, Field(ge=0)] = Field(
        0, description="How often the prompt was drawn again, because an earlier one had the same text."
    )
    grammar: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Name of the grammar; null for a prompt that no grammar made."
    )
    grammar_version: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Version of the grammar; another version may make other prompts from the same seed."
    )
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS)] = Field(
        description="The text for the generator."
    )
    attributes: tuple[AskedAttribute, ...] = Field(description="Everything that the text asks for.")
