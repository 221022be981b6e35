"""A collection with faulty images."""

from __future__ import annotations

from pathlib import Path

from tests.support import SfhqFolder, good_folder


def faulty_folder(path: Path) -> SfhqFolder:
    """Return a folder with an image that ends too early, one that is none, and one that is missing."""
    folder = good_folder(path, 40)
    names = list(folder.images)
    folder.images[names[3]] = folder.images[names[3]][:-200]
    folder.images[names[7]] = b"GIF89a and nothing more"
    del folder.images[names[11]]
    return folder
