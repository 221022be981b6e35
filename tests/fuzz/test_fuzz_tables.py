"""Tables that began as good ones and were changed: no row is lost, and only the kit's errors come out.

These are short runs with a fixed seed; `make fuzz` goes on for minutes.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from schemas.problems import Severity
from tests.fuzz.mutations import tables
from tests.fuzz.properties import read_as
from tests.fuzz.seeds import USES, WRITERS

# These uses are refused in other formats.
FORMATS = {"sfhq": ["csv", "tsv"], "exclusions": ["csv", "tsv"]}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("num_formats", [1, pytest.param(len(WRITERS), marks=pytest.mark.slow)])
def test_fuzzing_starts_from_tables_that_are_read_in_full(num_formats: int, use: str, tmp_path: Path) -> None:
    formats = FORMATS.get(use, [name for name in WRITERS if name != "mapping"])
    start = [*USES].index(use) % len(formats)  # of one format a use, each has its turn
    for writer in (formats[start:] + formats[:start])[:num_formats]:
        reading = read_as(use, WRITERS[writer](USES[use]), tmp_path / writer)
        assert reading is not None, writer
        rejected = [problem for problem in reading.problems if problem.severity is not Severity.WARNING]
        assert {problem.reason for problem in rejected} <= {"duplicate_row", "excluded"}, writer
        assert sum(each.published for each in reading.tables.values()) > 0


@pytest.mark.parametrize("use", USES)
def test_no_table_breaks_the_kit(use: str) -> None:
    @settings(max_examples=4, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(tables(USES[use]))
    def check(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as place:
            read_as(use, data, Path(place))

    check()
