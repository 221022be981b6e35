"""What the card says of annotators: rates that simulated people were given lie in its intervals."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.annotator_marks import MIN_VOTES, Estimate, find_far_annotators
from builders.card.facts.annotators import AnnotatorCounts, AnnotatorSummary
from builders.card.facts.preferences import count_sides
from schemas.columns import arrow_schema, columns_of
from schemas.preferences import PreferencePair

Row = dict[str, Any]
SIDES = ("image_1", "image_2")
COLUMNS = [spec for spec in columns_of(PreferencePair) if spec.name in ("sides_shuffled", "votes")]


@dataclass(frozen=True)
class Person:
    """How a simulated annotator answers.

    Attributes:
        left: How often the left side is chosen without a look at the images.
        right_answer: How often the better image is chosen otherwise.
    """

    left: float = 0.0
    right_answer: float = 0.8

    def answer(self, rng: random.Random, better: str, left: str) -> str:
        if rng.random() < self.left:
            return left
        other = SIDES[better == "image_1"]
        return better if rng.random() < self.right_answer else other

    def chance_of(self, better: bool, left: bool) -> float:
        """Return the chance of one image by whether it is the better one, and on the left."""
        looks = self.right_answer if better else 1 - self.right_answer
        return self.left * left + (1 - self.left) * looks


def vote(annotator: str | None, label: str | None, left: str | None, **more: Any) -> Row:
    values = {"status": "submitted", "time": None, "seconds": None, "kind": "first"} | more
    return {"annotator": annotator, "label": label, "left": left, **values}


def simulate(people: dict[str, Person], num_pairs: int, seed: int, again: float = 0.25) -> list[list[Row]]:
    """Let everybody answer every pair, and some again, half of these with swapped sides."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(num_pairs):
        better, votes = rng.choice(SIDES), []
        for name, person in people.items():
            left = rng.choice(SIDES)
            votes.append(vote(name, person.answer(rng, better, left), left, seconds=rng.expovariate(0.5)))
            if rng.random() < again:
                kind = rng.choice(["repeat", "mirror"])
                shown = left if kind == "repeat" else SIDES[left == "image_1"]
                votes.append(vote(name, person.answer(rng, better, shown), shown, kind=kind))
        pairs.append(votes)
    return pairs


def table(pairs: Iterable[Sequence[Row]]) -> pa.Table:
    rows = [{"sides_shuffled": True, "votes": list(votes)} for votes in pairs]
    return pa.Table.from_pylist(rows, schema=arrow_schema(COLUMNS))


def summarise(pairs: Sequence[Sequence[Row]], at_once: int = 64) -> AnnotatorSummary:
    counts = AnnotatorCounts()
    for start in range(0, len(pairs), at_once):
        counts.add(table(pairs[start : start + at_once]))
    return counts.summary()


def truths(person: Person) -> dict[str, float]:
    """Return the rates that the card estimates; the better image is on the left half of the time."""
    repeat = mirror = left = 0.0
    for is_left in (True, False):  # whether the better image is on the left
        better, other = person.chance_of(True, is_left), person.chance_of(False, not is_left)
        turned, turned_other = person.chance_of(True, not is_left), person.chance_of(False, is_left)
        assert better + other == pytest.approx(1)
        repeat += (better**2 + other**2) / 2
        mirror += (better * turned + other * turned_other) / 2
        left += (better if is_left else other) / 2
    return {"repeats": repeat, "mirrors": mirror, "same_side": 1 - mirror, "left": left}


def holds(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= truth <= estimate.high


@pytest.mark.parametrize("person", [Person(), Person(left=0.3), Person(left=0.1, right_answer=0.95)])
def test_the_true_rates_lie_in_the_intervals(person: Person) -> None:
    num_runs, found = 40, dict.fromkeys(truths(person), 0)
    for seed in range(num_runs):
        summary = summarise(simulate({"ann": person, "ben": person}, 150, seed))
        for name, truth in truths(person).items():
            found[name] += holds(getattr(summary, name), truth)
    # At 95 %, fewer than 33 of 40 happen about once in 1,000 times; the seeds are fixed.
    assert min(found.values()) >= 33, found


def test_a_bias_shows_as_swapped_answers_and_no_bias_does_not() -> None:
    fair = summarise(simulate({"ann": Person(right_answer=0.9)}, 1500, 1))
    biased = summarise(simulate({"ann": Person(left=0.4, right_answer=0.9)}, 1500, 1))
    assert holds(fair.left, 0.5)
    assert not holds(biased.left, 0.5)
    assert fair.repeats.value == pytest.approx(fair.mirrors.value or 0, abs=0.05)
    # Somebody with a bias agrees with themself until the sides are swapped.
    assert (biased.repeats.value or 0) - (biased.mirrors.value or 0) > 0.1


def test_times_are_quartiles_of_submitted_votes() -> None:
    seconds = [1.0, 2.0, 3.0, 4.0, 5.0]
    votes = [vote("ann", "image_1", None, seconds=each) for each in seconds]
    votes += [vote("ann", None, None, seconds=99.0, status="discarded"), vote("ben", "image_1", None)]
    summary = summarise([votes])
    assert (summary.num_timed, summary.seconds) == (5, (2.0, 3.0, 4.0))
    assert summarise([[vote("ann", "image_1", None)]]).seconds is None


def test_only_the_first_answer_of_the_same_person_is_compared() -> None:
    votes = [
        vote("ann", "image_1", "image_1"),
        vote("ben", "image_2", "image_1"),
        vote("ann", "image_1", "image_1", kind="repeat"),
        vote("ann", "image_2", "image_2", kind="mirror"),  # the left side again
        vote("cat", "image_2", "image_1", kind="repeat"),  # who has no first answer
        vote("ben", "both_bad", "image_2", kind="mirror"),
        vote("ben", "image_2", "image_1", kind="repeat", status="discarded"),
        vote("dan", "image_1", "image_1", kind="gold"),
    ]
    summary = summarise([votes, [vote("ann", "image_2", "image_1")]])
    said = (summary.repeats, summary.mirrors, summary.same_side)
    assert [(each.value, each.total) for each in said] == [(1, 1), (0, 2), (1, 1)]
    assert (summary.left.value, summary.left.total) == (1 / 3, 3)


def test_votes_of_older_releases_have_no_sides_and_count_as_before() -> None:
    kind = pa.list_(pa.struct([(name, pa.string()) for name in ("annotator", "label", "status")]))
    votes = [[{"annotator": "ann", "label": "image_2", "status": "submitted"}]] * 3
    old = pa.table({"sides_shuffled": [True, True, False], "votes": pa.array(votes, kind)})
    assert count_sides(old) == {("ann", "image_2"): 2}
    counts = AnnotatorCounts()
    counts.add(old)
    summary = counts.summary()
    assert (summary.left.total, summary.repeats.total, summary.seconds) == (0, 0, None)


def test_sides_are_those_of_the_screen_where_votes_know_them() -> None:
    pairs = [
        [vote("ann", "image_2", "image_2"), vote("ben", "image_2", "image_1")],
        [vote("ann", "image_1", "image_1"), vote("ann", "image_2", "image_1", kind="repeat")],
        [vote("ben", "image_1", None)],
    ]
    assert count_sides(table(pairs)) == {("ann", "image_1"): 2, ("ben", "image_2"): 1, ("ben", "image_1"): 1}


# Annotators who are far from all others


def test_an_annotator_who_answers_by_chance_is_found_and_others_are_not() -> None:
    people = {f"person {number}": Person(right_answer=0.9) for number in range(6)}
    people["by chance"] = Person(right_answer=0.5)
    far = summarise(simulate(people, 120, 3, again=0)).far
    assert [one.annotator for one in far.found] == ["by chance"]
    assert far.num_tested == 7
    assert far.found[0].agreement.total <= 120


def test_without_any_difference_few_releases_have_an_entry() -> None:
    people = {f"person {number}": Person(right_answer=0.75) for number in range(8)}
    entries = [bool(summarise(simulate(people, 40, seed, again=0)).far.found) for seed in range(60)]
    assert sum(entries) <= 3  # 5 % of 60


# Annotators who say "unsafe" far more often than all others


def test_an_annotator_who_always_says_unsafe_is_found_and_careful_ones_are_not() -> None:
    people = {f"person {number}": Person() for number in range(4)}
    pairs = simulate(people, 60, 5)
    for number, votes in enumerate(pairs):
        # All see some pairs that are; one says so of each, in a second answer to some of them, too.
        if number % 20 == 0:
            votes[:] = [each | {"label": "toxic_content"} for each in votes]
        votes.append(vote("always", "toxic_content", "image_1"))
        votes.extend([vote("always", "toxic_content", "image_1", kind="repeat")] * (number % 3))
        votes.append(vote(None, "toxic_content", "image_1"))
        votes.append(vote("discarded", "toxic_content", "image_1", status="discarded"))
    unsafe = summarise(pairs).unsafe
    assert unsafe.found == {"always"}
    assert unsafe.num_tested == 5
    shares = {each.annotator: (each.unsafe.value, each.unsafe.total) for each in unsafe.shares}
    assert shares == {"always": (1, 60)} | dict.fromkeys(people, (0.05, 60))
    assert not summarise(simulate(people, 60, 5)).unsafe.found


def test_few_pairs_and_small_differences_are_no_entry() -> None:
    few = {"few": (0, MIN_VOTES - 1), "others": (500, 500)}
    assert find_far_annotators(few).found == ()
    near = {"near": (84_000, 100_000), "others": (90_000, 100_000)}
    assert find_far_annotators(near).found == ()
    far = find_far_annotators({"far": (30, 60), "others": (540, 600)})
    assert [one.annotator for one in far.found] == ["far"]
    alone = find_far_annotators({"alone": (30, 60)})
    assert (alone.found, alone.num_tested) == ((), 0)


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 60), st.integers(1, 60))
def test_the_test_is_fishers(same: int, total: int, other_same: int, other_total: int) -> None:
    from scipy.stats import fisher_exact

    from builders.annotator_marks import _fisher_below

    same, other_same = min(same, total), min(other_same, other_total)
    table_of = [[same, total - same], [other_same, other_total - other_same]]
    wanted = fisher_exact(np.array(table_of), alternative="less").pvalue
    assert _fisher_below(same, total, other_same, other_total) == pytest.approx(wanted, rel=1e-9)


@given(st.data())
def test_matches_are_those_of_a_slow_count(data: st.DataObject) -> None:
    names = st.sampled_from(["ann", "ben", "cat", None])
    labels = st.sampled_from(["image_1", "image_2", "tie"])
    pairs = data.draw(st.lists(st.lists(st.tuples(names, labels), max_size=5), max_size=6))
    counts = AnnotatorCounts()
    counts.add(table([[vote(name, label, None) for name, label in pair] for pair in pairs]))
    wanted: dict[str, tuple[int, int]] = {}
    for pair in pairs:
        said = {name: {label for other, label in pair if other == name} for name, _ in pair if name}
        single = {name: next(iter(own)) for name, own in said.items() if len(own) == 1}
        for name, label in single.items():
            others = [each for other, each in single.items() if other != name]
            others += [each for other, each in pair if other is None]
            best = max(map(others.count, others), default=0)
            most = {each for each in others if others.count(each) == best}
            same, total = wanted.get(name, (0, 0))
            wanted[name] = same + (most == {label}), total + (len(most) == 1)
    found = {name: tuple(numbers.tolist()) for name, numbers in counts._matches.items()}
    assert found == wanted
