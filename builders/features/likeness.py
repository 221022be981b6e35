"""How alike images are: all pairs compared, exactly, in memory that does not grow with the number of pairs.

Two measures, each in one pass over the blocks on and above the diagonal of the table of all pairs: the
cosine similarity of embeddings, and the number of equal bits of perceptual hashes. Pairs are not kept: what
is needed of them is which images hang together at each threshold, and how near the nearest is to each image.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from builders.features.vectors import (
    Float32,
    Float64,
    Half,
    Rows,
    blocks_of,
    check_vectors,
    exact_dots,
    rounding_margin,
)
from builders.images.hashes import HASH_BITS, Hashes, equal_bits
from builders.parallel import IN_THREADS, Threads

# Thresholds of the figure that helps to choose one.
LADDER = (*(round(0.80 + 0.01 * step, 2) for step in range(20)), 0.995, 0.999)

_VECTORS_PER_BLOCK = 4096  # 64 MB of similarities
_HASHES_PER_BLOCK = 512
_ROWS_AT_ONCE = 512  # of a block, when its near pairs are listed: there may be as many as pairs
_FIRST_ROWS = 8  # and at first, since these may tell that most of the others say nothing more
_EDGES_KEPT = 20_000

_Block = tuple[int, int, npt.NDArray[Any]]  # first row, first column, scores of all their pairs


@dataclass(frozen=True, slots=True)
class Rung:
    """How many images have a near-duplicate at a threshold, and how many groups they form."""

    threshold: float
    num_images: int
    num_groups: int


@dataclass(frozen=True, slots=True)
class Likeness:
    """What all pairs say of each image.

    Attributes:
        nearest: (n,) float32 score of the image most like each: cosine similarity, or equal bits; the lowest
            score there is where there is no other image.
        groups: (n,) row of the first image of each image's group, which is its own row if it is alone.
        ladder: What each threshold gives, from the lowest; the chosen one is among them.
    """

    nearest: Float32
    groups: Rows
    ladder: tuple[Rung, ...]

    @property
    def is_grouped(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each image is in a group with others."""
        return _group_sizes(self.groups) > 1

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """Count images by the score of the nearest; a bin has its lower edge, and the last one both."""
        return [int(count) for count in np.histogram(self.nearest, np.asarray(edges))[0]]


def compare_embeddings(vectors: Half, threshold: float, ladder: Sequence[float] = LADDER) -> Likeness:
    """Compare all pairs of embeddings by cosine similarity.

    Groups, ladder and the similarities of grouped images are those of exact dot products of the stored
    vectors, whatever the machine; `nearest` of the other images is rounded as float32 sums are.

    Args:
        vectors: (n, d) float16, each row of length 1.
        threshold: Least similarity of a near-duplicate.
        ladder: More thresholds to count images and groups at.

    Raises:
        EmbeddingError: The vectors are not that.
    """
    check_vectors(vectors, "embeddings")
    linker = _Linker(
        len(vectors),
        {*ladder, threshold},
        lowest=-1,
        margin=rounding_margin(vectors.shape[1]),
        exact=lambda left, right: exact_dots(vectors, vectors, (left, right)),
    )
    for block in _similarity_blocks(vectors):
        linker.add(block)
    likeness = linker.finish(threshold)
    for members in members_of(likeness.groups):
        likeness.nearest[members] = _nearest_within(vectors[members])
    return likeness


def compare_hashes(hashes: Hashes, distance: int, threads: Threads = IN_THREADS.threads) -> Likeness:
    """Compare all pairs of perceptual hashes.

    Args:
        hashes: (n, 4) uint64, from `pack_hashes`.
        distance: Most bits in which near-duplicates differ.
        threads: Compare blocks of hashes side by side.

    Returns:
        The likeness in equal bits, 0 to 255.
    """
    threshold = HASH_BITS - distance
    linker = _Linker(len(hashes), {threshold}, lowest=0)
    for block in _bit_blocks(hashes, threads):
        linker.add(block)
    return linker.finish(threshold)


def join_groups(groups: Rows, left: Rows, right: Rows) -> Rows:
    """Unite groups that new pairs tie together.

    Args:
        groups: (n,) row of the first image of each image's group.
        left: (p,) rows.
        right: (p,) rows: each is alike the one at its place in `left`.

    Returns:
        The groups with these pairs, in the same form.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - as above

    left, right = groups[left], groups[right]
    apart = left != right
    left, right = left[apart], right[apart]
    # A graph of the groups that are tied, not of all rows: pairs come in many small batches.
    is_tied = np.zeros(len(groups), np.bool_)
    is_tied[left] = is_tied[right] = True
    tied = np.flatnonzero(is_tied)
    edges = (np.ones(len(left), np.int8), (np.searchsorted(tied, left), np.searchsorted(tied, right)))
    _, numbers = connected_components(coo_array(edges, shape=(len(tied), len(tied))), directed=False)
    _, first = np.unique(numbers, return_index=True)
    joined = np.arange(len(groups))
    joined[tied] = tied[first[numbers]]
    return joined[groups]


def members_of(groups: Rows) -> list[Rows]:
    """List the rows of each group of two or more, by their first rows."""
    rows = np.flatnonzero(_group_sizes(groups) > 1)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1) if rows.size else []


def _group_sizes(groups: Rows) -> Rows:
    sizes: Rows = np.bincount(groups, minlength=len(groups))[groups]
    return sizes


class _Linker:
    """Takes the scores of all pairs, block by block; a higher score is more alike.

    Args:
        num_rows: How many rows are compared.
        thresholds: Groups are kept for each.
        lowest: The lowest score there is.
        margin: How far a score in a block can be from the exact one.
        exact: Gives exact scores; asked only where the margin leaves open which thresholds a pair reaches.
    """

    def __init__(
        self,
        num_rows: int,
        thresholds: set[float],
        *,
        lowest: int,
        margin: float = 0.0,
        exact: Callable[[Rows, Rows], Float64] | None = None,
    ) -> None:
        self._thresholds = np.array(sorted(thresholds), np.float64)
        self._groups = np.tile(np.arange(num_rows), (len(thresholds), 1))
        self._nearest = np.full(num_rows, lowest, np.float32)
        self._lowest, self._margin, self._exact = lowest, margin, exact
        self._edges: list[tuple[Rows, Rows, Rows]] = []  # left, right, index of the highest threshold reached
        self._num_edges = 0
        # Images below their bar are not compared: at mean cosines of 0.8 to 0.85 listing all pairs took 4 to
        # 10 times the products; with bars 1.26 times (24,000 vectors).
        self._bars = self._find_bars()

    def add(self, block: _Block) -> None:
        """Take the scores of all pairs of some rows with some columns; the array is not kept."""
        first, second, scores = block
        if first == second:
            np.fill_diagonal(scores, self._lowest)
        nearest = scores.max(axis=1)
        for start, values in ((first, nearest), (second, scores.max(axis=0))):
            part = self._nearest[start : start + len(values)]
            np.maximum(part, values, out=part)
        columns = slice(second, second + scores.shape[1])
        if nearest.max() < min(self._bars[first : first + len(scores)].min(), self._bars[columns].min()):
            return
        for rows in _growing_blocks(len(scores)):
            # Looked up again: what has been joined since tells that many pairs say nothing more.
            own = self._bars[first + rows.start : first + rows.stop]
            others = self._bars[columns]
            near = np.flatnonzero(nearest[rows] >= np.minimum(own, others.min()))
            if near.size:
                part = scores[rows.start + near]
                is_near = part >= np.minimum(own[near, None], others)
                left, right = np.divmod(np.flatnonzero(is_near), part.shape[1])
                self._link(first + rows.start + near[left], second + right, part[left, right])

    def finish(self, threshold: float) -> Likeness:
        """Summarise all compared pairs, with the groups at one threshold."""
        self._join()
        ladder = []
        for step, groups in zip(self._thresholds, self._groups, strict=True):
            is_grouped = _group_sizes(groups) > 1
            num_groups = len(np.unique(groups[is_grouped]))
            ladder.append(Rung(float(step), int(is_grouped.sum()), num_groups))
        chosen = int(np.searchsorted(self._thresholds, threshold))
        return Likeness(self._nearest, self._groups[chosen].copy(), tuple(ladder))

    def _link(self, left: Rows, right: Rows, scores: npt.NDArray[Any]) -> None:
        """Keep the pairs that tell something: those that are not in one group already at all they reach."""
        scores = scores.astype(np.float64)
        reached = self._reached(scores + self._margin)
        new = np.flatnonzero(self._groups[reached, left] != self._groups[reached, right])
        left, right, scores, reached = left[new], right[new], scores[new], reached[new]
        if self._exact is not None:
            open_ = np.flatnonzero(reached != self._reached(scores - self._margin))
            reached[open_] = self._reached(self._exact(left[open_], right[open_]))
        if left.size:
            self._edges.append((left, right, reached))
            self._num_edges += len(left)
        if self._num_edges > _EDGES_KEPT:
            self._join()

    def _reached(self, scores: Float64) -> Rows:
        """Return the index of the highest threshold that each score reaches, or -1."""
        return np.searchsorted(self._thresholds, scores, side="right") - 1

    def _join(self) -> None:
        if not self._edges:
            return
        left, right, reached = (np.concatenate(parts) for parts in zip(*self._edges, strict=True))
        # From the highest threshold: what hangs together there does so at all lower ones.
        rows = above = np.arange(self._groups.shape[1])
        for step in range(len(self._thresholds))[::-1]:
            edges = reached == step
            pairs = (np.concatenate(sides) for sides in ((rows, left[edges]), (above, right[edges])))
            above = self._groups[step] = join_groups(self._groups[step], *pairs)
        self._edges, self._num_edges = [], 0
        self._bars = self._find_bars()

    def _find_bars(self) -> Float32:
        """Return (n,) scores: a pair that reaches neither image's ties together what is in one group already.

        In a narrow cone nearly all pairs reach the low thresholds, and nearly all images hang together there
        after the first block. Of two images in that one group it only matters whether they reach a threshold
        at which one of them is not in it yet.
        """
        inside = np.ones(self._groups.shape[1], np.bool_)
        steps = np.zeros(len(inside), np.int64)  # thresholds at which each is in it
        for groups in self._groups:
            inside &= groups == np.bincount(groups[inside], minlength=1).argmax()
            steps[inside] += 1
        bars = np.append(self._thresholds, np.inf)[steps] - self._margin
        return np.nextafter(bars.astype(np.float32), np.float32(-np.inf))


def _similarity_blocks(vectors: Half) -> Iterator[_Block]:
    """Yield float32 similarities of all pairs, each block in the same memory."""
    rows = vectors.astype(np.float32)
    memory = np.empty(min(_VECTORS_PER_BLOCK, len(rows)) ** 2, np.float32)
    for left, right in _triangle(len(rows), _VECTORS_PER_BLOCK):
        shape = (left.stop - left.start, right.stop - right.start)
        scores = memory[: shape[0] * shape[1]].reshape(shape)
        np.matmul(rows[left], rows[right].T, out=scores)
        yield left.start, right.start, scores


def _bit_blocks(hashes: Hashes, threads: Threads) -> Iterator[_Block]:
    """Yield how many bits of all pairs are equal."""

    def count(pair: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        return equal_bits(hashes[pair[0]], hashes[pair[1]])

    for (left, right), scores in threads.map_ordered(count, _triangle(len(hashes), _HASHES_PER_BLOCK)):
        yield left.start, right.start, scores


def _growing_blocks(num_rows: int) -> Iterator[slice]:
    """Cut rows into blocks, each twice as large as the one before until they are large enough."""
    start, size = 0, _FIRST_ROWS
    while start < num_rows:
        yield slice(start, min(start + size, num_rows))
        start, size = start + size, min(2 * size, _ROWS_AT_ONCE)


def _triangle(num_rows: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield the blocks on and above the diagonal."""
    return itertools.combinations_with_replacement(blocks_of(num_rows, size), 2)


def _nearest_within(vectors: Half) -> Float32:
    """Find the exact similarity of each vector's nearest among some; that of an image is in its group."""
    nearest = np.full(len(vectors), -1.0)
    for left, right in _triangle(len(vectors), _VECTORS_PER_BLOCK // 2):
        scores = vectors[left].astype(np.float64) @ vectors[right].astype(np.float64).T
        if left == right:
            np.fill_diagonal(scores, -1)
        for rows, values in ((left, scores.max(axis=1)), (right, scores.max(axis=0))):
            nearest[rows] = np.maximum(nearest[rows], values)
    return nearest.astype(np.float32)
