"""What is refused before anything is read, and the headers of every answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 4096
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# The page needs its own files and nothing else; no text of a prompt can become a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",  # the address of the page is the link of a person
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where the page may be reached.

    Attributes:
        hosts: Values of the header Host.
        origins: Values of the header Origin.
    """

    hosts: frozenset[str]
    origins: frozenset[str]


def known_places(host: str, port: int, base_url: str) -> Places:
    """Return where the page may be reached: on this machine, at its address, and at the base URL.

    Args:
        host: The address that is listened on.
        port: Its port.
        base_url: Where people reach the page.
    """
    own = f"[{host}]" if ":" in host and not host.startswith("[") else host
    origins = {f"http://{name}:{port}" for name in (*LOOPBACK, own)} | {_origin(base_url)}
    if port == 80:
        origins |= {f"http://{name}" for name in (*LOOPBACK, own)}
    return Places(
        frozenset(origin.partition("://")[2].lower() for origin in origins),
        frozenset(origin.lower() for origin in origins),
    )


class Guard:
    """Refuses requests that the page does not make.

    Another host's name means that a stranger's page has its own name lead to this address; another origin
    means that a stranger's page sends something. A page of ours sends JSON, with the token in a header.

    Args:
        app: Gets what is not refused.
        places: Where the page may be reached.
    """

    def __init__(self, app: ASGIApp, places: Places) -> None:
        self._app, self._places = app, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refuse(scope["method"], Headers(scope=scope))
        if refusal is not None:
            status, text = refusal
            answer = PlainTextResponse(text, status, {"Connection": "close"})
            await answer(scope, receive, send_guarded)
            return
        await self._app(scope, _limited(receive), send_guarded)

    def _refuse(self, method: str, headers: Headers) -> tuple[int, str] | None:
        if headers.get("host", "").lower() not in self._places.hosts:
            return 421, "This address is not served here."
        if method in ("GET", "HEAD"):
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if (origin is not None and origin.lower() not in self._places.origins) or site not in (
            None,
            "same-origin",
        ):
            return 403, "Requests from other pages are refused."
        return _refuse_body(headers)


def _refuse_body(headers: Headers) -> tuple[int, str] | None:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "A request has JSON."
    length = headers.get("content-length", "")
    # Of both headers, a server believes the other one, and a body in chunks has no end.
    if not length.isdecimal() or "transfer-encoding" in headers:
        return 411, "A request says its length."
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:
        return 413, "The request is too long."
    return None


def _limited(receive: Receive) -> Receive:
    """Return a `receive` that ends a body which is longer than its request says it is.

    The headers are not trusted alone: what they mean is for the server in front of this to decide.
    """
    num_bytes = 0

    async def receive_counted() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return receive_counted


def _origin(url: str) -> str:
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_default = parts.port in (None, _DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{name}" + ("" if is_default else f":{parts.port}")
