"""How a campaign goes: progress, agreement, how each annotator answers, and where more votes help."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from statistics import median

import numpy as np

from builders.annotator_marks import find_first_answers, find_side_biases, find_unsafe_annotators
from builders.generation.campaign.planning import half_width, wilson
from builders.generation.campaign.stopping import decide, is_settled, num_wanted
from schemas.campaign import CampaignPair, CampaignSettings, CampaignVote, standing_votes
from schemas.preferences import Decision, Label

_SIDES = (Label.IMAGE_1, Label.IMAGE_2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share with its 95 % interval.

    Attributes:
        count: Cases that fit.
        total: All cases.
        share: `count / total`; None without a case.
        low: Lower end of the interval, 0 to 1.
        high: Upper end.
    """

    count: int
    total: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorNumbers:
    """How one annotator answers.

    Attributes:
        annotator: Public id.
        votes: All answers that stand.
        consistency: Pairs seen again with the same answer as before.
        left: Deciding answers for the left image, of those for a side.
        unsafe: Deciding answers "unsafe", of all that decide.
        mirrored_side: Mirrored pairs on which the same side was chosen, and so the other image.
        gold: Gold pairs answered as known.
        seconds: Median time of an answer.
        is_one_sided: Whether they favour a side, by the rule of a release's card.
        is_often_unsafe: Whether they say "unsafe" far more often than the others, likewise.
    """

    annotator: str
    votes: int
    consistency: Rate
    left: Rate
    unsafe: Rate
    mirrored_side: Rate
    gold: Rate
    seconds: float | None
    is_one_sided: bool
    is_often_unsafe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryNumbers:
    """How far one category is.

    Attributes:
        category: Its name; empty for pairs without one.
        pairs: All its pairs.
        settled: Pairs that are not asked about again.
        decided: Pairs with a preferred image.
        wanted: Fewest answers that can settle the others.
        half_width: Half of the 95 % interval of a rate among the decided pairs.
    """

    category: str
    pairs: int
    settled: int
    decided: int
    wanted: int
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignNumbers:
    """How a whole campaign goes.

    Attributes:
        name: Of the campaign.
        pairs: Pairs that votes decide.
        settled: Those that are not asked about again.
        spared: Answers that settled pairs did not need, up to the overlap.
        votes: Kind → answers that stand.
        undone: Votes that were taken back.
        decisions: What the pairs with answers come to → number.
        agreement: Share of the pairs whose first two answers say the same; None without such a pair. Later
            answers are asked for where the first ones differ, so with them pairs in dispute would weigh more.
        wins: Model → decided pairs that it won, of those that it took part in.
        categories: Each category; those that need most come first.
        annotators: Those who answered; most answers first.
    """

    name: str
    pairs: int
    settled: int
    spared: int
    votes: Mapping[str, int]
    undone: int
    decisions: Mapping[str, int]
    agreement: float | None
    wins: Mapping[str, Rate]
    categories: Sequence[CategoryNumbers]
    annotators: Sequence[AnnotatorNumbers]


def measure_campaign(
    settings: CampaignSettings, pairs: Iterable[CampaignPair], lines: Sequence[CampaignVote]
) -> CampaignNumbers:
    """Return the numbers of a campaign.

    Args:
        settings: Of the campaign.
        pairs: All pairs, gold ones included.
        lines: The lines of its votes in their order.
    """
    votes, asked = standing_votes(lines), [pair for pair in pairs if pair.gold is None]
    gold = {pair.id: pair.gold for pair in pairs if pair.gold is not None}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for vote in votes:
        if vote.kind == "first":
            counts[vote.pair_id][vote.label] += 1
    settled = [pair for pair in asked if is_settled(counts[pair.id], settings.overlap)]
    decisions = {pair.id: decide(counts[pair.id]) for pair in asked}
    return CampaignNumbers(
        name=settings.name,
        pairs=len(asked),
        settled=len(settled),
        spared=sum(settings.overlap - counts[pair.id].total() for pair in settled),
        votes=dict(sorted(Counter(str(vote.kind) for vote in votes).items())),
        undone=len({vote.vote_id for vote in lines}) - len(votes),
        decisions=dict(sorted(Counter(str(each) for each in decisions.values()).items())),
        agreement=_agreement(votes),
        wins=_wins(asked, decisions),
        categories=_categories(asked, decisions, counts, settings.overlap),
        annotators=_annotators(votes, gold),
    )


def _rate(count: int, total: int) -> Rate:
    low, high = wilson(count, total)
    return Rate(count=count, total=total, share=count / total if total else None, low=low, high=high)


def _agreement(votes: Iterable[CampaignVote]) -> float | None:
    firsts = [vote for vote in votes if vote.kind == "first"]
    places = {pair_id: place for place, pair_id in enumerate({vote.pair_id for vote in firsts})}
    units = np.array([places[vote.pair_id] for vote in firsts], np.int64)
    labels: dict[str, list[str]] = defaultdict(list)
    for vote in compress(firsts, find_first_answers(units, [vote.time for vote in firsts], 2)):
        labels[vote.pair_id].append(vote.label)
    same = [len(set(both)) == 1 for both in labels.values() if len(both) == 2]
    return sum(same) / len(same) if same else None


def _wins(pairs: Iterable[CampaignPair], decisions: Mapping[str, Decision]) -> dict[str, Rate]:
    won, played = Counter[str](), Counter[str]()
    for pair in pairs:
        if decisions[pair.id].is_decided and pair.model_1 != pair.model_2:
            won[pair.model_1 if decisions[pair.id] is Decision.IMAGE_1 else pair.model_2] += 1
            played.update((pair.model_1, pair.model_2))
    return {model: _rate(won[model], total) for model, total in sorted(played.items())}


def _categories(
    pairs: Iterable[CampaignPair],
    decisions: Mapping[str, Decision],
    counts: Mapping[str, Counter[str]],
    overlap: int,
) -> list[CategoryNumbers]:
    by_category: dict[str, list[CampaignPair]] = defaultdict(list)
    for pair in pairs:
        by_category[pair.category or ""].append(pair)
    numbers = []
    for category, members in by_category.items():
        decided = sum(decisions[pair.id].is_decided for pair in members)
        wanted = [num_wanted(counts[pair.id], overlap) for pair in members]
        numbers.append(
            CategoryNumbers(
                category=category,
                pairs=len(members),
                settled=wanted.count(0),
                decided=decided,
                wanted=sum(wanted),
                half_width=half_width(decided),
            )
        )
    return sorted(numbers, key=lambda each: (not each.wanted, -each.half_width, each.category))


def _annotators(votes: Iterable[CampaignVote], gold: Mapping[str, str]) -> list[AnnotatorNumbers]:
    by_annotator: dict[str, list[CampaignVote]] = defaultdict(list)
    for vote in votes:
        by_annotator[vote.annotator].append(vote)
    numbers = [_annotator(annotator, own, gold) for annotator, own in by_annotator.items()]
    sides = {each.annotator: (each.left.count, each.left.total - each.left.count) for each in numbers}
    one_sided = {bias.annotator for bias in find_side_biases(sides).found}
    unsafe = find_unsafe_annotators(
        {each.annotator: (each.unsafe.count, each.unsafe.total) for each in numbers}
    )
    numbers = [
        replace(
            each,
            is_one_sided=each.annotator in one_sided,
            is_often_unsafe=each.annotator in unsafe.found,
        )
        for each in numbers
    ]
    return sorted(numbers, key=lambda each: (-each.votes, each.annotator))


def _annotator(annotator: str, votes: Sequence[CampaignVote], gold: Mapping[str, str]) -> AnnotatorNumbers:
    firsts = {vote.pair_id: vote for vote in votes if vote.kind == "first"}
    again = [vote for vote in votes if vote.kind in ("repeat", "mirror") and vote.pair_id in firsts]
    mirrored = [
        vote
        for vote in again
        if vote.kind == "mirror" and vote.label in _SIDES and firsts[vote.pair_id].label in _SIDES
    ]
    sided = [vote for vote in firsts.values() if vote.label in _SIDES]
    known = [vote for vote in votes if vote.kind == "gold" and vote.pair_id in gold]
    return AnnotatorNumbers(
        annotator=annotator,
        votes=len(votes),
        consistency=_rate(sum(vote.label == firsts[vote.pair_id].label for vote in again), len(again)),
        left=_rate(sum(vote.label.value == vote.left for vote in sided), len(sided)),
        unsafe=_rate(sum(vote.label == Label.TOXIC for vote in firsts.values()), len(firsts)),
        mirrored_side=_rate(
            sum(vote.label != firsts[vote.pair_id].label for vote in mirrored), len(mirrored)
        ),
        gold=_rate(sum(vote.label == gold[vote.pair_id] for vote in known), len(known)),
        seconds=median(vote.seconds for vote in votes) if votes else None,
        is_one_sided=False,  # both are tested against all annotators
        is_often_unsafe=False,
    )
