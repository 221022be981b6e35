"""`sfhq prompts`: the whole command, from flags to files, exit statuses and `--json`."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from publish import prompts, sfhq
from tests.builders.generation.worlds import write_grammar
from tests.support import ROOT

Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command; return its exit status, stdout and stderr."""
    status = sfhq.main(["prompts", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def document(capsys: Capture, *arguments: str | Path) -> Mapping[str, Any]:
    """Run the command with `--json`; return its document."""
    status = prompts.main([*map(str, arguments), "--json"])
    result: Mapping[str, Any] = json.loads(capsys.readouterr().out)
    assert result["exit_status"] == status
    return result


def rows(path: Path) -> Sequence[Mapping[str, Any]]:
    """Read the lines of a file of prompts."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def values(row: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of an attribute of a prompt."""
    return [each["value"] for each in row["attributes"] if each["attribute"] == name]


def flags_of_section(heading: str) -> set[str]:
    """Return the flags in the table below a heading of the guide."""
    guide = (ROOT / "GENERATING.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`--[^|]*)", section, re.MULTILINE)
    return {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)", row)}


def test_prompts_are_shown_without_a_file(capsys: Capture) -> None:
    status, out, err = run(capsys, "--count", "4", "--seed", "7")
    assert (status, len(out.splitlines()), err) == (0, 4, "")
    assert run(capsys, "--count", "4", "--seed", "7")[1] == out
    assert run(capsys, "--count", "6", "--seed", "7")[1].startswith(out)


def test_a_file_has_what_was_asked_for(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "new" / "prompts.jsonl"
    flags = ["--where", "hair colour=red", "--where", "age group=child", "--balance", "sex,ethnicity"]
    status, out, _ = run(capsys, "--count", "48", "--seed", "7", *flags, "--out", path)
    assert status == 0
    assert "48 combinations of gender, ethnicity" in out
    made = rows(path)
    assert [row["index"] for row in made] == list(range(48))
    assert all(values(row, "hair_color") == ["red"] and " red " in row["prompt"] for row in made)
    assert len({(*values(row, "gender"), *values(row, "ethnicity")) for row in made}) == 48
    assert {row["grammar_version"] for row in made} == {"1.0"}


def test_a_file_is_not_overwritten_without_saying_so(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("mine")
    status, _, err = run(capsys, "--out", path)
    assert status == 2
    assert "--overwrite" in err
    assert "run/prompt-file" in err
    assert path.read_text() == "mine"
    assert run(capsys, "--count", "3", "--out", path, "--overwrite")[0] == 0
    assert len(rows(path)) == 3
    assert run(capsys, "--out", tmp_path / "prompts.csv")[0] == 2
    assert run(capsys, "--out", tmp_path, "--overwrite")[0] == 2


def test_a_table_of_shares(tmp_path: Path, capsys: Capture) -> None:
    table, path = tmp_path / "shares.csv", tmp_path / "p.jsonl"
    table.write_text("sex,age group,share\nfemale,senior,3\nmale,adult,1\n")
    assert run(capsys, "--count", "40", "--balance", table, "--out", path)[0] == 0
    assert Counter((*values(row, "gender"), *values(row, "age_group")) for row in rows(path)) == {
        ("female", "senior"): 30,
        ("male", "adult"): 10,
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--where", "red"], "write ATTRIBUTE=VALUE"),
        (["--where", "=red"], "write ATTRIBUTE=VALUE"),
        (["--where", "hair color=redd"], "did you mean red?"),
        (["--balance", "sexx"], "did you mean"),
        (["--balance", "none.csv"], "cannot be read"),
        (["--grammar", "none.toml"], "the grammar cannot be read"),
        (["--values", "hair stile"], "did you mean"),
        (["--stats", "p.jsonl", "--where", "sex=female"], "a file is shown as it is"),
        (["--where", "sex=female", "--where", "beard=a soul patch"], "rule out these values together"),
    ],
)
def test_mistakes_are_sentences(flags: list[str], message: str, capsys: Capture) -> None:
    status, out, err = run(capsys, *flags)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    "flags", [["--count", "0"], ["--count", "9999999"], ["--seed", "-1"], ["--seed", "x"]]
)
def test_numbers_out_of_range_are_refused(flags: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        prompts.main(flags)
    assert stop.value.code == 2
    assert "is not a number from" in capsys.readouterr().err


def test_statistics_of_what_would_be_made_and_of_a_file(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "p.jsonl"
    status, shown, _ = run(capsys, "--count", "50", "--stats")
    assert status == 0
    for text in ("Lengths", "Coverage of each attribute", "Pairs of values never seen: ", "gender"):
        assert text in shown
    assert run(capsys, "--count", "50", "--stats", "--out", path)[0] == 0
    status, of_file, _ = run(capsys, "--stats", path)
    assert status == 0
    assert of_file.splitlines() == shown.splitlines()[-len(of_file.splitlines()) :]


def test_statistics_as_json_name_pairs_never_seen(tmp_path: Path, capsys: Capture) -> None:
    grammar = write_grammar(tmp_path)
    result = document(capsys, "--grammar", grammar, "--count", "1", "--stats")["result"]
    assert (result["grammar"], result["num_prompts"]) == ("houses", 1)
    pair = result["coverage"]["pairs"][0]
    assert pair["names"] == ["kind", "color"]
    assert len(pair["never_seen"]) == pair["num_possible"] - pair["num_seen"]


def test_statistics_of_a_broken_file_are_refused(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("{}\n{")
    status, _, err = run(capsys, "--stats", path)
    assert status == 1
    assert f"{path}:2" in err


def test_values_are_listed(capsys: Capture) -> None:
    status, out, _ = run(capsys, "--values", "hair color")
    assert status == 0
    assert {"red", "pink", "salt-and-pepper"} <= set(out.splitlines())
    assert "facial_hair" in run(capsys, "--values")[1]
    assert document(capsys, "--values", "sex")["result"]["values"] == {
        "gender": ["female", "male", "non-binary"]
    }


def test_the_grammar_of_the_guide_makes_its_prompts(tmp_path: Path, capsys: Capture) -> None:
    guide = (ROOT / "GENERATING.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(name = .*?)```", guide, re.DOTALL)
    (shown,) = re.findall(
        r"```console\n\$ sfhq prompts --grammar houses.toml (.*?)\n(.*?)```", guide, re.DOTALL
    )
    grammar = write_grammar(tmp_path, text)
    status, out, _ = run(capsys, "--grammar", grammar, *shlex.split(shown[0]))
    assert (status, out) == (0, shown[1])


@pytest.mark.parametrize("verb", ["prompts", "clean", "evolve"])
def test_the_table_of_flags_is_the_commands(capsys: Capture, verb: str) -> None:
    with pytest.raises(SystemExit):
        prompts.main([*([verb] if verb != "prompts" else []), "--help"])
    flags = set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out)) - {"--help"}
    assert flags_of_section(f"Flags of the {verb} command") == flags


def test_a_grammar_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    status, out, _ = run(
        capsys, "--grammar", write_grammar(tmp_path), "--where", "colour=red", "--count", "5"
    )
    assert status == 0
    assert all(" red " in line for line in out.splitlines())


def test_a_file_is_checked(tmp_path: Path, capsys: Capture) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.txt"
    assert run(capsys, "--count", "20", "--where", "age group=child", "--out", good)[0] == 0
    status, _, err = run(capsys, "check", good)
    assert (status, err) == (0, "")
    bad.write_text("a man\na teen with lipstick\na nude\n")
    status, _, err = run(capsys, "check", bad)
    assert status == 1
    assert f"{bad}:2:prompt" in err
    assert "row/adult-words-for-minor" in err
    assert f"{bad}:3:prompt" in err
    result = document(capsys, "check", bad)
    assert result["command"] == "prompts check"
    assert result["result"] == {"file": str(bad), "num_prompts": 3, "num_refused": 2}
    assert run(capsys, "check", tmp_path / "none.txt")[0] == 1


def test_prompts_come_as_json(capsys: Capture) -> None:
    result = document(capsys, "--count", "2", "--seed", "7")["result"]
    assert [row["index"] for row in result["prompts"]] == [0, 1]
    assert (result["grammar"], result["seed"], result["out"]) == ("faces", 7, None)
