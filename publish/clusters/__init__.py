"""Executors: this machine does the work of a release, or others do. Each has a line in `EXECUTORS`.

The catalog, the journal, the store of features, the manifest and the final check stay with the command. An
executor looks at images, hashes and encodes them, and writes shards. It cannot change a release: the same
bytes come out of each.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builders.parallel import IN_THREADS, Execution

THREADS = "threads"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders that every worker must see under the same path; all of them absolute.

    Attributes:
        work: Where the release is built; workers read and write there.
        sources: Files and folders that are only read.
    """

    work: Path
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutorKind:
    """One kind of executor.

    Attributes:
        title: What does the work, as people say it.
        open: Starts or finds the workers, checks that they see the folders, and ends what it started.
            Raises `SettingsError` or `ClusterError`.
    """

    title: str
    open: Callable[[Folders], AbstractContextManager[Execution]]


@contextmanager
def _open_threads(_: Folders) -> Iterator[Execution]:
    yield IN_THREADS


@contextmanager
def _open_ray(folders: Folders) -> Iterator[Execution]:
    from publish.clusters.ray import open_ray  # noqa: PLC0415 - only a cluster needs it

    with open_ray(folders) as workers:
        yield replace(IN_THREADS, parts=workers, images=workers)


EXECUTORS: Mapping[str, ExecutorKind] = {
    THREADS: ExecutorKind("threads of this machine", _open_threads),
    "ray": ExecutorKind("a Ray cluster", _open_ray),
}
