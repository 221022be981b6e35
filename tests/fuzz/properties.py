"""What must hold for every input: only the kit's own errors, no row lost, time and memory in bounds."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.sources import open_source
from builders.sources.exclusions import Exclusions, read_exclusions
from builders.sources.images.sfhq import TABLE_NAME, open_sfhq_folder
from builders.sources.intake import Source, SourceOptions
from schemas.problems import KitError
from tests.support import Reading, good_folder, read_into_catalog

MAX_CPU_SECONDS = 20  # ends what hangs
MAX_GROWTH_MIB = 400
MAX_MESSAGE_CHARS = 5_000
_UNIT = 1 << 20 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss, for MiB


class HangError(Exception):
    """One input took far too long."""


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _UNIT


@contextmanager
def in_bounds() -> Iterator[None]:
    """End what takes too much CPU time, and fail if memory grew too much.

    CPU time, since a busy machine must change nothing, and since pytest-timeout has the other clock.
    """

    def stop(*_: object) -> None:
        raise HangError(f"one input took {MAX_CPU_SECONDS} seconds of CPU time")

    before, handler = _peak_mib(), signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
    growth = _peak_mib() - before
    assert growth < MAX_GROWTH_MIB, f"one input took {growth} MiB of memory"


def _open(use: str, path: Path, images: Path) -> tuple[list[Source], Exclusions | None]:
    kind = use.partition("/")[0]
    if kind == "exclusions":
        return [open_sfhq_folder(images, "images")], read_exclusions(path)
    if kind == "sfhq":
        (images / TABLE_NAME).write_bytes(path.read_bytes())
        return [*open_source(None, images, "images", SourceOptions())], None
    # Told from the content as a person's file is, or else as the flag for it would.
    sources: list[Source] = [open_sfhq_folder(images, "images")]
    for told in (None, kind):
        try:
            return [*sources, *open_source(told, path, "table", SourceOptions())], None
        except KitError as error:
            _check_error(error)
            if told is not None:
                raise
    raise AssertionError


def _check_error(error: KitError) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.message
        assert problem.file
        assert problem.fix, problem
        assert str(problem).isprintable()
        assert len(str(problem)) < MAX_MESSAGE_CHARS, str(problem)[:500]


def read_as(use: str, data: bytes, place: Path) -> Reading | None:
    """Read bytes as a table of some use, beside a good folder of images, and check what comes out.

    Args:
        use: A key of `tests.fuzz.seeds.USES`.
        data: The table.
        place: An empty folder.

    Returns:
        What was read; None where the kit refused the table.
    """
    place.mkdir(exist_ok=True)
    images = good_folder(place / "images", 3).write()
    path, work = place / "table", place / "work"
    path.write_bytes(data)
    work.mkdir()
    with in_bounds():
        try:
            sources, exclusions = _open(use, path, images)
            num_rows = [sum(1 for _ in source.rows()) for source in sources]
            reading = read_into_catalog(work, *sources, exclusions=exclusions)
        except KitError as error:
            _check_error(error)
            return None
    _check_reading(reading, sum(num_rows))
    return reading


def _check_reading(reading: Reading, num_rows: int) -> None:
    counts = reading.tables.values()
    assert sum(each.read for each in counts) == num_rows
    assert all(each.read == each.published + sum(each.rejected.values()) for each in counts)
    assert sum(sum(each.rejected.values()) for each in counts) == len(reading.rejected)
    for rejected in reading.rejected:
        assert rejected.model_dump_json()
        assert all(problem.message and problem.fix for problem in rejected.problems), rejected.problems
    for problem in reading.problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < MAX_MESSAGE_CHARS, str(problem)[:500]
    for row in (*reading.published, *reading.captions, *reading.pairs):
        str(row).encode()
