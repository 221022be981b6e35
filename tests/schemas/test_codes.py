"""Codes of problems: every one that can be shown is explained."""

import ast
import re

import pytest

from publish.explain import main
from schemas.codes import CODES
from schemas.problems import Problem, Reason
from tests.support import ROOT

CODE = re.compile(r"(check|host|row|run)/[a-z0-9-]+")


def codes_in_the_source() -> set[str]:
    """List every code that the source names, but for the table itself."""
    return {
        node.value
        for room in ("schemas", "builders", "publish")
        for path in (ROOT / room).rglob("*.py")
        if path != ROOT / "schemas" / "codes.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }


def test_every_code_is_explained_and_every_explanation_has_a_code() -> None:
    assert codes_in_the_source() | {reason.code for reason in Reason} == CODES.keys()


def test_a_problem_has_the_code_of_its_reason_unless_it_has_one_of_its_own() -> None:
    assert Problem(Reason.IMAGE_MISSING, "gone").code == "row/image-missing"
    assert Problem(Reason.RELEASE, "locked", code="run/folder-locked").code == "run/folder-locked"


def test_explain_prints_what_a_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["row/image-missing"]) == 0
    assert CODES["row/image-missing"].fix in capsys.readouterr().out
    assert main([]) == 0
    assert all(code in capsys.readouterr().out for code in ("settings",))


def test_explain_suggests_the_nearest_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["row/image-mising"]) == 2
    assert "did you mean row/image-missing?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["hub", "kaggle", "folder"])
def test_a_code_of_hosts_is_found_by_the_name_of_each(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{name}/version-exists"]) == 0
    assert CODES["host/version-exists"].meaning in capsys.readouterr().out
