"""Facts about a release, read back from its written files: what the card says and a check compares."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from schemas.manifest import Shard, SplitCounts

_TEXT_CONFIG = "prompts"
_COUNTED = ("generator", "source", "license", "format", "digital_source_type")


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers about a release.

    Attributes:
        splits: Config → split → size, as `datasets` counts.
        num_images: Rows of the default config.
        image_bytes: Sum of the image files' sizes, in bytes.
        generators: Generator → images.
        sources: Source → images.
        licenses: Terms → images.
        formats: Real format → images.
        digital_source_types: IPTC term → images.
        sizes: (width, height) in px → images.
        num_prompts: Images with a prompt.
        prompt_words: Words per prompt: least, lower quartile, median, upper quartile, most.
    """

    splits: Mapping[str, Mapping[str, SplitCounts]]
    num_images: int
    image_bytes: int
    generators: Mapping[str, int]
    sources: Mapping[str, int]
    licenses: Mapping[str, int]
    formats: Mapping[str, int]
    digital_source_types: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    num_prompts: int
    prompt_words: tuple[int, ...]


def read_facts(folder: Path, shards: Iterable[Shard]) -> Facts:
    """Read the facts about a release from its Parquet files.

    Args:
        folder: The release.
        shards: Its shards; at least one of each config.

    Returns:
        The facts. Only the image-free table is read, and one row group of it at a time.
    """
    shards = list(shards)
    counters: dict[str, Counter[object]] = {name: Counter() for name in (*_COUNTED, "size")}
    words: Counter[int] = Counter()
    image_bytes = 0
    for batch in _batches(folder, shards):
        for name in _COUNTED:
            counters[name].update(batch[name])
        counters["size"].update(zip(batch["width"], batch["height"], strict=True))
        words.update(len(prompt.split()) for prompt in batch["prompt"] if prompt is not None)
        image_bytes += sum(batch["num_bytes"])
    splits = _read_splits(folder, shards)
    return Facts(
        splits=splits,
        num_images=sum(split.num_rows for split in splits["default"].values()),
        image_bytes=image_bytes,
        generators=_ranked(counters["generator"]),
        sources=_ranked(counters["source"]),
        licenses=_ranked(counters["license"]),
        formats=_ranked(counters["format"]),
        digital_source_types=_ranked(counters["digital_source_type"]),
        sizes=_ranked(counters["size"]),
        num_prompts=words.total(),
        prompt_words=_quantiles(words),
    )


def _batches(folder: Path, shards: Iterable[Shard]) -> Iterator[dict[str, list[Any]]]:
    columns = [*_COUNTED, "width", "height", "num_bytes", "prompt"]
    for shard in shards:
        if shard.config == _TEXT_CONFIG:
            # Row group by row group: `iter_batches` reads many groups ahead.
            with pq.ParquetFile(folder / shard.path) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, columns).to_pydict()


def _read_splits(folder: Path, shards: Iterable[Shard]) -> dict[str, dict[str, SplitCounts]]:
    """Add up rows and uncompressed bytes from the files' footers."""
    splits: dict[str, dict[str, SplitCounts]] = {}
    for shard in shards:
        footer = pq.read_metadata(folder / shard.path)
        num_bytes = sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))
        config = splits.setdefault(shard.config, {})
        known = config.get(shard.split, SplitCounts(num_rows=0, num_bytes=0))
        config[shard.split] = SplitCounts(
            num_rows=known.num_rows + footer.num_rows, num_bytes=known.num_bytes + num_bytes
        )
    return splits


def _ranked(counter: Counter[Any]) -> dict[Any, int]:
    """Order by count, then by value, so that equal data give equal text."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _quantiles(counter: Counter[int]) -> tuple[int, ...]:
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
