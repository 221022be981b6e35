"""All pairs in blocks give what all pairs give one by one."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from benchmarks.vectors import make_vectors
from builders.features import likeness
from builders.features.likeness import compare_embeddings, compare_hashes, join_groups, members_of
from builders.features.vectors import Float32, Half, Rows
from builders.images.hashes import HASH_BITS, Hashes, pack_hashes
from schemas.problems import EmbeddingError
from tests.builders.features.test_vectors import unit_vectors

LADDER = (0.5, 0.8, 0.9, 0.99)


@pytest.fixture(params=[(7, 1, 3, 2), (4096, 8, 512, 20_000)], ids=["small blocks", "large blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the pairs into blocks so small that few rows need many of them."""
    size, first, at_once, edges = request.param
    monkeypatch.setattr(likeness, "_VECTORS_PER_BLOCK", size)
    monkeypatch.setattr(likeness, "_HASHES_PER_BLOCK", size)
    monkeypatch.setattr(likeness, "_FIRST_ROWS", first)
    monkeypatch.setattr(likeness, "_ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(likeness, "_EDGES_KEPT", edges)


def clustered(count: int, dim: int, num_clusters: int, seed: int) -> Half:
    """Draw vectors near a few others, some of them equal."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((num_clusters, dim))[rng.integers(0, num_clusters, count)]
    vectors += rng.standard_normal((count, dim)) * rng.choice([0.0, 0.1, 0.5], (count, 1))
    vectors[:, 0] += 1e-3
    unit: Half = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return unit


def grouped(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Group by walking from each row to all that it leads to, and name groups by their first row."""
    neighbours: dict[int, set[int]] = {row: set() for row in range(count)}
    for left, right in pairs:
        neighbours[left].add(right)
        neighbours[right].add(left)
    groups = [-1] * count
    for row in range(count):
        waiting = [row] if groups[row] < 0 else []
        while waiting:
            one = waiting.pop()
            if groups[one] < 0:
                groups[one] = row
                waiting += neighbours[one]
    return groups


def alike(count: int, scores: dict[tuple[int, int], float], threshold: float) -> list[int]:
    return grouped(count, [pair for pair, score in scores.items() if score >= threshold])


@pytest.mark.usefixtures("blocks")
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(2, 40),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.floats(0.5, 0.9999),
)
def test_blocks_find_what_brute_force_finds(
    count: int, dim: int, clusters: int, seed: int, threshold: float
) -> None:
    vectors = clustered(count, dim, clusters, seed)
    wide = vectors.astype(np.float64)
    scores = {
        pair: float(np.dot(wide[pair[0]], wide[pair[1]])) for pair in itertools.combinations(range(count), 2)
    }
    found = compare_embeddings(vectors, threshold, LADDER)
    assert found.groups.tolist() == alike(count, scores, threshold)
    for rung in found.ladder:
        groups = alike(count, scores, rung.threshold)
        sizes = [groups.count(group) for group in set(groups)]
        assert (rung.num_images, rung.num_groups) == (
            sum(size for size in sizes if size > 1),
            sum(size > 1 for size in sizes),
        )
    assert [rung.threshold for rung in found.ladder] == sorted({*LADDER, threshold})
    for row in range(count):
        nearest = max((score for pair, score in scores.items() if row in pair), default=-1.0)
        tolerance = 0.0 if found.is_grouped[row] else 1e-5
        assert abs(found.nearest[row] - np.float32(nearest)) <= tolerance


@pytest.mark.usefixtures("blocks")
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_hashes_are_grouped_by_brute_force_too(count: int, distance: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (4, 256))[rng.integers(0, 4, count)]
    bits ^= rng.random((count, 256)) < rng.choice([0, 0.02, 0.1], (count, 1))
    bits[:, 0] = 0
    distances = {
        (left, right): int((bits[left] != bits[right]).sum())
        for left, right in itertools.combinations(range(count), 2)
    }
    found = compare_hashes(_packed(bits), distance)
    assert found.groups.tolist() == grouped(
        count, [pair for pair, apart in distances.items() if apart <= distance]
    )
    for row in range(count):
        nearest = min((apart for pair, apart in distances.items() if row in pair), default=HASH_BITS)
        assert HASH_BITS - found.nearest[row] == nearest


def _packed(bits: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Hashes:
    return pack_hashes([np.packbits(row).tobytes() for row in bits.astype(np.uint8)])


def test_images_that_are_all_alike_are_one_group() -> None:
    vectors = np.repeat(unit_vectors(1, 16), 1500, axis=0)
    found = compare_embeddings(vectors, 0.9)
    assert not found.groups.any()
    assert {(rung.num_images, rung.num_groups) for rung in found.ladder} == {(1500, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("cosine", [0.55, 0.8, 0.9])
def test_however_narrow_the_cone_few_pairs_are_looked_at_one_by_one(
    cosine: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, looked_at = 3000, [0]
    link = likeness._Linker._link

    def note_and_link(linker: likeness._Linker, left: Rows, right: Rows, scores: Float32) -> None:
        looked_at[0] += len(left)
        link(linker, left, right, scores)

    monkeypatch.setattr(likeness._Linker, "_link", note_and_link)
    monkeypatch.setattr(likeness, "_VECTORS_PER_BLOCK", 1024)
    vectors = np.array(make_vectors(tmp_path / "vectors.npy", count, 128, cosine))
    found = compare_embeddings(vectors, 0.95)
    assert looked_at[0] < 0.05 * count * count / 2
    exact = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.fill_diagonal(exact, -1)
    assert exact[np.triu_indices(count, 1)].mean() == pytest.approx(cosine, abs=0.02)
    for rung in found.ladder:
        _, numbers = connected_components(exact >= rung.threshold, directed=False)
        sizes = np.bincount(numbers)
        assert (rung.num_images, rung.num_groups) == (sizes[sizes > 1].sum(), (sizes > 1).sum())
    np.testing.assert_array_equal(
        found.nearest[found.is_grouped], exact.max(axis=1)[found.is_grouped].astype(np.float32)
    )


def test_the_order_of_rows_does_not_change_what_is_published() -> None:
    vectors = clustered(900, 64, 300, 1)
    order = np.random.default_rng(2).permutation(900)
    found, again = compare_embeddings(vectors, 0.97), compare_embeddings(vectors[order], 0.97)
    assert found.is_grouped.sum() > 100
    np.testing.assert_array_equal(found.is_grouped[order], again.is_grouped)
    # to the last bit: sums in another order are the same
    np.testing.assert_array_equal(found.nearest[order][again.is_grouped], again.nearest[again.is_grouped])
    assert found.ladder == again.ladder


def test_the_histogram_counts_every_image_by_its_nearest() -> None:
    found = compare_embeddings(clustered(200, 32, 50, 3), 0.95)
    counts = found.histogram((-1.01, 0.5, 0.95, 1.01))
    assert sum(counts) == 200
    assert counts[2] == found.is_grouped.sum()


def test_vectors_are_checked() -> None:
    with pytest.raises(EmbeddingError, match="not of length 1"):
        compare_embeddings(unit_vectors(5) * np.float16(2), 0.9)


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups_are_joined_bit_by_bit(count: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(left % count, right % count) for left, right in pairs]
    groups = np.arange(count)
    for start in range(0, len(pairs), 7):
        part = np.array(pairs[start : start + 7], np.int64)
        groups = join_groups(groups, part[:, 0], part[:, 1])
    assert groups.tolist() == grouped(count, pairs)
    members = [rows.tolist() for rows in members_of(groups)]
    assert members == [
        [row for row in range(count) if groups[row] == group]
        for group in range(count)
        if (groups == group).sum() > 1
    ]
