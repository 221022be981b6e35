"""Sidecars: files that are named after images, with one caption as text, or a JSON object that has one.

img2dataset (https://github.com/rom1504/img2dataset) writes both for each image: 00000.txt and 00000.json.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from builders.file_kinds import tell_file_kind, tell_other_encoding
from builders.sources.captions.columns import TEXT_COLUMNS
from builders.sources.listing import IMAGE_SUFFIXES, is_of_macos, walk_folder
from builders.sources.tables import TableRow
from builders.sources.tables.json_rows import explain, parse_json, reject_row
from builders.sources.tables.rows import is_unicode
from schemas.problems import Problem, Reason
from schemas.secrets import mask_secrets

TEXT_SUFFIXES, JSON_SUFFIX = (".txt", ".caption"), ".json"
_CAPTION_KEYS = frozenset((*TEXT_COLUMNS, "prompt"))
_MAX_BYTES = 1 << 20
_SHOWN_BYTES = 80
_JSON_FIX = 'write a JSON object, such as {"caption": "a face"}'


def list_sidecars(folder: Path) -> list[Path]:
    """List the sidecars below a folder, with endings in small letters or capitals.

    Links and pipes are among them, so that each is reported; `read_sidecar` does not open them.
    """
    if not folder.is_dir():
        return []  # a table, beside which there are none
    return sorted(path for place, names in walk_folder(folder) for path in _sidecars_in(place, names))


def has_sidecars(folder: Path) -> bool:
    """Return whether a folder itself, without those below it, has a sidecar."""
    return bool(_sidecars_in(folder, [path.name for path in folder.iterdir()]))


def read_sidecar(path: Path, name: str) -> TableRow:
    """Read one sidecar.

    Args:
        path: The file.
        name: Its path relative to the folder, for problems.

    Returns:
        A row whose cell `caption` is the text, or that of a JSON object; without cells if the file is empty
        or cannot be read.
    """
    at = partial(Problem, file=name, row=1)
    if not is_unicode(name):  # no image of a release can have such a name
        fix = "rename it after its image"
        return _without_text(at(Reason.NOT_UTF8, "the name of the file is not UTF-8", value=name, fix=fix))
    if not _is_regular(path):
        fix = "replace it with the text itself, or move it out of the folder"
        return _without_text(at(Reason.NOT_A_REGULAR_FILE, "this is not a regular file", fix=fix))
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        message, fix = f"the file cannot be read: {error.strerror}", "make it readable, or move it out"
        return _without_text(at(Reason.BAD_VALUE, message, fix=fix))
    text, problem = _decode(data, at)
    if problem is not None:
        return _without_text(problem)
    if is_json(path):
        return _read_object(name, text)
    return TableRow(1, {"caption": text} if text else {}, text, ())


def is_json(path: Path) -> bool:
    """Return whether a sidecar is JSON by its name."""
    return path.name.lower().endswith(JSON_SUFFIX)


def digest_files(folder: Path, paths: Sequence[Path]) -> str:
    """Return a digest of the names and the bytes of files below a folder; of a link or a pipe, the name."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes() if _is_regular(path) else b"").digest())
    return digest.hexdigest()


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _without_text(problem: Problem) -> TableRow:
    return TableRow(1, {}, "", (problem,))


def _read_object(name: str, text: str) -> TableRow:
    try:
        value = parse_json(text)
    except ValueError as error:
        return reject_row(name, 1, text, f"the file {explain(error)}", _JSON_FIX)
    if not isinstance(value, dict):
        message = f"the file is a JSON {type(value).__name__}, and not an object"
        return reject_row(name, 1, text, message, _JSON_FIX)
    return TableRow(1, value, text, ())


def _sidecars_in(place: Path, names: Sequence[str]) -> list[Path]:
    """List the sidecars among the files of one folder.

    Many tools put JSON of their own into such folders. A JSON file is a sidecar if it is named after an image
    or a text beside it, or holds an object with a caption. One that is broken is a sidecar among others.
    """
    names = [name for name in names if not is_of_macos(name)]
    images = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
    texts, objects = (
        [path for path in _with_suffix(place, names, suffixes) if not path.is_dir()]
        for suffixes in (TEXT_SUFFIXES, JSON_SUFFIX)
    )
    beside = {*images, *(name.rpartition(".")[0] for name in images), *(path.stem for path in texts)}
    kinds = {path: path.stem in beside or _has_caption(path) for path in objects}
    if any(kinds.values()):
        texts += [path for path, is_sidecar in kinds.items() if is_sidecar is not False]
    return texts


def _with_suffix(place: Path, names: Sequence[str], suffixes: str | tuple[str, ...]) -> list[Path]:
    return [place / name for name in names if name.lower().endswith(suffixes)]


def _has_caption(path: Path) -> bool | None:
    """Return whether a JSON file is an object with a caption; None if it is broken."""
    if not _is_regular(path):
        return False
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        value = parse_json(data.decode("utf-8-sig")) if len(data) <= _MAX_BYTES else None
    except (OSError, ValueError):
        return None
    return isinstance(value, dict) and not _CAPTION_KEYS.isdisjoint(value)


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
