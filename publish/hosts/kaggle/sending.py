"""Sending a release to Kaggle: upload the files, ask once for a version, wait until it can be read.

No answer counts, only what can be read afterwards. A request of which nothing was written to the network was
not heard, and is sent again at once. After one that was written and not answered, Kaggle is looked at until
the request can no longer produce a version.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publish.checks.files import check_files
from publish.hosts.kaggle.access import Limits, SiteError, error, silence
from publish.hosts.kaggle.attempts import Uploads, read_attempts, write_attempts
from publish.hosts.kaggle.contents import Contents, Site, sent_entries
from publish.hosts.kaggle.page import KagglePage, note
from publish.hosts.kaggle.planning import MAX_TRIES
from publish.hosts.protocol import Watcher
from schemas.manifest import Manifest
from schemas.problems import ReleaseError

# What a site says of a request that will never do, unlike one that is too early or not allowed.
_REFUSED = (400, 404, 409, 410, 422)
# Kaggle does not say how long it keeps files that are in no version yet; a refusal of older ones may be that.
_MAX_TOKEN_SECONDS = 24 * 3600
_PAGE_LOOKS = 6  # after each update of the page, which may be shown late
_COUNTDOWN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Parcel:
    """A release on its way.

    Attributes:
        folder: The release, checked.
        manifest: Its manifest.
        page: What Kaggle shows around it.
        description: The text of the page.
    """

    folder: Path
    manifest: Manifest
    page: KagglePage
    description: str


class Sender:
    """Makes versions of the dataset.

    Args:
        contents: Of the dataset.
        uploads: Where uploads that are not done are kept.
        limits: How long to wait for what.
        watcher: Is told how far it is.
        waits: Whether to stay until a request that was not answered is decided.
    """

    def __init__(
        self,
        contents: Contents,
        uploads: Uploads,
        limits: Limits,
        watcher: Watcher,
        *,
        waits: bool = False,
    ) -> None:
        self._contents, self._url, self._uploads = contents, contents.url, uploads
        self._limits, self._watcher, self._waits = limits, watcher, waits

    def send(self, site: Site, parcel: Parcel) -> None:
        """Upload all files, make a version of them, and wait until it can be read.

        Args:
            site: The dataset, settled.
            parcel: What to send.

        Raises:
            ReleaseError: It cannot be done, or the end is not known.
        """
        problems = list(check_files(parcel.folder, parcel.manifest))
        if problems:
            raise ReleaseError(problems)
        if self._uploads.doubt(site) is None or not self._appears(site, parcel.manifest):
            self._send_files(site, parcel)
        self._wait_for(site, parcel.manifest)
        # Then a version of another run, which asked at the same time, can be seen.
        self._limits.clock.sleep(self._limits.others_seconds)

    def write_page(self, description: str, page: KagglePage | None, is_there: Callable[[str], bool]) -> None:
        """Set what the page shows, and see that it shows it.

        Args:
            description: Its text.
            page: What stands around the text; if left out, that stays.
            is_there: Whether a text of the page is the new one; Kaggle may change some of it.

        Raises:
            ReleaseError: Kaggle refuses, or does not show it.
        """
        for _ in range(self._limits.retry.tries):
            self._contents.client.update_page(description, page)
            for _ in range(_PAGE_LOOKS):
                if is_there(self._contents.look().description):
                    return
                self._limits.clock.sleep(self._limits.poll_seconds)
        message = "Kaggle answered that it has set the text of the page, and shows another"
        raise error(message, "run the same command again later", code="host/unfinished")

    def wait(self, above: int = 0) -> Site:
        """Wait until Kaggle processes nothing and has a version above a number, telling so once a minute.

        Returns:
            The dataset then; processing may have failed.

        Raises:
            ReleaseError: It takes too long.
        """
        start, minutes = self._limits.clock.seconds(), -1
        end = start + self._limits.processing_seconds
        while True:
            site = self._contents.look()
            if site.state == "failed" or (site.is_settled and site.newest_number > above):
                return site
            if minutes != (minutes := int(self._limits.clock.seconds() - start) // 60):
                self._watcher.note(f"Kaggle is processing ({site.state}), for {minutes} minutes so far")
            if self._limits.clock.seconds() >= end:
                spent = self._limits.processing_seconds / 60
                message = f"Kaggle has been processing a version for {spent:,.0f} minutes ({site.state})"
                raise error(
                    message, "run the same command again later: nothing is sent twice", code="host/unfinished"
                )
            self._limits.clock.sleep(self._limits.poll_seconds)

    def _send_files(self, site: Site, parcel: Parcel) -> None:
        from publish.hosts.kaggle.transfer import UploadState  # noqa: PLC0415 - see access

        place = self._uploads.place(parcel.manifest)
        staged = _stage(parcel.folder, place / "files", parcel.manifest)
        uploads = place / "uploads"
        is_resumed = uploads.is_dir() and any(uploads.iterdir())
        with silence(), UploadState(uploads) as state:
            entries = sent_entries(parcel.manifest)
            digests = {staged / entry.path: entry.sha256 for entry in entries}
            tree = self._contents.client.send_files(digests, staged, state, self._tell(parcel.manifest))
            if _count(tree) != len(entries):
                raise error(
                    "the client has left out files", "see whether it has a newer version", code="host/client"
                )
            try:
                self._create(site, tree, parcel)
            except SiteError as failure:
                # Tokens expire at an undocumented time, and Kaggle answers a quota refusal like one for
                # tokens. Send files again only after a refusal that names tokens, or after a day.
                is_old = is_resumed and state.age_seconds > _MAX_TOKEN_SECONDS
                if failure.status in _REFUSED and (is_old or _is_about_tokens(failure)):
                    shutil.rmtree(uploads)
                raise

    def _tell(self, manifest: Manifest) -> Callable[[int], None]:
        """Return what adds bytes that are through, and tells their sum."""
        done, total = 0, sum(entry.num_bytes for entry in sent_entries(manifest))

        def tell(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            self._watcher.advance("sending to Kaggle", done, total)

        return tell

    def _create(self, site: Site, tree: Any, parcel: Parcel) -> None:
        """Ask for the version; while it is unknown whether that was heard, no run asks again.

        Raises:
            ReleaseError: Kaggle refuses, or it is not known yet whether it heard.
        """
        if site.exists:
            self.wait()  # so that what is processed after this is what was asked for
        for _ in range(self._limits.retry.tries):
            if self._has_appeared(site, parcel.manifest) or self._create_once(site, tree, parcel):
                return
        message = f"Kaggle has answered none of {self._limits.retry.tries} requests to make the version"
        raise error(message, "run the same command again later", code="host/unreachable")

    def _create_once(self, site: Site, tree: Any, parcel: Parcel) -> bool:
        """Ask for the version once; return False if Kaggle did not make it and will not do so any more."""
        client, place = self._contents.client, self._uploads.place(parcel.manifest)
        attempts, is_asked = read_attempts(place), False

        def note_asking() -> None:
            nonlocal is_asked
            is_asked = True
            write_attempts(place, attempts.asked(self._limits, site.newest_number))

        try:
            if not site.exists:
                client.create_dataset(tree, parcel.page, parcel.description, note_asking)
            else:
                notes = note(parcel.manifest)
                client.create_version(tree, parcel.page, parcel.description, notes, note_asking)
        except SiteError as failure:
            if failure.is_unknown and is_asked:
                self._watcher.note(f"{failure.problems[0].message}: looking whether Kaggle makes a version")
                return self._appears(site, parcel.manifest)
            if is_asked and not site.exists and self._contents.look().holding(parcel.manifest):
                return True  # the name is taken, by the request of which the answer was lost
            write_attempts(place, attempts.refused())
            raise
        write_attempts(place, attempts.asked(self._limits, site.newest_number).taken())
        return True

    def _appears(self, site: Site, manifest: Manifest) -> bool:
        """Look for a version that Kaggle may be making; return whether it appears in time.

        Raises:
            ReleaseError: It is not decided yet, or there is a version of another client's.
        """
        start = told = self._limits.clock.seconds()
        while outlook := self._uploads.outlook(site):
            if self._limits.clock.seconds() >= start + self._limits.settle_seconds and not self._waits:
                message = "Kaggle has not said whether it makes a version of the release, and shows none yet"
                fix = f"run the same command again, or with --wait. {outlook}"
                raise error(message, fix, code="host/unfinished")
            if self._waits and (told == start or self._limits.clock.seconds() >= told + _COUNTDOWN_SECONDS):
                told = self._limits.clock.seconds()
                self._watcher.note(f"Kaggle shows no new version yet. {outlook}")
            self._limits.clock.sleep(self._limits.poll_seconds)
            if self._has_appeared(site, manifest):
                return True
        return False

    def _has_appeared(self, site: Site, manifest: Manifest) -> bool:
        """Whether there is a version that was not there before.

        Raises:
            ReleaseError: There is one, and another client made it.
        """
        now = self._contents.look()
        if not now.is_settled or now.holding(manifest, site.newest_number):
            return True  # the site may count a version only when it is processed
        if now.newest_number == site.newest_number:
            return False
        message = f"another client has created version {now.newest_number} on Kaggle meanwhile"
        raise error(message, "see what it is, and run the same command again", code="host/moved")

    def _wait_for(self, before: Site, manifest: Manifest) -> None:
        """Wait until the newest version is processed and holds a release.

        Raises:
            ReleaseError: Processing fails, takes too long, or gives another release.
        """
        site = self.wait(before.newest_number)
        if site.state == "failed":
            place = self._uploads.place(manifest)
            if (attempts := read_attempts(place)).asked_at is not None:
                write_attempts(place, attempts.taken())
            message = f"Kaggle could not process release {manifest.version}"
            is_last = self._uploads.num_tries(site, manifest) >= MAX_TRIES
            then = "ask Kaggle's support" if is_last else "the same command sends it once more"
            raise error(message, f"look at {self._url}; {then}", code="host/unfinished")
        if not site.holding(manifest, before.newest_number):
            message = f"the newest version on Kaggle, {site.newest_number}, does not hold this release"
            raise error(
                message, "see who else publishes there, and run the same command again", code="host/moved"
            )


def _is_about_tokens(failure: SiteError) -> bool:
    """Whether a refusal speaks of the uploaded files; after one for quota they are as good as before."""
    return any(word in str(failure).lower() for word in ("token", "blob"))


def _stage(folder: Path, place: Path, manifest: Manifest) -> Path:
    """Lay out what Kaggle gets, as links under paths that stay: the client knows its uploads by them."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True)
    for entry in sent_entries(manifest):
        (place / entry.path).parent.mkdir(parents=True, exist_ok=True)
        (place / entry.path).symlink_to((folder / entry.path).resolve())
    return place


def _count(tree: Any) -> int:
    return len(tree.files) + sum(_count(below) for below in tree.directories)
