"""Shards: the files that one part of a table is written into, one for each config.

A shard is named `{split}-{number}-{digest}`: the number of its part among those of its split, and the first
digits of its bytes' SHA-256. There is no total in the name, so a shard that does not change keeps its name
when others are added, and a name never stands for two contents.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from builders.catalog import Part
from builders.parallel import open_lanes
from builders.release.formats import FORMATS, ParquetShard, ShardFile
from schemas.configs import Config, Table
from schemas.features import PROVENANCE_KEY
from schemas.manifest import Shard

# Files without images have that many groups of the layout in one row group.
_GROUPS_OF_TEXT = {Table.IMAGES: 50, Table.CAPTIONS: 1, Table.PREFERENCES: 50, Table.GENERATION: 1}
_MAX_GROUPS_WAITING = 1
_DIGEST_CHARS = 12


def write_part(
    folder: Path,
    part: Part,
    groups: Sequence[tuple[int, int]],
    configs: Iterable[Config],
    rows: Iterable[Mapping[str, Mapping[str, object]]],
) -> tuple[Shard, ...]:
    """Write the rows of one part into a shard of each config.

    Every config is written in a thread of its own: compressing, hashing and writing let others run.

    Args:
        folder: The release folder being built.
        part: What is written.
        groups: What `Layout.groups` says of it.
        configs: What to make of each row.
        rows: Config → row, in order; a config may have no row of some.

    Returns:
        The shards, in the order of the configs; none of a config that has no row.
    """
    with ExitStack() as stack:
        writers = {
            config.name: _ShardWriter(folder, part, config, stack.enter_context(open_lanes()))
            for config in configs
        }
        remaining = iter(rows)
        for piece, (group, num_rows) in enumerate(groups):
            for each in itertools.islice(remaining, num_rows):
                for name, writer in writers.items():
                    if name in each:
                        writer.add(each[name], piece if writer.has_images else group)
        shards = [writer.finish() for writer in writers.values()]
    return tuple(shard for shard in shards if shard is not None)


class _ShardWriter:
    """One shard, written one row group at a time in another thread."""

    def __init__(self, folder: Path, part: Part, config: Config, pool: ThreadPoolExecutor) -> None:
        self._folder, self._part, self._config, self._pool = folder, part, config, pool
        # By part, since a cluster writes several at once; the same for a part that is written again.
        name = f".{part.split}-{part.number:05d}.{config.format}.open"
        self._open_path = folder / config.folder / name
        self.has_images = bool(config.image_columns)
        self._names = {column.name for column in config.columns}
        self._rows: list[Mapping[str, object]] = []
        self._num_rows = self._row_group = 0
        self._waiting: deque[Future[None]] = deque()
        self._writer: ShardFile | None = None

    def add(self, row: Mapping[str, object], group: int) -> None:
        """Add one row, after handing over the row group if this one is of another.

        Args:
            row: The row, with every column of the config; formats leave out others.
            group: Its group; where images are, the piece of that which it is in.

        Raises:
            KeyError: A column is missing.
        """
        if not self._names <= row.keys():
            raise KeyError(f"{self._config.name}: {sorted(self._names - row.keys())}")
        row_group = group if self.has_images else group // _GROUPS_OF_TEXT[self._part.table]
        if self._rows and row_group != self._row_group:
            self._write_group()
        self._row_group = row_group
        self._rows.append(row)
        self._num_rows += 1

    def finish(self) -> Shard | None:
        """Write what is left, name the file after its bytes and describe it; None if there is no row."""
        if self._rows:
            self._write_group()
        while self._waiting:
            self._waiting.popleft().result()
        if self._writer is None:
            return None
        self._pool.submit(self._writer.close).result()
        config, split, number, file = self._config, self._part.split, self._part.number, self._writer.file
        path = f"{config.folder}/{split}-{number:05d}-{file.sha256[:_DIGEST_CHARS]}.{config.extension}"
        self._open_path.rename(self._folder / path)
        return Shard(
            path=path,
            num_bytes=file.num_bytes,
            sha256=file.sha256,
            config=config.name,
            split=split,
            number=number,
            num_rows=self._num_rows,
        )

    def _write_group(self) -> None:
        """Hand the row group over; wait where too many are waiting already."""
        if self._writer is None:
            self._open_path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _open_file(self._open_path, self._config)
        self._waiting.append(self._pool.submit(self._writer.write_group, self._rows))
        self._rows = []
        while len(self._waiting) > _MAX_GROUPS_WAITING:
            self._waiting.popleft().result()


def _open_file(path: Path, config: Config) -> ShardFile:
    """Begin a file; one of features says what made them, which Parquet has a place for."""
    if config.provenance is not None:
        return ParquetShard(path, config.columns, {PROVENANCE_KEY: config.provenance.text})
    return FORMATS[config.format].write(path, config.columns)
