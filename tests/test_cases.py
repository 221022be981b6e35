"""Small inputs that people really have: each folder of shared/cases, released as its case.json says.

A case accepts some of three outcomes: P, everything is published; Q, rows are set aside with their reason;
R, the run is refused before anything is written.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from publish.release import main
from tests.support import ROOT, copy_folder

CASES = ROOT.parent / "shared" / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/case.json"))
TOKEN = "hf_" + "AbCdEfGhIj0123456789" + "KlMnOpQrStUvWx"  # of a token's shape, and nobody's
SETTINGS = """
[dataset]
name = "sfhq-t2i"
title = "Faces"
repository = "org/sfhq-t2i"
summary = "Faces."
{dataset}
[release]
citation = {citation}
changelog = {changelog}
"""


def prepare(name: str, target: Path) -> dict[str, Any]:
    """Copy a case to a folder, with the files that no repository holds, and return how to run it."""
    copy_folder(CASES / name, target)
    case: dict[str, Any] = json.loads((target / "case.json").read_text(encoding="utf-8"))
    for path in target.rglob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b"@HF_TOKEN@", TOKEN.encode()))
    for file, text in case.get("raw_files", {}).items():
        with Path(os.fsdecode(os.fsencode(target) + b"/" + file.encode("latin-1"))).open("w") as raw:
            raw.write(text)
    for file, num_chars in case.get("filled", {}).items():
        (target / file).write_text("x" * num_chars)
    for file, link in case.get("links", {}).items():
        (target / file).symlink_to(link)
    return case


def write_settings(path: Path, dataset: Mapping[str, object]) -> Path:
    """Write settings with what a case says of the dataset; TOML writes strings and lists as JSON does."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in dataset.items())
    citation, changelog = (json.dumps(str(ROOT / name)) for name in ("CITATION.cff", "CHANGELOG.md"))
    path.write_text(SETTINGS.format(dataset=lines, citation=citation, changelog=changelog))
    assert tomllib.loads(path.read_text())
    return path


def contents(folder: Path) -> dict[str, tuple[int, object]]:
    """Return time and content of everything below a folder; names may be no text."""
    found: dict[str, tuple[int, object]] = {}
    for path in folder.rglob("*"):
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path)] = (path.lstat().st_mtime_ns, content)
    return found


def refuse_constant(constant: str) -> object:
    raise AssertionError(f"{constant} is not JSON")


def read_strictly(text: str) -> object:
    """Read JSON as readers in other languages do: without NaN and without numbers that become infinite."""

    def number(digits: str) -> float:
        value = float(digits)
        assert abs(value) != float("inf"), digits
        return value

    return json.loads(text, parse_constant=refuse_constant, parse_float=number)


def check_release(case: Mapping[str, Any], release: Path) -> None:
    """Compare the manifest and the tables with what a case wants."""
    counts = json.loads((release / "manifest.json").read_text())["counts"]
    for each in counts.values():
        assert each["read"] == each["published"] + sum(each["rejected"].values())
    for table, wanted in case.get("counts", {}).items():
        assert {key: counts[table][key] for key in wanted} == wanted
    for table in case.get("noted", ()):
        assert counts[table]["rejected"] or counts[table]["warnings"], counts[table]
    for table, columns in case.get("json", {}).items():
        for path in (release / table).rglob("*.parquet"):
            for row in pq.read_table(path, columns=columns).to_pylist():
                for text in filter(None, row.values()):
                    read_strictly(text)


def case_names() -> list[object]:
    """List the cases; those that make a release are slow."""
    listed: list[object] = []
    for name in NAMES:
        # A release takes 2 s, and a refusal a tenth of that.
        is_refused = json.loads((CASES / name / "case.json").read_text(encoding="utf-8"))["accept"] == "R"
        listed.append(pytest.param(name, marks=[] if is_refused else [pytest.mark.slow]))
    return listed


@pytest.mark.skipif(not NAMES, reason="there are no cases beside the project")
@pytest.mark.parametrize("name", case_names())
def test_a_case_ends_as_it_should(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = prepare(name, tmp_path / "case")
    before = contents(tmp_path / "case")
    settings = write_settings(tmp_path / "release.toml", case.get("dataset", {}))
    flags = [flag if flag.startswith("--") else str(tmp_path / "case" / flag) for flag in case["flags"]]
    sources = ["--sfhq", str(tmp_path / "case" / case["sfhq"]), *flags]
    out = tmp_path / "dist"
    status = main(["--version", "1.0", "--config", str(settings), "--out", str(out), *sources])
    said = "".join(capsys.readouterr())
    assert contents(tmp_path / "case") == before
    assert "Traceback" not in said

    table = out / "rejected" / "1.0.parquet"
    rejected = pq.read_table(table).to_pylist() if table.exists() else []
    outcome = "R" if status else "Q" if rejected else "P"
    assert outcome in case["accept"], said
    assert (out / "1.0").exists() == (status == 0)
    assert case.get("reason") in (None, *(row["reason"] for row in rejected)), said
    folded = re.sub(r"\s+", " ", said).casefold()
    assert [part for part in case.get("says", ()) if part.casefold() not in folded] == [], said
    assert [part for part in case.get("says_not", ()) if part.casefold() in folded] == [], said
    if status == 0:
        check_release(case, out / "1.0")
