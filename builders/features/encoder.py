"""Encoders: they turn images and texts into vectors that can be compared.

python -c "
from builders.features.encoder import load_encoder; from schemas.features import *
encoder = load_encoder(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG))
print(encoder.encode_texts(['a person with green hair and glasses']))"
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from builders.parallel import Threads
from schemas.features import FeatureSettings, Provenance
from schemas.problems import BuildError, Problem, Reason, SettingsError

K = TypeVar("K")
Features = NDArray[np.float16]
_LARGEST_ERROR = 0.01  # of a vector's length, which float16 rounds


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
    """Load an encoder that runs a model of open_clip's. Nothing is downloaded.

    Args:
        settings: Which one, and how it computes.
        files: What it is loaded from; the demonstration encoder brings its own.

    Raises:
        SettingsError: Libraries or files are missing, there is no such model or device, or the files are
            damaged, could run code, or are another model's.
    """
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


def encode_stream(
    encoder: Encoder, images: Iterable[K], read: Callable[[K], bytes]
) -> Iterator[tuple[Sequence[K], Features]]:
    """Encode images in batches, several at the same time, in bounded memory.

    Each worker reads and decodes the images of a batch one after another and then runs the model on them, so
    that one decodes while another computes, and nothing but batches in work is held. A batch is given as soon
    as it is done, in whichever order. The last one is filled up, so that the vector of an image does not
    depend on which images are encoded with it: libraries add numbers in another order for other sizes.

    Args:
        encoder: Encodes a batch.
        images: What images are called; may be endless, and at most a batch for each worker is taken ahead.
        read: Gives an image file's bytes; called in other threads.

    Yields:
        The images of a batch, and their vectors: images x dimension, each of length 1.

    Raises:
        BuildError: An image cannot be encoded, or its vector is not one; it names the image.
        Exception: Whatever `read` raises.
    """
    remaining = iter(images)
    batches = iter(lambda: list(itertools.islice(remaining, encoder.batch_size)), [])

    def read_all(batch: list[K]) -> Iterator[bytes]:
        for image in batch:
            data = read(image)
            yield data
        yield from itertools.repeat(data, encoder.batch_size - len(batch))

    def encode(batch: list[K]) -> Features:
        names = [str(image) for image in batch]
        try:
            features = encoder.encode_images(read_all(batch))[: len(batch)]
        except ImageNotEncodedError as error:
            raise BuildError(_problem(names[min(error.position, len(names) - 1)], error.message)) from error
        return check_features(features, names)

    yield from Threads(encoder.num_workers).map_unordered(encode, batches)


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
