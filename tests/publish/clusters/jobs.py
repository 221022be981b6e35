"""Functions for the workers of executors, which import this module."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from schemas.problems import BuildError, Problem, Reason


def double(number: int) -> int:
    return number * 2


def refuse_two(number: int) -> int:
    if number == 2:
        raise BuildError(Problem(Reason.SOURCE, "two", file="2.jpg"))
    return number


@dataclass(frozen=True)
class WaitForFile:
    """Lets the item 0 wait until a file is there."""

    path: Path

    def __call__(self, number: int) -> int:
        until = time.monotonic() + 120
        while number == 0 and not self.path.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return number


@dataclass(frozen=True)
class KillWorker:
    """Kills the process that works on one item: once, or each time."""

    marker: Path
    item: int
    is_once: bool = True

    def __call__(self, number: int) -> int:
        if number == self.item and not (self.is_once and self.marker.exists()):
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 2

    def with_loaded_first(self, added: int, number: int) -> int:
        return self(number) + added


def fail_at_three(number: int) -> int:
    if number == 3:
        raise OSError(28, "No space left on device")
    return number


@dataclass(frozen=True)
class Load:
    """Loads a number, and notes that it did."""

    folder: Path
    value: int = 100

    def __call__(self) -> int:
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return self.value


def refuse_to_load() -> int:
    raise BuildError(Problem(Reason.SOURCE, "nothing to load"))


def add(loaded: int, number: int) -> int:
    return loaded + number
