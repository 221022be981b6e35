"""Sizes of images as people write them."""

import re

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
# fal's presets: https://fal.ai/models/fal-ai/flux/schnell/api
_PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}


def read_size(text: str) -> tuple[int, int] | None:
    """Return width and height in pixels of "WxH" or of one of fal's presets; None for anything else."""
    found = _SIZE.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else _PRESETS.get(text)
