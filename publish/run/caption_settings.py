"""What `sfhq caption` is to do: flags over the table `[captions]` of `release.toml`."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from builders.features.attributing import ONLY_WHEN_ASKED, ModelOptions
from publish.providers.attributes import ATTRIBUTE_MODELS, CODE, AttributeModelKind
from schemas.attributes import NEVER_INFERRED, kind_of
from schemas.problems import Problem, Reason, SettingsError, suggest

ZERO_SHOT, FACES = "zero-shot", "faces"
_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Share = Annotated[float, Field(ge=0, le=1)]


class AttributeModelSettings(BaseModel):
    """One `[[captions.models]]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str = Field(description="Key in `publish.providers.attributes.ATTRIBUTE_MODELS`.")
    place: _Text | None = Field(None, description="Folder, name on the Hub, or address.")
    version: str = Field("", max_length=100, description="Version, where the model does not say it.")
    attribute: _Text | None = Field(None, description="The attribute that the model's labels are values of.")
    labels: dict[str, Annotated[str, Field(pattern=r"^[^=]+=[^=]+$")]] = Field(
        default_factory=dict, description='Label → "attribute=value"; other labels are left out.'
    )


class CaptionSettings(BaseModel):
    """The `[captions]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    captioner: _Text | None = Field(None, description="Name of the captioner.")
    models: tuple[AttributeModelSettings, ...] = Field(
        (), description="Attribute models in their order; zero-shot if there are none."
    )
    wordings: _Text | None = Field(None, description="File of wordings for zero-shot.")
    thresholds: dict[str, _Share] = Field(
        default_factory=dict, description="Attribute → least confidence of an answer."
    )
    infer: tuple[str, ...] = Field((), description="Of ethnicity and emotion, those that are asked for.")


@dataclass(frozen=True, slots=True)
class AttributeJob:
    """Which attribute models run.

    Attributes:
        kinds: Each kind with its options, in order.
        infer: What is asked for of `ONLY_WHEN_ASKED`.
        is_default: Whether neither a flag nor the settings name a model.
        captioner: Name that the user gives; None to derive it.
        thresholds: Attribute → least confidence, as flags and settings say.
    """

    kinds: Sequence[tuple[AttributeModelKind, ModelOptions]]
    infer: frozenset[str]
    is_default: bool
    captioner: str | None
    thresholds: Mapping[str, float]


def resolve(options: argparse.Namespace, table: CaptionSettings, base: Path) -> AttributeJob:
    """Put flags and settings together.

    Args:
        options: The flags of `publish.caption`.
        table: The table of the settings.
        base: Folder that paths of the settings start from.

    Raises:
        SettingsError: Something does not go together; every problem at once.
    """
    problems = list[Problem]()
    asked = table.infer if options.infer is None else options.infer.split(",")
    infer = frozenset(map(kind_of, asked))
    problems += _wrong_inferences(infer)
    thresholds = dict(table.thresholds) | dict(_read_thresholds(options.threshold, problems))
    wordings = options.wordings or (base / table.wordings if table.wordings else None)
    named = [*_read_flags(options.model)] or list(table.models)
    is_default = not named
    named = named or [AttributeModelSettings(kind=ZERO_SHOT)]
    if options.faces and all(each.kind != FACES for each in named):
        named.append(AttributeModelSettings(kind=FACES))
    problems += [problem for each in named for problem in _wrong_model(each)]
    if problems:
        raise SettingsError(problems)
    shared = ModelOptions(wordings=wordings, thresholds=thresholds, infer=infer)
    kinds = [(ATTRIBUTE_MODELS[each.kind], _options(each, shared, base)) for each in named]
    return AttributeJob(kinds, infer, is_default, options.captioner or table.captioner, thresholds)


def _options(each: AttributeModelSettings, shared: ModelOptions, base: Path) -> ModelOptions:
    place = each.place
    if place is not None and "://" not in place and (base / place).is_dir():
        place = str(base / place)
    return replace(
        shared,
        place=place,
        attribute=each.attribute,
        labels={label: _split(said) for label, said in each.labels.items()},
        version=each.version,
    )


def _split(said: str) -> tuple[str, str]:
    attribute, _, value = said.partition("=")
    return attribute.strip(), value.strip()


def _read_flags(flags: Sequence[str]) -> Iterator[AttributeModelSettings]:
    """Read `KIND` or `KIND=PLACE`; a classifier's place may end in `:ATTRIBUTE`, which a drive does not."""
    for text in flags:
        kind, _, place = text.partition("=")
        attribute = None
        if place and "://" not in place and ":" in place:
            place, _, attribute = place.rpartition(":")
        # Whatever is wrong with it is said by `_wrong_model`.
        yield AttributeModelSettings.model_construct(
            kind=kind, place=place or None, attribute=attribute or None
        )


def _wrong_model(each: AttributeModelSettings) -> Iterator[Problem]:
    kind = ATTRIBUTE_MODELS.get(each.kind)
    if kind is None:
        message, fix = "there is no such kind of attribute model", suggest(each.kind, ATTRIBUTE_MODELS)
        yield problem("--model", message, each.kind, f"{fix}; kinds are: {', '.join(ATTRIBUTE_MODELS)}")
    elif kind.needs_place and each.place is None:
        fix = f"write --model {kind.name}=WHERE"
        yield problem("--model", f"{kind.name} needs a folder, a name or an address", each.kind, fix)
    elif not kind.needs_place and each.place is not None:
        yield problem("--model", f"{kind.name} takes no place", each.place, f"write --model {kind.name}")


def _wrong_inferences(infer: frozenset[str]) -> Iterator[Problem]:
    for name in sorted(infer - ONLY_WHEN_ASKED):
        if name in NEVER_INFERRED:
            fix = "leave it out; no picture shows it"
            yield problem("--infer", "this attribute is never inferred", name, fix)
            continue
        fix = f"it takes {', '.join(sorted(ONLY_WHEN_ASKED))}; all others are inferred without it"
        yield problem("--infer", "this attribute needs no flag, or does not exist", name, fix)


def _read_thresholds(flags: Sequence[str], problems: list[Problem]) -> Mapping[str, float]:
    found = dict[str, float]()
    for text in flags:
        attribute, _, share = text.partition("=")
        try:
            found[attribute.strip()] = float(share)
        except ValueError:
            found[attribute.strip()] = -1.0
        if not (attribute.strip() and 0 <= found[attribute.strip()] <= 1):
            fix = "write ATTRIBUTE=SHARE with a share from 0 to 1, such as --threshold eyes=0.6"
            problems.append(problem("--threshold", "the flag is no threshold", text, fix))
    return found


def problem(column: str, message: str, value: str | None, fix: str) -> Problem:
    """Return a problem with a flag or a setting of `sfhq caption`."""
    return Problem(Reason.SETTINGS, message, column=column, value=value, fix=fix, code=CODE)
