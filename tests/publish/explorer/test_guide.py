"""The guide to the explorer is true, and the command refuses what it cannot show."""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from publish.explore import main
from publish.explorer.launching import listen, own_port
from publish.run.terminal import Terminal
from tests.publish.explorer.conftest import explore
from tests.support import ROOT, copy_folder, tree_digest


def commands() -> list[list[str]]:
    """List the commands of the guide, without `sfhq explore`."""
    text = (ROOT / "EXPLORING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [
        shlex.split(line.removeprefix("$ sfhq explore ")) for block in blocks for line in block.splitlines()
    ]


@pytest.mark.slow
def test_every_command_of_the_guide_runs(sample_release: Path, tmp_path: Path) -> None:
    release = copy_folder(sample_release, tmp_path / "dist" / "1.0")
    before = tree_digest(release)
    for arguments in commands():
        is_server = "--space" not in arguments
        command = [sys.executable, str(ROOT / "publish" / "explore.py"), *arguments]
        given = [*command, "--no-browser"] if is_server else command
        with subprocess.Popen(given, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if is_server:
                while "token=" not in process.stdout.readline():
                    assert process.poll() is None
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            assert process.returncode == 0, arguments
    assert len(list((tmp_path / "dist" / "1.0.thumbnails").iterdir())) == 2
    assert json.loads((tmp_path / "dist" / "page" / "explorer.json").read_text())["release"] == "../1.0/"
    assert tree_digest(release) == before


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["none"], 1, "there is no release here"),
        (["{release}", "--data", "../1.0"], 2, "--data is for --space"),
        (["{release}", "--space", "{parent}"], 2, "there is something already"),
        (["{release}", "--space", "{release}"], 2, "a part of the release"),
        (["{release}", "--space", "{release}/page/of/it"], 2, "a part of the release"),
        (["{release}", "--space", "{link}/page"], 2, "a part of the release"),
        (["{release}", "--no-thumbnails", "--no-browser", "--port", "{taken}"], 2, "the port cannot be had"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str],
    status: int,
    said: str,
    sample_release: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "link").symlink_to(sample_release)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        places = {"release": sample_release, "parent": sample_release.parent, "link": tmp_path / "link"}
        values = {**places, "taken": taken.getsockname()[1]}
        assert main([argument.format(**values) for argument in arguments]) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "eight", "\u0663"])
def test_a_port_is_a_number(port: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["dist/1.0", "--port", port])
    assert stopped.value.code == 2


def test_a_damaged_release_is_refused(sample_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next((sample_copy / "prompts").iterdir()).unlink()
    assert main([str(sample_copy)]) == 1
    assert "prompts/train-00000" in capsys.readouterr().err


def test_a_run_on_the_same_dataset_has_the_port_of_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    """A browser keeps the marks by port."""
    terminal = Terminal()
    for number in range(1000):
        name = f"dataset {number}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", own_port(name))):
                break
    for _ in range(2):
        with listen(None, name, terminal) as listener:
            assert listener.getsockname()[1] == own_port(name)
    with listen(None, name, terminal), listen(None, name, terminal) as other:
        assert other.getsockname()[1] != own_port(name)
    assert f"Port {own_port(name)} is taken" in "".join(capsys.readouterr())


def test_a_page_without_thumbnails_where_they_cannot_be_written(sample_release: Path, tmp_path: Path) -> None:
    release = copy_folder(sample_release, tmp_path / ("r" * 250))  # no name is longer than 255
    with explore(release) as address:
        assert "token=" in address
    assert [path.name for path in tmp_path.iterdir()] == [release.name]
