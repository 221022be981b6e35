"""Exact search over embeddings: every vector is compared with the query.

There is no index that visits fewer vectors: comparing with all 122,726 x 512 is fast enough. Measured in turn
on two busy cores (`benchmarks/search.py`), where this took 1, a plain product of numpy in float32, 7.6 ms on
idle cores, took 1.5; faiss' exact index 2.2; numpy in float16 18; a float64 query 60. An approximate index
would need half a minute of building or a file of its own in the release, and misses results.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from builders.features.vectors import (
    Float32,
    Half,
    Rows,
    blocks_of,
    check_queries,
    check_vectors,
    exact_dots,
    rounding_margin,
)

_QUERIES_AT_ONCE = 32  # 16 MB of similarities for 122,726 images


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found, the most similar first, and by row where two are equally similar.

    Attributes:
        rows: (k,) or (q, k) rows of the table.
        similarities: Cosine similarity of each, of the same shape.
    """

    rows: Rows
    similarities: Float32


class SearchIndex:
    """Embeddings in memory, ready to be searched.

    They are kept as (d, n) float32, one number of all images after another: BLAS multiplies that with one
    query in nearly half the time that it needs for (n, d).

    Args:
        vectors: (n, d) float16, each row of length 1; not copied, so it must not change.

    Raises:
        EmbeddingError: They are not that, or there are none.
    """

    def __init__(self, vectors: Half) -> None:
        check_vectors(vectors, "index")
        self._vectors = vectors
        self._columns = np.empty(vectors.shape[::-1], np.float32)
        for rows in blocks_of(len(vectors)):
            self._columns[:, rows] = vectors[rows].T
        self._margin = rounding_margin(vectors.shape[1])

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self._vectors)

    def search(self, queries: npt.NDArray[Any], k: int) -> Hits:
        """Find the vectors most similar to each query.

        Args:
            queries: (d,) or (q, d) floating-point numbers, each vector of length 1.
            k: How many to find; all of them if there are fewer.

        Returns:
            Rows and similarities, of shape (k,) for one query and (q, k) for several.

        Raises:
            EmbeddingError: A query has another dimension or type, is not finite or not of length 1.
            ValueError: k is below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}, and must be 1 or more")
        vectors = check_queries(queries, self._vectors.shape[1])
        k = min(k, len(self))
        rows = np.empty((len(vectors), k), np.int64)
        similarities = np.empty((len(vectors), k), np.float32)
        for block in blocks_of(len(vectors), _QUERIES_AT_ONCE):
            for number, scores in enumerate(vectors[block] @ self._columns, block.start):
                rows[number], similarities[number] = self._best(vectors[number], scores, k)
        if queries.ndim == 1:
            return Hits(rows[0], similarities[0])
        return Hits(rows, similarities)

    def _best(self, query: Float32, scores: Float32, k: int) -> tuple[Rows, Float32]:
        """Order the candidates by their exact similarity: float32 sums depend on the machine."""
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        near = np.flatnonzero(scores >= least - 2 * self._margin)
        dots = exact_dots(self._vectors, query[None], (near, np.zeros_like(near))).astype(np.float32)
        order = np.lexsort((near, -dots))[:k]
        return near[order], dots[order]
