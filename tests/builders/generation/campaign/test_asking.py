"""Who is asked what: no pair too often, no decision changed, nothing lost by a restart."""

import copy
import random
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.generation.campaign.asking import LEASE_SECONDS, Asking, Choice, Outcome, Task
from builders.generation.campaign.measuring import measure_campaign
from builders.generation.campaign.planning import plan_widths
from builders.generation.campaign.stopping import decide, is_settled, num_wanted
from schemas.campaign import CampaignVote
from schemas.preferences import Decision, Label
from tests.builders.generation.campaign.worlds import (
    SECRET,
    annotators,
    answer,
    by_pair,
    campaign_pairs,
    settings,
    work_through,
)

HARMLESS: tuple[str, ...] = (Label.IMAGE_1, Label.IMAGE_2, Label.BOTH_GOOD, Label.BOTH_BAD)


@pytest.mark.parametrize("overlap", [1, 2, 3, 4])
def test_a_settled_pair_has_the_decision_that_all_answers_would_give(overlap: int) -> None:
    for answers in product(HARMLESS, repeat=overlap):
        asked = 0
        while not is_settled(Counter(answers[:asked]), overlap):
            asked += 1
        # Whatever else had been said, "unsafe" left out: the decision would be this one.
        for others in product(HARMLESS, repeat=overlap - asked):
            for more in range(overlap - asked + 1):
                counts = Counter([*answers[:asked], *others[:more]])
                assert decide(counts) is decide(Counter(answers[:asked]))
        for before in range(asked):
            # And it was not known earlier: some further answers could have changed it.
            outcomes = {
                decide(Counter([*answers[:before], *others]))
                for others in product(HARMLESS, repeat=overlap - before)
            }
            assert len(outcomes) > 1
            wanted = num_wanted(Counter(answers[:before]), overlap)
            assert any(
                is_settled(Counter([*answers[:before], *others]), overlap)
                for others in product(HARMLESS, repeat=wanted)
            )
            assert not any(
                is_settled(Counter([*answers[:before], *others]), overlap)
                for others in product(HARMLESS, repeat=wanted - 1)
            )


def test_unsafe_settles_a_pair_when_a_second_person_has_answered() -> None:
    counts: Counter[str] = Counter({Label.TOXIC: 1})
    assert decide(counts) is Decision.TOXIC
    assert [num_wanted(counts, overlap) for overlap in (1, 2, 9)] == [0, 1, 1]
    for second in (*HARMLESS, Label.TOXIC):
        assert is_settled(counts + Counter({second: 1}), 9)
        assert decide(counts + Counter({second: 1})) is Decision.TOXIC


@pytest.mark.parametrize("seed", range(5))
def test_one_person_who_always_says_unsafe_is_marked(seed: int) -> None:
    pairs, people, chance = campaign_pairs(100, seed), annotators(5), random.Random(seed)
    asking, votes, busy = Asking(settings(3, seed), pairs, SECRET), list[CampaignVote](), list(people)
    while busy:
        person = chance.choice(busy)
        task = asking.next_task(person, 0.0)
        if task is None:
            busy.remove(person)
            continue
        choice = Choice.UNSAFE if person == people[0] else chance.choice([*Choice][:4])
        vote = answer(asking, person, task, choice)
        votes += [vote] if vote is not None else []
    assert all(counts.total() >= 2 for counts in by_pair(votes).values())
    numbers = measure_campaign(settings(3, seed), pairs, votes)
    assert numbers.settled == 100
    assert [each.annotator for each in numbers.annotators if each.is_often_unsafe] == [people[0]]
    assert {each.unsafe.share for each in numbers.annotators} == {0, 1}


@pytest.mark.parametrize("error", [0.1, 0.25])
def test_agreement_is_that_of_people_however_often_pairs_in_dispute_are_asked_about(error: float) -> None:
    pairs, chance = campaign_pairs(2_500), random.Random(4)

    def say(task: Task) -> Choice:
        is_first = chance.random() >= error
        return Choice.LEFT if is_first == (task.left == "image_1") else Choice.RIGHT

    votes = work_through(Asking(settings(3), pairs, SECRET), annotators(3), say)
    numbers = measure_campaign(settings(3), pairs, votes)
    assert numbers.agreement == pytest.approx(1 - 2 * error * (1 - error), abs=0.03)


def test_a_few_answers_do_not_show_that_a_person_favours_a_side() -> None:
    pairs, (person,) = campaign_pairs(40), annotators(1)
    asking = Asking(settings(3), pairs, SECRET)
    votes = work_through(asking, [person], lambda _: Choice.LEFT, most=4)
    (few,) = measure_campaign(settings(3), pairs, votes).annotators
    assert (few.left.count, few.left.total) == (4, 4)
    assert not few.is_one_sided
    votes += work_through(asking, [person], lambda _: Choice.LEFT)
    (many,) = measure_campaign(settings(3), pairs, votes).annotators
    assert many.is_one_sided


@pytest.mark.parametrize("overlap", range(1, 7))
def test_plan_and_status_say_the_same_of_the_least_votes(overlap: int) -> None:
    pairs = campaign_pairs(8)
    status = measure_campaign(settings(overlap), pairs, [])
    plan = plan_widths({"": 8}, overlap)[0]
    assert sum(each.wanted for each in status.categories) * plan.pairs == 8 * plan.least_votes


@given(
    num_pairs=st.integers(1, 70),
    overlap=st.integers(1, 5),
    num_people=st.integers(1, 8),
    seed=st.integers(0, 999),
)
def test_a_campaign_keeps_its_promises(num_pairs: int, overlap: int, num_people: int, seed: int) -> None:
    chance = random.Random(seed)
    pairs, people = campaign_pairs(num_pairs, seed, gold=2), annotators(num_people)
    asking = Asking(settings(overlap, seed), pairs, SECRET)
    votes = work_through(asking, people, lambda _: chance.choice([*Choice][:4]), seed)
    counts = by_pair(votes)
    assert all(of_pair.total() <= overlap for of_pair in counts.values())
    if num_people >= overlap:
        assert all(is_settled(counts.get(pair.id, Counter()), overlap) for pair in pairs[:num_pairs])
    assert len({(vote.annotator, vote.pair_id, vote.kind) for vote in votes}) == len(votes)
    for pair in pairs:
        firsts = [vote for vote in votes if vote.pair_id == pair.id and vote.kind == "first"]
        lefts = Counter(vote.left for vote in firsts)
        assert abs(lefts["image_1"] - lefts["image_2"]) <= 1
        assert not (pair.gold and firsts)
    for person in people:
        own = [vote for vote in votes if vote.annotator == person]
        kinds = Counter(vote.kind for vote in own)
        for kind in ("repeat", "mirror"):
            # 5 % of the others; not among the first six, and no pair more than once.
            assert kinds[kind] <= kinds["first"] * 0.05 + 1
            assert kinds[kind] >= (kinds["first"] - 8) * 0.05 - 1
        seen = {vote.pair_id: vote for vote in own if vote.kind == "first"}
        for vote in own:
            if vote.kind in ("repeat", "mirror"):
                assert (vote.left == seen[vote.pair_id].left) == (vote.kind == "repeat")


def test_sides_are_balanced_over_the_campaign() -> None:
    asking = Asking(settings(2, 5, repeat_share=0, mirror_share=0), campaign_pairs(100, 5), SECRET)
    votes = work_through(asking, annotators(2), lambda task: Choice.BOTH_GOOD, 5)
    firsts = list({vote.pair_id: vote for vote in reversed(votes)}.values())
    assert Counter(vote.left for vote in firsts) == {"image_1": 50, "image_2": 50}
    on_left = Counter(vote.model_1 if vote.left == "image_1" else vote.model_2 for vote in firsts)
    assert on_left == {"A": 50, "B": 50}


def test_the_side_of_a_third_showing_does_not_follow_from_the_first() -> None:
    asking = Asking(settings(99, 5, repeat_share=0, mirror_share=0), campaign_pairs(100, 5), SECRET)
    votes = work_through(asking, annotators(3), lambda task: Choice.BOTH_GOOD, 5)
    lefts: dict[str, list[str]] = {}
    for vote in votes:
        lefts.setdefault(vote.pair_id, []).append(vote.left)
    assert Counter(len(each) for each in lefts.values()) == {3: 100}
    assert Counter(each[2] for each in lefts.values()) == {"image_1": 50, "image_2": 50}
    assert 30 <= sum(each[2] == each[0] for each in lefts.values()) <= 70


def test_people_have_orders_of_their_own_that_a_seed_repeats() -> None:
    def order(person: str, seed: int) -> list[str]:
        asking = Asking(settings(99, seed, repeat_share=0, mirror_share=0), campaign_pairs(40), SECRET)
        return [vote.pair_id for vote in work_through(asking, [person], lambda _: Choice.LEFT)]

    first, second = annotators(2)
    assert order(first, 1) == order(first, 1)
    assert len({tuple(order(*each)) for each in ((first, 1), (first, 2), (second, 1))}) == 3


def test_an_open_pair_is_for_as_few_people_as_it_needs() -> None:
    asking = Asking(settings(3), campaign_pairs(1), SECRET)
    first, second, third = annotators(3)
    tasks = [asking.next_task(person, 0.0) for person in (first, second, third)]
    assert tasks[0] is not None
    assert tasks[1] is not None
    # Two equal answers settle it, so the third would be asked only if there is nothing else: there is not.
    assert tasks[2] is not None
    assert answer(asking, first, tasks[0], Choice.BOTH_GOOD)
    assert answer(asking, second, tasks[1], Choice.BOTH_GOOD)
    assert asking.next_task(third, 1.0) is None  # it is settled, and goes from the screen


def test_a_pair_that_is_finished_on_the_screen_is_skipped() -> None:
    asking = Asking(settings(1), campaign_pairs(1), SECRET)
    first, second = annotators(2)
    slow = asking.next_task(first, 0.0)
    quick = asking.next_task(second, LEASE_SECONDS + 1.0)  # the first one seems to be gone
    assert slow is not None
    assert quick is not None
    assert answer(asking, second, quick, Choice.LEFT)
    assert asking.answer(first, slow.pair.id, slow.vote_id, Choice.LEFT, 1.0) == (Outcome.FINISHED, None)
    assert asking.progress(first) == (0, 0)


def test_a_click_that_comes_twice_and_another_tab_change_nothing() -> None:
    asking = Asking(settings(), campaign_pairs(5), SECRET)
    (person,) = annotators(1)
    task = asking.next_task(person, 0.0)
    assert task is not None
    assert asking.next_task(person, 1.0) == task  # the other tab
    assert answer(asking, person, task, Choice.LEFT)
    for choice in (Choice.LEFT, Choice.RIGHT):
        assert asking.answer(person, task.pair.id, task.vote_id, choice, 9.0) == (Outcome.KNOWN, None)
    assert asking.progress(person) == (1, 4)


def test_only_what_was_asked_for_can_be_answered() -> None:
    pairs, (first, second) = campaign_pairs(5), annotators(2)
    asking = Asking(settings(), pairs, SECRET)
    task = asking.next_task(first, 0.0)
    assert task is not None
    forged = [
        (second, task.pair.id, task.vote_id),  # a vote of another person
        (first, pairs[0].id if pairs[0] != task.pair else pairs[1].id, task.vote_id),  # on another pair
        (first, task.pair.id, "0" * 32),
        (first, "../secret", task.vote_id),
    ]
    for person, pair, vote in forged:
        assert asking.answer(person, pair, vote, Choice.LEFT, 1.0) is None


def test_undo_asks_again_and_the_old_answer_cannot_come_back() -> None:
    asking = Asking(settings(), campaign_pairs(5), SECRET)
    (person,) = annotators(1)
    lines, tasks = list[CampaignVote](), []
    for _ in range(2):
        task = asking.next_task(person, 0.0)
        assert task is not None
        tasks.append(task)
        vote = answer(asking, person, task, Choice.LEFT)
        assert vote is not None
        lines.append(vote)
    assert asking.undo(person, tasks[0].vote_id) == (Outcome.NOT_LAST, None)
    for task in reversed(tasks):
        found = asking.undo(person, task.vote_id)
        assert found is not None
        assert found[1] is not None
        asking.apply(found[1])
        lines.append(found[1])
        assert asking.undo(person, task.vote_id) == (Outcome.UNDONE, None)
        assert asking.answer(person, task.pair.id, task.vote_id, Choice.LEFT, 1.0) == (Outcome.UNDONE, None)
    assert asking.progress(person) == (0, 5)
    restarted = Asking(settings(), campaign_pairs(5), SECRET, lines)
    for state in (asking, restarted):  # the one that was taken back last comes first
        again = state.next_task(person, 0.0)
        assert again is not None
        assert again.pair == tasks[0].pair
        assert again.vote_id != tasks[0].vote_id
        assert answer(state, person, again, Choice.RIGHT)
        after = state.next_task(person, 0.0)
        assert after is not None
        assert after.pair == tasks[1].pair


def test_who_takes_one_of_three_equal_answers_back_is_asked_again() -> None:
    (pair,), people, lines = campaign_pairs(1), annotators(3), list[CampaignVote]()
    asking = Asking(settings(3), [pair], SECRET)
    # All three have the pair on the screen, the third one because there is nothing else.
    for person, task in [(person, asking.next_task(person, 0.0)) for person in people]:
        assert task is not None
        vote = answer(asking, person, task, Choice.BOTH_GOOD)
        assert vote is not None
        lines.append(vote)
    for number, person in enumerate(people):  # whoever it is
        state = Asking(settings(3), [pair], SECRET, lines)
        assert state.progress(person) == (1, 0)
        found = state.undo(person, lines[number].vote_id)
        assert found is not None
        assert found[1] is not None
        state.apply(found[1])
        restarted = Asking(settings(3), [pair], SECRET, [*lines, found[1]])
        for each in (state, restarted):
            assert each.progress(person) == (0, 1)
            again = each.next_task(person, 0.0)
            assert again is not None
            assert again == each.next_task(person, 1.0)  # in the other tab
            assert again.vote_id != lines[number].vote_id
            assert answer(each, person, again, Choice.LEFT) is not None
            assert each.progress(person) == (1, 0)
            assert each.next_task(person, 0.0) is None


@given(seed=st.integers(0, 999), overlap=st.integers(1, 4), num_pairs=st.integers(1, 12))
def test_who_takes_an_answer_back_is_asked_that_pair_next(seed: int, overlap: int, num_pairs: int) -> None:
    people, chance = annotators(4), random.Random(seed)
    asking = Asking(settings(overlap, seed), campaign_pairs(num_pairs, seed, gold=1), SECRET)
    firsts = dict[str, set[str]]()
    for _ in range(60):
        person = chance.choice(people)
        last = asking.last_vote(person)
        if last is not None and chance.random() < 0.3:
            found = asking.undo(person, last)
            assert found is not None
            vote = found[1]
            assert vote is not None
            asking.apply(vote)
            firsts.get(vote.pair_id, set()).discard(vote.vote_id)
            again = asking.next_task(person, 0.0)
            assert again is not None
            assert (again.pair.id, again.kind, again.left) == (vote.pair_id, vote.kind, vote.left)
            assert asking.progress(person)[1] > 0 or again.kind != "first"
        task = asking.next_task(person, 0.0)
        if task is None:
            continue
        found = asking.answer(person, task.pair.id, task.vote_id, chance.choice([*Choice]), 1.0)
        assert found is not None
        if found[1] is not None:
            asking.apply(found[1])
            if found[1].kind == "first":
                firsts.setdefault(task.pair.id, set()).add(task.vote_id)
        assert len(firsts.get(task.pair.id, ())) <= overlap


@given(seed=st.integers(0, 999), stop=st.integers(0, 120))
def test_a_restart_goes_on_where_the_server_was(seed: int, stop: int) -> None:
    pairs, people, chance = campaign_pairs(30, seed), annotators(4), random.Random(seed)
    asking = Asking(settings(3, seed), pairs, SECRET)
    votes = work_through(asking, people, lambda _: chance.choice([*Choice]), seed, most=stop)
    open_ones = {person: asking.next_task(person, 0.0) for person in people}
    restarted = Asking(settings(3, seed), pairs, SECRET, votes)
    for person in people:
        assert restarted.progress(person) == asking.progress(person)
    for person, task in open_ones.items():
        if task is not None:  # a click on the page that was open meanwhile
            found = restarted.answer(person, task.pair.id, task.vote_id, Choice.LEFT, 1.0)
            assert found is not None
            if found[1] is not None:
                restarted.apply(found[1])
    more = work_through(restarted, people, lambda _: chance.choice([*Choice][:4]), seed)
    assert all(of_pair.total() <= 3 for of_pair in by_pair([*votes, *more]).values())


def state_of(asking: Asking) -> dict[str, Any]:
    """Return all that follows from the votes, in its order; what is on a screen does not."""
    fields = ("standing", "discarded", "by_task")
    people = {
        name: (
            [[*getattr(person, field).items()] for field in fields],
            *(person.undone, person.num_open, +person.numbers, +person.turns),
            *([*person._firsts], [pair_id for _, pair_id in person._fit]),
        )
        for name, person in asking._people.items()
    }
    counts = [{name: +each for name, each in part.items()} for part in (asking._counts, asking._lefts)]
    return copy.deepcopy({"people": people, "counts": counts, "open": asking._num_open})


@mock.patch("builders.generation.campaign.asking._now", return_value="2026-11-30T00:00:00.000+00:00")
@given(data=st.data())
def test_a_vote_that_cannot_be_written_leaves_no_trace(clock: mock.Mock, data: st.DataObject) -> None:
    del clock  # it stands still
    person = annotators(1)[0]
    asking = Asking(settings(2), campaign_pairs(6, gold=1), SECRET)
    steps = st.lists(st.sampled_from(["answer", "undo", "lost answer", "lost undo"]), max_size=14)
    for step in data.draw(steps):
        if step.endswith("answer"):
            task = asking.next_task(person, 0.0)
            found = asking.answer(person, task.pair.id, task.vote_id, Choice.RIGHT, 1.0) if task else None
        else:
            last = asking.last_vote(person)
            found = asking.undo(person, last) if last else None
        if not found:
            continue
        assert found[1] is not None
        before, next_before = state_of(asking), asking.next_task(person, 0.0)
        asking.apply(found[1])
        if step.startswith("lost"):
            asking.revert(found[1])
            assert state_of(asking) == before
            assert asking.next_task(person, 0.0) == next_before


def check_counters(asking: Asking, people: Sequence[str], overlap: int) -> None:
    """Compare what is counted with each answer to a count of all answers."""
    counts = by_pair([vote for person in people for vote in asking._person(person).standing.values()])
    settled = {pair_id for pair_id, of_pair in counts.items() if is_settled(of_pair, overlap)}
    assert asking._num_open == len(asking._asked) - len(settled)
    for name in people:
        person = asking._person(name)
        firsts = [vote for vote in person.standing.values() if vote.kind == "first"]
        assert person.num_open == sum(vote.pair_id not in settled for vote in firsts)
        again = {vote.pair_id for vote in person.standing.values() if vote.kind in ("repeat", "mirror")}
        known = [vote for vote in firsts[:-5] if vote.label != Label.TOXIC and vote.pair_id not in again]
        for hidden in (set[str](), {vote.pair_id for vote in known[::2]}):
            shown = [vote for vote in known if vote.pair_id not in hidden]
            chosen = random.Random(1).choice(shown) if shown else None
            assert person.choose_known(random.Random(1), hidden) == chosen
        answered = {vote.pair_id for vote in firsts}
        left = [pair for pair in asking._order(name) if pair.id not in answered | settled]
        assert [*asking._unanswered(name, person)] == left


@given(
    seed=st.integers(0, 999),
    overlap=st.integers(1, 4),
    num_pairs=st.integers(1, 70),
    steps=st.lists(st.sampled_from(["answer"] * 5 + ["undo", "lost answer", "lost undo"]), max_size=90),
)
def test_what_is_counted_is_what_a_count_of_all_answers_gives(
    seed: int, overlap: int, num_pairs: int, steps: list[str]
) -> None:
    rules = settings(overlap, seed, repeat_share=0.2, mirror_share=0.2)
    people, pairs, chance = annotators(3), campaign_pairs(num_pairs, seed, gold=1), random.Random(seed)
    asking, lines = Asking(rules, pairs, SECRET), list[CampaignVote]()
    for step in steps:
        person = chance.choice(people)
        task, last = asking.next_task(person, 0.0), asking.last_vote(person)
        if step.endswith("answer"):
            choice = chance.choice([*Choice])
            found = asking.answer(person, task.pair.id, task.vote_id, choice, 1.0) if task else None
        else:
            found = asking.undo(person, last) if last else None
        if found is None or found[1] is None:
            continue
        asking.apply(found[1])
        check_counters(asking, people, overlap)
        if step.startswith("lost"):
            asking.revert(found[1])
        else:
            lines.append(found[1])
        check_counters(asking, people, overlap)
    restarted = Asking(rules, pairs, SECRET, lines)
    check_counters(restarted, people, overlap)
    assert [restarted.progress(person) for person in people] == [asking.progress(person) for person in people]


def test_the_numbers_are_those_of_how_people_answer() -> None:
    pairs = campaign_pairs(300, gold=20)
    fair, biased = annotators(2)
    asking = Asking(settings(2), pairs, SECRET)

    def best(left: str) -> Choice:
        return Choice.LEFT if left == "image_1" else Choice.RIGHT

    votes = work_through(asking, [fair], lambda task: best(task.left))
    votes += work_through(asking, [biased], lambda _: Choice.LEFT)
    numbers = measure_campaign(settings(2), pairs, votes)
    by_id = {each.annotator: each for each in numbers.annotators}
    assert by_id[fair].consistency.share == 1
    assert by_id[fair].mirrored_side.share == 0
    assert by_id[fair].gold.share == 1
    assert not by_id[fair].is_one_sided
    assert by_id[biased].left.share == 1
    assert by_id[biased].is_one_sided
    assert by_id[biased].mirrored_side.share == 1
    assert numbers.settled == numbers.pairs == 300
    assert numbers.votes["first"] == 600
    assert numbers.agreement == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_that_cannot_be_shown_are_asked_of_nobody_and_counted_for_nobody(seed: int) -> None:
    pairs, people, chance = campaign_pairs(40, seed, gold=6), annotators(4), random.Random(seed)
    asking = Asking(settings(3, seed), pairs, SECRET)
    work_through(asking, people, lambda _: Choice.LEFT, seed, most=70)
    undone = asking.next_task(people[0], 0.0)
    assert undone is not None
    answer(asking, people[0], undone, Choice.LEFT)
    taken_back = asking.undo(people[0], undone.vote_id)
    assert taken_back is not None
    assert taken_back[1] is not None
    asking.apply(taken_back[1])
    hidden = {undone.pair.id, *(pair.id for pair in chance.sample(pairs, 8))}
    own = {pair.id for pair in chance.sample(pairs, 5)}  # of the last person alone
    for pair_id in hidden:
        assert [asking.hide(pair_id), asking.hide(pair_id)] == [True, False]
    for pair_id in own:
        asking.hide(pair_id, people[-1])
    votes = work_through(asking, people, lambda _: Choice.RIGHT, seed)
    assert not hidden & {vote.pair_id for vote in votes}
    assert not own & {vote.pair_id for vote in votes if vote.annotator == people[-1]}
    counts = by_pair(votes)
    assert own & counts.keys() - hidden  # the others are asked
    assert [asking.progress(person)[1] for person in people] == [0] * 4  # and nothing is left
