"""The command and both hosts at once: real clients, loopback hosts, processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from publish.integrity import read_manifest
from schemas.manifest import MANIFEST_NAME, Manifest
from tests.publish.hub_server import READ_TOKEN, WRITE_TOKEN, HubServer, User
from tests.publish.kaggle_server import Fault, KaggleServer
from tests.support import ROOT, Run, SfhqFolder, good_folder, run_release, tree_digest

REPO, DATASET = "org/faces", "faces/sfhq-faces"
KAGGLE_TOKEN = "KGAT_marked-token-that-nobody-may-see"
SECRETS = (WRITE_TOKEN, READ_TOKEN, KAGGLE_TOKEN)
SETTINGS = f"""
[dataset]
name = "faces"
title = "Faces"
repository = "{REPO}"
summary = "Faces."

[kaggle]
dataset = "{DATASET}"
title = "Synthetic faces"
subtitle = "Portraits by five text-to-image models"

[release]
to = ["hub", "kaggle"]

[[sources]]
kind = "sfhq"
path = "collection"
"""
CHANGELOG = (
    "# Changelog\n\n## Dataset\n\n### 1.1 - 2026-01-02\n\n- More.\n\n### 1.0 - 2026-01-01\n\n- First.\n"
)


@dataclass
class World:
    """A maintainer's folder, and both hosts."""

    work: Path
    hub: HubServer
    kaggle: KaggleServer
    collection: SfhqFolder
    environment: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.work / "dist"

    def run(self, *arguments: str, version: str = "1.0", **environment: str) -> Run:
        """Run the command, and keep what it says."""
        places = ["--config", str(self.work / "release.toml"), "--out", str(self.out)]
        run = run_release(
            *("--version", version, *places, *arguments),
            environment={**self.environment, **environment},
        )
        assert "Traceback" not in run.err
        self.said += [run.out, run.err]
        return run

    def read(self, command: str, *arguments: str) -> Run:
        """Run one of the commands that only read, and see that they do."""
        self.forget()
        places = ["--config", str(self.work / "release.toml"), "--out", str(self.out)]
        door = (f"publish/{command}.py",)
        run = run_release(*places, *arguments, door=door, environment=self.environment)
        assert "Traceback" not in run.err
        assert self.writes == ([], [])
        self.said += [run.out, run.err]
        return run

    def forget(self) -> None:
        """Count requests from here."""
        self.hub.seen.clear()
        self.kaggle.calls.clear()

    @property
    def writes(self) -> tuple[list[str], list[str]]:
        return self.hub.writes(), self.kaggle.writes

    def manifest(self, version: str = "1.0") -> Manifest:
        return read_manifest(self.out / version)

    def receipts(self) -> dict[str, dict[str, str]]:
        found = sorted((self.out / "receipts").glob("*.json"))
        return {path.name.removesuffix(".json"): json.loads(path.read_bytes()) for path in found}

    def hub_digest(self, revision: str) -> str:
        return sha256(self.hub.content(REPO, MANIFEST_NAME, revision)).hexdigest()

    def hub_paths(self, revision: str) -> set[str]:
        commit = self.hub.repos[REPO].find(revision)
        assert commit is not None
        return set(commit.files) - {".gitattributes"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    collection = good_folder(tmp_path / "collection")
    collection.write()
    (tmp_path / "release.toml").write_text(SETTINGS)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    with ExitStack() as stack:
        hub, kaggle = stack.enter_context(HubServer()), stack.enter_context(KaggleServer().running())
        kaggle.token, kaggle.looks = KAGGLE_TOKEN, 0
        found = World(tmp_path, hub, kaggle, collection)
        found.environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": WRITE_TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "home"),
            "HOME": str(tmp_path),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": KAGGLE_TOKEN,
            "KAGGLE_CONFIG_DIR": str(tmp_path / "kaggle"),
            "HTTP_PROXY": kaggle.address,
            "http_proxy": kaggle.address,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        yield found
        assert_no_secrets(found)


def assert_no_secrets(world: World) -> None:
    """See that no token is in what was said, nor in any file that a run has left."""
    files = [path for path in world.work.rglob("*") if path.is_file()]
    texts = [*world.said, *(path.read_bytes().decode("latin-1") for path in files)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]


def test_both_hosts_hold_what_the_folder_holds_and_once_is_enough(world: World) -> None:
    run = world.run()
    assert run.status == 0, run.err
    manifest = world.manifest()
    held = world.kaggle.datasets[DATASET].versions[0].files
    assert world.hub_digest("v1.0") == world.hub_digest("main") == manifest.digest
    assert sha256(held[MANIFEST_NAME]).hexdigest() == manifest.digest
    there = tree_digest(world.out / "1.0")
    tars = {path for path in there if path.startswith("webdataset/")}
    assert len(tars) == 2  # a tar and its index
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

    assert {path.name for path in world.out.iterdir()} == {"1.0", "checked.txt", "receipts"}
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
    assert f"hub revision {sha}" in status.out
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
    assert "hub: exact once the release is built" in first.out
    assert "kaggle: exact once the release is built" in first.out
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


def test_a_folder_only_asks_no_host(world: World) -> None:
    run = world.run("--to", "folder", HF_TOKEN="", KAGGLE_API_TOKEN="")
    assert run.status == 0, run.err
    assert world.hub.seen == []
    assert world.kaggle.calls == []
    assert set(world.receipts()) == {"1.0.folder"}
