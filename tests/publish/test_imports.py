"""What a release imports: a library that takes seconds to import is not there for a few images."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, good_folder

pytestmark = pytest.mark.slow

# Each takes one CPU second or more, and the process that loads the release imports `datasets` itself.
SLOW = {"datasets", "torch", "open_clip", "transformers", "scipy.stats", "polars", "duckdb"}
RUN = """
import json, sys
from publish.release import main
status = main(sys.argv[1:])
print("\\n" + json.dumps([status, sorted(sys.modules)]))
"""


def run(*arguments: str) -> set[str]:
    """Run a release in a process of its own, and return what it imported."""
    command = [sys.executable, "-c", RUN, "--version", "1.0", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return set(modules)


def test_a_plan_imports_neither_figures_nor_datasets(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "collection").write()
    modules = run("--sfhq", str(folder), "--out", str(tmp_path / "dist"), "--plan")
    assert not modules & (SLOW | {"matplotlib", "pandas"})


def test_a_release_of_a_folder_imports_nothing_slow_but_figures(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "collection").write()
    modules = run("--sfhq", str(folder), "--out", str(tmp_path / "dist"))
    assert "matplotlib" in modules
    assert not modules & SLOW
    assert (tmp_path / "dist" / "1.0" / "manifest.json").is_file()


def test_a_release_of_the_sample_encodes_its_images_without_torch(tmp_path: Path) -> None:
    modules = run("--out", str(tmp_path / "dist"))
    assert not modules & (SLOW - {"scipy.stats"})  # choix, which compares its models, imports that
    assert (tmp_path / "dist" / "1.0" / "clip_sfhq_demo").is_dir()
