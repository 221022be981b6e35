"""The light on a finished picture: its colour and direction, the figure's shadow and lit edge."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from builders.sample.faces.canvas import OVERSAMPLE, WHITE, Canvas, Color

_Pixels = npt.NDArray[np.float32]


class _Light(NamedTuple):
    """How a picture is lit; directions are (x, y) with y down, shares run from 0 to 1."""

    cast: tuple[float, float, float]  # gain per channel
    toward: tuple[float, float]  # where the light comes from
    contrast: float  # how much darker the far side is
    vignette: float  # how much darker the corners are
    rim: float  # how bright the figure's lit edge is
    glow: Color = WHITE  # what the lit side fades to
    haze: float = 0.0  # how much it does


_LIGHTS: dict[str, _Light] = {
    "soft": _Light((1.02, 1.01, 1.0), (0.0, -1.0), 0.05, 0.04, 0.0),
    "warm": _Light((1.05, 0.97, 0.87), (0.7, -0.7), 0.12, 0.06, 0.16, (255, 180, 70), 0.48),
    "cool": _Light((0.92, 0.965, 1.05), (-0.7, -0.7), 0.12, 0.06, 0.16, (100, 176, 255), 0.55),
    "side-lit from the left": _Light((0.78, 0.75, 0.76), (-1.0, 0.0), 0.5, 0.0, 0.26),
    "side-lit from the right": _Light((0.78, 0.75, 0.76), (1.0, 0.0), 0.5, 0.0, 0.26),
    "dramatic": _Light((0.94, 0.88, 0.88), (-0.5, -0.6), 0.3, 0.62, 0.26),
}


@lru_cache(maxsize=6)
def _gain_and_haze(lighting: str, size: int) -> tuple[_Pixels, _Pixels]:
    """Return how much light reaches each pixel and channel, and the share of glow over it."""
    light = _LIGHTS[lighting]
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    along = x * light.toward[0] + y * light.toward[1]
    spread = 1 + light.contrast * np.tanh(along * 1.7)
    edge = 1 - light.vignette * np.clip(x**2 + (y + 0.1) ** 2 - 0.25, 0, 1.1)
    gain = (spread * edge)[:, :, None] * np.array(light.cast)
    haze = light.haze * np.clip((along + 0.3) / 1.7, 0, 1)[:, :, None] ** 1.5
    return gain.astype(np.float32), haze.astype(np.float32)


def _moved(figure: Image.Image, dx: float, dy: float, blur: float) -> _Pixels:
    """Return the figure's cut-out, moved and blurred by shares of the picture's width."""
    small, smoothly = figure.resize((64, 64), Image.Resampling.BOX), Image.Resampling.BILINEAR
    shift = (1, 0, -dx * 64, 0, 1, -dy * 64)
    moved = small.transform(small.size, Image.Transform.AFFINE, shift, smoothly)
    soft = moved.filter(ImageFilter.GaussianBlur(blur * 64)).resize(figure.size, smoothly)
    share: _Pixels = np.asarray(soft, dtype=np.float32)[:, :, None] / np.float32(255)
    return share


def develop(canvas: Canvas, lighting: str) -> Image.Image:
    """Return the finished picture: reduced to its size, with the figure's shadow, and lit."""
    light, size = _LIGHTS[lighting], (canvas.size, canvas.size)
    cut = canvas.figure.reduce(OVERSAMPLE)
    figure = np.asarray(cut, dtype=np.float32)[:, :, None] / np.float32(255)
    rgb = np.asarray(canvas.image.resize(size, Image.Resampling.HAMMING), dtype=np.float32)
    gain, haze = _gain_and_haze(lighting, canvas.size)
    (dx, dy), glow = light.toward, np.array(light.glow, dtype=np.float32)
    rgb = rgb * (1 - 0.34 * _moved(cut, -0.03 * dx, 0.03, 0.05) * (1 - figure)) * gain
    if light.haze:
        rgb += (glow - rgb) * haze * (1 - 0.6 * figure)
    if light.rim:
        edge = figure * (1 - _moved(cut, -0.03 * dx, -0.03 * dy, 0.015))
        rgb += (glow - rgb) * edge * light.rim
    return Image.fromarray(rgb.clip(0, 255).round().astype(np.uint8))
