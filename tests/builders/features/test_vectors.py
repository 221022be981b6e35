"""Arrays that are not embeddings are refused, with the reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from builders.features.vectors import Half, check_vectors
from schemas.problems import EmbeddingError

DIM = 8


def unit_vectors(count: int, dim: int = DIM, seed: int = 0) -> Half:
    """Draw vectors of length 1."""
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    unit: Half = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return unit


def _set(row: int, value: float) -> Callable[[Half], npt.NDArray[Any]]:
    def change(vectors: Half) -> Half:
        vectors[row, 1] = value
        return vectors

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(3, np.nan), "not finite: 1, the first in row 3"),
        (_set(4, np.inf), "not finite: 1, the first in row 4"),
        (_set(5, 60_000), "not of length 1: 1, the first in row 5"),
        (lambda vectors: vectors * np.float16(0.99), "not of length 1: 10, the first in row 0"),
        (lambda vectors: vectors * np.float16(0), "not of length 1: 10, the first in row 0 "),
        (lambda vectors: vectors.astype(np.float64), "table of float16 numbers"),
        (lambda vectors: vectors[0], "table of float16 numbers"),
        (lambda vectors: vectors[:0], "there are no embeddings"),
        (lambda vectors: vectors[:, :0], "there are no embeddings"),
    ],
)
def test_arrays_that_are_not_embeddings_are_refused(
    change: Callable[[Half], npt.NDArray[Any]], message: str
) -> None:
    with pytest.raises(EmbeddingError, match=f"^here: .*{message}"):
        check_vectors(change(unit_vectors(10)), "here")


def test_rounding_to_float16_passes() -> None:
    for dim in (1, 2, 512, 1152):
        check_vectors(unit_vectors(500, dim), "here")
