"""Fetch images that preference results name by URL: resumable, limited in size, never by default.

The URLs come from strangers, so nothing of one becomes a file name, only HTTP and HTTPS are spoken, and no
credentials are ever sent: none from the URL, none from a netrc file (httpx2 does not read it by itself),
no cookies. Proxies and certificates named by the environment are used.

For a URL whose SHA-256 is NAME, the folder holds `NAME` when the file is whole. Until then it holds
`NAME.part`, and `NAME.json` with the validator (ETag or Last-Modified) under which the rest may be asked for.
"""

import hashlib
import json
import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import httpx2

from builders.catalog.reader import FetchError
from publish.network import parse_date, retry_after
from schemas import KIT_VERSION
from schemas.problems import printable

MAX_REDIRECTS = 5
MAX_PAUSE_SECONDS = 60.0

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)", re.ASCII)


class _FailureError(Exception):
    """One attempt came to nothing.

    Attributes:
        passing: It may go better another time.
        wait_seconds: How long the server asks to wait; None where it does not say.
    """

    def __init__(self, message: str, *, passing: bool = False, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.passing, self.wait_seconds = passing, wait_seconds


class ImageFetcher:
    """Downloads files into a folder, each once; may be called from several threads at once.

    Args:
        folder: Where the files go; made if missing. Only one process may use it at a time.
        max_bytes: Largest file accepted, in bytes.
        attempts: How often a file is asked for before it is given up, 1 or more.
        timeout_seconds: How long a server may say nothing, in seconds, above 0. It limits each wait,
            not the whole download.
        pause_seconds: Pause before the second attempt, in seconds, 0 or more; doubled before each further
            one, up to 60.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        *,
        attempts: int = 4,
        timeout_seconds: float = 30,
        pause_seconds: float = 1.0,
    ) -> None:
        if attempts < 1:
            raise ValueError("attempts must be 1 or more")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes, self._attempts = folder, max_bytes, attempts
        self._timeout_seconds, self._pause_seconds = timeout_seconds, pause_seconds
        self._stopped = threading.Event()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._locks_lock = threading.Lock()
        self._client = httpx2.Client(
            headers={"User-Agent": f"sfhq-release-kit/{KIT_VERSION}", "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx2.Timeout(timeout_seconds, pool=None),
            limits=httpx2.Limits(max_connections=None),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; downloads and pauses of other threads end with a `FetchError`."""
        self._stopped.set()
        self._client.close()

    def __call__(self, url: str) -> Path:
        """Return the whole file that a URL points at, from the folder if it is there already.

        Args:
            url: An HTTP or HTTPS address.

        Raises:
            FetchError: It cannot be had; calling again tries again.
            OSError: The folder cannot be written; what is there of the file is kept for the next time.
        """
        path = self._folder / hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        with self._locks_lock:
            lock = self._locks[path.name]
        with lock:
            if not path.exists():
                self._fetch(url, path)
        return path

    def _fetch(self, url: str, path: Path) -> None:
        for attempt in range(1, self._attempts + 1):
            failure = self._attempt(url, _Partial(path))
            if failure is None:
                return
            if not failure.passing or attempt == self._attempts:
                break
            pause = min(self._pause_seconds * 2 ** (attempt - 1), MAX_PAUSE_SECONDS)
            self._stopped.wait(pause if failure.wait_seconds is None else failure.wait_seconds)
        tries = f" ({attempt} attempts)" if attempt > 1 else ""
        raise FetchError(f"{redact(url)}: {failure}{tries}")

    def _attempt(self, url: str, partial: "_Partial") -> _FailureError | None:
        """Ask once for the file, or for the rest of it, and say what went wrong."""
        try:
            self._check_running()
            address = _checked(httpx2.URL(url))
            offset, validator = partial.resumable()
            if not (offset and self._transfer(address, partial, offset, validator)):
                partial.discard()
                self._transfer(address, partial)
        except _FailureError as failure:
            return failure
        except httpx2.TransportError as error:
            return self._explain(error)
        except (httpx2.InvalidURL, UnicodeError):
            return _FailureError("this is not a valid address")
        return None

    def _transfer(
        self, address: httpx2.URL, partial: "_Partial", offset: int = 0, validator: str = ""
    ) -> bool:
        """Download from `offset` (in bytes) to the end; False if what is there cannot be continued."""
        headers = {"Range": f"bytes={offset}-", "If-Range": validator} if offset else {}
        with self._answer(address, headers) as response:
            if offset and not _continues(response, offset, validator):
                return False
            _check_status(response, 206 if offset and response.status_code != 200 else 200)
            _check_kind(response)
            total = _total_bytes(response)
            self._check_size(total or 0, partial)
            if response.status_code == 200:
                partial.begin(_validator(response.headers))
                offset = 0
            self._save(response, partial, offset, total)
        return True

    @contextmanager
    def _answer(self, address: httpx2.URL, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """Follow redirects to an answer that is none; its body is not read yet."""
        for _ in range(1 + MAX_REDIRECTS):
            # Auth() adds nothing; without it, httpx2 would send the user and password of a URL.
            with self._client.stream("GET", address, headers=headers, auth=httpx2.Auth()) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                address = _redirected(address, response.headers["Location"])
        raise _FailureError(f"more than {MAX_REDIRECTS} redirects")

    def _save(self, response: httpx2.Response, partial: "_Partial", offset: int, total: int | None) -> None:
        size = offset
        with partial.path.open("ab") as file:
            for chunk in response.iter_raw():
                self._check_running()
                size += len(chunk)
                self._check_size(size, partial)
                file.write(chunk)
            if total is not None and size != total:
                if size > total:
                    partial.discard()
                raise _FailureError(f"{size:,} bytes came where {total:,} were announced", passing=True)
            file.flush()
            os.fsync(file.fileno())
        partial.finish()

    def _check_size(self, size: int, partial: "_Partial") -> None:
        if size > self._max_bytes:
            partial.discard()
            raise _FailureError(f"the file is larger than {self._max_bytes:,} bytes")

    def _check_running(self) -> None:
        if self._stopped.is_set():
            raise _FailureError("the download was stopped")

    def _explain(self, error: httpx2.TransportError) -> _FailureError:
        if isinstance(error, httpx2.TimeoutException):
            return _FailureError(f"the server said nothing for {self._timeout_seconds:g} s", passing=True)
        if isinstance(error, httpx2.ConnectError):
            return _FailureError(f"there is no connection: {printable(str(error))}", passing=True)
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            return _FailureError("the address cannot be asked for")
        return _FailureError("the connection ended before the whole answer was there", passing=True)


class _Partial:
    """What is there of a file that is not whole, and the validator of the version it is a part of."""

    def __init__(self, whole: Path) -> None:
        self._whole = whole
        self.path = whole.with_name(f"{whole.name}.part")
        self._note = whole.with_name(f"{whole.name}.json")

    def resumable(self) -> tuple[int, str]:
        """Return how many bytes are there, and their validator; 0 bytes if they cannot be continued."""
        try:
            size = self.path.stat().st_size
            validator = json.loads(self._note.read_bytes())["validator"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return 0, ""
        return (size, validator) if isinstance(validator, str) else (0, "")

    def begin(self, validator: str | None) -> None:
        """Start afresh; without a validator, the part will not be continued."""
        self.discard()  # first, so that no bytes ever stand beside the validator of others
        if validator is not None:
            self._note.write_text(json.dumps({"validator": validator}), encoding="utf-8")

    def finish(self) -> None:
        """Move the file, which is whole and on the disk, into its place."""
        self.path.replace(self._whole)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all of it."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def redact(url: str) -> str:
    """Return a URL for messages: without user, password, query and fragment, and safe on a terminal.

    What cannot be read as a URL with a host is left out altogether.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port  # raises where a password with a slash in it passes for a port
    except ValueError:
        return "(an unreadable URL)"
    if not host:
        return printable(f"{parts.scheme}:…" if parts.scheme else "(an address without a host)")
    return printable(urlunsplit((parts.scheme, host, parts.path.partition(";")[0], "", "")))


def _checked(address: httpx2.URL) -> httpx2.URL:
    if address.scheme not in ("http", "https"):
        raise _FailureError("only http and https addresses are fetched")
    if not address.raw_host or not (address.port is None or 0 < address.port < 65536):
        raise _FailureError("this is not a valid address")
    return address


def _redirected(address: httpx2.URL, location: str) -> httpx2.URL:
    try:
        target = _checked(address.join(location))
    except (_FailureError, httpx2.InvalidURL, UnicodeError):
        shown = redact(location)
        raise _FailureError(f"it redirects to {shown}, which is not a valid http or https address") from None
    if (address.scheme, target.scheme) == ("https", "http"):
        raise _FailureError(f"it redirects from https to {redact(str(target))}, which is not encrypted")
    return target


def _continues(response: httpx2.Response, offset: int, validator: str) -> bool:
    """Whether an answer to a request for a range can be used: as the range, as all of it, or as a failure."""
    if response.status_code != 206:
        return response.status_code != 416
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = _validator(response.headers) in (None, validator)
    return same and found is not None and int(found[1]) == offset


def _check_status(response: httpx2.Response, expected: int) -> None:
    status = response.status_code
    if status == expected:
        return
    asked = retry_after(response.headers.get("Retry-After", "")) if status in (429, 503) else None
    wait_seconds = None if asked is None else min(asked, MAX_PAUSE_SECONDS)
    phrase = printable(response.reason_phrase)[:80]
    raise _FailureError(
        f"the server answers {status} {phrase}".rstrip(),
        passing=status in (408, 429) or status >= 500,
        wait_seconds=wait_seconds,
    )


def _check_kind(response: httpx2.Response) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise _FailureError("the answer is a web page, not an image")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _FailureError("the server packs the file, though it was asked not to")


def _total_bytes(response: httpx2.Response) -> int | None:
    """Return the announced size of the whole file; None where chunks say by themselves where it ends."""
    if response.status_code == 206:
        found = _CONTENT_RANGE.fullmatch(response.headers["Content-Range"])
        return int(found[3]) if found else None
    if "Transfer-Encoding" in response.headers:
        return None
    if "Content-Length" not in response.headers:
        raise _FailureError(
            "the server does not say how long the file is, so a cut file could not be told from a whole one"
        )
    return int(response.headers["Content-Length"])


def _validator(headers: httpx2.Headers) -> str | None:
    """Return what tells two versions of a file apart to the byte; None where nothing does (RFC 9110, 8.8)."""
    tag = headers.get("ETag", "")
    if tag:
        return tag if tag.startswith('"') else None
    modified, now = parse_date(headers.get("Last-Modified", "")), parse_date(headers.get("Date", ""))
    # A file changed within this very second may change once more under the same date.
    if modified is None or now is None or now - modified < timedelta(seconds=1):
        return None
    return headers["Last-Modified"]
