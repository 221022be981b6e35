"""Every executor in `EXECUTORS` runs functions as the protocol says, and makes the same release."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.parallel import Executor
from publish.clusters import EXECUTORS, THREADS, Folders
from schemas.problems import BuildError
from tests.publish.clusters import jobs

KINDS = [pytest.param(name, marks=() if name == THREADS else pytest.mark.slow) for name in EXECUTORS]


@pytest.fixture(scope="module", params=KINDS)
def executor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    if request.param != THREADS:
        request.getfixturevalue("ray_address")
    with EXECUTORS[request.param].open(Folders(tmp_path_factory.mktemp("work"))) as execution:
        yield execution.images


def test_ordered_results_come_in_the_items_order(executor: Executor) -> None:
    for chunk in (1, 3):
        found = list(executor.map_ordered(jobs.double, range(150), chunk=chunk))
        assert found == [(number, number * 2) for number in range(150)]


def test_no_items_make_no_results(executor: Executor) -> None:
    assert list(executor.map_ordered(jobs.double, [])) == []
    assert list(executor.map_unordered(jobs.double, [])) == []
    assert list(executor.map_loaded(int, jobs.add, [])) == []


def test_items_are_taken_a_little_ahead_only(executor: Executor) -> None:
    taken = itertools.count()
    results = executor.map_ordered(jobs.double, taken)
    assert next(results) == (0, 0)
    results.close()  # type: ignore[attr-defined] # a generator
    assert next(taken) < 500
    taken = itertools.count()
    others = executor.map_unordered(jobs.double, taken)
    next(others)
    others.close()  # type: ignore[attr-defined]
    assert next(taken) < 100


def test_unordered_results_do_not_wait_for_a_slow_one(executor: Executor, tmp_path: Path) -> None:
    released = tmp_path / "released"
    results = executor.map_unordered(jobs.WaitForFile(released), range(4))
    first = [next(results)[0] for _ in range(3)]
    released.touch()
    assert sorted(first) == [1, 2, 3]
    assert list(results) == [(0, 0)]


def test_what_is_loaded_is_loaded_once_for_each_worker(executor: Executor, tmp_path: Path) -> None:
    load = jobs.Load(tmp_path)
    found = dict(executor.map_loaded(load, jobs.add, range(40), uses_gpu=True))
    assert found == {number: 100 + number for number in range(40)}
    num_loaded = len(list(tmp_path.iterdir()))
    assert 1 <= num_loaded <= 2
    assert len(list(executor.map_unordered(jobs.double, range(3)))) == 3  # which needs the CPUs


def test_a_problem_comes_at_its_items_turn(executor: Executor) -> None:
    results = executor.map_ordered(jobs.refuse_two, range(9))
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(BuildError) as caught:
        next(results)
    assert [problem.file for problem in caught.value.problems] == ["2.jpg"]
    with pytest.raises(BuildError):
        list(executor.map_unordered(jobs.refuse_two, range(9)))
    with pytest.raises(BuildError, match="nothing to load"):
        list(executor.map_loaded(jobs.refuse_to_load, jobs.add, range(9)))
