"""Labels: common names for what prompts ask for and what models see, so that the two can be compared.

A prompt asks for an "auburn" bob of a Danish woman of 34; a model says red, white, female, 30-39. Each stands
for a label, and two labels of one attribute are equal or not. `labels.toml` has the words of ethnicity and
gender, `builders.sample.faces.reading` those of the parts of a portrait.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files

from builders.sample.faces.reading import knows, read_text, read_value

AGE, GENDER, ETHNICITY = "age", "gender", "ethnicity"
# Label → the first age in years that it stands for: the groups of the kit's own prompts.
AGE_GROUPS: Mapping[str, int] = {
    "infant or toddler": 0,
    "child": 4,
    "teenager": 13,
    "young adult": 18,
    "adult": 30,
    "middle-aged": 45,
    "senior": 60,
}
_PEOPLE = ("person", "people", "baby", "toddler", "child", "teenager")
_AGE_WORDS = {"infant": "infant or toddler", "baby": "infant or toddler", "toddler": "infant or toddler"}
_NAMES = {"age_group": AGE, "sex": GENDER, "race": ETHNICITY}
_MAX_YEARS = 120
# Of these the text has a phrase of its own; for the others the drawer's reader takes any word that is near.
_READ_PARTS = ("skin", "hair_style", "hair_color", "eyes", "glasses", "hat", "beard")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(\d{1,3})(?:\.\d+)?(?:\s?[-\u2013]\s?(\d{1,3}))?")
_IN_TEXT = {
    "years": re.compile(
        r"(?<![\d.])(\d{1,3})(?:\.\d+)?[- ]years?[- ]old\b|\b(?:aged?|age of) (\d{1,3})\b(?! months?)",
        re.IGNORECASE,
    ),
    "months": re.compile(r"\b(?:(\d{1,2})[- ]months?[- ]old|aged? (\d{1,2}) months?)\b", re.IGNORECASE),
    "mixed": re.compile(r"\b(?:multiracial|biracial|mixed[- ]race|mixed heritage)\b", re.IGNORECASE),
}


def label_of(attribute: str, value: str) -> tuple[str, str] | None:
    """Return the attribute and the label that a value stands for.

    Args:
        attribute: Name, as a prompt or a model gives it.
        value: Value as text.

    Returns:
        Both; None where the value stands for none. An attribute that nothing is known of keeps its value.
    """
    name = attribute.strip().casefold().replace(" ", "_")
    name, text = _NAMES.get(name, name), " ".join(value.split()).casefold()
    if name == AGE:
        label = _age_label(text)
    elif name in (GENDER, ETHNICITY):
        label = _words()[name].get(text)
    elif knows(name):
        return read_value(name, value)
    else:
        label = text
    return (name, label) if label else None


def labels_of(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return attribute → label; the first value of an attribute counts, and an age goes before its group."""
    ordered = sorted(attributes, key=lambda item: item[0] != AGE)
    labels = dict[str, str]()
    for found in (label_of(*item) for item in ordered):
        if found is not None:
            labels.setdefault(*found)
    return labels


def labels_met(attribute: str, value: str) -> frozenset[str]:
    """Return every label that a value may stand for: of a range of ages, each age group that it meets."""
    found = label_of(attribute, value)
    if found is None or found[0] != AGE:
        return frozenset(found[1:] if found else ())
    numbers = _NUMBER.search(value)
    if numbers is None or numbers.group(2) is None:
        return frozenset(found[1:])
    first, last = int(numbers.group(1)), int(numbers.group(2))
    ends = [*(least - 1 for least in AGE_GROUPS.values()), _MAX_YEARS][1:]
    groups = zip(AGE_GROUPS.items(), ends, strict=True)
    return frozenset(label for (label, least), end in groups if first <= end and last >= least)


def read_labels(prompt: str) -> dict[str, str]:
    """Read attribute → label from the text of a prompt that has no attributes beside it.

    The reader is tolerant: it knows the words of many prompts, and says nothing of others. Ethnicity is read
    before a word for a person only, since a French braid is not French.
    """
    text = " ".join(prompt.split())
    found = dict[str, str]()
    if years := _IN_TEXT["years"].search(text):
        found[AGE] = _age_label(years.group(1) or years.group(2)) or ""
    elif months := _IN_TEXT["months"].search(text):
        found[AGE] = _age_label(str(int(months.group(1) or months.group(2)) // 12)) or ""
    if gender := _gender_pattern().search(text):
        found[GENDER] = _words()[GENDER][gender.group(0).casefold()]
    named = {_words()[ETHNICITY][name.casefold()] for name in find_ethnicities(text)}
    if len(named) == 1 and not _IN_TEXT["mixed"].search(text):  # of several, none is the person's
        (found[ETHNICITY],) = named
    return {name: label for name, label in (read_text(text, _READ_PARTS) | found).items() if label}


def find_ethnicities(text: str) -> Iterator[str]:
    """Yield each name of an ethnicity in a text that speaks of a person.

    These are the matches of one pattern in the whole text. With hundreds of names at every place that takes
    longer than all else that is read, so it is tried only at words with which a name begins.
    """
    pattern, first_words = ethnicity_pattern(), _first_words()
    end = 0
    for word in _WORD.finditer(text):
        if word.start() >= end and word.group().casefold() in first_words:
            found = pattern.match(text, word.start())
            if found is not None:
                yield found.group(1)
                end = found.end()


def _age_label(text: str) -> str | None:
    """Return the group of an age such as 34, of the middle of a range such as 30-39, or of a word."""
    if text in AGE_GROUPS or text in _AGE_WORDS:
        return _AGE_WORDS.get(text, text)
    if "month" in text:
        return next(iter(AGE_GROUPS))
    numbers = _NUMBER.search(text)
    if numbers is None:
        return None
    first, last = int(numbers.group(1)), int(numbers.group(2) or numbers.group(1))
    years = (first + last) / 2
    if years > _MAX_YEARS:
        return None
    return max((least, label) for label, least in AGE_GROUPS.items() if years >= least)[1]


@cache
def _table() -> Mapping[str, Mapping[str, list[str]]]:
    """Return attribute → label → words, as the file has them."""
    return tomllib.loads(files("builders.card").joinpath("labels.toml").read_text(encoding="utf-8"))


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    """Return attribute → word → label."""
    return {
        name: {word.casefold(): label for label, words in labels.items() for word in (label, *words)}
        for name, labels in _table().items()
    }


@cache
def _gender_pattern() -> re.Pattern[str]:
    words = sorted(_words()[GENDER], key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)


@cache
def _first_words() -> frozenset[str]:
    """Return the first word of each name of an ethnicity, without case."""
    return frozenset(word.group().casefold() for word in map(_WORD.match, _words()[ETHNICITY]) if word)


@cache
def ethnicity_pattern() -> re.Pattern[str]:
    """Return the pattern of all names of ethnicities where they speak of a person."""
    people = "|".join([*map(re.escape, _words()[GENDER]), *_PEOPLE])
    names = sorted(_words()[ETHNICITY], key=len, reverse=True)
    capitals = {word for words in _table()[ETHNICITY].values() for word in words if word[0].isupper()}
    spelled = sorted(capitals, key=len, reverse=True)
    # Without a capital only right before the person, so that a black-haired man is not read as a Black one.
    near = rf"(?=(?:[ -][\w-]+){{0,2}} (?:{people})\b| (?:descent|heritage|origin|ethnicity)\b)"
    any_case = rf"(?i:{'|'.join(map(re.escape, names))})(?= (?:{people})\b)"
    # A South African may be anybody, and neither West Indians nor American Indians are Indian.
    other = r"(?<!South )(?<!West )(?<!American )"
    return re.compile(rf"\b{other}((?:{'|'.join(map(re.escape, spelled))}){near}|{any_case})")
