"""The recipes of CONTRIBUTING that edit files: followed in a copy of the kit, and seen in a release."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, good_folder

ROOMS = ("schemas", "builders", "publish")
# Runs the command in the copy, with the tests' fast reader in place of `datasets`.
RUN = """
import sys
copy, root, *arguments = sys.argv[1:]
sys.path[:0] = [copy, root]
from publish.checks import loading
from tests.support import load_with_pyarrow
loading.load_with_datasets = load_with_pyarrow
from publish.release import main
sys.exit(main(arguments))
"""
JSON_LINES = '''
"""JSON lines: a row in each, images in base64."""

import base64
import json

import pyarrow as pa

from builders.release.formats.hashing import HashingFile
from schemas.columns import arrow_schema


class JsonLinesShard:
    def __init__(self, path, columns):
        self.schema = arrow_schema([column for column in columns if not column.image])
        self.file = HashingFile(path)

    def write_group(self, rows):
        typed = pa.Table.from_pylist([dict(row) for row in rows], schema=self.schema).to_pylist()
        for row, values in zip(rows, typed):
            values["image"] = base64.b64encode(row["image"]["bytes"]).decode()
            self.file.write(json.dumps(values).encode() + b"\\n")

    def close(self):
        self.file.close()


def read_json_lines(path, columns, *, with_images=True):
    with path.open("rb") as file:
        for line in file:
            row = json.loads(line)
            row["image"] = {"bytes": base64.b64decode(row["image"])}
            yield row
'''
SHELF = '''
"""A toy host: another folder, which holds one release."""

import shutil
from types import SimpleNamespace

from builders.files import is_intact
from publish.checks.files import read_manifest
from publish.hosts.protocol import UNWATCHED, Action, Held, HostTable
from schemas.manifest import Receipt
from schemas.problems import Problem, Reason


class ShelfSettings(HostTable):
    """The `[shelf]` table."""


class Shelf:
    def __init__(self, place):
        self.place = place

    def ready(self, *, beside=True):
        return ()

    def state(self):
        return ",".join(self.releases())

    def releases(self):
        if not self.place.exists():
            return {}
        manifest = read_manifest(self.place)
        return {manifest.version: Held("shelf", manifest.digest)}

    def manifest(self, version):
        return read_manifest(self.place)

    def plan(self, manifest, folder=None):
        is_there = manifest.version in self.releases()
        sizes = {entry.path: entry.num_bytes for entry in manifest.entries_for("shelf")}
        return SimpleNamespace(
            target="shelf", url=str(self.place), action=Action.KEEP if is_there else Action.ADD,
            problems=(), access=(), add={} if is_there else sizes, keep=sizes if is_there else {},
            remove={}, steps=("copy",), num_requests=1, notes=(),
        )

    def upload(self, folder, manifest, plan=None, watcher=UNWATCHED, *, exact=False):
        for entry in manifest.entries_for("shelf"):
            target = self.place / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / entry.path, target)
        return True

    def verify(self, manifest):
        return tuple(
            Problem(Reason.RELEASE, "other bytes", file=entry.path, fix="send it again")
            for entry in manifest.entries_for("shelf")
            if not is_intact(self.place / entry.path, entry.num_bytes, entry.sha256)
        )

    def read_back(self, manifest, paths=None, watcher=UNWATCHED):
        return self.verify(manifest)

    def finish(self, manifest):
        pass

    def accompany(self, manifest, watcher=UNWATCHED):
        pass

    def verify_beside(self, manifest):
        return ()

    def withdraw(self, version, reason):
        return False

    def receipt(self, manifest):
        return Receipt(
            target="shelf", url=str(self.place), version=manifest.version, revision="shelf",
            manifest_sha256=manifest.digest,
        )
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the kit, to edit."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / "kit" / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("release.toml", "CITATION.cff", "CHANGELOG.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / "kit" / name)
    return tmp_path / "kit"


def insert(path: Path, before: str, line: str) -> None:
    """Put text before another that is in a file once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, (path, before)
    path.write_text(text.replace(before, line + before), encoding="utf-8")


def release(copy: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    """Release four images with a copy of the kit."""
    collection = good_folder(copy.parent / "collection").write()
    arguments = [
        *("--version", "1.0", "--config", str(copy / "release.toml")),
        *("--sfhq", str(collection), "--out", str(copy.parent / "dist"), *flags),
    ]
    return subprocess.run(
        [sys.executable, "-P", "-c", RUN, str(copy), str(ROOT), *arguments],
        cwd=copy.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def add_json_lines(copy: Path) -> None:
    """Follow the recipe for a format, except for its line in `FORMATS`."""
    (copy / "builders/release/formats/jsonlines.py").write_text(JSON_LINES)
    line = '    JSON_LINES = "jsonlines", "jsonl", "application/jsonl", "Rows as JSON, for a test."\n\n'
    insert(copy / "schemas/configs.py", "    def __new__(", line)


@pytest.mark.slow
def test_a_format_is_one_module_and_its_lines_in_two_tables(copy: Path) -> None:
    add_json_lines(copy)
    table = copy / "builders/release/formats/__init__.py"
    insert(
        table,
        "from builders.release.formats.parquet import",
        "from builders.release.formats.jsonlines import JsonLinesShard, read_json_lines\n",
    )
    insert(
        table,
        "        Format.WEBDATASET: FormatKind(",
        "        Format.JSON_LINES: FormatKind(JsonLinesShard, read_json_lines),\n",
    )
    done = release(copy)
    assert done.returncode == 0, done.stderr
    folder = copy.parent / "dist" / "1.0"
    (path,) = (folder / "jsonlines").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    images = {base64.b64decode(row["image"]) for row in rows}
    assert images == {each.read_bytes() for each in (copy.parent / "collection/images").iterdir()}
    assert "### Format jsonlines" in (folder / "README.md").read_text()
    croissant = json.loads((folder / "croissant.json").read_text())
    kinds = {each["@id"]: each["encodingFormat"] for each in croissant["distribution"]}
    assert kinds[f"jsonlines/{path.name}"] == "application/jsonl"


@pytest.mark.slow
def test_a_format_that_is_half_there_is_an_error(copy: Path) -> None:
    add_json_lines(copy)
    done = release(copy)
    assert done.returncode != 0
    assert "formats without a line in FORMATS: ['jsonlines']" in done.stderr


@pytest.mark.slow
def test_a_host_is_one_folder_and_one_entry(copy: Path) -> None:
    folder = copy / "publish/hosts/shelf"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "target.py").write_text(SHELF)
    table = copy / "publish/hosts/__init__.py"
    insert(
        table,
        "from publish.hosts.protocol import",
        "from publish.hosts.shelf.target import Shelf, ShelfSettings\n",
    )
    entry = (
        '    HostKind(name="shelf", title="the shelf", settings_key="shelf", settings=ShelfSettings,\n'
        "        formats=(Format.PARQUET,), default_formats=(Format.PARQUET,), keeps_tars=False,\n"
        '        is_atomic=False, open=lambda _, settings, out, options: Shelf(out.parent / "shelf")),\n'
    )
    insert(table, ")\nTARGETS = ", entry)
    done = release(copy, "--to", "shelf")
    assert done.returncode == 0, done.stderr
    there, built = copy.parent / "shelf", copy.parent / "dist" / "1.0"
    assert (there / "manifest.json").read_bytes() == (built / "manifest.json").read_bytes()
    assert list((there / "images").glob("*.parquet"))
    assert not (there / "webdataset").exists()
    receipts = (copy.parent / "dist").rglob("1.0.shelf*")
    assert any('"shelf"' in each.read_text() for each in receipts)
