"""The targets of coverage-guided fuzzing: each takes its seeds, and takes them damaged."""

import random
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.fuzz.targets import TARGETS
from tests.support import ROOT

_PIECES = (
    b"\0",
    b"\xff" * 4,
    b"[",
    b'"',
    b"\\ud800",
    b"1e999",
    b"\r",
    b",",
    b"\0\0\0\x0c",
    b"IEND",
    b"Exif\0\0",
)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Cut data off, or overwrite or insert a piece."""
    at = chance.randrange(len(data) + 1)
    piece = chance.choice(_PIECES)
    return chance.choice(
        (data[:at], data[:at] + piece + data[at:], data[:at] + piece + data[at + len(piece) :])
    )


# Pillow warns of metadata that it skips, and so do all who read the image with it.
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds_and_what_is_damaged(name: str) -> None:
    target, chance = TARGETS[name], random.Random(1)
    seeds = target.seeds()
    for data in seeds[:: 1 + len(seeds) // 50]:
        target.run(data)
        for _ in range(3):
            target.run(target.repair(damage(data, chance)))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this system")
def test_the_guided_run_finds_its_way() -> None:
    """It follows the code behind the door: more of it than the seeds reach."""
    command = [sys.executable, "-m", "tests.fuzz.guided", "image", "-runs=500", "-seed=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "NEW" in done.stderr
    assert "Done 500 runs" in done.stderr
