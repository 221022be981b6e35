"""What a dataset on Kaggle holds: its versions, the release in each, and their files.

A version counts when its files are listed, not when it was made. Its notes name release and manifest digest;
the first version takes no notes, so its manifest.json tells.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from publish.checks.files import parse_manifest
from publish.hosts.kaggle.access import Limits, SiteError, error, problem
from publish.hosts.kaggle.page import read_note
from schemas.manifest import MANIFEST_NAME, FileEntry, Manifest
from schemas.problems import Problem, ReleaseError, name_some

if TYPE_CHECKING:
    from publish.hosts.kaggle.client import Client

TARGET = "kaggle"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
_ARCHIVES = (".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
SETTLED = ("ready", "failed")
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """One version of a dataset as Kaggle lists it; `creator` is the name of the user who made it."""

    number: int
    notes: str
    status: str
    creator: str


@dataclass(frozen=True, slots=True)
class RemoteDataset:
    """A dataset as Kaggle shows it.

    Attributes:
        newest: Number of the newest version.
        versions: What Kaggle says of each; empty where it says nothing.
        description: The text of its page.
    """

    newest: int
    versions: tuple[RemoteVersion, ...]
    description: str


@dataclass(frozen=True, slots=True)
class KaggleVersion:
    """One version of the dataset on Kaggle.

    Attributes:
        number: Kaggle's number of it.
        version: The release that it holds; None where it is not one, or cannot be seen yet.
        manifest_sha256: Digest of that release's manifest.
        state: "ready", "failed", or what Kaggle is doing with it.
        creator: Name of the user who made it; empty where Kaggle does not say.
    """

    number: int
    version: str | None
    manifest_sha256: str | None
    state: str
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """The dataset at one moment; `state` is that of what was created last, which may not be a version yet."""

    exists: bool = False
    versions: tuple[KaggleVersion, ...] = ()
    description: str = ""
    state: str = "ready"

    @property
    def newest_number(self) -> int:
        """Number of the newest version; 0 where there is none."""
        return self.versions[-1].number if self.versions else 0

    def is_made_by(self, user: str) -> bool:
        """Whether a user has made one of the versions."""
        return any(version.creator.lower() == user for version in self.versions if version.creator)

    @property
    def is_settled(self) -> bool:
        """Whether Kaggle is processing nothing."""
        return self.state in SETTLED

    def holding(self, manifest: Manifest, above: int = 0) -> list[KaggleVersion]:
        """Return the versions that hold a release, the newest last."""
        return self.holding_digest(manifest.digest, above)

    def holding_digest(self, digest: str, above: int = 0) -> list[KaggleVersion]:
        """Return the versions that hold the release of a manifest, the newest last."""
        return [v for v in self.versions if v.manifest_sha256 == digest and v.number > above]


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


class Contents:
    """Reads what the dataset holds, signed in.

    Args:
        client: Signed in.
        url: The dataset's page.
        limits: How long to wait for what.
        manifests: Version and digest by Kaggle's number, as read before: a version never changes.
    """

    def __init__(
        self,
        client: "Client",
        url: str,
        limits: Limits,
        manifests: MutableMapping[int, tuple[str, str] | None],
    ) -> None:
        self.client, self.url, self._limits, self._manifests = client, url, limits, manifests

    def look(self) -> Site:
        """Ask for the dataset as it is now.

        Raises:
            ReleaseError: The site does not say.
        """
        dataset = self.client.dataset()
        if dataset is None:
            return Site()
        state = self.client.status()
        versions = tuple(self._versions(dataset, state))
        return Site(exists=True, versions=versions, description=dataset.description, state=state)

    def manifest(self, number: int) -> Manifest:
        """Read the manifest of a version.

        Raises:
            ReleaseError: It cannot be read.
        """
        return self._parse(number, self._download_manifest(number))

    def missing(self, there: KaggleVersion, *, is_compared: bool) -> str:
        """Return in few words what is wrong with a release on Kaggle; empty if nothing is known to be."""
        if there.state != "ready":
            return f"Kaggle says {there.state}"
        if not is_compared:
            return ""
        try:
            data = self._download_manifest(there.number)
            if sha256(data).hexdigest() != there.manifest_sha256:
                return f"{MANIFEST_NAME} has other bytes than it should"
            manifest = self._parse(there.number, data)
        except SiteError as failure:
            if failure.status != 404:
                raise
            return f"1 file is missing: {MANIFEST_NAME}"
        except ReleaseError:
            return f"{MANIFEST_NAME} cannot be read"
        return _in_words(self._differences(there.number, manifest))

    def compare(self, number: int, manifest: Manifest) -> list[Problem]:
        """Compare paths and sizes, and look again where they differ: a listing may lag behind."""
        for _ in range(self._limits.retry.tries - 1):
            if not any(self._compare(number, manifest)):
                return []
            self._limits.clock.sleep(self._limits.poll_seconds)
        return list(self._compare(number, manifest))

    def is_as_sent(self, version: KaggleVersion, entry: FileEntry) -> bool:
        """Download a file of a version, and return whether its bytes have the manifest's digest.

        Raises:
            ReleaseError: The site does not give it, or gives something that it is not.
        """
        first = self._read_digest(version, entry)
        if first == (entry.num_bytes, entry.sha256):
            return True
        second = self._read_digest(version, entry)  # a page of a proxy's may have come in its place
        if second == (entry.num_bytes, entry.sha256):
            return True
        if first == second and second[0] == entry.num_bytes:
            return False
        message = (
            f"what Kaggle sends for {entry.path} is not the file ({second[0]:,} bytes of {entry.num_bytes:,})"
        )
        raise error(
            message, "run the same command again: it reads the file back once more", code="host/unfinished"
        )

    def read_back(self, version: KaggleVersion, entry: FileEntry) -> Iterator[Problem]:
        """Yield a problem if a file of a version has other bytes than the manifest's.

        Raises:
            ReleaseError: The site does not give it, or gives something that it is not.
        """
        if not self.is_as_sent(version, entry):
            message = "the file has other bytes on Kaggle than in the release"
            yield problem(message, "publish the release again", value=entry.path, code="host/file-differs")

    def is_lost(self, version: KaggleVersion, entries: Sequence[FileEntry]) -> bool:
        """Return whether a version really lacks files, or has others in their places, as its listing says.

        Raises:
            ReleaseError: The site does not say.
        """
        try:
            return not all(self.is_as_sent(version, entry) for entry in entries[:_MAX_NAMED])
        except SiteError as failure:
            if failure.status != 404:
                raise
            return True

    def twins(self, site: Site, digest: str, manifest: Manifest | None = None) -> list[int]:
        """Return the numbers of all versions that hold a release whole, if there is more than one.

        Args:
            site: The dataset.
            digest: Of the release's manifest.
            manifest: The manifest, if it is known.
        """
        held = [version.number for version in site.holding_digest(digest) if version.state == "ready"]
        if len(held) < 2:
            return []
        known = manifest or self.manifest(held[-1])
        whole = [number for number in held if not any(self._compare(number, known))]
        return whole if len(whole) > 1 else []

    def _read_digest(self, version: KaggleVersion, entry: FileEntry) -> tuple[int, str]:
        with tempfile.TemporaryFile() as file:
            self.client.download(version.number, entry.path, file, entry.num_bytes)
            num_bytes = file.seek(0, os.SEEK_END)
            file.seek(0)
            return num_bytes, file_digest(file, "sha256").hexdigest()

    def _versions(self, dataset: RemoteDataset, state: str) -> Iterator[KaggleVersion]:
        notes = {version.number: version.notes for version in dataset.versions}
        creators = {version.number: version.creator for version in dataset.versions}
        ready = {version.number for version in dataset.versions if version.status.lower() == "ready"}
        numbers = sorted({*notes, dataset.newest} - {0}) if notes else range(1, dataset.newest + 1)
        for number in numbers:
            # What is in the works may not be listed yet: then the state is not that of the newest listed one.
            its_state = state if number == dataset.newest and number not in ready else "ready"
            found = read_note(notes.get(number, ""))
            # The first version has no notes of ours, and it may be that the site shows none at all.
            if found is None and its_state == "ready" and (number == 1 or not notes):
                found = self._read_identity(number)
            version, digest = found or (None, None)
            yield KaggleVersion(number, version, digest, its_state, creators.get(number, ""))

    def _read_identity(self, number: int) -> tuple[str, str] | None:
        """Read version and digest from the manifest of a Kaggle version, once; None where it holds none."""
        if number not in self._manifests:
            try:
                data = self._download_manifest(number)
                if not (found := _identify(data)):
                    # A page of a proxy's: to take it for another file would publish the release twice.
                    data = self._download_manifest(number)
                    found = _identify(data)
                if not found and len(data) != self.client.files(number, ()).get(MANIFEST_NAME):
                    message = f"what Kaggle sends for {MANIFEST_NAME} of its version {number} is not the file"
                    raise error(message, "run the same command again", code="host/unreachable")
            except SiteError as failure:
                if failure.status != 404:
                    raise
                return None  # it may come: a listing may be ahead of the files
            self._manifests[number] = found
        return self._manifests[number]

    def _parse(self, number: int, data: bytes) -> Manifest:
        return parse_manifest(data, f"{self.url}/versions/{number}: {MANIFEST_NAME}")

    def _download_manifest(self, number: int) -> bytes:
        with tempfile.TemporaryFile() as file:
            self.client.download(number, MANIFEST_NAME, file, MAX_MANIFEST_BYTES)
            file.seek(0)
            return file.read()

    def _differences(self, number: int, manifest: Manifest) -> _Differences:
        expected = {entry.path: entry.num_bytes for entry in sent_entries(manifest)}
        folders = dict.fromkeys(str(PurePosixPath(path).parent) for path in expected if "/" in path)
        there = self.client.files(number, folders)
        return _Differences(
            missing=[path for path in expected if path not in there],
            resized={p: (there[p], size) for p, size in expected.items() if there.get(p, size) != size},
            others=sorted(there.keys() - expected.keys()),
        )

    def _compare(self, number: int, manifest: Manifest) -> Iterator[Problem]:
        """Compare the paths and sizes of a version with the manifest."""
        found = self._differences(number, manifest)
        fix = "run the same command again: it sends the release once more"
        for path in found.missing:
            yield problem("the file is missing on Kaggle", fix, value=path, code="host/file-differs")
        for path, (there, size) in found.resized.items():
            message = f"the file has {there:,} bytes on Kaggle, and {size:,} in the release"
            yield problem(message, fix, value=path, code="host/file-differs")
        for path in found.others:
            message = "the file on Kaggle is not in the release"
            yield problem(message, "see where it comes from", value=path, code="host/file-differs")


def _identify(data: bytes) -> tuple[str, str] | None:
    """Return version and digest of a manifest, of whatever version of the kit; None if it is none."""
    try:
        return str(json.loads(data)["inputs"]["version"]), sha256(data).hexdigest()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def sent_entries(manifest: Manifest) -> tuple[FileEntry, ...]:
    """Return every file that goes to Kaggle, the manifest last: no archives, which Kaggle would unpack."""
    given = manifest.entries_for(TARGET)
    return tuple(entry for entry in given if not entry.path.lower().endswith(_ARCHIVES))


def absent(version: str, fix: str = "publish it") -> Problem:
    """Return the problem of a release that no version holds."""
    return problem(f"Kaggle has no version of release {version}", fix, code="host/not-found")


def newest_holding(site: Site, version: str) -> KaggleVersion:
    """Return the newest of Kaggle's versions that hold a release, whatever its content.

    Raises:
        ReleaseError: None does.
    """
    held = [there for there in site.versions if there.version == version]
    if not held:
        raise ReleaseError(absent(version, "see which releases are there"))
    return held[-1]


def _in_words(found: _Differences) -> str:
    """Return how many files differ how, with the names of the first; empty where none do."""
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
