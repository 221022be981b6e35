"""Withdrawing a release: marked wherever people look, and nothing removed, changed or published again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from hypothesis import given
from hypothesis import strategies as st

from builders.card.notes import changelog_entry, dataset_changelog, mark_entry
from publish.checks.files import check_files
from publish.run.workspace import RUNNING, lock_output
from schemas.problems import BuildError, ReleaseError
from schemas.withdrawals import carry_over, mark_text, withdrawals, without_marks
from tests.publish.hosts.world import DATASET, REPO, World, open_world
from tests.support import good_folder, tree_digest

REASON = "three faces are of real people"
LINE = f"> Release 1.0 is withdrawn: {REASON}"
_CARD = "---\nlicense: other\n---\n# Faces\n\n> Terms differ.\n\nText.\n"
_KEPT_FIRST = _CARD.replace("# Faces", "<!-- keep: begin -->\nOurs.\n<!-- keep: end -->\n\n# Faces")
_CARDS = (
    *(_CARD, _KEPT_FIRST, _CARD.replace("\n", "\r\n"), _KEPT_FIRST.replace("\n", "\r\n"), f"\n {_CARD}"),
    *("---\nlicense: other\n---  \nNo title.\n", "# Faces\n\nText.\n", "Text.\n", "", "\n\n# A\n"),
)
_LOG = (
    "# Log\n\n## Dataset\n\n### 1.1 - 2026-01-02\n\n- More.\n\n### 1.0\n\n- First.\n\n"
    "## Kit\n\n### 1.0\n\n- Kit.\n"
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    collection = good_folder(tmp_path / "collection")
    collection.write()
    with open_world(tmp_path, collection) as found:
        yield found


def _yank(world: World, *arguments: str, version: str = "1.0", reason: str = REASON) -> tuple[int, str, str]:
    places = ["--config", str(world.work / "release.toml"), "--out", str(world.out)]
    given = (*places, "--version", version, "--reason", reason, *arguments)
    run = world.commands.start("yank", *given).wait()
    assert "Traceback" not in run.err
    world.said += [run.out, run.err]
    return run.status, run.out, run.err


def _hub_text(world: World, path: str, revision: str = "main") -> str:
    return world.hub.content(REPO, path, revision).decode()


@pytest.mark.slow
def test_withdrawn_release_is_marked_everywhere_and_nothing_else_changes(world: World) -> None:
    assert world.run().status == 0
    folder, tag = tree_digest(world.out / "1.0"), world.hub.repos[REPO].tags["v1.0"]
    card, files = _hub_text(world, "README.md"), world.hub_paths("main")
    held = dict(world.kaggle.datasets[DATASET].versions[0].files)

    status, out, err = _yank(world)
    assert (status, out.count(": marked") + out.count("  marked")) == (0, 3), err
    assert LINE in (world.work / "CHANGELOG.md").read_text()
    assert "### 1.0 - 2026-01-01 [YANKED]\n" in (world.work / "CHANGELOG.md").read_text()
    assert LINE in _hub_text(world, "README.md")
    assert f"### 1.0 - 2026-01-01 [YANKED]\n\n{LINE}\n" in _hub_text(world, "CHANGELOG.md")
    assert world.kaggle.datasets[DATASET].page["description"].startswith(LINE)

    assert tree_digest(world.out / "1.0") == folder
    assert world.hub.repos[REPO].tags["v1.0"] == tag
    assert _hub_text(world, "README.md", "v1.0") == card
    assert world.hub_paths("main") == files
    assert world.kaggle.datasets[DATASET].versions[0].files == held

    world.forget()
    status, out, err = _yank(world)
    assert (status, out.count("was marked before"), world.writes) == (0, 3, ([], [])), err
    assert world.read("verify", "--version", "1.0").status == 0
    told = world.read("status")
    assert told.status == 0, told.err
    assert told.out.count(f"withdrawn: {REASON}") == 3

    again = world.run()
    assert again.status == 1
    assert f"version 1.0 is withdrawn: {REASON}" in again.err

    world.collection.rows[0][2] = "somebody else"
    world.collection.write()
    after = world.run("--allow-bump", version="1.1")
    assert after.status == 0, after.err
    assert "changed by hand" not in after.err + after.out
    assert LINE in _hub_text(world, "README.md", "v1.1")
    assert f"[YANKED]\n\n{LINE}\n" in _hub_text(world, "CHANGELOG.md", "v1.1")
    assert LINE in world.kaggle.datasets[DATASET].page["description"]
    assert not list(check_files(world.out / "1.1", world.manifest("1.1")))
    assert world.read("verify", "--version", "1.1").status == 0


@pytest.mark.slow
def test_what_a_host_says_is_withdrawn_is_published_nowhere_whatever_is_here(world: World) -> None:
    """The mark was not committed, or this is another maintainer's copy."""
    assert world.run("--to", "hub").status == 0
    changelog = (world.work / "CHANGELOG.md").read_bytes()
    assert _yank(world)[0] == 0
    (world.work / "CHANGELOG.md").write_bytes(changelog)
    world.forget()
    for arguments in ([], ["--plan"]):
        run = world.run(*arguments)
        assert run.status == 1
        assert f"version 1.0 is withdrawn: {REASON}" in run.err
    assert world.writes == ([], [])
    told = world.read("status")
    assert told.status == 1
    assert f"withdrawn: {REASON}" in told.out
    assert f"sfhq yank --version 1.0 --reason '{REASON}'" in told.err
    assert _yank(world)[0] == 0
    assert world.read("status").status == 0


@pytest.mark.slow
def test_what_is_nowhere_cannot_be_withdrawn_and_a_host_that_is_down_is_done_later(world: World) -> None:
    status, _, err = _yank(world)
    assert status == 1
    assert "there is no release 1.0" in err
    assert _yank(world, version="7.0")[0] == 1
    assert "[YANKED]" not in (world.work / "CHANGELOG.md").read_text()
    assert world.run("--to", "hub").status == 0
    status, out, err = _yank(world)
    assert status == 0, err
    assert "not there, so there is nothing to mark" in out
    status, _, err = _yank(world, reason="two\nlines \x07")
    assert (status, "can be printed" in err) == (2, True)


@pytest.mark.slow
def test_other_run_is_named_with_its_process_and_start(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from publish.run.workspace import lock_output\n"
        "with lock_output(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ReleaseError) as caught, lock_output(tmp_path):
            pass
        assert f"process {other.pid} on " in str(caught.value)
        assert f"started {time.strftime('%Y-')}" in str(caught.value)
    finally:
        other.kill()
        other.communicate()
    with lock_output(tmp_path):  # the lock went with the process, whatever the note says
        assert f"process {os.getpid()} " in (tmp_path / RUNNING).read_text()
    assert not (tmp_path / RUNNING).exists()


def test_mark_stands_under_its_own_heading_and_readers_still_find_the_entry() -> None:
    marked = mark_entry(_LOG, "1.0", "bad\n faces ")
    assert marked.count("[YANKED]") == 1
    assert "### 1.0 [YANKED]\n\n> Release 1.0 is withdrawn: bad faces\n\n- First.\n\n## Kit" in marked
    assert mark_entry(marked, "1.0", "bad faces") == marked
    other = mark_entry(marked, "1.0", "worse")
    assert withdrawals(other) == {"1.0": "worse"}
    both = mark_entry(other, "1.1", "as bad")
    assert changelog_entry(dataset_changelog(both, "1.1"), "1.1") == (
        "2026-01-02",
        "> Release 1.1 is withdrawn: as bad\n\n- More.",
    )
    with pytest.raises(BuildError, match=r"no heading `### 2\.0`"):
        mark_entry(_LOG, "2.0", "bad")
    with pytest.raises(BuildError, match="no part `## Dataset`"):
        mark_entry("# Log\n", "1.0", "bad")


@given(
    marks=st.dictionaries(st.from_regex(r"\A[1-9]\.[0-9]\Z"), st.sampled_from(["bad", "a `b` \\1"])),
    card=st.sampled_from(_CARDS),
)
def test_marks_are_put_on_and_taken_off_again(marks: dict[str, str], card: str) -> None:
    marked = carry_over(card, marks)
    assert withdrawals(marked) == marks
    assert list(withdrawals(marked)) == list(marks)
    assert carry_over(marked, marks) == marked
    assert (not marks and marked == card) or card in without_marks(marked)
    assert REGEX_YAML_BLOCK.findall(marked) == REGEX_YAML_BLOCK.findall(card)  # readers still find configs
    for version, reason in marks.items():
        assert mark_text(marked, version, reason) == marked


@pytest.mark.slow
def test_commands_look_at_the_space_of_a_release(world: World) -> None:
    settings = world.work / "release.toml"
    settings.write_text(f"{settings.read_text()}\n[hub]\nspace = true\n")
    assert world.run("--to", "hub").status == 0
    told = world.read("status", "--to", "hub")
    assert (told.status, "the Space shows it" in told.out) == (0, True), told.out + told.err
    assert world.read("verify", "--version", "1.0", "--to", "hub").status == 0

    world.hub.edit(f"spaces/{REPO}", "carol", "Edited", {"reader.js": b"theirs"})
    told = world.read("verify", "--version", "1.0", "--to", "hub")
    assert told.status == 1
    assert f"/spaces/{REPO}: reader.js" in told.err

    assert _yank(world, "--to", "hub")[0] == 0
    page = world.hub.content(f"spaces/{REPO}", "index.html").decode()
    assert f"Version 1.0 is withdrawn, and should not be used: {REASON}" in page
    assert world.read("verify", "--version", "1.0", "--to", "hub").status == 0
    told = world.read("status", "--to", "hub")
    assert "the Space shows it; withdrawn" in told.out


@pytest.mark.slow
def test_a_space_keeps_no_release_from_being_withdrawn(world: World) -> None:
    assert world.run("--to", "hub").status == 0
    settings = world.work / "release.toml"
    text = settings.read_text()
    settings.write_text(f'{text}\n[hub]\nspace = "elsewhere/page"\n')
    status, out, err = _yank(world, "--to", "hub")
    assert (status, out.count("marked")) == (0, 2), (
        "the token has no rights there, and there is no Space: " + err
    )
    assert LINE in _hub_text(world, "README.md")

    settings.write_text(f"{text}\n[hub]\nspace = true\n")
    world.collection.rows[0][2] = "somebody else"
    world.collection.write()
    assert world.run("--allow-bump", "--to", "hub", version="1.1").status == 0
    fault = world.hub.fail("commit", status=403, skip=1, times=99)
    status, out, err = _yank(world, "--to", "hub", version="1.1")
    assert (status, "not finished" in out, "not marked" in out) == (1, True, False), out
    assert "release 1.1 is marked, and its Space is not: " in err
    assert f"Release 1.1 is withdrawn: {REASON}" in _hub_text(world, "README.md")
    fault.times = 0
    assert _yank(world, "--to", "hub", version="1.1")[0] == 0
    assert f"Version 1.1 is withdrawn, and should not be used: {REASON}" in (
        world.hub.content(f"spaces/{REPO}", "index.html").decode()
    )
