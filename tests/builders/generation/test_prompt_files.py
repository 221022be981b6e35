"""Files of prompts: written whole or not at all, read in three forms, and checked line by line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.generation.prompt_files import (
    MAX_SHARES_BYTES,
    check_prompts,
    read_prompts,
    read_shares,
    write_prompts,
)
from schemas.problems import Problem, SettingsError, SourceError
from schemas.prompts import MAX_PROMPT_CHARS, PromptRecord
from tests.builders.generation.worlds import asked, make


def test_written_prompts_are_read_back(tmp_path: Path) -> None:
    records, path = list(make(30)), tmp_path / "prompts.jsonl"
    write_prompts(path, records)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [PromptRecord.model_validate_json(line) for line in lines] == records
    read = list(read_prompts(path, []))
    assert [(line.row, line.text) for line in read] == [
        (row, each.prompt) for row, each in enumerate(records, 1)
    ]
    assert [dict(line.attributes) for line in read] == [asked(record) for record in records]
    assert check_prompts(path) == (30, [])


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("old")

    def failing() -> Iterator[PromptRecord]:
        yield from make(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_prompts(path, failing())
    assert [each.name for each in tmp_path.iterdir()] == ["prompts.jsonl"]
    assert path.read_text() == "old"


def problems_of(path: Path, data: str | bytes) -> list[tuple[int | None, str]]:
    """Write a file, check it, and return the row and code of each problem."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return [(problem.row, problem.code) for problem in check_prompts(path)[1]]


SEXUAL, AGE, BAD = "row/sexual-prompt", "row/adult-words-for-minor", "row/bad-value"


def test_a_text_file_is_checked_line_by_line(tmp_path: Path) -> None:
    text = "a woman with lipstick\n\na girl with lipstick and earrings\r\na nude\n  a boy in a park  \n"
    assert problems_of(tmp_path / "p.txt", text) == [(3, AGE), (3, AGE), (4, SEXUAL)]
    assert check_prompts(tmp_path / "p.txt")[0] == 4


def test_a_table_of_upstreams_is_checked(tmp_path: Path) -> None:
    text = 'image_filename,text_prompt\na.jpg,"a 5 year old, curvy"\nb.jpg,\nc.jpg\nd.jpg,a man\n'
    assert problems_of(tmp_path / "p.csv", text) == [(2, AGE), (4, BAD)]


def test_json_lines_are_checked_with_their_attributes(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a portrait with lipstick", "attributes": [{"attribute": "age", "value": "12"}]},
        {"text_prompt": "a man", "other": 1},
        {"prompt": "a man", "attributes": [{"attribute": "age"}]},
        {"caption": "a man"},
        {"prompt": 5},
        {"prompt": "x" * (MAX_PROMPT_CHARS + 1)},
        ["a man"],
    ]
    text = "\n".join(map(json.dumps, rows)) + "\n{broken\n" + "[" * 5_000 + "\n"
    found = problems_of(tmp_path / "p.jsonl", text)
    assert found == [(1, AGE), *((row, BAD) for row in range(3, 10))]
    assert check_prompts(tmp_path / "p.jsonl")[0] == 9


ORIGIN = {
    "prompt_id": "p1",
    "base_prompt_id": "p0",
    "category": "Cinematic",
    "sub_category": "close-up",
    "evolution": "quality",
    "prompt_license": "cc-by-sa-4.0",
}


@pytest.mark.parametrize("is_renamed", [True, False])
@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_files_of_others_say_where_a_prompt_is_from(tmp_path: Path, name: str, is_renamed: bool) -> None:
    names = {"prompt_id": "id", "prompt_license": "license"} if is_renamed else {}
    values = {"text": "a man", "other": "x"} | {names.get(key, key): each for key, each in ORIGIN.items()}
    lines = [",".join(values), ",".join(values.values())] if name == "p.csv" else [json.dumps(values)]
    path = tmp_path / name
    path.write_text("\n".join(lines))
    (line,) = read_prompts(path, problems := list[Problem]())
    assert (line.text, line.origin.model_dump(), problems) == ("a man", ORIGIN, [])


def test_an_id_may_be_a_number_and_is_not_longer_than_a_record_holds(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": 7, "prompt": "a"}\n' + json.dumps({"id": "x" * 201, "prompt": "b"}))
    (line,) = read_prompts(path, problems := list[Problem]())
    assert line.origin.prompt_id == "7"
    assert [(problem.row, problem.column) for problem in problems] == [(2, "prompt_id")]


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    text = "x" * 2_500_000 + "\na nude\n"
    assert problems_of(tmp_path / "p.txt", text) == [(1, BAD), (2, SEXUAL)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.txt", b"", "has no prompts"),
        ("p.txt", b"\xff\xfea", "not text in UTF-8"),
        ("p.csv", b"a,b\n1,2\n", "no column of prompts"),
        ("p.csv", b"", "no column of prompts"),
        ("p.csv", b"prompt\n" + b"x" * 200_000, "cannot be read"),
        ("p.parquet", b"", "known ending"),
    ],
)
def test_a_file_that_has_no_prompts_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        check_prompts(path)
    assert {problem.code for problem in caught.value.problems} == {"run/prompt-file"}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        check_prompts(tmp_path / "none.txt")


def test_a_problem_names_the_place_and_the_words(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("a teen in a leotard\n")
    (problem,) = check_prompts(path)[1]
    assert isinstance(problem, Problem)
    assert str(problem).startswith(
        f"{path}:1:prompt: the text is about a person under 18 and has words on clothing of adults: 'leotard'"
    )


@pytest.mark.parametrize("name", ["s.csv", "s.json"])
def test_shares_are_read_from_both_forms(tmp_path: Path, name: str) -> None:
    rows = [
        {"sex": "female", "age group": "adult", "share": 0.5},
        {"sex": "male", "age group": "senior", "share": 2},
    ]
    lines = ["sex,age group,share", *(",".join(map(str, row.values())) for row in rows)]
    path = tmp_path / name
    path.write_text(json.dumps(rows) if name == "s.json" else "\n".join(lines))
    assert read_shares(path) == [
        ({"sex": "female", "age group": "adult"}, 0.5),
        ({"sex": "male", "age group": "senior"}, 2.0),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.csv", "sex,share\nfemale,half\n", "s.csv:2:--balance: a share is a number above 0"),
        ("s.csv", "sex,share\nfemale,0\n", "above 0"),
        ("s.csv", "sex,share\nfemale,nan\n", "above 0"),
        ("s.csv", "sex\nfemale\n", "above 0"),
        ("s.csv", "share\n1\n", "no attributes"),
        ("s.csv", "sex,share\nfemale,1,2\n", "same attributes"),
        ("s.csv", "", "no rows"),
        ("s.json", "{", "cannot be read"),
        ("s.json", '[{"sex": 1, "share": 1}]', "text as values"),
        ("s.json", '[{"sex": "a", "share": 1}, {"age": "b", "share": 1}]', "same attributes"),
        ("s.json", "[1]", "no rows"),
    ],
)
def test_wrong_shares_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_shares(path)


def test_a_target_table_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_bytes(b"sex,share\n" + b"male,1\n" * (MAX_SHARES_BYTES // 7 + 1))
    with pytest.raises(SettingsError, match="more than 4,000,000 bytes"):
        read_shares(path)
