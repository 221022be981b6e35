"""Results of an order as a service writes them: {"info": {…}, "summary": {…}, "results": [row, …]}."""

from collections.abc import Iterator
from pathlib import Path

from builders.sources.tables.json_member_table import MemberTable, columns_of
from builders.sources.tables.json_rows import read_record
from builders.sources.tables.rows import TableRow


class ResultsTable(MemberTable):
    """A file of results; each element of `results` is a row."""

    def __init__(self, path: Path, num_rows: int) -> None:
        super().__init__(path, num_rows)
        self.columns = columns_of(self.rows())

    def rows(self) -> Iterator[TableRow]:
        """Yield every result in order."""
        for number, raw in enumerate(self.elements_of("results"), 1):
            yield read_record(self.name, number, raw, "element")
