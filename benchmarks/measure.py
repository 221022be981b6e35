"""Run a command in a process of its own and say how long it took and how much memory it needed.

Memory is that of the command and of everything it starts, added up every 20 ms from `/proc`: resident
in total, and the anonymous part alone. Mapped files count as resident, though the system may drop them at
any time; anonymous memory is what a machine must really have. Works on Linux.
"""

import mmap
import os
import resource
import select
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL_MS = 20
_KB = 1024  # what /proc calls kB
_MIB = 1 << 20
_TOUCHED_MIB = 1024
_LEAST_FREE = 512 * _MIB
_MOST_FILLED = 32 * 1024 * _MIB


class CommandFailedError(Exception):
    """A measured command ended with an error."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run took.

    Attributes:
        seconds: Wall time.
        peak_bytes: Largest resident memory of all its processes together.
        peak_anonymous_bytes: The largest anonymous part of that.
        cpu_seconds: Time on processors, of all its processes together; other work on the machine stretches
            it less than wall time.
    """

    seconds: float
    peak_bytes: int
    peak_anonymous_bytes: int
    cpu_seconds: float = 0.0


def measure(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        environment: Variables set on top of ours.
        log: File that takes what the command prints.

    Raises:
        CommandFailedError: Its exit status is not 0; the message has the end of what it printed.
    """
    peak = anonymous = 0
    cpu = _cpu_of_children()
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        for resident, part in _samples(process.pid):
            peak, anonymous = max(peak, resident), max(anonymous, part)
        seconds = time.perf_counter() - start
    if process.wait() != 0:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise CommandFailedError(f"{' '.join(command)} ended with {process.returncode}:\n{text[-2000:]}")
    return Usage(seconds, peak, anonymous, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    """Return the processor time of all processes that we started, directly or not, and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _samples(pid: int) -> Iterator[tuple[int, int]]:
    """Yield the tree's resident and anonymous bytes at every interval until the process ends."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)  # readable once the process has ended
        while not poll.poll(_INTERVAL_MS):
            sizes = [_memory(each) for each in _tree(pid)]
            yield sum(size[0] for size in sizes), sum(size[1] for size in sizes)
    finally:
        os.close(descriptor)


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and all that it started, directly or not."""
    yield pid
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # it has ended
        return
    for thread in threads:
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _memory(pid: int) -> tuple[int, int]:
    """Read a process's resident and anonymous bytes; none once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    resident, anonymous = (int(fields.get(key, "0 kB").split()[0]) for key in ("VmRSS", "RssAnon"))
    return resident * _KB, anonymous * _KB


def warm_up(files: Iterable[Path], filler: Path) -> None:
    """Put memory into the same state before every run, with the input in the page cache.

    A virtual machine gives memory that nobody uses back to its host, and the first touch of such a page
    costs several times what the work with it does. So free memory is filled with page cache, which the
    system reuses without asking the host, and some of it is touched and freed.

    Args:
        files: What the run will read.
        filler: A file of ours without content; it takes no room on disk.
    """
    _fill_page_cache(filler)
    with mmap.mmap(-1, _TOUCHED_MIB * _MIB) as memory:
        for offset in range(0, len(memory), mmap.PAGESIZE):
            memory[offset] = 1
    for path in files:
        path.read_bytes()


def _fill_page_cache(filler: Path) -> None:
    """Read holes of a file, other ones than last time, until little memory is free."""
    buffer = bytearray(16 * _MIB)
    with filler.open("a+b") as file:
        start = file.seek(0, os.SEEK_END)
        end = start
        while _free_bytes() > _LEAST_FREE and end < start + _MOST_FILLED:
            os.truncate(file.fileno(), end + len(buffer))
            file.seek(end)
            end += file.readinto(buffer)


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemFree:"):
            return int(line.split()[1]) * _KB
    return 0
