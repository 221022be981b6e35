"""Ages in attributes and in texts: numbers of years, ranges, decades, and words such as "toddler"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builders.generation.captions.lexicon import load_lexicon
from builders.generation.captions.words import simplify

OLDEST = 120
ADULT = 18
_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {
    **{word: number for number, word in enumerate((*_ONES, *_TEENS))},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
}
_DECADES = {word[:-1] + "ies": 10 * number for number, word in enumerate(_TENS, 2)} | {"teens": 10}
_WORD = rf"(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES[1:])}))?|{'|'.join((*_TEENS, *_ONES))}"
# Not "thirty" of "thirty-four", and no part of a longer number.
_N = rf"(\d{{1,3}}(?!\d)|(?:{_WORD})\b(?!-(?:{'|'.join(_ONES[1:])})\b))"
_TO, _YEARS = r"\s*(?:-|\u2013|\u2014|to|and|or)\s*", r"(?:years?|yrs?)"
_OLD = rf"[\s-]*{_YEARS}(?:[\s-]*(?:old|of age))?"
_OPEN = r"(?:over|above|past|beyond|more than|older than|at least)(?: the age of)?\s+"
_BELOW = r"(?:under|below|less than|younger than|up to)(?: the age of)?\s+"
_AGED = r"(?:aged|ages|age of|age|at)"
_ABOUT = r"(?:about |around |approximately |roughly |some |between |from )*"
# Longest first: what one has found, the others do not see.
_PATTERNS = tuple(
    (re.compile(rf"\b{pattern}"), kind)
    for pattern, kind in (
        (rf"{_AGED}\s+{_ABOUT}{_N}{_TO}{_N}\b(?:{_OLD})?", "range"),
        (rf"(?:between\s+)?(?:the ages? of\s+)?{_N}{_TO}{_N}{_OLD}\b", "range"),
        (rf"between\s+{_N}\s+and\s+{_N}\b", "range"),
        (rf"{_OPEN}{_N}\b(?:{_OLD})?", "open"),
        (rf"{_N}\s*\+(?:{_OLD})?", "open"),
        (rf"{_N}(?:{_OLD})?\s+(?:or|and)\s+(?:older|over|above)\b", "open"),
        (rf"{_BELOW}(?:{_N}|(a|one))(?:{_OLD})\b", "below"),
        (rf"{_N}[\s-]*months?[\s-]*(?:old|of age)\b", "months"),
        (rf"{_N}{_OLD}\b", "years"),
        (rf"{_AGED}\s+{_ABOUT}{_N}\b", "years"),
        (
            rf"in (?:his|her|their|the)\s+(early|mid|middle|late)?[\s-]*(\d0s|{'|'.join(_DECADES)})\b",
            "decade",
        ),
        (rf"in (?:(early|mid|middle|late)[\s-]+)(\d0s|{'|'.join(_DECADES)})\b", "decade"),
        (rf"between (?:his|her|their|the)?\s*(\d0s|{'|'.join(_DECADES)})\b", "decade"),
    )
)
_PARTS = {None: (0, 9), "early": (0, 3), "mid": (4, 6), "middle": (4, 6), "late": (7, 9)}


@dataclass(frozen=True, slots=True)
class Age:
    """An age in whole years, or a range of them, both ends included."""

    low: int
    high: int

    @property
    def is_young(self) -> bool:
        """Whether the person may be under 18."""
        return self.low < ADULT

    def holds(self, other: "Age") -> bool:
        """Return whether another age is within this one."""
        return self.low <= other.low and other.high <= self.high

    def share_within(self, other: "Age") -> float:
        """Return how much of this range is within another one, 0 to 1."""
        common = min(self.high, other.high) - max(self.low, other.low) + 1
        return max(common, 0) / (self.high - self.low + 1)


@dataclass(frozen=True, slots=True)
class AgeMention:
    """An age in a text.

    Attributes:
        age: Which.
        is_number: Whether numbers or decades say it, and not a word such as "elderly".
        start: Place of its first character.
        end: Place after its last one.
    """

    age: Age
    is_number: bool
    start: int
    end: int


def read_age(value: str) -> Age | None:
    """Read the value of an attribute, such as 34, 30-39, "more than 70", 70+; None if it is no age."""
    age = _read_value(value)
    return age if age is not None and age.high <= OLDEST and age.low <= age.high else None


def _read_value(value: str) -> Age | None:
    text = value.casefold().replace("\u2013", "-").strip()
    if found := re.fullmatch(r"(\d{1,3})(?:\.\d+)?", text):
        return Age(int(found[1]), int(found[1]))
    if found := re.fullmatch(r"(\d{1,3})\s?-\s?(\d{1,3})", text):
        low, high = sorted((int(found[1]), int(found[2])))
        return Age(low, high)
    if found := re.fullmatch(r"(?:more than |over )?(\d{1,3})\+?", text):
        return Age(int(found[1]), OLDEST)
    if (known := load_lexicon().ages.get(text)) is not None:
        return Age(*known)
    return None


def find_ages(text: str) -> Iterator[AgeMention]:
    """Yield the ages that numbers say in a text."""
    plain, places = simplify(text)
    for pattern, kind in _PATTERNS:
        for found in list(pattern.finditer(plain)):
            age = _read(kind, found)
            if age is not None:
                start, end = places[found.start()], places[found.end() - 1] + 1
                yield AgeMention(age, is_number=True, start=start, end=end)
                blank = " " * (found.end() - found.start())
                plain = plain[: found.start()] + blank + plain[found.end() :]


def _read(kind: str, found: "re.Match[str]") -> Age | None:
    if kind == "decade":
        part, decade = found.groups() if len(found.groups()) == 2 else (None, found[1])
        start = int(decade[:2]) if decade[0].isdigit() else _DECADES[decade]
        low, high = _PARTS[part]
        return Age(max(start + low, 13), start + high) if start == 10 else Age(start + low, start + high)
    numbers = [_number(text) for text in found.groups() if text]
    if any(number > OLDEST for number in numbers):
        return None
    if kind == "range":
        return Age(min(numbers), max(numbers))
    if kind == "open":
        return Age(numbers[0], OLDEST)
    if kind == "below":
        return Age(0, numbers[0] if found[0].startswith("up to") else max(numbers[0] - 1, 0))
    return Age(numbers[0] // 12, numbers[0] // 12) if kind == "months" else Age(numbers[0], numbers[0])


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    return 1 if text == "a" else sum(_NUMBERS[word] for word in re.split("[ -]", text))
