"""The bust without its features: clothes, neck, ears and the skin of the head."""

from __future__ import annotations

from collections.abc import Callable

from builders.sample.faces.canvas import WHITE, mix
from builders.sample.faces.shapes import flip, half, line, loop, move, oval, points, ribbon
from builders.sample.faces.sitter import Sitter

_TORSO = "0,206 20,207 44,214 76,224 96,240 106,270 0,272"


def paint_body(s: Sitter) -> None:
    """Paint shoulders and neck in one of the outfits."""
    paint, cloth, torso = s.paint, s.cloth, half(_TORSO)
    outline, collar = _OUTFITS[int(s.outfit * len(_OUTFITS))]
    neck = half(outline)
    folds = (oval(70, 262, 40, 50), oval(-84, 268, 26, 46))
    paint(cloth.base, torso)
    paint(cloth.dark, *folds, opacity=0.6, blur=12, clip=torso)
    paint(cloth.light, oval(-50, 224, 40, 10), opacity=0.5, blur=8, clip=torso)
    paint(s.skin.base, neck)
    paint(s.skin.dark, move(s.head, 3, 17), opacity=0.85, blur=5, clip=neck)
    collar(s)


def _crew_neck(s: Sitter) -> None:
    edge = line("-36,209 -24,224 0,231 24,224 36,209")
    s.paint(s.cloth.dark, ribbon(edge, 8))
    s.paint(s.cloth.light, ribbon(move(edge, 0, -2), 1.4), opacity=0.6)


def _open_collar(s: Sitter) -> None:
    for side in (1, -1):
        flap = flip(points("22,200 36,210 30,238 2,252"), side)
        s.paint(s.cloth.dark, move(flap, 0, 4), opacity=0.6, blur=3, clip=half(_TORSO))
        s.paint(mix(s.cloth.base, WHITE, 0.45), flap)
    s.paint(s.cloth.dark, ribbon(line("0,252 0,272"), 1.6))


def _turtleneck(s: Sitter) -> None:
    roll = half("0,194 22,194 27,202 30,214 20,222 0,225")
    s.paint(s.cloth.base, roll)
    s.paint(s.cloth.dark, move(s.head, 2, 12), opacity=0.6, blur=5, clip=roll)
    seam = ribbon(line("-30,214 -20,222 0,225 20,222 30,214"), 2.2)
    s.paint(s.cloth.dark, seam, opacity=0.8)


def _hood(s: Sitter) -> None:
    for side in (1, -1):
        fold = flip(line("20,196 40,204 52,220 34,240 8,250 14,236 26,220"), side)
        s.paint(s.cloth.dark, move(fold, 0, 4), opacity=0.6, blur=4, clip=half(_TORSO))
        s.paint(mix(s.cloth.base, s.cloth.light, 0.35), fold)
        s.paint(WHITE, ribbon(flip(line("14,238 17,248 15,262"), side), 2.6))


_ROUND_NECK = "0,150 23,150 22,196 27,207 34,214 20,224 0,228"
_OUTFITS: tuple[tuple[str, Callable[[Sitter], None]], ...] = (  # visible neck, what surrounds it
    (_ROUND_NECK, _crew_neck),
    ("0,150 23,150 22,196 27,207 34,212 16,236 0,252", _open_collar),
    ("0,150 23,150 22,196 22,204 0,206", _turtleneck),
    (_ROUND_NECK, _hood),
)


def paint_head(s: Sitter) -> None:
    """Paint ears and head, with the light and shade that round them."""
    paint, skin, head = s.paint, s.skin, s.head
    for side in (1, -1):
        fold = line("52,114 58,113 59,122 55,128 54,134")
        paint(skin.base, flip(loop("48,112 56,106 63,112 63,126 57,140 50,140"), side))
        paint(skin.dark, ribbon(flip(fold, side), 2.4, 0.5), opacity=0.8)
    shade = (oval(62, 140, 18, 66), oval(-64, 150, 14, 56), oval(8, 196, 40, 14))
    shine = (oval(-8, 76, 30, 16), oval(-4, 128, 6, 20), oval(-28, 146, 10, 7), oval(26, 146, 9, 6))
    cheeks = (oval(-35, 152, 12, 8), oval(35, 152, 12, 8))
    paint(skin.base, head)
    paint(skin.dark, *shade, opacity=0.5, blur=10, clip=head)
    paint(skin.light, *shine, opacity=0.6, blur=8, clip=head)
    paint(mix(skin.base, (236, 84, 92), 0.5), *cheeks, opacity=0.55, blur=6, clip=head)
    if s.look["hair_style"] == "bald" and not s.hatted:
        paint(WHITE, oval(-18, 62, 16, 7), opacity=0.5, blur=5, clip=head)
