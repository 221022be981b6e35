"""Files of prompts: written whole or not at all, and read line by line with every problem.

.jsonl   one JSON object a line, with `prompt` or `text_prompt` and maybe `attributes`
.csv     a table with such a column, as SFHQ_T2I_dataset.csv is
         both may have the fields of `PromptOrigin`, too, and `id` and `license` for two of them
.txt     one prompt a line
"""

import csv
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from builders.files import open_whole, sync
from builders.generation.rules import find_in_prompt
from schemas.problems import Problem, Reason, SettingsError, SourceError, suggest
from schemas.prompts import MAX_PROMPT_CHARS, AskedAttribute, PromptOrigin, PromptRecord

FILE_CODE = "run/prompt-file"
ROW_CODE = "row/bad-value"
# Rule → code of a prompt that breaks it.
RULE_CODES = {
    "sexual": "row/sexual-prompt",
    "violence": "row/violent-prompt",
    "hate": "row/hateful-prompt",
    "self-harm": "row/self-harm-prompt",
    "age": "row/adult-words-for-minor",
}
COLUMNS = ("prompt", "text_prompt", "text")
_OTHER_NAMES = (("id", "prompt_id"), ("license", "prompt_license"))  # of files that others wrote
MAX_SHARES_BYTES = 4_000_000
_MAX_LINE_CHARS = 1_000_000
_ERRORS = "surrogateescape"  # bytes that are no UTF-8 are read, and their row is a problem
_NO_ORIGIN = PromptOrigin()


@dataclass(frozen=True, slots=True)
class Line:
    """One prompt of a file.

    Attributes:
        row: Its row, from 1; that of a CSV counts the header.
        text: The prompt.
        attributes: Names and values that it asks for; empty if the file does not say.
        record: The whole record, if the kit wrote the line.
        origin: Id, category and licence of the prompt, as far as the file has them.
    """

    row: int
    text: str
    attributes: tuple[tuple[str, str], ...]
    record: PromptRecord | None = None
    origin: PromptOrigin = _NO_ORIGIN


class _AnyRecord(PromptOrigin):
    """What is read of a line of JSON; other keys may be there, and ids may be numbers."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    prompt: str = Field(strict=True, max_length=MAX_PROMPT_CHARS, pattern=r"\S")
    attributes: tuple[AskedAttribute, ...] = ()


def write_prompts(path: Path, records: Iterable[PromptRecord]) -> None:
    """Write prompts as JSON lines; the file is there whole or not at all.

    Raises:
        SettingsError: Some prompt could not be made; then nothing is written.
    """
    with open_whole(path) as open_path:
        with open_path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{write_line(record)}\n" for record in records)
        sync(open_path)


def write_line(record: PromptRecord) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(record.model_dump(exclude_none=True), ensure_ascii=False)


def read_prompts(path: Path, problems: list[Problem]) -> Iterator[Line]:
    """Yield the prompts of a file; a row that cannot be read is added to `problems` and left out.

    Args:
        path: A .jsonl, .csv or .txt file.
        problems: Gets a problem for each row that cannot be read.

    Raises:
        SourceError: The file as a whole cannot be read, or is of another kind.
    """
    readers: Mapping[str, Callable[[Path, list[Problem]], Iterator[Line]]] = {
        ".jsonl": _read_jsonl,
        ".csv": _read_csv,
        ".txt": _read_txt,
    }
    reader = readers.get(path.suffix.casefold())
    if reader is None:
        fix = f"give one of: {', '.join(readers)}"
        raise SourceError(_file_problem(path, "a file of prompts has a known ending", fix, value=path.suffix))
    try:
        _refuse_utf16(path)
        yield from reader(path, problems)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise SourceError(_file_problem(path, message, "give the path of a file of prompts")) from error
    except csv.Error as error:
        raise SourceError(
            _file_problem(path, f"the table cannot be read: {error}", "save it as CSV")
        ) from error


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE):
            message = "the file is not text in UTF-8, but in UTF-16"
            raise SourceError(_file_problem(path, message, "save it as UTF-8"))


def check_prompts(path: Path) -> tuple[int, list[Problem]]:
    """Check every prompt of a file by the rules of age and content.

    Returns:
        The number of its rows, and a problem for each thing that is wrong with a row.

    Raises:
        SourceError: The file as a whole cannot be read, or it has no prompts.
    """
    problems: list[Problem] = []
    num_rows = 0
    for line in read_prompts(path, problems):
        num_rows += 1
        problems += check_line(path, line)
    num_rows += len({problem.row for problem in problems if problem.code == ROW_CODE})
    if num_rows == 0:
        raise SourceError(
            _file_problem(path, "the file has no prompts", "give a file with one prompt a line")
        )
    problems.sort(key=lambda problem: problem.row or 0)
    return num_rows, problems


def check_line(path: Path, line: Line) -> Iterator[Problem]:
    """Yield what a prompt may not say."""
    for found in find_in_prompt(line.text, line.attributes):
        yield Problem(
            Reason.BAD_VALUE,
            found.message,
            file=str(path),
            row=line.row,
            column="prompt",
            value=line.text,
            fix="remove the prompt, or write it in other words",
            code=RULE_CODES[found.rule],
        )


def _read_jsonl(path: Path, problems: list[Problem]) -> Iterator[Line]:
    for row, text in _lines(path, problems):
        try:
            values = _rename(json.loads(text))
            record = _AnyRecord.model_validate(values)
        except ValidationError as error:
            problems += _wrong_values(path, row, text, error)
        except (ValueError, RecursionError):
            problems.append(_row_problem(path, row, "the line is not JSON", text, None))
        else:
            asked = tuple((each.attribute, each.value) for each in record.attributes)
            yield Line(row, record.prompt, asked, _read_record(values), _origin(record))


def _wrong_values(path: Path, row: int, text: str, error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors():
        key = ".".join(map(str, detail["loc"]))
        said = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
        if detail["type"] == "missing" and key == "prompt":
            message = f"the record has no prompt, which is one of the keys {', '.join(COLUMNS)}"
        elif not key:
            message = f"the line is not a JSON object, but {_kind_of(detail['input'])}"
        elif detail["type"] == "string_type":
            message = f"the value of {key!r} is not a text, but {_kind_of(detail['input'])}"
        elif detail["type"] == "string_pattern_mismatch" and key == "prompt":
            message = "the prompt is empty"
        else:
            message = f"the value of {key!r} is wrong: {said}"
        yield _row_problem(path, row, message, text, key)


def _kind_of(value: object) -> str:
    """Return what a value of JSON is, in words."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", dict: "an object"}
    return names.get(type(value), "a list")


def _origin(record: _AnyRecord) -> PromptOrigin:
    return PromptOrigin(**{name: getattr(record, name) for name in PromptOrigin.model_fields})


def _read_record(values: Any) -> PromptRecord | None:
    try:
        return PromptRecord.model_validate(values)
    except ValidationError:  # of another program, with other keys
        return None


def _rename(values: Any) -> Any:
    """Give the text, its id and its licence the names that records of the kit have."""
    if not isinstance(values, dict):
        return values
    # A null says no more than a key that is not there; only a prompt that is null is worth a word.
    values = {key: value for key, value in values.items() if value is not None or key in COLUMNS}
    for other, name in (*_OTHER_NAMES, *((column, "prompt") for column in COLUMNS[1:])):
        if other in values:
            values.setdefault(name, values.pop(other))
    return values


def _read_txt(path: Path, problems: list[Problem]) -> Iterator[Line]:
    for row, text in _lines(path, problems):
        yield Line(row, text, ())


def _lines(path: Path, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with their numbers; a line without end takes no memory."""
    with path.open(encoding="utf-8-sig", errors=_ERRORS, newline="\n") as file:
        row = 0
        while text := file.readline(_MAX_LINE_CHARS):
            row += 1
            if len(text) == _MAX_LINE_CHARS and not text.endswith("\n"):
                problems.append(_row_problem(path, row, "the line has too many characters", text, None))
                while text and not text.endswith("\n"):
                    text = file.readline(_MAX_LINE_CHARS)
            elif (text := text.strip()) and _is_utf8(path, row, text, problems):
                yield row, text


def _is_utf8(path: Path, row: int, text: str, problems: list[Problem]) -> bool:
    """Return whether a row was text in UTF-8; one damaged row is no reason to refuse the others."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = text.encode(errors=_ERRORS).decode(errors="backslashreplace")
        message = f"the row is not text in UTF-8, from its character {error.start + 1:,} on"
        problems.append(_row_problem(path, row, message, shown, None))
        return False
    return True


def _read_csv(path: Path, problems: list[Problem]) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", errors=_ERRORS, newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        column = next((name for name in COLUMNS if name in header), None)
        if column is None:
            fix = suggest("prompt", header) if header else "add a header"
            fix = f"name the column one of {', '.join(COLUMNS)}; {fix}"
            raise SourceError(_file_problem(path, "the table has no column of prompts", fix))
        place = header.index(column)
        names = [dict(_OTHER_NAMES).get(name, name) for name in header]
        for row, cells in enumerate(reader, 2):
            if not _is_utf8(path, row, ",".join(cells), problems):
                continue
            if len(cells) != len(header):
                num_cells = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
                message = f"the row has {num_cells}, and the header {len(header)}"
                problems.append(_row_problem(path, row, message, ",".join(cells), None))
            elif text := cells[place].strip():
                values = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
                try:
                    record = _AnyRecord.model_validate(values | {"prompt": text, "attributes": ()})
                except ValidationError as error:
                    problems += _wrong_values(path, row, ",".join(cells), error)
                else:
                    yield Line(row, text, (), None, _origin(record))


def _row_problem(path: Path, row: int, message: str, value: str, column: str | None) -> Problem:
    fix = "correct the line; `sfhq prompts --out` shows the form"
    return Problem(
        Reason.BAD_VALUE,
        message,
        file=str(path),
        row=row,
        column=column,
        value=value[:1000],
        fix=fix,
        code=ROW_CODE,
    )


def _file_problem(path: Path, message: str, fix: str, value: str | None = None) -> Problem:
    return Problem(Reason.SOURCE, message, file=str(path), value=value, fix=fix, code=FILE_CODE)


def read_shares(path: Path) -> list[tuple[dict[str, str], float]]:
    """Read a target table: a CSV, or a JSON list of objects, with attributes and a `share`.

    Returns:
        Attribute → value, and the share, of each row.

    Raises:
        SettingsError: The file cannot be read, or a row has no share above 0; every problem at once.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SHARES_BYTES + 1)
        if len(data) > MAX_SHARES_BYTES:
            message = f"the target table has more than {MAX_SHARES_BYTES:,} bytes"
            raise SettingsError(_shares_problem(path, None, message, None))
        text = data.decode("utf-8-sig")
        rows: Any = (
            json.loads(text)
            if path.suffix == ".json"
            else list(csv.DictReader(text.splitlines(), strict=True))
        )
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        message = f"the target table cannot be read: {getattr(error, 'strerror', None) or error}"
        raise SettingsError(_shares_problem(path, None, message, None)) from error
    problems, shares = list[Problem](), list[tuple[dict[str, str], float]]()
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(_shares_problem(path, None, "the target table has no rows", None))
    keys = set(rows[0])
    for number, row in enumerate(rows, 1 if path.suffix == ".json" else 2):
        share = _read_share(row.get("share"))
        if share is None:
            message = "a share is a number above 0; leave out combinations that have none"
            problems.append(_shares_problem(path, number, message, str(row.get("share"))))
        elif set(row) != keys or not all(
            isinstance(each, str) for name, each in row.items() if name != "share"
        ):
            message = "each row has the same attributes, with text as values"
            problems.append(_shares_problem(path, number, message, str(row)))
        else:
            shares.append(({name: value for name, value in row.items() if name != "share"}, share))
    if keys == {"share"}:
        problems.append(_shares_problem(path, None, "the target table has no attributes", None))
    if problems:
        raise SettingsError(problems)
    return shares


def _read_share(value: Any) -> float | None:
    try:
        share = float(value)
    except (TypeError, ValueError):
        return None
    return share if 1e-9 <= share <= 1e9 else None


def _shares_problem(path: Path, row: int | None, message: str, value: str | None) -> Problem:
    fix = 'write the columns "attribute, …, share" as CSV, or a JSON list of objects with these keys'
    return Problem(
        Reason.SETTINGS,
        message,
        file=str(path),
        row=row,
        column="--balance",
        value=value,
        fix=fix,
        code="run/prompt-request",
    )
