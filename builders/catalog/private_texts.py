"""Private data in texts: secrets, e-mail addresses, IP addresses and home paths, and where a row has texts.

The texts of a row are found by walking over what a source hands in, whatever its fields are, so every source
and every new field is looked at.
"""

import dataclasses
import functools
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from pydantic import BaseModel

from builders.sources.intake import ImageInput, InputRow, Side
from schemas.preferences import public_reference
from schemas.problems import Reason
from schemas.secrets import find_secrets

# At most 64 characters before the "@" (RFC 5321), from the start of a word: a long text takes linear time.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24})"
    r"(?![A-Za-z0-9-])"
)
# "face@2x.png" names an image for a sharp screen, and "git@github.com" the account of a service.
_FILE_ENDINGS = frozenset(("png", "jpg", "jpeg", "webp", "gif", "svg", "bmp", "tif", "tiff", "avif", "ico"))
_NO_PERSONS = ("git", "hg")
# Four numbers after "v", "-", "==" or one "/" are a version, as in `Chrome/120.0.0.0`.
_IPV4 = re.compile(
    r"(?<![\w.=-])(?<!(?<![/:])/)(?<!version )(?<!ver )(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", re.IGNORECASE
)
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-f]{3}:(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{1,4}(?![\w:])", re.IGNORECASE)
_LARGEST_VERSION_PART = 9
_HOME = re.compile(
    r"(?<![\w.])(?:/home|(?:/mnt/[a-z])?/Users)/+([^/\\\s\"'<>|,;:()\[\]{}]{1,64})"
    r"|(?<!\w)[A-Za-z]:[\\/]+(?:Users|Documents and Settings)[\\/]+([^/\\:*?\"<>|\r\n]{1,64})"
)
# Patterns that begin with "not after" are tried at every character, and take 100 µs for 600 of them. These
# begin with one fixed character and take 0.5 µs; most texts have none.
_MAY_BE_IPV4 = re.compile(r"\.\d{1,3}\.\d")
_MAY_BE_IPV6 = re.compile(r":[0-9a-fA-F]{0,4}:")
_HOME_MARKS = ("/home", "Users", "Documents and Settings")
_SHARED_HOMES = frozenset(("shared", "public", "default", "all users"))
# Of what a source hands in: names of sources and images that lead to a row, and are not published.
_NOT_PUBLISHED = frozenset(("of", "image", "path"))
_JSON_TEXTS = {"extras": "extras", "config_json": "settings"}


def find_private(text: str) -> Iterator[tuple[Reason, str]]:
    """Yield the private data in a text that is no secret: its kind, and the data.

    Each kind is reported once, with the first that the text has.
    """
    if "@" in text:
        for found in _EMAIL.finditer(text):
            local, _, domain = found[0].partition("@")
            if domain.rpartition(".")[2].lower() not in _FILE_ENDINGS and local not in _NO_PERSONS:
                yield Reason.EMAIL_ADDRESS, found[0]
                break
    addresses: list[str] = []
    if _MAY_BE_IPV4.search(text):
        addresses += (found[0] for found in _IPV4.finditer(text))
    if _MAY_BE_IPV6.search(text):
        addresses += (found[0] for found in _IPV6.finditer(text))
    if address := next(filter(_is_personal_address, addresses), None):
        yield Reason.IP_ADDRESS, address
    if any(mark in text for mark in _HOME_MARKS):
        for found in _HOME.finditer(text):
            if (found[1] or found[2]).strip().lower() not in _SHARED_HOMES:
                yield Reason.HOME_PATH, found[0]
                break


# A version of four numbers and an address cannot be told apart. Those of one digit each are versions more
# often: as addresses, such as 1.1.1.1 and 8.8.8.8, they are those of services.
def _is_personal_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address) and max(address.packed) <= _LARGEST_VERSION_PART:
        return False
    is_of_any_machine = address.is_loopback or address.is_unspecified or address.is_multicast
    return not is_of_any_machine and address.packed[0] != 0


def find_in_texts(texts: Sequence[tuple[str, str]]) -> Iterator[tuple[Reason, str, str]]:
    """Yield what is private in texts: its kind, its place, and the data; secrets are masked.

    Args:
        texts: Place and text. Where a text is a JSON object that is published as such, the place of a finding
            is its key, such as `extras.annotator`.
    """
    if not _may_be_private("\n".join([text for _, text in texts])):
        return
    found: dict[tuple[Reason, str, str], None] = {}
    for place, text in texts:
        inside = [each for part in _open_json(place, text) for each in _find_in_text(*part)]
        # Some secrets are known by the names around them only, such as Kaggle's.
        found |= dict.fromkeys(inside or _find_in_text(place, text))
    yield from found


def _find_in_text(place: str, text: str) -> Iterator[tuple[Reason, str, str]]:
    for secret in find_secrets(text):
        yield Reason.SECRET, place, f"{secret.what}: {secret.masked}"
    for reason, value in find_private(text):
        yield reason, place, value


def _may_be_private(text: str) -> bool:
    """Return whether a text has anything private; one call for all texts of a row takes half the time."""
    return next(find_secrets(text), None) is not None or next(find_private(text), None) is not None


def _open_json(place: str, text: str) -> list[tuple[str, str]]:
    """List the texts of a JSON object, each under its key; none if the text is not one."""
    prefix = _JSON_TEXTS.get(place)
    members = _members(text) if prefix is not None else None
    found: list[tuple[str, str]] = []
    for key, value in (members or {}).items():
        found.append((f"{prefix}.{key}", key))
        _gather(value, f"{prefix}.{key}", found)
    return found


def _members(text: str) -> Mapping[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def texts_of(row: InputRow) -> list[tuple[str, str]]:
    """List every text of a row that a release would publish, with its column or its key of settings."""
    texts = [("source", row.source), ("file", row.file)]
    if isinstance(row.content, ImageInput):  # what a caption calls its image is not published
        texts.append(("file_name", row.name))
    _gather(row.content, "", texts)
    return texts


def list_texts(value: object) -> list[tuple[str, str]]:
    """List every text of a value with the dotted names of the fields that lead to it."""
    texts: list[tuple[str, str]] = []
    _gather(value, "", texts)
    return texts


def _gather(value: object, place: str, texts: list[tuple[str, str]]) -> None:
    """Add the texts of a value to a list; numbers, bytes and words of the kit have none.

    Settings may be nested as deeply as JSON allows, so this does not call itself.
    """
    waiting = [(place, value)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if not isinstance(value, Enum):
                texts.append((place, value))
        elif isinstance(value, Side):
            texts += [("image", public_reference(value.reference)), ("model", value.model or "")]
        elif value is not None and not isinstance(value, int | float | bytes):
            waiting += _list_members(value, place)[::-1]


def _list_members(value: object, place: str) -> list[tuple[str, object]]:
    if isinstance(value, BaseModel):
        return [(f"{place}.{name}" if place else name, member) for name, member in value]
    if isinstance(value, list | tuple):
        return [(place, member) for member in value]
    if isinstance(value, Mapping):
        return [(place, each) for item in value.items() for each in item]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [("" if name == "text" else name, getattr(value, name)) for name in _fields(type(value))]
    return []


@functools.cache
def _fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(kind) if each.name not in _NOT_PUBLISHED)
