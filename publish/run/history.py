"""The releases in the output folder: which there are, and which one a new version follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.release.previous import PreviousRelease
from builders.sources import SAMPLE_KIND
from publish.checks.files import read_manifest
from schemas.manifest import MANIFEST_NAME, Inputs, PreviousEntry
from schemas.versions import VERSION_PATTERN, parse_version


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


def is_of_sample(inputs: Inputs) -> bool:
    """Return whether a release has images of the built-in sample."""
    return any(source.kind == SAMPLE_KIND for source in inputs.sources)
