"""Bags of facts: what attribute models say of an image, and the sentence that is made of it."""

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """One thing that a model says of an image.

    Attributes:
        attribute: Name, as in `schemas.attributes`.
        value: Value as text.
        confidence: How sure the model is, 0 to 1; None where it does not say.
        source_model: Name and version of the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: str
    value: str
    confidence: float | None
    source_model: str


class Bag(BaseModel):
    """What attribute models say of one image.

    Attributes:
        image_id: The image, as in a release.
        facts: In the order of the presets; what a model abstained from is not in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_id: str
    facts: tuple[Fact, ...]


class Sentence(BaseModel):
    """What a writer made of a bag.

    Attributes:
        text: The caption.
        method: How it was made, such as "realiser".
        instruction: What a language model was asked; None without one.
        captioner: Name of what wrote it.
        captioner_version: Its version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    method: str
    instruction: str | None
    captioner: str
    captioner_version: str
