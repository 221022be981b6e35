"""Images through `huggingface_hub.InferenceClient`: fal, Replicate, Together, nscale, WaveSpeed.

The library builds each request: address, names of settings, headers. Its answer is caught in the library's
HTTP client, because the library returns a decoded image only: without the bytes, the seed and the flags, and
fetched without a look at the status. What it would do with the answer is done here.
"""

import json
import re
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from huggingface_hub import InferenceClient, is_offline_mode, set_client_factory
from huggingface_hub.errors import HfHubHTTPError

from builders.generation.images import ImageAnswer, ImageRequest, LostAnswerError
from publish.hosts.hub.transport import make_plain_client
from publish.network import is_transient_status
from publish.providers.answers import load_json, read_answer
from publish.providers.asking import Asker, Sent
from publish.providers.exchanges import AnswerClient, Exchange
from publish.providers.images import ProviderOptions
from publish.providers.sizes import read_size

_NO_KEY = "none"  # the library would take the user's token of the Hub in place of a missing key
_POLL_SECONDS = 1.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
# Names of the generators' settings → arguments of `text_to_image`.
_ARGUMENTS = {
    "num_inference_steps": "num_inference_steps",
    "steps": "num_inference_steps",
    "guidance_scale": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "negative_prompt": "negative_prompt",
    "scheduler": "scheduler",
}
# Providers that ask in the negative.
_NEGATED_CHECKER = frozenset({"replicate", "together"})
# The library takes these out of a request to nscale.
_NOT_SENT_TO_NSCALE = frozenset({"num_inference_steps", "steps"})
# Where an unfinished prediction can be asked for: the part of the address before it, and after it.
_PREDICTIONS = {
    "replicate": ("/v1/", "predictions/{}"),
    "wavespeed": ("/api/v3/", "predictions/{}/result"),
}
# Where the library puts the provider's name of the model: a part of the path.
_MODEL_PATHS = {
    "replicate": re.compile(r"/v1/models/(.+)/predictions"),
    "wavespeed": re.compile(r"/api/v3/(.+)"),
    "fal-ai": re.compile(r"/(.+)"),
}
_ANY_PATH = re.compile(r".*/models/(.+)")
_OPEN_LOCK, _open = threading.Lock(), [0]
_IS_ASKING: ContextVar["HuggingFaceProvider | None"] = ContextVar("provider", default=None)


class _CaughtError(Exception):
    """Leaves the library with the answer to its request, or with the error in place of one."""

    def __init__(self, outcome: Exchange | Exception) -> None:
        super().__init__("caught")
        self.outcome = outcome


class _CatchingClient(AnswerClient):
    """The library's HTTP client: catches the request for an image in the thread that makes one."""

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request; leave the library if it was the one for an image."""
        provider = _IS_ASKING.get()
        if provider is None or request.method != "POST":
            response = super().send(request, stream=stream, **options)
            response.headers.pop("X-HF-Warning", None)  # the library would print it as it is
            return response
        raise _CaughtError(provider.exchange(request))


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the library: its arguments, and which settings they stand for."""

    arguments: dict[str, Any]
    settings: dict[str, object]


class HuggingFaceProvider:
    """Asks the provider that `options` name; its own key or a token of the Hub decides which way.

    Args:
        options: Which provider and model, and limits.

    Raises:
        SettingsError: The library is set to work offline.
    """

    def __init__(self, options: ProviderOptions) -> None:
        self._options, self._asker = options, Asker(options)
        self._asker.name_model = self._name_model
        if is_offline_mode():
            self._asker.close()
            raise self._asker.stop(
                "the Hub's library is set to work offline", "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"
            )
        self._http = AnswerClient(options.times, options.clock)
        self._client = InferenceClient(
            provider=options.kind.name,  # type: ignore[arg-type] # one of the library's names
            api_key=options.key or _NO_KEY,
        )
        self._is_open = True
        _count_open(1, lambda: _CatchingClient(options.times, options.clock))

    def make(self, request: ImageRequest) -> ImageAnswer:
        """Make one image: see `ImageProvider`."""
        call = self._translate(request)
        exchange = self._asker.ask(lambda: self._post(call))
        sent = Sent(request.prompt, self._name_model(exchange), request.seed, call.settings)
        return self._asker.deliver(self._wait(exchange, sent), sent)

    def fetch(self, answer: ImageAnswer) -> bytes:
        """Fetch the image of an answer: see `ImageProvider`."""
        return self._asker.fetch(answer)

    def close(self) -> None:
        """Close connections; with the last provider, the library gets back a client with time limits."""
        if not self._is_open:
            return
        self._is_open = False
        times = self._options.times
        _count_open(-1, lambda: make_plain_client(times))
        self._http.close()
        self._asker.close()

    def exchange(self, request: httpx2.Request) -> Exchange | Exception:
        """Send one request of the library to the provider, or to the server in its place."""
        left_out = {"host"} if self._options.key else {"host", "authorization"}
        headers = {key: value for key, value in request.headers.items() if key not in left_out}
        url = self._address(request.url)
        try:
            sent = httpx2.Request("POST", url, headers=headers, content=request.read())
            return self._read_status(self._http.exchange(sent))
        except httpx2.HTTPError as error:
            return error.with_traceback(None)

    def _read_status(self, exchange: Exchange) -> Exchange:
        """Return an answer with the status that WaveSpeed writes into its body, where that is an error."""
        body = load_json(exchange.body) if self._options.kind.name == "wavespeed" else None
        code = body.get("code") if isinstance(body, dict) else None
        if exchange.status < 300 and isinstance(code, int) and 400 <= code < 600:
            return replace(exchange, status=code)
        return exchange

    def _address(self, url: httpx2.URL) -> httpx2.URL:
        """Return where a request goes: `endpoint` stands for the provider's host."""
        if self._options.endpoint is None:
            return url
        endpoint = httpx2.URL(self._options.endpoint)
        path = endpoint.raw_path.rstrip(b"/") + url.raw_path
        return endpoint.copy_with(raw_path=path)

    def _post(self, call: _Call) -> Exchange | Exception:
        """Have the library send its request, and return the answer."""
        token = _IS_ASKING.set(self)
        try:
            self._client.text_to_image(**call.arguments)
        except _CaughtError as caught:
            return caught.outcome
        except Exception as error:  # before its request: the Hub may answer anything
            return self._explain_mapping(error)
        finally:
            _IS_ASKING.reset(token)
        raise AssertionError("the library returned an image without a request for one")

    def _explain_mapping(self, error: Exception) -> Exception:
        """Return why the library could not learn from the Hub what the provider calls the model."""
        model, name = self._options.model, self._options.kind.name
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        said = self._asker.redact(str(error).partition("\n")[0])
        is_unknown = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
        if status in (401, 403, 404) or is_unknown:
            return self._asker.stop(
                f"the Hub has no model {model!r} at {name} ({said})",
                "see the model's page on the Hub for its providers; --model and --provider name others",
            )
        is_transient = isinstance(error, httpx2.TransportError) or (status and is_transient_status(status))
        message = f"the Hub does not say what {name} calls the model {model!r} ({type(error).__name__})"
        stop = self._asker.stop(message, "see that the Hub can be reached, then run the same command again")
        return self._asker.later(stop) if is_transient else stop

    def _translate(self, request: ImageRequest) -> _Call:
        """Return the call that a request comes to."""
        name = self._options.kind.name
        settings = {key: value for key, value in request.settings.items() if value is not None}
        if name == "nscale":
            settings = {key: value for key, value in settings.items() if key not in _NOT_SENT_TO_NSCALE}
        arguments: dict[str, Any] = {
            "prompt": request.prompt,
            "model": self._options.model,
            "seed": request.seed,
        }
        body: dict[str, object] = {}
        for key, value in settings.items():
            if key in ("image_size", "size"):
                self._put_size(str(value), arguments, body)
            elif key in _ARGUMENTS:
                arguments[_ARGUMENTS[key]] = value
            elif key == "enable_safety_checker" and name in _NEGATED_CHECKER:
                body["disable_safety_checker"] = not value
            else:
                body[key] = value
        if body:
            arguments["extra_body"] = body
        return _Call(arguments, settings)

    def _put_size(self, text: str, arguments: dict[str, Any], body: dict[str, object]) -> None:
        name = self._options.kind.name
        is_preset = "x" not in text
        if name == "fal-ai" and is_preset:
            body["image_size"] = text
            return
        size = read_size(text)
        if size is None:
            raise self._asker.stop(
                f"the size {text!r} is not known at {name}", 'write it as "1024x1024"', column="image_size"
            )
        if (
            name == "wavespeed"
        ):  # https://wavespeed.ai/docs/docs-api/flux-schnell; it ignores width and height
            body["size"] = f"{size[0]}*{size[1]}"
        else:
            arguments["width"], arguments["height"] = size

    def _name_model(self, exchange: Exchange) -> str:
        """Return the provider's name of the model, from the request that the library made."""
        name, key = self._options.kind.name, self._options.key or ""
        payload = load_json(exchange.payload)
        named = payload.get("model") if isinstance(payload, dict) else None
        if isinstance(named, str):
            return named
        path = exchange.url.path
        if self._options.endpoint is not None:
            path = path.removeprefix(httpx2.URL(self._options.endpoint).path.rstrip("/"))
        if key.startswith("hf_"):  # by way of the Hub's router
            path = path.removeprefix(f"/{name}")
        found = _MODEL_PATHS.get(name, _ANY_PATH).fullmatch(path)
        return found[1] if found else self._options.model

    def _wait(self, exchange: Exchange, sent: Sent) -> Exchange:
        """Return the last answer about an image that takes longer: one that is no longer pending."""
        clock, end = self._options.clock, self._options.clock.seconds() + self._options.times.total_seconds
        url = None
        while (reading := read_answer(exchange, sent.prompt)).state == "pending":
            lost = self._asker.describe(exchange, sent)
            url = url or self._find_prediction(exchange.url, reading.request_id)
            if url is None or clock.seconds() > end:
                what = "has not finished it in time" if url else "does not say how to ask for it"
                raise LostAnswerError(f"{self._options.kind.name} accepted the request, and {what}", lost)
            clock.sleep(_POLL_SECONDS)
            headers = {key: value for key, value in exchange.sent_headers.items() if key == "authorization"}
            exchange = self._asker.poll(lambda url=url, headers=headers: self._get(url, headers), lost)  # type: ignore[misc]
        return exchange

    def _find_prediction(self, url: httpx2.URL, request_id: str | None) -> httpx2.URL | None:
        """Return where a prediction is asked for: at the host that has the key already, whatever it says."""
        start, rest = _PREDICTIONS.get(self._options.kind.name, ("", ""))
        if not start or request_id is None or not _ID.fullmatch(request_id) or start not in url.path:
            return None
        return url.copy_with(path=url.path.partition(start)[0] + start + rest.format(request_id), query=None)

    def _get(self, url: httpx2.URL, headers: dict[str, str]) -> Exchange | Exception:
        try:
            return self._http.exchange(httpx2.Request("GET", url, headers=headers))
        except httpx2.HTTPError as error:
            return error.with_traceback(None)


def _count_open(change: int, make_client: Callable[[], httpx2.Client]) -> None:
    """Set the library's client, which is one for the process, with the first provider and after the last."""
    with _OPEN_LOCK:
        _open[0] += change
        if _open[0] == max(change, 0):
            set_client_factory(make_client)


def open_provider(options: ProviderOptions) -> HuggingFaceProvider:
    """Open the provider that `options` name.

    Raises:
        SettingsError: The library is set to work offline.
    """
    return HuggingFaceProvider(options)
