"""Counts which files this process opens, by Python's audit events."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_watchers: list[list[str]] = []
_is_hooked = False


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watchers:
        for watcher in _watchers:
            watcher.append(str(arguments[0]))


@contextmanager
def watch_opens(folder: Path) -> Iterator[set[str]]:
    """Fill a set with the paths of the files below a folder that are opened, once the block has ended."""
    global _is_hooked  # noqa: PLW0603 - a hook cannot be removed, so there is one
    if not _is_hooked:
        sys.addaudithook(_note)
        _is_hooked = True
    opened: list[str] = []
    inside = set[str]()
    _watchers.append(opened)
    try:
        yield inside
    finally:
        _watchers.remove(opened)
        inside.update(path for path in opened if Path(path).is_relative_to(folder))
