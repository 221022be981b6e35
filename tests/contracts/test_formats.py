"""What holds for every format in the table: one suite, run over each of them."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from builders.release.formats import FORMATS, FormatKind, complete
from publish.checks.files import read_manifest
from publish.checks.release import check_release
from schemas.columns import arrow_schema
from schemas.configs import CONFIGS, Format
from schemas.manifest import Shard
from schemas.problems import KitError
from tests.support import image_bytes, rewrite_manifest

COLUMNS = CONFIGS["default"].columns
DAMAGED = (KitError, pa.ArrowException, OSError, ValueError, KeyError, TypeError)
every_format = pytest.mark.parametrize("name", Format)


def rows(number: int) -> list[dict[str, Any]]:
    """Make rows of the config `default`, of which every other one has only what it must have."""
    made = []
    for index in range(number):
        data = image_bytes(index)
        digest = hashlib.sha256(data).hexdigest()
        row = {column.name: None if column.nullable else _value(column.arrow) for column in COLUMNS}
        row |= {
            "image": {"bytes": data, "path": None},
            "image_id": digest[:16],
            "sha256": digest,
            "generator": ("SDXL", "FLUX1_dev")[index % 2],
            "prompt": "a “face”, 脸\n\N{GRINNING FACE}" if index % 2 else None,
            "captions": [f"caption {index}", "another"] if index % 2 else [],
            "prompt_attributes": [{"attribute": "sex", "value": "woman"}] if index % 2 else [],
        }
        made.append(row)
    # With every key and in the types of the columns, as rows are read back.
    others = [column for column in COLUMNS if not column.image]
    typed = pa.Table.from_pylist(made, schema=arrow_schema(others)).to_pylist()
    return [{"image": row["image"], **values} for row, values in zip(made, typed, strict=True)]


def _value(arrow: pa.DataType) -> Any:
    if pa.types.is_string(arrow):
        return "text"
    return [] if pa.types.is_list(arrow) else 1


def write(name: Format, path: Path, made: list[dict[str, Any]]) -> tuple[int, str]:
    """Write rows in two groups; return the size and the digest that the writer states."""
    file = FORMATS[name].write(path, COLUMNS)
    file.write_group(made[:3])
    file.write_group(made[3:])
    file.close()
    return file.file.num_bytes, file.file.sha256


def read(name: Format, path: Path, *, with_images: bool = True) -> list[Mapping[str, Any]]:
    """Read all rows back."""
    return list(FORMATS[name].read(path, COLUMNS, with_images=with_images))


@every_format
def test_rows_come_back_as_they_were_written(name: Format, tmp_path: Path) -> None:
    made, path = rows(7), tmp_path / f"train-00000.{name.extension}"
    write(name, path, made)
    found = read(name, path)
    assert [row["image"]["bytes"] for row in found] == [row["image"]["bytes"] for row in made]
    without = [{key: value for key, value in row.items() if key != "image"} for row in made]
    assert [{key: row[key] for key in row if key != "image"} for row in found] == without
    assert [dict(row) for row in read(name, path, with_images=False)] == without


@every_format
def test_equal_rows_make_equal_bytes_of_the_stated_size_and_digest(name: Format, tmp_path: Path) -> None:
    paths = [tmp_path / f"train-{number}.{name.extension}" for number in range(2)]
    first, second = (write(name, path, rows(7)) for path in paths)
    data = paths[0].read_bytes()
    assert first == second == (len(data), hashlib.sha256(data).hexdigest())
    assert paths[1].read_bytes() == data


@every_format
def test_a_file_that_was_cut_is_not_read_as_a_shorter_one(name: Format, tmp_path: Path) -> None:
    path = tmp_path / f"train-00000.{name.extension}"
    write(name, path, rows(7))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DAMAGED):
        read(name, path)


def shard_of(folder: Path, name: Format) -> Shard:
    """Return the file that has images in a format."""
    config = "default" if name is Format.PARQUET else name.value
    return next(shard for shard in read_manifest(folder).shards if shard.config == config)


def change_image(path: Path, image: bytes) -> None:
    """Change the last bytes of an image, wherever a format has them, plainly or in base64."""
    data = path.read_bytes()
    old, new = (base64.b64encode(each) for each in (image, image[:-2] + b"\0\0"))
    changed = data.replace(image, image[:-2] + b"\0\0", 1).replace(old, new, 1)
    assert changed != data
    path.write_bytes(changed)


@every_format
@pytest.mark.parametrize("damage", ["cut", "image"])
def test_the_check_names_a_damaged_file(name: Format, damage: str, sample_copy: Path) -> None:
    shard = shard_of(sample_copy, name)
    path = sample_copy / shard.path
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        change_image(path, read(name, path)[1]["image"]["bytes"])
    rewrite_manifest(sample_copy)  # so that the digest in it tells nothing
    assert any(str(problem.file).startswith(shard.path) for problem in check_release(sample_copy))


@pytest.mark.parametrize("name", [each for each in Format if each is not Format.PARQUET])
def test_the_check_finds_rows_that_no_file_of_a_format_has(name: Format, sample_copy: Path) -> None:
    images = shard_of(sample_copy, Format.PARQUET)
    path = sample_copy / shard_of(sample_copy, name).path
    made = read(name, path)
    columns = CONFIGS[name].columns
    file = FORMATS[name].write(path, columns)
    file.write_group(made[:-1])
    file.close()
    rewrite_manifest(sample_copy)
    found = "\n".join(map(str, check_release(sample_copy)))
    assert "it has not the rows of the file of images" in found
    assert images.num_rows == len(made)


def test_formats_differ_in_name_and_extension() -> None:
    assert len({each.extension for each in Format}) == len(Format)
    assert all(each.media_type and each.about for each in Format)
    assert {config.format for config in CONFIGS.values()} == set(Format)


def test_a_format_without_a_line_is_an_error_when_the_table_is_loaded() -> None:
    with pytest.raises(AssertionError, match="'webdataset'"):
        complete({Format.PARQUET: FORMATS[Format.PARQUET]})


def test_an_index_that_is_not_checked_is_an_error_when_the_table_is_loaded() -> None:
    half = FormatKind(
        FORMATS[Format.PARQUET].write, FORMATS[Format.PARQUET].read, write_index=lambda *_: None
    )
    with pytest.raises(AssertionError, match="written and checked"):
        complete({**FORMATS, Format.PARQUET: half})
