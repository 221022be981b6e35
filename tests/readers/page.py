"""The table in READERS.md: which programs read a release, as the tests have seen it.

A test hands its results to the fixture `record_result`. In `make readers` they are collected, and this module
then writes them into the page; in every other run they are compared with the page.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import ROOT, lock

PAGE = ROOT / "READERS.md"
BEGIN, END = "<!-- results: make readers -->", "<!-- end of results -->"
HEADER = "| Program | Version | Release | Result |\n|---|---|---|---|"
# Names the file that `make readers` collects results in.
RESULTS = "READERS_RESULTS"


class Result(NamedTuple):
    """One row of the table.

    Attributes:
        program: Name of the program, as its users write it.
        version: Its version, with those of others that matter.
        release: `sample`, or `sfhq-sample` for the release of real images.
        result: What it did.
    """

    program: str
    version: str
    release: str
    result: str


RecordResult = Callable[[str, str, str, str], None]


def record(program: str, version: str, release: str, result: str) -> None:
    """Collect a result for the page, or fail if the page does not have it."""
    found = Result(program, version, release, result)
    collected = os.environ.get(RESULTS)
    if collected is None:
        if found not in read_page(PAGE.read_text(encoding="utf-8")):
            pytest.fail(f"READERS.md does not have {tuple(found)}: run `make readers`")
        return
    path = Path(collected)
    with lock(path.with_suffix(".lock")), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


def read_page(text: str) -> set[Result]:
    """Return the rows of the table of the page."""
    table = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert "\n".join(table[:2]) == HEADER, "the table of READERS.md has lost its header or its markers"
    return {Result(*(cell.strip() for cell in line.strip("|").split("|"))) for line in table[2:]}


def example(language: str, word: str) -> str:
    """Return the code block of the page in a language that has a word, to run what users would copy."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (found,) = (block for block in blocks if word in block)
    return str(found)


def write_page(text: str, found: Iterable[Result]) -> str:
    """Return the page with new results; programs that have none keep theirs."""
    new = set(found)
    tested = {(result.program, result.release) for result in new}
    kept = {result for result in read_page(text) if (result.program, result.release) not in tested}
    rows = sorted(new | kept, key=_order)
    table = "\n".join([HEADER, *(f"| {' | '.join(row)} |" for row in rows)])
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _order(result: Result) -> tuple[object, ...]:
    """Sort by program, then by the numbers of the version."""
    numbers = [int(part) if part.isdigit() else 0 for part in result.version.split()[0].split(".")]
    return result.program.casefold(), numbers, result


def main(collected: Path) -> None:
    """Write the results that `make readers` has collected."""
    results = [Result(*json.loads(line)) for line in collected.read_text(encoding="utf-8").splitlines()]
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
