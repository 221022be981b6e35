"""The requests of a catalog: each asked for one image, and was answered with it or refused."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from builders.catalog.images import FIRST
from builders.catalog.layout import IN_PART, Entry, Part
from builders.catalog.ledger import Insert, Ledger
from builders.catalog.references import References
from builders.catalog.splits import split_of
from builders.sources.intake import GenerationInput
from schemas.configs import Table
from schemas.generation import GenerationRecord, PublishedRequest
from schemas.problems import Problem, Reason, name_some
from schemas.records import DEFAULT_SPLIT

_SCHEMA = """
CREATE TABLE asked (input_id INTEGER PRIMARY KEY, image TEXT, of TEXT, text TEXT);
CREATE TABLE requests (
    input_id INTEGER PRIMARY KEY, request_key TEXT, image_id TEXT, source TEXT, generator TEXT, prompt TEXT,
    text TEXT
);
"""
_INDEXES = """
CREATE INDEX requests_by_key ON requests (request_key);
CREATE INDEX requests_by_image ON requests (image_id);
"""
_SPLIT = f"LEFT JOIN now ON now.\"table\" = '{Table.IMAGES}' AND now.key = image_id "
_OTHER_GENERATOR = (
    "SELECT requests.input_id, generator, json_extract(record, '$.generator') FROM requests "
    f"JOIN {FIRST} first USING (image_id) WHERE generator <> json_extract(record, '$.generator')"
)
_MAX_NAMED = 5


class _Copy(NamedTuple):
    """One of several records with the same key, or of the same image."""

    input_id: int
    source: str
    image_id: str | None
    text: str
    place: str


class RequestCatalog:
    """Every request that came in.

    Args:
        db: The database, in which it makes its tables.
        ledger: The ledger of the same database.
        shares: Split → its share of the images; see `builders.catalog.splits`.
    """

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, shares: Mapping[str, float]) -> None:
        self._db, self._ledger, self._shares = db, ledger, shares
        db.executescript(_SCHEMA)
        self._insert_asked = Insert(db, "INSERT INTO asked VALUES (?, ?, ?, ?)")
        self._insert = Insert(db, f"INSERT INTO requests VALUES ({', '.join('?' * 7)})")

    def add(self, input_id: int, request: GenerationInput) -> None:
        """Add a record that is not rejected."""
        self._insert_asked(input_id, request.image, request.of, request.text.model_dump_json())

    def resolve(self, references: References, excluded: Mapping[str, str]) -> None:
        """Find the image of each record; reject those of images that are not published, and repetitions.

        Args:
            references: Leads to images.
            excluded: Image id → why the image is not published.
        """
        self._insert_asked.flush()
        query = "SELECT input_id, image, of, text, source FROM asked JOIN inputs ON id = input_id ORDER BY id"
        for input_id, image, of, text, source in self._db.execute(query):
            image_id = None
            if image is not None:
                found = references.find_included(image, of, excluded)
                image_id = found.image_id
                if image_id is None:
                    self._reject(input_id, found.reason, found.message, image, found.fix)
                    continue
            record = GenerationRecord.model_validate_json(text)
            key = record.request_key
            self._insert(input_id, key, image_id, source, record.generator, record.prompt, text)
        self._insert.flush()
        self._db.executescript(_INDEXES)
        self._reject_other_generators()
        self._reject_repeated_keys()
        self._reject_repeated_images()

    def published(self, part: Part | None = None) -> Iterator[dict[str, object]]:
        """Yield each record's row, or those of one part in its order; without a part by their keys.

        Splits are those of the images, once these have been arranged. A refused request is in the split
        that an image with its prompt would be in.
        """
        query = (
            "SELECT image_id, requests.source, text, file, row, now.split, prompt FROM {} "
            f"JOIN inputs ON id = input_id {_SPLIT}"
        )
        if part is None:
            query = query.format("requests") + "ORDER BY request_key"
        else:
            query = query.format("layout CROSS JOIN requests ON request_key = layout.key")
            query += f"WHERE {IN_PART}"
        found = self._db.execute(query, part.place if part else ())
        for image_id, source, text, file, row, split, prompt in found:
            record = PublishedRequest(
                **dict(GenerationRecord.model_validate_json(text)),
                image_id=image_id,
                source=source,
                file=file,
                row=row,
                split=self._split_of(image_id, split, prompt),
            )
            yield record.model_dump(exclude={"image_filename"})

    def entries(self) -> Iterator[Entry]:
        """Yield what places each record, by its key: a digest, so the order has no meaning."""
        query = f"SELECT request_key, image_id, now.split, prompt FROM requests {_SPLIT} ORDER BY request_key"
        for key, image_id, split, prompt in self._db.execute(query):
            yield Entry(key, self._split_of(image_id, split, prompt))

    def num_rows(self) -> int:
        """Count the records to publish."""
        return int(self._db.execute("SELECT count(*) FROM requests").fetchone()[0])

    def _split_of(self, image_id: str | None, split: str | None, prompt: str) -> str:
        if image_id is None:
            return split_of(prompt, self._shares)
        return split or DEFAULT_SPLIT

    def _reject_other_generators(self) -> None:
        """Reject records that name another generator than the row of their image."""
        for input_id, said, true in self._db.execute(_OTHER_GENERATOR).fetchall():
            message = f"the table of images says that {true} made this image"
            self._reject(input_id, Reason.CONFLICTING_ROWS, message, said, "keep the true one", "generator")

    def _reject_repeated_keys(self) -> None:
        """Of records with one key keep one; of a source whose records contradict each other keep none.

        Two sources may have answers of their own to one request. Both are true, and a key has one row: the
        first by its content, where an image comes before a refusal.
        """
        order = "image_id IS NULL, image_id, text, requests.source, input_id"
        for (key,) in self._repeated("request_key"):
            copies = self._copies("request_key", key, order)
            contents: dict[str, set[tuple[str | None, str]]] = {}
            for copy in copies:
                contents.setdefault(copy.source, set()).add((copy.image_id, copy.text))
            kept = [copy for copy in copies if len(contents[copy.source]) == 1]
            torn = [copy for copy in copies if len(contents[copy.source]) > 1]
            places = name_some((copy.place for copy in torn), _MAX_NAMED)
            for copy in torn:
                message = f"{places} have one request_key and contradict each other"
                self._reject(copy.input_id, Reason.CONFLICTING_ROWS, message, key, "keep the true one")
            for copy in kept[1:]:
                is_equal = (copy.image_id, copy.text) == (kept[0].image_id, kept[0].text)
                message = f"{kept[0].place} says the same" if is_equal else f"{kept[0].place} answers it, too"
                fix = "remove one of them"
                self._reject(copy.input_id, Reason.DUPLICATE_ROW, f"of this request, {message}", key, fix)

    def _reject_repeated_images(self) -> None:
        """Reject the records that give one image to several requests: one of them is false."""
        for (image_id,) in self._repeated("image_id"):
            copies = self._copies("image_id", image_id, "requests.source, input_id")
            places = name_some((copy.place for copy in copies), _MAX_NAMED)
            for copy in copies:
                message = f"{places} give one image to different requests"
                self._reject(copy.input_id, Reason.CONFLICTING_ROWS, message, image_id, "keep the true one")

    def _repeated(self, column: str) -> list[tuple[str]]:
        query = (
            f"SELECT {column} FROM requests WHERE {column} IS NOT NULL "
            f"GROUP BY {column} HAVING count(*) > 1 ORDER BY {column}"
        )
        return self._db.execute(query).fetchall()

    def _copies(self, column: str, value: str, order: str) -> list[_Copy]:
        query = (
            "SELECT input_id, requests.source, image_id, text, file, row FROM requests "
            f"JOIN inputs ON id = input_id WHERE {column} = ? ORDER BY {order}"
        )
        rows = self._db.execute(query, (value,)).fetchall()
        return [
            _Copy(input_id, source, image_id, text, f"row {row} of {source}/{file}")
            for input_id, source, image_id, text, file, row in rows
        ]

    def _reject(
        self, input_id: int, reason: Reason, message: str, value: str, fix: str, column: str = "request_key"
    ) -> None:
        """Reject a record, and take it out of the table if it is in it."""
        file, row, _ = self._ledger.place_of(input_id)
        is_of_image = reason not in (Reason.CONFLICTING_ROWS, Reason.DUPLICATE_ROW)
        place = "image_filename" if is_of_image else column
        problem = Problem(reason, message, file=file, row=row, column=place, value=value, fix=fix)
        self._ledger.reject(input_id, problem)
        self._db.execute("DELETE FROM requests WHERE input_id = ?", (input_id,))
