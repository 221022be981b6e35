"""JPEGs of the usual form are read without Pillow, and must come out as Pillow reads them."""

import hashlib
import io
from collections.abc import Mapping

import pytest
from PIL import Image

from builders.images import integrity
from builders.images.files import ImageRefusedError
from builders.images.integrity import ImageFacts, inspect_image
from schemas.settings import BuildSettings
from tests.support import image_bytes

LIMITS = BuildSettings()


def encode(mode: str = "RGB", size: tuple[int, int] = (40, 24), **options: object) -> bytes:
    file = io.BytesIO()
    pixels = Image.effect_noise(size, 60).convert(mode)
    pixels.save(file, "JPEG", **options)
    return file.getvalue()


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(exif=exif)


def with_two_images() -> bytes:
    file = io.BytesIO()
    first, second = (Image.effect_noise((16, 16), 50).convert("RGB") for _ in range(2))
    first.save(file, "MPO", save_all=True, append_images=[second])
    return file.getvalue()


def by_pillow(data: bytes) -> ImageFacts:
    with Image.open(io.BytesIO(data)) as image:
        sha256 = hashlib.sha256(data).hexdigest()
        return ImageFacts(sha256, len(data), str(image.format), image.mode, *image.size)


def inspect(data: bytes) -> ImageFacts:
    return inspect_image(data, hashlib.sha256(data).hexdigest(), LIMITS)


USUAL: Mapping[str, bytes] = {
    "colours": encode(),
    "grey": encode("L"),
    "progressive": encode(progressive=True),
    "4:4:4": encode(subsampling=0),
    "best quality": encode(quality=100),
    "optimized": encode(optimize=True),
    "restart markers": encode(restart_marker_rows=1),
    "one pixel": encode(size=(1, 1)),
    "wide": encode(size=(3000, 1)),
    "own tables": encode(qtables=[list(range(1, 65)), [7] * 64]),
    "resolution": encode(dpi=(300, 300)),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_jpeg_is_read_as_pillow_reads_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_pillow(USUAL[name])
    monkeypatch.setattr("builders.images.integrity.Image.open", None)  # Pillow is not asked
    assert inspect(USUAL[name]) == expected


UNUSUAL: Mapping[str, bytes] = {
    "turned": with_exif(),
    "a comment": encode(comment="hello"),
    "a profile of colours": encode(icc_profile=b"x" * 200),
    "CMYK": encode("CMYK"),
    "no JPEG": image_bytes(1, "PNG"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_pillow_reads_what_is_unusual(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_pillow(UNUSUAL[name])
    assert inspect(UNUSUAL[name]) == expected
    monkeypatch.setattr("builders.images.integrity.Image.open", None)
    with pytest.raises(ImageRefusedError):
        inspect(UNUSUAL[name])


def test_a_file_of_two_images_is_refused() -> None:
    with pytest.raises(ImageRefusedError, match="not a single image"):
        inspect(with_two_images())


@pytest.mark.parametrize("name", USUAL)
def test_a_cut_or_damaged_jpeg_is_refused_with_the_reason(name: str) -> None:
    data = USUAL[name]
    for spoiled in (data[:-2], data[: len(data) // 2], data[:30], data[:2]):
        with pytest.raises(ImageRefusedError):
            inspect(spoiled)


def test_too_many_pixels_are_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "_decode_jpeg", None)
    data = USUAL["colours"]
    limits = BuildSettings().model_copy(update={"max_image_pixels": 100})
    with pytest.raises(ImageRefusedError, match="more than 100 pixels"):
        inspect_image(data, hashlib.sha256(data).hexdigest(), limits)
