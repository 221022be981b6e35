"""A language model on loopback for the real client: it speaks as OpenAI's chat completions do.

A test queues what the next requests get; with an empty queue, each gets a right caption of its facts.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from builders.generation.captions.realising import RuleWriter
from schemas.bags import Bag, Fact
from tests.publish.loopback import Loopback
from tests.publish.providers.image_server import Reply, Seen, answer_with, say

MODEL = "tiny-writer"
RIGHT = Reply(do="right")  # a caption of the facts that were sent
USAGE = {"prompt_tokens": 300, "completion_tokens": 50, "total_tokens": 350}


def answer(content: str | None, **message: Any) -> Reply:
    """Answer with a message of the model; `finish_reason` is of the choice."""
    reason = message.pop("finish_reason", "stop")
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": reason,
    }
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{MODEL}-2026",
        "choices": [choice],
        "usage": USAGE,
    }
    return say(body, x_request_id="req-chat")


def caption(text: str) -> Reply:
    """Answer with a caption in the form that was asked for."""
    return answer(json.dumps({"caption": text}))


def bag_of(seen: Seen) -> Bag:
    """Return the facts of a request."""
    lines = seen.sent["messages"][1]["content"].splitlines()[1:]
    pairs = [line.removeprefix("- ").split(": ", 1) for line in lines]
    facts = [Fact(attribute=name, value=value, confidence=None, source_model="") for name, value in pairs]
    return Bag(image_id="asked", facts=tuple(facts))


class ChatServer(Loopback):
    """The server; use it in a `with`.

    Attributes:
        replies: What the next requests get.
        seen: Every request.
    """

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        super().__init__(self._handler())

    @property
    def address(self) -> str:
        """The address as `--llm` takes it."""
        return f"{self.endpoint}/v1"

    def _reply(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            reply = self.replies.pop(0) if self.replies else RIGHT
        if reply is not RIGHT:
            return reply
        return caption(RuleWriter().realise(bag_of(seen)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return answer_with(self._reply, lambda: self.stopped)
