"""English agreement: "a" or "an", and capitals at the beginning of sentences."""

import re
from functools import lru_cache

_ARTICLE = re.compile(r"\b([Aa])n?(?= (\w[\w'-]*))")
_NUMBER = re.compile(r"\d+")
# Words whose first letter misleads. What is spelt is not what is heard: "an hour", "a uniform", "a one-way".
_HEARD_AS_VOWEL = re.compile(r"(hour|honest|honou?r|heir|herb(?!ert))", re.IGNORECASE)
_HEARD_AS_CONSONANT = re.compile(
    r"(eu|ewe|once|one\b|ouija|u(?=biq|ganda|k\b|krain|kul|ni(?!mag|n|dent)|r(?:i|ug)|s(?:a|e|u|ing)|t(?:e|il|op)|yg))",
    re.IGNORECASE,
)
_SPELT = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z](?=\b|\d|-)")  # HDR, SLR, X-ray: read letter by letter
_SPELT_AS_VOWEL = "AEFHILMNORSX8"
_READ_AS_WORDS = ("RAW", "ID")  # acronyms that are said as a word or begin with a vowel anyway
_SENTENCE = re.compile(r"(?:^|(?<=[.!?] ))[a-z]")


def agree(text: str) -> str:
    """Return a text with "a" or "an" as the next word is heard.

    Source: the sound decides, not the letter (Chicago Manual of Style 5.74).
    """
    return _ARTICLE.sub(lambda found: f"{found[1]}{'n' if _is_vowel(found[2]) else ''}", text)


def capitalize(text: str) -> str:
    """Return a text with a capital at its beginning and after each full stop."""
    return _SENTENCE.sub(lambda found: found[0].upper(), text)


@lru_cache(10_000)
def _is_vowel(word: str) -> bool:
    if number := _NUMBER.match(word):
        digits = number[0]
        # eight…, eleven and eighteen, with or without thousands behind them
        return digits[0] == "8" or (digits[:2] in ("11", "18") and len(digits) % 3 == 2)
    if (spelt := _SPELT.match(word)) and spelt[0] not in _READ_AS_WORDS:
        return spelt[0][0] in _SPELT_AS_VOWEL
    if _HEARD_AS_VOWEL.match(word):
        return True
    if _HEARD_AS_CONSONANT.match(word):
        return False
    return word[0] in "aeiouAEIOU"
