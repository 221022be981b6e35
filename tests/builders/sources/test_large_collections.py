"""20,000 images in each form are read in less memory than they take; a killed release of each is finished."""

import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders.sources.forms import FORMS
from tests.publish.test_kill import RUNS
from tests.support import ROOT, good_folder, image_bytes

NUM_IMAGES, LIMIT_MB = 20_000, 400
SCHEMA = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "prompt": pa.string()})
LIMITED = f"""
import resource, sys
from pathlib import Path
from builders.catalog import Catalog
from builders.catalog.reader import SourceReader
from builders.sources import open_source
from builders.sources.intake import SourceOptions
from schemas.settings import BuildSettings
resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT_MB * 10**6}, {LIMIT_MB * 10**6}))
path, work = map(Path, sys.argv[1:])
catalog = Catalog(work / "catalog.sqlite")
sources = open_source("images", path, "faces", SourceOptions(generator="SDXL", scratch=work))
SourceReader(catalog, BuildSettings(), work).read(sources)
print(catalog.images.num_rows())
"""


def images() -> Iterator[tuple[str, bytes]]:
    """Yield names and images that differ by a comment of a JPEG file."""
    base = image_bytes(1, size=(192, 128))
    for number in range(NUM_IMAGES):
        comment = f"{number:08d}".encode()
        yield f"{number:07d}.jpg", base[:2] + b"\xff\xfe\0\x0a" + comment + base[2:]


def batches() -> Iterator[pa.RecordBatch]:
    """Yield the images as batches of a table."""
    rows = ({"image": {"bytes": data, "path": name}, "prompt": name} for name, data in images())
    while some := list(itertools.islice(rows, 100)):
        yield pa.RecordBatch.from_pylist(some, SCHEMA)


def write_parquet(path: Path) -> Path:
    with pq.ParquetWriter(path / "faces.parquet", SCHEMA, compression="none") as writer:
        for batch in batches():
            writer.write_batch(batch)
    return path / "faces.parquet"


def write_arrow(path: Path) -> Path:
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    with pa.ipc.new_stream(path / "data.arrow", SCHEMA) as writer:
        for batch in batches():
            writer.write_batch(batch)
    return path


def write_tar(path: Path) -> Path:
    with tarfile.open(path / "faces.tar", "w") as archive:
        for name, data in images():
            for member, content in ((name, data), (name.replace("jpg", "txt"), name.encode())):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path / "faces.tar"


def write_zip(path: Path) -> Path:
    with zipfile.ZipFile(path / "faces.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in images():
            archive.writestr(name, data)
    return path / "faces.zip"


def write_folder(path: Path) -> Path:
    for name, data in images():
        (path / name).write_bytes(data)
    return path


WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "parquet": write_parquet,
    "save_to_disk": write_arrow,
    "webdataset": write_tar,
    "zip": write_zip,
    "image folder": write_folder,
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts mapped memory against this limit")
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_20000_images_are_read_in_less_memory_than_they_take(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    assert sum(len(data) for _, data in images()) > LIMIT_MB * 10**6
    (tmp_path / "collection").mkdir()
    (tmp_path / "work").mkdir()
    path = write(tmp_path / "collection")
    # As in tests/publish/test_memory.py: the limit counts what allocators hold.
    allocators = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-c", LIMITED, str(path), str(tmp_path / "work")]
    environment = {**os.environ, **allocators, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == str(NUM_IMAGES), done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", ["image folder, jsonl", "parquet of datasets", "save_to_disk", "webdataset", "zip"]
)
def test_a_killed_release_of_any_form_is_finished_with_the_same_bytes(form: str, tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "folder").write()
    path = FORMS[form](folder, tmp_path / "collection")
    settings = ["--version", "1.0", "--config", str(ROOT / "release.toml"), "--images", str(path)]
    command = [sys.executable, "-c", RUNS, str(tmp_path / "dist"), "30", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (folder / "images").iterdir()}
    releases = [path / "1.0" for path in (tmp_path / "dist").iterdir() if path.is_dir()]
    assert len(releases) > 1
    for release in releases:
        published = {
            hashlib.sha256(row["image"]["bytes"]).hexdigest()
            for file in (release / "images").glob("*.parquet")
            for row in pq.read_table(file, columns=["image"]).to_pylist()
        }
        assert published == wanted
