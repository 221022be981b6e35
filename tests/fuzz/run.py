"""Fuzzing for as long as one likes; what is found stays in a folder, the smallest input of each fault.

    python -m tests.fuzz.run tables --minutes 10

`tables` draws tables with Hypothesis. The others are targets of atheris, which follows the code that an input
reaches; see `tests/fuzz/guided.py`.
"""

import argparse
import itertools
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.fuzz.mutations import tables
from tests.fuzz.properties import read_as
from tests.fuzz.seeds import USES
from tests.support import ROOT

FOUND = ROOT / "dist" / "fuzz"
_EXAMPLES_PER_TURN = 150
_MAX_ADDRESS_BYTES = 5 << 30  # of which threads and mapped libraries take 2


def make_check(use: str, number: int, count: Callable[[bool], None]) -> Callable[[], None]:
    """Make a check of many tables of one use; the last failing one is the smallest."""

    @seed(number)
    @settings(
        max_examples=_EXAMPLES_PER_TURN,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(tables(USES[use]))
    def check(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as place:
            try:
                count(read_as(use, data, Path(place)) is not None)
            except Exception:
                (FOUND / use.replace("/", "-")).write_bytes(data)
                raise

    check_all: Callable[[], None] = check
    return check_all


def fuzz_tables(minutes: float, number: int) -> int:
    """Draw tables of every use in turn until the time is over; return how many faults were found."""
    counts, faults = [0, 0], 0

    def count(was_read: bool) -> None:
        counts[was_read] += 1

    # An input that takes more ends in a traceback, where the system would end the process without one.
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_ADDRESS_BYTES, _MAX_ADDRESS_BYTES))
    end = time.monotonic() + 60 * minutes
    for turn, use in ((turn, use) for turn in itertools.count(number) for use in USES):
        if time.monotonic() > end:
            break
        try:
            make_check(use, turn, count)()
        except Exception:
            faults += 1
            sys.stderr.write(f"\n{use}, seed {turn}:\n{traceback.format_exc(limit=-6)[-3000:]}\n")
    refused, read = counts
    print(f"tables: {read + refused} inputs, {read} of them read and {refused} refused; {faults} faults")
    return faults


def main() -> int:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=["tables", "image", "table", "literal"])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    FOUND.mkdir(parents=True, exist_ok=True)
    if arguments.target == "tables":
        return min(1, fuzz_tables(arguments.minutes, arguments.seed))
    if find_spec("atheris") is None:
        print(f"{arguments.target}: left out, since atheris has no wheel for this system")
        return 0
    flags = [f"-max_total_time={round(60 * arguments.minutes)}", f"-seed={arguments.seed % (1 << 31)}"]
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.guided",
        arguments.target,
        f"-artifact_prefix={FOUND}/",
        *flags,
    ]
    return os.spawnv(os.P_WAIT, sys.executable, command)


if __name__ == "__main__":
    sys.exit(main())
