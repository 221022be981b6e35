"""Sending a release to Kaggle: upload the files, ask once for a version, wait until it can be read.

An answer that got lost is no refusal: then Kaggle is looked at until the request can no longer produce a
version.
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
from publish.hosts.kaggle.planning import MAX_TRIES, until
from publish.hosts.protocol import Watcher
from schemas.manifest import Manifest
from schemas.problems import ReleaseError

# What a site says of a request that will never do, unlike one that is too early or not allowed.
_REFUSED = (400, 404, 409, 410, 422)
# Kaggle does not say how long it keeps files that are in no version yet; a refusal of older ones may be that.
_MAX_TOKEN_SECONDS = 24 * 3600


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
        url: Its page.
        uploads: Where uploads that are not done are kept.
        limits: How long to wait for what.
        watcher: Is told how far it is.
    """

    def __init__(
        self, contents: Contents, url: str, uploads: Uploads, limits: Limits, watcher: Watcher
    ) -> None:
        self._contents, self._url, self._uploads = contents, url, uploads
        self._limits, self._watcher = limits, watcher

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
        if self._uploads.doubt(site) is not None:
            self._settle(site, parcel.manifest)
        else:
            self._send_files(site, parcel)
        self._wait_for(site, parcel.manifest)

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
            tree = self._contents.client.send_files(staged, state, self._tell(parcel.manifest))
            if _count(tree) != len(sent_entries(parcel.manifest)):
                raise error(
                    "the client has left out files", "see whether it has a newer version", code="host/client"
                )
            try:
                self._create(site, tree, parcel)
            except SiteError as failure:
                # Tokens expire at an undocumented time, and Kaggle answers a quota refusal like one for
                # tokens. Send files again only after a refusal that names tokens, or after a day.
                is_old = _is_about_tokens(failure) or state.age_seconds > _MAX_TOKEN_SECONDS
                if is_resumed and failure.status in _REFUSED and is_old:
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
        """Ask for the version, once: while it is unknown whether that was heard, no run asks again."""
        if site.exists:
            self.wait()  # so that what is processed after this is what was asked for
        if self._has_appeared(site, parcel.manifest):
            return
        client, place = self._contents.client, self._uploads.place(parcel.manifest)
        attempts = read_attempts(place).asked(self._limits, site.newest_number)
        write_attempts(place, attempts)
        try:
            if not site.exists:
                client.create_dataset(tree, parcel.page, parcel.description)
            else:
                client.create_version(tree, parcel.page, parcel.description, note(parcel.manifest))
        except SiteError as failure:
            if not failure.is_unknown:
                write_attempts(place, attempts.refused())
                raise
            self._settle(site, parcel.manifest)
        else:
            write_attempts(place, attempts.taken())

    def _settle(self, site: Site, manifest: Manifest) -> None:
        """Look for a version that Kaggle may be making.

        Raises:
            ReleaseError: None appears, or another one than that of the release.
        """
        self._watcher.note(
            "Kaggle's answer to the creation of a version got lost: looking whether one appears"
        )
        end = self._limits.clock.seconds() + self._limits.settle_seconds
        while self._limits.clock.seconds() < end:
            self._limits.clock.sleep(self._limits.poll_seconds)
            if self._has_appeared(site, manifest):
                return
        message = "it is unknown whether Kaggle has taken the release: its answer was lost"
        doubt = self._uploads.doubt(site)
        then = f"; {until(doubt)} it only looks" if doubt is not None else ""
        raise error(
            message, f"nothing is lost: run the same command again later{then}", code="host/unfinished"
        )

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
