"""Check that `datasets` loads every config of a release, with the rows that the manifest states."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from schemas.manifest import Manifest
from schemas.problems import Problem, Reason

# `datasets` writes what it loads plainly to a cache whole; of larger configs every row is streamed.
MAX_BYTES_LOADED_PLAINLY = 2_000_000_000
_FIX = "build the release again"

Loaded = Mapping[str, Mapping[str, Mapping[str, int]]]  # config → "plain" or "streaming" → split → rows
Load = Callable[[Path, Collection[str], Path | None], Loaded]


class LoadingError(Exception):
    """A release cannot be loaded; the message is the loader's last line."""


def load_with_datasets(folder: Path, streamed: Collection[str], scratch: Path | None) -> Loaded:
    """Return the rows that `datasets` loads, in a process of its own with caches that are thrown away.

    Args:
        folder: The release.
        streamed: Configs that are too large to be loaded plainly.
        scratch: Folder for the caches; the system's temporary folder if None.

    Raises:
        LoadingError: `datasets` cannot load the release.
    """
    with tempfile.TemporaryDirectory(prefix="sfhq-check-", dir=scratch) as home:
        environment = {**os.environ, "HF_HOME": home, "TMPDIR": home, "HF_HUB_OFFLINE": "1"}
        consumer = Path(__file__).with_name("consumer.py")
        done = subprocess.run(  # noqa: S603 - our own file, run by our own interpreter
            [sys.executable, "-I", str(consumer), str(folder.resolve()), *streamed],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise LoadingError((done.stderr.strip().splitlines() or ["no message"])[-1])
    loaded: Loaded = json.loads(done.stdout.splitlines()[-1])
    return loaded


def check_loading(
    folder: Path, manifest: Manifest, scratch: Path | None = None, load: Load | None = None
) -> Iterator[Problem]:
    """Yield a problem for each config whose loaded rows are not the manifest's.

    Args:
        folder: The release.
        manifest: Its manifest.
        scratch: Folder for caches; the system's temporary folder if None.
        load: Loads the release; `load_with_datasets` of this module if None.
    """
    sizes = Counter[str]()
    for shard in manifest.shards:
        sizes[shard.config] += shard.num_bytes
    streamed = sorted(config for config, size in sizes.items() if size > MAX_BYTES_LOADED_PLAINLY)
    try:
        found = (load or load_with_datasets)(folder, streamed, scratch)
    except LoadingError as error:
        message = "`datasets` cannot load the release"
        yield Problem(
            Reason.RELEASE,
            message,
            file=folder.name,
            value=str(error),
            fix="see the message",
            code="check/loading",
        )
        return
    rows = {
        config: {split: size.num_rows for split, size in splits.items()}
        for config, splits in manifest.configs.items()
    }
    for config in sorted(found.keys() | rows.keys()):
        for way in ("streaming",) if config in streamed else ("plain", "streaming"):
            loaded = found.get(config, {}).get(way)
            if loaded != rows.get(config):
                value = f"{loaded} loaded, {rows.get(config)} in the manifest"
                message = f"`datasets` loads other rows of {config} ({way})"
                yield Problem(
                    Reason.RELEASE, message, file=folder.name, value=value, fix=_FIX, code="check/loading"
                )
