"""Checks a sentence against its bag: each fact is found, and nothing else is said of the person."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builders.generation.captions.ages import Age, AgeMention
from builders.generation.captions.lexicon import load_lexicon
from builders.generation.captions.meaning import BagMeaning, Claim, Meaning, understand
from builders.generation.captions.mentions import Mention, Reading, read_text
from builders.generation.captions.words import split_plain
from builders.generation.look_alikes import fold
from builders.generation.rules import find_in_prompt
from schemas.bags import Bag, Fact

_LOOSE = 4  # other words that may stand between the words of a value
_NARROW_YEARS, _CHILD_YEARS = 10, 3
_SHARE = 0.5
_YOUNG = "years/young"
# Markup, addresses and control characters: a caption is shown on web pages and terminals.
_STRANGE = re.compile(r"[<>]|://|[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Addition:
    """Words of a text that say more than the bag.

    Attributes:
        words: As they stand there.
        what: What they say, for people.
        start: Place of the first character.
        end: Place after the last one.
    """

    words: str
    what: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Check:
    """What is wrong with a text.

    Attributes:
        missing: Facts that it does not say.
        added: What it says beside them, in the order of the text.
        withheld: Facts that it should not say: see `BagMeaning`.
    """

    missing: tuple[Fact, ...]
    added: tuple[Addition, ...]
    withheld: tuple[Fact, ...]

    @property
    def is_right(self) -> bool:
        """Whether the text says all of the bag and nothing else."""
        return not self.missing and not self.added

    def explain(self) -> str:
        """Return what is wrong, as sentences for the writer of the text."""
        parts = []
        if self.missing:
            facts = "; ".join(f"{fact.attribute}: {fact.value}" for fact in self.missing)
            parts.append(f"These facts are missing: {facts}.")
        if self.added:
            words = "; ".join(dict.fromkeys(f'"{each.words}" ({each.what})' for each in self.added))
            parts.append(f"These words say something that is not in the facts: {words}.")
        return " ".join(parts)


def check_sentence(bag: Bag, text: str) -> Check:
    """Check a text against a bag.

    Args:
        bag: The facts.
        text: One or more English sentences, by any writer.
    """
    meaning, reading = understand(bag), read_text(text)
    spans = {each: span for each in meaning.meanings if each.words for span in [_find_words(each, reading)]}
    missing = [each.fact for each in meaning.meanings if not _is_found(each, reading, spans, text)]
    added = sorted(_additions(meaning, reading, text, spans), key=lambda each: (each.start, each.end))
    return Check(tuple(missing), tuple(dict.fromkeys(added)), meaning.withheld)


_Spans = dict[Meaning, list[tuple[int, int]] | None]


def _is_found(meaning: Meaning, reading: Reading, spans: _Spans, text: str) -> bool:
    if meaning.age is not None:
        return any(_says_age(mention, meaning.age) for mention in reading.ages)
    if meaning.claims:
        return all(_says(reading.mentions, claim) for claim in meaning.claims)
    if not meaning.words:  # of a value in another script
        return meaning.fact.value.strip().casefold() in text.casefold()
    return spans[meaning] is not None


def _says(mentions: Sequence[Mention], claim: Claim) -> bool:
    """Return whether a mention says at least what is claimed."""
    lexicon = load_lexicon()
    for mention in mentions:
        if mention.is_denied == claim.is_denied:
            wide, narrow = (mention.atom, claim.atom) if claim.is_denied else (claim.atom, mention.atom)
            if wide in lexicon.implied(narrow):
                return True
    return False


def _says_age(mention: AgeMention, age: Age) -> bool:
    """Return whether a mention gives an age about as exactly as the fact does."""
    years = mention.age.high - mention.age.low + 1
    if not mention.age.holds(age):
        return False
    most = max(age.high - age.low + 1, _NARROW_YEARS if mention.is_number else _CHILD_YEARS)
    return years <= most


def _find_words(meaning: Meaning, reading: Reading) -> list[tuple[int, int]] | None:
    """Return the places of the words of a value: together and in order, or all near each other."""
    texts = [word.text for word in reading.words]
    wanted, size = meaning.words, len(meaning.words)
    has_marks = any(mark in meaning.fact.value for mark in ".,;:!?()")
    rest = [
        (place, word)
        for place, word in enumerate(reading.words)
        if word.text not in ("a", "an", "the") and not (has_marks and word.is_mark)
    ]
    for start in range(len(rest)):
        window = rest[start : start + size]
        is_there = tuple(word.text for _, word in window) == wanted
        if not is_there:
            continue
        # Also the word before: the value may begin with one that ends the scope of "not".
        is_denied = any(reading.denied[max(window[0][0] - 1, 0) : window[-1][0] + 1])
        if is_denied == meaning.is_denied or _denies_itself(wanted):
            return [(window[0][1].start, window[-1][1].end)]
    for start, text in enumerate(texts):
        if text not in wanted:
            continue
        window_words = reading.words[start : start + size + _LOOSE]
        left, places = list(wanted), list[tuple[int, int]]()
        for offset, word in enumerate(window_words):
            if word.is_end:
                break
            if word.text in left and reading.denied[start + offset] == meaning.is_denied:
                left.remove(word.text)
                places.append((word.start, word.end))
        if not left:
            return places
    return None


def _find_name(meaning: Meaning, reading: Reading) -> Iterator[tuple[int, int]]:
    """Yield the places where the name of an attribute stands that the lexicon does not know."""
    name = split_plain(meaning.fact.attribute)
    for start in range(len(reading.words) - len(name) + 1):
        window = reading.words[start : start + len(name)]
        if name and tuple(word.text for word in window) == name:
            yield window[0].start, window[-1].end


def _denies_itself(words: Sequence[str]) -> bool:
    return bool({"no", "not", "without"} & set(words))


def _additions(meaning: BagMeaning, reading: Reading, text: str, spans: _Spans) -> Iterator[Addition]:
    said = [span for places in spans.values() if places for span in places]
    said += [span for each in spans for span in _find_name(each, reading)]
    claims = [claim for each in meaning.meanings for claim in (*each.claims, *each.allowed)]
    lexicon = load_lexicon()
    held = {atom for claim in claims if not claim.is_denied for atom in lexicon.implied(claim.atom)}
    denied = {claim.atom for claim in claims if claim.is_denied}
    ages = [each.age for each in meaning.meanings if each.age is not None]
    for mention in reading.mentions:
        if not (_is_within(mention, said) or _is_entailed(mention, held, denied)):
            yield _addition(text, mention.start, mention.end, _describe(mention))
    for age in reading.ages:
        if not (_is_within(age, said) or _is_age_allowed(age, ages, is_young=_YOUNG in held)):
            yield _addition(text, age.start, age.end, "an age")
    if any(age.high < 18 for age in ages):
        for word in reading.grown_up:
            yield _addition(text, word.start, word.end, "a word for adults")
    for found in _STRANGE.finditer(text):
        if not any(found[0] in each.fact.value for each in meaning.meanings):
            yield _addition(text, *found.span(), "no part of a sentence")
    for finding in find_in_prompt(text, meaning.ages):
        what, span = f"not to be said: {finding.kind}", _locate(finding.words, text)
        yield _addition(text, *span, what) if span else Addition(finding.words, what, 0, len(text))


def _locate(words: str, text: str) -> tuple[int, int] | None:
    """Return the first place of words that the rules have found; None for one in pieces ("n a k e d")."""
    folded = [(char, place) for place, each in enumerate(text) for char in fold(each)]
    pattern = "[^a-z0-9]+".join(map(re.escape, words.split()))
    found = re.search(rf"(?<![a-z0-9]){pattern}(?![a-z0-9])", "".join(char for char, _ in folded))
    # Folding changes lengths, as of "ß", so the text has these words at other places.
    return (folded[found.start()][1], folded[found.end() - 1][1] + 1) if found else None


def _is_entailed(mention: Mention, held: set[str], denied: set[str]) -> bool:
    if mention.is_denied:
        return any(atom in denied for atom in load_lexicon().implied(mention.atom))
    return mention.atom in held or mention.atom == _YOUNG  # as an age, "young" is judged by itself


def _is_age_allowed(mention: AgeMention, ages: Sequence[Age], *, is_young: bool) -> bool:
    if is_young and not mention.is_number and mention.age.low == 0 and mention.age.high >= 18:
        return True
    if mention.is_number:
        return any(_says_age(mention, age) for age in ages)
    return any(age.share_within(mention.age) >= _SHARE for age in ages)


def _is_within(mention: Mention | AgeMention, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= mention.start and mention.end <= end for start, end in spans)


def _describe(mention: Mention) -> str:
    slot, _, name = mention.atom.partition("/")
    what = f"{slot} {name}".replace("_", " ")
    return f"not {what}" if mention.is_denied else what


def _addition(text: str, start: int, end: int, what: str) -> Addition:
    return Addition(text[start:end], what, start, end)
