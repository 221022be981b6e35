"""Measure how long one query takes, beside other ways to search the same vectors.

Everything runs in one process, in turn, query by query, after a first query that is not timed; times are
medians. Each way finds the ten most similar vectors.

- kit: `SearchIndex`, which also checks the query and orders by exact similarity.
- numpy float32: (n, d) vectors times the query, then a partial sort.
- numpy, float64 query: the same with a query that is not float32: numpy converts all vectors each time.
- numpy float16: the same with the vectors as they are on disk.
- faiss flat: `IndexFlatIP`, exact, too; left out if faiss is not installed.
- faiss HNSW: approximate; `recall` says how many of the ten it finds. Left out if `--hnsw` is not given.

    python benchmarks/search.py --images 122726 --dim 512
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.options import positive
from benchmarks.vectors import make_vectors
from builders.features.search import SearchIndex

K = 10
_Vector = npt.NDArray[np.float32]
_Search = Callable[[_Vector], Sequence[int]]


def _kit(vectors: npt.NDArray[np.float16]) -> _Search:
    index = SearchIndex(vectors)
    return lambda query: index.search(query, K).rows.tolist()


def _top(scores: npt.NDArray[Any]) -> list[int]:
    best = np.argpartition(scores, -K)[-K:]
    return [int(row) for row in best[np.argsort(-scores[best])]]


def _numpy32(vectors: npt.NDArray[np.float16]) -> _Search:
    wide = vectors.astype(np.float32)
    return lambda query: _top(wide @ query)


def _numpy64(vectors: npt.NDArray[np.float16]) -> _Search:
    wide = vectors.astype(np.float32)
    return lambda query: _top(wide @ query.astype(np.float64))


def _numpy16(vectors: npt.NDArray[np.float16]) -> _Search:
    return lambda query: _top(vectors @ query.astype(np.float16))


def _faiss(vectors: npt.NDArray[np.float16], factory: str) -> _Search:
    import faiss  # noqa: PLC0415 - not one of the kit's libraries

    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors.astype(np.float32))
    return lambda query: [int(row) for row in index.search(query[None], K)[1][0]]


_WAYS: Mapping[str, Callable[[npt.NDArray[np.float16]], _Search]] = {
    "kit": _kit,
    "numpy float32": _numpy32,
    "numpy, float64 query": _numpy64,
    "numpy float16": _numpy16,
    "faiss flat": lambda vectors: _faiss(vectors, "Flat"),
    "faiss HNSW": lambda vectors: _faiss(vectors, "HNSW32"),
}


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    names = list(_WAYS)[: 4 if importlib.util.find_spec("faiss") is None else 6 if options.hnsw else 5]
    with tempfile.TemporaryDirectory() as work:
        vectors = np.array(make_vectors(Path(work) / "vectors.npy", options.images, options.dim))
    queries = _make_queries(vectors, options.queries + 1)
    ways, built = {}, {}
    for name in names:
        start = time.perf_counter()
        ways[name] = _WAYS[name](vectors)
        built[name] = time.perf_counter() - start
    seconds: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, list[Sequence[int]]] = {name: [] for name in names}
    for query in queries:
        for name, search in ways.items():
            start = time.perf_counter()
            rows = search(query)
            seconds[name].append(time.perf_counter() - start)
            found[name].append(rows)
    _show(options, seconds, found, built)
    return 0


def _make_queries(vectors: npt.NDArray[np.float16], count: int) -> npt.NDArray[np.float32]:
    """Make vectors that are as far from all others as a text's embedding is from images'."""
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((count, vectors.shape[1])).astype(np.float32) * 0.1
    queries += vectors[rng.integers(0, len(vectors), count)]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return queries


def _show(
    options: argparse.Namespace,
    seconds: Mapping[str, Sequence[float]],
    found: Mapping[str, Sequence[Sequence[int]]],
    built: Mapping[str, float],
) -> None:
    title = f"{options.images:,} x {options.dim}, {options.queries} queries, {os.cpu_count()} cores"
    table = Table("way", "ms, median", "ms, best", "time ÷ kit", "recall", "built in s", title=title)
    kit = statistics.median(seconds["kit"][1:])
    for name, times in seconds.items():
        median = statistics.median(times[1:])
        same = [len(set(own) & set(right)) for own, right in zip(found[name], found["kit"], strict=True)]
        table.add_row(
            name,
            f"{1e3 * median:.1f}",
            f"{1e3 * min(times[1:]):.1f}",
            f"{median / kit:.2f}",
            f"{sum(same) / K / len(same):.3f}",
            f"{built[name]:.1f}",
        )
    Console(width=100).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure how long one query takes.")
    parser.add_argument("--images", type=positive, default=122_726)
    parser.add_argument("--dim", type=positive, default=512)
    parser.add_argument("--queries", type=positive, default=20)
    parser.add_argument("--hnsw", action="store_true", help="faiss' approximate index, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
