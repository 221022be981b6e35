"""Where a run works: beside the releases, locked, with the finished files of a run that was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from socket import gethostname

from builders.release.journal import journal_name
from publish.run.decide import refuse_other_run
from schemas.problems import BuildError, ClusterError, KitError, ReleaseError
from schemas.versions import VERSION_PATTERN

RUNNING = ".running"


@contextmanager
def open_workspace(out: Path, version: str) -> Iterator[Path]:
    """Make a folder `OUT/VERSION.work`, remove it afterwards, and let no other run into `OUT`.

    Of a run that was killed, stopped or had no disk left, the release that it was building stays in the
    folder with its journal, for the next run of that version; all else that such runs left, of any version,
    is removed under the lock.

    Args:
        out: The output folder; made if missing.
        version: The release's version.

    Raises:
        ReleaseError: Another run is working in `out`.
    """
    work = out / f"{version}.work"
    with lock_output(out):
        for left in out.glob("*.work"):
            if VERSION_PATTERN.fullmatch(left.stem) and left != work:
                shutil.rmtree(left)
        work.mkdir(exist_ok=True)
        _clear(work, version)
        is_resumed = (work / journal_name(version)).exists()
        try:
            yield work
        except KitError as error:
            # A mistake in the command does not cost what a killed run has finished. Neither does a cluster
            # that fails.
            is_lost = not is_resumed and not isinstance(error, ClusterError)
            if is_lost or isinstance(error, BuildError):
                shutil.rmtree(work, ignore_errors=True)
            else:
                _clear(work, version)  # the catalog has all texts of the sources, also what is refused
            raise
        shutil.rmtree(work, ignore_errors=True)


def _clear(work: Path, version: str) -> None:
    """Remove everything but a release that was being built, and its journal."""
    for left in work.iterdir():
        if left.name not in (version, journal_name(version)):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


@contextmanager
def lock_output(out: Path) -> Iterator[None]:
    """Let no other run write into an output folder, or to hosts from it; make it if missing.

    The lock is the kernel's: it goes when the process does, however that ends. `RUNNING` in the folder only
    tells others whose it is.

    Raises:
        ReleaseError: Another run is working in `out`.
    """
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        _lock(descriptor, out)
        started = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        (out / RUNNING).write_text(f"process {os.getpid()} on {gethostname()}, started {started}")
        try:
            yield
        finally:
            (out / RUNNING).unlink(missing_ok=True)
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
        try:
            who = (out / RUNNING).read_text(errors="replace")[:200]
        except OSError:
            who = "process not known yet"
        raise ReleaseError(refuse_other_run(out, who)) from error
