"""The hair, behind the head and over it: styles made of locks, curls, a knot, a tail or a crest."""

from __future__ import annotations

from random import Random

import numpy as np

from builders.sample.faces.canvas import mix
from builders.sample.faces.shapes import Shape, flip, half, line, move, oval, ribbon, smooth, spiral
from builders.sample.faces.sitter import Sitter

_Lock = tuple[Shape, Shape]  # the two edges of a lock, from root to tip; strands run between them
_Curl = tuple[float, float, float]  # x, y, radius


def _lock(outer: str, inner: str) -> _Lock:
    return line(outer), line(inner)


def _pair(outer: str, inner: str) -> list[_Lock]:
    return [(flip(line(outer), side), flip(line(inner), side)) for side in (1, -1)]


_SLICK = _pair("0,35 20,37 41,49 54,70 58,98 54,124", "0,72 16,71 32,76 43,88 50,106 51,122")
_BEHIND = {  # what shows behind head and neck
    "short": "0,32 20,34 42,46 56,70 59,100 55,128",
    "long straight": "0,28 22,30 46,46 61,76 68,130 71,190 70,226 60,244 34,240 0,236",
    "long wavy": "0,27 24,29 48,45 65,76 73,130 78,190 76,222 60,238 34,234 0,230",
    "bob": "0,28 24,30 48,45 64,74 70,122 68,164 54,182 34,180 0,176",
    "bun": "0,36 20,38 42,50 55,72 58,100 54,124",
    "ponytail": "0,35 20,37 42,49 56,71 59,100 55,126",
}
_LOCKS = {  # what falls over the forehead and beside the face
    "short": [
        _lock("-22,42 0,31 24,34 46,49 58,76 59,102 54,126", "-26,64 -12,76 6,83 26,86 40,90 49,106 51,124"),
        _lock("-18,44 -32,42 -48,58 -58,80 -60,104 -55,126", "-24,60 -30,72 -38,82 -45,92 -50,108 -51,124"),
    ],
    "long straight": _pair(
        "0,29 22,31 45,46 60,74 67,120 71,180 70,222 60,246",
        "0,56 14,66 32,80 45,100 50,128 49,180 46,220 58,247",
    ),
    "long wavy": _pair(
        "0,28 24,30 47,45 64,74 72,120 77,180 76,218 62,240",
        "0,56 14,66 32,80 45,100 50,128 51,180 47,214 60,241",
    ),
    "bob": [
        *_pair("26,34 48,46 64,76 70,122 69,160 52,184", "30,46 44,76 50,108 51,140 48,166 50,184"),
        _lock("0,29 -24,31 -46,45 -58,72 -53,101", "0,29 24,31 46,45 58,72 53,101"),
    ],
    "bun": _SLICK,
    "ponytail": _SLICK,
}
_TAIL = _lock("48,52 78,44 98,72 98,128 86,184 92,222", "48,66 64,74 70,104 64,150 58,190 80,224")


def _wave(shape: Shape, style: str) -> Shape:
    """Make long wavy hair wave, more and more on its way down."""
    if style != "long wavy":
        return shape
    sway = 4.5 * np.sin(shape[:, 1] / 9) * np.clip((shape[:, 1] - 60) / 60, 0, 1)
    return shape + np.stack([sway * np.sign(shape[:, 0]), 0 * sway], axis=1)


def _paint_lock(s: Sitter, lock: _Lock, rng: Random, gloss: float = 60.0) -> None:
    """Paint a lock with a shaded inner edge, a glossy band at height `gloss`, and strands."""
    paint, hair, (outer, inner) = s.paint, s.hair, lock
    places = [0.0, *((i + rng.uniform(0.3, 0.7)) / 7 for i in range(7)), 1.0]
    rows = [_wave(outer + (inner - outer) * place, s.look["hair_style"]) for place in places]
    body = np.concatenate([rows[0], rows[-1][::-1]])
    left, right = body[:, 0].min(), body[:, 0].max()
    band = smooth(np.array([[left, gloss + 22], [0, gloss - 12], [right, gloss + 22]]))
    paint(hair.base, body)
    paint(hair.dark, ribbon(rows[-1], 12), opacity=0.55, blur=4, clip=body)
    paint(hair.light, ribbon(band, 16), opacity=0.6, blur=6, clip=body)
    paint(hair.dark, *(ribbon(row, 1.6, 0.6) for row in rows[1:-1:2]), opacity=0.6)
    paint(hair.light, *(ribbon(row, 1.8, 0.8) for row in rows[2:-1:2]), opacity=0.6)


def paint_hair_behind(s: Sitter) -> None:
    """Paint the hair that shows behind head and neck."""
    style, hair, rng = s.look["hair_style"], s.hair, s.dice("hair behind")
    if style in _BEHIND:
        shape = s.tuck(_wave(half(_BEHIND[style]), style))
        s.paint(mix(hair.base, hair.dark, 0.6), shape)
        s.paint(hair.dark, oval(0, 170, 52, 60), opacity=0.8, blur=14, clip=shape)
    if style == "bun":
        _bun(s)
    elif style == "ponytail":
        _ponytail(s, rng)
    elif style == "curly":
        _curls(s, rng, _arc(np.linspace(-0.9, np.pi + 0.9, 21), 98, (62, 60), 20))


def _bun(s: Sitter) -> None:
    """Paint a knot on top of the head, or at the nape where a hat takes the top."""
    paint, hair = s.paint, s.hair
    x, y, r = (52.0 * s.side, 168.0, 18.0) if s.hatted else (0.0, 26.0, 21.0)
    knot = oval(x, y, r * 1.1, r)
    paint(hair.base, knot)
    paint(hair.dark, oval(x + 6, y + 10, r, r * 0.7), opacity=0.6, blur=6, clip=knot)
    paint(hair.light, oval(x - 6, y - 8, 8, 5), opacity=0.7, blur=4, clip=knot)
    for reach, color in ((0.35, hair.dark), (0.62, hair.light), (0.86, hair.dark)):
        arc = spiral(x, y, 0.4 + reach * 3, 3.8, (r * reach, r * reach))
        paint(color, ribbon(arc, 1.9, 0.6), opacity=0.7)


def _ponytail(s: Sitter, rng: Random) -> None:
    """Paint a tail tied high at one side, or below the hat."""
    drop = 62.0 if s.hatted else 0.0
    outer, inner = (move(flip(edge, s.side), 0, drop) for edge in _TAIL)
    _paint_lock(s, (outer, inner), rng, 84 + drop)
    s.paint((224, 74, 92), oval(54 * s.side, 58 + drop, 7, 10))


def _arc(angles: Shape, y: float, reach: tuple[float, float], radius: float) -> list[_Curl]:
    """Return curls along an arc around (0, y)."""
    return [(np.cos(a) * reach[0], y - np.sin(a) * reach[1], radius) for a in angles]


def _curls(s: Sitter, rng: Random, spots: list[_Curl]) -> None:
    """Paint overlapping ringlets."""
    paint, hair = s.paint, s.hair
    if s.hatted:
        spots = [spot for spot in spots if spot[1] > 90]
        spots += [(56.0 * side, y, 13.0) for side in (1, -1) for y in (88.0, 104.0)]
    for middle, level, size in spots:
        x, y = middle + rng.uniform(-2, 2), level + rng.uniform(-2, 2)
        r = size * rng.uniform(0.88, 1.12)
        swirl = spiral(x, y, rng.uniform(2.4, 3.2), 5.6, (r * 0.74, r * 0.24))
        paint(hair.dark, oval(x, y + 1.2, r, r))
        paint(hair.base, oval(x - 0.6, y - 0.8, r - 1.6, r - 1.6))
        paint(mix(hair.base, hair.dark, 0.7), ribbon(swirl, 1.6, 0.5))
        paint(hair.light, ribbon(move(swirl[:10], -1.2, -1.4), 2.2, 0.8), opacity=0.75)


def paint_hair_front(s: Sitter) -> None:
    """Paint the hair that falls over the forehead and beside the face."""
    style, rng = s.look["hair_style"], s.dice("hair")
    if style == "curly":
        _curly_front(s, rng)
    side = s.side if style == "short" else 1
    for edges in _LOCKS.get(style, []):
        outer, inner = (s.tuck(flip(edge, side)) for edge in edges)
        if s.hatted and not style.startswith("long"):  # more at the temples: the rest is hidden
            inner = inner * [0.88, 1]
        s.shade(move(np.concatenate([outer, inner[::-1]]), 0, 5), 0.4, 4)
        _paint_lock(s, (outer, inner), rng)


def _curly_front(s: Sitter, rng: Random) -> None:
    crown = _arc(np.linspace(0.2, 2.94, 5), 72, (30, 24), 15)
    fringe = _arc(np.linspace(0.1, 3.04, 9), 92, (46, 34), 15)
    temples = [(58.0 * side, y, 13.0) for side in (1, -1) for y in (100.0, 120.0)]
    s.shade(half("0,40 40,44 58,80 54,112 44,104 30,90 0,86"), 0.4, 4)
    s.paint(s.hair.dark, s.tuck(half("0,44 38,46 56,78 55,108 46,100 34,86 0,80")))
    _curls(s, rng, crown + temples + fringe)


def paint_mohawk(s: Sitter) -> None:
    """Paint shaved sides and a crest of spikes, from the outer ones to the middle."""
    paint, hair, rng = s.paint, s.hair, s.dice("hair")
    shaved = half("0,40 26,43 47,58 56,86 55,112 52,112 48,96 40,84 22,76 0,74")
    if not s.hatted:
        paint(hair.dark, shaved, opacity=0.3, blur=2.5, clip=s.head)
    for i in (-4, 4, -3, 3, -2, 2, -1, 1, 0):
        tip = [i * 7.5 + rng.uniform(-2, 2), 6 + abs(i) ** 1.5 * 3.4 + rng.uniform(-3, 3)]
        foot, waist = np.array([i * 4.4, 82 - abs(i)]), np.array([i * 5.7, 48])
        left, middle, right = (
            smooth(np.array([move(foot, 5 * k, 0), move(waist, 8 * k, 0), tip])) for k in (-1, 0, 1)
        )
        spike = np.concatenate([left, right[::-1]])
        paint(mix(hair.base, hair.dark, i % 2 / 2), spike)
        paint(hair.light, ribbon(middle, 2.2, 0.8), opacity=0.7)
        paint(hair.dark, oval(foot[0], 84, 9, 14), opacity=0.5, blur=4, clip=spike)
