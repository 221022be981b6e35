"""What a provider of images is asked, and what it answers: `publish/providers/` has the providers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.prompts import AskedAttribute


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image to make.

    Attributes:
        key: Identity of the request, see `schemas.generation.GenerationRecord.request_key`.
        prompt: The text.
        attributes: Everything that the text asks for, where that is known.
        generator: Name in the table of generators.
        settings: Settings by their names in the generator's model, without the seed.
        seed: 0 to 2**32 - 1; a provider that takes none leaves it out.
    """

    key: str
    prompt: str
    attributes: tuple[AskedAttribute, ...]
    generator: str
    settings: Mapping[str, object]
    seed: int


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """What a provider delivered.

    Attributes:
        data: The image file's bytes as they came; empty if they must be fetched from `address`.
        model: The model as the provider names it.
        seed: That was sent; None if the provider takes none.
        settings: All settings that were sent, or followed, by their names in the generator's model.
        request_id: The provider's.
        returned_seed: As the provider says.
        revised_prompt: As the provider says.
        flags: What its safety checker said.
        is_flagged: Whether the checker objects to the image, which may then be black.
        cost_usd: From what the answer says was used; None if it does not.
        address: Where the image can be fetched for some time; None if it came in the answer.
        raw: The provider's answer as JSON, without the image and without secrets.
    """

    data: bytes
    model: str
    seed: int | None
    settings: Mapping[str, object]
    request_id: str | None = None
    returned_seed: int | None = None
    revised_prompt: str | None = None
    flags: tuple[str, ...] = ()
    is_flagged: bool = False
    cost_usd: float | None = None
    address: str | None = None
    raw: str = "{}"


class ImageRefusalError(Exception):
    """The provider declined: asking again changes nothing, and nothing was charged.

    Attributes:
        category: The provider's, such as content_policy_violation.
        request_id: The provider's, if it gave one.
        raw: Its answer as JSON, without secrets.
        model: The model as the provider names it; None if that is the name that it was asked by.
    """

    def __init__(
        self,
        message: str,
        category: str,
        request_id: str | None = None,
        raw: str = "{}",
        model: str | None = None,
    ) -> None:
        super().__init__(message)
        self.category, self.request_id, self.raw, self.model = category, request_id, raw, model


class ImageFailureError(Exception):
    """No image was made, and nothing was charged: the same request may be sent again in a later run."""


class LostAnswerError(Exception):
    """The request was sent, and an image may have been made and charged for; no image came back.

    Attributes:
        answer: What is known of the answer, with the address of the image; None if nothing came back.
    """

    def __init__(self, message: str, answer: ImageAnswer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class ImageProvider(Protocol):
    """Makes images; called from several threads at once.

    A provider repeats by itself what surely was not done: a connection that was refused, 429, 503. Whatever
    stops every request, such as a wrong key or an empty account, is a `schemas.problems.KitError`.
    """

    def make(self, request: ImageRequest) -> ImageAnswer:
        """Make one image.

        Raises:
            ImageRefusalError: It is declined.
            ImageFailureError: It failed, and nothing was made.
            LostAnswerError: It is not known whether an image was made, or the image cannot be fetched.
            KitError: No request can succeed.
        """
        ...

    def fetch(self, answer: ImageAnswer) -> bytes:
        """Fetch the image of an answer whose `address` is known.

        Raises:
            LostAnswerError: It is not there any more.
        """
        ...

    def close(self) -> None:
        """Close connections; nothing is called after it."""
        ...
