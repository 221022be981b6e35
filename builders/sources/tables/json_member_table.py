"""A table that is one JSON object with its rows in a member: what those of pandas and COCO share."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

from builders.sources.tables.json_rows import CHUNK_CHARS, MAX_ELEMENT_CHARS, parse_json, scan_json
from builders.sources.tables.json_scan import JsonScanner
from builders.sources.tables.rows import TableRow, digest_file
from schemas.problems import SourceError

_SAMPLE_ROWS = 100


class MemberTable:
    """A file that is one JSON object; see `builders.sources.tables.rows.Table` for its attributes.

    Args:
        path: The file.
        num_rows: About how many rows it has.
    """

    is_mapping = False
    columns: tuple[str, ...] = ()

    def __init__(self, path: Path, num_rows: int) -> None:
        self.name, self.num_rows, self._path = path.name, num_rows, path
        self.sha256, _ = digest_file(path)

    def scan(self) -> AbstractContextManager[JsonScanner]:
        """Open the file for reading by element."""
        return scan_json(self._path, CHUNK_CHARS, MAX_ELEMENT_CHARS)

    def elements_of(self, name: str) -> Iterator[str]:
        """Yield each element of the array in a member as text.

        Raises:
            SourceError: The file cannot be read on.
        """
        with self.scan() as text:
            for key in text.member_keys():
                if json.loads(key) == name and text.peek() == "[":
                    yield from text.elements()
                else:
                    text.skip()
            text.expect_end()

    def parse_member(self, name: str) -> object:
        """Return the value of a member; None if there is none, or it is not strict JSON.

        Raises:
            SourceError: The file cannot be read so far.
        """
        with self.scan() as text:
            for key in text.member_keys():
                if json.loads(key) == name:
                    try:
                        return parse_json(text.value())
                    except ValueError:
                        return None
                text.skip()
        return None


def columns_of(rows: Iterator[TableRow]) -> tuple[str, ...]:
    """Return the columns of the first rows, as they come up, as far as these can be read."""
    columns: dict[str, None] = {}
    try:
        for row in islice(rows, _SAMPLE_ROWS):
            columns |= dict.fromkeys(row.cells)
    except SourceError:  # the reader of the rows gets the error
        pass
    return tuple(columns)
