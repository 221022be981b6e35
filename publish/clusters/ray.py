"""The executor on a Ray cluster: the one at RAY_ADDRESS, or one that is started on this machine.

Ray gives a job whose worker dies to another worker, once. Batches that fail twice are taken apart, so that
the message names the one item that ends its workers. Ray's own output stays in its log files.
"""

import itertools
import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from builders.pipeline import read_tools
from publish.clusters import Folders
from publish.clusters.local_ray import set_token, start_cluster
from publish.clusters.worker import LoadedWorker, NodeCheck, Outcome, check_node, run_items
from schemas.problems import ClusterError, Problem, Reason, SettingsError

if TYPE_CHECKING:
    from ray import ObjectRef

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")

ADDRESS = "RAY_ADDRESS"
INSTALL = "pip install '.[ray]'"
# Read by Ray when it is imported or started. The third keeps a warning away where there is no GPU, the others
# the messages on dead workers that Ray writes to stdout.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "RAY_SCHEDULER_EVENTS": "0",
}
_PACKAGES = ("schemas", "builders", "publish")
_NODE_SECONDS, _ADDRESS_SECONDS = 120, 10
_ITEMS_PER_TASK = 32  # of 1 ms and more, where Ray takes about 1 ms for a task
_TASKS_AHEAD_PER_CPU = 2
# A whole CPU each would leave none for others' tasks: two on two CPUs hung with Ray's own data sets.
_CPUS_PER_LOADED = 0.9
_LOADED_PER_GPU = 4  # one decodes while another computes
_CPUS_BESIDE_GPU = 0.1
_MAX_NAME_CHARS = 200


class RayExecutor:
    """Runs functions on the machines of a cluster that this process is connected to; see `Executor`."""

    def __init__(self) -> None:
        import ray  # noqa: PLC0415 - takes seconds

        self._ray = ray
        # Exceptions that are not ours, such as a full disk, are tried once more, as a dead worker is.
        task = ray.remote(run_items)
        self._task = task.options(max_retries=1, retry_exceptions=True)
        self._task_once = task.options(max_retries=0)
        self._loaded: list[Any] = []
        self._loaded_by: object = None

    @property
    def shares_memory(self) -> bool:
        """Whether functions run in this process."""
        return False

    def map_ordered(
        self, function: Callable[[T], R], items: Iterable[T], *, chunk: int = 1
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result) in the items' order; batches of some dozen items go to the workers."""
        self._release_loaded()
        called, remaining = self._ray.put(function), iter(items)
        ahead: deque[tuple[list[T], ObjectRef[Any]]] = deque()
        # Jobs whose results are not needed any more are left to end: Ray 2.60 ends this process where one is
        # cancelled that has just failed ("Tried to complete task that was not pending").
        while True:
            batch = list(itertools.islice(remaining, max(chunk, _ITEMS_PER_TASK)))
            if batch:
                ahead.append((batch, self._task.remote(called, batch)))
            if not batch or len(ahead) > _TASKS_AHEAD_PER_CPU * self._num_cpus():
                if not ahead:
                    return
                yield from self._results(*ahead.popleft(), called)

    def map_unordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield (item, result) as soon as there is a result; one item for each CPU is in work."""
        self._release_loaded()
        called, remaining = self._ray.put(function), iter(items)
        running: dict[ObjectRef[Any], T] = {}
        while True:
            for item in itertools.islice(remaining, max(0, self._num_cpus() - len(running))):
                running[self._task.remote(called, [item])] = item
            if not running:
                return
            (done, *_), _ = self._ray.wait(list(running), num_returns=1)
            yield from self._results([running.pop(done)], done, called)

    def map_loaded(
        self,
        load: Callable[[], L],
        function: Callable[[L, T], R],
        items: Iterable[T],
        *,
        uses_gpu: bool = False,
    ) -> Iterator[tuple[T, R]]:
        """Yield (item, result) as soon as there is a result, from workers that have loaded what they need."""
        workers = self._load(load, uses_gpu=uses_gpu)
        called, remaining = self._ray.put(function), iter(items)
        # None for a worker that waits for a place, which it may never get on a full cluster.
        running: dict[ObjectRef[Any], tuple[Any, list[T]]] = {
            worker.begin.remote(): (worker, []) for worker in workers
        }
        has_more = True
        while has_more or any(batch for _, batch in running.values()):
            (done, *_), _ = self._ray.wait(list(running), num_returns=1)
            worker, batch = running.pop(done)
            outcome = self._get(done, batch)
            if batch:
                yield batch[0], _value(outcome)
            next_item = list(itertools.islice(remaining, 1))
            has_more = bool(next_item)
            if next_item:
                running[worker.run.remote(called, next_item[0])] = (worker, next_item)

    def close(self) -> None:
        """End the workers that have something loaded."""
        self._release_loaded()

    def _results(
        self, batch: list[T], ref: "ObjectRef[Any]", called: "ObjectRef[Any]"
    ) -> Iterator[tuple[T, Any]]:
        """Yield the results of a batch; look for the item that ended its workers, if one did."""
        try:
            outcomes: Iterable[Outcome] = self._get(ref, batch)
        except ClusterError:
            if len(batch) == 1:
                raise
            single = ((item, self._task_once.remote(called, [item])) for item in batch)
            outcomes = (self._get(job, [item])[0] for item, job in single)
        for item, outcome in zip(batch, outcomes, strict=False):  # the first problem ends the outcomes
            yield item, _value(outcome)

    def _get(self, ref: "ObjectRef[Any]", batch: Sequence[object]) -> Any:
        """Return the result of a job.

        Raises:
            ClusterError: It failed twice, or the cluster did.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except errors.RayTaskError as error:
            why = f"{type(error.cause).__name__}: {error.cause}"
        except errors.RayError as error:
            why = _first_line(error)
        name = f"{str(batch[0])[:_MAX_NAME_CHARS]}" if batch else "a worker"
        more = f" and {len(batch) - 1:,} more" if len(batch) > 1 else ""
        raise ClusterError(_failure(f"a job failed twice on the cluster: {why}", f"{name}{more}")) from None

    def _load(self, load: Callable[[], object], *, uses_gpu: bool) -> list[Any]:
        """Return workers that load something; those of the call before if they loaded the same."""
        if self._loaded_by != load:
            self._release_loaded()
            num_gpus = int(self._ray.cluster_resources().get("GPU", 0)) if uses_gpu else 0
            number = num_gpus * _LOADED_PER_GPU or self._num_cpus()
            options = {"num_gpus": 1 / _LOADED_PER_GPU, "num_cpus": _CPUS_BESIDE_GPU}
            worker = self._ray.remote(LoadedWorker).options(
                **(options if num_gpus else {"num_cpus": _CPUS_PER_LOADED}),
                scheduling_strategy="SPREAD",
                max_restarts=-1,  # a worker that dies is started again; its item is what may fail twice only
                max_task_retries=1,
            )
            self._loaded = [worker.remote(load) for _ in range(number)]
            self._loaded_by = load
        return self._loaded

    def _release_loaded(self) -> None:
        """End loaded workers, whose CPUs others need."""
        for worker in self._loaded:
            self._ray.kill(worker)
        self._loaded, self._loaded_by = [], None

    def _num_cpus(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))


@contextmanager
def open_ray(folders: Folders) -> Iterator[RayExecutor]:
    """Connect to a cluster, or start one here, and check that its machines can do the work.

    Args:
        folders: What all machines must see.

    Raises:
        SettingsError: Ray is not installed.
        ClusterError: There is no cluster, or one of its machines lacks a folder or a library.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    address = os.environ.get(ADDRESS) or None  # an empty one is none
    if address is None:
        set_token()
    try:
        import ray  # noqa: PLC0415 - takes seconds, and is an extra
    except ImportError as error:
        problem = Problem(
            Reason.SETTINGS,
            "the extra ray is not installed",
            column="run.executor",
            value="ray",
            fix=INSTALL,
            code="run/executor-missing",
        )
        raise SettingsError(problem) from error
    with ExitStack() as stack:
        try:
            if address is not None:
                _look_for(address)
            _connect(address or stack.enter_context(start_cluster()))
            stack.callback(ray.shutdown)
        except Exception as error:  # Ray raises `Exception` itself, and many other types
            ray.shutdown()
            raise ClusterError(_unreachable(address, _first_line(error))) from error
        _refuse_machines(folders)
        executor = RayExecutor()
        stack.callback(executor.close)
        yield executor


def _look_for(address: str) -> None:
    """Connect to an address of the form HOST:PORT, for which Ray itself would wait for minutes.

    Raises:
        OSError: Nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), _ADDRESS_SECONDS).close()


def _connect(address: str) -> None:
    """Connect to a cluster; the kit itself travels to its workers."""
    import ray  # noqa: PLC0415 - as above

    root = Path(__file__).resolve().parents[2]
    ray.init(
        address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"py_modules": [str(root / name) for name in _PACKAGES]},
    )


def _unreachable(address: str | None, why: str) -> Problem:
    what = "the Ray cluster cannot be reached" if address else "Ray does not start on this machine"
    fix = (
        f"correct {ADDRESS}, or see `ray status`"
        if address
        else "see the logs in /tmp/ray/session_latest/logs"
    )
    return Problem(
        Reason.RELEASE,
        f"{what}: {why}",
        column=ADDRESS if address else None,
        value=address,
        fix=fix,
        code="run/cluster-unreachable",
    )


def _refuse_machines(folders: Folders) -> None:
    """Refuse a cluster of which a machine does not see the folders, or has other libraries.

    Raises:
        ClusterError: All problems of all machines at once.
    """
    import ray  # noqa: PLC0415 - as above
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    marker, content = folders.work / f".cluster-{secrets.token_hex(8)}", secrets.token_hex()
    expected = NodeCheck(marker, content, folders.sources, read_tools())
    task = ray.remote(check_node)
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    marker.write_text(content, encoding="utf-8")
    try:
        checks = {
            task.options(
                num_cpus=0,
                max_retries=1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            ).remote(expected, name): name
            for node, name in nodes.items()
        }
        done, silent = ray.wait(list(checks), num_returns=len(checks), timeout=_NODE_SECONDS)
        problems = [problem for check in done for problem in _read_check(check, checks[check])]
        problems += [_no_answer(checks[check], f"no answer in {_NODE_SECONDS} s") for check in silent]
    finally:
        marker.unlink()
    if problems:
        raise ClusterError(problems)


def _read_check(check: "ObjectRef[list[Problem]]", node: str) -> list[Problem]:
    import ray  # noqa: PLC0415 - as above

    try:
        problems: list[Problem] = ray.get(check)
    except ray.exceptions.RayError as error:
        return [_no_answer(node, _first_line(error))]
    return problems


def _no_answer(node: str, why: str) -> Problem:
    message, fix = f"the machine {node} runs no job: {why}", "see `ray status` and Ray's logs on that machine"
    return Problem(Reason.RELEASE, message, value=node, fix=fix, code="run/cluster-machine")


def _failure(message: str, item: str) -> Problem:
    fix = "run the same command again; finished work is reused. If it fails there again, look at that file"
    return Problem(Reason.RELEASE, message, file=item, fix=fix, code="run/cluster-job")


def _value(outcome: Outcome) -> Any:
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:_MAX_NAME_CHARS] if lines else type(error).__name__
