"""WebDataset tars: samples of files that share a key, such as `0001.jpg`, `0001.txt` and `0001.json`.

The tars are not unpacked: an image is a range of bytes of its tar. A key is a path up to the first dot of its
last part (https://github.com/webdataset/webdataset, "The WebDataset Format"). Fields of `.json` are columns.
The text of `.txt` is the column `text`.
"""

import hashlib
import itertools
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from builders.files import real_path
from builders.images.files import ImageFile
from builders.sources.archives import is_tar
from builders.sources.cells import plain_json
from builders.sources.images.img2dataset import FailedDownloads, check_status
from builders.sources.images.rows import check_generator, choose_roles, describe_image
from builders.sources.intake import ImageInput, ImageText, InputRow, SourceOptions
from builders.sources.listing import IMAGE_SUFFIXES, STRAY_SUFFIXES, check_name, is_of_macos, list_files
from builders.sources.tables.json_rows import parse_json
from builders.sources.tables.rows import TableRow
from schemas.configs import Table as TableName
from schemas.problems import Problem, Reason, SourceError, name_some

_TEXT_PARTS = {"txt": "text", "text": "text", "caption": "caption", "cls": "cls"}
_MAX_PART_BYTES = 1 << 20
_SAMPLES_FOR_COLUMNS = 100
_COMPRESSED, _MAX_NAMED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"), 5


@dataclass(slots=True)
class _Sample:
    """The files of a tar that share a key.

    Attributes:
        tar: Name of the tar.
        number: Of the sample in its tar, from 1.
        key: What they share.
        image: Where the image is, if there is one.
        name: Name of the image.
        cells: Column → value.
        unread: Endings of files that are not read.
        problems: What is wrong with it.
    """

    tar: str
    number: int
    key: str
    image: ImageFile | None = None
    name: str = ""
    cells: dict[str, object] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of samples, as `choose_roles` takes them."""

    name: str
    columns: tuple[str, ...]


class WebDatasetSource:
    """Tars of samples; see `builders.sources.intake.Source` for what it gives.

    Args:
        paths: The tars, in order.
        name: Name to publish it under.
        options: What the maintainer says of it.

    Raises:
        SourceError: A tar is damaged, or nothing says which model made the images.
    """

    table = TableName.IMAGES
    notice = None
    images = None

    def __init__(self, paths: Sequence[Path], name: str, options: SourceOptions) -> None:
        self.name, self.kind, self._paths, self._options = name, "images/webdataset", paths, options
        check_generator(options, name)
        self.table_problems: tuple[Problem, ...] = ()
        self._failures = FailedDownloads(paths)
        self.num_rows, digest, columns = 0, hashlib.sha256(), set[str]()
        for sample in itertools.chain.from_iterable(map(_read_samples, paths)):
            self.num_rows += 1
            if self.num_rows <= _SAMPLES_FOR_COLUMNS:
                columns.update(sample.cells)
            line = f"{sample.tar} {sample.key} {plain_json(sample.cells)}\n"
            digest.update(line.encode("utf-8", "replace"))
        self._roles = choose_roles(_Columns(paths[0].name, tuple(sorted(columns))), options, ())
        self.sha256 = f"{digest.hexdigest()} {self._failures.sha256} {options.fingerprint}"

    def rows(self) -> Iterator[InputRow]:
        """Yield every sample in order, then the images that img2dataset did not download."""
        unread: set[str] = set()
        for sample in itertools.chain.from_iterable(map(_read_samples, self._paths)):
            yield self._input_row(sample, unread)
        yield from self._failures.rows(self.name)

    def _input_row(self, sample: _Sample, unread: set[str]) -> InputRow:
        raw = plain_json({"__key__": sample.key, **sample.cells})
        row = TableRow(sample.number, sample.cells, raw, ())
        text: ImageText | None = None
        problems = [*sample.problems, *check_status(row, sample.tar)]
        if not problems:
            text, problems = describe_image(row, sample.tar, self._roles, self._options)
        at = partial(Problem, file=sample.tar, row=sample.number)
        for ending in sample.unread:
            if ending not in unread:  # each once
                unread.add(ending)
                message = f"files that end in .{ending} are not read; this is noted once"
                fix = "nothing, if they are not needed"
                problems.append(at(Reason.UNKNOWN_COLUMN, message, value=sample.key, fix=fix))
        name = sample.name or sample.key
        content = ImageInput(sample.image, text)
        return InputRow(self.name, sample.tar, sample.number, raw, name, content, tuple(problems))


def find_tars(path: Path) -> list[Path]:
    """Return the tars of samples at a path, in order; none if it is something else.

    Raises:
        SourceError: A folder has tars, and compressed tars or images beside them.
    """
    if path.is_dir():
        tars = list_files(path, (".tar",))
        others = list_files(path, (*_COMPRESSED, *STRAY_SUFFIXES)) if tars else []
        if others:
            message = "the folder has tars, and other files that may have images"
            fix = "unpack them (gunzip makes a .tar of a .tar.gz), or move them out of the folder"
            named = name_some((file.name for file in others), _MAX_NAMED)
            raise SourceError(Problem(Reason.SOURCE, message, file=str(path), value=named, fix=fix))
        return tars
    return [path] if path.is_file() and is_tar(path) and is_webdataset(path) else []


def is_webdataset(path: Path) -> bool:
    """Return whether a tar has samples: an image and another file that share a key."""
    try:
        return any(
            sample.image and (sample.cells or sample.unread) for sample in islice(_read_samples(path), 10)
        )
    except SourceError:
        return True  # which says what is wrong, when it is opened


def _read_samples(path: Path) -> Iterator[_Sample]:
    """Yield the samples of a tar, in order.

    Raises:
        SourceError: It is damaged.
    """
    sample: _Sample | None = None
    number = 0
    place = real_path(path)  # images are read through no link
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined] # else all of them stay in memory
                name = info.name.removeprefix("./")
                if info.isdir() or is_of_macos(name.rpartition("/")[2]):
                    continue
                key, ending = _split(name)
                if sample is None or sample.key != key:
                    if sample is not None:
                        yield _finish(sample)
                    number += 1
                    sample = _Sample(path.name, number, key)
                _add_part(sample, place, archive, info, ending)
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        message, fix = f"the tar is cut off or damaged: {error}", "get it again, or make it again"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix)) from error
    if sample is not None:
        yield _finish(sample)


def _split(name: str) -> tuple[str, str]:
    """Split a path into key and ending, such as `a/b` and `seg.png` of `a/b.seg.png`."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def _add_part(
    sample: _Sample, path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, ending: str
) -> None:
    """Add a file of a tar to its sample."""
    at = partial(Problem, file=sample.tar, row=sample.number, value=info.name)
    if fault := check_name(info.name.removeprefix("./")):
        sample.problems.append(at(fault.reason, fault.message, fix=fault.fix))
    elif not info.isreg() or info.issparse():
        message, fix = "this is not a regular file", "pack the file itself"
        sample.problems.append(at(Reason.NOT_A_REGULAR_FILE, message, fix=fix))
    elif f".{ending}" in STRAY_SUFFIXES:
        if sample.image is not None:
            message, fix = "the sample has more than one image", "give each image a key of its own"
            sample.problems.append(at(Reason.NAME_WITH_TWO_CONTENTS, message, fix=fix))
        sample.image = ImageFile(path, info.offset_data, info.size)
        sample.name = info.name.removeprefix("./")
    elif ending in (*_TEXT_PARTS, "json"):
        _add_text(sample, archive, info, ending, at)
    else:
        sample.unread.append(ending)


def _add_text(
    sample: _Sample, archive: tarfile.TarFile, info: tarfile.TarInfo, ending: str, at: "partial[Problem]"
) -> None:
    if info.size > _MAX_PART_BYTES:
        message, fix = f"the text is larger than {_MAX_PART_BYTES:,} bytes", "shorten it"
        sample.problems.append(at(Reason.BAD_VALUE, message, fix=fix))
        return
    part = archive.extractfile(info)
    data = part.read() if part else b""
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it holds a NUL character")
        value = parse_json(text) if ending == "json" else text.strip()
    except UnicodeDecodeError:
        sample.problems.append(at(Reason.NOT_UTF8, "the text is not UTF-8", fix="save it as UTF-8"))
    except (ValueError, RecursionError) as error:
        message = f"the text cannot be read: {error}"
        sample.problems.append(at(Reason.BAD_JSON, message, fix="correct it"))
    else:
        if ending != "json":
            sample.cells[_TEXT_PARTS[ending]] = value
        elif isinstance(value, dict):
            sample.cells = {**value, **sample.cells}
        else:
            message = f"the JSON is a {type(value).__name__}, and no object"
            sample.problems.append(
                at(Reason.BAD_JSON, message, fix='write one, such as {"prompt": "a face"}')
            )


def _finish(sample: _Sample) -> _Sample:
    """Leave out a text that only repeats a field, as img2dataset writes it; report a missing image."""
    text = sample.cells.get("text")
    if text is not None and text in (sample.cells.get("caption"), sample.cells.get("prompt")):
        del sample.cells["text"]
    if sample.image is None and not sample.problems:
        message = f"the sample has no image that ends in {', '.join(IMAGE_SUFFIXES)}"
        fix = "add it, or remove the sample"
        sample.problems.append(
            Problem(
                Reason.IMAGE_MISSING, message, file=sample.tar, row=sample.number, value=sample.key, fix=fix
            )
        )
    return sample
