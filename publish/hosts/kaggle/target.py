"""The Kaggle target: each release is one version of a dataset, in the same folders as everywhere else.

A Kaggle user finds the release as it was built: `README.md` and the other texts at the top, `manifest.json`
beside them, one folder of Parquet for each config. So `load_dataset(path, config)` reads the card there as on
the Hub, and every path of the manifest is a path on Kaggle. Archives stay behind, since Kaggle unpacks them.

What Kaggle does not promise is looked for, before and after: its versions have numbers of its own, so the
notes of each name release and manifest digest (the first version takes no notes: its manifest.json tells); an
answer that got lost is no refusal; and a version counts when its files are listed, not when it was made.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from publish.checks.files import check_files, parse_manifest
from publish.hosts.kaggle.access import Limits, SiteError, open_client, silence
from publish.hosts.kaggle.attempts import ATTEMPTS_NAME, read_attempts, write_attempts
from publish.hosts.kaggle.page import (
    KagglePage,
    check_new_name,
    check_page,
    describe,
    note,
    page_mark,
    read_note,
)
from publish.hosts.protocol import UNWATCHED, Action, Held, TargetPlan, Watcher
from schemas.manifest import MANIFEST_NAME, FileEntry, Manifest, Receipt
from schemas.problems import Problem, Reason, ReleaseError, name_some, printable
from schemas.versions import VERSION_PATTERN, parse_version
from schemas.withdrawals import MAX_REASON_CHARS, carry_over, mark_text, withdrawals

if TYPE_CHECKING:
    from publish.hosts.kaggle.client import Client, RemoteDataset

__all__ = ["KagglePage", "KagglePlan", "KaggleTarget", "KaggleVersion", "Limits", "Step"]

_TARGET = "kaggle"
MAX_FILE_BYTES = 2_000_000_000  # nobody says what happens above 2 GB, so everything stays below
MAX_TOP_FILES = 50  # what Kaggle takes outside of folders
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
_ARCHIVES = (".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
# A version that Kaggle has broken is sent once more, not for ever.
_MAX_TRIES = 2
_SETTLED = ("ready", "failed")
# What a site says of a request that will never do, unlike one that is too early or not allowed.
_REFUSED = (400, 404, 409, 410, 422)
# Nobody says how long Kaggle keeps files that are in no version yet. A refusal of older ones may be for that.
_MAX_TOKEN_SECONDS = 24 * 3600
_MAX_NAMED = 3


class Step(StrEnum):
    """What a run has to do on Kaggle."""

    WAIT = "wait for Kaggle to process its newest version"
    CREATE = "create the dataset"
    SEND = "create a version"
    SEND_AGAIN = "create a version once more, since Kaggle has lost files of the one that is there"
    DESCRIBE = "update the page"


@dataclass(frozen=True, slots=True)
class KagglePlan(TargetPlan):
    """What a run would do on Kaggle.

    Attributes:
        steps: In their order; none where all is done.
        newest: Number of Kaggle's newest version when it was looked at; 0 where there is none.
        add: Files to send, each with its size in bytes: all of them, since Kaggle knows no unchanged files.
        keep: Files that are there already.
        left_out: Paths of the release that Kaggle does not get.
        num_requests: How many requests would change something.
        notes: What is worth knowing before.
    """

    steps: tuple[Step, ...] = ()
    newest: int = 0
    add: Mapping[str, int] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    num_requests: int = 0
    notes: tuple[str, ...] = ()

    @property
    def access(self) -> tuple[Problem, ...]:
        """What keeps whoever runs this from writing: nothing, since all who can look are signed in."""
        return ()

    @property
    def remove(self) -> Mapping[str, int]:
        """Files that are to go: none ever do, each version is a whole of its own."""
        return {}


@dataclass(frozen=True, slots=True)
class KaggleVersion:
    """One version of the dataset on Kaggle.

    Attributes:
        number: Kaggle's number of it.
        version: The release that it holds; None where it is not one, or cannot be seen yet.
        manifest_sha256: Digest of that release's manifest.
        state: "ready", "failed", or what Kaggle is doing with it.
    """

    number: int
    version: str | None
    manifest_sha256: str | None
    state: str


@dataclass(frozen=True, slots=True)
class _Site:
    """What is there; `state` is that of what was created last, which may not count as a version yet."""

    exists: bool = False
    versions: tuple[KaggleVersion, ...] = ()
    description: str = ""
    state: str = "ready"

    @property
    def newest_number(self) -> int:
        return self.versions[-1].number if self.versions else 0

    @property
    def is_settled(self) -> bool:
        return self.state in _SETTLED

    def holding(self, manifest: Manifest, above: int = 0) -> list[KaggleVersion]:
        """Give the versions that hold a release, the newest last."""
        return self.holding_digest(manifest.digest, above)

    def holding_digest(self, digest: str, above: int = 0) -> list[KaggleVersion]:
        """Give the versions that hold the release of a manifest, the newest last."""
        return [v for v in self.versions if v.manifest_sha256 == digest and v.number > above]


class KaggleTarget:
    """Releases as versions of one dataset on Kaggle.

    Args:
        dataset: As "owner/slug".
        page: What the maintainer says of it there.
        state: Folder of ours for uploads that are not done, made if missing. A run that continues another
            needs the same one.
        limits: How long to wait for what.
    """

    def __init__(self, dataset: str, page: KagglePage, state: Path, limits: Limits | None = None) -> None:
        self._dataset, self._page, self._state = dataset, page, state
        self._limits = limits or Limits()
        self._url = f"https://www.kaggle.com/datasets/{dataset}"
        self._manifests: dict[int, tuple[str, str] | None] = {}  # of versions, which never change

    def ready(self) -> tuple[Problem, ...]:
        """Say what keeps a run from writing there: broken rules, the client, the credentials."""
        try:
            open_client(self._dataset, self._limits)
        except ReleaseError as error:
            return (*check_page(self._dataset, self._page), *error.problems)
        return tuple(check_page(self._dataset, self._page))

    def releases(self) -> Mapping[str, Held]:
        """Give every release that is there, as the newest of Kaggle's versions that hold it.

        The newest release, which people get, is compared with Kaggle's listing of its files; the others, each
        of which would cost as many requests again, are left to `verify`.

        Raises:
            ReleaseError: The site cannot be asked.
        """
        client = open_client(self._dataset, self._limits)
        site = self._look(client)
        marks = withdrawals(site.description)
        there = {v.version: v for v in site.versions if v.version and VERSION_PATTERN.fullmatch(v.version)}
        newest = max((v.number for v in there.values()), default=0)
        return {
            version: Held(
                str(found.number),
                found.manifest_sha256,
                self._missing(client, found, is_compared=found.number == newest),
                printable(marks.get(version, ""))[:MAX_REASON_CHARS],
            )
            for version, found in there.items()
        }

    def state(self) -> str:
        """Say what is there in one line: Kaggle's number of the newest version.

        Raises:
            ReleaseError: The site cannot be asked.
        """
        site = self._look(open_client(self._dataset, self._limits))
        return f"version {site.newest_number}" if site.exists else "no dataset"

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a release from the newest of Kaggle's versions that hold it.

        Raises:
            ReleaseError: The release is not there, or its manifest cannot be read.
        """
        client = open_client(self._dataset, self._limits)
        held = [there for there in self._look(client).versions if there.version == version]
        if not held:
            raise _error(f"Kaggle has no version of release {version}", "see which releases are there")
        data = _download_manifest(client, held[-1].number)
        return parse_manifest(data, f"{self._url}/versions/{held[-1].number}: {MANIFEST_NAME}")

    def plan(self, manifest: Manifest, folder: Path | None = None) -> KagglePlan:
        """Say what a run would do, and every reason against it; nothing is changed.

        Args:
            manifest: The release.
            folder: Its folder, where it is built; what is missing of it is a reason, too.
        """
        problems = [*check_page(self._dataset, self._page), *_check_layout(manifest)]
        if folder is not None:
            problems += _missing_files(folder, manifest)
        plan = KagglePlan(target=_TARGET, url=self._url, action=Action.REFUSE)
        try:
            client = open_client(self._dataset, self._limits)
            site = self._look(client)
            problems += check_new_name(self._dataset) if not site.exists else ()
            steps = () if problems else self._steps(client, site, manifest)
        except ReleaseError as error:
            return replace(plan, problems=(*problems, *error.problems))
        if problems:
            return replace(plan, problems=tuple(problems), newest=site.newest_number)
        is_sent = bool({Step.CREATE, Step.SEND, Step.SEND_AGAIN} & set(steps))
        files = {entry.path: entry.num_bytes for entry in _sent(manifest)}
        left_out = tuple(entry.path for entry in manifest.all_files if entry.path not in files)
        return replace(
            plan,
            action=Action.ADD if steps else Action.KEEP,
            steps=steps,
            newest=site.newest_number,
            add=files if is_sent else {},
            keep={} if is_sent else files,
            left_out=left_out,
            num_requests=2 * len(files) * is_sent + len([step for step in steps if step is not Step.WAIT]),
            notes=tuple(self._notes(client, site, num_left_out=len(left_out))),
        )

    def upload(
        self,
        folder: Path,
        manifest: Manifest,
        plan: KagglePlan | None = None,
        watcher: Watcher = UNWATCHED,
        *,
        exact: bool = False,
    ) -> None:
        """Do what is left to do of a release; after a failure, the same call continues.

        Args:
            folder: The release, checked.
            manifest: Its manifest.
            plan: What was shown before. Where the site has changed since, that is told.
            watcher: Is told how many bytes are through.
            exact: Refuse where the site has changed since `plan`.

        Raises:
            ReleaseError: It cannot be done, the site has changed since the plan, or the end is not known.
        """
        if plan is not None and plan.problems:
            raise ReleaseError(plan.problems)
        client = open_client(self._dataset, self._limits)
        site = self._look(client)
        if plan is not None and site.newest_number != plan.newest and not site.holding(manifest):
            message = (
                f"Kaggle has version {site.newest_number} now; it was {plan.newest} when this was planned"
            )
            if exact:
                raise _error(message, "make a new plan, and look at it")
            watcher.note(f"{message}; planned anew")
        if not site.is_settled:
            site = self._wait(client, watcher)
        for text in self._notes(client, site):
            watcher.note(text)
        steps = self._steps(client, site, manifest)
        if exact and plan is not None and not set(steps) <= set(plan.steps):
            message = "what is to be done on Kaggle has changed since it was planned"
            raise _error(message, "make a new plan, and look at it")
        text = describe(self._dataset, _read_card(folder), manifest)
        description = carry_over(text, withdrawals(site.description))
        if steps and steps[0] is not Step.DESCRIBE:
            self._send(client, site, folder, manifest, description, watcher)
        if steps:
            # The mark comes only here: a version takes no title and no licence, so its text proves neither.
            client.update_page(f"{description}\n\n{page_mark(self._page, manifest)}\n", self._page)
        self._forget(manifest)

    def verify(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Compare paths, sizes and the manifest's bytes with the manifest."""
        client = open_client(self._dataset, self._limits)
        held = self._look(client).holding(manifest)
        if not held:
            return (_problem(f"Kaggle has no version of release {manifest.version}", "publish it"),)
        if held[-1].state != "ready":
            return (
                _problem(f"Kaggle has not processed version {held[-1].number}", "wait, and verify again"),
            )
        problems = self._compare(client, held[-1].number, manifest)
        if MANIFEST_NAME not in {problem.value for problem in problems}:
            (entry,) = (entry for entry in _sent(manifest) if entry.path == MANIFEST_NAME)
            problems += self._read_back(client, held[-1], entry)
        return tuple(problems)

    def read_back(
        self, manifest: Manifest, paths: Sequence[str] | None = None, watcher: Watcher = UNWATCHED
    ) -> tuple[Problem, ...]:
        """Download files of a release and compare their bytes with the manifest.

        Args:
            manifest: The release.
            paths: Which files; all if None.
            watcher: Is told how far it is.

        Raises:
            ReleaseError: The site does not give them.
        """
        client = open_client(self._dataset, self._limits)
        held = self._look(client).holding(manifest)
        if not held:
            return (_problem(f"Kaggle has no version of release {manifest.version}", "publish it"),)
        entries = [entry for entry in _sent(manifest) if paths is None or entry.path in paths]
        done, total, problems = 0, sum(entry.num_bytes for entry in entries), list[Problem]()
        for entry in entries:
            problems += self._read_back(client, held[-1], entry)
            done += entry.num_bytes
            watcher.advance("reading from Kaggle", done, total)
        return tuple(problems)

    def finish(self, manifest: Manifest) -> None:
        """Do nothing: the notes name a version from the beginning, and Kaggle has no tags."""

    def receipt(self, manifest: Manifest) -> Receipt:
        """Say where a release is.

        Raises:
            ReleaseError: It is not there.
        """
        held = self._look(open_client(self._dataset, self._limits)).holding(manifest)
        if not held:
            raise _error(f"Kaggle has no version of release {manifest.version}", "publish it")
        return Receipt(
            target=_TARGET,
            url=f"{self._url}/versions/{held[-1].number}",
            version=manifest.version,
            revision=str(held[-1].number),
            manifest_sha256=manifest.digest,
        )

    def status(self) -> tuple[KaggleVersion, ...]:
        """Give every version on Kaggle, the newest last, each with the release that it holds.

        Raises:
            ReleaseError: The site cannot be asked.
        """
        return self._look(open_client(self._dataset, self._limits)).versions

    def withdraw(self, version: str, reason: str) -> bool:
        """Say above the page's text that a release should not be used; later releases keep the line.

        Kaggle lets nobody change the notes of a version, and nothing is removed.

        Args:
            version: The release.
            reason: Why, in one line.

        Returns:
            Whether it was not said before.

        Raises:
            ReleaseError: The release is not there, or the site refuses.
        """
        client = open_client(self._dataset, self._limits)
        site = self._look(client)
        if version not in {there.version for there in site.versions}:
            raise _error(f"Kaggle has no version of release {version}", "see which releases are there")
        description = mark_text(site.description, version, reason)
        if description == site.description:
            return False
        client.update_page(description)
        return True

    def _missing(self, client: "Client", there: KaggleVersion, *, is_compared: bool) -> str:
        """Say in few words what is not as it should be with a release on Kaggle."""
        if there.state != "ready":
            return f"Kaggle says {there.state}"
        if not is_compared:
            return ""
        try:
            data = _download_manifest(client, there.number)
            if sha256(data).hexdigest() != there.manifest_sha256:
                return f"{MANIFEST_NAME} has other bytes than it should"
            manifest = parse_manifest(data, f"{self._url}/versions/{there.number}: {MANIFEST_NAME}")
        except SiteError as error:
            if error.status != 404:
                raise
            return f"1 file is missing: {MANIFEST_NAME}"
        except ReleaseError:
            return f"{MANIFEST_NAME} cannot be read"
        return _in_words(_differences(client, there.number, manifest))

    def _read_manifest(self, client: "Client", number: int) -> tuple[str, str] | None:
        """Read version and digest from the manifest of a Kaggle version, once; None where it holds none."""
        if number not in self._manifests:
            try:
                data = _download_manifest(client, number)
                found = str(json.loads(data)["inputs"]["version"]), sha256(data).hexdigest()
            except SiteError as error:
                if error.status != 404:
                    raise
                return None  # it may come: a listing may be ahead of the files
            except (ValueError, KeyError, TypeError, RecursionError):
                found = None
            self._manifests[number] = found
        return self._manifests[number]

    def _notes(self, client: "Client", site: _Site, num_left_out: int = 0) -> Iterator[str]:
        if num_left_out:
            yield f"{num_left_out} files of WebDataset are left out, since Kaggle would unpack them"
        if not site.exists and not client.is_own:
            yield (
                f"Kaggle shows no {self._dataset} to this account: it is missing, or not visible to it. Only "
                "its creation tells, when all files are sent; to know before, create it by hand"
            )
        if (doubt := self._doubt(site)) is not None:
            yield f"Kaggle's answer to an earlier run got lost: {_until(doubt)} a run only looks for it"

    def _compare(self, client: "Client", number: int, manifest: Manifest) -> list[Problem]:
        """Compare paths and sizes, and look again where they differ: a listing may lag behind."""
        for _ in range(self._limits.attempts - 1):
            if not any(_compare(client, number, manifest)):
                return []
            self._limits.sleep(self._limits.poll_seconds)
        return list(_compare(client, number, manifest))

    def _look(self, client: "Client") -> _Site:
        dataset = client.dataset()
        if dataset is None:
            return _Site()
        state = client.status()
        return _Site(
            exists=True,
            versions=tuple(self._versions(client, dataset, state)),
            description=dataset.description,
            state=state,
        )

    def _versions(self, client: "Client", dataset: "RemoteDataset", state: str) -> Iterator[KaggleVersion]:
        notes = {version.number: version.notes for version in dataset.versions}
        ready = {version.number for version in dataset.versions if version.status.lower() == "ready"}
        numbers = sorted({*notes, dataset.newest} - {0}) if notes else range(1, dataset.newest + 1)
        for number in numbers:
            # What is in the works may not be listed yet: then the state is not that of the newest listed one.
            its_state = state if number == dataset.newest and number not in ready else "ready"
            found = read_note(notes.get(number, ""))
            # The first version has no notes of ours, and it may be that the site shows none at all.
            if found is None and its_state == "ready" and (number == 1 or not notes):
                found = self._read_manifest(client, number)
            version, digest = found or (None, None)
            yield KaggleVersion(number, version, digest, its_state)

    def _steps(self, client: "Client", site: _Site, manifest: Manifest) -> tuple[Step, ...]:
        """Say what is left to do.

        Raises:
            ReleaseError: It must not be done.
        """
        _refuse_conflicts(site, manifest)
        held = site.holding(manifest)
        if not held:
            if not site.is_settled:
                return (Step.WAIT, Step.SEND, Step.DESCRIBE)
            if self._num_tries(site, manifest) >= _MAX_TRIES:
                raise self._no_third_time(site, manifest)
            return (Step.SEND if site.exists else Step.CREATE, Step.DESCRIBE)
        newest = held[-1]
        if newest.state not in _SETTLED:
            return (Step.WAIT, Step.DESCRIBE)
        problems = [] if newest.state == "failed" else self._compare(client, newest.number, manifest)
        if newest.state == "failed" or problems:
            if self._num_tries(site, manifest) < _MAX_TRIES:
                return (Step.SEND_AGAIN, Step.DESCRIBE)
            raise self._no_third_time(site, manifest, problems)
        is_shown = newest.number == site.newest_number
        # The page speaks of the newest version: an older one leaves it alone.
        stale = is_shown and page_mark(self._page, manifest) not in site.description
        return (Step.DESCRIBE,) if stale else ()

    def _num_tries(self, site: _Site, manifest: Manifest) -> int:
        # Kaggle may list what it could not process, or not.
        return max(len(site.holding(manifest)), read_attempts(self._place(manifest)).num_taken)

    def _no_third_time(
        self, site: _Site, manifest: Manifest, problems: Sequence[Problem] = ()
    ) -> ReleaseError:
        count = self._num_tries(site, manifest)
        message = f"Kaggle has been given release {manifest.version} {count} times, and does not hold it"
        fix = f"look at {self._url} and ask Kaggle's support"
        if not site.holding(manifest):
            fix = f"{fix}; to send it again all the same, remove {self._place(manifest)}"
        return ReleaseError([_problem(message, fix), *problems])

    def _place(self, manifest: Manifest) -> Path:
        return self._state / manifest.digest

    def _forget(self, manifest: Manifest) -> None:
        shutil.rmtree(self._place(manifest), ignore_errors=True)
        with suppress(OSError):  # there is none, or another release's upload is unfinished
            self._state.rmdir()

    def _doubt(self, site: _Site) -> float | None:
        """Say until when a version that a run asked for, of any release, may appear; None if none may."""
        ends = []
        for path in self._state.glob(f"*/{ATTEMPTS_NAME}"):
            attempts = read_attempts(path.parent)
            end = attempts.doubt_ends(self._limits)
            if end is not None and not site.holding_digest(path.parent.name, attempts.above):
                ends.append(end)
        return max(ends, default=None)

    def _send(
        self,
        client: "Client",
        site: _Site,
        folder: Path,
        manifest: Manifest,
        description: str,
        watcher: Watcher,
    ) -> None:
        """Upload all files, make a version of them, and wait until it can be read."""
        problems = list(check_files(folder, manifest))
        if problems:
            raise ReleaseError(problems)
        if self._doubt(site) is not None:
            self._settle(client, site, manifest, watcher)
        else:
            self._send_files(client, site, folder, manifest, description, watcher)
        self._wait(client, watcher, site.newest_number, manifest)

    def _send_files(
        self,
        client: "Client",
        site: _Site,
        folder: Path,
        manifest: Manifest,
        description: str,
        watcher: Watcher,
    ) -> None:
        place = self._place(manifest)
        staged = _stage(folder, place / "files", manifest)
        from publish.hosts.kaggle.client import UploadState  # noqa: PLC0415 - see access

        total = sum(entry.num_bytes for entry in _sent(manifest))
        done = 0

        def tell(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            watcher.advance("sending to Kaggle", done, total)

        uploads = place / "uploads"
        is_resumed = uploads.is_dir() and any(uploads.iterdir())
        with silence(), UploadState(uploads) as state:
            tree = client.send_files(staged, state, tell)
            if _count(tree) != len(_sent(manifest)):
                raise _error("the client has left out files", "see whether it has a newer version")
            try:
                self._create(client, site, tree, manifest, description, watcher)
            except SiteError as error:
                # Tokens of an earlier run may have expired: then only sending all again can help.
                is_old = _is_about_tokens(error) or state.age_seconds > _MAX_TOKEN_SECONDS
                if is_resumed and error.status in _REFUSED and is_old:
                    shutil.rmtree(uploads)
                raise

    def _create(
        self,
        client: "Client",
        site: _Site,
        tree: Any,
        manifest: Manifest,
        description: str,
        watcher: Watcher,
    ) -> None:
        """Ask for the version, once: while nobody knows whether that was heard, no run asks again."""
        if site.exists:
            self._wait(client, watcher)  # so that what is processed after this is what was asked for
        if self._has_appeared(client, site, manifest):
            return
        place = self._place(manifest)
        attempts = read_attempts(place).asked(self._limits, site.newest_number)
        write_attempts(place, attempts)
        try:
            if not site.exists:
                client.create_dataset(tree, self._page, description)
            else:
                client.create_version(tree, self._page, description, note(manifest))
        except SiteError as error:
            if not error.is_unknown:
                write_attempts(place, attempts.refused())
                raise
            self._settle(client, site, manifest, watcher)
        else:
            write_attempts(place, attempts.taken())

    def _settle(self, client: "Client", site: _Site, manifest: Manifest, watcher: Watcher) -> None:
        """Look for a version that Kaggle may be making.

        Raises:
            ReleaseError: None appears, or another one than that of the release.
        """
        watcher.note("Kaggle's answer to the creation of a version got lost: looking whether one appears")
        end = self._limits.clock() + self._limits.settle_seconds
        while self._limits.clock() < end:
            self._limits.sleep(self._limits.poll_seconds)
            if self._has_appeared(client, site, manifest):
                return
        message = "nobody knows yet whether Kaggle has taken the release: its answer got lost"
        doubt = self._doubt(site)
        until = f"; {_until(doubt)} it only looks" if doubt is not None else ""
        raise _error(message, f"nothing is lost: run the same command again later{until}")

    def _has_appeared(self, client: "Client", site: _Site, manifest: Manifest) -> bool:
        """Whether there is a version that was not there before.

        Raises:
            ReleaseError: There is one, and it is somebody else's.
        """
        now = self._look(client)
        if not now.is_settled or now.holding(manifest, site.newest_number):
            return True  # the site may count a version only when it is processed
        if now.newest_number == site.newest_number:
            return False
        message = f"somebody else has created version {now.newest_number} on Kaggle meanwhile"
        raise _error(message, "see what it is, and run the same command again")

    def _wait(
        self,
        client: "Client",
        watcher: Watcher,
        above: int = 0,
        manifest: Manifest | None = None,
    ) -> _Site:
        """Wait until the newest version is processed; if a manifest is given, until it is one that holds it.

        It tells once a minute that it still waits.

        Raises:
            ReleaseError: Processing fails, takes too long, or gives another release.
        """
        start, minutes = self._limits.clock(), -1
        end = start + self._limits.processing_seconds
        while True:
            site = self._look(client)
            if site.state == "failed" or (site.is_settled and site.newest_number > above):
                break
            if minutes != (minutes := int(self._limits.clock() - start) // 60):
                watcher.note(f"Kaggle is processing ({site.state}), for {minutes} minutes so far")
            if self._limits.clock() >= end:
                spent = self._limits.processing_seconds / 60
                message = f"Kaggle has been processing a version for {spent:,.0f} minutes ({site.state})"
                raise _error(message, "run the same command again later: nothing is sent twice")
            self._limits.sleep(self._limits.poll_seconds)
        if manifest is not None and site.state == "failed":
            place = self._place(manifest)
            if (attempts := read_attempts(place)).asked_at is not None:
                write_attempts(place, attempts.taken())
            message = f"Kaggle could not process release {manifest.version}"
            is_last = self._num_tries(site, manifest) >= _MAX_TRIES
            then = "ask Kaggle's support" if is_last else "the same command sends it once more"
            raise _error(message, f"look at {self._url}; {then}")
        if manifest is not None and not site.holding(manifest, above):
            message = f"the newest version on Kaggle, {site.newest_number}, does not hold this release"
            raise _error(message, "see who else publishes there, and run the same command again")
        return site

    def _read_back(self, client: "Client", version: KaggleVersion, entry: FileEntry) -> Iterator[Problem]:
        with tempfile.TemporaryFile() as file:
            client.download(version.number, entry.path, file, entry.num_bytes)
            file.seek(0)
            if file_digest(file, "sha256").hexdigest() != entry.sha256:
                message = "the file has other bytes on Kaggle than in the release"
                yield _problem(message, "publish the next version", value=entry.path)


def _sent(manifest: Manifest) -> tuple[FileEntry, ...]:
    """Give every file that goes to Kaggle, the manifest last: no archives, which Kaggle would unpack."""
    given = manifest.entries_for(_TARGET)
    return tuple(entry for entry in given if not entry.path.lower().endswith(_ARCHIVES))


def _check_layout(manifest: Manifest) -> Iterator[Problem]:
    sent = _sent(manifest)
    for entry in sent:
        if entry.num_bytes >= MAX_FILE_BYTES:
            message = f"the file has {entry.num_bytes:,} bytes, and Kaggle gets none of 2 GB or more"
            yield _problem(message, "build with a smaller build.max_shard_bytes", value=entry.path)
    num_top = sum("/" not in entry.path for entry in sent)
    if num_top > MAX_TOP_FILES:
        message = f"{num_top} files lie outside of folders, and Kaggle takes {MAX_TOP_FILES}"
        yield _problem(message, "put them into folders")


def _missing_files(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    for entry in _sent(manifest):
        path = folder / entry.path
        if not path.is_file() or path.stat().st_size != entry.num_bytes:
            yield _problem(
                "the file is missing from the release, or has another size", "build it", entry.path
            )


def _refuse_conflicts(site: _Site, manifest: Manifest) -> None:
    """Refuse what would change a published version, or put an old one in the place of a newer.

    Raises:
        ReleaseError: A version is there with other content, or a later one.
    """
    if site.holding(manifest):
        return
    for there in site.versions:
        if there.version == manifest.version:
            message = (
                f"version {manifest.version} is on Kaggle with other content, as its version {there.number}"
            )
            fix = "a published version is never changed: give the next version"
            raise _error(message, fix, there.manifest_sha256)
        if there.version is not None and _is_same(there.version, manifest.version):
            message = f"version {there.version} is on Kaggle, and {manifest.version} only spells it otherwise"
            raise _error(message, "a published version is never changed: give the next version")
        if there.version is not None and _is_later(there.version, manifest.version):
            message = (
                f"version {there.version} is on Kaggle, and {manifest.version} would hide it from its users"
            )
            raise _error(message, "give a later version")


def _is_same(there: str, version: str) -> bool:
    return bool(VERSION_PATTERN.fullmatch(there)) and parse_version(there) == parse_version(version)


def _is_later(there: str, version: str) -> bool:
    """Compare what somebody's notes call a version; what is none is no later one."""
    return bool(VERSION_PATTERN.fullmatch(there)) and parse_version(there) > parse_version(version)


@dataclass(frozen=True, slots=True)
class _Differences:
    """How the files of a Kaggle version differ from a manifest.

    Attributes:
        missing: Paths that are not there.
        resized: Sizes in bytes there and in the manifest, by path.
        others: Paths that the manifest lacks.
    """

    missing: Sequence[str]
    resized: Mapping[str, tuple[int, int]]
    others: Sequence[str]


def _differences(client: "Client", number: int, manifest: Manifest) -> _Differences:
    expected = {entry.path: entry.num_bytes for entry in _sent(manifest)}
    folders = dict.fromkeys(str(PurePosixPath(path).parent) for path in expected if "/" in path)
    there = client.files(number, iter(folders))
    return _Differences(
        missing=[path for path in expected if path not in there],
        resized={p: (there[p], size) for p, size in expected.items() if there.get(p, size) != size},
        others=sorted(there.keys() - expected.keys()),
    )


def _compare(client: "Client", number: int, manifest: Manifest) -> Iterator[Problem]:
    """Compare the paths and sizes of a version with the manifest."""
    found = _differences(client, number, manifest)
    fix = "run the same command again: it sends the release once more"
    for path in found.missing:
        yield _problem("the file is missing on Kaggle", fix, value=path)
    for path, (there, size) in found.resized.items():
        message = f"the file has {there:,} bytes on Kaggle, and {size:,} in the release"
        yield _problem(message, fix, value=path)
    for path in found.others:
        yield _problem("the file on Kaggle is not in the release", "see where it comes from", value=path)


def _in_words(found: _Differences) -> str:
    """Say how many files differ how, with the names of the first; empty where none do."""
    parts = []
    for paths, one, many in (
        (found.missing, "file is missing", "files are missing"),
        (list(found.resized), "file has another size", "files have other sizes"),
        (found.others, "file is not of the release", "files are not of the release"),
    ):
        if paths:
            names = name_some(paths, _MAX_NAMED)
            parts.append(f"{len(paths):,} {one if len(paths) == 1 else many}: {names}")
    return "; ".join(parts)


def _is_about_tokens(error: SiteError) -> bool:
    """Whether a refusal speaks of the uploaded files; after one for quota they are as good as before."""
    return any(word in str(error).lower() for word in ("token", "blob"))


def _until(wall_seconds: float) -> str:
    return f"until {datetime.fromtimestamp(wall_seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _download_manifest(client: "Client", number: int) -> bytes:
    with tempfile.TemporaryFile() as file:
        client.download(number, MANIFEST_NAME, file, MAX_MANIFEST_BYTES)
        file.seek(0)
        return file.read()


def _stage(folder: Path, place: Path, manifest: Manifest) -> Path:
    """Lay out what Kaggle gets, as links under paths that stay: the client knows its uploads by them."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True)
    for entry in _sent(manifest):
        (place / entry.path).parent.mkdir(parents=True, exist_ok=True)
        (place / entry.path).symlink_to((folder / entry.path).resolve())
    return place


def _count(tree: Any) -> int:
    return len(tree.files) + sum(_count(below) for below in tree.directories)


def _read_card(folder: Path) -> str:
    try:
        return (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _error("the card of the release cannot be read", "build the release anew") from error


def _problem(message: str, fix: str, value: str | None = None) -> Problem:
    return Problem(Reason.RELEASE, message, file="kaggle", value=value, fix=fix)


def _error(message: str, fix: str, value: str | None = None) -> ReleaseError:
    return ReleaseError(_problem(message, fix, value))
