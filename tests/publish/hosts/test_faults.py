"""Every fault at every request of publishing: what a person is told, what readers see, what a run mends.

The requests are those that a run makes, so a new one must be entered here; the faults are what hosts and
networks do. Whatever fails, a reader finds a whole release: nobody sees what is between two.
"""

import hashlib
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from huggingface_hub import constants

from publish.checks.files import read_manifest
from publish.hosts.hub.client import Limits as HubLimits
from publish.hosts.hub.target import HubTarget
from publish.hosts.kaggle.access import Limits as KaggleLimits
from publish.hosts.kaggle.access import open_client
from publish.hosts.kaggle.page import KagglePage
from publish.hosts.kaggle.target import KaggleTarget
from publish.hosts.protocol import Action, Host
from publish.network import Clock, RetryPolicy, TimeLimits
from schemas.manifest import MANIFEST_NAME, Shard
from schemas.problems import ReleaseError
from tests.publish.fake_time import FakeTime
from tests.publish.hosts.hub_server import SIGNATURE, WRITE_TOKEN, XET_TOKEN, HubServer
from tests.publish.hosts.hub_server import WRITES as HUB_WRITES
from tests.publish.hosts.kaggle_server import WRITES as KAGGLE_WRITES
from tests.publish.hosts.kaggle_server import Fault as KaggleFault
from tests.publish.hosts.kaggle_server import KaggleServer
from tests.support import ROOT, copy_folder, tree_digest

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO, DATASET = "org/faces", "faces/sfhq-faces"
PAGE = KagglePage("Synthetic faces", "Portraits by five text-to-image models")
KAGGLE_TOKEN = "KGAT_marked-token-that-nobody-may-see"
TOKENS = (WRITE_TOKEN, KAGGLE_TOKEN, XET_TOKEN)
SECRETS = (*TOKENS, SIGNATURE)
ATTEMPTS, FIRST_PAUSE = 3, 1
RETRY = RetryPolicy(tries=ATTEMPTS, first_wait_seconds=FIRST_PAUSE, jitter_seconds=0)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, in words that both servers know.

    Attributes:
        do: "status": an answer with `status`, nothing done. "reset", "hang": no answer, nothing done. "lost":
            no answer, though it was done.
        passing: Whether it is worth to try again.
        said: What a person is told: one of these.
    """

    do: str
    status: int = 503
    message: str = f"no, not with {WRITE_TOKEN}"  # as careless servers do; the other one does so by itself
    headers: Mapping[str, str] = field(default_factory=dict)
    passing: bool = False
    body: bytes = b""


# 200 with what is not the API's: a proxy's page, and JSON of something else.
BODIES = {
    "page": b"<html><body>Sign in to the network</body></html>",
    "braces": b"{}",
    "other": b'{"id": "org/other", "commitOid": "%s", "tags": []}' % (b"f" * 40),
    "nothing": b"",
}
NONSENSE = {
    f"{do} {name}": Fault(do, 200, body=body, passing=True)
    for do in ("answer", "nonsense")
    for name, body in BODIES.items()
}
PASSING = {
    "429": Fault("status", 429, headers={"Retry-After": "7"}, passing=True),
    **{str(status): Fault("status", status, passing=True) for status in (408, 500, 503, 504)},
    **{do: Fault(do, passing=True) for do in ("reset", "hang", "lost")},
}
ALIKE = ("408", "500", "503", "504")
NO_ROOM = {
    "quota": Fault("status", 403, "Private repository storage limit reached"),
    "unpaid": Fault("status", 402, "Payment required"),
    "too large": Fault("status", 413, "Payload Too Large"),
    "disk full": Fault("status", 507, "Insufficient Storage"),
}
CONFLICTS = {"conflict": Fault("status", 409), "precondition": Fault("status", 412)}
REFUSING = {
    "expired": Fault("status", 401),
    "forbidden": Fault("status", 403),
    "bad request": Fault("status", 400),
    "gone": Fault("status", 404),
    "nonsense": Fault("status", 200, "<html>"),
}
FAULTS = {**PASSING, **NO_ROOM, **CONFLICTS, **REFUSING}

HUB_REQUESTS = (
    *("whoami", "refs", "create_repo", "tree", "resolve", "preupload", "lfs_batch", "upload"),
    *("download", "validate_yaml", "commit", "tag"),
)
KAGGLE_REQUESTS = (
    *("IntrospectToken", "GetDataset", "GetDatasetStatus", "StartBlobUpload", "PUT", "CreateDataset"),
    *("CreateDatasetVersion", "ListDatasetFiles", "ListTreeDatasetFiles", "DownloadDataset", "GET"),
    *("GetDatasetMetadata", "UpdateDatasetMetadata"),
)
MAKES_THE_PLACE = ("create_repo", "CreateDataset")
MAKES_THE_RELEASE = (*MAKES_THE_PLACE, "commit", "tag", "CreateDatasetVersion")

# Nobody knows whether it was done, and another would be one too many: no run asks again for a while.
DOUBTFUL = tuple(
    (kind, name)
    for kind in ("CreateDataset", "CreateDatasetVersion")
    for name in ("408", "500", "503", "504", "reset", "hang")
)
# Where an answer says nothing that a run needs.
UNDERSTOOD = (
    *(("validate_yaml", "nonsense"), ("tag", "nonsense"), ("PUT", "nonsense"), ("GET", "nonsense")),
    *(("CreateDataset", "nonsense"), ("CreateDatasetVersion", "nonsense")),
)
WORDS = {
    ("hub", "expired"): "the token is wrong or has expired",
    ("kaggle", "expired"): "Kaggle does not accept the credentials",
    ("hub", "forbidden"): "it only reads, or has no rights in org",
    ("kaggle", "forbidden"): "Kaggle does not allow these credentials",
    **{("hub", name): "the Hub takes no more data" for name in NO_ROOM},
    ("kaggle", "disk full"): "Kaggle answers 507",
}


WORDED_OTHERWISE = ("upload", "download", "PUT", "GetDataset", "IntrospectToken")


def faults_of(kind: str) -> Mapping[str, Fault]:
    """Return what can happen to a request: only what writes can be too much, or done without an answer."""
    faults = {**PASSING, **REFUSING}
    if kind not in (*HUB_WRITES, *KAGGLE_WRITES):
        del faults["lost"]
    else:
        faults |= NO_ROOM
    return faults | CONFLICTS if kind in MAKES_THE_RELEASE else faults


def matrix(
    fast: Collection[str],
    among: Collection[str] = tuple(FAULTS),
    without: Collection[tuple[str, str]] = (),
) -> list[Any]:
    """Return every fault at every request; all but the fast ones are left to CI.

    Statuses that both clients treat alike take turns: each is tried at a quarter of the requests.
    """
    requests = (*(("hub", kind) for kind in HUB_REQUESTS), *(("kaggle", kind) for kind in KAGGLE_REQUESTS))
    return [
        pytest.param(place, kind, name, id=f"{kind}-{name}", marks=() if name in fast else pytest.mark.slow)
        for number, (place, kind) in enumerate(requests)
        for name in faults_of(kind)
        if name in among and (kind, name) not in without
        if name not in ALIKE or name == ALIKE[number % len(ALIKE)]
        if (place, name) != ("hub", "nonsense")  # its tests are below
    ]


class Site(Protocol):
    """A host on loopback, as a test of faults sees it."""

    timeout: float

    @property
    def waits(self) -> list[float]: ...

    def fail(self, kind: str, fault: Fault, times: int) -> None: ...
    def forget(self) -> None: ...
    def heal(self) -> None: ...
    def publish(self, folder: Path) -> None: ...
    def visible(self) -> Mapping[str, str] | None: ...
    def writes(self) -> list[str]: ...
    def asked(self, kind: str) -> int: ...
    def sent_twice(self) -> list[str]: ...


@dataclass
class HubSite:
    """The Hub over LFS."""

    server: HubServer
    waits: list[float] = field(default_factory=list)
    timeout: float = 600
    patience: float = 300

    def fail(self, kind: str, fault: Fault, times: int) -> None:
        options = {"message": fault.message, "headers": fault.headers, "body": fault.body}
        self.server.fail(kind, fault.do, status=fault.status, times=times, **options)

    def forget(self) -> None:
        self.server.seen.clear()

    def heal(self) -> None:
        for fault in self.server.faults:
            fault.times = 0

    def begin(self, folder: Path, *, is_empty: bool = False) -> None:
        """Start with a Hub that holds one release, or nothing; forget all that was asked."""
        self.server.repos.clear()
        self.server.stored.clear()
        if not is_empty:
            self.publish(folder)
        self.forget()

    def is_tagged(self, folder: Path) -> bool:
        """Whether the tag of a release is at the head of `main`."""
        repo = self.server.repos[REPO]
        return repo.tags.get(f"v{folder.name}") == repo.branches["main"]

    def target(self) -> HubTarget:
        limits = HubLimits(TimeLimits(read_seconds=self.timeout, patience_seconds=self.patience), RETRY)
        clock = Clock(sleep=self.waits.append)
        return HubTarget(REPO, endpoint=self.server.endpoint, limits=limits, clock=clock)

    def publish(self, folder: Path, *, load: bool = False) -> None:
        publish_to(self.target(), folder, load=load)

    def visible(self) -> Mapping[str, str] | None:
        repo = self.server.repos.get(REPO)
        if repo is None:
            return None
        paths = set(repo.history[0].files) - {".gitattributes"}
        return {path: digest(self.server.content(REPO, path)) for path in paths} or None

    def writes(self) -> list[str]:
        return self.server.writes()

    def asked(self, kind: str) -> int:
        return self.server.kinds().count(kind)

    def sent_twice(self) -> list[str]:
        return self.server.sent_again


@dataclass
class KaggleSite:
    """Kaggle, where folders are listed one by one if a test wants so."""

    server: KaggleServer
    state: Path
    time: FakeTime = field(default_factory=FakeTime)
    timeout: float = 600

    @property
    def waits(self) -> list[float]:
        return self.time.waits

    def fail(self, kind: str, fault: Fault, times: int) -> None:
        self.server.shows_folders = kind != "ListTreeDatasetFiles"
        do = "nonsense" if fault.status == 200 and fault.do == "status" else fault.do
        body = fault.body if fault.do in ("answer", "nonsense") else KaggleFault.body
        self.server.faults.append(KaggleFault(kind, do, fault.status, fault.headers, times, body=body))

    def forget(self) -> None:
        self.server.calls.clear()
        self.server.blobs.clear()
        self.waits.clear()

    def heal(self) -> None:
        self.server.faults.clear()
        self.time.now += KaggleLimits().doubt_seconds

    def publish(self, folder: Path) -> None:
        limits = KaggleLimits(
            TimeLimits(read_seconds=self.timeout),
            RETRY,
            processing_seconds=600,
            clock=self.time.clock,
        )
        publish_to(KaggleTarget(DATASET, PAGE, self.state, limits), folder)

    def begin(self, folder: Path, *, is_empty: bool = False) -> None:
        """Begin with another site and another folder of uploads, and one release there."""
        self.server.datasets.clear()
        self.state = self.state.with_name(f"{self.state.name}-")
        if not is_empty:
            self.publish(folder)
        self.forget()

    @property
    def num_versions(self) -> int:
        return len(self.server.datasets[DATASET].versions)

    def visible(self) -> Mapping[str, str] | None:
        dataset = self.server.datasets.get(DATASET)
        ready = [version for version in dataset.versions if version.status == "Ready"] if dataset else []
        return {path: digest(data) for path, data in ready[-1].files.items()} if ready else None

    def writes(self) -> list[str]:
        return self.server.writes

    def asked(self, kind: str) -> int:
        return self.server.names.count(kind)

    def sent_twice(self) -> list[str]:
        whole = [blob.name for blob in self.server.blobs.values() if len(blob.data) == blob.size]
        return sorted({name for name in whole if whole.count(name) > 1})


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def publish_to(host: Host[Any], folder: Path, **options: bool) -> None:
    """Do what the command does for a host."""
    manifest = read_manifest(folder)
    plan = host.plan(manifest, folder)
    if problems := (*plan.problems, *plan.access):
        raise ReleaseError(problems)
    if plan.action is not Action.KEEP:
        host.upload(folder, manifest, plan)
    if problems := host.verify(manifest, **options) or host.read_back(manifest):
        raise ReleaseError(problems)
    host.finish(manifest)
    assert host.receipt(manifest).manifest_sha256 == manifest.digest


@pytest.fixture(scope="session")
def releases(sample_release: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two releases of a few files; the second has another shard in the place of one of the first."""
    whole, out = read_manifest(sample_release), tmp_path_factory.mktemp("few")
    shards = [shard for shard in whole.shards if shard.config in ("default", "prompts")]
    names = ("README.md", "LICENSES.md", "CHANGELOG.md")
    made = []
    for version in ("1.0", "1.1"):
        folder, entries = out / version, []
        for entry in (*shards, *(file for file in whole.files if file.path in names)):
            data, path = (sample_release / entry.path).read_bytes(), entry.path
            if version == "1.1" and (path.startswith("prompts/") or path.endswith("E.md")):
                data, path = data + b"\n", path.replace("00000-", "00000-1")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
            facts = {"path": path, "num_bytes": len(data), "sha256": digest(data)}
            entries.append(entry.model_copy(update=facts))
        manifest = whole.model_copy(
            update={
                "inputs": whole.inputs.model_copy(update={"version": version}),
                "shards": tuple(entry for entry in entries if isinstance(entry, Shard)),
                "files": tuple(entry for entry in entries if not isinstance(entry, Shard)),
            }
        )
        (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
        made.append(folder)
    return made[0], made[1]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubSite]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with HubServer() as server:
        yield HubSite(server)


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleSite]:
    with KaggleServer().running() as server:
        server.token, server.looks = KAGGLE_TOKEN, 0
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, server.address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1")
        for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("KAGGLE_API_TOKEN", KAGGLE_TOKEN)
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle-store"))
        monkeypatch.setenv("HOME", str(tmp_path))
        open_client(DATASET, KaggleLimits())  # loads the client, which takes longer than a hang here
        server.calls.clear()
        yield KaggleSite(server, tmp_path / "state")


@pytest.fixture(autouse=True)
def _no_secrets(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """See that no token is printed, logged or written, whatever a host repeats in its answers."""
    with caplog.at_level("INFO"):
        yield
    written = [path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    records = caplog.get_records("call")
    shown = [
        *capfd.readouterr(),
        *written,
        *(r.getMessage() for r in records if r.levelno >= logging.WARNING),
    ]
    assert not [secret for secret in SECRETS for text in shown if secret in text]
    # What the Hub's client tells of its requests to who asks for it holds the signatures of their addresses.
    assert not [token for token in TOKENS for record in records if token in record.getMessage()]


def attempt(site: Site, folder: Path) -> str | None:
    """Publish; give what a person is told of a failure."""
    try:
        site.publish(folder)
    except ReleaseError as error:
        said = "\n".join(map(str, error.problems))
        assert not [secret for secret in SECRETS if secret in said]
        return said
    return None


@pytest.mark.slow
def test_every_request_that_a_run_makes_is_tried(
    hub: HubSite, kaggle: KaggleSite, releases: tuple[Path, Path]
) -> None:
    for folder in releases:
        hub.publish(folder)
        kaggle.publish(folder)
    kaggle.server.shows_folders = False
    kaggle.publish(releases[1])
    assert set(hub.server.kinds()) - {"harnesses"} == set(HUB_REQUESTS)
    assert set(kaggle.server.names) == set(KAGGLE_REQUESTS)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "kind", "name"), matrix((*ALIKE, "reset"), PASSING, without=DOUBTFUL))
def test_a_fault_that_passes_does_not_stop_a_run(
    request: pytest.FixtureRequest, releases: tuple[Path, Path], place: str, kind: str, name: str
) -> None:
    site: Site = request.getfixturevalue(place)
    first, second = releases
    if kind not in MAKES_THE_PLACE:
        site.publish(first)
    site.forget()
    site.timeout = 1 if name == "hang" else 600
    site.fail(kind, FAULTS[name], times=1)
    site.publish(second)
    assert site.visible() == tree_digest(second)
    assert site.sent_twice() == []
    pause = 7 if name == "429" else FIRST_PAUSE
    if name == "lost" and kind in ("create_repo", "tag"):
        assert site.waits == []  # it is seen to be there
    else:
        assert max(site.waits) >= pause
        assert place == "kaggle" or site.waits == [pause]
    site.forget()
    site.publish(second)
    assert site.writes() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(*it, marks=() if it[1] in ("503", "reset") else pytest.mark.slow) for it in DOUBTFUL],
)
def test_a_creation_that_may_have_been_heard_is_not_asked_for_again_before_its_time(
    kaggle: KaggleSite, releases: tuple[Path, Path], kind: str, name: str
) -> None:
    first, second = releases
    if kind not in MAKES_THE_PLACE:
        kaggle.publish(first)
    kaggle.forget()
    kaggle.timeout = 1 if name == "hang" else 600
    kaggle.fail(kind, FAULTS[name], times=1)
    if kind not in MAKES_THE_PLACE:  # a new dataset is asked for again after a minute, in the same run
        for _ in range(3):
            told = attempt(kaggle, second)
            assert told is not None
            assert "Kaggle has not said whether it makes a version of the release" in told
        assert kaggle.asked(kind) == 1
        kaggle.heal()
    kaggle.publish(second)
    assert kaggle.asked(kind) == 2
    assert kaggle.visible() == tree_digest(second)
    assert kaggle.sent_twice() == []


@pytest.mark.slow
@pytest.mark.parametrize(("place", "kind", "name"), matrix((*ALIKE, "expired")))
def test_a_fault_that_stays_ends_in_a_sentence_and_the_same_run_later_finishes(
    request: pytest.FixtureRequest, releases: tuple[Path, Path], place: str, kind: str, name: str
) -> None:
    site: Site = request.getfixturevalue(place)
    first, second = releases
    if kind not in MAKES_THE_PLACE:
        site.publish(first)
    before = site.visible()
    site.forget()
    site.timeout = 1 if name == "hang" else 600
    site.fail(kind, FAULTS[name], times=1000)
    told = attempt(site, second)
    # What was done is seen, though nobody said so; and what nobody needs to understand is not asked for.
    assert told or name == "lost" or (kind, name) in UNDERSTOOD
    if told:
        assert all("→" in line for line in told.splitlines())
        assert kind in WORDED_OTHERWISE or WORDS.get((place, name), "") in told
    if told and place == "hub" and name in PASSING:
        assert site.waits == ([7, 7] if name == "429" else [1, 2])
    assert 1 <= site.asked(kind) <= 4 * ATTEMPTS
    assert sum(site.waits) <= 3 * KaggleLimits().settle_seconds
    assert site.visible() in (before, tree_digest(second))
    site.heal()
    site.publish(second)
    assert site.visible() == tree_digest(second)
    assert site.sent_twice() == []
    site.forget()
    site.publish(second)
    assert site.writes() == []


# Where an answer says nothing, or lies


@pytest.mark.slow
@pytest.mark.parametrize("do", ["answer", "nonsense"])
@pytest.mark.parametrize("kind", HUB_REQUESTS)
def test_nonsense_in_the_place_of_an_answer_does_not_stop_a_run(
    hub: HubSite, releases: tuple[Path, Path], kind: str, do: str
) -> None:
    """The run reads back what was done, and does what was not."""
    second = releases[1]
    for names in (("page", "braces"), ("other", "nothing")):  # more in a row would be as many as the tries
        hub.begin(releases[0], is_empty=kind in MAKES_THE_PLACE)
        for name in names:
            hub.fail(kind, NONSENSE[f"{do} {name}"], times=1)
        hub.publish(second)
        assert hub.visible() == tree_digest(second)
        assert hub.is_tagged(second)
        assert hub.sent_twice() == []
        hub.heal()
        hub.forget()
        hub.publish(second)
        assert hub.writes() == []


@pytest.mark.slow
@pytest.mark.parametrize("do", ["answer", "nonsense"])
@pytest.mark.parametrize("kind", HUB_REQUESTS)
def test_nonsense_for_ever_is_told_and_the_same_run_later_finishes(
    hub: HubSite, releases: tuple[Path, Path], kind: str, do: str
) -> None:
    """Success is what the Hub lists, whatever it answers."""
    second = releases[1]
    for name in BODIES:
        hub.begin(releases[0], is_empty=kind in MAKES_THE_PLACE)
        before = hub.visible()
        hub.fail(kind, NONSENSE[f"{do} {name}"], times=1000)
        told = attempt(hub, second)
        assert (told is None) == (hub.visible() == tree_digest(second) and hub.is_tagged(second))
        assert hub.visible() in (before, tree_digest(second))
        assert told is None or all("→" in line for line in told.splitlines())
        assert 1 <= hub.asked(kind) <= 4 * ATTEMPTS
        hub.heal()
        hub.publish(second)
        assert hub.visible() == tree_digest(second)
        assert hub.is_tagged(second)
        assert hub.sent_twice() == []


@pytest.mark.slow
@pytest.mark.parametrize("do", ["answer", "nonsense"])
@pytest.mark.parametrize("kind", KAGGLE_REQUESTS)
def test_nonsense_of_kaggle_is_told_or_overcome_and_the_same_run_later_finishes(
    kaggle: KaggleSite, releases: tuple[Path, Path], kind: str, do: str
) -> None:
    """Once and for ever; what is seen afterwards is the release before or this one, and it once."""
    second = releases[1]
    for_ever = ("braces", "nothing") if do == "answer" else ("page", "other")
    for times, name in [(1, "page"), *((1000, name) for name in for_ever)]:
        kaggle.begin(releases[0], is_empty=kind in MAKES_THE_PLACE)
        before = kaggle.visible()
        kaggle.fail(kind, NONSENSE[f"{do} {name}"], times=times)
        told = attempt(kaggle, second)
        assert told is not None or kaggle.visible() == tree_digest(second), name
        assert kaggle.visible() in (before, tree_digest(second))
        assert told is None or all("→" in line for line in told.splitlines())
        if times == 1 and kind not in MAKES_THE_RELEASE:
            assert told is None
        kaggle.heal()
        kaggle.publish(second)
        assert kaggle.visible() == tree_digest(second)
        assert kaggle.num_versions == 1 + (kind not in MAKES_THE_PLACE)


@pytest.mark.slow
@pytest.mark.parametrize("do", ["answer", "nonsense"])
def test_a_mark_counts_when_it_is_read_back(hub: HubSite, releases: tuple[Path, Path], do: str) -> None:
    """A withdrawal is one commit, whose answer proves as little as any other."""
    for name, body in BODIES.items():
        hub.begin(releases[0])
        fault = hub.server.fail("commit", do, body=body, times=1)
        assert hub.target().withdraw("1.0", "a face is of a real person"), name
        card = hub.server.content(REPO, "README.md").decode()
        assert "a face is of a real person" in card
        assert not hub.target().withdraw("1.0", "a face is of a real person")
        assert fault.times == 0


@pytest.mark.slow
def test_a_mark_whose_card_is_lost_is_told(hub: HubSite, releases: tuple[Path, Path]) -> None:
    hub.begin(releases[0])
    hub.server.fail("commit", "spoil", path="README.md")
    with pytest.raises(ReleaseError, match=r"README\.md: the file is missing"):
        hub.target().withdraw("1.0", "a face is of a real person")


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_a_mark_that_is_never_there_is_told(hub: HubSite, releases: tuple[Path, Path], name: str) -> None:
    hub.begin(releases[0])
    before = hub.visible()
    hub.fail("commit", NONSENSE[f"answer {name}"], times=1000)
    with pytest.raises(ReleaseError) as raised:
        hub.target().withdraw("1.0", "a face is of a real person")
    assert "→" in str(raised.value)
    assert hub.visible() == before


# Where an answer is worse than none


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_what_somebody_wrote_into_the_card_outlives_a_wrong_answer(
    hub: HubSite, releases: tuple[Path, Path], number: int
) -> None:
    """A page of a proxy's that comes in the place of the card has no hand-written parts."""
    first, second = releases
    hub.publish(first)
    card = hub.server.content(REPO, "README.md") + b"\n<!-- keep: begin -->\nOurs.\n<!-- keep: end -->\n"
    hub.server.edit(REPO, "bob", "Say whose it is", {"README.md": card})
    hub.server.fail("resolve", status=200, message="<html>", skip=number)
    hub.publish(second)
    assert b"Ours." in hub.server.content(REPO, "README.md")
    assert hub.waits == [1]


@pytest.mark.slow
@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_with_nobody_is_tried_again_and_told_as_what_it_is(
    hub: HubSite, releases: tuple[Path, Path], status: int
) -> None:
    fault = hub.server.fail("commit", status=status, times=1000)
    told = attempt(hub, releases[0])
    assert told is not None
    assert f"the Hub answers {status}" in told
    assert hub.asked("commit") == ATTEMPTS
    fault.times = 1
    hub.publish(releases[0])
    assert hub.visible() == tree_digest(releases[0])


@pytest.mark.slow
def test_a_repository_that_cannot_be_seen_when_it_is_made_is_told(
    hub: HubSite, releases: tuple[Path, Path]
) -> None:
    hub.server.fail("refs", status=404, times=1000)
    told = attempt(hub, releases[0])
    assert told is not None
    assert "the Hub answered that the repository is made, but does not list it" in told
    assert hub.asked("create_repo") == ATTEMPTS


# Where the build changes while it is sent


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["preupload", "lfs_batch", "validate_yaml"])
@pytest.mark.parametrize("suffix", [".parquet", "README.md", "LICENSES.md", MANIFEST_NAME])
def test_a_file_that_is_edited_while_it_is_sent_is_never_a_release(
    hub: HubSite, releases: tuple[Path, Path], tmp_path: Path, suffix: str, moment: str
) -> None:
    """The edit is of one byte, so the file's size stays."""
    folder = copy_folder(releases[0], tmp_path / releases[0].name)
    path = sorted(path for path in folder.rglob("*") if path.name.endswith(suffix))[0]
    data = path.read_bytes()

    def edit(kind: str) -> None:
        if kind == moment:
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])

    hub.server.on_call = edit
    told = attempt(hub, folder)
    hub.server.on_call = lambda _: None
    path.write_bytes(data)
    if told is None:  # it had been read before
        assert hub.visible() == tree_digest(folder)
    else:
        assert hub.server.repos[REPO].tags == {}
    hub.publish(folder)
    assert hub.visible() == tree_digest(folder)
    assert hub.is_tagged(folder)


# While `datasets` loads what has been committed


@pytest.mark.slow
def test_a_fault_while_datasets_loads_the_release_does_not_stop_a_run(
    hub: HubSite, sample_release: Path
) -> None:
    hub.server.fail("info", status=503)
    hub.publish(sample_release, load=True)
    assert hub.asked("info") == 2
    assert list(hub.server.repos[REPO].tags) == ["v1.0"]


@pytest.mark.slow
def test_a_release_that_datasets_is_kept_from_has_no_tag_until_the_same_run_later(
    hub: HubSite, sample_release: Path
) -> None:
    hub.server.fail("info", status=403, message=f"not with {WRITE_TOKEN}", times=1000)
    with pytest.raises(ReleaseError) as raised:
        hub.publish(sample_release, load=True)
    told = str(raised.value)
    assert "`datasets` cannot load the release: huggingface_hub.errors.HfHubHTTPError: " in told
    assert "run the same command again" in told
    assert not [secret for secret in SECRETS if secret in told]
    assert hub.server.repos[REPO].tags == {}
    hub.heal()
    hub.publish(sample_release, load=True)
    assert list(hub.server.repos[REPO].tags) == ["v1.0"]


@pytest.mark.slow
def test_a_folder_called_as_the_repository_is_not_loaded_in_its_place(
    hub: HubSite, sample_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` prefers it: then nobody would have looked at the Hub."""
    (tmp_path / REPO).mkdir(parents=True)
    (tmp_path / REPO / "train.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    hub.publish(sample_release, load=True)
    assert list(hub.server.repos[REPO].tags) == ["v1.0"]


# Through Xet, whose client has requests and retries of its own

_XET_RUN = """
    import sys
    from pathlib import Path
    from publish.hosts.hub.client import Limits
    from publish.checks.files import read_manifest
    from publish.hosts.hub.target import HubTarget
    from publish.hosts.protocol import Unwatched
    from publish.network import RetryPolicy, TimeLimits
    from schemas.problems import ReleaseError
    class Watcher(Unwatched):
        shown = set()
        def advance(self, stage, done, total):
            self.shown.add(done)
    folder, manifest = Path(sys.argv[1]), read_manifest(Path(sys.argv[1]))
    retry = RetryPolicy(tries=3, first_wait_seconds=0.01, jitter_seconds=0)
    limits = Limits(TimeLimits(patience_seconds=float(sys.argv[4])), retry)
    target = HubTarget(sys.argv[2], endpoint=sys.argv[3], limits=limits)
    try:
        target.upload(folder, manifest, watcher=Watcher())
        assert len(Watcher.shown) > 2, "the bytes of the Xet library are not seen"
        assert target.verify(manifest, load=False) == ()
        target.finish(manifest)
    except ReleaseError as error:
        sys.exit(str(error))
"""
_NO_MORE = "the Hub takes no more data"
XET_FAULTS = {
    **{name: (PASSING[name], "the upload broke off") for name in ("429", "500", "503", "reset", "hang")},
    "expired": (REFUSING["expired"], "the upload's token has expired or is not accepted"),
    "forbidden": (REFUSING["forbidden"], "it only reads, or has no rights in org"),
    **{name: (NO_ROOM[name], _NO_MORE) for name in ("unpaid", "too large", "disk full")},
}


# So that nobody has to wait as long for the limits that the client is given as people do.
_OWN_LIMITS = """
    from publish.hosts.hub.xet import XET_LIMITS
    XET_LIMITS.update({name: "1s" for name in XET_LIMITS if name.endswith("TIMEOUT")})
"""


def run_through_xet(
    server: HubServer,
    folder: Path,
    home: Path,
    *,
    by_own_limits: bool = False,
    patience_seconds: float = 300,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Publish in a process of its own, since the Xet library reads its settings once.

    Raises:
        TimeoutExpired: It waited for as long as the library would.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        # The client's limits may have been set in this process, too.
        if "proxy" not in name.lower() and not name.startswith("HF_XET")
    }
    settings = {
        "HF_ENDPOINT": server.endpoint,
        "HF_TOKEN": WRITE_TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "0",
        "HF_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "0",
        **({} if by_own_limits else {"HF_XET_CLIENT_READ_TIMEOUT": "1s"}),
        **(environment or {}),
    }
    code = textwrap.dedent((_OWN_LIMITS if by_own_limits else "") + _XET_RUN)
    command = [sys.executable, "-c", code, str(folder), REPO, server.endpoint, str(patience_seconds)]
    return subprocess.run(command, env=kept | settings, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["xet_write", "cas"])
@pytest.mark.parametrize(
    "name",
    ["expired", *(pytest.param(n, marks=pytest.mark.slow) for n in XET_FAULTS if n != "expired")],
)
def test_a_fault_of_the_xet_store_ends_in_a_sentence_and_the_same_run_later_finishes(
    releases: tuple[Path, Path], tmp_path: Path, kind: str, name: str
) -> None:
    """The store fails from the beginning, or in the middle of the upload, when it has given a token."""
    fault, said = XET_FAULTS[name]
    store = tmp_path / "cas"
    store.mkdir()
    with HubServer(xet=store, known=releases) as server:
        server.cas = f"{server.storage}/cas" if kind == "cas" else server.cas
        server.fail(kind, fault.do, status=fault.status, message=fault.message, times=1000)
        failed = run_through_xet(server, releases[0], tmp_path / "home")
        assert failed.returncode == 1
        assert "Traceback" not in failed.stderr
        assert said in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
        assert server.kinds("commit") == []
        assert server.kinds().count(kind) <= 4 * 3 * ATTEMPTS
        server.faults.clear()
        server.cas = f"local://{store}"
        done = run_through_xet(server, releases[0], tmp_path / "home")
        assert done.returncode == 0, done.stderr
        assert HubSite(server).visible() == tree_digest(releases[0])
        said_in_all = failed.stdout + failed.stderr + done.stdout + done.stderr
        assert not [secret for secret in SECRETS if secret in said_in_all]


@pytest.mark.slow
def test_a_xet_store_that_says_nothing_is_not_waited_for_as_long_as_its_library_would(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    with HubServer(xet=tmp_path, known=releases) as server:
        server.cas = f"{server.storage}/cas"
        server.fail("cas", "hang", times=1000)
        failed = run_through_xet(server, releases[0], tmp_path / "home", by_own_limits=True)
        assert "the upload broke off" in failed.stderr
        assert server.kinds("commit") == []


@pytest.mark.slow
def test_a_xet_library_that_tries_for_ever_is_ended(releases: tuple[Path, Path], tmp_path: Path) -> None:
    store = tmp_path / "cas"
    store.mkdir()
    with HubServer(xet=store, known=releases) as server:
        server.cas = f"{server.storage}/cas"
        server.fail("cas", "reset", times=10**6)
        options = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1000000", "HF_XET_CLIENT_RETRY_BASE_DELAY": "100ms"}
        failed = run_through_xet(
            server, releases[0], tmp_path / "home", patience_seconds=2, environment=options
        )
        assert "sending files was ended: nothing moved for 2 s" in failed.stderr
        assert "--patience" in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
        server.cas = f"local://{store}"
        done = run_through_xet(server, releases[0], tmp_path / "home")
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["xet_write", "cas"])
def test_nonsense_of_the_xet_store_is_told_and_the_same_run_later_finishes(
    releases: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    store = tmp_path / "cas"
    store.mkdir()
    with HubServer(xet=store, known=releases) as server:
        server.cas = f"{server.storage}/cas" if kind == "cas" else server.cas
        for body in [*BODIES.values()] * 50:
            server.fail(kind, "answer", body=body)
        failed = run_through_xet(server, releases[0], tmp_path / "home")
        assert failed.returncode == 1
        assert "Traceback" not in failed.stderr
        assert "→" in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
        assert REPO not in server.repos or not server.repos[REPO].tags
        server.faults.clear()
        if kind == "xet_write":  # once
            server.fail(kind, "answer", body=BODIES["page"])
        server.cas = f"local://{store}"
        done = run_through_xet(server, releases[0], tmp_path / "home")
        assert done.returncode == 0, done.stderr
        assert HubSite(server).visible() == tree_digest(releases[0])
        assert HubSite(server).is_tagged(releases[0])


@pytest.mark.slow
def test_a_store_that_says_nothing_is_given_up_and_the_same_run_later_finishes(
    hub: HubSite, releases: tuple[Path, Path]
) -> None:
    hub.patience = 1
    for kind in ("upload", "commit", "tag", "refs"):
        hub.server.fail(kind, "hang", times=1000)
        told = attempt(hub, releases[0])
        assert told is not None
        assert "was ended: nothing moved for" in told
        for thread in threading.enumerate():
            if thread.name.startswith("ThreadPoolExecutor"):  # Python joins them when it ends
                thread.join(60)
                assert not thread.is_alive()
        hub.heal()
    hub.patience = 300
    hub.publish(releases[0])
    assert hub.visible() == tree_digest(releases[0])
    assert hub.is_tagged(releases[0])


@pytest.mark.slow
def test_a_question_that_is_only_the_clients_own_holds_nothing_up(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    """The client asks the Hub now and then which programs use it, and can do without an answer."""
    store = tmp_path / "cas"
    store.mkdir()
    with HubServer(xet=store, known=releases) as server:
        server.fail("harnesses", "hang", times=1000)
        done = run_through_xet(server, releases[0], tmp_path / "home")
        assert done.returncode == 0, done.stderr
        assert server.kinds().count("harnesses") == 1
