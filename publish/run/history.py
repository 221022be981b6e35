"""The releases in the output folder: which there are, and which one a new version follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.release.previous import PreviousRelease
from builders.sources import SAMPLE_KIND
from publish.checks.files import read_manifest
from publish.hosts.refusals import older, respelled
from schemas.manifest import MANIFEST_NAME, Inputs, PreviousEntry
from schemas.problems import Problem, Reason, ReleaseError
from schemas.versions import VERSION_PATTERN, Bump, bump_between, next_version, parse_version


def find_releases(out: Path) -> Mapping[str, Path]:
    """List the releases in an output folder, the oldest version first."""
    folders = {
        path.name: path
        for path in (out.iterdir() if out.is_dir() else ())
        if VERSION_PATTERN.fullmatch(path.name) and (path / MANIFEST_NAME).is_file()
    }
    return dict(sorted(folders.items(), key=lambda item: parse_version(item[0])))


@dataclass(frozen=True, slots=True)
class Predecessor:
    """What a version follows.

    Attributes:
        entry: What its manifest says of that; None if it follows nothing.
        release: The release to compare it with; None if there is none, or if that is not there any more.
    """

    entry: PreviousEntry | None = None
    release: PreviousRelease | None = None


def find_previous(out: Path, version: str, given: Path | None, *, of_sample: bool = False) -> Predecessor:
    """Find the release that a version follows.

    Args:
        out: The output folder.
        version: The version; one that is there already follows what it says it follows.
        given: The release to take, whatever there is in `out`.
        of_sample: Whether this is a release of the built-in sample: real collections do not follow those.

    Returns:
        The given one, or else the newest in `out` that is older than the version.

    Raises:
        ReleaseError: It is not a release, or its manifest is damaged.
    """
    if given is not None:
        release = PreviousRelease(given, read_manifest(given))
        return Predecessor(release.entry, release)
    releases = find_releases(out)
    _refuse_same_version(releases, version)
    if version in releases:
        stated = read_manifest(releases[version]).inputs.previous
        candidates = [stated.version] if stated is not None and stated.version in releases else []
        return Predecessor(stated, _newest(releases, candidates, of_sample=of_sample))
    candidates = [each for each in releases if parse_version(each) < parse_version(version)]
    newest = _newest(releases, candidates, of_sample=of_sample)
    return Predecessor(newest.entry if newest else None, newest)


def _newest(
    releases: Mapping[str, Path], versions: Sequence[str], *, of_sample: bool
) -> PreviousRelease | None:
    """Read the last of some versions that is of the sample, or of a real collection."""
    for version in reversed(versions):
        manifest = read_manifest(releases[version])
        if is_of_sample(manifest.inputs) == of_sample:
            return PreviousRelease(releases[version], manifest)
    return None


def _refuse_same_version(releases: Mapping[str, Path], version: str) -> None:
    """Refuse 1.1.0 beside 1.1.

    Raises:
        ReleaseError: The version is there under another name.
    """
    for other, folder in releases.items():
        problem = respelled(version, other, str(folder))
        if problem is not None:
            raise ReleaseError(problem)


def is_of_sample(inputs: Inputs) -> bool:
    """Say whether a release has images of the built-in sample."""
    return any(source.kind == SAMPLE_KIND for source in inputs.sources)


def refuse_previous(previous: PreviousRelease, inputs: Inputs) -> list[Problem]:
    """Say why a release cannot follow another, whatever is in it."""
    old, new = previous.manifest.inputs, inputs
    problems = []
    if old.dataset.name != new.dataset.name:
        message = (
            f"the previous release is of the dataset {old.dataset.name}, and this one of {new.dataset.name}"
        )
        problems.append(_problem(message, previous, "give a release of this dataset with --previous"))
    problem = older(new.version, old.version, str(previous.folder), "which it is to follow", or_equal=True)
    return [*problems, problem] if problem is not None else problems


def refuse_bump(previous: PreviousRelease, version: str, needed: Bump) -> list[Problem]:
    """Say why a version claims less than what happened since the previous one, if it does."""
    claimed = bump_between(previous.manifest.version, version)
    if claimed is None or claimed.rank >= needed.rank:
        return []
    least = next_version(previous.manifest.version, needed)
    message = (
        f"version {version} claims a {claimed} change from {previous.manifest.version}, and what happened is "
        f"{needed}: {_MEANINGS[needed]}"
    )
    return [_problem(message, previous, f"give version {least} or later, or insist with --allow-bump")]


_MEANINGS = {
    Bump.MAJOR: "rows were edited or removed, or columns lost",
    Bump.MINOR: "rows or columns were added",
    Bump.PATCH: "the same rows are written anew",
}


def _problem(message: str, previous: PreviousRelease, fix: str) -> Problem:
    return Problem(Reason.RELEASE, message, file=str(previous.folder), fix=fix)
