"""Bad inputs, one by one: each is told with its place, value and remedy, and costs nothing else."""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from schemas.problems import Reason, Severity, SourceError
from schemas.settings import BuildSettings
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes, read_folders, tree_digest

Spoil = Callable[[SfhqFolder], None]


@dataclass(frozen=True)
class Case:
    """One way to spoil a good folder of four rows, and what must be said of it.

    Attributes:
        spoil: Does it.
        reason: Kind of problem.
        says: Part of its message.
        row: Row that it is told for; None for a file.
        column: Column that it is told for.
        published: Rows that are published all the same.
        rejected: Rows and images that are set aside.
    """

    spoil: Spoil
    reason: Reason
    says: str
    row: int | None = 3
    column: str | None = "image_filename"
    published: int = 3
    rejected: int = 1


def set_cell(column: int, text: str) -> Spoil:
    """Replace one cell of the second row (row 3 of the table)."""

    def spoil(folder: SfhqFolder) -> None:
        folder.rows[1][column] = text

    return spoil


def set_config(change: dict[str, object], row: int = 1) -> Spoil:
    """Change the settings of a row."""

    def spoil(folder: SfhqFolder) -> None:
        folder.rows[row][3] = json.dumps(json.loads(folder.rows[row][3]) | change)

    return spoil


def set_image(data: bytes) -> Spoil:
    """Replace the second row's image."""

    def spoil(folder: SfhqFolder) -> None:
        folder.images[f"images/{folder.rows[1][0]}"] = data

    return spoil


def png_with_exif(exif: bytes) -> bytes:
    """Make a PNG with these EXIF data, which `datasets` reads when it loads the image."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", exif=exif)
    return file.getvalue()


def set_table(change: Callable[[bytes], bytes]) -> Spoil:
    """Change the table's bytes after it is made."""

    def spoil(folder: SfhqFolder) -> None:
        folder.write()
        folder.table = change((folder.path / "SFHQ_T2I_dataset.csv").read_bytes())

    return spoil


def damage(change: Callable[[bytes], bytes]) -> Spoil:
    """Change the bytes of the second row's image, a larger one than usual."""
    return set_image(change(image_bytes(1, size=(320, 320))))


def zero_middle(data: bytes) -> bytes:
    """Overwrite a stretch of the compressed data, which a lenient decoder passes in silence."""
    middle = len(data) // 2
    return data[:middle] + bytes(400) + data[middle + 400 :]


def no_image(folder: SfhqFolder) -> None:
    """Take the second row's image away."""
    del folder.images[f"images/{folder.rows[1][0]}"]


def other_case(folder: SfhqFolder) -> None:
    """Write the image's name with an extension in capitals."""
    name = f"images/{folder.rows[1][0]}"
    folder.images[name.replace(".jpg", ".JPG")] = folder.images.pop(name)


def stray_image(folder: SfhqFolder) -> None:
    """Add an image that no row names."""
    folder.images["images/stray.jpg"] = image_bytes(99)


def set_stray(name: str) -> Spoil:
    """Add an image that no row names, at a place."""

    def spoil(folder: SfhqFolder) -> None:
        folder.images[name] = image_bytes(99)

    return spoil


def same_bytes(folder: SfhqFolder) -> None:
    """Return the third image the second's bytes."""
    folder.images[f"images/{folder.rows[2][0]}"] = folder.images[f"images/{folder.rows[1][0]}"]


def same_row(folder: SfhqFolder) -> None:
    """Repeat the second row at the end."""
    folder.rows.append(list(folder.rows[1]))


def other_prompt(folder: SfhqFolder) -> None:
    """Repeat the second row with another prompt."""
    folder.rows.append([*folder.rows[1][:2], "another prompt", folder.rows[1][3]])


def two_contents(folder: SfhqFolder) -> None:
    """Put another image of the second's name into `images/images/`."""
    folder.images[f"images/images/{folder.rows[1][0]}"] = image_bytes(77)


def folder_for_image(folder: SfhqFolder) -> None:
    """Put a folder where the second image should be."""
    no_image(folder)
    (folder.path / "images" / folder.rows[1][0]).mkdir(parents=True)


def pipe_for_image(folder: SfhqFolder) -> None:
    """Put a named pipe, which blocks whoever opens it, where the second image should be."""
    no_image(folder)
    (folder.path / "images").mkdir(parents=True)
    os.mkfifo(folder.path / "images" / folder.rows[1][0])


def link_outside(folder: SfhqFolder) -> None:
    """Put a link to a file elsewhere in place of the second image."""
    no_image(folder)
    outside = folder.path.parent / "secret.jpg"
    outside.write_bytes(image_bytes(55))
    (folder.path / "images").mkdir(parents=True)
    (folder.path / "images" / folder.rows[1][0]).symlink_to(outside)


def link_to_itself(folder: SfhqFolder) -> None:
    """Put a link that leads back to itself in place of the second image."""
    no_image(folder)
    (folder.path / "images").mkdir(parents=True)
    path = folder.path / "images" / folder.rows[1][0]
    path.symlink_to(path.name)


def dangling_link(folder: SfhqFolder) -> None:
    """Put a link to nothing in place of the second image."""
    no_image(folder)
    (folder.path / "images").mkdir(parents=True)
    (folder.path / "images" / folder.rows[1][0]).symlink_to("nothing.jpg")


def png_bomb() -> bytes:
    """Make a PNG whose header claims far more pixels than it has bytes."""
    data = bytearray(image_bytes(1, "PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def animation() -> bytes:
    """Make a WebP of two frames."""
    file = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    return file.getvalue()


def name_case(name: str, reason: Reason = Reason.UNSAFE_NAME, says: str = "plain file name") -> Case:
    """Return the second row another name, which leaves its image without a row."""
    return Case(set_cell(0, name), reason, says, rejected=2)


CASES = {
    # names
    "empty name": name_case("", Reason.EMPTY_NAME, "names no image"),
    "parent folder": name_case("../x.jpg"),
    "deep escape": name_case("a/../../x.jpg"),
    "absolute": name_case("/etc/passwd"),
    "backslash": name_case("..\\x.jpg"),
    "drive": name_case("C:x.jpg"),
    "dots": name_case(".."),
    "NUL in name": name_case("a\0.jpg", Reason.CONTROL_CHARACTER, "NUL"),
    "escape code": name_case("\x1b[31m.jpg"),
    "line break in name": name_case("a\nb.jpg"),
    "long name": name_case("x" * 300 + ".jpg"),
    # images that are not there, or not only there
    "no image": Case(no_image, Reason.IMAGE_MISSING, "no such image"),
    "other case": Case(other_case, Reason.IMAGE_MISSING, "no such image", rejected=2),
    "stray image": Case(
        stray_image, Reason.IMAGE_WITHOUT_ROW, "no row of", row=None, column=None, published=4, rejected=1
    ),
    "stray of another format": Case(
        set_stray("images/stray.GIF"),
        Reason.IMAGE_WITHOUT_ROW,
        "no row of",
        row=None,
        column=None,
        published=4,
    ),
    "stray in a folder below": Case(
        set_stray("images/batch_2/deep/stray.jfif"),
        Reason.IMAGE_WITHOUT_ROW,
        "no row of",
        row=None,
        column=None,
        published=4,
    ),
    "stray beside the images": Case(
        set_stray("batch_2/stray.png"),
        Reason.IMAGE_WITHOUT_ROW,
        "no row of",
        row=None,
        column=None,
        published=4,
    ),
    "same bytes": Case(same_bytes, Reason.DUPLICATE_IMAGE, "same bytes as good/FLUX1_dev", row=4),
    "same row": Case(same_row, Reason.DUPLICATE_ROW, "row 3 says the same", row=6, published=4),
    "contradiction": Case(other_prompt, Reason.CONFLICTING_ROWS, "rows 3, 6", rejected=2),
    "two contents": Case(two_contents, Reason.NAME_WITH_TWO_CONTENTS, "images/ and images/images/"),
    "folder": Case(folder_for_image, Reason.NOT_A_REGULAR_FILE, "not a regular file"),
    "named pipe": Case(pipe_for_image, Reason.NOT_A_REGULAR_FILE, "not a regular file"),
    "link outside": Case(link_outside, Reason.LINK_LEAVES_FOLDER, "leaves the folder"),
    "link to itself": Case(link_to_itself, Reason.NOT_A_REGULAR_FILE, "not a regular file"),
    "dangling link": Case(dangling_link, Reason.NOT_A_REGULAR_FILE, "not a regular file"),
    # images that are no good
    "empty file": Case(set_image(b""), Reason.IMAGE_FORMAT, "not an image"),
    "text": Case(set_image(b"not an image at all"), Reason.IMAGE_FORMAT, "not an image"),
    "GIF": Case(set_image(image_bytes(1, "GIF", "L")), Reason.IMAGE_FORMAT, "not an image"),
    "TIFF": Case(set_image(image_bytes(1, "TIFF")), Reason.IMAGE_FORMAT, "not an image"),
    "animation": Case(set_image(animation()), Reason.IMAGE_FORMAT, "not a single image"),
    "truncated": Case(damage(lambda data: data[: len(data) // 2]), Reason.IMAGE_DAMAGED, "does not decode"),
    "last bytes gone": Case(damage(lambda data: data[:-2]), Reason.IMAGE_DAMAGED, "does not decode"),
    "zeroed": Case(damage(zero_middle), Reason.IMAGE_DAMAGED, "does not decode"),
    "truncated PNG": Case(set_image(image_bytes(1, "PNG")[:-30]), Reason.IMAGE_DAMAGED, "does not decode"),
    "EXIF of nothing": Case(set_image(png_with_exif(b"nothing")), Reason.IMAGE_DAMAGED, "not a TIFF file"),
    "truncated WebP": Case(set_image(image_bytes(1, "WEBP")[:-30]), Reason.IMAGE_DAMAGED, "does not decode"),
    "pixel bomb": Case(set_image(png_bomb()), Reason.IMAGE_TOO_LARGE, "pixels"),
    "large file": Case(set_image(bytes(2_000_000)), Reason.IMAGE_TOO_LARGE, "larger than"),
    # generators and settings
    "unknown generator": Case(
        set_cell(1, "FLUX1_Dev2"), Reason.UNKNOWN_GENERATOR, "not a known generator", column="model_used"
    ),
    "no generator": Case(
        set_cell(1, ""), Reason.UNKNOWN_GENERATOR, "not a known generator", column="model_used"
    ),
    "not JSON": Case(set_cell(3, "{seed: 1}"), Reason.BAD_CONFIG, "not a JSON object", column="configs"),
    "Python literal": Case(
        set_cell(3, "{'seed': 1}"), Reason.BAD_CONFIG, "not a JSON object", column="configs"
    ),
    "JSON list": Case(set_cell(3, "[1]"), Reason.BAD_CONFIG, "it is a list", column="configs"),
    "NaN": Case(
        set_cell(3, '{"guidance_scale": NaN}'), Reason.BAD_CONFIG, "NaN is not JSON", column="configs"
    ),
    "key twice": Case(
        set_cell(3, '{"seed": 1, "seed": 2}'), Reason.BAD_CONFIG, "stands twice", column="configs"
    ),
    "deep JSON": Case(set_cell(3, "[" * 100_000), Reason.BAD_CONFIG, "not a JSON object", column="configs"),
    "lone surrogate": Case(
        set_cell(3, '{"image_size": "\\ud800"}'), Reason.BAD_CONFIG, "not a JSON object", column="configs"
    ),
    "NUL in JSON": Case(set_cell(3, '{"image_size": "\\u0000"}'), Reason.BAD_CONFIG, "NUL", column="configs"),
    "seed too large": Case(
        set_config({"seed": 2**32}), Reason.BAD_CONFIG, "less than or equal to", column="configs.seed"
    ),
    "seed negative": Case(
        set_config({"seed": -1}), Reason.BAD_CONFIG, "greater than or equal to", column="configs.seed"
    ),
    "seed in quotes": Case(
        set_config({"seed": "1"}), Reason.BAD_CONFIG, "valid integer", column="configs.seed"
    ),
    "steps of half": Case(
        set_config({"num_inference_steps": 1.5}),
        Reason.BAD_CONFIG,
        "valid integer",
        column="configs.num_inference_steps",
    ),
    "true for a number": Case(
        set_config({"guidance_scale": True}),
        Reason.BAD_CONFIG,
        "valid number",
        column="configs.guidance_scale",
    ),
    "infinite": Case(
        set_cell(3, '{"guidance_scale": 1e999}'),
        Reason.BAD_CONFIG,
        "finite number",
        column="configs.guidance_scale",
    ),
    "infinite and unknown": Case(
        set_cell(3, '{"seed": 1, "more": {"scales": [1, 1e999]}}'),
        Reason.BAD_CONFIG,
        "the number is too large to be",
        column="configs.more.scales.1",
    ),
    "tolerance": Case(
        set_config({"safety_tolerance": "9"}, row=2),
        Reason.BAD_CONFIG,
        "less than or equal to",
        row=4,
        column="configs.safety_tolerance",
    ),
    **{
        f"{kind} without {cut} bytes": Case(
            set_image(image_bytes(1, kind)[:-cut]),
            Reason.IMAGE_DAMAGED,
            "cut off: the last chunk" if kind == "PNG" else "the image does not decode",
        )
        for kind in ("PNG", "WEBP", "JPEG")
        for cut in (1, 12)
    },
    # the table's text
    "not UTF-8": Case(
        set_table(lambda table: table.replace(b"prompt 1", b"pr\xe9mpt 1")),
        Reason.NOT_UTF8,
        "not UTF-8",
        column="text_prompt",
    ),
    "NUL in prompt": Case(set_cell(2, "a\0b"), Reason.CONTROL_CHARACTER, "NUL", column="text_prompt"),
    "too few cells": Case(
        set_table(lambda table: table.replace(b",prompt 1,", b",")),
        Reason.WRONG_CELL_COUNT,
        "3 cells, the header has 4",
        column=None,
        rejected=2,
    ),
    "too many cells": Case(
        set_table(lambda table: table.replace(b"prompt 1", b"prompt, 1")),
        Reason.WRONG_CELL_COUNT,
        "5 cells",
        column=None,
        rejected=2,
    ),
    "text after quote": Case(
        set_table(lambda table: table.replace(b"prompt 1", b'"prompt" 1')),
        Reason.BROKEN_QUOTES,
        "quotes do not match",
        column=None,
        rejected=2,
    ),
    "quote never closed": Case(
        set_table(lambda table: table.replace(b"prompt 3", b'"prompt 3')),
        Reason.BROKEN_QUOTES,
        "quotes do not match",
        row=5,
        column=None,
        rejected=2,
    ),
    "huge cell": Case(
        set_table(lambda table: table.replace(b"prompt 3", b"x" * 200_000)),
        Reason.CELL_TOO_LONG,
        "200,000 characters, and 131,072 are allowed",
        row=5,
        column="text_prompt",
        rejected=2,
    ),
    "huge cell in lines": Case(
        set_table(lambda table: table.replace(b"prompt 1", b'"' + b"x,\n" * 70_000 + b'"')),
        Reason.CELL_TOO_LONG,
        "210,000 characters, and 131,072 are allowed",
        column="text_prompt",
        rejected=2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_and_nothing_is_lost(name: str, tmp_path: Path, work: Path) -> None:
    case = CASES[name]
    folder = good_folder(tmp_path / "good")
    case.spoil(folder)
    path = folder.write()
    before = tree_digest(path) if case.reason is not Reason.NOT_A_REGULAR_FILE else None

    reading = read_folders(work, path, settings=BuildSettings(max_image_bytes=1_000_000))

    problem = next(problem for problem in reading.problems if problem.reason is case.reason)
    assert case.says in problem.message
    assert (problem.row, problem.column) == (case.row, case.column)
    assert problem.file
    assert problem.fix
    assert problem.severity is Severity.REJECTED
    assert "\x1b" not in str(problem)
    assert "\0" not in str(problem)
    counts = reading.counts
    assert (counts.published, sum(counts.rejected.values())) == (case.published, case.rejected)
    assert counts.read == len(reading.published) + len(reading.rejected)
    assert case.reason in counts.rejected
    if before is not None:
        assert tree_digest(path) == before


def test_all_problems_of_a_row_are_told_at_once(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    folder.rows[1][0] = "missing.jpg"
    set_config({"seed": -1, "guidance_scale": "x"})(folder)
    reading = read_folders(work, folder.write())
    rejected = next(row for row in reading.rejected if row.row == 3)
    assert [problem.column for problem in rejected.problems] == [
        "configs.seed",
        "configs.guidance_scale",
        "image_filename",
    ]
    assert rejected.raw.startswith("missing.jpg,FLUX1_dev,prompt 1,")


def test_near_misses_are_named(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    other_case(folder)
    folder.rows[2][1] = "flux1_PRO"
    fixes = {problem.reason: problem.fix for problem in read_folders(work, folder.write()).problems}
    assert fixes[Reason.IMAGE_MISSING] == "did you mean FLUX1_dev_image_0000001.JPG?"
    assert fixes[Reason.UNKNOWN_GENERATOR].startswith("did you mean FLUX1_pro?")


def test_the_same_image_in_two_folders_is_one_image_with_two_origins(tmp_path: Path, work: Path) -> None:
    first, second = good_folder(tmp_path / "a"), good_folder(tmp_path / "b")
    name = first.rows[0][0]
    second.rows[0][0] = "renumbered.jpg"
    second.images["images/renumbered.jpg"] = second.images.pop(f"images/{name}")
    reading = read_folders(work, second.write(), first.write())
    counts = reading.counts
    assert (counts.read, counts.published, counts.num_rows, counts.rejected) == (8, 8, 4, {})
    assert {row["source"] for row in reading.published} == {"a"}
    origins = {row["file_name"]: row["other_origins"] for row in reading.published}
    assert origins.pop(name) == ["b/renumbered.jpg"]
    assert all(others == [f"b/{file_name}"] for file_name, others in origins.items())


def test_folders_that_contradict_each_other_about_an_image_publish_none(tmp_path: Path, work: Path) -> None:
    first, second = good_folder(tmp_path / "a"), good_folder(tmp_path / "b")
    second.rows[1][2] = "another prompt"
    reading = read_folders(work, first.write(), second.write())
    assert reading.counts.rejected == {"conflicting_rows": 2}
    assert (reading.counts.published, reading.counts.num_rows) == (6, 3)
    name = first.rows[1][0]
    assert f"a/{name}, b/{name} have the same bytes, and their rows contradict each other" in str(
        reading.problems[-1]
    )


def test_one_name_for_different_images_in_two_folders_is_two_images(tmp_path: Path, work: Path) -> None:
    first, second = good_folder(tmp_path / "a"), good_folder(tmp_path / "b")
    name = first.rows[0][0]
    second.images = {f"images/{name}": image_bytes(500)}
    second.rows = second.rows[:1]
    reading = read_folders(work, first.write(), second.write())
    assert reading.counts.warnings == {"shared_name": 1}
    assert sorted(str(row["source"]) for row in reading.published if row["file_name"] == name) == ["a", "b"]


TABLES = {
    "empty": (b"", "the table is empty"),
    "UTF-16": ("image_filename,model_used".encode("utf-16"), "UTF-16"),
    "no prompts": (b"image_filename,model_used,configs\n", "no such column"),
    "renamed": (b"file,model_used,text_prompt,configs\n", "no such column"),
    "twice": (b"image_filename,model_used,text_prompt,configs,configs\n", "more than once"),
    "header of one quote": (b'"image_filename', "header cannot be read"),
    "semicolons": (b"image_filename;model_used;text_prompt;configs\n", "semicolons stand between"),
    "vertical bars": (b"image_filename|model_used|text_prompt|configs\n", "vertical bars stand between"),
    "UTF-16 without a mark": ("image_filename,model_used\n".encode("utf-16-be"), "UTF-16 without a byte"),
    "an image": (image_bytes(1), "the file is a JPEG image"),
    "gzip": (gzip.compress(b"image_filename,model_used\n"), "compressed with gzip → unpack it"),
    "pointer of LFS": (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
    "web page": (b"\n<!DOCTYPE HTML><html>", "a web page"),
    "JSON": (b'[{"image_filename": "a.jpg"}]', "the table is JSON, and must be CSV"),
    "Parquet": (b"PAR1", "the table is Parquet, and must be CSV"),
}


@pytest.mark.parametrize("name", TABLES)
def test_unusable_table_stops_the_run(name: str, tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    folder.table, says = TABLES[name]
    with pytest.raises(SourceError, match=says) as caught:
        read_folders(work, folder.write())
    assert all(problem.severity is Severity.BLOCKING and problem.file for problem in caught.value.problems)


def test_missing_columns_are_all_told_at_once(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    folder.table = b"a,b\n"
    with pytest.raises(SourceError) as caught:
        read_folders(work, folder.write())
    columns = [problem.column for problem in caught.value.problems]
    assert columns == ["image_filename", "model_used", "text_prompt", "configs"]


def test_missing_folder_and_missing_table_say_so(tmp_path: Path, work: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        read_folders(work, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="it has no CSV file"):
        read_folders(work, tmp_path / "empty")


def test_a_folder_without_a_table_says_where_one_may_be(tmp_path: Path, work: Path) -> None:
    for name in ("archive_1", "archive_2"):
        good_folder(tmp_path / "parent" / name).write()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metadata.jsonl").write_text("{}\n")
    (tmp_path / "packed.zip").write_bytes(b"PK\3\4")
    table = tmp_path / "parent" / "archive_1" / "SFHQ_T2I_dataset.csv"
    for place, says in (
        (tmp_path / "parent", "parent/archive_1, .*parent/archive_2"),
        (tmp_path / "parent" / "archive_1" / "images", "give the folder above it, .*archive_1"),
        (tmp_path / "other", "but metadata.jsonl; write a table with the columns image_filename,"),
        (tmp_path / "packed.zip", "this is a zip archive, and not a folder → unpack it"),
        (table, f"this is a file, and not a folder → give the folder that has it, {table.parent}"),
    ):
        with pytest.raises(SourceError, match=says):
            read_folders(work, place)


def test_files_of_macos_are_neither_tables_nor_strays(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    path = folder.write()
    (path / "SFHQ_T2I_dataset.csv").rename(path / "faces.csv")
    for name in ("._faces.csv", f"images/._{folder.rows[0][0]}"):
        (path / name).write_bytes(b"\0\5\x16\7" + bytes(60))
    counts = read_folders(work, path).counts
    assert (counts.read, counts.published) == (4, 4)


@pytest.mark.parametrize(
    ("data", "says", "fix"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "run git lfs pull"),
        (b"<!DOCTYPE html>", "a web page", "download the file itself"),
        (b"\x1f\x8b\x08", "compressed with gzip", "unpack it"),
        (b"GIF89a", "a GIF image", "save it as JPEG, PNG or WebP"),
        (b"\0\0\0\x1cftypheic", "an AVIF or HEIC image", "save it as JPEG, PNG or WebP"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image", "replace it with the original"),
    ],
)
def test_a_file_that_is_no_image_is_named(
    data: bytes, says: str, fix: str, tmp_path: Path, work: Path
) -> None:
    folder = good_folder(tmp_path / "good")
    folder.images[f"images/{folder.rows[0][0]}"] = data
    (problem,) = read_folders(work, folder.write()).problems
    assert says in str(problem)
    assert fix in str(problem)


LOOK_AT_IMAGE = """
import hashlib, sys
from builders.images.integrity import inspect_image
from schemas.settings import BuildSettings

data = sys.stdin.buffer.read()
print(inspect_image(data, hashlib.sha256(data).hexdigest(), BuildSettings()).format)
"""


def test_metadata_that_readers_skip_is_no_line_of_the_report() -> None:
    """Pillow warns of them; pytest makes errors of warnings, so this needs a process of its own."""
    maker = struct.pack("<HHII", 0x010F, 2, 1000, 26)  # a text of 1000 bytes, which are not there
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + maker + bytes(4)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    command = [sys.executable, "-c", LOOK_AT_IMAGE]
    done = subprocess.run(command, input=file.getvalue(), cwd=ROOT, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"JPEG\n", b"")


def test_a_table_that_is_a_link_outside_stops_the_run(tmp_path: Path, work: Path) -> None:
    elsewhere = good_folder(tmp_path / "elsewhere").write()
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "SFHQ_T2I_dataset.csv").symlink_to(elsewhere / "SFHQ_T2I_dataset.csv")
    with pytest.raises(SourceError, match="leaves the folder"):
        read_folders(work, tmp_path / "good")


def test_names_that_no_terminal_should_obey_are_escaped(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    folder.images["images/\x1b[2Jstray\n.jpg"] = image_bytes(50)
    path = folder.write()
    (path / "images" / folder.rows[0][0]).rename(path / "images" / os.fsdecode(b"caf\xe9.jpg"))
    told = [str(problem) for problem in read_folders(work, path).problems]
    assert any("\\x1b[2Jstray\\n.jpg: no row" in text for text in told)
    assert any("caf\\xe9.jpg: no row" in text for text in told)
    assert all(text.isprintable() for text in told)


def test_a_very_wide_image_is_an_image_like_any_other(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    folder.images[f"images/{folder.rows[0][0]}"] = image_bytes(1, "PNG", "L", (70_000, 1))
    assert 70_000 in {row["width"] for row in read_folders(work, folder.write()).published}


def test_image_folder_that_is_a_link_outside_stops_the_run(tmp_path: Path, work: Path) -> None:
    elsewhere = good_folder(tmp_path / "elsewhere").write()
    folder = good_folder(tmp_path / "good")
    folder.images = {}
    path = folder.write()
    (path / "images").symlink_to(elsewhere / "images")
    with pytest.raises(SourceError, match="leaves its source"):
        read_folders(work, path)
