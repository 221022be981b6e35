"""Embeddings: arrays of unit vectors, and the Parquet files of a release that hold them.

Vectors are stored as float16. The product of two float16 numbers is a multiple of 2**-48, and a sum of such
products that stays below 2 has fewer than 53 bits: so dot products of stored vectors are exact in float64, in
any order of summation. What is compared with a threshold, or published, is computed so, and is the same on
every machine; float32, which is several times faster, only says where to look.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.features import PROVENANCE_KEY
from schemas.problems import EmbeddingError, Problem, Reason

Half = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_NORM_TOLERANCE = 2e-3  # rounding to float16 changes a length by less than 5e-4
_ROWS_PER_BLOCK = 8192
_SHOWN_IDS = 3


@dataclass(frozen=True, slots=True)
class EmbeddingTable:
    """The embeddings of a release's images.

    Attributes:
        image_ids: The images, in the order of the rows.
        vectors: (n, d) float16, each row of length 1.
        provenance: What the files say of how they were made, as JSON; None where they say nothing.
    """

    image_ids: Sequence[str]
    vectors: Half
    provenance: str | None

    @classmethod
    def read(cls, paths: Sequence[Path], image_ids: Sequence[str]) -> "EmbeddingTable":
        """Read shards with the columns `image_id` and `embedding` (fixed-size list of float16).

        Memory is that of the result (126 MB for 122,726 x 512) and of one row group.

        Args:
            paths: The shards.
            image_ids: Ids of the images that must be there, each once; the result is in their order.

        Raises:
            EmbeddingError: A file cannot be read, has other columns, another dimension or another provenance
                than the first; images are missing, unknown or there twice; vectors are not finite or not of
                length 1.
        """
        if not paths or not image_ids:
            missing = "files" if not paths else "images"
            raise EmbeddingError(_problem(f"there are no {missing}, so there is nothing to compare"))
        dim, provenance = _read_headers(paths)
        vectors = np.zeros((len(image_ids), dim), np.float16)
        expected = pa.array(image_ids, pa.string())
        seen = np.zeros(len(image_ids), np.int64)
        unknown: list[str] = []
        for ids, block in (group for path in paths for group in read_groups(path, dim)):
            places = pc.index_in(ids, value_set=expected)
            unknown += ids.filter(pc.is_null(places)).to_pylist()
            is_known = places.is_valid().to_numpy(zero_copy_only=False)
            rows = places.drop_null().to_numpy()
            np.add.at(seen, rows, 1)
            vectors[rows] = block[is_known]
        problems = [
            *_list_ids(unknown, "have an embedding but are not in the release"),
            *_list_ids(
                [image_ids[row] for row in np.flatnonzero(seen > 1).tolist()], "have several embeddings"
            ),
            *_list_ids([image_ids[row] for row in np.flatnonzero(seen == 0).tolist()], "have no embedding"),
        ]
        if problems:
            raise EmbeddingError(problems)
        check_vectors(vectors, f"{paths[0].parent.name}/")
        return cls(image_ids, vectors, provenance)


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


def _read_headers(paths: Sequence[Path]) -> tuple[int, str | None]:
    """Read from the footers what all shards must agree on: the dimension and the provenance."""
    problems: list[Problem] = []
    headers: list[tuple[int, str | None]] = []
    for path in paths:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            problems.append(_unreadable(path, error))
            continue
        names: dict[str, pa.DataType] = {field.name: field.type for field in schema}
        vector = names.get("embedding", pa.null())
        is_vector = pa.types.is_fixed_size_list(vector) and pa.types.is_float16(vector.value_type)
        if not is_vector or not pa.types.is_string(names.get("image_id", pa.null())):
            problems.append(
                _problem(
                    "a file of embeddings has the columns image_id (string) and embedding (list of a fixed "
                    "number of float16)",
                    path.name,
                    ", ".join(f"{name}: {kind}" for name, kind in names.items()),
                )
            )
            continue
        text = (schema.metadata or {}).get(PROVENANCE_KEY)
        headers.append((vector.list_size, text.decode("utf-8", "backslashreplace") if text else None))
        problems += _compare_headers(path, headers[0], headers[-1])
    if problems:
        raise EmbeddingError(problems)
    return headers[0]


def _compare_headers(path: Path, first: tuple[int, str | None], own: tuple[int, str | None]) -> list[Problem]:
    if own[0] != first[0]:
        message = f"this file's embeddings have another dimension than the first file's {first[0]}"
        return [_problem(message, path.name, str(own[0]))]
    if own[1] != first[1]:
        message = "mixing tables of different provenance is refused: the first file says another"
        return [_problem(message, path.name, own[1])]
    return []


def read_groups(path: Path, dim: int) -> Iterator[tuple[pa.Array, Half]]:
    """Yield the ids and the (n, d) vectors of each row group of a shard.

    Raises:
        EmbeddingError: The file cannot be read, or something is null.
    """
    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number, ["image_id", "embedding"])
                ids, lists = (group[name].combine_chunks() for name in ("image_id", "embedding"))
                values = lists.flatten()
                if ids.null_count or lists.null_count or values.null_count:
                    raise EmbeddingError(_problem("an image id or an embedding is null", path.name))
                yield ids, values.to_numpy().reshape(-1, dim)
    except (pa.ArrowException, OSError) as error:
        raise EmbeddingError(_unreadable(path, error)) from error


def _list_ids(ids: Sequence[str], what: str) -> Iterator[Problem]:
    if ids:
        shown = ", ".join(ids[:_SHOWN_IDS]) + (", …" if len(ids) > _SHOWN_IDS else "")
        yield _problem(f"{len(ids):,} images {what}", value=shown)


def _unreadable(path: Path, error: Exception) -> Problem:
    return _problem(f"this is not a Parquet file that can be read: {type(error).__name__}", path.name)


def _problem(
    message: str, place: str = "", value: str | None = None, fix: str = "compute the embeddings again"
) -> Problem:
    return Problem(Reason.EMBEDDING, message, file=place, value=value, fix=fix)
