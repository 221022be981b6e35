"""Zero-shot attributes: which of a group's wordings fits an image best, by an encoder of `[[features]]`.

A file of wordings has groups of values of which one holds; each value has several wordings, whose embeddings
are averaged. The confidence is a softmax over the group with the scale that the encoder itself learned. What
is measured is the image's embedding, which a release with the same encoder needs, too.
"""

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from builders.features.attributing import ONLY_WHEN_ASKED, Answer, ModelOptions
from builders.features.encoder import Encoder, ImageNotEncodedError, check_features
from builders.features.vectors import Float32
from schemas.attributes import NEVER_INFERRED, kind_of
from schemas.problems import BuildError, Problem, Reason, SettingsError

FOLDER = Path(__file__).parent / "wordings"
DRAWN, PORTRAIT = FOLDER / "drawn.toml", FOLDER / "portrait.toml"
_TEXTS_PER_BATCH = 64
_VECTOR = np.dtype("<f2")
_DIGITS = 3  # of a confidence: further ones differ between processors
_Text = Annotated[str, Field(min_length=1, max_length=300)]


class Group(BaseModel):
    """Values of one attribute of which exactly one holds.

    Attributes:
        attribute: Name, as in `schemas.attributes`.
        threshold: Least confidence of an answer, 0 to 1; below it there is none.
        values: Value → its wordings.
        abstain: Values that mean that it cannot be seen: if one fits best, there is no answer.
        unless: Another group's attribute → values that hide this one, such as sunglasses the eyes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    attribute: _Text
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    values: Annotated[dict[_Text, Annotated[list[_Text], Field(min_length=1)]], Field(min_length=2)]
    abstain: list[_Text] = []
    unless: dict[_Text, list[_Text]] = {}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if unknown := set(self.abstain) - self.values.keys():
            raise ValueError(f"abstain names {', '.join(sorted(unknown))}, which is none of the values")
        return self


class Wordings(BaseModel):
    """A file of wordings.

    Attributes:
        name: Its name.
        version: Its version, which changes with every change of a wording.
        groups: The groups.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Text
    version: _Text
    groups: Annotated[list[Group], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_groups(self) -> Self:
        known = {group.attribute: group for group in self.groups}
        if len(known) != len(self.groups):
            raise ValueError("two groups have the same attribute")
        for group in self.groups:
            for attribute, values in group.unless.items():
                if attribute not in known or not set(values) <= known[attribute].values.keys():
                    raise ValueError(f"{group.attribute}: unless names no value of a group: {attribute}")
        return self


def load_wordings(path: Path) -> Wordings:
    """Load a file of wordings.

    Raises:
        SettingsError: It cannot be read, or something in it is wrong; every problem at once.
    """
    try:
        return Wordings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(_problem(path, f"cannot be read: {error.strerror}", "check the path")) from error
    except ValidationError as error:
        fix = "builders/features/wordings/portrait.toml shows the form"
        raise SettingsError(
            _problem(path, each["msg"], fix, ".".join(map(str, each["loc"]))) for each in error.errors()
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise SettingsError(_problem(path, f"is not TOML: {error}", "correct the line")) from error


@dataclass(frozen=True, slots=True)
class _Scored:
    """A group with one vector for each value: values x dimension."""

    group: Group
    values: tuple[str, ...]
    vectors: Float32
    threshold: float


class ZeroShotModel:
    """The attribute model; `open_models` makes it.

    Args:
        encoder: Compares images with wordings.
        wordings: The groups.
        thresholds: Attribute → least confidence, in place of the file's.
        infer: Attributes of `ONLY_WHEN_ASKED` that are asked for.
    """

    def __init__(
        self,
        encoder: Encoder,
        wordings: Wordings,
        thresholds: Mapping[str, float],
        infer: frozenset[str] = frozenset(),
    ) -> None:
        self._encoder, provenance = encoder, encoder.provenance
        self.source_model = (
            f"{provenance.model} {provenance.pretrained}, wordings {wordings.name} {wordings.version}"
        )
        self.maker = provenance.digest  # the embeddings of a release, under the same key
        self.batch_size, self.num_workers = encoder.batch_size, encoder.num_workers
        hidden = NEVER_INFERRED | (ONLY_WHEN_ASKED - set(map(kind_of, infer)))
        groups = [group for group in wordings.groups if kind_of(group.attribute) not in hidden]
        self._scored = list(_score(encoder, groups, thresholds))
        least = {each.group.attribute: each.threshold for each in self._scored}
        self.recipe = json.dumps([wordings.model_dump(), least, encoder.logit_scale], sort_keys=True)

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        """Return the embedding of each image, as `AttributeModel` says."""
        num = 0

        def fill_up() -> Iterator[bytes]:
            """Yield the images, and the last one again: a vector must not depend on the batch's size."""
            nonlocal num
            data = b""
            for data in images:
                num += 1
                yield data
            yield from itertools.repeat(data, self.batch_size - num)

        try:
            vectors = self._encoder.encode_images(fill_up())[:num]
            check_features(vectors, [str(place) for place in range(num)])
        except ImageNotEncodedError as error:
            raise ImageNotEncodedError(min(error.position, num - 1), error.message) from error
        except BuildError as error:
            problem = error.problems[0]
            raise ImageNotEncodedError(int(problem.file), problem.message) from error
        return [vector.tobytes() for vector in vectors.astype(_VECTOR)]

    def answer(self, made: bytes) -> Iterable[Answer]:
        """Return the value of each group that fits best, or an abstention, as `AttributeModel` says."""
        image = np.frombuffer(made, _VECTOR).astype(np.float32)
        shares = {each.group.attribute: self._shares(each, image) for each in self._scored}
        best = {name: max(found, key=lambda value: found[value]) for name, found in shares.items()}
        for each in self._scored:
            name = each.group.attribute
            confidence = round(float(shares[name][best[name]]), _DIGITS)
            is_hidden = best[name] in each.group.abstain or any(
                best.get(other) in values for other, values in each.group.unless.items()
            )
            if is_hidden or confidence < each.threshold:
                yield Answer(name, None, None, self.source_model)
            else:
                yield Answer(name, best[name], confidence, self.source_model)

    def _shares(self, each: _Scored, image: Float32) -> dict[str, float]:
        logits = self._encoder.logit_scale * (each.vectors @ image)
        weights = np.exp(logits - logits.max())
        return dict(zip(each.values, (weights / weights.sum()).tolist(), strict=True))


def open_models(options: ModelOptions) -> Sequence[ZeroShotModel]:
    """Open the model: see `publish/providers/attributes.py`.

    Raises:
        SettingsError: There is no encoder for these images, or the wordings cannot be read.
    """
    encoder = options.encoder
    if encoder is None:
        raise SettingsError(
            Problem(
                Reason.SETTINGS,
                "zero-shot attributes need an encoder of photographs, and the settings name none",
                column="features",
                fix="add one to release.toml, [[features]]; or name other models with --model",
                code="run/caption",
            )
        )
    path = options.wordings or (DRAWN if encoder.provenance.is_demonstration else PORTRAIT)
    return [ZeroShotModel(encoder, load_wordings(path), options.thresholds, options.infer)]


def _score(encoder: Encoder, groups: Sequence[Group], thresholds: Mapping[str, float]) -> Iterator[_Scored]:
    texts = [text for group in groups for wordings in group.values.values() for text in wordings]
    vectors = iter(_encode(encoder, texts))
    for group in groups:
        means = np.stack(
            [
                np.mean(list(itertools.islice(vectors, len(wordings))), axis=0)
                for wordings in group.values.values()
            ]
        )
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        least = thresholds.get(group.attribute, group.threshold)
        yield _Scored(group, tuple(group.values), means.astype(np.float32), least)


def _encode(encoder: Encoder, texts: Sequence[str]) -> Iterator[Any]:
    """Yield the vector of each text; batches are filled up, so that none depends on the others."""
    for start in range(0, len(texts), _TEXTS_PER_BATCH):
        some = list(texts[start : start + _TEXTS_PER_BATCH])
        filled = [*some, *[""] * (_TEXTS_PER_BATCH - len(some))]
        yield from encoder.encode_texts(filled)[: len(some)].astype(np.float32)


def _problem(path: Path, message: str, fix: str, column: str | None = None) -> Problem:
    where = "the wordings: "
    return Problem(
        Reason.SETTINGS, f"{where}{message}", file=str(path), column=column, fix=fix, code="run/caption"
    )


def digest_recipe(recipes: Iterable[str]) -> str:
    """Return eight hex digits that change with anything that answers depend on."""
    return hashlib.sha256(json.dumps(list(recipes)).encode()).hexdigest()[:8]
