"""What the user asks for: always there, in the shares that were asked for, or refused with the reason."""

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.generation.prompts import make_prompts
from builders.generation.requests import plan_request
from schemas.problems import SettingsError
from tests.builders.generation.worlds import asked, faces, make


def refused(**options: object) -> list[str]:
    """Return the problems of a request."""
    with pytest.raises(SettingsError) as caught:
        plan_request(faces(), **options)  # type: ignore[arg-type]
    assert {problem.code for problem in caught.value.problems} == {"run/prompt-request"}
    return [str(problem) for problem in caught.value.problems]


def every_value() -> list[tuple[str, str]]:
    """List every attribute and value that adults have."""
    attributes = faces().variants[0].attributes
    return [(name, value) for name, attribute in attributes.items() for value in attribute.values]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(every_value()), st.integers(0, 2**63 - 1))
def test_any_single_value_can_be_asked_for(pair: tuple[str, str], seed: int) -> None:
    for record in make(3, [pair], seed=seed):
        assert asked(record)[pair[0]] == pair[1]


def test_every_value_can_be_asked_for_by_itself() -> None:
    """A value may bring a tag that rules out its own attribute, as closed eyes do for a gaze."""
    for pair in every_value():
        assert plan_request(faces(), [pair]).cells


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(every_value()), min_size=2, max_size=4, unique_by=lambda pair: pair[0]))
def test_several_values_are_all_there_or_refused(where: list[tuple[str, str]]) -> None:
    with suppress(SettingsError):
        for record in make(3, where):
            assert asked(record).items() >= dict(where).items()


def test_two_values_of_one_attribute_share_the_prompts() -> None:
    where = [("hair color", "red"), ("Hair Colour", "BLACK"), ("sex", "female")]
    colors = Counter(asked(record)["hair_color"] for record in make(200, where))
    assert colors.keys() == {"red", "black"}
    assert min(colors.values()) > 60


def test_what_is_asked_for_settles_what_it_needs() -> None:
    for record in make(40, [("facial hair", "a soul patch")]):
        assert asked(record)["gender"] == "male"
    for record in make(40, [("heritage", "Zulu")]):
        assert asked(record)["ethnicity"] == "Southern African"
    for record in make(40, [("eye color", "hazel"), ("hair color", "red")]):
        assert "hair_style" in asked(record)
        assert "closed" not in record.prompt
        assert "sunglasses" not in record.prompt


def test_asking_for_one_attribute_leaves_others_as_they_were() -> None:
    before, after = list(make(50)), list(make(50, [("hair color", "red")]))
    same = sum(asked(one)["place"] == asked(other)["place"] for one, other in zip(before, after, strict=True))
    assert same == 50


def test_wrong_names_and_values_are_refused_all_at_once() -> None:
    where = [("hair colr", "red"), ("hair color", "redd"), ("sex", "femal"), ("place", "spaceship")]
    found = refused(where=where, balance=["agee"])
    assert len(found) == 5
    assert "did you mean hair_color?" in found[0]
    assert "did you mean red?" in found[1]
    assert "did you mean female?" in found[2]
    assert "in a spaceship corridor" in found[3]
    assert "--balance" in found[4]


def test_contradictions_are_refused_with_what_was_asked() -> None:
    for where in (
        [("sex", "female"), ("facial hair", "a full beard")],
        [("hair style", "a bald head"), ("hair color", "red")],
        [("eye color", "blue"), ("glasses", "aviator sunglasses")],
        [("eye color", "blue"), ("gaze", "eyes gently closed")],
        [("age group", "child"), ("makeup", "red lipstick")],
        [("age group", "teenager"), ("jewelry", "a stack of rings")],
        [("headwear", "a navy hijab"), ("hair color", "red")],
        [("ethnicity", "East Asian"), ("heritage", "Zulu")],
    ):
        (line,) = refused(where=where)
        assert f"={where[1][1]}" in line


def test_a_value_of_people_under_18_needs_their_age_group() -> None:
    (line,) = refused(where=[("gaze", "looking down at a book")])
    assert "ask for one of these, too: age_group=child, teenager, infant, toddler" in line
    where = [("gaze", "looking down at a book"), ("age group", "toddler")]
    assert all("looking down at a book" in record.prompt for record in make(3, where))


def test_balance_gives_equal_cells() -> None:
    names = ["sex", "age group", "ethnicity"]
    cells = Counter(
        tuple(asked(record)[name] for name in ("gender", "age_group", "ethnicity"))
        for record in make(400, balance=names)
    )
    assert len(cells) == 2 * 4 * 24
    assert set(cells.values()) == {2, 3}  # 400 prompts for 192 cells


def test_balance_keeps_to_what_is_asked_for() -> None:
    where = [("age group", "child"), ("age group", "senior")]
    cells = Counter(asked(record)["age_group"] for record in make(40, where, ["age group"]))
    assert cells == {"child": 20, "senior": 20}


def test_impossible_combinations_are_left_out_and_named() -> None:
    request = plan_request(faces(), balance=["sex", "facial hair"])
    assert {cell.names["gender"] for cell in request.cells} == {"male"}
    assert len(request.left_out) == len(request.cells) == 83


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=4),
    st.integers(1, 300),
    st.integers(0, 2**63 - 1),
)
def test_a_table_of_shares_is_met_but_for_one_prompt(shares: list[float], count: int, seed: int) -> None:
    groups = ["young adult", "adult", "middle-aged", "senior"]
    table = [({"age group": group}, share) for group, share in zip(groups, shares, strict=False)]
    request = plan_request(faces(), table=table)
    order = request.order(seed)
    cells = Counter(next(order).names["age_group"] for _ in range(count))
    for group, share in zip(groups, shares, strict=False):
        assert abs(cells[group] - count * share / sum(shares)) <= 1.5


def test_a_table_may_not_ask_for_the_impossible() -> None:
    table = [
        ({"sex": "female", "facial hair": "a full beard"}, 1.0),
        ({"sex": "male", "facial hair": "a full beard"}, 1.0),
    ]
    assert any("gender=female, facial_hair=a full beard" in line for line in refused(table=table))
    assert any("twice" in line for line in refused(table=[({"sex": "male"}, 1.0), ({"sex": "MALE"}, 2.0)]))


def test_too_many_combinations_are_refused() -> None:
    assert "more than 20,000 combinations" in refused(balance=["place", "expression"])[0]


def test_seeds_of_any_size_work() -> None:
    for seed in (0, 2**63 - 1):
        assert len(list(make_prompts(plan_request(faces()), seed, 2))) == 2
