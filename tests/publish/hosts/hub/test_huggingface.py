"""The Hub target, by the real client against a Hub on loopback: its promises, and all that can fail."""

import hashlib
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi, constants, snapshot_download
from pydantic import ValidationError

from publish.checks.files import read_manifest
from publish.explorer.space import hub_address, space_files
from publish.hosts.hub import planning
from publish.hosts.hub.client import Limits
from publish.hosts.hub.settings import HubSettings
from publish.hosts.hub.target import HubTarget
from publish.hosts.protocol import UNWATCHED, Action, Held, Watcher
from publish.network import Clock, RetryPolicy, TimeLimits
from schemas.manifest import MANIFEST_NAME, FileEntry, Manifest, Receipt, Shard
from schemas.problems import ReleaseError
from tests.publish.hosts.hub_server import READ_TOKEN, SIGNATURE, WRITE_TOKEN, HubServer, User
from tests.support import ROOT, copy_folder

# httpx2 would rather have another argument from huggingface_hub; between those two, that is.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "org/sfhq-t2i"
OTHER_TOKEN = "hf_UnknownSecretUnknown"
TOKENS = (WRITE_TOKEN, READ_TOKEN, OTHER_TOKEN)
PASSWORD = "s3cretpw"
SECRETS = (*TOKENS, SIGNATURE, PASSWORD)


@dataclass(frozen=True)
class Built:
    """A release as it lies in its folder."""

    folder: Path
    manifest: Manifest

    def bytes_of(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    @property
    def paths(self) -> set[str]:
        return {MANIFEST_NAME, *(entry.path for entry in self.manifest.all_files)}


@dataclass
class Watched:
    """What a run says, and how long it would have waited."""

    notes: list[str] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, stage: str, done: int, total: int) -> None:
        self.progress.append((stage, done, total))


def entry_of(folder: Path, path: str) -> FileEntry:
    data = (folder / path).read_bytes()
    return FileEntry(path=path, num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def make_next(built: Built, folder: Path, version: str) -> Built:
    """Make the version after a release: one shard is replaced by another, and two texts change."""
    copy_folder(built.folder, folder)
    old = next(shard for shard in built.manifest.shards if shard.config == "captions")
    path = f"captions/train-00000-{version.replace('.', '')}.parquet"
    pq.write_table(pq.read_table(folder / old.path).slice(1), folder / path)
    (folder / old.path).unlink()
    for text in ("README.md", "CHANGELOG.md"):
        data = (folder / text).read_bytes().replace(built.manifest.version.encode(), version.encode())
        (folder / text).write_bytes(data)
    changed = Shard(
        **{**old.model_dump(), **entry_of(folder, path).model_dump(), "num_rows": old.num_rows - 1}
    )
    manifest = built.manifest.model_copy(
        update={
            "inputs": built.manifest.inputs.model_copy(update={"version": version}),
            "shards": tuple(changed if shard == old else shard for shard in built.manifest.shards),
            "files": tuple(entry_of(folder, entry.path) for entry in built.manifest.files),
        }
    )
    (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    return Built(folder, manifest)


@pytest.fixture(scope="session")
def first(sample_release: Path) -> Built:
    return Built(sample_release, read_manifest(sample_release))


@pytest.fixture(scope="session")
def second(first: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return make_next(first, tmp_path_factory.mktemp("next") / "1.1", "1.1")


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the real client speak to loopback, over LFS, with a token of its own."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def hub(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[HubServer]:
    library = logging.getLogger("huggingface_hub")  # it passes nothing on to the root, where pytest listens
    library.addHandler(caplog.handler)
    try:
        with caplog.at_level("DEBUG"), HubServer() as server:
            yield server
            assert_no_secrets_leaked(server)
    finally:
        library.removeHandler(caplog.handler)
    records, printed = caplog.get_records("call"), "".join(capfd.readouterr())
    # httpcore2 logs headers of answers at DEBUG, in which these tests' Hub now and then repeats the token.
    logged = "".join(record.getMessage() for record in records if record.name != "httpcore2.http11")
    shown = printed + "".join(record.getMessage() for record in records if record.levelno >= logging.WARNING)
    assert not [secret for secret in SECRETS if secret in shown]
    assert not [token for token in TOKENS if token in logged]
    assert "\x1b[31m" not in shown, "somebody else's words command the terminal"


@pytest.fixture
def watched() -> Watched:
    return Watched()


Make = Callable[..., HubTarget]


@pytest.fixture
def make(hub: HubServer, watched: Watched) -> Make:
    """Make a target as a new run would have it, one that never sleeps."""

    def make_target(**options: object) -> HubTarget:
        times = TimeLimits(read_seconds=float(str(options.pop("timeout", 600))))
        limits = Limits(times, RetryPolicy(jitter_seconds=0))
        clock = options.pop("clock", Clock(sleep=watched.waits.append))
        places = {"endpoint": hub.endpoint, "limits": limits, "clock": clock}
        wanted = HubSettings.model_validate(options)
        return HubTarget(REPO, wanted, **places)  # type: ignore[arg-type] # a test says what it wants

    return make_target


def publish(target: HubTarget, built: Built, watched: Watcher = UNWATCHED, *, load: bool = False) -> Receipt:
    """Do what the command does for a target."""
    plan = target.plan(built.manifest, built.folder)
    if plan.problems or (plan.access and plan.action is not Action.KEEP):
        raise ReleaseError((*plan.problems, *plan.access))
    target.upload(built.folder, built.manifest, plan, watched)
    problems = target.verify(built.manifest, load=load)
    if problems:
        raise ReleaseError(problems)
    if plan.tags:
        target.finish(built.manifest)
    return target.receipt(built.manifest)


def refusal(target: HubTarget, built: Built) -> str:
    """Publish, see that it is refused, and give what a person would read."""
    with pytest.raises(ReleaseError) as raised:
        publish(target, built)
    assert not [secret for secret in SECRETS if secret in str(raised.value)]
    return str(raised.value)


def assert_no_secrets_leaked(hub: HubServer) -> None:
    """See that tokens went to the Hub alone, in the one header that is for them."""
    for seen in hub.seen:
        body, headers = seen.body.decode("latin-1"), {**seen.headers}
        allowed = "" if seen.kind in ("upload", "download") else headers.pop("authorization", "")
        assert allowed == "" or allowed.startswith("Bearer ")
        told = f"{body} {seen.url.partition('?')[0]} {headers}"
        assert not [secret for secret in SECRETS if secret in told]


def assert_holds(hub: HubServer, built: Built, revision: str) -> None:
    """See that a revision holds exactly the files of a release beside `.gitattributes`, byte for byte."""
    commit = hub.repos[REPO].find(revision)
    assert commit is not None
    assert set(commit.files) - {".gitattributes"} == built.paths
    for path in built.paths:
        assert hub.content(REPO, path, revision) == built.bytes_of(path)


def assert_only_whole_releases(hub: HubServer, *releases: Built) -> None:
    """See that readers of `main` never met anything but nothing, or one of the releases, in order."""
    expected = [{".gitattributes"}, *({".gitattributes", *built.paths} for built in releases)]
    assert [set(commit.files) for commit in reversed(hub.repos[REPO].history)] == expected


# Releases


def test_a_first_release_makes_the_repository_one_commit_and_the_tag(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    target = make(private=True)
    plan = target.plan(first.manifest, first.folder)
    assert (plan.action, plan.creates, plan.commits, plan.tags) == (Action.ADD, True, 1, 1)
    assert set(plan.add) == first.paths
    assert plan.num_bytes == sum(len(first.bytes_of(path)) for path in first.paths)
    assert hub.writes() == []
    receipt = publish(target, first, watched, load=True)
    assert_holds(hub, first, "main")
    assert_only_whole_releases(hub, first)
    repo = hub.repos[REPO]
    assert repo.private
    assert repo.tags == {"v1.0": repo.history[0].sha}
    assert receipt == Receipt(
        target="hub",
        url=f"{hub.endpoint}/datasets/{REPO}/tree/v1.0",
        version="1.0",
        revision=repo.history[0].sha,
        manifest_sha256=first.manifest.digest,
    )
    assert first.manifest.digest in repo.history[0].message
    assert len(hub.writes()) <= plan.num_requests
    assert watched.progress[-1] == ("sending files", plan.num_bytes, plan.num_bytes)
    assert watched.notes == []


def test_what_is_sent_is_told_batch_by_batch_and_every_batch_counts_as_requests(
    hub: HubServer, make: Make, first: Built, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(planning.batches({"a": 200_000_000, "b": 200_000_000, "c": 1, "d": 10**9})) == [
        ["a"],
        ["b", "c"],
        ["d"],
    ]
    assert [len(batch) for batch in planning.batches(dict.fromkeys(map(str, range(45)), 1))] == [20, 20, 5]
    monkeypatch.setattr(planning, "_BATCH_BYTES", 1)
    plan = make().plan(first.manifest, first.folder)
    publish(make(), first, watched)
    steps = [done for _, done, _ in watched.progress]
    assert steps == sorted(steps)
    assert {0, *itertools.accumulate(plan.add.values())} < set(steps), "large files move while they are sent"
    assert len(hub.writes()) <= plan.num_requests


@pytest.mark.slow
def test_a_second_release_sends_what_is_new_and_removes_what_is_gone_in_one_commit(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    hub.edit(REPO, "bob", "Add notes", {"notes.txt": b"by hand", "data/extra.bin.txt": b"more"})
    hub.seen.clear()
    plan = make().plan(second.manifest, second.folder)
    new, gone = second.paths - first.paths, first.paths - second.paths
    assert set(plan.add) == {*new, "README.md", "CHANGELOG.md", MANIFEST_NAME}
    assert set(plan.remove) == gone
    assert set(plan.keep) == second.paths - set(plan.add)
    assert plan.notes == ("of no release, and left as they are: data/extra.bin.txt, notes.txt",)
    publish(make(), second, load=True)
    assert hub.bytes_uploaded() == sum(len(second.bytes_of(path)) for path in new)
    assert hub.kinds("commit") == ["commit"]
    repo = hub.repos[REPO]
    foreign = {".gitattributes", "data/extra.bin.txt", "notes.txt"}
    assert {*repo.history[0].files} == second.paths | foreign
    assert repo.tags == {"v1.0": repo.history[2].sha, "v1.1": repo.history[0].sha}
    assert_holds(hub, first, "v1.0")


def test_a_plan_without_the_built_files_comes_to_the_same(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    assert make().plan(second.manifest) == make().plan(second.manifest, second.folder)


def test_a_release_that_is_there_sends_nothing_that_writes(hub: HubServer, make: Make, first: Built) -> None:
    receipt = publish(make(), first)
    hub.seen.clear()
    plan = make().plan(first.manifest, first.folder)
    assert (plan.action, plan.commits, plan.tags, plan.num_requests) == (Action.KEEP, 0, 0, 0)
    assert publish(make(), first) == receipt
    assert hub.writes() == []


def test_an_old_version_is_found_by_its_tag_when_a_newer_one_is_there(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    receipt = publish(make(), first)
    publish(make(), second)
    hub.seen.clear()
    target = make()
    assert target.verify(first.manifest, load=False) == ()
    assert target.receipt(first.manifest) == receipt
    assert hub.writes() == []


def test_anybody_can_read_it_by_the_tag_byte_for_byte(
    hub: HubServer, make: Make, first: Built, second: Built, tmp_path: Path
) -> None:
    publish(make(), first)
    publish(make(), second)
    for built, tag in ((first, "v1.0"), (second, "v1.1"), (second, "main")):
        folder = snapshot_download(
            REPO,
            repo_type="dataset",
            revision=tag,
            endpoint=hub.endpoint,
            local_dir=tmp_path / tag,
            cache_dir=tmp_path / "cache",
        )
        assert {path: (Path(folder) / path).read_bytes() for path in built.paths} == {
            path: built.bytes_of(path) for path in built.paths
        }


@pytest.mark.parametrize("flag", ["--exclude", "--include"])
def test_one_format_can_be_downloaded_as_the_card_says(
    hub: HubServer, make: Make, first: Built, tmp_path: Path, flag: str
) -> None:
    publish(make(), first)
    command: list[str | Path] = [
        Path(sys.executable).with_name("hf"),
        "download",
        REPO,
        "--repo-type",
        "dataset",
    ]
    command += [flag, "webdataset/*", "--local-dir", tmp_path / "there"]
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = tmp_path / "there"
    found = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    found = {path for path in found if not path.startswith(".")}
    tars = {path for path in first.paths if path.startswith("webdataset/")}
    assert tars
    assert found == (first.paths - tars if flag == "--exclude" else tars)


def test_long_listings_are_read_to_their_end(
    first: Built, second: Built, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(page_size=2) as hub:
        for built in (first, second):
            publish(HubTarget(REPO, endpoint=hub.endpoint), built)
        assert_only_whole_releases(hub, first, second)


# What people have written


@pytest.mark.slow
def test_hand_written_parts_of_the_card_survive_and_count_as_no_difference(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    card = hub.content(REPO, "README.md") + b"\n<!-- keep: begin -->\nOurs since 2024.\n<!-- keep: end -->\n"
    hub.edit(REPO, "bob", "Say since when", {"README.md": card})
    publish(make(), second, load=True)
    card = hub.content(REPO, "README.md")
    assert card.startswith(second.bytes_of("README.md"))
    assert b"Ours since 2024." in card
    assert make().verify(second.manifest, load=False) == ()
    assert make().releases()["1.1"].missing == ""
    assert make().read_back(second.manifest) == ()


def test_other_changes_of_the_card_are_told_and_replaced(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    hub.edit(REPO, "bob", "Change the title", {"README.md": b"# My title\n"})
    plan = make().plan(second.manifest, second.folder)
    assert plan.notes == ("README.md was changed by hand; that change is not kept",)
    publish(make(), second)
    assert hub.content(REPO, "README.md") == second.bytes_of("README.md")


def test_a_card_whose_markers_are_broken_stops_the_release(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    hub.edit(REPO, "bob", "Half", {"README.md": b"# T\n<!-- keep: begin -->\nprecious\n"})
    assert "README.md: the keep markers in the card do not pair up" in refusal(make(), second)
    assert b"precious" in hub.content(REPO, "README.md")


def test_a_repository_made_by_hand_is_taken_over(hub: HubServer, make: Make, first: Built) -> None:
    HfApi(endpoint=hub.endpoint, token=WRITE_TOKEN).create_repo(REPO, repo_type="dataset")
    hub.edit(REPO, "bob", "Old data", {"README.md": b"# Old\n", "old.zip.txt": b"old"})
    plan = make(private=True).plan(first.manifest, first.folder)
    assert plan.notes == (
        "README.md is of no release: it is replaced, except the parts between keep markers",
        "of no release, and left as they are: old.zip.txt",
    )
    publish(make(private=True), first)
    assert hub.content(REPO, "old.zip.txt") == b"old"
    assert not hub.repos[REPO].private, "what is there is left as it is"


def test_a_manifest_of_another_version_of_the_kit_is_understood(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    value = {**json.loads(first.manifest.to_json()), "of_the_future": 1}
    hub.edit(REPO, "bob", "Another kit", {MANIFEST_NAME: json.dumps(value).encode()})
    assert set(make().plan(second.manifest, second.folder).remove) == first.paths - second.paths


# Refusals


def test_a_version_with_other_content_is_refused(
    hub: HubServer, make: Make, first: Built, tmp_path: Path
) -> None:
    publish(make(), first)
    other = make_next(first, tmp_path / "other", "1.0")
    hub.seen.clear()
    assert "version 1.0 is there with other content" in refusal(make(), other)
    assert hub.writes() == []
    assert_only_whole_releases(hub, first)


def test_a_tag_is_never_moved(hub: HubServer, make: Make, first: Built) -> None:
    target = make()
    target.upload(first.folder, first.manifest)
    assert target.verify(first.manifest, load=False) == ()
    repo = hub.repos[REPO]
    elsewhere = repo.tags["v1.0"] = hub.edit(REPO, "bob", "Mine", {"mine.txt": b"mine"})
    with pytest.raises(ReleaseError, match=r"v1\.0 is there and is another commit"):
        target.finish(first.manifest)
    assert repo.tags == {"v1.0": elsewhere}


def test_only_what_is_verified_is_tagged(hub: HubServer, make: Make, first: Built) -> None:
    target = make()
    target.upload(first.folder, first.manifest)
    with pytest.raises(ReleaseError, match="only a verified commit gets a tag"):
        target.finish(first.manifest)
    assert hub.repos[REPO].tags == {}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda repo: repo.branches.update({"v1.1": "0" * 40}), "a branch is called v1.1"),
        (lambda repo: repo.branches.clear(), "the repository has no branch main"),
        (lambda repo: repo.tags.update({"v1.1": repo.history[-1].sha}), "holds no release that can be read"),
    ],
)
def test_a_repository_that_cannot_take_the_release_is_refused(
    hub: HubServer, make: Make, first: Built, second: Built, spoil: Callable[[object], object], said: str
) -> None:
    publish(make(), first)
    spoil(hub.repos[REPO])
    hub.seen.clear()
    assert said in refusal(make(), second)
    assert hub.writes() == []


def test_readers_of_main_are_not_taken_back(hub: HubServer, make: Make, first: Built, second: Built) -> None:
    publish(make(), second)
    assert "version 1.0 is not newer than 1.1, which main holds: it would take readers back" in refusal(
        make(), first
    )


def test_data_of_nobodys_that_would_be_loaded_is_refused(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    hub.edit(REPO, "bob", "More", {"images/train-more.parquet": b"PAR1"})
    said = refusal(make(), second)
    assert "images/train-more.parquet: the file is of no release and would be loaded with the data" in said


@pytest.mark.parametrize("path", ["sfhq-t2i.py", ".huggingface.yaml"])
def test_what_keeps_datasets_from_the_card_is_refused_before_anything_is_replaced(
    hub: HubServer, make: Make, first: Built, path: str
) -> None:
    HfApi(endpoint=hub.endpoint, token=WRITE_TOKEN).create_repo(REPO, repo_type="dataset")
    head = hub.edit(REPO, "bob", "By hand", {path: b"configs: []\n", "README.md": b"# Mine\n", "a.py": b""})
    [problem] = make().plan(first.manifest).problems
    assert f"{path}: the file is of no release, and with it `datasets` does not load" in str(problem)
    refusal(make(), first)
    assert hub.repos[REPO].branches["main"] == head


@pytest.mark.parametrize("is_tagged", [True, False])
def test_a_version_is_refused_that_is_there_in_another_spelling(
    hub: HubServer, make: Make, first: Built, tmp_path: Path, is_tagged: bool
) -> None:
    publish(make(), first)
    if not is_tagged:
        hub.repos[REPO].tags.clear()
    again = make_next(first, tmp_path / "again", "1.0.0")
    hub.seen.clear()
    assert "version 1.0.0 is there already, as 1.0" in refusal(make(), again)
    assert hub.writes() == []


def test_every_reason_for_a_refusal_is_given_at_once(
    hub: HubServer, make: Make, first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(make(), second)
    hub.edit(REPO, "bob", "Spoil", {"images/x.parquet": b"x", "README.md": b"<!-- keep: begin -->"})
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    said = refusal(make(), first)
    for reason in ("of no release", "would take readers back", "do not pair up", "can only read"):
        assert reason in said


def test_a_build_that_was_touched_after_its_check_is_not_committed(
    hub: HubServer, make: Make, first: Built, tmp_path: Path
) -> None:
    for path in ("README.md", "LICENSES.md", first.manifest.shards[0].path):
        folder = copy_folder(first.folder, tmp_path / path.replace("/", "-"))
        (folder / path).write_bytes(first.bytes_of(path)[:-1] + b"!")
        said = refusal(make(), Built(folder, first.manifest))
        assert f"{path}: the build's file is not that of its manifest" in said
        (folder / path).unlink()
        assert f"{path}: the build lacks the file" in refusal(make(), Built(folder, first.manifest))
    assert_only_whole_releases(hub)


def test_offline_mode_is_respected(
    hub: HubServer, make: Make, first: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "the client is set to work offline" in refusal(make(), first)
    assert hub.seen == []


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://user:{PASSWORD}/more@127.0.0.1:9",  # the library takes the password for a port
        f"http://user:{PASSWORD}@127.0.0.1:port",
        f"http://user:{PASSWORD}@[::1:9",
        f"ftp://user:{PASSWORD}@127.0.0.1:9",
        f"socks5://user:{PASSWORD}@127.0.0.1:9",  # another package would be needed
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    hub: HubServer, make: Make, first: Built, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    [problem] = make().plan(first.manifest).problems
    assert problem.message == "the proxy in the environment cannot be used"
    for ask in (make().state, make().releases, lambda: publish(make(), first)):
        with pytest.raises(ReleaseError) as raised:
            ask()
        shown = "".join(traceback.format_exception(raised.value))
        assert "the proxy in the environment cannot be used" in shown
        assert PASSWORD not in shown
    assert hub.seen == []


# Tokens and rights


def test_a_plan_needs_no_token_for_a_public_repository_and_says_that_publishing_does(
    hub: HubServer, make: Make, first: Built, second: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(make(), first)
    monkeypatch.delenv("HF_TOKEN")
    hub.seen.clear()
    plan = make().plan(second.manifest, second.folder)
    assert plan.problems == ()
    assert [problem.message for problem in plan.access] == ["no token is set"]
    assert set(plan.remove) == first.paths - second.paths
    assert make().plan(first.manifest).access == (), "what is there needs no rights"
    assert hub.writes() == []


@pytest.mark.parametrize(
    ("token", "user", "said"),
    [
        (None, None, "no token is set"),
        (OTHER_TOKEN, None, "the token is wrong or has expired"),
        (READ_TOKEN, None, "the token can only read"),
        (OTHER_TOKEN, User("eve"), "the token has no rights in the namespace org, only in eve"),
        (OTHER_TOKEN, User("eve", ("org",), role_in_orgs="read"), "the token may only read in org"),
        (OTHER_TOKEN, User("eve", role="fineGrained"), "it only reads, or has no rights in org"),
    ],
)
def test_a_token_without_the_rights_gets_one_clear_sentence_and_a_good_one_finishes(
    hub: HubServer,
    make: Make,
    first: Built,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    user: User | None,
    said: str,
) -> None:
    if user is not None:
        hub.users[OTHER_TOKEN] = user
    monkeypatch.setenv("HF_TOKEN", token or "")
    told = refusal(make(), first)
    assert said in told
    assert len(told.splitlines()) == 1
    assert hub.repos == {}
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    publish(make(), first)
    assert_holds(hub, first, "v1.0")


REFUSALS = (
    (401, "Invalid credentials in Authorization header", "the token is wrong or has expired"),
    (
        403,
        f"Forbidden for {WRITE_TOKEN} at http://s/lfs?sig={SIGNATURE}",
        "it only reads, or has no rights in org",
    ),
    (403, "Private repository storage limit reached", "the Hub takes no more data"),
    (413, "Payload Too Large", "the Hub takes no more data"),
)


@pytest.mark.parametrize(
    ("kind", "status", "message", "said"),
    [
        *(("commit", *refused) for refused in REFUSALS),
        *((kind, *REFUSALS[0]) for kind in ("refs", "create_repo", "preupload", "lfs_batch", "tag")),
        *(
            pytest.param(kind, *refused, marks=pytest.mark.slow)
            for kind in ("refs", "create_repo", "preupload", "lfs_batch", "tag")
            for refused in REFUSALS[1:]
        ),
    ],
)
def test_a_refusal_by_the_hub_at_any_request_is_one_sentence_and_a_second_run_finishes(
    hub: HubServer, make: Make, first: Built, kind: str, status: int, message: str, said: str
) -> None:
    hub.fail(kind, status=status, message=message)
    told = refusal(make(), first)
    assert said in told
    assert len(told.splitlines()) == 1
    publish(make(), first)
    assert_holds(hub, first, "v1.0")
    assert_only_whole_releases(hub, first)


def test_an_upload_address_that_has_expired_is_asked_for_again(
    hub: HubServer, make: Make, first: Built
) -> None:
    hub.fail("upload", status=403, message="Request has expired")
    publish(make(), first)
    assert hub.kinds("lfs_batch") == ["lfs_batch"] * 3  # of two batches of files, the first twice
    assert_holds(hub, first, "v1.0")


def test_a_token_that_was_stored_by_the_client_is_used(
    hub: HubServer, make: Make, first: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text(f"{WRITE_TOKEN}\n", encoding="utf-8")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    publish(make(), first)
    assert_holds(hub, first, "v1.0")


# Faults; `test_faults.py` has each at each request


def test_a_download_that_breaks_off_is_done_again(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    hub.fail("resolve", "cut", skip=1)
    publish(make(), first)
    hub.fail("download", "cut")
    assert make().read_back(first.manifest) == ()
    assert watched.waits == [1.0, 1.0]


def test_a_wait_that_is_too_long_is_not_waited_for(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    hub.fail("preupload", status=429, headers={"Retry-After": "400"})
    assert "asks to wait 400 s" in refusal(make(), first)
    assert watched.waits == []
    publish(make(), first)
    assert_holds(hub, first, "v1.0")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}, 1),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=3;t=55'}, 1),
        ({"Retry-After": "soon"}, 1),
    ],
)
def test_the_wait_is_what_the_hub_asks_for_and_never_shorter_than_ours(
    hub: HubServer, make: Make, first: Built, watched: Watched, headers: Mapping[str, str], seconds: float
) -> None:
    hub.fail("tree", status=429, headers=headers)
    publish(make(), first)
    assert watched.waits == [seconds]


def test_a_stage_has_an_end(hub: HubServer, make: Make, first: Built) -> None:
    seconds = iter(range(0, 10**9, 10))
    assert "took too long and was ended" in refusal(
        make(clock=Clock(seconds=lambda: float(next(seconds)))), first
    )
    publish(make(), first)
    assert_holds(hub, first, "v1.0")


def test_an_answer_that_is_not_the_apis_is_asked_for_again(hub: HubServer, make: Make, first: Built) -> None:
    for kind in ("refs", "tree", "preupload", "lfs_batch", "commit", "tag"):
        hub.fail(kind, "answer", body=b"<html>Sign in")
    publish(make(), first)
    assert_only_whole_releases(hub, first)


def test_an_answer_that_is_never_the_apis_is_told(hub: HubServer, make: Make, first: Built) -> None:
    hub.fail("refs", "answer", body=b"{}", times=1000)
    assert f"the answer to GET /api/datasets/{REPO}/refs is not one of the Hub's API" in refusal(
        make(), first
    )


# The commit


@pytest.mark.parametrize(
    ("fault", "num_requests"), [("lost", 1), ("late", 1), ("later", 2), ("hang", 2), ("reset", 2)]
)
def test_a_commit_that_nobody_confirmed_is_made_once(
    hub: HubServer, make: Make, first: Built, watched: Watched, fault: str, num_requests: int
) -> None:
    hub.fail("commit", fault, status=504)
    publish(make(timeout=0.3), first, watched)
    assert_only_whole_releases(hub, first)
    assert hub.repos[REPO].history[0].sha == hub.repos[REPO].tags["v1.0"]
    assert len(hub.kinds("commit")) == num_requests, "one that was made is looked for, not sent again"
    assert watched.notes == []


def test_a_conflict_is_told_and_both_changes_are_there(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched
) -> None:
    publish(make(), first)
    theirs = {"notes.txt": b"by hand"}
    hub.fail("commit", "race", action=lambda: hub.edit(REPO, "bob", "Add \x1b[31mnotes", theirs))
    publish(make(), second, watched)
    assert watched.notes == ["main has moved since it was planned (bob: Add \\x1b[31mnotes); planned again"]
    assert hub.content(REPO, "notes.txt") == b"by hand"
    titles = [commit.title for commit in hub.repos[REPO].history]
    assert titles == ["Release 1.1", "Add \x1b[31mnotes", "Release 1.0", "initial commit"]
    assert hub.repos[REPO].tags["v1.1"] == hub.repos[REPO].history[0].sha
    sent = [seen.url for seen in hub.seen if seen.kind == "upload"]
    assert len(sent) == len(set(sent))


def test_what_the_hub_says_of_the_card_is_told_and_cannot_command_the_terminal(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    hub.card_warnings.append("no \x1b[31mlicence")
    publish(make(), first, watched)
    assert [note for note in watched.notes if "no \\x1b[31mlicence" in note] == watched.notes != []


def test_a_plan_that_was_to_be_kept_to_is_refused_when_the_world_has_changed(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    target = make()
    plan = target.plan(second.manifest, second.folder)
    hub.edit(REPO, "bob", "Add notes", {"notes.txt": b"by hand"})
    with pytest.raises(ReleaseError, match="main has moved since it was planned \\(bob: Add notes\\)"):
        target.upload(second.folder, second.manifest, plan, exact=True)
    assert hub.kinds("commit") == ["commit"]


def test_a_branch_that_never_rests_ends_the_run(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched
) -> None:
    publish(make(), first)
    lasting = hub.fail(
        "commit",
        "race",
        times=1000,
        action=lambda: hub.edit(REPO, "bob", "Again", {"notes.txt": os.urandom(8)}),
    )
    assert "main has moved 5 times while this run was sending" in refusal(make(), second)
    lasting.times = 0
    publish(make(), second, watched)
    assert hub.content(REPO, MANIFEST_NAME, "v1.1") == second.manifest.to_json()


# What the Hub did wrong


def test_a_file_that_the_hub_lost_or_lists_otherwise_is_found_and_mended(
    hub: HubServer, make: Make, first: Built
) -> None:
    shard = first.manifest.shards[0].path
    for path, said in ((shard, "the file has another digest"), ("LICENSES.md", "the file is missing")):
        hub.fail("commit", "spoil", path=path)
        assert f"{path}: {said}" in refusal(make(), first)
    assert hub.repos[REPO].tags == {}
    told = make().releases()["1.0"].missing
    assert told == "it has no tag; 1 of its files are not its manifest's (LICENSES.md: the file is missing)"
    publish(make(), first)
    assert_holds(hub, first, "v1.0")
    assert make().releases()["1.0"].missing == ""


def test_a_flipped_byte_in_the_store_is_found_by_reading_back(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    hub.fail("upload", "spoil")
    publish(make(), first)
    problems = make().read_back(first.manifest, watcher=watched)
    assert [problem.message for problem in problems] == [
        "the bytes that come back are not those that were published"
    ]
    assert watched.progress[-1][1] == watched.progress[-1][2]
    bad = problems[0].file.rpartition(" ")[2]
    assert make().read_back(first.manifest, [bad]) == problems
    assert make().read_back(first.manifest, sorted(first.paths - {bad})) == ()


@pytest.mark.slow
def test_a_release_that_does_not_load_is_not_tagged(
    hub: HubServer, make: Make, first: Built, tmp_path: Path
) -> None:
    folder = copy_folder(first.folder, tmp_path / "broken")
    card = first.bytes_of("README.md").replace(b"path: images/train-*", b"path: nowhere/train-*")
    (folder / "README.md").write_bytes(card)
    files = tuple(entry_of(folder, entry.path) for entry in first.manifest.files)
    manifest = first.manifest.model_copy(update={"files": files})
    (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    with pytest.raises(ReleaseError, match="`datasets` cannot load the release"):
        publish(make(), Built(folder, manifest), load=True)
    assert hub.repos[REPO].tags == {}


# What is where


def test_releases_are_those_of_tags_and_an_unfinished_one_on_main(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    assert make().releases() == {}
    publish(make(), first)
    make().upload(second.folder, second.manifest)
    repo = hub.repos[REPO]
    repo.tags["latest"] = repo.history[0].sha
    held = {
        "1.0": Held(repo.history[1].sha, first.manifest.digest),
        "1.1": Held(repo.history[0].sha, second.manifest.digest, "it has no tag"),
    }
    assert make().releases() == held
    publish(make(), second)
    assert make().releases() == held | {"1.1": replace(held["1.1"], missing="")}


def test_releases_say_what_is_wrong_in_the_listing_without_reading_it(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    """Tags do not move, but people delete them and make them again."""
    publish(make(), first)
    shard, repo = first.manifest.shards[0].path, hub.repos[REPO]
    repo.tags["v1.0"] = hub.edit(REPO, "bob", "Spoil", {shard: b"other", "LICENSES.md": None})
    repo.tags["v1.1"] = repo.history[1].sha
    repo.tags["v1.2"] = hub.edit(REPO, "bob", "Spoil more", {MANIFEST_NAME: b"{}"})
    hub.seen.clear()
    held = make().releases()
    bytes_there = f"the file has 5 bytes, {first.manifest.shards[0].num_bytes:,} in the manifest"
    assert held["1.0"].missing == f"2 of its files are not its manifest's ({shard}: {bytes_there})"
    assert held["1.1"].missing == "its tag is at version 1.0"
    assert held["1.2"] == Held(repo.history[0].sha, None)
    assert sorted(hub.kinds()) == ["refs", *["resolve"] * 3, *["tree"] * 3]


def test_tags_of_no_release_are_nobodys_business_until_a_version_wants_their_name(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    HfApi(endpoint=hub.endpoint, token=WRITE_TOKEN).create_repo(REPO, repo_type="dataset")
    hub.repos[REPO].tags |= dict.fromkeys(("v0.9", "v1.1"), hub.repos[REPO].history[0].sha)
    publish(make(), first)
    assert list(make().releases()) == ["1.0"]
    assert "v1.1 is there, and holds no release that can be read" in refusal(make(), second)


def test_a_new_repository_is_the_same_world_as_none(hub: HubServer, make: Make, first: Built) -> None:
    """A saved plan goes on where a run ended after making the repository."""
    before = make().state()
    hub.fail("preupload", status=403)
    refusal(make(), first)
    assert list(hub.repos[REPO].history[0].files) == [".gitattributes"]
    assert make().state() == before == "no repository, or an empty one"
    head = hub.edit(REPO, "bob", "Set attributes", {".gitattributes": b"*.parquet -text"})
    assert make().state() == f"main at {head}"
    target = make()
    target.upload(first.folder, first.manifest, target.plan(first.manifest), exact=True)
    assert_holds(hub, first, "main")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"]
)
def test_the_release_is_loaded_whatever_keeps_other_programs_from_the_hub(
    hub: HubServer, make: Make, first: Built, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    publish(make(private=True), first, load=True)
    assert list(hub.repos[REPO].tags) == ["v1.0"]


def test_nothing_is_said_of_a_release_that_is_not_there(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    """Nor is another one that is on `main` compared with it."""
    for absent in (first, second):
        version = absent.manifest.version
        for problems in (make().verify(absent.manifest), make().read_back(absent.manifest)):
            assert [problem.message for problem in problems] == [f"the repository has no release {version}"]
        with pytest.raises(ReleaseError, match="not known to be there"):
            make().receipt(absent.manifest)
        with pytest.raises(ReleaseError, match=f"the repository has no release {version}"):
            make().withdraw(version, "bad")
        if absent is first:
            publish(make(), first)


def test_a_release_without_its_tag_is_told_withdrawn_and_not_finished_any_more(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    hub.fail("tag", status=403)
    refusal(make(), second)
    [problem] = make().verify(second.manifest, load=False)
    assert problem.message == "main holds 1.1, and it has no tag: it is unfinished"
    assert make().read_back(second.manifest) == ()
    assert (make().withdraw("1.1", "bad faces"), make().withdraw("1.1", "bad faces")) == (True, False)
    line = b"> Release 1.1 is withdrawn: bad faces\n"
    assert line in hub.content(REPO, "README.md")
    head = hub.repos[REPO].history[0].sha
    assert make().releases()["1.1"] == Held(head, second.manifest.digest, withdrawn="bad faces")
    assert hub.repos[REPO].tags == {"v1.0": hub.repos[REPO].history[2].sha}


def test_withdrawn_releases_are_told_and_their_marks_stay_on_the_card(
    hub: HubServer, make: Make, first: Built, second: Built
) -> None:
    publish(make(), first)
    assert make().withdraw("1.0", "bad \x1b[31mfaces")
    said = "bad \\x1b[31mfaces"
    assert make().releases()["1.0"].withdrawn == said
    [note] = make().plan(second.manifest, second.folder).notes
    assert note.startswith("CHANGELOG.md on main says that 1.0 is withdrawn, and this release's does not")
    publish(make(), second)
    assert {version: held.withdrawn for version, held in make().releases().items()} == {
        "1.0": said,
        "1.1": "",
    }
    assert all(held.missing == "" for held in make().releases().values())


# Ends and crashes


@pytest.mark.parametrize(
    ("point", "do"),
    [
        *((point, "reset") for point in range(13)),
        (11, "lost"),
        *(pytest.param(point, "lost", marks=pytest.mark.slow) for point in range(11)),
    ],
)
def test_whatever_ends_a_run_at_whatever_point_the_next_one_finishes(
    hub: HubServer, make: Make, first: Built, point: int, do: str
) -> None:
    """From some request that writes on, nothing goes through: as if the machine had been switched off.

    That request itself is not done, or is done and nobody knows.
    """
    kinds = ("create_repo", "preupload", "lfs_batch", *["upload"] * 8, "commit", "tag")
    dead = [hub.fail(kinds[point], do, skip=max(0, point - 3) if kinds[point] == "upload" else 0)]
    dead += [hub.fail(kind, "reset", times=1000) for kind in set(kinds[point:])]
    told = refusal(make(), first)
    assert len(told.splitlines()) == 1
    arrived = set(hub.stored)
    for fault in dead:
        fault.times = 0
    hub.seen.clear()
    publish(make(), first)
    assert_holds(hub, first, "v1.0")
    assert_only_whole_releases(hub, first)
    assert not [seen.url for seen in hub.seen if seen.kind == "upload" and seen.url[5:69] in arrived]
    hub.seen.clear()
    publish(make(), first)
    assert hub.writes() == []


_DRIVER = """
import sys
from pathlib import Path
from publish.checks.files import read_manifest
from publish.hosts.hub.settings import HubSettings
from publish.hosts.hub.target import HubTarget

folder, target = Path(sys.argv[1]), HubTarget(sys.argv[2], endpoint=sys.argv[3])
manifest = read_manifest(folder)
target.upload(folder, manifest, target.plan(manifest, folder))
assert target.verify(manifest, load=False) == ()
target.finish(manifest)
print(target.receipt(manifest).revision)
"""


def start_driver(hub: HubServer, built: Built, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "HF_HUB_OFFLINE": "0", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(built.folder), REPO, hub.endpoint],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "skip"),
    [
        ("create_repo", 0),
        ("tree", 0),
        ("preupload", 0),
        ("lfs_batch", 0),
        *(("upload", number) for number in range(0, 8, 2)),
        ("validate_yaml", 0),
        ("commit", 0),
        ("resolve", 2),
        ("tag", 0),
    ],
)
def test_a_killed_run_is_finished_by_the_next_one(
    hub: HubServer, make: Make, first: Built, kind: str, skip: int
) -> None:
    hub.fail(kind, "hang", skip=skip)
    process = start_driver(hub, first)
    while hub.kinds().count(kind) <= skip and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0]
    assert not [secret for secret in SECRETS if secret in said]
    arrived = set(hub.stored)
    hub.seen.clear()
    publish(make(), first, load=kind == "commit")
    assert_holds(hub, first, "v1.0")
    assert_only_whole_releases(hub, first)
    assert not [seen.url for seen in hub.seen if seen.kind == "upload" and seen.url[5:69] in arrived]


# Xet


@pytest.fixture
def xet(first: Built, second: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.delenv("HF_HUB_DISABLE_XET")
    store = tmp_path / "cas"
    store.mkdir()
    with HubServer(xet=store, known=[first.folder, second.folder]) as server:
        yield server
        assert_no_secrets_leaked(server)


@pytest.mark.slow
def test_releases_go_through_xet_both_ways(
    xet: HubServer, first: Built, second: Built, tmp_path: Path
) -> None:
    for built in (first, second):
        publish(HubTarget(REPO, endpoint=xet.endpoint), built, load=built is second)
        tag = f"v{built.manifest.version}"
        assert_holds(xet, built, tag)
        xet.seen.clear()
        folder = snapshot_download(
            REPO,
            repo_type="dataset",
            revision=tag,
            endpoint=xet.endpoint,
            local_dir=tmp_path / tag,
            cache_dir=tmp_path / "cache",
        )
        assert {path: (Path(folder) / path).read_bytes() for path in built.paths} == {
            path: built.bytes_of(path) for path in built.paths
        }
        assert "xet_read" in xet.kinds()
    assert xet.kinds("upload", "lfs_batch", "download") == []
    assert_only_whole_releases(xet, first, second)
    publish(HubTarget(REPO, endpoint=xet.endpoint), second)
    assert xet.writes() == []


@pytest.mark.parametrize(
    ("status", "said"), [(401, "the upload's token has expired"), (403, "it only reads, or has no rights")]
)
def test_an_upload_to_xet_that_is_refused_is_one_sentence_and_a_second_run_finishes(
    xet: HubServer, first: Built, status: int, said: str
) -> None:
    xet.fail("xet_write", status=status)
    told = refusal(HubTarget(REPO, endpoint=xet.endpoint), first)
    assert said in told
    assert len(told.splitlines()) == 1
    publish(HubTarget(REPO, endpoint=xet.endpoint), first)
    assert_holds(xet, first, "v1.0")


@pytest.mark.slow
def test_an_upload_to_xet_that_breaks_off_is_tried_again(
    xet: HubServer, first: Built, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "0")
    xet.fail("xet_write", status=500)
    process = start_driver(xet, first)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert_holds(xet, first, "v1.0")
    assert not [secret for secret in SECRETS if secret in said]


# The Space beside a dataset

SPACE = f"spaces/{REPO}"


def publish_with_space(target: HubTarget, built: Built, watched: Watched) -> None:
    publish(target, built)
    target.accompany(built.manifest, watched)


def assert_shows(hub: HubServer, built: Built, space: str = SPACE) -> None:
    """See that a Space has the files that `sfhq explore --space` writes, and no others of a user."""
    expected = space_files(built.manifest, hub_address(built.manifest))
    files = set(hub.repos[space].history[0].files)
    assert files - {".gitattributes"} == set(expected)
    assert {path: hub.content(space, path) for path in expected} == expected


def make_foreign(hub: HubServer, files: Mapping[str, bytes], title: str) -> None:
    """Let somebody else make a Space with one commit, as a copy of another Space has."""
    api = HfApi(endpoint=hub.endpoint, token=WRITE_TOKEN)
    api.create_repo(REPO, repo_type="space", space_sdk="static")
    sha = hub.edit(SPACE, "carol", title, files)
    repo = hub.repos[SPACE]
    repo.commits[sha] = replace(repo.commits[sha], parent=None)


def test_a_space_is_published_beside_the_dataset_follows_it_and_never_goes_back(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched
) -> None:
    plan = make(space=True).plan(first.manifest, first.folder)
    assert [step.partition(" files")[0] for step in plan.steps] == [
        "create the repository",
        "1 commit",
        "1 tag",
        "create the Space",
        "1 commit of 8",
    ]
    assert hub.writes() == []
    publish_with_space(make(space=True), first, watched)
    assert len(hub.writes()) <= plan.num_requests
    assert_shows(hub, first)
    assert not hub.repos[SPACE].private
    assert len(hub.repos[SPACE].history) == 2
    assert f"/datasets/{REPO}/resolve/v1.0/" in hub.content(SPACE, "explorer.json").decode()

    before = len(hub.writes())
    again = make(space=True)
    assert again.plan(first.manifest, first.folder).action is Action.KEEP
    publish_with_space(again, first, watched)
    assert len(hub.writes()) == before

    publish_with_space(make(space=True), second, watched)
    assert_shows(hub, second)
    assert len(hub.repos[SPACE].history) == 3
    before, watched.notes = len(hub.writes()), []
    old = make(space=True)
    assert old.plan(first.manifest, first.folder).action is Action.KEEP
    publish_with_space(old, first, watched)
    assert "shows version 1.1, which is newer" in watched.notes[0]
    assert_shows(hub, second)
    assert len(hub.writes()) == before


def test_a_published_dataset_gets_its_space_later_and_what_people_add_to_it_stays(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched
) -> None:
    publish(make(), first)
    states = [make(space=True).state()]
    plan = make(space="alice/look").plan(first.manifest, first.folder)
    assert (plan.action, plan.commits, plan.tags) == (Action.ADD, 0, 0)
    publish_with_space(make(space="alice/look"), first, watched)
    assert_shows(hub, first, "spaces/alice/look")
    hub.edit("spaces/alice/look", "carol", "A page of ours", {"about.html": b"us", "icon.svg": None})
    publish_with_space(make(space="alice/look"), second, watched)
    assert hub.content("spaces/alice/look", "about.html") == b"us"
    hub.edit("spaces/alice/look", "carol", "Back again", {"about.html": None})
    assert_shows(hub, second, "spaces/alice/look")
    states += [make(space="alice/look").state(), make().state()]
    assert len(set(states)) == 3, "a saved plan is for one state of the Space"


@pytest.mark.parametrize(
    ("files", "title"),
    [
        ({"app.js": b"theirs"}, "initial commit"),
        ({"index.html": b"theirs"}, "Duplicate from carol/page"),
        ({"explorer.json": b'{"release": "https://huggingface.co/datasets/a/b/resolve/v1.0/"}'}, "Theirs"),
        ({"explorer.json": b"[" * 100_000}, "Theirs"),
    ],
)
def test_a_space_that_somebody_else_made_is_never_written_to(
    hub: HubServer,
    make: Make,
    first: Built,
    watched: Watched,
    files: Mapping[str, bytes],
    title: str,
) -> None:
    make_foreign(hub, files, title)
    before = len(hub.writes())
    told = refusal(make(space=True), first)
    assert "its files are not this dataset's page" in told
    assert 'space = "ORGANISATION/NAME"' in told
    assert "is published" not in told
    assert len(hub.writes()) == before, "nothing is published before this is settled"
    publish(make(), first)
    before = len(hub.writes())
    with pytest.raises(ReleaseError, match=r"release 1\.0 is published, and its Space is not: a Space of"):
        make(space=True).accompany(first.manifest, watched)
    assert "release 1.0 is published, and its Space is not" in refusal(make(space=True), first)
    assert len(hub.writes()) == before
    publish_with_space(make(space="org/other"), first, watched)
    assert_shows(hub, first, "spaces/org/other")


@pytest.mark.parametrize(
    ("kind", "options", "is_told"),
    [
        ("create_repo", {"do": "status", "status": 403}, True),
        ("create_repo", {"do": "lost"}, False),
        ("create_repo", {"do": "nonsense"}, False),
        ("preupload", {"do": "status", "status": 403}, True),
        ("commit", {"do": "status", "status": 403}, True),
        ("commit", {"do": "status", "status": 503, "times": 99}, True),
        ("commit", {"do": "lost"}, False),
        ("commit", {"do": "answer"}, False),
        ("commit", {"do": "spoil", "path": "index.html"}, True),
        ("resolve", {"do": "answer", "times": 99}, True),
        ("info", {"do": "status", "status": 403}, True),
    ],
)
def test_a_space_that_fails_is_finished_by_the_same_command(
    hub: HubServer,
    make: Make,
    first: Built,
    watched: Watched,
    kind: str,
    options: Mapping[str, Any],
    is_told: bool,
) -> None:
    target = make(space=True)
    publish(target, first)
    fault = hub.fail(kind, **options)
    if is_told:
        with pytest.raises(ReleaseError) as raised:
            target.accompany(first.manifest, watched)
        for problem in raised.value.problems:
            assert problem.message.startswith("release 1.0 is published, and its Space is not: ")
            assert "run the same command again" in problem.fix
        fault.times = 0
        target = make(space=True)
        assert target.plan(first.manifest, first.folder).problems == ()
        publish(target, first)
    target.accompany(first.manifest, watched)
    assert fault.times == 0
    assert_shows(hub, first)
    assert hub.repos[REPO].tags == {"v1.0": hub.repos[REPO].history[0].sha}
    assert len(hub.repos[SPACE].history) == (3 if options["do"] == "spoil" else 2)


def test_the_space_of_a_private_dataset_is_private(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    plan = make(space=True, private=True).plan(first.manifest, first.folder)
    assert "its page cannot read the dataset" in plan.notes[-1]
    publish_with_space(make(space=True, private=True), first, watched)
    assert hub.repos[SPACE].private
    assert any("its page cannot read the dataset" in note for note in watched.notes)

    hub.repos[SPACE].private = False  # or the organisation makes every Space public
    before = len(hub.writes())
    assert "the Space is public, and the dataset is private" in refusal(make(space=True), first)
    assert len(hub.writes()) == before
    hub.repos[REPO].private, hub.repos[SPACE].private, watched.notes = False, True, []
    publish_with_space(make(space=True, private=True), first, watched)
    assert "make it public for others to see" in watched.notes[0]


def test_nothing_is_published_where_the_token_may_not_write_to_the_spaces_owner(
    hub: HubServer, make: Make, first: Built
) -> None:
    target = make(space="elsewhere/page")
    assert target.ready(beside=False) == ()
    (unready,) = target.ready()
    assert "no rights in the namespace elsewhere" in unready.message
    assert "no rights in the namespace elsewhere" in refusal(target, first)
    assert hub.writes() == []


def test_a_space_is_verified_and_its_version_is_told(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched
) -> None:
    publish(make(), first)
    (unshown,) = make(space=True).verify_beside(first.manifest)
    assert unshown.message == "there is no Space that shows the release"
    assert make(space=True).releases()["1.0"].missing == "no Space shows it"
    assert make().verify_beside(first.manifest) == ()
    assert make().releases()["1.0"].missing == ""

    publish_with_space(make(space=True), first, watched)
    assert make(space=True).verify_beside(first.manifest) == ()
    held = make(space=True).releases()["1.0"]
    assert (held.missing, held.remark) == ("", "the Space shows it")

    publish(make(), second)
    assert make(space=True).releases()["1.1"].missing == "the Space shows version 1.0"
    (older,) = make(space=True).verify_beside(second.manifest)
    assert older.message == "the Space shows version 1.0, and not 1.1"
    publish_with_space(make(space=True), second, watched)
    assert make(space=True).verify_beside(second.manifest) == ()
    assert make(space=True).verify_beside(first.manifest) == (), "a newer version is shown"

    hub.edit(SPACE, "carol", "Edited", {"reader.js": b"theirs", "icon.svg": None})
    problems = make(space=True).verify_beside(second.manifest)
    assert sorted(str(problem.file).rpartition(" ")[2] for problem in problems) == ["icon.svg", "reader.js"]
    assert {problem.message for problem in problems} == {
        "the file is not the one that this version of the kit writes"
    }
    publish_with_space(make(space=True), second, watched)
    assert make(space=True).verify_beside(second.manifest) == ()


def test_a_space_of_somebody_else_is_renamed_since_publishing_again_is_refused(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    publish(make(), first)
    api = HfApi(endpoint=hub.endpoint, token=WRITE_TOKEN)
    api.create_repo(REPO, repo_type="space", space_sdk="static")
    (unshown,) = make(space=True).verify_beside(first.manifest)
    assert "publish the release again" in unshown.fix, "the Space is new, and can be written to"
    publish_with_space(make(space=True), first, watched)
    hub.edit(SPACE, "carol", "Another page", {"explorer.json": b"{}"})
    (foreign,) = make(space=True).verify_beside(first.manifest)
    assert foreign.message == "a Space of this name is there, and its files are not this dataset's page"
    assert foreign.fix.startswith("rename or remove that Space, or give another name")


@pytest.mark.parametrize("beside", ["no Space", "an older version", "a Space of somebody else"])
def test_a_withdrawn_version_that_no_space_shows_is_sound(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched, beside: str
) -> None:
    if beside == "an older version":
        publish_with_space(make(space=True), first, watched)
    elif beside == "a Space of somebody else":
        make_foreign(hub, {"app.js": b"theirs"}, "initial commit")
    publish(make(), second)
    assert make(space=True).verify_beside(second.manifest)
    assert make(space=True).withdraw("1.1", "bad")
    assert make(space=True).verify_beside(second.manifest) == ()
    assert make(space=True).releases()["1.1"].missing == ""


def test_what_the_store_gives_out_of_a_space_is_read(
    hub: HubServer, make: Make, first: Built, watched: Watched
) -> None:
    publish_with_space(make(space=True), first, watched)
    hub.fail("resolve", do="answer", times=99)
    with pytest.raises(ReleaseError, match="other bytes come back than the Hub lists"):
        make(space=True).verify_beside(first.manifest)


def test_the_space_of_a_withdrawn_version_says_so(
    hub: HubServer, make: Make, first: Built, second: Built, watched: Watched
) -> None:
    reason = 'a face is of a "real" person <script>'
    publish_with_space(make(space=True), first, watched)
    assert make().withdraw("1.0", reason)
    assert "does not say that it is withdrawn" in make(space=True).releases()["1.0"].remark
    assert make(space=True).verify_beside(first.manifest)
    assert make(space=True).withdraw("1.0", reason), "the Space was not marked before"
    assert not make(space=True).withdraw("1.0", reason)
    page = hub.content(SPACE, "index.html").decode()
    assert "withdrawn, and should not be used: a face is of a &quot;real&quot; person &lt;script&gt;" in page
    assert f"Release 1.0 is withdrawn: {reason}" in hub.content(SPACE, "README.md").decode()
    assert make(space=True).verify_beside(first.manifest) == ()
    assert make(space=True).releases()["1.0"].remark == "the Space shows it"

    publish_with_space(make(space=True), second, watched)
    assert_shows(hub, second)
    before = len(hub.writes())
    assert not make(space=True).withdraw("1.0", reason), "the Space shows another version"
    assert len(hub.writes()) == before


@pytest.mark.parametrize("is_exposed", [True, False])
def test_a_mark_that_does_not_get_to_the_space_is_finished_by_the_same_command(
    hub: HubServer, make: Make, first: Built, watched: Watched, *, is_exposed: bool
) -> None:
    publish_with_space(make(space=True), first, watched)
    hub.repos[REPO].private = is_exposed  # beside a public Space
    fault = hub.fail("commit", do="status", skip=1, times=0 if is_exposed else 99)
    with pytest.raises(ReleaseError) as raised:
        make(space=True).withdraw("1.0", "bad")
    (problem,) = raised.value.problems
    assert problem.message.startswith("release 1.0 is marked, and its Space is not: ")
    assert problem.fix.count("run the same command again") == 1
    assert make().releases()["1.0"].withdrawn == "bad"
    fault.times, hub.repos[REPO].private = 0, False
    assert make(space=True).withdraw("1.0", "bad"), "the Space was not marked before"
    assert make(space=True).verify_beside(first.manifest) == ()


@pytest.mark.parametrize("space", ["name", "a/b/c", "a/b\n", "https://a/b", 3, ["a/b"], None])
def test_a_wrong_name_of_a_space_is_told_once(space: object) -> None:
    with pytest.raises(ValidationError) as raised:
        HubSettings.model_validate({"space": space})
    (detail,) = raised.value.errors()
    assert "organisation/name" in detail["msg"]
