"""Sending a release to the Hub: the content of files, one commit on a pinned parent, then the tag.

A commit is not sent again blindly when its answer is lost. Its parent is pinned, so a commit that was made
after all shows as a branch that has moved.
"""

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperation, CommitOperationAdd, CommitOperationDelete, HfApi

from publish.hosts.hub.card import put_back
from publish.hosts.hub.client import Hub, HubError
from publish.hosts.hub.contents import CARD, REPO_TYPE, Contents, all_entries
from publish.hosts.hub.planning import HubPlan, batches
from publish.hosts.protocol import Watcher
from publish.hosts.refusals import NEXT_VERSION
from schemas.manifest import FileEntry, Manifest
from schemas.problems import ReleaseError
from schemas.versions import tag_of


class Sender:
    """Writes to the repository, within a stage of `hub`."""

    def __init__(self, hub: Hub, contents: Contents) -> None:
        self._hub, self._contents = hub, contents

    def create(self, *, private: bool) -> None:
        """Make the repository if it is missing.

        Args:
            private: Whether a repository that is made is private.
        """
        self._hub.ask(
            lambda api: api.create_repo(
                self._hub.repository, repo_type=REPO_TYPE, private=private or None, exist_ok=True
            )
        )

    def publish(
        self, folder: Path, manifest: Manifest, plan: HubPlan, base: str, watcher: Watcher
    ) -> str | None:
        """Send content, then commit it on `base`.

        Returns:
            The commit's sha; None if the branch has moved, maybe by this commit.

        Raises:
            ReleaseError: A file is not that of the manifest, or the Hub did not do it.
        """
        operations: list[CommitOperation] = [*self._send(folder, manifest, plan, base, watcher)]
        operations += [CommitOperationDelete(path, is_folder=False) for path in plan.remove]
        title, text = f"Release {manifest.version}", f"Manifest SHA-256: {manifest.digest}"
        return self.commit(operations, base, title, text, watcher)

    def commit(
        self, operations: list[CommitOperation], base: str, title: str, text: str, watcher: Watcher
    ) -> str | None:
        """Commit on `base`, and return the sha; None if the branch has moved, maybe by this commit."""
        unconfirmed: HubError | None = None

        def commit_once() -> str | None:
            nonlocal unconfirmed
            if unconfirmed is not None and self._has_moved(base):
                return None
            try:
                return self._hub.ask(
                    lambda api: self._make_commit(api, operations, base, title, text, watcher), repeat=False
                ).oid
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

    def tag(self, manifest: Manifest, sha: str) -> None:
        """Return a commit its tag. A tag that is there is never moved.

        Raises:
            ReleaseError: The tag is elsewhere, or the Hub did not do it.
        """
        tag = tag_of(manifest.version)

        def tag_once() -> None:
            refs = self._contents.refs()
            if refs is not None and tag in refs.tags:
                self._check_tag(tag, refs.tags[tag], sha)
                return
            try:
                self._hub.ask(lambda api: self._make_tag(api, manifest, sha), repeat=False)
            except HubError as error:
                # 409: another run was faster, and the next look finds its tag.
                error.is_transient = error.is_transient or error.status == 409
                raise

        self._hub.retry(tag_once)

    def _has_moved(self, base: str) -> bool:
        refs = self._contents.refs()
        return refs is None or refs.head != base

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
                repo_type=REPO_TYPE,
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
            repo_type=REPO_TYPE,
        )

    def _check_tag(self, tag: str, found: str, sha: str) -> None:
        if found != sha:
            message = f"{tag} is there and is another commit ({found[:12]}…, not {sha[:12]}…)"
            raise ReleaseError(self._contents.problem(message, NEXT_VERSION, "host/version-exists"))

    def _send(
        self, folder: Path, manifest: Manifest, plan: HubPlan, base: str, watcher: Watcher
    ) -> Iterator[CommitOperationAdd]:
        """Send the content of large files, in batches; what has arrived before is not sent again."""
        done, total = 0, plan.num_bytes
        watcher.advance("sending files", done, total)
        entries = {entry.path: entry for entry in all_entries(manifest)}
        for batch in batches(plan.add):
            additions = [self._addition(folder, entries[path], base) for path in batch]
            self._send_batch(additions)
            for path, addition in zip(batch, additions, strict=True):
                entry = entries[path]
                if entry.path != CARD:
                    self._check_digest(entry, addition.upload_info.sha256.hex())
                done += entry.num_bytes
            watcher.advance("sending files", done, total)
            yield from additions

    def _send_batch(self, additions: list[CommitOperationAdd]) -> None:
        self._hub.ask(
            lambda api: api.preupload_lfs_files(
                self._hub.repository, additions, repo_type=REPO_TYPE, free_memory=False
            )
        )

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
        """Check that what was sent is what was checked: the build may have changed since."""
        if found != entry.sha256:
            message = "the build's file is not that of its manifest"
            raise ReleaseError(self._contents.file_problem(message, entry.path, "build the release again"))
