"""The Ray executor gives the results that threads give, whatever happens to its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.images.files import ImageFile
from builders.images.looking import Look, LookAtImage
from builders.parallel import Executor, Threads
from publish.clusters import EXECUTORS, Folders
from schemas.problems import ClusterError
from schemas.settings import BuildSettings
from tests.publish.clusters import jobs
from tests.publish.clusters.faults import faulty_folder
from tests.support import image_bytes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_address")]


@pytest.fixture(scope="module")
def executor(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with EXECUTORS["ray"].open(Folders(tmp_path_factory.mktemp("work"))) as execution:
        yield execution.images


def test_a_job_whose_worker_is_killed_is_done_again(executor: Executor, tmp_path: Path) -> None:
    doubled = [(number, number * 2) for number in range(70)]
    kill = jobs.KillWorker(tmp_path / "ordered", item=40)
    assert list(executor.map_ordered(kill, range(70))) == doubled
    kill = jobs.KillWorker(tmp_path / "unordered", item=5)
    assert sorted(executor.map_unordered(kill, range(9))) == doubled[:9]
    kill = jobs.KillWorker(tmp_path / "loaded", item=5)
    found = executor.map_loaded(jobs.Load(tmp_path), kill.with_loaded_first, range(9))
    assert sorted(found) == [(number, number * 2 + 100) for number in range(9)]
    assert all((tmp_path / name).exists() for name in ("ordered", "unordered", "loaded"))


@pytest.mark.parametrize("way", ["ordered", "unordered", "loaded"])
def test_an_item_that_ends_its_workers_twice_ends_the_run_with_its_name(
    executor: Executor, tmp_path: Path, way: str
) -> None:
    kill = jobs.KillWorker(tmp_path / "marker", item=5, is_once=False)
    ways: dict[str, Callable[[], Iterator[tuple[int, int]]]] = {
        "ordered": lambda: executor.map_ordered(kill, range(70)),
        "unordered": lambda: executor.map_unordered(kill, range(9)),
        "loaded": lambda: executor.map_loaded(jobs.Load(tmp_path), kill.with_loaded_first, range(9)),
    }
    with pytest.raises(ClusterError) as caught:
        list(ways[way]())
    (problem,) = caught.value.problems
    assert (problem.code, problem.file) == ("run/cluster-job", "5")
    assert "failed twice" in problem.message


def test_an_error_that_is_none_of_ours_is_tried_again_and_then_said_in_a_sentence(executor: Executor) -> None:
    with pytest.raises(ClusterError) as caught:
        list(executor.map_ordered(jobs.fail_at_three, range(9)))
    (problem,) = caught.value.problems
    assert problem.file == "3"
    assert "No space left on device" in problem.message
    assert "Traceback" not in str(problem)


def test_workers_see_of_images_what_threads_see(executor: Executor, tmp_path: Path) -> None:
    folder = faulty_folder(tmp_path / "collection")
    hidden = next(iter(folder.images))
    folder.images[hidden] += image_bytes(99)  # behind the image
    folder.write()
    files = [ImageFile(folder.path / name) for name in folder.images] + [ImageFile(tmp_path / "missing")]
    look = LookAtImage(BuildSettings())
    here, there = (
        [found if isinstance(found, Look) else (found.reason, found.message, found.value, found.fix)
         for _, found in each.map_ordered(look, files) if found is not None]
        for each in (Threads(2), executor)
    )  # fmt: skip
    assert here == there
    assert sum(not isinstance(found, Look) for found in here) == 3
