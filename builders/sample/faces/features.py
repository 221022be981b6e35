"""The features of the face: eyes, brows, nose, mouth and beard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from builders.sample.faces.canvas import INK, WHITE, Color, mix
from builders.sample.faces.shapes import (
    Shape,
    flip,
    half,
    line,
    loop,
    move,
    oval,
    points,
    ribbon,
    ring,
    smooth,
)
from builders.sample.faces.sitter import Sitter

_IRISES: dict[str, Color] = {
    "brown": (110, 62, 26),
    "blue": (52, 128, 226),
    "green": (52, 156, 76),
    "hazel": (190, 132, 36),
    "gray": (150, 160, 172),
}
# Per expression: how open the eyes are, how high the brows, and how they tilt inside and outside.
_MOODS: dict[str, tuple[float, float, float, float]] = {
    "smiling": (0.95, 1.0, 1.0, 1.0),
    "neutral": (1.0, 0.0, 1.0, 1.0),
    "surprised": (1.22, 7.0, 0.0, 2.0),
    "sad": (0.8, 1.0, -5.0, 4.0),
    "laughing": (0.66, 3.0, 1.0, 1.0),
}
_LIPS = {  # where closed lips meet
    "smiling": "-21,161 -16,166 -8,170 0,171 8,170 16,166 21,161",
    "neutral": "-17,168 -8,168 0,168.6 8,168 17,168",
    "sad": "-17,174 -10,169 0,167 10,169 17,174",
}


def _eye(s: Sitter, side: int) -> None:
    paint, mood = s.paint, s.look["expression"]
    x, y, wide = side * s.eye_x, 124.0, _MOODS[mood][0]
    to = np.array([1.08 * side, 1.1])
    corner, low = (2.0 if mood == "sad" else -1.0), (0.4 if mood == "laughing" else wide)
    lid = np.array([[-13, 2], [-8, -6 * wide], [0, -9 * wide], [8, -6.5 * wide], [13.5, corner]])
    under = np.array([[13.5, corner], [8, 6.5 * low], [0, 8.5 * low], [-8, 6.5 * low], [-13, 2]])
    upper, lower = move(smooth(lid) * to, x, y), move(smooth(under) * to, x, y)
    paint(s.skin.dark, oval(x, y - 3, 17, 12), opacity=0.35, blur=5)
    _eyeball(s, x, y, np.concatenate([upper, lower]), upper)
    paint(INK, ribbon(upper, 3.6, 0.35))
    paint(mix(s.skin.dark, INK, 0.3), ribbon(lower, 1.2, 0.4), opacity=0.7)
    paint(s.skin.dark, ribbon(move(upper, 0, -4.5), 1.6, 0.6), opacity=0.8)
    if s.lashes:
        lash = points("0,0 3,-2.6 5,-6")
        roots = np.array([[11, -2 * wide], [8, -6 * wide], [4, -8 * wide]])
        paint(INK, *(ribbon(move((lash + root) * to, x, y), 2.2, 0.5) for root in roots))


def _eyeball(s: Sitter, x: float, y: float, ball: Shape, lid: Shape) -> None:
    paint, iris = s.paint, _IRISES[s.look["eyes"]]
    paint((250, 250, 252), ball)
    paint(mix(iris, INK, 0.55), oval(x, y - 0.5, 9.8, 9.8), clip=ball)
    paint(iris, oval(x, y - 0.5, 8.6, 8.6), clip=ball)
    paint(mix(iris, WHITE, 0.45), oval(x, y + 4, 5, 3.5), opacity=0.7, blur=1.5, clip=ball)
    paint((20, 14, 20), oval(x, y - 0.5, 3.7, 3.7), clip=ball)
    paint((60, 50, 80), ribbon(move(lid, 0, 1), 5), opacity=0.4, blur=1.5, clip=ball)
    paint(WHITE, oval(x + 2.8, y - 3.6, 2.3, 2.3), oval(x - 3, y + 3, 1.1, 1.1), clip=ball)


def _brow(s: Sitter, side: int) -> None:
    _, lift, inner, outer = _MOODS[s.look["expression"]]
    arch = [[-13, 1 + inner], [-3, -3 + inner * 0.4], [6, -4 + outer * 0.2], [15, 1 + outer]]
    curve = move(flip(smooth(np.array(arch)), side), side * s.eye_x, 105 - lift)
    s.paint(mix(s.hair.dark, INK, 0.25), ribbon(curve, s.brow, 0.45))


def _nose(s: Sitter) -> None:
    paint, skin = s.paint, s.skin
    base = line("-9,148 -8,152 -3,153 0,155 3,153 8,152 9,148") * [s.nose, 1]
    nostrils = (oval(-4.5, 152.6, 2.2, 1.2), oval(4.5, 152.6, 2.2, 1.2))
    paint(skin.dark, loop("2,120 10,136 13,150 2,154"), opacity=0.35, blur=4)
    paint(skin.dark, ribbon(base, 3, 0.4))
    paint(mix(skin.dark, INK, 0.4), *nostrils, opacity=0.6)
    paint(skin.light, oval(-2, 145, 4, 4), opacity=0.8, blur=2)


def _mouth(s: Sitter) -> None:
    lip = mix(s.skin.dark, (206, 58, 84), s.lips)
    mood = s.look["expression"]
    if mood in _LIPS:
        _closed_lips(s, lip, line(_LIPS[mood]))
    else:
        _open_mouth(s, lip, laughing=mood == "laughing")


def _closed_lips(s: Sitter, lip: Color, seam: Shape) -> None:
    gloss = move(seam[12:-12] * [0.5, 1], 0, 3.2)
    s.paint(s.skin.dark, oval(0, seam[len(seam) // 2, 1] + 10, 9, 3), opacity=0.5, blur=3)
    s.paint(lip, ribbon(move(seam, 0, 2), 7.5, 0.8))
    s.paint(mix(lip, WHITE, 0.35), ribbon(gloss, 1.6, 0.6), opacity=0.6)
    s.paint(mix(lip, INK, 0.6), ribbon(seam, 2.4, 0.35))


def _open_mouth(s: Sitter, lip: Color, *, laughing: bool) -> None:
    gape, tongue = oval(0, 171, 9, 12), oval(0, 181, 8, 6)
    if laughing:
        top, jaw = line("-22,162 -10,164 0,164.5 10,164 22,162"), line("22,162 17,174 8,182 0,184")
        gape, tongue = np.concatenate([top, jaw, flip(jaw, -1)[::-1]]), oval(0, 184, 12, 9)
    s.paint(lip, ring(gape, 4.5))
    s.paint((96, 26, 42), gape)
    s.paint((232, 104, 112), tongue, clip=gape)
    if laughing:
        teeth = half("0,160 22,158 20,168 10,170.5 0,171")
        s.paint(WHITE, teeth, clip=gape)


def _stubble(s: Sitter) -> None:
    rng = s.dice("stubble")
    zone = half("0,157 16,156 32,154 46,128 58,124 58,180 20,196 0,197")
    shade = mix(s.hair.dark, s.skin.base, 0.15)
    s.paint(shade, zone, opacity=0.5, blur=4, clip=s.head)
    dots = [oval(rng.uniform(-46, 46), rng.uniform(156, 188), 0.6, 0.6) for _ in range(110)]
    s.paint(s.hair.dark, *dots, opacity=0.5, clip=s.head)


def _full_beard(s: Sitter) -> None:
    paint, hair = s.paint, s.hair
    beard = half("0,158 28,162 38,156 45,142 49,120 56,120 58,150 51,178 34,198 15,207 0,208")
    under = half("0,190 30,186 50,160 60,190 0,220")
    strand = line("1,0 .91,12 .77,24")
    hung = [move(strand * [i * 7, 1 + abs(i) * 0.12], 0, 178 - abs(i) * 5) for i in range(-6, 7)]
    strands = [ribbon(curve, 1.8, 0.7) for curve in hung]
    s.shade(move(beard, 0, -3), 0.4, 3)
    paint(hair.base, beard)
    paint(hair.dark, under, opacity=0.6, blur=8, clip=beard)
    paint(hair.light, *strands[::2], opacity=0.5, clip=beard)
    paint(hair.dark, *strands[1::2], opacity=0.6, clip=beard)
    _mustache(s)


def _mustache(s: Sitter) -> None:
    paint, hair = s.paint, s.hair
    shape = half("0,155.5 7,153.5 17,157 25,164 31,165 24,169.5 14,167 6,163.5 0,163")
    upper, lower = line("2,157.5 12,157 24,163"), line("2,157.5 12,161 24,167")
    below = s.skin.dark if s.look["beard"] == "mustache" else hair.dark
    paint(below, move(shape, 0, 2.5), opacity=0.55, blur=2)
    paint(hair.base, shape)
    for strand, color in ((upper, hair.light), (lower, hair.dark)):
        paint(color, *(ribbon(flip(strand, k), 1.5, 0.7) for k in (1, -1)), opacity=0.7, clip=shape)


def _goatee(s: Sitter) -> None:
    paint, hair = s.paint, s.hair
    chin = half("0,177 10,178 17,184 15,196 8,204 0,206")
    strands = [ribbon(line("1,182 .8,192 .5,202") * [x, 1], 1.4, 0.7) for x in (-9, -4, 1, 6)]
    paint(hair.base, chin)
    paint(hair.dark, oval(4, 204, 12, 8), opacity=0.6, blur=4, clip=chin)
    paint(hair.light, *strands, opacity=0.6)


_BEARDS: dict[str, Callable[[Sitter], None]] = {
    "stubble": _stubble,
    "full beard": _full_beard,
    "mustache": _mustache,
    "goatee": _goatee,
}


def paint_features(s: Sitter) -> None:
    """Paint nose, beard, mouth, eyes and brows."""
    _nose(s)
    if s.look["beard"] != "none":
        _BEARDS[s.look["beard"]](s)
    _mouth(s)
    if s.look["beard"] in ("mustache", "full beard") and s.look["expression"] not in _LIPS:
        _mustache(s)  # hangs over an open mouth; closed lips stay visible on top
    for side in (1, -1):
        _eye(s, side)
        _brow(s, side)
