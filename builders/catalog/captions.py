"""The captions of a catalog: each said of one image, and no two the same."""

import itertools
import json
import sqlite3
from collections.abc import Iterator, Mapping
from operator import itemgetter

from builders.catalog.images import FIRST, Shown
from builders.catalog.layout import IN_PART, Entry, Part
from builders.catalog.ledger import Insert, Ledger
from builders.catalog.references import References
from builders.images.files import ImageFile
from builders.sources.intake import CaptionInput
from schemas.captions import CaptionRecord, CaptionText, caption_id_of
from schemas.configs import Table
from schemas.problems import Problem, Reason
from schemas.records import DEFAULT_SPLIT

_SCHEMA = """
CREATE TABLE said (input_id INTEGER PRIMARY KEY, image TEXT, of TEXT, text TEXT);
CREATE TABLE parts (source TEXT, image_id TEXT, captioner TEXT, input_id INTEGER, text TEXT);
CREATE TABLE captions (
    caption_id TEXT, image_id TEXT, source TEXT, caption TEXT, input_id INTEGER PRIMARY KEY, text TEXT
);
"""
_INDEXES = """
CREATE INDEX captions_by_image ON captions (image_id, source, caption_id);
CREATE INDEX captions_by_id ON captions (caption_id);
"""


class CaptionCatalog:
    """Every caption that came in.

    Args:
        db: The database, in which it makes its tables.
        ledger: The ledger of the same database.
    """

    def __init__(self, db: sqlite3.Connection, ledger: Ledger) -> None:
        self._db, self._ledger = db, ledger
        db.executescript(_SCHEMA)
        self._insert_said = Insert(db, "INSERT INTO said VALUES (?, ?, ?, ?)")
        self._insert_part = Insert(db, "INSERT INTO parts VALUES (?, ?, ?, ?, ?)")
        self._insert_caption = Insert(db, "INSERT INTO captions VALUES (?, ?, ?, ?, ?, ?)")

    def add(self, input_id: int, caption: CaptionInput) -> None:
        """Add a caption that is not rejected."""
        self._insert_said(input_id, caption.image, caption.of, caption.text.model_dump_json())

    def resolve(self, references: References, excluded: Mapping[str, str]) -> None:
        """Find the image of each caption; reject those without one, and repetitions.

        Args:
            references: Leads to images.
            excluded: Image id → why the image is not published.
        """
        self._insert_said.flush()
        query = "SELECT input_id, image, of, text, source FROM said JOIN inputs ON id = input_id ORDER BY id"
        for input_id, image, of, text, source in self._db.execute(query):
            found = references.find_included(image, of, excluded)
            if found.image_id is None:
                self._reject(input_id, found.reason, found.message, image, found.fix)
            else:
                said = CaptionText.model_validate_json(text)
                if _is_part(said):
                    part = (said.captioner, said.captioner_version, said.method, said.language)
                    self._insert_part(source, found.image_id, json.dumps(part), input_id, text)
                else:
                    self._insert(found.image_id, source, input_id, said)
        self._unite_parts()
        self._insert_caption.flush()
        self._db.executescript(_INDEXES)
        self._reject_repetitions()

    def published(self, part: Part | None = None) -> Iterator[dict[str, object]]:
        """Yield each caption's row, or those of one part in its order.

        Without a part they come in order of image and caption id. Splits are those of the images,
        once these have been arranged.
        """
        query = (
            "SELECT caption_id, image_id, captions.source, text, file, row, "
            f"coalesce(now.split, '{DEFAULT_SPLIT}') FROM {{}} captions JOIN inputs ON id = input_id "
            f"LEFT JOIN now ON now.\"table\" = '{Table.IMAGES}' AND now.key = image_id "
        )
        if part is None:
            query = query.format("") + "ORDER BY image_id, caption_id"
        else:
            query = query.format("layout CROSS JOIN").replace(
                "captions JOIN", "captions ON caption_id = layout.key JOIN"
            )
            query += f"WHERE {IN_PART}"
        for caption_id, image_id, source, text, file, row, split in self._db.execute(
            query, part.place if part else ()
        ):
            said = CaptionText.model_validate_json(text)
            record = CaptionRecord(
                **{name: getattr(said, name) for name in CaptionText.model_fields},
                caption_id=caption_id,
                image_id=image_id,
                source=source,
                file=file,
                row=row,
                split=split,
            )
            yield record.model_dump()

    def shown(self, part: Part) -> Iterator[Shown]:
        """Yield each sentence of a part with its image, in order."""
        query = (
            "SELECT first.sha256, first.path, captions.caption FROM layout "
            "CROSS JOIN captions ON caption_id = layout.key "
            f"CROSS JOIN {FIRST} first ON first.image_id = captions.image_id "
            f"WHERE captions.caption IS NOT NULL AND {IN_PART}"
        )
        for sha256, path, caption in self._db.execute(query, part.place):
            yield Shown(sha256, ImageFile.from_text(path), caption)

    def entries(self) -> Iterator[Entry]:
        """Yield what places each caption, in order of image and caption id."""
        query = (
            f"SELECT caption_id, coalesce(split, '{DEFAULT_SPLIT}') FROM captions "
            f"LEFT JOIN now ON now.\"table\" = '{Table.IMAGES}' AND now.key = image_id "
            "ORDER BY image_id, caption_id"
        )
        return (Entry(*row) for row in self._db.execute(query))

    def num_rows(self) -> int:
        """Count the captions to publish."""
        return int(self._db.execute("SELECT count(*) FROM captions").fetchone()[0])

    def _insert(self, image_id: str, source: str, input_id: int, said: CaptionText) -> None:
        caption_id = caption_id_of(image_id, said)
        self._insert_caption(caption_id, image_id, source, said.caption, input_id, said.model_dump_json())

    def _unite_parts(self) -> None:
        """Make one caption of all attributes that one captioner of one source gives one image."""
        self._insert_part.flush()
        query = (
            "SELECT source, image_id, captioner, input_id, text FROM parts "
            "ORDER BY source, image_id, captioner, input_id"
        )
        for _, group in itertools.groupby(self._db.execute(query), key=itemgetter(0, 1, 2)):
            rows = list(group)
            source, image_id, _, input_id, text = rows[0]
            attributes = [one for row in rows for one in CaptionText.model_validate_json(row[4]).attributes]
            said = CaptionText.model_validate_json(text)
            self._insert(image_id, source, input_id, said.model_copy(update={"attributes": attributes}))

    def _reject_repetitions(self) -> None:
        """Of captions that say the same of one image keep the first by source and row."""
        repeated = self._db.execute(
            "SELECT caption_id FROM captions GROUP BY caption_id HAVING count(*) > 1 ORDER BY caption_id"
        ).fetchall()
        for (caption_id,) in repeated:
            query = "SELECT input_id, caption FROM captions WHERE caption_id = ? ORDER BY source, input_id"
            (first, _), *others = self._db.execute(query, (caption_id,)).fetchall()
            file, row, _ = self._ledger.place_of(first)
            for input_id, caption in others:
                message = f"row {row} of {file} says the same of the same image"
                self._reject(input_id, Reason.DUPLICATE_ROW, message, caption, "remove one of them")
                self._db.execute("DELETE FROM captions WHERE input_id = ?", (input_id,))

    def _reject(self, input_id: int, reason: Reason, message: str, value: str | None, fix: str) -> None:
        file, row, _ = self._ledger.place_of(input_id)
        self._ledger.reject(input_id, Problem(reason, message, file=file, row=row, value=value, fix=fix))


def _is_part(said: CaptionText) -> bool:
    """Return whether a row holds attributes and nothing else: several of them speak of one image together."""
    return (
        said.caption is None
        and not (said.bag_of_words or said.extras or said.instruction)
        and said.score is None
    )
