"""What one input of a coverage-guided run does, and the inputs that such runs start from."""

import hashlib
import io
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from builders.file_kinds import tell_file_kind, tell_other_encoding
from builders.images.files import ImageRefusedError
from builders.images.integrity import inspect_image
from builders.sources.cells import Cells, parse_literal, plain_json
from builders.sources.tables import Table, TableRow, open_table
from builders.sources.tables.json_rows import parse_json
from builders.sources.tables.json_text import JsonTable
from schemas.problems import KitError
from schemas.records import IMAGE_FORMATS
from schemas.settings import BuildSettings
from tests.fuzz.seeds import USES, WRITERS
from tests.support import image_bytes

_LIMITS = BuildSettings(max_image_pixels=1_000_000)
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_SMALL_CHUNK_CHARS = 7


def _check(is_right: object, subject: object) -> None:
    assert is_right, repr(subject)


def look_at_image(data: bytes) -> None:
    """Look at bytes as at an image; an accepted one is within the limits, and decodes in Pillow, too."""
    tell_other_encoding(data)
    kind = tell_file_kind(data)
    assert kind is None or kind.what
    try:
        facts = inspect_image(data, hashlib.sha256(data).hexdigest(), _LIMITS)
    except ImageRefusedError as refused:
        _check(refused.message and refused.fix, refused)
        return
    assert facts.format in IMAGE_FORMATS
    assert 0 < facts.width * facts.height <= _LIMITS.max_image_pixels
    assert inspect_image(data, facts.sha256, _LIMITS, facts) == facts
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == (
            facts.format,
            facts.mode,
            (facts.width, facts.height),
        )
        image.load()


def _read(make: Callable[[], Table]) -> tuple[Table, list[TableRow]] | None:
    try:
        table = make()
        return table, list(table.rows())
    except KitError as refused:
        for problem in refused.problems:
            _check(problem.message and problem.file and problem.fix, problem)
        return None


def read_table(data: bytes) -> None:
    """Read bytes as a table; JSON comes out alike in small chunks, and as the strict parser reads it."""
    with tempfile.NamedTemporaryFile(dir=_MEMORY) as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        found = _read(lambda: open_table(path))
        if found is None:
            return
        table, rows = found
        for row in rows:
            row.raw.encode()
            _check(all(problem.message and problem.fix for problem in row.problems), row)
        if not isinstance(table, JsonTable):
            return
        small = _read(lambda: JsonTable(path, chunk_chars=_SMALL_CHUNK_CHARS))
        _check(small is not None and small[1] == rows, rows)
    try:
        value = parse_json(data.decode())
    except ValueError:
        return
    _check(not isinstance(value, list) or len(rows) == len(value), rows)


def read_cell(data: bytes) -> None:
    """Read text as a cell that stands for a list or an object; what comes out can be published as JSON."""
    text = data.decode("utf-8", "replace")
    value = parse_literal(text)
    plain_json(value).encode()
    assert parse_literal(value) == value or isinstance(value, str)
    cells = Cells(TableRow(1, {"x": text}, text, ()), "table")
    for column in ("x", *cells.others(())):
        cells.items(column)
        cells.text(column, required=True)
        cells.number(column, 0, 1)
    cells.count("x")
    json.loads(cells.extras(cells.others(())) or "null")
    for problem in cells.problems:
        assert str(problem).isprintable()


def _images() -> list[bytes]:
    found = [
        image_bytes(1, kind, mode)
        for kind, mode in (("JPEG", "L"), ("JPEG", "CMYK"), ("GIF", "P"), ("TIFF", "L"))
    ]
    for kind, mode in (
        ("JPEG", "RGB"),
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
    ):
        exif = Image.Exif()
        exif[0x0112], exif[0x8769] = 6, {0x9003: "2024:01:01"}
        image, file = Image.new(mode, (9, 7)), io.BytesIO()
        ways: dict[str, dict[str, Any]] = {
            "JPEG": {"progressive": True, "comment": b"c"},
            "PNG": {"bits": 8},
            "WEBP": {"lossless": True},
        }
        image.save(file, kind, exif=exif, icc_profile=b"x" * 140, **ways[kind])
        found.append(file.getvalue())
    for kind in ("PNG", "WEBP"):
        frames, file = [Image.new("RGB", (5, 5), color) for color in ("red", "blue")], io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        found.append(file.getvalue())
    return found


def fix_checksums(data: bytes) -> bytes:
    """Correct the checksums of a PNG's chunks, which would end its reading before anything else."""
    if not data.startswith(_PNG_MAGIC):
        return data
    fixed, at = bytearray(data), len(_PNG_MAGIC)
    while at + 12 <= len(fixed):
        end = at + 8 + int.from_bytes(fixed[at : at + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(fixed)


def _tables() -> list[bytes]:
    return [write(rows) for rows in USES.values() for write in WRITERS.values()]


def _cells() -> list[bytes]:
    texts = [
        cell for rows in USES.values() for row in rows for cell in (json.dumps([*row.values()]), str(row))
    ]
    return [
        text.encode() for text in (*texts, "['a' 'b']", "[1e999, NaN]", "{'a': (1, 2)}", '{"a": {"b": [1]}}')
    ]


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes:
        run: Takes one input, and raises where something is wrong.
        seeds: Makes the inputs to start from.
        repair: Corrects what would end the reading of most changed inputs at once.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    repair: Callable[[bytes], bytes] = bytes


_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a file for each input need not reach a disk
TARGETS: Mapping[str, Target] = {
    "image": Target(look_at_image, _images, fix_checksums),
    "table": Target(read_table, _tables),
    "literal": Target(read_cell, _cells),
}
