"""Search finds exactly what comparing with every vector finds, in one order."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.features.search import SearchIndex
from schemas.problems import EmbeddingError
from tests.builders.features.test_vectors import DIM, unit_vectors


def expected(vectors: npt.NDArray[Any], query: npt.NDArray[Any], k: int) -> tuple[list[int], list[float]]:
    """Sort everything by similarity, then by row."""
    scores = [np.float32(sum(map(float, row * query))) for row in vectors.astype(np.float64)]
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
    return order, [float(scores[row]) for row in order]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**32 - 1), st.integers(1, 8)
)
def test_a_search_is_a_sort(count: int, dim: int, k: int, seed: int, copies: int) -> None:
    vectors = unit_vectors(count, dim, seed)
    vectors = vectors[
        np.random.default_rng(seed).integers(0, max(1, count // copies), count)
    ]  # many are equal
    queries = unit_vectors(3, dim, seed + 1)
    index = SearchIndex(vectors)
    together = index.search(queries, k)
    assert together.rows.shape == together.similarities.shape == (3, min(k, count))
    for query, rows, similarities in zip(queries, together.rows, together.similarities, strict=True):
        assert (rows.tolist(), similarities.tolist()) == expected(vectors, query, k)
        alone = index.search(query, k)
        assert (alone.rows.tolist(), alone.similarities.tolist()) == (rows.tolist(), similarities.tolist())


def test_many_queries_are_answered_each_for_itself() -> None:
    vectors = unit_vectors(200, 16)
    hits = SearchIndex(vectors).search(vectors[:70], 2)
    assert hits.rows[:, 0].tolist() == list(range(70))
    assert hits.rows.shape == (70, 2)


def test_a_float64_query_is_not_multiplied_as_such() -> None:
    vectors = unit_vectors(20)
    index = SearchIndex(vectors)
    hits = index.search(vectors[3].astype(np.float64), 4)
    assert hits.similarities.dtype == np.float32
    assert hits.rows.tolist() == index.search(vectors[3], 4).rows.tolist()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.zeros(DIM, np.float32), "not of length 1"),
        (np.full(DIM, np.nan, np.float32), "not finite"),
        (np.full(DIM, 1e30), "not of length 1|not finite"),
        (unit_vectors(1, DIM + 1)[0], f"as many numbers as an embedding of this table: {DIM}"),
        (unit_vectors(1)[None], "as many numbers"),
        (np.array(1.0), "as many numbers"),
        (np.eye(DIM, dtype=np.int64)[0], "floating-point"),
        (np.array(["a"] * DIM), "floating-point"),
    ],
)
def test_queries_that_cannot_be_compared_are_refused(query: npt.NDArray[Any], message: str) -> None:
    with pytest.raises(EmbeddingError, match=message):
        SearchIndex(unit_vectors(5)).search(query, 1)


def test_the_number_of_hits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        SearchIndex(unit_vectors(5)).search(unit_vectors(1)[0], 0)
