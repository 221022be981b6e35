"""When a pair needs no more answers: its decision by `submitted-majority` cannot change.

One answer could still change it: "unsafe" excludes a pair at any time. A pair is not kept open for that
alone, since then every pair would need all its annotators. A first answer "unsafe" does not settle a pair
alone: a second person is asked, so that who says it far more often than others can be seen.
"""

from collections.abc import Mapping

from schemas.preferences import Decision, Label, decide_by_majority

_SIDES = (Label.IMAGE_1, Label.IMAGE_2)
_LEAST_IF_UNSAFE = 2


def num_wanted(counts: Mapping[str, int], overlap: int) -> int:
    """Return the fewest further answers that can settle a pair; 0 if it is not asked about again.

    Args:
        counts: Answers of the kind "first" by label.
        overlap: Most answers that the pair may get, 1 or more.
    """
    total = sum(counts.values())
    left = overlap - total
    if left <= 0:
        return 0
    if counts.get(Label.TOXIC):
        return max(0, _LEAST_IF_UNSAFE - total)
    most = max(counts.get(side, 0) for side in _SIDES)
    # For a side: more than half of all answers that there may be. For neither: both sides are out of reach.
    to_win = overlap // 2 + 1 - most
    to_miss = most + left - overlap // 2
    return max(0, min(to_win, to_miss, left))


def is_settled(counts: Mapping[str, int], overlap: int) -> bool:
    """Return whether a pair is not asked about again."""
    return num_wanted(counts, overlap) == 0


def decide(counts: Mapping[str, int]) -> Decision:
    """Return what the answers come to, by the rule of releases."""
    return decide_by_majority(counts)
