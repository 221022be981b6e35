"""Shards: which row goes into which file, and how a file is named.

A shard is named `{split}-{number}-{digest}.parquet`: its number among the shards of its config and
split, and the first digits of its bytes' SHA-256. There is no total in the name, so a shard that does
not change keeps its name when others are added, and a name never stands for two contents.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from builders.formats import FORMATS, ParquetShard
from schemas.configs import Config
from schemas.manifest import Shard
from schemas.settings import BuildSettings

_FORMAT = "parquet"
_MAX_TEXT_ROWS_PER_SHARD = 1_000_000
# What a Parquet file's footer will say is held in memory until it is closed, about 1 kB a row.
_MAX_IMAGE_ROWS_PER_SHARD = 10_000
_MAX_TEXT_ROWS_PER_GROUP = 5_000
# The Hub's viewer refuses to scan a row group above 300 MB; with images these stay well below.
_MAX_IMAGE_ROWS_PER_GROUP = 100
_MAX_IMAGE_BYTES_PER_GROUP = 90_000_000
_DIGEST_CHARS = 12


def write_shards(
    folder: Path,
    split: str,
    configs: Iterable[Config],
    rows: Iterable[Mapping[str, Mapping[str, object]]],
    settings: BuildSettings,
) -> tuple[Shard, ...]:
    """Write the rows of one split into the shards of some configs.

    Args:
        folder: The release folder being built.
        split: Name of the split.
        configs: What to make of each row.
        rows: Config → row, in the order in which they are published; a config may have no row of some.
        settings: Sizes.

    Returns:
        The shards, by config and number; none where there are no rows.
    """
    series = {config.name: _Series(folder, split, config, settings) for config in configs}
    for each in rows:
        for name, row in each.items():
            series[name].add(row)
    return tuple(shard for one in series.values() for shard in one.finish())


class _Series:
    """The shards of one config and split, written one after the other, one row group at a time."""

    def __init__(self, folder: Path, split: str, config: Config, settings: BuildSettings) -> None:
        self._folder, self._split, self._config, self._settings = folder, split, config, settings
        self._names = [column.name for column in config.columns]
        self._group: list[dict[str, object]] = []
        self._group_bytes = self._shard_bytes = self._shard_rows = 0
        self._writer: ParquetShard | None = None
        self._shards: list[Shard] = []

    def add(self, row: Mapping[str, object]) -> None:
        """Add one row, closing the row group or the shard that has no room for it."""
        num_bytes = sum(_image_bytes(row[name]) for name in self._config.image_columns)
        if self._shard_rows and not self._fits_shard(num_bytes):
            self._write_group()
            self._close_shard()
        elif self._group and not self._fits_group(num_bytes):
            self._write_group()
        self._group.append({name: row[name] for name in self._names})
        self._group_bytes += num_bytes
        self._shard_bytes += num_bytes
        self._shard_rows += 1

    def finish(self) -> Iterator[Shard]:
        """Close what is open and yield every shard."""
        self._write_group()
        self._close_shard()
        yield from self._shards

    def _fits_group(self, num_bytes: int) -> bool:
        if not self._config.image_columns:
            return len(self._group) < _MAX_TEXT_ROWS_PER_GROUP
        return (
            len(self._group) < _MAX_IMAGE_ROWS_PER_GROUP
            and self._group_bytes + num_bytes <= _MAX_IMAGE_BYTES_PER_GROUP
        )

    def _fits_shard(self, num_bytes: int) -> bool:
        if not self._config.image_columns:
            return self._shard_rows < _MAX_TEXT_ROWS_PER_SHARD
        return (
            self._shard_rows < _MAX_IMAGE_ROWS_PER_SHARD
            and self._shard_bytes + num_bytes <= self._settings.max_shard_bytes
        )

    def _write_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            self._open_path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = FORMATS[_FORMAT](self._open_path, self._config.columns)
        self._writer.write_group(self._group)
        self._group, self._group_bytes = [], 0

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        number, digest = len(self._shards), self._writer.sha256
        path = f"{self._config.folder}/{self._split}-{number:05d}-{digest[:_DIGEST_CHARS]}.{_FORMAT}"
        self._open_path.rename(self._folder / path)
        self._shards.append(
            Shard(
                path=path,
                num_bytes=self._writer.num_bytes,
                sha256=digest,
                config=self._config.name,
                split=self._split,
                num_rows=self._shard_rows,
            )
        )
        self._writer, self._shard_bytes, self._shard_rows = None, 0, 0

    @property
    def _open_path(self) -> Path:
        return self._folder / self._config.folder / f".{self._split}.{_FORMAT}.open"


def _image_bytes(image: Any) -> int:
    """Give the size of an image as a row has it: {"bytes", "path"}, or None."""
    return len(image["bytes"]) if image is not None else 0
