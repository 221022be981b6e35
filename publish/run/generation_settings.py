"""What `sfhq generate` is to do: flags over the table `[generation]` of `release.toml`."""

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from publish.providers.images import PROVIDERS, Offer, ProviderKind, find_offers
from publish.run.command import read_usd
from schemas.generators import Generator, OpenSettings, advise_on_generator, find_generator
from schemas.problems import Problem, Reason, SettingsError, name_some, suggest

CODE = "run/image-request"
DEFAULT_GENERATOR = "drawn"
# Settings that make, and charge for, more images than the one that is kept.
_MULTIPLIERS = frozenset(
    {"n", "num_images", "num_outputs", "num_images_per_prompt", "batch_size", "number_results"}
)
_OWN = ("provider", "model", "endpoint", "price")  # what a generator may say beside its settings
Value = str | int | float | bool


class GenerationSettings(BaseModel):
    """The `[generation]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    out: str | None = Field(None, min_length=1, description="Folder of the images.")
    generator: str | None = Field(None, description="Model that is asked for.")
    provider: str | None = Field(None, description="Who runs it.")
    model: str | None = Field(None, min_length=1, description="The model as the provider names it.")
    endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s]+$", description="Server that speaks the provider's protocol."
    )
    settings: dict[str, Value] = Field(default_factory=dict, description="Settings of the generator.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        None, description="Other seeds give other images."
    )
    budget_usd: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Most that the folder may cost in all, in US dollars."
    )
    price_usd: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Price of an image, in place of the kit's list of prices."
    )
    concurrency: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Requests that are open at once."
    )


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done.

    Attributes:
        generator: Which model is asked for.
        kind: Who is asked.
        model: The model as the provider names it.
        settings: What is sent with each prompt.
        price_usd: Price of one image; None if it is not known.
        price_source: Where the price is from, for people.
        usual_seconds: Usual time of an image; None if it is not known.
        endpoint: Server of the user's; None for the provider's own.
        out: Folder of the images; None if the user did not say.
        seed: Of the images.
        budget_usd: Most that the folder may cost; None for no limit.
        concurrency: Requests that are open at once.
    """

    generator: Generator
    kind: ProviderKind
    model: str
    settings: Mapping[str, Value]
    price_usd: float | None
    price_source: str
    usual_seconds: float | None
    endpoint: str | None
    out: Path | None
    seed: int
    budget_usd: float | None
    concurrency: int


def resolve_all(
    options: argparse.Namespace, table: GenerationSettings, declared: Sequence[Generator], base: Path
) -> list[Job]:
    """Return one job for each `--generator`; arguments and errors are those of `resolve`."""
    problems, jobs = list[Problem](), list[Job]()
    for text in options.generator or [None]:
        try:
            jobs.append(resolve(_read_generator(options, text), table, declared, base))
        except SettingsError as error:
            problems += error.problems
    seen = list[tuple[str, object]]()
    for job, text in zip(jobs, options.generator or (), strict=False):
        if (made := (job.generator.name, job.settings)) in seen:
            message, fix = "two generators would make the same images", "give one of them another setting"
            problems.append(_problem("--generator", message, text, fix))
        seen.append(made)
    if len(options.generator or ()) > 1 and options.model is not None:
        fix = "write it with each generator: --generator NAME:model=…"
        problems.append(_problem("--model", "several generators have no model in common", options.model, fix))
    if problems:
        raise SettingsError(dict.fromkeys(problems))
    return jobs


def _read_generator(options: argparse.Namespace, text: str | None) -> argparse.Namespace:
    """Return the flags for one generator: its own parts after a colon go before those for all.

    Raises:
        SettingsError: Its price is no amount.
    """
    name, _, listed = (text or "").partition(":")
    own, settings = dict[str, Any](), list[str]()
    for part in filter(None, listed.split(",")):
        key, _, value = part.partition("=")
        if key.strip() in _OWN and value.strip():
            own[key.strip()] = value.strip()
        else:
            settings.append(part)
    if "price" in own:
        try:
            own["price"] = read_usd(own["price"])
        except argparse.ArgumentTypeError as error:
            raise SettingsError(
                _problem("--generator", str(error), text, "write it as in price=0.04")
            ) from error
    values = vars(options) | own | {"generator": name or None, "set": [*options.set, *settings]}
    return argparse.Namespace(**values)


def resolve(
    options: argparse.Namespace, table: GenerationSettings, declared: Sequence[Generator], base: Path
) -> Job:
    """Put flags and settings together.

    Args:
        options: The flags of `publish.generate`, for one generator.
        table: The table of the settings.
        declared: Generators that the settings declare.
        base: Folder that paths of the settings start from.

    Raises:
        SettingsError: Something does not go together; every problem at once.
    """
    name = options.generator or table.generator or DEFAULT_GENERATOR
    generator = find_generator(name, declared)
    if generator is None:
        fix = advise_on_generator(name, declared)
        raise SettingsError(_problem("--generator", "there is no such generator", name, fix))
    if generator.retired is not None:
        message = f"{generator.title} makes no more images; folders that have some stay readable"
        raise SettingsError(_problem("--generator", message, name, generator.retired))
    offer = _choose_offer(generator, options.provider or table.provider, options.model or table.model)
    kind = PROVIDERS[offer.provider]
    problems = list[Problem]()
    settings = {**offer.settings, **table.settings, **_read_flags(options.set, problems)}
    problems += _wrong_settings(generator, settings)
    endpoint = options.endpoint or table.endpoint
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        problems.append(
            _problem("--endpoint", "an address begins with http:// or https://", endpoint, "add it")
        )
    if problems:
        raise SettingsError(problems)
    # 3 and 3.0 are one setting, and so are a size and its two sides.
    typed = generator.settings.model_validate(settings).model_dump()
    settings = {name: typed[name] for name in settings}
    price = _first(options.price, table.price_usd)
    listed = offer.price_of(settings) if endpoint is None else None
    out = options.out or (base / table.out if table.out else None)
    return Job(
        generator=generator,
        kind=kind,
        model=offer.model,
        settings=settings,
        price_usd=listed if price is None else price,
        price_source="as you said" if price is not None else f"{offer.source}, {offer.as_of}",
        usual_seconds=offer.seconds,
        endpoint=endpoint,
        out=out,
        seed=_first(options.seed, table.seed) or 0,
        budget_usd=_first(options.budget, table.budget_usd),
        concurrency=options.concurrency or table.concurrency or kind.concurrency,
    )


def read_key(kind: ProviderKind, endpoint: str | None) -> str | None:
    """Return the provider's key from the environment, or from the Hub's store of tokens.

    Raises:
        SettingsError: There is none, and the provider needs one.
    """
    for name in kind.keys:
        if found := os.environ.get(name, "").strip():
            return found
    if "HF_TOKEN" in kind.keys and endpoint is None:  # a stored login is for the Hub alone
        from huggingface_hub import get_token  # noqa: PLC0415 - late: it loads the library

        if token := get_token():
            return token
    if not kind.keys or endpoint is not None:
        return None
    fix = f"set {' or '.join(kind.keys)} in the environment"
    raise SettingsError(_problem("--provider", f"{kind.name} needs a key, and none is set", kind.name, fix))


def refuse_spending(jobs: Iterable[tuple[Job, int]]) -> Iterator[Problem]:
    """Refuse to spend money without a limit, or at a price that is not known.

    Args:
        jobs: Each with the number of images that it would make.
    """
    num_images, cost_usd = 0, 0.0
    for job, number in jobs:
        if not job.kind.is_paid or not number:
            continue
        if job.price_usd is None:
            message = (
                f"no price of {job.generator.name} at {job.kind.name} is known, so no budget can be kept"
            )
            fix = "look it up, and give it: --price 0.04; or --price 0 for a server of your own"
            yield _problem("--price", message, None, fix)
        elif job.price_usd and job.budget_usd is None:
            num_images, cost_usd = num_images + number, cost_usd + number * job.price_usd
    if num_images:
        message = f"{num_images:,} images cost about ${cost_usd:,.2f}, and there is no budget"
        yield _problem("--budget", message, None, "give the most that you want to spend: --budget 5")


def _choose_offer(generator: Generator, provider: str | None, model: str | None) -> Offer:
    """Return who makes a generator's images, and under what name.

    Raises:
        SettingsError: The provider is unknown, or its name of the model is.
    """
    offers = find_offers(generator.name)
    known = list(dict.fromkeys(offer.provider for offer in offers))
    if provider is not None and provider not in PROVIDERS:
        fix = f"{suggest(provider, PROVIDERS)}; providers are: {', '.join(PROVIDERS)}"
        raise SettingsError(_problem("--provider", "there is no such provider", provider, fix))
    if provider is None and not known:
        message, fix = f"the kit knows no provider of {generator.name}", "give --provider and --model"
        raise SettingsError(_problem("--provider", message, None, fix))
    chosen = provider or known[0]
    for offer in offers:
        if offer.provider == chosen:
            if model is None or model == offer.model:
                return offer
            return Offer(generator=generator.name, provider=chosen, model=model, settings=offer.settings)
    if model is None:
        message = f"the kit does not know how {chosen} names {generator.name}"
        fix = "give --model, as the provider names it"
        if known:
            fix += f"; or another --provider: {name_some(known, 10)}"
        raise SettingsError(_problem("--model", message, None, fix))
    return Offer(generator=generator.name, provider=chosen, model=model)


def _read_flags(flags: Sequence[str], problems: list[Problem]) -> dict[str, Value]:
    found = dict[str, Value]()
    for text in flags:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            fix = "write NAME=VALUE, such as --set num_inference_steps=8"
            problems.append(_problem("--set", "the flag has no name or no value", text, fix))
        else:
            found[name.strip()] = _read_value(value.strip())
    return found


def _read_value(text: str) -> Value:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _wrong_settings(generator: Generator, settings: Mapping[str, Value]) -> Iterator[Problem]:
    """Yield what is wrong with the settings of a generator."""
    model = generator.settings
    known = [name for name in model.model_fields if name not in ("seed", "look", "orig_prompt")]
    for name in _MULTIPLIERS & settings.keys():
        fix = "leave it out; a prompt that is in the file twice gives two images"
        yield _problem(name, "each request makes one image", str(settings[name]), fix)
    if "seed" in settings:
        fix = "leave it out; --seed decides the seeds of all images"
        yield _problem("seed", "each image has a seed of its own", str(settings["seed"]), fix)
    if model is not OpenSettings:
        for name in settings:
            if name not in known and name != "seed":
                fix = suggest(name, known)
                yield _problem(name, f"{generator.name} has no such setting", str(settings[name]), fix)
    try:
        model.model_validate(dict(settings))
    except ValidationError as error:
        for detail in error.errors():
            place, message = ".".join(map(str, detail["loc"])), detail["msg"]
            yield _problem(place, message, str(detail["input"]), "correct the setting")


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _problem(place: str, message: str, value: str | None, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=place, value=value, fix=fix, code=CODE)
