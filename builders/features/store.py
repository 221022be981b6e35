"""The store of features: what was made of images and texts, kept from run to run in one SQLite file.

Images are known by their bytes, texts by their characters, and makers by all that their numbers depend on. So
what is found is what would be computed again, and the file may be removed at any time.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from builders.catalog import Shown
from builders.images.files import ImageFile

FEATURES_NAME = "features.sqlite"

_SCHEMA = """
PRAGMA synchronous=NORMAL;
PRAGMA cache_size=-16384;
CREATE TABLE IF NOT EXISTS images (maker BLOB, image BLOB, made BLOB, PRIMARY KEY (maker, image));
CREATE TABLE IF NOT EXISTS texts (
    maker BLOB, image BLOB, text BLOB, similarity REAL, PRIMARY KEY (maker, image, text)
) WITHOUT ROWID;
CREATE TEMP TABLE wanted (
    image BLOB, text BLOB, path TEXT, said TEXT, PRIMARY KEY (image, text)
) WITHOUT ROWID;
CREATE TEMP TABLE missing (image BLOB, path TEXT, said TEXT);
"""
_WANT = "INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?)"
_MISSING_IMAGES = """
    INSERT INTO missing SELECT image, min(path), NULL FROM wanted
    WHERE image NOT IN (SELECT image FROM images WHERE maker = ?) GROUP BY image ORDER BY image
"""
_MISSING_TEXTS = """
    INSERT INTO missing SELECT wanted.image, path, said FROM wanted
    LEFT JOIN texts ON maker = ? AND texts.image = wanted.image AND texts.text = wanted.text
    WHERE said IS NOT NULL AND similarity IS NULL ORDER BY wanted.image, wanted.text
"""
_LEARN_IMAGE = """
    INSERT OR IGNORE INTO images
    SELECT DISTINCT ?1, image, ?4 FROM wanted WHERE image BETWEEN ?2 AND ?3
"""
_LEARN_TEXT = """
    INSERT OR IGNORE INTO texts
    SELECT ?1, image, text, ?5 FROM wanted WHERE image BETWEEN ?2 AND ?3 AND text = ?4
"""
_SIMILARITY = "SELECT similarity FROM texts WHERE maker = ? AND image BETWEEN ? AND ? AND text = ?"
_DIGEST_BYTES = 32


class FeatureStore:
    """What is known of images and texts.

    Args:
        path: The SQLite file; None to keep nothing. A damaged one is replaced.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = _open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def want(self, shown: Iterable[Shown]) -> None:
        """Set the images and texts that will be asked for, in place of the earlier ones."""
        with self._transaction():
            self._db.execute("DELETE FROM wanted")
            self._db.executemany(
                _WANT, ((_image(one.sha256), _text(one.text), one.file.to_text(), one.text) for one in shown)
            )

    def count_missing_images(self, maker: str) -> int:
        """Look for wanted images of which a maker has made nothing yet; `missing` gives them."""
        return self._find_missing(_MISSING_IMAGES, maker)

    def count_missing_texts(self, maker: str) -> int:
        """Look for wanted texts that have not been compared with their images; `missing` gives them."""
        return self._find_missing(_MISSING_TEXTS, maker)

    def missing(self) -> Iterator[Shown]:
        """Yield what was missing when it was last looked for, by digest; more may be added meanwhile."""
        for image, path, said in self._db.execute("SELECT image, path, said FROM missing ORDER BY rowid"):
            yield Shown(image.hex(), ImageFile.from_text(path), said)

    def add_images(self, maker: str, made: Iterable[tuple[str, bytes]]) -> None:
        """Keep what a maker made of images, given by SHA-256; what is added at once is kept at once."""
        rows = ((_maker(maker), _image(sha256), data) for sha256, data in made)
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", rows)

    def add_similarities(self, maker: str, compared: Iterable[tuple[Shown, float]]) -> None:
        """Keep how like their images texts are."""
        rows = ((_maker(maker), _image(one.sha256), _text(one.text), value) for one, value in compared)
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?)", rows)

    def learn_images(self, maker: str, made: Iterable[tuple[str, bytes]]) -> None:
        """Take over what a maker made of images, given by image id, of those that are wanted."""
        rows = ((_maker(maker), *_range(image_id), data) for image_id, data in made)
        with self._transaction():
            self._db.executemany(_LEARN_IMAGE, rows)

    def learn_similarities(self, maker: str, compared: Iterable[tuple[str, str, float]]) -> None:
        """Take over how like images, given by image id, and texts are, of those that are wanted."""
        rows = ((_maker(maker), *_range(image_id), _text(text), value) for image_id, text, value in compared)
        with self._transaction():
            self._db.executemany(_LEARN_TEXT, rows)

    def image(self, maker: str, sha256: str) -> bytes:
        """Return the bytes that a maker computed from an image.

        Raises:
            KeyError: It has made nothing of it.
        """
        query = "SELECT made FROM images WHERE maker = ? AND image = ?"
        for (made,) in self._db.execute(query, (_maker(maker), _image(sha256))):
            return bytes(made)
        raise KeyError(sha256)

    def similarity(self, maker: str, image_id: str, text: str | None) -> float | None:
        """Return how like an image a text is, or None where there is no text.

        Raises:
            KeyError: They have not been compared.
        """
        if text is None:
            return None
        for (similarity,) in self._db.execute(_SIMILARITY, (_maker(maker), *_range(image_id), _text(text))):
            return float(similarity)
        raise KeyError(image_id)

    def _find_missing(self, query: str, maker: str) -> int:
        with self._transaction():
            self._db.execute("DELETE FROM missing")
            return int(self._db.execute(query, (_maker(maker),)).rowcount)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _open(path: Path | None) -> sqlite3.Connection:
    """Open the file, or an empty one where it is damaged."""
    db = sqlite3.connect(path if path is not None else ":memory:", isolation_level=None)
    try:
        if db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            db.executescript(_SCHEMA)
            return db
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) or path is None:  # a full disk, a missing permission
            db.close()
            raise
    db.close()
    if path is not None:
        for damaged in (path, path.with_name(f"{path.name}-journal")):
            damaged.unlink(missing_ok=True)
    return _open(path)


def _maker(digest: str) -> bytes:
    return bytes.fromhex(digest)


def _image(sha256: str) -> bytes:
    return bytes.fromhex(sha256)


def _text(text: str | None) -> bytes:
    return b"" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _range(image_id: str) -> tuple[bytes, bytes]:
    """Return the first and the last digest that an image of this id can have."""
    first = bytes.fromhex(image_id)
    return first, first.ljust(_DIGEST_BYTES, b"\xff")
