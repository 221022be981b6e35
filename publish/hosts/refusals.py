"""The rules for versions that hold wherever releases are: in the output folder, on the Hub and on Kaggle.

A published version never changes, has one spelling, and is followed by later ones only.
"""

from schemas.problems import Problem, Reason
from schemas.versions import VERSION_PATTERN, parse_version

NEXT_VERSION = "a published version is never overwritten: give the next version"


def other_content(
    version: str, file: str, how: str, *, where: str = "there", digest: str | None = None
) -> Problem:
    """Return the refusal of a version that is published with other content.

    Args:
        version: The version.
        file: The host, or the folder.
        how: How the content differs, or where it is.
        where: The place in words.
        digest: Of the manifest that is there.
    """
    message = f"version {version} is {where} with other content ({how})"
    return Problem(
        Reason.RELEASE, message, file=file, value=digest, fix=NEXT_VERSION, code="host/version-exists"
    )


def respelled(version: str, there: str, file: str) -> Problem | None:
    """Refuse 1.1.0 beside 1.1: readers could not know which of the two is meant.

    Args:
        version: The version to publish.
        there: One that is published, or what notes on a host call one; what is none is never the same.
        file: The host, or the folder.
    """
    if version == there or not VERSION_PATTERN.fullmatch(there):
        return None
    if parse_version(there) != parse_version(version):
        return None
    message = f"version {version} is there already, as {there}"
    return Problem(Reason.RELEASE, message, file=file, fix=NEXT_VERSION, code="host/version-respelled")


def older(version: str, there: str, file: str, why: str, *, or_equal: bool = False) -> Problem | None:
    """Refuse a version that is older than one that readers have.

    Args:
        version: The version to publish.
        there: One that is published, or what notes on a host call one; what is none is never newer.
        file: The host, or the folder.
        why: Why the other one matters: a clause that begins with "which".
        or_equal: Whether it has to be newer, and not only as new.
    """
    if not VERSION_PATTERN.fullmatch(there) or parse_version(there) < parse_version(version):
        return None
    if parse_version(there) == parse_version(version) and not or_equal:
        return None
    message = f"version {version} is not newer than {there}, {why}"
    fix = f"give a version after {there}"
    return Problem(Reason.RELEASE, message, file=file, fix=fix, code="host/version-older")


def withdrawn(version: str, file: str, reason: str) -> Problem:
    """Return the refusal of a version that was withdrawn.

    Args:
        version: The version.
        file: The host, or the changelog, that says so.
        reason: Why it was withdrawn.
    """
    message = f"version {version} is withdrawn: {reason}"
    return Problem(Reason.RELEASE, message, file=file, fix="give the next version", code="host/withdrawn")
