"""The maintainer's guide is true: its commands run, in order, against both hosts."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.publish.hosts.world import DATASET, REPO, open_world
from tests.support import ROOT, good_folder


def _commands(document: str) -> list[list[str]]:
    """List the commands of a document's `console` blocks, without their comments."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.slow
def test_every_command_of_the_guide_runs_in_order(tmp_path: Path) -> None:
    collection = good_folder(tmp_path / "collection")
    collection.write()
    *listed, yank = _commands("PUBLISHING.md")
    listed = [*listed, *_commands("README.md"), yank]
    assert {tuple(words[:2]) for words in listed} == {
        ("python", "publish/release.py"),
        *(("sfhq", verb) for verb in ("status", "verify", "yank")),
    }
    with open_world(tmp_path, collection) as world:
        for command, *words in listed:
            script = words[0] if command == "python" else f"publish/{words[0]}.py"
            done = subprocess.run(
                [sys.executable, str(ROOT / script), *words[1:]],
                cwd=world.work,
                env={**os.environ, **world.environment},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command} {words}\n{done.stdout}\n{done.stderr}"
            world.said += [done.stdout, done.stderr]
        assert set(world.hub.repos[REPO].tags) == {"v1.0", "v1.1"}
        assert len(world.kaggle.datasets[DATASET].versions) == 2
        assert (
            "1.1 is withdrawn: three faces are of real people"
            in world.hub.content(REPO, "README.md").decode()
        )
