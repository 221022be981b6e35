"""Executors: they run a function on many items in bounded memory, in order or as results come.

Threads are the one executor here. Others are handed in: `publish/clusters/` has those that run on other
machines. They take work units of plain data only. Nothing else in the kit starts a pool.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
_CHUNKS_AHEAD_PER_WORKER = 4


class Track(Protocol):
    """Shows progress: passes items on, and reports the stage and the number of items."""

    def __call__(self, items: Iterable[T], stage: str, total: int | None, /) -> Iterable[T]: ...  # noqa: D102


def untracked(items: Iterable[T], _stage: str, _total: int | None, /) -> Iterable[T]:
    """Show no progress."""
    return items


class Executor(Protocol):
    """Runs a function on many items, several at a time, in bounded memory.

    A function and its items must be plain data where memory is not shared: other processes and machines get
    copies, so a function is one of a module, or an object with fields of plain data. Each item is taken only
    when there is a worker for it, or shortly before.
    """

    @property
    def shares_memory(self) -> bool:
        """Whether functions run in this process, and may use an open file, a cache or a model of it."""

    def map_ordered(
        self, function: Callable[[T], R], items: Iterable[T], *, chunk: int = 1
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result) in the items' order.

        Args:
            function: Called by workers.
            items: May be endless; taken only as results are.
            chunk: Items handed to a worker at once.

        Raises:
            KitError: What `function` raises, at its item's turn.
            Exception: Likewise, where memory is shared; elsewhere it becomes a `KitError` after a second try.
        """
        ...

    def map_unordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield (item, result) as soon as there is a result, so that none waits for the turn of another.

        Args:
            function: Called by workers.
            items: May be endless. At most one for each worker is taken and not yet done with, which is what
                is lost if the process is killed.

        Raises:
            Exception: As `map_ordered` does.
        """
        ...

    def map_loaded(
        self,
        load: Callable[[], L],
        function: Callable[[L, T], R],
        items: Iterable[T],
        *,
        uses_gpu: bool = False,
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result) as `map_unordered` does, of a function that needs something loaded.

        Args:
            load: Loads it, such as a model, once for each worker; once for all where memory is shared.
            function: Called by workers with what was loaded, and an item.
            items: As for `map_unordered`.
            uses_gpu: Whether what is loaded is faster on a GPU; workers are then put where GPUs are, if any.

        Raises:
            Exception: As `map_ordered` does, and what `load` raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Threads:
    """The executor in this process: reading, hashing and decoding images release the interpreter's lock.

    Attributes:
        num_workers: Threads of one map, 1 or more; one for each core by default.
    """

    num_workers: int = field(default_factory=lambda: os.cpu_count() or 1)

    @property
    def shares_memory(self) -> bool:
        """Whether functions run in this process."""
        return True

    def map_ordered(
        self, function: Callable[[T], R], items: Iterable[T], *, chunk: int = 1
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result) in the items' order, computing a little ahead.

        More than one item in a chunk saves switching between threads where each takes well under a
        millisecond, and keeps as many more results in memory.
        """

        def run(batch: list[T]) -> list[R]:
            return [function(item) for item in batch]

        remaining = iter(items)
        ahead: deque[tuple[list[T], Future[list[R]]]] = deque()
        with ThreadPoolExecutor(self.num_workers) as pool:
            try:
                while True:
                    batch = list(itertools.islice(remaining, chunk))
                    if batch:
                        ahead.append((batch, pool.submit(run, batch)))
                    if not batch or len(ahead) > _CHUNKS_AHEAD_PER_WORKER * self.num_workers:
                        if not ahead:
                            return
                        first, future = ahead.popleft()
                        yield from zip(first, future.result(), strict=True)
            finally:
                for _, future in ahead:
                    future.cancel()

    # Results come as they finish: in order, finished batches would wait for the slowest, and a kill would
    # lose up to four for each core.
    def map_unordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield (item, result) as soon as there is a result; one worker is the calling thread itself."""
        if self.num_workers == 1:  # so that Ctrl-C stops a part at once, and is not held up by a pool
            yield from ((item, function(item)) for item in items)
            return
        remaining = iter(items)
        running: dict[Future[R], T] = {}
        with ThreadPoolExecutor(self.num_workers) as pool:
            while True:
                for item in itertools.islice(remaining, self.num_workers - len(running)):
                    running[pool.submit(function, item)] = item
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                future = done.pop()
                yield running.pop(future), future.result()

    def map_loaded(
        self,
        load: Callable[[], L],
        function: Callable[[L, T], R],
        items: Iterable[T],
        *,
        uses_gpu: bool = False,  # noqa: ARG002 - a model of this process is where it was loaded
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result) as soon as there is a result; what is loaded is used by all threads."""
        return self.map_unordered(partial(function, load()), items)


@dataclass(frozen=True, slots=True)
class Execution:
    """How the work of a run is done; the command makes it, and the build hands it down.

    Attributes:
        threads: Runs functions that use this process's memory: a model, the catalog, a cache.
        parts: Runs work units of plain data, such as `PartJob`; may be other processes or machines. Each
            part that is written at the same time holds its row groups in memory.
        images: Looks at images, hashes and encodes them; may be other processes or machines.
        track: Shows progress.
    """

    threads: Threads
    parts: Executor
    images: Executor
    track: Track = untracked


# One part at a time: it reads and compresses on all cores, and each part in work holds row groups in memory.
IN_THREADS = Execution(threads=Threads(), parts=Threads(1), images=Threads())


@contextmanager
def open_lanes(number: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Open threads that each run what is submitted to them one call after another, while others go on."""
    with ThreadPoolExecutor(number) as lanes:
        yield lanes
