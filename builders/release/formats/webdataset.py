"""WebDataset as `webdataset` and `datasets` both read it: plain tar files whose members come in samples.

A sample is three members with one key, `GENERATOR-IMAGE_ID`: `KEY.jpg`, the image file's own bytes;
`KEY.json`, every other field of the row; `KEY.txt`, the prompt, empty if there is none. Nothing in a tar
depends on the machine, the user or the time, so that equal rows make equal bytes.

`datasets` takes the type of each JSON field from the first five samples of the first tar. With version 5.2,
of a field that is null or an empty list in all five a later value makes loading raise ("Couldn't cast array
of type string to null"), a field that all five lack is dropped without a word, and where they have whole
numbers a later 2.5 becomes 2. So every sample has every field, and each field has one type everywhere:

- Text is a string; null is the empty string.
- Numbers and truth values that are never null are as they are.
- Everything else (`captions`, `settings`, `other_origins`) is JSON text, which `json.loads` turns into what
  it was: null is "null", an empty list "[]", and a struct has every key.

The tars are written with Python's `tarfile`, not with the library's writer, which stamps each member with
the user and the time.

An image is called `.jpg` whatever its format, which the field `format` says: `datasets` gives no image for a
`.png` after five `.jpg`, and refuses a tar that has both among the first five. Both libraries look at the
bytes of an image, not at its name, to decode it.
"""

import itertools
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from builders.release.formats.hashing import HashingFile
from builders.release.reader import open_table
from schemas.columns import Column, ColumnSpec, arrow_schema, columns_of
from schemas.configs import CONFIGS
from schemas.manifest import Shard
from schemas.problems import BuildError, Problem, Reason
from schemas.records import ID_CHARS, Identifier, SplitName

INDEX_PATH = f"{CONFIGS['webdataset'].folder}/index.parquet"
SIZES_PATH = f"{CONFIGS['webdataset'].folder}/sizes.json"
_EXTENSIONS = ("jpg", "json", "txt")
_BLOCK_BYTES = 512
_END = bytes(2 * _BLOCK_BYTES)
# USTAR has 100 bytes for a name.
_MAX_GENERATOR_CHARS = 60
_KEY = re.compile(rf"[A-Za-z0-9_]{{1,{_MAX_GENERATOR_CHARS}}}-(?P<image_id>[0-9a-f]{{{ID_CHARS}}})")

_Offset = Annotated[int, Field(ge=0), Column(unit="bytes")]
_Size = Annotated[int, Field(ge=0), Column(unit="bytes")]


class IndexRow(BaseModel):
    """Where one sample lies: a reader has any file of it with one seek, or one HTTP range."""

    key: str = Field(description="Key of the sample: its generator and its `image_id`.")
    image_id: Identifier = Field(description="The image, as in the other configs.")
    split: SplitName = Field(description="Split that the sample belongs to.")
    shard: str = Field(description="Tar that the sample is in, beside this file.")
    image_offset: _Offset = Field(description="Position of the image's first byte in the tar.")
    image_size: _Size = Field(description="Size of the image.")
    json_offset: _Offset = Field(description="Position of the first byte of the fields (JSON, UTF-8).")
    json_size: _Size = Field(description="Size of the fields.")
    txt_offset: _Offset = Field(description="Position of the first byte of the prompt (UTF-8).")
    txt_size: _Size = Field(description="Size of the prompt.")


class TarShard:
    """One WebDataset tar being written, one sample at a time; its digest is taken on the way.

    Args:
        path: File to make.
        columns: Those of its rows: `image`, `image_id`, `generator`, `prompt` and any others.

    Attributes:
        file: The file, whose size and digest are final once it is closed.
    """

    def __init__(self, path: Path, columns: Sequence[ColumnSpec] = CONFIGS["webdataset"].columns) -> None:
        self._columns = [column for column in columns if not column.image]
        self._schema = arrow_schema(self._columns)
        self.file = HashingFile(path)

    def write_group(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows as one sample each."""
        # By way of Arrow the fields are what they are in Parquet: of one type, and with every key.
        fields = pa.Table.from_pylist([dict(row) for row in rows], schema=self._schema).to_pylist()
        for row, values in zip(rows, fields, strict=True):
            image: Any = row["image"]
            key = sample_key(values["generator"], values["image_id"])
            contents = (image["bytes"], *sample_texts(values, self._columns))
            members = zip(_EXTENSIONS, contents, strict=True)
            self.file.write(b"".join(_member(f"{key}.{extension}", each) for extension, each in members))

    def close(self) -> None:
        """Finish the file."""
        self.file.write(_END)
        self.file.close()


def sample_texts(row: Mapping[str, Any], columns: Sequence[ColumnSpec]) -> tuple[bytes, bytes]:
    """Return the fields and the prompt of a sample, as its files hold them.

    Args:
        row: The row, as Parquet gives it.
        columns: Its columns, without images.
    """
    fields = {column.name: _field(column, row[column.name]) for column in columns}
    return _json(fields).encode(), (row["prompt"] or "").encode()


def _member(name: str, content: bytes) -> bytes:
    header = tarfile.TarInfo(name)  # owner, rights and time are the same for every one
    header.size = len(content)
    padding = bytes(_padding(len(content)))
    return b"".join((header.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"), content, padding))


def sample_key(generator: str, image_id: str) -> str:
    """Name a sample: readable, unique in the dataset, and nothing but letters, digits, `_` and one `-`.

    A key ends at the first dot, a slash makes folders, and `datasets` skips what begins with a dot or with
    two underscores.
    """
    word = re.sub(r"[^A-Za-z0-9]+", "_", generator)[:_MAX_GENERATOR_CHARS].strip("_")
    return f"{word or 'unknown'}-{image_id}"


def read_index(path: Path, split: str) -> Iterator[IndexRow]:
    """Return the position of each sample of a finished tar, in order, from its headers alone.

    Args:
        path: A tar as `TarShard` makes it.
        split: The split that it belongs to.

    Raises:
        BuildError: It is no such tar, or not whole.
    """
    members = _members(path)
    while sample := list(itertools.islice(members, len(_EXTENSIONS))):
        key = sample[0].name.partition(".")[0]
        names = [member.name for member in sample]
        found = _KEY.fullmatch(key)
        if found is None or names != [f"{key}.{extension}" for extension in _EXTENSIONS]:
            raise _refusal(path, "it has members that are no sample as this kit names them", ", ".join(names))
        image, fields, text = sample
        yield IndexRow(
            key=key,
            image_id=found["image_id"],
            split=split,
            shard=path.name,
            image_offset=image.offset_data,
            image_size=image.size,
            json_offset=fields.offset_data,
            json_size=fields.size,
            txt_offset=text.offset_data,
            txt_size=text.size,
        )


def read_tar(
    path: Path, columns: Sequence[ColumnSpec], *, with_images: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a finished tar, in order.

    A null text and an empty one are the same in a tar: nullable columns have null for both.

    Args:
        path: A tar as `TarShard` makes it.
        columns: Its columns.
        with_images: Whether to read the images; rows have none otherwise.

    Raises:
        BuildError: It is no such tar, or not whole, or `TarShard` would write a sample in other bytes.
        ValueError: Fields or a prompt are not UTF-8, or not JSON.
    """
    fields = [column for column in columns if not column.image]
    (image,) = (column.name for column in columns if column.image)
    with path.open("rb") as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        for sample in read_index(path, path.name.partition("-")[0]):  # shards begin with their split
            texts = read(sample.json_offset, sample.json_size), read(sample.txt_offset, sample.txt_size)
            row = _parse_fields(path, sample.key, texts[0], fields)
            is_own = sample_key(row["generator"], row["image_id"]) == sample.key
            if not is_own or sample_texts(row, fields) != texts:
                raise _refusal(path, "the fields or the prompt of a sample are not its own", sample.key)
            if with_images:
                row[image] = {"bytes": read(sample.image_offset, sample.image_size), "path": None}
            yield row


def _parse_fields(path: Path, key: str, text: bytes, columns: Sequence[ColumnSpec]) -> dict[str, Any]:
    fields = json.loads(text)
    if not isinstance(fields, dict) or list(fields) != [column.name for column in columns]:
        raise _refusal(path, "the fields of a sample are not the columns of its config", key)
    return {column.name: _value(column, fields[column.name]) for column in columns}


def check_index(folder: Path, shards: Sequence[Shard]) -> Iterator[Problem]:
    """Check that the index says where each sample of each tar lies.

    Args:
        folder: The release.
        shards: Its tars, in order.

    Raises:
        BuildError: A tar is damaged.
        ArrowException: The index is not Parquet.
        OSError: A file cannot be read.
    """
    fix = "build the release again"
    with open_table(folder / INDEX_PATH) as index:
        if len(index.groups) != len(shards):
            message = "the index is not of the tars that there are"
            yield Problem(Reason.RELEASE, message, file=INDEX_PATH, fix=fix)
            return
        for number, shard in enumerate(shards):
            samples = [sample.model_dump() for sample in read_index(folder / shard.path, shard.split)]
            if index.read_group(number).to_pylist() != samples:
                message = "the index does not say what is where in this tar"
                yield Problem(Reason.RELEASE, message, file=shard.path, fix=fix)


# Read the index back from the tars: new and kept tars take one path, and the index describes the bytes.
# webdataset 1.0 has no `wids`.
def write_index(path: Path, folder: Path, shards: Iterable[Shard]) -> None:
    """Write the index of all tars of a release as Parquet, with a row group for each tar.

    Args:
        path: File to make.
        folder: The release, with the tars in it.
        shards: The tars, in order; those without samples add no rows.

    Raises:
        BuildError: A tar is not one that `TarShard` made, is not whole, or has not the rows it should have.
    """
    schema = arrow_schema(columns_of(IndexRow))
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_index=True) as writer:
        for shard in shards:
            tar = folder / shard.path
            rows = [row.model_dump() for row in read_index(tar, shard.split)]
            if len(rows) != shard.num_rows:
                raise _refusal(tar, f"it has {len(rows):,} samples, and should have {shard.num_rows:,}")
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


# The names of tars end in a digest, so `train-{00000..00041}.tar` does not name them. This file lists them
# in the form that open_clip's `get_dataset_size` reads; without it, its trainer needs --train-num-samples.
def write_sizes(path: Path, shards: Iterable[Shard]) -> None:
    """Write the number of samples of each tar as JSON, in the order of the tars."""
    path.write_text(_sizes(shards), encoding="utf-8")


def check_sizes(folder: Path, shards: Iterable[Shard]) -> Iterator[Problem]:
    """Check that the list of tars has each of them, in order, with its number of samples.

    Raises:
        OSError: The list cannot be read.
        ValueError: It is not UTF-8.
    """
    path = folder / SIZES_PATH
    if (
        not path.exists()
    ):  # a release of an older kit; where the manifest has the file, `check_files` misses it
        return
    if path.read_text(encoding="utf-8") != _sizes(shards):
        message = "the list of tars has not the tars that there are, in order, with their numbers of samples"
        yield Problem(Reason.RELEASE, message, file=SIZES_PATH, fix="build the release again")


def _sizes(shards: Iterable[Shard]) -> str:
    sizes = {PurePosixPath(shard.path).name: shard.num_rows for shard in shards}
    return json.dumps(sizes, indent=2) + "\n"


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a plain tar, seeking over their content.

    `tarfile.open` would take a damaged header for the end of the archive.
    """
    with path.open("rb") as file:
        num_bytes = os.fstat(file.fileno()).st_size
        while (block := file.read(_BLOCK_BYTES)) != bytes(_BLOCK_BYTES):
            try:
                member = tarfile.TarInfo.frombuf(block, "ascii", "surrogateescape")
            except tarfile.TarError as error:
                raise _refusal(path, f"it is damaged at byte {file.tell():,}: {error}") from error
            member.offset_data = file.tell()
            if member.type != tarfile.REGTYPE or not 0 <= member.size <= num_bytes - member.offset_data:
                raise _refusal(path, "it has a member that is no plain file inside it", member.name)
            yield member
            file.seek(member.size + _padding(member.size), os.SEEK_CUR)


def _refusal(path: Path, message: str, value: str | None = None) -> BuildError:
    fix = "remove the release that it is from, and build that again"
    return BuildError(Problem(Reason.RELEASE, message, file=str(path), value=value, fix=fix))


def _padding(size: int) -> int:
    return -size % _BLOCK_BYTES


def _field(column: ColumnSpec, value: object) -> object:
    """Return a field a value of the one type that it has in every sample."""
    if pa.types.is_string(column.arrow):
        return value or ""
    return _json(value) if column.nullable or pa.types.is_nested(column.arrow) else value


def _value(column: ColumnSpec, field: Any) -> Any:
    """Return the value that `_field` was made of."""
    if pa.types.is_string(column.arrow):
        return field or None if column.nullable else field
    return json.loads(field) if column.nullable or pa.types.is_nested(column.arrow) else field


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
