"""The file formats of data: how a file of each is written and read back.

A new format is one module here, and two lines that belong together: one in `schemas.configs.Format`, and one
in `FORMATS`. Its config, rows and check, and its places in croissant.json and on the card, come from these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builders.release.formats.hashing import HashingFile
from builders.release.formats.parquet import ParquetShard, read_parquet
from builders.release.formats.webdataset import (
    INDEX_PATH,
    SIZES_PATH,
    TarShard,
    check_index,
    check_sizes,
    read_index,
    read_tar,
    sample_key,
    write_index,
    write_sizes,
)
from schemas.columns import ColumnSpec
from schemas.configs import Format
from schemas.manifest import Shard
from schemas.problems import Problem

__all__ = [
    "FORMATS",
    "INDEX_PATH",
    "FormatKind",
    "ParquetShard",
    "ShardFile",
    "TarShard",
    "read_index",
    "sample_key",
    "write_index",
    "write_indexes",
]


class ShardFile(Protocol):
    """A data file being written; the size and the digest of `file` are final once it is closed."""

    file: HashingFile

    def write_group(self, rows: Sequence[Mapping[str, object]]) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class ReadRows(Protocol):
    """Reads a finished file back."""

    def __call__(
        self, path: Path, columns: Sequence[ColumnSpec], *, with_images: bool = True
    ) -> Iterator[Mapping[str, Any]]:
        """Yield its rows, in order; an image is a mapping with its `bytes`.

        Raises:
            KitError, ArrowException, OSError, ValueError, KeyError, TypeError: It is damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class FormatKind:
    """How a format is written and read; `schemas.configs.Format` has its name, extension and media type.

    Attributes:
        write: Begins a file with some columns. Equal rows make equal bytes.
        read: Reads a file back; checks compare that with the rows of `default`.
        write_index: Writes, into a release, what lies beside all its files of the format; None for nothing.
        check_index: Yields what is wrong with that; raises what `read` raises.
    """

    write: Callable[[Path, Sequence[ColumnSpec]], ShardFile]
    read: ReadRows
    write_index: Callable[[Path, Sequence[Shard]], None] | None = None
    check_index: Callable[[Path, Sequence[Shard]], Iterator[Problem]] | None = None


def complete(formats: Mapping[Format, FormatKind]) -> Mapping[Format, FormatKind]:
    """Return a table of formats, once it is seen to be whole.

    Raises:
        AssertionError: A format is in `Format` only, or an index is written and not checked.
    """
    if missing := [each.value for each in Format if each not in formats]:
        raise AssertionError(f"formats without a line in FORMATS: {missing}")
    for name, kind in formats.items():
        if (kind.write_index is None) is not (kind.check_index is None):
            raise AssertionError(f"format {name.value!r}: an index is both written and checked, or neither")
    return formats


def _write_beside_tars(folder: Path, shards: Sequence[Shard]) -> None:
    write_index(folder / INDEX_PATH, folder, shards)
    write_sizes(folder / SIZES_PATH, shards)


def _check_beside_tars(folder: Path, shards: Sequence[Shard]) -> Iterator[Problem]:
    yield from check_index(folder, shards)
    yield from check_sizes(folder, shards)


FORMATS = complete(
    {
        Format.PARQUET: FormatKind(ParquetShard, read_parquet),
        Format.WEBDATASET: FormatKind(TarShard, read_tar, _write_beside_tars, _check_beside_tars),
    }
)


def write_indexes(folder: Path, shards: Sequence[Shard]) -> None:
    """Write what lies beside the files of each format that a release has.

    Raises:
        BuildError: A file is not as its format writes it.
    """
    for name, kind in FORMATS.items():
        own = [shard for shard in shards if shard.format is name]
        if own and kind.write_index is not None:
            kind.write_index(folder, own)
