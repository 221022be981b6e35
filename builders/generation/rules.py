"""The rules of age and content, for any prompt: the kit's own, or one from a file.

`rules.toml` has the words. They are English, so a prompt in another language is not understood. A prompt is
about a person under 18 if a word, a number of years or months, or an attribute says so. The rules look at the
text and at the values of attributes alike.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from builders.generation.ages import ADULT_AGE, says_adult_age, says_name_with_age, says_young_age
from builders.generation.look_alikes import find_hidden, fold

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

    Plurals and possessives are found, too. All rules share one, so that a text is gone through once.
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
                    (*said[:-1],) == phrase[:-1] and _is_form(said[-1], phrase[-1], is_stem=is_stem)
                ):
                    yield " ".join(said), kind

    def _beginning_with(self, word: str) -> list[tuple[tuple[str, ...], bool, str]]:
        found = [each for each in self._phrases if _begins(each[0], word, is_stem=each[1])]
        if len(self._by_word) < _MAX_KNOWN_WORDS:  # a stranger's file may hold any number of words
            self._by_word[word] = found
        return found


def _begins(phrase: tuple[str, ...], word: str, *, is_stem: bool) -> bool:
    return _is_form(word, phrase[0], is_stem=is_stem) if len(phrase) == 1 else word == phrase[0]


def _is_form(word: str, listed: str, *, is_stem: bool) -> bool:
    """Return whether a word is a listed one, begins with it, or is its plural or possessive."""
    if is_stem or not word.startswith(listed):
        return is_stem and word.startswith(listed)
    ending = word[len(listed) :]
    if ending in ("", "'s", "s's"):
        return True
    return ending == ("es" if listed.endswith(("s", "x", "ch", "sh")) else "s")


def _split(line: str) -> list[str]:
    return _WORD.findall(line.casefold())


class _Text:
    """A text in small letters and its words.

    A phrase that is looked for may span signs: "wearing, nothing" says it, too. A harmless phrase may not,
    since "nude. Lips parted" is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = fold(_without_names(text))
        self.words = _WORD.findall(self.folded)

    def without(self, harmless: "re.Pattern[str]") -> list[str]:
        """Return the words without harmless phrases, with a gap in the place of each."""
        marked = " ".join(each if each != "\n" else "." for each in _MARKED.findall(self.folded))
        left = harmless.sub(f" {_GAP} ", marked.replace(_GAP, ".")).split()
        return [word for word in left if word == _GAP or word[0].isalnum()]


@dataclass(frozen=True, slots=True)
class _Near:
    """Words of two groups that may not be near each other, in whatever order."""

    rule: str
    pattern: "re.Pattern[str]"
    first_words: frozenset[str]  # one of them is in a text that the pattern can match


@dataclass(frozen=True, slots=True)
class _Rules:
    words: _Words
    near: Sequence[_Near]
    harmless: "re.Pattern[str]"
    harmless_with_young: "re.Pattern[str]"
    of_grown: "re.Pattern[str]"
    young_groups: frozenset[str]

    def find(self, text: "_Text") -> list[tuple[str, str]]:
        """Return what a text says, and the kind of each, without what is harmless."""
        found = list(self.words.find(text.words))
        # Most finds are words that go with adults only, in a text about adults: no pattern has to run.
        if any(kind in _CHECKED for _, kind in found):
            found = [each for each in found if each[1] not in _CHECKED]
            said = self.words.find(text.without(self.harmless))
            found += [each for each in said if each[1] in _CHECKED]
        return [*found, *self._find_near(text), *self._find_hidden(text)]

    def find_adult_only(self, text: "_Text") -> list[tuple[str, str]]:
        """Return what a text may not say of somebody young, and the kind of each."""
        said = [*self.words.find(text.without(self.harmless_with_young)), *self._find_hidden(text)]
        return [each for each in said if each[1] not in _CHECKED]

    def is_of_grown(self, text: "_Text") -> bool:
        """Return whether the words of youth are about the past of an adult: "only child, 40 years"."""
        if not self.of_grown.search(" ".join(_MARKED.findall(text.folded))):
            return False
        left = self.words.find(text.without(self.of_grown))
        return not any(kind == _YOUNG for _, kind in left) and says_adult_age(text.folded)

    def _find_near(self, text: "_Text") -> Iterator[tuple[str, str]]:
        said = set(text.words)
        near = [each for each in self.near if not each.first_words.isdisjoint(said)]
        joined = " ".join(text.words) if near else ""
        if any(each.pattern.search(joined) for each in near):
            joined = " ".join(text.without(self.harmless))
            for each in near:
                yield from ((found[0], each.rule) for found in each.pattern.finditer(joined))

    def _find_hidden(self, text: "_Text") -> Iterator[tuple[str, str]]:
        # The gaps keep them from being neighbours: no phrase may come of them.
        return self.words.find([each for word in find_hidden(text.folded) for each in (word, _GAP)])


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
    if says_young_age(read.folded) or says_name_with_age(read.text):
        return True
    if any(kind == _YOUNG for _, kind in said) and not _load().is_of_grown(read):
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


@cache
def _load() -> _Rules:
    table = _load_table()
    lines = [(line, kind) for kind in (*NEVER, _YOUNG) for line in table[kind]]
    adult_only = [(line, kind) for kind, lines in table["adult_only"].items() for line in lines]
    return _Rules(
        words=_Words([*lines, *adult_only]),
        near=[
            _Near(each["rule"], _near_pattern(each), frozenset(_split(line)[0] for line in each["one"]))
            for each in table["near"]
        ],
        harmless=_pattern(table["harmless"]),
        harmless_with_young=_pattern(table["harmless_with_young"]),
        of_grown=_pattern([*table["harmless"], *table["young_once"]]),
        young_groups=frozenset(table["young_groups"]),
    )


@cache
def _load_table() -> dict[str, Any]:
    return tomllib.loads(_RULES.read_text(encoding="utf-8"))


def _without_names(text: str) -> str:
    """Return a text without the names of persons that are words of the lists, too."""
    if any(name in text for name in _load_table()["surnames"]):
        return _load_names().sub(".", text)
    return text


@cache
def _load_names() -> "re.Pattern[str]":
    """Return a pattern of names whose second part is a word that the rules look for: as "John Lee Hooker"."""
    table = _load_table()
    first, last = ("|".join(table[name]) for name in ("first_names", "surnames"))
    return re.compile(rf"\b(?:{first})(?: (?:{first}|[A-Z]\.?)){{0,2}} (?:{last})\b")


def _near_pattern(near: Mapping[str, Any]) -> "re.Pattern[str]":
    """Return a pattern for a word of each group with at most `within` words between, in both orders."""
    one, other = (_alternatives(near[name]) for name in ("one", "other"))
    but = f"(?!(?:{_alternatives(near['not_between'])}) )" if "not_between" in near else ""
    between = rf" (?:{but}[a-z0-9'.]+ ){{0,{near['within']}}}"
    return re.compile(rf"(?<!\S)(?:(?:{one}){between}(?:{other})|(?:{other}){between}(?:{one}))(?!\S)")


def _pattern(lines: Iterable[str]) -> "re.Pattern[str]":
    """Return a pattern of words and phrases between which are blanks.

    In a line, `|` is between words of which one is there, and `?` ends a word that may be left out.
    """
    return re.compile(rf"(?<![a-z0-9'])(?:{'|'.join(map(_line_pattern, lines))})(?:'?s)?(?![a-z0-9'])")


def _line_pattern(line: str) -> str:
    *first, last = line.split()
    parts = (
        f"(?:(?:{_alternatives(each.removesuffix('?').split('|'))}) ){'?' if each.endswith('?') else ''}"
        for each in first
    )
    return f"{''.join(parts)}(?:{_alternatives(last.split('|'))})"


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(
        re.escape(" ".join(_split(word))) + ("[a-z0-9']*" if word.endswith("*") else "") for word in words
    )
