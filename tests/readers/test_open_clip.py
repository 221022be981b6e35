"""open_clip's trainer takes a few steps on the tars of a release, with the command that its users type."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from builders.release.formats import TarShard
from builders.release.formats.webdataset import SIZES_PATH, read_tar, write_sizes
from schemas.configs import CONFIGS
from schemas.manifest import Shard
from tests.readers.environments import MakeEnvironment
from tests.readers.page import RecordResult, example
from tests.readers.test_old_readers import OLD_WEBDATASET
from tests.support import MODELS

pytestmark = pytest.mark.slow

PROGRAM = f"{metadata.version('open_clip_torch')} with webdataset"
STEPS = 4


def train(python: Path, release: Path, folder: Path, batch_size: int) -> subprocess.CompletedProcess[str]:
    """Train for one epoch on a release with the command of READERS.md, but a small model on the CPU."""
    model = {"model_cfg": MODELS["tiny-ViT"], "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(model))
    flags = f"""--model local-dir:{folder} --batch-size {batch_size} --warmup 0 --device cpu --precision fp32
        --log-every-n-steps 1 --logs {folder} --name run"""
    command = example("bash", "open_clip_train").replace(
        "--model ViT-B-32 --batch-size 64", " ".join(flags.split())
    )
    assert "local-dir" in command
    path = f"{python.parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=release, env=os.environ | {"OMP_NUM_THREADS": "1", "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_trainer_of_open_clip_takes_steps_with_the_webdataset_that_it_asks_for(
    releases: Mapping[str, Path], environment: MakeEnvironment, record_result: RecordResult, tmp_path: Path
) -> None:
    (asked,) = (text for text in metadata.requires("open_clip_torch") or () if text.startswith("webdataset"))
    version = OLD_WEBDATASET.partition("==")[2]
    assert f"<={version}" in asked
    python = environment("webdataset", [OLD_WEBDATASET], above_ours=True)
    for name, release in releases.items():
        num_rows = sum(json.loads((release / SIZES_PATH).read_text()).values())
        done = train(python, release, tmp_path / name, num_rows // STEPS)
        assert done.returncode == 0, done.stderr[-2000:]
        losses = re.findall(r"Train Epoch: 0 .* Loss: (\d+\.\d+)", done.stderr + done.stdout)
        assert len(losses) == STEPS
        record_result("open_clip_train", f"{PROGRAM} {version}", name, f"trains for {STEPS} steps")


def test_the_trainer_of_open_clip_stops_with_a_newer_webdataset(
    sample_release: Path, record_result: RecordResult, tmp_path: Path
) -> None:
    # `group_by_keys_nothrow` of open_clip_train/data.py takes `fname` of everything that webdataset's
    # `tar_file_expander` yields. In 1.0 that yields `{}` after each tar (`eof_value` in tariterators.py), so
    # no tar gets through. Once open_clip supports it, this test fails, and READERS.md can say so.
    done = train(Path(sys.executable), sample_release, tmp_path / "run", 15)
    assert done.returncode != 0
    assert "open_clip_train/data.py" in done.stderr
    assert "KeyError: 'fname'" in done.stderr
    version = metadata.version("webdataset")
    result = (
        "stops with `KeyError: 'fname'` on any tar: its extra `training` asks for webdataset 0.2.86 at most"
    )
    record_result("open_clip_train", f"{PROGRAM} {version}", "sample", result)


# open_clip leaves the file of sizes open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_open_clip_counts_the_samples_of_several_tars(sample_release: Path, tmp_path: Path) -> None:
    from open_clip_train.data import get_dataset_size

    (tar,) = (sample_release / "webdataset").glob("*.tar")
    columns = CONFIGS["webdataset"].columns
    rows = list(read_tar(tar, columns))
    shards = []
    (tmp_path / "webdataset").mkdir()
    for number, start in enumerate(range(0, len(rows), 25)):
        path = tmp_path / "webdataset" / f"train-{number:05d}-{number}.tar"
        own = rows[start : start + 25]
        file = TarShard(path, columns)
        file.write_group(own)
        file.close()
        size, sha256 = file.file.num_bytes, file.file.sha256
        shards.append(
            Shard(
                path=f"webdataset/{path.name}", num_bytes=size, sha256=sha256, config="webdataset",
                split="train", number=number, num_rows=len(own),
            )
        )  # fmt: skip
    write_sizes(tmp_path / SIZES_PATH, shards)
    tars = [str(tmp_path / shard.path) for shard in shards]
    (expression,) = re.findall(r"--train-data (.*) .$", example("bash", "open_clip_train"), re.MULTILINE)
    listed = subprocess.run(
        ["bash", "-c", f"echo {expression}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert listed == "::".join(shard.path for shard in shards)
    assert get_dataset_size("::".join(tars)) == (len(rows), 3)
    assert get_dataset_size(tars[0]) == (25, 1)
