"""Environments with versions of programs that people have, made by the tests themselves."""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Protocol

import pytest


class MakeEnvironment(Protocol):
    """Makes an environment once in a run; the fixture `environment` in `tests/conftest.py` is one."""

    def __call__(self, name: str, wanted: Sequence[str], *, above_ours: bool = False) -> Path:
        """Return the interpreter of the environment of some name, with packages as pip takes them."""
        ...


def datasets_of(version: str) -> list[str]:
    """Return the packages of an environment with some version of `datasets`."""
    return [f"datasets=={version}", "pillow", f"pyarrow=={metadata.version('pyarrow')}"]


def make_environment(folder: Path, wanted: Sequence[str], *, above_ours: bool = False) -> Path:
    """Make an environment with some packages; return its interpreter. Skip the test without a registry.

    Args:
        folder: Where to make it.
        wanted: Packages with their versions, as pip takes them.
        above_ours: Whether packages of our own environment are there, too, where those wanted are not.
    """
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    if uv.exists():  # seconds, where pip takes minutes
        make = [str(uv), "venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)]
        install = [str(uv), "pip", "install", "--no-config", "--python", str(python), *wanted]
    else:
        make = [sys.executable, "-m", "venv", str(folder)]
        install = [str(python), "-m", "pip", "install", *wanted]
    for command in (make, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no registry gives {', '.join(wanted)} here: {done.stderr[-300:]}")
    if above_ours:
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "ours.pth").write_text(sysconfig.get_path("purelib"))
    return python
