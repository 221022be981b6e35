"""What runs on the machines of a cluster.

It imports little, so that a machine without a library can say so.
"""

import importlib.metadata
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.problems import KitError, Problem, Reason

_SEE_FOLDER = "give all machines this folder under this path, such as by NFS"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: a result, or the problems that end the run.

    Errors travel as values: the cluster repeats a job that raises, and a job with a problem of the user's
    data would have the same problem again.
    """

    value: Any = None
    error: KitError | None = None


def run_items(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Outcome]:
    """Call a function with each item; stop at the first that has a problem, whose outcome is the last."""
    outcomes = list[Outcome]()
    for item in items:
        outcomes.append(_outcome(function, item))
        if outcomes[-1].error is not None:
            break
    return outcomes


class LoadedWorker:
    """A worker with something loaded, such as a model.

    Args:
        load: Loads it, when the first item comes.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._loaded: Any = None

    def begin(self) -> None:
        """Do nothing: an answer shows that there was a place for the worker."""

    def run(self, function: Callable[[Any, Any], Any], item: Any) -> Outcome:
        """Call a function with what is loaded and an item."""

        def call(item: Any) -> Any:
            if self._loaded is None:
                self._loaded = self._load()
            return function(self._loaded, item)

        return _outcome(call, item)


def _outcome(function: Callable[[Any], Any], item: Any) -> Outcome:
    try:
        return Outcome(function(item))
    except KitError as error:
        return Outcome(error=error)


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """What must be the same on a machine as on that of the command.

    Attributes:
        marker: A file in the folder where the release is built.
        content: What it holds.
        sources: Files and folders that are read.
        versions: Library → version; "python" → version without the last part.
    """

    marker: Path
    content: str
    sources: tuple[Path, ...]
    versions: Mapping[str, str]


def check_node(expected: NodeCheck, node: str) -> list[Problem]:
    """Return what is wrong with this machine, each problem with the machine's name and the path."""
    return [*_folder_problems(expected, node), *_version_problems(expected.versions, node)]


def _folder_problems(expected: NodeCheck, node: str) -> Iterator[Problem]:
    folder = expected.marker.parent
    try:
        is_same = expected.marker.read_text(encoding="utf-8") == expected.content
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if isinstance(error, FileNotFoundError) or not folder.is_dir():
            yield _problem(node, f"the machine {node} does not see the output folder", folder)
        else:
            message = f"the machine {node} cannot write to the output folder: {error.strerror}"
            yield _problem(node, message, folder, "let the user of its workers write there")
    else:
        if not is_same:
            yield _problem(node, f"the machine {node} has another folder at the output folder's path", folder)
    for source in expected.sources:
        try:
            source.stat()
        except OSError:
            yield _problem(node, f"the machine {node} does not see a source", source)


def _problem(node: str, message: str, path: Path, fix: str = _SEE_FOLDER) -> Problem:
    return Problem(Reason.RELEASE, message, file=str(path), value=node, fix=fix, code="run/cluster-machine")


def _version_problems(versions: Mapping[str, str], node: str) -> Iterator[Problem]:
    found = read_versions(versions)
    wrong = [f"{name} {found[name] or 'missing'} and not {versions[name]}" for name in versions]
    if wrong := [text for text, name in zip(wrong, versions, strict=True) if found[name] != versions[name]]:
        message = f"the machine {node} has other libraries, which would write other bytes: {', '.join(wrong)}"
        fix = "install requirements.lock in the environment of its workers"
        yield Problem(Reason.RELEASE, message, value=node, fix=fix, code="run/cluster-machine")


def read_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each library here, or nothing where it is missing; "python" is one of them."""
    found = dict[str, str]()
    for name in names:
        try:
            is_python = name == "python"
            version = platform.python_version() if is_python else importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        found[name] = version.rpartition(".")[0] if is_python else version
    return found
