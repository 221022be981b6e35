"""Sending a release to the Hub: the content of files, one commit on a pinned parent, then the tag.

An answer proves nothing: a proxy may answer 200 with a page of its own. What counts is what the Hub lists
afterwards, so each write is followed by a look, and is repeated while the look does not find it.

A commit is not sent again blindly when its answer is lost. Its parent is pinned, so a commit that was made
after all shows as a branch that has moved.
"""

import hashlib
import re
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperation, CommitOperationAdd, CommitOperationDelete, HfApi

from publish.hosts.hub.card import put_back
from publish.hosts.hub.client import AGAIN, Hub, HubError
from publish.hosts.hub.contents import CARD, Contents, all_entries
from publish.hosts.hub.planning import HubPlan, batches
from publish.hosts.protocol import Watcher
from publish.hosts.refusals import NEXT_VERSION
from schemas.manifest import FileEntry, Manifest
from schemas.problems import ReleaseError
from schemas.versions import tag_of

_SENDING = "sending files"
_MAX_COMMITS_READ = 20
# The Hub refuses a commit with a file that its store lacks: 400, "an LFS pointer pointed to a file that does
# not exist".
_LOST_CONTENT = re.compile(r"pointer|does not exist|missing", re.IGNORECASE)


class Sender:
    """Writes to the repository, within a stage of `hub`."""

    def __init__(self, hub: Hub, contents: Contents) -> None:
        self._hub, self._contents = hub, contents
        self._run = secrets.token_hex(8)  # in the text of each commit, so that a run knows its own

    def create(self, *, private: bool) -> None:
        """Make the repository if it is missing, and see that it is there.

        Args:
            private: Whether a repository that is made is private.

        Raises:
            HubError: The Hub did not make it, or does not show it.
        """

        def create_once() -> None:
            error: HubError | None = None
            try:
                self._hub.ask(
                    lambda api: api.create_repo(
                        self._hub.repository,
                        repo_type=self._hub.repo_type,
                        private=private or None,
                        space_sdk="static" if self._hub.repo_type == "space" else None,
                        exist_ok=True,
                    ),
                    repeat=False,
                )
            except HubError as failure:
                if not failure.is_transient:
                    raise
                error = failure
            if self._contents.refs() is None:
                raise error or self._not_there("the repository", "see that the token may read there")

        self._hub.retry(create_once)

    def publish(
        self, folder: Path, manifest: Manifest, plan: HubPlan, base: str, watcher: Watcher
    ) -> str | None:
        """Send content, then commit it on `base`.

        Returns:
            The commit's sha; None if the branch has moved, maybe by this commit.

        Raises:
            ReleaseError: A file is not that of the manifest, or the Hub did not do it.
        """
        title, text = f"Release {manifest.version}", f"Manifest SHA-256: {manifest.digest}\nRun: {self._run}"

        def send_once() -> str | None:
            operations: list[CommitOperation] = [*self._send(folder, manifest, plan, base, watcher)]
            operations += [CommitOperationDelete(path, is_folder=False) for path in plan.remove]
            self._hub.tell(f"committing {len(operations)} changes")
            try:
                return self.commit(operations, base, title, text, watcher)
            except HubError as error:
                # The store did not keep what it was sent. The next try sends what it lacks.
                error.is_transient |= error.status == 400 and bool(_LOST_CONTENT.search(str(error)))
                raise

        return self._hub.retry(send_once)

    def commit(
        self, operations: list[CommitOperation], base: str, title: str, text: str, watcher: Watcher
    ) -> str | None:
        """Commit on `base`, and return the sha; None if the branch has moved, maybe by this commit.

        Raises:
            HubError: The Hub did not do it.
        """
        unconfirmed: HubError | None = None

        def commit_once() -> str | None:
            nonlocal unconfirmed
            if unconfirmed is not None and self._has_moved(base):
                return None
            try:
                made = self._hub.ask(
                    lambda api: self._make_commit(api, operations, base, title, text, watcher), repeat=False
                ).oid
                head = self._head()
                if head == base:
                    raise self._not_there(f"the commit {made[:12]}…")
                return made if head == made else None
            except HubError as error:
                # The Hub may answer 409 or 412 for a branch that has not moved, so look at the branch before
                # planning again. A conflict without another commit is transient.
                if error.status in (409, 412):
                    if self._has_moved(base):
                        return None
                    error.is_transient = True
                unconfirmed = error
                raise

        try:
            return self._hub.retry(commit_once)
        except HubError as error:
            # It is unknown whether the commit was made where no answer came, or one that asks to try again.
            is_unknown = error.is_transient or error.status is None
            if error is unconfirmed and is_unknown and self._has_moved(base):
                return None
            raise

    def has_committed(self) -> bool:
        """Whether this run has made one of the last commits, though the answer may have been lost."""
        return any(self._run in commit.message for commit in self._contents.commits()[:_MAX_COMMITS_READ])

    def tag(self, manifest: Manifest, sha: str) -> None:
        """Give a commit its tag, and see that it has it. An existing tag is never moved.

        Raises:
            ReleaseError: The tag is elsewhere, or the Hub did not do it.
        """
        tag = tag_of(manifest.version)

        def tag_once() -> None:
            error: HubError | None = None
            if self._is_tagged(tag, sha):
                return
            try:
                self._hub.ask(lambda api: self._make_tag(api, manifest, sha), repeat=False)
            except HubError as failure:
                # 409: another run was faster, and the next look finds its tag.
                failure.is_transient |= failure.status == 409
                if not failure.is_transient:
                    raise
                error = failure
            if not self._is_tagged(tag, sha):
                raise error or self._not_there(f"the tag {tag}")

        self._hub.retry(tag_once)

    def _head(self) -> str | None:
        refs = self._contents.refs()
        return None if refs is None else refs.head

    def _has_moved(self, base: str) -> bool:
        return self._head() != base

    def _not_there(self, written: str, fix: str = AGAIN) -> HubError:
        """Return the error of a write that the Hub has answered well and does not show."""
        message = f"the Hub answered that {written} is made, but does not list it"
        return HubError(self._contents.problem(message, fix, "host/unreachable"), is_transient=True)

    def _make_commit(
        self,
        api: HfApi,
        operations: list[CommitOperation],
        base: str,
        title: str,
        text: str,
        watcher: Watcher,
    ) -> CommitInfo:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            made = api.create_commit(
                self._hub.repository,
                operations,
                commit_message=title,
                commit_description=text,
                repo_type=self._hub.repo_type,
                parent_commit=base,
            )
        for warning in warned:  # what the Hub says of the card
            watcher.note(self._hub.redact(str(warning.message)))
        return made

    def _make_tag(self, api: HfApi, manifest: Manifest, sha: str) -> None:
        api.create_tag(
            self._hub.repository,
            tag=tag_of(manifest.version),
            revision=sha,
            repo_type=self._hub.repo_type,
        )

    def _is_tagged(self, tag: str, sha: str) -> bool:
        refs = self._contents.refs()
        found = refs.tags.get(tag) if refs is not None else None
        if found is not None and found != sha:
            message = f"{tag} is there and is another commit ({found[:12]}…, not {sha[:12]}…)"
            raise ReleaseError(self._contents.problem(message, NEXT_VERSION, "host/version-exists"))
        return found is not None

    def _send(
        self, folder: Path, manifest: Manifest, plan: HubPlan, base: str, watcher: Watcher
    ) -> Iterator[CommitOperationAdd]:
        """Send the content of large files, in batches; content that the store has is not sent again."""
        done, total = 0, plan.num_bytes
        watcher.advance(_SENDING, done, total)
        entries = {entry.path: entry for entry in all_entries(manifest)}
        for batch in batches(plan.add):
            additions = [self._addition(folder, entries[path], base) for path in batch]
            end = done + sum(entries[path].num_bytes for path in batch)

            def show(sent: int, start: int = done, end: int = end) -> None:
                watcher.advance(_SENDING, min(start + sent, end), total)

            self._send_batch(additions, show)
            for path, addition in zip(batch, additions, strict=True):
                entry = entries[path]
                if entry.path != CARD:
                    self._check_digest(entry, addition.upload_info.sha256.hex())
                done += entry.num_bytes
            watcher.advance(_SENDING, done, total)
            yield from additions

    def _send_batch(self, additions: list[CommitOperationAdd], tell: Callable[[int], object]) -> None:
        """Send content, and tell of each piece how many bytes of the batch are sent by now."""
        sent, lock = 0, threading.Lock()

        def send(api: HfApi) -> None:
            nonlocal sent
            sent = 0  # of this try
            api.preupload_lfs_files(
                self._hub.repository, additions, repo_type=self._hub.repo_type, free_memory=False
            )

        def count(num_bytes: int) -> None:
            nonlocal sent
            with lock:
                sent += num_bytes
            tell(sent)

        with self._hub.count_sent(count):
            self._hub.ask(send)

    def _addition(self, folder: Path, entry: FileEntry, base: str) -> CommitOperationAdd:
        path = folder / entry.path
        if not path.is_file():
            raise ReleaseError(
                self._contents.file_problem("the build lacks the file", entry.path, "build it")
            )
        if entry.path != CARD:
            return CommitOperationAdd(entry.path, path)
        card = path.read_bytes()
        self._check_digest(entry, hashlib.sha256(card).hexdigest())
        return CommitOperationAdd(entry.path, put_back(card, *self._contents.kept(base)))

    def _check_digest(self, entry: FileEntry, found: str) -> None:
        """Refuse a file that has changed since the release was checked."""
        if found != entry.sha256:
            message = "the build's file is not that of its manifest"
            raise ReleaseError(self._contents.file_problem(message, entry.path, "build the release again"))
