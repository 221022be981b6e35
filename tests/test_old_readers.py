"""A release is read by the versions of `datasets` that people have, each in an environment of its own."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from publish.checks.files import read_manifest
from tests.support import ROOT

OLD = ("2.19.2", "3.6.0", "4.0.0")
WAYS = {"by_card", "stream", "by_file", "from_parquet"}


def make_environment(folder: Path, version: str) -> Path:
    """Make an environment with a version of `datasets`; return its interpreter."""
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    wanted = [f"datasets=={version}", "pillow", f"pyarrow=={metadata.version('pyarrow')}"]
    install = (
        [str(uv), "pip", "install", "--no-config", "--python", str(python), *wanted]
        if uv.exists()
        else [str(python), "-m", "pip", "install", *wanted]
    )
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no registry gives datasets {version} here: {done.stderr[-300:]}")
    return python


def read(python: Path, release: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HF_"))
    }
    command = [str(python), "-I", str(ROOT / "tests" / "old_reader.py"), str(release)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failed"] == {}, found["version"]
    configs = read_manifest(release).configs
    assert found["rows"].keys() == configs.keys()
    for config, ways in found["rows"].items():
        num_rows = {split: counts.num_rows for split, counts in configs[config].items()}
        assert set(ways.values()) == {num_rows["train"]}, (config, ways)
    assert all(ways.keys() == WAYS for config, ways in found["rows"].items() if config != "webdataset")


@pytest.mark.slow
@pytest.mark.parametrize("version", OLD)
def test_an_older_datasets_reads_every_config_in_every_way(
    version: str, sample_release: Path, tmp_path: Path
) -> None:
    read(make_environment(tmp_path / version, version), sample_release)


@pytest.mark.slow
def test_the_newest_datasets_reads_every_config_in_every_way(sample_release: Path) -> None:
    read(Path(sys.executable), sample_release)
