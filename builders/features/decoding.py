"""Decoding of images for encoders, JPEGs at a reduced scale where that leaves more than a model sees."""

import io

import simplejpeg
from PIL import Image

from builders.images.integrity import upright
from schemas.records import IMAGE_FORMATS

# Not less than twice the input's size: DECISIONS.md has the difference to decoding in full.
DECODING = (
    "JPEGs at 1/2, 1/4 or 1/8 where that leaves at least twice the input's size; others in full, "
    "and so are those that EXIF says to turn, which are turned"
)
_DIVISORS, _MARGIN = (8, 4, 2), 2  # other eighths take longer than decoding in full


def decode_image(data: bytes, input_size: tuple[int, int]) -> Image.Image:
    """Decode an image file for a model, a JPEG at a reduced scale where that leaves more than it sees.

    Args:
        data: The file's bytes.
        input_size: Height and width that the model sees, in pixels.

    Returns:
        An RGB image, turned as its orientation in EXIF says.

    Raises:
        Exception: Whatever a decoder raises on data that is not an image.
    """
    with Image.open(io.BytesIO(data), formats=list(IMAGE_FORMATS)) as image:
        turned = upright(image)
        # simplejpeg knows nothing of EXIF, and Pillow knows how to read CMYK.
        if turned is not image or image.format != "JPEG" or image.mode not in ("RGB", "L"):
            return turned.convert("RGB")
        height, width = image.height, image.width
    ratio = min(height / input_size[0], width / input_size[1]) / _MARGIN
    divisor = next((each for each in _DIVISORS if each <= ratio), 1)
    least = {"min_height": -(-height // divisor), "min_width": -(-width // divisor)}
    return Image.fromarray(simplejpeg.decode_jpeg(data, **least, min_factor=1))
