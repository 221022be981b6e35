"""The front door: every command is a verb of `sfhq`, and `--help` loads no library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from publish import export, sfhq
from tests.support import ROOT

HEAVY = {
    *("datasets", "scipy", "matplotlib", "pyarrow", "torch", "huggingface_hub", "kaggle", "simplejpeg"),
    "pandas",
}
OTHERS = {"__init__", "network", "sfhq"}  # modules beside the commands
SPY = (
    "import json, runpy, sys; sys.argv = sys.argv[1:]; name = sys.argv[0]\n"
    "try: (runpy.run_path if name.endswith('.py') else runpy.run_module)(name, run_name='__main__')\n"
    "except SystemExit as stop: print('\\n' + json.dumps([stop.code, sorted(sys.modules)]))\n"
)
DOORS = [
    ["publish.sfhq"],
    *(["publish.sfhq", verb] for verb in sfhq.VERBS),
    *([f"publish/{verb}.py"] for verb in sfhq.VERBS),
]


@pytest.mark.parametrize("door", DOORS, ids=" ".join)
def test_help_loads_no_library(door: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPY, *door, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown, last = done.stdout.rstrip().rsplit("\n", 1)
    status, modules = json.loads(last)
    assert status == 0
    assert not HEAVY & set(modules)
    verb = door[-1].removeprefix("publish/").removesuffix(".py")
    assert shown.casefold().startswith("usage: sfhq" + (f" {verb} " if verb in sfhq.VERBS else " "))


def test_the_verbs_are_the_command_files(capsys: pytest.CaptureFixture[str]) -> None:
    files = {path.stem for path in (ROOT / "publish").glob("*.py")} - OTHERS
    assert set(sfhq.VERBS) == files
    assert sfhq.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"{verb} " in out and line in out for verb, line in sfhq.VERBS.items())


def test_an_unknown_verb_is_refused_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert sfhq.main(["relase", "--version", "1.0"]) == 2
    assert "there is no verb 'relase'; did you mean release?" in capsys.readouterr().err


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_the_exit_status_and_the_arguments_pass_through(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def main(argv: tuple[str, ...]) -> int:
        seen.append(argv)
        return status

    monkeypatch.setattr("publish.status.main", main)
    assert sfhq.main(["status", "--out", "dist", "a b", "--help", "--", "-x"]) == status
    assert list(seen[0]) == ["--out", "dist", "a b", "--help", "--", "-x"]


def test_an_unknown_layout_is_refused_with_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(tmp_path), "--layout", "difusers-dpo", "--out", str(tmp_path / "out")]) == 2
    assert "did you mean diffusers-dpo?" in capsys.readouterr().err
