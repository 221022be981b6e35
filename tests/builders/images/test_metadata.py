"""Metadata of images: found in each format and place, and nothing where there is none."""

import hashlib
import io
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from builders.images.metadata import read_metadata

FORMATS = ("JPEG", "PNG", "WEBP")
ZIP = b"PK\x05\x06" + b"\0" * 16 + b"x"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:GPSLatitude="48,12.3N" '
    b'aux:OwnerName="Jane Doe"><dc:creator><rdf:Seq><rdf:li>Jane Doe</rdf:li></rdf:Seq></dc:creator>'
    b"<exifEX:BodySerialNumber>0012</exifEX:BodySerialNumber></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def encode(kind: str = "JPEG", *, size: int = 64, **options: object) -> bytes:
    """Encode a picture with many colours, so that its compressed data has many bytes."""
    file = io.BytesIO()
    pixels = hashlib.shake_256(b"noise").digest(size * size * 3)
    Image.frombytes("RGB", (size, size), pixels).save(file, kind, **options)
    return file.getvalue()


def segment(kind: int, data: bytes) -> bytes:
    return b"\xff" + bytes([kind]) + struct.pack(">H", len(data) + 2) + data


def with_segment(jpeg: bytes, kind: int, data: bytes) -> bytes:
    return jpeg[:2] + segment(kind, data) + jpeg[2:]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """Put a chunk before the last one."""
    return png[:-12] + chunk(kind, data) + png[-12:]


def personal_exif(comment: bytes = b"") -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Jane Doe"
    exif[ExifTags.Base.HostComputer] = "janes-laptop"
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", "EOS R5"
    exif[ExifTags.Base.DateTime] = "2024:05:01 10:00:00"
    position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    position |= {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
    more = exif.get_ifd(ExifTags.IFD.Exif)
    more[ExifTags.Base.BodySerialNumber] = "0012345"
    if comment:
        more[ExifTags.Base.UserComment] = comment
    return exif


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 100}, {"icc_profile": b"\xff\xd9" * 40}]
)
def test_a_clean_image_has_nothing(kind: str, options: dict[str, Any]) -> None:
    assert not read_metadata(encode(kind, **options))


@pytest.mark.parametrize("kind", FORMATS)
def test_exif_of_a_person(kind: str) -> None:
    found = read_metadata(encode(kind, exif=personal_exif(b"ASCII\0\0\0mum at the beach")))
    assert found.has_position
    assert found.camera == "Canon EOS R5"
    assert found.owner == {
        "EXIF Artist": "Jane Doe",
        "EXIF HostComputer": "janes-laptop",
        "EXIF BodySerialNumber": "0012345",
        "EXIF UserComment": "mum at the beach",
    }


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"ASCII\0\0\0mum", "mum"),
        (b"UNICODE\0" + "mütter".encode("utf-16-le"), "mütter"),
        (b"UNICODE\0" + "mütter".encode("utf-16-be"), "mütter"),
        (b"\0" * 8 + b"mum", "mum"),
    ],
)
def test_comments_say_their_encoding(comment: bytes, text: str) -> None:
    assert read_metadata(encode(exif=personal_exif(comment))).owner["EXIF UserComment"] == text


def test_a_comment_of_a_generator_is_a_text_and_no_persons() -> None:
    said = b"ASCII\0\0\0a face\nSteps: 20, Sampler: Euler a, Seed: 1"
    found = read_metadata(encode(exif=personal_exif(said)))
    assert "EXIF UserComment" not in found.owner
    assert ("EXIF UserComment", said[8:].decode()) in found.texts


def test_a_camera_without_a_time_and_a_version_of_gps_are_no_photograph() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Google", "Imagen"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[0] = b"\2\3\0\0"
    found = read_metadata(encode(exif=exif))
    assert found.camera is None
    assert not found.has_position


@pytest.mark.parametrize(
    "image",
    [
        with_segment(encode(), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        with_chunk(encode("PNG"), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        encode("WEBP", xmp=XMP),
    ],
    ids=FORMATS,
)
def test_xmp_of_a_person(image: bytes) -> None:
    found = read_metadata(image)
    assert found.has_position
    assert found.owner == {
        "XMP OwnerName": "Jane Doe",
        "XMP BodySerialNumber": "0012",
        "XMP creator": "Jane Doe",
    }
    assert found.texts == [("XMP", XMP.decode())]


def test_iptc_and_comments_of_a_jpeg() -> None:
    record = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0d\x1c\x02\x50\x00\x08Jane Doe"
    assert read_metadata(with_segment(encode(), 0xED, record)).owner == {"IPTC By-line": "Jane Doe"}
    assert read_metadata(with_segment(encode(), 0xFE, b"by jane")).texts == [("JPEG comment", "by jane")]


def test_every_kind_of_text_in_a_png() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a face\nSteps: 20")
    info.add_text("workflow", json.dumps({"path": "/home/jane/x"}), zip=True)
    info.add_itxt("note", "größer")
    info.add_itxt("prompt", "größer", zip=True)
    found = read_metadata(encode("PNG", pnginfo=info))
    assert found.texts == [
        ("PNG parameters", "a face\nSteps: 20"),
        ("PNG workflow", '{"path": "/home/jane/x"}'),
        ("PNG note", "größer"),
        ("PNG prompt", "größer"),
    ]
    assert not found.owner


def test_exif_as_imagemagick_puts_it_into_a_png() -> None:
    data = personal_exif().tobytes()
    text = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    image = with_chunk(encode("PNG"), b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    assert read_metadata(image).has_position


@pytest.mark.parametrize("kind", FORMATS)
def test_data_after_the_end(kind: str) -> None:
    image = encode(kind)
    assert read_metadata(image + ZIP).num_bytes_after == len(ZIP)
    assert not read_metadata(image + b"\0" * 512)
    assert not read_metadata(image + b"\r\n")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_data_after_the_end_that_has_ends_of_images_itself(options: dict[str, Any]) -> None:
    image = encode(**options)
    assert read_metadata(image + b"\xff\xd9" + ZIP).num_bytes_after == len(ZIP) + 2
    assert read_metadata(image + encode()).num_bytes_after == len(encode())
    assert read_metadata(image + encode("PNG")).num_bytes_after == len(encode("PNG"))


def test_thumbnails_in_exif_and_images_of_an_mpf_file_are_not_after_the_end() -> None:
    thumbnail = encode(size=32)
    assert not read_metadata(with_segment(encode(), 0xE1, b"Exif\0\0" + thumbnail + thumbnail))
    several = with_segment(encode(), 0xE2, b"MPF\0" + b"\0" * 60)
    assert not read_metadata(several + encode())
    assert read_metadata(several + encode() + ZIP).num_bytes_after == len(ZIP)


def test_text_after_the_end_is_among_the_texts() -> None:
    found = read_metadata(encode("PNG") + b"jane@example.org")
    assert ("data after the image", "jane@example.org") in found.texts


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged EXIF
@given(st.sampled_from(FORMATS), st.integers(0, 2_000), st.binary(max_size=40), st.integers(0, 40))
def test_damage_raises_nothing(kind: str, start: int, data: bytes, num_lost: int) -> None:
    image = IMAGES[kind]
    start %= len(image)
    damaged = image[:start] + data + image[start + num_lost :]
    for each in (damaged, image[:start]):
        assert read_metadata(each).num_bytes_after >= 0


IMAGES = {kind: encode(kind, size=16, exif=personal_exif(b"ASCII\0\0\0mum")) for kind in FORMATS}
