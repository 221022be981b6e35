"""What a form of preference results is, and how annotators are named in what is published."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.sources.cells import Cells, in_utc
from builders.sources.intake import MAX_RANKED, Side, SourceOptions, VotesInput
from builders.sources.tables import TableRow
from schemas.problems import Reason, shorten, suggest
from schemas.records import ID_CHARS

_HASH_BYTES = 8
_CHUNK_BYTES = 1 << 20
_IMAGE_PARTS = (".bytes", ".path")  # the fields of an image as `datasets` writes it
_MAX_RANK = 1000
_MAX_SECONDS = 1e9
_DATA_ADDRESS = "data:image/"


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing votes down.

    Attributes:
        needs: Columns that must be there; each as the names it may have.
        read: Reads one row; None where its problems leave nothing to say.
        lacks: Columns that must not be there, which another form has.
        reads: Further columns that it reads, or whose contents the kit computes again.
        prompts: The columns that can hold the prompt; the first that a row has.
        looks: Whether the first rows can have the form, where columns alone do not show it. Such a form is
            told only of a table that has no other form, and reads every column.
        last_of: A column that names the vote of a row. Of several rows that name one vote, the last row has
            it, and the others speak of their pair alone. None if each row has its own votes.
        images_beside: Whether images are looked for beside the file.
    """

    needs: tuple[tuple[str, ...], ...]
    read: "Callable[[Cells, Annotators], VotesInput | None]"
    lacks: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ("prompt",)
    looks: Callable[[Sequence[TableRow]], bool] | None = None
    last_of: str | None = None
    images_beside: bool = False

    def fits(self, columns: Sequence[str]) -> bool:
        """Return whether a table with these columns can have the form."""
        return not self.missing(columns) and set(self.lacks).isdisjoint(columns)

    def others(self, columns: Sequence[str]) -> list[str]:
        """Name the columns of a table that the form reads nothing of, so that they are not published."""
        if self.looks is not None:
            return []
        known = {*self.reads, *self.prompts, *(name for names in self.needs for name in names)}
        known |= {f"{name}{part}" for name in known for part in _IMAGE_PARTS}
        # A struct is read if any of its fields is.
        return [
            column
            for column in columns
            if column not in known and not any(name.startswith(f"{column}.") for name in known)
        ]

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Name the columns that the form needs and that are not there."""
        return [" or ".join(names) for names in self.needs if set(names).isdisjoint(columns)]

    def describe(self) -> str:
        """List the columns that the form needs."""
        without = f", and no {' or '.join(self.lacks)}" if self.lacks else ""
        return ", ".join(names[0] for names in self.needs) + without


class Annotators:
    """Names annotators so that votes of one person can be told to be so, but not whose they are.

    The hash is keyed: by the maintainer's secret, or by a digest of the source file itself, which whoever
    reads the release does not have. The latter changes with the file; a secret keeps names over versions.
    Rows that are rejected are kept as they came, ids and all, beside the release and never in it.

    Args:
        path: The source file.
        options: Holds the secret, and whether ids are published as they are.

    Attributes:
        fingerprint: Changes with what decides about names, and tells nothing of it.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self._is_raw = options.publish_annotators
        key = options.annotator_key or _file_key(path)
        self._key = hashlib.blake2b(key).digest()
        proof = hmac.digest(self._key, b"fingerprint", "sha256").hex()
        self.fingerprint = "raw" if self._is_raw else proof

    def name(self, annotator: object) -> str | None:
        """Return the name to publish for an annotator: 16 hexadecimal digits, or the id itself if asked for.

        Who has no id, or a blank one, has no name: such people are not taken for one.
        """
        text = "" if annotator is None else str(annotator).strip()
        if self._is_raw or not text:
            return text or None
        data = text.encode("utf-8", "backslashreplace")
        return hashlib.blake2b(data, key=self._key, digest_size=_HASH_BYTES).hexdigest()


def _file_key(path: Path) -> bytes:
    """Derive a key from a file's bytes; the digest that is published of them says nothing of it."""
    digest = hashlib.blake2b(person=b"annotators")
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


def has_image(cells: Cells, column: str) -> bool:
    """Return whether a column names or holds an image, in one of the ways that `read_side` knows."""
    return any(cells.value(place) is not None for place in (column, f"{column}.bytes", f"{column}.path"))


def read_side(cells: Cells, column: str, model: str | None, name: str | None = None) -> Side | None:
    """Take one image: bytes, a struct of bytes and path as `datasets` writes it, or a path or address.

    An address can be a `data:` one, which holds the image itself.

    Args:
        cells: The row.
        column: Column of the image.
        model: Who made it.
        name: What to call an image that comes as bytes; its path by default.

    Returns:
        The image; None where there is none, which is then among the row's problems.
    """
    path = cells.text(f"{column}.path")
    data = cells.value(f"{column}.bytes") or cells.value(column)
    if isinstance(data, str) and data.startswith(_DATA_ADDRESS):
        data = _decode(data)
        if data is None:
            cells.wrong(column, "the cell's data: address holds no base64", "write the image again")
            return None
    if isinstance(data, bytes) and data:
        return embedded_side(data, name or path or column, model)
    reference = path or cells.text(column, required=True)
    return Side(reference, model) if reference else None


def join_id(cells: Cells) -> str | None:
    """Return the id of a pair that came from a release: ids are unique in the source that they came from."""
    pair_id, source = cells.text("id"), cells.text("source")
    return f"{source}/{pair_id}" if source and pair_id else pair_id


def embedded_side(data: bytes, name: str, model: str | None) -> Side:
    """Name an image that comes as bytes: names repeat, so its content tells it apart."""
    return Side(f"{name}@{hashlib.sha256(data).hexdigest()[:ID_CHARS]}", model, data)


def _decode(address: str) -> bytes | None:
    """Return the bytes of a `data:` address in base64 (RFC 2397); None where it is none."""
    head, _, text = address.partition(",")
    try:
        return base64.b64decode(text, validate=True) if head.endswith(";base64") else None
    except binascii.Error:
        return None


def read_ranked(cells: Cells, column: str) -> tuple[Side, ...] | None:
    """Take the images of a ranking: a list of paths, or of structs of bytes and path.

    Returns:
        2 to 100 different images; None where the cell is anything else, which is then among the row's
        problems.
    """
    values = cells.items(column)
    if values is None:
        if not cells.problems:
            cells.wrong(column, "the cell is empty or missing", "fill it in")
        return None
    sides = [_ranked_side(value, column) for value in values]
    found = [side for side in sides if side is not None]
    if len(found) < len(sides) or len(found) < 2:
        cells.wrong(column, "the cell does not list two or more paths", "write them: [first, second, …]")
    elif len(found) > MAX_RANKED:
        message = f"the row ranks {len(found)} images: pairs are made of at most {MAX_RANKED}"
        cells.wrong(column, message, "give fewer, or the pairs that were compared")
    elif len({side.reference for side in found}) < len(found):
        cells.wrong(column, "the list has an image twice", "correct one of them")
    else:
        return tuple(found)
    return None


def read_choice(
    cells: Cells, column: str, value: object, choices: Sequence[str], *, required: bool = False
) -> str | None:
    """Return a word that is among some; None where there is none."""
    if value is None and not required:
        return None
    if isinstance(value, str) and value in choices:
        return str(value)
    if value is None:
        cells.wrong(column, "the cell is empty or missing", f"write one of: {', '.join(choices)}")
    else:
        message = f"{shorten(str(value))} is none of the words that it can be"
        cells.wrong(column, message, suggest(str(value), choices), Reason.UNKNOWN_LABEL)
    return None


def read_time(cells: Cells, column: str, value: object) -> str | None:
    """Return when a vote was given, in UTC; texts of one form sort as times do.

    Args:
        cells: The row, for problems.
        column: Where the value is from.
        value: A text in ISO 8601; one without an offset is taken for UTC. None and "" are no time.
    """
    if value is None or value == "":
        return None
    time = in_utc(str(value))
    if time is None:
        message = f"{shorten(str(value))} is not a time"
        cells.wrong(column, message, "write it as 2026-11-30T12:00:00Z, or leave it empty")
    return time


def read_seconds(cells: Cells, column: str, value: object) -> float | None:
    """Return how long an answer took, in seconds; None where the source does not say."""
    if value is None or value == "":
        return None
    try:  # a cell of a CSV is a text
        seconds = float(value) if isinstance(value, int | float | str) else -1.0
    except (ValueError, OverflowError):
        seconds = -1.0
    if 0 <= seconds < _MAX_SECONDS and not isinstance(value, bool):
        return seconds
    message = f"{shorten(str(value))} is not a time in seconds"
    cells.wrong(column, message, "write a number of seconds, or leave it empty")
    return None


def _ranked_side(value: object, column: str) -> Side | None:
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, Mapping) else (None, value)
    if isinstance(data, bytes) and data:
        return embedded_side(data, path if isinstance(path, str) and path else column, None)
    return Side(path, None) if isinstance(path, str) and path.strip() else None


def read_ranks(cells: Cells, column: str, ranks: object, num_images: int) -> tuple[float, ...] | None:
    """Check the ranks of a ranking: one number for each image, the smaller the better.

    Args:
        cells: The row, for problems.
        column: Where the ranks are from.
        ranks: What stands there.
        num_images: How many there must be.
    """
    if isinstance(ranks, Sequence) and len(ranks) == num_images:
        numbers = [float(rank) for rank in ranks if isinstance(rank, int | float) and 0 <= rank <= _MAX_RANK]
        if len(numbers) == num_images:
            return tuple(numbers)
        cells.wrong(column, f"a rank is not a number from 0 to {_MAX_RANK:,}", "correct it")
        return None
    message = f"the cell does not list one rank for each of the {num_images} images"
    cells.wrong(column, message, "give each image its rank, 1 for the best")
    return None
