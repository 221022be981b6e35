"""The check knows which columns leave a config without statistics in Data Studio."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Features, Image

from publish.check import main
from publish.checks.files import read_manifest
from publish.checks.viewer import find_adjacent
from tests.readers.environments import MakeEnvironment
from tests.support import ROOT, image_bytes

# The viewer is in no registry: a checkout of github.com/huggingface/dataset-viewer, such as that of f62009e.
CHECKOUT = "DATASET_VIEWER"
# What that version's poetry.lock has, and what libs/libcommon imports for statistics.
VIEWER = ("polars==1.39.3", "pyarrow==23.0.1", "datasets", "numpy", "pandas<3", "tqdm", "orjson", "pytz",
          "python-dateutil", "requests", "appdirs", "pillow")  # fmt: skip

TEXTS = [f"{number}.jpg" for number in (*range(91, 101), *range(90, 0, -9))]  # lengths of 5, 6 and 7
ADJACENT = [f"{number}.jpg" for number in range(90, 110)]
IMAGES = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def images(*widths: int) -> pa.Array:
    """Return a column of images of some widths."""
    datas = [image_bytes(number, size=(width, 16)) for number, width in enumerate(widths)]
    return pa.array([{"bytes": data, "path": None} for data in datas], IMAGES)


# Column → whether it fails.
COLUMNS: Mapping[str, tuple[pa.Array, bool]] = {
    "zero_or_one": (pa.array([0, 1] * 10), True),
    "unsigned": (pa.array([7, 8] * 10, pa.uint8()), True),
    "with_null": (pa.array([-1, 0, None, None] * 5, pa.int32()), True),
    "one_value": (pa.array([1] * 20), False),
    "only_null": (pa.array([None] * 20, pa.int32()), False),
    "three_values": (pa.array([0, 1, 2, 1] * 5), False),
    "with_a_gap": (pa.array([0, 2] * 10), False),
    "float": (pa.array([0.0, 1.0] * 10), False),
    "bool": (pa.array([True, False] * 10), False),
    "lists": (pa.array([[], ["a"]] * 10), True),
    "lists_or_null": (pa.array([None, ["a"]] * 10), False),
    "long_lists": (pa.array([[], ["a"], ["a", "b"], []] * 5), False),
    "fixed_lists": (pa.array([[1.0, 2.0]] * 20, pa.list_(pa.float32(), 2)), False),
    "names": (pa.array(ADJACENT), True),
    "spread_names": (pa.array(TEXTS), False),
    "categories": (pa.array(["a", "bc"] * 10), False),
    "null_and_ten_texts": (pa.array([None, *ADJACENT[5:15]] + [None] * 9), True),
    "null_and_nine_texts": (pa.array([None, *ADJACENT[5:14]] + [None] * 10), False),
    "struct": (pa.array([{"count": 0}, {"count": 1}] * 10), False),
    "images": (images(*[16, 17] * 10), True),
    "equal_images": (images(*[16] * 20), False),
}


def write(folder: Path) -> list[Path]:
    """Write the columns into two files, of several row groups each, with the types that `datasets` reads."""
    table = pa.table({name: column for name, (column, _) in COLUMNS.items()})
    features = Features.from_arrow_schema(table.schema)
    features |= {name: Image() for name in ("images", "equal_images")}
    table = table.replace_schema_metadata(Features(features).arrow_schema.metadata)
    folder.mkdir()
    paths = [folder / "train-0.parquet", folder / "train-1.parquet"]
    pq.write_table(table[:13], paths[0], row_group_size=5)
    pq.write_table(table[13:], paths[1])
    return paths


FAILING = {name for name, (_, fails) in COLUMNS.items() if fails}


def test_a_column_of_two_adjacent_values_is_found(tmp_path: Path) -> None:
    found = find_adjacent(write(tmp_path / "split"), {"images", "equal_images"})
    assert found.keys() == FAILING
    assert found["unsigned"] == ("numbers", 7)
    assert found["lists"] == ("lengths of lists", 0)
    assert found["names"] == ("lengths of texts", 6)
    assert found["images"] == ("widths of images", 16)


def test_only_the_files_that_the_viewer_reads_count(tmp_path: Path) -> None:
    for number, values in enumerate(([0, 1], [5, 6])):
        pq.write_table(pa.table({"count": values}), tmp_path / f"{number}.parquet")
    paths = sorted(tmp_path.glob("*.parquet"))
    assert find_adjacent(paths, ()) == {}
    assert find_adjacent(paths, (), max_bytes=1) == {"count": ("numbers", 0)}


@pytest.mark.slow
def test_the_check_names_the_config_and_the_column(
    sample_release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(sample_release)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{sample_release}: sound\n"
    (line,) = shown.err.splitlines()
    place = sample_release / "preferences"
    assert line.startswith(f"warning {place}:votes_toxic: Data Studio shows no statistics of preferences")
    assert line.endswith("[check/viewer-statistics]")


@pytest.mark.slow
def test_the_viewers_own_code_fails_on_the_same_columns(
    sample_release: Path, environment: MakeEnvironment, tmp_path: Path
) -> None:
    checkout = os.environ.get(CHECKOUT)
    if checkout is None:
        pytest.skip(f"{CHECKOUT} names no checkout of the Hub's viewer")
    write(tmp_path / "split")
    shards = [sample_release / shard.path for shard in read_manifest(sample_release).shards]
    folders = [tmp_path / "split", *{path.parent for path in shards if path.suffix == ".parquet"}]
    python = environment("viewer", VIEWER)
    script = ROOT / "tests" / "readers" / "read_statistics.py"
    done = subprocess.run(
        [str(python), "-I", str(script), checkout, *map(str, folders)],
        env=os.environ | {"HF_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    failed = {Path(name).name: set(errors) for name, errors in json.loads(done.stdout).items()}
    assert failed.pop("split") == FAILING
    assert {name: columns for name, columns in failed.items() if columns} == {"preferences": {"votes_toxic"}}
