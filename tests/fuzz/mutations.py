"""Ways in which good tables go bad: hostile cells before they are written, hostile bytes after it."""

import codecs
import gzip
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from tests.fuzz.seeds import WRITERS, Row

DEEP = 5_000  # deeper than Python's own limit of recursion
_HUGE = (10**30, -(10**400), 2**63, 2**64, -(2**63) - 1, 1e308, -0.0, float("inf"), float("nan"), 10**4000)
_TEXTS = (
    *("", " ", "nan", "None", "\\N", "a\0b", "\ufeff", "\u2028", "\x85", "\x0b\x0c\x1c", "\udcff", "é" * 300),
    *("../../etc/passwd", "/etc/passwd", "C:\\x.jpg", "x/y.jpg", ".", "..", "a" * 300 + ".jpg", "CON"),
    *("=1+1", "<script>", "{{x}}", "%s%n", "'; DROP TABLE inputs", "\x1b[31m", "\u202egpj.exe", "👩🏽‍🦰"),
    *("[", "{", "[1", '{"a": 1, "a": 2}', "[NaN]", "[1e999]", "{'a': 'b'}", "['a' 'b']", "[array([1])]"),
    *("[" * DEEP, "{" * DEEP, '{"a":' * DEEP, "(" * DEEP, "-" * DEEP, "[" * 90 + "]" * 90, "{1: {2: [()]}}"),
    *("[" + "1" * 5000 + "]", "1" * 5000, "1_000", "٣", "1e999", "-1", "0x10", "[1+2j]", "[b'x']", "[...]"),
    *("x" * 140_000, "[" + "'a' " * 3000 + "]", '["\\ud800"]', '["\\u0000"]', "{[]: 1}", "{{}}", "{*'ab'}"),
    *("https://user:pw@host.example/a.jpg?x=1", "http://[", "file:///a\0", "\\\\host\\share", "~", "-rf"),
)
TEXT = st.sampled_from(_TEXTS) | st.text(max_size=12) | st.text("[]{}\"':,\\ \n\tNaue01.-", max_size=24)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(_HUGE)
    | TEXT
    | st.binary(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
_SNIPPETS = (
    *(b"\0", b"\xff", b"\xe9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", codecs.BOM_UTF8, codecs.BOM_UTF16_LE),
    *(
        b'"',
        b'""',
        b"'",
        b",",
        b";",
        b"\t",
        b"|",
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"\r",
        b"\n",
        b"\r\n",
        b"\x1a",
    ),
    *(b"[", b"]", b"{", b"}", b":", b"[" * DEEP, b'{"a":' * DEEP, b'[{"a":' * DEEP, b'"' + b"x" * 140_000),
    *(
        b"1e999",
        b"-",
        b"NaN",
        b"Infinity",
        b"1" * 5000,
        b"null",
        b"PAR1",
        b"//",
        b"#",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
    ),
    *(
        b"\nversion https://git-lfs",
        b"<html",
        b"\x1f\x8b",
        b"PK\x03\x04",
        b"\0" * 4096,
        b"," * 5000,
        b"\n" * 5000,
    ),
)
_ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "latin-1",
    "cp1252",
    "utf-7",
    "cp037",
)
_LINE_ENDS = (b"\r\n", b"\r", b"\n\r", b"\n\n", b"\r\r\n", b"\x0b", b"\xe2\x80\xa8", b" \n", b"")


@st.composite
def _rows(draw: st.DrawFn, rows: Sequence[Row]) -> list[Row]:
    """Change cells, columns and the number of rows."""
    changed = [dict(row) for row in rows]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.sampled_from(changed))
        column = draw(st.sampled_from([*row]) | TEXT) if row else draw(TEXT)
        way = draw(st.integers(0, 5))
        if way == 0:
            row.pop(column, None)
        elif way == 1:
            changed.append(dict(row))
        elif way == 2:
            old = row.get(column)
            row[column] = [old] if draw(st.booleans()) else {draw(TEXT): old}
        else:
            row[column] = draw(VALUES)
    return changed


def _recode(data: bytes, encoding: str) -> bytes:
    return data.decode("utf-8", "replace").encode(encoding, "replace")


def _damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Damage the bytes of a file once."""
    at, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    snippets = st.sampled_from(_SNIPPETS)
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + data[end:],
        lambda: data[:end] + data[at:],
        lambda: data[:at] + draw(st.binary(min_size=1, max_size=4)) + data[at + 4 :],
        lambda: data[:at] + draw(snippets) + data[at:],
        lambda: data[:at] + draw(snippets) + data[end:],
        lambda: _recode(data, draw(st.sampled_from(_ENCODINGS))),
        lambda: data.replace(b"\n", draw(st.sampled_from(_LINE_ENDS))),
        lambda: draw(snippets) + data,
        lambda: gzip.compress(data),
        lambda: data[:at] + bytes(end - at) + data[end:],
    ]
    return draw(st.sampled_from(ways))()


@st.composite
def tables(draw: st.DrawFn, rows: Sequence[Row]) -> bytes:
    """Draw a table of some format that began as these rows."""
    data = WRITERS[draw(st.sampled_from([*WRITERS]))](draw(_rows(rows)))
    for _ in range(draw(st.integers(0, 3))):
        data = _damage(draw, data)
    return data
