"""Check that `datasets` loads every config of a release, with the rows that the manifest states."""

import atexit
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from builders.parallel import Track, untracked
from schemas.manifest import Manifest
from schemas.problems import Problem, Reason

# `datasets` writes what it loads plainly to a cache whole; of larger configs every row is streamed.
MAX_BYTES_LOADED_PLAINLY = 2_000_000_000
# Each keeps `datasets` from asking the Hub, or from saying who asks.
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN")
# Where torch is installed, `datasets` imports it for nothing: 4 CPU seconds and 0.5 GB.
_FRAMEWORKS = {"USE_TORCH": "0", "USE_TF": "0", "USE_JAX": "0"}
# Arrow's own allocators keep what is freed, and so does malloc in each thread's arena: of streaming 2 GB of
# images, 100 MB in a peak of 460 MB.
_MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
_ENDPOINT = "https://huggingface.co"
# What the libraries read when they are imported, and decides whom they reach.
_NETWORK = re.compile(r"HF_(?!XET_)|.*_proxy$|SSL_CERT_|REQUESTS_CA", re.IGNORECASE)
_FIX = "build the release again"

Loaded = Mapping[str, Mapping[str, Mapping[str, int]]]  # config → "plain" or "streaming" → split → rows
Tell = Callable[[str, int, int], object]  # is given each config before it is loaded, its number, and how many
Load = Callable[[Path, Collection[str], Path | None, Tell], Loaded]


class LoadingError(Exception):
    """A release cannot be loaded; the message is the loader's own error."""


class Consumer:
    """A process that loads releases with `datasets`, and knows nothing of the kit.

    It starts at the first order, and is used again as long as the settings of the network stay:
    starting `datasets` takes seconds. It ends with this process, or after an error, which may have left
    something in its caches.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._network: Mapping[str, str] = {}
        self._left = ExitStack()
        self._errors: IO[bytes] = io.BytesIO()

    def ask(self, order: Mapping[str, object], tell: Tell, **environment: str) -> Any:
        """Have an order of `publish/checks/consumer.py` carried out, and return what is found.

        Args:
            order: The order.
            tell: Is told of each config.
            environment: Variables in addition to those of this process.

        Raises:
            LoadingError: `datasets` cannot load it.
        """
        process = self._start(environment)
        with suppress(BrokenPipeError):
            print(json.dumps(order), file=process.stdin, flush=True)
        for line in process.stdout or ():
            answer = json.loads(line)
            if "config" in answer:
                tell(answer["config"], answer["number"], answer["total"])
            elif "found" in answer:
                return answer["found"]
            else:
                self.close()
                raise LoadingError(answer["error"])
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        self.close()
        raise LoadingError(last[0])

    def close(self) -> None:
        """End the process, and remove its caches; the next order starts another."""
        self._process = None
        with suppress(BrokenPipeError):  # an order that was never read
            self._left.close()

    def _start(self, more: Mapping[str, str]) -> "subprocess.Popen[str]":
        endpoint = os.environ.get("HF_ENDPOINT", _ENDPOINT).rstrip("/")
        environment = {**os.environ, "HF_ENDPOINT": endpoint, **_FRAMEWORKS, **_MEMORY, **more}
        for name in _OFFLINE:
            environment.pop(name, None)
        network = {name: value for name, value in environment.items() if _NETWORK.match(name)}
        if self._process is not None and network == self._network and self._process.poll() is None:
            return self._process
        self.close()
        self._network = network
        # `datasets` prefers a local folder that is named like the repository, so it runs in an empty one.
        home = self._left.enter_context(tempfile.TemporaryDirectory(prefix="sfhq-load-"))
        self._errors = self._left.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered
        command = [sys.executable, "-I", str(Path(__file__).resolve().with_name("consumer.py")), home]
        self._process = self._left.enter_context(
            subprocess.Popen(  # noqa: S603 - our own file, run by our own interpreter
                command,
                cwd=home,
                env={**environment, "HF_HOME": home, "TMPDIR": home},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        )
        self._left.callback(self._process.kill)
        return self._process


# One for all checks of a run.
CONSUMER = Consumer()
atexit.register(CONSUMER.close)


def load_with_datasets(folder: Path, streamed: Collection[str], scratch: Path | None, tell: Tell) -> Loaded:
    """Return the rows that `datasets` loads from a folder, without the network.

    Args:
        folder: The release.
        streamed: Configs that are too large to be loaded plainly.
        scratch: Folder for the cache of each config; the system's temporary folder if None.
        tell: Is told of each config.

    Raises:
        LoadingError: `datasets` cannot load the release.
    """
    place = None if scratch is None else str(scratch.resolve())
    order = {"folder": str(folder.resolve()), "streamed": sorted(streamed), "scratch": place}
    loaded: Loaded = CONSUMER.ask(order, tell)
    return loaded


def check_loading(
    folder: Path,
    manifest: Manifest,
    scratch: Path | None = None,
    load: Load | None = None,
    track: Track = untracked,
) -> Iterator[Problem]:
    """Yield a problem for each config whose loaded rows are not the manifest's.

    Args:
        folder: The release.
        manifest: Its manifest.
        scratch: Folder for caches; the system's temporary folder if None.
        load: Loads the release; `load_with_datasets` of this module if None.
        track: Shows progress, config by config.
    """
    sizes = Counter[str]()
    for shard in manifest.shards:
        sizes[shard.config] += shard.num_bytes
    streamed = sorted(config for config, size in sizes.items() if size > MAX_BYTES_LOADED_PLAINLY)
    shown: Iterator[int] = iter(())

    def tell(_: str, number: int, total: int) -> None:
        nonlocal shown
        if number == 1:
            shown = iter(track(range(total), "loading configs", total))
        next(shown, None)

    pa.default_memory_pool().release_unused()  # the other process needs memory now, and this one waits
    try:
        found = (load or load_with_datasets)(folder, streamed, scratch, tell)
        deque(shown, maxlen=0)
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
