"""Executors give every item its result, take few items ahead, and pass errors on."""

from __future__ import annotations

import itertools
import threading

import pytest

from builders.parallel import Threads


def test_ordered_results_come_in_the_items_order() -> None:
    for chunk in (1, 3):
        found = list(Threads(4).map_ordered(lambda number: number * 2, range(50), chunk=chunk))
        assert found == [(number, number * 2) for number in range(50)]


def test_ordered_work_is_taken_a_little_ahead_only() -> None:
    taken = itertools.count()
    results = Threads(2).map_ordered(lambda number: number, taken, chunk=3)
    assert next(results) == (0, 0)
    results.close()  # type: ignore[attr-defined] # a generator
    assert next(taken) == 3 * (4 * 2 + 1)


def test_unordered_results_do_not_wait_for_a_slow_one() -> None:
    released = threading.Event()

    def run(number: int) -> int:
        if number == 0:
            released.wait(60)
        return number

    results = Threads(2).map_unordered(run, range(4))
    first = [next(results)[0] for _ in range(3)]
    released.set()
    assert sorted(first) == [1, 2, 3]
    assert list(results) == [(0, 0)]


def test_one_worker_takes_one_item_at_a_time() -> None:
    taken = itertools.count()
    results = Threads(1).map_unordered(lambda number: number, taken)
    assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
    assert next(taken) == 3


def test_an_error_comes_at_its_items_turn() -> None:
    def fail(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    for results in (Threads(2).map_ordered(fail, range(9)), Threads(1).map_unordered(fail, range(9))):
        assert [next(results), next(results)] == [(0, 0), (1, 1)]
        with pytest.raises(ValueError, match="two"):
            next(results)
