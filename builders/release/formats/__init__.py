"""The file formats of data. A new format is one module here and one line in `FORMATS`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from builders.release.formats.hashing import HashingFile
from builders.release.formats.parquet import ParquetShard
from builders.release.formats.webdataset import (
    INDEX_PATH,
    IndexRow,
    TarShard,
    read_index,
    sample_key,
    sample_texts,
    write_index,
)
from schemas.columns import ColumnSpec
from schemas.configs import Format

__all__ = [
    "FORMATS",
    "INDEX_PATH",
    "IndexRow",
    "ParquetShard",
    "ShardFile",
    "TarShard",
    "read_index",
    "sample_key",
    "sample_texts",
    "write_index",
]


class ShardFile(Protocol):
    """A data file being written; the size and the digest of `file` are final once it is closed."""

    file: HashingFile

    def write_group(self, rows: Sequence[Mapping[str, object]]) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


FORMATS: Mapping[Format, Callable[[Path, Sequence[ColumnSpec]], ShardFile]] = {
    Format.PARQUET: ParquetShard,
    Format.WEBDATASET: TarShard,
}
