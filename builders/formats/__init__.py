"""The file formats of data. A new format is one module here and one line in `FORMATS`."""

from collections.abc import Mapping

from builders.formats.parquet import ParquetShard
from builders.formats.webdataset import TarShard, read_index, write_index

FORMATS: Mapping[str, type[ParquetShard]] = {"parquet": ParquetShard}

__all__ = ["FORMATS", "ParquetShard", "TarShard", "read_index", "write_index"]
