"""Versions of a dataset, and by how much one differs from another."""

import re
from enum import StrEnum

from packaging.version import Version

VERSION_PATTERN = re.compile(r"(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){1,2}")


def tag_of(version: str) -> str:
    """Return the tag that a version has on a host, such as v1.1."""
    return f"v{version}"


class Bump(StrEnum):
    """The part of a version that changes from one release to the next, the least first.

    Croissant says what each means (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html): major
    where rows were edited or removed, minor where some were added, patch where they are only written again.
    """

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"

    @property
    def rank(self) -> int:
        """Return the rank: 0 for a patch, 2 for a major change."""
        return list(Bump).index(self)


def parse_version(version: str) -> tuple[int, int, int]:
    """Split MAJOR.MINOR or MAJOR.MINOR.PATCH into numbers, to compare versions by.

    Raises:
        ValueError: It is neither.
    """
    if not VERSION_PATTERN.fullmatch(version):  # PEP 440, which the library reads, allows much more
        raise ValueError(f"{version!r} is not a version")
    found = Version(version)
    return found.major, found.minor, found.micro


def bump_between(old: str, new: str) -> Bump | None:
    """Return the bump between two versions; None if the new one is not newer."""
    before, after = parse_version(old), parse_version(new)
    if after <= before:
        return None
    for bump, was, now in zip((Bump.MAJOR, Bump.MINOR), before, after, strict=False):
        if now > was:
            return bump
    return Bump.PATCH


def next_version(old: str, bump: Bump) -> str:
    """Return the least version that claims as much over an old one."""
    major, minor, patch = parse_version(old)
    if bump is Bump.MAJOR:
        return f"{major + 1}.0"
    return f"{major}.{minor + 1}" if bump is Bump.MINOR else f"{major}.{minor}.{patch + 1}"
