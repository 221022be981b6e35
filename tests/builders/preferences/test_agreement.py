"""Statistics of votes: published examples to the printed digits, the libraries' values, and coverage."""

import itertools
import math
from collections.abc import Iterator, Sequence

import choix
import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

from builders.annotator_marks import MIN_VOTES, Estimate, find_side_biases, find_unsafe_annotators, proportion
from builders.preferences import agreement
from builders.preferences.agreement import bradley_terry, krippendorff_alpha

Wins = dict[tuple[str, str], int]


def _counts(*raters: str) -> NDArray[np.int64]:
    """Count labels by unit; each rater's labels are a string, with a dot for none."""
    labels = sorted(set("".join(raters)) - {"."})
    return np.array(
        [[unit.count(label) for label in labels] for unit in zip(*raters, strict=True)], dtype=np.int64
    )


def _library_alpha(counts: NDArray[np.int64]) -> float:
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _used_labels(counts: NDArray[np.int64]) -> int:
    return int((counts[counts.sum(axis=1) >= 2].sum(axis=0) > 0).sum())


def _table(names: Sequence[str], rows: Sequence[Sequence[int]]) -> Wins:
    return {
        (winner, loser): count
        for winner, row in zip(names, rows, strict=True)
        for loser, count in zip(names, row, strict=True)
    }


_PATTERNS = st.integers(2, 5).flatmap(
    lambda labels: st.lists(
        st.tuples(st.lists(st.integers(0, 4), min_size=labels, max_size=labels), st.integers(0, 6)),
        min_size=1,
        max_size=12,
    )
)


# Newcombe (1998), Statistics in Medicine 17:857-872, Table I, method 3.
@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_newcombes(successes: int, total: int, low: float, high: float) -> None:
    found = proportion(successes, total)

    assert found.value == successes / total
    assert found.low is not None
    assert found.high is not None
    assert (round(found.low, 4), round(found.high, 4), found.total) == (low, high, total)


def test_share_of_nothing_is_undefined() -> None:
    assert proportion(0, 0) == Estimate(None, None, None, 0)


@pytest.mark.parametrize(("successes", "total"), [(-1, 3), (4, 3), (1, 0), (0, -1)])
def test_impossible_share_is_refused(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match="successes must be in 0 to"):
        proportion(successes, total)


@given(total=st.integers(1, 10**9), share=st.floats(0, 1))
def test_wilson_interval_holds_the_share_and_mirrors(total: int, share: float) -> None:
    successes = round(share * total)
    found, mirrored = proportion(successes, total), proportion(total - successes, total)

    assert found.low is not None
    assert found.high is not None
    assert mirrored.high is not None
    assert 0 <= found.low <= successes / total + 1e-12
    assert successes / total - 1e-12 <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@pytest.mark.parametrize(("share", "total"), [(0.5, 40), (0.1, 60), (0.83, 25)])
def test_wilson_interval_covers(share: float, total: int) -> None:
    sets = np.random.default_rng(1).binomial(total, share, size=400).tolist()
    intervals = [proportion(successes, total) for successes in sets]

    assert 0.90 <= _coverage(intervals, share) <= 0.99


def _coverage(intervals: Sequence[Estimate], truth: float) -> float:
    covered = [
        item.low <= truth <= item.high for item in intervals if item.low is not None and item.high is not None
    ]
    assert len(covered) == len(intervals)
    return sum(covered) / len(covered)


# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", sections A, B and C.
@pytest.mark.parametrize(
    ("raters", "alpha", "total"),
    [
        pytest.param(("0100000010", "1110010000"), 0.095, 10, id="A: binary, two observers"),
        pytest.param(("aabbdcccedda", "babbbccceddd"), 0.692, 12, id="B: nominal, two observers"),
        pytest.param(
            ("123321412...", "1233224125.3", ".3332342251.", "12332441251."),
            0.743,
            11,
            id="C: nominal, four observers, missing data",
        ),
    ],
)
def test_alpha_is_krippendorffs(raters: tuple[str, ...], alpha: float, total: int) -> None:
    found = krippendorff_alpha(_counts(*raters))

    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert round(found.value, 3) == alpha
    assert found.total == total
    assert found.low < found.value < found.high <= 1


@given(data=_PATTERNS)
def test_weights_count_as_units(data: list[tuple[list[int], int]]) -> None:
    counts = np.array([pattern for pattern, _ in data], np.int64)
    weights = np.array([weight for _, weight in data], np.int64)
    expanded = np.repeat(counts, weights, axis=0)

    found = krippendorff_alpha(counts, weights, resamples=20)

    assert found == krippendorff_alpha(expanded, resamples=20)
    assert found.total == (expanded.sum(axis=1) >= 2).sum()
    if _used_labels(expanded) < 2:
        assert found.value is None
    else:
        assert found.value == pytest.approx(_library_alpha(expanded), abs=1e-12)


@given(data=_PATTERNS, seed=st.integers(0, 1000))
def test_each_resample_has_the_librarys_alpha(data: list[tuple[list[int], int]], seed: int) -> None:
    raw = np.array([pattern for pattern, _ in data], np.int64)
    patterns, units = agreement._pairable(raw, np.array([weight for _, weight in data], np.int64))
    assume(units.size > 0)
    (drawn,) = agreement._draw_units(units, 15, seed)
    resampled = [np.repeat(patterns.astype(np.int64), row, axis=0) for row in drawn]

    expected = [_library_alpha(counts) for counts in resampled if _used_labels(counts) >= 2]

    assert (drawn.sum(axis=1) == units.sum()).all()
    assert agreement._alphas(patterns, drawn) == pytest.approx(expected, abs=1e-12)


@given(data=_PATTERNS)
def test_alpha_ignores_the_order_of_labels_and_units(data: list[tuple[list[int], int]]) -> None:
    counts = np.array([pattern for pattern, _ in data], np.int64)
    found = krippendorff_alpha(counts, resamples=5)
    generator = np.random.default_rng(len(data))

    by_label = krippendorff_alpha(generator.permutation(counts, axis=1), resamples=5)

    assert by_label.value == pytest.approx(found.value, abs=1e-12)
    assert by_label.total == found.total
    assert krippendorff_alpha(generator.permutation(counts, axis=0), resamples=5) == found


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([[1, 0], [0, 1], [0, 0]], Estimate(None, None, None, 0), id="nobody to agree with"),
        pytest.param([[3, 0], [2, 0]], Estimate(None, None, None, 2), id="one label only"),
        pytest.param([[2, 0], [0, 1]], Estimate(None, None, None, 1), id="the other label is not pairable"),
        pytest.param([[1, 1]], Estimate(0.0, None, None, 1), id="one unit"),
        pytest.param([[2, 0], [0, 2]], Estimate(1.0, 1.0, 1.0, 2), id="undefined resamples are left out"),
    ],
)
def test_alpha_at_its_limits(counts: list[list[int]], expected: Estimate) -> None:
    assert krippendorff_alpha(np.array(counts, np.int64)) == expected


def test_alpha_of_nothing_is_undefined() -> None:
    assert krippendorff_alpha(np.empty((0, 5), np.int64)) == Estimate(None, None, None, 0)
    assert krippendorff_alpha(np.array([[2, 1]]), np.array([0])) == Estimate(None, None, None, 0)


def test_alpha_without_resamples_has_no_interval() -> None:
    assert krippendorff_alpha(_counts("aab", "abb"), resamples=0).low is None


@pytest.mark.parametrize(
    ("counts", "weights", "message"),
    [
        ([1, 2], None, "do not fit"),
        ([[1, 2]], [1, 1], "do not fit"),
        ([[1, -2]], None, "negative"),
        ([[1, 2]], [-1], "negative"),
    ],
)
def test_impossible_counts_are_refused(counts: object, weights: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        krippendorff_alpha(np.array(counts), None if weights is None else np.array(weights))


def test_alpha_is_the_same_for_a_seed_and_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = _counts("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    found = krippendorff_alpha(counts, seed=3)
    monkeypatch.setattr(agreement, "_CELLS", 70)

    assert krippendorff_alpha(counts, seed=3) == found
    assert krippendorff_alpha(counts, seed=4) != found


def test_a_million_units() -> None:
    patterns = [row for row in itertools.product(range(4), repeat=5) if 3 <= sum(row) <= 6][:200]
    counts = np.array(patterns, np.int64)
    weights = np.random.default_rng(5).multinomial(1_000_000, np.full(200, 1 / 200))

    found = krippendorff_alpha(counts, weights)

    assert found.total == 1_000_000
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value - 0.01 < found.low < found.value < found.high < found.value + 0.01


def test_alpha_interval_covers() -> None:
    # Three raters say the same with chance 0.6 and each for themself otherwise: alpha of all such units is
    # 0.6.
    generator = np.random.default_rng(7)
    chances = [0.5, 0.3, 0.2]
    intervals = []
    for seed in range(200):
        alone = generator.multinomial(1, chances, size=(120, 3)).sum(axis=1)
        together = generator.multinomial(1, chances, size=120) * 3
        counts = np.where(generator.random((120, 1)) < 0.6, together, alone)
        intervals.append(krippendorff_alpha(counts, resamples=300, seed=seed))

    assert 0.90 <= _coverage(intervals, 0.6) <= 0.99


# American League, Eastern Division, 1987: Agresti (2002), Categorical Data Analysis, 2nd edition, pages
# 437-438; wins at home and away together, from `baseball` of the R package BradleyTerry2. Winners down.
_TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
_GAMES = _table(
    _TEAMS,
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
)
# Citations between journals: Stigler (1994), Statistical Science 9:94-108, as in Agresti (2002), page 448,
# and in `citations` of BradleyTerry2; cited down. The diagonal, journals that cite themselves, must not
# matter.
_CITATIONS = _table(
    ("Biometrika", "Comm Statist", "JASA", "JRSS-B"),
    [[714, 730, 498, 221], [33, 425, 68, 17], [320, 813, 1072, 142], [284, 276, 325, 188]],
)


@pytest.mark.parametrize(
    ("wins", "base", "published", "digits"),
    [
        # Agresti (2002), Table 10.11, model without advantage at home.
        pytest.param(_GAMES, "Baltimore", (1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0), 2, id="baseball"),
        # Turner and Firth (2012), Journal of Statistical Software 48(9), section 2.
        pytest.param(_CITATIONS, "Biometrika", (0.26895, 0.0, -0.47957, -2.94907), 5, id="citations"),
    ],
)
def test_strengths_are_the_published_ones(
    wins: Wins, base: str, published: tuple[float, ...], digits: int
) -> None:
    found = bradley_terry(wins, resamples=2)
    zero = next(item.strength for item in found if item.model == base)

    assert tuple(round(item.strength - zero, digits) for item in found) == published
    assert sum(item.strength for item in found) == pytest.approx(0, abs=1e-9)


def test_strengths_carry_counts_and_intervals() -> None:
    found = bradley_terry(_GAMES)

    assert [item.model for item in found] == list(_TEAMS)
    assert [(item.wins, item.losses) for item in found][:2] == [(50, 28), (47, 31)]
    for item in found:
        assert item.low is not None
        assert item.high is not None
        assert item.low < item.strength < item.high


@pytest.mark.slow
@given(data=st.data(), models=st.integers(2, 6))
def test_strengths_are_the_most_likely(data: st.DataObject, models: int) -> None:
    rows = data.draw(
        st.lists(
            st.lists(st.integers(0, 9), min_size=models, max_size=models), min_size=models, max_size=models
        )
    )
    matrix = np.array(rows) * (1 - np.eye(models, dtype=np.int64))
    assume(connected_components(matrix, directed=True, connection="strong")[0] == 1)
    names = "fedcba"[:models]
    pairs = [(a, b) for a in range(models) for b in range(models) for _ in range(matrix[a, b])]

    found = {item.model: item.strength for item in bradley_terry(_table(names, matrix.tolist()), resamples=1)}

    # Another algorithm of the library, over one pair at a time.
    expected = choix.opt_pairwise(models, pairs, alpha=0, tol=1e-9)
    assert [found[name] for name in names] == pytest.approx(expected - expected.mean(), abs=1e-4)


def test_a_model_that_never_lost_is_regularised() -> None:
    (first, second) = bradley_terry({("a", "b"): 5})

    assert (first.model, first.wins, first.losses, first.low, first.high) == ("a", 5, 0, None, None)
    assert (second.model, second.wins, second.losses, second.low, second.high) == ("b", 0, 5, None, None)
    # Half a win more for each: odds of 5.5 to 0.5.
    assert first.strength - second.strength == pytest.approx(math.log(11), abs=1e-6)


def test_half_wins_go_only_to_models_that_met() -> None:
    first, second, third = bradley_terry({("a", "b"): 4, ("b", "c"): 4})

    assert first.strength - second.strength == pytest.approx(math.log(9), abs=1e-6)
    assert second.strength - third.strength == pytest.approx(math.log(9), abs=1e-6)


@pytest.mark.parametrize(
    "wins",
    [
        pytest.param({}, id="nothing"),
        pytest.param({("a", "a"): 3}, id="a model against itself"),
        pytest.param({("a", "b"): 0}, id="no decided pair"),
        pytest.param(
            {("a", "b"): 3, ("b", "a"): 1, ("c", "d"): 2, ("d", "c"): 2}, id="groups that never met"
        ),
    ],
)
def test_no_scale_no_strengths(wins: Wins) -> None:
    assert bradley_terry(wins) == ()


@pytest.fixture
def own_fits() -> Iterator[None]:
    """Fits that no other test finds in the cache, nor leaves there."""
    agreement._fit_strengths.cache_clear()
    yield
    agreement._fit_strengths.cache_clear()


@pytest.mark.usefixtures("own_fits")
def test_no_strengths_where_the_solver_does_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_MAX_ITERATIONS", 1)

    assert bradley_terry(_GAMES) == ()


def test_no_strengths_where_they_are_too_far_apart_for_floats() -> None:
    steps = list(itertools.pairwise(f"model {index:02}" for index in range(30)))
    wins = dict.fromkeys(steps, 10**11)

    assert bradley_terry(wins | {(worse, better): 1 for better, worse in steps}) == ()


def test_negative_wins_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        bradley_terry({("a", "b"): -1})


@pytest.mark.slow
def test_a_model_with_itself_is_left_out() -> None:
    apart = {pair: count for pair, count in _GAMES.items() if pair[0] != pair[1]}

    assert bradley_terry({**_GAMES, ("Boston", "Boston"): 99, ("x", "x"): 1}) == bradley_terry(apart)


def test_ties_are_ordered_by_name() -> None:
    # Six equal models that the solver finds unequal in the last digit, and a stronger one.
    wins = dict.fromkeys(itertools.permutations("fdbeca", 2), 3)
    wins |= {("z", model): 7 for model in "abcdef"} | {(model, "z"): 2 for model in "abcdef"}

    assert [item.model for item in bradley_terry(wins, resamples=2)] == ["z", *"abcdef"]


def test_strengths_are_the_same_for_a_seed_in_any_order() -> None:
    found = bradley_terry(_GAMES, resamples=20, seed=1)

    assert bradley_terry(dict(reversed(_GAMES.items())), resamples=20, seed=1) == found
    assert bradley_terry(_GAMES, resamples=20, seed=2) != found
    assert bradley_terry(_GAMES, resamples=0)[0].low is None


@pytest.mark.slow
def test_strength_intervals_cover() -> None:
    truth = dict(zip("abcd", (0.9, 0.2, -0.3, -0.8), strict=True))
    generator = np.random.default_rng(11)
    covered = []
    for seed in range(40):
        wins: Wins = {}
        for one, other in itertools.combinations(truth, 2):
            won = int(generator.binomial(40, 1 / (1 + math.exp(truth[other] - truth[one]))))
            wins.update({(one, other): won, (other, one): 40 - won})
        for item in bradley_terry(wins, resamples=100, seed=seed):
            assert item.low is not None
            assert item.high is not None
            covered.append(item.low <= truth[item.model] <= item.high)

    assert 0.88 <= sum(covered) / len(covered) <= 0.99


def test_two_annotators_of_opposite_sides_are_found_though_they_cancel_out() -> None:
    votes = {"left": (40, 0), "right": (0, 40)} | {f"fair {number}": (21, 19) for number in range(10)}
    biases = find_side_biases(votes)
    assert [bias.annotator for bias in biases.found] == ["left", "right"]
    assert [bias.first_side.value for bias in biases.found] == [1.0, 0.0]
    assert [bias.first_side.total for bias in biases.found] == [40, 40]
    assert biases.found[0].p_value == pytest.approx(2 * 0.5**40)
    assert (biases.num_tested, biases.min_votes) == (12, MIN_VOTES)
    assert proportion(sum(first for first, _ in votes.values()), 480).value == pytest.approx(0.5, abs=0.03)


@given(first=st.integers(0, 300), second=st.integers(0, 300))
def test_the_p_value_is_that_of_the_exact_binomial_test(first: int, second: int) -> None:
    assume(first + second >= MIN_VOTES)
    exact = float(binomtest(first, first + second).pvalue)
    biases = find_side_biases({"one": (first, second)}).found
    assert bool(biases) == (exact <= 0.05)
    assert all(bias.p_value == pytest.approx(exact, rel=1e-9) for bias in biases)


def test_few_votes_are_not_tested() -> None:
    few = MIN_VOTES - 1
    assert find_side_biases({"few": (few, 0)}).num_tested == 0
    assert find_side_biases({"few": (few, 0), "enough": (few + 1, 0)}).num_tested == 1
    assert find_side_biases({}).found == ()


# Holm (1979), section 4: p-values are compared with 0.05 / 3, 0.05 / 2 and 0.05 / 1, until one is larger.
def test_the_correction_is_holms() -> None:
    # Bonferroni's 0.05 / 3 would leave out the third.
    votes = {"a": (16, 4), "b": (19, 6), "c": (15, 5)}
    assert [round(bias.p_value, 4) for bias in find_side_biases(votes).found] == [0.0118, 0.0146, 0.0414]
    assert [bias.annotator for bias in find_side_biases(votes | {"d": (10, 10)}).found] == ["a", "b"]


def test_false_entries_are_as_rare_as_said() -> None:
    # 1,000 releases of 12 annotators who look at the images, with 20 to 200 votes each: 3.6 % have an entry.
    rng = np.random.default_rng(3)
    totals = rng.integers(20, 201, size=(1000, 12))
    firsts = rng.binomial(totals, 0.5)
    num_wrong = sum(
        bool(
            find_side_biases(
                {
                    str(name): (int(first), int(total - first))
                    for name, (first, total) in enumerate(zip(*release, strict=True))
                }
            ).found
        )
        for release in zip(firsts, totals, strict=True)
    )
    assert num_wrong / 1000 <= 0.05


def test_a_strong_bias_is_found_nearly_always() -> None:
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(100):
        fair = {
            str(name): (int(first), 60 - int(first)) for name, first in enumerate(rng.binomial(60, 0.5, 11))
        }
        first = int(rng.binomial(60, 0.8))
        found += "far" in [
            bias.annotator for bias in find_side_biases(fair | {"far": (first, 60 - first)}).found
        ]
    assert found >= 95


def test_who_always_says_unsafe_is_found_and_careful_people_are_not() -> None:
    others = dict.fromkeys(("a", "b", "c", "d"), (2, 60))
    marks = find_unsafe_annotators(others | {"one": (39, 39)})
    assert marks.found == {"one"}
    assert [each.annotator for each in marks.shares] == ["a", "b", "c", "d", "one"]
    assert find_unsafe_annotators(others | {"few": (MIN_VOTES - 1, MIN_VOTES - 1)}).found == frozenset()
    # Of many votes 4 points are certain, and say that somebody is careful.
    assert find_unsafe_annotators({"a": (100, 10_000), "careful": (500, 10_000)}).found == frozenset()
    assert find_unsafe_annotators({"alone": (30, 30)}).found == frozenset()


def test_false_marks_of_unsafe_are_as_rare_as_said() -> None:
    # 1,000 campaigns of 8 people who all say it in 10 % of their votes.
    rng = np.random.default_rng(5)
    totals = rng.integers(20, 101, size=(1000, 8))
    num_wrong = sum(
        bool(find_unsafe_annotators({str(n): (int(u), int(t)) for n, (u, t) in enumerate(both)}).found)
        for both in (zip(*pair, strict=True) for pair in zip(rng.binomial(totals, 0.1), totals, strict=True))
    )
    assert num_wrong / 1000 <= 0.05
