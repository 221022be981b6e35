"""Embeddings are read whole or refused, with every reason."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.features.vectors import Half
from builders.release.embeddings import EmbeddingTable
from schemas.features import PROVENANCE_KEY
from schemas.problems import EmbeddingError

DIM = 8
IDS = [f"{number:016x}" for number in range(10)]


def unit_vectors(count: int, dim: int = DIM, seed: int = 0) -> Half:
    """Draw vectors of length 1."""
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    unit: Half = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return unit


def write_shard(
    path: Path, ids: Sequence[str | None], vectors: npt.NDArray[Any], provenance: object = "one"
) -> Path:
    """Write a file of embeddings as a release has them, two row groups and more."""
    numbers = vectors.astype(np.float32) if vectors.dtype == np.float16 else vectors
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), vectors.shape[1])
    table = pa.table({"image_id": pa.array(ids, pa.string()), "embedding": lists})
    if provenance is not None:
        table = table.replace_schema_metadata({PROVENANCE_KEY: json.dumps(provenance)})
    pq.write_table(table, path, row_group_size=3)
    return path


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    vectors = unit_vectors(10)
    order = [7, 2, 9, 0, 1, 3, 8, 4, 6, 5]
    paths = [
        write_shard(tmp_path / "a.parquet", [IDS[row] for row in order[:6]], vectors[order[:6]]),
        write_shard(tmp_path / "b.parquet", [IDS[row] for row in order[6:]], vectors[order[6:]]),
    ]
    table = EmbeddingTable.read(paths, IDS)
    np.testing.assert_array_equal(table.vectors, vectors)
    assert table.vectors.dtype == np.float16
    assert table.provenance == '"one"'
    assert table.image_ids == IDS


def test_rows_that_do_not_fit_the_release_are_all_named(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.parquet", [*IDS[:4], IDS[1], "f" * 16, "e" * 16], unit_vectors(7))
    with pytest.raises(EmbeddingError) as caught:
        EmbeddingTable.read([path], IDS)
    unknown, double, missing = map(str, caught.value.problems)
    assert "2 images have an embedding but are not in the release" in unknown
    assert "ffffffffffffffff, eeeeeeeeeeeeeeee" in unknown
    assert "1 images have several embeddings" in double
    assert IDS[1] in double
    assert "6 images have no embedding" in missing
    assert f"{IDS[4]}, {IDS[5]}, {IDS[6]}, …" in missing


def test_different_provenance_is_refused(tmp_path: Path) -> None:
    for other in ("two", None):
        paths = [
            write_shard(tmp_path / "a.parquet", IDS[:5], unit_vectors(5)),
            write_shard(tmp_path / "b.parquet", IDS[5:], unit_vectors(5), other),
        ]
        with pytest.raises(
            EmbeddingError, match=r"^b\.parquet: mixing tables of different provenance is refused"
        ):
            EmbeddingTable.read(paths, IDS)


def test_every_file_that_is_not_one_of_embeddings_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 but not really PAR1")
    double = write_shard(tmp_path / "double.parquet", IDS[5:], unit_vectors(5).astype(np.float64))
    good = write_shard(tmp_path / "good.parquet", IDS[:5], unit_vectors(5))
    wide = write_shard(tmp_path / "wide.parquet", IDS[5:], unit_vectors(5, DIM + 1))
    missing = tmp_path / "missing.parquet"
    with pytest.raises(EmbeddingError) as caught:
        EmbeddingTable.read([broken, double, good, wide, missing], IDS)
    places = [problem.file for problem in caught.value.problems]
    assert places == ["broken.parquet", "double.parquet", "wide.parquet", "missing.parquet"]
    assert all(problem.fix for problem in caught.value.problems)


def test_a_file_damaged_behind_its_footer_is_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.parquet", IDS, unit_vectors(10))
    data = bytearray(path.read_bytes())
    data[4:300] = bytes(296)
    path.write_bytes(data)
    with pytest.raises(EmbeddingError, match=r"a\.parquet"):
        EmbeddingTable.read([path], IDS)


def test_numbers_with_more_digits_than_float16_are_refused(tmp_path: Path) -> None:
    vectors = unit_vectors(10).astype(np.float32)
    vectors[3, 3] = np.nextafter(vectors[3, 3], np.float32(1))
    path = write_shard(tmp_path / "a.parquet", IDS, vectors)
    with pytest.raises(EmbeddingError, match=r"a\.parquet: .* more digits than float16"):
        EmbeddingTable.read([path], IDS)


def test_nulls_are_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.parquet", [None, *IDS[1:]], unit_vectors(10))
    with pytest.raises(EmbeddingError, match="null"):
        EmbeddingTable.read([path], IDS)


@pytest.mark.parametrize(("paths", "ids"), [([], IDS), ([Path("a.parquet")], [])])
def test_nothing_to_read_is_refused(paths: list[Path], ids: list[str]) -> None:
    with pytest.raises(EmbeddingError, match="there are no"):
        EmbeddingTable.read(paths, ids)
