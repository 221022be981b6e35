"""What a file really is, told from its first bytes: one answer for tables, images, sidecars and folders."""

import codecs
from dataclasses import dataclass

HEAD_BYTES = 1 << 16
_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)  # looked for first: one begins with UTF-16's
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAMPLE_BYTES = 512
_TAR_MAGIC_AT = 257
_UNPACK = "unpack it, and give what is in it"
_EXPORT = "export the table from it as CSV, JSON Lines or Parquet"
_DOWNLOAD = "download the file itself; its site may want a login"
_MAC = "remove it: macOS makes such files beside the real ones"


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that people give in place of a table or an image.

    Attributes:
        what: The kind, as the end of "the file is …".
        fix: What to do, whatever was expected; empty if that depends on it.
        is_image: Whether it is an image.
    """

    what: str
    fix: str = ""
    is_image: bool = False


# First bytes → the kind.
_KINDS = (
    (b"\x1f\x8b", FileKind("compressed with gzip", _UNPACK)),
    (b"BZh91AY&SY", FileKind("compressed with bzip2", _UNPACK)),
    (b"\xfd7zXZ\0", FileKind("compressed with xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileKind("compressed with zstd", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", FileKind("a RAR archive", _UNPACK)),
    (b"PK\x03\x04", FileKind("a zip archive", _UNPACK)),
    (b"PK\x05\x06", FileKind("a zip archive with nothing in it", _UNPACK)),
    (b"\x04\x22\x4d\x18", FileKind("compressed with lz4", _UNPACK)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("an old Excel or Office file", _EXPORT)),
    (b"SQLite format 3\0", FileKind("an SQLite database", _EXPORT)),
    (b"ARROW1\0\0", FileKind("an Arrow file", _EXPORT)),
    (b"\x93NUMPY", FileKind("a NumPy array", _EXPORT)),
    (b"\x80\x04\x95", FileKind("a Python pickle", _EXPORT)),
    (b"\x80\x05\x95", FileKind("a Python pickle", _EXPORT)),
    (b"\x89HDF\r\n", FileKind("an HDF5 file", _EXPORT)),
    (b"%PDF-", FileKind("a PDF")),
    (b"\0\5\x16\7", FileKind("one of macOS's files about another file", _MAC)),
    (b"\xff\xd8\xff", FileKind("a JPEG image", is_image=True)),
    (b"\x89PNG\r\n", FileKind("a PNG image", is_image=True)),
    (b"GIF8", FileKind("a GIF image", is_image=True)),
    (b"II*\0", FileKind("a TIFF image", is_image=True)),
    (b"MM\0*", FileKind("a TIFF image", is_image=True)),
    (b"8BPS\0", FileKind("a Photoshop image", is_image=True)),
    (b"\0\0\0\x0cJXL ", FileKind("a JPEG XL image", is_image=True)),
    (b"\0\0\0\x0cjP  ", FileKind("a JPEG 2000 image", is_image=True)),
)
# Beginnings of text, in small letters and after blanks → the kind.
_TEXTS = (
    (b"version https://git-lfs", FileKind("a pointer of Git LFS, not the file itself", "run git lfs pull")),
    (b"<!doctype html", FileKind("a web page", _DOWNLOAD)),
    (b"<html", FileKind("a web page", _DOWNLOAD)),
    (b"<head", FileKind("a web page", _DOWNLOAD)),
    (b"<svg", FileKind("an SVG drawing", is_image=True)),
    (b"<?xml", FileKind("XML", _DOWNLOAD)),
    (b"<<<<<<< ", FileKind("one with conflicts of a Git merge", "resolve them")),
    (b"{\\rtf", FileKind("a text with formatting (RTF)", "save it as plain text in UTF-8")),
)
_OFFICE = FileKind("an Excel workbook or another Office file", _EXPORT)
# Names in zip archives of Microsoft's, LibreOffice's and Apple's programs.
_OFFICE_NAMES = (b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis", b"Index/Document.iwa")
_TAR = FileKind("a tar archive", _UNPACK)
_AVIF = (b"avif", b"avis", b"heic", b"heix", b"mif1")


def tell_file_kind(head: bytes) -> FileKind | None:
    """Tell what a file is from its beginning; None if nothing says that it is not a table or an image.

    Args:
        head: Its first `HEAD_BYTES`, or all of it.
    """
    if head.startswith(b"PK\x03\x04") and any(name in head for name in _OFFICE_NAMES):
        return _OFFICE
    text = head[:_SAMPLE_BYTES].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for beginning, kind in _TEXTS:
        if text.startswith(beginning):
            return kind
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF:
        return FileKind("an AVIF or HEIC image", is_image=True)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return FileKind("a WebP image", is_image=True)
    if head.startswith(b"ustar", _TAR_MAGIC_AT):
        return _TAR
    return next((kind for magic, kind in _KINDS if head.startswith(magic)), None)


def tell_other_encoding(head: bytes) -> str | None:
    """Tell which encoding text has that is not UTF-8: UTF-16 or UTF-32, with a byte order mark or without.

    Text of Latin letters has a zero in every second byte of UTF-16, and three in every four bytes of UTF-32;
    UTF-8 has none.
    """
    for marks, encoding in ((_UTF32_MARKS, "UTF-32"), (_UTF16_MARKS, "UTF-16")):
        if head.startswith(marks):
            return encoding
    sample = head[:_SAMPLE_BYTES]
    if len(sample) < 4:
        return None
    few, many = len(sample) // 50, len(sample) // 5
    fewest, second, *_ = sorted(sample[start::4].count(0) for start in range(4))
    if fewest <= few and second > many:
        return "UTF-32 without a byte order mark"
    least, most = sorted(sample[start::2].count(0) for start in (0, 1))
    return "UTF-16 without a byte order mark" if least <= few and most > many else None
