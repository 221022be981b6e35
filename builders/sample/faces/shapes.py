"""The outlines that everything is drawn with, in portrait units.

x runs from -128 to 128 with 0 in the middle, y from 0 at the top to 256 at the bottom, whatever the
size in pixels. Outlines are written like SVG points ("x,y x,y"), because a curve is easier to adjust
as one line of numbers than as code.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Shape = npt.NDArray[np.float64]


@lru_cache(maxsize=256)
def points(text: str) -> Shape:
    """Parse "x,y x,y ..." into an array with one point a row."""
    shape = np.array([[float(number) for number in pair.split(",")] for pair in text.split()])
    shape.setflags(write=False)  # it is shared by all callers
    return shape


@lru_cache(maxsize=1)
def _weights(steps: int = 8) -> Shape:
    """Return the Catmull-Rom weights of four neighbouring points, `steps` times a segment."""
    t = np.arange(steps) / steps
    before, after = -t + 2 * t**2 - t**3, t**3 - t**2
    here, there = 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3
    weights: Shape = np.stack([before, here, there, after], axis=1) / 2
    return weights


def smooth(shape: Shape) -> Shape:
    """Return the open curve through every point of a shape."""
    padded = np.concatenate([shape[:1], shape, shape[-1:]])
    fours = np.lib.stride_tricks.sliding_window_view(padded, 4, axis=0)
    curve = np.einsum("sk,nck->nsc", _weights(), fours).reshape(-1, 2)
    return np.concatenate([curve, shape[-1:]])


def line(text: str) -> Shape:
    """Return the open curve through the written points."""
    return smooth(points(text))


def loop(text: str) -> Shape:
    """Return the closed curve through the written points."""
    shape = points(text)
    return smooth(np.concatenate([shape, shape[:1]]))


def half(text: str) -> Shape:
    """Return the symmetric curve whose right half is written from top to bottom."""
    return both(line(text))


def both(right: Shape) -> Shape:
    """Return a right half, listed from top to bottom, closed by its mirror image."""
    return np.concatenate([right, right[::-1] * [-1, 1]])


def oval(x: float, y: float, rx: float, ry: float, power: float = 1.0) -> Shape:
    """Return an ellipse around (x, y); a power below 1 squares its corners."""
    turn = np.linspace(0, 2 * np.pi, 8 + int(3 * max(rx, ry) ** 0.7), endpoint=False)
    wave = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return move(np.sign(wave) * np.abs(wave) ** power * [rx, ry], x, y)


def box(x0: float, y0: float, x1: float, y1: float) -> Shape:
    """Return a rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def spiral(x: float, y: float, start: float, turns: float, reach: tuple[float, float]) -> Shape:
    """Return a spiral around (x, y), angles in radians, between two radii."""
    angle, radius = np.linspace(start, start + turns, 18), np.linspace(*reach, 18)
    return np.stack([x + np.cos(angle) * radius, y + np.sin(angle) * radius], axis=1)


def ribbon(curve: Shape, width: float, taper: float = 0.0) -> Shape:
    """Return the stroke along a curve; a taper above 0 thins its ends like a brush."""
    step = np.gradient(curve, axis=0)
    normal: Shape = np.stack([-step[:, 1], step[:, 0]], axis=1)
    normal /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]  # points may coincide
    reach = width / 2 * np.sin(np.linspace(0, np.pi, len(curve))).clip(0, 1) ** taper
    side = normal * reach[:, None]
    return np.concatenate([curve + side, (curve - side)[::-1]])


def ring(shape: Shape, width: float) -> Shape:
    """Return the outline of a closed shape as a stroke."""
    return ribbon(np.concatenate([shape, shape[:1]]), width)


def move(shape: Shape, x: float, y: float) -> Shape:
    """Return the shape moved by x to the right and y down."""
    moved: Shape = shape + np.array([x, y])
    return moved


def flip(shape: Shape, side: int) -> Shape:
    """Return the shape as it is (side 1) or mirrored to the left (side -1)."""
    return shape * [side, 1]
