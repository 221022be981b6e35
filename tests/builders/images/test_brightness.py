"""Brightness: pictures without a subject are told from pictures with one."""

import io

import pytest
from PIL import Image, ImageDraw

from builders.images.brightness import Brightness, measure_brightness
from builders.sample.faces import draw_face, random_face


def encode(image: Image.Image, kind: str) -> bytes:
    """Encode an image."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_of_one_color_have_no_contrast(kind: str) -> None:
    for color in ((0, 0, 0), (255, 255, 255), (200, 30, 90)):
        found = measure_brightness(encode(Image.new("RGB", (300, 200), color), kind))
        assert found.contrast <= 3
        assert abs(found.brightest - max(color)) <= 3
    face = measure_brightness(encode(draw_face(random_face(1), 128), kind))
    assert face.contrast > 128
    assert Brightness.from_bytes(face.to_bytes()) == face


def test_a_small_mark_makes_no_picture() -> None:
    image = Image.new("RGB", (512, 512))
    ImageDraw.Draw(image).rectangle((500, 500, 511, 511), fill="white")
    assert measure_brightness(encode(image, "PNG")) == Brightness(0, 0)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_mode_is_measured(mode: str) -> None:
    image = Image.linear_gradient("L").convert("RGB").convert(mode)
    assert measure_brightness(encode(image, "JPEG" if mode == "CMYK" else "PNG")).contrast > 128
