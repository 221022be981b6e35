"""The beginning of a file that should be a table: what is none is refused, and told what it is."""

import codecs
import stat
from functools import partial
from pathlib import Path

from builders.file_kinds import HEAD_BYTES, tell_file_kind, tell_other_encoding
from schemas.problems import Problem, Reason, SourceError

_NULS_OF_TEXT = 8  # a cell with a NUL is told as such; more of them are no text
_NO_TABLE = "give the table itself: CSV, TSV, JSON, JSON Lines or Parquet"


def read_head(path: Path) -> bytes:
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
            return file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise SourceError(at("there is no such file", fix="check the path")) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        fix = "check the path and its permissions"
        raise SourceError(at(f"the table cannot be read: {reason}", fix=fix)) from error


def refuse_others(path: Path, head: bytes) -> None:
    """Refuse what is no text in UTF-8, saying what it is.

    Raises:
        SourceError: It is something else than a table, empty, or binary.
    """
    at = partial(Problem, Reason.SOURCE, file=path.name)
    if not head.removeprefix(codecs.BOM_UTF8).strip() and len(head) < HEAD_BYTES:
        raise SourceError(at("the table is empty", fix="give a file with rows; this one may be cut off"))
    if encoding := tell_other_encoding(head):
        raise SourceError(at(f"the table is {encoding}", fix="save it as UTF-8"))
    if kind := tell_file_kind(head):
        raise SourceError(at(f"the file is {kind.what}", fix=kind.fix or _NO_TABLE))
    header = b"" if head.lstrip()[:1] in (b"{", b"[") else head.partition(b"\n")[0]
    if b"\0" in header or head.count(b"\0") > max(_NULS_OF_TEXT, len(head) // 100):
        raise SourceError(at("the file is binary data, or text that is not UTF-8", fix=_NO_TABLE))
