"""Reading of a written release, one row group at a time."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.features import OF_CAPTIONS, PROVENANCE_KEY, Provenance
from schemas.manifest import Shard
from schemas.problems import EmbeddingError, Problem, Reason

_PREFIX = "clip_"


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


def feature_configs(shards: Sequence[Shard]) -> tuple[str, ...]:
    """Name the configs that hold embeddings of images."""
    names = dict.fromkeys(shard.config for shard in shards if shard.config.startswith(_PREFIX))
    return tuple(name for name in names if not name.endswith(OF_CAPTIONS))


def read_provenance(folder: Path, shards: Sequence[Shard], config: str) -> Provenance:
    """Read what made a config's features, which all of its files say alike.

    Raises:
        EmbeddingError: They do not say it, or not alike.
    """
    stated = {
        (pq.read_schema(folder / shard.path).metadata or {}).get(PROVENANCE_KEY)
        for shard in shards_of(shards, config)
    }
    try:
        (text,) = stated
        return Provenance.model_validate_json(text or b"")
    except (ValueError, ValidationError) as error:
        message = "the files do not say, or not alike, which encoder made their features"
        raise EmbeddingError(
            Problem(Reason.EMBEDDING, message, file=config, fix="build the release again")
        ) from error
