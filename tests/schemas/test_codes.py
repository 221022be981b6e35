"""Codes of problems: every one that can be shown is explained."""

import ast

import pytest

from publish.explain import main
from schemas.codes import CODES
from schemas.problems import Problem, Reason
from tests.support import ROOT


def codes_in_the_source() -> set[str]:
    """List every code that a call gives by name."""
    return {
        constant.value
        for room in ("schemas", "builders", "publish")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code"
        for constant in ast.walk(keyword.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str) and constant.value
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
