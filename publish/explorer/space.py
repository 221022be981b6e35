"""The explorer as a folder for a static Space, or for any server that knows range requests."""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from publish.explorer import PAGE_FILES, SETTINGS_NAME, STATIC
from schemas.manifest import Manifest
from schemas.versions import tag_of

HUB = "https://huggingface.co"
# The Hub sends a browser on to its stores, under these names.
_HUB_STORES = ("https://*.huggingface.co", "https://*.hf.co")
_OWN = "connect-src 'self'"


def hub_address(manifest: Manifest) -> str:
    """Return where the Hub has a release's files."""
    return f"{HUB}/datasets/{manifest.inputs.dataset.repository}/resolve/{tag_of(manifest.version)}/"


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
    for name in PAGE_FILES:
        shutil.copyfile(STATIC / name, out / name)
    page = out / "index.html"
    allowed = " ".join((_OWN, *_origins(data)))
    page.write_text(page.read_text(encoding="utf-8").replace(_OWN, allowed), encoding="utf-8")
    settings = {"release": data, "previous": None, "thumbnails": None, "searches": False}
    (out / SETTINGS_NAME).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_card(manifest), encoding="utf-8")


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
