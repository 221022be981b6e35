"""Columns that make Data Studio, the Hub's viewer, show no statistics of a config.

The viewer draws a histogram for each column of a split: of numbers, of the lengths of lists and texts, of the
widths of images. If all whole numbers of one are n or n+1, its code raises, and no column of the split gets a
histogram. Nothing else in the viewer depends on them: rows, search and filters work.

Source: libs/libcommon/src/libcommon/statistics_utils.py of github.com/huggingface/dataset-viewer at f62009e
(2026-08). `generate_bins` makes the edges [n, n+1], and `compute_histogram` takes two edges only if they are
equal. All integer types have this fault. Floats do not, but a count of votes is a whole number. Fields of a
struct do not either, but they get no histogram at all. So columns keep their types, and the check warns.
"""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from builders.release.reader import open_table
from schemas.configs import Format
from schemas.manifest import Manifest, Shard
from schemas.problems import Problem, Reason

# The viewer's own: `descriptiveStatistics.maxSplitSizeBytes` in chart/env/prod.yaml, and what
# `StringColumn.is_class` in statistics_utils.py takes for categories, which get bars and no histogram.
MAX_BYTES_OF_STATISTICS = 5_000_000_000
MAX_CATEGORIES, MAX_SHARE_OF_CATEGORIES, FEW_CATEGORIES = 1000, 0.2, 10


def find_missing_statistics(
    folder: Path, manifest: Manifest, max_bytes: int = MAX_BYTES_OF_STATISTICS
) -> Iterator[Problem]:
    """Yield a warning for each column that leaves its config without statistics in Data Studio.

    Args:
        folder: A sound release.
        manifest: Its manifest.
        max_bytes: Uncompressed bytes of a split after which the viewer reads no further file.

    Raises:
        ArrowException, OSError: A file is damaged.
    """
    splits: dict[tuple[str, str], list[Shard]] = {}
    for shard in manifest.shards:
        if shard.format is Format.PARQUET:
            splits.setdefault((shard.config, shard.split), []).append(shard)
    for (name, split), shards in splits.items():
        config = manifest.inputs.configs[name]
        paths = [folder / shard.path for shard in shards]
        for column, (kind, low) in find_adjacent(paths, config.image_columns, max_bytes).items():
            yield Problem(
                Reason.VIEWER_STATISTICS,
                f"Data Studio shows no statistics of {name}, split {split}: "
                f"its code fails on {kind} that have two adjacent values only",
                file=config.folder,
                column=column,
                value=f"{low} and {low + 1}",
                fix="no action is needed: the fault is the viewer's, and its rows, search and filters work",
            )


@dataclass(slots=True)
class _Measure:
    """The least and the greatest value of what the viewer counts in a column.

    Attributes:
        kind: What it counts, in words.
        values: Different texts seen, until there are too many for categories.
    """

    kind: str
    low: int | None = None
    high: int | None = None
    values: set[str | None] = field(default_factory=set)

    @property
    def is_spread(self) -> bool:
        """Whether the column is sure to get its histogram."""
        return self.low is not None and self.high is not None and self.high - self.low > 1

    def add(self, column: pa.ChunkedArray) -> None:
        """Take in the values of one row group."""
        if self.kind == _TEXTS and len(self.values) <= MAX_CATEGORIES:
            self.values.update(pc.unique(column).to_pylist())
        found = pc.min_max(_COUNT[self.kind](column)).as_py()
        if found["min"] is not None:
            self.low = found["min"] if self.low is None else min(self.low, found["min"])
            self.high = found["max"] if self.high is None else max(self.high, found["max"])

    def fails(self, num_rows: int) -> bool:
        """Return whether the viewer's code raises on the column, in a split of that many rows."""
        adjacent = self.low is not None and self.high is not None and self.high - self.low == 1
        return adjacent and not (self.kind == _TEXTS and self._is_class(num_rows))

    def _is_class(self, num_rows: int) -> bool:
        unique = len(self.values)
        few = unique <= MAX_CATEGORIES and unique / num_rows <= MAX_SHARE_OF_CATEGORIES
        return few or unique <= FEW_CATEGORIES


def find_adjacent(
    paths: Iterable[Path], image_columns: Collection[str], max_bytes: int = MAX_BYTES_OF_STATISTICS
) -> Mapping[str, tuple[str, int]]:
    """Return the columns that the viewer's code fails on: name → what it counts there, and its least value.

    Args:
        paths: Parquet files of a split, in order.
        image_columns: Columns that carry an image.
        max_bytes: Uncompressed bytes after which the viewer reads no further file.

    Raises:
        ArrowException, OSError: A file is damaged.
    """
    measures: dict[str, _Measure] = {}
    num_rows = num_bytes = 0
    for path in paths:
        with open_table(path) as file:
            if not num_rows:
                measures = dict(_begin(image_columns, file.schema))
            num_rows += file.num_rows
            num_bytes += sum(group.num_bytes for group in file.groups)
            for group in range(len(file.groups)):
                wanted = [name for name, measure in measures.items() if not measure.is_spread]
                for name, column in _columns(file.read_group(group, wanted)):
                    measures[name].add(column)
        if num_bytes > max_bytes:
            break
    failing = ((name, measure) for name, measure in measures.items() if measure.fails(num_rows))
    return {name: (measure.kind, measure.low or 0) for name, measure in failing}


def _begin(image_columns: Collection[str], schema: pa.Schema) -> Iterator[tuple[str, _Measure]]:
    """Yield the columns that the viewer counts something in: no structs, no lists of fixed size."""
    for name, kind in zip(schema.names, schema.types, strict=True):
        if name in image_columns:
            yield name, _Measure(_IMAGES)
        elif pa.types.is_integer(kind):
            yield name, _Measure(_NUMBERS)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            yield name, _Measure(_LISTS)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            yield name, _Measure(_TEXTS)


def _columns(table: pa.Table) -> Iterable[tuple[str, pa.ChunkedArray]]:
    return zip(table.column_names, table.columns, strict=True)


def _widths(images: pa.ChunkedArray) -> pa.Array:
    """Return the width of each image in pixels, from its header."""
    widths: list[int | None] = []
    for data in pc.struct_field(images, "bytes"):
        if not data.is_valid:
            widths.append(None)
            continue
        with Image.open(io.BytesIO(data.as_py())) as image:
            widths.append(image.width)
    return pa.array(widths, pa.int64())


_NUMBERS, _LISTS, _TEXTS, _IMAGES = "numbers", "lengths of lists", "lengths of texts", "widths of images"
_COUNT: Mapping[str, Any] = {
    _NUMBERS: lambda column: column,
    _LISTS: pc.list_value_length,
    _TEXTS: pc.utf8_length,
    _IMAGES: _widths,
}
