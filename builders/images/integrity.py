"""Image integrity: is this file an image that can be published, byte for byte as it is?

The whole compressed stream of every image is decoded once. JPEGs go through libjpeg-turbo in strict
mode at an eighth of their size: it reads the entropy-coded data in full, is faster than Pillow, and
reports damage that Pillow passes in silence (DECISIONS.md has the figures). Pillow reads headers,
and decodes the other formats.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass

import simplejpeg
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from builders.file_kinds import HEAD_BYTES, tell_file_kind
from builders.images.files import ImageFile, ImageRefusedError, read_image, too_large
from schemas.problems import BuildError, Problem, Reason
from schemas.records import IMAGE_FORMATS
from schemas.settings import BuildSettings

# The limit is checked here against the header, as a problem with a place, before any decoding.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of metadata that it skips, without the name of the file. Readers of the release skip the same.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_JPEG_SCALE = 8
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Markers of JPEG (ITU-T T.81, table B.1), and modes by the number of components.
_JPEG_START, _APP0, _SCAN = b"\xff\xd8", 0xE0, 0xDA
_FRAMES, _TABLES = frozenset((0xC0, 0xC1, 0xC2)), frozenset((0xC4, 0xDB, 0xDD))
_FRAME_BYTES, _BITS, _MODES = 6, 8, {1: "L", 3: "RGB"}
_PNG_CHUNK_BYTES = 12  # length, kind and checksum of a chunk, around its data


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the bytes of an image say of it: size in pixels, mode as Pillow names it, real format."""

    sha256: str
    num_bytes: int
    format: str
    mode: str
    width: int
    height: int


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its orientation in EXIF says, which `datasets` does on loading, too.

    Args:
        image: Opened; it is decoded only if it must be turned.

    Returns:
        The same image where there is nothing to turn.

    Raises:
        Exception: Whatever Pillow raises on EXIF data that it cannot read.
    """
    # Reading the orientation takes 2 of the 22 µs for opening a JPEG; only turned images are decoded in full
    # by Pillow. `datasets` turns images too.
    is_upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    return image if is_upright else ImageOps.exif_transpose(image)


def inspect_image(
    data: bytes, sha256: str, limits: BuildSettings, known: ImageFacts | None = None
) -> ImageFacts:
    """Decode an image in full and say what it is.

    Args:
        data: The image file's bytes.
        sha256: Their digest, which the caller has already.
        limits: What is accepted.
        known: What was found when these bytes were decoded before; they are not decoded again.

    Raises:
        ImageRefusedError: The format is not accepted, the header claims too many pixels, there are several
            frames, or the data is damaged.
    """
    if known is not None:
        _check_header(known, 1, limits)
        _check_png_end(data)
        return known
    plain = _read_plain_jpeg(data, sha256)
    if plain is not None:
        _check_header(plain, 1, limits)
        if _decodes(data, plain):
            return plain
    try:
        with Image.open(io.BytesIO(data), formats=list(IMAGE_FORMATS)) as image:
            facts = ImageFacts(sha256, len(data), str(image.format), image.mode, *image.size)
            _check_header(facts, getattr(image, "n_frames", 1), limits)
            if facts.format == "JPEG":
                _decode_jpeg(data, facts)
            else:
                image.load()
                _check_png_end(data)
            image.getexif()  # which says how it is turned: every reader of the image applies it
    except ImageRefusedError:
        raise
    except UnidentifiedImageError as error:
        raise _not_an_image(data) from error
    except Exception as error:  # Decoders raise many types on hostile data; each one means the same here.
        raise ImageRefusedError(
            Reason.IMAGE_DAMAGED,
            f"the image does not decode: {error}",
            None,
            "replace it with the original image, or remove its row",
        ) from error
    return facts


def check_limits(known: ImageFacts, limits: BuildSettings) -> None:
    """Check an image that was decoded before, by its facts alone.

    Raises:
        ImageRefusedError: It has more bytes or pixels than the settings accept today.
    """
    if known.num_bytes > limits.max_image_bytes:
        raise too_large(known.num_bytes, limits.max_image_bytes)
    _check_header(known, 1, limits)


def _not_an_image(data: bytes) -> ImageRefusedError:
    """Say what a file is that is no image of an accepted format."""
    message = f"this is not an image in one of the formats {', '.join(IMAGE_FORMATS)}"
    kind = tell_file_kind(data[:HEAD_BYTES])
    if kind is None:
        value = f"begins with {data[:8].hex(' ') or 'nothing: the file is empty'}"
        fix = "replace it with the original image, or remove its row"
        return ImageRefusedError(Reason.IMAGE_FORMAT, message, value, fix)
    is_other_format = kind.is_image and kind.what not in ("a JPEG image", "a PNG image", "a WebP image")
    fix = "save it as JPEG, PNG or WebP" if is_other_format else kind.fix
    fix = fix or "replace it with the original image, or remove its row"
    return ImageRefusedError(Reason.IMAGE_FORMAT, message, f"the file is {kind.what}", fix)


def _check_header(facts: ImageFacts, num_frames: int, limits: BuildSettings) -> None:
    if facts.format not in IMAGE_FORMATS or num_frames != 1:
        raise ImageRefusedError(
            Reason.IMAGE_FORMAT,
            f"this is not a single image in one of the formats {', '.join(IMAGE_FORMATS)}",
            f"{facts.format} with {num_frames} frames",
            "save it as one still image",
        )
    if facts.width * facts.height > limits.max_image_pixels:
        raise ImageRefusedError(
            Reason.IMAGE_TOO_LARGE,
            f"the image has more than {limits.max_image_pixels:,} pixels",
            f"{facts.width} x {facts.height}",
            "raise build.max_image_pixels in release.toml if the image is meant to be so large",
        )


def _check_png_end(data: bytes) -> None:
    """Check that a PNG has all of its chunks up to the last; Pillow decodes one that is cut after its pixels.

    The decoders of JPEG and WebP refuse a file that lacks its last byte.
    """
    if not data.startswith(_PNG_MAGIC):
        return
    start, kind = len(_PNG_MAGIC), b""
    while kind != b"IEND" and start < len(data):
        kind = data[start + 4 : start + 8]
        start += _PNG_CHUNK_BYTES + int.from_bytes(data[start : start + 4], "big")
    if kind != b"IEND" or start > len(data):
        message = "the image is cut off: the last chunk of its PNG is missing"
        fix = "replace it with the original image, or remove its row"
        raise ImageRefusedError(Reason.IMAGE_DAMAGED, message, f"{len(data):,} bytes", fix)


# Pillow takes 60 µs to open a JPEG, half of the time for a small one, and holds the interpreter's lock.
def _read_plain_jpeg(data: bytes, sha256: str) -> ImageFacts | None:
    """Return the facts of a JPEG of the usual form, as Pillow reads them; None for any other image.

    The usual form has a JFIF header or none, tables, and one frame of 8 bits in grey or in three colours. So
    it has no EXIF, which may turn it, and no second image.
    """
    facts, start = None, len(_JPEG_START)
    while data.startswith(_JPEG_START) and start + 4 <= len(data) and data[start] == 0xFF:
        kind, size = data[start + 1], data[start + 2] << 8 | data[start + 3]
        segment = data[start + 4 : start + 2 + size]
        if kind == _SCAN:
            return facts
        if kind in _FRAMES and len(segment) >= _FRAME_BYTES and facts is None:
            height, width = segment[1] << 8 | segment[2], segment[3] << 8 | segment[4]
            mode = _MODES.get(segment[5])
            if segment[0] != _BITS or mode is None or not (width and height):
                return None
            facts = ImageFacts(sha256, len(data), "JPEG", mode, width, height)
        elif kind not in _TABLES and not (kind == _APP0 and segment.startswith(b"JFIF\0")):
            return None
        start += 2 + size
    return None


def _decodes(data: bytes, facts: ImageFacts) -> bool:
    """Return whether a JPEG decodes; of one that does not, Pillow may say more."""
    try:
        _decode_jpeg(data, facts)
    except Exception:  # as in `inspect_image`, which tries again
        return False
    return True


def _decode_jpeg(data: bytes, facts: ImageFacts) -> None:
    # 60 images with 500 bytes zeroed: Pillow accepts 60, strict libjpeg-turbo refuses 54; one flipped bit: 0
    # and 13 refused. 0.40 ms an image at 1/8, Pillow 1.72 ms.
    simplejpeg.decode_jpeg(
        data,
        min_height=facts.height // _JPEG_SCALE,
        min_width=facts.width // _JPEG_SCALE,
        min_factor=1,
        strict=True,
    )


def read_again(file: ImageFile, sha256: str, settings: BuildSettings) -> bytes:
    """Read an image that was looked at before.

    Raises:
        BuildError: It is not the one that was looked at.
    """
    try:
        data = read_image(file, settings.max_image_bytes)
    except ImageRefusedError:
        data = b""
    if hashlib.sha256(data).hexdigest() != sha256:
        message = "the image changed while the release was being built"
        fix = "let nothing write to the sources, and run again with --read-again"
        raise BuildError(Problem(Reason.SOURCE, message, file=str(file), fix=fix))
    return data
