"""HTTP with a provider of images: one request, its whole answer, and whether it was sent at all."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from publish.network import Clock, TimeLimits
from schemas import KIT_VERSION

MAX_IMAGE_BYTES = 32 * 1024 * 1024
# Base64 takes a third more, and the rest of the JSON is short.
_MAX_ANSWER_BYTES = MAX_IMAGE_BYTES // 3 * 4 + 1024 * 1024
# With these, no byte of the request has reached the server.
_NOT_SENT = (
    httpx2.ConnectError,  # DNS and TLS, too
    httpx2.ConnectTimeout,
    httpx2.LocalProtocolError,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


class UnreadableAnswerError(httpx2.TransportError):
    """The answer is too large, takes too long, or is packed. A request that was sent may have been done."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was answered.

    Attributes:
        url: Where it went.
        sent_headers: Its headers, with the key.
        payload: Its body.
        status: HTTP status of the answer.
        headers: The answer's headers; their names ignore case.
        body: The answer's whole body.
    """

    url: httpx2.URL
    sent_headers: Mapping[str, str]
    payload: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerClient(httpx2.Client):
    """An HTTP client that reads each answer whole, within limits of size and time.

    It keeps no cookies and no idle connections: where a server has closed one, a request seems to be sent and
    its answer lost. Proxies and certificates named by the environment are used.

    Args:
        times: Limits of one request.
        clock: The time.
        max_bytes: Most that an answer may hold; what an image takes, if None.
    """

    def __init__(self, times: TimeLimits, clock: Clock, max_bytes: int | None = None) -> None:
        super().__init__(
            headers={"User-Agent": f"sfhq-release-kit/{KIT_VERSION}", "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx2.Timeout(times.read_seconds, connect=times.connect_seconds, pool=None),
            verify=_certificates(),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            follow_redirects=True,
        )
        self._times, self._clock = times, clock
        self._max_bytes = _MAX_ANSWER_BYTES if max_bytes is None else max_bytes

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request, and read its answer whole, even where a library would stream it.

        Raises:
            httpx2.HTTPError: There is no whole answer; `was_sent` says whether the request may have arrived.
        """
        del stream
        # The library asks for no limit at all, and the environment's proxy may need other headers.
        request.extensions = {**request.extensions, "timeout": self.timeout.as_dict()}
        request.headers["Accept-Encoding"] = "identity"
        if request.method != "GET":
            options["follow_redirects"] = False  # a POST that is sent again may be paid for twice
        end = self._clock.seconds() + self._times.total_seconds
        response = super().send(request, stream=True, **options)
        try:
            if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                raise UnreadableAnswerError("the answer is packed, though it was asked not to be")
            response.stream = _Limited(response.stream, self._clock, end, self._max_bytes)
            response.read()
        finally:
            response.close()
        return response

    def exchange(self, request: httpx2.Request) -> Exchange:
        """Return a request and its whole answer, whatever its status; a redirect is an answer, too.

        Raises:
            httpx2.HTTPError: As with `send`.
        """
        return note_exchange(request, self.send(request, follow_redirects=False))  # a key stays at its host


def note_exchange(request: httpx2.Request, response: httpx2.Response) -> Exchange:
    """Return a request and its answer, both read already."""
    return Exchange(
        request.url, request.headers, request.read(), response.status_code, response.headers, response.content
    )


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # takes longer than a request


class _Limited(httpx2.SyncByteStream):
    """A body of an answer that is neither too long nor too slow."""

    def __init__(self, stream: Any, clock: Clock, end: float, max_bytes: int) -> None:
        self._stream, self._clock, self._end, self._max_bytes = stream, clock, end, max_bytes

    def __iter__(self) -> Iterator[bytes]:
        num_bytes = 0
        for piece in self._stream:
            num_bytes += len(piece)
            if num_bytes > self._max_bytes:
                raise UnreadableAnswerError(f"the answer is larger than {self._max_bytes:,} bytes")
            if self._clock.seconds() > self._end:
                raise UnreadableAnswerError("the answer takes too long")
            yield piece

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


def was_sent(error: BaseException) -> bool:
    """Return whether a request that ended in an error may have reached the server."""
    return not isinstance(error, _NOT_SENT)


def explain_transport(error: BaseException, times: TimeLimits) -> str:
    """Return what went wrong with a connection, as the end of a sentence about the server."""
    # Also for keys: the message of a LocalProtocolError would show the header.
    fixed: dict[type[BaseException], str] = {
        httpx2.ProxyError: "cannot be reached through the proxy in the environment",
        httpx2.UnsupportedProtocol: "has an address that cannot be asked",
        httpx2.LocalProtocolError: "needs a header that cannot be sent",
    }
    if type(error) in fixed:
        return fixed[type(error)]
    if isinstance(error, UnreadableAnswerError):
        return f"sent an answer that cannot be used: {error}"
    if isinstance(error, httpx2.ConnectTimeout):
        return f"cannot be reached: no connection after {times.connect_seconds:g} s"
    if isinstance(error, httpx2.TimeoutException):
        return f"said nothing for {times.read_seconds:g} s"
    if isinstance(error, httpx2.ConnectError):
        return f"cannot be reached: {error}"
    return "closed the connection before its answer was whole"
