"""Perceptual hashes: 64 bits that stay nearly the same when an image is saved again, resized or recompressed.

The DCT hash of https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html: 32 x 32 grey
pixels, the 8 x 8 lowest frequencies of their cosine transform, and for each whether it is above the median.
The library ImageHash computes the same; it would bring PyWavelets along for a hash that is not used here.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import dctn

Hashes = npt.NDArray[np.uint64]

HASH_BITS = 64

_SIDE, _FREQUENCIES = 32, 8
_LEAST_SIDE = 2 * _SIDE  # decoded at the smallest scale of JPEG that keeps this many pixels


def hash_image(data: bytes) -> int:
    """Decode an image, at a reduced scale where its format allows that, and hash it.

    Args:
        data: An image file that decodes (`builders.images` refuses others).

    Returns:
        The hash, 0 to 2**64 - 1. The same image in another size or format has a hash few bits away.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", (_LEAST_SIDE, _LEAST_SIDE))
        return hash_pixels(image)


def hash_pixels(image: Image.Image) -> int:
    """Hash a decoded image of any size and mode; transparency is ignored."""
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    transform = dctn(np.asarray(grey, np.float64))
    # Whole numbers: what is zero but for rounding must be zero on every machine.
    lowest = np.rint(transform[:_FREQUENCIES, :_FREQUENCIES])
    bits = np.packbits(lowest.ravel() > np.median(lowest))
    return int.from_bytes(bits.tobytes(), "big")
