"""The scene behind a person: a plain studio colour or a place."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from builders.sample.faces.canvas import INK, WHITE, Canvas, Color, mix, pick
from builders.sample.faces.shapes import box, line, move, oval, points, ribbon

Scene = Callable[[Canvas, Random], None]
_SPINES: tuple[Color, ...] = (
    *((168, 62, 52), (46, 92, 120), (214, 164, 78), (64, 112, 82)),
    *((232, 218, 190), (116, 70, 104), (202, 110, 62), (52, 60, 92)),
)


def _plain(color: Color) -> Scene:
    """Return a studio backdrop: one colour, lighter behind the head, darker below."""

    def scene(canvas: Canvas, _rng: Random) -> None:
        canvas.gradient(mix(color, WHITE, 0.1), color, mix(color, (30, 20, 60), 0.22))
        canvas.paint(mix(color, WHITE, 0.5), oval(0, 100, 84, 84), opacity=0.7, blur=24)

    return scene


def _sunset(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((84, 62, 140), (222, 96, 120), (255, 156, 84), (255, 214, 130))
    canvas.paint((255, 236, 170), oval(88, 178, 30, 30), opacity=0.8, blur=12)
    canvas.paint((255, 244, 200), oval(88, 178, 22, 22))
    cloud = [ribbon(line("-58,0 0,-3 58,0"), 7, 0.6), ribbon(line("-36,6 0,3 36,6"), 7, 0.6)]
    for x, y in ((-80, 40), (92, 76), (-96, 112), (60, 140), (-70, 190)):
        drift = x + rng.uniform(-16, 16)
        canvas.paint((255, 206, 190), *(move(part, drift, y) for part in cloud), opacity=0.55)
    hills = line("-140,226 -90,214 -30,226 40,212 100,224 140,216 140,270 -140,270")
    canvas.paint((92, 52, 92), hills)


def _bookshelf(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((70, 42, 28), (56, 32, 22))
    for shelf in (58, 124, 190, 256):
        x = -128.0
        while x < 128:
            x += _book(canvas, rng, x, shelf)
        canvas.paint((142, 94, 58), box(-130, shelf, 130, shelf + 8))
        canvas.paint((98, 60, 38), box(-130, shelf + 6, 130, shelf + 9))


def _book(canvas: Canvas, rng: Random, x: float, shelf: float) -> float:
    """Paint a book whose left edge is at x, and return its width."""
    wide, top, color = rng.uniform(9, 17), shelf - rng.uniform(40, 54), pick(rng, _SPINES)
    canvas.paint(mix(color, INK, 0.35), box(x, top, x + wide - 1, shelf))
    canvas.paint(color, box(x, top, x + wide - 4, shelf))
    for y in (top + 8, top + 13, shelf - 10):
        canvas.paint(mix(color, (255, 236, 180), 0.6), box(x + 1, y, x + wide - 4, y + 2))
    return wide


def _forest(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((214, 238, 212), (160, 208, 158), (70, 122, 78))
    rows = (((136, 186, 142), 40, 60), ((88, 146, 100), 62, 76), ((46, 100, 68), 96, 92))
    for row, (color, top, size) in enumerate(rows):
        for step in range(-3, 4):
            x, y = step * 46 + row * 23 - 23 + rng.uniform(-6, 6), top + rng.uniform(-12, 12)
            _fir(canvas, x, y, size, color)
        canvas.paint(color, box(-130, top + size * 1.75, 130, 260))
    canvas.paint((36, 78, 56), line("-140,236 -70,226 0,234 70,224 140,234 140,270 -140,270"))


def _fir(canvas: Canvas, x: float, top: float, size: float, color: Color) -> None:
    for down, wide in ((0.76, 0.42), (0.36, 0.33), (0.0, 0.24)):
        tip, foot, reach = top + size * down, top + size * (down + 0.74), size * wide
        tier = np.array([[x, tip], [x + reach, foot], [x - reach, foot]])
        canvas.paint(color, tier)
        canvas.paint(mix(color, INK, 0.14), move(tier * [0.5, 1], x * 0.5 + reach * 0.24, 0))


def _brick_wall(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((206, 186, 172), (190, 168, 154))
    for row in range(13):
        for column in range(-1, 7):
            x, y = column * 44 - 128 + row % 2 * 22, row * 20
            color = mix((176, 84, 62), (142, 58, 48), rng.random())
            canvas.paint(mix(color, INK, 0.25), box(x, y, x + 41, y + 17))
            canvas.paint(color, box(x, y, x + 41, y + 14))
    canvas.paint((255, 220, 190), oval(0, 100, 80, 80), opacity=0.25, blur=24)


def _starry_night(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((12, 14, 52), (34, 36, 98), (78, 66, 140))
    dots = [oval(rng.uniform(-126, 126), rng.uniform(2, 220), r, r) for r in (0.8, 1.1, 1.8) * 24]
    canvas.paint((255, 250, 220), *dots)
    star = points("0,-6 1.2,-1.2 6,0 1.2,1.2 0,6 -1.2,1.2 -6,0 -1.2,-1.2")
    for x, y in ((-98, 84), (84, 108), (-70, 30), (104, 176), (-104, 160)):
        canvas.paint(WHITE, move(star * rng.uniform(0.9, 1.5), x, y))
    canvas.paint((255, 244, 200), oval(98, 42, 24, 24), opacity=0.4, blur=8)
    moon = [line("104,22 118,35 116,54 99,63 84,58"), line("84,58 99,54 107,42 104,22")]
    canvas.paint((255, 244, 200), np.concatenate(moon))


def _beach(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((110, 192, 240), (190, 228, 248), (190, 228, 248))
    canvas.paint((255, 240, 160), oval(-92, 38, 20, 20))
    cloud = [oval(0, 0, 26, 7), oval(-8, -6, 12, 9), oval(8, -5, 10, 7)]
    for x, y in ((66, 36), (100, 88), (-78, 98)):
        drift = x + rng.uniform(-12, 12)
        canvas.paint(WHITE, *(move(puff, drift, y) for puff in cloud))
    canvas.paint((36, 142, 190), box(-130, 142, 130, 220))
    canvas.paint((70, 190, 210), box(-130, 172, 130, 220))
    wave = line("-26,0 0,-3 26,0")
    spots = ((-92, 156), (96, 152), (-60, 182), (90, 184), (-110, 190))
    canvas.paint((220, 246, 250), *(ribbon(move(wave, x, y), 3, 0.7) for x, y in spots))
    sand = line("-132,210 -90,206 -40,212 40,205 100,212 132,206 140,270 -140,270")
    canvas.paint((246, 250, 246), move(sand, 0, -6))
    canvas.paint((240, 212, 158), sand)


def _mountains(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((120, 170, 220), (214, 232, 246), (240, 244, 250))
    peaks = (
        (-24, 46, 112, (156, 174, 202)),
        (-92, 40, 96, (104, 126, 164)),
        (90, 30, 104, (88, 110, 150)),
    )
    for middle, top, wide, color in peaks:
        x = middle + rng.uniform(-7, 7)
        reach = wide * 52 / (230 - top)
        snow = points("0,0 1,52 .4,36 .04,60 -.4,38 -1,52") * [reach, 1]
        canvas.paint(color, move(points("0,0 1,190 -1,190") * [wide, 1], x, top))
        far_side = points("0,0 1,190 .14,190 -.06,96") * [wide, 1]
        canvas.paint(mix(color, INK, 0.25), move(far_side, x, top))
        canvas.paint((250, 252, 255), move(snow, x, top))
    ground = line("-140,206 -70,194 0,206 70,192 140,204 140,270 -140,270")
    canvas.paint((240, 246, 252), ground)


def _skyline(canvas: Canvas, rng: Random) -> None:
    canvas.gradient((58, 74, 128), (150, 118, 160), (250, 176, 140))
    for color, low, wide in (((112, 104, 150), 76, 26), ((52, 54, 92), 122, 34)):
        for step in range(-4, 5):
            x, top = step * (wide + 2) + rng.uniform(-4, 4), low + rng.uniform(-22, 34)
            canvas.paint(color, box(x - wide / 2, top, x + wide / 2, 260))
            lit = [divmod(i, 3) for i in range(30) if rng.random() < 0.5]
            panes = [
                move(box(4, 7, 8, 13), x + column * (wide - 4) / 3 - wide / 2, top + row * 12)
                for row, column in lit
            ]
            canvas.paint((255, 220, 140), *panes)


SCENES: dict[str, Scene] = {
    "teal": _plain((32, 150, 150)),
    "lavender": _plain((176, 160, 222)),
    "coral": _plain((244, 124, 104)),
    "cream": _plain((240, 226, 196)),
    "sunset sky": _sunset,
    "bookshelf": _bookshelf,
    "forest": _forest,
    "brick wall": _brick_wall,
    "starry night": _starry_night,
    "beach": _beach,
    "snowy mountains": _mountains,
    "city skyline": _skyline,
}
