"""Plans of what a run would do to a repository on the Hub; planning only reads."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from publish.hosts.hub.client import AGAIN, Hub, HubError
from publish.hosts.hub.contents import (
    ATTRIBUTES,
    BRANCH,
    CARD,
    CHANGELOG,
    Contents,
    Refs,
    Release,
    all_entries,
    version_of,
)
from publish.hosts.protocol import Action
from publish.hosts.refusals import NEXT_VERSION, older, other_content, respelled
from schemas.manifest import Manifest
from schemas.problems import Problem, printable
from schemas.versions import tag_of
from schemas.withdrawals import withdrawals

# A batch is sent, and sent again, as a whole. Large files go alone, so that less is repeated; small ones
# share the two requests of a batch.
_BATCH_FILES = 20
# 250 MB in place of 1 GB costs two more requests each, and a failed try repeats less.
_BATCH_BYTES = 250_000_000
_ADVISED_FILES = 100  # in one commit, says the Hub
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpacePlan:
    """What a run would do to the Space beside the dataset.

    Attributes:
        url: The Space.
        problems: Every reason why it cannot be done.
        add: New and changed files, each with its size in bytes.
        keep: Files that it has already; empty where a newer version is shown.
        remove: Files that the Hub has put into the new Space.
        base: The commit that the plan compares with; None where there is no Space.
        notes: Facts to know before the run.
    """

    url: str
    problems: tuple[Problem, ...] = ()
    add: Mapping[str, int] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    base: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps, in order."""
        if self.problems or not (self.add or self.remove):
            return ()
        size = f"{sum(self.add.values()):,} bytes"
        commit = f"1 commit of {len(self.add)} files ({size}) to the Space {self.url}"
        return (commit,) if self.base is not None else ("create the Space", commit)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlan:
    """What a run would do to one repository.

    Attributes:
        url: The repository.
        action: `KEEP` where the release is there, whole and tagged.
        problems: Every reason to refuse the release that the repository gives.
        access: Why the token cannot write. Planning only needs to read.
        add: New and changed files, each with its size in bytes. Content that the store has is not sent.
        keep: Files that the repository has with the same content.
        remove: Files of the release before that this one lacks.
        base: The commit that the plan compares with; None where there is no repository.
        commits: Commits to make: 1 or 0.
        tags: Tags to make: 1 or 0.
        notes: Facts to know before the run.
        space: What would be done to the Space beside it; None without one.
    """

    target: str = "hub"
    url: str
    action: Action
    problems: tuple[Problem, ...] = ()
    access: tuple[Problem, ...] = ()
    add: Mapping[str, int] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    remove: Mapping[str, int] = field(default_factory=dict)
    base: str | None = None
    commits: int = 0
    tags: int = 0
    notes: tuple[str, ...] = ()
    space: SpacePlan | None = None

    @property
    def creates(self) -> bool:
        """Whether the repository is to be made."""
        return bool(self.commits) and self.base is None

    @property
    def num_bytes(self) -> int:
        """Bytes to send at most."""
        return sum(self.add.values())

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps, in order."""
        done = {"create the repository": self.creates, "1 commit": self.commits, "1 tag": self.tags}
        own = tuple(step for step, is_due in done.items() if is_due)
        return own if self.space is None else (*own, *self.space.steps)

    @property
    def num_requests(self) -> int:
        """Requests that write, at most, if none has to be repeated."""
        num_batches = len(list(batches(self.add)))
        own = self.creates + (len(self.add) + 2 * num_batches + 1 if self.commits else 0) + self.tags
        # Beside the steps, one request asks how files are to be sent.
        steps = self.space.steps if self.space is not None else ()
        return own + (len(steps) + 1 if steps else 0)


class Planner:
    """Makes plans, within a stage of `hub`."""

    def __init__(self, hub: Hub, contents: Contents) -> None:
        self._hub, self._contents = hub, contents
        self._who: dict[str, Any] | None = None  # the Hub limits strictly how often it says this

    def plan(self, manifest: Manifest, folder: Path | None) -> HubPlan:
        """Return the plan of a release.

        Args:
            manifest: The release.
            folder: Its folder, if it is built.

        Raises:
            HubError: The Hub does not say.
        """
        refs, tag, url = self._contents.refs(), tag_of(manifest.version), self._contents.url
        if refs is None:
            new = {entry.path: entry.num_bytes for entry in all_entries(manifest)}
            return self._with_access(HubPlan(url=url, action=Action.ADD, add=new, commits=1, tags=1))
        if tag in refs.tags:
            return self._plan_tagged(manifest, refs.tags[tag])
        problem = None
        if tag in refs.branches:
            problem = self._contents.problem(
                f"a branch is called {tag}, as the tag will be", "rename it", "host/in-the-way"
            )
        if refs.head is None:
            problem = self._contents.problem(
                f"the repository has no branch {BRANCH}", "give it one", "host/in-the-way"
            )
        if problem is not None or refs.head is None:
            return HubPlan(url=url, action=Action.REFUSE, problems=(problem,) if problem else ())
        return self._with_access(self._plan_on(manifest, folder, refs, refs.head))

    def _plan_tagged(self, manifest: Manifest, sha: str) -> HubPlan:
        """Keep a version that is there already, or refuse to make it again with other content."""
        release, version = self._contents.release(sha), manifest.version
        if release is not None and release.manifest_sha256 == manifest.digest:
            there = {entry.path: entry.num_bytes for entry in all_entries(manifest)}
            return HubPlan(url=self._contents.url, action=Action.KEEP, keep=there, base=sha)
        if release is None:
            message = f"{tag_of(version)} is there, and holds no release that can be read"
            problem = self._contents.problem(message, NEXT_VERSION, "host/version-exists")
        else:
            digests = f"manifest {release.manifest_sha256[:12]}… there, {manifest.digest[:12]}… here"
            problem = other_content(version, self._contents.url, digests)
        return HubPlan(url=self._contents.url, action=Action.REFUSE, problems=(problem,), base=sha)

    def _plan_on(self, manifest: Manifest, folder: Path | None, refs: Refs, head: str) -> HubPlan:
        if folder is not None:
            self._contents.learn(manifest, folder, head)
        files, before = self._contents.files(head), self._contents.release(head)
        sizes = {entry.path: entry.num_bytes for entry in all_entries(manifest)}
        differing = {e.path for e in all_entries(manifest) if self._contents.difference(e, head) is not None}
        others = files.keys() - sizes.keys()
        ours = {entry.path for entry in before.files} if before else set()
        add = {path: size for path, size in sizes.items() if path in differing}
        remove = {path: files[path].size for path in sorted(others & ours)}
        problems = [
            *self._contents.strays(manifest, others - ours),
            *self._refused_version(manifest.version, refs, before),
            *self._broken_card(head),
        ]
        return HubPlan(
            url=self._contents.url,
            action=Action.REFUSE if problems else Action.ADD,
            problems=tuple(problems),
            add=add,
            keep={path: size for path, size in sizes.items() if path not in differing},
            remove=remove,
            base=head,
            commits=1 if add or remove else 0,
            tags=1,
            notes=(
                *self._notes(manifest, before, head, len(add) + len(remove)),
                *self._lost_marks(folder, head),
                *_foreign(others - ours - {ATTRIBUTES}),
            ),
        )

    def _refused_version(self, version: str, refs: Refs, before: Release | None) -> Iterator[Problem]:
        """Compare a version with all tagged ones, and with the one on `main`."""
        there = {found for tag in refs.tags if (found := version_of(tag))}
        url, on_main = self._contents.url, {before.version} if before else set()
        yield from filter(None, (respelled(version, other, url) for other in sorted(there | on_main)))
        why = f"which {BRANCH} holds: it would take readers back"
        yield from filter(None, (older(version, other, url, why) for other in on_main))

    def _broken_card(self, head: str) -> Iterator[Problem]:
        try:
            self._contents.kept(head)
        except ValueError as error:
            message = f"the keep markers in the card do not pair up: {error}"
            yield self._contents.file_problem(message, CARD, "correct the markers on the Hub")

    def _notes(
        self, manifest: Manifest, before: Release | None, head: str, num_changes: int
    ) -> Iterator[str]:
        if num_changes > _ADVISED_FILES:
            yield f"{num_changes} files in one commit; the Hub advises fewer than {_ADVISED_FILES}"
        if before is None:
            if CARD in self._contents.files(head):
                yield f"{CARD} is of no release: it is replaced, except the parts between keep markers"
            return
        if before.version == manifest.version and before.manifest_sha256 != manifest.digest:
            yield f"{BRANCH} holds {before.version} with other content and no tag: it is replaced"
        for entry in before.files:
            is_there = entry.path in self._contents.files(head)
            is_marked = entry.path == CHANGELOG and self._contents.withdrawn(head, CHANGELOG)
            if is_there and self._contents.difference(entry, head) and not is_marked:
                yield f"{printable(entry.path)} was changed by hand; that change is not kept"

    def _lost_marks(self, folder: Path | None, head: str) -> Iterator[str]:
        """Report releases that the Hub's changelog marks as withdrawn and the new one does not."""
        changelog = folder / CHANGELOG if folder is not None else None
        if changelog is not None and changelog.is_file():
            own = withdrawals(changelog.read_text(encoding="utf-8", errors="replace"))
            for version in sorted(self._contents.withdrawn(head, CHANGELOG).keys() - own.keys()):
                yield (
                    f"{CHANGELOG} on {BRANCH} says that {version} is withdrawn, and this release's does not: "
                    f"only {CARD} goes on saying it"
                )

    def _with_access(self, plan: HubPlan) -> HubPlan:
        return replace(plan, access=tuple(self.access()))

    def access(self, namespace: str | None = None) -> Iterator[Problem]:
        """Yield why the token cannot write; the rights of a fine-grained one show only when it writes.

        Args:
            namespace: Where it is to write; the repository's own if None.
        """
        namespace = namespace or self._hub.repository.partition("/")[0]
        if self._hub.token is None:
            fix = "make a token with write access, and put it into HF_TOKEN or use `hf auth login`"
            yield self._contents.problem("no token is set", fix, "host/sign-in")
            return
        try:
            who = self._who = self._who or self._hub.ask(lambda api: api.whoami())
        except HubError as error:
            yield from error.problems
            return
        if not isinstance(_dig(who, "name"), str):
            yield self._contents.problem("the Hub does not say whose token it is", AGAIN, "host/unreachable")
            return
        role = _dig(who, "auth", "accessToken", "role")
        if role == "read":
            yield self._contents.problem(
                "the token can only read", "use one with write access", "host/no-rights"
            )
        found = _dig(who, "orgs")
        orgs = found if isinstance(found, list) else []
        named = [_dig(who, "name"), *(_dig(org, "name") for org in orgs)]
        names = sorted(name for name in named if isinstance(name, str))
        # A role in a resource group may go further than that in the organisation.
        own = next((org for org in orgs if _dig(org, "name") == namespace), None)
        if _dig(own, "roleInOrg") == "read" and not _dig(own, "resourceGroups"):
            message = f"the token may only read in {namespace}"
            yield self._contents.problem(
                message, "ask for the role of a contributor, or use another token", "host/no-rights"
            )
        if role != "fineGrained" and namespace not in names:
            message = f"the token has no rights in the namespace {namespace}, only in {', '.join(names)}"
            yield self._contents.problem(
                message, "correct the repository's name, or use another token", "host/no-rights"
            )


def batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the paths of each batch, in order.

    Args:
        sizes: Path → bytes.
    """
    batch: list[str] = []
    for path, size in sizes.items():
        num_bytes = sum(sizes[other] for other in batch) + size
        if batch and (len(batch) == _BATCH_FILES or num_bytes > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(path)
    if batch:
        yield batch


def _foreign(paths: Collection[str]) -> Iterator[str]:
    """Yield a note with the first files of no release; they stay unchanged."""
    if paths:
        named = ", ".join(printable(path) for path in sorted(paths)[:_MAX_NAMED])
        more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
        yield f"of no release, and left as they are: {named}{more}"


def _dig(value: object, *keys: str) -> object:
    """Return the value below some keys of an answer; None if the answer has another form."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
