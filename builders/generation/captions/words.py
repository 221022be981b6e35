"""Words of a text with their places in it: small letters, without accents, hyphens as blanks."""

import re
import unicodedata
from dataclasses import dataclass

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*|[.,;:!?()]")
_ENDS = frozenset(".;:!?()")
_APOSTROPHES = "\u2019\u02bc\u2018"


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a mark between words.

    Attributes:
        text: In small letters, without a possessive ending.
        start: Place of its first character in the text.
        end: Place after its last one.
    """

    text: str
    start: int
    end: int

    @property
    def is_comma(self) -> bool:
        """Whether it is a comma."""
        return self.text == ","

    @property
    def is_end(self) -> bool:
        """Whether it ends a sentence, or a part of one that stands on its own."""
        return self.text in _ENDS

    @property
    def is_mark(self) -> bool:
        """Whether it is no word."""
        return self.is_comma or self.is_end


def split_words(text: str) -> list[Word]:
    """Return the words and marks of a text, in order."""
    plain, places = simplify(text)
    words = []
    for found in _WORD.finditer(plain):
        said = found[0].removesuffix("'s")
        words.append(Word(said, places[found.start()], places[found.end() - 1] + 1))
    return words


def simplify(text: str) -> tuple[str, list[int]]:
    """Return a text in small letters without accents, and the place in `text` of each of its characters."""
    plain, places = list[str](), list[int]()
    for place, char in enumerate(text):
        if char in _APOSTROPHES:
            shown = "'"
        else:
            shown = char.lower() if char.isascii() else unicodedata.normalize("NFKD", char).casefold()
        for each in shown:
            if not unicodedata.combining(each):
                plain.append(each)
                places.append(place)
    return "".join(plain), places


def split_plain(text: str) -> tuple[str, ...]:
    """Return the words of a wording or a value, without marks and underscores."""
    return tuple(word.text for word in split_words(text.replace("_", " ")) if not word.is_mark)
