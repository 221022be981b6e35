"""What all JSON tables share: strict values, one row out of the text of a record, and reading by element."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.sources.tables.json_scan import BrokenJsonError, JsonScanner
from builders.sources.tables.rows import TableRow
from schemas.problems import Problem, Reason, SourceError

CHUNK_CHARS = 1 << 20
MAX_ELEMENT_CHARS = 64 << 20
LINE_FIX = 'write one JSON object on the line, such as {"image": "a.jpg"}, with null for what is not known'
_ELEMENT_FIX = 'write a JSON object, such as {"image": "a.jpg"}, with null for what is not known'


def parse_json(text: str) -> object:
    """Parse JSON strictly: no repeated key, no NaN, no NUL, no text that is not Unicode.

    A number too large for a float, such as 1e999, is valid JSON and comes out as infinite.

    Raises:
        ValueError: It is anything else, is nested too deep, or has an integer of thousands of digits.
    """
    try:
        value = _parse(text)
        # Without an escape, its texts are as they are written, and raw control characters are not JSON.
        plain = text if "\\" not in text else _to_json(value)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    plain.encode("utf-8")  # refuses lone surrogates
    if "\\u0000" in plain.replace("\\\\", ""):
        raise ValueError("it holds a NUL character")
    return value


def read_record(file: str, number: int, raw: str, what: str) -> TableRow:
    """Read one record.

    Args:
        file: Name of the table, for problems.
        number: Number of the row.
        raw: Its text.
        what: What the text is in its file: a line, an element or a member.

    Returns:
        The row; without cells, and with the problem, if the text is not an object of strict JSON.
    """
    fix = LINE_FIX if what == "line" else _ELEMENT_FIX
    try:
        value = parse_json(raw)
    except ValueError as error:
        return reject_row(file, number, raw, f"the {what} {explain(error)}", fix)
    if not isinstance(value, dict):
        message = f"the {what} is a JSON {type(value).__name__}, and not an object"
        return reject_row(file, number, raw, message, fix)
    return TableRow(number, value, raw, ())


def reject_row(
    file: str, number: int, raw: str, message: str, fix: str, reason: Reason = Reason.BAD_JSON
) -> TableRow:
    """Return a row that cannot be read, with the reason."""
    return TableRow(number, {}, raw, (Problem(reason, message, file=file, row=number, value=raw, fix=fix),))


@contextmanager
def scan_json(path: Path, chunk_chars: int, max_chars: int) -> Iterator[JsonScanner]:
    """Open a file for reading by element.

    Raises:
        SourceError: It cannot be read on.
    """
    with JsonScanner(path, chunk_chars, max_chars) as scanner:
        try:
            yield scanner
        except BrokenJsonError as error:
            place = f"line {error.line}, column {error.column}"
            message = f"the JSON cannot be read on from {place}: {error}"
            fix = "the file is cut off or broken there: get it again, or correct it"
            raise SourceError(Problem(Reason.SOURCE, message, file=path.name, fix=fix)) from error


def explain(error: ValueError) -> str:
    """Return the error of `parse_json` as the end of a sentence, without Python's jargon."""
    if isinstance(error, json.JSONDecodeError):
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return f"is not JSON: {error.msg} ({line}column {error.colno})"
    if isinstance(error, UnicodeEncodeError):
        half = ascii(error.object[error.start])[1:-1]
        return f"is not valid: it holds {half}, half of a character"
    if "integer string conversion" in str(error):
        return "is not valid: it holds an integer of thousands of digits"
    return f"is not valid: {error}"


def _parse(text: str) -> object:
    if text.startswith("\ufeff"):
        json.loads(text)  # which refuses it, and says why
    return _DECODER.decode(text)


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = min(key for key, count in counts.items() if count > 1)
        raise ValueError(f"the key {repeated!r} stands twice")
    return members


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


# Made once: `json.loads` and `json.dumps` with options make one for each call.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
_to_json = json.JSONEncoder(ensure_ascii=False).encode
