"""Measure how fast the kit makes features of images, beside plain code, on one machine in one run.

Each job encodes the same images with the same weights, which are random: the arithmetic is that of trained
ones. It runs in a process of its own, one after the other, in another order each round. Timed is the
encoding, from image files to vectors; loading the model and one batch to warm up are not. What each job gives
is compared, so that none is fast by doing something else.

- one by one: each image opened and decoded in full by Pillow, open_clip's preprocessing, float32, a pickle
  for each image, as the collection's own script does it.
- data loader: the same in batches of 32 from torch's DataLoader with a process per core, the usual way.
- clip-retrieval: its `clip_inference`, if `--clip-retrieval` names the Python of an environment that has it;
  `benchmarks/peer_clip_retrieval.py` says how to make one.
- kit, float32 and kit: `builders/features/encoder.py`; the second chooses its number type for this processor.
- model alone: no image is read or decoded, and the model runs on as many numbers, in the number type, batches
  and threads of the kit. Nothing that encodes with these can be faster: it is the limit.

Ratios depend on the processor: bfloat16 is several times as fast as float32 with AMX, twice as fast with
AVX-512 alone, and not used without either.

    python benchmarks/features.py --images 200 --size 1024
"""

# ruff: noqa: PLC0415 - each job imports what it needs itself

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import os
import pickle
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import make_corpus
from builders.features.encoder import Encoder

_BATCH, _WARM_UP = 32, 32
_PEER, _PEER_SCRIPT = "clip-retrieval", Path(__file__).with_name("peer_clip_retrieval.py")
_WORK = Path(tempfile.gettempdir()) / "sfhq-bench"
Vectors = NDArray[np.float32]


def one_by_one(model: str, weights: Path, paths: Sequence[Path], out: Path) -> tuple[float, Vectors]:
    """Do as the collection's own script does: `extract_pretrained_features.py` upstream."""
    import torch

    encoder, preprocess = _plain(model, weights)
    folder = out.with_suffix(".pickles")
    folder.mkdir(exist_ok=True)

    def encode(path: Path) -> Vectors:
        pixels = preprocess(Image.open(path).convert("RGB")).unsqueeze(0)
        features: Vectors = encoder.encode_image(pixels).detach().cpu().numpy()
        (folder / f"{path.stem}.pickle").write_bytes(pickle.dumps({model: features}))
        return features

    with torch.no_grad():
        encode(paths[0])
        start = time.perf_counter()
        found = [encode(path) for path in paths]
        return time.perf_counter() - start, np.concatenate(found)


def data_loader(model: str, weights: Path, paths: Sequence[Path], _: Path) -> tuple[float, Vectors]:
    """Do as most code does: batches, decoded by other processes."""
    import torch
    from torch.utils.data import DataLoader

    encoder, preprocess = _plain(model, weights)
    pictures: Any = _Pictures(paths, preprocess)
    with torch.inference_mode():
        encoder.encode_image(torch.stack([pictures[0]] * _BATCH))
        start = time.perf_counter()
        loader = DataLoader(pictures, batch_size=_BATCH, num_workers=os.cpu_count() or 1)
        found = [encoder.encode_image(batch).numpy() for batch in loader]
        return time.perf_counter() - start, np.concatenate(found)


class _Pictures:
    """A data set as torch's DataLoader takes it."""

    def __init__(self, paths: Sequence[Path], preprocess: Callable[[Image.Image], Any]) -> None:
        self._paths, self._preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Any:
        return self._preprocess(Image.open(self._paths[index]).convert("RGB"))


def _plain(model: str, weights: Path, precision: str = "fp32") -> tuple[Any, Callable[[Image.Image], Any]]:
    import open_clip

    encoder, _, preprocess = open_clip.create_model_and_transforms(model, str(weights), precision=precision)
    return encoder.eval(), preprocess


def kit_float32(model: str, weights: Path, paths: Sequence[Path], _: Path) -> tuple[float, Vectors]:
    """Do as the kit does, in float32."""
    return _kit(model, weights, paths, "float32")


def kit(model: str, weights: Path, paths: Sequence[Path], _: Path) -> tuple[float, Vectors]:
    """Do as the kit does by itself."""
    return _kit(model, weights, paths, "auto")


def _kit(model: str, weights: Path, paths: Sequence[Path], dtype: str) -> tuple[float, Vectors]:
    from builders.features.encoder import encode_stream

    encoder = _kit_encoder(model, weights, dtype)
    print(f"kit computes in {encoder.provenance.dtype}", file=sys.stderr)
    for _ in encode_stream(encoder, paths[:_WARM_UP], Path.read_bytes):
        pass
    found = np.empty((len(paths), encoder.provenance.dimension), np.float32)
    start = time.perf_counter()
    for rows, vectors in encode_stream(encoder, range(len(paths)), lambda row: paths[row].read_bytes()):
        found[list(rows)] = vectors
    return time.perf_counter() - start, found


def _kit_encoder(model: str, weights: Path, dtype: str) -> Encoder:
    from builders.features.encoder import ModelFiles, load_encoder
    from schemas.features import FeatureSettings

    named = {"model": model, "pretrained": str(weights), "dtype": dtype, "device": "cpu"}
    return load_encoder(FeatureSettings.model_validate(named), ModelFiles(weights))


def model_alone(model: str, weights: Path, paths: Sequence[Path], _: Path) -> tuple[float, None]:
    """Do what the kit's model does, and nothing else."""
    import torch

    chosen = _kit_encoder(model, weights, "auto")  # which sets one thread for each batch, too
    dtype: torch.dtype = getattr(torch, chosen.provenance.dtype)
    encoder = _plain(model, weights, "pure_bf16" if dtype is torch.bfloat16 else "fp32")[0]
    pixels = torch.randn(chosen.batch_size, 3, *chosen.provenance.input_size).to(dtype)

    def encode(_: int) -> None:
        with torch.inference_mode():
            encoder.encode_image(pixels)

    num_workers = os.cpu_count() or 1
    with ThreadPoolExecutor(num_workers) as pool:
        list(pool.map(encode, range(num_workers)))
        start = time.perf_counter()
        list(pool.map(encode, range(-(-len(paths) // chosen.batch_size))))
        return time.perf_counter() - start, None


JOBS: Mapping[str, Callable[[str, Path, Sequence[Path], Path], tuple[float, Vectors | None]]] = {
    "one by one": one_by_one,
    "data loader": data_loader,
    "kit, float32": kit_float32,
    "kit": kit,
    "model alone": model_alone,
}


def run_job(name: str, model: str, weights: Path, folder: Path, out: Path) -> None:
    """Run one job in this process; write its vectors, and its seconds beside them."""
    seconds, vectors = JOBS[name](model, weights, sorted((folder / "images").iterdir()), out)
    if vectors is not None:
        np.save(out, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    out.with_suffix(".json").write_text(json.dumps(seconds))


def make_weights(model: str, path: Path) -> Path:
    """Write random weights, or take those of an earlier run."""
    if not path.exists():
        import open_clip
        import torch
        from safetensors.torch import save_file

        torch.manual_seed(0)
        save_file(open_clip.create_model(model).state_dict(), path)
    return path


def run_all(options: argparse.Namespace, folder: Path, weights: Path) -> Iterator[tuple[str, float, float]]:
    """Yield each run's job, seconds, and largest 1 - cosine to the first job's vectors."""
    work, names = options.work.resolve(), _names(options)
    for number in range(options.repeats):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            out = work / f"{name.replace(', ', '-').replace(' ', '-')}.npy"
            places = ["--weights", str(weights), "--folder", str(folder), "--out", str(out)]
            if name == _PEER:
                command = [str(options.clip_retrieval), str(_PEER_SCRIPT)]
            else:
                command = [sys.executable, __file__, "--job", name]
            subprocess.run([*command, "--model", options.model, *places], check=True)
            seconds = float(json.loads(out.with_suffix(".json").read_text()))
            print(f"round {number + 1}: {name}: {seconds:.1f} s", file=sys.stderr)
            plain = work / "one-by-one.npy"
            can_compare = plain.exists() and out.exists()
            yield name, seconds, difference(np.load(plain), np.load(out)) if can_compare else 0.0


def _names(options: argparse.Namespace) -> list[str]:
    return [*JOBS, *([_PEER] if options.clip_retrieval else [])]


def difference(some: Vectors, other: Vectors) -> float:
    """Return the largest 1 - cosine of rows of two tables, images x dimension, of vectors of length 1."""
    return float((1 - (some * other).sum(1)).max())


def results_table(runs: Sequence[tuple[str, float, float]], num_images: int, title: str) -> Table:
    """Lay the results out, one row per job, medians over the rounds."""
    table = Table("job", title=title, title_justify="left")
    for column in (
        "images/s",
        "speed ÷ one by one",
        "speed ÷ data loader",
        "largest 1 - cosine to one by one",
    ):
        table.add_column(column, justify="right")
    names = dict.fromkeys(job for job, _, _ in runs)
    seconds = {name: statistics.median(took for job, took, _ in runs if job == name) for name in names}
    for name in names:
        ratios = [f"{seconds[peer] / seconds[name]:.2f}" for peer in ("one by one", "data loader")]
        off = max(each for job, _, each in runs if job == name)
        table.add_row(
            name, f"{num_images / seconds[name]:.1f}", *ratios, "" if name == "model alone" else f"{off:.1e}"
        )
    return table


def processor() -> str:
    """Say what this processor has that matters here."""
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    has = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f") if flag in flags]
    return f"{os.cpu_count()} cores with {', '.join(has) or 'none of AMX and AVX-512'}"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.job:
        run_job(options.job, options.model, options.weights, options.folder, options.out)
        return 0
    work = options.work.resolve()
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    corpus = make_corpus(
        work / "corpus" / f"sfhq-{options.size}px-{options.images}", options.images, options.size
    )
    weights = options.weights or make_weights(options.model, work / f"{options.model}.safetensors")
    for old in work.glob("*.npy"):
        old.unlink()
    runs = list(run_all(options, corpus.folder, weights))
    title = f"{options.model}, {options.images:,} images of {options.size} pixels square, {processor()}"
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(results_table(runs, options.images, f"{title}, rounds: {options.repeats}"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="features.py", description="Measure how fast features are made.")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="how many images (default: 200)")
    parser.add_argument("--size", type=int, default=1024, help="width and height in pixels (default: 1024)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument("--model", default="ViT-B-32", help="as open_clip names it (default: ViT-B-32)")
    parser.add_argument("--weights", type=Path, help="a checkpoint (default: random weights)")
    parser.add_argument("--clip-retrieval", type=Path, metavar="PYTHON", help="measure clip-retrieval, too")
    parser.add_argument("--work", type=Path, default=_WORK, help="folder that is kept (default: %(default)s)")
    for name in ("--job", "--folder", "--out"):  # how this calls itself, for one job
        parser.add_argument(name, type=str if name == "--job" else Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
