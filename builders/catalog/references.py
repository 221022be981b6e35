"""References: which image is meant by a file name, a path, an address or an id."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from urllib.parse import unquote

from schemas.problems import Reason
from schemas.records import ID_CHARS

_SCHEMA = """
CREATE TABLE names (
    name TEXT, stem TEXT, backwards TEXT, source TEXT, image_id TEXT, rejected TEXT, folder TEXT
);
INSERT INTO names
    SELECT last(images.name), stem(last(images.name)), backwards(last(images.name)), images.source,
        published.image_id, rejected, folder(images.name)
    FROM images JOIN inputs ON inputs.id = input_id LEFT JOIN published USING (sha256);
CREATE INDEX names_by_name ON names (name);
CREATE INDEX names_by_stem ON names (stem);
CREATE INDEX names_backwards ON names (backwards);
"""
_PUBLISHED = """
CREATE TABLE published AS
    SELECT sha256, image_id FROM images JOIN inputs ON id = input_id
    WHERE rejected IS NULL AND first_id = input_id;
CREATE UNIQUE INDEX published_by_id ON published (image_id);
CREATE UNIQUE INDEX published_by_sha256 ON published (sha256);
"""
_ID = re.compile(rf"[0-9a-f]{{{ID_CHARS}}}|[0-9a-f]{{64}}")
_SHA256_CHARS = 64
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*")
_NEIGHBOURS = 12
# Source, image id or None, why the image is rejected or None, folder below the source.
_Place = tuple[str, str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference leads to: an image, or else the reason, what is wrong, and what to do."""

    image_id: str | None
    reason: Reason = Reason.UNKNOWN_IMAGE
    message: str = ""
    fix: str = ""


class References:
    """The names of all images of a catalog that is settled.

    Args:
        db: The catalog's database.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.create_function("stem", 1, _stem, deterministic=True)
        db.create_function("last", 1, lambda name: name.rpartition("/")[2], deterministic=True)
        db.create_function("folder", 1, lambda name: name.rpartition("/")[0], deterministic=True)
        db.create_function("backwards", 1, lambda name: name[::-1], deterministic=True)
        db.executescript(_PUBLISHED + _SCHEMA)
        # Most names that lead nowhere are told here, without a question to the database.
        self._known = {hash(name) for row in db.execute("SELECT name, stem FROM names") for name in row}

    def find_included(self, reference: str, of: str | None, excluded: Mapping[str, str]) -> Found:
        """Find the image that a reference means, for a row that goes where its image goes.

        Args:
            reference: As for `find`.
            of: As for `find`.
            excluded: Image id → why the image is not published.

        Returns:
            The image if it is published; else why the row is not, and always what to do.
        """
        found = self.find(reference, of)
        if found.image_id is None:
            return replace(found, fix=found.fix or self.suggest(reference))
        if found.image_id in excluded:
            message = f"the image is excluded itself: {excluded[found.image_id]}"
            return Found(None, Reason.EXCLUDED, message, "no action is needed")
        return found

    def find(self, reference: str, of: str | None) -> Found:
        """Find the image that a reference means.

        Args:
            reference: An image id or sha256, a file name with or without its extension, a path that ends in
                one, or a web address.
            of: Name of the source whose file names are meant. Without it, a folder of the path may be named
                like a source; otherwise the name must lead to one image in all sources together.
        """
        *folders, name = path_of(reference)
        stem = _stem(name)
        if _ID.fullmatch(stem):
            query = "SELECT image_id FROM published WHERE image_id = ? AND sha256 LIKE ?"
            row = self._db.execute(query, (stem[:ID_CHARS], f"{stem}%")).fetchone()
            if row is not None:
                return Found(row[0])
        places = self._places("name", name) or self._places("stem", name) if hash(name) in self._known else []
        if of is not None:
            places = [place for place in places if place[0] == of]
        else:
            places = [place for place in places if place[0] in folders] or places
        places = _in_folder(places, folders)
        images = {place[1] for place in places if place[1] is not None}
        if len(images) == 1:
            return Found(images.pop())
        if images:
            sources = ", ".join(sorted({place[0] for place in places if place[1] is not None}))
            message = f"the sources {sources} have different images of this name"
            fix = "write source/name, or name the source as `of` of this file in [[sources]]"
            if "," not in sources:
                message = f"the source {sources} has different images of this name in several folders"
                fix = "write the image's folder, too, such as folder/name"
            return Found(None, Reason.AMBIGUOUS_IMAGE, message, fix)
        if places:
            source, _, why, _ = places[0]
            message = f"the image {source}/{name} is rejected itself ({str(why).replace('_', ' ')})"
            return Found(None, Reason.REJECTED_IMAGE, message, "correct the image's row first")
        if len(stem) == _SHA256_CHARS and _ID.fullmatch(stem):
            message = (
                "no source has an image of these bytes: this is a SHA-256, and a re-encoded copy has another"
            )
            return Found(None, Reason.UNKNOWN_IMAGE, message, "name the image by its file, or add the image")
        return Found(None, Reason.UNKNOWN_IMAGE, "no source has such an image", "")

    def id_of(self, reference: str) -> str | None:
        """Return the image id that a reference is: an id or a SHA-256, known or not."""
        return reference[:ID_CHARS] if _ID.fullmatch(reference) else None

    def _places(self, column: str, name: str) -> list[_Place]:
        query = (
            f"SELECT source, image_id, rejected, folder FROM names WHERE {column} = ? "
            "ORDER BY source, folder LIMIT 100"
        )
        return self._db.execute(query, (name,)).fetchall()

    def suggest(self, reference: str) -> str:
        """Suggest what may be meant by a reference that leads nowhere: the nearest names.

        Those that begin or end like it are near it in one of two orders, so not all names are compared.
        """
        name = path_of(reference)[-1]
        near: set[str] = set()
        for column, key in (("name", name), ("backwards", name[::-1])):
            for sign, order in ((">=", "ASC"), ("<", "DESC")):
                query = f"SELECT name FROM names WHERE {column} {sign} ? ORDER BY {column} {order} LIMIT ?"
                near.update(row[0] for row in self._db.execute(query, (key, _NEIGHBOURS)))
        best = get_close_matches(name, sorted(near), n=3, cutoff=0.6)
        return f"did you mean {' or '.join(best)}?" if best else "add the image, or remove the row"


def _in_folder(places: list[_Place], folders: Sequence[str]) -> list[_Place]:
    """Keep the places whose folder is at the end of a reference's; all of them if none is."""
    if not folders:
        return [place for place in places if not place[3]] or places
    path = "/".join(("", *folders))
    deepest = [place for place in places if place[3] and path.endswith(f"/{place[3]}")]
    longest = max((len(place[3]) for place in deepest), default=0)
    return [place for place in deepest if len(place[3]) == longest] or places


def path_of(reference: str) -> Sequence[str]:
    """Split a path or web address into its folders and its name; the last is empty if there is none."""
    scheme, separator, rest = reference.partition("://")
    if separator and _SCHEME.fullmatch(scheme):
        # What stands before the first slash is the host.
        reference = unquote(re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")[2])
    return reference.replace("\\", "/").split("/")


def _stem(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name
