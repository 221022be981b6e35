"""Reads the Parquet files of a release with the programs of an environment; prints what failed.

`test_old_readers.py` runs it in an environment with older versions; nothing of the kit is imported.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path


def main(folder: Path) -> None:
    """Read all rows of every config with every program that is here."""
    files: dict[str, list[str]] = {}
    for shard in json.loads((folder / "manifest.json").read_text())["shards"]:
        if shard["path"].endswith(".parquet"):
            files.setdefault(shard["config"], []).append(str(folder / shard["path"]))
    failed: dict[str, str] = {}
    rows: dict[str, dict[str, int]] = {config: {} for config in files}
    for program, read in READERS.items():
        if importlib.util.find_spec(program) is None:
            continue
        for config, paths in files.items():
            try:
                rows[config][program] = read(paths)
            except Exception as error:  # whatever it is, a user would see it
                failed[f"{config} {program}"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps({"version": "programs", "rows": rows, "failed": failed}))


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
    builder = import_module("pyspark.sql").SparkSession.builder.master("local[1]")
    options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.log.level": "OFF"}
    for name, value in options.items():
        builder = builder.config(name, value)
    return len(builder.getOrCreate().read.parquet(*paths).collect())


READERS: Mapping[str, Callable[[list[str]], int]] = {
    "pyarrow": read_pyarrow,
    "polars": read_polars,
    "duckdb": read_duckdb,
    "pyspark": read_spark,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
