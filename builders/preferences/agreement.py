"""Statistics of preference votes: agreement, rates with intervals, strengths of models, bias of sides.

All intervals are at 95 %. Those by bootstrap follow from the data and the seed, up to the last digits, which
are the machine's; another version of NumPy may draw other numbers.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Votes for a side that an annotator must have given to be tested; fewer could hardly differ from chance.
MIN_SIDE_VOTES = 20
# Of many votes a small difference is certain, too, and says nothing against an annotator.
FAR_DISTANCE = 0.15
_FALSE_RATE = 0.05
_TAILS = (0.025, 0.975)
# Numbers held at once by a bootstrap: 8 MB of each array.
_CELLS = 1_000_000
# Haldane's and Anscombe's half: as many wins are added each way where no greatest likelihood exists.
_PSEUDO_WINS = 0.5
_MAX_ITERATIONS = 1_000
# Strengths nearer than this are ties: the solver stops at differences of 1e-8.
_TIE_DECIMALS = 6


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
class Strength:
    """How strong a model is against the others, by the model of Bradley and Terry.

    Attributes:
        model: Its name.
        strength: Logarithm of its strength; the mean over all models is zero. Model a wins against model b
            with probability 1 / (1 + exp(strength of b - strength of a)).
        low: Lower end of the 95 % interval, or None where the strength is regularised.
        high: Upper end.
        wins: Decided pairs that it won against other models.
        losses: Those that it lost.
    """

    model: str
    strength: float
    low: float | None
    high: float | None
    wins: int
    losses: int


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
    min_votes: int = MIN_SIDE_VOTES


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
    min_pairs: int = MIN_SIDE_VOTES
    distance: float = FAR_DISTANCE


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


def find_side_biases(votes: Mapping[str, tuple[int, int]]) -> SideBiases:
    """Find the annotators who favour one side, each by themselves.

    Over all votes, one annotator who always chooses side 1 and one who always chooses side 2 cancel out. So
    each annotator with at least `MIN_SIDE_VOTES` votes for a side is tested alone. Where sides are shuffled,
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

    names = sorted(name for name, sides in votes.items() if sum(sides) >= MIN_SIDE_VOTES)
    counts = np.array([votes[name] for name in names], np.int64).reshape(-1, 2)
    # At a chance of 1/2 both tails are alike, so twice the smaller one is the exact p-value.
    p_values = np.minimum(1, 2 * bdtr(counts.min(axis=1), counts.sum(axis=1), 0.5))
    tested = sorted(
        zip(p_values.tolist(), names, counts[:, 0].tolist(), counts.sum(axis=1).tolist(), strict=True)
    )
    found = []
    for place, (p_value, name, first, total) in enumerate(tested):
        if p_value > _FALSE_RATE / (len(tested) - place):
            break
        found.append(SideBias(name, proportion(first, total), p_value))
    return SideBiases(tuple(found), len(tested))


def find_far_annotators(matches: Mapping[str, tuple[int, int]]) -> FarAnnotators:
    """Find the annotators who agree with the others far less often than these do.

    Each annotator with at least `MIN_SIDE_VOTES` compared pairs is tested alone: how often their answer is
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
        if total >= MIN_SIDE_VOTES and all_pairs > total
    )
    found = []
    for place, (p_value, name) in enumerate(tested):
        if p_value > _FALSE_RATE / (len(tested) - place):
            break
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


# The `krippendorff` package has no weights: 0.35 s for 333,334 pairs, six minutes for 1,000 resamples.
# Property tests hold this equal to it to 1e-12.
def krippendorff_alpha(
    counts: NDArray[np.int64],
    weights: NDArray[np.int64] | None = None,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> Estimate:
    """Return Krippendorff's alpha for labels without order, with a bootstrap interval over units.

    Equal units are put together first, so the price is that of the distinct ones. The `krippendorff` package,
    to which this is equal, knows no weights: it holds several arrays of shape (units, labels, labels).

    The interval is the percentile bootstrap over units: as many pairable units as there are, drawn with
    replacement, whole with all their votes. Hayes and Krippendorff draw pairs of votes instead and keep the
    expected disagreement as observed; votes on one unit hang together, so here units are drawn, and both
    disagreements computed again (as recommended by Zapf et al.). Resamples that use one label only have no
    alpha and are left out, as undefined as such data are by themselves: counting them as 1 would make rare
    disagreement look like agreement, counting them as 0 would be no better founded. Where all units agree,
    every resample does, and the interval is the value alone. Raters count as interchangeable, and that one
    rater judged many units is not accounted for.

    Args:
        counts: How many raters gave each label, of shape (patterns, labels); not negative.
        weights: How many units have each pattern, of shape (patterns,); not negative. One each when None.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        Alpha, at most 1, 0 for agreement as by chance; `total` is the number of pairable units, which are
        those with two votes or more: only they enter. Without any, or when all their votes are for one label,
        the value is undefined; with a single one the interval is.

    Raises:
        ValueError: Shapes that do not fit, or a negative number.

    Sources:
        Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability",
        https://repository.upenn.edu/asc_papers/43; Hayes and Krippendorff (2007), "Answering the call for a
        standard reliability measure for coding data", Communication Methods and Measures 1:77-89; Zapf et al.
        (2016), "Measuring inter-rater reliability for nominal data - which coefficients and confidence
        intervals are appropriate?", BMC Medical Research Methodology 16:93.
    """
    patterns, units = _pairable(counts, weights)
    total = int(units.sum())
    value = _alphas(patterns, units[np.newaxis])
    if not value.size:
        return Estimate(None, None, None, total)
    if total < 2:
        return Estimate(float(value[0]), None, None, total)
    draws = _draw_units(units, resamples, seed)
    low, high = _interval(np.concatenate([np.empty(0), *(_alphas(patterns, drawn) for drawn in draws)]))
    return Estimate(float(value[0]), low, high, total)


def _pairable(
    counts: NDArray[np.int64], weights: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct patterns of two votes or more, and how many units have each."""
    if weights is None:
        weights = np.ones(len(counts), np.int64)
    if counts.ndim != 2 or weights.shape != counts.shape[:1]:
        raise ValueError(f"counts of shape {counts.shape} and weights of shape {weights.shape} do not fit")
    if (counts < 0).any() or (weights < 0).any():
        raise ValueError("counts and weights must not be negative")
    kept = (counts.sum(axis=1) >= 2) & (weights > 0)
    if not kept.any():
        return np.empty((0, counts.shape[1])), np.empty(0, np.int64)
    patterns, places = np.unique(counts[kept], axis=0, return_inverse=True)
    units = np.zeros(len(patterns), np.int64)
    np.add.at(units, places.reshape(-1), weights[kept])
    return patterns.astype(np.float64), units


def _alphas(patterns: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute alpha for each resample that has one.

    Args:
        patterns: Votes by label, of shape (patterns, labels), each row of two or more.
        units: Units that have each pattern, of shape (resamples, patterns).

    Returns:
        One alpha for each resample in which two labels were used; so at most `resamples` of them.
    """
    votes = patterns.sum(axis=1)
    # A unit's share of the coincidence matrix off its diagonal: each vote weighs one in all.
    disagreeing = (votes**2 - (patterns**2).sum(axis=1)) / (votes - 1)
    observed = units @ disagreeing
    by_label = units @ patterns
    all_votes = by_label.sum(axis=1)
    expected = all_votes**2 - (by_label**2).sum(axis=1)
    defined = expected > 0
    result: NDArray[np.float64] = 1 - observed[defined] * (all_votes[defined] - 1) / expected[defined]
    return result


def _draw_units(units: NDArray[np.int64], resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Draw resamples of units, some at a time, each of shape (some, patterns)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    total = int(units.sum())
    at_once = max(1, _CELLS // len(units))
    for start in range(0, resamples, at_once):
        yield generator.multinomial(total, units / total, size=min(at_once, resamples - start))


def _interval(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not values.size:
        return None, None
    low, high = np.quantile(values, _TAILS)
    return float(low), float(high)


def bradley_terry(
    wins: Mapping[tuple[str, str], int], *, resamples: int = 200, seed: int = 0
) -> tuple[Strength, ...]:
    """Return the strengths of models from decided pairs, by greatest likelihood.

    The likelihood has a greatest value only if every model is linked to every other by a chain of wins, and
    to itself back (Ford's condition). Where it has none, because a model never lost or never won, half a win
    each way is added to every two models that met. Such strengths say the order, and how far is an
    assumption, so they have no intervals.

    The interval is a parametric percentile bootstrap: for every two models, as many pairs as there were,
    decided by the strengths found. A resample without a greatest likelihood is regularised in the same way.

    Args:
        wins: (winner, loser) → decided pairs, not negative. Pairs of a model with itself are left out.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        Every model that met another, strongest first, equal ones by name. Nothing where no pair is decided,
        or where models fall into groups that never met: then no scale holds them all. Nothing either where
        the solver does not settle, which takes strengths that are dozens apart.

    Raises:
        ValueError: A negative number.

    Sources:
        Bradley and Terry (1952), "Rank analysis of incomplete block designs", Biometrika 39:324-345; Ford
        (1957), "Solution of a ranking problem from binary comparisons", American Mathematical Monthly
        64:28-33; Maystre and Grossglauser (2015), "Fast and accurate inference of Plackett-Luce models",
        NeurIPS 28, in `choix`.
    """
    return _fit_strengths(tuple(wins.items()), resamples, seed)


# A release reads its votes twice: for the card, and when it is checked. The bootstrap is the same both times.
@lru_cache(maxsize=4)
def _fit_strengths(
    wins: tuple[tuple[tuple[str, str], int], ...], resamples: int, seed: int
) -> tuple[Strength, ...]:
    names, matrix = _comparisons(dict(wins))
    if not names or _parts(matrix + matrix.T) > 1:
        return ()
    strengths = _strengths(matrix)
    if strengths is None:
        return ()
    intervals: list[tuple[float | None, float | None]] = [(None, None)] * len(names)
    if _parts(matrix) == 1:
        drawn = list(_draw_strengths(matrix, strengths, resamples, seed))
        intervals = [_interval(column) for column in np.array(drawn).reshape(-1, len(names)).T]
    found = (
        Strength(name, float(strength), *interval, wins=int(won), losses=int(lost))
        for name, strength, interval, won, lost in zip(
            names, strengths, intervals, matrix.sum(axis=1), matrix.sum(axis=0), strict=True
        )
    )
    return tuple(sorted(found, key=lambda item: (-round(item.strength, _TIE_DECIMALS), item.model)))


def _comparisons(wins: Mapping[tuple[str, str], int]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of models that met another, and their wins of shape (models, models), winners down."""
    if any(count < 0 for count in wins.values()):
        raise ValueError("wins must not be negative")
    met = {pair: count for pair, count in wins.items() if count and pair[0] != pair[1]}
    names = sorted({name for pair in met for name in pair})
    place = {name: index for index, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), np.int64)
    for (winner, loser), count in met.items():
        matrix[place[winner], place[loser]] = count
    return names, matrix


def _parts(matrix: NDArray[np.int64]) -> int:
    """Count the groups of models that are linked both ways by chains of wins."""
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - slow to import

    parts, _ = connected_components(matrix, directed=True, connection="strong")
    return int(parts)


def _strengths(matrix: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Fit strengths with mean zero, regularised where they must be; None where the solver does not settle."""
    from choix import ilsr_pairwise_dense  # noqa: PLC0415 - slow to import

    fitted = matrix.astype(np.float64)
    if _parts(matrix) > 1:
        fitted += _PSEUDO_WINS * (matrix + matrix.T > 0)
    try:
        # Strengths too far apart for float64 give logarithms of negative numbers: NaN, which never settles.
        with np.errstate(all="ignore"):
            strengths: NDArray[np.float64] = ilsr_pairwise_dense(fitted, max_iter=_MAX_ITERATIONS)
    except (RuntimeError, ValueError):
        return None
    return strengths


def _draw_strengths(
    matrix: NDArray[np.int64], strengths: NDArray[np.float64], resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Decide every pair again by the strengths found, and fit them again."""
    from scipy.special import expit  # noqa: PLC0415 - slow to import

    generator = np.random.Generator(np.random.PCG64(seed))
    first, second = np.nonzero(np.triu(matrix + matrix.T))
    met = matrix[first, second] + matrix[second, first]
    chance = expit(strengths[first] - strengths[second])
    for _ in range(resamples):
        drawn = np.zeros_like(matrix)
        drawn[first, second] = generator.binomial(met, chance)
        drawn[second, first] = met - drawn[first, second]
        fitted = _strengths(drawn)
        if fitted is not None:
            yield fitted
