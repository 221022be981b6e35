"""The Hub target: a release is one commit on `main` of a dataset repository, and then the tag `vVERSION`.

Each run asks the Hub for its state: the files of a commit by their listed size and digest, the release of a
commit by its manifest. So the same command finishes a run that ended anywhere, and sends nothing if all is
done.

    plan    refs, tree, manifest.json              only reads
    upload  create, send content, one commit       on the commit that was planned on
    verify  tree, small files; `datasets` loads    at the commit that was made
    tag                                            only after verify
    Space                                          only after the tag, where `[hub]` wants one

If the branch moves during a run, maybe by the run's own commit whose answer was lost, the run plans again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from huggingface_hub import CommitOperation, CommitOperationAdd

from publish.checks.files import parse_manifest
from publish.hosts.hub.client import AGAIN, Hub, HubError, Limits
from publish.hosts.hub.contents import (
    BRANCH,
    Contents,
    Refs,
    all_entries,
    version_of,
)
from publish.hosts.hub.loading import Loader
from publish.hosts.hub.planning import HubPlan, Planner
from publish.hosts.hub.sending import Sender
from publish.hosts.hub.settings import HubSettings
from publish.hosts.hub.space import Space
from publish.hosts.protocol import UNWATCHED, Action, Held, Watcher
from publish.network import Clock
from schemas.manifest import MANIFEST_NAME, Manifest, Receipt
from schemas.problems import Problem, ReleaseError, printable
from schemas.versions import tag_of

_MAX_PLANS = 5  # how often the branch may move under a run
_MAX_COMMITS_TOLD = 5


class HubTarget:
    """Releases in one dataset repository on the Hub.

    Args:
        repository: `namespace/name`.
        settings: The `[hub]` table.
        endpoint: The Hub's address; what `HF_ENDPOINT` or the client says if None.
        limits: Time limits and retries.
        clock: The time; the real one if None.
        note: Shows a line about a Hub that is silent; may be called from another thread.
    """

    def __init__(
        self,
        repository: str,
        settings: HubSettings | None = None,
        *,
        endpoint: str | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        note: Callable[[str], object] = UNWATCHED.note,
    ) -> None:
        self._hub = Hub(repository, endpoint, limits, clock, note)
        self._contents = Contents(self._hub)
        self._planner = Planner(self._hub, self._contents)
        self._sender, self._loader = Sender(self._hub, self._contents), Loader(self._hub, self._contents)
        self._settings = settings or HubSettings()
        beside = self._settings.space_beside(repository)
        # A client of its own, since each client speaks of one repository.
        self._space = Space(Hub(beside, endpoint, limits, clock, note, "space")) if beside else None
        # By manifest digest: the commit that this run found or made, and whether it is known to be right.
        self._commits: dict[str, str] = {}
        self._verified: set[str] = set()

    def ready(self, *, beside: bool = True) -> tuple[Problem, ...]:
        """Return what prevents the present token from writing, as far as reading shows it.

        Args:
            beside: Whether it must be able to write to the Space, too.
        """
        try:
            with self._hub.stage("asking whose token it is"):
                return self._access(beside=beside)
        except ReleaseError as error:
            return error.problems

    def releases(self) -> Mapping[str, Held]:
        """Return the tagged versions, and one on `main` that has no tag yet.

        Each version's listing is compared with its own manifest, which takes the two requests that tell what
        a tag is of; no file is downloaded but the manifests, and the card of `main`.

        Raises:
            ReleaseError: The Hub does not say.
        """
        with self._hub.stage("reading the repository"):
            refs = self._contents.refs()
            if refs is None:
                return {}
            head = self._contents.release(refs.head) if refs.head else None
            withdrawn = self._contents.withdrawn(refs.head) if refs.head else {}
            versions = {version for tag in refs.tags if (version := version_of(tag))}
            found = {
                version: self._held(version, sha, refs, printable(withdrawn.get(version, "")))
                for version in versions | ({head.version} if head else set())
                if (sha := self._contents.find(refs, version))
            }
        return found if self._space is None else self._space.tell(found, self._hub.repository)

    def state(self) -> str:
        """Return the state in one line: the commit of `main`, and the tags.

        A repository that holds nothing yet is as good as none: a run that ended after making it goes on.

        Raises:
            ReleaseError: The Hub does not say.
        """
        with self._hub.stage("reading the repository"):
            refs = self._contents.refs()
            if refs is None or self._contents.is_new(refs):
                told = ["no repository, or an empty one"]
            else:
                told = [f"{BRANCH} at {refs.head}", *(f"tag {name}" for name in sorted(refs.tags))]
        return ", ".join(told if self._space is None else [*told, self._space.state()])

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a release from its tag, or from `main` where that holds it without one.

        Raises:
            ReleaseError: The release is not there, or its manifest cannot be read.
        """
        with self._hub.stage("reading the repository"):
            refs = self._contents.refs()
            sha = self._contents.find(refs, version) if refs else None
            data = self._contents.manifest(sha) if sha else None
            place = f"{self._contents.url}: {MANIFEST_NAME}"
            manifest = parse_manifest(data, place) if data is not None else None
            if manifest is None or manifest.version != version:
                raise ReleaseError(self._contents.absent(version))
            return manifest

    def plan(self, manifest: Manifest, folder: Path | None = None) -> HubPlan:
        """Return the plan of a release; this changes nothing and needs no right to write.

        Args:
            manifest: The release.
            folder: The release's folder, if it is built; spares downloading small files to compare them.

        Raises:
            ReleaseError: The client is set to work offline, or cannot get its token.
        """
        with self._hub.stage("reading the repository"):
            try:
                plan = self._plan(manifest, folder)
                is_private = self._space is not None and self._is_private(plan)
            except HubError as error:
                url = self._contents.url
                return HubPlan(url=url, action=Action.REFUSE, problems=error.problems)
        return self._with_space(plan, manifest, is_private=is_private)

    def upload(
        self,
        folder: Path,
        manifest: Manifest,
        plan: HubPlan | None = None,
        watcher: Watcher = UNWATCHED,
        *,
        exact: bool = False,
    ) -> bool:
        """Send what is missing, and make one commit of it; nothing if it is there already.

        Args:
            folder: The checked release.
            manifest: Its manifest.
            plan: The plan that was shown. If the repository has changed since, the watcher gets a note.
            watcher: Gets the progress.
            exact: Refuse where the repository has changed since `plan`.

        Returns:
            False where another run has made the commit since `plan`.

        Raises:
            ReleaseError: It is refused, or the Hub did not do it. The same call continues.
        """
        seen = None if plan is None else (plan.base,)
        with self._hub.stage("sending files", sum(entry.num_bytes for entry in manifest.all_files)):
            for _ in range(_MAX_PLANS):
                current = self._plan(manifest, folder)
                _refuse((*current.problems, *current.access))
                if not current.commits:
                    return plan is None or not plan.commits or self._sender.has_committed()
                if seen is not None and seen != (current.base,):
                    self._tell_who_moved(seen[0], watcher, exact)
                if current.base is None:
                    self._sender.create(private=self._settings.private)
                elif made := self._sender.publish(folder, manifest, current, current.base, watcher):
                    self._commits[manifest.digest] = made
                    return True
                seen = None if current.base is None else (current.base,)
        message = f"{BRANCH} has moved {_MAX_PLANS} times while this run was sending"
        raise ReleaseError(
            self._contents.problem(message, "see who else publishes here, then run it again", "host/moved")
        )

    def verify(self, manifest: Manifest, *, load: bool = True) -> tuple[Problem, ...]:
        """Compare the commit that holds a release with its manifest, and have `datasets` load it.

        A missing tag is a problem, unless this run itself has found or made the commit that is to have it.

        Sizes and digests are those of the Hub's own listing; of files that it lists without SHA-256, which
        are small, the content is read. Only `read_back` tells whether the store gives out what the Hub lists.

        Args:
            manifest: The release.
            load: Whether to load one row of each config, in a process without the kit's code.

        Raises:
            HubError: The Hub does not say.
        """
        with self._hub.stage("comparing the files with the manifest"):
            sha, is_named = self._find(manifest)
            if sha is None:
                return (self._contents.absent(manifest.version),)
            entries = all_entries(manifest)
            others = self._contents.files(sha).keys() - {entry.path for entry in entries}
            problems = [*self._contents.compare(entries, sha), *self._contents.strays(manifest, others)]
            if not problems and load:
                problems = [*self._loader.load(manifest, sha)]
            if not is_named:
                message = f"{BRANCH} holds {manifest.version}, and it has no tag: it is unfinished"
                problems.append(
                    self._contents.problem(
                        message, "publish it again, or the next version", "host/unfinished"
                    )
                )
        if not problems:
            self._commits[manifest.digest] = sha
            self._verified.add(manifest.digest)
        return tuple(problems)

    def read_back(
        self, manifest: Manifest, paths: Sequence[str] | None = None, watcher: Watcher = UNWATCHED
    ) -> tuple[Problem, ...]:
        """Download files of a release and compare their bytes with the manifest.

        Args:
            manifest: The release.
            paths: Which files; all if None.
            watcher: Gets the progress.

        Raises:
            HubError: The Hub does not give them.
        """
        problems: list[Problem] = []
        stage = "downloading files"
        entries = [entry for entry in all_entries(manifest) if paths is None or entry.path in paths]
        done, total = 0, sum(entry.num_bytes for entry in entries)
        with self._hub.stage(stage, total):
            sha, _ = self._find(manifest)
            if sha is None:
                return (self._contents.absent(manifest.version),)
            for entry in entries:
                problem = self._contents.download(entry, sha)
                problems += [] if problem is None else [problem]
                done += entry.num_bytes
                watcher.advance(stage, done, total)
        return tuple(problems)

    def finish(self, manifest: Manifest) -> None:
        """Give the commit that `verify` has found right its tag. An existing tag is never moved.

        Raises:
            ReleaseError: The commit is not verified, the tag is elsewhere, or the Hub did not do it.
        """
        if manifest.digest not in self._verified:
            raise ReleaseError(
                self._contents.problem(
                    "only a verified commit gets a tag", "verify it first", "host/unfinished"
                )
            )
        with self._hub.stage("tagging"):
            self._sender.tag(manifest, self._commits[manifest.digest])

    def accompany(self, manifest: Manifest, watcher: Watcher = UNWATCHED) -> None:
        """Have the Space, where the settings want one, show a release that is verified and tagged.

        Raises:
            ReleaseError: It does not; the release is published all the same. The same call continues.
        """
        if self._space is None:
            return
        try:
            with self._hub.stage("reading the repository"):
                is_private = self._contents.is_private()
            self._space.publish(manifest, watcher, is_private=is_private)
        except ReleaseError as error:
            raise ReleaseError(_of_space(_published(manifest), error.problems)) from error

    def verify_beside(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Read the Space back, where the settings want one, and compare it with what this kit writes.

        Raises:
            ReleaseError: The Hub does not say.
        """
        if self._space is None:
            return ()
        return self._space.verify(manifest, self._reason(manifest.version))

    def receipt(self, manifest: Manifest) -> Receipt:
        """Return the receipt of a release that this run found or made; the revision is the commit's sha.

        Raises:
            ReleaseError: It is not known to be there.
        """
        sha = self._commits.get(manifest.digest)
        if sha is None:
            raise ReleaseError(
                self._contents.problem("the release is not known to be there", "verify it", "host/unfinished")
            )
        return Receipt(
            target="hub",
            url=f"{self._contents.url}/tree/{tag_of(manifest.version)}",
            version=manifest.version,
            revision=sha,
            manifest_sha256=manifest.digest,
        )

    def withdraw(self, version: str, reason: str) -> bool:
        """Mark a release as withdrawn in the card and changelog on `main`, and on a Space that shows it.

        The release's own commit, its tag and every file of data stay as they are.

        Args:
            version: The release, whether it has its tag or is on `main` without one.
            reason: Why, in one line.

        Returns:
            Whether it was not said before.

        Raises:
            ReleaseError: The release is not there, or the Hub did not do it. The same call continues.
        """
        is_new = self._mark(version, reason)
        try:
            return self._mark_space(version) or is_new
        except ReleaseError as error:
            told = f"release {version} is marked, and its Space is not"
            raise ReleaseError(_of_space(told, error.problems)) from error

    def _mark(self, version: str, reason: str) -> bool:
        """Mark a release in the card and changelog, in one commit; return whether it was not said before."""
        with self._hub.stage("marking a release"):
            sent: set[str] = set()
            for _ in range(_MAX_PLANS):
                refs = self._contents.refs()
                if refs is None or refs.head is None or self._contents.find(refs, version) is None:
                    raise ReleaseError(self._contents.absent(version))
                marked = self._contents.marked(refs.head, version, reason)
                if not marked:  # read back, so the answer to the commit does not count
                    _refuse([*self._contents.lost(sent, refs.head)])
                    return bool(sent)
                operations: list[CommitOperation] = [
                    CommitOperationAdd(path, data) for path, data in marked.items()
                ]
                title, text = f"Withdraw release {version}", " ".join(reason.split())
                self._sender.commit(operations, refs.head, title, text, UNWATCHED)
                sent |= marked.keys()
        message = f"{BRANCH} has moved {_MAX_PLANS} times while this run was marking a release"
        raise ReleaseError(
            self._contents.problem(message, "see who else publishes here, then run it again", "host/moved")
        )

    def _mark_space(self, version: str) -> bool:
        """Have the Space say that the release which it shows is withdrawn; return whether it did not."""
        shown = self._space.shown(self._hub.repository) if self._space else None
        if self._space is None or shown is None or shown.version != version:
            return False
        manifest, reason = self.manifest(version), self._reason(version)
        with self._hub.stage("reading the repository"):
            is_private = self._contents.is_private()
        return self._space.publish(manifest, UNWATCHED, is_private=is_private, withdrawn=reason)

    def _reason(self, version: str) -> str:
        """Return why a version is withdrawn, as the card says; empty if it is not."""
        with self._hub.stage("reading the repository"):
            refs = self._contents.refs()
            return self._contents.withdrawn(refs.head).get(version, "") if refs and refs.head else ""

    def _plan(self, manifest: Manifest, folder: Path | None) -> HubPlan:
        plan = self._planner.plan(manifest, folder)
        if plan.base is not None and not plan.commits and plan.action is not Action.REFUSE:
            self._commits[manifest.digest] = plan.base
        return plan

    def _with_space(self, plan: HubPlan, manifest: Manifest, *, is_private: bool) -> HubPlan:
        """Add what would be done to the Space; the Space alone may be what is missing."""
        if self._space is None or plan.action is Action.REFUSE:
            return plan
        space = self._space.plan(manifest, is_private=is_private)
        plan = replace(plan, space=space, notes=(*plan.notes, *space.notes))
        if space.problems:
            is_there = plan.action is Action.KEEP
            problems = _of_space(_published(manifest), space.problems) if is_there else space.problems
            return replace(plan, action=Action.REFUSE, problems=(*plan.problems, *problems))
        if not space.steps:
            return plan
        with self._hub.stage("asking whose token it is"):
            return replace(plan, action=Action.ADD, access=self._access())

    def _is_private(self, plan: HubPlan) -> bool:
        """Return whether the dataset is private, or will be."""
        return self._settings.private if plan.base is None else self._contents.is_private()

    def _access(self, *, beside: bool = True) -> tuple[Problem, ...]:
        """Return why the token cannot write to the dataset's namespace, or `beside` it to the Space's."""
        found = [*self._planner.access()]
        if beside and self._space is not None:
            found += self._planner.access(self._space.namespace)
        return tuple(dict.fromkeys(found))

    def _find(self, manifest: Manifest) -> tuple[str | None, bool]:
        """Return the commit that holds a release, and whether it has its tag or this run will give it one."""
        if manifest.digest in self._commits:
            return self._commits[manifest.digest], True
        refs = self._contents.refs()
        sha = self._contents.find(refs, manifest.version) if refs else None
        return sha, refs is not None and refs.tags.get(tag_of(manifest.version)) == sha

    def _held(self, version: str, sha: str, refs: Refs, withdrawn: str) -> Held:
        release, is_tagged = self._contents.release(sha), refs.tags.get(tag_of(version)) == sha
        if release is None:
            return Held(sha, None, withdrawn=withdrawn)
        if withdrawn and not is_tagged:  # it gets no tag any more, and its changelog is marked
            return Held(sha, release.manifest_sha256, withdrawn=withdrawn)
        missing = [] if is_tagged else ["it has no tag"]
        if release.version != version:
            missing.append(f"its tag is at version {release.version}")
        differences = [
            f"{printable(entry.path)}: {difference}"
            for entry in release.files
            if (difference := self._contents.difference(entry, sha, by_listing=True))
        ]
        if differences:
            missing.append(f"{len(differences)} of its files are not its manifest's ({differences[0]})")
        return Held(sha, release.manifest_sha256, "; ".join(missing), withdrawn)

    def _tell_who_moved(self, base: str | None, watcher: Watcher, exact: bool) -> None:
        """Report commits made since a plan; refuse if the plan must be kept exactly."""
        commits = takewhile(lambda commit: commit.commit_id != base, self._contents.commits())
        since = list(commits)[:_MAX_COMMITS_TOLD]
        told = "; ".join(f"{', '.join(map(str, commit.authors))}: {commit.title}" for commit in since)
        message = f"{BRANCH} has moved since it was planned ({self._hub.redact(told) or 'it was taken back'})"
        if exact:
            raise ReleaseError(
                self._contents.problem(message, "make a new plan, and look at it", "run/plan-changed")
            )
        watcher.note(f"{message}; planned again")


def _published(manifest: Manifest) -> str:
    return f"release {manifest.version} is published, and its Space is not"


def _of_space(told: str, problems: Sequence[Problem]) -> Sequence[Problem]:
    """Say in problems of the Space what is done of the release beside it."""
    fixes = [each.fix if each.fix.endswith(AGAIN) else f"{each.fix}; then {AGAIN}" for each in problems]
    return [
        replace(each, message=f"{told}: {each.message}", fix=fix)
        for each, fix in zip(problems, fixes, strict=True)
    ]


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ReleaseError(problems)
