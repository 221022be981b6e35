"""Vectors that lie as embeddings of portraits do: in a cone, along few directions, some nearly equal."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

COSINE = 0.55
_VARIED = 2 / 3  # of what is not shared, the part along the few directions
_DIRECTIONS = 24
_COPIES = 0.02
_ROWS = 8192


def make_vectors(path: Path, count: int, dim: int, cosine: float = COSINE) -> npt.NDArray[np.float16]:
    """Make (n, d) float16 vectors of length 1, or read those of an earlier run, memory-mapped.

    Two of a hundred are another one with a little noise, at a similarity of 0.95 to 1; `cosine` is the mean
    similarity of any two.
    """
    if not path.exists():
        rng = np.random.default_rng(7)
        open_path = path.with_suffix(".open.npy")
        vectors = np.lib.format.open_memmap(open_path, "w+", np.float16, (count, dim))
        shared = _unit(rng.standard_normal((1, dim), np.float32))
        directions = np.linalg.qr(rng.standard_normal((dim, min(_DIRECTIONS, dim))))[0].T.astype(np.float32)
        lengths = np.sqrt([cosine, (1 - cosine) * _VARIED, (1 - cosine) * (1 - _VARIED)], dtype=np.float32)
        for start in range(0, count, _ROWS):
            size = min(_ROWS, count - start)
            varied = _unit(rng.standard_normal((size, len(directions)), np.float32)) @ directions
            own = _unit(rng.standard_normal((size, dim), np.float32))
            vectors[start : start + size] = _unit(
                lengths[0] * shared + lengths[1] * varied + lengths[2] * own
            )
        copies = rng.choice(count, max(2, int(count * _COPIES)), replace=False)
        half = len(copies) // 2
        noise = _unit(rng.standard_normal((half, dim), np.float32)) * rng.uniform(0.01, 0.3, (half, 1))
        vectors[copies[:half]] = _unit(vectors[copies[half : 2 * half]] + noise.astype(np.float32))
        vectors.flush()
        open_path.rename(path)
    made: npt.NDArray[np.float16] = np.load(path, mmap_mode="r")
    return made


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    unit: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
