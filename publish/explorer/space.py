"""The explorer as a folder for a static Space, or for any server that knows range requests."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from publish.explorer import PAGE_FILES, SETTINGS_NAME, STATIC
from schemas.manifest import Manifest
from schemas.versions import VERSION_PATTERN, tag_of

HUB = "https://huggingface.co"
# The Hub sends a browser on to its stores, under these names.
_HUB_STORES = ("https://*.huggingface.co", "https://*.hf.co")
_OWN = "connect-src 'self'"


def hub_address(manifest: Manifest) -> str:
    """Return where the Hub has a release's files."""
    return f"{_resolve(manifest)}{tag_of(manifest.version)}/"


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


def space_files(manifest: Manifest, data: str) -> Mapping[str, bytes]:
    """Return the files of a Space, by name.

    Args:
        manifest: Of the release.
        data: As of `write_space`.
    """
    files = {name: (STATIC / name).read_bytes() for name in PAGE_FILES}
    allowed = " ".join((_OWN, *_origins(data)))
    files["index.html"] = files["index.html"].replace(_OWN.encode(), allowed.encode())
    settings = {"release": data, "previous": None, "thumbnails": None, "searches": False}
    files[SETTINGS_NAME] = f"{json.dumps(settings, indent=1)}\n".encode()
    files["README.md"] = _card(manifest).encode()
    return files


def version_shown(settings: bytes, manifest: Manifest) -> str | None:
    """Return the version that a Space shows of a dataset on the Hub; None if it shows something else.

    Args:
        settings: The Space's file of settings, from anybody.
        manifest: Of any release of the dataset.
    """
    try:
        address = json.loads(settings)["release"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    ours = re.escape(_resolve(manifest)) + f"v({VERSION_PATTERN.pattern})/"
    found = re.fullmatch(ours, address) if isinstance(address, str) else None
    return found[1] if found else None


def _resolve(manifest: Manifest) -> str:
    return f"{HUB}/datasets/{manifest.inputs.dataset.repository}/resolve/"


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
