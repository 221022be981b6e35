"""A release on its way to readers: what they load, what it costs to send, and a run that is killed meanwhile.

Everything is the whole command in a process of its own, and readers are `datasets`, `webdataset` and `hf` in
processes that cannot import the kit.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

import pytest

from publish.checks.files import read_manifest
from schemas.manifest import MANIFEST_NAME, Manifest
from tests.publish.hosts.hub_server import LFS_SUFFIXES, READER
from tests.publish.hosts.kaggle_server import Fault
from tests.publish.hosts.world import DATASET, REPO, World, open_world
from tests.support import good_folder, image_bytes, tree_digest

# Readers have neither the kit nor a token.
_ALONE = """
import json, sys
sys.modules.update(dict.fromkeys(("schemas", "builders", "publish")))
from datasets import disable_progress_bars, get_dataset_config_names, load_dataset
disable_progress_bars()
"""
_READ_ALL = (
    _ALONE
    + """
import os
import webdataset
repo, endpoint, tar = sys.argv[1:]
found = {}
for name, options in {"main": {}, "v1.0": {"revision": "v1.0"}, "v1.1": {"revision": "v1.1"}}.items():
    for config in get_dataset_config_names(repo, **options):
        loaded = load_dataset(repo, config, **options)
        streamed = load_dataset(repo, config, streaming=True, **options)
        for split in loaded:
            rows = [dict(row) for row in loaded[split]]
            assert [sorted(row) for row in streamed[split]] == [sorted(row) for row in rows]
            found[f"{name} {config} {split}"] = len(rows)
    assert load_dataset(repo, split="train", **options)[0]["image"].size[0] > 0
    tars = f"hf://datasets/{repo}@{name}/webdataset/*.tar"
    rows = list(load_dataset("webdataset", data_files={"train": tars}, split="train", streaming=True))
    assert all(row["jpg"].size[0] > 0 for row in rows)
    found[f"{name} tars"] = len(rows)
samples = webdataset.WebDataset(f"{endpoint}/datasets/{repo}/resolve/v1.0/{tar}", shardshuffle=False)
found["one tar"] = len([sample["jpg"] for sample in samples])
print(json.dumps(found), flush=True)
os._exit(0)
"""
)
# Reads whenever a line comes in: a reader who reads all the time takes more of the processor than the run.
_READ_WHEN_ASKED = (
    _ALONE
    + """
import os, tempfile
(repo,) = sys.argv[1:]
for _ in sys.stdin:
    with tempfile.TemporaryDirectory() as cache:
        rows = load_dataset(repo, split="train", cache_dir=cache, download_mode="force_redownload")
        print(json.dumps(sorted(rows["image_id"])), flush=True)
        del rows
    rows = load_dataset(repo, "prompts", split="train", streaming=True)
    print(json.dumps(sorted(row["image_id"] for row in rows)), flush=True)
os._exit(0)
"""
)


@pytest.fixture(params=["lfs", "xet"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a maintainer's folder with both hosts; the Hub stores large files in both ways."""
    collection = good_folder(tmp_path / "collection")
    collection.write()
    with open_world(tmp_path, collection, xet=request.param == "xet") as found:
        yield found


def reader_environment(world: World) -> dict[str, str]:
    own = ("KAGGLE", "HTTP_PROXY", "http_proxy")
    kept = {name: value for name, value in world.environment.items() if not name.startswith(own)}
    home = str(world.work / "reader")
    mark = {"HF_HUB_USER_AGENT_ORIGIN": READER}
    return {**kept, **mark, "HF_TOKEN": "", "HF_HOME": home, "HOME": home, "PYTHONPATH": ""}


def read_alone(world: World, *command: str) -> str:
    """Run a reader's command in a folder of its own."""
    place = world.work / "reader"
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        cwd=place,
        env=reader_environment(world),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def num_rows(manifest: Manifest, revision: str) -> dict[str, int]:
    """Return what a reader of a revision should find, as `_READ_ALL` tells it."""
    counts = {
        f"{revision} {config} {split}": counted.num_rows
        for config, splits in manifest.configs.items()
        for split, counted in splits.items()
    }
    images = sum(counted.num_rows for counted in manifest.configs["default"].values())
    return counts | {f"{revision} tars": images}


@pytest.mark.slow
def test_readers_without_the_kit_find_both_releases_byte_for_byte(world: World) -> None:
    assert world.run().status == 0
    good_folder(world.collection.path, 6).write()
    run = world.run(version="1.1")
    assert run.status == 0, run.err
    first, second = world.manifest("1.0"), world.manifest("1.1")
    tar = next(entry for entry in first.shards if entry.path.endswith(".tar"))
    script = [sys.executable, "-I", "-c", _READ_ALL]
    found = json.loads(read_alone(world, *script, REPO, world.hub.endpoint, tar.path))
    assert found == {
        **num_rows(second, "main"),
        **num_rows(first, "v1.0"),
        **num_rows(second, "v1.1"),
        "one tar": 4,
    }
    for version in ("1.0", "1.1"):
        hf = Path(sys.executable).with_name("hf")
        place = world.work / "reader" / version
        read_alone(
            world,
            *(str(hf), "download", REPO, "--repo-type", "dataset"),
            *("--revision", f"v{version}", "--local-dir", str(place)),
        )
        downloaded = {path: digest for path, digest in tree_digest(place).items() if path[0] != "."}
        assert downloaded == tree_digest(world.out / version)
    is_xet = world.environment["HF_HUB_DISABLE_XET"] == "0"
    assert ("xet_write" in world.hub.kinds(), "xet_read" in world.hub.kinds()) == (is_xet, is_xet)
    assert bool(world.hub.kinds("upload")) != is_xet


# What it costs


@pytest.mark.slow
def test_a_hundredth_of_new_images_is_all_that_is_sent(world: World) -> None:
    """What is new are ten images of a thousand: in the Parquet files, and in the tars."""
    size, images = (256, 256), world.collection.path / "images"
    folder = good_folder(world.collection.path, 1010)
    for number, name in enumerate(folder.images):
        folder.images[name] = image_bytes(number, size=size)
    late = list(folder.images)[1000:]
    num_bytes = sum(len(folder.images[name]) for name in late)
    rows, folder.rows = folder.rows, folder.rows[:1000]
    folder.images = dict(list(folder.images.items())[:1000])
    for path in images.iterdir():
        path.unlink()
    folder.write()
    assert world.run("--to", "hub").status == 0
    stored, store = set(world.hub.stored), world.work / "cas"
    before = folder_size(store)
    world.forget()
    folder.rows = rows
    folder.images = {name: image_bytes(number + 1000, size=size) for number, name in enumerate(late)}
    folder.write()
    assert world.run("--to", "hub", version="1.1").status == 0
    first, second = world.manifest("1.0"), world.manifest("1.1")
    old = {entry.sha256 for entry in first.all_files}
    new = [
        entry for entry in second.all_files if entry.sha256 not in old and entry.path.endswith(LFS_SUFFIXES)
    ]
    sent = {suffix: sum(e.num_bytes for e in new if e.path.endswith(suffix)) for suffix in LFS_SUFFIXES}
    assert sent[".parquet"] <= 1.2 * num_bytes
    assert sent[".tar"] <= 1.2 * num_bytes
    assert {entry.sha256 for entry in new} == set(world.hub.stored) - stored
    if store.is_dir():
        assert 0 < folder_size(store) - before <= 1.2 * 2 * num_bytes + sent[".png"]
    else:
        assert world.hub.bytes_uploaded() == sum(sent.values())
        assert world.hub.sent_again == []


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# Killed on the way


@dataclass(frozen=True)
class Point:
    """When a run is killed: as some request comes in, which is then done all the same, or not."""

    host: str
    kind: str
    nth: int
    done: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.nth}, {'done' if self.done else 'not done'}"


HUB_POINTS = (
    Point("hub", "preupload", 1, False),
    Point("hub", "lfs_batch", 1, True),
    Point("hub", "upload", 2, False),
    Point("hub", "upload", 3, True),
    Point("hub", "commit", 1, False),
    Point("hub", "commit", 1, True),
    Point("hub", "info", 1, True),  # `datasets` reads it, before the tag
    Point("hub", "tag", 1, False),
    Point("hub", "tag", 1, True),
)
KAGGLE_POINTS = (
    Point("kaggle", "StartBlobUpload", 2, True),
    Point("kaggle", "PUT", 1, False),
    Point("kaggle", "PUT", 3, True),
    Point("kaggle", "CreateDatasetVersion", 1, False),
    Point("kaggle", "CreateDatasetVersion", 1, True),
    Point("kaggle", "GetDatasetMetadata", 1, True),
    Point("kaggle", "UpdateDatasetMetadata", 1, False),
    Point("kaggle", "ListDatasetFiles", 1, True),
)


def run_killed(world: World, point: Point, version: str = "1.1", *arguments: str) -> None:
    """Publish a version, and kill the run with all its children at a point."""
    places = ["--config", str(world.work / "release.toml"), "--out", str(world.out)]
    lock, count = threading.Lock(), 0
    command = world.commands.start("release", "--version", version, *places, *arguments)

    def kill(kind: str) -> None:
        nonlocal count
        with lock:
            count += kind == point.kind
            if count == point.nth and kind == point.kind:
                if not point.done:
                    lose_the_next(world, point)
                os.killpg(command.pid, signal.SIGKILL)
                wait_until_gone(command.pid)

    server = world.hub if point.host == "hub" else world.kaggle
    server.on_call = kill
    try:
        run = command.wait()
    finally:
        server.on_call = lambda _: None
    world.hub.settle()
    world.said += [run.out, run.err]
    assert run.status == -signal.SIGKILL, f"{point}: {run.err}"


def wait_until_gone(pid: int) -> None:
    """Wait until a killed process is gone, with all its connections."""
    with suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            time.sleep(0.01)


def lose_the_next(world: World, point: Point) -> None:
    """Have the request that is coming in not be done."""
    if point.host == "hub":
        world.hub.fail(point.kind, "reset")
    else:
        world.kaggle.faults.append(Fault(point.kind, "cut" if point.kind == "PUT" else "reset"))


def let_doubt_pass(world: World) -> None:
    """Let so much time pass that nothing can appear any more of what a killed run asked Kaggle for."""
    for path in (world.out / "uploads").glob("*/attempts.json"):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "asked_at": 0}))


def assert_main_is_one_whole_release(world: World) -> str:
    """See that `main` holds what one manifest says and nothing else; give the version."""
    data = world.hub.content(REPO, MANIFEST_NAME)
    manifest = Manifest.model_validate_json(data)
    head = world.hub.repos[REPO].history[0]
    given = {entry.path: entry.sha256 for entry in manifest.entries_for("hub")}
    found = {path: sha256(world.hub.content(REPO, path)).hexdigest() for path in head.files}
    found.pop(".gitattributes")
    assert found == given
    return manifest.inputs.version


def assert_kaggle_shows_one_whole_release(world: World) -> str:
    """See that Kaggle's newest version is what its own manifest says; give the version."""
    files = world.kaggle.datasets[DATASET].versions[-1].files
    manifest = Manifest.model_validate_json(files[MANIFEST_NAME])
    assert {path: sha256(data).hexdigest() for path, data in files.items()} == {
        entry.path: entry.sha256 for entry in manifest.entries_for("kaggle")
    }
    return manifest.inputs.version


@dataclass
class Reader:
    """A reader who loads the default revision with `datasets`, while the test goes on.

    Attributes:
        asked: Asks for two more readings, a plain and a streaming one.
        answers: The ids of the images of each.
        found: The readings, when the reader is done.
    """

    asked: IO[str]
    answers: IO[str]
    found: list[list[str]] = field(default_factory=list)

    def read(self) -> None:
        """Have it read, and do not wait for it."""
        print(file=self.asked, flush=True)

    def wait(self) -> None:
        """Wait for the two readings that were asked for first."""
        self.found += [json.loads(self.answers.readline()) for _ in range(2)]


@contextmanager
def reading(world: World) -> Iterator[Reader]:
    """Start a reader; its readings are complete when the block is over."""
    place = world.work / "reader"
    place.mkdir(exist_ok=True)
    with (world.work / "reader.err").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _READ_WHEN_ASKED, REPO],
            cwd=place,
            env=reader_environment(world),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            reader = Reader(process.stdin, process.stdout)
            yield reader
            process.stdin.close()
            reader.found += map(json.loads, process.stdout)
        err.seek(0)
        assert process.returncode == 0, err.read()


def image_ids(world: World, version: str) -> list[str]:
    """Return the ids of a release's images, from the files of the folder."""
    import pyarrow.parquet as pq

    folder = world.out / version
    paths = [entry.path for entry in read_manifest(folder).shards if entry.config == "default"]
    return sorted(
        name for path in paths for name in pq.read_table(folder / path, columns=["image_id"])[0].to_pylist()
    )


def assert_finished(world: World) -> None:
    """Publish to the end, and see that nothing was sent or made twice on the way there."""
    run = world.run(version="1.1")
    assert run.status == 0, run.err
    assert assert_main_is_one_whole_release(world) == assert_kaggle_shows_one_whole_release(world) == "1.1"
    assert world.hub_digest("v1.1") == world.hub_digest("main") == world.manifest("1.1").digest
    assert [commit.title for commit in world.hub.repos[REPO].history] == [
        *("Release 1.1", "Release 1.0", "initial commit")
    ]
    assert len(world.kaggle.datasets[DATASET].versions) == 2
    assert world.hub.sent_again == []
    whole = [blob.name for blob in world.kaggle.blobs.values() if len(blob.data) == blob.size]
    assert len(whole) == len(set(whole))
    assert set(world.receipts()) == {f"{v}.{t}" for v in ("1.0", "1.1") for t in ("folder", "hub", "kaggle")}
    world.forget()
    assert world.run(version="1.1").status == 0
    assert world.writes == ([], [])
    assert world.read("status").status == 0


def publish_killed(world: World, points: tuple[Point, ...]) -> None:
    """Publish 1.0; then 1.1, killed at each point in turn, while readers read."""
    assert world.run().status == 0
    old = image_ids(world, "1.0")
    good_folder(world.collection.path, 6).write()
    world.forget()
    world.kaggle.blobs.clear()
    seen = []
    with reading(world) as reader:
        reader.read()
        reader.wait()
        for point in points:
            reader.read()
            run_killed(world, point)
            let_doubt_pass(world)
            seen.append(assert_main_is_one_whole_release(world))
            assert_kaggle_shows_one_whole_release(world)
        assert_finished(world)
        reader.read()
    assert seen == sorted(seen)
    new = image_ids(world, "1.1")
    num_old = reader.found.count(old)
    assert reader.found == [old] * num_old + [new] * (len(reader.found) - num_old)
    assert len(reader.found) == 2 * (len(points) + 2)
    assert 2 <= num_old < len(reader.found)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["lfs"], indirect=True)
def test_a_run_killed_between_commit_and_tag_is_finished_by_the_next(world: World) -> None:
    run_killed(world, Point("hub", "commit", 1, True), "1.0", "--to", "hub")
    assert assert_main_is_one_whole_release(world) == "1.0"
    assert world.hub.repos[REPO].tags == {}
    run = world.run("--to", "hub")
    assert run.status == 0, run.err
    assert [commit.title for commit in world.hub.repos[REPO].history] == ["Release 1.0", "initial commit"]
    assert world.hub_digest("v1.0") == world.manifest().digest
    assert world.hub.sent_again == []


@pytest.mark.slow
@pytest.mark.parametrize("world", ["lfs"], indirect=True)
@pytest.mark.parametrize("points", [HUB_POINTS, KAGGLE_POINTS], ids=["hub", "kaggle"])
def test_a_run_killed_again_and_again_is_finished_and_readers_see_one_release_or_the_other(
    world: World, points: tuple[Point, ...]
) -> None:
    publish_killed(world, points)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["xet"], indirect=True)
def test_a_run_killed_while_it_sends_through_xet_is_finished(world: World) -> None:
    points = (Point("hub", "xet_write", 1, True), Point("hub", "commit", 1, False))
    publish_killed(world, points)
