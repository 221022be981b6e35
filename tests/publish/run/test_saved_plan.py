"""A plan that was looked at is done exactly, or refused because the world has changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from publish.run.saved_plan import read_plan
from schemas.problems import SettingsError
from tests.publish.hosts.hub_server import READ_TOKEN
from tests.publish.hosts.world import REPO, World, open_world
from tests.support import good_folder


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    collection = good_folder(tmp_path / "collection")
    collection.write()
    with open_world(tmp_path, collection) as found:
        yield found


@pytest.mark.slow
def test_saved_plan_is_applied_and_only_in_the_world_that_it_was_made_of(world: World) -> None:
    path = world.work / "plan.json"
    assert world.run().status == 0
    world.collection.images = {"images/new.jpg": next(iter(world.collection.images.values())) + b"\0"}
    world.collection.rows[0][0] = "new.jpg"
    world.collection.write()

    world.forget()
    planned = world.run("--plan", str(path), "--allow-bump", version="1.1")
    assert (planned.status, world.writes) == (0, ([], [])), planned.err
    assert f"--apply {path}" in planned.err
    plan = json.loads(path.read_bytes())
    assert (plan["inputs"]["version"], plan["bump"], sorted(plan["hosts"])) == (
        "1.1",
        "major",
        ["hub", "kaggle"],
    )

    world.hub.edit(REPO, "bob", "Say hello", {"hello.txt": b"hello"})
    world.collection.rows[1][2] = "another prompt"
    world.collection.write()
    world.forget()
    applied = world.run("--apply", str(path), "--allow-bump", version="1.1")
    assert (applied.status, world.writes) == (1, ([], []))
    assert applied.err.count("this has changed since the plan") == 2
    assert "hub: main at " in applied.err
    assert "inputs: sources.collection.sha256" in applied.err
    assert not (world.out / "1.1").exists()

    fewer = world.run("--apply", str(path), "--allow-bump", "--to", "hub", version="1.1")
    assert "kaggle: it was to be published to, and is not" in fewer.err

    assert world.run("--plan", str(path), "--allow-bump", version="1.1").status == 0
    applied = world.run("--apply", str(path), "--allow-bump", version="1.1")
    assert applied.status == 0, applied.err
    assert world.hub_digest("v1.1") == world.manifest("1.1").digest
    world.forget()
    again = world.run("--apply", str(path), "--allow-bump", version="1.1")
    assert (again.status, world.writes) == (0, ([], [])), again.err


@pytest.mark.slow
def test_plan_goes_on_where_a_run_ended_after_making_the_repository(world: World) -> None:
    path, arguments = world.work / "plan.json", ("--to", "hub")
    assert world.run("--plan", str(path), *arguments).status == 0
    world.hub.fail("preupload", status=403)
    assert world.run("--apply", str(path), *arguments).status == 1
    assert world.hub_paths("main") == set()
    applied = world.run("--apply", str(path), *arguments)
    assert applied.status == 0, applied.err
    assert world.hub_digest("v1.0") == world.manifest().digest


@pytest.mark.slow
def test_plan_needs_no_right_to_write_and_says_what_a_run_would_lack(world: World) -> None:
    path = world.work / "plan.json"
    planned = world.run("--plan", str(path), "--to", "hub", HF_TOKEN=READ_TOKEN)
    assert (planned.status, world.writes) == (0, ([], [])), planned.err
    assert "A run as you are now would be refused" in planned.err
    assert "the token can only read" in planned.err
    refused = world.run("--apply", str(path), "--to", "hub", HF_TOKEN=READ_TOKEN)
    assert (refused.status, world.writes) == (1, ([], []))
    assert not (world.out / "1.0").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "the plan cannot be read: No such file"),
        ("{}", "this is not a plan of this version of the kit"),
        ("[1", "this is not a plan of this version of the kit"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_plan(path, "1.0")
