"""The explorer as a folder for a static Space, or for any server that knows range requests."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from publish.explorer import PAGE_FILES, SETTINGS_NAME, STATIC
from schemas.manifest import Manifest
from schemas.versions import VERSION_PATTERN, tag_of
from schemas.withdrawals import mark_text

HUB = "https://huggingface.co"
# The Hub sends a browser on to its stores, under these names.
_HUB_STORES = ("https://*.huggingface.co", "https://*.hf.co")
_OWN = "connect-src 'self'"
_HEAD_END = "</header>"


def hub_address(manifest: Manifest) -> str:
    """Return where the Hub has a release's files."""
    return f"{_resolve(manifest.inputs.dataset.repository)}{tag_of(manifest.version)}/"


def write_space(out: Path, manifest: Manifest, data: str) -> None:
    """Write the page, its settings and the Space's card into a new folder.

    Args:
        out: The folder; it must not be there, or be empty.
        manifest: Of the release.
        data: Address of the release's files: absolute, or relative to the page; with a slash at its end.

    Raises:
        OSError: It cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, content in space_files(manifest, data).items():
        (out / name).write_bytes(content)


@dataclass(frozen=True, slots=True)
class SpaceShown:
    """What a Space shows of a dataset.

    Attributes:
        version: The release.
        withdrawn: Why the page says that it should not be used; empty if it does not say so.
    """

    version: str
    withdrawn: str


def space_files(manifest: Manifest, data: str, withdrawn: str = "") -> Mapping[str, bytes]:
    """Return the files of a Space, by name.

    Args:
        manifest: Of the release.
        data: As of `write_space`.
        withdrawn: Why the release should not be used, for the page to say; empty if it is not withdrawn.
    """
    files = {name: (STATIC / name).read_bytes() for name in PAGE_FILES}
    allowed = " ".join((_OWN, *_origins(data)))
    files["index.html"] = files["index.html"].replace(_OWN.encode(), allowed.encode())
    settings = {"release": data, "previous": None, "thumbnails": None, "searches": False, "checks": False}
    if withdrawn:
        settings["withdrawn"] = withdrawn
        told = f"Version {manifest.version} is withdrawn, and should not be used: {withdrawn}"
        note = f'{_HEAD_END}\n  <p class="problem" role="alert">{html.escape(told)}</p>'
        files["index.html"] = files["index.html"].replace(_HEAD_END.encode(), note.encode(), 1)
    files[SETTINGS_NAME] = f"{json.dumps(settings, indent=1)}\n".encode()
    card = _card(manifest)
    files["README.md"] = (mark_text(card, manifest.version, withdrawn) if withdrawn else card).encode()
    return files


def read_space(settings: bytes, repository: str) -> SpaceShown | None:
    """Return what a Space shows of a dataset on the Hub; None if it shows something else.

    Args:
        settings: The Space's file of settings, from anybody.
        repository: The dataset.
    """
    try:
        values = json.loads(settings)
        address, withdrawn = values["release"], values.get("withdrawn", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    ours = re.escape(_resolve(repository)) + f"v({VERSION_PATTERN.pattern})/"
    found = re.fullmatch(ours, address) if isinstance(address, str) else None
    return SpaceShown(found[1], withdrawn if isinstance(withdrawn, str) else "") if found else None


def _resolve(repository: str) -> str:
    return f"{HUB}/datasets/{repository}/resolve/"


def _origins(data: str) -> tuple[str, ...]:
    parts = urlsplit(data)
    if not parts.scheme:
        return ()
    origin = f"{parts.scheme}://{parts.netloc}"
    return (origin, *_HUB_STORES) if origin == HUB else (origin,)


def _card(manifest: Manifest) -> str:
    dataset = manifest.inputs.dataset
    # JSON strings are YAML strings, whatever is in them.
    header = {
        "title": f"{dataset.title} {manifest.version}"[:60],
        "emoji": "🖼️",
        "colorFrom": "blue",
        "colorTo": "indigo",
        "sdk": "static",
        "pinned": False,
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in header.items()]
    lines += ["datasets:", f"- {json.dumps(dataset.repository)}"]
    text = (
        f"Look at the pictures of [{dataset.repository}]({HUB}/datasets/{dataset.repository}), version "
        f"{manifest.version}. The page reads the dataset's own files, and has no copy of them.\n"
    )
    return "\n".join(["---", *lines, "---", "", text])
