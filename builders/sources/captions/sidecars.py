"""Sidecars: text files that are named after images, and hold one caption each."""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from builders.file_kinds import tell_file_kind, tell_other_encoding
from builders.sources.listing import is_of_macos
from builders.sources.tables import TableRow
from builders.sources.tables.rows import is_unicode
from schemas.problems import Problem, Reason
from schemas.secrets import mask_secrets

SIDECAR_SUFFIXES = (".txt", ".caption")
_MAX_BYTES = 1 << 20
_SHOWN_BYTES = 80


def list_sidecars(folder: Path) -> list[Path]:
    """List the sidecars below a folder, with endings in small letters or capitals; links are not followed."""
    found = []
    for place, _, names in os.walk(folder):
        paths = (Path(place) / name for name in names if _is_sidecar(name))
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def read_sidecar(path: Path, name: str) -> TableRow:
    """Read one sidecar.

    Args:
        path: The file.
        name: Its path relative to the folder, for problems.

    Returns:
        A row whose cell `caption` is the text; without cells if the file is empty or cannot be read.
    """
    at = partial(Problem, file=name, row=1)
    if not is_unicode(name):  # no image of a release can have such a name
        fix = "rename it after its image"
        return _without_text(at(Reason.NOT_UTF8, "the name of the file is not UTF-8", value=name, fix=fix))
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        message, fix = f"the file cannot be read: {error.strerror}", "make it readable, or move it out"
        return _without_text(at(Reason.BAD_VALUE, message, fix=fix))
    text, problem = _decode(data, at)
    if problem is not None:
        return _without_text(problem)
    return TableRow(1, {"caption": text} if text else {}, text, ())


def digest_files(folder: Path, paths: Sequence[Path]) -> str:
    """Return a digest of the names and the bytes of files below a folder."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _without_text(problem: Problem) -> TableRow:
    return TableRow(1, {}, "", (problem,))


def _is_sidecar(name: str) -> bool:
    return name.lower().endswith(SIDECAR_SUFFIXES) and not is_of_macos(name)


def _decode(data: bytes, at: "partial[Problem]") -> tuple[str, Problem | None]:
    """Return a sidecar's text, or an empty one and why there is none."""
    value = mask_secrets(repr(data[: 2 * _SHOWN_BYTES]))[:_SHOWN_BYTES]  # half a secret is not known for one
    if len(data) > _MAX_BYTES:
        return "", at(Reason.BAD_VALUE, "the file is too large to be a caption", fix="move it away")
    if encoding := tell_other_encoding(data):
        return "", at(Reason.NOT_UTF8, f"the file is {encoding}", value=value, fix="save it as UTF-8")
    if kind := tell_file_kind(data):
        fix = kind.fix or "move it out of the folder"
        return "", at(Reason.BAD_VALUE, f"the file is {kind.what}", value=value, fix=fix)
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return "", at(Reason.NOT_UTF8, "the file is not UTF-8", value=value, fix="save it as UTF-8")
    if "\0" in text:
        return "", at(Reason.CONTROL_CHARACTER, "the file holds a NUL character", fix="remove it")
    return text, None
