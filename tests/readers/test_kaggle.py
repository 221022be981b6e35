"""A notebook on Kaggle reads what Kaggle mounts below /kaggle/input: the files that it is given."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from publish.checks.files import read_manifest
from publish.hosts.kaggle.contents import sent_entries
from tests.readers.environments import MakeEnvironment, datasets_of
from tests.readers.page import example
from tests.support import tree_digest

pytestmark = pytest.mark.slow

# Follows the example of READERS.md, which gives `images` and `captions`.
NOTEBOOK = """
import json
import sys
from datasets import get_dataset_config_names
folder = sys.argv[1]
assert images[0]["image"].size == (images[0]["width"], images[0]["height"]) and captions[0]["caption"]
found = {name: len(load_dataset(folder, name, split="train")) for name in get_dataset_config_names(folder)}
images = load_dataset("parquet", data_files=f"{folder}/images/*.parquet", split="train", streaming=True)
found["by file"] = sum(row["image"].size == (row["width"], row["height"]) for row in images)
print(json.dumps(found))
"""


@pytest.mark.parametrize("version", ["newest", "4.0.0"])
def test_a_notebook_on_kaggle_loads_each_config_offline(
    version: str, sample_release: Path, environment: MakeEnvironment, tmp_path: Path
) -> None:
    mounted = tmp_path / "kaggle" / "input" / "sfhq-t2i"
    manifest = read_manifest(sample_release)
    entries = sent_entries(manifest)
    assert not any(entry.path.startswith("webdataset/") for entry in entries)
    for entry in entries:
        (mounted / entry.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample_release / entry.path, mounted / entry.path)
    before = tree_digest(mounted)
    python = Path(sys.executable)
    if version != "newest":
        python = environment(f"datasets-{version}", datasets_of(version))
    code = example("python", "/kaggle/input").replace("/kaggle/input/sfhq-t2i", str(mounted))
    known = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [str(python), "-I", "-c", code + NOTEBOOK, str(mounted)],
        env=os.environ | known, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    num_rows = {name: splits["train"].num_rows for name, splits in manifest.configs.items()}
    assert found == num_rows | {"by file": num_rows["default"]}
    assert tree_digest(mounted) == before
