"""Tables that began as good ones: whatever was done to them, no row is lost and no error of others escapes."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import tables
from tests.fuzz.properties import read_as
from tests.fuzz.seeds import USES, WRITERS


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("writer", WRITERS)
def test_the_seeds_are_good(use: str, writer: str, tmp_path: Path) -> None:
    """Fuzzing that starts from tables which are refused at the door would find nothing behind it."""
    reading = read_as(use, WRITERS[writer](USES[use]), tmp_path)
    print(use, writer, reading and (reading.counts, reading.problems[:1]))


@pytest.mark.parametrize("use", USES)
def test_no_table_breaks_the_kit(use: str) -> None:
    @seed(1)
    @settings(max_examples=15, database=None, derandomize=True)
    @given(tables(USES[use]))
    def check(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as place:
            read_as(use, data, Path(place))

    check()
