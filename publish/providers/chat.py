"""A language model behind any server that speaks as OpenAI's chat completions do, by the `openai` package.

Structured output is asked for, and plain text where the server does not have it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builders.generation.captions.chat import (
    ChatAnswer,
    ChatFailureError,
    ChatLostError,
    ChatRefusalError,
    Message,
)
from builders.generation.images import ImageFailureError, ImageRefusalError, LostAnswerError
from publish.providers.answers import hide, load_json, read_fault, read_request_id
from publish.providers.asking import Asker
from publish.providers.exchanges import Exchange
from publish.providers.images import ProviderKind, ProviderOptions
from publish.providers.openai_client import open_client, record_exchange

KEYS = ("SFHQ_LLM_KEY",)
# Keys of these hosts have a name of their own; no other server gets them.
_KEYS_OF_HOSTS = {
    "api.openai.com": "OPENAI_API_KEY",
    "router.huggingface.co": "HF_TOKEN",
}
CONCURRENCY = 4
_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_TOKENS = 400
_CHARS_PER_TOKEN, _EXTRA_TOKENS = 3, 50  # English has about four; what a server adds to each message
_MILLION = 1_000_000
# Settings that some servers do not have, in the order in which they are left out.
_OPTIONAL = ("response_format", "seed", "max_tokens", "max_completion_tokens")
_NAMES_OF_FORMAT = ("response_format", "json_schema", "structured", "guided", "grammar")
_NOT_TAKEN = frozenset({400, 422, 501})
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in US dollars per million tokens, 0 or more: of those that are read, and of those written."""

    read_usd: float
    written_usd: float

    def cost(self, num_read: int, num_written: int) -> float:
        """Return the cost of some tokens in US dollars."""
        return (num_read * self.read_usd + num_written * self.written_usd) / _MILLION


def kind_of(server: str) -> ProviderKind:
    """Return what the kit knows of a server, by its host."""
    host = server.partition(":")[0]
    keys = (*KEYS, _KEYS_OF_HOSTS[host]) if host in _KEYS_OF_HOSTS else KEYS
    return ProviderKind(server, "chat", keys, CONCURRENCY, extra="generate")


class OpenAIChat:
    """Asks a language model: see `ChatModel`.

    Args:
        options: Which server and model, and limits.
        prices: Of its tokens.
        product: What it writes, one word: the key of its answer, where that is JSON.
    """

    def __init__(self, options: ProviderOptions, prices: Prices, product: str = "caption") -> None:
        self._options, self._prices = options, prices
        self._asker = Asker(options, product="a sentence", model_flag="--llm-model")
        self._client = open_client(options, _MAX_ANSWER_BYTES)
        schema = {"name": product, "strict": True, "schema": _schema_of(product)}
        self._product = product
        self._settings: dict[str, Any] = {
            "response_format": {"type": "json_schema", "json_schema": schema},
            "seed": 0,
            "max_tokens": _MAX_TOKENS,
        }

    def ask(self, messages: Sequence[Message]) -> ChatAnswer:
        """Return the model's answer to a conversation."""
        try:
            exchange = self._asker.ask(lambda: self._post(messages))
        except ImageRefusalError as error:
            raise ChatRefusalError(str(error), is_paid=False) from None
        except ImageFailureError as error:
            raise ChatFailureError(str(error)) from None
        except LostAnswerError as error:
            raise ChatLostError(str(error)) from None
        return self._read(exchange)

    def price(self, messages: Sequence[Message]) -> float:
        """Return the most that a conversation may cost."""
        num_chars = sum(len(message.content) for message in messages)
        num_read = num_chars // _CHARS_PER_TOKEN + _EXTRA_TOKENS * len(messages)
        return self._prices.cost(num_read, _MAX_TOKENS)

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        self._asker.close()

    def _post(self, messages: Sequence[Message]) -> Exchange | Exception:
        """Send a conversation; leave out, for this run, settings that the server does not take."""
        while True:
            settings = dict(self._settings)  # another thread may leave one out meanwhile
            outcome = self._post_with(messages, settings)
            unknown = _find_unknown(outcome, settings) if isinstance(outcome, Exchange) else None
            if unknown is None:
                return outcome
            rest = {name: value for name, value in settings.items() if name != unknown}
            if unknown == "max_tokens":  # OpenAI's newer models know it by this name
                rest["max_completion_tokens"] = _MAX_TOKENS
            self._settings = rest

    def _post_with(self, messages: Sequence[Message], settings: Mapping[str, Any]) -> Exchange | Exception:
        sent: list[Any] = [{"role": message.role, "content": message.content} for message in messages]
        return record_exchange(
            lambda: self._client.chat.completions.with_raw_response.create(
                model=self._options.model, messages=sent, temperature=0, **settings
            )
        )

    def _read(self, exchange: Exchange) -> ChatAnswer:
        """Return the answer of a request that was done."""
        body = load_json(exchange.body)
        top = body if isinstance(body, dict) else {}
        choices = top.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            name = self._options.kind.name
            raise ChatLostError(f"{name} answers {exchange.status} without a sentence that can be read")
        refusal = message.get("refusal")
        if (isinstance(refusal, str) and refusal) or choice.get("finish_reason") == "content_filter":
            said = self._asker.redact(refusal if isinstance(refusal, str) and refusal else "content filter")
            raise ChatRefusalError(f"{self._options.kind.name} refused: {said}", is_paid=True)
        content, model = message.get("content"), top.get("model")
        return ChatAnswer(
            text=hide(
                _read_text(content if isinstance(content, str) else "", self._product), self._asker.secrets
            ),
            model=hide(model, self._asker.secrets)[:200]
            if isinstance(model, str) and model
            else self._options.model,
            request_id=read_request_id(exchange, self._asker.secrets),
            cost_usd=self._read_cost(top.get("usage")),
        )

    def _read_cost(self, usage: object) -> float | None:
        if not isinstance(usage, dict):
            return None
        read, written = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
        if not isinstance(read, int) or not isinstance(written, int):
            return None
        return self._prices.cost(read, written) if 0 <= read < _MILLION and 0 <= written < _MILLION else None


def _find_unknown(exchange: Exchange, settings: Mapping[str, Any]) -> str | None:
    """Return the optional setting that a server says it does not take; None if it says nothing of it."""
    if exchange.status not in _NOT_TAKEN:
        return None
    fault = read_fault(exchange, ())
    said = " ".join([fault.message, *fault.places, *fault.kinds]).lower()
    for name in _OPTIONAL:
        names = _NAMES_OF_FORMAT if name == "response_format" else (name,)
        if name in settings and any(each in said for each in names):
            return name
    return None


def _schema_of(product: str) -> Mapping[str, object]:
    return {
        "type": "object",
        "properties": {product: {"type": "string"}},
        "required": [product],
        "additionalProperties": False,
    }


def _read_text(content: str, product: str) -> str:
    """Return the text of an answer: of its JSON, or the words themselves."""
    text = _THINKING.sub("", content).strip()
    if fenced := _FENCE.match(text):
        text = fenced[1]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and isinstance(value.get(product), str):
        text = value[product]
    text = " ".join(text.split())
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def open_chat(options: ProviderOptions, prices: Prices, product: str = "caption") -> OpenAIChat:
    """Open the client; the arguments are those of `OpenAIChat`.

    Raises:
        SettingsError: The key or the address cannot be used.
    """
    return OpenAIChat(options, prices, product)
