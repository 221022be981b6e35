"""Faults of tables by uses of tables: one fault is reported alike, whatever the table is for."""

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.sources import open_source
from builders.sources.exclusions import read_exclusions
from builders.sources.images.sfhq import COLUMNS, TABLE_NAME
from builders.sources.intake import SourceOptions
from publish.release import main
from schemas.problems import Problem, SourceError
from tests.support import CONFIGS, good_folder, image_bytes
from tests.test_cases import write_settings

NAMES = [f"FLUX1_{kind}_image_{number:07d}.jpg" for number, kind in enumerate(("schnell", "dev"))]
XLSX = ("[Content_Types].xml", "xl/workbook.xml")
LONG = 131_073  # one character more than a cell may have


@dataclass(frozen=True)
class Use:
    """What a table is for.

    Attributes:
        kind: A key of `SOURCES`; None for the list of exclusions.
        rows: A good table, its header first; the first cell of a row names an image.
        text: Index of a column with free text.
    """

    kind: str | None
    rows: Sequence[Sequence[str]]
    text: int = 1

    def table(self) -> bytes:
        """Write the table as CSV."""
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows(self.rows)
        return file.getvalue().encode()

    def place(self, folder: Path) -> Path:
        """Return where the table is to be written, with what it needs beside it."""
        if self.kind not in ("sfhq", "images"):
            return folder / "table.csv"
        images = good_folder(folder / "collection", 2).write()
        (images / TABLE_NAME).unlink()
        return images / (TABLE_NAME if self.kind == "sfhq" else "metadata.csv")

    def problems(self, path: Path) -> list[Problem]:
        """Read the table as a release does, and return all that is reported."""
        try:
            if self.kind is None:
                return list(read_exclusions(path).problems)
            told = path.parent if self.kind in ("sfhq", "images") else path
            sources = open_source(self.kind, told, "source", SourceOptions())
            problems = [problem for source in sources for problem in source.table_problems]
            return problems + [
                problem for source in sources for row in source.rows() for problem in row.problems
            ]
        except SourceError as error:
            return list(error.problems)


SFHQ_ROWS = [
    [name, list(CONFIGS)[number], "a face", json.dumps([*CONFIGS.values()][number])]
    for number, name in enumerate(NAMES)
]
USES = {
    "sfhq": Use("sfhq", [COLUMNS, *SFHQ_ROWS], text=2),
    "images": Use(
        "images",
        [("file_name", "prompt", "generator"), *((name, "a face, smiling", "SDXL") for name in NAMES)],
    ),
    "captions": Use("captions", [("image", "caption"), *((name, "a face, smiling") for name in NAMES)]),
    "preferences": Use(
        "preferences",
        [("img_better", "prompt", "img_worse"), (NAMES[0], "a face", NAMES[1]), (NAMES[1], "b", NAMES[0])],
    ),
    "exclusions": Use(None, [("image", "reason"), *((name, "it is blurred") for name in NAMES)]),
}


@dataclass(frozen=True)
class Fault:
    """One way in which a table is wrong.

    Attributes:
        make: Makes the file at a path, of a use.
        says: What is reported, as a regular expression; None if the table is read as if nothing were wrong.
        fix: What is advised, as a regular expression.
        but_for: A use in which the table is good.
    """

    make: Callable[[Path, Use], object]
    says: str | None
    fix: str = ""
    but_for: str = ""


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path, Use], object]:
    return lambda path, use: path.write_bytes(change(use.table()))


def with_text(text: bytes) -> Callable[[Path, Use], object]:
    """Put a text into the last row's cell of free text."""

    def make(path: Path, use: Use) -> None:
        rows = [list(row) for row in use.rows]
        rows[-1][use.text] = "@"
        data = Use(use.kind, rows).table()
        path.write_bytes(data.replace(b"@", text))

    return make


def repeat_column(path: Path, use: Use) -> None:
    path.write_bytes(Use(use.kind, [[*row, row[use.text]] for row in use.rows]).table())


def drop_column(path: Path, use: Use) -> None:
    path.write_bytes(Use(use.kind, [row[1:] for row in use.rows]).table())


def separated(sign: str) -> Callable[[Path, Use], object]:
    def make(path: Path, use: Use) -> None:
        file = io.StringIO()
        csv.writer(file, delimiter=sign, lineterminator="\n").writerows(use.rows)
        path.write_text(file.getvalue())

    return make


def zipped(names: Iterable[str]) -> Callable[[bytes], bytes]:
    def change(table: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, table)
        return file.getvalue()

    return change


def tarred(table: bytes) -> bytes:
    file, entry = io.BytesIO(), tarfile.TarInfo("table.csv")
    entry.size = len(table)
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(table))
    return file.getvalue()


def encoded(encoding: str, mark: bytes = b"") -> Callable[[Path, Use], object]:
    return changed(lambda table: mark + table.decode().encode(encoding))


def make_folder(path: Path, use: Use) -> None:
    path.mkdir()
    (path / "README").touch()


def without_permission(path: Path, use: Use) -> None:
    path.write_bytes(use.table())
    path.chmod(0)


FAULTS: dict[str, Fault] = {
    # Read as if nothing were wrong
    "as TSV": Fault(separated("\t"), None),
    "byte order mark": Fault(changed(lambda table: codecs.BOM_UTF8 + table), None),
    "line ends of Windows": Fault(changed(lambda table: table.replace(b"\n", b"\r\n")), None),
    "line ends of old Macs": Fault(changed(lambda table: table.replace(b"\n", b"\r")), None),
    "no line end at the end": Fault(changed(lambda table: table.rstrip(b"\n")), None),
    "blank lines": Fault(changed(lambda table: table.replace(b"\n", b"\n\n") + b"\n\n"), None),
    # Another kind of file
    "gzip": Fault(changed(gzip.compress), "the file is compressed with gzip", "unpack it"),
    "bzip2": Fault(changed(bz2.compress), "the file is compressed with bzip2", "unpack it"),
    "xz": Fault(changed(lzma.compress), "the file is compressed with xz", "unpack it"),
    "zip": Fault(changed(zipped(["table.csv"])), "the file is a zip archive", "unpack it"),
    "empty zip": Fault(changed(zipped([])), "the file is a zip archive", "unpack it"),
    "xlsx": Fault(changed(zipped(XLSX)), "the file is an Excel workbook", "export the table from it"),
    "old Excel": Fault(
        changed(lambda table: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        "the file is an old Excel",
        "export the table from it",
    ),
    "SQLite": Fault(
        changed(lambda table: b"SQLite format 3\0" + bytes(600)), "an SQLite database", "export the table"
    ),
    "LFS pointer": Fault(
        changed(lambda table: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "the file is a pointer of Git LFS",
        "run git lfs pull",
    ),
    "web page": Fault(
        changed(lambda table: b"<!DOCTYPE html>\n<html><body>Sign in</body></html>"),
        "the file is a web page",
        "download the file itself",
    ),
    "error as XML": Fault(
        changed(lambda table: b'<?xml version="1.0"?>\n<Error>AccessDenied</Error>'),
        "the file is XML",
        "download the file itself",
    ),
    "PDF": Fault(
        changed(lambda table: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "the file is a PDF", "the table itself"
    ),
    "image": Fault(changed(lambda table: image_bytes(1)), "the file is a JPEG image", "the table itself"),
    "binary": Fault(changed(lambda table: bytes(range(256)) * 20), "binary data", "the table itself"),
    # Another encoding
    "UTF-16 with a mark": Fault(encoded("utf-16"), "the table is UTF-16", "save it as UTF-8"),
    "UTF-16, big end first": Fault(
        encoded("utf-16-be", codecs.BOM_UTF16_BE), "the table is UTF-16", "save it as UTF-8"
    ),
    "UTF-16 without a mark": Fault(
        encoded("utf-16-le"), "the table is UTF-16 without a byte order mark", "save it as UTF-8"
    ),
    "UTF-32 with a mark": Fault(encoded("utf-32"), "the table is UTF-32", "save it as UTF-8"),
    "UTF-32 without a mark": Fault(
        encoded("utf-32-le"), "the table is UTF-32 without a byte order mark", "save it as UTF-8"
    ),
    "Latin-1": Fault(with_text("visage café".encode("latin-1")), "the cell is not UTF-8", "as UTF-8"),
    "Latin-1 in the header": Fault(
        changed(lambda table: table.replace(b"\n", ",pr\xe9nom\n".encode("latin-1"), 1)),
        "the header is not text in UTF-8",
        "as UTF-8",
    ),
    "NUL": Fault(with_text(b"a\0face"), "the cell holds a NUL character", "remove the character"),
    "NULs at the end": Fault(changed(lambda table: table + bytes(4096)), "binary data", "the table itself"),
    # Other separators, headers and rows
    "semicolons": Fault(
        separated(";"), "semicolons stand between its columns", "save it with commas or tabs"
    ),
    "vertical bars": Fault(separated("|"), "vertical bars stand between", "save it with commas or tabs"),
    "empty": Fault(changed(lambda table: b""), "the table is empty", "a file with rows"),
    "blank": Fault(changed(lambda table: b"\n \n\n"), "the table is empty", "a file with rows"),
    "zeroed": Fault(changed(lambda table: bytes(len(table))), "binary data", "the table itself"),
    "blank first line": Fault(
        changed(lambda table: b"\n" + table), "its first line is blank", "the names of its columns"
    ),
    "header only": Fault(
        changed(lambda table: table.partition(b"\n")[0] + b"\n"),
        "the table has no rows",
        "a table with rows",
        but_for="exclusions",  # a list may be kept with nothing on it
    ),
    "header without a line end": Fault(
        changed(lambda table: table.partition(b"\n")[0]),
        "the table has no rows",
        "a table with rows",
        but_for="exclusions",
    ),
    "column missing": Fault(
        drop_column,
        "no such column|no column names an image|no known form of preferences",
        "add this one|rename one|the table has",
    ),
    "Git conflict": Fault(
        changed(lambda table: b"<<<<<<< HEAD\n" + table + b"=======\n" + table + b">>>>>>> x\n"),
        "conflicts of a Git merge",
        "resolve them",
    ),
    "RTF": Fault(
        changed(lambda table: rb"{\rtf1\ansi\cocoartf2 " + table + b"}"),
        "formatting .RTF.",
        "save it as plain text",
    ),
    "Excel's separator line": Fault(
        changed(lambda table: b"sep=,\n" + table), "its first line is for Excel", "remove the line"
    ),
    "OpenDocument": Fault(
        changed(
            lambda table: (
                b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
            )
        ),
        "another Office file",
        "export the table from it",
    ),
    "tar": Fault(changed(tarred), "a tar archive", "unpack it"),
    "pickle": Fault(
        changed(lambda table: pickle.dumps(table.decode())), "a Python pickle", "export the table"
    ),
    "column twice": Fault(repeat_column, "this column more than once", "remove one"),
    "cut off in a quote": Fault(with_text(b'"a face'), "the row's quotes do not match", "close the quote"),
    "cut off in a row": Fault(
        changed(lambda table: table[: table.index(b",", table.rindex(b"\n", 0, -1))]),
        r"the row has \d cells, the header has",
        "quote cells",
    ),
    "a cell too many": Fault(
        changed(lambda table: table.rstrip(b"\n") + b",x\n"),
        r"the row has \d cells, the header has",
        "quote cells",
    ),
    "long cell": Fault(
        with_text(b"x" * LONG), r"the cell has 131,073 characters, and 131,072 are allowed", "shorten it"
    ),
    # No file at all
    "missing": Fault(
        lambda path, use: None,
        "there is no such file|the folder has no|which model",  # an image folder needs no table
        "check the path|put the table|generator",
    ),
    "folder": Fault(
        make_folder,
        "this is a folder, where a table is expected|the folder has neither|which model",
        "name the file|check the path|generator",
    ),
    "pipe": Fault(lambda path, use: os.mkfifo(path), "a pipe or a device", "as a file"),
    "device": Fault(
        lambda path, use: path.symlink_to(os.devnull),
        "a pipe or a device|a link that leaves the folder",
        "as a file|put the table there",
    ),
    "link loop": Fault(lambda path, use: path.symlink_to(path), "cannot be read", "check the path"),
    "link to nothing": Fault(
        lambda path, use: path.symlink_to(path.parent / "gone"), "there is no such file", "check the path"
    ),
    "no permission": Fault(without_permission, "cannot be read: Permission denied", "permissions"),
}


@pytest.mark.parametrize("use", USES)
def test_the_good_table_has_no_fault(use: str, tmp_path: Path) -> None:
    path = USES[use].place(tmp_path)
    path.write_bytes(USES[use].table())
    assert USES[use].problems(path) == []


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_alike_whatever_the_table_is_for(name: str, use: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    path = USES[use].place(tmp_path)
    fault.make(path, USES[use])
    problems = USES[use].problems(path)
    if fault.make is without_permission and problems == [] and os.geteuid() == 0:
        pytest.skip("root may read everything")
    if fault.says is None or fault.but_for == use:
        assert problems == []
        return
    told = [problem for problem in problems if re.search(fault.says, problem.message)]
    assert told, problems
    assert re.search(fault.fix, told[0].fix), told
    assert path.name in str(told[0]) or told[0].file == str(path.parent), told
    assert str(told[0]).isprintable()


# One of each room that finds faults: the head of a file, its header, its rows, and the file system.
IN_THE_COMMAND = ("gzip", "LFS pointer", "UTF-16 without a mark", "semicolons", "header only", "link loop")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", IN_THE_COMMAND)
def test_the_command_reports_a_fault_and_writes_nothing(
    name: str, use: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[name]
    path = USES[use].place(tmp_path)
    fault.make(path, USES[use])
    settings = write_settings(tmp_path / "release.toml", {})
    if use == "exclusions":
        settings.write_text(settings.read_text() + f"exclusions = {json.dumps(str(path))}\n")
    folder = path.parent if use == "sfhq" else good_folder(tmp_path / "good", 2).write()
    told = path.parent if use == "images" else path
    flags = [] if use in ("sfhq", "exclusions") else [f"--{use}", str(told)]
    out = tmp_path / "dist"
    status = main(
        [
            "--version",
            "1.0",
            "--config",
            str(settings),
            "--out",
            str(out),
            "--sfhq",
            str(folder),
            *flags,
            "--plan",
        ]
    )
    said = re.sub(r"\s+", " ", "".join(capsys.readouterr()))
    assert "Traceback" not in said
    if fault.but_for == use:
        assert status == 0, said
        return
    assert status == 1, said
    assert fault.says is not None
    assert re.search(fault.says, said), said
    assert re.search(fault.fix, said), said
    assert path.name in said or str(path.parent) in said, said
    assert not (out / "1.0").exists()
