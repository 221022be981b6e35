"""Check one caption for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.generation.captions.checking import Addition, check_sentence
from schemas.bags import Bag, Fact

# `checks.js` has the same: longer texts take seconds, and no release has longer names and values.
MAX_CHARS, MAX_ATTRIBUTES = 2000, 200
MAX_NAME_CHARS, MAX_VALUE_CHARS, MAX_ATTRIBUTE_CHARS = 100, 1000, 20_000


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """One attribute that a model saw.

    Attributes:
        attribute: Its name.
        value: Its value.
    """

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class CaptionCheck:
    """What is wrong with a caption, in the order of its attributes and of its text.

    Attributes:
        missing: Attributes that it does not say.
        added: Words that say more than the attributes.
    """

    missing: tuple[AttributeValue, ...]
    added: tuple[Addition, ...]


def can_check(text: str, attributes: Sequence[AttributeValue]) -> bool:
    """Return whether a caption and its attributes are short enough to be checked."""
    names = [len(each.attribute) for each in attributes]
    values = [len(each.value) for each in attributes]
    return (
        len(text) <= MAX_CHARS
        and len(attributes) <= MAX_ATTRIBUTES
        and max(names, default=0) <= MAX_NAME_CHARS
        and max(values, default=0) <= MAX_VALUE_CHARS
        and sum(names) + sum(values) <= MAX_ATTRIBUTE_CHARS
    )


def check_caption(text: str, attributes: Sequence[AttributeValue]) -> CaptionCheck:
    """Check a caption as `sfhq caption` checks those that it writes.

    Takes 3 ms for a usual one. Time grows with the lengths of both, up to 3 s for the most that is taken.

    Args:
        text: The caption.
        attributes: What it should say: see `can_check`.
    """
    facts = [
        Fact(attribute=each.attribute, value=each.value, confidence=None, source_model="")
        for each in attributes
    ]
    found = check_sentence(Bag(image_id="", facts=tuple(facts)), text)
    missing = tuple(AttributeValue(fact.attribute, fact.value) for fact in found.missing)
    return CaptionCheck(missing, found.added)
