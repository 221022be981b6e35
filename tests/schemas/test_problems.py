"""Problems: what people are told, and in how many words."""

import pytest

from schemas.problems import name_some


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
