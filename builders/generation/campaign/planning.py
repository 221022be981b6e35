"""How many votes an interval takes, before anybody is asked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from builders.generation.campaign.stopping import num_wanted

_Z = NormalDist().inv_cdf(0.975)
WIDTHS = (0.20, 0.15, 0.10, 0.075, 0.05, 0.03)
SECONDS_OF_VOTE = 8.0  # a median of people who compare two pictures; `sfhq campaign status` has the real one


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthPlan:
    """What an interval of one width takes.

    Attributes:
        half_width: Half of the 95 % interval of a rate of 50 %, as a share.
        pairs_of_category: Decided pairs that each category needs.
        pairs: The same for all categories.
        least_votes: Votes, if every pair is settled as early as it can be.
        most_votes: Votes, if every pair needs all its annotators.
        hours: Time of `most_votes`, at 8 s each, in hours.
        is_covered: Whether every category of the campaign has as many pairs.
    """

    half_width: float
    pairs_of_category: int
    pairs: int
    least_votes: int
    most_votes: int
    hours: float
    is_covered: bool


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate by Wilson's score; 0 to 1 without any trial."""
    if total == 0:
        return 0.0, 1.0
    share, spread = successes / total, _Z * _Z / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def half_width(total: int) -> float:
    """Return half of the 95 % interval of a rate of 50 %: the widest that `total` trials can give."""
    return _Z / (2 * math.sqrt(total + _Z * _Z))  # Wilson's formula with a share of 1/2


def num_needed(width: float) -> int:
    """Return the fewest trials whose 95 % interval is at most ±`width` (a share, above 0) for any rate."""
    return max(1, math.ceil(_Z * _Z / (4 * width * width) - _Z * _Z - 1e-9))


def plan_widths(
    categories: Mapping[str, int], overlap: int, widths: Sequence[float] = WIDTHS
) -> list[WidthPlan]:
    """Return what each width takes in a campaign.

    Args:
        categories: Category → its pairs.
        overlap: Most annotators of a pair.
        widths: Half of each interval, as a share.
    """
    plans = []
    for width in widths:
        needed = num_needed(width)
        pairs = needed * max(1, len(categories))
        most = pairs * overlap
        plans.append(
            WidthPlan(
                half_width=width,
                pairs_of_category=needed,
                pairs=pairs,
                least_votes=pairs * num_wanted({}, overlap),
                most_votes=most,
                hours=most * SECONDS_OF_VOTE / 3600,
                is_covered=bool(categories) and min(categories.values()) >= needed,
            )
        )
    return plans
