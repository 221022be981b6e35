"""Measure where one machine's catalog ends: time, memory and disk for rows of text alone.

The catalog is an SQLite file that stays on the machine of the command, also where others look at images and
write shards (`--on ray`). Each row is an image with a prompt of 300 characters and the settings of its
generator; there is no image file, so that nothing else is timed. Each count runs in a fresh process.

- read: rows into the catalog; the search for private data in their texts is not counted.
- settle: repetitions, contradictions, references, splits, counts.
- layout: the row groups and data files that every row goes into.
- give back: all rows once, in the order of the release, as the jobs of the shards take them.

Stages are in seconds of the processor, which other work on the machine changes little, and the whole also
in seconds of the clock.

    python benchmarks/catalog.py --rows 100000 1000000
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import hashlib
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.measure import measure
from benchmarks.options import positive

if TYPE_CHECKING:
    from builders.catalog import Catalog

STAGES = ("read", "settle", "layout", "give back")
_PROMPT_CHARS = 300  # upstream's prompts have 315 in the median
_NUM_WORDS = 2_000
_SETTINGS = {"image_size": "square_hd", "num_inference_steps": 50, "guidance_scale": 3.5}
_IMAGE_BYTES = 220_000


def fill(rows: int, folder: Path) -> dict[str, float]:
    """Take rows through a catalog; return the seconds of each stage, and the file's size in bytes."""
    from builders.catalog import Catalog  # noqa: PLC0415
    from builders.release.changes import arrange  # noqa: PLC0415
    from schemas.configs import Table as DataTable  # noqa: PLC0415
    from schemas.settings import BuildSettings  # noqa: PLC0415

    path = folder / "catalog.sqlite"
    start = time.perf_counter()
    marks = [time.process_time()]
    with closing(Catalog(path)) as catalog:
        _read(catalog, rows)
        marks.append(time.process_time())
        catalog.resolve()
        catalog.settle()
        marks.append(time.process_time())
        arrange(catalog, BuildSettings(), "submitted-majority", None, repack=False)
        marks.append(time.process_time())
        parts = catalog.layout.parts(DataTable.IMAGES)
        found = sum(1 for part in parts for _ in catalog.images.published(part))
        marks.append(time.process_time())
        if found != rows:
            raise SystemExit(f"{found:,} of {rows:,} rows came back")
    seconds = [later - earlier for earlier, later in itertools.pairwise(marks)]
    wall = time.perf_counter() - start
    return dict(zip(STAGES, seconds, strict=True)) | {"wall": wall, "bytes": path.stat().st_size}


def _read(catalog: "Catalog", rows: int) -> None:
    from builders.catalog import Stored  # noqa: PLC0415
    from builders.images.files import ImageFile  # noqa: PLC0415
    from builders.images.integrity import ImageFacts  # noqa: PLC0415
    from builders.sources.intake import ImageInput, ImageText, InputRow  # noqa: PLC0415
    from schemas.configs import Table as DataTable  # noqa: PLC0415
    from schemas.generators import GENERATORS  # noqa: PLC0415
    from schemas.records import TRAINED_ALGORITHMIC_MEDIA  # noqa: PLC0415

    generator = GENERATORS["FLUX1_dev"]
    said = json.dumps(_SETTINGS)
    settings = generator.settings.model_validate(_SETTINGS)
    for number, prompt in enumerate(_prompts(rows), 1):
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        name = f"FLUX1_dev_image_{number:010d}.jpg"
        facts = ImageFacts(sha256, _IMAGE_BYTES, "JPEG", "RGB", 1024, 1024)
        file = ImageFile(Path("/images") / name)
        text = ImageText(prompt, None, generator.name, settings, said, TRAINED_ALGORITHMIC_MEDIA)
        raw = json.dumps({"image_filename": name, "text_prompt": prompt, "configs": said})
        row = InputRow("bench", "table.csv", number + 1, raw, name, ImageInput(file, text), ())
        catalog.add(row, DataTable.IMAGES, facts, (Stored.of(file, facts),))


def _prompts(count: int) -> Iterator[str]:
    source = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(source.choices(letters, k=source.randint(3, 9))) for _ in range(_NUM_WORDS)]
    text = " ".join(source.choices(words, k=100_000))
    for _ in range(count):
        start = source.randrange(len(text) - _PROMPT_CHARS)
        yield text[start : start + _PROMPT_CHARS]


def show(console: Console, figures: Sequence[dict[str, float]]) -> None:
    """Print one row for each count."""
    table = Table(title="catalog: rows of text")
    table.add_column("rows", justify="right")
    for name in (*STAGES, "all", "rows per CPU s", "clock", "file, GB", "peak MB"):
        table.add_column(name, justify="right")
    for each in figures:
        seconds = [each[stage] for stage in STAGES]
        table.add_row(
            f"{int(each['rows']):,}",
            *(f"{value:.1f} s" for value in (*seconds, sum(seconds))),
            f"{each['rows'] / sum(seconds):,.0f}",
            f"{each['wall']:.0f} s",
            f"{each['bytes'] / 1e9:.2f}",
            f"{each['peak'] / 1e6:.0f}",
        )
    console.print(table)


def main() -> int:
    """Measure each count, smallest first, and print a table."""
    parser = argparse.ArgumentParser(prog="catalog.py", description="Measure the catalog with text.")
    parser.add_argument("--rows", type=positive, nargs="+", default=[100_000, 1_000_000], metavar="NUMBER")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="folder for the file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    parser.add_argument("--fill", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            options.fill.write_text(json.dumps(fill(options.rows[0], Path(folder))))
        return 0
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sorted(options.rows):
            found = Path(folder) / "figures.json"
            flags = ["--rows", str(rows), "--work", str(options.work), "--fill", str(found)]
            usage = measure([sys.executable, str(Path(__file__)), *flags], {}, Path(folder) / "log")
            figures.append(json.loads(found.read_text()) | {"rows": rows, "peak": usage.peak_bytes})
            show(Console(width=120), figures[-1:])
    show(Console(width=120), figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
