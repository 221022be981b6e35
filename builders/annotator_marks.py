"""Rates of annotators, and which of them stand out: in a release and in a campaign that is still going.

Each test takes annotators with a minimum of votes, is exact, and is corrected for their number by Holm's
step-down procedure: the chance of any false entry is at most 5 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Votes that an annotator must have given to be tested; fewer could hardly differ from chance.
MIN_VOTES = 20
# Of many votes a small difference is certain, too, and says nothing against an annotator.
FAR_DISTANCE = 0.15
UNSAFE_DISTANCE = 0.05
_FALSE_RATE = 0.05
_TAILS = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number from votes, with its interval.

    Attributes:
        value: The number, or None where it is undefined.
        low: Lower end of its 95 % interval, or None where there is none.
        high: Upper end.
        total: Number of units (votes, pairs) behind it.
    """

    value: float | None
    low: float | None
    high: float | None
    total: int


@dataclass(frozen=True, slots=True)
class SideBias:
    """An annotator who chose one side far more often than the other.

    Attributes:
        annotator: The name as it is published.
        first_side: Share of votes for side 1 among those for a side.
        p_value: Of the exact binomial test, before correction.
    """

    annotator: str
    first_side: Estimate
    p_value: float


@dataclass(frozen=True, slots=True)
class SideBiases:
    """What a test of all annotators gives.

    Attributes:
        found: Those who favour a side, the smallest p-value first.
        num_tested: How many had enough votes.
        min_votes: How many votes are enough.
    """

    found: tuple[SideBias, ...]
    num_tested: int
    min_votes: int = MIN_VOTES


@dataclass(frozen=True, slots=True)
class FarAnnotator:
    """An annotator who answers otherwise than the others far more often than these among themselves.

    Attributes:
        annotator: The name as it is published.
        agreement: Share of pairs with the same answer as most of the others.
        p_value: Of the exact test, before correction.
    """

    annotator: str
    agreement: Estimate
    p_value: float


@dataclass(frozen=True, slots=True)
class FarAnnotators:
    """What a comparison of each annotator with all others gives.

    Attributes:
        found: Those who are far from the others, the lowest agreement first.
        num_tested: How many had enough pairs.
        agreement: Share of answers that are those of most others, over all annotators.
        min_pairs: How many pairs are enough.
        distance: How much lower than that of the others an agreement is at least, 0 to 1.
    """

    found: tuple[FarAnnotator, ...]
    num_tested: int
    agreement: Estimate
    min_pairs: int = MIN_VOTES
    distance: float = FAR_DISTANCE


@dataclass(frozen=True, slots=True)
class UnsafeShare:
    """How often one annotator says "unsafe".

    Attributes:
        annotator: The name as it is published.
        unsafe: Share of their votes.
    """

    annotator: str
    unsafe: Estimate


@dataclass(frozen=True, slots=True)
class UnsafeAnnotators:
    """How often annotators say "unsafe".

    Attributes:
        shares: Those of all annotators, most votes first.
        found: Those who say it far more often than the others.
        num_tested: How many had enough votes.
        min_votes: How many votes are enough.
        distance: How much higher than that of the others a share is at least, 0 to 1.
    """

    shares: tuple[UnsafeShare, ...]
    found: frozenset[str]
    num_tested: int
    min_votes: int = MIN_VOTES
    distance: float = UNSAFE_DISTANCE


def proportion(successes: int, total: int) -> Estimate:
    """Return a share with Wilson's score interval, without correction for continuity.

    Args:
        successes: How many of them, 0 to `total`.
        total: Of how many; at least 0.

    Returns:
        The share, 0 to 1; undefined when `total` is 0.

    Raises:
        ValueError: `successes` is not in 0 to `total`.

    Source:
        Newcombe (1998), "Two-sided confidence intervals for the single proportion: comparison of seven
        methods", Statistics in Medicine 17:857-872, method 3.
    """
    from scipy.special import ndtri  # noqa: PLC0415 - slow to import, and scipy.stats takes a second more

    if not 0 <= successes <= total:
        raise ValueError(f"successes must be in 0 to {total}, not {successes}")
    if not total:
        return Estimate(None, None, None, 0)
    share, z = successes / total, float(ndtri(_TAILS[1]))
    middle = (2 * total * share + z**2) / (2 * (total + z**2))
    reach = z / (2 * (total + z**2)) * math.sqrt(4 * total * share * (1 - share) + z**2)
    low = middle - reach if successes else 0.0
    high = middle + reach if successes < total else 1.0
    return Estimate(share, low, high, total)


def find_first_answers(units: NDArray[np.int64], times: Sequence[str], number: int) -> NDArray[np.bool_]:
    """Return which answers are among the first of their unit, by time; of equal times, the earlier in order.

    People are asked about a unit again where its first answers differ. So later answers are more often of
    units in dispute, and a number over all answers says that people agree less or more than they do.

    Args:
        units: The unit of each answer, of shape (answers,).
        times: When each was given: texts of one form, which sort as times do.
        number: How many are the first, 1 or more.
    """
    order = np.lexsort((np.array(times, dtype=np.str_), units))
    ordered = units[order]
    starts = np.searchsorted(ordered, ordered)
    is_first = np.zeros(len(units), np.bool_)
    is_first[order] = np.arange(len(units)) - starts < number
    return is_first


def find_side_biases(votes: Mapping[str, tuple[int, int]]) -> SideBiases:
    """Find the annotators who favour one side, each by themselves.

    Over all votes, one annotator who always chooses side 1 and one who always chooses side 2 cancel out. So
    each annotator with at least `MIN_VOTES` votes for a side is tested alone. Where sides are shuffled,
    an annotator who looks at the images chooses side 1 with chance 1/2, whatever images they prefer. The test
    is the exact binomial one, two-sided. Holm's step-down correction for the number of tested annotators
    keeps the chance of any false entry in a release at 5 % or less. Votes count as independent.

    Args:
        votes: Annotator → votes for side 1 and for side 2, one for each pair, of pairs with shuffled sides.

    Sources:
        Dixon and Mood (1946), "The statistical sign test", Journal of the American Statistical Association
        41:557-566; Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian
        Journal of Statistics 6:65-70.
    """
    from scipy.special import bdtr  # noqa: PLC0415 - slow to import, and scipy.stats takes a second more

    names = sorted(name for name, sides in votes.items() if sum(sides) >= MIN_VOTES)
    counts = np.array([votes[name] for name in names], np.int64).reshape(-1, 2)
    # At a chance of 1/2 both tails are alike, so twice the smaller one is the exact p-value.
    p_values = np.minimum(1, 2 * bdtr(counts.min(axis=1), counts.sum(axis=1), 0.5))
    tested = sorted(
        zip(p_values.tolist(), names, counts[:, 0].tolist(), counts.sum(axis=1).tolist(), strict=True)
    )
    found = [
        SideBias(name, proportion(first, total), p_value)
        for p_value, name, first, total in tested[: _num_below_holm([each[0] for each in tested])]
    ]
    return SideBiases(tuple(found), len(tested))


def find_unsafe_annotators(votes: Mapping[str, tuple[int, int]]) -> UnsafeAnnotators:
    """Find the annotators who say "unsafe" far more often than the others together.

    One such vote excludes a pair, so one person can take many pairs out of a collection. Each annotator with
    at least `MIN_VOTES` votes is tested alone by Fisher's exact test, one-sided, with Holm's correction for
    the number of tested annotators. Those found are at least `UNSAFE_DISTANCE` above the others. Votes count
    as independent.

    Args:
        votes: Annotator → votes for "unsafe", and all votes, one for each pair.

    Sources:
        As for `find_far_annotators`.
    """
    shares = tuple(
        UnsafeShare(name, proportion(unsafe, total))
        for name, (unsafe, total) in sorted(votes.items(), key=lambda each: (-each[1][1], each[0]))
    )
    all_unsafe, all_votes = (sum(each[place] for each in votes.values()) for place in (0, 1))
    tested = sorted(
        (
            _fisher_below(
                total - unsafe, total, all_votes - all_unsafe - (total - unsafe), all_votes - total
            ),
            name,
        )
        for name, (unsafe, total) in votes.items()
        if total >= MIN_VOTES and all_votes > total
    )
    found = []
    for _, name in tested[: _num_below_holm([each[0] for each in tested])]:
        unsafe, total = votes[name]
        if unsafe / total - (all_unsafe - unsafe) / (all_votes - total) >= UNSAFE_DISTANCE:
            found.append(name)
    return UnsafeAnnotators(shares, frozenset(found), len(tested))


def _num_below_holm(p_values: Sequence[float]) -> int:
    """Return how many of the p-values, the smallest first, Holm's step-down procedure accepts."""
    for place, p_value in enumerate(p_values):
        if p_value > _FALSE_RATE / (len(p_values) - place):
            return place
    return len(p_values)


def find_far_annotators(matches: Mapping[str, tuple[int, int]]) -> FarAnnotators:
    """Find the annotators who agree with the others far less often than these do.

    Each annotator with at least `MIN_VOTES` compared pairs is tested alone: how often their answer is
    the one that most of the others gave on the pair, against how often that holds of all other annotators
    together. The test is Fisher's exact one, one-sided, with Holm's step-down correction for the number of
    tested annotators. Those found are at least `FAR_DISTANCE` below the others. Pairs count as independent.

    Args:
        matches: Annotator → pairs with the answer of most others, and pairs on which most others agree.

    Sources:
        Fisher (1935), "The logic of inductive inference", Journal of the Royal Statistical Society 98:39-82;
        Holm (1979), as for `find_side_biases`.
    """
    all_same = sum(same for same, _ in matches.values())
    all_pairs = sum(total for _, total in matches.values())
    tested = sorted(
        (_fisher_below(same, total, all_same - same, all_pairs - total), name)
        for name, (same, total) in matches.items()
        if total >= MIN_VOTES and all_pairs > total
    )
    found = []
    for p_value, name in tested[: _num_below_holm([each[0] for each in tested])]:
        same, total = matches[name]
        if (all_same - same) / (all_pairs - total) - same / total >= FAR_DISTANCE:
            found.append(FarAnnotator(name, proportion(same, total), p_value))
    found.sort(key=lambda each: (each.agreement.value or 0, each.annotator))
    return FarAnnotators(tuple(found), len(tested), proportion(all_same, all_pairs))


def _fisher_below(same: int, total: int, other_same: int, other_total: int) -> float:
    """Return the chance of `same` or fewer of `total`, given the sums of both groups."""
    from scipy.special import gammaln  # noqa: PLC0415 - slow to import, and scipy.stats takes a second more

    def log_choose(number: int, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        ways: NDArray[np.float64] = gammaln(number + 1) - gammaln(chosen + 1) - gammaln(number - chosen + 1)
        return ways

    drawn = np.arange(max(0, same + other_same - other_total), same + 1)
    logs = log_choose(total, drawn) + log_choose(other_total, same + other_same - drawn)
    logs -= log_choose(total + other_total, np.array([same + other_same]))
    return float(min(1.0, np.exp(logs).sum()))
