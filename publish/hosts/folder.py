"""The folder target: a release is `OUT/VERSION/`, there whole or not there."""

import errno
import os
from pathlib import Path

from builders.files import sync
from publish.checks.files import check_files, read_manifest
from publish.hosts.protocol import Action, TargetPlan, differences
from publish.hosts.refusals import NEXT_VERSION
from schemas.manifest import Inputs, Manifest, Receipt
from schemas.problems import Problem, Reason, ReleaseError


class FolderTarget:
    """Releases beside each other in one folder.

    Args:
        out: That folder; releases are its sub-folders, named by version.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def plan(self, inputs: Inputs) -> TargetPlan:
        """See whether the version is there, and whether it was built from the same inputs.

        A release that is there whole is finished and published as it was built, with whichever kit and
        libraries, and whatever the maintainer has written since: another one could only be another version.
        """
        place = self._out / inputs.version
        if not os.path.lexists(place):
            return TargetPlan("folder", str(place), Action.ADD)
        try:
            there = read_manifest(place)
        except ReleaseError:
            problem = _refusal(
                place, "it exists and is not a release: it has no readable manifest.json", "move it away"
            )
            return TargetPlan("folder", str(place), Action.REFUSE, (problem,))
        different = list(differences(_data(there.inputs), _data(inputs)))
        if not different:
            others = tuple(differences(there.inputs, inputs))
            return TargetPlan("folder", str(place), Action.KEEP, differences=others)
        message = f"version {inputs.version} exists with other content ({'; '.join(different)})"
        problem = _refusal(place, message, NEXT_VERSION, "host/version-exists")
        return TargetPlan("folder", str(place), Action.REFUSE, (problem,))

    def upload(self, folder: Path, manifest: Manifest) -> None:
        """Move a checked release from beside its place into it, in one step.

        Args:
            folder: The release, on the same file system.
            manifest: Its manifest.

        Raises:
            ReleaseError: Something is in its place already.
        """
        place = self._out / manifest.version
        _sync_tree(folder)
        try:
            # Atomic, and refused by the system where the place holds anything.
            folder.rename(place)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            raise ReleaseError(
                _refusal(place, "another run has put something here", "see what it is")
            ) from error
        sync(self._out)

    def verify(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Compare every file's size with the manifest; its bytes were compared before it was moved here."""
        return tuple(check_files(self._out / manifest.version, manifest, by_size=True))

    def receipt(self, manifest: Manifest) -> Receipt:
        """Return the receipt of a release."""
        return Receipt(
            target="folder",
            url=str(self._out / manifest.version),
            version=manifest.version,
            revision=manifest.version,
            manifest_sha256=manifest.digest,
        )


def _data(inputs: Inputs) -> Inputs:
    """Leave out what says nothing of the data: what built it, and what its maintainer wrote beside it."""
    features = {name: made.model_copy(update={"libraries": {}}) for name, made in inputs.features.items()}
    return inputs.model_copy(update={"kit_version": "", "tools": {}, "notes": {}, "features": features})


def _refusal(place: Path, message: str, fix: str, code: str = "host/in-the-way") -> Problem:
    return Problem(Reason.RELEASE, message, file=str(place), fix=fix, code=code)


def _sync_tree(folder: Path) -> None:
    """Have the disk hold every file and folder, so that a power cut after the rename loses nothing."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)
