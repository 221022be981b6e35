"""Encoders: they turn images and texts into vectors that can be compared.

python -c "
from builders.features.encoder import load_encoder; from schemas.features import *
encoder = load_encoder(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG))
print(encoder.encode_texts(['a person with green hair and glasses']))"
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from builders.parallel import Executor, Threads
from schemas.features import FeatureSettings, Provenance
from schemas.problems import BuildError, Problem, Reason, SettingsError

K = TypeVar("K")
Features = NDArray[np.float16]
_LARGEST_ERROR = 0.01  # of a vector's length, which float16 rounds
_IMAGES_PER_TASK = 64  # of another machine: a multiple of all batch sizes, 0.5 s or more of work on one core


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The local files that a model is loaded from. `publish/providers/weights.py` finds or downloads them.

    Attributes:
        weights: Its checkpoint; None for the demonstration encoder, which brings its own.
        tokenizer: Folder with the tokenizer's files, for models whose tokenizer is not open_clip's own.
        text_config: Folder with the text tower's config.json, for models whose text tower is not open_clip's.
    """

    weights: Path | None = None
    tokenizer: Path | None = None
    text_config: Path | None = None


NO_FILES = ModelFiles()


class ImageNotEncodedError(Exception):
    """An image of a batch cannot be encoded: its position in the batch, and why."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position, self.message = position, message


class Encoder(Protocol):
    """Turns images and texts into vectors of one space. May be called from several threads at once."""

    @property
    def provenance(self) -> Provenance:
        """What the vectors depend on."""

    @property
    def batch_size(self) -> int:
        """Images that are best encoded at once, 1 or more."""

    @property
    def num_workers(self) -> int:
        """Batches that are best encoded at the same time, 1 or more."""

    @property
    def logit_scale(self) -> float:
        """What the model multiplies cosine similarities by before a softmax over texts, above 0."""

    def encode_images(self, images: Iterable[bytes]) -> Features:
        """Encode image files.

        Args:
            images: The bytes of each file, at most `batch_size` of them; taken one by one.

        Returns:
            Images x dimension, each vector of length 1.

        Raises:
            ImageNotEncodedError: One of them does not decode.
        """

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode texts.

        Args:
            texts: In a language that the model knows; what is longer than its context is cut off.

        Returns:
            Texts x dimension, each vector of length 1.
        """


def load_encoder(settings: FeatureSettings, files: ModelFiles = NO_FILES) -> Encoder:
    """Load an encoder that runs a model of open_clip's, or the demonstration encoder. Nothing is downloaded.

    Args:
        settings: Which one, and how it computes.
        files: What it is loaded from; the demonstration encoder brings its own.

    Raises:
        SettingsError: Libraries or files are missing, there is no such model or device, or the files are
            damaged, could run code, or are another model's.
    """
    if settings.is_demonstration and settings.device != "cuda" and settings.dtype in ("auto", "float32"):
        from builders.features.demonstration import DemonstrationEncoder  # noqa: PLC0415 - it imports us

        return DemonstrationEncoder(settings)
    try:
        from builders.features.clip import load_clip  # noqa: PLC0415 - takes seconds, and not everybody has the libraries
    except ImportError as error:
        raise SettingsError(
            Problem(
                Reason.SETTINGS,
                f"features need a library that is not here: {error.name}",
                column="features.model",
                value=settings.model,
                fix="pip install '.[features]'",
            )
        ) from error
    return load_clip(settings, files)


@dataclass(frozen=True, slots=True)
class EncoderLoader:
    """Loads an encoder once more, in another process or on another machine; plain data.

    Attributes:
        settings: Which one, and how it computes; without "auto" where that could make other numbers.
        files: What it is loaded from, as absolute paths.
        provenance: That of the encoder that was loaded first.
    """

    settings: FeatureSettings
    files: ModelFiles
    provenance: Provenance

    def __call__(self) -> Encoder:
        """Load it.

        Raises:
            SettingsError: It cannot be loaded, or would make other numbers than the first one.
        """
        encoder = load_encoder(self.settings, self.files)
        here, there = (each.model_dump(mode="json") for each in (encoder.provenance, self.provenance))
        if differing := [name for name in there if here[name] != there[name]]:
            said = ", ".join(f"{name}: {here[name]} and not {there[name]}" for name in differing)
            message = f"a worker's encoder would make other numbers: {said}"
            fix = "install the same versions on all machines"
            column, model = "features.model", self.settings.model
            raise SettingsError(Problem(Reason.SETTINGS, message, column=column, value=model, fix=fix))
        return encoder


@dataclass(frozen=True, slots=True)
class Workers:
    """Who encodes where this process does not: an executor, and what each of its workers loads."""

    executor: Executor
    load: EncoderLoader


def encode_stream(
    encoder: Encoder, images: Iterable[K], read: Callable[[K], bytes], workers: Workers | None = None
) -> Iterator[tuple[Sequence[K], Features]]:
    """Encode images in batches, several at the same time, in bounded memory.

    Each worker reads and decodes the images of a batch one after another and then runs the model on them, so
    that one decodes while another computes, and nothing but batches in work is held. A batch is given as soon
    as it is done, in whichever order. The last one is filled up, so that the vector of an image does not
    depend on which images are encoded with it: libraries add numbers in another order for other sizes.

    Args:
        encoder: Encodes a batch.
        images: What images are called; may be endless, and at most a batch for each worker is taken ahead.
        read: Gives an image file's bytes; called in other threads, or by workers.
        workers: Encode in place of this process, if any.

    Yields:
        The images of a batch, and their vectors: images x dimension, each of length 1.

    Raises:
        BuildError: An image cannot be encoded, or its vector is not one; it names the image.
        Exception: Whatever `read` raises.
    """
    remaining = iter(images)
    size = encoder.batch_size if workers is None else _IMAGES_PER_TASK
    batches = iter(lambda: list(itertools.islice(remaining, size)), [])
    function = partial(_encode_batches, read)
    if workers is None:
        yield from Threads(encoder.num_workers).map_loaded(lambda: encoder, function, batches)
    else:
        uses_gpu = workers.load.settings.device != "cpu"
        yield from workers.executor.map_loaded(workers.load, function, batches, uses_gpu=uses_gpu)


def _encode_batches(read: Callable[[K], bytes], encoder: Encoder, images: list[K]) -> Features:
    """Encode some images, a batch of the encoder at a time."""
    size = encoder.batch_size
    starts = range(0, len(images), size)
    batches = [_encode_batch(read, encoder, images[start : start + size]) for start in starts]
    return batches[0] if len(batches) == 1 else np.concatenate(batches)


def _encode_batch(read: Callable[[K], bytes], encoder: Encoder, batch: list[K]) -> Features:
    def read_all() -> Iterator[bytes]:
        for image in batch:
            data = read(image)
            yield data
        yield from itertools.repeat(data, encoder.batch_size - len(batch))

    names = [str(image) for image in batch]
    try:
        features = encoder.encode_images(read_all())[: len(batch)]
    except ImageNotEncodedError as error:
        raise BuildError(_problem(names[min(error.position, len(names) - 1)], error.message)) from error
    return check_features(features, names)


def check_features(features: Features, names: Sequence[str]) -> Features:
    """Return the features if each is a vector of length 1.

    Args:
        features: Images x dimension.
        names: What each row is called in messages.

    Raises:
        BuildError: Some are not finite, or have no direction; every image is named.
    """
    lengths = np.linalg.norm(features.astype(np.float32), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < _LARGEST_ERROR))  # ~(<), as NaN compares with nothing
    if len(wrong):
        raise BuildError(
            _problem(names[row], f"the encoder gives a vector of length {lengths[row]:g} where 1 is right")
            for row in wrong.tolist()
        )
    return features


def _problem(name: str, message: str) -> Problem:
    return Problem(
        Reason.IMAGE_DAMAGED,
        f"the image cannot be encoded: {message}",
        file=name,
        fix='look at the image; if it is sound, use dtype = "float32" or check the model\'s weights',
    )
