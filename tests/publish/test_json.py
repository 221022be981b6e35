"""`--json`: one document on stdout, with the results and the problems of a run."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from publish import check, release, search, sfhq, status, verify
from publish.run.results import Document
from publish.run.terminal import MAX_PROBLEMS_SHOWN, Terminal
from schemas.codes import CODES
from schemas.problems import Problem, Reason
from tests.support import good_folder

Run = Callable[[Callable[[Sequence[str]], int], Sequence[str | Path]], Mapping[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with `--json`; return its document, which is all of stdout."""

    def call(main: Callable[[Sequence[str]], int], arguments: Sequence[str | Path]) -> Mapping[str, Any]:
        exit_status = main([*map(str, arguments), "--json"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        assert out.isascii()
        TypeAdapter(Document).validate_json(out)
        document: Mapping[str, Any] = json.loads(out)
        assert document["exit_status"] == exit_status
        assert {problem["code"] for problem in document["problems"]} <= CODES.keys()
        return document

    return call


def test_a_release_its_plan_and_what_is_told_of_it_later(tmp_path: Path, run: Run) -> None:
    out, folder = tmp_path / "dist", good_folder(tmp_path / "good").write()
    flags: list[str | Path] = ["--version", "1.0", "--sfhq", folder, "--out", out]
    planned = run(release.main, [*flags, "--plan"])
    assert (planned["command"], planned["result"]["is_plan"], planned["result"]["is_new"]) == (
        "release",
        True,
        True,
    )
    assert not out.exists()
    made = run(release.main, flags)["result"]
    assert made["counts"]["images"]["published"] == planned["result"]["counts"]["images"]["published"] > 0
    assert (made["is_plan"], made["is_new"], made["folder"]) == (False, True, str(out / "1.0"))
    assert run(release.main, flags)["result"]["is_new"] is False
    (place,) = run(status.main, ["--out", out])["result"]["places"]
    assert (place["version"], place["target"], place["is_good"]) == ("1.0", "folder", True)
    assert place["manifest_sha256"] == made["manifest_sha256"]
    verified = run(verify.main, ["--out", out, "--version", "1.0"])["result"]
    assert verified["manifests"] == {"folder": made["manifest_sha256"]}
    assert verified["places"] == {"folder": 0}


def test_every_problem_is_told_with_its_code_not_only_the_first_twenty(tmp_path: Path, run: Run) -> None:
    folder, num_missing = good_folder(tmp_path / "good", 40), MAX_PROBLEMS_SHOWN + 5
    path = folder.write()
    gone = [row[0] for row in folder.rows[:num_missing]]
    for name in gone:
        next(path.rglob(name)).unlink()
    document = run(release.main, ["--version", "1.0", "--sfhq", path, "--out", tmp_path / "dist", "--strict"])
    assert (document["exit_status"], document["result"]) == (1, None)
    found = [problem for problem in document["problems"] if problem["code"] == "row/image-missing"]
    assert [problem["value"] for problem in found] == gone
    assert {problem["severity"] for problem in found} == {"rejected"}
    assert all(problem["row"] and problem["file"] and problem["fix"] for problem in found)
    assert document["problems"][-1]["code"] == "run/strict"
    assert document["problems_left_out"] == 0


def test_a_check_counts_problems_by_folder(sample_copy: Path, run: Run) -> None:
    (sample_copy / "LICENSES.md").unlink()
    document = run(check.main, [sample_copy])
    assert document["result"] == {"releases": {str(sample_copy): 1}}
    assert document["problems"][0]["file"] == str(sample_copy / "LICENSES.md")


def test_a_search_tells_what_was_found(sample_release: Path, run: Run) -> None:
    result = run(search.main, ["green hair", "--release", sample_release, "-k", "3"])["result"]
    assert [image["rank"] for image in result["found"]] == [1, 2, 3]
    assert (result["query"], result["num_images"]) == ("green hair", 60)
    assert result["encoder"]["is_demonstration"] is True


def test_a_mistake_gives_a_document_too(tmp_path: Path, run: Run) -> None:
    document = run(sfhq.main, ["status", "--config", tmp_path / "nowhere.toml"])
    assert (document["exit_status"], document["result"]) == (2, None)
    assert document["problems"][0]["code"] == "settings"


def test_a_disk_that_refuses_is_a_problem_with_a_code(tmp_path: Path, run: Run) -> None:
    (tmp_path / "dist").write_text("a file")
    document = run(release.main, ["--version", "1.0", "--out", tmp_path / "dist"])
    assert document["exit_status"] == 1
    assert [problem["code"] for problem in document["problems"]] == ["run/system"]
    assert document["problems"][0]["file"] == str(tmp_path / "dist")


def test_what_a_broken_file_holds_still_makes_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True)
    terminal.problems([Problem(Reason.BAD_VALUE, "wrong", file="\udcff", value="\udcff\x00")], total=3)
    terminal.finish("check", 1)
    document = json.loads(capsys.readouterr().out)
    assert (len(document["problems"]), document["problems_left_out"]) == (1, 2)
