"""A whole portrait, put together from back to front."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from builders.sample.faces.backdrop import SCENES
from builders.sample.faces.canvas import Canvas
from builders.sample.faces.features import paint_features
from builders.sample.faces.hair import paint_hair_behind, paint_hair_front, paint_mohawk
from builders.sample.faces.head import paint_body, paint_head
from builders.sample.faces.light import develop
from builders.sample.faces.sitter import Sitter
from builders.sample.faces.wear import paint_glasses, paint_hat


def draw_portrait(look: Mapping[str, str], seed: int, size: int) -> Image.Image:
    """Draw a face from its attribute values, from the background to the glasses."""
    canvas = Canvas(size)
    s = Sitter(look, seed, canvas)
    SCENES[look["background"]](canvas, s.dice("background"))
    canvas.foreground = True
    canvas.pose(s.tilt, s.shift, s.stretch)
    paint_hair_behind(s)
    canvas.pose(0.0, s.shift, (1.04, 1.0))
    paint_body(s)
    canvas.pose(s.tilt, s.shift, s.stretch)
    paint_head(s)
    paint_features(s)
    paint_hair_front(s)
    if s.hatted:
        paint_hat(s)
    if look["hair_style"] == "mohawk":  # a crest stands through whatever is worn
        paint_mohawk(s)
    if look["glasses"] != "none":
        paint_glasses(s)
    return develop(canvas, look["lighting"])
