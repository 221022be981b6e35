"""What a language model is asked, and what it answers: `publish/providers/chat.py` has the client."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Protocol

from builders.generation.captions.meaning import understand
from schemas.bags import Bag

# The instruction is fixed: a change of it needs a new version.
INSTRUCTION_VERSION = "1"
INSTRUCTION = (
    "You write a caption for a portrait from a list of facts. Write one or two plain English sentences that "
    "say every fact of the list, and nothing else about the person or the picture. A fact with the value "
    "none or no is said, too, such as: no glasses. Do not judge: no words such as beautiful, attractive or "
    "confident. Do not guess what the list leaves out: age, gender, origin, mood, clothes, hair or place. "
    "If the list has no gender, write person and they. Give ages as the list gives them. Answer with the "
    "caption only."
)
AGAIN = "Write the caption again, with every fact of the list and nothing else."


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a model answered.

    Attributes:
        text: Its words, without quotation marks and line breaks around them.
        model: The model as the server names it.
        request_id: The server's.
        cost_usd: From the tokens that the answer says were used; None if it does not, or no price is known.
    """

    text: str
    model: str
    request_id: str | None = None
    cost_usd: float | None = None

    def write(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


class ChatRefusalError(Exception):
    """The model or its server declined: asking again changes nothing.

    Attributes:
        is_paid: Whether it may be charged for: the model declined in its own words.
    """

    def __init__(self, message: str, *, is_paid: bool) -> None:
        super().__init__(message)
        self.is_paid = is_paid


class ChatFailureError(Exception):
    """There is no answer, and nothing was charged: the same request may be sent again in a later run."""


class ChatLostError(Exception):
    """The request was sent and may be charged for, and no usable answer came back."""


class ChatModel(Protocol):
    """Answers conversations; called from several threads at once.

    It repeats by itself what surely was not done. Whatever stops every request, such as a wrong key, is a
    `schemas.problems.KitError`.
    """

    def ask(self, messages: Sequence[Message]) -> ChatAnswer:
        """Return the model's answer to a conversation.

        Raises:
            ChatRefusalError: It is declined.
            ChatFailureError: It failed, and nothing was done.
            ChatLostError: It is not known what was done.
            KitError: No request can succeed.
        """
        ...

    def price(self, messages: Sequence[Message]) -> float:
        """Return the most that a conversation may cost, in US dollars; 0 if nothing is paid for."""
        ...

    def close(self) -> None:
        """Close connections; nothing is called after it."""
        ...


def first_messages(bag: Bag) -> tuple[Message, ...]:
    """Return the conversation that asks for a caption; facts that no caption says are not in it."""
    meaning = understand(bag)
    facts = [each.fact for each in meaning.meanings]
    lines = [f"- {fact.attribute.replace('_', ' ')}: {' '.join(fact.value.split())}" for fact in facts]
    return Message("system", INSTRUCTION), Message("user", "\n".join(["Facts:", *lines]))


def second_messages(messages: Sequence[Message], text: str, complaint: str) -> tuple[Message, ...]:
    """Return the conversation that asks once more, with what is wrong with the first answer."""
    return *messages, Message("assistant", text), Message("user", complaint)


def key_of(messages: Sequence[Message], model: str) -> str:
    """Return the identity of a request: a digest of all that decides its answer."""
    parts = json.dumps([model, *([each.role, each.content] for each in messages)], ensure_ascii=False)
    return sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:24]
