"""Statistics of preference votes: agreement and strengths of models, with intervals.

All intervals are at 95 %. Those by bootstrap follow from the data and the seed, up to the last digits, which
are the machine's; another version of NumPy may draw other numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from builders.annotator_marks import Estimate

_TAILS = (0.025, 0.975)
# Numbers held at once by a bootstrap: 8 MB of each array.
_CELLS = 1_000_000
# Haldane's and Anscombe's half: as many wins are added each way where no greatest likelihood exists.
_PSEUDO_WINS = 0.5
_MAX_ITERATIONS = 1_000
# Strengths nearer than this are ties: the solver stops at differences of 1e-8.
_TIE_DECIMALS = 6


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
