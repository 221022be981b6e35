"""Reading of written tables, one row group at a time, and what is made of counts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
