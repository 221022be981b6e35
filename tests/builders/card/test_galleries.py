"""Figures show what they are given, cope with any text, and are the same bytes each time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.card.figures.charts import AdherencePanel, draw_adherence, draw_thresholds
from builders.card.figures.drawing import wrap_text
from builders.card.figures.galleries import (
    AlikeImage,
    GalleryRow,
    TextExample,
    draw_examples,
    draw_near_duplicates,
    draw_search,
)
from builders.features.likeness import compare_embeddings
from builders.release.embeddings import FoundImage
from tests.builders.features.test_likeness import clustered
from tests.support import image_bytes

ODD = "$5 \\frac{ 日本語 \x1b[31m\n\t\N{PILE OF POO} العربية " + "word " * 300
IMAGES = [image_bytes(number, size=(200, 160)) for number in range(12)]


def search(path: Path) -> None:
    found = [FoundImage(image, "SDXL", 0.3) for image in IMAGES]
    draw_search(path, [GalleryRow("a face", found), GalleryRow(ODD, found[:1]), GalleryRow("none", [])])


def near_duplicates(path: Path) -> None:
    group = [AlikeImage(image, "f" * 16, ODD, 0.98, 3) for image in IMAGES]
    only_hash = [AlikeImage(image, "0" * 16, "SDXL", None, 3) for image in IMAGES[:3]]
    draw_near_duplicates(path, ODD, [group, only_hash, group[:2], group[:6]])


def examples(path: Path) -> None:
    some = [TextExample(image, ODD, 0.1) for image in IMAGES[:5]]
    draw_examples(path, "Least shown", {ODD: some, "SDXL": some[:1]})


def thresholds(path: Path) -> None:
    draw_thresholds(path, compare_embeddings(clustered(200, 32, 50, 3), 0.955), 0.955)


def thresholds_without_any(path: Path) -> None:
    draw_thresholds(path, compare_embeddings(clustered(3, 64, 3, 3), 0.95), 0.95)


def adherence(path: Path) -> None:
    values = np.random.default_rng(0).normal(0.3, 0.05, 500)
    groups = {f"{number} {ODD[:40]}": values[number:] for number in range(14)}
    captions = {"one": values[:1], "alike": np.full(3, 0.25)}
    draw_adherence(path, [AdherencePanel("Prompts", groups), AdherencePanel("Captions", captions)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "name", "width"),
    [
        (search, "search.jpg", 1348),
        (near_duplicates, "near_duplicates.jpg", 1348),
        (examples, "lowest.jpg", 1250),
        (thresholds, "thresholds.png", 800),
        (thresholds_without_any, "thresholds.png", 800),
        (adherence, "adherence.png", 800),
    ],
)
def test_a_figure_is_the_same_each_time(
    tmp_path: Path, draw: Callable[[Path], None], name: str, width: int
) -> None:
    path = tmp_path / name
    draw(path)
    first = path.read_bytes()
    draw(path)
    assert path.read_bytes() == first
    with Image.open(path) as image:
        assert image.width == width
        assert image.height > 400
        assert np.asarray(image.convert("L"))[-2:].min() > 200  # nothing is cut off below


def test_near_duplicates_are_named_by_what_a_list_of_exclusions_takes(tmp_path: Path) -> None:
    drawn = []
    for image_id in ("0123456789abcdef", "0123456789abcdee"):
        path = tmp_path / f"{image_id}.png"
        draw_near_duplicates(path, "Near", [[AlikeImage(IMAGES[0], image_id, "SDXL", 0.98, 3)] * 2])
        with Image.open(path) as image:
            drawn.append(np.asarray(image.convert("L")).astype(int))
    rows = np.flatnonzero(np.abs(drawn[0] - drawn[1]).max(axis=1) > 100)
    assert rows.size  # every letter is there, and in one line only
    assert np.ptp(rows) < 15


def test_tiles_are_drawn_pixel_by_pixel(tmp_path: Path) -> None:
    color = (200, 30, 60)
    path = tmp_path / "tile.png"
    plain = tmp_path / "plain.png"
    Image.new("RGB", (160, 160), color).save(plain)
    draw_search(path, [GalleryRow("red", [FoundImage(plain.read_bytes(), "SDXL", 0.3)])])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == color).all(axis=2).sum() == 160 * 160


def test_text_is_wrapped_and_keeps_only_what_the_font_has() -> None:
    assert wrap_text("a  b\n\tc", 80, 2) == "a b c"
    lines = wrap_text(ODD, 40, 3).split("\n")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 40
    assert lines[0].startswith("$5 \\frac{ □□□ □[31m □ ")
    assert lines[-1].endswith(" …")
    assert wrap_text("", 10, 1) == ""
    assert wrap_text("x" * 100, 10, 1) == "…"
