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
- Everything else (`captions`, `prompt_attributes`, `settings`, `other_origins`) is JSON text, which
  `json.loads` turns into what it was: null is "null", an empty list "[]", and a struct has every key.

The tars are written with Python's `tarfile`, not with the library's writer, which stamps each member with
the user and the time.

An image is called `.jpg` whatever its format, which the field `format` says: `datasets` gives no image for a
`.png` after five `.jpg`, and refuses a tar that has both among the first five. Both libraries look at the
bytes of an image, not at its name, to decode it.
"""

import functools
import itertools
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple

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
# Where a header has its name, size and sum (POSIX.1-1988), and one without them.
_NAME_BYTES, _MAX_OCTAL = 100, 8**11 - 1
_SIZE_AT, _SUM_AT = slice(124, 135), slice(148, 154)
_HEADER = bytearray(tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"))
_HEADER[_SIZE_AT], _HEADER[148:156] = bytes(11), b" " * 8
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
        self._writer = _SampleTexts(self._columns)
        # What is text, a whole number or a truth value in a row is the same in Parquet. By way of Arrow the
        # others are what they are there, too: of one type, and with every key.
        self._typed = arrow_schema([each for each in self._columns if not _is_plain(each.arrow)])
        self.file = HashingFile(path)

    def write_group(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows as one sample each."""
        typed = pa.Table.from_pylist(list(rows), schema=self._typed).to_pylist()
        for row, fields in zip(rows, typed, strict=True):
            image: Any = row["image"]
            values: dict[str, Any] = {**row, **fields}
            key = sample_key(values["generator"], values["image_id"])
            contents = (image["bytes"], *self._writer.texts(values))
            members = zip(_EXTENSIONS, contents, strict=True)
            for extension, each in members:
                for part in _member(f"{key}.{extension}", each):
                    self.file.write(part)

    def close(self) -> None:
        """Finish the file."""
        self.file.write(_END)
        self.file.close()


def _is_plain(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean))


class _SampleTexts:
    """Writes the fields and the prompts of samples, as their files hold them.

    Args:
        columns: Columns of the rows, without images.
    """

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self._kinds = [
            (
                column.name,
                pa.types.is_string(column.arrow),
                column.nullable or pa.types.is_nested(column.arrow),
            )
            for column in columns
        ]

    def texts(self, row: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Return the fields and the prompt of a row, as Parquet gives it.

        Each field has the one type that it has in every sample.
        """
        fields = {
            name: (row[name] or "") if is_text else _nested_json(row[name]) if is_json else row[name]
            for name, is_text, is_json in self._kinds
        }
        return _json(fields).encode(), (row["prompt"] or "").encode()


def _nested_json(value: object) -> str:
    """Return the JSON of a value; most lists are empty, and making an encoder takes 5 µs."""
    return "null" if value is None else "[]" if value == [] else _json(value)


def _member(name: str, content: bytes) -> tuple[bytes, bytes, bytes]:
    size = len(content)
    return _header(name.encode("ascii"), size), content, bytes(_padding(size))


def _header(name: bytes, size: int) -> bytes:
    """Return the header of a member: what `tarfile` writes, which takes ten times as long."""
    if len(name) > _NAME_BYTES or size > _MAX_OCTAL:
        member = tarfile.TarInfo(name.decode("ascii"))  # owner, rights and time are the same for every one
        member.size = size
        return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    block = bytearray(_HEADER)
    block[: len(name)] = name
    block[_SIZE_AT] = b"%011o" % size
    block[_SUM_AT] = b"%06o" % sum(block)  # of a header with spaces in the place of the sum
    block[_SUM_AT.stop] = 0
    return bytes(block)


def sample_key(generator: str, image_id: str) -> str:
    """Name a sample: readable, unique in the dataset, and nothing but letters, digits, `_` and one `-`.

    A key ends at the first dot, a slash makes folders, and `datasets` skips what begins with a dot or with
    two underscores.
    """
    return f"{_word_of(generator)}-{image_id}"


@functools.cache
def _word_of(generator: str) -> str:
    """Return the name of a generator as one word; a release has few."""
    return re.sub(r"[^A-Za-z0-9]+", "_", generator)[:_MAX_GENERATOR_CHARS].strip("_") or "unknown"


def read_index(path: Path, split: str) -> Iterator[IndexRow]:
    """Return the position of each sample of a finished tar, in order, from its headers alone.

    Args:
        path: A tar as `TarShard` makes it.
        split: The split that it belongs to.

    Raises:
        BuildError: It is no such tar, or not whole.
    """
    for sample in _read_samples(path, split):
        yield IndexRow.model_validate(sample._asdict())


class _Sample(NamedTuple):
    """The fields of `IndexRow`, of which there is one for each image."""

    key: str
    image_id: str
    split: str
    shard: str
    image_offset: int
    image_size: int
    json_offset: int
    json_size: int
    txt_offset: int
    txt_size: int


def _read_samples(path: Path, split: str) -> Iterator[_Sample]:
    """Return what `read_index` does, with the same arguments and errors."""
    members, shard = _members(path), path.name
    while sample := list(itertools.islice(members, len(_EXTENSIONS))):
        key = sample[0].name.partition(".")[0]
        names = [member.name for member in sample]
        found = _KEY.fullmatch(key)
        if found is None or names != [f"{key}.{extension}" for extension in _EXTENSIONS]:
            raise _refusal(path, "it has members that are no sample as this kit names them", ", ".join(names))
        places = (number for member in sample for number in (member.offset, member.size))
        yield _Sample(key, found["image_id"], split, shard, *places)


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
    writer = _SampleTexts(fields)
    with path.open("rb") as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        for sample in _read_samples(path, path.name.partition("-")[0]):  # shards begin with their split
            texts = read(sample.json_offset, sample.json_size), read(sample.txt_offset, sample.txt_size)
            row = _parse_fields(path, sample.key, texts[0], fields)
            is_own = sample_key(row["generator"], row["image_id"]) == sample.key
            if not is_own or writer.texts(row) != texts:
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
            samples = _tabulate(_read_samples(folder / shard.path, shard.split))
            if index.read_group(number).to_pydict() != samples.to_pydict():
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
            rows = _tabulate(_read_samples(tar, shard.split))
            if len(rows) != shard.num_rows:
                raise _refusal(tar, f"it has {len(rows):,} samples, and should have {shard.num_rows:,}")
            writer.write_table(rows)


def _tabulate(samples: Iterable[_Sample]) -> pa.Table:
    """Return the rows of the index on some samples."""
    columns = list(zip(*samples, strict=True)) or [()] * len(_Sample._fields)
    return pa.table([list(column) for column in columns], schema=arrow_schema(columns_of(IndexRow)))


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


class _Member(NamedTuple):
    """A member of a tar: its name, and where its content is."""

    name: str
    offset: int
    size: int


def _members(path: Path) -> Iterator[_Member]:
    """Yield the members of a plain tar, seeking over their content.

    `tarfile.open` would take a damaged header for the end of the archive.
    """
    with path.open("rb") as file:
        num_bytes, end = os.fstat(file.fileno()).st_size, bytes(_BLOCK_BYTES)
        offset = 0
        while (block := file.read(_BLOCK_BYTES)) != end:
            offset += _BLOCK_BYTES
            member = _parse_header(path, block, offset, num_bytes)
            yield member
            content = member.size + _padding(member.size)
            file.seek(content, os.SEEK_CUR)
            offset += content


def _parse_header(path: Path, block: bytes, offset: int, num_bytes: int) -> _Member:
    """Read the header of a member whose content begins at `offset` of a file of some bytes.

    Raises:
        BuildError: It is damaged, or the header of what is no plain file inside the tar.
    """
    name = block[:_NAME_BYTES].rstrip(b"\0")
    try:
        size = int(block[_SIZE_AT], 8)
        if block == _header(name, size) and size <= num_bytes - offset:  # as `TarShard` writes it
            return _Member(name.decode("ascii"), offset, size)
        member = tarfile.TarInfo.frombuf(block, "ascii", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise _refusal(path, f"it is damaged at byte {offset:,}: {error}") from error
    if member.type != tarfile.REGTYPE or not 0 <= member.size <= num_bytes - offset:
        raise _refusal(path, "it has a member that is no plain file inside it", member.name)
    return _Member(member.name, offset, member.size)


def _refusal(path: Path, message: str, value: str | None = None) -> BuildError:
    fix = "remove the release that it is from, and build that again"
    return BuildError(Problem(Reason.RELEASE, message, file=str(path), value=value, fix=fix))


def _padding(size: int) -> int:
    return -size % _BLOCK_BYTES


def _value(column: ColumnSpec, field: Any) -> Any:
    """Return the value that a field of a sample was made of."""
    if pa.types.is_string(column.arrow):
        return field or None if column.nullable else field
    return json.loads(field) if column.nullable or pa.types.is_nested(column.arrow) else field


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
