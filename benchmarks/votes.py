"""Measure how fast, and in how much memory, votes become decisions, beside what people do without the kit.

Each job runs in a fresh process, one after the other, in turn; times are medians and include the start of the
process. The export is an Argilla one with upstream's schema and dirt (`tests/exports.py`).

- kit: every cell of the file read and checked, pairs and images resolved, annotators named, votes decided.
- kit, votes alone: the same votes as Python lists, counted and decided; reading them is not timed.
- polars: the file read, submitted responses counted, more than half decides; nothing is checked.
- loop: a counter for each row, as upstream's notebook has it; nothing is checked.

    python benchmarks/votes.py --responses 1000000
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Usage, measure
from benchmarks.options import positive
from tests.exports import write_argilla

VOTES_PER_PAIR = 3


def kit(path: Path) -> float | None:
    from builders.catalog import Catalog  # noqa: PLC0415
    from builders.catalog.reader import SourceReader  # noqa: PLC0415
    from builders.sources.intake import SourceOptions  # noqa: PLC0415
    from builders.sources.preferences import PreferenceSource  # noqa: PLC0415
    from schemas.settings import BuildSettings  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as work, closing(Catalog(Path(work) / "catalog.sqlite")) as catalog:
        source = PreferenceSource(path, "votes", SourceOptions())
        SourceReader(catalog, BuildSettings(), Path(work)).read([source])
        print(Counter(pair.record.decision for pair in catalog.pairs.published("submitted-majority")))
    return None


def votes_alone(path: Path) -> float:
    import pyarrow.parquet as pq  # noqa: PLC0415

    from builders.preferences.votes import RULES, RawVote, agreement  # noqa: PLC0415

    names = ("preference.responses.users", "preference.responses", "preference.responses.status")
    columns = [column.to_pylist() for column in pq.read_table(path).select(names).columns]
    rows = [zip(*(lists or () for lists in row), strict=False) for row in zip(*columns, strict=True)]
    pairs = [[RawVote(*vote) for vote in row] for row in rows]
    rule, decisions = RULES["submitted-majority"], Counter[str]()
    start = time.perf_counter()
    for votes in pairs:
        counts = rule.count(votes)
        agreement(counts)
        decisions[rule.decide(counts)] += 1
    seconds = time.perf_counter() - start
    print(decisions)
    return seconds


def with_polars(path: Path) -> None:
    import polars as pl  # noqa: PLC0415

    responses, statuses = "preference.responses", "preference.responses.status"
    rows = pl.read_parquet(path, columns=["id", responses, statuses])
    equal = pl.col(responses).list.len() == pl.col(statuses).list.len()
    votes = rows.filter(equal).explode(responses, statuses).filter(pl.col(statuses) == "submitted")
    counts = votes.group_by("id").agg(
        pl.len(), *((pl.col(responses) == side).sum().alias(side) for side in ("image_1", "image_2"))
    )
    print(counts.select(((pl.col(side) * 2 > pl.col("len")).sum()) for side in ("image_1", "image_2")))


def with_loop(path: Path) -> None:
    import pandas as pd  # noqa: PLC0415

    decisions: Counter[str] = Counter()
    for responses in pd.read_parquet(path)["preference.responses"]:
        counts: Counter[str] = Counter()
        for label in responses if responses is not None else ():
            counts.update(["image_1", "image_2"] if label == "both_good" else [label])
        first, second, bad = (counts[label] for label in ("image_1", "image_2", "both_bad"))
        decisions[
            "image_1" if first > max(second, bad) else "image_2" if second > max(first, bad) else ""
        ] += 1
    print(decisions)


JOBS: Mapping[str, Callable[[Path], float | None]] = {
    "kit": kit,
    "kit, votes alone": votes_alone,
    "polars": with_polars,
    "loop": with_loop,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how fast votes become decisions.")
    parser.add_argument("--responses", type=positive, default=1_000_000)
    parser.add_argument("--repeats", type=positive, default=3)
    parser.add_argument("--job", choices=JOBS, help="run one job on --file, and print its own seconds")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(argv)
    if options.job:
        seconds = JOBS[options.job](options.file)
        print(f"seconds {seconds}" if seconds is not None else "")
        return 0
    with tempfile.TemporaryDirectory() as work:
        path = write_argilla(Path(work) / "votes.parquet", -(-options.responses // VOTES_PER_PAIR))
        runs = [_run(name, path) for _ in range(options.repeats) for name in JOBS]
    _show(options.responses, runs)
    return 0


def _run(name: str, path: Path) -> tuple[str, float, Usage]:
    command = [sys.executable, str(Path(__file__).resolve()), "--job", name, "--file", str(path)]
    log = path.with_suffix(".log")
    usage = measure(command, {}, log)
    last = log.read_text(encoding="utf-8").strip().splitlines()[-1]
    own = float(last.removeprefix("seconds ")) if last.startswith("seconds ") else usage.seconds
    print(f"{name}: {own:.2f} s", file=sys.stderr)
    return name, own, usage


def _show(responses: int, runs: Sequence[tuple[str, float, Usage]]) -> None:
    table = Table("job", "seconds", "responses/s", "peak MB", title=f"{responses:,} responses")
    for name in JOBS:
        seconds = statistics.median(own for job, own, _ in runs if job == name)
        peak = max(usage.peak_bytes for job, _, usage in runs if job == name)
        table.add_row(name, f"{seconds:.2f}", f"{responses / seconds:,.0f}", f"{peak / 1e6:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
