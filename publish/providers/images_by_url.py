"""Fetch images that preference results name by URL: limited in size and time, never by default.

The URLs come from strangers, so nothing of one becomes a file name, only HTTP and HTTPS are spoken, and no
credentials are ever sent: none from the URL, none from a netrc file (httpx2 does not read it by itself),
no cookies. Proxies and certificates named by the environment are used.

For a URL whose SHA-256 is NAME, the folder holds `NAME` when the file is whole. A download that fails leaves
nothing and starts again from the first byte: images are small.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from builders.catalog.reader import FetchError
from builders.files import open_whole, sync
from publish.network import (
    Clock,
    RequestError,
    RetryPolicy,
    TimeLimits,
    asks_to_wait,
    is_transient_error,
    is_transient_status,
    redact_url,
    retry,
    retry_after,
)
from schemas import KIT_VERSION
from schemas.problems import printable

MAX_REDIRECTS = 5
# An image has at most 32 MB. A server that sends a byte now and then would keep a run for ever.
TIMES = TimeLimits(total_seconds=300)


class _FailureError(RequestError):
    """One try came to nothing.

    Attributes:
        is_transient: It may go better another time.
        asked_seconds: How long the server asks to wait; None where it does not say.
    """

    def __init__(
        self, message: str, *, is_transient: bool = False, asked_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.is_transient, self.asked_seconds = is_transient, asked_seconds


class ImageFetcher:
    """Downloads files into a folder, each once; may be called from several threads at once.

    Args:
        folder: Where the files go; made if missing. Only one process may use it at a time.
        max_bytes: Largest file accepted, in bytes.
        policy: How often a file is asked for.
        times: Limits of one file, with all tries.
        clock: The time; the real one if None, whose waits `close` ends.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        *,
        policy: RetryPolicy | None = None,
        times: TimeLimits = TIMES,
        clock: Clock | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes = folder, max_bytes
        self._policy, self._times = policy or RetryPolicy(), times
        self._stopped = threading.Event()
        self._clock = clock or Clock(sleep=self._stopped.wait)
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._locks_lock = threading.Lock()
        self._client = httpx2.Client(
            headers={"User-Agent": f"sfhq-release-kit/{KIT_VERSION}", "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx2.Timeout(times.read_seconds, connect=times.connect_seconds, pool=None),
            limits=httpx2.Limits(max_connections=None),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; downloads and waits of other threads end with a `FetchError`."""
        self._stopped.set()
        self._client.close()

    def __call__(self, url: str) -> Path:
        """Return the whole file that a URL points at, from the folder if it is there already.

        Args:
            url: An HTTP or HTTPS address.

        Raises:
            FetchError: It cannot be had; calling again tries again.
            OSError: The folder cannot be written.
        """
        path = self._folder / hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        with self._locks_lock:
            lock = self._locks[path.name]
        with lock:
            if not path.exists():
                self._fetch(url, path)
        return path

    def _fetch(self, url: str, path: Path) -> None:
        end = self._clock.seconds() + self._times.total_seconds
        try:
            retry(lambda: self._try(url, path, end), self._policy, self._clock, end)
        except _FailureError as error:
            failure = error
        else:
            return
        tries = f" ({failure.num_tries} tries)" if failure.num_tries > 1 else ""
        # Outside of the handler: the errors of httpx2 that came before hold the whole URL.
        raise FetchError(f"{redact_url(url)}: {failure}{tries}")

    def _try(self, url: str, path: Path, end: float) -> None:
        """Ask once for the file."""
        try:
            self._check_time(end)
            self._download(_checked(httpx2.URL(url)), path, end)
        except httpx2.TransportError as error:
            failure = self._explain(error)
        except (httpx2.InvalidURL, UnicodeError):
            failure = _FailureError("this is not a valid address")
        else:
            return
        raise failure

    def _download(self, address: httpx2.URL, path: Path, end: float) -> None:
        with self._answer(address) as response:
            _check_status(response)
            _check_kind(response)
            total = _total_bytes(response)
            self._check_size(total or 0)
            with open_whole(path) as open_path:
                self._save(response, open_path, total, end)

    @contextmanager
    def _answer(self, address: httpx2.URL) -> Iterator[httpx2.Response]:
        """Follow redirects to an answer that is none; its body is not read yet."""
        for _ in range(1 + MAX_REDIRECTS):
            # Auth() adds nothing; without it, httpx2 would send the user and password of a URL.
            with self._client.stream("GET", address, auth=httpx2.Auth()) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                address = _redirected(address, response.headers["Location"])
        raise _FailureError(f"more than {MAX_REDIRECTS} redirects")

    def _save(self, response: httpx2.Response, path: Path, total: int | None, end: float) -> None:
        size = 0
        with path.open("wb") as file:
            for chunk in response.iter_raw():
                self._check_time(end)
                size += len(chunk)
                self._check_size(size)
                file.write(chunk)
        if total is not None and size != total:
            message = f"{size:,} bytes came where {total:,} were announced"
            raise _FailureError(message, is_transient=True)
        sync(path)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise _FailureError(f"the file is larger than {self._max_bytes:,} bytes")

    def _check_time(self, end: float) -> None:
        if self._stopped.is_set():
            raise _FailureError("the download was stopped")
        if self._clock.seconds() > end:
            raise _FailureError(f"the download took longer than {self._times.total_seconds:g} s")

    def _explain(self, error: httpx2.TransportError) -> _FailureError:
        if isinstance(error, httpx2.ConnectTimeout):
            message = f"there is no connection after {self._times.connect_seconds:g} s"
        elif isinstance(error, httpx2.TimeoutException):
            message = f"the server said nothing for {self._times.read_seconds:g} s"
        elif isinstance(error, httpx2.ConnectError):
            message = f"there is no connection: {printable(str(error))}"
        elif isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            message = "the address cannot be asked for"
        else:
            message = "the connection ended before the whole answer was there"
        return _FailureError(message, is_transient=is_transient_error(error))


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
        shown = redact_url(location)
        raise _FailureError(f"it redirects to {shown}, which is not a valid http or https address") from None
    if (address.scheme, target.scheme) == ("https", "http"):
        raise _FailureError(f"it redirects from https to {redact_url(str(target))}, which is not encrypted")
    return target


def _check_status(response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    asked_seconds = retry_after(response.headers.get("Retry-After", ""))
    is_transient = is_transient_status(status)
    phrase = printable(response.reason_phrase)[:80]
    message = f"the server answers {status} {phrase}".rstrip()
    raise _FailureError(
        message + (asks_to_wait(asked_seconds) if is_transient else ""),
        is_transient=is_transient,
        asked_seconds=asked_seconds,
    )


def _check_kind(response: httpx2.Response) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise _FailureError("the answer is a web page, not an image")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _FailureError("the server packs the file, though it was asked not to")


def _total_bytes(response: httpx2.Response) -> int | None:
    """Return the announced size of the whole file; None where chunks say by themselves where it ends."""
    if "Transfer-Encoding" in response.headers:
        return None
    if "Content-Length" not in response.headers:
        raise _FailureError(
            "the server does not say how long the file is, so a cut file could not be told from a whole one"
        )
    return int(response.headers["Content-Length"])
