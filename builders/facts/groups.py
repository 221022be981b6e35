"""Reading of written tables, one row group at a time, and what is made of counts."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.manifest import Shard


def read_groups(
    folder: Path, shards: Iterable[Shard], config: str, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield some columns of one config, row group by row group: `iter_batches` reads many groups ahead."""
    for shard in shards:
        if shard.config == config:
            with pq.ParquetFile(folder / shard.path) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, list(columns))


def shards_of(shards: Iterable[Shard], config: str) -> list[Shard]:
    """List the files of one config, in order."""
    return [shard for shard in shards if shard.config == config]


def read_rows(
    folder: Path, shards: Iterable[Shard], config: str, rows: Collection[int], columns: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Read single rows of one config, and no row groups but those that they are in.

    Args:
        folder: The release.
        shards: Its files, in order.
        config: One of its configs; those of images have their rows in one order.
        rows: Counted from 0 over all files of the config.
        columns: What to read.

    Returns:
        Row → its values by column.
    """
    found: dict[int, dict[str, Any]] = {}
    wanted, first = sorted(set(rows)), 0
    for shard in shards_of(shards, config):
        with pq.ParquetFile(folder / shard.path) as file:
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                own = [row for row in wanted if first <= row < end]
                if own:
                    table = file.read_row_group(group, list(columns))
                    values = table.take([row - first for row in own]).to_pylist()
                    found |= dict(zip(own, values, strict=True))
                first = end
    return found


def ranked(counter: Counter[Any]) -> dict[Any, int]:
    """Order by count, then by value, so that equal data give equal text."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def quantiles(counter: Counter[int]) -> tuple[int, ...]:
    """Give the least, lower quartile, median, upper quartile and greatest of counted values."""
    ordered = sorted(counter.items())
    result = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        remaining = share * (counter.total() - 1)
        for value, count in ordered:
            remaining -= count
            if remaining < 0:
                result.append(value)
                break
    return tuple(result)
