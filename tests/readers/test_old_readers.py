"""A release is read by the versions of programs that people have, each in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pytest

from publish.checks.files import read_manifest
from tests.support import ROOT

OLD_DATASETS = ("2.19.2", "3.6.0", "4.0.0")
OLD_TABLES = ("pyarrow==14.0.2", "polars==1.1.0", "duckdb==1.0.0", "numpy<2")
SPARK = "pyspark==3.5.8"
WAYS = {"by_card", "stream", "by_file", "from_parquet"}

pytestmark = pytest.mark.slow


def make_environment(folder: Path, wanted: Sequence[str]) -> Path:
    """Make an environment with some packages; return its interpreter."""
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    tool = [str(uv), "pip", "install", "--no-config", "--python"] if uv.exists() else []
    install = [*tool, str(python), *wanted] if tool else [str(python), "-m", "pip", "install", *wanted]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no registry gives {', '.join(wanted)} here: {done.stderr[-300:]}")
    return python


def read(python: Path, script: str, release: Path) -> Mapping[str, Mapping[str, int]]:
    """Run a script over a release, which must give all rows of every config: config → way → rows."""
    own = ("PYTHON", "HF_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    command = [str(python), "-I", str(ROOT / "tests" / "readers" / script), str(release)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failed"] == {}, found["version"]
    configs = read_manifest(release).configs
    assert found["rows"].keys() == configs.keys()
    for config, ways in found["rows"].items():
        num_rows = sum(counts.num_rows for counts in configs[config].values())
        assert set(ways.values()) == {num_rows}, (config, ways)
    rows: Mapping[str, Mapping[str, int]] = found["rows"]
    return rows


@pytest.mark.parametrize("version", OLD_DATASETS)
def test_an_older_datasets_reads_every_config_in_every_way(
    version: str, sample_release: Path, tmp_path: Path
) -> None:
    wanted = [f"datasets=={version}", "pillow", f"pyarrow=={metadata.version('pyarrow')}"]
    rows = read(make_environment(tmp_path / version, wanted), "read_datasets.py", sample_release)
    assert all(ways.keys() == WAYS for ways in rows.values())


def test_the_newest_datasets_reads_every_config_in_every_way(sample_release: Path) -> None:
    rows = read(Path(sys.executable), "read_datasets.py", sample_release)
    assert all(ways.keys() == WAYS for ways in rows.values())


def test_older_programs_for_tables_read_every_config(sample_release: Path, tmp_path: Path) -> None:
    has_java = shutil.which("java") is not None
    wanted = [*OLD_TABLES, SPARK] if has_java else OLD_TABLES
    rows = read(make_environment(tmp_path / "tables", wanted), "read_tables.py", sample_release)
    programs = {"pyarrow", "polars", "duckdb", *(["pyspark"] if has_java else [])}
    assert all(ways.keys() == programs for ways in rows.values())
