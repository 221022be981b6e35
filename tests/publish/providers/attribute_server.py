"""A server of attributes on loopback; a test queues what the next requests get."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.publish.loopback import Loopback

GOOD: list[dict[str, Any]] = [
    {"attribute": "hat", "value": "beanie", "confidence": 0.93, "more": "is ignored"},
    {"attribute": "glasses", "value": "none", "confidence": None},
]


@dataclass(frozen=True)
class Reply:
    """What a request gets; `is_cut` closes the connection in the middle of the body."""

    status: int = 200
    body: bytes = json.dumps(GOOD).encode()
    headers: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False


class AttributeServer(Loopback):
    """The server; `requests` has the headers and body of each request."""

    def __init__(self) -> None:
        self.replies, self.requests = list[Reply](), list[tuple[dict[str, str], bytes]]()
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    server.requests.append((dict(self.headers), body))
                    reply = server.replies.pop(0) if server.replies else Reply()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body[: len(reply.body) // 2] if reply.is_cut else reply.body)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)
