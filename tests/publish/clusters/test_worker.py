"""What a machine of a cluster says of itself before work begins; no cluster is needed for that."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from publish.clusters import EXECUTORS, Folders
from publish.clusters.worker import NodeCheck, check_node, read_versions
from schemas.problems import SettingsError


@pytest.fixture
def expected(tmp_path: Path) -> NodeCheck:
    """Return what this machine fulfils."""
    marker, source = tmp_path / "marker", tmp_path / "images"
    marker.write_text("once")
    source.mkdir()
    return NodeCheck(marker, "once", (source,), read_versions(["python", "numpy"]))


def test_a_machine_that_has_everything_has_no_problem(expected: NodeCheck) -> None:
    assert check_node(expected, "node-1") == []
    assert [path.name for path in sorted(expected.marker.parent.iterdir())] == ["images", "marker"]


def test_a_folder_that_a_machine_does_not_see_is_named_with_the_machine(
    expected: NodeCheck, tmp_path: Path
) -> None:
    gone = replace(expected, marker=tmp_path / "gone" / "marker", sources=(tmp_path / "no-images",))
    problems = check_node(gone, "node-1")
    assert [problem.file for problem in problems] == [str(tmp_path / "gone"), str(tmp_path / "no-images")]
    assert all("node-1" in problem.message and problem.fix for problem in problems)
    assert {problem.code for problem in problems} == {"run/cluster-machine"}


def test_another_folder_at_the_same_path_is_noticed(expected: NodeCheck) -> None:
    (problem,) = check_node(replace(expected, content="of another run"), "node-1")
    assert "another folder" in problem.message


def test_other_versions_of_libraries_are_named(expected: NodeCheck) -> None:
    other = {**expected.versions, "numpy": "1.0", "no-such-library": "2"}
    (problem,) = check_node(replace(expected, versions=other), "node-1")
    assert "not 1.0" in problem.message
    assert "no-such-library missing" in problem.message


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(SettingsError) as caught, EXECUTORS["ray"].open(Folders(tmp_path)):
        pass
    (problem,) = caught.value.problems
    assert (problem.code, problem.fix) == ("run/executor-missing", "pip install '.[ray]'")
