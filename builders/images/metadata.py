"""Metadata: what an image file holds beside its pixels, which is published with its bytes.

Only headers are read. In a JPEG these are the segments before the compressed data; its end is looked for from
the back. A clean JPEG of 100 kB takes 3 µs (DECISIONS.md), so every run can look at every
image, decoded before or not.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from PIL import ExifTags, Image

_MAX_TEXT_BYTES = 1 << 24  # workflows may have pictures inside
_MAX_REST_BYTES = 1 << 20  # a film is behind many photographs; that there is something is a warning already
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PADDING = b"\0\t\n\r "  # some cameras and programs fill a file up with these, which say nothing
_EXIF_MAGIC, _XMP_MAGIC = b"Exif\0\0", b"http://ns.adobe.com/"
_JPEG_END = b"\xff\xd9"
_NEXT_JPEG = b"\xff\xd9\xff\xd8\xff"  # the end of one, and the beginning of the next
_START_OF_SCAN, _COMMENT = 0xDA, 0xFE
_APP1, _APP2, _APP13 = 0xE1, 0xE2, 0xED
# Tags of EXIF (CIPA DC-008) and its Windows extensions that name a person or a device.
_OWNER_TAGS = (
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.CameraSerialNumber,
    ExifTags.Base.CameraOwnerName,
    ExifTags.Base.BodySerialNumber,
    ExifTags.Base.LensSerialNumber,
)
_GPS_TAGS = {ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude}
# A111's form of a generator's parameters, and the JSON of ComfyUI: a comment of a program, not of a person.
_OF_A_GENERATOR = re.compile(r"\s*\{|.*\b(Steps|Seed|Sampler):", re.DOTALL)
_XMP_POSITION = re.compile(r"\bGPSL(?:atitude|ongitude)\b")
_XMP_OWNER = re.compile(
    r"\b(?:aux|exif|exifEX|photoshop|Iptc4xmpCore):"
    r"(OwnerName|CameraOwnerName|SerialNumber|BodySerialNumber|LensSerialNumber|CiEmailWork|CiTelWork)"
    r"\s*(?:=\s*[\"']|>)\s*([^<\"']{1,200})"
)
_XMP_CREATOR = re.compile(r"<dc:creator>.{0,200}?<rdf:li[^>]{0,100}>([^<]{1,200})", re.DOTALL)
# Records of IPTC-IIM that name a person: by-line, contact, writer.
_IPTC_OWNER = re.compile(rb"\x1c\x02([\x50\x76\x7a])(..)", re.DOTALL)
_IPTC_NAMES = {b"\x50": "By-line", b"\x76": "Contact", b"\x7a": "Writer"}


@dataclass(slots=True)
class ImageMetadata:
    """What an image file holds beside its pixels.

    Attributes:
        texts: Where a text is, such as "PNG parameters" or "EXIF UserComment", and the text.
        owner: Name of a tag that names a person or a device → its text.
        camera: Make and model of a camera, where the time of the picture is there, too.
        has_position: Whether it says where on the earth it was taken.
        num_bytes_after: Bytes after the end of the image; padding does not count.
    """

    texts: list[tuple[str, str]] = field(default_factory=list)
    owner: dict[str, str] = field(default_factory=dict)
    camera: str | None = None
    has_position: bool = False
    num_bytes_after: int = 0

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return bool(self.texts or self.owner or self.camera or self.has_position or self.num_bytes_after)


def read_metadata(data: bytes) -> ImageMetadata:
    """Read what an image file holds beside its pixels. Damaged parts are left out; nothing is raised.

    Args:
        data: The bytes of a JPEG, PNG or WebP that has been decoded before.
    """
    found = ImageMetadata()
    if data.startswith(b"\xff\xd8"):
        end = _read_jpeg(data, found)
    elif data.startswith(_PNG_MAGIC):
        end = _read_png(data, found)
    elif data.startswith(b"RIFF"):
        end = _read_webp(data, found)
    else:
        return found
    if end < len(data) and (rest := data[end:].strip(_PADDING)):
        found.num_bytes_after = len(data) - end
        found.texts.append(("data after the image", _decode(rest[:_MAX_REST_BYTES])))
    return found


def _read_jpeg(data: bytes, found: ImageMetadata) -> int:
    """Read the segments up to the compressed data; return where the image ends."""
    has_more_images = False
    start, scan = 2, len(data)
    while start + 4 <= len(data) and data[start] == 0xFF:
        kind = data[start + 1]
        if kind == _START_OF_SCAN:
            scan = start
            break
        if kind == 0xFF:  # a filler
            start += 1
            continue
        size = data[start + 2] << 8 | data[start + 3]
        if kind in (_APP1, _APP2, _APP13, _COMMENT):
            segment = data[start + 4 : start + 2 + size]
            has_more_images |= kind == _APP2 and segment.startswith(b"MPF\0")
            _read_segment(kind, segment, found)
        start += 2 + size
    return _find_jpeg_end(data, scan, has_more_images=has_more_images)


def _find_jpeg_end(data: bytes, scan: int, *, has_more_images: bool) -> int:
    """Return where a JPEG ends.

    Compressed data never has the two bytes of the end: the decoder would stop there. Thumbnails are in the
    segments before it. In a file of several images (MPF, CIPA DC-007) the end is that of the last.
    """
    if has_more_images:
        end = data.rfind(_JPEG_END, scan)
    elif not data.rstrip(_PADDING).endswith(_JPEG_END):
        end = data.find(_JPEG_END, scan)
    else:
        end = data.find(_NEXT_JPEG, scan)  # 60 µs for 100 kB
    return len(data) if end < 0 else end + len(_JPEG_END)


def _read_segment(kind: int, segment: bytes, found: ImageMetadata) -> None:
    if kind == _COMMENT:
        found.texts.append(("JPEG comment", _decode(segment)))
    elif kind == _APP1 and segment.startswith(_EXIF_MAGIC):
        _read_exif(segment, found)
    elif kind == _APP1 and segment.startswith(_XMP_MAGIC):
        _read_xmp(segment.partition(b"\0")[2], found)
    elif kind == _APP13:
        for record in _IPTC_OWNER.finditer(segment):
            text = segment[record.end() : record.end() + int.from_bytes(record[2])]
            found.owner[f"IPTC {_IPTC_NAMES[record[1]]}"] = _decode(text)


def _read_png(data: bytes, found: ImageMetadata) -> int:
    """Read the chunks; return where the last one ends."""
    start = len(_PNG_MAGIC)
    while start + 12 <= len(data):
        size, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            _read_chunk(kind, data[start + 8 : start + 8 + size], found)
        start += 12 + size
        if kind == b"IEND":
            return start
    return len(data)


def _read_chunk(kind: bytes, chunk: bytes, found: ImageMetadata) -> None:
    """Read one chunk of text or EXIF (https://www.w3.org/TR/png-3/#11textinfo)."""
    if kind == b"eXIf":
        _read_exif(chunk, found)
        return
    key, _, value = chunk.partition(b"\0")
    if kind == b"zTXt":
        value = _inflate(value[1:])
    elif kind == b"iTXt":
        is_compressed, (_, _, value) = value[:1] == b"\1", value[2:].partition(b"\0")
        value = value.partition(b"\0")[2]
        value = _inflate(value) if is_compressed else value
    name = key.decode("latin-1")
    if name == "XML:com.adobe.xmp":
        _read_xmp(value, found)
    elif name in ("Raw profile type exif", "Raw profile type APP1"):  # as ImageMagick writes EXIF
        digits = b"".join(value.split()[2:])
        _read_exif(bytes.fromhex(digits.decode("ascii", "replace")) if _is_hex(digits) else b"", found)
    else:
        found.texts.append((f"PNG {name}", _decode(value)))


def _is_hex(digits: bytes) -> bool:
    return len(digits) % 2 == 0 and re.fullmatch(rb"[0-9a-fA-F]*", digits) is not None


def _inflate(data: bytes) -> bytes:
    """Return the text of a compressed chunk, at most 16 MiB of it; nothing if it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, _MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _read_webp(data: bytes, found: ImageMetadata) -> int:
    """Read the chunks; return where the RIFF container ends, which states its size."""
    size = int.from_bytes(data[4:8], "little")
    end, start = 8 + size + size % 2, 12
    while start + 8 <= min(end, len(data)):
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        chunk = data[start + 8 : start + 8 + size] if kind in (b"EXIF", b"XMP ") else b""
        if kind == b"EXIF":
            _read_exif(chunk, found)
        elif kind == b"XMP ":
            _read_xmp(chunk, found)
        start += 8 + size + size % 2
    return end


def _read_xmp(packet: bytes, found: ImageMetadata) -> None:
    text = _decode(packet)
    found.texts.append(("XMP", text))
    found.has_position |= _XMP_POSITION.search(text) is not None
    found.owner |= {f"XMP {name}": value.strip() for name, value in _XMP_OWNER.findall(text)}
    if creator := _XMP_CREATOR.search(text):
        found.owner["XMP creator"] = creator[1].strip()


def _read_exif(payload: bytes, found: ImageMetadata) -> None:
    try:
        exif = Image.Exif()
        exif.load(payload)
        tags = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
        position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # Pillow raises many types on damaged EXIF, which images may have.
        return
    found.has_position |= not _GPS_TAGS.isdisjoint(position)
    for tag, text in _exif_texts(tags):
        name = f"EXIF {ExifTags.TAGS.get(tag, tag)}"
        is_comment = tag == ExifTags.Base.UserComment and not _OF_A_GENERATOR.match(text)
        if tag in _OWNER_TAGS or is_comment:
            found.owner[name] = text
        found.texts.append((name, text))
    make, model = (tags.get(tag) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    times = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized, ExifTags.Base.DateTime)
    if make and model and any(tags.get(tag) for tag in times):
        found.camera = f"{make} {model}"


def _exif_texts(tags: Mapping[int, object]) -> Iterator[tuple[int, str]]:
    """Yield the tags that hold a text which is not empty."""
    for tag, value in tags.items():
        text = ""
        if isinstance(value, str):
            text = value
        elif isinstance(value, bytes) and tag != ExifTags.Base.MakerNote:
            text = _decode_exif(tag, value)
        if text := text.strip("\0 \t\r\n"):
            yield tag, text


def _decode_exif(tag: int, value: bytes) -> str:
    """Decode a tag of bytes; comments say their encoding in eight bytes, and tags of Windows are UTF-16."""
    if tag in range(ExifTags.Base.XPTitle, ExifTags.Base.XPSubject + 1):
        return value.decode("utf-16-le", "replace")
    encoding, text = value[:8], value[8:]
    if encoding == b"UNICODE\0":
        is_little = text[1:2] == b"\0"  # the standard leaves the order of the bytes open
        return text.decode("utf-16-le" if is_little else "utf-16-be", "replace")
    return _decode(text if encoding in (b"ASCII\0\0\0", b"\0" * 8) else value)


def _decode(data: bytes) -> str:
    """Decode text of a file, at most 16 MiB of it, as UTF-8 or else byte for byte."""
    data = data[:_MAX_TEXT_BYTES]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
