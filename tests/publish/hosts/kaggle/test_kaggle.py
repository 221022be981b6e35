"""Kaggle: releases by the real client against a site on loopback that forgets, fails, and loses answers."""

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import datasets
import pandas as pd
import pytest
import requests

from publish.checks.files import read_manifest
from publish.hosts.kaggle.access import Limits
from publish.hosts.kaggle.contents import KaggleVersion
from publish.hosts.kaggle.page import KagglePage
from publish.hosts.kaggle.planning import KagglePlan, Step
from publish.hosts.kaggle.target import KaggleTarget
from publish.hosts.protocol import UNWATCHED, Action, Held, HostOptions, Watcher
from publish.network import RetryPolicy, TimeLimits
from schemas.manifest import MANIFEST_NAME, FileEntry
from schemas.problems import Problem, ReleaseError, Severity
from tests.publish.fake_time import FakeTime
from tests.publish.hosts.kaggle_server import Fault, KaggleServer, Version, digest
from tests.support import ROOT, tree_digest

DATASET = "faces/sfhq-t2i"
PAGE = KagglePage(
    title="Synthetic faces", subtitle="Portraits by five text-to-image models", keywords=("synthetic",)
)
TIMES, RETRY = TimeLimits(read_seconds=600), RetryPolicy(tries=3, jitter_seconds=0)
TRUSTING = HostOptions(trusts_rights=True)
TOKEN, KEY = "KGAT_marked-token-that-nobody-may-see", "marked-key-that-nobody-may-see"


@dataclass
class Watched:
    """What a run tells of its progress."""

    told: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    on_tell: Callable[[int, int], None] = lambda _done, _total: None

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, stage: str, done: int, total: int) -> None:
        self.told.append((done, total))
        self.on_tell(done, total)


@dataclass
class Kaggle:
    """The site, and what a maintainer has to publish there."""

    site: KaggleServer
    time: FakeTime
    work: Path

    def target(
        self,
        page: KagglePage = PAGE,
        dataset: str = DATASET,
        options: HostOptions | None = None,
        **limits: float,
    ) -> KaggleTarget:
        known = Limits(
            TIMES,
            RETRY,
            clock=self.time.clock,
            **limits,
        )
        return KaggleTarget(dataset, page, self.work / "state", known, options)

    def publish(
        self, folder: Path, target: KaggleTarget | None = None, watcher: Watcher = UNWATCHED
    ) -> KagglePlan:
        """Do what the release command does: plan, upload, verify, read back."""
        chosen, manifest = target or self.target(), read_manifest(folder)
        plan = chosen.plan(manifest, folder)
        if problems := (*plan.problems, *plan.access):
            raise ReleaseError(problems)
        if plan.action is not Action.KEEP:
            chosen.upload(folder, manifest, plan, watcher)
        problems = chosen.verify(manifest) or chosen.read_back(manifest)
        if any(problem.severity is Severity.BLOCKING for problem in problems):
            raise ReleaseError(problems)
        chosen.finish(manifest)
        return plan

    @property
    def versions(self) -> list[Version]:
        return self.site.datasets[DATASET].versions if self.site.datasets else []


@pytest.fixture(autouse=True, scope="session")
def _own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the client, which looks for its store when it is imported, find none of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path_factory.mktemp("kaggle-store")))
        yield


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    with KaggleServer().running() as site:
        site.token, site.key = TOKEN, KEY
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, site.address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1")
        for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
        monkeypatch.setenv("HOME", str(tmp_path))
        yield Kaggle(site, FakeTime(unix=1.8e9), tmp_path)
        # Nothing but the API ever hears the credentials, and it only where it asks for them.
        for call in site.calls:
            assert (call.authorization != "") == (call.origin == "localhost" and call.name != "")
            if call.name != "IntrospectToken":
                assert TOKEN not in call.text
                assert KEY not in call.text


@pytest.fixture(scope="session")
def small_release(sample_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a release of a few files in folders and outside of them: most tests are about requests."""
    manifest = read_manifest(sample_release)
    shards = tuple(shard for shard in manifest.shards if shard.config in ("default", "prompts"))
    names = ("README.md", "LICENSES.md", "CHANGELOG.md")
    files = tuple(file for file in manifest.files if file.path in names)
    folder = tmp_path_factory.mktemp("small") / "1.0"
    for entry in (*shards, *files):
        (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample_release / entry.path, folder / entry.path)
    manifest = manifest.model_copy(update={"shards": shards, "files": files})
    (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    return folder


@pytest.fixture
def release(small_release: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to spoil."""
    return Path(shutil.copytree(small_release, tmp_path / "1.0"))


def other_release(folder: Path, version: str = "1.1", text: str = "Changed.", name: str = "") -> Path:
    """Make another release of one, with another changelog of the same size and time."""
    made = Path(shutil.copytree(folder, folder.parent / (name or version)))
    manifest = read_manifest(folder)
    changelog = made / "CHANGELOG.md"
    times = changelog.stat().st_mtime_ns
    data = changelog.read_bytes()
    data = text.encode() + data[len(text) :]
    changelog.write_bytes(data)
    os.utime(changelog, ns=(times, times))
    entry = FileEntry(path="CHANGELOG.md", num_bytes=len(data), sha256=sha256(data).hexdigest())
    files = tuple(entry if file.path == entry.path else file for file in manifest.files)
    inputs = manifest.inputs.model_copy(update={"version": version})
    manifest = manifest.model_copy(update={"inputs": inputs, "files": files})
    (made / MANIFEST_NAME).write_bytes(manifest.to_json())
    return made


def problems_of(error: pytest.ExceptionInfo[ReleaseError]) -> str:
    return "\n".join(str(problem) for problem in error.value.problems)


def texts(problems: tuple[Problem, ...]) -> str:
    return "\n".join(str(problem) for problem in problems)


# What a user finds


def test_first_release_is_a_private_dataset_with_the_release_as_it_is(
    kaggle: Kaggle, sample_release: Path
) -> None:
    release = sample_release
    plan = kaggle.publish(release)
    manifest = read_manifest(release)
    assert plan.steps == (Step.CREATE, Step.DESCRIBE)
    assert set(plan.add) == set(tree_digest(release)) - set(plan.left_out)
    assert {path.partition("/")[0] for path in plan.left_out} == {"webdataset"}
    assert all(size == (release / path).stat().st_size for path, size in plan.add.items())
    assert plan.num_requests == len(kaggle.site.writes)
    held = {path: value for path, value in tree_digest(release).items() if path not in plan.left_out}
    assert digest(kaggle.versions[0].files) == held
    page = kaggle.site.datasets[DATASET].page
    assert (page["title"], page["subtitle"], page["isPrivate"]) == (PAGE.title, PAGE.subtitle, True)
    assert page["licenses"] == [{"name": "other"}]
    assert f"Release 1.0 (manifest sha256:{manifest.digest})" in page["description"]
    receipt = kaggle.target().receipt(manifest)
    assert (receipt.revision, receipt.manifest_sha256) == ("1", manifest.digest)
    assert receipt.url == f"https://www.kaggle.com/datasets/{DATASET}/versions/1"
    assert kaggle.target().status() == (KaggleVersion(1, "1.0", manifest.digest, "ready", "faces"),)


def test_what_lies_on_kaggle_is_read_by_datasets_and_pandas(kaggle: Kaggle, sample_release: Path) -> None:
    release = sample_release
    kaggle.publish(release)
    place = kaggle.work / "input" / "sfhq-t2i"
    for path, data in kaggle.versions[0].files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    manifest = read_manifest(release)
    loaded = datasets.load_dataset(str(place), "prompts", split="train", cache_dir=str(kaggle.work / "cache"))
    assert loaded.num_rows == manifest.configs["prompts"]["train"].num_rows
    assert len(pd.read_parquet(place / "prompts")) == loaded.num_rows
    assert 'load_dataset(path, "default")' in kaggle.site.datasets[DATASET].page["description"]


def test_page_has_no_links_into_the_folder(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    description = kaggle.site.datasets[DATASET].page["description"]
    assert "](LICENSES.md)" not in description
    assert "(figures/" not in description
    assert "dataset_info:" not in description
    assert "## Generators and licences" in description
    assert "Example row" not in description


def test_second_release_is_a_version_whose_notes_name_it(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    second = other_release(release)
    plan = kaggle.publish(second)
    assert plan.steps == (Step.SEND, Step.DESCRIBE)
    assert digest(kaggle.versions[0].files) == tree_digest(release)
    assert digest(kaggle.versions[1].files) == tree_digest(second)
    assert kaggle.versions[1].notes == f"Release 1.1 (manifest sha256:{read_manifest(second).digest})"
    assert [(v.number, v.version) for v in kaggle.target().status()] == [(1, "1.0"), (2, "1.1")]
    assert kaggle.target().verify(read_manifest(release)) == ()  # the first is still what it was


def test_unchanged_release_sends_nothing(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.site.calls.clear()
    plan = kaggle.publish(release)
    assert (plan.action, plan.steps, plan.add, plan.num_requests) == (Action.KEEP, (), {}, 0)
    kaggle.target().upload(release, read_manifest(release))
    assert kaggle.site.writes == []


def test_plan_and_verify_change_nothing(kaggle: Kaggle, release: Path) -> None:
    manifest = read_manifest(release)
    assert kaggle.target().plan(manifest, release).action is Action.ADD
    assert "no version of release 1.0" in texts(kaggle.target().verify(manifest))
    assert kaggle.site.writes == []
    assert not (kaggle.work / "state").exists()


def test_page_is_updated_without_a_version_and_keeps_what_was_set_by_hand(
    kaggle: Kaggle, release: Path
) -> None:
    kaggle.publish(release)
    there = kaggle.site.datasets[DATASET].page
    there |= {"isPrivate": True, "collaborators": [{"username": "friend", "role": "WRITER"}]}
    page = KagglePage("Other title", PAGE.subtitle, license="CC0-1.0", private=False)
    plan = kaggle.publish(release, kaggle.target(page))
    assert plan.steps == (Step.DESCRIBE,)
    assert (there["title"], there["licenses"], there["isPrivate"]) == (
        "Other title",
        [{"name": "CC0-1.0"}],
        True,
    )
    assert there["collaborators"] == [{"username": "friend", "role": "WRITER"}]
    assert len(kaggle.versions) == 1


def test_earlier_release_leaves_the_page_of_a_later_one_alone(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.publish(other_release(release))
    kaggle.site.calls.clear()
    assert kaggle.publish(release).action is Action.KEEP
    assert kaggle.site.writes == []
    assert "Release 1.1" in kaggle.site.datasets[DATASET].page["description"]


def test_dataset_made_by_hand_gets_a_version(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.versions[0].files = {"faces.csv": b"a,b\n"}
    kaggle.site.datasets[DATASET].page["description"] = "By hand."
    plan = kaggle.publish(release)
    assert plan.steps == (Step.SEND, Step.DESCRIBE)
    assert [v.version for v in kaggle.target().status()] == [None, "1.0"]
    assert kaggle.versions[0].files == {"faces.csv": b"a,b\n"}


def test_withdrawn_release_is_marked_and_stays(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.site.datasets[DATASET].page["title"] = "By hand"
    kaggle.target().withdraw("1.0", "two faces\nare real")
    page = kaggle.site.datasets[DATASET].page
    assert page["description"].startswith("> Release 1.0 is withdrawn: two faces are real\n\n")
    assert (page["title"], page["isPrivate"], page["licenses"]) == ("By hand", True, [{"name": "other"}])
    kaggle.site.calls.clear()
    kaggle.target().withdraw("1.0", "two faces are real")
    assert kaggle.publish(release).action is Action.KEEP
    assert kaggle.site.writes == []
    kaggle.publish(other_release(release))
    assert page["description"].count("> Release 1.0 is withdrawn: two faces are real") == 1
    assert digest(kaggle.versions[0].files) == tree_digest(release)
    with pytest.raises(ReleaseError, match=r"no version of release 0\.3"):
        kaggle.target().withdraw("0.3", "it never was")


def test_short_name_will_do_for_a_dataset_that_is_there(kaggle: Kaggle, release: Path) -> None:
    target, manifest = kaggle.target(dataset="faces/sfhq"), read_manifest(release)
    assert "6 characters or more" in texts(target.plan(manifest, release).problems)
    kaggle.publish(release)
    kaggle.site.datasets["faces/sfhq"] = kaggle.site.datasets[DATASET]
    assert target.plan(manifest, release).problems == ()


@pytest.mark.parametrize("path", ["webdataset/images-00000.tar", "more/images.tar", "more/IMAGES.ZIP"])
def test_archives_stay_behind(kaggle: Kaggle, release: Path, path: str) -> None:
    data = b"a tar"
    (release / path).parent.mkdir()
    (release / path).write_bytes(data)
    manifest = read_manifest(release)
    entry = FileEntry(path=path, num_bytes=len(data), sha256=sha256(data).hexdigest())
    manifest = manifest.model_copy(update={"files": (*manifest.files, entry)})
    (release / MANIFEST_NAME).write_bytes(manifest.to_json())
    plan = kaggle.publish(release)
    assert plan.left_out == (path,)
    assert set(kaggle.versions[0].files) == set(tree_digest(release)) - {path}


@pytest.mark.parametrize("setting", ["shows_notes", "shows_pending", "shows_folders"])
def test_a_site_that_shows_less_changes_nothing(kaggle: Kaggle, release: Path, setting: str) -> None:
    setattr(kaggle.site, setting, False)
    kaggle.publish(release)
    kaggle.publish(other_release(release))
    kaggle.site.calls.clear()
    assert kaggle.publish(other_release(release, name="again")).action is Action.KEEP
    assert kaggle.site.writes == []
    assert len(kaggle.versions) == 2


# What is refused


def test_every_reason_against_it_is_given_at_once(
    kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    manifest = read_manifest(release)
    large = manifest.shards[0].model_copy(update={"num_bytes": 2_000_000_000})
    manifest = manifest.model_copy(update={"shards": (large, *manifest.shards[1:])})
    page = KagglePage(title="Short", subtitle="s" * 81, license="MIT", keywords=("",))
    target = kaggle.target(page, "Faces!/a")
    plan = target.plan(manifest)
    found = texts(plan.problems)
    assert plan.action is Action.REFUSE
    for part in (
        *("the owner is not a name", "as a dataset's name", "6 to 50", "20 to 80", "licence", "not a tag"),
        *("2,000,000,000 bytes", "no credentials"),
    ):
        assert part in found
    with pytest.raises(ReleaseError):
        target.upload(release, manifest, plan)
    assert kaggle.site.writes == []


@pytest.mark.parametrize(
    "page",
    [
        KagglePage("s" * 6, "s" * 20),
        KagglePage("s" * 50, "s" * 80),
        KagglePage("s" * 20, "s" * 40, license="CC-BY-4.0", keywords=("art", "image data")),
    ],
)
def test_page_at_the_edge_of_the_rules_is_taken(kaggle: Kaggle, release: Path, page: KagglePage) -> None:
    assert kaggle.target(page).plan(read_manifest(release), release).problems == ()


@pytest.mark.parametrize("character", ["\t", "\n", "\u200b"])
def test_title_with_what_cannot_be_seen_is_not_called_too_long(
    kaggle: Kaggle, release: Path, character: str
) -> None:
    page = KagglePage(f"Synthetic{character}faces", PAGE.subtitle)
    (problem,) = kaggle.target(page).plan(read_manifest(release), release).problems
    assert problem.column == "title"
    assert "one line of text, without tabs" in problem.message
    assert problem.fix == "write spaces in their place"


def test_published_version_never_changes(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    other = other_release(release, version="1.0", name="other")
    kaggle.site.calls.clear()
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(other)
    assert "version 1.0 is on Kaggle with other content" in problems_of(error)
    with pytest.raises(ReleaseError):
        kaggle.target().upload(other, read_manifest(other))  # without a plan, too
    assert kaggle.site.writes == []


def test_version_that_is_there_in_another_spelling_is_refused(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    again = other_release(release, version="1.0.0")
    found = texts(kaggle.target().plan(read_manifest(again), again).problems)
    assert "version 1.0.0 is there already, as 1.0" in found
    with pytest.raises(ReleaseError):
        kaggle.publish(again)
    assert len(kaggle.versions) == 1


def test_earlier_version_does_not_hide_a_later_one(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(other_release(release, version="1.10"))
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(other_release(release, version="1.9", text="Late."))
    assert "it would hide that from its users" in problems_of(error)
    assert len(kaggle.versions) == 1


def test_plan_is_not_applied_to_a_changed_site(kaggle: Kaggle, release: Path) -> None:
    target, manifest = kaggle.target(), read_manifest(release)
    plan = target.plan(manifest, release)
    kaggle.publish(other_release(release, version="0.9"))
    kaggle.site.calls.clear()
    with pytest.raises(ReleaseError) as error:
        target.upload(release, manifest, plan, exact=True)
    assert "make a new plan" in problems_of(error)
    assert kaggle.site.writes == []
    target.upload(release, manifest, plan)  # as shown, but not as promised
    assert len(kaggle.versions) == 2


def test_spoilt_release_is_not_sent(kaggle: Kaggle, release: Path) -> None:
    target, manifest = kaggle.target(), read_manifest(release)
    data = bytearray((release / "LICENSES.md").read_bytes())
    data[0] ^= 1
    (release / "LICENSES.md").write_bytes(data)
    with pytest.raises(ReleaseError, match="other bytes"):
        target.upload(release, manifest, target.plan(manifest, release))
    (release / "LICENSES.md").unlink()
    assert "missing from the release" in texts(target.plan(manifest, release).problems)
    assert kaggle.site.writes == []


def test_old_client_is_refused(
    kaggle: Kaggle, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "installed" / "kaggle-2.2.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kaggle\nVersion: 2.2.4\n")
    monkeypatch.syspath_prepend(info.parent)
    assert metadata.version("kaggle") == "2.2.4"
    found = texts(kaggle.target().plan(read_manifest(release)).problems)
    assert "too old" in found
    assert "kaggle>=2.2.5" in found
    assert kaggle.site.calls == []


@pytest.mark.parametrize("place", ["TEST", "STAGING", "QA", ""])
def test_place_that_the_client_would_mistake_for_the_real_site_is_refused(
    kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", place)
    found = texts(kaggle.target().plan(read_manifest(release)).problems)
    assert "KAGGLE_API_ENVIRONMENT" in found
    assert kaggle.site.calls == []


def test_client_loaded_for_another_place_is_refused(
    kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.target().status()  # loads it for LOCALHOST
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    kaggle.site.calls.clear()
    found = texts(kaggle.target().plan(read_manifest(release)).problems)
    assert "would write to http://localhost, and not to https://www.kaggle.com" in found
    assert kaggle.site.calls == []


# Credentials


def test_username_and_key_sign_in(kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "faces")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    kaggle.publish(release)
    assert len(kaggle.versions) == 1


def test_each_fault_of_credentials_is_a_sentence(
    kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(release)

    def found(dataset: str = DATASET) -> str:
        return texts(kaggle.target(dataset=dataset).plan(manifest, release).problems)

    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_expired-token")
    assert "does not accept the token in KAGGLE_API_TOKEN: it is wrong or has expired" in found()
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert "no credentials for Kaggle" in found()
    monkeypatch.setenv("KAGGLE_USERNAME", "faces")
    monkeypatch.setenv("KAGGLE_KEY", "wrong-key-that-is-marked")
    assert "does not accept the credentials" in found()
    assert "wrong-key-that-is-marked" not in found()
    assert kaggle.site.writes == []


def test_organisation_whose_dataset_is_missing_gets_one(kaggle: Kaggle, release: Path) -> None:
    """Kaggle answers 403 for it, as for what is not shown to this account."""
    manifest = read_manifest(release)
    plan = kaggle.target(dataset="lab/sfhq-t2i").plan(manifest, release)
    assert plan.problems == ()
    assert plan.steps == (Step.CREATE, Step.DESCRIBE)
    assert "Kaggle shows no lab/sfhq-t2i to faces: it is missing, or hidden" in texts(plan.access)
    assert kaggle.target().plan(manifest, release).access == ()  # their own is missing for sure
    target = kaggle.target(dataset="lab/sfhq-t2i", options=TRUSTING)
    assert target.plan(manifest, release).access == ()
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release, target)
    assert "to create the dataset, if lab/sfhq-t2i is there at all" in problems_of(error)
    assert "Permission 'datasets.create' was denied" in problems_of(error)
    kaggle.site.owners.add("lab")
    num_bytes = kaggle.site.num_put_bytes
    kaggle.publish(release, target)
    assert kaggle.site.num_put_bytes == num_bytes
    assert target.receipt(manifest).revision == "1"


def test_token_that_may_only_read_stops_before_any_byte(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.may_write = False
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "token may write" in problems_of(error)
    assert "Permission 'blobs.create' was denied" in problems_of(error)
    assert kaggle.site.num_put_bytes == 0
    kaggle.site.may_write = True
    kaggle.publish(release)


def test_token_that_expires_in_the_middle_loses_nothing(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.faults.append(Fault("StartBlobUpload", "status", status=401, skip=5))
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "does not accept the credentials" in problems_of(error)
    kaggle.publish(release)
    assert kaggle.site.num_put_bytes == sum(len(data) for data in kaggle.versions[0].files.values())


WRITER, READER = ({"username": "guest", "role": role} for role in ("WRITER", "READER"))


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("another", "Kaggle does not say whether guest may write to faces/sfhq-t2i"),
        ("reader", "guest may only read faces/sfhq-t2i on Kaggle"),
        ("writer", ""),
        ("organisation", "Kaggle does not say whether guest may write to faces/sfhq-t2i"),
        ("member", ""),
    ],
)
def test_rights_are_told_before_anything_is_written(
    kaggle: Kaggle, release: Path, who: str, told: str, shown: bool
) -> None:
    """An organisation's members are not shown: one who has made a version before may do it."""
    kaggle.publish(release)
    site, second = kaggle.site, other_release(release)
    site.username, site.shows_settings = "guest", shown
    site.datasets[DATASET].page["collaborators"] = {"writer": [WRITER], "reader": [READER]}.get(who, [])
    if who == "member":
        kaggle.versions[0].creator = "guest"
    if who in ("another", "reader", "writer"):
        site.owners = set()
    site.calls.clear()
    access = kaggle.target().plan(read_manifest(second), second).access
    if not shown and who == "reader":
        told = "Kaggle does not say whether guest may write to faces/sfhq-t2i"
    assert told in texts(access)
    assert bool(access) == bool(told)
    assert {problem.code for problem in access} <= {"host/no-rights", "host/unknown-rights"}
    assert site.writes == []
    if told:
        with pytest.raises(ReleaseError):
            kaggle.publish(second)
        assert site.writes == []
    if told == "" or who == "organisation":
        kaggle.publish(second, kaggle.target(options=TRUSTING))
        assert len(kaggle.versions) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "proxy",
    ["http://me:s3cret/more@127.0.0.1:9", "http://me:s3cret@127.0.0.1:port", "socks5://me:s3cret@a:9"],
)
def test_proxy_that_cannot_be_used_is_said_without_its_password(
    kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    kaggle.target().status()  # loads the client, as it may be in a run of all tests
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    found = kaggle.target().plan(read_manifest(release)).problems
    assert "the proxy in the environment cannot be used" in texts(found)
    assert "s3cret" not in texts(found)
    said = run_plan(release, kaggle.work, "30")  # whose client is not loaded yet
    assert "the proxy in the environment cannot be used" in said.stdout
    assert "s3cret" not in said.stdout + said.stderr


def test_secrets_are_nowhere(
    kaggle: Kaggle, release: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.site.faults += [
        Fault("CreateDataset", "status", status=400),
        Fault("UpdateDatasetMetadata", "status", status=503, times=3),
    ]
    said = []
    for _ in range(2):
        with pytest.raises(ReleaseError) as error:
            kaggle.publish(release)
        said.append(problems_of(error))
    assert "A fault Bearer …" in said[0]
    kaggle.site.token = "another"  # the answer to what follows repeats the header that was sent
    said.append(texts(kaggle.target().plan(read_manifest(release)).problems))
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "faces")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    kaggle.site.key = "another"
    said.append(texts(kaggle.target().plan(read_manifest(release)).problems))
    kaggle.site.key = KEY
    kaggle.site.faults = [Fault("UpdateDatasetMetadata", "status", status=400)]
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    said.append(problems_of(error))
    assert "A fault Basic …" in said[-1]
    kaggle.publish(release)
    said.append(kaggle.target().receipt(read_manifest(release)).to_json().decode())
    output = capfd.readouterr()
    written = [path.read_bytes() for path in kaggle.work.rglob("*") if path.is_file()]
    assert (output.out, output.err) == ("", "")
    for secret in (TOKEN, KEY, base64.b64encode(f"faces:{KEY}".encode()).decode()):
        assert secret not in "\n".join(said)
        assert not any(secret.encode() in data for data in written)


def test_state_of_uploads_is_for_its_owner_only(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.faults.append(Fault("StartBlobUpload", "status", status=403, skip=2))
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    (uploads,) = (kaggle.work / "state").glob("*/uploads")
    assert uploads.stat().st_mode & 0o077 == 0
    kaggle.publish(release)
    assert not (kaggle.work / "state").exists()  # and gone when it is of no more use


# Faults; `test_faults.py` has each at each request


def test_longest_pause_that_a_site_may_ask_for_is_limited(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.faults.append(
        Fault("StartBlobUpload", "status", status=429, headers={"Retry-After": "86400"})
    )
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "asks to wait 86,400 s" in problems_of(error)
    assert kaggle.time.waits == []


@pytest.mark.parametrize("asked", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_site_that_asks_for_no_pause_gets_ours(kaggle: Kaggle, release: Path, asked: str) -> None:
    headers = {"Retry-After": asked}
    kaggle.site.faults.append(Fault("GetDataset", "status", status=429, headers=headers, times=2))
    assert kaggle.target().plan(read_manifest(release), release).problems == ()
    assert kaggle.time.waits == [1, 2]


def test_download_has_an_end_as_a_whole(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    manifest = read_manifest(release)
    kaggle.site.faults.append(Fault("GET", "drip", times=100))
    limits = Limits(TIMES, RETRY, download_seconds=0.2)
    target = KaggleTarget(DATASET, PAGE, kaggle.work / "state", limits)
    with pytest.raises(ReleaseError, match="fetching a file takes too long"):
        target.read_back(manifest, [manifest.shards[0].path])


def test_waiting_does_not_read_the_same_manifest_again(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.site.looks = 20
    target, second = kaggle.target(), other_release(release)
    kaggle.site.calls.clear()
    target.upload(second, read_manifest(second))
    assert kaggle.site.names.count("GetDataset") > 20
    assert kaggle.site.names.count("DownloadDataset") == 1


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["lost", "nonsense", "lost-and-unseen"])
def test_lost_answer_never_makes_two_versions(kaggle: Kaggle, release: Path, first: bool, kind: str) -> None:
    folder = release
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    name = "CreateDataset" if first else "CreateDatasetVersion"
    kaggle.site.shows_pending = kind != "lost-and-unseen"
    kaggle.site.looks = 5
    kaggle.site.faults.append(Fault(name, kind.partition("-")[0]))
    kaggle.publish(folder)
    assert kaggle.site.names.count(name) == 1
    assert len(kaggle.versions) == (1 if first else 2)


@pytest.mark.slow
@pytest.mark.parametrize(("looks", "failing"), [(5, 0), (10, 1), (60, 7)])
@pytest.mark.parametrize("first", [True, False])
def test_version_that_appears_late_is_never_made_twice(
    kaggle: Kaggle, release: Path, first: bool, looks: int, failing: int
) -> None:
    """Each look takes 10 s: it appears within the patience of the first run, the second, or a later one.

    A new dataset is asked for again after a minute, since its name can be taken only once.
    """
    folder, failing = release, failing * (not first)
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    name = "CreateDataset" if first else "CreateDatasetVersion"
    kaggle.site.faults.append(Fault(name, "late", looks=looks))
    for _ in range(failing):
        with pytest.raises(ReleaseError) as error:
            kaggle.publish(folder)
        assert "Kaggle has not said whether it makes a version" in problems_of(error)
        assert "the same command finishes it; after that it asks Kaggle once more" in problems_of(error)
    kaggle.publish(folder)
    assert kaggle.site.names.count(name) == (2 if first and looks > 6 else 1)
    for _ in range(looks):
        kaggle.target().releases()
    assert len(kaggle.versions) == (1 if first else 2)
    assert kaggle.publish(folder).action is Action.KEEP
    assert not (kaggle.work / "state").exists()


@pytest.mark.slow
def test_version_that_never_appears_is_asked_for_again_when_it_cannot_any_more(
    kaggle: Kaggle, release: Path
) -> None:
    kaggle.publish(release)
    second = other_release(release)
    kaggle.site.faults.append(Fault("CreateDatasetVersion", "status", status=504))
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(second)
    assert "If a version appears by 09:00 UTC (in 59 min)" in problems_of(error)
    manifest = read_manifest(second)
    assert any("If a version appears by 09:00" in note for note in kaggle.target().plan(manifest).notes)
    rebuilt = other_release(release, text="Rebuilt.", name="rebuilt")
    with pytest.raises(ReleaseError, match="has not said whether"):  # it would be another 1.1
        kaggle.publish(rebuilt)
    num_bytes = kaggle.site.num_put_bytes
    kaggle.time.now += 3600
    kaggle.publish(second)
    assert kaggle.site.names.count("CreateDatasetVersion") == 2
    assert kaggle.site.num_put_bytes == num_bytes  # what had arrived was not sent again
    assert len(kaggle.versions) == 2


def test_version_is_looked_for_before_it_is_created(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    second = other_release(release)
    kaggle.site.faults.append(Fault("CreateDatasetVersion", "lost"))

    def cut_the_line(name: str) -> None:
        if name == "CreateDatasetVersion":
            kaggle.site.faults.append(Fault("GetDataset", "reset", times=1000))

    kaggle.site.on_call = cut_the_line
    with pytest.raises(ReleaseError):
        kaggle.publish(second)
    assert len(kaggle.versions) == 2
    kaggle.site.faults.clear()
    kaggle.publish(second)
    assert len(kaggle.versions) == 2
    assert kaggle.site.names.count("CreateDatasetVersion") == 1


def test_version_by_somebody_else_in_the_meantime_is_not_covered(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    second = other_release(release)
    target, manifest = kaggle.target(), read_manifest(second)

    def tell(done: int, total: int) -> None:
        if done == total:
            kaggle.versions.append(Version("By hand", {"a.csv": b"1"}))

    with pytest.raises(ReleaseError) as error:
        target.upload(second, manifest, target.plan(manifest, second), Watched(on_tell=tell))
    assert "another client has created version 2" in problems_of(error)
    assert len([v for v in kaggle.versions if "1.1" in v.notes]) == 0


def test_refused_creation_is_an_error_and_sends_nothing_twice(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.refuses = "You have exceeded your private quota"
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "You have exceeded your private quota" in problems_of(error)
    kaggle.site.refuses = ""
    kaggle.publish(release)
    assert kaggle.site.num_put_bytes == sum(len(data) for data in kaggle.versions[0].files.values())


def test_refusals_do_not_throw_away_what_has_arrived(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.refuses = "You have exceeded your private quota"
    for _ in range(3):
        with pytest.raises(ReleaseError, match="private quota"):
            kaggle.publish(release)
    kaggle.site.refuses = ""
    kaggle.publish(release)
    assert kaggle.site.num_put_bytes == sum(len(data) for data in kaggle.versions[0].files.values())


def test_uploads_of_days_ago_are_sent_again_when_they_are_refused(kaggle: Kaggle, release: Path) -> None:
    """Nobody says in which words Kaggle refuses files that it has kept for too long."""
    kaggle.site.refuses = "Something is not right"
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    for path in (kaggle.work / "state").glob("*/uploads/*.json"):
        kept = json.loads(path.read_bytes())
        path.write_text(json.dumps({**kept, "timestamp": kept["timestamp"] - 2 * 86400}))
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    kaggle.site.refuses = ""
    kaggle.publish(release)
    assert kaggle.site.num_put_bytes == 2 * sum(len(data) for data in kaggle.versions[0].files.values())


def test_uploads_that_have_expired_are_sent_again(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.faults.append(Fault("CreateDataset", "status", status=403))
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    kaggle.site.forget_tokens()
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "token is not valid" in problems_of(error)
    kaggle.publish(release)
    assert digest(kaggle.versions[0].files) == tree_digest(release)


def test_upload_continues_where_it_was_cut(kaggle: Kaggle, release: Path) -> None:
    largest = max(path.stat().st_size for path in release.rglob("*") if path.is_file())
    kaggle.site.faults.append(Fault("PUT", "cut", times=1000))
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    kaggle.site.faults.clear()
    kaggle.publish(release)
    total = sum(len(data) for data in kaggle.versions[0].files.values())
    assert digest(kaggle.versions[0].files) == tree_digest(release)
    assert total <= kaggle.site.num_put_bytes <= total + largest // 100


def test_progress_comes_to_its_end_whatever_is_sent_again(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.faults += [Fault("PUT", "cut", skip=2), Fault("PUT", "lost"), Fault("PUT", "reset", skip=1)]
    watched = Watched()
    target, manifest = kaggle.target(), read_manifest(release)
    plan = target.plan(manifest, release)
    target.upload(release, manifest, plan, watched)
    told = watched.told
    num_bytes = sum(plan.add.values())
    assert {total for _, total in told} == {num_bytes}
    assert told[-1] == (num_bytes, num_bytes)
    assert all(0 <= done <= total for done, total in told)


def test_stale_upload_state_never_publishes_old_bytes(kaggle: Kaggle, release: Path) -> None:
    """The client alone knows a file by path, size and time: a rebuilt one of the same would not be sent."""
    first = other_release(release, text="First text.", name="1.1")
    kaggle.site.faults.append(Fault("CreateDataset", "status", status=403))
    with pytest.raises(ReleaseError):
        kaggle.publish(first)
    shutil.move(first, kaggle.work / "away")
    second = other_release(release, text="Other text.", name="1.1")
    old, new = kaggle.work / "away" / "CHANGELOG.md", second / "CHANGELOG.md"
    assert (old.stat().st_size, old.stat().st_mtime) == (new.stat().st_size, new.stat().st_mtime)
    kaggle.publish(second)
    assert digest(kaggle.versions[0].files) == tree_digest(second)


def test_rebuilt_release_of_the_same_bytes_is_not_sent_again(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.faults.append(Fault("CreateDataset", "status", status=403))
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    again = Path(shutil.copytree(release, kaggle.work / "again" / "1.0"))
    for path in again.rglob("*"):
        os.utime(path, (1, 1))
    kaggle.publish(again)
    assert kaggle.site.num_put_bytes == sum(len(data) for data in kaggle.versions[0].files.values())


# Content that changes on its way


KINDS_OF_FILES = ("images/", "prompts/", "README.md", "LICENSES.md", "CHANGELOG.md", MANIFEST_NAME)


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_file_that_is_edited_while_it_is_sent_is_not_published(
    kaggle: Kaggle, release: Path, kind: str
) -> None:
    """Its size stays; it was right when the release was checked, right before anything is sent."""
    path = release / next(path for path in sorted(tree_digest(release)) if path.startswith(kind))
    right = path.read_bytes()

    def edit(name: str) -> None:
        if name == "StartBlobUpload":
            path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))

    kaggle.site.on_call = edit
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert f"{path.name} has changed since it was checked, or while it was sent" in problems_of(error)
    assert kaggle.versions == []
    kaggle.site.on_call = lambda _: None
    with pytest.raises(ReleaseError, match=r"other bytes|manifest is damaged"):
        kaggle.publish(release)
    path.write_bytes(right)
    kaggle.publish(release)
    assert digest(kaggle.versions[0].files) == tree_digest(release)


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_file_whose_size_changes_while_it_is_sent_is_not_published(
    kaggle: Kaggle, release: Path, change: str
) -> None:
    path = release / max(tree_digest(release), key=lambda path: (release / path).stat().st_size)
    right = path.read_bytes()

    def edit(done: int, _: int) -> None:
        if path.stat().st_size == len(right) and kaggle.site.names[-1] == "StartBlobUpload":
            path.write_bytes(right + b"more" if change == "grows" else right[: len(right) // 2])

    with pytest.raises(ReleaseError):
        kaggle.publish(release, watcher=Watched(on_tell=edit))
    assert kaggle.versions == []
    path.write_bytes(right)
    kaggle.publish(release)
    assert digest(kaggle.versions[0].files) == tree_digest(release)


@pytest.mark.parametrize("told", ["header", "json"])
def test_byte_that_is_flipped_on_the_way_is_told_by_the_storage(
    kaggle: Kaggle, release: Path, told: str
) -> None:
    kaggle.site.storage_tells = told
    kaggle.site.faults.append(Fault("PUT", "flip", skip=3, times=1))
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "Kaggle's storage has got other bytes of" in problems_of(error)
    assert kaggle.versions == []
    kaggle.publish(release)
    assert digest(kaggle.versions[0].files) == tree_digest(release)


def test_file_that_was_sent_at_once_is_not_downloaded_while_it_is_published(
    kaggle: Kaggle, release: Path
) -> None:
    """What was sent was hashed; the command reads back a sample of it afterwards."""
    kaggle.site.storage_tells = "nothing"
    manifest = read_manifest(release)
    kaggle.target().upload(release, manifest)
    assert kaggle.site.names.count("GET") == 1  # manifest.json, which names the first version
    assert len(kaggle.versions) == 1


def test_byte_that_no_storage_tells_of_is_found_by_reading_back(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.storage_tells = "nothing"
    kaggle.site.faults.append(Fault("PUT", "flip", skip=3, times=1))
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "the file has other bytes on Kaggle than in the release" in problems_of(error)
    assert kaggle.publish(release).steps == (Step.SEND_AGAIN, Step.DESCRIBE)
    assert digest(kaggle.versions[1].files) == tree_digest(release)
    assert kaggle.publish(release).action is Action.KEEP


def test_file_that_was_sent_in_parts_is_read_back_where_the_storage_tells_nothing(
    kaggle: Kaggle, release: Path
) -> None:
    """What a file held when its first part was sent cannot be known later."""
    kaggle.site.storage_tells = "nothing"
    right = {release / path: (release / path).read_bytes() for path in tree_digest(release)}

    def edit(name: str) -> None:
        for path, data in right.items():
            path.write_bytes(bytes([data[0] ^ (name == "StartBlobUpload")]) + data[1:])

    kaggle.site.on_call = edit
    kaggle.site.faults.append(Fault("PUT", "cut", times=1000))
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    kaggle.site.on_call = lambda _: None
    kaggle.site.faults.clear()
    edit("")
    target, manifest = kaggle.target(), read_manifest(release)
    with pytest.raises(ReleaseError, match="other bytes on Kaggle"):
        target.upload(release, manifest, target.plan(manifest, release))
    kaggle.publish(release)
    assert digest(kaggle.versions[-1].files) == tree_digest(release)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"", b'{"status": "READY"}'])
@pytest.mark.parametrize("name", ["DownloadDataset", "GET", "ListDatasetFiles"])
def test_garbage_in_the_place_of_what_is_read_back_makes_no_second_version(
    kaggle: Kaggle, release: Path, name: str, body: bytes
) -> None:
    kaggle.publish(release)
    kaggle.site.faults.append(Fault(name, "answer", times=1000, body=body))
    kaggle.site.calls.clear()
    for _ in range(2):
        with pytest.raises(ReleaseError):
            kaggle.publish(release)
    assert kaggle.site.writes == []
    kaggle.site.faults.clear()
    assert kaggle.publish(release).action is Action.KEEP
    assert len(kaggle.versions) == 1


def test_settings_of_another_dataset_are_not_written_into_this_one(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    page = kaggle.site.datasets[DATASET].page
    other = {"info": {"datasetSlug": "other", "title": "Other", "isPrivate": False, "collaborators": []}}
    body = json.dumps(other).encode()
    kaggle.site.faults.append(Fault("GetDatasetMetadata", "answer", times=1000, body=body))
    with pytest.raises(ReleaseError, match="makes no sense"):
        kaggle.target().withdraw("1.0", "two faces are real")
    assert (page["title"], page["isPrivate"]) == (PAGE.title, True)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"", b'{"errors": []}'])
def test_page_is_set_when_it_shows_it(kaggle: Kaggle, release: Path, body: bytes) -> None:
    kaggle.site.faults.append(Fault("UpdateDatasetMetadata", "answer", body=body))
    kaggle.publish(release)
    assert kaggle.site.names.count("UpdateDatasetMetadata") == 2
    kaggle.site.faults.append(Fault("UpdateDatasetMetadata", "answer", times=1000, body=body))
    with pytest.raises(ReleaseError):
        kaggle.target().withdraw("1.0", "two faces are real")
    kaggle.site.faults.clear()
    assert kaggle.target().withdraw("1.0", "two faces are real")
    assert "two faces are real" in kaggle.site.datasets[DATASET].page["description"]


# Answers that do not come


@pytest.mark.parametrize("first", [True, False])
def test_request_of_which_nothing_was_written_is_sent_again_at_once(
    kaggle: Kaggle, release: Path, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill or a broken line before the body of the request goes out: nobody can have heard it."""
    folder = release
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    from publish.hosts.kaggle import transfer

    left, send = 2, transfer._TellingConnection.endheaders

    def break_line(self: object, *args: object, **options: object) -> None:
        nonlocal left
        if left and transfer._BEFORE_BODY.get() is not None:
            left -= 1
            raise KeyboardInterrupt if left else ConnectionResetError
        send(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(transfer._TellingConnection, "endheaders", break_line)
    with pytest.raises(KeyboardInterrupt):
        kaggle.publish(folder)
    started = kaggle.time.now
    kaggle.publish(folder)
    assert kaggle.time.now - started < 60
    assert len(kaggle.versions) == (1 if first else 2)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_what_is_written_is_told_over_tls_too(tmp_path: Path) -> None:
    """The real site is only reached so."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard: list[bytes] = []

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Show nothing."""

    from publish.hosts.kaggle.transfer import TimedAdapter, before_body

    order: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Echo) as server, requests.Session() as session:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        session.trust_env = False
        session.mount("https://", TimedAdapter(TIMES))
        with before_body(lambda: order.append(f"before {len(heard)}")):
            address = f"https://localhost:{server.server_port}/"
            assert session.post(address, data=b"body", verify=str(certificate)).status_code == 204
        thread.join()
    assert (order, heard) == (["before 0"], [b"body"])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("body", [b"<html>", b"{}", b"", b'{"ref": "/faces/other", "status": "Ok"}'])
def test_garbage_in_answer_to_a_creation_is_neither_yes_nor_no(
    kaggle: Kaggle, release: Path, first: bool, body: bytes
) -> None:
    folder = release
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    name = "CreateDataset" if first else "CreateDatasetVersion"
    kaggle.site.faults.append(Fault(name, "nonsense", body=body))  # done all the same
    kaggle.publish(folder)
    assert kaggle.site.names.count(name) == 1
    third = other_release(release, version="1.2")
    kaggle.site.faults.append(Fault("CreateDatasetVersion", "answer", body=body))  # not done
    with pytest.raises(ReleaseError, match="has not said whether"):
        kaggle.publish(third)
    kaggle.time.now += 3600
    kaggle.publish(third)
    assert len(kaggle.versions) == (2 if first else 3)


@pytest.mark.slow
def test_run_that_is_told_to_wait_stays_until_it_is_decided(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    second, waiting, watched = other_release(release), HostOptions(waits=True), Watched()
    kaggle.site.faults.append(Fault("CreateDatasetVersion", "status", status=504))
    kaggle.publish(second, kaggle.target(options=waiting), watched)
    assert kaggle.time.now >= 3600
    assert kaggle.site.names.count("CreateDatasetVersion") == 2
    assert len(kaggle.versions) == 2
    told = [note for note in watched.notes if "shows no new version yet" in note]
    assert 50 < len(told) < 62
    assert "by 09:00 UTC (in 60 min)" in told[0]
    assert "(in 1 min)" in told[-1]
    third, watched = other_release(release, version="1.2"), Watched()
    kaggle.site.faults.append(Fault("CreateDatasetVersion", "late", looks=100))
    kaggle.publish(third, kaggle.target(options=waiting), watched)
    assert kaggle.site.names.count("CreateDatasetVersion") == 3
    assert len(kaggle.versions) == 3


# Two runs at once


def test_release_that_is_there_twice_is_told_by_all_commands(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    second = other_release(release)
    manifest = read_manifest(second)

    def ask_too(name: str) -> None:
        if name == "CreateDatasetVersion":  # another run asks at the same moment
            files = {path: (second / path).read_bytes() for path in tree_digest(second)}
            notes = f"Release 1.1 (manifest sha256:{manifest.digest})"
            kaggle.versions.append(Version(notes, files))

    kaggle.site.on_call = ask_too
    target = kaggle.target()
    target.upload(second, manifest, target.plan(manifest, second))
    kaggle.site.on_call = lambda _: None
    (warning,) = target.verify(manifest)
    assert "Kaggle holds release 1.1 twice, as versions 2 and 3" in str(warning)
    assert warning.severity is Severity.WARNING
    assert target.releases()["1.1"].remark == "twice, as versions 2 and 3"
    assert target.releases()["1.0"].remark == ""
    kaggle.site.calls.clear()
    assert kaggle.publish(second).action is Action.KEEP
    assert kaggle.site.writes == []


@pytest.mark.parametrize("at", [1, 3, 30, 60])
def test_interrupted_run_is_finished_by_the_same_command(kaggle: Kaggle, release: Path, at: int) -> None:
    target, manifest = kaggle.target(), read_manifest(release)
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        told += 1
        if told == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        target.upload(release, manifest, target.plan(manifest, release), Watched(on_tell=tell))
    assert kaggle.versions == []
    kaggle.publish(release)
    assert digest(kaggle.versions[0].files) == tree_digest(release)
    assert len(kaggle.versions) == 1


@pytest.mark.parametrize("shown", [True, False])
def test_run_that_dies_while_kaggle_processes_is_finished_without_sending(
    kaggle: Kaggle, release: Path, shown: bool
) -> None:
    kaggle.site.shows_pending = shown

    def die() -> None:
        raise KeyboardInterrupt

    kaggle.site.looks = 3
    kaggle.time.on_wait = die
    with pytest.raises(KeyboardInterrupt):
        kaggle.publish(release)
    kaggle.time.on_wait = lambda: None
    kaggle.site.calls.clear()
    assert Step.WAIT in kaggle.publish(release).steps
    assert set(kaggle.site.writes) <= {"UpdateDatasetMetadata"}
    assert len(kaggle.versions) == 1


@pytest.mark.slow
@pytest.mark.parametrize("shown", [True, False])
def test_processing_that_never_ends_has_an_end(kaggle: Kaggle, release: Path, shown: bool) -> None:
    kaggle.publish(release)
    second = other_release(release)
    kaggle.site.looks, kaggle.site.shows_pending = 10**9, shown
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(second, kaggle.target(processing_seconds=600))
    assert "has been processing a version for 10 minutes" in problems_of(error)
    kaggle.versions[1].looks_left = 0
    kaggle.site.calls.clear()
    kaggle.publish(second)
    assert kaggle.site.writes == ["UpdateDatasetMetadata"]
    assert len(kaggle.versions) == 2


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_version_that_kaggle_could_not_process_is_sent_once_more(
    kaggle: Kaggle, release: Path, first: bool, shown: bool
) -> None:
    folder = release
    kaggle.site.shows_pending = shown
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    kaggle.site.fails = True
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(folder)
    assert "could not process release" in problems_of(error)
    kaggle.site.fails = False
    kaggle.publish(folder)
    assert len(kaggle.versions) == (2 if first else 3)


@pytest.mark.parametrize("first", [True, False])
def test_version_that_kaggle_can_never_process_is_not_sent_for_ever(
    kaggle: Kaggle, release: Path, first: bool
) -> None:
    folder = release
    kaggle.site.shows_pending = False
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    kaggle.site.fails = True
    said = []
    for _ in range(2):
        with pytest.raises(ReleaseError) as error:
            kaggle.publish(folder)
        said.append(problems_of(error))
    assert "sends it once more" in said[0]
    assert "ask Kaggle's support" in said[1]
    kaggle.site.calls.clear()
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(folder)
    assert f"given release {'1.0' if first else '1.1'} 2 times" in problems_of(error)
    assert kaggle.site.writes == []
    (place,) = (kaggle.work / "state").iterdir()
    assert f"to send it again all the same, remove {place}" in problems_of(error)
    kaggle.site.fails = False
    shutil.rmtree(place)
    kaggle.publish(folder)


def test_version_that_failed_does_not_touch_the_one_before(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.site.fails, kaggle.site.shows_pending = True, False
    with pytest.raises(ReleaseError):
        kaggle.publish(other_release(release))
    assert kaggle.publish(release).steps == (Step.DESCRIBE,)  # the page speaks of the one that is there again
    assert len(kaggle.versions) == 2


@pytest.mark.slow
def test_lost_file_is_found_and_sent_once_more_but_not_for_ever(kaggle: Kaggle, release: Path) -> None:
    lost = next(path for path in tree_digest(release) if path.startswith("prompts/"))
    kaggle.site.loses = {lost}
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "the file is missing on Kaggle" in problems_of(error)
    assert lost in problems_of(error)
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    kaggle.site.calls.clear()
    with pytest.raises(ReleaseError) as error:
        kaggle.publish(release)
    assert "given release 1.0 2 times" in problems_of(error)
    assert kaggle.site.writes == []


def test_lost_file_comes_with_the_next_run(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.loses = {"LICENSES.md"}
    with pytest.raises(ReleaseError):
        kaggle.publish(release)
    kaggle.site.loses = set()
    assert kaggle.publish(release).steps == (Step.SEND_AGAIN, Step.DESCRIBE)
    assert kaggle.target().receipt(read_manifest(release)).revision == "2"


def test_releases_say_what_is_wrong_with_the_newest(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.publish(other_release(release))
    files, digests = kaggle.versions[1].files, [read_manifest(release).digest]
    digests.append(read_manifest(release.parent / "1.1").digest)
    whole = {"1.0": Held("1", digests[0]), "1.1": Held("2", digests[1])}
    assert kaggle.target().releases() == whole

    def missing() -> str:
        return kaggle.target().releases()["1.1"].missing

    kept = dict(files)
    del files["LICENSES.md"]
    assert missing() == "1 file is missing: LICENSES.md"
    files["more\n.csv"] = b""
    files["CHANGELOG.md"] += b"."
    assert missing() == (
        "1 file is missing: LICENSES.md; 1 file has another size: CHANGELOG.md; "
        "1 file is not of the release: more\\n.csv"
    )
    for path in kept.keys() - {MANIFEST_NAME}:
        files.pop(path, None)
    assert missing().startswith(f"{len(kept) - 1} files are missing: ")
    assert missing().count(",") == 3
    files.update(kept)
    kaggle.site.flips = {MANIFEST_NAME}
    assert missing() == "manifest.json has other bytes than it should"
    del files[MANIFEST_NAME]
    assert missing() == "1 file is missing: manifest.json"


def test_releases_are_asked_for_at_the_cost_of_the_newest(kaggle: Kaggle, release: Path) -> None:
    for version in ("1.0", "1.1", "1.2", "1.3"):
        folder = other_release(release, version=version, name=f"of-{version}")
        kaggle.publish(folder)
    kaggle.site.calls.clear()
    kaggle.target().releases()
    assert kaggle.site.names.count("DownloadDataset") == 2  # the first, which has no notes, and the newest
    assert kaggle.site.names.count("ListDatasetFiles") == len(kaggle.versions[3].files) // 5 + 1


def test_releases_say_what_is_withdrawn(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.publish(other_release(release))
    kaggle.target().withdraw("1.0", "two faces are real")
    held = kaggle.target().releases()
    assert {version: there.withdrawn for version, there in held.items()} == {
        "1.0": "two faces are real",
        "1.1": "",
    }


def test_verify_finds_what_is_not_as_it_should_be(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(other_release(release, version="0.9"))
    kaggle.publish(release)
    files = kaggle.versions[1].files
    shard = next(path for path in files if path.startswith("images/"))
    target, manifest = kaggle.target(), read_manifest(release)
    assert target.read_back(manifest, [shard]) == ()
    kaggle.site.flips = {shard}
    assert target.verify(manifest) == ()  # paths and sizes are right
    assert "other bytes on Kaggle" in texts(target.read_back(manifest, [shard]))
    kaggle.site.flips = {MANIFEST_NAME}
    assert MANIFEST_NAME in texts(target.verify(manifest))
    kaggle.site.flips = set()
    files["LICENSES.md"] += b"."
    files["more.csv"] = b""
    found = texts(target.verify(manifest))
    assert "LICENSES.md" in found
    assert "more.csv" in found


def test_packed_downloads_are_unpacked(kaggle: Kaggle, release: Path) -> None:
    kaggle.site.packs = True
    kaggle.publish(release)
    manifest = read_manifest(release)
    assert kaggle.target().read_back(manifest) == ()
    assert kaggle.publish(release).action is Action.KEEP


def test_cut_download_is_taken_up_again(kaggle: Kaggle, release: Path) -> None:
    kaggle.publish(release)
    kaggle.site.faults.append(Fault("GET", "cut"))
    assert kaggle.target().verify(read_manifest(release)) == ()


# In a process of its own

_UPLOAD = """
    import sys
    from pathlib import Path
    from publish.checks.files import read_manifest
    from publish.hosts.kaggle.access import Limits
    from publish.hosts.kaggle.page import KagglePage
    from publish.hosts.kaggle.target import KaggleTarget
    folder, state = map(Path, sys.argv[1:])
    page = KagglePage("Synthetic faces", "Portraits by five text-to-image models", keywords=("synthetic",))
    limits = Limits(poll_seconds=0.01)
    KaggleTarget("faces/sfhq-t2i", page, state, limits).upload(folder, read_manifest(folder))
"""
_PLAN = """
    import sys
    from pathlib import Path
    from publish.checks.files import read_manifest
    from publish.hosts.kaggle.access import Limits
    from publish.hosts.kaggle.page import KagglePage
    from publish.hosts.kaggle.target import KaggleTarget
    from publish.network import RetryPolicy, TimeLimits
    folder, state, limit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    page = KagglePage("Synthetic faces", "Portraits by five text-to-image models")
    limits = Limits(TimeLimits(read_seconds=float(limit)), RetryPolicy(tries=1))
    target = KaggleTarget("faces/sfhq-t2i", page, state, limits)
    for problem in target.plan(read_manifest(folder), folder).problems:
        print(problem)
"""


def run_plan(release: Path, work: Path, limit: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(_PLAN), str(release), str(work / "state"), limit]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_site_that_hangs_while_the_client_is_loaded_does_not_hang_the_run(
    kaggle: Kaggle, release: Path
) -> None:
    kaggle.site.faults.append(Fault("IntrospectToken", "hang", times=9))
    done = run_plan(release, kaggle.work, "0.5")
    assert "said nothing for 0.5 s while its client was loaded" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_verbose_client_prints_nothing(
    kaggle: Kaggle, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.site.token = TOKEN
    monkeypatch.setenv("VERBOSE", "1")
    done = run_plan(release, kaggle.work, "30")
    assert done.stdout == ""
    assert TOKEN not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("first", "step"), [(True, 1), (False, 2)])
def test_run_that_is_killed_anywhere_is_finished_by_the_same_command(
    kaggle: Kaggle, release: Path, first: bool, step: int
) -> None:
    folder = release
    if not first:
        kaggle.publish(release)
        folder = other_release(release)
    command = [sys.executable, "-c", textwrap.dedent(_UPLOAD), str(folder), str(kaggle.work / "state")]
    for number in range(1, 200, step):  # of the request at which the run dies
        kaggle.site.calls.clear()
        run = subprocess.Popen(command, cwd=ROOT)

        def kill(name: str, run: subprocess.Popen[bytes] = run, number: int = number) -> None:
            if len(kaggle.site.calls) == number:
                run.send_signal(signal.SIGKILL)

        kaggle.site.on_call = kill
        if run.wait(60) == 0:
            break
    assert number > 8 * step  # so often has it died
    kaggle.site.on_call = lambda _: None
    assert kaggle.publish(folder).action is Action.KEEP
    assert len(kaggle.versions) == (1 if first else 2)
    assert digest(kaggle.versions[-1].files) == tree_digest(folder)
