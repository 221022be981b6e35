"""The pairs of a campaign are balanced, and equal for an equal seed."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.generation.campaign.candidates import Candidate, read_candidates
from builders.generation.campaign.design import choose_pairs, place_sides, possible_pairs
from builders.generation.campaign.planning import half_width, num_needed, wilson
from schemas.campaign import CampaignPair
from schemas.problems import SourceError
from tests.builders.generation.campaign.worlds import candidates
from tests.support import good_folder


@given(
    num_prompts=st.integers(1, 60),
    num_generators=st.integers(2, 4),
    num_categories=st.integers(1, 5),
    share=st.floats(0.05, 1),
    seed=st.integers(0, 99),
)
def test_sides_generators_and_prompts_are_balanced(
    num_prompts: int, num_generators: int, num_categories: int, share: float, seed: int
) -> None:
    generators = "ABCD"[:num_generators]
    images = candidates(num_prompts, generators, [f"category {each}" for each in range(num_categories)])
    num_possible = len(list(possible_pairs(images)))
    wanted = max(1, int(num_possible * share))
    chosen = choose_pairs(images, wanted, seed)
    assert len(chosen) == wanted == len({frozenset((a.name, b.name)) for a, b in chosen})
    assert all(a.prompt == b.prompt and a.generator != b.generator for a, b in chosen)
    uses = Counter(a.prompt for a, _ in chosen)
    # No prompt has two pairs more than another one: all have one before any has two.
    assert max(uses.values()) - min(uses.get(f"prompt {each}", 0) for each in range(num_prompts)) <= 1

    placed = place_sides(chosen, seed)
    assert Counter(frozenset((pair.first.name, pair.second.name)) for pair in placed) == Counter(
        frozenset((a.name, b.name)) for a, b in chosen
    )
    assert placed == place_sides(choose_pairs(images, wanted, seed), seed)


@given(
    numbers=st.dictionaries(
        st.tuples(st.sampled_from(["x", "y", "z", None]), st.sampled_from(["AB", "AC", "BC", "AA", "CD"])),
        st.integers(1, 7),
        min_size=1,
    ),
    seed=st.integers(0, 99),
)
def test_sides_differ_by_one_at_most_wherever_they_are_counted(
    numbers: dict[tuple[str | None, str], int], seed: int
) -> None:
    pairs = [
        (replace(first, name=f"{place} a"), replace(second, name=f"{place} b"))
        for place, (category, models) in enumerate(numbers)
        for images in [candidates(numbers[category, models], models, [category])]
        for first, second in zip(images[::2], images[1::2], strict=True)
    ]
    placed = place_sides(pairs, seed)
    assert len(placed) == len(pairs)
    groups: dict[Hashable, list[tuple[bool, bool]]] = defaultdict(list)
    for pair in placed:
        left, right = (pair.first, pair.second) if pair.first_left == "image_1" else (pair.second, pair.first)
        # Of two images of one generator, the one whose name comes first stands for it.
        is_low = (left.generator, left.name) < (right.generator, right.name)
        models = tuple(sorted((left.generator, right.generator)))
        category = left.facts.category
        counted: list[Hashable] = [(category, models), ("of all", models), category, "all"]
        for group in counted:
            groups[group].append((is_low, left is pair.first))
    for group, members in groups.items():
        for is_left in zip(*members, strict=True):
            assert abs(2 * sum(is_left) - len(is_left)) <= 1, group
    assert placed == place_sides(pairs, seed)


def test_seeds_decide_which_generator_is_on_the_left_once_more() -> None:
    first, second = candidates(1)
    lefts = Counter(
        (pair.first if pair.first_left == "image_1" else pair.second).generator
        for seed in range(200)
        for pair in place_sides([(first, second)], seed)
    )
    assert lefts["A"] == pytest.approx(100, abs=40)


@given(
    numbers=st.lists(
        st.tuples(st.integers(0, 3), st.text("ABC", min_size=2, max_size=4)), min_size=1, max_size=12
    ),
    num_pairs=st.integers(1, 80),
    num_taken=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_each_choice_is_what_looking_at_all_that_is_left_would_choose(
    numbers: list[tuple[int, str]], num_pairs: int, num_taken: int, seed: int
) -> None:
    images = [
        replace(image, name=f"{prompt} {place}", prompt=f"prompt {prompt}")
        for prompt, (category, generators) in enumerate(numbers)
        for place, image in enumerate(candidates(1, generators, [str(category)]))
    ]
    possible = {frozenset(image.name for image in pair): pair for pair in possible_pairs(images, seed)}
    taken = [*possible][:num_taken]
    left = {names: pair for names, pair in possible.items() if names not in taken}
    uses, counted = Counter[str](), Counter[Hashable]()

    def groups(pair: tuple[Candidate, Candidate]) -> tuple[Hashable, Hashable, Hashable]:
        models, category = frozenset(image.generator for image in pair), pair[0].facts.category
        return category, (category, models), models

    for chosen in choose_pairs(images, num_pairs, seed, taken):
        fewest = min(uses[pair[0].prompt] for pair in left.values())
        least = min(
            tuple(counted[group] for group in groups(pair))
            for pair in left.values()
            if uses[pair[0].prompt] == fewest
        )
        assert uses[chosen[0].prompt] == fewest
        assert tuple(counted[group] for group in groups(chosen)) == least
        del left[frozenset(image.name for image in chosen)]
        uses[chosen[0].prompt] += 1
        counted.update(groups(chosen))
    assert not left or sum(uses.values()) == num_pairs


def test_categories_have_equal_numbers() -> None:
    images = candidates(60, "AB", ["x", "x", "x", "y"])  # 45 prompts of x, 15 of y
    chosen = choose_pairs(images, 24, 1)
    assert Counter(a.facts.category for a, _ in chosen) == {"x": 12, "y": 12}


def test_images_of_one_generator_are_compared_only_where_there_is_no_other() -> None:
    images = [*candidates(1, "AAB"), *candidates(2, "AA")[2:]]
    names = [(a.generator, b.generator) for a, b in possible_pairs(images)]
    assert Counter(names) == {("A", "B"): 2, ("A", "A"): 1}


@given(
    numbers=st.lists(st.integers(1, 25), min_size=1, max_size=5),
    num_prompts=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_a_prompt_with_many_images_has_as_many_pairs_of_each_two_generators(
    numbers: list[int], num_prompts: int, seed: int
) -> None:
    generators = [letter for letter, number in zip("ABCDE", numbers, strict=False) for _ in range(number)]
    images = [
        replace(image, name=f"{place} {image.name}")
        for place, image in enumerate(candidates(num_prompts, generators))
    ]
    exist = {
        (first, second): numbers["ABCDE".index(first)] * numbers["ABCDE".index(second)]
        for first, second in combinations("ABCDE"[: len(numbers)], 2)
    } or {("A", "A"): numbers[0] * (numbers[0] - 1) // 2}
    pairs = list(possible_pairs(images, seed))
    assert len({frozenset((a.name, b.name)) for a, b in pairs}) == len(pairs)
    for prompt in {image.prompt for image in images}:
        shares = Counter(
            (min(a.generator, b.generator), max(a.generator, b.generator))
            for a, b in pairs
            if a.prompt == b.prompt == prompt
        )
        assert shares.total() == min(200, sum(exist.values()))
        most = max(shares.values(), default=0)
        for models, number in exist.items():
            assert shares[models] == number or shares[models] >= most - 1
    assert pairs == list(possible_pairs(images, seed))


def test_all_generators_of_one_prompt_are_compared() -> None:
    found = candidates(1, sorted("ABC" * 12))
    images = [replace(image, name=f"{place} {image.name}") for place, image in enumerate(found)]
    chosen = choose_pairs(images, 60, 0)
    models = Counter(frozenset((a.generator, b.generator)) for a, b in chosen)
    assert models == {frozenset("AB"): 20, frozenset("AC"): 20, frozenset("BC"): 20}
    assert len({image.name for pair in chosen for image in pair}) > 30  # not only the first few images


@pytest.mark.parametrize("width", [0.2, 0.1, 0.05, 0.03])
def test_the_plan_asks_for_the_fewest_trials_that_are_enough(width: float) -> None:
    needed = num_needed(width)
    assert half_width(needed) <= width < half_width(needed - 1)
    even = needed + needed % 2
    low, high = wilson(even // 2, even)
    assert (high - low) / 2 == pytest.approx(half_width(even))


def test_the_interval_is_that_of_scipy() -> None:
    from scipy.stats import binomtest

    for successes, total in ((0, 5), (3, 10), (50, 60), (7, 7)):
        expected = binomtest(successes, total).proportion_ci(method="wilson")
        assert wilson(successes, total) == pytest.approx((expected.low, expected.high))


def test_prompts_that_break_the_rules_and_images_that_are_elsewhere_are_listed(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "faces", 4)
    folder.rows[0][2] = "a nude woman"
    folder.rows[1][0] = "../outside.jpg"
    folder.images.pop("images/FLUX1_pro_image_0000002.jpg")
    (tmp_path / "outside.jpg").write_bytes(b"")
    folder.write()
    found, problems = read_candidates(folder.path)
    assert [image.name for image in found] == [folder.rows[3][0]]
    assert [problem.row for problem in problems] == [2, 3, 4]
    assert "sexual" in str(problems[0])


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no SFHQ_T2I_dataset"):
        read_candidates(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "images/../secret", "images/0.png", "secret"])
def test_a_pair_names_no_file_outside_its_images(path: str) -> None:
    with pytest.raises(ValueError, match="image_1"):
        CampaignPair.model_validate({"prompt": "p", "image_1": path})
