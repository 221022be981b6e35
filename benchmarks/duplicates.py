"""Measure how long comparing all pairs takes, and how much memory, beside a plain loop.

Each job runs in a fresh process, one after the other, in turn; times are medians and include the start of the
process and reading the vectors.

- kit: `compare_embeddings` at 0.95: groups there and at every threshold of the ladder, each image's nearest.
- kit, hashes: `compare_hashes` of as many perceptual hashes.
- loop: float32 rows times all vectors, a block of rows after the other, and the pairs at 0.95 listed: twice
  the products, one threshold.
- products: the upper triangle of products alone, and nothing done with them: the least that it can take.

    python benchmarks/duplicates.py --images 122726 --dim 512 --repeats 1
    python benchmarks/duplicates.py --cosine 0.8    # a narrow cone, as faces under a real CLIP model are
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Usage, measure
from benchmarks.options import positive, share
from benchmarks.vectors import COSINE, make_vectors

THRESHOLD = 0.95
_DISTANCE = 16
_ROWS = 1024
_BLOCK = 4096


def kit(vectors: npt.NDArray[np.float16]) -> int:
    from builders.features.likeness import compare_embeddings  # noqa: PLC0415

    found = compare_embeddings(vectors, THRESHOLD)
    for rung in found.ladder:
        print(f"{rung.threshold:g}: {rung.num_images:,} images in {rung.num_groups:,} groups")
    return int(found.is_grouped.sum())


def kit_hashes(vectors: npt.NDArray[np.float16]) -> int:
    from builders.features.likeness import compare_hashes  # noqa: PLC0415
    from builders.images.hashes import pack_hashes  # noqa: PLC0415

    # The signs of the first numbers: as many bits as a hash has, alike where vectors are.
    bits = np.packbits(vectors[:, :256] > np.median(vectors[:, :256], axis=0), axis=1)
    bits = np.pad(bits, ((0, 0), (0, 32 - bits.shape[1])))
    bits[:, 0] &= 0x7F
    return int(compare_hashes(pack_hashes([row.tobytes() for row in bits]), _DISTANCE).is_grouped.sum())


def loop(vectors: npt.NDArray[np.float16]) -> int:
    wide = vectors.astype(np.float32)
    alike: set[int] = set()
    for start in range(0, len(wide), _ROWS):
        left, right = np.nonzero(wide[start : start + _ROWS] @ wide.T >= THRESHOLD)
        alike.update(right[left + start != right].tolist())
    return len(alike)


def products(vectors: npt.NDArray[np.float16]) -> int:
    wide = vectors.astype(np.float32)
    for start in range(0, len(wide), _BLOCK):
        for other in range(start, len(wide), _BLOCK):
            wide[start : start + _BLOCK] @ wide[other : other + _BLOCK].T
    return 0


JOBS: Mapping[str, Callable[[npt.NDArray[np.float16]], int]] = {
    "kit": kit,
    "kit, hashes": kit_hashes,
    "loop": loop,
    "products": products,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.job and options.file is None:
        parser.error("--job needs the vectors: --file FILE")
    if options.job:
        print(f"images {JOBS[options.job](np.load(options.file, mmap_mode='r'))}")
        return 0
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "vectors.npy"
        make_vectors(path, options.images, options.dim, options.cosine)
        runs = [_run(name, path) for _ in range(options.repeats) for name in JOBS]
    _show(options, runs)
    return 0


def _run(name: str, path: Path) -> tuple[str, int, Usage]:
    command = [sys.executable, str(Path(__file__).resolve()), "--job", name, "--file", str(path)]
    log = path.with_suffix(".log")
    usage = measure(command, {}, log)
    *more, last = log.read_text(encoding="utf-8").strip().splitlines()
    print(f"{name}: {usage.seconds:.1f} s", *more, sep="\n  ", file=sys.stderr)
    return name, int(last.removeprefix("images ")), usage


def _show(options: argparse.Namespace, runs: Sequence[tuple[str, int, Usage]]) -> None:
    cone = f"mean cosine {options.cosine:g}"
    title = f"{options.images:,} x {options.dim}, all pairs, {cone}, {os.cpu_count()} cores"
    table = Table("job", "seconds", "time ÷ products", "peak MB", "anon. MB", "images alike", title=title)
    seconds = {
        name: statistics.median(usage.seconds for job, _, usage in runs if job == name) for name in JOBS
    }
    for name in JOBS:
        own = [(alike, usage) for job, alike, usage in runs if job == name]
        table.add_row(
            name,
            f"{seconds[name]:.1f}",
            f"{seconds[name] / seconds['products']:.2f}",
            f"{max(usage.peak_bytes for _, usage in own) / 1e6:,.0f}",
            f"{max(usage.peak_anonymous_bytes for _, usage in own) / 1e6:,.0f}",
            f"{own[0][0]:,}",
        )
    Console(width=100).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure how long comparing all pairs takes.")
    parser.add_argument("--images", type=positive, default=122_726)
    parser.add_argument("--dim", type=positive, default=512)
    parser.add_argument("--cosine", type=share, default=COSINE, help="mean similarity of any two images")
    parser.add_argument("--repeats", type=positive, default=1)
    parser.add_argument("--job", choices=JOBS, help="run one job on --file")
    parser.add_argument("--file", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
