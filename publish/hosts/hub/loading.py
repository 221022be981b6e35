"""Loads a release from the Hub as a user would: with `datasets` alone, one row of each config."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from publish.hosts.hub.client import AGAIN, Hub
from publish.hosts.hub.contents import Contents
from schemas.manifest import Manifest
from schemas.problems import Problem

# Each keeps `datasets` from asking the Hub, or from saying who asks.
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN")
_CONSUMER = Path(__file__).resolve().with_name("consumer.py")
_ERROR = re.compile(r"[\w.]+(Error|Exception|NotFound)\b")


class Loader:
    """Has `datasets` load releases, within a stage of `hub`."""

    def __init__(self, hub: Hub, contents: Contents) -> None:
        self._hub, self._contents = hub, contents

    def load(self, manifest: Manifest, sha: str) -> Iterator[Problem]:
        """Have `datasets` load one row of each config; once more if it cannot: some faults pass."""
        try:
            done = self._run_consumer(sha)
            if done.returncode != 0:
                self._hub.pause()
                done = self._run_consumer(sha)
        except subprocess.TimeoutExpired:
            yield self._contents.problem(
                "`datasets` takes too long to load the release", AGAIN, "host/not-loadable"
            )
            return
        if done.returncode != 0:
            message = f"`datasets` cannot load the release: {self._hub.redact(_last_error(done.stderr))}"
            yield self._contents.problem(
                message, f"see the message; if it may pass, {AGAIN}", "host/not-loadable"
            )
            return
        found: dict[str, dict[str, list[str]]] = json.loads(done.stdout.splitlines()[-1])
        wanted = {config: sorted(splits) for config, splits in manifest.configs.items()}
        loaded = {config: sorted(splits) for config, splits in found.items()}
        if loaded != wanted:
            message = f"`datasets` finds other configs and splits: {loaded}, not {wanted}"
            yield self._contents.problem(message, "see the card's header", "host/not-loadable")

    def _run_consumer(self, sha: str) -> "subprocess.CompletedProcess[str]":
        """Run it in a process of its own, with fresh caches, where no folder is called as the repository."""
        # `datasets` prefers a local folder named like the repository, so load from an empty folder. It does
        # not repeat its metadata request, so try twice: one 503 ended a run between commit and tag.
        with tempfile.TemporaryDirectory(prefix="sfhq-hub-") as home:
            own = {"HF_HOME": home, "TMPDIR": home, "HF_ENDPOINT": self._hub.endpoint}
            environment = {**os.environ, **own}
            for name in _OFFLINE:
                environment.pop(name, None)
            if self._hub.token is not None:
                environment["HF_TOKEN"] = self._hub.token
            return subprocess.run(  # noqa: S603 - our own file, run by our own interpreter
                [sys.executable, "-I", str(_CONSUMER), self._hub.repository, sha],
                cwd=home,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=self._hub.limits.times.total_seconds,
            )


def _last_error(stderr: str) -> str:
    """Return the error that ended a process, as its traceback says it last; it may have many lines."""
    lines = stderr.strip().splitlines() or ["no message"]
    starts = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    return " ".join(lines[starts[-1] if starts else -1 :])
