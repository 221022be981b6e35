"""One JSON object that holds a whole table, told from its members: the layouts of pandas, COCO, and results.

`to_json` of pandas has a layout for each `orient`:
https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.sources.listing import IMAGE_SUFFIXES
from builders.sources.tables.json_coco import CocoTable
from builders.sources.tables.json_pandas import ColumnsTable, IndexTable, SchemaTable, SplitTable
from builders.sources.tables.json_results import ResultsTable
from builders.sources.tables.json_rows import CHUNK_CHARS, MAX_ELEMENT_CHARS
from builders.sources.tables.json_scan import BrokenJsonError, JsonScanner
from builders.sources.tables.json_text import COLUMN_NAMES
from builders.sources.tables.rows import Table
from schemas.problems import Problem, Reason, SourceError

_SAMPLE = 100
_MAX_MEMBERS = 1000  # more than a table has columns
_IMAGE_KEYS = frozenset(("image_filename", "file_name", "filename", "image", "image_path"))
# An object with one of these keys says something of the image that its own key names.
_CAPTION_KEYS = frozenset(("caption", "captions", "text", "tags"))
_NUMBER = re.compile(r"0|[1-9][0-9]*")  # as pandas writes one
_FIX = 'write it again in pandas: frame.reset_index().to_json(path, orient="records", lines=True)'


@dataclass(frozen=True, slots=True)
class _Member:
    """What a member of the object is.

    Attributes:
        kind: The first character of its value.
        keys: Of an object, its first keys; of an array of objects, none.
        first: Of an array, the first character of its first element.
        size: How many elements or members it has; 0 of any other value.
    """

    kind: str
    keys: tuple[str, ...] = ()
    first: str = ""
    size: int = 0


def open_object(path: Path) -> Table | None:
    """Open a JSON file that is one object with a whole table; None if it is anything else.

    Raises:
        SourceError: It is such an object, and its rows do not say which column is which.
    """
    with JsonScanner(path, CHUNK_CHARS, MAX_ELEMENT_CHARS) as text:
        if text.peek() == "[":
            _refuse_arrays(path, text)
            return None
        members: dict[str, _Member] = {}
        is_whole = False
        try:
            _look_at(text, members)
            if len(members) < _MAX_MEMBERS and text.peek():  # more than one object: JSON Lines
                members = {}
            is_whole = True
        except BrokenJsonError:  # a layout that is certain is read up to there, and then says so
            pass
    for fits, open_layout in _LAYOUTS:
        if fits(members):
            return open_layout(path, members)
    if is_whole:
        _refuse_named_rows(path, members)
    return None


def _look_at(text: JsonScanner, members: dict[str, _Member]) -> None:
    for key in text.member_keys():
        name, kind = str(json.loads(key)), text.peek()
        members[name] = _Member(kind)
        if kind == "[":
            first = ""
            for number, element in enumerate(text.elements(), 1):
                first = first or element[0]
                members[name] = _Member(kind, (), first, number)
        elif kind == "{":
            keys: list[str] = []
            for number, (inner, _) in enumerate(text.members(), 1):
                if number <= _SAMPLE:
                    keys.append(str(json.loads(inner)))
                members[name] = _Member(kind, tuple(keys), "", number)
        else:
            text.skip()
        if len(members) >= _MAX_MEMBERS:
            return


def _is_split(members: Mapping[str, _Member]) -> bool:
    kinds = {name: member.kind for name, member in members.items()}
    return kinds in ({"columns": "[", "index": "[", "data": "["}, {"columns": "[", "data": "["})


def _has_schema(members: Mapping[str, _Member]) -> bool:
    return {name: member.kind for name, member in members.items()} == {"schema": "{", "data": "["}


def _has_results(members: Mapping[str, _Member]) -> bool:
    results = members.get("results", _Member(""))
    return results.kind == "[" and results.first == "{" and members.get("info", _Member("")).kind == "{"


def _is_coco(members: Mapping[str, _Member]) -> bool:
    arrays = [members.get(name, _Member("")) for name in ("images", "annotations")]
    return all(each.kind == "[" and each.first in ("", "{") for each in arrays)


def _is_by_column(members: Mapping[str, _Member]) -> bool:
    """Return whether each member is a column {number of a row: value}."""
    if not _are_alike(members) or _name_images(members):
        return False
    return _are_numbers(next(iter(members.values())).keys) and not _are_numbers(members)


def _is_by_row(members: Mapping[str, _Member]) -> bool:
    """Return whether each member is a row {column: value}, and its key says nothing about an image."""
    if not members or any(member.kind != "{" for member in members.values()) or _name_images(members):
        return False
    if all(not _IMAGE_KEYS.isdisjoint(member.keys) for member in members.values()):
        return True
    is_numbered = _are_numbers(members) and _are_alike(members)
    return is_numbered and _CAPTION_KEYS.isdisjoint(next(iter(members.values())).keys)


def _are_alike(members: Mapping[str, _Member]) -> bool:
    """Return whether all members are objects that begin with the same keys, as pandas writes them."""
    return len({(member.kind, member.keys) for member in members.values()}) == 1 and all(
        member.kind == "{" and member.keys for member in members.values()
    )


def _name_images(members: Mapping[str, _Member]) -> bool:
    return any(name.lower().endswith(IMAGE_SUFFIXES) for name in members)


def _are_numbers(names: Sequence[str] | Mapping[str, object]) -> bool:
    return all(map(_NUMBER.fullmatch, names))


def _refuse_named_rows(path: Path, members: Mapping[str, _Member]) -> None:
    """Refuse {column: {name of the row: value}}: pandas writes it so if the names of images are its index."""
    if _are_alike(members) and not COLUMN_NAMES.isdisjoint(members):
        message = "the file is one JSON object of columns, and its rows have names in place of numbers"
        column = next(name for name in members if name in COLUMN_NAMES)
        raise SourceError(Problem(Reason.SOURCE, message, file=path.name, column=column, fix=_FIX))


def _refuse_arrays(path: Path, text: JsonScanner) -> None:
    """Refuse an array of arrays: pandas' orient="values" has no names of columns."""
    firsts: list[str] = []
    try:
        for element in text.elements():
            firsts.append(element[0])
            if len(firsts) == _SAMPLE:
                break
    except BrokenJsonError:
        return
    if firsts and set(firsts) == {"["}:
        message = 'a row is an array, and not an object with names of columns (orient="values" of pandas)'
        raise SourceError(Problem(Reason.SOURCE, message, file=path.name, fix=_FIX))


_Fits = Callable[[Mapping[str, _Member]], bool]
_LAYOUTS: tuple[tuple[_Fits, Callable[[Path, Mapping[str, _Member]], Table]], ...] = (
    (_is_split, lambda path, members: SplitTable(path, members["data"].size)),
    (_has_schema, lambda path, members: SchemaTable(path, members["data"].size)),
    (_has_results, lambda path, members: ResultsTable(path, members["results"].size)),
    (_is_coco, lambda path, members: CocoTable(path, members["annotations"].size)),
    (
        _is_by_column,
        lambda path, members: ColumnsTable(path, next(iter(members.values())).size, tuple(members)),
    ),
    (_is_by_row, lambda path, _: IndexTable(path)),
)
