"""Facts about what prompts ask for and what models see: how often the two agree, for whom, and for whom not.

What a model sees is no truth: it errs, too, and more often for some groups. So every rate is an agreement
between a prompt and a model, not the accuracy of the generator.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builders.annotator_marks import Estimate, proportion
from builders.card.labels import (
    AGE,
    AGE_GROUPS,
    ETHNICITY,
    GENDER,
    label_of,
    labels_met,
    labels_of,
    read_labels,
)
from builders.release.reader import ReleaseReader
from builders.sample.faces.reading import read_text
from schemas.records import ALGORITHMIC_MEDIA

# Of 20 images, one that differs is 5 %, with a 95 % interval to 24 %: a rate of fewer says too little.
MIN_IMAGES = 20
PEOPLE = (AGE, GENDER, ETHNICITY)
GENERATOR = "generator"
_SIGNIFICANCE = 0.05
_ASKED_COLUMNS = ("image_id", "prompt", "original_prompt", "prompt_attributes", "generator")
_SEEN_COLUMNS = ("image_id", "attributes")


@dataclass(frozen=True, slots=True)
class Group:
    """Images of which the prompt asks for one label, or which one generator made.

    Attributes:
        label: The label or the generator.
        agreement: Share of its images of which prompt and model agree, with Wilson's 95 % interval.
        is_lower: Whether the share is below that of all other groups together: two-sided z-test of two
            shares, with Holm's correction for the number of groups, at 5 %.
    """

    label: str
    agreement: Estimate
    is_lower: bool


@dataclass(frozen=True, slots=True)
class Grouping:
    """One attribute's agreement, by the groups of another.

    Attributes:
        name: What the groups are of: `age`, `gender`, `ethnicity`, `generator` or another attribute.
        groups: Those with at least `MIN_IMAGES` images, the lowest agreement first.
        num_small: How many groups have fewer images.
        ratio: Agreement of the lowest group over that of the highest; None with fewer than two groups.
        difference: Highest minus lowest, 0 to 1, with Newcombe's 95 % interval; undefined likewise.
    """

    name: str
    groups: tuple[Group, ...]
    num_small: int
    ratio: float | None
    difference: Estimate

    @property
    def lowest(self) -> Group:
        """The group with the lowest agreement; there must be one."""
        return self.groups[0]

    @property
    def highest(self) -> Group:
        """The group with the highest agreement; there must be one."""
        return self.groups[-1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What prompts ask of one attribute, and what one model sees of it.

    Attributes:
        attribute: The attribute.
        model: The model; None where the release does not name it.
        num_asked: Images of which a prompt asks for a label.
        agreement: Of those of which the model sees a label, the share in which the two are equal.
        table: Label asked for → label seen → images.
        groupings: By asked label of this attribute, then by age, gender, ethnicity, generator and what else
            is asked for; those with at least one group that is large enough.
        num_small: How many groups are too small, of all these.
    """

    attribute: str
    model: str | None
    num_asked: int
    agreement: Estimate
    table: Mapping[str, Mapping[str, int]]
    groupings: tuple[Grouping, ...]
    num_small: int


@dataclass(frozen=True, slots=True)
class FairnessSummary:
    """What was asked for and what was seen in a release.

    Attributes:
        num_images: Images.
        num_with_attributes: Those whose prompt has attributes beside the text.
        num_read: Those others of whose text a label could be read.
        num_prompts: Images with a prompt.
        comparisons: One for each attribute and model with at least `MIN_IMAGES` images, by attribute.
        num_small: How many attributes and models have fewer.
        attributes: What prompts ask for, by name.
    """

    num_images: int
    num_with_attributes: int
    num_read: int
    num_prompts: int
    comparisons: tuple[Comparison, ...]
    num_small: int
    attributes: tuple[str, ...] = ()


# (attribute, model) → the label that is seen, and every label that the value may stand for
_Seen = dict[tuple[str, str | None], tuple[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class _Asked:
    labels: Mapping[str, str]
    generator: str


def read_fairness_facts(release: ReleaseReader, groups: Sequence[str] = ()) -> FairnessSummary | None:
    """Compare what prompts ask for with what models see, image by image.

    Args:
        release: Has `prompts` and `captions`.
        groups: Attributes whose asked labels make groups, beside age, gender, ethnicity and generators.

    Returns:
        The facts; None if nothing can be compared.
    """
    seen = _read_seen(release)
    if not seen:
        return None
    asked, counts = _read_asked(release)
    return _compare(seen, asked, counts, groups)


def read_accuracy_facts(
    release: ReleaseReader, truth: Mapping[str, Mapping[str, str]] | None, groups: Sequence[str] = ()
) -> FairnessSummary | None:
    """Compare what is true of images with what models see: how accurate the models are.

    Args:
        release: Has `prompts` and `captions`.
        truth: Image id → attribute → label. If None, what the prompts of drawn images say, which is drawn.
        groups: As in `read_fairness_facts`.

    Returns:
        The facts, in which "asked for" is what is true; None if nothing can be compared.
    """
    known, num_images = dict[str, _Asked](), 0
    for group in release.row_groups("prompts", (*_ASKED_COLUMNS, "digital_source_type")):
        for row in group.to_pylist():
            num_images += 1
            if truth is not None:
                labels = truth.get(row["image_id"], {})
            elif row["digital_source_type"] == ALGORITHMIC_MEDIA:
                asked = [(each["attribute"], each["value"]) for each in row["prompt_attributes"]]
                labels = labels_of(asked) if asked else read_text(row["prompt"] or "")
            else:
                labels = {}
            if labels:
                known[row["image_id"]] = _Asked(labels, row["generator"])
    return _compare(_read_seen(release), known, (num_images, len(known), 0, len(known)), groups)


def _compare(
    everything_seen: Mapping[str, _Seen],
    asked: Mapping[str, _Asked],
    counts: tuple[int, int, int, int],
    groups: Sequence[str],
) -> FairnessSummary | None:
    tally = _Tally((*PEOPLE, *groups))
    for image_id, seen in everything_seen.items():
        if image_id in asked:
            tally.add(asked[image_id], seen)
    num_asked = Counter(itertools.chain.from_iterable(one.labels for one in asked.values()))
    found = [tally.compare(place, num_asked[place[0]]) for place in tally.places()]
    kept = [one for one in found if one.agreement.total >= MIN_IMAGES]
    summary = FairnessSummary(*counts, tuple(kept), len(found) - len(kept), tuple(sorted(num_asked)))
    return summary if found else None


def _read_asked(release: ReleaseReader) -> tuple[Mapping[str, _Asked], tuple[int, int, int, int]]:
    """Return image id → what its prompt asks for, and the first four counts of the summary."""
    asked = dict[str, _Asked]()
    num_images = num_with = num_read = num_prompts = 0
    for group in release.row_groups("prompts", _ASKED_COLUMNS):
        for row in group.to_pylist():
            num_images += 1
            prompt = row["original_prompt"] or row["prompt"]
            num_prompts += prompt is not None
            if row["prompt_attributes"]:
                labels = labels_of((each["attribute"], each["value"]) for each in row["prompt_attributes"])
                num_with += 1
            else:
                labels = read_labels(prompt) if prompt is not None else {}
                num_read += bool(labels)
            if labels:
                asked[row["image_id"]] = _Asked(labels, row["generator"])
    return asked, (num_images, num_with, num_read, num_prompts)


def _read_seen(release: ReleaseReader) -> Mapping[str, _Seen]:
    """Return image id → what models see of it, if they see anything.

    Of several values of one model the first counts. Rows of one image can be in several files: those of a
    captioner that was added later are in files of their own.
    """
    images: dict[str, _Seen] = {}
    for row in _rows(release, "captions", _SEEN_COLUMNS):
        own = images.setdefault(str(row["image_id"]), {})
        for each in row["attributes"]:
            if (found := label_of(each["attribute"], each["value"])) is not None:
                met = labels_met(each["attribute"], each["value"])
                own.setdefault((found[0], each["source_model"]), (found[1], met))
    return {image_id: seen for image_id, seen in images.items() if seen}


def _rows(
    release: ReleaseReader, config: str, columns: Sequence[str]
) -> Iterator[Mapping[str, list[Mapping[str, str]]]]:
    for group in release.row_groups(config, columns):
        yield from group.to_pylist()


class _Tally:
    """Counts of agreement, by attribute and model, and by group."""

    def __init__(self, groups: Iterable[str]) -> None:
        self._groups = tuple(dict.fromkeys(groups))
        self._tables: dict[tuple[str, str | None], Counter[tuple[str, str]]] = {}
        # (attribute, model), grouping, label of the group → images that agree, and all of them
        self._agreed: Counter[tuple[tuple[str, str | None], str, str]] = Counter()
        self._total: Counter[tuple[tuple[str, str | None], str, str]] = Counter()

    def add(self, asked: _Asked, seen: _Seen) -> None:
        """Count one image; a range of ages agrees with each age group that it meets."""
        for place, (likely, met) in seen.items():
            wanted = asked.labels.get(place[0])
            if wanted is None:
                continue
            label = wanted if wanted in met else likely
            self._tables.setdefault(place, Counter())[wanted, label] += 1
            own = {name: asked.labels[name] for name in self._groups if name in asked.labels}
            for name, group in {place[0]: wanted, **own, GENERATOR: asked.generator}.items():
                self._total[place, name, group] += 1
                self._agreed[place, name, group] += wanted == label

    def places(self) -> list[tuple[str, str | None]]:
        """List what was compared: the attributes of people first, then by name, and by model."""
        order = {name: number for number, name in enumerate(PEOPLE)}
        return sorted(
            self._tables, key=lambda place: (order.get(place[0], len(order)), place[0], place[1] or "")
        )

    def compare(self, place: tuple[str, str | None], num_asked: int) -> Comparison:
        """Sum up one attribute as one model sees it."""
        counts = self._tables[place]
        table: dict[str, dict[str, int]] = {}
        for (wanted, label), number in sorted(
            counts.items(), key=lambda item: (_rank(item[0][0]), -item[1], item[0])
        ):
            table.setdefault(wanted, {})[label] = number
        agreed = sum(number for (wanted, label), number in counts.items() if wanted == label)
        names = dict.fromkeys([place[0], *self._groups, GENERATOR])
        groupings = [self._group(place, name) for name in names]
        return Comparison(
            *place,
            num_asked=num_asked,
            agreement=proportion(agreed, counts.total()),
            table=table,
            groupings=tuple(one for one in groupings if one.groups),
            num_small=sum(one.num_small for one in groupings),
        )

    def _group(self, place: tuple[str, str | None], name: str) -> Grouping:
        counted = {
            label: (self._agreed[place, name, label], total)
            for (own, grouping, label), total in self._total.items()
            if own == place and grouping == name
        }
        large = {label: count for label, count in counted.items() if count[1] >= MIN_IMAGES}
        lower = find_lower(large)
        groups = [Group(label, proportion(*count), label in lower) for label, count in large.items()]
        groups.sort(key=lambda group: (group.agreement.value or 0.0, _rank(group.label), group.label))
        ratio, difference = None, Estimate(None, None, None, 0)
        if len(groups) > 1:
            low, high = large[groups[0].label], large[groups[-1].label]
            best = high[0] / high[1]
            ratio = low[0] / low[1] / best if best else None
            difference = subtract(high, low)
        return Grouping(name, tuple(groups), len(counted) - len(large), ratio, difference)


def find_lower(groups: Mapping[str, tuple[int, int]]) -> frozenset[str]:
    """Return the groups whose share is below that of all others together.

    Args:
        groups: Label → successes and total.

    Source:
        Pooled z-test of two shares, two-sided; Holm (1979), "A simple sequentially rejective multiple test
        procedure", Scandinavian Journal of Statistics 6:65-70.
    """
    successes, total = (sum(each) for each in zip(*groups.values(), strict=True)) if groups else (0, 0)
    chances = []
    for label, (own, number) in groups.items():
        others = total - number
        pooled = successes / total
        spread = math.sqrt(pooled * (1 - pooled) * (1 / number + 1 / others)) if others else 0.0
        if spread:
            z = (own / number - (successes - own) / others) / spread
            chances.append((math.erfc(abs(z) / math.sqrt(2)), z, label))
    lower = set()
    for rank, (chance, z, label) in enumerate(sorted(chances)):
        if chance > _SIGNIFICANCE / (len(chances) - rank):
            break
        if z < 0:
            lower.add(label)
    return frozenset(lower)


def subtract(high: tuple[int, int], low: tuple[int, int]) -> Estimate:
    """Return the difference of two shares, given as successes and total, with its 95 % interval.

    Source:
        Newcombe (1998), "Interval estimation for the difference between independent proportions", Statistics
        in Medicine 17:873-890, method 10.
    """
    a, b = proportion(*high), proportion(*low)
    if (
        a.value is None
        or a.low is None
        or a.high is None
        or b.value is None
        or b.low is None
        or b.high is None
    ):
        return Estimate(None, None, None, a.total + b.total)
    value = a.value - b.value
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, max(-1.0, value - below), min(1.0, value + above), a.total + b.total)


def _rank(label: str) -> int:
    """Order ages by years; other labels keep the order of the alphabet."""
    return list(AGE_GROUPS).index(label) if label in AGE_GROUPS else len(AGE_GROUPS)
