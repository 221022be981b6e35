"""The command and both hosts at once: real clients, loopback hosts, processes of their own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from publish.explore import main as explore
from schemas.manifest import MANIFEST_NAME
from tests.publish.hosts.hub_server import WRITE_TOKEN, User
from tests.publish.hosts.kaggle_server import Fault
from tests.publish.hosts.world import DATASET, REPO, SETTINGS, World, open_world
from tests.support import good_folder, tree_digest


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    collection = good_folder(tmp_path / "collection")
    collection.write()
    with open_world(tmp_path, collection) as found:
        yield found


@pytest.mark.slow
def test_both_hosts_hold_what_the_folder_holds_and_once_is_enough(world: World) -> None:
    run = world.run()
    assert run.status == 0, run.err
    manifest = world.manifest()
    held = world.kaggle.datasets[DATASET].versions[0].files
    assert world.hub_digest("v1.0") == world.hub_digest("main") == manifest.digest
    assert sha256(held[MANIFEST_NAME]).hexdigest() == manifest.digest
    there = tree_digest(world.out / "1.0")
    tars = {path for path in there if path.startswith("webdataset/")}
    assert len(tars) == 3  # a tar, its index and the list of tars
    assert world.hub_paths("v1.0") == set(there)
    assert set(held) == set(there) - tars
    assert {path: sha256(data).hexdigest() for path, data in held.items()}.items() <= there.items()

    sha = world.hub.repos[REPO].tags["v1.0"]
    receipts = world.receipts()
    assert {name: receipt["revision"] for name, receipt in receipts.items()} == {
        "1.0.folder": "1.0",
        "1.0.hub": sha,
        "1.0.kaggle": "1",
    }
    assert {receipt["manifest_sha256"] for receipt in receipts.values()} == {manifest.digest}
    for receipt in receipts.values():
        assert receipt["url"] in run.out
    assert manifest.digest in run.out
    assert sha in run.out
    line = f'load_dataset("{REPO}", revision="v1.0", split="train")'
    assert line in run.out

    assert {path.name for path in world.out.iterdir()} == {
        "1.0",
        "checked.txt",
        "known-files.txt",
        "receipts",
    }
    before = tree_digest(world.out)
    world.forget()
    again = world.run()
    assert (again.status, world.writes) == (0, ([], []))
    assert "Nothing to do" in again.out
    assert tree_digest(world.out) == before
    planned = world.run("--plan")
    assert (planned.status, world.writes) == (0, ([], []))
    assert "hub: keep" in planned.out
    assert "kaggle: keep" in planned.out

    status = world.read("status")
    assert status.status == 0, status.err
    assert status.out.count("there, the same") == 2
    assert re.search(rf" {sha}$", status.out, re.MULTILINE)
    verified = world.read("verify", "--version", "1.0")
    assert verified.status == 0, verified.err
    assert verified.out.count("sound") == 3

    script = f"from datasets import load_dataset; print({line}.num_rows)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        env=world.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "4\n", done.stderr


@pytest.mark.slow
def test_plan_tells_what_is_known_and_changes_nothing(world: World) -> None:
    first = world.run("--plan")
    assert first.status == 0, first.err
    assert first.out.count("exact once they are built") == 2
    assert "create the repository; 1 commit; 1 tag" in first.out
    assert "create the dataset; update the page" in first.out
    assert not world.out.exists()
    assert world.writes == ([], [])
    assert world.run("--to", "folder").status == 0
    built = world.run("--plan")
    assert built.status == 0, built.err
    assert world.writes == ([], [])
    assert "hub: add" in built.out
    assert "create the repository; 1 commit; 1 tag" in built.out
    assert "create the dataset; update the page" in built.out
    manifest = world.manifest()
    num_files = len(manifest.entries_for("hub")), len(manifest.entries_for("kaggle"))
    assert [f"add           {number:,} files" in built.out for number in num_files] == [True, True]
    assert list((world.out / "receipts").iterdir()) == [world.out / "receipts" / "1.0.folder.json"]


@pytest.mark.slow
def test_one_host_that_fails_is_finished_by_the_same_command(world: World) -> None:
    world.kaggle.faults.append(Fault("CreateDataset", "status", status=403))
    run = world.run()
    assert run.status == 1
    assert "kaggle" in run.err
    assert set(world.receipts()) == {"1.0.folder", "1.0.hub"}
    assert world.hub_digest("v1.0") == world.manifest().digest
    assert "Released, but not everywhere" in run.out
    assert f"{REPO}/tree/v1.0" in run.out  # what is done is shown, too
    status = world.read("status")
    assert status.status == 1
    assert "there, the same" in status.out
    assert "unfinished: it is on another host, and not here" in status.out
    world.forget()
    again = world.run()
    assert again.status == 0, again.err
    assert world.hub.writes() == []
    assert set(world.receipts()) == {"1.0.folder", "1.0.hub", "1.0.kaggle"}
    assert len(world.kaggle.datasets[DATASET].versions) == 1


@pytest.mark.slow
def test_what_is_spoiled_on_a_host_is_found(world: World) -> None:
    assert world.run().status == 0
    (shard,) = (each.path for each in world.manifest().shards if each.config == "default")
    world.kaggle.flips = {shard}
    run = world.read("verify", "--version", "1.0", "--all")
    assert run.status == 1
    assert f"{shard}" in run.err
    assert "other bytes on Kaggle" in run.err
    assert run.out.count("sound") == 2  # the folder and the Hub
    world.kaggle.flips = set()
    del world.kaggle.datasets[DATASET]
    world.hub.repos[REPO].tags.clear()
    status = world.read("status")
    assert status.status == 1
    assert "missing, though there is a receipt" in status.out
    assert "unfinished: it has no tag" in status.out


@pytest.mark.slow
def test_the_host_after_one_that_fails_is_done_all_the_same(world: World) -> None:
    world.hub.fail("commit", status=403)
    run = world.run()
    assert run.status == 1
    assert "the token may not do this" in run.err
    assert set(world.receipts()) == {"1.0.folder", "1.0.kaggle"}
    assert world.hub.repos[REPO].tags == {}
    assert world.run().status == 0
    assert world.hub_digest("v1.0") == world.manifest().digest


@pytest.mark.slow
def test_a_version_with_other_content_is_refused_before_anything_is_written(world: World) -> None:
    """Kaggle has 1.0 with other content: then the Hub, which could take it, is not given it either."""
    assert world.run("--to", "kaggle").status == 0
    world.out.rename(world.work / "elsewhere")
    world.collection.rows[0][2] = "another prompt"
    world.collection.write()
    world.forget()
    run = world.run()
    assert run.status == 1
    assert "version 1.0 is on Kaggle with other content" in run.err
    assert world.writes == ([], [])
    assert world.hub.repos == {}
    planned = world.run("--plan")
    assert planned.status == 1
    assert "version 1.0 is on Kaggle with other content" in planned.err


@pytest.mark.slow
def test_the_next_version_replaces_the_files_and_keeps_the_first(world: World) -> None:
    assert world.run().status == 0
    first = world.manifest().digest
    more = good_folder(world.collection.path, 6)
    more.write()
    assert world.run(version="1.1").status == 0
    second = world.manifest("1.1")
    assert (world.hub_digest("v1.0"), world.hub_digest("v1.1")) == (first, second.digest)
    assert world.hub_digest("main") == second.digest
    assert [v.notes for v in world.kaggle.datasets[DATASET].versions][1:] == [
        f"Release 1.1 (manifest sha256:{second.digest})"
    ]
    assert world.receipts()["1.1.kaggle"]["revision"] == "2"


@pytest.mark.slow
def test_a_host_is_given_only_its_formats(world: World) -> None:
    config = world.work / "release.toml"
    config.write_text(SETTINGS.replace("[release]\n", '[release]\nformats = { hub = ["parquet"] }\n'))
    run = world.run("--to", "hub")
    assert run.status == 0, run.err
    folder = set(tree_digest(world.out / "1.0"))
    assert world.hub_paths("v1.0") == {path for path in folder if not path.startswith("webdataset/")}
    assert world.hub_digest("v1.0") == world.manifest().digest
    world.forget()
    assert world.run("--to", "hub").status == 0
    assert world.writes == ([], [])


@pytest.mark.slow
def test_every_reason_is_told_before_anything_is_built(world: World) -> None:
    (world.work / "CHANGELOG.md").write_text("# Changelog\n\n## Dataset\n")
    world.hub.users[WRITE_TOKEN] = User("alice", ("others",))
    run = world.run(HF_TOKEN=WRITE_TOKEN, KAGGLE_API_TOKEN="")
    assert run.status == 1
    assert "has no entry for 1.0" in run.err
    assert "no rights in the namespace org, only in alice, others" in run.err
    assert "there are no credentials for Kaggle" in run.err
    assert not (world.out / "1.0").exists()
    assert world.writes == ([], [])


@pytest.mark.slow
def test_a_folder_only_asks_no_host(world: World) -> None:
    run = world.run("--to", "folder", HF_TOKEN="", KAGGLE_API_TOKEN="")
    assert run.status == 0, run.err
    assert world.hub.seen == []
    assert world.kaggle.calls == []
    assert set(world.receipts()) == {"1.0.folder"}


@pytest.mark.slow
def test_a_version_that_is_nowhere_is_told_in_a_line_for_each_host(world: World) -> None:
    run = world.read("verify", "--version", "7.0")
    assert run.status == 1
    assert run.err.count("blocking") == 2


@pytest.mark.slow
def test_a_space_that_fails_leaves_the_release_published_and_the_same_command_finishes_it(
    world: World,
) -> None:
    (world.work / "release.toml").write_text(f"{SETTINGS}\n[hub]\nspace = true\n")
    space = f"spaces/{REPO}"
    planned = world.run("--plan", "--to", "hub")
    assert planned.status == 0, planned.err
    assert "create the Space" in planned.out
    fault = world.hub.fail("commit", status=403, skip=1)
    failed = world.run("--to", "hub")
    assert (failed.status, fault.times) == (1, 0)
    assert "Released, but not everywhere" in failed.out
    assert "release 1.0 is published, and its Space is not" in failed.err
    assert world.receipts()["1.0.hub"]["revision"] == world.hub.repos[REPO].tags["v1.0"]

    planned = world.run("--plan", "--to", "hub")
    assert "1 commit of 8 files" in planned.out
    again = world.run("--to", "hub")
    assert again.status == 0, again.err
    assert "Released: " in again.out
    page = world.work / "page"
    assert explore([str(world.out / "1.0"), "--space", str(page)]) == 0
    written = {path.name: path.read_bytes() for path in page.iterdir()}
    assert {path: world.hub.content(space, path) for path in written} == written

    world.forget()
    third = world.run("--to", "hub")
    assert (third.status, world.writes) == (0, ([], []))
    assert "Nothing to do" in third.out
