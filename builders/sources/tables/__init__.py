"""Tables of any format, told apart by content, read strictly and as a stream. A format is one module here."""

import codecs
import stat
from functools import partial
from pathlib import Path

from builders.sources.tables.delimited import DelimitedTable, check_header, find_delimiter
from builders.sources.tables.json_text import JsonTable
from builders.sources.tables.parquet import ParquetTable
from builders.sources.tables.rows import Table, TableRow
from schemas.problems import Problem, Reason, SourceError

__all__ = ["Table", "TableRow", "open_table"]

_HEAD_BYTES = 1 << 16
_NULS_OF_TEXT = 8  # a cell with a NUL is told as such; more of them are no text
_UTF32_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNPACK = "unpack it, and give the table that is in it"
_EXPORT = "export the table from it as CSV, JSON Lines or Parquet"
_NO_TABLE = "give the table itself: CSV, TSV, JSON, JSON Lines or Parquet"
# First bytes → what such a file is, what to do.
_OTHERS = (
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"BZh91AY&SY", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file", _EXPORT),
    (b"SQLite format 3\0", "an SQLite database", _EXPORT),
    (b"ARROW1\0\0", "an Arrow file", _EXPORT),
    (b"%PDF-", "a PDF", _NO_TABLE),
    (b"\xff\xd8\xff", "a JPEG image", _NO_TABLE),
    (b"\x89PNG\r\n", "a PNG image", _NO_TABLE),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run git lfs pull"),
    (b"<!DOCTYPE", "a web page", "download the file itself; its site may want a login"),
    (b"<!doctype", "a web page", "download the file itself; its site may want a login"),
    (b"<html", "a web page", "download the file itself; its site may want a login"),
)


def open_table(path: Path) -> Table:
    """Open a table, whatever its format and its name.

    Raises:
        SourceError: There is no such file, it is no table, or its beginning is damaged.
    """
    head = _read_head(path)
    if head.startswith(b"PAR1"):
        return ParquetTable(path)
    _refuse_others(path, head)
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text[:1] in (b"{", b"["):
        return JsonTable(path)
    table = DelimitedTable(path, find_delimiter(path))
    check_header(table)
    return table


def _read_head(path: Path) -> bytes:
    """Read the first bytes of a file, if it is one: a pipe or a device would never end.

    Raises:
        SourceError: It is not a file, or cannot be read.
    """
    at = partial(Problem, Reason.SOURCE, file=str(path))
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SourceError(at("this is a folder, where a table is expected", fix="name the file in it"))
        if not stat.S_ISREG(mode):
            fix = "save what comes out of it as a file"
            raise SourceError(at("this is not a regular file, but a pipe or a device", fix=fix))
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError as error:
        raise SourceError(at("there is no such file", fix="check the path")) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        fix = "check the path and its permissions"
        raise SourceError(at(f"the table cannot be read: {reason}", fix=fix)) from error


def _refuse_others(path: Path, head: bytes) -> None:
    """Refuse what is no text in UTF-8, saying what it is.

    Raises:
        SourceError: It is something else than a table, empty, or binary.
    """
    at = partial(Problem, Reason.SOURCE, file=path.name)
    if not head.removeprefix(codecs.BOM_UTF8).strip() and len(head) < _HEAD_BYTES:
        raise SourceError(at("the table is empty", fix="give a file with rows; this one may be cut off"))
    for boms, encoding in ((_UTF32_BOMS, "UTF-32"), (_UTF16_BOMS, "UTF-16")):
        if head.startswith(boms):
            raise SourceError(at(f"the table is {encoding}", fix="save it as UTF-8"))
    if head.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in head:
        raise SourceError(at("the file is an Excel workbook or another Office file", fix=_EXPORT))
    for magic, what, fix in _OTHERS:
        if head.startswith(magic):
            raise SourceError(at(f"the file is {what}", fix=fix))
    header = b"" if head.lstrip()[:1] in (b"{", b"[") else head.partition(b"\n")[0]
    if b"\0" in header or head.count(b"\0") > max(_NULS_OF_TEXT, len(head) // 100):
        raise SourceError(at("the file is binary data, or text that is not UTF-8", fix=_NO_TABLE))
