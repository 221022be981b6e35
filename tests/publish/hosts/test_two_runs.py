"""Two checkouts that publish one release at the same time, and users who may not publish it at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from publish.hosts.kaggle import access
from tests.forks import open_fork_server
from tests.publish.hosts.world import DATASET, REPO, World, open_world
from tests.support import Run, good_folder

ROUNDS = 5


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    collection = good_folder(tmp_path / "collection", 3)
    collection.write()
    with open_world(tmp_path, collection) as found:
        yield found


def publish_twice(world: World, *arguments: str) -> Iterator[tuple[Run, Run]]:
    """Publish 1.0 from two output folders at the same time, and begin with new hosts each time."""
    with (
        open_fork_server(world.environment, access.OTHERS_SECONDS) as first,
        open_fork_server(world.environment, access.OTHERS_SECONDS) as second,
    ):
        given = ("--version", "1.0", "--config", str(world.work / "release.toml"), *arguments)
        for _ in range(ROUNDS):
            world.hub.repos.clear()
            world.kaggle.datasets.clear()
            started = [
                server.start("release", *given, "--out", world.work / name)
                for server, name in ((first, "dist"), (second, "other"))
            ]
            runs = [each.wait() for each in started]
            world.said += [text for run in runs for text in (run.out, run.err)]
            assert not any("Traceback" in run.err for run in runs)
            yield runs[0], runs[1]


@pytest.mark.slow
def test_two_runs_on_both_hosts_make_one_version(world: World) -> None:
    """The Hub takes the commit of one only; the other stops there, and its next run finds all done."""
    for runs in publish_twice(world):
        assert len(world.kaggle.datasets[DATASET].versions) == 1
        assert [len(world.hub.repos[REPO].history), list(world.hub.repos[REPO].tags)] == [2, ["v1.0"]]
        assert 0 in [run.status for run in runs]
        for run in runs:
            assert run.status == 0 or "another run has put release 1.0 on hub" in run.err
    for out in ("dist", "other"):
        run = world.run("--out", str(world.work / out))
        assert run.status == 0


@pytest.mark.slow
def test_two_runs_on_kaggle_alone_make_one_version_or_both_tell_of_two(world: World) -> None:
    for runs in publish_twice(world, "--to", "kaggle"):
        numbers = range(1, len(world.kaggle.datasets[DATASET].versions) + 1)
        assert len(numbers) <= 2
        for run in runs:
            is_told = "Kaggle holds release 1.0 twice, as versions 1 and 2" in run.err
            assert run.status == 0 or "run the same command again" in run.err
            assert is_told == (len(numbers) == 2)


def test_another_users_token_on_kaggle_writes_nothing_anywhere(world: World) -> None:
    world.run()
    world.kaggle.username, world.kaggle.owners = "guest", set()
    world.forget()
    plan = world.run("--plan", version="1.1")
    assert "Kaggle does not say whether guest may write to faces/sfhq-faces" in plan.err
    assert "--force-unknown-rights" in plan.err
    run = world.run(version="1.1")
    assert run.status == 1
    assert "Kaggle does not say whether guest may write" in run.err
    assert world.writes == ([], [])
    forced = world.run("--force-unknown-rights", version="1.1")
    assert forced.status == 1
    assert "Permission 'datasets.update' was denied" in forced.err
