"""Providers of images on loopback for the real clients, and an address of images beside them.

It speaks as fal, Replicate, Together, nscale, WaveSpeed, Hugging Face and OpenAI do, and as a Hub that says
what each calls a model. A test queues what the next requests get; with an empty queue, each succeeds.
"""

import base64
import io
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from PIL import Image, PngImagePlugin

from tests.publish.loopback import Loopback

MODEL = "black-forest-labs/FLUX.1-schnell"
# What each provider calls the model.
NAMES = {
    "fal-ai": "fal-ai/flux/schnell",
    "replicate": "black-forest-labs/flux-schnell",
    "together": "black-forest-labs/FLUX.1-schnell-Free",
    "nscale": "black-forest-labs/FLUX.1-schnell",
    "wavespeed": "wavespeed-ai/flux-schnell",
}
SEED = 424242


def _draw(color: tuple[int, int, int]) -> bytes:
    """Return a PNG with a text that no encoder would write again."""
    info = PngImagePlugin.PngInfo()
    info.add_text("c2pa", "a claim of the provider")
    file = io.BytesIO()
    Image.new("RGB", (16, 16), color).save(file, "PNG", pnginfo=info)
    return file.getvalue()


IMAGE, BLACK = _draw((200, 120, 90)), _draw((0, 0, 0))


@dataclass(frozen=True)
class Reply:
    """What a request gets.

    Attributes:
        do: "answer"; "reset": hang up; "silent": nothing until the server stops; "cut": half of the
            body; "late": after a second; "slow": the body in pieces, with pauses.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    do: str = "answer"


@dataclass(frozen=True)
class Seen:
    """One request as it came in; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def sent(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


def say(body: object, status: int = 200, **headers: str) -> Reply:
    """Answer with JSON."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **names})


class ImageServer(Loopback):
    """The server; use it in a `with`.

    Attributes:
        replies: What the next requests for an image get, and then the questions about one.
        files: What the next requests for an image's file get.
        seen: Every request for an image or about one.
        fetched: Every request for an image's file.
        asked_hub: Every request for a model's names.
    """

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.files: list[Reply] = []
        self.mapping: Reply | None = None
        self.seen: list[Seen] = []
        self.fetched: list[Seen] = []
        self.asked_hub: list[Seen] = []
        self._lock = threading.Lock()
        super().__init__(self._handler())

    @property
    def address(self) -> str:
        """Where the image is; the query is a signature, as those of real stores."""
        return f"{self.storage}/files/face.png?signature=SignatureOfAnImage"

    def succeed(self, seen: Seen, *, is_flagged: bool = False) -> Reply:
        """Return the answer of the provider that a request is for, with the image."""
        if seen.path.startswith("/fal-ai/"):
            return self._succeed_fal(seen, is_flagged=is_flagged)
        if seen.path.endswith("/predictions"):
            return self._succeed_replicate(seen)
        if "/api/v3/" in seen.path:
            return self._succeed_wavespeed(is_flagged=is_flagged)
        if "/models/" in seen.path:
            return Reply(200, IMAGE, {"Content-Type": "image/png", "x-request-id": "req-hf"})
        item = {"b64_json": base64.b64encode(IMAGE).decode()}
        body = {
            "id": "gen-1",
            "created": 1,
            "model": seen.sent["model"],
            "data": [item],
            "usage": {"total_tokens": 9},
        }
        return say(body, x_request_id="req-open")

    def _succeed_fal(self, seen: Seen, *, is_flagged: bool) -> Reply:
        body = {
            "images": [{"url": self.address, "width": 16, "height": 16, "content_type": "image/png"}],
            "timings": {"inference": 0.5},
            "seed": seen.sent.get("seed", SEED),
            "has_nsfw_concepts": [is_flagged],
            "prompt": seen.sent["prompt"],
        }
        return say(body, x_fal_request_id="req-fal", x_compute_time="0.6")

    def _succeed_replicate(self, seen: Seen) -> Reply:
        body = {
            "id": "pred1",
            "model": NAMES["replicate"],
            "status": "succeeded",
            "input": seen.sent["input"],
            "output": [self.address],
            "error": None,
            "logs": f"Using seed: {SEED}\nGenerated 1 image",
            "metrics": {"predict_time": 0.4},
            "urls": {"get": "https://example.org/v1/predictions/pred1"},
        }
        return say(body, 201)

    def _succeed_wavespeed(self, *, is_flagged: bool) -> Reply:
        data = {
            "id": "task1",
            "model": NAMES["wavespeed"],
            "status": "completed",
            "outputs": [self.address],
            "has_nsfw_contents": [is_flagged],
            "urls": {"get": "https://example.org/api/v3/predictions/task1/result"},
        }
        return say({"code": 200, "message": "success", "data": data})

    def _reply(self, seen: Seen) -> Reply:
        with self._lock:
            if seen.path.startswith("/api/models/"):
                self.asked_hub.append(seen)
                mapping = {
                    name: {"status": "live", "providerId": model, "task": "text-to-image"}
                    for name, model in NAMES.items()
                }
                known = {"id": MODEL, "pipeline_tag": "text-to-image", "inferenceProviderMapping": mapping}
                return self.mapping or say(known)
            if seen.path.startswith("/api/agent"):
                return say({}, 404)
            if seen.path.startswith("/files/"):
                self.fetched.append(seen)
                return self.files.pop(0) if self.files else Reply(200, IMAGE, {"Content-Type": "image/png"})
            self.seen.append(seen)
            return self.replies.pop(0) if self.replies else self.succeed(seen)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return answer_with(self._reply, lambda: self.stopped)


def send_reply(handler: BaseHTTPRequestHandler, reply: Reply, stopped: threading.Event) -> None:
    """Answer a request as a reply says."""
    if reply.do == "silent":
        stopped.wait(30)
    if reply.do == "late":
        stopped.wait(1)
    if reply.do in ("reset", "silent"):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.connection.close()
        return
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(reply.body)))
    handler.send_header("Connection", "close")  # else a client may ask on a connection that is being closed
    handler.end_headers()
    body = reply.body[: len(reply.body) // 2] if reply.do == "cut" else reply.body
    size = max(len(body) // 10, 1) if reply.do == "slow" else len(body) or 1
    for start in range(0, len(body), size):
        stopped.wait(0.01 if start else 0)
        handler.wfile.write(body[start : start + size])
        handler.wfile.flush()
    handler.close_connection = True


def answer_with(
    reply: Callable[[Seen], Reply], stopped: Callable[[], threading.Event]
) -> type[BaseHTTPRequestHandler]:
    """Make the handler of a server that answers each request with what `reply` returns."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            if len(body) < length:  # of a client that was killed while it sent: that is no request
                self.close_connection = True
                return
            send_reply(self, reply(Seen(self.command, self.path, headers, body)), stopped())

        do_GET = do_POST = _answer  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Show nothing."""

    return Handler
