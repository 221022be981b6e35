"""READERS.md has a row for each program that a test runs, and no other."""

import ast

import pytest

from tests.readers.page import BEGIN, END, HEADER, PAGE, RESULTS, Result, read_page, record, write_page
from tests.support import ROOT

ROWS = "| a | 1.0 | sample | reads |\n| b | 1.0 | sample | reads |"
TABLE = f"before\n{BEGIN}\n{HEADER}\n{ROWS}\n{END}\nafter\n"


def programs_in_tests() -> set[str]:
    """Name the programs that tests hand to `record_result`, and those in their tables of names."""
    names: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record_result":
                names |= _texts(node.args[0])
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PROGRAMS":
                names |= _texts(node.value)
    return names


def _texts(node: ast.expr) -> set[str]:
    """Return the text of a constant, or the values of a dictionary of constants."""
    nodes = node.values if isinstance(node, ast.Dict) else [node]
    return {each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_the_page_has_the_programs_that_tests_run() -> None:
    results = read_page(PAGE.read_text(encoding="utf-8"))
    assert {result.program for result in results} == programs_in_tests()
    assert {result.release for result in results} <= {"sample", "sfhq-sample"}


def test_new_results_replace_those_of_their_program() -> None:
    new = [Result("a", "10.0", "sample", "reads"), Result("a", "9.1", "sample", "stops")]
    text = write_page(TABLE, new)
    assert text.splitlines()[4:7] == [
        "| a | 9.1 | sample | stops |",
        "| a | 10.0 | sample | reads |",
        "| b | 1.0 | sample | reads |",
    ]
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert write_page(text, new) == text


def test_a_result_that_is_not_on_the_page_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RESULTS, raising=False)
    with pytest.raises(pytest.fail.Exception, match="run `make readers`"):
        record("no such program", "1.0", "sample", "reads")
