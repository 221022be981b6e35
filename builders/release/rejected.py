"""Rejected rows: what was not published, with every reason, beside the release and never in it."""

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.catalog import Catalog
from builders.files import open_whole
from schemas.columns import arrow_schema, columns_of
from schemas.records import RejectedRow

_ROWS_PER_GROUP = 1_000


def write_rejected(catalog: Catalog, path: Path) -> None:
    """Write the rejected rows with their problems as Parquet, or remove an old file if there are none.

    Args:
        catalog: The settled catalog.
        path: The file; it is there whole or not at all.
    """
    if not any(counts.rejected for counts in catalog.counts().values()):
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = arrow_schema(columns_of(RejectedRow))
    with open_whole(path) as open_path, pq.ParquetWriter(open_path, schema, compression="zstd") as writer:
        rows = (row.model_dump() for row in catalog.ledger.rejected())
        while batch := list(itertools.islice(rows, _ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
