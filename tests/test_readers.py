"""A release is read by what people use, from the built-in sample and from real images."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from builders.sources.sample import write_sample
from tests.support import run_release

CONSUMER = """
import hashlib, json, sys
from datasets import load_dataset, Image
assert not any("builders" in name or "schemas" in name for name in sys.modules)
found = {}
for row in load_dataset(sys.argv[1], split="train"):
    image = row["image"]
    found[row["file_name"]] = [list(image.size), row["prompt"], [row["width"], row["height"]]]
raw = load_dataset(sys.argv[1], split="train", streaming=True).cast_column("image", Image(decode=False))
for row in raw:
    found[row["file_name"]].append(hashlib.sha256(row["image"]["bytes"]).hexdigest())
print(json.dumps(found))
"""


def consume(folder: Path, home: Path) -> dict[str, list[object]]:
    """Load a release with `datasets` in another process, in a folder where the kit cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", CONSUMER, str(folder)],
        env={**os.environ, "HF_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def assert_equals_source(release: Path, source: Path, home: Path) -> None:
    """Compare a release with the table and the image files that it was made from."""
    with (source / "SFHQ_T2I_dataset.csv").open(encoding="utf-8", newline="") as file:
        table = {row["image_filename"]: row for row in csv.DictReader(file)}
    found = consume(release, home)
    assert found.keys() == table.keys()
    for name, (size, prompt, stated_size, sha256) in found.items():
        assert sha256 == hashlib.sha256((source / "images" / name).read_bytes()).hexdigest()
        assert prompt == (table[name]["text_prompt"] or None)
        assert size == stated_size


def assert_others_read(release: Path, num_rows: int, num_prompts: int) -> None:
    """Read a release with pandas, polars, DuckDB and pyarrow."""
    for folder in ("images", "prompts"):
        files = f"{release}/{folder}/*.parquet"
        frame = pd.read_parquet(release / folder)
        assert (len(frame), frame["prompt"].notna().sum()) == (num_rows, num_prompts)
        lazy = pl.scan_parquet(files)
        assert lazy.select(pl.len()).collect().item() == num_rows
        assert lazy.select(pl.col("settings").struct.field("seed").count()).collect().item() >= 0
        query = f"SELECT count(*), count(prompt), count(settings.seed) FROM '{files}'"
        (counted,) = duckdb.execute(query).fetchall()
        assert counted[:2] == (num_rows, num_prompts)
        assert pq.read_table(release / folder).num_rows == num_rows
    query = f"SELECT image.bytes, sha256 FROM '{release}/images/*.parquet'"
    for data, sha256 in duckdb.execute(query).fetchall():
        assert hashlib.sha256(data).hexdigest() == sha256


@pytest.mark.slow
def test_the_sample_is_read_by_all(sample_release: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    assert_equals_source(sample_release, tmp_path / "sample", tmp_path)
    assert_others_read(sample_release, 60, 60)


@pytest.fixture(scope="module")
def real_release(sfhq_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release the 400 real images."""
    out = tmp_path_factory.mktemp("dist")
    run = run_release("--version", "1.0", "--sfhq", sfhq_sample, "--out", out)
    assert run.status == 0, run.err
    assert "28 empty prompt" in run.out
    return out / "1.0"


@pytest.mark.slow
def test_real_images_are_read_by_all(real_release: Path, sfhq_sample: Path, tmp_path: Path) -> None:
    assert_equals_source(real_release, sfhq_sample, tmp_path)
    assert_others_read(real_release, 400, 372)
    counts = json.loads((real_release / "manifest.json").read_text())["counts"]["images"]
    assert (counts["read"], counts["published"], counts["rejected"]) == (400, 400, {})
    assert counts["warnings"] == {"empty_config": 400, "empty_prompt": 28}
