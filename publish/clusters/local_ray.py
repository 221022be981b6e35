"""A Ray cluster on this machine, for as long as it is needed; nothing outside of the machine reaches it.

`ray.init` can start one, too, with five processes at once. Ray gives two of them 15 s to choose their ports,
which a busy machine misses; here three start, and they are started again. The cluster ends with this process,
however that ends.
"""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

# Without the monitor of machines that a cluster may rent, and that of workers' output, which is not shown.
_FLAGS = (
    *("--head", "--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats"),
    *("--include-dashboard=false", "--include-log-monitor=false", "--no-monitor"),
)
_STARTED = b"Ray runtime started"
_STARTS = 4
_START_SECONDS, _END_SECONDS, _POLL_SECONDS = 300, 60, 0.1
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG in linux/prctl.h


class NotStartedError(Exception):
    """Ray does not start; the message has the last line of its output."""


def set_token() -> None:
    """Choose the token of a cluster that this process starts, unless the user has; before Ray is imported."""
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def start_cluster(num_cpus: int | None = None) -> Iterator[str]:
    """Start a cluster and yield its address; end it afterwards.

    Only processes with the token in this process's environment may use it.

    Args:
        num_cpus: CPUs that it may use; all by default.

    Raises:
        NotStartedError: It does not start.
    """
    set_token()
    for attempt in range(1, _STARTS + 1):
        with ExitStack() as stack:
            try:
                address = stack.enter_context(_run_cluster(num_cpus))
            except NotStartedError:
                if attempt == _STARTS:
                    raise
                continue
            yield address
            return


@contextmanager
def _run_cluster(num_cpus: int | None) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    flags = [*_FLAGS, f"--port={port}", *([f"--num-cpus={num_cpus}"] if num_cpus else [])]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - flags of ours
            [sys.executable, "-m", "ray.scripts.scripts", "start", *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the command, which ends the cluster
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - sets one flag of the new process
        )
        try:
            _wait(process, log.fileno())
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", log: int) -> None:
    """Wait until a cluster is there.

    Raises:
        NotStartedError: Its process ended, or it takes too long.
    """
    until = time.monotonic() + _START_SECONDS
    while _STARTED not in (said := os.pread(log, 1 << 20, 0)):
        if process.poll() is not None or time.monotonic() > until:
            lines = said.decode(errors="replace").strip().splitlines()
            raise NotStartedError(lines[-1] if lines else "no output")
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
