"""What the checker of captions says of one, for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.generation.captions.checking import check_sentence
from schemas.bags import Bag, Fact

MAX_CHARS, MAX_ATTRIBUTES = 2000, 200  # `checks.js` has the same


@dataclass(frozen=True, slots=True)
class Said:
    """One attribute that a model saw.

    Attributes:
        attribute: Its name.
        value: Its value.
    """

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Added:
    """Words of a caption that say more than the attributes.

    Attributes:
        start: Place of the first character.
        end: Place after the last one.
        what: What they say, for people.
    """

    start: int
    end: int
    what: str


@dataclass(frozen=True, slots=True)
class CaptionCheck:
    """What is wrong with a caption, in the order of its attributes and of its text.

    Attributes:
        missing: Attributes that it does not say.
        added: What it says beside them.
    """

    missing: tuple[Said, ...]
    added: tuple[Added, ...]


def check_caption(text: str, attributes: Sequence[Said]) -> CaptionCheck:
    """Check a caption as `sfhq caption` checks those that it writes.

    Takes 3 ms for a usual one. Time grows with both numbers, up to 3 s for the most that is taken.

    Args:
        text: The caption, of at most `MAX_CHARS`.
        attributes: At most `MAX_ATTRIBUTES`.
    """
    facts = [
        Fact(attribute=each.attribute, value=each.value, confidence=None, source_model="")
        for each in attributes
    ]
    found = check_sentence(Bag(image_id="", facts=tuple(facts)), text)
    return CaptionCheck(
        tuple(Said(fact.attribute, fact.value) for fact in found.missing),
        tuple(Added(each.start, each.end, each.what) for each in found.added),
    )
