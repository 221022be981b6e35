"""The page as it is in the repository: small, without anything of elsewhere, and built from its sources."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from publish.explorer import PAGE_FILES, STATIC
from tests.publish.explorer.conftest import APP, prepare_app

MAX_GZIPPED_BYTES = 300_000


def test_the_page_is_small() -> None:
    total = sum(len(gzip.compress((STATIC / name).read_bytes())) for name in PAGE_FILES)
    assert total <= MAX_GZIPPED_BYTES
    assert {path.name for path in STATIC.iterdir()} == set(PAGE_FILES)


def test_the_page_takes_nothing_from_elsewhere() -> None:
    for name in ("index.html", "explorer.css"):
        text = (STATIC / name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]", text), name
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", page)


def test_texts_never_become_markup() -> None:
    for path in APP.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text
        )


def test_packages_are_pinned_and_name_no_registry() -> None:
    lock = json.loads((APP / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((APP / "package.json").read_text(encoding="utf-8"))
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for name, package in lock["packages"].items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
    licences = (STATIC / "licenses.txt").read_text(encoding="utf-8")
    for name, version in wanted["dependencies"].items():
        assert f"{name} {version}\n" in licences


@pytest.mark.slow
def test_the_bundle_is_built_from_its_sources(app: Path, tmp_path: Path) -> None:
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=app, check=True)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (STATIC / path.name).read_bytes(), f"make explorer: {path.name} is old"


@pytest.mark.parametrize("is_ci", [True, False])
def test_a_build_without_packages_fails_in_ci_only(
    is_ci: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise an old bundle would pass there."""
    monkeypatch.setenv("CI", str(is_ci).lower())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(pytest.fail.Exception if is_ci else pytest.skip.Exception, match="no Node"):
        prepare_app(tmp_path)
    monkeypatch.undo()
    monkeypatch.setenv("CI", str(is_ci).lower())
    (tmp_path / "bin").mkdir()
    for name, script in {"node": "exit 0", "npm": "echo no network >&2; exit 1"}.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(pytest.fail.Exception if is_ci else pytest.skip.Exception, match="no network"):
        prepare_app(tmp_path)
