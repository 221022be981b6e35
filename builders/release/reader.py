"""The one way to read a written release: its rows by config, one row group at a time.

Formats other than Parquet are read back by their entries in `builders.release.formats`.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.configs import Format
from schemas.duplicates import DuplicateKind, NearDuplicate
from schemas.features import OF_CAPTIONS, PROVENANCE_KEY, Provenance
from schemas.manifest import NEAR_DUPLICATES_NAME, Shard, SplitCounts
from schemas.problems import EmbeddingError, Problem, Reason

_PREFIX = "clip_"


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Size of one row group; `num_bytes` is uncompressed."""

    num_rows: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class TableFile:
    """One opened Parquet file of a release, whether or not the release is sealed.

    Its methods raise pyarrow's `ArrowException` or `OSError` where the file is damaged.
    """

    _file: pq.ParquetFile

    @property
    def schema(self) -> pa.Schema:
        """Its columns, with the metadata of the schema."""
        return self._file.schema_arrow

    @property
    def provenance(self) -> bytes | None:
        """The encoder that made its rows, as JSON; None if it states none."""
        metadata: dict[bytes, bytes] = self.schema.metadata or {}
        return metadata.get(PROVENANCE_KEY)

    @property
    def groups(self) -> list[GroupSize]:
        """The size of each row group, from the footer."""
        footer = self._file.metadata
        groups = (footer.row_group(index) for index in range(footer.num_row_groups))
        return [GroupSize(group.num_rows, group.total_byte_size) for group in groups]

    @property
    def num_rows(self) -> int:
        """Rows of the file, from the footer."""
        return int(self._file.metadata.num_rows)

    def read_group(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read some columns of one row group, counted from 0; all columns if None."""
        return self._file.read_row_group(number, None if columns is None else list(columns))

    def row_groups(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield some columns, row group by row group; all columns if None."""
        for number in range(self._file.num_row_groups):  # `iter_batches` would read many groups ahead
            yield self.read_group(number, columns)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read some columns of all rows; all columns if None."""
        return self._file.read(None if columns is None else list(columns))


@contextmanager
def open_table(path: Path) -> Iterator[TableFile]:
    """Open a Parquet file of a release.

    Raises:
        ArrowException: It is not one.
        OSError: It cannot be opened.
    """
    with pq.ParquetFile(path) as file:
        yield TableFile(file)


@dataclass(frozen=True, slots=True)
class ReleaseReader:
    """Reads the data files of a release; memory is bounded by the largest row group.

    Rows of a config are numbered from 0 over all its files. Configs of images have their rows in one order.

    Attributes:
        folder: The release.
        shards: Its data files, in order, as the manifest lists them.
    """

    folder: Path
    shards: Sequence[Shard]

    def shards_of(self, config: str) -> list[Shard]:
        """Return the files of one config, in order."""
        return [shard for shard in self.shards if shard.config == config]

    def paths(self, config: str) -> list[Path]:
        """Return the paths of the files of one config, in order."""
        return [self.folder / shard.path for shard in self.shards_of(config)]

    def row_groups(self, config: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of one config, row group by row group."""
        for path in self.paths(config):
            with open_table(path) as file:
                yield from file.row_groups(columns)

    def read(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        """Read some columns of one file."""
        with open_table(self.folder / shard.path) as file:
            return file.read(columns)

    def column(self, config: str, name: str) -> Iterator[Any]:
        """Yield one column of one config, row by row."""
        for group in self.row_groups(config, [name]):
            yield from group[name].to_pylist()

    def rows(
        self, config: str, numbers: Collection[int], columns: Sequence[str]
    ) -> dict[int, dict[str, Any]]:
        """Read single rows of one config, and only the row groups that they are in.

        Args:
            config: One of the release's configs.
            numbers: The rows, counted from 0.
            columns: What to read.

        Returns:
            Row number → its values by column.
        """
        found: dict[int, dict[str, Any]] = {}
        wanted, first = sorted(set(numbers)), 0
        for path in self.paths(config):
            with open_table(path) as file:
                for group, size in enumerate(file.groups):
                    end = first + size.num_rows
                    own = [row for row in wanted if first <= row < end]
                    if own:
                        # Without a name for the group, which would live while the next one is read.
                        values = (
                            file.read_group(group, columns).take([row - first for row in own]).to_pylist()
                        )
                        found |= dict(zip(own, values, strict=True))
                    first = end
        return found

    def splits(self) -> dict[str, dict[str, SplitCounts]]:
        """Return config → split → rows and uncompressed bytes, from the footers of the Parquet files."""
        splits: dict[str, dict[str, SplitCounts]] = {}
        for shard in self.shards:
            if shard.format is not Format.PARQUET:
                continue
            with open_table(self.folder / shard.path) as file:
                groups = file.groups
            config = splits.setdefault(shard.config, {})
            known = config.get(shard.split, SplitCounts(num_rows=0, num_bytes=0))
            config[shard.split] = SplitCounts(
                num_rows=known.num_rows + sum(group.num_rows for group in groups),
                num_bytes=known.num_bytes + sum(group.num_bytes for group in groups),
            )
        return splits

    @property
    def feature_configs(self) -> tuple[str, ...]:
        """The configs that hold embeddings of images."""
        names = dict.fromkeys(shard.config for shard in self.shards if shard.config.startswith(_PREFIX))
        return tuple(name for name in names if not name.endswith(OF_CAPTIONS))

    def provenance(self, config: str) -> Provenance:
        """Read which encoder made a config of features; all of its files must state the same one.

        Raises:
            EmbeddingError: A file does not state it, or two files differ.
        """
        stated = set()
        for path in self.paths(config):
            with open_table(path) as file:
                stated.add(file.provenance)
        try:
            (text,) = stated
            return Provenance.model_validate_json(text or b"")
        except (ValueError, ValidationError) as error:
            message = "the files do not state one encoder that made their features"
            raise EmbeddingError(
                Problem(Reason.EMBEDDING, message, file=config, fix="build the release again")
            ) from error

    def near_duplicates(self) -> list[NearDuplicate] | None:
        """Read the list of near-duplicates, in its order; None if the release has none."""
        path = self.folder / NEAR_DUPLICATES_NAME
        if not path.is_file():
            return None
        with open_table(path) as file:
            rows = file.read().to_pylist()
        return [NearDuplicate(**{**row, "kind": DuplicateKind(row["kind"])}) for row in rows]
