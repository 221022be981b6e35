"""Thumbnails: small pictures of images, for a page that shows thousands of them."""

import io

from PIL import Image

from builders.images.integrity import upright
from schemas.records import IMAGE_FORMATS

MAX_THUMBNAIL_BYTES = 3_000
# Longest side in pixels and quality of WebP, tried in turn until the bytes suffice. Of 400 real portraits the
# first fits 227 and the second 125 more, 2.5 kB on average; the last fits noise.
_TRIES = ((160, 60), (160, 40), (144, 30), (128, 20), (96, 20), (64, 5))


def make_thumbnail(data: bytes) -> bytes:
    """Return an image as WebP of at most `MAX_THUMBNAIL_BYTES`, or no bytes if it does not decode.

    Args:
        data: An image file's bytes, of a format in `IMAGE_FORMATS`.
    """
    longest, _ = _TRIES[0]
    try:
        with Image.open(io.BytesIO(data), formats=list(IMAGE_FORMATS)) as opened:
            opened.draft("RGB", (2 * longest, 2 * longest))  # a JPEG is decoded at about this size
            image = upright(opened).convert("RGB")
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    except Exception:  # Decoders raise many types on damaged data, and one gap in a wall stops nothing.
        return b""
    for side, quality in _TRIES:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        small.save(file, "WEBP", quality=quality, method=3)
        if file.tell() <= MAX_THUMBNAIL_BYTES:
            break
    return file.getvalue()
