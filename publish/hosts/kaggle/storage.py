"""Sends files to the storage behind Kaggle, and compares what it says that it got with what was sent.

https://cloud.google.com/storage/docs/performing-resumable-uploads says how. The last answer names the size
and MD5 of what has arrived, in JSON or in the header `x-goog-hash`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from kaggle.models.kaggle_models_extended import ResumableUploadResult

from publish.hosts.kaggle.access import Limits, SiteError
from publish.hosts.kaggle.transfer import Body, bytes_there

_WHOLE = (200, 201)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the storage says of a file that is whole.

    Attributes:
        num_bytes: Its size; None where it does not say.
        md5: Its MD5 in base64; None where it does not say.
    """

    num_bytes: int | None
    md5: str | None


class DifferentBytesError(SiteError):
    """A file was not sent as the release has it, so its upload must begin anew."""


class Storage:
    """Sends files.

    Args:
        limits: How long to wait for what.
        told: Is told how many bytes more are through; fewer where some must be sent again.
    """

    def __init__(self, limits: Limits, told: Callable[[int], None]) -> None:
        self._limits, self._told = limits, told

    def send(self, path: Path, url: str, sha256: str, *, resumes: bool, end: float) -> tuple[int, bool]:
        """Send a file, or the rest of it.

        Args:
            path: The file.
            url: Where it goes; as good as a token.
            sha256: Its digest by the manifest.
            resumes: Whether some of it may be there.
            end: When sending ends, in seconds of the clock.

        Returns:
            One of `ResumableUploadResult`'s constants; and False if the storage gave no digest of a file that
            was sent in parts, so that only reading it back shows what arrived.

        Raises:
            DifferentBytesError: The file is not that of the manifest, or the storage got other bytes.
            SiteError: It takes too long.
            requests.RequestException: The request came to nothing.
        """
        size, start = path.stat().st_size, 0
        if resumes:
            answer = self._ask(url, size)
            if answer.status_code in _WHOLE:
                # An earlier run sent all of it: what this file holds now must be what has arrived.
                self._told(size)
                with Body(path, size, lambda _: None, self._limits.clock, end) as body:
                    return self._accept(path, sha256, body, answer)
            start = bytes_there(answer, size)
        with Body(path, start, self._told, self._limits.clock, end) as body:
            headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
            try:
                self._told(start)
                answer = self._put(url, body if size > start else b"", headers)
                if answer.status_code in _WHOLE and read_stored(answer) == Stored(None, None):
                    # A page of a proxy's has status 200, too.
                    answer = self._ask(url, size)
            except BaseException:
                self._told(-start - body.sent)
                raise
            if answer.status_code not in _WHOLE:
                self._told(-start - body.sent)
                return int(ResumableUploadResult.INCOMPLETE), True
            return self._accept(path, sha256, body, answer)

    def _accept(self, path: Path, sha256: str, body: Body, answer: requests.Response) -> tuple[int, bool]:
        """Compare what was sent with the manifest, and what has arrived with what was sent."""
        stored, size = read_stored(answer), body.start + body.sent
        if body.sha256 != sha256:
            self._told(-size)
            message = f"{path.name} has changed since it was checked, or while it was sent"
            fix = "see what changes files of the release; with the right bytes, the same command continues"
            raise DifferentBytesError(message, fix, code="check/file")
        if stored.num_bytes not in (None, size) or stored.md5 not in (None, body.md5):
            self._told(-size)
            message = f"Kaggle's storage has got other bytes of {path.name} than were sent"
            raise DifferentBytesError(message, "run the same command again: it sends the file once more")
        return int(ResumableUploadResult.COMPLETE), stored.md5 is not None or body.start == 0

    def _ask(self, url: str, size: int) -> requests.Response:
        """Ask how much of a file has arrived."""
        return self._put(url, b"", {"Content-Range": f"bytes */{size}"})

    def _put(self, url: str, body: Any, headers: Mapping[str, str]) -> requests.Response:
        timeout = self._limits.times.connect_seconds, self._limits.times.read_seconds
        answer = requests.put(url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False)
        if answer.status_code not in (*_WHOLE, 308):
            raise requests.HTTPError("", response=answer)
        return answer


def read_stored(answer: requests.Response) -> Stored:
    """Read what an answer says of the file: in the header `x-goog-hash`, or in the JSON of the object."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    size = str(told.get("size", answer.headers.get("x-goog-stored-content-length", "")))
    hashes = [part.strip().partition("=") for part in answer.headers.get("x-goog-hash", "").split(",")]
    md5 = next((value for name, _, value in hashes if name == "md5"), told.get("md5Hash"))
    return Stored(
        int(size) if size.isascii() and size.isdigit() else None, md5 if isinstance(md5, str) else None
    )
