"""Work done on several cores in bounded memory: in order, or as it gets done.

Threads, not processes: reading, hashing and decoding images all release the interpreter's lock.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_CHUNKS_AHEAD_PER_WORKER = 4


class Track(Protocol):
    """Shows progress: passes items on, and reports the stage and the number of items."""

    def __call__(self, items: Iterable[T], stage: str, total: int | None, /) -> Iterable[T]: ...  # noqa: D102


def untracked(items: Iterable[T], _stage: str, _total: int | None, /) -> Iterable[T]:
    """Show no progress."""
    return items


def ordered_map(function: Callable[[T], R], items: Iterable[T], *, chunk: int = 1) -> Iterator[tuple[T, R]]:
    """Yield (item, result) in the items' order, computing a little ahead in one thread per core.

    Args:
        function: Called in other threads.
        items: May be endless; taken only as results are.
        chunk: Items handed to a thread at once. More than one saves switching between threads where each
            takes well under a millisecond, and keeps as many more results in memory.

    Raises:
        Exception: Whatever `function` raises, at its item's turn.
    """

    def run(batch: list[T]) -> list[R]:
        return [function(item) for item in batch]

    num_workers = os.cpu_count() or 1
    remaining = iter(items)
    ahead: deque[tuple[list[T], Future[list[R]]]] = deque()
    with ThreadPoolExecutor(num_workers) as pool:
        try:
            while True:
                batch = list(itertools.islice(remaining, chunk))
                if batch:
                    ahead.append((batch, pool.submit(run, batch)))
                if not batch or len(ahead) > _CHUNKS_AHEAD_PER_WORKER * num_workers:
                    if not ahead:
                        return
                    first, future = ahead.popleft()
                    yield from zip(first, future.result(), strict=True)
        finally:
            for _, future in ahead:
                future.cancel()


@contextmanager
def open_lane() -> Iterator[ThreadPoolExecutor]:
    """Open a thread that runs what is submitted to it one call after another, while others go on."""
    with ThreadPoolExecutor(1) as lane:
        yield lane


# Results come as they finish: in order, finished batches would wait for the slowest, and a kill would lose up
# to four for each core.
def unordered_map(function: Callable[[T], R], items: Iterable[T], num_workers: int) -> Iterator[tuple[T, R]]:
    """Yield (item, result) as soon as there is a result, so that none waits for the turn of another.

    Args:
        function: Called in other threads.
        items: May be endless. At most one for each worker is taken and not yet done with, which is what is
            lost if the process is killed.
        num_workers: Threads, 1 or more.

    Raises:
        Exception: Whatever `function` raises.
    """
    remaining = iter(items)
    running: dict[Future[R], T] = {}
    with ThreadPoolExecutor(num_workers) as pool:
        while True:
            for item in itertools.islice(remaining, num_workers - len(running)):
                running[pool.submit(function, item)] = item
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            future = done.pop()
            yield running.pop(future), future.result()
