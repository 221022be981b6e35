"""Figures made of images: what a search found, near-duplicates side by side, texts that images do not show.

They take the images' own bytes, so that the caller reads no more of a release than is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox, TransformedBbox
from PIL import Image

from builders.card.figures.drawing import (
    DOTS_PER_INCH,
    FAINT,
    TILE_PIXELS,
    figure_style,
    make_tile,
    save_figure,
    wrap_text,
)
from builders.release.embeddings import FoundImage

_TILE = TILE_PIXELS / DOTS_PER_INCH  # inches, as all lengths here
_STEP = _TILE + 0.06
_MARGIN = 0.1
_COLUMNS = 8
_LEAST_COLUMNS = 4  # room for a title
_POINTS_PER_INCH, _LINE_HEIGHT = 72, 1.35
_TITLE_LINE, _CAPTION_LINE = 0.21, 0.17
_TITLE_CHARS = 16  # in the width of a tile
_CAPTION_CHARS = 22
_NAME_CHARS = 20  # with underscores and digits, which are wide
_TEXT_WIDTH, _TEXT_CHARS, _TEXT_LINES = 4.4, 54, 7


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """A query and what it found, the best first; generators as people write them."""

    query: str
    found: Sequence[FoundImage]


@dataclass(frozen=True, slots=True)
class AlikeImage:
    """An image of a group of near-duplicates; id, similarity and hash distance as in `NearDuplicate`.

    `generator` is as people write it.
    """

    image: bytes
    image_id: str
    generator: str
    similarity: float | None
    hash_distance: int | None


@dataclass(frozen=True, slots=True)
class FoundTile:
    """An image on a sheet of findings: lines below it, and the text beside it if there is one."""

    image: bytes
    lines: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class TextExample:
    """An image, a text about it, and how similar the two are."""

    image: bytes
    text: str
    similarity: float


def draw_search(path: Path, results: Sequence[GalleryRow], note: str = "") -> None:
    """Draw what queries found, one below the other, up to eight images in a line.

    Args:
        path: A `.jpg` or `.png` to write.
        results: At least one.
        note: What must be known of all of them, above the first.
    """
    columns = min(_COLUMNS, max(_LEAST_COLUMNS, *(len(result.found) for result in results)))
    sheet = _Sheet(columns * _STEP)
    if note:
        lines = wrap_text(note, columns * _TITLE_CHARS, 3)
        sheet.text(0, 0, lines)
        sheet.advance((lines.count("\n") + 1) * _TITLE_LINE + 0.06)
    for result in results:
        sheet.title(f"“{wrap_text(result.query, columns * _TITLE_CHARS, 2)}”")
        for start in range(0, len(result.found), columns):
            for column, one in enumerate(result.found[start : start + columns]):
                caption = f"{_short_name(one.generator)}\n{one.similarity:.3f}"
                sheet.tile(column * _STEP, one.image, caption)
            sheet.advance(_STEP + 2 * _CAPTION_LINE + 0.08)
        sheet.advance(0.08)
    sheet.save(path)


def draw_rows(path: Path, rows: Mapping[str, Sequence[bytes]]) -> None:
    """Draw lines of images, at most eight in each.

    Args:
        path: A `.jpg` or `.png` to write.
        rows: Title of each line → its images, at least one.
    """
    sheet = _Sheet(_COLUMNS * _STEP)
    for title, images in rows.items():
        sheet.title(wrap_text(title, _COLUMNS * _TITLE_CHARS, 1))
        for column, image in enumerate(images[:_COLUMNS]):
            sheet.tile(column * _STEP, image, "")
        sheet.advance(_STEP + 0.08)
    sheet.save(path)


def draw_near_duplicates(path: Path, title: str, groups: Sequence[Sequence[AlikeImage]]) -> None:
    """Draw groups of near-duplicates side by side; of a large one as many images as fit into a line.

    Args:
        path: A `.jpg` or `.png` to write.
        title: What is shown.
        groups: At least one; in the order in which they are shown.
    """
    sheet = _Sheet(_COLUMNS * _STEP)
    sheet.title(wrap_text(title, _COLUMNS * _TITLE_CHARS, 2))
    for line in _lines_of_groups(groups):
        x = 0.0
        for group in line:
            shown = group[:_COLUMNS]
            more = f", {len(shown)} shown" if len(group) > len(shown) else ""
            sheet.rule(x, x + len(shown) * _STEP - 0.14)
            sheet.text(x, 0.05, f"{len(group)} images{more}", color=FAINT, size=9)
            for image in shown:
                sheet.tile(x, image.image, _alike_caption(image), top=0.24)
                x += _STEP
        sheet.advance(0.24 + _STEP + 4 * _CAPTION_LINE + 0.1)
    sheet.save(path)


def draw_examples(path: Path, title: str, groups: Mapping[str, Sequence[TextExample]]) -> None:
    """Draw images with a text about each beside it, two in a line.

    Args:
        path: A `.jpg` or `.png` to write.
        title: What is shown.
        groups: Who wrote or drew → at least one example; in the order in which they are shown.
    """
    width = _TILE + 0.15 + _TEXT_WIDTH
    sheet = _Sheet(2 * width)
    sheet.title(wrap_text(title, 2 * _TEXT_CHARS, 2))
    for author, examples in groups.items():
        sheet.rule(0, 2 * width)
        sheet.text(0, 0.05, wrap_text(author, 2 * _TEXT_CHARS, 1), size=11)
        sheet.advance(0.3)
        for start in range(0, len(examples), 2):
            for column, example in enumerate(examples[start : start + 2]):
                x = column * width
                sheet.tile(x, example.image, "")
                x += _TILE + 0.15
                sheet.text(x, 0.0, f"{example.similarity:.3f}", weight="bold", size=11)
                sheet.text(x, 0.27, wrap_text(example.text, _TEXT_CHARS, _TEXT_LINES))
            sheet.advance(_STEP + 0.1)
    sheet.save(path)


def draw_findings(path: Path, title: str, groups: Sequence[Sequence[FoundTile]]) -> None:
    """Draw images that something speaks against, each with its name and its score.

    Args:
        path: A `.jpg` or `.png` to write.
        title: What is shown.
        groups: At least one; images of a group stand side by side. Images with a text stand alone, two in a
            line, with the text beside them.
    """
    has_texts = any(tile.text for group in groups for tile in group)
    num_tiles = sum(len(group) for group in groups)
    columns = min(_COLUMNS, max(_LEAST_COLUMNS, num_tiles))
    text_columns = min(2, num_tiles)
    sheet = _Sheet(text_columns * (_TILE + 0.15 + _TEXT_WIDTH) if has_texts else columns * _STEP)
    sheet.title(wrap_text(title, columns * _TITLE_CHARS, 2))
    if has_texts:
        _place_texts(sheet, [tile for group in groups for tile in group])
    else:
        _place_groups(sheet, groups)
    sheet.save(path)


def _place_groups(sheet: "_Sheet", groups: Sequence[Sequence[FoundTile]]) -> None:
    pieces = [group[start : start + _COLUMNS] for group in groups for start in range(0, len(group), _COLUMNS)]
    top = 0.1 if any(len(piece) > 1 for piece in pieces) else 0.0  # room for the line over a group
    for line in _lines_of_groups(pieces):
        x = 0.0
        for piece in line:
            if len(piece) > 1:
                sheet.rule(x, x + len(piece) * _STEP - 0.14)
            for tile in piece:
                sheet.tile(x, tile.image, "\n".join(map(_wrap_name, tile.lines)), top=top)
                x += _STEP
        num_lines = max(len(tile.lines) + 1 for piece in line for tile in piece)
        sheet.advance(top + _STEP + num_lines * _CAPTION_LINE + 0.1)


def _wrap_name(name: str) -> str:
    """Break the name of a file into two lines, at a sign if there is one; the end stays if it is too long."""
    if len(name) <= _NAME_CHARS:
        return wrap_text(name, _NAME_CHARS, 1)
    place = max(name.rfind(sign, 0, _NAME_CHARS) for sign in "_- /") + 1 or _NAME_CHARS
    rest = name[place:]
    rest = rest if len(rest) <= _NAME_CHARS else f"…{rest[1 - _NAME_CHARS :]}"
    return f"{wrap_text(name[:place], _NAME_CHARS, 1)}\n{wrap_text(rest, _NAME_CHARS, 1)}"


def _place_texts(sheet: "_Sheet", tiles: Sequence[FoundTile]) -> None:
    for start in range(0, len(tiles), 2):
        for column, tile in enumerate(tiles[start : start + 2]):
            x = column * (_TILE + 0.15 + _TEXT_WIDTH)
            sheet.tile(x, tile.image, "")
            x += _TILE + 0.15
            for number, line in enumerate(tile.lines):
                sheet.text(x, 0.2 * number, wrap_text(line, _TEXT_CHARS, 1), weight="bold")
            sheet.text(x, 0.2 * len(tile.lines) + 0.07, wrap_text(tile.text, _TEXT_CHARS, _TEXT_LINES - 1))
        sheet.advance(_STEP + 0.1)


_Group = TypeVar("_Group", bound=Sequence[object])


def _lines_of_groups(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    """Put as many whole groups into a line as fit."""
    line: list[_Group] = []
    for group in groups:
        if sum(min(len(each), _COLUMNS) for each in (*line, group)) > _COLUMNS:
            yield line
            line = []
        line.append(group)
    if line:
        yield line


def _alike_caption(image: AlikeImage) -> str:
    similarity = f"similarity {image.similarity:.4f}" if image.similarity is not None else ""
    distance = f"hash {image.hash_distance} bits off" if image.hash_distance is not None else ""
    # The id in full: so it can be listed in exclusions.csv, and names of files are longer and less certain.
    return "\n".join(filter(None, (image.image_id, _short_name(image.generator), similarity, distance)))


def _short_name(generator: str) -> str:
    return wrap_text(generator, _CAPTION_CHARS, 1)


@dataclass
class _Sheet:
    """A page that grows downwards: things are placed relative to its current line, in inches.

    Attributes:
        width: Width of what is placed, without margins.
    """

    width: float
    _y: float = 0.0
    _tiles: list[tuple[float, float, Image.Image]] = field(default_factory=list)
    _texts: list[tuple[float, float, str, dict[str, Any]]] = field(default_factory=list)
    _rules: list[tuple[float, float, float]] = field(default_factory=list)

    def advance(self, height: float) -> None:
        """Begin a new line further down."""
        self._y += height

    def title(self, text: str) -> None:
        """Place a heading, and begin a new line below."""
        self.text(0, 0, text, weight="bold", size=11)
        self.advance((text.count("\n") + 1) * _TITLE_LINE + 0.06)

    def tile(self, x: float, data: bytes, caption: str, top: float = 0.0) -> None:
        """Place an image with a caption centred below it."""
        self._tiles.append((x, self._y + top, make_tile(data)))
        self.text(x + _TILE / 2, top + _TILE + 0.03, caption, ha="center", size=9)

    def text(self, x: float, top: float, text: str, size: float = 10, **look: object) -> None:
        """Place text below that height; `look` as `Figure.text` takes it.

        Lines are placed one by one on their base lines, so that letters beside each other stand level.
        """
        em = size / _POINTS_PER_INCH
        for number, line in enumerate(text.split("\n") if text else ()):
            base_line = self._y + top + (0.95 + _LINE_HEIGHT * number) * em
            self._texts.append((x, base_line, line, {"size": size, **look}))

    def rule(self, left: float, right: float) -> None:
        """Place a thin line over what belongs together."""
        self._rules.append((left, right, self._y))

    def save(self, path: Path) -> None:
        """Draw everything, tiles pixel by pixel."""
        width, height = self.width + 2 * _MARGIN, self._y + 2 * _MARGIN
        with figure_style():
            figure = Figure(figsize=(width, height))
            for x, y, image in self._tiles:  # without axes, which took half of the time
                left, bottom = (_MARGIN + x) / width, 1 - (_MARGIN + y + _TILE) / height
                box = Bbox.from_bounds(left, bottom, _TILE / width, _TILE / height)
                tile = BboxImage(TransformedBbox(box, figure.transFigure), interpolation="nearest")
                tile.set_data(np.asarray(image))
                figure.add_artist(tile)
            for x, y, text, look in self._texts:
                place = ((_MARGIN + x) / width, 1 - (_MARGIN + y) / height)
                figure.text(*place, text, va="baseline", **look)
            for left, right, y in self._rules:
                figure.add_artist(
                    Line2D(
                        [(_MARGIN + left) / width, (_MARGIN + right) / width],
                        [1 - (_MARGIN + y) / height] * 2,
                        color=FAINT,
                        linewidth=1,
                    )
                )
            save_figure(figure, path)
