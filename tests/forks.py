"""Commands in forks of one process: importing what a command imports takes twice as long as a small release.

    python -m tests.forks 0    # reads a line of JSON for each command: verb, arguments, files for its output

Each command has a process and a process group of its own, as if a person had started it. Tests of start-up,
of the documents and of the commands' own files use the real doors.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

from publish.checks import loading
from publish.hosts.kaggle import access
from tests.support import ROOT, Run, load_with_pyarrow

# What commands import late; the rest comes with these.
_IMPORTED = (
    *("builders.card.figures", "builders.card.figures.inputs", "datasets.info", "datasets.utils.metadata"),
    *("huggingface_hub.hf_api", "huggingface_hub.repocard_data", "matplotlib.pyplot"),
    *("publish.checks.release", "publish.hosts.hub.target", "publish.hosts.kaggle.target"),
    *(f"publish.{verb}" for verb in ("release", "status", "verify", "yank")),
    *(f"publish.run.{name}" for name in ("releasing", "comparing", "verifying", "withdrawing")),
)


@dataclass(frozen=True)
class RunningCommand:
    """A command that has been started.

    Attributes:
        pid: Its process, and the process group of all its children.
    """

    pid: int
    _answers: IO[str]
    _out: Path
    _err: Path

    def wait(self) -> Run:
        """Wait for its end; a negative status is the signal that killed it."""
        status = int(self._answers.readline())
        return Run(status, self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8"))


class ForkServer:
    """Starts commands, one at a time, in an environment that they share."""

    def __init__(self, process: "subprocess.Popen[str]", place: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._answers, self._place = process.stdin, process.stdout, place

    def start(self, verb: str, *arguments: str | Path) -> RunningCommand:
        """Start `sfhq VERB`; wait for its end before the next."""
        out, err = self._place / "out.txt", self._place / "err.txt"
        print(json.dumps([verb, *map(str, (*arguments, out, err))]), file=self._orders, flush=True)
        return RunningCommand(int(self._answers.readline()), self._answers, out, err)


@contextmanager
def open_fork_server(environment: Mapping[str, str], others_seconds: float = 0) -> Iterator[ForkServer]:
    """Start a process that imports everything in this environment, and end it afterwards.

    Args:
        environment: Of the commands.
        others_seconds: How long they look for another run's version on Kaggle.
    """
    command = [sys.executable, "-m", "tests.forks", str(others_seconds)]
    with (
        tempfile.TemporaryDirectory() as place,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        yield ForkServer(process, Path(place))


def main() -> None:
    """Run each command that stdin names, until it ends."""
    loading.load_with_datasets = load_with_pyarrow
    access.OTHERS_SECONDS = float(sys.argv[1])
    for name in _IMPORTED:
        import_module(name)
    for line in sys.stdin:
        verb, *arguments, out, err = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(verb, arguments, out, err)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(verb: str, arguments: list[str], out: str, err: str) -> None:
    """Be the process of a command."""
    os.setsid()
    for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    try:
        status = int(import_module(f"publish.{verb}").main(arguments))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # as the interpreter would show it
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
