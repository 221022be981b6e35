"""Images through the `openai` package: OpenAI's GPT Image models, and servers that speak as OpenAI does.

Settings of the generator go out under their own names. A seed is sent only to generators that have one, and
settings that OpenAI does not know go into the body beside its own (`extra_body`).
"""

from typing import Any

from builders.generation.images import ImageAnswer, ImageRequest
from publish.providers.asking import Asker, Sent
from publish.providers.exchanges import Exchange
from publish.providers.images import ProviderOptions
from publish.providers.openai_client import open_client, record_exchange
from publish.providers.sizes import read_size
from schemas.generators import GENERATORS, SeededSettings

# Settings that the library has as arguments.
_ARGUMENTS = frozenset(
    {"background", "moderation", "output_compression", "output_format", "quality", "response_format", "style"}
)


class OpenAIProvider:
    """Asks OpenAI, or the server at `endpoint`.

    Args:
        options: Which model, and limits.
    """

    def __init__(self, options: ProviderOptions) -> None:
        self._options, self._asker = options, Asker(options)
        self._client = open_client(options)

    def make(self, request: ImageRequest) -> ImageAnswer:
        """Make one image: see `ImageProvider`."""
        settings = {key: value for key, value in request.settings.items() if value is not None}
        seed = request.seed if _has_seed(request.generator) else None
        arguments = self._translate(request.prompt, settings, seed)
        exchange = self._asker.ask(lambda: self._post(arguments))
        return self._asker.deliver(exchange, Sent(request.prompt, self._options.model, seed, settings))

    def fetch(self, answer: ImageAnswer) -> bytes:
        """Fetch the image of an answer: see `ImageProvider`."""
        return self._asker.fetch(answer)

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        self._asker.close()

    def _post(self, arguments: dict[str, Any]) -> Exchange | Exception:
        """Have the library send its request, and return the answer."""
        return record_exchange(lambda: self._client.images.with_raw_response.generate(**arguments))

    def _translate(self, prompt: str, settings: dict[str, object], seed: int | None) -> dict[str, Any]:
        """Return the arguments of the library for one image."""
        arguments: dict[str, Any] = {"model": self._options.model, "prompt": prompt}
        body: dict[str, object] = {}
        for key, value in settings.items():
            if key in ("image_size", "size"):
                size = read_size(str(value))
                arguments["size"] = f"{size[0]}x{size[1]}" if size else str(value)  # "auto", too
            elif key in _ARGUMENTS:
                arguments[key] = value
            else:
                body[key] = value
        if seed is not None:
            body["seed"] = seed
        if body:
            arguments["extra_body"] = body
        return arguments


def _has_seed(generator: str) -> bool:
    """Return whether a generator takes a seed; GPT Image models refuse one."""
    known = GENERATORS.get(generator)
    return known is not None and issubclass(known.settings, SeededSettings)


def open_provider(options: ProviderOptions) -> OpenAIProvider:
    """Open the provider.

    Raises:
        SettingsError: The key or the endpoint cannot be used.
    """
    return OpenAIProvider(options)
