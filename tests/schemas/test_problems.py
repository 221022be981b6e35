"""Problems: what people are told, and in how many words."""

import pytest

from schemas.problems import Problem, Reason, name_some


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["b", "a"], "b, a"),
        (["a", "b", "c"], "a, b, …"),
        (["\x1b[2J"], r"\x1b[2J"),  # a host's own, which a terminal would obey
    ],
)
def test_the_first_names_are_given_and_that_there_are_more(names: list[str], said: str) -> None:
    assert name_some(names, 2) == said


def test_a_part_as_long_as_a_file_is_cut() -> None:
    """A header of one huge cell would otherwise fill the terminal, several times."""
    long = "\x1b" * 100_000
    problem = Problem(
        Reason.SOURCE, f"no {long}", file="t.csv", column=long, value=long, fix=f"rename {long}"
    )
    assert len(str(problem)) < 5_000
    assert str(problem).isprintable()
    assert str(problem).startswith("t.csv:\\x1b")
    assert all(part in str(problem) for part in ("…: no \\x1b", "… (value: ", "…) → rename \\x1b"))
