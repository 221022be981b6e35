"""`sfhq prompts clean`: what goes has a reason, what stays may be used, and counts add up."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from builders.generation.rules import find_in_prompt
from publish import prompts
from tests.builders.generation.ordinary_prompts import make_ordinary
from tests.builders.generation.prompt_texts import DISGUISED, HARMLESS, REFUSED
from tests.builders.generation.worlds import make

Capture = pytest.CaptureFixture[str]


def clean(capsys: Capture, path: Path, *flags: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Clean a file; return the document of `--json`, and the prompts that stay."""
    out = path.with_name("clean.jsonl")
    status = prompts.main(["clean", str(path), "--out", str(out), "--json", *flags])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_status"] == status
    kept = [json.loads(line) for line in out.read_text().splitlines()] if not status else []
    return document, kept


def rejected(folder: Path) -> dict[int, list[str]]:
    """Return row → the reasons for which it is left out."""
    lines = (folder / "clean.rejected.jsonl").read_text().splitlines()
    return {row["row"]: [each["reason"] for each in row["reasons"]] for row in map(json.loads, lines)}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_every_row_is_kept_or_has_a_reason(tmp_path: Path, capsys: Capture) -> None:
    text = "a close-up portrait of an old sailor with a white beard in front of a harbour at dawn"
    path = write(
        tmp_path / "raw.jsonl",
        {
            "id": "a",
            "prompt": f"  {text.replace('sailor', chr(10) + 'sail' + chr(0x200B) + 'or')} ",
            "license": "cc-by-4.0",
        },
        {"id": "b", "prompt": text.upper()},
        {"prompt": f"{text}, smiling"},
        {"prompt": "ein Mann mit Bart und Brille vor einem Haus"},
        {"prompt": "a woman who is hurting herself"},
        {"id": "a", "prompt": "a baker with flour on the hands"},
        {"prompt": "\u200b\u200b"},
        {"caption": "no prompt"},
        {"prompt": "a portrait of a woman with nude lips"},
    )
    document, kept = clean(capsys, path, "--license", "cc0-1.0")
    assert rejected(tmp_path) == {
        2: ["repeat"],
        3: ["near-repeat"],
        4: ["language"],
        5: ["self-harm"],
        6: ["repeated-id"],
        7: ["empty"],
        8: ["unreadable"],
    }
    assert [(row["prompt"], row["prompt_license"]) for row in kept] == [
        (text, "cc-by-4.0"),
        ("a portrait of a woman with nude lips", "cc0-1.0"),
    ]
    assert kept[0]["prompt_id"] == "a"
    assert kept[1]["prompt_id"].startswith("prompt-")
    result = document["result"]
    assert (document["exit_status"], result["num_rows"], result["num_kept"], result["num_changed"]) == (
        0,
        9,
        2,
        2,
    )
    assert result["num_kept"] + sum(result["reasons"].values()) == result["num_rows"]
    with (tmp_path / "clean.scores.csv").open(newline="") as file:
        scores = {int(row["row"]): row for row in csv.DictReader(file)}
    assert len(scores) == 9
    assert (scores[3]["repeats_row"], scores[4]["language"]) == ("1", "de")
    assert float(scores[3]["likeness"]) > 0.8
    assert float(scores[4]["language_score"]) > 0.9
    assert prompts.main(["check", str(tmp_path / "clean.jsonl")]) == 0


def test_a_damaged_file_is_read_as_far_as_it_goes(tmp_path: Path, capsys: Capture) -> None:
    rows = [
        b'{"prompt": "a baker\\r\\n with flour on the hands"}',
        b'{"prompt": "the owner of a caf\xe9 with a hat"}',
        b"",
        b'{"prompt": null}',
        b'{"caption": "a man"}',
        b'{"prompt": ["a man"]}',
        b'["a man"]',
        b'"a man"',
        b'{"prompt": "  "}',
        b"no JSON",
        b'{"prompt": "' + b"x" * 1_000_000 + b'"}',
        b'{"prompt": "an old sailor with a white beard", "license": null, "attributes": null}',
    ]
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows))
    document, kept = clean(capsys, path)
    assert [row["prompt"] for row in kept] == [
        "a baker with flour on the hands",
        "an old sailor with a white beard",
    ]
    assert document["result"]["reasons"] == {"unreadable": 9}
    lines = map(json.loads, (tmp_path / "clean.rejected.jsonl").read_text().splitlines())
    said = {row["row"]: row["reasons"][0]["message"] for row in lines}
    assert said == {
        2: "the row is not text in UTF-8, from its character 31 on",
        4: "the value of 'prompt' is not a text, but null",
        5: "the record has no prompt, which is one of the keys prompt, text_prompt, text",
        6: "the value of 'prompt' is not a text, but a list",
        7: "the line is not a JSON object, but a list",
        8: "the line is not a JSON object, but a text",
        9: "the prompt is empty",
        10: "the line is not JSON",
        11: "the line has too many characters",
    }
    path.write_bytes("a man\n".encode("utf-16"))
    assert "UTF-16" in clean(capsys, path, "--overwrite")[0]["problems"][0]["message"]


def test_every_row_of_a_table_is_kept_or_has_a_reason(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "raw.csv"
    path.write_bytes(b'id,prompt\r\n1,"a baker"\r\n2,a caf\xe9 owner\r\n3\r\n4,""\r\n,\r\n5,a sailor\r\n')
    document, kept = clean(capsys, path, "--any-language")
    assert [row["prompt_id"] for row in kept] == ["1", "5"]
    assert document["result"]["num_rows"] == 4  # a row without a prompt is none
    assert rejected(tmp_path) == {3: ["unreadable"], 4: ["unreadable"]}


def test_cleaning_again_changes_nothing(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "raw.jsonl", *(record.model_dump() for record in make(40)), {"prompt": "a man "})
    _, kept = clean(capsys, path)
    assert len(kept) == 41
    again = write(tmp_path / "again.jsonl", *kept)
    document, twice = clean(capsys, again, "--overwrite")
    assert twice == kept
    assert (document["result"]["num_changed"], document["result"]["reasons"]) == (0, {})


@pytest.mark.parametrize("texts", [REFUSED, DISGUISED])
@pytest.mark.parametrize("rule", REFUSED)
def test_mild_wordings_of_what_no_prompt_may_say_are_refused(
    rule: str, texts: Mapping[str, Sequence[str]]
) -> None:
    for text in texts[rule]:
        assert rule in {found.rule for found in find_in_prompt(text)}, text


@pytest.mark.parametrize("text", HARMLESS)
def test_prompts_that_only_sound_like_it_stay(text: str) -> None:
    assert find_in_prompt(text) == []


def test_ordinary_prompts_that_no_rule_has_filtered_stay(tmp_path: Path, capsys: Capture) -> None:
    texts = list(make_ordinary(1000, seed=1))
    assert len({word for text in texts for word in re.findall(r"[a-z]+", text.casefold())}) > 1500
    path = tmp_path / "raw.txt"
    path.write_text("\n".join(texts))
    _, kept = clean(capsys, path, "--any-language")
    refused = {text: find_in_prompt(text) for text in texts if find_in_prompt(text)}
    assert len(refused) <= 2, refused
    assert not [text for text in refused if re.search("nude|portrait", text)]
    assert len(kept) == 1000 - len(refused)  # they repeat no text, either


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--near", "2"], "a share from 0.1 to 1"),
        (["--out", "raw.jsonl"], "written over itself"),
        (["--out", "clean.txt"], "JSON lines"),
        (["--license", " "], "the licence has no name"),
    ],
)
def test_wrong_flags_are_refused(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "raw.jsonl", {"prompt": "a man"})
    out = [] if "--out" in flags else ["--out", "clean.jsonl"]
    try:
        status = prompts.main(["clean", str(path), *out, *flags, *(["--overwrite"] if out == [] else [])])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["raw.jsonl"]


@pytest.mark.parametrize("name", ["clean.jsonl", "clean.rejected.jsonl", "clean.scores.csv"])
def test_nothing_is_written_over_unasked(tmp_path: Path, capsys: Capture, name: str) -> None:
    path = write(tmp_path / "raw.jsonl", {"prompt": "a man"})
    (tmp_path / name).write_text("mine")
    assert clean(capsys, path)[0]["exit_status"] == 2
    assert (tmp_path / name).read_text() == "mine"
    assert clean(capsys, path, "--overwrite")[0]["exit_status"] == 0


def test_without_the_model_of_languages_the_user_decides(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publish.run.prompt_cleaning.load_language_model", lambda: None)
    path = write(tmp_path / "raw.jsonl", {"prompt": "ein Mann mit Bart"})
    document, _ = clean(capsys, path)
    assert document["exit_status"] == 2
    assert "pip install" in document["problems"][0]["fix"]
    assert len(clean(capsys, path, "--any-language")[1]) == 1
