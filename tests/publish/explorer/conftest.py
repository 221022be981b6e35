"""A release to explore, with all that the explorer shows, and servers of it."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
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
from tests.support import ROOT, SfhqFolder, image_bytes, lock, protect, request_record, write_requests

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> \u202edesrever &amp; face'
LONG = "a very long prompt " * 6_800  # no cell of a CSV may be longer
APP = STATIC.parent / "app"
TABLE = "SFHQ_T2I_dataset.csv"
MEGABYTE = "a prompt of 1 MB " * 62_000
PILED = "a" + "\u0301" * 60_000  # one letter with very many accents, for which a browser may take minutes


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


def _write_settings(path: Path, sources: str, changelog: Path) -> None:
    """Write the shipped settings with other sources, and with features of any images."""
    text = (ROOT / "release.toml").read_text(encoding="utf-8")
    text = text.replace('[[sources]]\nkind = "sample"\n', "")
    drawn = 'pretrained = "built-in"'
    text = text.replace(drawn, f"{drawn}\nallow_demonstration = true")
    text = text.replace('citation = "CITATION.cff"', f'citation = "{ROOT / "CITATION.cff"}"')
    text = text.replace('changelog = "CHANGELOG.md"', f'changelog = "{changelog}"')
    path.write_text(f"{text}\n{sources}", encoding="utf-8")


@pytest.fixture(scope="session")
def explored(shared: Path) -> Explored:
    """Return a release with everything that the explorer has a view for, read-only."""
    base = shared / "explored"
    collection, config, out = base / "collection", base / "release.toml", base / "dist"
    with lock(shared / "explored.lock"):
        if not (out / "2.0").exists():
            base.mkdir(exist_ok=True)
            _write_collection(collection)
            names = ("", "captions.jsonl", "preferences.jsonl")
            sources = "".join(f'[[sources]]\npath = "{collection / name}"\n' for name in names)
            _write_settings(config, sources, base / "CHANGELOG.md")
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


def _write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _write_odd_sources(base: Path) -> None:
    """Write eight images: one has no prompt, two very long ones; and 400 values of an attribute."""
    faces = base / "faces"
    faces.mkdir(parents=True)
    prompts = {1: {"prompt": MEGABYTE}, 2: {"prompt": PILED}}
    rows = []
    for number in range(8):
        name, generator = f"{number}.jpg", ("FLUX1_dev", "SDXL")[number % 2]
        (faces / name).write_bytes(image_bytes(number))
        prompt = prompts.get(number, {"prompt": f"prompt {number}"} if number else {})
        rows.append({"file_name": name, "generator": generator, **prompt})
    _write_lines(faces / "metadata.jsonl", rows)
    captions = []
    for number in range(8):
        values = [
            {"attribute": "nick", "value": f"name {number}-{n}", "confidence": None, "source_model": None}
            for n in range(50)
        ]
        captions.append(
            {"image_filename": f"{number}.jpg", "caption": "a face", "captioner": "one", "attributes": values}
        )
    _write_lines(base / "captions.jsonl", captions)
    pairs = []
    for number in range(6):
        models = ("FLUX1_dev", "SDXL") if number % 2 == 0 else ("SDXL", "FLUX1_dev")
        pairs.append(
            {
                "id": f"pair-{number}",
                "status": "completed",
                "images": {
                    "image_1": f"{number}.jpg",
                    "image_2": f"{number + 1}.jpg",
                    "prompt": "a face",
                },
                "model_1": models[0],
                "model_2": models[1],
                **({"category": "Cinematic"} if number < 2 else {}),
                "preference.responses": ["image_1" if number in (0, 2, 3) else "both_good"],
                "preference.responses.users": ["somebody"],
                "preference.responses.status": ["submitted"],
            }
        )
    _write_lines(base / "preferences.jsonl", pairs)


@pytest.fixture(scope="session")
def odd(shared: Path) -> Path:
    """Return a release with long prompts, many values, and pairs without a category, read-only."""
    base = shared / "odd"
    release = base / "dist" / "1.0"
    with lock(shared / "odd.lock"):
        if not release.exists():
            _write_odd_sources(base)
            kinds = {"images": "faces", "captions": "captions.jsonl", "preferences": "preferences.jsonl"}
            sources = "".join(
                f'[[sources]]\nkind = "{kind}"\npath = "{base / name}"\n' for kind, name in kinds.items()
            )
            config = base / "release.toml"
            _write_settings(config, sources, ROOT / "CHANGELOG.md")
            assert main(["--version", "1.0", "--config", str(config), "--out", str(base / "dist")]) == 0
            protect(release)
    return release


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
