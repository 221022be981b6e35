"""Votes: which of them count, what they come to, how far they agree."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from schemas.preferences import Decision, Label, Status, decide_by_majority

# A vote as (annotator or None, label or None, status): a million of them pass here.
RawVote = tuple[str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to decide between two images.

    Attributes:
        name: As settings and the `rule` column name it.
        description: What it does, for the card.
        count: Counts the votes that count, by label.
        decide: Says what the counts come to.
    """

    name: str
    description: str
    count: Callable[[Iterable[RawVote]], Counter[str]]
    decide: Callable[[Mapping[str, int]], Decision]


def agreement(counts: Mapping[str, int]) -> float | None:
    """Return the share of pairs of votes that say the same, 0 to 1, or None with fewer than two votes."""
    total = sum(counts.values())
    if total < 2:
        return None
    return sum(count * (count - 1) for count in counts.values()) / (total * (total - 1))


# Python, one pair at a time: counting a million responses takes seconds of about a minute; checking and
# hashing cells is the rest.
def _count_submitted(votes: Iterable[RawVote]) -> Counter[str]:
    """Count submitted responses, one for each annotator.

    An annotator who contradicts themself has no vote, except on toxic content: one such vote counts.
    """
    counts: Counter[str] = Counter()
    by_annotator: dict[str, str | None] = {}
    for annotator, label, status in votes:
        if status != Status.SUBMITTED or label is None:
            continue
        if annotator is None:
            counts[label] += 1
        elif (known := by_annotator.setdefault(annotator, label)) != label:
            by_annotator[annotator] = Label.TOXIC if Label.TOXIC in (known, label) else None
    counts.update(label for label in by_annotator.values() if label is not None)
    return counts


def _count_all(votes: Iterable[RawVote]) -> Counter[str]:
    return Counter(label for _, label, _ in votes if label is not None)


def _decide_as_upstream(counts: Mapping[str, int]) -> Decision:
    # A tie of other sources is taken for "both good": it, too, leaves the sides as they stand.
    both_good, both_bad = (
        counts.get(Label.BOTH_GOOD, 0) + counts.get(Label.TIE, 0),
        counts.get(Label.BOTH_BAD, 0),
    )
    first, second = counts.get(Label.IMAGE_1, 0) + both_good, counts.get(Label.IMAGE_2, 0) + both_good
    if first > max(second, both_bad):
        return Decision.IMAGE_1
    if second > max(first, both_bad):
        return Decision.IMAGE_2
    return Decision.UNDECIDED if sum(counts.values()) else Decision.NO_VOTES


_RULES = (
    Rule(
        "submitted-majority",
        "Submitted responses count, one for each annotator; contradicting ones do not. A vote for "
        "toxic content excludes the pair. An image is chosen by more than half of the counted votes. Others "
        "stay undecided.",
        _count_submitted,
        decide_by_majority,
    ),
    Rule(
        "open-image-preferences",
        "The rule of open-image-preferences, kept for comparison: each response counts, whatever its status; "
        "one for both images counts once for each; an image is chosen if it has more than the other and more "
        "than there are against both; votes for toxic content have no effect.",
        _count_all,
        _decide_as_upstream,
    ),
)
RULES: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}
