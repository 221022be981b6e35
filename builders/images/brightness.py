"""Brightness of images: black pictures and pictures of one color are what a generator's filter leaves."""

import importlib.metadata
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

_SIDE = 64
_PERCENTILES = (1, 99)  # of 4,096 pixels: a logo or a hot pixel makes no picture
# Whatever the numbers depend on, for those who keep them.
MEASURED_BY = (
    f"brightness 1, {', '.join(f'{name} {importlib.metadata.version(name)}' for name in ('numpy', 'pillow'))}"
)


@dataclass(frozen=True, slots=True)
class Brightness:
    """How bright the darkest and the brightest parts of an image are.

    Attributes:
        contrast: Their difference, in the color that differs most, 0 to 255.
        brightest: The brightest part, in the brightest color, 0 to 255.
    """

    contrast: int
    brightest: int

    def to_bytes(self) -> bytes:
        """Write it as two bytes."""
        return bytes((self.contrast, self.brightest))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Brightness":
        """Read what `to_bytes` wrote."""
        return cls(*data)


def measure_brightness(data: bytes) -> Brightness:
    """Decode an image, at a reduced scale where its format allows that, and measure it.

    Args:
        data: An image file's bytes.

    Raises:
        Exception: Whatever Pillow raises on an image that it cannot decode.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (_SIDE, _SIDE))
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    darkest, brightest = np.percentile(np.asarray(small), _PERCENTILES, axis=(0, 1))
    return Brightness(round(float((brightest - darkest).max())), round(float(brightest.max())))
