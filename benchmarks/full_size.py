"""Release a collection of the full size, and the next versions of it: time, CPU, memory and bytes by stage.

    python benchmarks/full_size.py --out FOLDER

It makes 122,726 different JPEGs of 1024 pixels and 220 kB on average, 27 GB, with one caption each, and
releases them as Parquet. Then 1 % of them change: a quarter of these are removed, added, replaced, and get
another caption. A last version changes nothing. Every stage runs the command that a maintainer types, in a
process of its own. FOLDER needs 2.2 times the size of the images, 60 GB: the source, the release, and the
files that the next version writes again; those it keeps are hard links. All of it is removed at the end.

**The images.** Drawing and compressing so many would take an hour. JPEG has restart markers: with one after
each row of blocks, the compressed data of a row can be decoded without the rows before it. So 256 images are
drawn, with four levels of noise, and each image of the collection takes each of its 64 rows from one of the
64 images of a level, chosen at random. No two images are equal. Two have a row in common now and then, 3 kB
of compressed data, and two rows in succession once in 4,096 times; chunks of Xet are 64 kB, so these do not
make the images look cheap to send. Decoding takes as long as for any JPEG.

**The changes.** The place of a row depends on the digest of its image, so changes all over the collection
would have every file written again, for which the disk has no room. The rows that change are taken from as
few files as have enough of them.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import csv
import json
import random
import re
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import draw_jpeg, invent_caption, invent_rows
from benchmarks.jobs import ROOT
from benchmarks.measure import CommandFailedError, Usage, measure
from benchmarks.options import positive
from builders.sources.images.sfhq import COLUMNS, TABLE_NAME
from publish.checks.files import read_manifest

_SEED = 20_251_130
_FULL_SIZE = 122_726
_SIZE = 1024
_NOISE_LEVELS = (2.7, 3.6, 4.4, 5.2)  # JPEGs of 110 to 320 kB
_DRAWN_PER_LEVEL = 64
_AVERAGE_BYTES = 220_000
_DISK_FACTOR = 2.2
_CHANGED_SHARE = 0.01
_KINDS_OF_CHANGE = 4
_MARKER = re.compile(rb"\xff[\xd0-\xd7]")
_START_OF_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MB = 1e6
_COLUMNS = ("seconds", "CPU s", "peak MB", "MB written", "MB for a host")


class NoRoomError(Exception):
    """The disk is too small."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage and what it took.

    Attributes:
        name: As the table shows it.
        usage: Time and memory; no peak where the stage ran in this process.
        written: Bytes of files that it made; hard links are none.
        sent: Bytes of the release's files that a host does not have yet, before Xet takes chunks away.
    """

    name: str
    usage: Usage
    written: int = 0
    sent: int = 0


@dataclass(slots=True)
class Collection:
    """The source, as it is on the disk.

    Attributes:
        folder: Images and their table.
        captions: The captions' table.
        rows: Rows of the table by file name.
        texts: Caption of each image by file name.
    """

    folder: Path
    captions: Path
    rows: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def image(self, name: str) -> Path:
        """Return the path of an image."""
        return self.folder / "images" / name

    def write_tables(self) -> None:
        """Write both tables."""
        with (self.folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(self.rows.values())
        with self.captions.open("w", encoding="utf-8") as file:
            for name, text in self.texts.items():
                file.write(json.dumps({"file_name": name, "caption": text}) + "\n")


class ImageMaker:
    """Makes as many different JPEGs as are asked for, from rows of few.

    Args:
        size: Width and height in pixels.
        drawn: How many to draw for each level of noise.
    """

    def __init__(self, size: int, drawn: int) -> None:
        self._levels = [
            [
                _split_jpeg(draw_jpeg(at * drawn + index, size, noise_level=level, rows_between_markers=1))
                for index in range(drawn)
            ]
            for at, level in enumerate(_NOISE_LEVELS)
        ]

    def make(self, number: int) -> bytes:
        """Return the JPEG of a number: the same for the same number, and another one for each."""
        rng = random.Random(f"{_SEED} {number}")
        drawn = self._levels[number % len(self._levels)]
        head, rows = drawn[0]
        parts = [head]
        for at, choice in enumerate(rng.choices(range(len(drawn)), k=len(rows))):
            parts.append(drawn[choice][1][at])
            parts.append(b"\xff" + bytes([0xD0 + at % 8]))
        parts[-1] = _END
        return b"".join(parts)


def _split_jpeg(data: bytes) -> tuple[bytes, list[bytes]]:
    """Split a JPEG into all before the compressed data, and the compressed data of each row of blocks."""
    scan = data.rindex(_START_OF_SCAN)
    start = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
    return data[:start], _MARKER.split(data[start : data.rindex(_END)])


def make_collection(folder: Path, images: int, size: int) -> tuple[Collection, ImageMaker]:
    """Make the source."""
    collection = Collection(folder / "faces", folder / "captions.jsonl")
    (collection.folder / "images").mkdir(parents=True)
    maker = ImageMaker(size, min(_DRAWN_PER_LEVEL, images))
    for number, row in enumerate(invent_rows(images)):
        name = row[0]
        collection.rows[name] = row
        collection.texts[name] = invent_caption(name, 1)
        collection.image(name).write_bytes(maker.make(number))
    collection.write_tables()
    return collection, maker


def change_collection(collection: Collection, maker: ImageMaker, release: Path) -> int:
    """Change 1 % of the rows, in as few of the release's files as have enough of them; return how many."""
    images = len(collection.rows)
    of_each = max(1, round(images * _CHANGED_SHARE / _KINDS_OF_CHANGE))
    names = iter(_names_by_file(release))
    for name, _ in zip(names, range(of_each), strict=False):
        del collection.rows[name], collection.texts[name]
        collection.image(name).unlink()
    for number, name in zip(range(of_each), names, strict=False):
        collection.image(name).write_bytes(maker.make(images + number))
    for _, name in zip(range(of_each), names, strict=False):
        collection.texts[name] = invent_caption(name, 2)
    for number in range(of_each):
        name, like = f"new_{number:07d}.jpg", next(iter(collection.rows.values()))
        collection.rows[name] = (name, *like[1:])
        collection.texts[name] = invent_caption(name, 1)
        collection.image(name).write_bytes(maker.make(images + of_each + number))
    collection.write_tables()
    return _KINDS_OF_CHANGE * of_each


def _names_by_file(release: Path) -> Iterator[str]:
    """Yield the images' names in the order in which the release has them, the last file's first."""
    shards = [shard for shard in read_manifest(release).shards if shard.config == "prompts"]
    for shard in reversed(shards):
        yield from pq.read_table(release / shard.path, columns=["file_name"])["file_name"].to_pylist()


def run_stages(folder: Path, images: int, size: int) -> Iterator[Stage]:
    """Yield each stage once it has run.

    Raises:
        CommandFailedError: A command ended with an error.
    """
    made: list[tuple[Collection, ImageMaker]] = []
    usage = _measure_here(lambda: made.append(make_collection(folder, images, size)))
    collection, maker = made[0]
    yield Stage(f"make {images:,} images", usage, _num_bytes(collection.folder))
    settings = _write_settings(folder)
    out = folder / "dist"

    def release(name: str, version: str, before: str | None) -> Stage:
        arguments = ["--config", str(settings), "--sfhq", str(collection.folder), "--out", str(out)]
        arguments += ["--captions", str(collection.captions), "--version", version, "--strict"]
        usage = _run(["release", *arguments], folder)
        return Stage(name, usage, *_compare(out, version, before))

    yield release("release 1.0, and check it", "1.0", None)
    yield Stage("check 1.0 alone", _run(["check", str(out / "1.0")], folder))
    num_changed = change_collection(collection, maker, out / "1.0")
    yield release(f"release 2.0 with {num_changed:,} changes, and check it", "2.0", "1.0")
    yield release("release 2.0.1 without a change, and check it", "2.0.1", "2.0")


def _write_settings(folder: Path) -> Path:
    """Write the settings: those of the kit, with Parquet alone."""
    text = (ROOT / "release.toml").read_text(encoding="utf-8")
    settings = folder / "release.toml"
    settings.write_text(text.replace("[release]", '[release]\nformats = { folder = ["parquet"] }', 1))
    for name in ("CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return settings


def _run(arguments: Sequence[str], folder: Path) -> Usage:
    command = [sys.executable, str(ROOT / "publish" / "sfhq.py"), *arguments]
    environment = {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "TMPDIR": str(folder)}
    return measure(command, environment, folder / "log")


def _compare(out: Path, version: str, before: str | None) -> tuple[int, int]:
    """Return how many bytes a release has that were written, and that the one before does not have."""
    manifest = read_manifest(out / version)
    known = {shard.sha256 for shard in read_manifest(out / before).shards} if before else set()
    files = [(each.path, each.num_bytes, each.sha256) for each in (*manifest.shards, *manifest.files)]
    written = sum(size for path, size, _ in files if (out / version / path).stat().st_nlink == 1)
    return written, sum(size for _, size, sha256 in files if sha256 not in known)


def _measure_here(function: Callable[[], object]) -> Usage:
    """Run a function in this process, whose memory is not the kit's."""
    start, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
    return Usage(time.perf_counter() - start, 0, 0, used)


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_room(folder: Path, images: int) -> None:
    """Check that the disk has room for everything.

    Raises:
        NoRoomError: It has not.
    """
    needed, free = images * _AVERAGE_BYTES * _DISK_FACTOR, shutil.disk_usage(folder).free
    if needed > free:
        message = f"{folder} needs {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free"
        raise NoRoomError(f"{message}; give another folder with --out, or fewer images with --images")


def results_table(stages: Sequence[Stage], images: int) -> Table:
    """Lay the stages out, one a row."""
    table = Table("stage", title=f"{images:,} images, Parquet", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for stage in stages:
        usage = stage.usage
        peak = f"{usage.peak_bytes / _MB:,.0f}" if usage.peak_bytes else ""
        sizes = (f"{size / _MB:,.1f}" if size else "" for size in (stage.written, stage.sent))
        table.add_row(stage.name, f"{usage.seconds:,.1f}", f"{usage.cpu_seconds:,.1f}", peak, *sizes)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    folder = options.out / "sfhq-full-size"
    stages: list[Stage] = []
    try:
        folder.mkdir(parents=True)
    except FileExistsError:  # it may be another run's
        print(f"{folder} is there already: remove it, or give another folder with --out", file=sys.stderr)
        return 1
    try:
        check_room(folder, options.images)
        for stage in run_stages(folder, options.images, options.size):
            print(f"{stage.name}: {stage.usage.seconds:,.1f} s", file=sys.stderr)
            stages.append(stage)
    except (CommandFailedError, NoRoomError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    Console(width=None if sys.stdout.isatty() else 120).print(results_table(stages, options.images))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="full_size.py", description="Release a collection of the full size, and next versions of it."
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to work; all is removed at the end"
    )
    parser.add_argument(
        "--images",
        type=positive,
        default=_FULL_SIZE,
        metavar="N",
        help="how many (default: %(default)s, which needs 60 GB of disk)",
    )
    parser.add_argument(
        "--size", type=positive, default=_SIZE, help="width and height in pixels (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
