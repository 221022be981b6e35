"""The rules of age and content, for any prompt: the kit's own, or one from a file.

`rules.toml` has the words. They are English, so a prompt in another language is not understood. A prompt is
about a person under 18 if a word, a number of years or months, or an attribute says so. The rules look at the
text and at the values of attributes alike.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from builders.generation.look_alikes import fold

ADULT_AGE = 18
_AGE_NAMES = ("age", "age_group", "age_range", "age_years")
_SEXUAL, _YOUNG = "sexual", "young"  # keys of the rules; each other kind is one of `adult_only`
AGE = "age"
# Rules that hold whoever is shown → what the words are about.
NEVER = {_SEXUAL: "sexual content", "violence": "violence", "hate": "hate", "self-harm": "self-harm"}
_CHECKED = frozenset({*NEVER, _YOUNG})
_RULES = Path(__file__).parent / "rules.toml"
_MAX_KNOWN_WORDS = 100_000
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+|(?<=[0-9])\.[0-9]+)*")
# Words of one phrase have blanks or hyphens between; any other sign ends a phrase, as a new line does.
_MARKED = re.compile(rf"{_WORD.pattern}|[^\sa-z0-9'_-]|\n|--+|(?<!\S)-(?!\S)")
_GAP = "|"  # stands for a harmless phrase, so that the words around it do not become neighbours
_NUMBERS = {
    word: float(number)
    for number, word in enumerate(
        (
            *(
                "zero",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
            ),
            *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
        )
    )
}
_YEARS, _SHORTER = ("year", "years", "yr", "yrs", "yo"), ("month", "months", "week", "weeks", "day", "days")
_OLD, _AGED = (
    ("old", "of"),
    ("age", "aged"),
)  # "7 months old", "7 months of age"; "aged 7", "age 7", "age of 7"
_AGE_WORDS = frozenset({*_YEARS, *_SHORTER, *_AGED, "y"})
_NUMBER = re.compile(r"\d{1,3}(?:\.\d+)?")
_SHORT_AGE = re.compile(r"(\d{1,2})(?:yo?|yrs?|years?(?:old)?)")  # "15yo"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a prompt may not say.

    Attributes:
        kind: What the words are about.
        words: The words, in small letters.
        rule: Which rule it breaks: one of `NEVER`, or `AGE`.
    """

    kind: str
    words: str
    rule: str = AGE

    @property
    def is_sexual(self) -> bool:
        """Whether it breaks the rule against sexual content."""
        return self.rule == _SEXUAL

    @property
    def message(self) -> str:
        """The finding as a sentence."""
        if self.rule in NEVER:
            return f"the text has {self.kind}: {self.words!r}"
        return f"the text is about a person under {ADULT_AGE} and has words on {self.kind}: {self.words!r}"


class _Words:
    """Words and phrases with what they are about; only the last word of one may end in `*`.

    All rules share one, so that a text is gone through once.
    """

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._phrases = [(tuple(_split(line)), line.endswith("*"), kind) for line, kind in lines]
        self._by_word: dict[str, list[tuple[tuple[str, ...], bool, str]]] = {}

    def find(self, words: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield what is found and what it is about."""
        known = self._by_word
        for start, word in enumerate(words):
            entries = known.get(word)
            for phrase, is_stem, kind in self._beginning_with(word) if entries is None else entries:
                said = words[start : start + len(phrase)]
                if len(said) == len(phrase) and (
                    (*said[:-1],) == phrase[:-1]
                    and (said[-1].startswith(phrase[-1]) if is_stem else said[-1] == phrase[-1])
                ):
                    yield " ".join(said), kind

    def _beginning_with(self, word: str) -> list[tuple[tuple[str, ...], bool, str]]:
        found = [each for each in self._phrases if _begins(each[0], word, is_stem=each[1])]
        if len(self._by_word) < _MAX_KNOWN_WORDS:  # a stranger's file may hold any number of words
            self._by_word[word] = found
        return found


def _begins(phrase: tuple[str, ...], word: str, *, is_stem: bool) -> bool:
    return word.startswith(phrase[0]) if is_stem and len(phrase) == 1 else word == phrase[0]


def _split(line: str) -> list[str]:
    return _WORD.findall(line.casefold())


class _Text:
    """A text in small letters and its words.

    A phrase that is looked for may span signs: "wearing, nothing" says it, too. A harmless phrase may not,
    since "nude. Lips parted" is none.
    """

    def __init__(self, text: str) -> None:
        self.folded = fold(text)
        self.words = _WORD.findall(self.folded)

    def without(self, harmless: "re.Pattern[str]") -> list[str]:
        """Return the words without harmless phrases, with a gap in the place of each."""
        marked = " ".join(each if each != "\n" else "." for each in _MARKED.findall(self.folded))
        left = harmless.sub(f" {_GAP} ", marked.replace(_GAP, ".")).split()
        return [word for word in left if word == _GAP or word[0].isalnum()]


@dataclass(frozen=True, slots=True)
class _Rules:
    words: _Words
    harmless: "re.Pattern[str]"
    harmless_with_young: "re.Pattern[str]"
    young_groups: frozenset[str]

    def find(self, text: "_Text") -> list[tuple[str, str]]:
        """Return what a text says, and the kind of each, without what is harmless."""
        found = list(self.words.find(text.words))
        if not found:
            return found
        # Most finds are words that go with adults only, in a text about adults: no pattern has to run.
        if any(kind in _CHECKED for _, kind in found):
            found = [each for each in found if each[1] not in _CHECKED]
            said = self.words.find(text.without(self.harmless))
            found += [each for each in said if each[1] in _CHECKED]
        return found

    def find_adult_only(self, text: "_Text") -> list[tuple[str, str]]:
        """Return what a text may not say of somebody young, and the kind of each."""
        said = self.words.find(text.without(self.harmless_with_young))
        return [each for each in said if each[1] not in _CHECKED]


def find_in_prompt(text: str, attributes: Iterable[tuple[str, str]] = ()) -> list[Finding]:
    """Return everything that a prompt may not say; empty if it may be used.

    Args:
        text: The prompt.
        attributes: Names and values that it asks for; they may say an age.
    """
    rules = _load()
    listed = list(attributes)
    # Values that the text does not repeat are looked at, too, so that none hides behind another wording.
    read = _Text(". ".join([text, *(value for _, value in listed if value not in text)]))
    said = rules.find(read)
    found = [Finding(NEVER[kind], words, kind) for words, kind in said if kind in NEVER]
    if len(said) > len(found) and _is_young(read, said, listed):
        found += [Finding(kind, words) for words, kind in rules.find_adult_only(read)]
    return list(dict.fromkeys(found))


def find_in_value(value: str) -> Finding | None:
    """Return what a single value may not say, whoever is shown; None if it may stand in a grammar."""
    found = find_in_prompt(value)
    return found[0] if found else None


def is_young(text: str, attributes: Iterable[tuple[str, str]] = ()) -> bool:
    """Return whether a prompt is about somebody under 18, as far as its text and attributes say so."""
    read = _Text(text)
    return _is_young(read, _load().find(read), attributes)


def _is_young(read: _Text, said: Iterable[tuple[str, str]], attributes: Iterable[tuple[str, str]]) -> bool:
    if any(kind == _YOUNG for _, kind in said) or _says_young_age(read.words):
        return True
    return any(
        name.casefold().replace(" ", "_") in _AGE_NAMES and _is_young_value(value)
        for name, value in attributes
    )


@lru_cache(10_000)
def _is_young_value(value: str) -> bool:
    rules = _load()
    if value.casefold().strip() in rules.young_groups:
        return True
    if any(kind == _YOUNG for _, kind in rules.find(_Text(value))):
        return True
    numbers = re.findall(r"\d+(?:\.\d+)?", value)
    return bool(numbers) and min(map(float, numbers)) < ADULT_AGE


def _says_young_age(words: Sequence[str]) -> bool:
    """Return whether words say an age below 18 years."""
    ends = ["", "", ""]
    for place, word in enumerate(words):
        if word not in _AGE_WORDS and not word[0].isdigit():
            continue
        before, after = words[place - 1] if place else "", [*words[place + 1 : place + 4], *ends]
        if word in _YEARS or (word == "y" and after[0] == "o"):
            is_young = _number(before) < ADULT_AGE
        elif word in _SHORTER:
            is_young = after[0] in _OLD and _number(before) < math.inf
        elif word in _AGED:
            number, unit = after[1:3] if after[0] == "of" else after[:2]
            is_young = _number(number) < ADULT_AGE or (unit in _SHORTER and _number(number) < math.inf)
        else:
            short = _SHORT_AGE.fullmatch(word) if word[0].isdigit() else None
            is_young = short is not None and int(short[1]) < ADULT_AGE
        if is_young:
            return True
    return False


def _number(word: str) -> float:
    """Return the number that a word says; infinity if it says none."""
    return float(word) if _NUMBER.fullmatch(word) else _NUMBERS.get(word, math.inf)


@cache
def _load() -> _Rules:
    table = tomllib.loads(_RULES.read_text(encoding="utf-8"))
    lines = [(line, kind) for kind in (*NEVER, _YOUNG) for line in table[kind]]
    adult_only = [(line, kind) for kind, lines in table["adult_only"].items() for line in lines]
    return _Rules(
        words=_Words([*lines, *adult_only]),
        harmless=_pattern(table["harmless"]),
        harmless_with_young=_pattern(table["harmless_with_young"]),
        young_groups=frozenset(table["young_groups"]),
    )


def _pattern(lines: Iterable[str]) -> "re.Pattern[str]":
    """Return a pattern of words and phrases between which are blanks."""
    alternatives = [
        re.escape(" ".join(_split(line))) + ("[a-z0-9']*" if line.endswith("*") else "") for line in lines
    ]
    return re.compile(rf"(?<![a-z0-9'])(?:{'|'.join(alternatives)})(?![a-z0-9'])")
