"""A release is read by the versions of programs that people have, each in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from publish.checks.files import read_manifest
from tests.readers.environments import MakeEnvironment, datasets_of
from tests.readers.page import RecordResult, example
from tests.support import ROOT

OLD_DATASETS = ("2.19.2", "3.6.0", "4.0.0")
OLD_TABLES = ("pyarrow==14.0.2", "pandas==2.0.3", "polars==1.1.0", "duckdb==1.0.0", "numpy<2")
OLD_SPARK, NEW_SPARK = "pyspark==3.5.8", "pyspark==4.3.0"
OLD_WEBDATASET = "webdataset==0.2.86"
# Module → name on the page.
PROGRAMS = {
    "pyarrow": "pyarrow",
    "pandas": "pandas",
    "polars": "polars",
    "duckdb": "DuckDB",
    "pyspark": "Spark",
}
WAYS = {"by_card", "stream", "by_file", "from_parquet"}

pytestmark = pytest.mark.slow

Releases = Mapping[str, Path]


def run(python: Path, script: str, releases: Releases, *arguments: str) -> dict[str, dict[str, Any]]:
    """Run a script over releases, in which nothing may fail; return release → what it says."""
    own = ("PYTHON", "HF_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    command = [str(python), "-I", str(ROOT / "tests" / "readers" / script), *arguments]
    done = subprocess.run(
        [*command, *map(str, releases.values())],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for found in lines:
        assert found["failed"] == {}, found["version"]
    return dict(zip(releases, lines, strict=True))


def count_configs(release: Path, rows: Mapping[str, Mapping[str, int]], ways: set[str]) -> str:
    """Return how many configs were read, once it is sure that each way read all rows of every config."""
    configs = read_manifest(release).configs
    assert rows.keys() == configs.keys()
    for config, counts in rows.items():
        num_rows = sum(split.num_rows for split in configs[config].values())
        assert counts == dict.fromkeys(ways, num_rows), config
    return f"reads all {len(rows)} configs"


def read_datasets(python: Path, releases: Releases, record_result: RecordResult) -> None:
    """Read releases in every way that `datasets` has."""
    for name, found in run(python, "read_datasets.py", releases).items():
        result = count_configs(releases[name], found["rows"], WAYS)
        record_result(
            "datasets", found["version"], name, f"{result}: by name, as a stream, by file, `from_parquet`"
        )


def read_tables(
    python: Path, programs: Sequence[str], releases: Releases, record_result: RecordResult
) -> None:
    """Read the Parquet files of releases with some programs."""
    for name, found in run(python, "read_tables.py", releases, ",".join(programs)).items():
        result = count_configs(releases[name], found["rows"], set(programs))
        assert found["version"].keys() == set(programs)
        for program, version in found["version"].items():
            record_result(PROGRAMS[program], version, name, result)


def read_tars(python: Path, releases: Releases, record_result: RecordResult) -> None:
    """Read the tars of releases with webdataset."""
    for name, found in run(python, "read_webdataset.py", releases).items():
        num_rows = sum(split.num_rows for split in read_manifest(releases[name]).configs["default"].values())
        ways = dict.fromkeys(("by_list", "shuffled", "with_workers"), num_rows)
        assert found["rows"] == {"webdataset": ways}
        record_result(
            "webdataset", found["version"], name, "reads all samples, shuffled and with workers, too"
        )


@pytest.mark.parametrize("version", OLD_DATASETS)
def test_an_older_datasets_reads_every_config_in_every_way(
    version: str, releases: Releases, environment: MakeEnvironment, record_result: RecordResult
) -> None:
    read_datasets(environment(f"datasets-{version}", datasets_of(version)), releases, record_result)


def test_the_newest_datasets_reads_every_config_in_every_way(
    releases: Releases, record_result: RecordResult
) -> None:
    read_datasets(Path(sys.executable), releases, record_result)


def test_older_programs_for_tables_read_every_config(
    releases: Releases, environment: MakeEnvironment, record_result: RecordResult
) -> None:
    programs = ["pyarrow", "pandas", "polars", "duckdb"]
    read_tables(environment("tables", OLD_TABLES), programs, releases, record_result)


def test_the_newest_programs_for_tables_read_every_config(
    releases: Releases, record_result: RecordResult
) -> None:
    programs = ["pyarrow", "pandas", "polars", "duckdb"]
    read_tables(Path(sys.executable), programs, releases, record_result)


@pytest.mark.parametrize("spark", [OLD_SPARK, NEW_SPARK])
def test_spark_reads_every_config(
    spark: str, releases: Releases, environment: MakeEnvironment, record_result: RecordResult
) -> None:
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    read_tables(environment(spark, [spark]), ["pyspark"], releases, record_result)


def test_an_older_webdataset_reads_every_sample(
    releases: Releases, environment: MakeEnvironment, record_result: RecordResult
) -> None:
    python = environment("webdataset", [OLD_WEBDATASET], above_ours=True)
    read_tars(python, releases, record_result)


def test_the_page_shows_how_webdataset_reads_with_more_workers_than_tars(sample_release: Path) -> None:
    code = f"""{example("python", "wds.WebDataset")}
from torch.utils.data import DataLoader
for options in ({{}}, {{"num_workers": 2}}):
    print(sum(1 for _ in DataLoader(images, batch_size=None, **options)))
"""
    for change, status in (("", 0), ("empty_check=False", 1)):
        own = code.replace(change, "") if change else code
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", own],
            cwd=sample_release, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr[-2000:]
        assert done.stdout.splitlines() == ["60", "60"][: 2 - status]
    assert "No samples found in dataset" in done.stderr


def test_the_newest_webdataset_reads_every_sample(releases: Releases, record_result: RecordResult) -> None:
    read_tars(Path(sys.executable), releases, record_result)
