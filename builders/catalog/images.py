"""The images of a catalog: one record for each different image, wherever and however often it came in."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builders.catalog.layout import IN_PART, Entry, Part
from builders.catalog.ledger import Insert, Ledger
from builders.catalog.splits import split_of
from builders.images.files import ImageFile
from builders.images.integrity import ImageFacts
from builders.sources.intake import ImageInput, ImageText, InputRow
from schemas.generators import Generator
from schemas.problems import BuildError, Problem, Reason
from schemas.records import DEFAULT_SPLIT, GENERATORS_KEY, ImageRecord, image_id_of

_SCHEMA = """
CREATE TABLE images (
    input_id INTEGER PRIMARY KEY, source TEXT, name TEXT, row INTEGER, path TEXT,
    sha256 TEXT, image_id TEXT, record TEXT, first_id INTEGER
);
"""
_INDEXES = """
CREATE INDEX images_by_content ON images (sha256, source, name, row);
CREATE INDEX images_by_name ON images (source, name);
CREATE INDEX images_by_first ON images (first_id);
CREATE INDEX images_by_id ON images (image_id);
"""
# An image that is not rejected, and those of them that are records of their own.
_KEPT = "(SELECT images.*, file FROM images JOIN inputs ON inputs.id = input_id WHERE rejected IS NULL)"
FIRST = f"(SELECT * FROM {_KEPT} WHERE first_id = input_id)"
_ORIGINS = (
    f"SELECT json_group_array(source || '/' || name) FROM (SELECT source, name FROM {_KEPT} copy "
    "WHERE copy.first_id = first.input_id AND copy.input_id <> first.input_id ORDER BY source, name)"
)
# In the order of the captions table, so that the list says the same as that.
_CAPTIONS = (
    "SELECT json_group_array(caption) FROM (SELECT caption FROM captions "
    "WHERE captions.image_id = first.image_id AND caption IS NOT NULL ORDER BY caption_id)"
)
# An image has one request at most.
_ASKED = (
    "coalesce((SELECT json_extract(requests.text, '$.attributes') FROM requests "
    "WHERE requests.image_id = first.image_id), '[]')"
)
# What a row says of its image, to compare it with what another says.
_SAID = (
    "json_extract(record, '$.prompt', '$.original_prompt', '$.generator', '$.config_json', "
    "'$.digital_source_type')"
)
_ROW_OF = f"SELECT input_id, row FROM {_KEPT} WHERE source = ? AND name = ? ORDER BY row"
_to_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Shown:
    """An image and a text that is said of it, if any: what features compare.

    Attributes:
        sha256: Digest of the image's bytes.
        file: Where the image is.
        text: The text.
    """

    sha256: str
    file: ImageFile
    text: str | None

    def __str__(self) -> str:
        """Name the image in messages."""
        return str(self.file)


@dataclass(frozen=True, slots=True)
class _Copy:
    """One of several images with the same bytes."""

    input_id: int
    source: str
    name: str
    text: str


class ImageCatalog:
    """Every image that came in.

    Args:
        db: The database, in which it makes its tables.
        ledger: The ledger of the same database.
        shares: Split → its share of the images; see `builders.catalog.splits`.
        generators: The generators that images may be of, by name.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        ledger: Ledger,
        shares: Mapping[str, float],
        generators: Mapping[str, Generator],
    ) -> None:
        self._db, self._ledger, self._shares, self._generators = db, ledger, shares, generators
        db.executescript(_SCHEMA)
        self._insert = Insert(db, f"INSERT INTO images VALUES ({', '.join('?' * 9)})")

    def add(
        self,
        input_id: int,
        row: InputRow,
        image: ImageInput,
        facts: ImageFacts | None,
        file: ImageFile | None,
    ) -> None:
        """Add an image, without facts if it cannot be read; one that is rejected already is kept by name."""
        stored = (input_id, row.source, row.name.encode(errors="backslashreplace").decode(), row.row)
        if facts is None or file is None or image.text is None or row.is_rejected:
            self._insert(*stored, *[None] * 5)
            return
        record = _record(row, image.text, facts, self._generators)
        content = (facts.sha256, record.image_id, _to_json(record.row()))
        self._insert(*stored, file.to_text(), *content, input_id)

    def resolve(self) -> None:
        """Settle what only all rows together show: repeated and contradictory rows, identical images.

        Raises:
            BuildError: Two different images share an image id.
        """
        self._insert.flush()
        self._db.executescript(_INDEXES)
        self._reject_repeated_rows()
        self._unite_identical_images()
        self._refuse_shared_ids()
        self._warn_of_shared_names()

    def published(self, part: Part | None = None) -> Iterator[tuple[dict[str, object], ImageFile]]:
        """Yield each record, or those of one part in its order, with where its image is.

        Without a part they come in order of image id. Ids are digests, so this order is a shuffle that
        depends on nothing but the images themselves.
        """
        query = f"SELECT record, path, ({self._origins}), ({self._captions}), {self._asked} FROM "
        if part is None:
            rows = self._db.execute(f"{query} {FIRST} first ORDER BY image_id")
        else:
            query += f"layout CROSS JOIN {FIRST} first ON image_id = key WHERE {IN_PART}"
            rows = self._db.execute(query, part.place)
        for written, path, other_origins, texts, asked in rows:
            record = json.loads(written)
            record["split"] = part.split if part else self._split_of(record["prompt"], record["image_id"])
            record["other_origins"] = json.loads(other_origins)
            record["captions"], record["prompt_attributes"] = json.loads(texts), json.loads(asked)
            yield record, ImageFile.from_text(path)

    def ids_as_read(self) -> Iterator[str]:
        """Yield the id of each record in the order in which the sources have them."""
        for (image_id,) in self._db.execute(f"SELECT image_id FROM {FIRST} ORDER BY input_id"):
            yield image_id

    def shown(self, part: Part) -> Iterator[Shown]:
        """Yield each image of a part with its prompt, in order."""
        query = (
            f"SELECT sha256, path, json_extract(record, '$.prompt') FROM layout "
            f"CROSS JOIN {FIRST} first ON image_id = key WHERE {IN_PART}"
        )
        for sha256, path, prompt in self._db.execute(query, part.place):
            yield Shown(sha256, ImageFile.from_text(path), prompt)

    def entries(self) -> Iterator[Entry]:
        """Yield what places each record, in order of image id."""
        said = "json_extract(record, '$.prompt'), json_extract(record, '$.num_bytes')"
        query = f"SELECT image_id, {said} FROM {FIRST} ORDER BY image_id"
        for image_id, prompt, num_bytes in self._db.execute(query):
            yield Entry(image_id, self._split_of(prompt, image_id), num_bytes)

    @property
    def _origins(self) -> str:
        """Select where else an image came from, as JSON; asked for each image only if any has two origins."""
        query = f"SELECT 1 FROM {_KEPT} WHERE first_id <> input_id LIMIT 1"
        return _ORIGINS if self._db.execute(query).fetchone() else "'[]'"

    @property
    def _captions(self) -> str:
        return _CAPTIONS if self._db.execute("SELECT 1 FROM captions LIMIT 1").fetchone() else "'[]'"

    @property
    def _asked(self) -> str:
        return _ASKED if self._db.execute("SELECT 1 FROM requests LIMIT 1").fetchone() else "'[]'"

    def num_rows(self) -> int:
        """Count the records."""
        return int(self._db.execute(f"SELECT count(*) FROM {FIRST}").fetchone()[0])

    def num_bytes(self) -> int:
        """Add up the sizes of the images to publish, in bytes."""
        query = f"SELECT coalesce(sum(json_extract(record, '$.num_bytes')), 0) FROM {FIRST}"
        return int(self._db.execute(query).fetchone()[0])

    def _split_of(self, prompt: str | None, image_id: str) -> str:
        return split_of(prompt or image_id, self._shares)

    def _reject_repeated_rows(self) -> None:
        """Of equal rows that name one image keep the first; of contradictory ones keep none."""
        names = self._db.execute(
            "SELECT images.source, images.name, count(DISTINCT raw) FROM images JOIN inputs ON id = input_id "
            "WHERE rejected IS NULL GROUP BY 1, 2 HAVING count(*) > 1"
        ).fetchall()
        for source, name, num_different in names:
            rows = self._db.execute(_ROW_OF, (source, name)).fetchall()
            if num_different > 1:
                numbers = ", ".join(str(row) for _, row in rows)
                message = f"rows {numbers} name this image and contradict each other"
                for input_id, _ in rows:
                    self._reject(input_id, Reason.CONFLICTING_ROWS, message, "keep the true one")
            else:
                message = f"row {rows[0][1]} says the same of this image"
                for input_id, _ in rows[1:]:
                    self._reject(input_id, Reason.DUPLICATE_ROW, message, "remove one of them")

    def _unite_identical_images(self) -> None:
        """Make one record of images with identical bytes from several sources.

        A second one in the same source is a mistake of that source and is rejected; where sources contradict
        each other about the image, the kit cannot know which is right, and none is published.
        """
        repeated = self._db.execute(
            f"SELECT sha256 FROM {_KEPT} GROUP BY sha256 HAVING count(*) > 1 ORDER BY sha256"
        ).fetchall()
        for (sha256,) in repeated:
            order = "WHERE sha256 = ? ORDER BY name, row, source"
            rows = self._db.execute(f"SELECT input_id, source, name, {_SAID} FROM {_KEPT} {order}", (sha256,))
            copies = self._reject_repeated_images([_Copy(*row) for row in rows])
            if len({copy.text for copy in copies}) > 1:
                places = ", ".join(f"{copy.source}/{copy.name}" for copy in copies)
                message = f"the images {places} have the same bytes, and their rows contradict each other"
                for copy in copies:
                    self._reject(copy.input_id, Reason.CONFLICTING_ROWS, message, "keep the true one")
            for copy in copies[1:]:
                update = "UPDATE images SET first_id = ? WHERE input_id = ?"
                self._db.execute(update, (copies[0].input_id, copy.input_id))

    def _reject_repeated_images(self, copies: list[_Copy]) -> list[_Copy]:
        kept: dict[str, _Copy] = {}
        fix = "remove the row, or replace the image if it should be another"
        for copy in copies:
            first = kept.setdefault(copy.source, copy)
            if first is not copy:
                message = f"the image has the same bytes as {first.source}/{first.name}, which is published"
                self._reject(copy.input_id, Reason.DUPLICATE_IMAGE, message, fix)
        return list(kept.values())

    def _refuse_shared_ids(self) -> None:
        query = (
            f"SELECT image_id, group_concat(source || '/' || name, ', ') FROM {FIRST} "
            "GROUP BY image_id HAVING count(*) > 1"
        )
        fix = "leave one of them out; if this is a real collision, lengthen ID_CHARS in schemas/records.py"
        problems = [
            Problem(Reason.RELEASE, f"the different images {names} share an id", value=image_id, fix=fix)
            for image_id, names in self._db.execute(query)
        ]
        if problems:
            raise BuildError(problems)

    def _warn_of_shared_names(self) -> None:
        """Warn of one name that stands for different images in several sources; both are published."""
        query = (
            f"SELECT min(input_id), name, group_concat(source, ', ') FROM {FIRST} "
            "GROUP BY name HAVING count(*) > 1"
        )
        for input_id, name, sources in self._db.execute(query).fetchall():
            message = f"the sources {sources} have different images of this name; `source` tells them apart"
            self._ledger.note(input_id, Problem(Reason.SHARED_NAME, message, value=name))

    def _reject(self, input_id: int, reason: Reason, message: str, fix: str) -> None:
        file, row, name = self._ledger.place_of(input_id)
        self._ledger.reject(
            input_id,
            Problem(reason, message, file=file, row=row, column="image_filename", value=name, fix=fix),
        )


def _record(
    row: InputRow, text: ImageText, facts: ImageFacts, generators: Mapping[str, Generator]
) -> ImageRecord:
    """Join what the source says of an image and what its bytes say."""
    values: dict[str, object] = {
        "image_id": image_id_of(facts.sha256),
        "prompt": text.prompt,
        "original_prompt": text.original_prompt,
        "captions": [],
        "prompt_attributes": [],
        "generator": text.generator,
        "settings": text.settings,
        "config_json": text.config_json,
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "mode": facts.mode,
        "num_bytes": facts.num_bytes,
        "sha256": facts.sha256,
        "license": generators[text.generator].terms.id,
        "digital_source_type": text.digital_source_type,
        "source": row.source,
        "file_name": row.name,
        "other_origins": [],
        "split": DEFAULT_SPLIT,
    }
    return ImageRecord.model_validate(values, context={GENERATORS_KEY: generators})
