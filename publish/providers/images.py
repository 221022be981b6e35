"""Who makes images: the table of providers, and what they offer.

A provider is one module beside this one with `open_provider(ProviderOptions) -> ImageProvider`, one line in
`PROVIDERS`, and its offers in `offers.toml`.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from builders.generation.images import ImageProvider
from publish.network import Clock, RetryPolicy, TimeLimits
from publish.providers.sizes import read_size
from schemas.problems import Problem, Reason, SettingsError

_OFFERS = Path(__file__).parent / "offers.toml"
_PIXELS = 1_000_000
_DEFAULT_PIXELS = 1024 * 1024


class Offer(BaseModel):
    """A generator at a provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generator: str
    provider: str
    model: str
    price_usd: Annotated[float, Field(ge=0)] | None = None
    per: Literal["image", "megapixel"] = "image"
    as_of: date | None = None
    source: str | None = None
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict)
    seconds: Annotated[float, Field(gt=0)] | None = None

    def price_of(self, settings: Mapping[str, object]) -> float | None:
        """Return the price of one image in US dollars; None if it is not known.

        Args:
            settings: Those that are sent; their size counts where megapixels are paid for.
        """
        if self.price_usd is None:
            return None
        if self.per == "image":
            return self.price_usd
        return self.price_usd * pixels_of(settings) / _PIXELS


def pixels_of(settings: Mapping[str, object]) -> int:
    """Return how many pixels the image of some settings has; those of 1024 x 1024 if no size is known."""
    size = read_size(str(settings.get("image_size") or settings.get("size")))
    return _DEFAULT_PIXELS if size is None else math.prod(size)


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One provider.

    Attributes:
        name: As `--provider` takes it.
        module: Its module in this package.
        keys: Environment variables that may hold its key, the first that is set counts; empty if it needs
            none.
        concurrency: How many requests may be open at once, if the user says nothing.
        is_paid: Whether it may cost money.
        extra: The kit's extra that it needs; None if it needs none.
    """

    name: str
    module: str
    keys: tuple[str, ...] = ()
    concurrency: int = 4
    is_paid: bool = True
    extra: str | None = None


def _routed(name: str, *keys: str, concurrency: int = 4) -> ProviderKind:
    return ProviderKind(name, "hugging_face", (*keys, "HF_TOKEN"), concurrency)


PROVIDERS: Mapping[str, ProviderKind] = {
    kind.name: kind
    for kind in (
        ProviderKind("drawn", "drawn", concurrency=2, is_paid=False),
        _routed("fal-ai", "FAL_KEY", concurrency=2),  # fal opens two at once for new accounts
        _routed("replicate", "REPLICATE_API_TOKEN"),
        _routed("together", "TOGETHER_API_KEY"),
        _routed("nscale", "NSCALE_API_KEY"),
        _routed("wavespeed", "WAVESPEED_API_KEY"),
        _routed("hf-inference"),
        ProviderKind("openai", "openai_images", ("OPENAI_API_KEY",), extra="generate"),
        ProviderKind("diffusers", "diffusers_local", concurrency=1, is_paid=False, extra="local"),
    )
}


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """What a provider needs to know.

    Attributes:
        kind: Which one it is.
        model: The model as the provider names it.
        key: Its secret key; None if it needs none, or none is set and `endpoint` needs none.
        endpoint: Address of a server of the user's that speaks the provider's protocol.
        times: Limits of one request.
        note: Shows a sentence to the user; may be called from several threads.
        retry: How often a request is sent that was surely not done, and an image's address is asked for.
        clock: The time.
    """

    kind: ProviderKind
    model: str
    key: str | None
    endpoint: str | None
    times: TimeLimits
    note: Callable[[str], None]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Clock = field(default_factory=Clock)


@cache
def load_offers() -> tuple[Offer, ...]:
    """Return every offer of `offers.toml`."""
    return tuple(Offer.model_validate(each) for each in tomllib.loads(_OFFERS.read_text())["offers"])


def find_offers(generator: str) -> tuple[Offer, ...]:
    """Return the offers of one generator, the first one being the default."""
    return tuple(offer for offer in load_offers() if offer.generator == generator)


def open_provider(options: ProviderOptions) -> ImageProvider:
    """Open a provider; its module, and the library that it uses, are imported now.

    Raises:
        KitError: Its extra is not installed, or a setting of the environment is wrong.
    """
    try:
        module = import_module(f"{__package__}.{options.kind.module}")
    except ImportError as error:
        if options.kind.extra is None:
            raise
        message = f"the provider needs a library that is not here: {error.name}"
        fix = f"pip install '.[{options.kind.extra}]'"
        raise SettingsError(Problem(Reason.SETTINGS, message, file=options.kind.name, fix=fix)) from error
    provider: ImageProvider = module.open_provider(options)
    return provider
