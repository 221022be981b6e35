"""Headless Chromium for measurements, over its debugging pipe.

Playwright also has the browser keep the body of every answer, for its own API. No visitor's page takes that
memory, so this does without Playwright: it only evaluates scripts.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE_SECONDS = 120
_FIRST_FREE = 50  # numbers of pipes, above those that the browser reads and writes: 3 and 4


class Page:
    """A page of the browser.

    Args:
        questions: Descriptor to write to.
        answers: Descriptor to read from.
    """

    def __init__(self, questions: int, answers: int) -> None:
        self._questions, self._answers = questions, answers
        self._number, self._read, self._session = 0, b"", ""

    def open(self, address: str) -> None:
        """Open an address."""
        target = self._call("Target.createTarget", url=address)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page; of a promise, what it becomes."""
        found = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise SystemExit(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                if self.evaluate(f"Boolean({condition})"):
                    return
            except RuntimeError:  # the page is about to become another one
                pass
            time.sleep(0.05)
        raise SystemExit(f"the page never came to: {condition}")

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._questions, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise SystemExit(f"Chromium has ended before {method}") from None
        while True:
            while b"\0" not in self._read:
                data = os.read(self._answers, 65_536)
                if not data:
                    raise SystemExit(f"Chromium has ended, and did not answer {method}")
                self._read += data
            text, _, self._read = self._read.partition(b"\0")
            answer: dict[str, Any] = json.loads(text)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result


@contextmanager
def open_chromium(width: int, height: int) -> Iterator[Page]:
    """Start a browser with a profile of its own, yield a page of it, and end it.

    Args:
        width: Of its window, in pixels.
        height: Likewise.
    """
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("there is no Chromium on PATH")
    to_browser, to_us = os.pipe(), os.pipe()
    inherited = [fcntl.fcntl(each, fcntl.F_DUPFD, _FIRST_FREE) for each in (to_browser[0], to_us[1])]
    with tempfile.TemporaryDirectory(prefix="sfhq-browser-", ignore_cleanup_errors=True) as profile:
        flags = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        flags += [f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        # The browser takes descriptors 3 and 4, which a shell gives it from ours.
        command = f'exec "$0" "$@" 3<&{inherited[0]} 4>&{inherited[1]}'
        process = subprocess.Popen(
            ["bash", "-c", command, path, *flags], pass_fds=inherited, stderr=subprocess.DEVNULL
        )
        for descriptor in (to_browser[0], to_us[1], *inherited):  # so that the pipes end with the browser
            os.close(descriptor)
        try:
            yield Page(to_browser[1], to_us[0])
        finally:
            process.terminate()
            process.wait()
            for descriptor in (to_browser[1], to_us[0]):
                os.close(descriptor)
