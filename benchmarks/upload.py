"""Measure what a new version of a dataset costs to upload where Xet stores it, beside `datasets`.

Version 1.0 is uploaded once into a store, the library's own (`hf_xet` with a `local://` endpoint). Then each
changed version is uploaded into a copy that holds 1.0 and nothing else, by a client that has never seen 1.0:
its caches are removed, so that it finds old chunks as another machine would, by asking the store.

All of it is done for each average size of images; `mixed` has all orders from 5 kB to 2 MB alike. Layouts,
each with a store of its own:

- kit, Parquet; kit, tars; kit, other files: a release as `publish/release.py` builds it, upon 1.0; without
  its final check.
- images alone: their bytes, one image after the other in one file. What Xet needs for a change of that shows
  what no format can save: one to two chunks, of 64 kB on average, around each place that changes.
- datasets: what `Dataset.push_to_hub` uploads by default, written with the same calls: as many shards as its
  limit of 500 MB asks for, `shard(contiguous=True)`, `map(embed_table_storage)`, and `to_parquet`, which cuts
  pages by content unless told otherwise.

A change concerns 1 % of the rows, the same ones for every layout. Features are a config of their own, image
and float16 vector, in every layout; the tars have it beside them.

- new: bytes of images, cells, captions and vectors that 1.0 has not; gone: the same the other way round.
- sent: what the client uploads, after its own compression: chunks and the metadata of shards.
- cost: what is sent over what is new; for each row where rows are removed; of all where captions are edited.

    python benchmarks/upload.py --average-kb 5 20 56 220 900 mixed --json upload.json
    python benchmarks/upload.py --average-kb 56 --images 2000 --changes "1 % appended" "1 % removed"
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import importlib.metadata
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.layouts import (
    ALONE,
    BASE,
    BYTES_PER_FEATURE,
    DATASETS,
    FEATURES,
    KIT_OTHERS,
    KIT_PARQUET,
    KIT_TARS,
    NEXT,
    BareImages,
    HubDataset,
    Kit,
    hash_file,
    write_features,
)
from benchmarks.options import make_parser, positive
from benchmarks.versions import (
    CHANGES,
    MIXED,
    Change,
    Material,
    Unit,
    average_bytes,
    changed_bytes,
    make_folder,
    make_material,
)
from schemas.problems import KitError

AVERAGES = ("5", "20", "56", "220", "900", MIXED)
_LIBRARIES = ("datasets", "hf_xet", "pyarrow")
_COLUMNS = ("new MB", "gone MB", "files changed", "sent MB", "% of all", "cost")
_COMPARED = (KIT_PARQUET, KIT_TARS, ALONE, DATASETS)
_LEAST_IMAGES = 100
_MOST_KILOBYTES = 50_000
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Sent:
    """What one upload sent, in bytes; `total_bytes` is the size of its files."""

    total_bytes: int
    sent_bytes: int
    chunk_bytes: int
    metadata_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """One layout after one change; 1.0 itself is the first.

    Attributes:
        average: Average size of the images.
        images: How many images 1.0 has.
        change: What changed.
        layout: Which files are counted.
        rows: How many rows the change concerns.
        new_bytes: Content that 1.0 has not.
        gone_bytes: Content that the next version has not.
        files: How many files there are.
        files_changed: How many of them 1.0 has not.
        sent: What the upload sent.
    """

    average: str
    images: int
    change: str
    layout: str
    rows: int
    new_bytes: int
    gone_bytes: int
    files: int
    files_changed: int
    sent: Sent

    @property
    def cost(self) -> str:
        """What was sent, in the unit of the change."""
        sent, unit = self.sent, _UNITS.get(self.change, Unit.RATIO)
        if self.layout == ALONE and (unit is Unit.SHARE or self.change in _WITH_FEATURES):
            return ""  # it has neither captions nor features
        if unit is Unit.KILOBYTES:
            return f"{sent.sent_bytes / 1e3:.1f} kB"
        if unit is Unit.PER_ROW:
            return f"{sent.sent_bytes / self.rows / 1e3:,.0f} kB a row"
        if unit is Unit.SHARE:
            return f"{100 * sent.sent_bytes / sent.total_bytes:.2f} %"
        return f"{sent.sent_bytes / self.new_bytes:.2f}"


_UNITS = {change.name: change.unit for change in CHANGES}
_WITH_FEATURES = {change.name for change in CHANGES if change.has_features}


def upload(store: Path, files: Sequence[Path]) -> Sent:
    """Upload files into a store."""
    import hf_xet  # type: ignore[import-untyped]  # noqa: PLC0415 - it reads the environment

    commit = hf_xet.XetSession().new_upload_commit(endpoint=f"local://{store}")
    for path in files:
        commit.start_upload_file(str(path), sha256=hf_xet.COMPUTE_SHA256)
    counted = commit.wait_to_finish().dedup_metrics
    return Sent(
        total_bytes=counted.total_bytes,
        sent_bytes=counted.total_bytes_uploaded,
        chunk_bytes=counted.xorb_bytes_uploaded,
        metadata_bytes=counted.shard_bytes_uploaded,
    )


def copy_store(store: Path, copy: Path) -> Path:
    """Copy a store without what its client remembers; chunks, being read-only files, are hard links."""
    ignored = shutil.ignore_patterns("shard-cache", "shard-session")
    return Path(shutil.copytree(store, copy, ignore=ignored, copy_function=_link_or_copy))


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def run_all(material: Material, average: str, changes: Sequence[Change], run: Path) -> Iterator[Result]:
    """Measure changes in every layout, in a folder for this run."""
    for builder in (Kit, BareImages, HubDataset):
        with tempfile.TemporaryDirectory(dir=run) as folder:
            yield from _run(builder(Path(folder)), material, average, changes, Path(folder) / "stores")


def _run(
    builder: Kit | BareImages | HubDataset,
    material: Material,
    average: str,
    changes: Sequence[Change],
    stores: Path,
) -> Iterator[Result]:
    base, known = builder.build(BASE, material.base), {}
    counts = len(material.base), len(material.chosen)
    for layout, files in builder.layouts(base).items():
        known[layout] = _digests(base, files)
        new, gone = changed_bytes([], material.base)
        sent = upload(stores / layout, files)
        numbers = len(files), len(files)
        yield _tell(Result(average, counts[0], BASE, layout, counts[0], new, gone, *numbers, sent))
    release, built = base, None
    for change in sorted(changes, key=lambda change: change.has_features):  # features may come to a built one
        rows = change.rows(material)
        new, gone = changed_bytes(material.base, rows)
        if rows != built:
            release, built = builder.build(NEXT, rows), rows
        if change.has_features:
            write_features(release, rows)
            new += len(rows) * FEATURES * BYTES_PER_FEATURE
        for layout, files in builder.layouts(release).items():
            with tempfile.TemporaryDirectory(dir=stores) as folder:
                sent = upload(copy_store(stores / layout, Path(folder) / "copy"), files)
            numbers = len(files), len(_digests(release, files) - known[layout])
            yield _tell(Result(average, counts[0], change.name, layout, counts[1], new, gone, *numbers, sent))


def _tell(result: Result) -> Result:
    megabytes = f"{result.sent.sent_bytes / _MB:.2f} of {result.sent.total_bytes / _MB:.2f} MB sent"
    what = f"{result.average} kB: {result.change}: {result.layout}"
    print(f"{what}: {megabytes}: {result.cost}", file=sys.stderr)
    return result


def _digests(folder: Path, files: Sequence[Path]) -> set[tuple[str, str]]:
    return {(path.relative_to(folder).as_posix(), hash_file(path)) for path in files}


def results_table(results: Sequence[Result], title: str) -> Table:
    """Lay out the results of one average size, one section per change, one row per layout."""
    table = Table("change", "layout", title=title, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for change in dict.fromkeys(result.change for result in results):
        table.add_section()
        first = True
        for result in results:
            if result.change == change:
                table.add_row(change if first else "", result.layout, *_cells(result))
                first = False
    return table


def _cells(result: Result) -> Iterator[str]:
    sent = result.sent
    yield f"{result.new_bytes / _MB:,.3f}"
    yield f"{result.gone_bytes / _MB:,.3f}"
    yield f"{result.files_changed} of {result.files}"
    yield f"{sent.sent_bytes / _MB:,.3f}"
    yield f"{100 * sent.sent_bytes / sent.total_bytes:.3f}"
    yield "" if result.layout == KIT_OTHERS else result.cost


def costs_table(results: Sequence[Result]) -> Table:
    """Lay out the costs alone, one section for each average size, one row per layout."""
    changes = list(dict.fromkeys(result.change for result in results if result.change != BASE))
    table = Table("average", "layout", *changes, title="What is sent, by average size of images")
    for average in dict.fromkeys(result.average for result in results):
        table.add_section()
        for layout in _COMPARED:
            own = {one.change: one for one in results if (one.average, one.layout) == (average, layout)}
            if own:
                name = average if average == MIXED else f"{average} kB"
                table.add_row(name, layout, *(own[change].cost for change in changes))
    return table


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Write every result's raw figures, and what they were measured with."""
    content = {
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "results": [asdict(result) | {"cost": result.cost} for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    work = options.work.resolve()
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    changes = [change for change in CHANGES if change.name in options.changes]
    results: list[Result] = []
    try:
        with tempfile.TemporaryDirectory(prefix="run-", dir=work) as run:
            _keep_inside(Path(run))
            for average in dict.fromkeys(options.average_kb):
                most = round(options.megabytes * _MB / average_bytes(average))
                images = min(options.images, max(most, _LEAST_IMAGES))
                total = images + max(1, round(images / 100))
                folder = work / "corpus" / f"upload-{average}-{total}"
                make_folder(folder, total, average)
                results += run_all(make_material(folder, images), average, changes, Path(run))
    except KitError as error:
        print(error, file=sys.stderr)
        return 1
    console = Console(width=None if sys.stdout.isatty() else 160)
    for average in dict.fromkeys(options.average_kb):
        own = [result for result in results if result.average == average]
        console.print(results_table(own, f"{own[0].images:,} images, {average} kB on average"))
    console.print(costs_table(results))
    if options.json:
        write_json(options.json, results)
    return 0


def _keep_inside(folder: Path) -> None:
    """Keep libraries, and the command's, silent, off the network, and their caches inside a folder.

    A cache that outlives a run would hide bytes from the next one.
    """
    os.environ |= {
        "HF_HOME": str(folder / "home"),
        "HF_XET_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("upload.py", "Measure what a new version costs to upload, beside `datasets`.")
    parser.add_argument(
        "--average-kb",
        nargs="+",
        type=_average,
        default=AVERAGES,
        metavar="KB",
        help=f"average sizes of images, in kilobytes, or {MIXED!r} (default: {' '.join(AVERAGES)})",
    )
    parser.add_argument(
        "--images",
        type=positive,
        default=1000,
        metavar="N",
        help="how many images 1.0 has at most (default: 1000)",
    )
    parser.add_argument(
        "--megabytes",
        type=positive,
        default=150,
        metavar="MB",
        help=f"how large they are together at most, unless they are {_LEAST_IMAGES} or fewer (default: 150)",
    )
    names = [change.name for change in CHANGES]
    parser.add_argument(
        "--changes",
        nargs="+",
        choices=names,
        default=names,
        metavar="CHANGE",
        help=f"which changes to measure (default: all): {', '.join(names)}".replace("%", "%%"),
    )
    return parser


def _average(text: str) -> str:
    """Read a number of kilobytes, 1 or more, or "mixed"."""
    if text != MIXED and not 1 <= float(text) < _MOST_KILOBYTES:
        raise argparse.ArgumentTypeError(f"it must be from 1 to {_MOST_KILOBYTES}, or {MIXED!r}")
    return text


if __name__ == "__main__":
    sys.exit(main())
