"""What img2dataset says of each image beside its bytes: whether the download succeeded.

Its table NAME.parquet beside the tar or folder NAME has the failures, too. Source: https://github.com/rom1504/img2dataset,
section "Output format".
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from builders.sources.intake import ImageInput, InputRow
from builders.sources.tables import TableRow
from builders.sources.tables.parquet import ParquetTable
from schemas.problems import Problem, Reason

STATUS_COLUMNS = frozenset({"status", "error_message"})
_SUCCESS = "success"


def check_status(row: TableRow, file: str) -> list[Problem]:
    """Return why the image of a row was not downloaded; nothing for a row that says nothing of it."""
    status, error = row.cells.get("status"), row.cells.get("error_message")
    if not row.cells.keys() >= STATUS_COLUMNS or status == _SUCCESS:
        return []
    message = f"img2dataset did not download this image: {error or 'it does not say why'}"
    at = partial(Problem, file=file, row=row.number, column="status", value=str(status))
    return [at(Reason.IMAGE_MISSING, message, fix="download it again, or do without")]


class FailedDownloads:
    """The rows of img2dataset's tables whose images were not downloaded.

    Args:
        shards: The tars or folders with the images that were; each may have a table of its name beside it.

    Raises:
        SourceError: A table is damaged.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        files = [shard.with_name(f"{shard.name.removesuffix('.tar')}.parquet") for shard in shards]
        self._tables = [table for table in map(_open, filter(Path.is_file, files)) if table is not None]
        self.sha256 = " ".join(table.sha256 for table in self._tables)

    def rows(self, source: str) -> Iterator[InputRow]:
        """Yield a rejected row for each failure."""
        for table in self._tables:
            for row in table.rows():
                if problems := [*row.problems, *check_status(row, table.name)]:
                    name = _name(row.cells)
                    content = ImageInput(None, None)
                    yield InputRow(source, table.name, row.number, row.raw, name, content, tuple(problems))


def _open(path: Path) -> ParquetTable | None:
    table = ParquetTable(path)
    return table if set(table.columns) >= STATUS_COLUMNS | {"key"} else None


def _name(cells: Mapping[str, object]) -> str:
    return str(cells.get("key") or "")
