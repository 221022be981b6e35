"""Sidecars: text files that are named after images, and hold one caption each."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from builders.file_kinds import tell_file_kind, tell_other_encoding
from builders.sources.listing import is_of_macos, walk_folder
from builders.sources.tables.rows import is_unicode
from schemas.captions import CaptionText
from schemas.problems import Problem, Reason

SIDECAR_SUFFIXES = (".txt", ".caption")
_MAX_BYTES = 1 << 20
_SHOWN_BYTES = 80


def list_sidecars(folder: Path) -> list[Path]:
    """List the sidecars below a folder, with endings in small letters or capitals.

    Links and pipes are among them, so that each is reported; `read_sidecar` does not open them.
    """
    if not folder.is_dir():
        return []  # a table, beside which there are none
    return sorted(place / name for place, names in walk_folder(folder) for name in names if _is_sidecar(name))


def read_sidecar(path: Path, name: str) -> tuple[CaptionText | None, str, list[Problem]]:
    """Read one sidecar.

    Args:
        path: The file.
        name: Its path relative to the folder, for problems.

    Returns:
        The caption, the text as it came, and what is wrong; the caption is None if something is, or if the
        file is empty.
    """
    at = partial(Problem, file=name, row=1)
    if not is_unicode(name):  # no image of a release can have such a name
        fix = "rename it after its image"
        return None, "", [at(Reason.NOT_UTF8, "the name of the file is not UTF-8", value=name, fix=fix)]
    if not _is_regular(path):
        fix = "replace it with the text itself, or move it out of the folder"
        return None, "", [at(Reason.NOT_A_REGULAR_FILE, "this is not a regular file", fix=fix)]
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        message, fix = f"the file cannot be read: {error.strerror}", "make it readable, or move it out"
        return None, "", [at(Reason.BAD_VALUE, message, fix=fix)]
    text, problem = _decode(data, at)
    if problem is not None or not text:
        return None, text, [problem] if problem is not None else []
    try:
        return CaptionText(caption=text), text, []
    except ValidationError as error:
        message, fix = (
            f"caption: {error.errors()[0]['msg']}",
            "shorten it, or move the file out of the folder",
        )
        return None, text, [at(Reason.BAD_VALUE, message, value=text, fix=fix)]


def digest_files(folder: Path, paths: Sequence[Path]) -> str:
    """Return a digest of the names and the bytes of files below a folder; of a link or a pipe, the name."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes() if _is_regular(path) else b"").digest())
    return digest.hexdigest()


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_sidecar(name: str) -> bool:
    return name.lower().endswith(SIDECAR_SUFFIXES) and not is_of_macos(name)


def _decode(data: bytes, at: "partial[Problem]") -> tuple[str, Problem | None]:
    """Return a sidecar's text, or an empty one and why there is none."""
    value = repr(data[:_SHOWN_BYTES])
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
