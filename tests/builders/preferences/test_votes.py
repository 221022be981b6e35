"""Decisions: what votes come to under each rule, against references written here in another way."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.preferences.votes import RULES, RawVote, agreement
from schemas.preferences import Decision, Status
from tests.exports import LABELS, REAL_RECORD, upstream_choice

LABEL_OR_NONE = st.sampled_from([*LABELS, None])
STATUSES = st.sampled_from([*(status.value for status in Status), "anything"])
ANNOTATORS = st.sampled_from([None, "ann", "ben", "cat", "dan"])
VOTES = st.lists(st.tuples(ANNOTATORS, LABEL_OR_NONE, STATUSES).map(lambda vote: RawVote(*vote)), max_size=12)
SUBMITTED = Status.SUBMITTED.value
MIRRORED_DECISIONS = {Decision.IMAGE_1: Decision.IMAGE_2, Decision.IMAGE_2: Decision.IMAGE_1}


def decide(votes: list[RawVote], rule: str = "submitted-majority") -> Decision:
    return RULES[rule].decide(RULES[rule].count(votes))


def said(*labels: str) -> list[RawVote]:
    """Votes of different people, all submitted."""
    return [RawVote(f"person {number}", label) for number, label in enumerate(labels)]


# The rule of open-image-preferences


@given(VOTES)
def test_the_rule_of_open_image_preferences_is_upstreams(votes: list[RawVote]) -> None:
    chosen = upstream_choice([vote.label for vote in votes])
    decision = decide(votes, "open-image-preferences")
    assert chosen == (decision.value if decision in MIRRORED_DECISIONS else None)
    assert (decision is Decision.NO_VOTES) == all(vote.label is None for vote in votes)


def test_upstreams_reference_on_votes_counted_by_hand() -> None:
    assert upstream_choice(["both_good", "image_1", "image_1"]) == "image_1"
    assert upstream_choice(["both_good"]) is None
    assert upstream_choice(["image_2", "both_bad"]) is None
    assert upstream_choice(["image_2", "both_good", "both_bad"]) == "image_2"
    assert upstream_choice(["toxic_content", "toxic_content", "image_1"]) == "image_1"
    assert upstream_choice(None) is None


def test_a_tie_of_other_sources_counts_for_both_as_upstreams_both_good_does() -> None:
    for others in itertools.product(LABELS, repeat=3):
        votes = [decide(said(*others, tie), "open-image-preferences") for tie in ("tie", "both_good")]
        assert votes[0] is votes[1]


@pytest.mark.parametrize("rule", RULES)
def test_the_real_record_chooses_image_1(rule: str) -> None:
    columns = (REAL_RECORD[f"preference.responses{name}"] for name in (".users", "", ".status"))
    assert (
        decide([RawVote(who, said, status) for who, said, status in zip(*columns, strict=True)], rule)
        is Decision.IMAGE_1
    )


# The rule of the release


def careful_decision(votes: list[RawVote]) -> Decision:
    """Decide by going over people instead of over votes."""
    valid = [(who, label) for who, label, status, *_ in votes if status == SUBMITTED and label is not None]
    if any(label == "toxic_content" for _, label in valid):
        return Decision.TOXIC
    opinions = [{label} for who, label in valid if who is None]
    opinions += [
        {label for who, label in valid if who == person} for person in {who for who, _ in valid} - {None}
    ]
    counted = [next(iter(labels)) for labels in opinions if len(labels) == 1]
    if not counted:
        return Decision.NO_VOTES
    for side in (Decision.IMAGE_1, Decision.IMAGE_2):
        if counted.count(side.value) > len(counted) / 2:
            return side
    return Decision.UNDECIDED


@given(VOTES)
def test_the_majority_of_submitted_votes_decides(votes: list[RawVote]) -> None:
    assert decide(votes) is careful_decision(votes)


@given(VOTES)
def test_only_submitted_answers_count(votes: list[RawVote]) -> None:
    submitted = [vote for vote in votes if vote[2] == SUBMITTED and vote[1] is not None]
    count = RULES["submitted-majority"].count
    assert count(votes) == count(submitted)


@given(
    VOTES, ANNOTATORS, LABEL_OR_NONE, st.sampled_from(["draft", "discarded", "pending"]), st.integers(0, 12)
)
def test_a_draft_more_changes_nothing(
    votes: list[RawVote], who: str | None, label: str | None, status: str, place: int
) -> None:
    assert decide([*votes[:place], RawVote(who, label, status), *votes[place:]]) is decide(votes)


@given(VOTES)
def test_who_says_something_again_has_still_one_vote(votes: list[RawVote]) -> None:
    again = [vote for vote in votes if vote[0] is not None]
    count = RULES["submitted-majority"].count
    assert count([*votes, *again]) == count(votes)


@pytest.mark.parametrize("rule", RULES)
@given(data=st.data(), votes=VOTES)
def test_the_order_of_votes_is_of_no_importance(data: st.DataObject, votes: list[RawVote], rule: str) -> None:
    shuffled = data.draw(st.permutations(votes))
    assert RULES[rule].count(shuffled) == RULES[rule].count(votes)


@pytest.mark.parametrize("rule", RULES)
@given(votes=VOTES)
def test_votes_on_swapped_sides_give_the_swapped_decision(votes: list[RawVote], rule: str) -> None:
    mirrored = [vote.mirrored() for vote in votes]
    decision = decide(votes, rule)
    assert decide(mirrored, rule) is MIRRORED_DECISIONS.get(decision, decision)


@given(st.lists(st.sampled_from(["image_1", "image_2", "both_good", "both_bad", "tie"]), min_size=1))
def test_more_than_half_of_the_votes_is_needed(labels: list[str]) -> None:
    decision = decide(said(*labels))
    for side in MIRRORED_DECISIONS:
        assert (decision is side) == (2 * labels.count(side.value) > len(labels))


def test_cases_one_by_one() -> None:
    one, two = (RawVote("ann", label) for label in ("image_1", "image_2"))
    assert decide([]) is Decision.NO_VOTES
    assert decide([one]) is Decision.IMAGE_1
    assert decide([one, two]) is Decision.NO_VOTES  # she contradicts herself
    assert decide([one, two, RawVote("ben", "image_2")]) is Decision.IMAGE_2
    assert decide([one, two, one]) is Decision.NO_VOTES  # and does not win by insisting
    assert decide([one, RawVote("ben", "image_2")]) is Decision.UNDECIDED
    assert decide(said("image_1", "both_good")) is Decision.UNDECIDED
    assert decide(said("toxic_content", "toxic_content", "image_1")) is Decision.TOXIC
    assert decide([RawVote("ben", "toxic_content", "draft"), one]) is Decision.IMAGE_1
    assert decide([RawVote(None, "image_1")] * 2 + said("image_2")) is Decision.IMAGE_1
    for order in itertools.permutations([one, two, RawVote("ann", "toxic_content")]):
        assert decide([*order, *said("image_1", "image_1")]) is Decision.TOXIC


KINDS = st.sampled_from(["repeat", "mirror", "gold"])


@pytest.mark.parametrize("rule", RULES)
@given(votes=VOTES, more=st.lists(st.tuples(ANNOTATORS, LABEL_OR_NONE, KINDS), max_size=5))
def test_votes_that_measure_an_annotator_decide_nothing(
    votes: list[RawVote], more: list[tuple[str | None, str | None, str]], rule: str
) -> None:
    measuring = [RawVote(who, label, kind=kind) for who, label, kind in more]
    first = [vote._replace(kind="first") for vote in votes]
    assert RULES[rule].count([*measuring, *first]) == RULES[rule].count(votes)


@given(VOTES, st.sampled_from(["image_1", "image_2", None]))
def test_a_vote_mirrored_twice_is_the_vote(votes: list[RawVote], left: str | None) -> None:
    for vote in votes:
        shown = vote._replace(left=left)
        assert shown.mirrored().mirrored() == shown
        if left is not None and vote.label in ("image_1", "image_2"):  # the same side of the screen
            assert (shown.mirrored().label == shown.mirrored().left) == (vote.label == left)


# Agreement


@given(st.lists(st.sampled_from(LABELS), max_size=9))
def test_agreement_is_the_share_of_pairs_of_votes_that_agree(labels: list[str]) -> None:
    pairs = list(itertools.combinations(labels, 2))
    found = agreement({label: labels.count(label) for label in LABELS})
    if pairs:
        assert found == pytest.approx(sum(first == second for first, second in pairs) / len(pairs))
    else:
        assert found is None
