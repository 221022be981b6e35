"""Makes the Hub's statistics of Parquet files with the viewer's own code; prints the columns that fail.

`tests/publish/checks/test_viewer.py` runs it with a checkout of github.com/huggingface/dataset-viewer, in an
environment with the viewer's versions; nothing of the kit is imported. `column_of` does what
`_column_from_feature` in services/worker/src/worker/job_runners/split/descriptive_statistics.py does: that is
inside a function there.
"""

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def main(checkout: Path, folders: list[Path]) -> None:
    """Print, for each folder of one split's Parquet files, the columns that raise, and what they raise."""
    sys.path.insert(0, str(checkout / "libs" / "libcommon" / "src"))
    viewer = importlib.import_module("libcommon.statistics_utils")
    print(json.dumps({str(folder): failures(viewer, sorted(folder.glob("*.parquet"))) for folder in folders}))


def failures(viewer: Any, paths: list[Path]) -> Mapping[str, str]:
    """Return column → error, of those that fail."""
    polars, datasets = importlib.import_module("polars"), importlib.import_module("datasets")
    schema = pq.read_schema(paths[0])
    features = datasets.Features.from_arrow_schema(schema).to_dict()
    num_rows = sum(pq.read_metadata(path).num_rows for path in paths)
    failed: dict[str, str] = {}
    for name, feature in features.items():
        column = column_of(viewer, name, feature, schema.field(name).type, num_rows)
        if column is None:
            continue
        try:
            if isinstance(column, viewer.ImageColumn):
                column.compute_and_prepare_response(paths)
            else:
                own = datasets.Features.from_dict({name: feature}).arrow_schema
                table = pq.read_table(paths, columns=[name], schema=own)
                column.compute_and_prepare_response(polars.DataFrame._from_arrow(table))
        except viewer.StatisticsComputationError as error:
            failed[name] = str(error)
    return failed


def column_of(viewer: Any, name: str, feature: Any, kind: pa.DataType, num_rows: int) -> Any:
    """Return what computes a column's statistics; None for a column that gets none."""
    if isinstance(feature, list) or (
        isinstance(feature, dict) and feature.get("_type") in ("LargeList", "List", "Sequence")
    ):
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        return viewer.ListColumn(feature_name=name, n_samples=num_rows) if is_list else None
    if feature.get("_type") == "Image":
        return viewer.ImageColumn(feature_name=name, n_samples=num_rows, hf_token=None)
    dtype = feature.get("dtype", "") if feature.get("_type") == "Value" else ""
    for column, dtypes in (
        (viewer.IntColumn, viewer.INTEGER_DTYPES),
        (viewer.FloatColumn, viewer.FLOAT_DTYPES),
        (viewer.StringColumn, viewer.STRING_DTYPES),
        (viewer.BoolColumn, ["bool"]),
    ):
        if dtype in dtypes:
            return column(feature_name=name, n_samples=num_rows)
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
