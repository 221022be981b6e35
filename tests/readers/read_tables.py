"""Reads the Parquet files of releases with the programs of an environment; prints what failed.

`test_old_readers.py` runs it in environments with other versions; nothing of the kit is imported.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path


def read(folder: Path, programs: Sequence[str]) -> None:
    """Read all rows of every config with some programs."""
    files: dict[str, list[str]] = {}
    for shard in json.loads((folder / "manifest.json").read_text())["shards"]:
        if shard["path"].endswith(".parquet"):
            files.setdefault(shard["config"], []).append(str(folder / shard["path"]))
    failed: dict[str, str] = {}
    versions: dict[str, str] = {}
    rows: dict[str, dict[str, int]] = {config: {} for config in files}
    for program in programs:
        versions[program] = str(import_module(program).__version__)
        for config, paths in files.items():
            try:
                rows[config][program] = READERS[program](paths)
            except Exception as error:  # whatever it is, a user would see it
                failed[f"{config} {program}"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps({"version": versions, "rows": rows, "failed": failed}))


def read_pyarrow(paths: list[str]) -> int:
    """Count rows that pyarrow reads."""
    return sum(int(import_module("pyarrow.parquet").read_table(path).num_rows) for path in paths)


def read_polars(paths: list[str]) -> int:
    """Count rows that polars reads."""
    return int(import_module("polars").read_parquet(paths).height)


def read_duckdb(paths: list[str]) -> int:
    """Count rows that DuckDB reads; embeddings must be numbers there."""
    duckdb = import_module("duckdb")
    found = duckdb.sql(f"SELECT * FROM read_parquet({paths})")
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    if not kinds.get("embedding", "FLOAT").startswith("FLOAT"):
        raise TypeError(f"embedding is {kinds['embedding']}")
    return len(found.fetchall())


def read_spark(paths: list[str]) -> int:
    """Count rows that Spark reads."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # without it, Spark looks this machine's name up
    builder = import_module("pyspark.sql").SparkSession.builder.master("local[1]")
    options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.log.level": "OFF"}
    for name, value in options.items():
        builder = builder.config(name, value)
    return len(builder.getOrCreate().read.parquet(*paths).collect())


def read_pandas(paths: list[str]) -> int:
    """Count rows that pandas reads; texts must be text, and lists must have a length."""
    frame = import_module("pandas").concat(import_module("pandas").read_parquet(path) for path in paths)
    if "captions" in frame.columns:
        frame["captions"].map(len).sum()
    if "image_id" in frame.columns and not frame["image_id"].str.len().eq(16).all():
        raise TypeError("an image_id is not 16 characters")
    return len(frame)


READERS: Mapping[str, Callable[[list[str]], int]] = {
    "pyarrow": read_pyarrow,
    "pandas": read_pandas,
    "polars": read_polars,
    "duckdb": read_duckdb,
    "pyspark": read_spark,
}

if __name__ == "__main__":
    for name in sys.argv[2:]:
        read(Path(name), sys.argv[1].split(","))
