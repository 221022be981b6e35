"""The `openai` package as HTTP client: what a server answered, and not what the package makes of it.

The package knows the addresses and the bodies of OpenAI's API. Its own types, errors and retries are not
used: `asking.py` decides for all providers which request is sent again, and which answer is uncertain.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import httpx2
import openai

from builders.generation.images import ImageFailureError
from publish.providers.exchanges import AnswerClient, Exchange, note_exchange
from publish.providers.images import ProviderOptions

_OPENAI = "api.openai.com"
_NO_KEY = "none"  # the library would take OPENAI_API_KEY in place of a missing key
_OUTCOMES: ContextVar[list[Exchange | Exception]] = ContextVar("outcomes")


class RecordingClient(AnswerClient):
    """The library's HTTP client: keeps what the library would turn into its own types and errors."""

    has_key = True

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request, and keep its answer."""
        if not self.has_key:
            request.headers.pop("Authorization", None)
        if request.url.host != _OPENAI:  # the library takes both from the environment, for any server
            for name in ("OpenAI-Organization", "OpenAI-Project"):
                request.headers.pop(name, None)
        outcomes = _OUTCOMES.get()
        try:
            response = super().send(request, stream=stream, **options)
        except httpx2.HTTPError as error:
            outcomes.append(error)
            raise
        outcomes.append(note_exchange(request, response))
        return response


def open_client(options: ProviderOptions, max_bytes: int | None = None) -> openai.OpenAI:
    """Return the library's client for a provider; requests go out by `record_exchange`.

    Args:
        options: Which server, key and limits.
        max_bytes: Most that an answer may hold; what an image takes, if None.
    """
    http = RecordingClient(options.times, options.clock, max_bytes)
    http.has_key = options.key is not None
    return openai.OpenAI(
        api_key=options.key or _NO_KEY, base_url=options.endpoint, max_retries=0, http_client=http
    )


def record_exchange(send: Callable[[], object]) -> Exchange | Exception:
    """Have the library send a request, and return the answer, or why there is none.

    Args:
        send: Calls the library.
    """
    outcomes: list[Exchange | Exception] = []
    token = _OUTCOMES.set(outcomes)
    name = ""
    try:
        send()
    except (openai.OpenAIError, TypeError, ValueError) as error:  # the last two: of what it cannot send
        name = type(error).__name__
    finally:
        _OUTCOMES.reset(token)
    outcome = outcomes[-1] if outcomes else ImageFailureError(f"the request cannot be sent: {name}")
    return outcome.with_traceback(None) if isinstance(outcome, Exception) else outcome
