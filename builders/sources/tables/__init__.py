"""Tables of any format, told apart by content, read strictly and as a stream. A format is one module here."""

import codecs
from pathlib import Path

from builders.sources.tables.delimited import DelimitedTable, check_header, find_delimiter
from builders.sources.tables.head import read_head, refuse_others
from builders.sources.tables.json_object import open_object
from builders.sources.tables.json_text import JsonTable
from builders.sources.tables.parquet import ParquetTable
from builders.sources.tables.rows import Table, TableRow
from schemas.problems import Problem, Reason, SourceError

__all__ = ["Table", "TableRow", "no_rows", "open_delimited", "open_table"]


def open_table(path: Path) -> Table:
    """Open a table, whatever its format and its name.

    Raises:
        SourceError: There is no such file, it is no table, its beginning is damaged, or it has neither
            columns nor rows.
    """
    head = read_head(path)
    if head.startswith(b"PAR1"):
        return ParquetTable(path)
    refuse_others(path, head)
    if not _is_json(head):
        return _open_text(path)
    table = open_object(path) or JsonTable(path)
    if not table.columns and next(table.rows(), None) is None:  # [] names no column that could be missing
        raise SourceError(no_rows(table.name))
    return table


def open_delimited(path: Path) -> DelimitedTable:
    """Open a table that must be CSV or TSV.

    Raises:
        SourceError: There is no such file, it is anything else, or its header cannot be read.
    """
    head = read_head(path)
    is_parquet = head.startswith(b"PAR1")
    if not is_parquet:
        refuse_others(path, head)
    if is_parquet or _is_json(head):
        message = f"the table is {'Parquet' if is_parquet else 'JSON'}, and must be CSV"
        raise SourceError(
            Problem(Reason.SOURCE, message, file=path.name, fix="write it as CSV with a header")
        )
    return _open_text(path)


def no_rows(file: str) -> Problem:
    """Return the problem of a table without rows: its export failed, or it is cut off after its header."""
    fix = "give a table with rows, or leave it out; this one may be cut off"
    return Problem(Reason.SOURCE, "the table has no rows", file=file, fix=fix)


def _open_text(path: Path) -> DelimitedTable:
    table = DelimitedTable(path, find_delimiter(path))
    check_header(table)
    return table


def _is_json(head: bytes) -> bool:
    return head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")
