"""The page as it is in the repository: small, without anything of elsewhere, and built from its sources."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from publish.explorer import PAGE_FILES, STATIC
from tests.support import copy_folder

APP = STATIC.parent / "app"
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
def test_the_bundle_is_built_from_its_sources(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node on this machine")
    app, out = tmp_path / "app", tmp_path / "out"
    copy_folder(APP, app)
    out.mkdir()
    if not (app / "node_modules").is_dir():
        command = ["npm", "ci", "--silent", "--prefer-offline"]
        installed = subprocess.run(command, cwd=app, capture_output=True, text=True, check=False)
        if installed.returncode:
            pytest.skip(f"the packages cannot be had here: {installed.stderr[-200:]}")
    (app / "node_modules" / "@esbuild" / "linux-x64" / "bin" / "esbuild").chmod(0o755)
    subprocess.run(["node", "build.mjs", str(out)], cwd=app, check=True)
    for path in out.iterdir():
        assert path.read_bytes() == (STATIC / path.name).read_bytes(), f"make explorer: {path.name} is old"
