"""The Kaggle target: each release is one version of a dataset, in the same folders as everywhere else.

A Kaggle user finds the release as it was built: `README.md` and the other texts at the top, `manifest.json`
beside them, one folder of Parquet for each config. So `load_dataset(path, config)` reads the card there as on
the Hub, and every path of the manifest is a path on Kaggle. Archives stay behind, since Kaggle unpacks them.

What Kaggle does not promise is looked for, before and after: its versions have numbers of its own, so the
notes of each name release and manifest digest (the first version takes no notes: its manifest.json tells); an
answer that got lost is no refusal; and a version counts when its files are listed, not when it was made.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from publish.hosts.kaggle.access import Limits, error, open_client, problem
from publish.hosts.kaggle.attempts import Uploads
from publish.hosts.kaggle.contents import (
    TARGET,
    Contents,
    KaggleVersion,
    absent,
    newest_holding,
    sent_entries,
)
from publish.hosts.kaggle.page import KagglePage, check_page, describe, page_mark
from publish.hosts.kaggle.planning import KagglePlan, Planner, Step, check_layout, missing_files
from publish.hosts.kaggle.sending import Parcel, Sender
from publish.hosts.protocol import UNWATCHED, Action, Held, HostOptions, Watcher
from schemas.manifest import MANIFEST_NAME, Manifest, Receipt
from schemas.problems import Problem, Reason, ReleaseError, printable
from schemas.versions import VERSION_PATTERN
from schemas.withdrawals import MAX_REASON_CHARS, carry_over, mark_text, withdrawals


class KaggleTarget:
    """Releases as versions of one dataset on Kaggle.

    Args:
        dataset: As "owner/slug".
        page: What the maintainer says of it there.
        state: Folder of ours for uploads that are not done, made if missing. A run that continues another
            needs the same one.
        limits: How long to wait for what.
        options: What the run may do.
    """

    def __init__(
        self,
        dataset: str,
        page: KagglePage,
        state: Path,
        limits: Limits | None = None,
        options: HostOptions | None = None,
    ) -> None:
        self._options = options or HostOptions()
        self._dataset, self._page = dataset, page
        self._limits = limits or Limits()
        self._url = f"https://www.kaggle.com/datasets/{dataset}"
        self._uploads = Uploads(state, self._limits)
        self._planner = Planner(
            dataset, self._url, page, self._uploads, trusts_rights=self._options.trusts_rights
        )
        self._manifests: dict[int, tuple[str, str] | None] = {}  # of versions, which never change

    def ready(self, *, beside: bool = True) -> tuple[Problem, ...]:  # noqa: ARG002 - of the protocol
        """Return what prevents a write there: broken rules, the client, the credentials."""
        try:
            open_client(self._dataset, self._limits, self._options.note)
        except ReleaseError as failure:
            return (*check_page(self._dataset, self._page), *failure.problems)
        return tuple(check_page(self._dataset, self._page))

    def releases(self) -> Mapping[str, Held]:
        """Return every release that is there, as the newest of Kaggle's versions that hold it.

        The newest release, which people get, is compared with Kaggle's listing of its files; the others, each
        of which would cost as many requests again, are left to `verify`.

        Raises:
            ReleaseError: The site cannot be asked.
        """
        contents = self._open()
        site = contents.look()
        marks = withdrawals(site.description)
        there = {v.version: v for v in site.versions if v.version and VERSION_PATTERN.fullmatch(v.version)}
        newest = max((v.number for v in there.values()), default=0)
        return {
            version: Held(
                str(found.number),
                found.manifest_sha256,
                contents.missing(found, is_compared=found.number == newest),
                printable(marks.get(version, ""))[:MAX_REASON_CHARS],
                _as_versions(contents.twins(site, found.manifest_sha256 or "")),
            )
            for version, found in there.items()
        }

    def state(self) -> str:
        """Return the state in one line: Kaggle's number of the newest version.

        Raises:
            ReleaseError: The site cannot be asked.
        """
        site = self._open().look()
        return f"version {site.newest_number}" if site.exists else "no dataset"

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a release from the newest of Kaggle's versions that hold it.

        Raises:
            ReleaseError: The release is not there, or its manifest cannot be read.
        """
        contents = self._open()
        return contents.manifest(newest_holding(contents.look(), version).number)

    def plan(self, manifest: Manifest, folder: Path | None = None) -> KagglePlan:
        """Plan a run, with every reason against it; nothing is changed.

        Args:
            manifest: The release.
            folder: Its folder, where it is built; what is missing of it is a reason, too.
        """
        problems = [*check_page(self._dataset, self._page), *check_layout(manifest)]
        if folder is not None:
            problems += missing_files(folder, manifest)
        try:
            return self._planner.plan(self._open(), manifest, problems)
        except ReleaseError as failure:
            reasons = (*problems, *failure.problems)
            return KagglePlan(target=TARGET, url=self._url, action=Action.REFUSE, problems=reasons)

    def upload(
        self,
        folder: Path,
        manifest: Manifest,
        plan: KagglePlan | None = None,
        watcher: Watcher = UNWATCHED,
        *,
        exact: bool = False,
    ) -> bool:
        """Do what is left to do of a release; after a failure, the same call continues.

        Args:
            folder: The release, checked.
            manifest: Its manifest.
            plan: What was shown before. Where the site has changed since, that is told.
            watcher: Is told how many bytes are through.
            exact: Refuse where the site has changed since `plan`.

        Returns:
            True: where two runs ask at once, Kaggle lets both win.

        Raises:
            ReleaseError: It cannot be done, the site has changed since the plan, or the end is not known.
        """
        if plan is not None and plan.problems:
            raise ReleaseError(plan.problems)
        contents = self._open()
        sender = Sender(contents, self._uploads, self._limits, watcher, waits=self._options.waits)
        site = contents.look()
        if plan is not None and site.newest_number != plan.newest and not site.holding(manifest):
            message = (
                f"Kaggle has version {site.newest_number} now; it was {plan.newest} when this was planned"
            )
            if exact:
                raise error(message, "make a new plan, and look at it", code="run/plan-changed")
            watcher.note(f"{message}; planned anew")
        if not site.is_settled:
            site = sender.wait()
        for text in self._planner.notes(site):
            watcher.note(text)
        steps = self._planner.steps(contents, site, manifest)
        if exact and plan is not None and not set(steps) <= set(plan.steps):
            message = "what is to be done on Kaggle has changed since it was planned"
            raise error(message, "make a new plan, and look at it", code="run/plan-changed")
        text = describe(self._dataset, _read_card(folder), manifest)
        description = carry_over(text, withdrawals(site.description))
        if steps and steps[0] is not Step.DESCRIBE:
            sender.send(site, Parcel(folder, manifest, self._page, description))
            self._read_unproven(manifest)
        if steps:
            # The mark comes only here: a version takes no title and no licence, so its text proves neither.
            mark = page_mark(self._page, manifest)
            sender.write_page(f"{description}\n\n{mark}\n", self._page, lambda text: mark in text)
        return True

    def _read_unproven(self, manifest: Manifest) -> None:
        """Read back files that were sent in parts of which Kaggle's storage gave no digest.

        Raises:
            ReleaseError: Other bytes come back.
        """
        from publish.hosts.kaggle.transfer import unproven  # noqa: PLC0415 - see access

        place = self._uploads.place(manifest)
        paths = [str(path.relative_to(place / "files")) for path in unproven(place / "uploads")]
        if problems := self.read_back(manifest, paths):
            raise ReleaseError(problems)

    def verify(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Compare paths, sizes and the manifest's bytes with the manifest."""
        contents = self._open()
        site = contents.look()
        held = site.holding(manifest)
        if not held:
            return (absent(manifest.version),)
        if held[-1].state != "ready":
            message = f"Kaggle has not processed version {held[-1].number}"
            return (problem(message, "wait, and verify again", code="host/unfinished"),)
        problems = contents.compare(held[-1].number, manifest)
        if MANIFEST_NAME not in {found.value for found in problems}:
            (entry,) = (entry for entry in sent_entries(manifest) if entry.path == MANIFEST_NAME)
            problems += contents.read_back(held[-1], entry)
        if twins := contents.twins(site, manifest.digest, manifest):
            message = f"Kaggle holds release {manifest.version} {_as_versions(twins)}"
            fix = "leave it so, since people get the newer one and both are alike; or delete one on the page"
            problems.append(Problem(Reason.RELEASE_TWICE, message, file=TARGET, fix=fix))
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
        contents = self._open()
        held = contents.look().holding(manifest)
        if not held:
            return (absent(manifest.version),)
        entries = [entry for entry in sent_entries(manifest) if paths is None or entry.path in paths]
        done, total, problems = 0, sum(entry.num_bytes for entry in entries), list[Problem]()
        for entry in entries:
            problems += contents.read_back(held[-1], entry)
            done += entry.num_bytes
            watcher.advance("reading from Kaggle", done, total)
        if problems:
            self._uploads.note_spoilt(manifest, held[-1].number)  # the next release run sends it once more
        return tuple(problems)

    def finish(self, manifest: Manifest) -> None:
        """Forget what is kept of the upload; nothing is to be named, since the notes name the version."""
        self._uploads.forget(manifest)

    def accompany(self, manifest: Manifest, watcher: Watcher = UNWATCHED) -> None:
        """Publish nothing: on Kaggle nothing goes beside a release."""

    def verify_beside(self, manifest: Manifest) -> tuple[Problem, ...]:  # noqa: ARG002 - of the protocol
        """Return no problem, since nothing goes beside a release."""
        return ()

    def receipt(self, manifest: Manifest) -> Receipt:
        """Return the receipt of a release.

        Raises:
            ReleaseError: It is not there.
        """
        held = self._open().look().holding(manifest)
        if not held:
            raise ReleaseError(absent(manifest.version))
        return Receipt(
            target=TARGET,
            url=f"{self._url}/versions/{held[-1].number}",
            version=manifest.version,
            revision=str(held[-1].number),
            manifest_sha256=manifest.digest,
        )

    def status(self) -> tuple[KaggleVersion, ...]:
        """Return every version on Kaggle, the newest last, each with the release that it holds.

        Raises:
            ReleaseError: The site cannot be asked.
        """
        return self._open().look().versions

    def withdraw(self, version: str, reason: str) -> bool:
        """Mark a release as withdrawn above the page's text; later releases keep the line.

        Kaggle lets no user change the notes of a version, and nothing is removed.

        Args:
            version: The release.
            reason: Why, in one line.

        Returns:
            Whether it was not said before.

        Raises:
            ReleaseError: The release is not there, or the site refuses.
        """
        contents = self._open()
        site = contents.look()
        newest_holding(site, version)
        description = mark_text(site.description, version, reason)
        if description == site.description:
            return False
        sender = Sender(contents, self._uploads, self._limits, UNWATCHED)
        sender.write_page(description, None, lambda text: version in withdrawals(text))
        return True

    def _open(self) -> Contents:
        """Sign in.

        Raises:
            ReleaseError: The client or the credentials are not fit for it, or the site does not answer.
        """
        client = open_client(self._dataset, self._limits, self._options.note)
        return Contents(client, self._url, self._limits, self._manifests)


def _as_versions(numbers: Sequence[int]) -> str:
    return f"twice, as versions {' and '.join(map(str, numbers))}" if numbers else ""


def _read_card(folder: Path) -> str:
    try:
        return (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise error(
            "the card of the release cannot be read", "build the release again", code="check/file"
        ) from failure
