"""A maintainer's folder with both hosts on loopback, for tests of whole commands."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from publish.checks.files import read_manifest
from schemas.manifest import MANIFEST_NAME, Manifest
from tests.forks import ForkServer, open_fork_server
from tests.publish.hosts.hub_server import READ_TOKEN, WRITE_TOKEN, XET_TOKEN, HubServer
from tests.publish.hosts.kaggle_server import KaggleServer
from tests.support import ROOT, Run, SfhqFolder, run_release

REPO, DATASET = "org/faces", "faces/sfhq-faces"
KAGGLE_TOKEN = "KGAT_marked-token-that-nobody-may-see"
SECRETS = (WRITE_TOKEN, READ_TOKEN, XET_TOKEN, KAGGLE_TOKEN)
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
    forks: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def commands(self) -> ForkServer:
        """Where commands run; started when the first one does."""
        return self.forks.enter_context(open_fork_server(self.environment))

    @property
    def out(self) -> Path:
        return self.work / "dist"

    def run(self, *arguments: str, version: str = "1.0", **environment: str) -> Run:
        """Run the command, and keep what it says."""
        places = ["--config", str(self.work / "release.toml"), "--out", str(self.out)]
        given = ("--version", version, *places, *arguments)
        if environment:  # libraries read it when they are imported
            run = run_release(*given, environment={**self.environment, **environment})
        else:
            run = self.commands.start("release", *given).wait()
        assert "Traceback" not in run.err
        self.said += [run.out, run.err]
        return run

    def read(self, command: str, *arguments: str) -> Run:
        """Run one of the commands that only read, and see that they do."""
        self.forget()
        places = ["--config", str(self.work / "release.toml"), "--out", str(self.out)]
        run = self.commands.start(command, *places, *arguments).wait()
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


@contextmanager
def open_world(work: Path, collection: SfhqFolder, *, xet: bool = False) -> Iterator[World]:
    """Start both hosts; large files come to the Hub over LFS, or through a Xet store of its own."""
    (work / "release.toml").write_text(SETTINGS)
    (work / "CHANGELOG.md").write_text(CHANGELOG)
    (work / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    store = work / "cas"
    if xet:
        store.mkdir()
    hub_server = HubServer(xet=store, known=[work / "dist"]) if xet else HubServer()
    with ExitStack() as stack:
        hub, kaggle = stack.enter_context(hub_server), stack.enter_context(KaggleServer().running())
        kaggle.token, kaggle.looks = KAGGLE_TOKEN, 0
        found = World(work, hub, kaggle, collection)
        found.environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": WRITE_TOKEN,
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(work / "home"),
            "HOME": str(work),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": KAGGLE_TOKEN,
            "KAGGLE_CONFIG_DIR": str(work / "kaggle"),
            "HTTP_PROXY": kaggle.address,
            "http_proxy": kaggle.address,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        with found.forks:
            yield found
        assert_no_secrets(found)


def assert_no_secrets(world: World) -> None:
    """See that no token is in what was said, nor in any file that a run has left."""
    files = [path for path in world.work.rglob("*") if path.is_file()]
    texts = [*world.said, *(path.read_bytes().decode("latin-1") for path in files)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]
