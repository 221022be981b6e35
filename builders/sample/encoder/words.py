"""Turns a text into the numbers that the demonstration encoder reads: a word each, of a small vocabulary."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

CONTEXT_LENGTH = 36  # numbers; the longest description that `describe_face` writes fits
_BEGIN, _FIRST_WORD = 1, 2  # 0 is padding
# Say nothing about a face, and are left out of what the encoder reads.
FILLERS = frozenset(
    (
        "a",
        "an",
        "and",
        "at",
        "from",
        "has",
        "in",
        "is",
        "of",
        "on",
        "set",
        "the",
        "up",
        "wearing",
        "who",
        "with",
    )
)
# What may be asked of it, and what the figures of a release with no other encoder ask.
EXAMPLES = (
    "a smiling person with red hair",
    "a person with green hair and glasses",
    "a bald man with a full beard",
    "a person wearing sunglasses",
    "a person with round glasses",
    "a person wearing a hat",
    "a surprised person with a ponytail",
    "a person in front of a forest",
)


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words of letters."""
    return "".join(char if char.isalpha() else " " for char in text.lower()).split()


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the words that the encoder was trained with, in the order of their numbers."""
    return tuple(files(__package__).joinpath("words.txt").read_text("utf-8").split())


def sort_words(text: str) -> tuple[list[str], list[str]]:
    """Return the words of a text that the encoder knows, and those that it does not, each once."""
    words = [word for word in dict.fromkeys(split_words(text)) if word not in FILLERS]
    known = [word for word in words if word in vocabulary()]
    return known, [word for word in words if word not in known]


def tokenize(texts: Sequence[str]) -> NDArray[np.int64]:
    """Turn texts into numbers: begin, a number for each known word, end, padding.

    Words that the encoder has never seen are left out; it has nothing to say of them. So is what is more
    than `CONTEXT_LENGTH` numbers. The end has the highest number, which is how open_clip finds it.

    Returns:
        Texts x `CONTEXT_LENGTH`.
    """
    numbers = {word: number for number, word in enumerate(vocabulary(), _FIRST_WORD)}
    end = _FIRST_WORD + len(numbers)
    tokens = np.zeros((len(texts), CONTEXT_LENGTH), dtype=np.int64)
    for row, text in zip(tokens, texts, strict=True):
        known = [numbers[word] for word in split_words(text) if word in numbers][: CONTEXT_LENGTH - 2]
        row[: len(known) + 2] = [_BEGIN, *known, end]
    return tokens
