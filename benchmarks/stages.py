"""Measure what each stage of a build costs for an image: what other machines can do, and what stays with one.

The build runs as `--on ray` does, with an executor in this process that adds up the CPU time of what it runs.
All else is the part of the command's own machine. Start-up, card and figures cost the same for any number of
images, so the figures are differences between two numbers of images.

    python benchmarks/stages.py --images 200 1000 --size 1024
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import make_corpus
from benchmarks.options import make_parser, positive

ROOT = Path(__file__).resolve().parent.parent
L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
CLUSTER = {
    "LookAtImage": "look: read, SHA-256, decode, metadata",
    "_HashShown": "hash for near-duplicates: read, SHA-256, decode, DCT",
    "write_part_job": "write shards, Parquet and tars: read, SHA-256, write",
}
ALONE = {
    "read": "read tables, look for private texts, fill the catalog, settle it",
    "layout": "place rows in shards",
    "rest": "read jobs from the catalog, compare hashes, card",
}


@dataclass
class Counted:
    """An executor in this process that adds up the CPU seconds of each function, by its name."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    shares_memory: bool = False

    def map_ordered(
        self, function: Callable[[T], R], items: Iterable[T], *, chunk: int = 1
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result), one at a time."""
        del chunk
        return self.map_unordered(function, items)

    def map_unordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield (item, result), one at a time."""
        name = getattr(function, "__name__", type(function).__name__)
        for item in items:
            start = time.process_time()
            result = function(item)
            self.seconds[name] += time.process_time() - start
            yield item, result

    def map_loaded(
        self,
        load: Callable[[], L],
        function: Callable[[L, T], R],
        items: Iterable[T],
        *,
        uses_gpu: bool = False,
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result), one at a time."""
        del uses_gpu
        loaded = load()
        return self.map_unordered(lambda item: function(loaded, item), items)


def build(folder: Path, out: Path) -> dict[str, float]:
    """Build a release of a folder; return the CPU seconds of each stage."""
    from builders.catalog import Catalog  # noqa: PLC0415 - a process of its own, whose imports are its own
    from builders.catalog.reader import SourceReader  # noqa: PLC0415
    from builders.features.encoding import Features  # noqa: PLC0415
    from builders.features.store import FeatureStore  # noqa: PLC0415
    from builders.parallel import Execution, Threads  # noqa: PLC0415
    from builders.pipeline import Notes, build_release, describe_inputs, plan_build  # noqa: PLC0415
    from publish.run.settings import Flags, load_settings, open_sources  # noqa: PLC0415
    from schemas.settings import DuplicateSettings  # noqa: PLC0415

    counted = Counted()
    execution = Execution(threads=Threads(1), parts=counted, images=counted)
    settings = load_settings(ROOT / "release.toml", Flags(sfhq=[folder]))
    content = settings.content_with({}).model_copy(update={"near_duplicates": DuplicateSettings()})
    notes = Notes((ROOT / "CITATION.cff").read_text(), (ROOT / "CHANGELOG.md").read_text())
    marks: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start, inner = time.process_time(), sum(counted.seconds.values())
        yield
        marks[name] = time.process_time() - start - (sum(counted.seconds.values()) - inner)

    with closing(Catalog(out / "catalog.sqlite")) as catalog:
        with stage("read"):
            sources = open_sources(settings, ROOT, out)
            entries = SourceReader(catalog, content.build, out, execution).read(sources)
        with stage("layout"):
            plan = plan_build(catalog, describe_inputs("1.0", content, entries, notes), None)
        with stage("rest"):
            build_release(out / "1.0", catalog, plan, notes, Features(FeatureStore()), execution)
    return {**counted.seconds, **marks}


def main() -> int:
    """Build with two numbers of images, and print the cost of one more image."""
    parser = make_parser("stages.py", "Measure the cost of each stage for an image.", size=1024)
    parser.add_argument(
        "--images",
        type=positive,
        nargs=2,
        default=[200, 1000],
        help="two numbers of images (default: 200 1000)",
    )
    parser.add_argument("--one", type=Path, help="build this folder alone, and print the seconds as JSON")
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory(dir=options.work) as out:
            print(json.dumps(build(options.one, Path(out))))
        return 0
    few, many = sorted(options.images)
    found = {}
    for number in (few, many):
        folder = options.work / f"stages-{options.size}-{number}"
        corpus = make_corpus(folder, number, options.size)
        flags = ["--one", str(corpus.folder), "--work", str(options.work)]
        command = [sys.executable, str(Path(__file__)), *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[number] = json.loads(done.stdout.splitlines()[-1])
        shutil.rmtree(folder)
    per_image = {name: 1000 * (found[many][name] - found[few][name]) / (many - few) for name in found[many]}
    show(per_image)
    if options.json:
        options.json.write_text(json.dumps(per_image, indent=2) + "\n", encoding="utf-8")
    return 0


def show(per_image: dict[str, float]) -> None:
    """Print CPU milliseconds for an image."""
    table = Table(title="CPU time for each image")
    for name in ("where", "stage", "ms"):
        table.add_column(name, justify="right" if name == "ms" else "left")
    for where, stages in (("cluster", CLUSTER), ("one machine", ALONE)):
        for name, title in stages.items():
            table.add_row(where, title, f"{per_image[name]:.2f}")
        table.add_row(where, "together", f"{sum(per_image[name] for name in stages):.2f}", end_section=True)
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main())
