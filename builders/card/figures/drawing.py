"""What all figures have in common: style, tiles, text that a font can show, and files with the same bytes."""

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image, ImageOps

from builders.images.integrity import upright

INK, FAINT = "#264653", "#8a99a0"
SERIES = ("#264653", "#e76f51", "#2a9d8f", "#e9a23b", "#8f5db7", "#5b8e3e")
TILE_PIXELS = 160
DOTS_PER_INCH = 100

_FONT = "DejaVu Sans"
_NO_GLYPH = "\N{WHITE SQUARE}"
# Fixed, so that a user's matplotlibrc changes no figure.
_STYLE: Any = {
    "font.family": _FONT,
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a prompt may have dollar signs
    "figure.dpi": DOTS_PER_INCH,
    "savefig.dpi": DOTS_PER_INCH,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the kit's style, whatever the user's settings."""
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": mpl.get_backend()}):
        mpl.rcParams.update(_STYLE)
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as JPEG or PNG, without a date or a program's version."""
    if (layout := figure.get_layout_engine()) is not None:  # `savefig` would draw everything twice for it
        layout.execute(figure)
        figure.set_layout_engine("none")
    if path.suffix == ".jpg":
        figure.savefig(path, facecolor="white", pil_kwargs={"quality": 88})
    else:
        figure.savefig(path, facecolor="white", metadata={"Software": None})


def make_tile(data: bytes) -> Image.Image:
    """Decode an image at a reduced scale, upright, and cut it to a square of TILE_PIXELS."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (TILE_PIXELS, TILE_PIXELS))
        return ImageOps.fit(
            upright(image).convert("RGB"), (TILE_PIXELS, TILE_PIXELS), Image.Resampling.LANCZOS
        )


def shrink(data: bytes, pixels: int) -> Image.Image:
    """Decode an image, upright, at most `pixels` wide and high."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (pixels, pixels))
        small = upright(image).convert("RGB")
    small.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
    return small


def wrap_text(text: str, width: int, max_lines: int) -> str:
    """Break text into lines, ending it with an ellipsis where it is too long.

    Args:
        text: Anything; what the font cannot show becomes a white square.
        width: Most characters in a line.
        max_lines: Most lines.
    """
    known = _known_characters()
    words = " ".join(text.split())
    shown = "".join(char if ord(char) in known else _NO_GLYPH for char in words)
    return "\n".join(textwrap.wrap(shown, width, max_lines=max_lines, placeholder=" …"))


@cache
def _known_characters() -> frozenset[int]:
    font = get_font(findfont(FontProperties(family=_FONT)))
    return frozenset(font.get_charmap())
