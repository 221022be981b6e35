"""The oversampled canvas that everything is painted on, and its colours.

Soft shading is always the same step: a blurred shape, painted inside another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from builders.sample.faces.shapes import Shape, move

Color = tuple[int, int, int]
_Area = tuple[int, int, int, int]

OVERSAMPLE = 3  # pixels painted for each that comes out, along both sides
_UNITS = 256
_CHIN = np.array([0.0, 190.0])  # the head tilts and stretches around it
WHITE: Color = (255, 255, 255)
INK: Color = (46, 30, 40)  # lids and lines: softer than black


class Tone(NamedTuple):
    """One material: its colour, its colour in shade and its colour in light."""

    base: Color
    dark: Color
    light: Color


def mix(a: Color, b: Color, share: float) -> Color:
    """Return the colour that lies `share` (0 to 1) of the way from a to b."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def tone(base: Color) -> Tone:
    """Return the material around a base colour."""
    return Tone(base, mix(base, (48, 16, 44), 0.33), mix(base, (255, 246, 226), 0.32))


def pick(rng: Random, colors: Sequence[Color]) -> Color:
    """Return one of the colours; only random() promises the same draws on every Python."""
    return colors[int(rng.random() * len(colors))]


class Canvas:
    """An oversampled picture, and the cut-out of the figure that stands in its foreground."""

    def __init__(self, size: int) -> None:
        """Start a black picture that will come out `size` pixels wide and high."""
        self.size, self.pixels = size, size * OVERSAMPLE
        self.image = Image.new("RGB", (self.pixels, self.pixels))
        self.figure = Image.new("L", (self.pixels, self.pixels))
        self.foreground = False
        self._draw, self._cut = ImageDraw.Draw(self.image), ImageDraw.Draw(self.figure)
        self.pose()

    def pose(
        self,
        tilt: float = 0.0,
        shift: Sequence[float] = (0.0, 0.0),
        stretch: Sequence[float] = (1.0, 1.0),
    ) -> None:
        """Turn (radians), move (units) and stretch whatever is painted from here on."""
        self.scale = self.pixels / _UNITS
        turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
        self._turn = (self.scale * turn @ np.diag(stretch)).T
        self._move = self.scale * (move(_CHIN, _UNITS / 2, 0) + np.array(shift))

    def paint(
        self,
        color: Color,
        *shapes: Shape,
        opacity: float = 1.0,
        blur: float = 0.0,
        clip: Shape | None = None,
    ) -> None:
        """Fill shapes with a colour, softened by `blur` units, only inside `clip`."""
        placed = [self._place(shape) for shape in shapes]
        if opacity == 1 and not blur and clip is None:
            self._fill(color, placed)
            return
        window = None if clip is None else self._place(clip)
        area = self._area(np.concatenate(placed), window, 2.5 * blur * self.scale)
        if area is not None:
            mask = _coverage(placed, area, round(255 * opacity), blur * self.scale)
            if window is not None:
                mask = ImageChops.multiply(mask, _coverage([window], area))
            self.image.paste(color, area, mask)

    def gradient(self, *colors: Color) -> None:
        """Cover the picture with colours that blend from top to bottom."""
        rows = np.linspace(0, len(colors) - 1, self.pixels)
        bands = [np.interp(rows, range(len(colors)), band) for band in zip(*colors, strict=True)]
        column = np.stack(bands, axis=1)[:, None, :].round().astype(np.uint8)
        self.image.paste(Image.fromarray(column).resize(self.image.size, Image.Resampling.NEAREST))

    def _place(self, shape: Shape) -> Shape:
        placed: Shape = (shape - _CHIN) @ self._turn + self._move
        return placed

    def _fill(self, color: Color, placed: list[Shape]) -> None:
        for shape in placed:
            corners = shape.ravel().tolist()
            self._draw.polygon(corners, fill=color)
            if self.foreground:
                self._cut.polygon(corners, fill=255)

    def _area(self, placed: Shape, window: Shape | None, margin: float) -> _Area | None:
        """Return the pixels that painting can touch, or None when there are none."""
        low, high = placed.min(axis=0) - margin, placed.max(axis=0) + margin
        if window is not None:
            low, high = np.maximum(low, window.min(axis=0)), np.minimum(high, window.max(axis=0))
        x0, y0 = (int(v) for v in np.maximum(low, 0))
        x1, y1 = (int(v) + 1 for v in np.minimum(high, self.pixels - 1))
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _coverage(placed: list[Shape], area: _Area, value: int = 255, blur: float = 0.0) -> Image.Image:
    """Return a mask of the shapes in an area; a blurred one is made small, as it has no detail."""
    size = (area[2] - area[0], area[3] - area[1])
    shrink = max(1.0, blur / 2.5)
    mask = Image.new("L", (max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink))))
    draw = ImageDraw.Draw(mask)
    for shape in placed:
        draw.polygon(((shape - area[:2]) / shrink).ravel().tolist(), fill=value)
    if not blur:
        return mask
    soft = mask.filter(ImageFilter.GaussianBlur(blur / shrink))
    return soft.resize(size, Image.Resampling.BILINEAR)
