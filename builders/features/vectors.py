"""Embeddings: arrays of unit vectors.

Vectors have numbers of float16, which files hold as float32. The product of two float16 numbers is a
multiple of 2**-48, and a sum of such products that stays below 2 has fewer than 53 bits: so dot products of
stored vectors are exact in float64, in any order of summation. What is compared with a threshold, or
published, is computed so, and is the same on every machine; float32, which is several times faster, only says
where to look.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.problems import EmbeddingError, Problem, Reason

Half = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_NORM_TOLERANCE = 2e-3  # rounding to float16 changes a length by less than 5e-4
_ROWS_PER_BLOCK = 8192


def check_vectors(vectors: npt.NDArray[Any], place: str) -> None:
    """Refuse an array that is not (n, d) float16 with rows of length 1.

    Args:
        vectors: The array.
        place: Where it comes from, for the message.

    Raises:
        EmbeddingError: It is empty, of another type or shape, or a row is not finite or not of length 1.
    """
    if vectors.ndim != 2 or vectors.dtype != np.float16:
        raise EmbeddingError(
            _problem(
                "embeddings must be a table of float16 numbers, one row per image",
                place,
                f"{vectors.dtype} {vectors.shape}",
            )
        )
    if not vectors.size:
        raise EmbeddingError(_problem("there are no embeddings", place, f"{vectors.shape}"))
    lengths = np.concatenate([_lengths(vectors[rows]) for rows in blocks_of(len(vectors))])
    problems = list(_check_lengths(lengths, place))
    if problems:
        raise EmbeddingError(problems)


def check_queries(queries: npt.NDArray[Any], dim: int) -> Float32:
    """Return query vectors as (q, d) float32, which is what an index is multiplied with.

    A float64 query would have numpy convert the whole index for every search: 15 times slower.

    Args:
        queries: (d,) or (q, d) floating-point numbers, each vector of length 1.
        dim: The index's d.

    Raises:
        EmbeddingError: The type, the dimension or a length is another, or a number is not finite.
    """
    place = "query"
    if queries.ndim not in (1, 2) or queries.shape[-1] != dim:
        message = f"the query must have as many numbers as an embedding of this table: {dim}"
        raise EmbeddingError(_problem(message, place, f"{queries.shape}", "use the model of the table"))
    if not np.issubdtype(queries.dtype, np.floating):
        raise EmbeddingError(_problem("a query is floating-point numbers", place, f"{queries.dtype}"))
    rows = np.atleast_2d(queries).astype(np.float32)
    problems = list(_check_lengths(_lengths(rows), place))
    if problems:
        raise EmbeddingError(problems)
    return rows


def blocks_of(num_rows: int, size: int = _ROWS_PER_BLOCK) -> Iterator[slice]:
    """Cut rows into blocks, the last of which may be shorter."""
    for start in range(0, num_rows, size):
        yield slice(start, min(start + size, num_rows))


def exact_dots(left: npt.NDArray[Any], right: npt.NDArray[Any], pairs: tuple[Rows, Rows]) -> Float64:
    """Multiply row by row in float64: exact where both are float16.

    Args:
        left: (n, d) vectors.
        right: (m, d) vectors.
        pairs: Rows of `left`, and as many rows of `right`.

    Returns:
        (p,) dot products.
    """
    dots = np.empty(len(pairs[0]), np.float64)
    for block in blocks_of(len(dots)):
        rows, others = left[pairs[0][block]], right[pairs[1][block]]
        dots[block] = np.einsum("ij,ij->i", rows.astype(np.float64), others.astype(np.float64))
    return dots


def rounding_margin(dim: int) -> float:
    """Bound how far a float32 dot product of two unit vectors is from the exact one.

    The usual bound d * 2**-24 of recursive summation, and a little more for vectors that are not quite unit.
    """
    return 1.01 * (dim + 8) * 2.0**-24


def _lengths(vectors: npt.NDArray[Any]) -> Float32:
    rows = vectors.astype(np.float32)
    # A length is finite only where every number is: the square of a float16 cannot overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: Float32 = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return lengths


def _check_lengths(lengths: Float32, place: str) -> Iterator[Problem]:
    broken = np.flatnonzero(~np.isfinite(lengths))
    if broken.size:
        yield _problem(
            f"vectors with numbers that are not finite: {broken.size:,}, the first in row {broken[0]:,}",
            place,
        )
    other = np.flatnonzero(np.isfinite(lengths) & (np.abs(lengths - 1) > _NORM_TOLERANCE))
    if other.size:
        yield _problem(
            f"vectors that are not of length 1: {other.size:,}, the first in row {other[0]:,}",
            place,
            f"{lengths[other[0]]:.4f}",
        )


def to_half(numbers: npt.NDArray[Any], place: str) -> Half:
    """Return the numbers of a file as float16, which they were before they were written as float32.

    Raises:
        EmbeddingError: A number is not one that float16 has.
    """
    with np.errstate(over="ignore"):
        half: Half = numbers.astype(np.float16)
    if not np.array_equal(half.astype(numbers.dtype), numbers, equal_nan=True):
        raise EmbeddingError(_problem("an embedding has numbers with more digits than float16", place))
    return half


def split_group(group: pa.Table, dim: int, place: str) -> tuple[pa.Array, Half]:
    """Return the ids and the (n, d) vectors of one row group.

    Args:
        group: Its columns `image_id` and `embedding`.
        dim: The embeddings' d.
        place: Where it comes from, for the message.

    Raises:
        EmbeddingError: Something is null, or is no number that float16 has.
    """
    ids, lists = (group[name].combine_chunks() for name in ("image_id", "embedding"))
    values = lists.flatten()
    if ids.null_count or lists.null_count or values.null_count:
        raise EmbeddingError(_problem("an image id or an embedding is null", place))
    return ids, to_half(values.to_numpy(), place).reshape(-1, dim)


def _problem(
    message: str, place: str = "", value: str | None = None, fix: str = "compute the embeddings again"
) -> Problem:
    return Problem(Reason.EMBEDDING, message, file=place, value=value, fix=fix)
