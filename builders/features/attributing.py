"""Attribute models: each answers attribute, value and confidence for an image; a bag of facts comes of it.

A model does two things. It measures an image, which takes time, and what comes of it goes into the store of
features by the image's bytes and by everything that the numbers depend on. From that it answers, which takes
none: so that other thresholds or wordings need no second look at an image. What the models are is a table,
`publish/providers/attributes.py`.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from builders.catalog import Shown
from builders.features.encoder import Encoder, ImageNotEncodedError
from builders.features.store import FeatureStore
from builders.images.integrity import read_again
from builders.parallel import Execution, Threads
from schemas.attributes import NEVER_INFERRED, PRESETS, kind_of, preset_of
from schemas.bags import Bag, Fact
from schemas.problems import BuildError, Problem, Reason
from schemas.settings import BuildSettings

# Said of a person only when it is asked for: a picture does not show these, and models guess them from looks.
ONLY_WHEN_ASKED = frozenset({"ethnicity", "race", "emotion"})
_ORDER = {name: place for place, name in enumerate(PRESETS)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one attribute of an image.

    Attributes:
        attribute: Name, as in `schemas.attributes`.
        value: Value; None if the model abstains.
        confidence: How sure it is, 0 to 1; None if it does not say.
        source_model: Name and version of the model.
        is_said: Whether a caption may say it; false for what is about the picture's data, such as a box.
    """

    attribute: str
    value: str | None
    confidence: float | None
    source_model: str
    is_said: bool = True


class AttributeModel(Protocol):
    """Says what images show. `measure` may be called from several threads at once."""

    @property
    def source_model(self) -> str:
        """Name and version, as they are published with each answer."""

    @property
    def maker(self) -> str:
        """SHA-256 of everything that `measure` depends on apart from the image."""

    @property
    def batch_size(self) -> int:
        """Images that are best measured at once, 1 or more."""

    @property
    def num_workers(self) -> int:
        """Batches that are best measured at the same time, 1 or more."""

    @property
    def recipe(self) -> str:
        """Everything that answers depend on apart from `maker`: wordings, thresholds, labels."""

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        """Measure image files, at most `batch_size` of them; taken one by one.

        Raises:
            ImageNotEncodedError: One of them does not decode, or cannot be measured.
        """

    def answer(self, made: bytes) -> Iterable[Answer]:
        """Return answers from what `measure` made of an image: for each attribute one, or an abstention."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What an attribute model needs to know.

    Attributes:
        place: Folder, name or address of the model, for those that have one.
        attribute: The attribute that its labels are values of, where they do not say it.
        labels: Label of a model → attribute and value; a label that is not in it is left out.
        version: What the user calls the model's version, where it does not say it.
        encoder: The encoder of `[[features]]`; None if there is none for these images.
        wordings: File of wordings; None for the kit's.
        thresholds: Attribute → least confidence of an answer, in place of the model's own.
        infer: Attributes of `ONLY_WHEN_ASKED` that are asked for.
        note: Shows a sentence to the user; may be called from several threads.
    """

    place: str | None = None
    attribute: str | None = None
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    version: str = ""
    encoder: Encoder | None = None
    wordings: Path | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    infer: frozenset[str] = frozenset()
    note: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Reading:
    """What all models say of one image.

    Attributes:
        answers: One for each attribute, in the order of the presets; abstentions are among them.
        bag: Of these, what a caption may say.
        refused: Names of attributes that no picture shows, whose answers were dropped.
    """

    answers: tuple[Answer, ...]
    bag: Bag
    refused: tuple[str, ...] = ()


def measure_attributes(
    shown: Sequence[Shown],
    models: Iterable[AttributeModel],
    store: FeatureStore,
    build: BuildSettings,
    execution: Execution,
) -> None:
    """Let each model measure the images of which the store has nothing by it.

    Batches go into the store as they are done, so that a run that is killed loses only those in work.

    Args:
        shown: The images.
        models: The models, one after another.
        store: Keeps what they make.
        build: Limits for images.
        execution: Shows progress.

    Raises:
        BuildError: An image changed since it was looked at, or a model cannot measure it.
    """
    for model in models:
        store.want(shown)
        num = store.count_missing_images(model.maker)
        missing = store.missing()
        batches = iter(lambda: list(itertools.islice(missing, model.batch_size)), [])  # noqa: B023 - used at once

        def run(batch: list[Shown], model: AttributeModel = model) -> Sequence[bytes]:
            try:
                return model.measure(read_again(one.file, one.sha256, build) for one in batch)
            except ImageNotEncodedError as error:
                raise BuildError(_not_measured(str(batch[error.position]), error.message)) from error

        def measure(model: AttributeModel = model) -> Iterator[Shown]:
            for batch, made in Threads(model.num_workers).map_unordered(run, batches):  # noqa: B023 - as above
                digests = (one.sha256 for one in batch)
                store.add_images(model.maker, list(zip(digests, made, strict=True)))
                yield from batch

        for _ in execution.track(measure(), f"asking {model.source_model}", num) if num else ():
            pass


def read_attributes(
    image_id: str,
    sha256: str,
    models: Iterable[AttributeModel],
    store: FeatureStore,
    infer: frozenset[str] = frozenset(),
) -> Reading:
    """Return what the models say of an image that they have measured.

    Where two models answer for one attribute, the later one counts; its abstention does not.

    Args:
        image_id: The image.
        sha256: Of its bytes.
        models: The models in their order.
        store: Has what they made.
        infer: Attributes of `ONLY_WHEN_ASKED` that are asked for; answers on the others are dropped.

    Raises:
        KeyError: A model has not measured it.
    """
    found, refused = dict[str, Answer](), list[str]()
    asked = frozenset(map(kind_of, infer))
    for model in models:
        for answer in model.answer(store.image(model.maker, sha256)):
            name, kind = _name_of(answer.attribute), kind_of(answer.attribute)
            if kind in NEVER_INFERRED and answer.value is not None:
                refused.append(answer.attribute)
            if kind in NEVER_INFERRED or kind in ONLY_WHEN_ASKED - asked:
                continue
            if answer.value is not None or name not in found:
                found[name] = answer
    answers = tuple(sorted(found.values(), key=_place))
    facts = tuple(
        Fact(
            attribute=answer.attribute,
            value=answer.value,
            confidence=answer.confidence,
            source_model=answer.source_model,
        )
        for answer in answers
        if answer.value is not None and answer.is_said
    )
    return Reading(answers, Bag(image_id=image_id, facts=facts), tuple(dict.fromkeys(refused)))


def leave_out(reading: Reading, attributes: frozenset[str]) -> Reading:
    """Return what models say of an image with abstentions in place of some attributes' answers."""
    answers = tuple(
        replace(answer, value=None, confidence=None) if answer.attribute in attributes else answer
        for answer in reading.answers
    )
    facts = tuple(fact for fact in reading.bag.facts if fact.attribute not in attributes)
    return replace(reading, answers=answers, bag=reading.bag.model_copy(update={"facts": facts}))


def _name_of(attribute: str) -> str:
    preset = preset_of(attribute)
    return preset.name.casefold() if preset is not None else attribute.strip().casefold()


def _place(answer: Answer) -> tuple[int, str]:
    name = _name_of(answer.attribute)
    return _ORDER.get(name, len(_ORDER)), name


def _not_measured(name: str, message: str) -> Problem:
    return Problem(
        Reason.IMAGE_DAMAGED,
        f"an attribute model cannot measure the image: {message}",
        file=name,
        fix="look at the image; save it again, or leave it out with a list of exclusions",
    )
