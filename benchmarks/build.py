"""Measure how fast, and in how much memory, the kit builds a release, beside its peers.

Figures of different runs do not compare: machines differ, and so does one machine from hour to hour. So
everything that is compared runs here in one go: each job in a fresh process, one after the other, in
another order each round, after an untimed round and with memory and page cache in the same state. Times
are medians over the rounds and include the start of the process; memory is the largest peak of any round.

- release command: `publish/release.py`, which also checks every file, image and config it has built.
- kit, no final check: the same reading (every image hashed and decoded) and building; peers check nothing.
- kit, images known: the same where an earlier run has found all images sound: hashed, not decoded.
- libraries: what the kit makes, with the usual libraries: `datasets` for Parquet, then
  `webdataset.ShardWriter` for tars, then the SHA-256 of every file. No image is decoded.
- cp -r: the least that anything can do with the images, which is to read them and write them again.
- datasets: an image folder with its texts → `load_dataset` → images embedded → `to_parquet`; no image is
  decoded.

Every job ends with its output on the disk (`fsync`). Images are made here, see `benchmarks/corpus.py`.

    python benchmarks/build.py --images 5000 20000 --size 64
    python benchmarks/build.py --images 500 2000 --size 1024 --repeats 5 --json build.json
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import csv
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import Corpus, make_corpus, read_rows
from benchmarks.jobs import ROOT, VERSION
from benchmarks.measure import CommandFailedError, Usage, measure, warm_up
from benchmarks.options import make_parser, positive

_JOBS_FILE = str(ROOT / "benchmarks" / "jobs.py")
_VERSIONS = ("datasets", "pillow", "pyarrow", "simplejpeg", "webdataset")
_COLUMNS = (
    "images",
    "seconds",
    "CPU s",
    "images/s",
    "peak MB",
    "anon. MB",
    "speed ÷ libraries",
    "speed ÷ cp",
)
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Input:
    """A corpus in both forms: as the kit reads it, and as `datasets` reads it."""

    corpus: Corpus
    image_folder: Path


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to measure.

    Attributes:
        name: As the table shows it.
        command: Gives the command for an input and an output folder that is not there yet.
        published: Counts the images in the output, to be sure that all the work was done.
    """

    name: str
    command: Callable[[Input, Path], list[str]]
    published: Callable[[Path], int]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one job."""

    job: str
    images: int
    round: int
    usage: Usage


def _release(inputs: Input, out: Path) -> list[str]:
    script, config = str(ROOT / "publish" / "release.py"), str(ROOT / "release.toml")
    source = str(inputs.corpus.folder)
    return [
        sys.executable,
        script,
        "--version",
        VERSION,
        "--config",
        config,
        "--sfhq",
        source,
        "--out",
        str(out),
    ]


def _kit(inputs: Input, out: Path) -> list[str]:
    return [sys.executable, _JOBS_FILE, "kit", str(inputs.corpus.folder), str(out)]


def _known(inputs: Input, out: Path) -> list[str]:
    return [sys.executable, _JOBS_FILE, "known", str(inputs.corpus.folder), str(out)]


def _libraries(inputs: Input, out: Path) -> list[str]:
    return [sys.executable, _JOBS_FILE, "libraries", str(inputs.image_folder), str(out)]


def _copy(inputs: Input, out: Path) -> list[str]:
    return [sys.executable, _JOBS_FILE, "copy", str(inputs.corpus.folder), str(out)]


def _datasets(inputs: Input, out: Path) -> list[str]:
    return [sys.executable, _JOBS_FILE, "datasets", str(inputs.image_folder), str(out)]


def _in_manifest(out: Path) -> int:
    return int(json.loads((out / VERSION / "manifest.json").read_text())["counts"]["images"]["published"])


def _in_folder(out: Path) -> int:
    return sum(1 for _ in (out / "images").iterdir())


def _in_parquet(out: Path) -> int:
    with pq.ParquetFile(out / "data" / "train.parquet") as file:
        batches = file.iter_batches(batch_size=100, columns=["image.bytes"])
        columns = (batch["image"].field("bytes") for batch in batches)
        return sum(len(column) - int(column.null_count) for column in columns)


RELEASE = Job("release command", _release, _in_manifest)
KIT = Job("kit, no final check", _kit, _in_manifest)
KNOWN = Job("kit, images known", _known, _in_manifest)
LIBRARIES = Job("libraries, both formats", _libraries, _in_parquet)
COPY = Job("cp -r", _copy, _in_folder)
DATASETS = Job("datasets → Parquet", _datasets, _in_parquet)
JOBS = (RELEASE, KIT, KNOWN, LIBRARIES, DATASETS, COPY)


def make_input(work: Path, images: int, size: int) -> Input:
    """Make what is read, or use what an earlier run has made."""
    folder = work / "corpus" / f"sfhq-{size}px-{images}"
    corpus = make_corpus(folder, images, size)
    image_folder = folder.with_name(f"{folder.name}.imagefolder")
    if not image_folder.exists():
        _make_image_folder(corpus, image_folder)
    return Input(corpus, image_folder)


def _make_image_folder(corpus: Corpus, folder: Path) -> None:
    """Lay a corpus out as `datasets` wants it: hard links to the images, and their texts."""
    open_folder = folder.with_name(f"{folder.name}.open")
    shutil.rmtree(open_folder, ignore_errors=True)
    open_folder.mkdir()
    with (open_folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file_name", "text"))
        for row in read_rows(corpus.table):
            table.writerow((row["image_filename"], row["text_prompt"]))
    for path in corpus.image_paths:
        os.link(path, open_folder / path.name)
    open_folder.rename(folder)


def run_all(inputs: Sequence[Input], repeats: int, work: Path) -> Iterator[Run]:
    """Run every job on every input; round 0 is not timed and not yielded."""
    for job in JOBS:
        _run(job, inputs[0], 0, work)
    for each in inputs[1:]:
        _run(KNOWN, each, 0, work)  # from now on its images are known
    for each in inputs:
        for number in range(1, repeats + 1):
            first = number % len(JOBS)
            for job in (*JOBS[first:], *JOBS[:first]):
                yield _run(job, each, number, work)


def run_trial(inputs: Sequence[Input], work: Path) -> Iterator[Run]:
    """Run every job once on every input, without anything that only makes figures comparable."""
    for each in inputs:
        for job in JOBS:
            yield _run(job, each, 1, work, is_trial=True)


def _run(job: Job, inputs: Input, number: int, work: Path, *, is_trial: bool = False) -> Run:
    """Run one job once, in an empty folder that is removed afterwards."""
    images = inputs.corpus.images
    with tempfile.TemporaryDirectory(prefix="run-", dir=work) as name:
        folder = Path(name)
        if not is_trial:
            warm_up([inputs.corpus.table, *inputs.corpus.image_paths], work / "filler")
        usage = measure(job.command(inputs, folder / "out"), _environment(folder), folder / "log")
        published = job.published(folder / "out")
    if published != images:
        raise CommandFailedError(f"{job.name} published {published:,} of {images:,} images")
    what = f"{images:,} images, " + (f"round {number}" if number else "warming up")
    print(f"{what}: {job.name}: {usage.seconds:.2f} s", file=sys.stderr)
    return Run(job.name, images, number, usage)


def _environment(folder: Path) -> dict[str, str]:
    """Keep libraries off the network, silent, and inside the folder."""
    return {
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TMPDIR": str(folder),
    }


def _summary(runs: Sequence[Run], job: Job, images: int) -> Usage:
    """Sum up the rounds of one job: the median times, the largest peaks."""
    usages = [run.usage for run in runs if run.job == job.name and run.images == images]
    return Usage(
        statistics.median(usage.seconds for usage in usages),
        max(usage.peak_bytes for usage in usages),
        max(usage.peak_anonymous_bytes for usage in usages),
        statistics.median(usage.cpu_seconds for usage in usages),
    )


def results_table(runs: Sequence[Run], counts: Sequence[int], title: str) -> Table:
    """Lay the results out, one row per job and number of images."""
    table = Table("job", title=title, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for images in counts:
        table.add_section()
        for job in JOBS:
            table.add_row(job.name, *_cells(runs, job, images))
    return table


def _cells(runs: Sequence[Run], job: Job, images: int) -> Iterator[str]:
    usage = _summary(runs, job, images)
    yield f"{images:,}"
    yield f"{usage.seconds:,.2f}"
    yield f"{usage.cpu_seconds:,.2f}"
    yield f"{images / usage.seconds:,.0f}"
    yield f"{usage.peak_bytes / _MB:,.0f}"
    yield f"{usage.peak_anonymous_bytes / _MB:,.0f}"
    for peer in (LIBRARIES, COPY):
        yield f"{_summary(runs, peer, images).seconds / usage.seconds:.2f}"


def memory_growth(runs: Sequence[Run], counts: Sequence[int]) -> str:
    """Say how the kit's memory at the largest count compares with that at the smallest."""
    least, most = min(counts), max(counts)
    parts = []
    for job in (RELEASE, KIT, KNOWN):
        small, large = _summary(runs, job, least), _summary(runs, job, most)
        total = large.peak_bytes / small.peak_bytes
        anonymous = large.peak_anonymous_bytes / small.peak_anonymous_bytes
        parts.append(f"{job.name} {total:.2f} (anonymous {anonymous:.2f})")
    return f"Peak memory with {most:,} images ÷ with {least:,} images: {'; '.join(parts)}."


def marginal_speeds(runs: Sequence[Run], counts: Sequence[int]) -> str:
    """Say how fast each job is at the images that the largest count has more: without its start."""
    least, most = min(counts), max(counts)
    parts = []
    for job in JOBS:
        large, small = _summary(runs, job, most), _summary(runs, job, least)
        seconds, cpu = large.seconds - small.seconds, large.cpu_seconds - small.cpu_seconds
        speed = f"{(most - least) / seconds:,.0f}" if seconds > 0 else "too fast to tell"
        parts.append(f"{job.name} {speed} ({1000 * cpu / (most - least):.2f} ms of CPU each)")
    return f"Images/s between {least:,} and {most:,} images: {'; '.join(parts)}."


def write_json(path: Path, runs: Sequence[Run], inputs: Sequence[Input]) -> None:
    """Write every run's raw figures, and what they were measured on."""
    machine = {
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    content = {
        "machine": machine,
        "libraries": {name: importlib.metadata.version(name) for name in _VERSIONS},
        "inputs": [_describe(each.corpus) for each in inputs],
        "runs": [asdict(run) for run in runs],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _describe(corpus: Corpus) -> dict[str, int]:
    num_bytes = sum(path.stat().st_size for path in corpus.image_paths)
    return {"images": corpus.images, "size": corpus.size, "image_bytes": num_bytes}


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    counts, work = sorted(set(options.images)), options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    (work / "corpus").mkdir(exist_ok=True)
    try:
        inputs = [make_input(work, images, options.size) for images in counts]
        runs = list(run_trial(inputs, work) if options.trial else run_all(inputs, options.repeats, work))
    except (CommandFailedError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        (work / "filler").unlink(missing_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 120)
    rounds = "a trial, whose figures do not compare" if options.trial else f"rounds: {options.repeats}"
    title = f"Images of {options.size} pixels square, {os.cpu_count()} cores, {rounds}"
    console.print(results_table(runs, counts, title))
    if len(counts) > 1:
        for line in (memory_growth(runs, counts), marginal_speeds(runs, counts)):
            console.print(line, soft_wrap=True, highlight=False)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, runs, inputs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("build.py", "Measure how the kit builds a release, beside its peers.", size=64)
    parser.add_argument(
        "--images",
        type=positive,
        nargs="+",
        default=[5000, 20000],
        metavar="N",
        help="how many images, for each measurement (default: 5000 20000)",
    )
    parser.add_argument("--repeats", type=positive, default=3, help="rounds to take medians of (default: 3)")
    parser.add_argument("--trial", action="store_true", help="run each job once, only to see that it works")
    return parser


if __name__ == "__main__":
    sys.exit(main())
