"""Tables of every format: what was written comes back, and what is broken is told with its place."""

import csv
import datetime as dt
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources.tables import Table, TableRow, open_table
from builders.sources.tables.json_rows import parse_json
from builders.sources.tables.json_text import JsonTable
from builders.sources.tables.parquet import ParquetTable
from schemas.problems import Problem, Reason, Severity, SourceError
from tests.support import ROOT, image_bytes

Cells = Mapping[str, object]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(
    st.builds(lambda cells, image: {"image": image} | cells, st.dictionaries(TEXT, VALUES, max_size=3), TEXT),
    min_size=1,
    max_size=6,
)
# Where a reader of chunks goes wrong: numbers cut before their exponent, pairs of escapes, wide characters.
TRICKY: list[Cells] = [
    {"image": "a.jpg", "n": 1, "x": -1.5e-7, "big": 10**30},
    {"image": 'q"\\\n\t', "list": [1, [2, [3.25]], {}, []], "t": True, "f": False, "z": None},
    {"image": "Привет 顔 👩🏽‍🦰", "brackets": "]},{[", "escapes": "\\u0041"},
    {"image": "", "n": 0, "m": [0, 12, 1e5, 2e300]},
]


def temporary(write: Callable[[Path], object], read: Callable[[Path], object]) -> object:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table"
        write(path)
        return read(path)


def cells_of(path: Path) -> list[Cells]:
    table = open_table(path)
    rows = list(table.rows())
    assert not any(row.problems for row in rows)
    assert list(table.rows()) == rows  # a second reading is the same
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    return [row.cells for row in rows]


def put(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def write_json(path: Path, rows: object, indent: int | None = None) -> Path:
    return put(path, json.dumps(rows, ensure_ascii=False, indent=indent))


def write_parquet(path: Path, rows: Sequence[Cells], schema: pa.Schema | None = None) -> Path:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
    return path


def problems_of(table: Table) -> list[tuple[int | None, Problem]]:
    return [(row.number, problem) for row in table.rows() for problem in row.problems]


# What was written comes back


@pytest.mark.parametrize("delimiter", [",", "\t"])
@given(rows=st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=6))
def test_csv_and_tsv_come_back(delimiter: str, rows: list[list[str]]) -> None:
    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            header = ["image", "a,b" if delimiter == "\t" else "a\tb", "caption"]
            csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, *rows])

    found = temporary(write, cells_of)
    assert isinstance(found, list)
    assert [list(cells.values()) for cells in found] == rows


@pytest.mark.slow
@given(rows=RECORDS, ascii_only=st.booleans(), blank=st.sampled_from(["", "\n", "\r\n", " \n\n"]))
def test_json_lines_come_back(rows: list[Cells], ascii_only: bool, blank: str) -> None:
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" + blank for row in rows)
    assert temporary(lambda path: put(path, blank + text), cells_of) == rows


@given(rows=RECORDS, indent=st.sampled_from([None, 0, 2]), chunk=st.integers(1, 40))
def test_json_arrays_come_back(rows: list[Cells], indent: int | None, chunk: int) -> None:
    found = temporary(
        lambda path: write_json(path, rows, indent),
        lambda path: (cells_of(path), [row.cells for row in JsonTable(path, chunk_chars=chunk).rows()]),
    )
    assert found == (rows, rows)


@given(
    members=st.dictionaries(TEXT.map(lambda key: f"{key}.jpg"), VALUES, max_size=6),
    indent=st.sampled_from([None, 0, 2]),
    chunk=st.integers(1, 40),
)
def test_json_mappings_come_back(members: Cells, indent: int | None, chunk: int) -> None:
    def read(path: Path) -> object:
        table = JsonTable(path, chunk_chars=chunk)
        assert table.is_mapping
        assert table.columns == ("key", "value")
        return cells_of(path), [row.cells for row in table.rows()]

    rows = [{"key": key, "value": value} for key, value in members.items()]
    assert temporary(lambda path: write_json(path, members, indent), read) == (rows, rows)


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "image": st.none() | st.fixed_dictionaries({"bytes": st.binary(max_size=9), "path": TEXT}),
                "caption": st.none() | TEXT,
                "votes": st.none() | st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3),
                "score": st.none() | st.floats(allow_nan=False),
            }
        ),
        max_size=6,
    )
)
def test_parquet_comes_back(rows: list[Cells]) -> None:
    schema = pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "caption": pa.string(),
            "votes": pa.list_(pa.int64()),
            "score": pa.float64(),
        }
    )
    assert temporary(lambda path: write_parquet(path, rows, schema), cells_of) == rows


@pytest.mark.parametrize("form", ["array", "mapping", "lines"])
def test_no_place_for_a_chunk_to_end_is_a_wrong_one(form: str, tmp_path: Path) -> None:
    members = {f"{number} é.jpg": value for number, value in enumerate([1.5e-7, -12, "]}", [1, 2], None])}
    expected: list[Cells] = [*TRICKY]
    if form == "lines":
        path = put(tmp_path / "t", "".join(json.dumps(row) + "\n" for row in TRICKY))
    else:
        path = write_json(tmp_path / "t", TRICKY if form == "array" else members)
    if form == "mapping":
        expected = [{"key": key, "value": value} for key, value in members.items()]
    for chunk in range(1, path.stat().st_size + 2):
        assert [row.cells for row in JsonTable(path, chunk_chars=chunk).rows()] == expected


def test_every_row_has_its_number_and_its_own_text(tmp_path: Path) -> None:
    lines = put(tmp_path / "a", '\ufeff\n{"image": "a"}\r\n\n {"image":"b"}').read_bytes()
    assert lines.startswith(b"\xef\xbb\xbf")
    forms = {
        "lines": (lines, [(2, '{"image": "a"}'), (4, ' {"image":"b"}')]),
        "array": (b'[ {"image":\n"a"} , {"b": 1}]', [(1, '{"image":\n"a"}'), (2, '{"b": 1}')]),
        "mapping": (b'{"a.jpg" : ["x"],\n"b.jpg":"y"}', [(1, '"a.jpg": ["x"]'), (2, '"b.jpg": "y"')]),
        "csv": (b'image,caption\na,"x\ny"\n\nb,z\n', [(2, 'a,"x\ny"'), (3 + 1, "b,z")]),
    }
    for form, (data, expected) in forms.items():
        rows = open_table(put(tmp_path / form, data)).rows()
        assert [(row.number, row.raw) for row in rows] == expected, form


def test_the_own_text_of_a_parquet_row_shows_bytes_by_digest(tmp_path: Path) -> None:
    when = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    row = {"image": {"bytes": b"abc", "path": "é.jpg"}, "when": when, "day": when.date(), "x": 1.5}
    (found,) = open_table(write_parquet(tmp_path / "t", [row])).rows()
    assert found.cells["when"] == when
    digest = hashlib.sha256(b"abc").hexdigest()
    assert json.loads(found.raw) == {
        "image": {"bytes": f"<3 bytes, sha256 {digest}>", "path": "é.jpg"},
        "when": "2024-05-06T07:08:09+00:00",
        "day": "2024-05-06",
        "x": 1.5,
    }
    assert (found.number, found.problems) == (1, ())


def test_columns_and_numbers_of_rows_are_known_before_reading(tmp_path: Path) -> None:
    records = [{"image": str(number), f"c{number % 2}": "x" * 50} for number in range(500)]
    lines = open_table(put(tmp_path / "l", "".join(json.dumps(row) + "\n" for row in records)))
    array = open_table(write_json(tmp_path / "a", records))
    parquet = open_table(write_parquet(tmp_path / "p", records))
    delimited = open_table(put(tmp_path / "c", "image\tcaption\na\tb\n"))
    assert lines.columns == array.columns == ("image", "c0", "c1")
    assert parquet.columns == ("image", "c0")  # as Arrow makes it from the first row
    assert delimited.columns == ("image", "caption")
    assert (lines.num_rows, parquet.num_rows, delimited.num_rows) == (500, 500, 1)
    assert 450 <= array.num_rows <= 550


@pytest.mark.parametrize(
    ("text", "is_mapping", "columns"),
    [
        ('{"a.jpg": "x"}', True, ("key", "value")),
        ('\n\n{"a.jpg": "x"}\n\n', True, ("key", "value")),
        ("{}", True, ("key", "value")),
        ('{"image": "a.jpg", "caption": "x"}', False, ("image", "caption")),
        ('{"caption": ["x"], "file_name": "a"}\n', False, ("caption", "file_name")),
        ('{"a.jpg": "x"}\n{"b.jpg": "y"}', False, ("a.jpg", "b.jpg")),
        ('{\n"a.jpg": "x"}', True, ("key", "value")),
        ('{"a": NaN}\n{"b": 1}', False, ("b",)),
        ('{"a": "x\n{"b": 1}', False, ("b",)),
        ('[{"key": "a", "value": "b"}]', False, ("key", "value")),
    ],
)
def test_the_forms_of_json_are_told_apart(
    text: str, is_mapping: bool, columns: tuple[str, ...], tmp_path: Path
) -> None:
    table = open_table(put(tmp_path / "t", text))
    assert (table.is_mapping, table.columns) == (is_mapping, columns)


# Rows that are broken, among rows that are not

BAD_ROWS: dict[str, tuple[bytes, Reason, str]] = {
    "csv: too few cells": (b"a,b\n1\n1,2\n", Reason.WRONG_CELL_COUNT, "1 cells, the header has 2"),
    "csv: too many cells": (b"a,b\n1,2,3\n1,2\n", Reason.WRONG_CELL_COUNT, "3 cells"),
    "csv: quote": (b'a,b\n"x"y,2\n1,2\n', Reason.BROKEN_QUOTES, "quotes do not match"),
    "csv: not UTF-8": (b"a,b\n\xe9,2\n1,2\n", Reason.NOT_UTF8, "not UTF-8"),
    "csv: NUL": (b"a,b\nx\0,2\n1,2\n", Reason.CONTROL_CHARACTER, "NUL"),
    "tsv: too few cells": (b"a\tb\n1\n1\t2\n", Reason.WRONG_CELL_COUNT, "1 cells, the header has 2"),
    "tsv: commas for tabs": (b"a\tb\n1,2\n1\t2\n", Reason.WRONG_CELL_COUNT, "1 cells"),
    "tsv: quote": (b'a\tb\n"x"y\t2\n1\t2\n', Reason.BROKEN_QUOTES, "quotes do not match"),
    "tsv: not UTF-8": (b"a\tb\n\xff\t2\n1\t2\n", Reason.NOT_UTF8, "not UTF-8"),
    "tsv: NUL": (b"a\tb\nx\0\t2\n1\t2\n", Reason.CONTROL_CHARACTER, "NUL"),
    "lines: no JSON": (b'{"a": 1,}\n{"a": 1}\n', Reason.BAD_JSON, "is not JSON"),
    "lines: no object": (b'{"a": 1}\n[1]\n', Reason.BAD_JSON, "JSON list, and not an object"),
    "lines: garbage": (b'{"a": 1}\nnot json\n', Reason.BAD_JSON, "column 1"),
    "lines: two in one": (b'{"a": 1}\n{"a": 1}{"a": 2}\n', Reason.BAD_JSON, "Extra data"),
    "lines: cut off": (b'{"a": 1}\n{"a": "x', Reason.BAD_JSON, "Unterminated string"),
    "lines: NaN": (b'{"a": NaN}\n{"a": 1}\n', Reason.BAD_JSON, "NaN is not JSON"),
    "lines: infinite": (b'{"a": 1}\n{"a": -Infinity}\n', Reason.BAD_JSON, "-Infinity is not JSON"),
    "lines: key twice": (b'{"a": 1}\n{"a": 1, "a": 2}\n', Reason.BAD_JSON, "'a' stands twice"),
    "lines: half a character": (b'{"a": 1}\n{"a": "\\ud83d"}\n', Reason.BAD_JSON, "half of a character"),
    "lines: NUL": (b'{"a": 1}\n{"a": "\\u0000"}\n', Reason.BAD_JSON, "NUL"),
    "lines: deep": (b'{"a": 1}\n' + b"[" * 100_000, Reason.BAD_JSON, "too deep"),
    "lines: deep, first": (b'{"a":' * 100_000 + b'\n{"a": 1}\n', Reason.BAD_JSON, "too deep"),
    "lines: digits": (b'{"a": 1}\n{"a": ' + b"1" * 5000 + b"}\n", Reason.BAD_JSON, "thousands of digits"),
    "lines: not UTF-8": (b'{"a": 1}\n{"a": "\xe9"}\n', Reason.NOT_UTF8, "not UTF-8"),
    "array: no object": (b'[{"a": 1}, 7]', Reason.BAD_JSON, "JSON int, and not an object"),
    "array: NaN": (b'[{"a": NaN}, {"a": 1}]', Reason.BAD_JSON, "NaN is not JSON"),
    "array: key twice": (b'[{"a": 1}, {"b": {"a": 1, "a": 2}}]', Reason.BAD_JSON, "stands twice"),
    "array: half a character": (b'[{"a": 1}, {"\\udead": 1}]', Reason.BAD_JSON, "half of a character"),
    "array: NUL": (b'[{"a": "\\u0000"}, {"a": 1}]', Reason.BAD_JSON, "NUL"),
    "array: digits": (b'[{"a": 1}, {"a": ' + b"1" * 5000 + b"}]", Reason.BAD_JSON, "thousands of digits"),
    "mapping: NaN": (b'{"a.jpg": NaN, "b.jpg": 1}', Reason.BAD_JSON, "NaN is not JSON"),
    "mapping: NUL in key": (b'{"a\\u0000": 2, "b.jpg": 1}', Reason.BAD_JSON, "NUL"),
    "mapping: key twice": (b'{"a.jpg": {"x": 1, "x": 1}, "b.jpg": 1}', Reason.BAD_JSON, "stands twice"),
    "mapping: half a character": (b'{"a.jpg": "\\ud83d", "b.jpg": 1}', Reason.BAD_JSON, "half of a"),
    "mapping: digits": (b'{"a.jpg": ' + b"1" * 5000 + b', "b": 1}', Reason.BAD_JSON, "thousands of digits"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_told_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    data, reason, says = BAD_ROWS[name]
    table = open_table(put(tmp_path / "t", data))
    rows = list(table.rows())
    (bad,) = (row for row in rows if row.problems)
    (problem,) = bad.problems
    assert len(rows) == 2
    assert says in problem.message
    assert (problem.reason, problem.severity) == (reason, Severity.REJECTED)
    assert (problem.file, problem.row) == ("t", bad.number)
    assert problem.fix
    assert str(problem).isprintable()
    assert bad.raw.encode()  # can be stored


def test_a_line_that_is_too_long_is_told_and_not_kept(tmp_path: Path) -> None:
    path = put(tmp_path / "t", '{"a": 1}\n{"a": "' + "x" * 5000 + '"}\n{"a": 2}\n{"a":"' + "y" * 5000)
    table = JsonTable(path, max_chars=2000)
    first, long, other, last = table.rows()
    assert (first.cells, other.cells, other.number) == ({"a": 1}, {"a": 2}, 3)
    for row in (long, last):
        assert [problem.message for problem in row.problems] == ["the line is longer than 2000 bytes"]
        assert len(row.raw) < 1100


def test_bytes_of_other_encodings_are_escaped_in_the_rows_own_text(tmp_path: Path) -> None:
    row = next(iter(open_table(put(tmp_path / "t", b'{"a": "caf\xe9"}\n{"a": 1}')).rows()))
    assert row.raw == '{"a": "caf\\xe9"}'


def parquet_of(array: pa.Array) -> Callable[[Path], object]:
    return lambda path: pq.write_table(pa.table({"good": range(len(array)), "bad": array}), path)


def unchecked(data: bytes) -> pa.Array:
    offsets = pa.py_buffer(b"".join(number.to_bytes(4, "little") for number in (0, 1, 1 + len(data))))
    return pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"a" + data))


BAD_PARQUET_ROWS: dict[str, tuple[pa.Array, Reason, str]] = {
    "not UTF-8": (unchecked(b"caf\xe9"), Reason.NOT_UTF8, "not UTF-8"),
    "not UTF-8 in a list": (
        pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), unchecked(b"\xff")),
        Reason.NOT_UTF8,
        "not UTF-8",
    ),
    "NUL": (pa.array(["a", "b\0"]), Reason.CONTROL_CHARACTER, "NUL"),
    "NUL in a list": (pa.array([["a"], ["b", "c\0"]]), Reason.CONTROL_CHARACTER, "NUL"),
    "NUL in a struct": (pa.array([{"x": "a"}, {"x": "\0"}]), Reason.CONTROL_CHARACTER, "NUL"),
    "a day that Python does not have": (
        pa.array([0, 10**15], pa.timestamp("s")),
        Reason.BAD_VALUE,
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", BAD_PARQUET_ROWS)
def test_a_bad_row_of_parquet_is_told_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    array, reason, says = BAD_PARQUET_ROWS[name]
    parquet_of(array)(tmp_path / "t")
    good, bad = open_table(tmp_path / "t").rows()
    assert not good.problems
    (problem,) = bad.problems
    assert (problem.reason, problem.row, problem.column) == (reason, 2, "bad")
    assert says in problem.message
    assert problem.fix
    assert bad.raw.encode()


# Files that cannot be read


def xlsx() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("table.csv", "a,b\n1,2\n")
    return file.getvalue()


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": range(50), "b": [f"text {number}" * 5 for number in range(50)]}), file)
    return file.getvalue()


def repeated_columns() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), file)
    return file.getvalue()


def without_footer(data: bytes) -> bytes:
    length = int.from_bytes(data[-8:-4], "little")
    return data[: -8 - length] + bytes(length) + data[-8:]


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b"\xef\xbb\xbf \r\n\n", "is empty"),
    "UTF-16": ('[{"a": 1}]'.encode("utf-16"), "the table is UTF-16 → save it as UTF-8"),
    "UTF-32": ("a,b".encode("utf-32"), "UTF-32"),
    "UTF-16 without a mark": (
        "a,b\n1,2\n".encode("utf-16-le"),
        "UTF-16 without a byte order mark → save it as UTF-8",
    ),
    "JSON as UTF-16 without a mark": (
        ('[{"a": 1}' + " " * 20).encode("utf-16-le"),
        "UTF-16 without a byte order mark → save it as UTF-8",
    ),
    "gzip": (gzip.compress(b"a,b\n"), "gzip → unpack it"),
    "zip": (zipped(), "a zip archive → unpack it"),
    "xlsx": (xlsx(), "Excel workbook or another Office file → export"),
    "JPEG": (image_bytes(1), "a JPEG image"),
    "binary": (bytes(range(256)) * 20, "binary data"),
    "web page": (b"<!DOCTYPE html><html>", "a web page"),
    "web page after a blank line": (b"\n<HTML>", "a web page"),
    "file of macOS": (b"\0\5\x16\7" + bytes(60), "macOS"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "csv: header twice": (b"a,b,a\n", "t:1:a: the header has this column more than once"),
    "csv: header with a quote": (b'"a,b\n', "header cannot be read"),
    "csv: blank header": (b"\na,b\n", "first line is blank"),
    "csv: semicolons": (b"image;caption\n", "semicolons"),
    "csv: header not UTF-8": (b"pr\xe9nom,b\n1,2\n", "not text in UTF-8"),
    "array: cut off": (b'[{"a": 1}, {"a": 2', "line 1, column 19: the file ends here"),
    "array: cut off between": (b'[{"a": 1},\n', "line 2, column 1: the file ends here"),
    "array: no comma": (b'[{"a": 1}\n{"a": 2}]', "line 2, column 1: , or ] is missing"),
    "array: comma at the end": (b'[{"a": 1},]', "line 1, column 11: Expecting value"),
    "array: more after it": (b"[]\n\n  x", "line 3, column 3: there is more text after the end"),
    "array: not UTF-8": (b'[{"a": 1},\n {"a": "caf\xe9"}]', "line 2, column 12: the text is not UTF-8"),
    "array: not UTF-8 between": (b'[{"a": 1}\xff]', "line 1, column 10: the text is not UTF-8"),
    "array: deep": (b"[" * 100_000, "too deep"),
    "mapping: cut off": (b'{"a.jpg": "x", "b.jpg": "y', "line 1, column 25: Unterminated string"),
    "mapping: no colon": (b'{"a.jpg" "x"}', "line 1, column 10: : is missing"),
    "mapping: comma at the end": (b'{"a.jpg": "x",\n}', "line 2, column 1: a key in double quotes"),
    "mapping: bare key": (b'{a: "x"}', "line 1, column 2: a key in double quotes"),
    "mapping: more after it": (b'{\n"a.jpg": "x"}\n{', "line 3, column 1: there is more text after"),
    "mapping: not UTF-8": (b'{"a.jpg": "x",\n"b\xff.jpg": ""}', "line 2, column 3: the text is not UTF-8"),
    "object of arrays": (b'{"image": ["a", "b"], "caption": ["x", "y"]}', "t:image: .* object of arrays"),
    "wrapped rows": (b'{"data": [{"image": "a"}]}', "t:data: .* object of arrays"),
    "a record over lines": (b'{\n"image": "a",\n"caption": "b"\n}', "t:image: .* over several lines"),
    "records over lines": (b'{\n"image": "a"}\n{\n"image": "b"}\n', "t:image: .* over several lines"),
    "parquet: cut off": (parquet_bytes()[:-9], "cut off or damaged: Parquet magic bytes not found"),
    "parquet: only its magic": (b"PAR1", "cut off or damaged"),
    "parquet: footer zeroed": (
        without_footer(parquet_bytes()),
        "cut off or damaged",
    ),
    "parquet: footer of another length": (
        parquet_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1",
        "cut off or damaged",
    ),
    "parquet: pages zeroed": (b"PAR1" + bytes(300) + parquet_bytes()[304:], "cut off or damaged"),
    "parquet: column twice": (repeated_columns(), "t:a: the table has this column more than once"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_read_says_what_it_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    data, says = BAD_FILES[name]
    with pytest.raises(SourceError, match=says) as caught:
        list(open_table(put(tmp_path / "t", data)).rows())
    for problem in caught.value.problems:
        assert problem.severity is Severity.BLOCKING
        assert problem.file
        assert problem.fix
        assert str(problem).isprintable()


def test_what_is_no_file_is_told_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, says in (
        (tmp_path / "nothing.csv", "there is no such file"),
        (tmp_path, "this is a folder"),
        (tmp_path / "pipe", "pipe or a device"),
        (tmp_path / "link", "pipe or a device"),
        (Path(os.devnull), "pipe or a device"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path / "a\0b", "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(SourceError, match=says) as caught:
            open_table(path)
        assert caught.value.problems[0].fix


@pytest.mark.parametrize("form", ["array", "mapping"])
def test_whatever_is_cut_off_is_told_after_the_rows_before_it(form: str, tmp_path: Path) -> None:
    members = {f"{number}.jpg": row for number, row in enumerate(TRICKY)}
    whole = json.dumps(TRICKY if form == "array" else members, ensure_ascii=False).encode()
    expected = [row.cells for row in open_table(put(tmp_path / "t", whole)).rows()]
    for length in range(1, len(whole)):
        rows: list[Cells] = []
        with pytest.raises(SourceError, match="cannot be read on"):
            rows.extend(row.cells for row in JsonTable(put(tmp_path / "t", whole[:length])).rows())
        assert rows == expected[: len(rows)]


def test_an_element_that_is_too_large_stops_the_reading(tmp_path: Path) -> None:
    array = write_json(tmp_path / "t", [{"a": 1}, {"a": "x" * 5000}, {"a": 2}])
    for chunk in (10, 100_000):
        table = JsonTable(array, chunk_chars=chunk, max_chars=2000)
        rows = table.rows()
        assert next(rows).cells == {"a": 1}
        with pytest.raises(
            SourceError, match="line 1, column 12: the element is longer than 2000 characters"
        ):
            next(rows)


@given(st.data())
def test_no_damage_to_parquet_escapes(data: st.DataObject) -> None:
    damaged = bytearray(parquet_bytes())
    places = st.integers(4, len(damaged) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))

    def read(path: Path) -> object:
        try:
            return list(open_table(path).rows())
        except SourceError as error:
            return error

    found = temporary(lambda path: put(path, bytes(damaged)), read)
    assert isinstance(found, list | SourceError)


@given(st.binary(max_size=200) | st.text('{}[]",: \n\tabc1e.-\\u').map(str.encode))
def test_nothing_escapes_from_any_file(data: bytes) -> None:
    def read(path: Path) -> object:
        try:
            return list(open_table(path).rows())
        except SourceError as error:
            return error

    found = temporary(lambda path: put(path, data), read)
    if isinstance(found, SourceError):
        assert all(problem.message and problem.fix for problem in found.problems)
    else:
        assert isinstance(found, list)
        assert all(isinstance(row, TableRow) and row.raw.encode() is not None for row in found)


# Text that is JSON, and text that is not


@given(VALUES)
def test_strict_json_is_what_json_writes(value: object) -> None:
    assert parse_json(json.dumps(value)) == value


def test_what_looks_like_a_nul_is_text() -> None:
    assert parse_json(r'"a\\u0000b"') == r"a\u0000b"
    with pytest.raises(ValueError, match="NUL"):
        parse_json(r'"a\\\u0000b"')


def test_an_unknown_escape_in_a_cell_is_no_line_of_the_report() -> None:
    """Python 3.12 shows its warning by default; `-W always` does so in any version."""
    code = r"""from builders.sources.cells import parse_literal; print(parse_literal(r"['\d']"))"""
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['\\\\d']\n", "")


def test_an_object_of_many_keys_is_no_trap() -> None:
    text = "{" + ",".join(f'"{number}": 1' for number in range(50_000)) + ', "7": 2}'
    with pytest.raises(ValueError, match="'7' stands twice"):
        parse_json(text)


# Memory


@pytest.mark.parametrize("form", ["array", "mapping", "lines"])
def test_json_is_not_held_in_memory(form: str, tmp_path: Path) -> None:
    path, text = tmp_path / "t", json.dumps({"image": "x" * 10_000})
    member = {"array": text, "mapping": f'"a.jpg": {text}', "lines": text}[form]
    around = {"array": "[,]", "mapping": "{,}", "lines": "\n\n\n"}[form]
    put(path, around[0] + around[1].join([member] * 800) + around[2])
    tracemalloc.start()
    try:
        num_rows = sum(not row.problems for row in JsonTable(path, chunk_chars=1 << 15).rows())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert num_rows == 800
    assert path.stat().st_size > 8_000_000
    assert peak < 4_000_000  # the first hundred rows are looked at together


def test_a_row_group_of_parquet_is_not_held_in_memory(tmp_path: Path) -> None:
    images = [number.to_bytes(4, "big") * 10_000 for number in range(500)]
    table = pa.table({"image": images})
    pq.write_table(
        table,
        tmp_path / "t",
        use_dictionary=False,
        compression="none",
        write_batch_size=4,
        row_group_size=500,
    )
    assert pq.ParquetFile(tmp_path / "t").metadata.num_row_groups == 1
    del table
    before, peak, num_rows = pa.total_allocated_bytes(), 0, 0
    for row in ParquetTable(tmp_path / "t").rows():
        assert row.cells["image"] == images[num_rows]
        num_rows += 1
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert num_rows == 500
    assert peak < 10_000_000 < 40_000 * num_rows
