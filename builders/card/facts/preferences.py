"""Facts about the preferences of a release: what the votes come to, and how far they can be trusted."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from builders.annotator_marks import Estimate, SideBiases, find_side_biases, proportion
from builders.card.facts.agreement import LABELS, VOTES, AgreementCounts
from builders.card.facts.annotators import AnnotatorCounts, AnnotatorSummary, flatten_votes, one_each
from builders.card.facts.counting import join_groups, ranked
from builders.preferences.agreement import Strength, bradley_terry
from builders.release.reader import ReleaseReader
from schemas.preferences import Decision, Label, Status

# Columns by whose values together pairs are counted: few different rows stand for very many pairs.
_COUNTED = [
    *VOTES,
    *("decision", "rule", "model_1", "model_2", "category", "evolution", "sides_shuffled"),
    *("source", "license", "prompt_license"),
]
_PAIRS_AT_ONCE = 4_000
_SIDES_KNOWN = "sides_known"  # whether votes say which image was on the left


@dataclass(frozen=True, slots=True)
class ModelRate:
    """How often one model won against others, of the decided pairs it was in."""

    model: str
    wins: Estimate


@dataclass(frozen=True, slots=True)
class GroupRates:
    """Win rates in one group of pairs: a category or an evolution; `group` is None where none is stated."""

    group: str | None
    num_pairs: int
    rates: tuple[ModelRate, ...]


@dataclass(frozen=True, slots=True)
class PreferenceSummary:
    """Numbers about the preferences.

    Attributes:
        total: Pairs.
        rule: Rule that decided them.
        num_responses: Responses as they came.
        num_votes: Those that count.
        num_annotators: Different annotators, where they are known.
        labels: What was said → votes that count.
        decisions: What the votes came to → pairs.
        with_images: Decided pairs with both images at hand.
        first_side: How often side 1 was chosen of the decided pairs whose sides were shuffled, where votes do
            not say themselves which image was on the left.
        side_biases: The annotators who favour a side.
        annotators: How annotators answer.
        alpha: Krippendorff's alpha (nominal) of the votes that count, over pairs with two or more.
        is_alpha_of_first: Whether it has only the first two votes of some pairs.
        models: Win rates over all pairs, the best first.
        categories: Win rates by category of prompt.
        evolutions: Win rates by evolution of the prompt.
        strengths: Bradley-Terry strengths, the strongest first; none where fewer than three models meet.
        licenses: Terms of the votes → pairs; None where none are stated.
        prompt_licenses: Terms of the prompts → pairs.
        sources: Source → pairs.
    """

    total: int
    rule: str
    num_responses: int
    num_votes: int
    num_annotators: int
    labels: Mapping[str, int]
    decisions: Mapping[str, int]
    with_images: int
    first_side: Estimate
    side_biases: SideBiases
    annotators: AnnotatorSummary
    alpha: Estimate
    is_alpha_of_first: bool
    models: tuple[ModelRate, ...]
    categories: tuple[GroupRates, ...]
    evolutions: tuple[GroupRates, ...]
    strengths: tuple[Strength, ...]
    licenses: Mapping[str | None, int]
    prompt_licenses: Mapping[str | None, int]
    sources: Mapping[str, int]


def read_preference_facts(release: ReleaseReader) -> PreferenceSummary:
    """Read the facts from the tables of pairs."""
    kinds: Counter[tuple[Any, ...]] = Counter()
    sides: Counter[tuple[str, str]] = Counter()
    num_responses, counts, agreement = 0, AnnotatorCounts(), AgreementCounts()
    groups = release.row_groups("preferences", [*_COUNTED, "votes"])
    for group in join_groups(groups, _PAIRS_AT_ONCE):
        names = [*_COUNTED, _SIDES_KNOWN]
        known = group.append_column(_SIDES_KNOWN, _are_sides_known(group))
        counted = known.group_by(names).aggregate([([], "count_all")]).select([*names, "count_all"])
        for *kind, count in zip(*counted.to_pydict().values(), strict=True):
            kinds[tuple(kind)] += count
        num_responses += len(pc.list_flatten(group["votes"].combine_chunks()))
        sides.update(count_sides(group))
        counts.add(group)
        agreement.add(group)
    by_annotator = {
        name: (sides[name, Label.IMAGE_1], sides[name, Label.IMAGE_2]) for name in {name for name, _ in sides}
    }
    biases = find_side_biases(by_annotator)
    with_images = _count_with_images(release)
    return _facts(kinds, num_responses, with_images, biases, counts, agreement)


def _are_sides_known(group: pa.Table) -> pa.Array:
    """Return for each pair whether a vote says which image was on the left."""
    votes = flatten_votes(group)
    known = votes.filter(pc.is_valid(votes["left"]))["pair"].unique()
    return pc.is_in(pa.array(range(len(group)), pa.int64()), value_set=known.cast(pa.int64()))


def count_sides(group: pa.Table) -> Counter[tuple[str, str]]:
    """Count votes that decide, for a side of shuffled ones: (annotator, label of side 1 or 2) → pairs.

    Side 1 is the left one where a vote says which image was there, and the pair's first image elsewhere. An
    annotator who contradicts themself about a pair has no vote on it.
    """
    table = flatten_votes(group.filter(group["sides_shuffled"]))
    is_side = pc.is_in(table["label"], value_set=pa.array([Label.IMAGE_1.value, Label.IMAGE_2.value]))
    decides = pc.and_(pc.equal(table["status"], Status.SUBMITTED.value), table["decides"])
    table = table.filter(pc.and_(is_side, decides))
    first = pc.fill_null(table["left"], Label.IMAGE_1.value)
    side = pc.if_else(pc.equal(table["label"], first), Label.IMAGE_1.value, Label.IMAGE_2.value)
    table = table.append_column("side", side)
    counted = one_each(table, "side").group_by(["annotator", "side"]).aggregate([([], "count_all")])
    return Counter({(row["annotator"], row["side"]): row["count_all"] for row in counted.to_pylist()})


def _facts(
    kinds: Counter[tuple[Any, ...]],
    num_responses: int,
    with_images: int,
    side_biases: SideBiases,
    counts: AnnotatorCounts,
    agreement: AgreementCounts,
) -> PreferenceSummary:
    names = [*_COUNTED, _SIDES_KNOWN]
    pairs = [dict(zip(names, kind, strict=True)) | {"count": count} for kind, count in kinds.items()]
    is_tested = [pair["sides_shuffled"] and not pair[_SIDES_KNOWN] for pair in pairs]
    shuffled = _count(itertools.compress(pairs, is_tested), "decision")
    wins = _wins(pairs)
    labels = {
        label.value: sum(kind[index] * count for kind, count in kinds.items())
        for index, label in enumerate(LABELS)
    }
    return PreferenceSummary(
        total=kinds.total(),
        rule=str(pairs[0]["rule"]),
        num_responses=num_responses,
        num_votes=sum(labels.values()),
        num_annotators=len(counts.names),
        labels={label: count for label, count in labels.items() if count},
        decisions=ranked(_count(pairs, "decision")),
        with_images=with_images,
        first_side=proportion(
            shuffled[Decision.IMAGE_1], sum(shuffled[each] for each in Decision if each.is_decided)
        ),
        side_biases=side_biases,
        annotators=counts.summary(),
        alpha=agreement.alpha(),
        is_alpha_of_first=agreement.leaves_out,
        models=_rates(wins),
        categories=_group_rates(pairs, "category"),
        evolutions=_group_rates(pairs, "evolution"),
        strengths=bradley_terry(wins) if len({model for pair in wins for model in pair}) > 2 else (),
        licenses=_count(pairs, "license"),
        prompt_licenses=_count(pairs, "prompt_license"),
        sources=ranked(_count(pairs, "source")),
    )


def _count(pairs: Iterable[Mapping[str, Any]], column: str) -> Counter[Any]:
    counter: Counter[Any] = Counter()
    for pair in pairs:
        counter[pair[column]] += pair["count"]
    return Counter(dict(sorted(counter.items(), key=lambda item: (-item[1], str(item[0])))))


def _wins(pairs: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """Count how often one model's image was chosen over another model's: (winner, loser) → pairs."""
    wins: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        models = (pair["model_1"], pair["model_2"])
        if Decision(pair["decision"]).is_decided and None not in models and models[0] != models[1]:
            wins[models if pair["decision"] == Decision.IMAGE_1 else models[::-1]] += pair["count"]
    return Counter(dict(sorted(wins.items())))


def _rates(wins: Mapping[tuple[str, str], int]) -> tuple[ModelRate, ...]:
    won, met = Counter[str](), Counter[str]()
    for (winner, loser), count in wins.items():
        won[winner] += count
        met.update({winner: count, loser: count})
    rates = [ModelRate(model, proportion(won[model], met[model])) for model in met]
    return tuple(sorted(rates, key=lambda rate: (-(rate.wins.value or 0), rate.model)))


def _group_rates(pairs: Sequence[Mapping[str, Any]], column: str) -> tuple[GroupRates, ...]:
    """Compute win rates in each group; none where the pairs are not grouped."""
    sizes = _count(pairs, column)
    if set(sizes) == {None}:
        return ()
    return tuple(
        GroupRates(group, size, _rates(_wins(pair for pair in pairs if pair[column] == group)))
        for group, size in sizes.items()
    )


def _count_with_images(release: ReleaseReader) -> int:
    groups = release.row_groups("binarized", ["chosen_id", "rejected_id"])
    return sum(
        pc.sum(pc.and_(pc.is_valid(group["chosen_id"]), pc.is_valid(group["rejected_id"]))).as_py() or 0
        for group in groups
    )
