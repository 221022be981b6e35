"""Texts that say nearly the same: exact, and for a hundred thousand texts in seconds.

Two texts are near repeats if they share enough of their sequences of three words (Jaccard index). Two such
sets that are alike share one of their rarest members, so only texts that do are compared: prefix filtering,
https://doi.org/10.1145/1242572.1242591. Nothing is guessed, as with hashes of sets. Nothing is missed either,
unless a text shares its rarest sequences with thousands of others.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+")
_LENGTH = 3  # words of a sequence
# Of one text: a file that was made to be slow is searched in part, from its first texts on.
_MAX_CANDIDATES, _MAX_COMPARED = 10_000, 1_000
_Sets = Sequence[npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text that repeats an earlier one.

    Attributes:
        of: Place of the earlier one, which repeats none itself.
        likeness: Share of the word sequences of both that both have, 0 to 1; 1 if they have the same words.
    """

    of: int
    likeness: float


def find_repeats(texts: Sequence[str], least: float) -> Iterator[tuple[int, Repeat]]:
    """Yield the place of each text that repeats an earlier one, and which; texts without words have none.

    Args:
        texts: In the order in which the first of two stays.
        least: Least likeness of a repeat, above 0; 1 finds texts with the same sequences only.
    """
    sets, by_member = _sets_of(texts), dict[int, list[int]]()
    for place, members in enumerate(sets):
        size = len(members)
        prefix = members[: size - math.ceil(least * size) + 1].tolist()
        found = _most_alike(sets, place, (each for one in prefix for each in by_member.get(one, ())), least)
        if found is not None:
            yield place, found
            continue
        for member in prefix:
            by_member.setdefault(member, []).append(place)


def _most_alike(sets: _Sets, place: int, candidates: Iterator[int], least: float) -> Repeat | None:
    members, size = set(sets[place].tolist()), len(sets[place])
    best, compared = None, set[int]()
    for other in islice(candidates, _MAX_CANDIDATES):
        if other in compared or not least * size <= len(sets[other]) <= size / least:
            continue
        compared.add(other)
        num_shared = len(members.intersection(sets[other].tolist()))
        likeness = num_shared / (size + len(sets[other]) - num_shared)
        if likeness >= least and (best is None or (likeness, -other) > (best.likeness, -best.of)):
            best = Repeat(other, likeness)
        if len(compared) == _MAX_COMPARED:
            break
    return best


def _sets_of(texts: Sequence[str]) -> _Sets:
    """Return the word sequences of each text as numbers, the rarest of all texts first."""
    listed = [_sequences(text) for text in texts]
    ends = np.cumsum([len(each) for each in listed], dtype=np.int64)
    flat = np.fromiter((each for one in listed for each in one), np.int64, int(ends[-1]) if texts else 0)
    del listed
    _, numbers, counts = np.unique(flat, return_inverse=True, return_counts=True)
    ranks = np.empty(len(counts), np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    ranked = ranks[numbers]
    return [np.sort(ranked[start:end]) for start, end in pairwise([0, *ends.tolist()])]


def _sequences(text: str) -> set[int]:
    words = tuple(_WORD.findall(text.casefold()))
    if len(words) < _LENGTH:
        return {hash(words)} if words else set()
    return {hash(words[start : start + _LENGTH]) for start in range(len(words) - _LENGTH + 1)}
