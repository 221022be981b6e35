"""What `benchmarks/upload.py` compares: versions of a collection, with images of any average size."""

import math
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.corpus import invent_caption, read_rows, write_table
from builders.sources.images.sfhq import TABLE_NAME

MIXED = "mixed"
_SEED = 20_240_902
_OTHER_CAPTION = 9  # number of a caption that no image has yet
_LEAST_OF_MIXED, _MOST_OF_MIXED = 5e3, 2e6  # bytes
_SPREAD = 0.6  # images have 0.4 to 1.6 times the average
_JPEG_QUALITY = 95
_BYTES_PER_PIXEL = 1.01  # of grey noise at this quality


class Unit(Enum):
    """What the cost of a change is counted in."""

    KILOBYTES = "kB"
    PER_ROW = "kB for each row"
    SHARE = "% of all"
    RATIO = "x of what is new"


@dataclass(frozen=True, slots=True)
class Row:
    """One image with all that is said of it: the table's cells, and captions."""

    cells: Mapping[str, str]
    image: Path
    captions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The image's file name, which a replaced image keeps."""
        return self.cells["image_filename"]


@dataclass(frozen=True, slots=True)
class Material:
    """What all versions are made from.

    Attributes:
        rows: Every row, in the table's order.
        late: Indexes of rows that 1.0 has not, one for each hundred that it has.
        chosen: Indexes of as many rows of 1.0, to remove or change.
    """

    rows: Sequence[Row]
    late: frozenset[int]
    chosen: frozenset[int]

    @property
    def base(self) -> list[Row]:
        """The rows of 1.0."""
        return [row for index, row in enumerate(self.rows) if index not in self.late]

    @property
    def added(self) -> list[Row]:
        """The rows that 1.0 has not."""
        return [self.rows[index] for index in sorted(self.late)]

    def changed(self, change: Callable[[Row], Row | None]) -> list[Row]:
        """Return the rows of 1.0 with the chosen ones changed, or left out where `change` gives None."""
        rows = (
            change(row) if index in self.chosen else row
            for index, row in enumerate(self.rows)
            if index not in self.late
        )
        return [row for row in rows if row is not None]


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change.

    Attributes:
        name: The change, in words.
        rows: Returns the rows of the next version.
        unit: What its cost is counted in.
        has_features: Whether the next version has features, too.
    """

    name: str
    rows: Callable[[Material], list[Row]]
    unit: Unit
    has_features: bool = False


def _insert(material: Material) -> list[Row]:
    base = material.base
    return [*base[: len(base) // 2], *material.added, *base[len(base) // 2 :]]


def _replace(material: Material) -> list[Row]:
    others = iter(material.added)
    return material.changed(lambda row: replace(row, image=next(others).image))


def _edit(row: Row) -> Row:
    return replace(row, captions=(invent_caption(row.name, _OTHER_CAPTION), *row.captions[1:]))


CHANGES = (
    Change("nothing", lambda material: material.base, Unit.KILOBYTES),
    Change("1 % appended", lambda material: [*material.base, *material.added], Unit.RATIO),
    Change("1 % put in at one place", _insert, Unit.RATIO),
    Change("1 % put in all over", lambda material: list(material.rows), Unit.RATIO),
    Change("1 % removed", lambda material: material.changed(lambda _: None), Unit.PER_ROW),
    Change("1 % of images replaced", _replace, Unit.RATIO),
    Change("captions of 1 % edited", lambda material: material.changed(_edit), Unit.SHARE),
    Change("features added", lambda material: material.base, Unit.RATIO, has_features=True),
)


def average_bytes(average: str) -> float:
    """Return the average size of images in bytes; the mixture has all orders of size alike."""
    if average == MIXED:
        return (_MOST_OF_MIXED - _LEAST_OF_MIXED) / math.log(_MOST_OF_MIXED / _LEAST_OF_MIXED)
    return float(average) * 1e3


def make_folder(folder: Path, images: int, average: str) -> None:
    """Make an SFHQ folder with images of some size, unless it is there already.

    The images are grey noise, which is as large as a photo of many more pixels and is decoded much faster.

    Args:
        folder: The folder to make; `FOLDER.open` beside it is used on the way.
        images: How many images.
        average: Kilobytes on average, or "mixed": from 5 kB to 2 MB.
    """
    if folder.exists():
        return
    rng = np.random.default_rng(_SEED)
    open_folder = folder.with_name(f"{folder.name}.open")
    shutil.rmtree(open_folder, ignore_errors=True)
    (open_folder / "images").mkdir(parents=True)
    for name in write_table(open_folder / TABLE_NAME, images):
        place = rng.random()
        if average == MIXED:
            num_bytes = _LEAST_OF_MIXED * (_MOST_OF_MIXED / _LEAST_OF_MIXED) ** place
        else:
            num_bytes = average_bytes(average) * (1 - _SPREAD + 2 * _SPREAD * place)
        side = max(8, round(math.sqrt(num_bytes / _BYTES_PER_PIXEL)))
        file = BytesIO()
        pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "JPEG", quality=_JPEG_QUALITY)
        (open_folder / "images" / name).write_bytes(file.getvalue())
    open_folder.rename(folder)


def make_material(folder: Path, rows: int) -> Material:
    """Take a folder apart into 1.0 and what comes later; every other image gets two captions."""
    made = [
        Row(
            cells,
            folder / "images" / cells["image_filename"],
            tuple(invent_caption(cells["image_filename"], number) for number in range(1 + index % 2)),
        )
        for index, cells in enumerate(read_rows(folder / TABLE_NAME))
    ]
    rng = random.Random(_SEED)
    late = frozenset(rng.sample(range(len(made)), len(made) - rows))
    rest = [index for index in range(len(made)) if index not in late]
    return Material(made, late, frozenset(rng.sample(rest, len(late))))


def contents(rows: Sequence[Row]) -> dict[tuple[str, ...], int]:
    """List what rows hold with the size of each: images, cells and captions."""
    held: dict[tuple[str, ...], int] = {}
    for row in rows:
        held["image", row.name, str(row.image)] = row.image.stat().st_size
        for column, value in row.cells.items():
            held["cell", row.name, column, value] = len(value.encode())
        for caption in row.captions:
            held["caption", row.name, caption] = len(caption.encode())
    return held


def changed_bytes(before: Sequence[Row], after: Sequence[Row]) -> tuple[int, int]:
    """Compare two versions: bytes of content that are new, and that are gone."""
    old, new = contents(before), contents(after)
    return (
        sum(size for key, size in new.items() if key not in old),
        sum(size for key, size in old.items() if key not in new),
    )
