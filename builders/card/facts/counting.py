"""What is made of counts: order and quantiles; and tables that are worth counting."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa


def ranked(counter: Counter[Any]) -> dict[Any, int]:
    """Order by count, then by value, so that equal data give equal text."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def quantiles(counter: Counter[int]) -> tuple[int, ...]:
    """Return the least, lower quartile, median, upper quartile and greatest of counted values."""
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


def join_groups(groups: Iterable[pa.Table], num_rows: int) -> Iterator[pa.Table]:
    """Yield tables of at least so many rows, except for the last one: each has a price of its own."""
    waiting: list[pa.Table] = []
    for group in groups:
        waiting.append(group)
        if sum(map(len, waiting)) >= num_rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
