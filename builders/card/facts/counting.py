"""What is made of counts: order and quantiles."""

from collections import Counter
from typing import Any


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
