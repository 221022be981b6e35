"""A release to explore, with all that the explorer shows, and servers of it."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image

from builders.sources.sample import write_sample
from publish.explorer import STATIC
from publish.release import main
from tests.browser import open_browser
from tests.support import (
    ROOT,
    SfhqFolder,
    lock,
    protect,
    request_record,
    write_requests,
)

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> \u202edesrever &amp; face'
LONG = "a very long prompt " * 6_800  # no cell of a CSV may be longer
APP = STATIC.parent / "app"
TABLE = "SFHQ_T2I_dataset.csv"


@dataclass(frozen=True)
class Explored:
    """A release, the one before it, and where they were made.

    Attributes:
        folder: The release 2.0.
        config: The settings that it was made with.
        collection: The SFHQ folder that it was made of.
    """

    folder: Path
    config: Path
    collection: Path


def _write_collection(folder: Path) -> None:
    """Write the sample with requests, a near-duplicate, and an image that is missing."""
    write_sample(folder)
    rows = _read(folder / TABLE)
    rows.append(["gone.jpg", "SDXL", "there is no such image", json.dumps({"seed": 1})])
    first = rows[0]
    with Image.open(folder / "images" / first[0]) as image:
        image.save(folder / "images" / "again.jpg", quality=60)
    rows.append(["again.jpg", *first[1:]])
    _write(folder / TABLE, rows)
    _add_to_caption(folder / "captions.jsonl")
    sfhq = SfhqFolder(folder, rows=rows)
    write_requests(folder, [request_record(sfhq, number) for number in range(40)])


def _add_to_caption(path: Path) -> None:
    """Let a caption say more than its attributes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    row = next(row for row in rows if row["attributes"] and row["caption"])
    row["caption"] += " The 80-year-old wears a top hat \U0001f3a9 and a necklace."
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def _write(path: Path, rows: list[list[str]]) -> None:
    text = io.StringIO()
    head = ("image_filename", "model_used", "text_prompt", "configs")
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")


def _edit(folder: Path) -> None:
    """Make the next version: hostile prompts, and an image fewer."""
    rows = _read(folder / TABLE)
    rows[1][2], rows[2][2] = HOSTILE, LONG
    del rows[5]
    _write(folder / TABLE, rows)


@pytest.fixture(scope="session")
def explored(shared: Path) -> Explored:
    """Return a release with everything that the explorer has a view for, read-only."""
    base = shared / "explored"
    collection, config, out = base / "collection", base / "release.toml", base / "dist"
    with lock(shared / "explored.lock"):
        if not (out / "2.0").exists():
            base.mkdir(exist_ok=True)
            _write_collection(collection)
            text = (ROOT / "release.toml").read_text(encoding="utf-8")
            kept = text.replace('[[sources]]\nkind = "sample"\n', "")
            drawn = 'pretrained = "built-in"'
            kept = kept.replace(drawn, f"{drawn}\nallow_demonstration = true")
            kept = kept.replace('citation = "CITATION.cff"', f'citation = "{ROOT / "CITATION.cff"}"')
            kept = kept.replace('changelog = "CHANGELOG.md"', f'changelog = "{base / "CHANGELOG.md"}"')
            names = ("", "captions.jsonl", "preferences.jsonl")
            listed = [f'[[sources]]\npath = "{collection / name}"' for name in names]
            config.write_text(kept + "\n" + "\n".join(listed) + "\n", encoding="utf-8")
            changes = (
                "# Changelog\n\n## Dataset\n\n### 2.0 - 2026-11-30\n\n- B\n\n### 1.0 - 2026-11-21\n\n- A\n"
            )
            (base / "CHANGELOG.md").write_text(changes)
            for version in ("1.0", "2.0"):
                assert (
                    main(["--version", version, "--config", str(config), "--out", str(out), "--allow-bump"])
                    == 0
                )
                if version == "1.0":
                    _edit(collection)
            protect(out / "2.0")
    return Explored(out / "2.0", config, collection)


@contextmanager
def explore(*arguments: str | Path) -> Iterator[str]:
    """Run the command in a process of its own, and yield the address that it prints."""
    command = [sys.executable, str(ROOT / "publish" / "explore.py"), *map(str, arguments), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = ""
        while (found := re.search(r"(http://\S+)", said)) is None:
            line = process.stdout.readline()
            if not line:
                pytest.fail(f"the explorer ended: {said} {process.stderr.read() if process.stderr else ''}")
            said += line
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def address(explored: Explored) -> Iterator[str]:
    """Return the address of an explorer on the release."""
    with explore(explored.folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def app(shared: Path) -> Path:
    """Return a copy of the page's sources with the packages that they need."""
    with lock(shared / "app.lock"):
        return prepare_app(shared / "app")


def prepare_app(folder: Path) -> Path:
    """Make a folder with the page's sources and their packages, if it is not there.

    Without Node or the packages, the test is skipped; in CI it fails.
    """
    if (folder / "made").is_file():
        return folder
    if shutil.which("node") is None or shutil.which("npm") is None:
        _do_without("there is no Node on this machine")
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(APP, folder, ignore=ignored, copy_function=shutil.copyfile, dirs_exist_ok=True)
    command = ["npm", "ci", "--silent", "--prefer-offline"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if installed.returncode:
        _do_without(f"the packages cannot be had here: {installed.stderr[-200:]}")
    (folder / "node_modules" / "@esbuild" / "linux-x64" / "bin" / "esbuild").chmod(0o755)
    (folder / "made").touch()
    return folder


def _do_without(message: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
