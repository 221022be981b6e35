"""The guard of a page on 127.0.0.1: only the browser that was given the address gets an answer.

Other pages that the browser has open can send requests to this machine. Three checks keep them out: a token
in a cookie that goes to this page only, the browser's own word on who asks, and the name that the browser
asked for, which is the attacker's where a host name was bound again to 127.0.0.1.
"""

import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_REFUSED = (
    "This page is for the browser that opened the address which `sfhq explore` printed. Open that one.\n"
)


@dataclass(frozen=True)
class Guard:
    """Passes on the requests of one browser, and adds headers that keep the page to itself.

    Attributes:
        app: What answers.
        port: Of this server, on 127.0.0.1.
        token: What the address has that is printed.
    """

    app: ASGIApp
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def address(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """The cookie's name: cookies do not know ports, and another explorer may run."""
        return f"sfhq-explorer-{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        answer = self._refuse(scope) or self._welcome(scope) or self.app

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await answer(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        is_own = headers.get("host", "") in hosts
        is_asked_here = headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        if is_own and is_asked_here and (self._has_cookie(headers) or self._has_token(scope)):
            return None
        return PlainTextResponse(_REFUSED, 403)

    def _welcome(self, scope: Scope) -> Response | None:
        """Put the token of the address into a cookie, and out of the address."""
        if not self._has_token(scope):
            return None
        response = RedirectResponse("/", 303)
        response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
        return response

    def _has_token(self, scope: Scope) -> bool:
        if scope["path"] != "/" or scope["method"] != "GET":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return self._is_token(given)

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self.cookie in cookies and self._is_token(cookies[self.cookie].value)

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self.token.encode())
