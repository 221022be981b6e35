"""Where a run works: beside the releases, locked, and cleared of what an earlier run left."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.problems import Problem, Reason, ReleaseError
from schemas.records import VERSION_PATTERN


@contextmanager
def open_workspace(out: Path, version: str) -> Iterator[Path]:
    """Make an empty folder `OUT/VERSION.work`, remove it afterwards, and let no other run into `OUT`.

    The lock is the kernel's: it goes when the process does, however that ends. What killed runs left behind,
    of any version, is removed under it.

    Args:
        out: The output folder; made if missing.
        version: The release's version.

    Raises:
        ReleaseError: Another run is working in `out`.
    """
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    work = out / f"{version}.work"
    try:
        _lock(descriptor, out)
        for left in out.glob("*.work"):
            if VERSION_PATTERN.fullmatch(left.stem):
                shutil.rmtree(left)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(descriptor)


@contextmanager
def open_scratch() -> Iterator[Path]:
    """Make an empty folder elsewhere, for a run that must change nothing, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="sfhq-release-") as folder:
        yield Path(folder)


def _lock(descriptor: int, out: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        problem = Problem(
            Reason.RELEASE,
            "another run is working in this folder",
            file=str(out),
            fix="wait for it to end, or give another --out",
        )
        raise ReleaseError(problem) from error
