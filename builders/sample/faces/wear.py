"""What is worn on the head: hats and glasses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from builders.sample.faces.canvas import WHITE, Color, mix, tone
from builders.sample.faces.shapes import box, flip, half, line, loop, move, oval, points, ribbon, ring, smooth
from builders.sample.faces.sitter import Sitter

_WOOL, _FELT, _STRAW = tone((126, 84, 182)), tone((236, 120, 40)), tone((226, 202, 158))


def paint_hat(s: Sitter) -> None:
    """Paint the hat and its shadow on the forehead."""
    s.shade(half("0,40 60,40 60,104 30,104 0,108"), 0.6, 5)
    _HATS[s.look["hat"]](s)


def _beanie(s: Sitter) -> None:
    paint = s.paint
    dome = half("0,16 28,20 50,40 60,70 61,90 0,92")
    cuff = half("0,66 34,67 60,71 65,76 66,90 62,98 34,95 0,94")
    rib = line("3,18 7.5,40 9.5,70")
    shade = (oval(56, 60, 16, 40), half("0,56 60,60 60,72 0,70"))
    paint(_WOOL.light, oval(0, 14, 13, 12))
    paint(_WOOL.base, oval(3, 17, 11, 9), opacity=0.8, blur=3)
    paint(_WOOL.base, dome)
    paint(_WOOL.dark, *(ribbon(rib * [i, 1], 2) for i in range(-6, 7)), opacity=0.55, clip=dome)
    paint(_WOOL.dark, *shade, opacity=0.5, blur=6, clip=dome)
    paint(_WOOL.light, oval(-24, 40, 12, 16), opacity=0.5, blur=7, clip=dome)
    knits = [box(i * 9 - 0.9, 64, i * 9 + 0.9, 100) for i in range(-7, 8)]
    paint(mix(_WOOL.base, _WOOL.light, 0.25), cuff)
    paint(_WOOL.dark, *knits, opacity=0.5, clip=cuff)
    paint(_WOOL.dark, oval(62, 84, 14, 22), opacity=0.5, blur=6, clip=cuff)


def _cap(s: Sitter) -> None:
    paint = s.paint
    dome = half("0,22 30,26 52,46 60,74 61,92 30,84 0,82")
    visor = half("0,74 30,76 52,82 66,94 62,99 40,95 20,97 0,98")
    seam = line("0,24 .75,40 1,84")
    paint(_FELT.base, dome)
    paint(_FELT.dark, oval(58, 66, 18, 44), opacity=0.55, blur=8, clip=dome)
    paint(_FELT.light, oval(-24, 44, 14, 16), opacity=0.6, blur=8, clip=dome)
    seams = [ribbon(seam * [x, 1], 1.4) for x in (-34, 0, 34)]
    paint(_FELT.dark, *seams, opacity=0.7, clip=dome)
    paint(_FELT.dark, oval(0, 22, 6, 3.4))
    paint(mix(_FELT.base, _FELT.dark, 0.35), visor)
    edge = ribbon(line("-58,88 -34,80 0,78 34,80 58,88"), 3, 0.4)
    paint(_FELT.light, edge, opacity=0.7, blur=1)
    paint(_FELT.dark, half("0,90 40,90 66,94 60,104 0,104"), opacity=0.7, blur=3, clip=visor)


def _wide_brim(s: Sitter) -> None:
    paint = s.paint
    brim = loop("-108,86 -70,66 0,58 70,66 108,86 92,97 48,93 0,91 -48,93 -92,97")
    crown = half("0,18 26,14 44,24 52,50 56,82 0,88")
    shade, edge = line("-104,88 -60,86 0,83 60,86 104,88"), line("-104,84 -60,94 0,92 60,94 104,84")
    band = np.concatenate([line("-54,66 -30,72 0,74 30,72 54,66"), line("57,82 30,87 0,88 -30,87 -57,82")])
    paint(mix(_STRAW.base, _STRAW.dark, 0.3), brim)
    paint(_STRAW.dark, ribbon(shade, 10), opacity=0.6, blur=4, clip=brim)
    paint(_STRAW.light, ribbon(edge, 3), opacity=0.6, clip=brim)
    paint(_STRAW.base, crown)
    folds = (oval(50, 50, 16, 50), oval(0, 18, 14, 8))
    paint(_STRAW.dark, *folds, opacity=0.5, blur=7, clip=crown)
    paint(_STRAW.light, oval(-26, 44, 10, 22), opacity=0.6, blur=7, clip=crown)
    paint((104, 54, 44), band)
    paint((70, 34, 32), oval(56, 76, 16, 20), opacity=0.6, blur=6, clip=band)


def paint_glasses(s: Sitter) -> None:
    """Paint two lenses, the arms to the ears and the bridge."""
    color, width, rx = _FRAMES[s.look["glasses"]]
    x = s.eye_x + 1
    arm = smooth(np.array([[x + rx - 1, 122], [50, 119], [57, 118]]))
    bridge = smooth(np.array([[rx - x - 1, 124], [0, 120], [x - rx + 1, 124]]))
    for side in (1, -1):
        _lens(s, side)
        s.paint(color, ribbon(flip(arm, side), width))
    s.paint(color, ribbon(bridge, width))


def _lens(s: Sitter, side: int) -> None:
    paint, kind = s.paint, s.look["glasses"]
    color, width, rx = _FRAMES[kind]
    x, y, dark = side * (s.eye_x + 1), 126.0, kind == "sunglasses"
    lens = oval(x, y, rx, rx) if kind == "round" else oval(x, y, rx, 15, 0.3)
    if dark:
        shape = loop("-20,-13 0,-15 20,-14 22,-4 16,13 2,17 -14,12 -20,0")
        lens = move(flip(shape, side), x, y)
        paint((34, 30, 44), lens)
        paint((104, 84, 120), oval(x, y + 14, 18, 10), opacity=0.6, blur=5, clip=lens)
    paint(s.skin.dark, move(ring(lens, width), 0, 3), opacity=0.35, blur=2)
    if not dark:
        paint(WHITE, lens, opacity=0.1)
    gleam = points("-12,-20 -5,-20 -25,14 -32,14"), points("-2,-20 1,-20 -19,14 -22,14")
    paint(WHITE, *(move(g, x, y) for g in gleam), opacity=0.42 if dark else 0.3, clip=lens)
    if kind == "round":  # gold alone would be lost on tan skin
        paint((96, 56, 20), ring(lens, width + 1.6))
    paint(color, ring(lens, width))


_HATS: dict[str, Callable[[Sitter], None]] = {
    "beanie": _beanie,
    "cap": _cap,
    "wide-brimmed hat": _wide_brim,
}
_FRAMES: dict[str, tuple[Color, float, float]] = {  # colour, thickness, half width
    "round": ((226, 168, 70), 2.8, 19.5),
    "square": ((28, 26, 32), 4.8, 20.0),
    "sunglasses": ((24, 22, 28), 3.6, 21.5),
}
