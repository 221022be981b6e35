"""The person who is drawn: colours, proportions and the outline of the head."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import numpy as np

from builders.sample.faces.canvas import Canvas, Color, Tone, pick, tone
from builders.sample.faces.shapes import Shape, both, line

_SKINS: dict[str, Tone] = {
    "porcelain": Tone((252, 229, 218), (232, 176, 164), (255, 246, 240)),
    "light": Tone((244, 204, 174), (214, 148, 118), (255, 228, 204)),
    "olive": Tone((218, 176, 124), (168, 118, 74), (240, 208, 160)),
    "tan": Tone((198, 140, 94), (152, 94, 58), (226, 174, 128)),
    "brown": Tone((148, 94, 62), (104, 58, 38), (180, 124, 88)),
    "dark brown": Tone((92, 56, 42), (56, 30, 26), (126, 82, 62)),
}
_HAIRS: dict[str, Tone] = {
    "black": Tone((38, 34, 42), (18, 16, 24), (92, 88, 106)),
    "brown": Tone((108, 64, 38), (68, 36, 24), (160, 104, 66)),
    "blond": Tone((238, 196, 100), (190, 138, 58), (255, 230, 158)),
    "red": Tone((196, 66, 30), (136, 34, 20), (240, 118, 66)),
    "gray": Tone((144, 146, 154), (98, 100, 112), (190, 194, 202)),
    "white": Tone((240, 240, 244), (192, 196, 212), (255, 255, 255)),
    "green": Tone((52, 168, 84), (22, 110, 62), (132, 220, 130)),
    "blue": Tone((44, 98, 214), (22, 54, 146), (112, 164, 250)),
    "pink": Tone((246, 118, 178), (200, 68, 136), (255, 178, 214)),
}
_BALD_HAIR = Tone((70, 42, 28), (44, 24, 18), (112, 74, 50))  # brows and beards of the bald
_CLOTHES: tuple[Color, ...] = (
    *((62, 74, 104), (148, 62, 66), (236, 226, 206), (92, 124, 110)),
    *((206, 146, 72), (94, 72, 108), (84, 126, 158), (70, 70, 76)),
)


class Sitter:
    """A face about to be drawn: its colours and the small natural variation of its seed."""

    def __init__(self, look: Mapping[str, str], seed: int, canvas: Canvas) -> None:
        self.look, self.seed, self.paint = look, seed, canvas.paint
        self.skin = _SKINS[look["skin"]]
        self.hair = _BALD_HAIR if look["hair_style"] == "bald" else _HAIRS[look["hair_color"]]
        self.hatted = look["hat"] != "none"
        rng = self.dice("proportions")
        self.tilt = rng.uniform(-0.07, 0.07)
        self.shift = (rng.uniform(-5, 5), 9.0)
        self.stretch = (1.07 * rng.uniform(0.95, 1.05), 1.05 * rng.uniform(0.97, 1.02))
        self.eye_x = 23 + rng.uniform(-1.5, 1.5)
        self.nose = rng.uniform(0.85, 1.22)  # how wide
        self.brow = rng.uniform(3.6, 6)  # how thick
        self.lips = rng.uniform(0.2, 0.75)  # how red
        self.lashes = rng.random() < 0.5
        self.side = 1 if rng.random() < 0.5 else -1  # where hair is parted or tied
        self.cloth = tone(pick(rng, _CLOTHES))
        self.outfit = rng.random()  # which one, as a share of those there are
        head = line("0,42 17,44 34,52 47,68 53,92 53.5,118 51,140 44.5,160 31,178 14,188.5 0,190")
        jaw = rng.uniform(-4, 4) * np.exp(-(((head[:, 1] - 168) / 22) ** 2)) * (head[:, 0] > 8)
        self.head = both(head + np.stack([jaw, 0 * jaw], axis=1))

    def dice(self, part: str) -> Random:
        """Return the random numbers of one part: no part changes another's."""
        return Random(f"{part} {self.seed}")  # noqa: S311 - variation, not secrets

    def shade(self, shape: Shape, opacity: float, blur: float) -> None:
        """Paint a shadow that falls on the head."""
        self.paint(self.skin.dark, shape, opacity=opacity, blur=blur, clip=self.head)

    def tuck(self, shape: Shape) -> Shape:
        """Keep hair within the hat that is worn over it."""
        if not self.hatted:
            return shape
        under = np.clip((112 - shape[:, 1]) / 20, 0, 1)
        x = shape[:, 0] * (1 - under) + np.clip(shape[:, 0], -50, 50) * under
        return np.stack([x, np.maximum(shape[:, 1], 52)], axis=1)
