"""The Hub target: a release is one commit on `main` of a dataset repository, and then the tag `vVERSION`.

What is there is always asked, never remembered: the files of a commit by their listed size and digest, the
release that a commit holds by the manifest in it. So a run that was ended anywhere is finished by the same
command, and where all is done nothing is sent.

    plan    → refs, tree, manifest.json          reads only
    upload  → create · pre-upload · one commit   pinned to the commit that was planned on
    verify  → tree and small files at that commit, one row of each config by `datasets`
    tag     → only what has been verified

The commit is not sent again blindly when its answer is lost. Its parent is pinned, so a commit that was made
after all shows as a branch that has moved: then all is planned anew, and there is nothing left to do.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from huggingface_hub import (
    CommitOperation,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
)
from huggingface_hub.hf_api import GitRefs, RepoFile
from pydantic import ValidationError

from publish.hub_card import is_card, put_back, read_kept
from publish.hub_client import Hub, HubError, Limits
from publish.plan import Action
from schemas.manifest import MANIFEST_NAME, FileEntry, Manifest, Receipt
from schemas.problems import Problem, Reason, ReleaseError, printable
from schemas.records import VERSION_PATTERN

_CARD = "README.md"
_BRANCH = "main"
_REPO = "dataset"
_CONSUMER = Path(__file__).resolve().parent.parent / "hub_consumer.py"
_MAX_PLANS = 5  # how often a branch may move under a run
_MAX_SMALL_BYTES = 10_000_000  # the Hub keeps larger files in its large file store
_MAX_MANIFEST_BYTES = 100_000_000
_BATCH_FILES, _BATCH_BYTES = 20, 1_000_000_000  # sent in one go, and tried again in one go
_ADVISED_FILES = 100  # in one commit, says the Hub
_NEXT_VERSION = "a published version is never overwritten: give the next version"


class Watcher(Protocol):
    """Is told how far a target is."""

    def note(self, text: str) -> None:
        """Tell what is going on."""
        ...

    def advance(self, stage: str, done: int, total: int) -> None:
        """Tell how many of a stage's bytes are done."""
        ...


class _Unwatched:
    def note(self, text: str) -> None:
        """Say nothing."""

    def advance(self, stage: str, done: int, total: int) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlan:
    """What a run would do to one repository.

    Attributes:
        url: The repository.
        action: `KEEP` where the release is there, whole and tagged.
        problems: Every reason for a refusal that lies in what is there.
        access: What keeps the present token from doing it. A plan needs no more than to read.
        add: Files to send, each with its size in bytes: new ones and ones with other content. What the Xet store
            has of them already is not sent.
        keep: Files that are there with the same content.
        remove: Files of the release before that are in this one no longer.
        foreign: Files that belong to no release, which are left alone.
        base: The commit that all this is measured against; None where there is no repository.
        creates: Whether the repository is to be made.
        commits: Commits to make: 1 or 0.
        tags: Tags to make: 1 or 0.
        num_requests: About how many requests will write.
        notes: What is worth knowing before.
    """

    target: str = "hub"
    url: str
    action: Action
    problems: tuple[Problem, ...] = ()
    access: tuple[Problem, ...] = ()
    add: Mapping[str, int] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    remove: Mapping[str, int] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    base: str | None = None
    creates: bool = False
    commits: int = 0
    tags: int = 0
    notes: tuple[str, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Bytes to send at most."""
        return sum(self.add.values())

    @property
    def num_requests(self) -> int:
        """About how many requests will write."""
        batches = -(-len(self.add) // _BATCH_FILES)
        sent = len(self.add) + 2 * batches + 2 if self.commits else 0
        return self.creates + sent + self.tags


@dataclass(frozen=True, slots=True)
class Release:
    """A release as a commit holds it, told by the manifest in it, of whatever version of the kit.

    Attributes:
        version: The dataset's version.
        manifest_sha256: Its manifest's digest.
        files: Every file with size and digest, the manifest included.
    """

    version: str
    manifest_sha256: str
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class HubVersion:
    """One version that a repository holds.

    Attributes:
        version: The dataset's version; empty where no manifest says it.
        tag: Its tag; None where `main` holds a release that has none: a run is unfinished.
        revision: The commit's sha.
        manifest_sha256: The manifest's digest; None where the commit holds no manifest.
        problems: Where it is not what its manifest says; none if it is complete.
    """

    version: str
    tag: str | None
    revision: str
    manifest_sha256: str | None
    problems: tuple[Problem, ...]


class HubTarget:
    """Releases in one dataset repository on the Hub.

    Args:
        repository: `namespace/name`.
        private: Make the repository private if it has to be made. One that is there is left as it is.
        endpoint: The Hub's address; what `HF_ENDPOINT` or the client says if None.
        limits: Time limits and retries.
        clock: Gives seconds that only grow.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        repository: str,
        *,
        private: bool = False,
        endpoint: str | None = None,
        limits: Limits | None = None,
        **timing: Callable[..., Any],
    ) -> None:
        self._hub = Hub(repository, endpoint, limits, **timing)
        self._private = private
        self._url = f"{self._hub.endpoint}/datasets/{repository}"
        self._digests: dict[str, str] = {}  # git's id of a small file → SHA-256, for this run
        self._commit: dict[str, str] = {}  # manifest digest → the commit that this run found or made
        self._verified: set[tuple[str, str]] = set()
        self._who: dict[str, Any] | None = None  # the Hub limits strictly how often it says this

    def plan(self, manifest: Manifest, folder: Path | None = None) -> HubPlan:
        """See what is there and what is to be done, changing nothing and needing no right to write.

        Args:
            manifest: The release.
            folder: The release's folder; spares downloading small files to compare them.

        Raises:
            ReleaseError: The client is set to work offline, or has a token that it cannot read.
        """
        with self._hub.stage("reading what is there"):
            try:
                return self._plan(manifest, folder)
            except HubError as error:
                return HubPlan(url=self._url, action=Action.REFUSE, problems=error.problems)

    def upload(
        self,
        folder: Path,
        manifest: Manifest,
        plan: HubPlan | None = None,
        watcher: Watcher | None = None,
        *,
        exact: bool = False,
    ) -> None:
        """Send what is missing, and make one commit of it; nothing if it is there already.

        Args:
            folder: The checked release.
            manifest: Its manifest.
            plan: What was shown before. Where the repository has changed since, that is told.
            watcher: Is told how far it is.
            exact: Refuse where the repository has changed since `plan`.

        Raises:
            ReleaseError: It is refused, or the Hub did not do it. The same call continues.
        """
        watcher = watcher or _Unwatched()
        num_bytes = sum(entry.num_bytes for entry in manifest.all_files)
        is_planned, base = plan is not None, plan and plan.base
        with self._hub.stage("sending files", num_bytes):
            for _ in range(_MAX_PLANS):
                current = self._plan(manifest, folder)
                _refuse((*current.problems, *current.access))
                if not current.commits:
                    return
                if is_planned and current.base != base:
                    self._tell_who_moved(base, watcher, exact)
                if current.creates:
                    self._create()
                else:
                    self._publish(folder, manifest, current, watcher)
                is_planned, base = not current.creates, current.base
        message = f"{_BRANCH} has moved {_MAX_PLANS} times while this run was sending"
        raise ReleaseError(self._problem(message, "find out who else publishes here, then run it again"))

    def verify(self, manifest: Manifest, *, load: bool = True) -> tuple[Problem, ...]:
        """Compare the commit that holds a release with its manifest, and have `datasets` load it.

        Sizes and digests are the Hub's own listing's; of files that it lists without SHA-256, which are small, the
        content is read. Whether the large file store gives out what it lists only `read_back` can tell.

        Args:
            manifest: The release.
            load: Whether to load one row of each config, in a process without the kit's code.
        """
        with self._hub.stage("comparing what is there"):
            sha = self._find(manifest)
            if sha is None:
                return (self._problem("the release is not there", "publish it"),)
            problems = [*self._compare_all(manifest, sha)]
            if not problems and load:
                problems = [*self._load(manifest, sha)]
        if not problems:
            self._verified.add((manifest.digest, sha))
            self._commit[manifest.digest] = sha
        return tuple(problems)

    def read_back(
        self, manifest: Manifest, paths: Sequence[str] | None = None, watcher: Watcher | None = None
    ) -> tuple[Problem, ...]:
        """Download files of a release and compare their bytes with the manifest.

        Args:
            manifest: The release.
            paths: Which files; all if None.
            watcher: Is told how far it is.
        """
        watcher, problems = watcher or _Unwatched(), []
        entries = [entry for entry in _entries(manifest) if paths is None or entry.path in paths]
        done, total = 0, sum(entry.num_bytes for entry in entries)
        with self._hub.stage("downloading files", total):
            sha = self._find(manifest)
            if sha is None:
                return (self._problem("the release is not there", "publish it"),)
            for entry in entries:
                found = self._content_digest(entry.path, sha, entry.num_bytes, entry.sha256)
                if found != entry.sha256:
                    message = "the bytes that come back are not those that were published"
                    problems.append(self._file_problem(message, entry.path))
                done += entry.num_bytes
                watcher.advance("downloading files", done, total)
        return tuple(problems)

    def tag(self, manifest: Manifest) -> None:
        """Give the commit that `verify` has found right its tag. A tag that is there is never moved.

        Raises:
            ReleaseError: The commit is not verified, the tag is elsewhere, or the Hub did not do it.
        """
        sha, tag = self._commit.get(manifest.digest, ""), _tag(manifest.version)
        if (manifest.digest, sha) not in self._verified:
            raise ReleaseError(self._problem("a release is tagged only when it is verified", "verify it"))
        with self._hub.stage("tagging"):
            for attempt in range(1, self._hub.limits.attempts + 1):
                found = self._tags().get(tag)
                if found is not None:
                    self._check_tag(tag, found, sha)
                    return
                try:
                    self._hub.ask(self._make_tag(tag, sha, manifest), repeat=False)
                except HubError as error:  # 409: somebody was faster; no answer: it may be there
                    if not (error.passing or error.status == 409) or attempt == self._hub.limits.attempts:
                        raise
                    self._hub.wait(error, attempt)
                else:
                    return

    def receipt(self, manifest: Manifest) -> Receipt:
        """Say where a release is that has been verified; its revision is the commit's sha.

        Raises:
            ReleaseError: It is not known to be there.
        """
        sha = self._commit.get(manifest.digest)
        if sha is None:
            raise ReleaseError(self._problem("the release is not known to be there", "publish or verify it"))
        return Receipt(
            target="hub",
            url=f"{self._url}/tree/{_tag(manifest.version)}",
            version=manifest.version,
            revision=sha,
            manifest_sha256=manifest.digest,
        )

    def status(self, version: str | None = None) -> tuple[HubVersion, ...]:
        """Say which versions are there, and whether each is what its own manifest says.

        Args:
            version: Only this one; all, and what `main` holds beside them, if None.

        Raises:
            HubError: The repository cannot be read. One that does not exist has no versions.
        """
        with self._hub.stage("reading what is there"):
            refs = self._refs()
            if refs is None:
                return ()
            tags = {ref.name: ref.target_commit for ref in refs.tags if _version_of(ref.name)}
            wanted = [tag for tag in tags if version is None or tag == _tag(version)]
            found = [self._version(tag, tags[tag]) for tag in sorted(wanted, key=_order)]
            head = _head(refs)
            release = self._release(head) if head and head not in tags.values() else None
            if head and release and _tag(release.version) not in tags and version in (None, release.version):
                found.append(self._version(None, head))
            return tuple(found)

    # Reading what is there

    def _refs(self) -> GitRefs | None:
        """Give branches and tags; None where there is no such repository, as far as the token can see."""
        try:
            return self._hub.ask(lambda api: api.list_repo_refs(self._hub.repository, repo_type=_REPO))
        except HubError as error:
            # Without a token, the Hub says 401 for what does not exist, too.
            if error.status == 404 or (error.status == 401 and self._hub.token is None):
                return None
            raise

    def _tags(self) -> Mapping[str, str]:
        refs = self._refs()
        return {ref.name: ref.target_commit for ref in refs.tags} if refs else {}

    def _files(self, sha: str) -> dict[str, RepoFile]:
        def list_files(api: HfApi) -> list[RepoFile]:
            tree = api.list_repo_tree(self._hub.repository, recursive=True, revision=sha, repo_type=_REPO)
            return [entry for entry in tree if isinstance(entry, RepoFile)]

        return {file.path: file for file in self._hub.ask(list_files)}

    def _read(self, file: RepoFile, sha: str) -> bytes:
        """Download a small file."""

        def read(_: HfApi) -> bytes:
            data = bytearray()
            self._hub.read(file.path, sha, file.size, data.extend)
            return bytes(data)

        return self._hub.ask(read)

    def _release(self, sha: str, files: Mapping[str, RepoFile] | None = None) -> Release | None:
        """Read which release a commit holds; None where it has no manifest that can be read."""
        file = (self._files(sha) if files is None else files).get(MANIFEST_NAME)
        if file is None or file.size > _MAX_MANIFEST_BYTES:
            return None
        return _parse_release(self._read(file, sha))

    def _find(self, manifest: Manifest) -> str | None:
        """Give the commit that holds a release: this run's own, the tagged one, or `main`'s."""
        sha = self._commit.get(manifest.digest)
        refs = self._refs() if sha is None else None
        if refs is not None:
            tags = {ref.name: ref.target_commit for ref in refs.tags}
            sha = tags.get(_tag(manifest.version)) or _head(refs)
        return sha

    def _sha256(self, file: RepoFile, sha: str) -> str:
        """Give a file's digest as the Hub lists it; of files in git, that of the content."""
        if file.lfs is not None:
            return str(file.lfs.sha256)
        if file.blob_id not in self._digests:
            self._digests[file.blob_id] = hashlib.sha256(self._read(file, sha)).hexdigest()
        return self._digests[file.blob_id]

    def _content_digest(self, path: str, sha: str, num_bytes: int, expected: str) -> str:
        """Download a file and digest it; a card without its hand-written parts counts as the one built."""

        def digest(_: HfApi) -> str:
            found, card = hashlib.sha256(), bytearray()
            limit = _MAX_SMALL_BYTES if path == _CARD else num_bytes

            def take(piece: bytes) -> None:
                found.update(piece)
                if path == _CARD:
                    card.extend(piece)

            self._hub.read(path, sha, limit, take)
            return expected if path == _CARD and is_card(bytes(card), expected) else found.hexdigest()

        return self._hub.ask(digest)

    def _difference(self, entry: FileEntry, files: Mapping[str, RepoFile], sha: str) -> str | None:
        """Say how a file at a commit differs from what it should be; None where it does not."""
        file = files.get(entry.path)
        if file is None:
            return "the file is missing"
        if entry.path == _CARD and file.lfs is None and file.size <= _MAX_SMALL_BYTES:
            same = is_card(self._read(file, sha), entry.sha256)
            return None if same else "the card differs outside of what is kept"
        if file.size != entry.num_bytes:
            return f"the file has {file.size:,} bytes, {entry.num_bytes:,} in the manifest"
        if file.lfs is None and file.size > _MAX_SMALL_BYTES:
            return "the Hub lists no digest of the file"
        return None if self._sha256(file, sha) == entry.sha256 else "the file has another digest"

    def _compare(
        self, release: Sequence[FileEntry], files: Mapping[str, RepoFile], sha: str
    ) -> Iterator[Problem]:
        for entry in release:
            difference = self._difference(entry, files, sha)
            if difference is not None:
                yield self._file_problem(difference, entry.path)

    def _compare_all(self, manifest: Manifest, sha: str) -> Iterator[Problem]:
        files = self._files(sha)
        yield from self._compare(_entries(manifest), files, sha)
        known = {entry.path for entry in _entries(manifest)}
        yield from self._strays(manifest, files.keys() - known)

    def _strays(self, manifest: Manifest, others: set[str]) -> Iterator[Problem]:
        """Name files of nobody's that the card's patterns would load with the data."""
        folders = {(str(PurePosixPath(s.path).parent), PurePosixPath(s.path).suffix) for s in manifest.shards}
        for path in sorted(others):
            pure = PurePosixPath(path)
            if (str(pure.parent), pure.suffix) in folders:
                message = "the file is of no release and would be loaded with the data"
                yield self._file_problem(message, path, "remove it from the repository, or move it")

    def _version(self, tag: str | None, sha: str) -> HubVersion:
        files = self._files(sha)
        release = self._release(sha, files)
        if release is None:
            problem = self._file_problem("there is no manifest that can be read", MANIFEST_NAME)
            return HubVersion(tag and _version_of(tag) or "", tag, sha, None, (problem,))
        problems = [*self._compare(release.files, files, sha)]
        if tag is not None and tag != _tag(release.version):
            problems.append(self._problem(f"{tag} holds version {release.version}", "do not use it"))
        return HubVersion(release.version, tag, sha, release.manifest_sha256, tuple(problems))

    # Planning

    def _plan(self, manifest: Manifest, folder: Path | None) -> HubPlan:
        refs, tag = self._refs(), _tag(manifest.version)
        if refs is None:
            new = {entry.path: entry.num_bytes for entry in _entries(manifest)}
            return self._with_access(
                HubPlan(url=self._url, action=Action.ADD, add=new, creates=True, commits=1, tags=1)
            )
        tagged = {ref.name: ref.target_commit for ref in refs.tags}.get(tag)
        if tagged is not None:
            return self._plan_tagged(manifest, tag, tagged)
        head = _head(refs)
        if head is None:
            problem = self._problem(f"the repository has no branch {_BRANCH}", "make it the default branch")
            return HubPlan(url=self._url, action=Action.REFUSE, problems=(problem,))
        if any(ref.name == tag for ref in refs.branches):
            problem = self._problem(f"a branch is called {tag}, as the tag will be", "rename the branch")
            return HubPlan(url=self._url, action=Action.REFUSE, problems=(problem,))
        return self._with_access(self._plan_on(manifest, folder, head))

    def _plan_tagged(self, manifest: Manifest, tag: str, sha: str) -> HubPlan:
        """Keep a version that is there already, or refuse to make it again with other content."""
        release = self._release(sha)
        if release is not None and release.manifest_sha256 == manifest.digest:
            self._commit[manifest.digest] = sha
            there = {entry.path: entry.num_bytes for entry in _entries(manifest)}
            return HubPlan(url=self._url, action=Action.KEEP, keep=there, base=sha)
        if release is None:
            message = f"{tag} is there, and holds no release that can be read"
        else:
            message = (
                f"version {manifest.version} is there with other content"
                f" (manifest {release.manifest_sha256[:12]}… there, {manifest.digest[:12]}… here)"
            )
        problem = self._problem(message, _NEXT_VERSION)
        return HubPlan(url=self._url, action=Action.REFUSE, problems=(problem,), base=sha)

    def _plan_on(self, manifest: Manifest, folder: Path | None, head: str) -> HubPlan:
        files = self._files(head)
        before = self._release(head, files)
        if folder is not None:
            self._learn(manifest, folder, files)
        entries = _entries(manifest)
        changed = {entry.path for entry in entries if self._difference(entry, files, head) is not None}
        wanted = {entry.path for entry in entries}
        others = files.keys() - wanted
        ours = {entry.path for entry in before.files} if before else set()
        remove = {path: files[path].size for path in sorted(others & ours)}
        foreign = others - ours
        problems = [*self._strays(manifest, foreign), *self._older(manifest, before)]
        problems += self._card_problems(files, head)
        add = {entry.path: entry.num_bytes for entry in entries if entry.path in changed}
        if not add and not remove:
            self._commit[manifest.digest] = head
        return HubPlan(
            url=self._url,
            action=Action.REFUSE if problems else Action.ADD,
            problems=tuple(problems),
            add=add,
            keep={entry.path: entry.num_bytes for entry in entries if entry.path not in changed},
            remove=remove,
            foreign=tuple(sorted(foreign)),
            base=head,
            commits=1 if add or remove else 0,
            tags=1,
            notes=tuple(self._notes(manifest, before, files, head, len(add) + len(remove))),
        )

    def _learn(self, manifest: Manifest, folder: Path, files: Mapping[str, RepoFile]) -> None:
        """Note the digests of small files that are there as they are here, which spares downloading them."""
        for entry in _entries(manifest):
            file = files.get(entry.path)
            if file is not None and file.lfs is None and file.size == entry.num_bytes <= _MAX_SMALL_BYTES:
                data = (folder / entry.path).read_bytes()
                self._digests[_blob_id(data)] = hashlib.sha256(data).hexdigest()

    def _older(self, manifest: Manifest, before: Release | None) -> Iterator[Problem]:
        if before is not None and _order(before.version) > _order(manifest.version):
            message = f"{_BRANCH} holds version {before.version}; {manifest.version} would take readers back"
            yield self._problem(message, f"give a version after {before.version}")

    def _card_problems(self, files: Mapping[str, RepoFile], head: str) -> Iterator[Problem]:
        try:
            self._kept(files, head)
        except ValueError as error:
            message = f"nobody can say what of the card is to be kept: {error}"
            yield self._file_problem(message, _CARD, "mend the markers on the Hub")

    def _kept(self, files: Mapping[str, RepoFile], head: str) -> list[str]:
        """Give the hand-written parts of the card that is there.

        Raises:
            ValueError: The markers are not pairs.
        """
        card = files.get(_CARD)
        readable = card is not None and card.lfs is None and card.size <= _MAX_SMALL_BYTES
        return read_kept(self._read(card, head)) if card is not None and readable else []

    def _notes(
        self,
        manifest: Manifest,
        before: Release | None,
        files: Mapping[str, RepoFile],
        head: str,
        num_changes: int,
    ) -> Iterator[str]:
        if num_changes > _ADVISED_FILES:
            yield f"{num_changes} files in one commit; the Hub advises fewer than {_ADVISED_FILES}"
        if before is None:
            if _CARD in files:
                yield f"{_CARD} is of no release: all of it but what stands between markers is replaced"
            return
        if before.version == manifest.version and before.manifest_sha256 != manifest.digest:
            yield f"{_BRANCH} holds {before.version} with other content and no tag: it is replaced"
        for entry in before.files:
            if entry.path in files and self._difference(entry, files, head) is not None:
                shown = printable(entry.path)
                yield f"{shown} was changed since {before.version}; that change is not kept"

    def _with_access(self, plan: HubPlan) -> HubPlan:
        access = tuple(self._access()) if plan.commits or plan.tags else ()
        values = {name: getattr(plan, name) for name in HubPlan.__dataclass_fields__}
        return HubPlan(**{**values, "access": access})

    def _access(self) -> Iterator[Problem]:
        """Ask who the token is, and say what keeps it from writing; a fine-grained one is known by trying."""
        if self._hub.token is None:
            fix = "make a token with write access and put it into HF_TOKEN, or use `hf auth login`"
            yield self._problem("no token is set", fix)
            return
        try:
            who = self._who = self._who or self._hub.ask(lambda api: api.whoami())
        except HubError as error:
            yield from error.problems
            return
        role = _dig(who, "auth", "accessToken", "role")
        names = {who.get("name"), *(_dig(org, "name") for org in who.get("orgs") or ())}
        namespace = self._hub.repository.partition("/")[0]
        if role == "read":
            yield self._problem("the token can only read", "use one with write access")
        if role != "fineGrained" and namespace not in names:
            shown = ", ".join(sorted(printable(str(name)) for name in names if name))
            message = f"the token may not write in the namespace {namespace} (it may in: {shown})"
            yield self._problem(message, "correct the repository's name, or use another token")

    # Writing

    def _create(self) -> None:
        self._hub.ask(
            lambda api: api.create_repo(
                self._hub.repository, repo_type=_REPO, private=self._private or None, exist_ok=True
            )
        )

    def _publish(self, folder: Path, manifest: Manifest, plan: HubPlan, watcher: Watcher) -> None:
        """Send content, then commit it; a commit that nobody knows of is found by planning anew."""
        operations: list[CommitOperation] = [*self._send(folder, manifest, plan, watcher)]
        operations += [CommitOperationDelete(path, is_folder=False) for path in plan.remove]
        for attempt in range(1, self._hub.limits.attempts + 1):
            try:
                self._hub.ask(
                    lambda api: api.create_commit(
                        self._hub.repository,
                        operations,
                        commit_message=f"Release {manifest.version}",
                        commit_description=f"Manifest SHA-256: {manifest.digest}",
                        repo_type=_REPO,
                        parent_commit=plan.base,
                    ),
                    repeat=False,
                )
            except HubError as error:
                if error.status in (409, 412):  # the branch has moved
                    return
                if not error.passing and error.status is not None:
                    raise
                # Nobody knows whether it was made, now or a little later.
                if attempt < self._hub.limits.attempts and error.passing:
                    self._hub.wait(error, attempt)
                refs = self._refs()
                if refs is None or _head(refs) != plan.base:
                    return
                if attempt == self._hub.limits.attempts or not error.passing:
                    raise
            else:
                return

    def _send(
        self, folder: Path, manifest: Manifest, plan: HubPlan, watcher: Watcher
    ) -> Iterator[CommitOperationAdd]:
        """Send the content of large files, in batches; what has arrived before is not sent again."""
        entries = [entry for entry in _entries(manifest) if entry.path in plan.add]
        done, total = 0, plan.num_bytes
        watcher.advance("sending files", done, total)
        for batch in _batches(entries):
            additions = [self._addition(folder, entry, plan) for entry in batch]
            self._hub.ask(
                lambda api, additions=additions: api.preupload_lfs_files(  # type: ignore[misc]
                    self._hub.repository, additions, repo_type=_REPO, free_memory=False
                )
            )
            for entry, addition in zip(batch, additions, strict=True):
                if entry.path != _CARD and addition.upload_info.sha256.hex() != entry.sha256:
                    message = "the file is not that of the manifest, or was changed while it was sent"
                    raise ReleaseError(self._file_problem(message, entry.path, "build the release anew"))
                done += entry.num_bytes
            watcher.advance("sending files", done, total)
            yield from additions

    def _addition(self, folder: Path, entry: FileEntry, plan: HubPlan) -> CommitOperationAdd:
        path = folder / entry.path
        if not path.is_file():
            raise ReleaseError(
                self._file_problem("the file is not in the build", entry.path, "build it anew")
            )
        if entry.path != _CARD:
            return CommitOperationAdd(entry.path, path)
        card = path.read_bytes()
        if hashlib.sha256(card).hexdigest() != entry.sha256:
            raise ReleaseError(
                self._file_problem(
                    "the file is not that of the manifest", entry.path, "build the release anew"
                )
            )
        assert plan.base is not None
        return CommitOperationAdd(entry.path, put_back(card, self._kept(self._files(plan.base), plan.base)))

    def _tell_who_moved(self, base: str | None, watcher: Watcher, exact: bool) -> None:
        """Say who has committed since a plan was made, and what."""

        def list_commits(api: HfApi) -> list[Any]:
            return list(api.list_repo_commits(self._hub.repository, repo_type=_REPO))

        since = takewhile(lambda commit: commit.commit_id != base, self._hub.ask(list_commits))
        what = "; ".join(
            self._hub.redact(f"{', '.join(map(str, commit.authors))}: {commit.title}")
            for commit in [*since][:5]
        )
        message = f"{_BRANCH} has moved since it was planned ({what or 'its history was rewritten'})"
        if exact:
            raise ReleaseError(self._problem(message, "make a new plan and look at it"))
        watcher.note(f"{message}; planned anew")

    def _make_tag(self, tag: str, sha: str, manifest: Manifest) -> Callable[[HfApi], None]:
        return lambda api: api.create_tag(
            self._hub.repository,
            tag=tag,
            tag_message=f"Manifest SHA-256: {manifest.digest}",
            revision=sha,
            repo_type=_REPO,
        )

    def _check_tag(self, tag: str, found: str, sha: str) -> None:
        if found != sha:
            message = f"{tag} is there and is another commit ({found[:12]}…, not {sha[:12]}…)"
            raise ReleaseError(self._problem(message, _NEXT_VERSION))

    # Loading

    def _load(self, manifest: Manifest, sha: str) -> Iterator[Problem]:
        """Have `datasets` load one row of each config in a process of its own, with fresh caches."""
        with tempfile.TemporaryDirectory(prefix="sfhq-hub-") as home:
            environment = {**os.environ, "HF_HOME": home, "TMPDIR": home, "HF_ENDPOINT": self._hub.endpoint}
            environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
            environment.pop("HF_HUB_OFFLINE", None)
            if self._hub.token:
                environment["HF_TOKEN"] = self._hub.token
            try:
                done = subprocess.run(  # noqa: S603 - our own file, run by our own interpreter
                    [sys.executable, "-I", str(_CONSUMER), self._hub.repository, sha],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=self._hub.limits.stage_seconds,
                )
            except subprocess.TimeoutExpired:
                yield self._problem("`datasets` takes too long to load the release", "try again later")
                return
        if done.returncode != 0:
            last = self._hub.redact((done.stderr.strip().splitlines() or ["no message"])[-1])
            yield self._problem(f"`datasets` cannot load the release: {last}", "see the message")
            return
        found = json.loads(done.stdout.splitlines()[-1])
        wanted = {config: sorted(splits) for config, splits in manifest.configs.items()}
        loaded = {config: sorted(splits) for config, splits in found.items()}
        if wanted != loaded:
            message = f"`datasets` finds other configs and splits: {loaded}, not {wanted}"
            yield self._problem(message, "see the card's header")

    def _problem(self, message: str, fix: str) -> Problem:
        return Problem(Reason.RELEASE, message, file=self._url, fix=fix)

    def _file_problem(self, message: str, path: str, fix: str = "publish the release again") -> Problem:
        return Problem(Reason.RELEASE, message, file=f"{self._url}: {path}", fix=fix)


def _entries(manifest: Manifest) -> tuple[FileEntry, ...]:
    """Give every file of a release, the manifest last."""
    data = manifest.to_json()
    own = FileEntry(path=MANIFEST_NAME, num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    return (*manifest.all_files, own)


def _parse_release(data: bytes) -> Release | None:
    """Read what is needed of a manifest, which another version of the kit may have written."""
    try:
        value = json.loads(data)
        listed = [
            FileEntry(path=item["path"], num_bytes=item["num_bytes"], sha256=item["sha256"])
            for item in (*value["shards"], *value["files"])
        ]
        version = value["inputs"]["version"]
    except (ValueError, TypeError, KeyError, RecursionError, ValidationError):
        return None
    if not isinstance(version, str) or not VERSION_PATTERN.fullmatch(version):
        return None
    digest = hashlib.sha256(data).hexdigest()
    own = FileEntry(path=MANIFEST_NAME, num_bytes=len(data), sha256=digest)
    return Release(version, digest, (*listed, own))


def _batches(entries: Sequence[FileEntry]) -> Iterator[list[FileEntry]]:
    batch: list[FileEntry] = []
    for entry in entries:
        full = len(batch) == _BATCH_FILES or sum(e.num_bytes for e in batch) + entry.num_bytes > _BATCH_BYTES
        if batch and full:
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ReleaseError(problems)


def _head(refs: GitRefs) -> str | None:
    return next((ref.target_commit for ref in refs.branches if ref.name == _BRANCH), None)


def _tag(version: str) -> str:
    return f"v{version}"


def _version_of(tag: str) -> str | None:
    return tag[1:] if tag.startswith("v") and VERSION_PATTERN.fullmatch(tag[1:]) else None


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def _blob_id(data: bytes) -> str:
    """Give the id that git has for a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _dig(value: object, *keys: str) -> object:
    """Follow keys into an answer, which may be anything."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
