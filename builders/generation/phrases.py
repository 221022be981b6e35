"""The language of a grammar's texts: `(a|b)` for alternatives, `{slot}`, and `[ … ]` for optional parts.

"a (warm|shy) smile"            two values: "a warm smile" and "a shy smile"
"(18..29)"                      twelve values: "18" to "29"
"long [{hair_color} ]hair"      published as "long hair"; its text has the colour if there is one
"A portrait of {who}[ in {place}]."
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_ALTERNATIVES = 10_000  # of one text
MAX_TEXT_CHARS = 2_000
_MAX_DEPTH = 8  # of brackets in brackets
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SPECIAL = re.compile(r"[\[\]{}]")
_RANGE = re.compile(r"(\d{1,6})\.\.(\d{1,6})")
_GROUP = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of an attribute, a phrase or a list."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """A part that is left out if one of its slots has nothing to say."""

    text: "Text"


@dataclass(frozen=True, slots=True)
class Text:
    """A text whose alternatives are expanded.

    Attributes:
        parts: Its words, slots and parts that may be left out, in order.
        needs: Slots that must have something to say, or the whole text is left out.
        words: The whole text if it has no slots, else None: most values are words alone.
    """

    parts: tuple[str | Slot | Optional, ...]
    needs: tuple[str, ...]
    words: str | None

    @property
    def slots(self) -> Iterator[str]:
        """The names of all slots."""
        for part in self.parts:
            if isinstance(part, Slot):
                yield part.name
            elif isinstance(part, Optional):
                yield from part.text.slots

    @property
    def value(self) -> str:
        """The text without what may be left out: a value as it is published.

        Raises:
            ValueError: A slot is not in [ ], so that the value would depend on others.
        """
        if self.needs:
            raise ValueError("a {slot} of a value must be in [ ]")
        return "".join(part for part in self.parts if isinstance(part, str))


def _join(parts: list[str | Slot | Optional]) -> Text:
    needs = tuple(part.name for part in parts if isinstance(part, Slot))
    is_plain = all(isinstance(part, str) for part in parts)
    return Text(tuple(parts), needs, "".join(map(str, parts)) if is_plain else None)


def expand(text: str) -> list[str]:
    """Return the texts that one with `(a|b)` and `(1..9)` stands for, in order.

    Raises:
        ValueError: Brackets do not pair up, or there are too many alternatives.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(f"the text has {len(text):,} characters, and at most {MAX_TEXT_CHARS:,} are allowed")
    groups = [_alternatives(found) for found in _GROUP.findall(text)]
    literals = _GROUP.split(text)[::2]
    if any(char in literal for literal in literals for char in "()"):
        raise ValueError("the brackets ( and ) do not pair up, or are nested")
    if any("|" in literal for literal in literals):
        raise ValueError("alternatives need brackets: (a|b)")
    total = 1
    for group in groups:
        total *= len(group)
        if total > MAX_ALTERNATIVES:
            raise ValueError(f"the text stands for more than {MAX_ALTERNATIVES:,} alternatives")
    texts = [literals[0]]
    for group, literal in zip(groups, literals[1:], strict=True):
        texts = [f"{text}{choice}{literal}" for text in texts for choice in group]
    return texts


def _alternatives(inside: str) -> list[str]:
    if match := _RANGE.fullmatch(inside):
        first, last = int(match[1]), int(match[2])
        if not 0 <= last - first < MAX_ALTERNATIVES:
            raise ValueError(f"the range {inside} is empty or has more than {MAX_ALTERNATIVES:,} numbers")
        return [str(number) for number in range(first, last + 1)]
    return inside.split("|")


def parse(text: str) -> Text:
    """Read a text whose alternatives are expanded.

    Raises:
        ValueError: Brackets do not pair up, or a slot has no valid name.
    """
    parsed, end = _parse(text, 0, 0)
    if end != len(text):
        raise ValueError("a ] closes nothing")
    return parsed


def _parse(text: str, start: int, depth: int) -> tuple[Text, int]:
    """Return the text from `start` to its end or to the bracket that closes it, and where that is."""
    parts: list[str | Slot | Optional] = []
    while match := _SPECIAL.search(text, start):
        if match.start() > start:
            parts.append(text[start : match.start()])
        start = match.start()
        if match[0] == "]" and depth:
            return _join(parts), start
        if match[0] in "]}":
            raise ValueError(f"a {match[0]} closes nothing")
        part, start = _parse_slot(text, start) if match[0] == "{" else _parse_optional(text, start, depth)
        parts.append(part)
    if start < len(text):
        parts.append(text[start:])
    return _join(parts), len(text)


def _parse_slot(text: str, start: int) -> tuple[Slot, int]:
    found = _SLOT.match(text, start)
    if found is None:
        raise ValueError("a slot is a { name } of small letters, digits and _, without blanks")
    return Slot(found[1]), found.end()


def _parse_optional(text: str, start: int, depth: int) -> tuple[Optional, int]:
    if depth == _MAX_DEPTH:
        raise ValueError(f"more than {_MAX_DEPTH} [ are open at once")
    inner, end = _parse(text, start + 1, depth + 1)
    if text[end : end + 1] != "]":
        raise ValueError("a [ is never closed")
    if not inner.needs:
        raise ValueError("a part in [ ] needs a {slot}, whose absence leaves it out")
    return Optional(inner), end + 1
