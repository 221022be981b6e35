"""The HTTP client of the Hub's library: it ends waits that are too long, and names failures that may pass.

Uploads to the Xet store do not use it: see `publish.hosts.hub.xet`.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx2
from huggingface_hub import is_offline_mode
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # public, though not marked so

from publish.network import (
    TimeLimits,
    Watch,
    asks_to_wait,
    is_transient_error,
    is_transient_status,
    retry_after,
)
from schemas.problems import Problem, Reason, ReleaseError, printable

_PROXY = (
    "correct HTTPS_PROXY, HTTP_PROXY and ALL_PROXY: http://host:port, with other characters than letters and "
    "digits of a name or password as %XX"
)


_SLACK_SECONDS = 2.0


class TransientError(Exception):
    """One request failed and may succeed later. The library would repeat an error of httpx2's by itself."""

    def __init__(self, message: str, status: int | None = None, asked_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status, self.asked_seconds = status, asked_seconds


class StageOverError(Exception):
    """The stage has taken longer than it may."""


def _timeout(times: TimeLimits) -> httpx2.Timeout:
    return httpx2.Timeout(times.read_seconds, connect=times.connect_seconds, pool=None)


def make_plain_client(times: TimeLimits) -> httpx2.Client:
    """Return a client with time limits, for uses of the library outside a stage."""
    return httpx2.Client(
        follow_redirects=True,
        timeout=_timeout(times),
        verify=_certificates(),
        event_hooks={"request": [_refuse_offline]},
    )


def _refuse_offline(_: httpx2.Request) -> None:
    if is_offline_mode():
        raise OfflineModeIsEnabled("offline mode is set")


class LimitedClient(httpx2.Client):
    """An HTTP client with time limits, for the library.

    Proxies and certificates named by the environment are used.

    Args:
        times: Limits of one request.
        watch: Gets each request and each piece of a body.
        check_time: Raises when the stage is over.
        flow: Called with the size in bytes of each piece of a file that is sent.

    Raises:
        ReleaseError: The environment names a proxy that cannot be used.
    """

    def __init__(
        self,
        times: TimeLimits,
        watch: Watch,
        check_time: Callable[[], None],
        flow: Callable[[int], None],
    ) -> None:
        certificates = _certificates()
        try:
            super().__init__(follow_redirects=True, timeout=_timeout(times), verify=certificates)
        except (httpx2.InvalidURL, ValueError, ImportError):  # the last where support for SOCKS is missing
            # Without the library's reason: it may quote a part of the proxy's password.
            message = "the proxy in the environment cannot be used"
            raise ReleaseError(
                Problem(Reason.RELEASE, message, fix=_PROXY, code="host/unreachable")
            ) from None
        self._times, self._watch, self._check_time, self._flow = times, watch, check_time, flow

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request.

        Raises:
            TransientError: No answer, or one that says to try again.
            StageOverError: There is no time left.
        """
        if is_offline_mode():
            raise OfflineModeIsEnabled("offline mode is set")
        self._check_time()
        where = printable(f"{request.method} {request.url.path}")  # the query may hold a signature
        self._watch.await_answer(where)
        if request.method == "PUT" and isinstance(request.stream, httpx2.SyncByteStream):
            request.stream = _Sent(request.stream, self._count)
        # Whatever the client's limit is, some of the library's requests ask for none, others for a short one.
        request.extensions = {**request.extensions, "timeout": self._limit(request)}
        try:
            response = super().send(request, stream=True, **options)
            response.stream = _Timed(response.stream, self._check_piece)
            if not stream or is_transient_status(response.status_code):
                _read(response)
        except httpx2.TransportError as error:
            if not is_transient_error(error):
                raise
            if isinstance(error, httpx2.TimeoutException):
                seconds = self._silence_seconds(error)
                raise TransientError(f"no answer for {seconds:g} s to {where}") from error
            raise TransientError(f"the connection broke at {where}") from error
        if is_transient_status(response.status_code):
            message = f"the Hub answered {response.status_code} to {where}"
            asked_seconds = _asked_seconds(response.headers)
            raise TransientError(message + asks_to_wait(asked_seconds), response.status_code, asked_seconds)
        if not stream:
            _check_answer(request, response, where)
        self._watch.succeed()
        response.headers.pop("X-HF-Warning", None)  # the library would print it as it is
        return response

    def _check_piece(self) -> None:
        self._check_time()
        self._watch.flow()

    def _count(self, num_bytes: int) -> None:
        self._check_time()
        self._flow(num_bytes)

    def _silence_seconds(self, error: httpx2.TimeoutException) -> float:
        is_connect = isinstance(error, httpx2.ConnectTimeout)
        return self._times.connect_seconds if is_connect else self._times.read_seconds

    def _limit(self, request: httpx2.Request) -> dict[str, float | None]:
        asked, own = request.extensions.get("timeout", {}), self.timeout.as_dict()
        # The library sends files in threads that Python joins when the process ends. So no request may
        # outlast the stage, which is to end first and to say so.
        left = self._watch.seconds_left() + _SLACK_SECONDS
        most = {"read": left, "write": left}
        return {
            name: min(
                (each for each in (own[name], asked.get(name), most.get(name)) if each is not None),
                default=None,
            )
            for name in own
        }


class _Timed(httpx2.SyncByteStream):
    """A body of an answer that ends when the stage does."""

    def __init__(self, stream: Any, check: Callable[[], None]) -> None:
        self._stream, self._check = stream, check

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._check()
            yield piece

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._stream.close()


class _Sent(httpx2.SyncByteStream):
    """A body of a request that tells how much of it is sent."""

    def __init__(self, stream: httpx2.SyncByteStream, told: Callable[[int], None]) -> None:
        self._stream, self._told = stream, told

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield piece
            self._told(len(piece))


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # takes longer than a request


def _read(response: httpx2.Response) -> None:
    try:
        response.read()
    except BaseException:
        response.close()
        raise


def _check_answer(request: httpx2.Request, response: httpx2.Response, where: str) -> None:
    """Refuse an answer with status 200 that is not the API's: a proxy's page, or JSON of something else."""
    if response.status_code != 200:
        return
    shape = next((shape for route, shape in _SHAPES if route.fullmatch(request.url.path)), None)
    if shape is None:
        return
    try:
        is_ours = shape(response.json())
    except ValueError:
        is_ours = False
    if not is_ours:
        raise TransientError(f"the answer to {where} is not one of the Hub's API")


def _has(key: str, kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and isinstance(value.get(key), kind)


def _lists(*keys: str) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and all(isinstance(item, dict) and item.keys() >= set(keys) for item in value)
    )


# The library takes some answers without a look: of `{}` for a listing, it makes a commit without files. What
# a write came to is read back; this is for what is read.
_SHAPES: tuple[tuple[re.Pattern[str], Callable[[Any], bool]], ...] = (
    (re.compile(r".*/api/whoami-v2"), _has("name", str)),
    (re.compile(r".*/api/repos/create"), _has("url", str)),
    (re.compile(r".*/api/datasets/[^/]+/[^/]+/refs"), _has("branches", list)),
    (re.compile(r".*/api/datasets/[^/]+/[^/]+/tree/.*"), _lists("type", "path")),
    (re.compile(r".*/api/datasets/[^/]+/[^/]+/commits/[^/]+"), _lists("id")),
    (re.compile(r".*/api/datasets/[^/]+/[^/]+/preupload/[^/]+"), _has("files", list)),
    (re.compile(r".*/api/datasets/[^/]+/[^/]+/commit/[^/]+"), _has("commitOid", str)),
    (re.compile(r".*\.git/info/lfs/objects/batch"), _has("objects", list)),
)


def _asked_seconds(headers: httpx2.Headers) -> float | None:
    """Read how long the Hub asks to wait: seconds, a date, or the rest of a window whose rate is used up."""
    asked = retry_after(headers.get("Retry-After", ""))
    if asked is not None:
        return asked
    rate = parse_ratelimit_headers(headers)
    return float(rate.reset_in_seconds) if rate is not None and rate.remaining == 0 else None
