"""The contents of a repository on the Hub: branches, tags, files of a commit, and the release in it.

A commit never changes, and neither does the file that a git id names. So each is read once.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi
from huggingface_hub.hf_api import GitCommitInfo, RepoFile
from pydantic import ValidationError

from publish.hosts.hub.card import is_card, read_kept
from publish.hosts.hub.client import AGAIN, Hub, HubError
from schemas.configs import Format
from schemas.manifest import MANIFEST_NAME, FileEntry, Manifest, is_given, own_entry
from schemas.problems import Problem, Reason
from schemas.versions import VERSION_PATTERN, tag_of
from schemas.withdrawals import mark_changelog, mark_text, withdrawals

TARGET, BRANCH = "hub", "main"
CARD, CHANGELOG = "README.md", "CHANGELOG.md"
ATTRIBUTES = ".gitattributes"  # the Hub itself puts it into every repository

_OWN_YAML = ".huggingface.yaml"  # goes before the card's header

_MAX_SMALL_BYTES = 10_000_000  # the Hub keeps larger files in its large file store
_MAX_MANIFEST_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Refs:
    """The branches and tags of a repository.

    Attributes:
        head: The sha of `main`'s last commit; None where there is no such branch.
        branches: The names of all branches.
        tags: Name → a commit's sha.
    """

    head: str | None
    branches: frozenset[str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Release:
    """The release of a commit, as its manifest states it; any version of the kit may have written that.

    Attributes:
        version: The dataset's version.
        manifest_sha256: Its manifest's digest.
        files: Every file that the Hub was given, with size and digest, the manifest included.
    """

    version: str
    manifest_sha256: str
    files: tuple[FileEntry, ...]


class Contents:
    """Reads what a repository holds, within a stage of `hub`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.url = hub.url
        self._trees: dict[str, Mapping[str, RepoFile]] = {}
        self._texts: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}

    def refs(self) -> Refs | None:
        """Return branches and tags as they are now; None if there is no repository that the token can see.

        Raises:
            HubError: The Hub does not say.
        """
        try:
            found = self._hub.ask(
                lambda api: api.list_repo_refs(self._hub.repository, repo_type=self._hub.repo_type)
            )
        except HubError as error:
            # Without a token, the Hub says 401 for what does not exist, too.
            if error.status == 404 or (error.status == 401 and self._hub.token is None):
                return None
            raise
        branches = {ref.name: ref.target_commit for ref in found.branches}
        tags = {ref.name: ref.target_commit for ref in found.tags}
        return Refs(branches.get(BRANCH), frozenset(branches), tags)

    def files(self, sha: str) -> Mapping[str, RepoFile]:
        """List the files of a commit, by path."""

        def list_files(api: HfApi) -> Mapping[str, RepoFile]:
            tree = api.list_repo_tree(
                self._hub.repository, recursive=True, revision=sha, repo_type=self._hub.repo_type
            )
            return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}

        if sha not in self._trees:
            # An empty listing is asked for twice: a release upon it would keep nothing of the card.
            self._trees[sha] = self._hub.ask(list_files) or self._hub.ask(list_files)
        return self._trees[sha]

    def release(self, sha: str) -> Release | None:
        """Read which release a commit holds; None where it has no manifest that can be read."""
        data = self.manifest(sha)
        return _parse_release(data) if data is not None else None

    def manifest(self, sha: str) -> bytes | None:
        """Read a commit's manifest; None where it has none, or one that is too large."""
        file = self.files(sha).get(MANIFEST_NAME)
        return self._read(file, sha) if file is not None and file.size <= _MAX_MANIFEST_BYTES else None

    def find(self, refs: Refs, version: str) -> str | None:
        """Return the commit of a version: its tag's, or `main`'s where that holds it without a tag.

        A tag whose commit has no manifest belongs to no release.
        """
        tagged = refs.tags.get(tag_of(version))
        if tagged is not None and MANIFEST_NAME in self.files(tagged):
            return tagged
        release = self.release(refs.head) if refs.head is not None else None
        return refs.head if release is not None and release.version == version else None

    def withdrawn(self, sha: str, path: str = CARD) -> Mapping[str, str]:
        """Return the versions that a text of a commit says are withdrawn, each with the reason."""
        text = self.text(path, sha)
        return withdrawals(text.decode("utf-8", "replace")) if text else {}

    def kept(self, sha: str) -> tuple[list[str], dict[str, str]]:
        """Return the hand-written parts of a commit's card, and the versions that it says are withdrawn.

        Raises:
            ValueError: Its markers are not pairs.
        """
        card = self.text(CARD, sha)
        return (read_kept(card) if card else []), dict(self.withdrawn(sha))

    def marked(self, sha: str, version: str, reason: str) -> Mapping[str, bytes]:
        """Return the new content of each text of a commit that does not mark a version as withdrawn yet."""
        texts = {}
        for path, mark in ((CARD, mark_text), (CHANGELOG, mark_changelog)):
            data = self.text(path, sha)
            try:
                text = mark(data.decode(), version, reason) if data is not None else None
            except ValueError:  # not UTF-8, or a changelog of other releases
                continue
            if text is not None and data != (new := text.encode()):
                texts[path] = new
        return texts

    def lost(self, paths: Iterable[str], sha: str) -> Iterator[Problem]:
        """Yield a problem for each path that a commit lacks."""
        for path in sorted(set(paths) - self.files(sha).keys()):
            yield self.file_problem("the file is missing", path)

    def learn(self, manifest: Manifest, folder: Path, sha: str) -> None:
        """Note which small files equal those of a folder, so that they need no download."""
        files = self.files(sha)
        for entry in all_entries(manifest):
            file = files.get(entry.path)
            if file is not None and _is_readable(file) and file.size == entry.num_bytes:
                data = (folder / entry.path).read_bytes()
                self._digests[_git_id(data)] = hashlib.sha256(data).hexdigest()

    def difference(self, entry: FileEntry, sha: str, *, by_listing: bool = False) -> str | None:
        """Return how a file of a commit differs from the expected one; None if it does not.

        Args:
            entry: What it should be.
            sha: The commit.
            by_listing: Read no file, so that of small ones only the size is compared, of the card nothing.
        """
        file = self.files(sha).get(entry.path)
        if file is None:
            return "the file is missing"
        if entry.path == CARD and _is_readable(file):
            same = by_listing or is_card(self._read(file, sha), entry.sha256)
            return None if same else "the card differs outside of what is kept"
        if file.size != entry.num_bytes:
            return f"the file has {file.size:,} bytes, {entry.num_bytes:,} in the manifest"
        if file.lfs is None and not _is_readable(file):
            return "the Hub lists no digest of the file"
        if file.lfs is None and by_listing:
            return None
        return None if self._sha256(file, sha) == entry.sha256 else "the file has another digest"

    def compare(self, entries: Iterable[FileEntry], sha: str) -> Iterator[Problem]:
        """Compare the size and digest of every file of a commit with its entry."""
        for entry in entries:
            difference = self.difference(entry, sha)
            if difference is not None:
                yield self.file_problem(difference, entry.path)

    def strays(self, manifest: Manifest, paths: Iterable[str]) -> Iterator[Problem]:
        """Yield a problem for each file of no release that changes what `datasets` loads."""
        script = f"{self._hub.repository.rpartition('/')[2]}.py"
        data = {(path.parent, path.suffix) for path in (PurePosixPath(s.path) for s in manifest.shards)}
        for path in sorted(paths):
            if (PurePosixPath(path).parent, PurePosixPath(path).suffix) in data:
                message = "the file is of no release and would be loaded with the data"
                yield self.file_problem(message, path, "remove it from the repository, or move it")
            elif path in (script, _OWN_YAML):
                message = "the file is of no release, and with it `datasets` does not load what the card says"
                yield self.file_problem(message, path, "remove it from the repository")

    def is_new(self, refs: Refs) -> bool:
        """Return whether a repository is unchanged since it was made: one commit without files of a user."""
        if refs.head is None or refs.tags or refs.branches != {BRANCH}:
            return False
        return self.files(refs.head).keys() <= {ATTRIBUTES} and len(self.commits()) == 1

    def commits(self) -> list[GitCommitInfo]:
        """List the commits of `main`, the newest first."""
        return self._hub.ask(
            lambda api: api.list_repo_commits(self._hub.repository, repo_type=self._hub.repo_type)
        )

    def download(self, entry: FileEntry, sha: str) -> Problem | None:
        """Download a file and compare its bytes with its entry."""
        size = 0

        def digest(_: HfApi) -> str:
            nonlocal size
            found, card, size = hashlib.sha256(), bytearray(), 0
            is_a_card = entry.path == CARD

            def take(piece: bytes) -> None:
                nonlocal size
                size += len(piece)
                found.update(piece)
                if is_a_card:
                    card.extend(piece)

            self._hub.read(entry.path, sha, _MAX_SMALL_BYTES if is_a_card else entry.num_bytes, take)
            same = is_a_card and is_card(bytes(card), entry.sha256)
            return entry.sha256 if same else found.hexdigest()

        for _ in range(self._hub.limits.retry.tries):
            if self._hub.ask(digest) == entry.sha256:
                return None
            if size == entry.num_bytes:
                break  # bytes of this size are the file; others may be a page of a proxy's
        return self.file_problem("the bytes that come back are not those that were published", entry.path)

    def absent(self, version: str) -> Problem:
        """Return the problem of a release that is not there."""
        return self.problem(
            f"the repository has no release {version}", "see which releases are there", "host/not-found"
        )

    def problem(self, message: str, fix: str, code: str) -> Problem:
        """Make a problem of the whole repository."""
        return Problem(Reason.RELEASE, message, file=self.url, fix=fix, code=code)

    def file_problem(self, message: str, path: str, fix: str = "publish the release again") -> Problem:
        """Make a problem of one of its files."""
        return Problem(Reason.RELEASE, message, file=f"{self.url}: {path}", fix=fix, code="host/file-differs")

    def is_private(self) -> bool:
        """Return whether only some people see the repository.

        Raises:
            HubError: The Hub does not say.
        """
        told = self._hub.ask(
            lambda api: api.repo_info(self._hub.repository, repo_type=self._hub.repo_type).private
        )
        if not isinstance(told, bool):
            problem = self.problem("the Hub does not say whether this is private", AGAIN, "host/unreachable")
            raise HubError(problem)
        return told

    def lists(self, path: str, data: bytes, sha: str) -> bool:
        """Return whether a commit has a file with these bytes, by the Hub's listing."""
        file = self.files(sha).get(path)
        return file is not None and file.size == len(data) and _is_content(data, file)

    def text(self, path: str, sha: str) -> bytes | None:
        """Download a small file; None where a commit has none."""
        file = self.files(sha).get(path)
        return self._read(file, sha) if file is not None and _is_readable(file) else None

    def _read(self, file: RepoFile, sha: str) -> bytes:
        """Download a small file."""

        def read(_: HfApi) -> bytes:
            data = bytearray()
            self._hub.read(file.path, sha, file.size, data.extend)
            if not _is_content(bytes(data), file):
                # Text written by hand would be lost if another answer were taken for the card.
                problem = self.file_problem("other bytes come back than the Hub lists", file.path, AGAIN)
                raise HubError(problem, is_transient=True)
            return bytes(data)

        if file.blob_id not in self._texts:
            # Compare small files by git's id, others by SHA-256: a proxy's page with status 200 instead of
            # the card would lose its hand-written parts.
            self._texts[file.blob_id] = self._hub.ask(read)
        return self._texts[file.blob_id]

    def _sha256(self, file: RepoFile, sha: str) -> str:
        """Return a file's digest as the Hub lists it; of files in git, that of the content."""
        if file.lfs is not None:
            return str(file.lfs.sha256)
        return self._digests.get(file.blob_id) or hashlib.sha256(self._read(file, sha)).hexdigest()


def version_of(tag: str) -> str | None:
    """Return the version that a tag is of; None if it is of none."""
    return tag[1:] if tag.startswith("v") and VERSION_PATTERN.fullmatch(tag[1:]) else None


def all_entries(manifest: Manifest) -> tuple[FileEntry, ...]:
    """Return every file of a release that the Hub is given, the manifest last."""
    return manifest.entries_for(TARGET)


def _is_readable(file: RepoFile) -> bool:
    return file.lfs is None and file.size <= _MAX_SMALL_BYTES


def _is_content(data: bytes, file: RepoFile) -> bool:
    """Whether bytes are those of a file by the digest that the Hub lists of it."""
    if file.lfs is not None:
        return hashlib.sha256(data).hexdigest() == file.lfs.sha256
    return _git_id(data) == file.blob_id


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _parse_release(data: bytes) -> Release | None:
    """Read the version and the files of a manifest that any version of the kit may have written."""
    try:
        value = json.loads(data)
        listed = [
            FileEntry(path=item["path"], num_bytes=item["num_bytes"], sha256=item["sha256"])
            for item in (*value["shards"], *value["files"])
        ]
        version = value["inputs"]["version"]
        formats = value["inputs"].get("formats", {}).get(TARGET, tuple(Format))
        given = [entry for entry in listed if is_given(entry.path, formats)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ValidationError):
        return None
    if not isinstance(version, str) or not VERSION_PATTERN.fullmatch(version):
        return None
    own = own_entry(data)
    return Release(version, own.sha256, (*given, own))
