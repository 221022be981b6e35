"""What the facts of a bag mean: atoms of the lexicon where it knows the value, else the value's words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from builders.generation.captions.ages import Age, read_age
from builders.generation.captions.lexicon import Lexicon, load_lexicon, slot_of
from builders.generation.captions.words import split_plain
from builders.generation.rules import find_in_prompt
from schemas.attributes import kind_of, preset_of, publish_value
from schemas.bags import Bag, Fact

_NOTHING = frozenset({"none", "no", "nothing", "absent", "without", "n/a", "not present", "not visible"})
_SKIPPED = frozenset({"a", "an", "the", "and", "with", "in", "of", "color", "colour", "hair", "style"})
AGE = "age"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that is so, or is not.

    Attributes:
        atom: What, as the lexicon names it.
        is_denied: Whether it is not so.
    """

    atom: str
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one fact means; one of `claims`, `age` and `words` is given.

    Attributes:
        fact: The fact.
        claims: All that a text must say.
        allowed: What it may say beside it.
        age: An age that it must say.
        words: Words that it must have, of a value that the lexicon does not know.
        is_denied: Whether it must deny those words.
    """

    fact: Fact
    claims: tuple[Claim, ...] = ()
    allowed: tuple[Claim, ...] = ()
    age: Age | None = None
    words: tuple[str, ...] = ()
    is_denied: bool = False

    @property
    def name(self) -> str:
        """The attribute's name with blanks, in small letters where it is a known one."""
        return self.fact.attribute.replace("_", " ").strip()


@dataclass(frozen=True, slots=True)
class BagMeaning:
    """What a bag means.

    Attributes:
        meanings: Of the facts that are said, in order.
        withheld: Facts that no caption says: words for adults of a person under 18, and sexual words.
        ages: Names and values of the attributes that may say an age.
    """

    meanings: tuple[Meaning, ...]
    withheld: tuple[Fact, ...]
    ages: tuple[tuple[str, str], ...]


def understand(bag: Bag) -> BagMeaning:
    """Return what the facts of a bag mean; equal ones once."""
    ages = tuple((name, fact.value) for fact in bag.facts if (name := kind_of(fact.attribute)) == AGE)
    meanings, withheld = list[Meaning](), list[Fact]()
    seen = set[object]()
    for fact in bag.facts:
        meaning = _understand(fact)
        if meaning.age is None and not _may_be_said(_spell(meaning), ages):
            withheld.append(fact)
            continue
        key = (meaning.claims, meaning.age, meaning.words, meaning.is_denied)
        if key not in seen:
            meanings.append(meaning)
        seen.add(key)
    return BagMeaning(tuple(meanings), tuple(withheld), ages)


@lru_cache(10_000)
def _understand(fact: Fact) -> Meaning:
    lexicon, value = load_lexicon(), publish_value(fact.attribute, fact.value).strip()
    preset = preset_of(fact.attribute)
    name = preset.name if preset else fact.attribute.strip()
    folded = name.casefold()
    if kind_of(name) == AGE and (age := read_age(value)) is not None:
        return Meaning(fact, age=age)
    if folded in lexicon.binary and value in ("yes", "no"):
        return Meaning(fact, claims=(_read_binary(lexicon, folded, is_yes=value == "yes"),))
    attribute = lexicon.attributes.get(folded)
    is_nothing = value.casefold() in _NOTHING
    if attribute is not None and (is_nothing or value.casefold() == "yes") and attribute.absent:
        allowed = tuple(
            Claim(atom, is_denied=True) for atom in lexicon.absence_allows.get(folded, ()) if is_nothing
        )
        return Meaning(fact, claims=(Claim(attribute.absent, is_nothing),), allowed=allowed)
    # "full" of a beard says no more than "full beard", which the lexicon knows.
    wordings = (value, f"{value} beard") if folded == "beard" else (value,)
    readings = (tuple(_read_value(lexicon, each, attribute.slots)) for each in wordings if attribute)
    if claims := next(filter(None, readings), ()):
        return Meaning(fact, claims=claims)
    if is_nothing or value.casefold() in ("yes", "false", "true"):
        words = split_plain(fact.attribute)
        return Meaning(fact, words=words, is_denied=is_nothing or value.casefold() == "false")
    words = tuple(word for word in split_plain(value) if word not in ("a", "an", "the"))
    # Whatever is worn of a kind is of that kind: aviator glasses are glasses.
    kind = (Claim(attribute.absent),) if attribute is not None and attribute.absent else ()
    return Meaning(fact, allowed=kind, words=words)


def _read_binary(lexicon: Lexicon, name: str, *, is_yes: bool) -> Claim:
    if not is_yes and name in lexicon.binary_no:
        return Claim(lexicon.binary_no[name])
    atom = lexicon.binary[name]
    return Claim(atom.removeprefix("-"), is_yes == atom.startswith("-"))


def _read_value(lexicon: Lexicon, value: str, slots: Sequence[str]) -> Iterator[Claim]:
    """Yield what a value says if every word of it is known; nothing otherwise."""
    words, place = split_plain(value), 0
    found = list[Claim]()
    if (atom := lexicon.synonyms.get(words)) is not None and slot_of(atom) in slots:
        yield Claim(atom)
        return
    is_denied = bool(words) and words[0] in ("no", "not", "without")
    while place < len(words):
        size, claim = _longest(lexicon, words[place:], slots)
        if claim is not None and claim.atom.endswith("/other"):
            return  # an atom of many words: which of them is the value
        if claim is not None:
            found.append(Claim(claim.atom, claim.is_denied != is_denied))
        elif not (words[place] in _SKIPPED or words[place] in lexicon.heads or (is_denied and place == 0)):
            return
        place += size
    yield from dict.fromkeys(found)


def _longest(lexicon: Lexicon, words: tuple[str, ...], slots: Sequence[str]) -> tuple[int, Claim | None]:
    """Return the claim of the longest wording that words begin with, and its number of words."""
    best: tuple[int, Claim | None] = (1, None)
    for slot in reversed(slots):  # so that the first slot wins
        for wording in lexicon.by_word.get(words[0], ()):
            size = len(wording.words)
            if slot_of(wording.atom) == slot and words[:size] == wording.words and size >= best[0]:
                best = (size, Claim(wording.atom, wording.is_denial))
    return best


def _spell(meaning: Meaning) -> str:
    """Return the words that a fact brings into a caption."""
    lexicon = load_lexicon()
    said = [
        lexicon.deny(claim.atom)[0] if claim.is_denied else lexicon.sayings[claim.atom]
        for claim in meaning.claims
    ]
    return ". ".join([*said, " ".join([*meaning.words, meaning.name]) if meaning.words else ""])


@lru_cache(10_000)
def _may_be_said(text: str, ages: tuple[tuple[str, str], ...]) -> bool:
    return not find_in_prompt(text, ages)
