"""What a form of preference results is, and how annotators are named in what is published."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.sources.cells import Cells
from builders.sources.intake import PairInput, RankInput, Side, SourceOptions
from schemas.records import ID_CHARS

_HASH_BYTES = 8
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing votes down.

    Attributes:
        needs: Columns that must be there; each as the names it may have.
        read: Reads one row; None where its problems leave nothing to say.
        lacks: Columns that must not be there, which another form has.
    """

    needs: tuple[tuple[str, ...], ...]
    read: "Callable[[Cells, Annotators], PairInput | RankInput | None]"
    lacks: tuple[str, ...] = ()

    def fits(self, columns: Sequence[str]) -> bool:
        """Return whether a table with these columns can have the form."""
        return not self.missing(columns) and set(self.lacks).isdisjoint(columns)

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Name the columns that the form needs and that are not there."""
        return [" or ".join(names) for names in self.needs if set(names).isdisjoint(columns)]

    def describe(self) -> str:
        """List the columns that the form needs."""
        return ", ".join(names[0] for names in self.needs)


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
    if isinstance(data, bytes) and data:
        # Names of embedded images repeat; their content tells them apart.
        return Side(f"{name or path or column}@{hashlib.sha256(data).hexdigest()[:ID_CHARS]}", model, data)
    reference = path or cells.text(column, required=True)
    return Side(reference, model) if reference else None
