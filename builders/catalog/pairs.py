"""The pairs of a catalog: two images each, with the votes on them, wherever each vote came in."""

import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Self

from builders.catalog.annotators import note_one_sided
from builders.catalog.layout import IN_PART, Entry, Part
from builders.catalog.ledger import Insert, Ledger
from builders.catalog.ranks import Ranks
from builders.catalog.references import References
from builders.catalog.splits import split_of
from builders.images.files import ImageFile
from builders.images.integrity import ImageFacts
from builders.preferences.votes import RULES, RawVote, agreement
from builders.sources.intake import InputRow, PairInput, RankingInput, RankInput, Side
from schemas.preferences import Label, PreferencePair, public_reference
from schemas.problems import Place, Problem, Reason, name_some
from schemas.records import ID_CHARS, image_id_of

# A pair has one row here for each input row that speaks of it: all votes together, or one each. One made
# of two ranks names the worse one's row as `other_id`. Those of rejected rows are taken out. The sides are
# filled in from the pairs, but for those whose image came with them.
_SCHEMA = """
CREATE TABLE pairs (
    input_id INTEGER, other_id INTEGER, source TEXT, file TEXT, row INTEGER, place TEXT, id TEXT,
    image_1 TEXT, image_2 TEXT, of TEXT, is_whole INTEGER, content TEXT, votes TEXT
);
CREATE TABLE sides (
    source TEXT, image TEXT, of TEXT, input_id INTEGER,
    image_id TEXT, path TEXT, sha256 TEXT, format TEXT, num_bytes INTEGER, problem TEXT,
    PRIMARY KEY (source, image)
) WITHOUT ROWID;
"""
_KEY = "(pair.source || '/' || pair.id)"
_INDEXES = f"""
CREATE INDEX pairs_by_key ON pairs ({_KEY.replace("pair.", "")});
CREATE INDEX pairs_by_id ON pairs (place, source, id);
CREATE INDEX pairs_by_input ON pairs (input_id);
CREATE INDEX pairs_by_other_input ON pairs (other_id) WHERE other_id IS NOT NULL;
"""
_FILL_SIDES = """
INSERT OR IGNORE INTO sides (source, image, of, input_id)
    SELECT source, image, of, min(input_id) FROM (
        SELECT source, image_1 AS image, of, input_id FROM pairs
        UNION ALL SELECT source, image_2, of, input_id FROM pairs
    ) GROUP BY source, image;
"""
_SIDES = (
    "JOIN sides one ON one.source = pair.source AND one.image = image_1 "
    "JOIN sides two ON two.source = pair.source AND two.image = image_2"
)
_FILE = "{0}.image_id, {0}.path, {0}.sha256, {0}.format, {0}.num_bytes"
# What a pair's rows say of it beside its images, models and votes.
_SAID = (
    *("prompt", "category", "sub_category", "evolution"),
    *("confidence", "sides_shuffled", "status", "license", "prompt_license"),
)
_MAX_NUMBERS = 10
_to_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Loose:
    """An image that a pair names and that no image source has: to be looked for elsewhere.

    Attributes:
        source: Source of the pair.
        reference: The image as that names it.
        input_id: The first row that names it.
    """

    source: str
    reference: str
    input_id: int


@dataclass(frozen=True, slots=True)
class Stored:
    """An image file whose bytes have been looked at."""

    image_id: str
    file: ImageFile
    sha256: str
    format: str
    num_bytes: int

    @classmethod
    def of(cls, file: ImageFile, facts: ImageFacts) -> Self:
        """Join a file and what its bytes say."""
        return cls(image_id_of(facts.sha256), file, facts.sha256, facts.format, facts.num_bytes)


@dataclass(frozen=True, slots=True)
class PublishedPair:
    """A pair's row, and the image files of its sides where they are at hand."""

    record: PreferencePair
    files: tuple[Stored | None, Stored | None]


class PairCatalog:
    """Every pair, vote and rank that came in.

    Args:
        db: The database, in which it makes its tables.
        ledger: The ledger of the same database.
        shares: Split → its share of the pairs; see `builders.catalog.splits`.
    """

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, shares: Mapping[str, float]) -> None:
        self._db, self._ledger, self._shares = db, ledger, shares
        db.executescript(_SCHEMA)
        self._insert = Insert(db, f"INSERT INTO pairs VALUES ({', '.join('?' * 13)})")
        self._ranks = Ranks(db, ledger, self.add, self._reject_repeated)
        self._insert_side = Insert(db, f"INSERT OR IGNORE INTO sides VALUES ({', '.join('?' * 9)}, NULL)")

    def add(
        self,
        input_id: int,
        row: InputRow,
        pair: PairInput,
        files: Sequence[Stored | None] = (),
        *,
        other_id: int | None = None,
    ) -> None:
        """Add a pair, or a vote on one, that is not rejected, with image files that came with it."""
        first, second = pair.sides
        content = {name: getattr(pair, name) for name in _SAID} | {"models": (first.model, second.model)}
        self._insert(
            *(input_id, other_id, row.source, row.file, row.row, _digest(row.source, pair.id), pair.id),
            *(first.reference, second.reference, pair.of, pair.is_whole),
            *(_to_json(content), _to_json(pair.votes)),
        )
        self._keep(input_id, row.source, pair.sides, files)

    def add_rank(
        self, input_id: int, row: InputRow, rank: RankInput, files: Sequence[Stored | None] = ()
    ) -> None:
        """Add the rank of one image that is not rejected, with the image file if it came with it."""
        self._ranks.add(input_id, row, rank)
        self._keep(input_id, row.source, rank.sides, files)

    def add_ranking(
        self, input_id: int, row: InputRow, ranking: RankingInput, files: Sequence[Stored | None] = ()
    ) -> None:
        """Add a pair for every two compared images of a ranking, with image files that came with it."""
        self._ranks.add_ranking(input_id, row, ranking)
        self._keep(input_id, row.source, ranking.sides, files)

    def resolve(self, references: References) -> None:
        """Make pairs of ranks, reject repeated pairs, and find the images that the release has."""
        self._flush()
        self._db.executescript(_INDEXES)
        self._ranks.make_pairs()
        self._flush()
        self._reject_repetitions()
        self._reject_contradictions()
        self._reject_same_image("SELECT input_id, file, row, image_1 FROM pairs WHERE image_1 = image_2")
        self._db.executescript(_FILL_SIDES)
        found = [
            (image_id, source, image)
            for source, image, of in self._db.execute(
                "SELECT source, image, of FROM sides WHERE image_id IS NULL"
            )
            if (image_id := references.find(image, of).image_id) is not None
        ]
        self._db.executemany(
            "UPDATE sides SET (image_id, path, sha256, format, num_bytes) = (SELECT image_id, path, sha256, "
            "json_extract(record, '$.format'), json_extract(record, '$.num_bytes') FROM images "
            "WHERE image_id = ? AND first_id = input_id) WHERE source = ? AND image = ?",
            found,
        )

    def loose(self) -> Iterator[Loose]:
        """Yield the images that the release does not have, by source and reference."""
        query = "SELECT source, image, input_id FROM sides WHERE image_id IS NULL ORDER BY source, image"
        return (Loose(*row) for row in self._db.execute(query).fetchall())

    def locate(self, loose: Loose, file: Stored) -> None:
        """Record where a loose image is; it is published in `binarized` only."""
        self._db.execute(
            "UPDATE sides SET image_id = ?, path = ?, sha256 = ?, format = ?, num_bytes = ? "
            "WHERE source = ? AND image = ?",
            (*_columns(file), loose.source, loose.reference),
        )

    def give_up(self, loose: Loose, problem: str) -> None:
        """Record why a loose image that was found cannot be used."""
        update = "UPDATE sides SET problem = ? WHERE source = ? AND image = ?"
        self._db.execute(update, (problem, loose.source, loose.reference))

    def settle(self) -> None:
        """Reject pairs of an image with itself or of an excluded one; note what else is odd."""
        self._reject_excluded_images()
        self._reject_same_image(
            f"SELECT pair.input_id, file, row, image_1 FROM pairs pair {_SIDES} "
            "WHERE one.image_id = two.image_id"
        )
        self._ranks.reject_lone()
        self._note_missing_images()
        note_one_sided(self._db, self._ledger)
        self._ledger.flush()

    def num_rows(self) -> int:
        """Count the pairs to publish."""
        query = "SELECT count(*) FROM (SELECT DISTINCT place, source, id FROM pairs)"
        return int(self._db.execute(query).fetchone()[0])

    def published(self, rule: str, part: Part | None = None) -> Iterator[PublishedPair]:
        """Yield each pair, or those of one part in its order, with its votes and what they come to by a rule.

        Without a part the order is that of a digest of source and id: a shuffle without meaning.
        """
        query = (
            "SELECT pair.source, id, image_1, votes, file, row, image_2, content, "
            f"{_FILE.format('one')}, {_FILE.format('two')} FROM "
        )
        if part is None:
            query += f"pairs pair {_SIDES} ORDER BY place, pair.source, id, pair.rowid"
        else:
            query += f"layout CROSS JOIN pairs pair ON {_KEY} = +key {_SIDES} WHERE {IN_PART}, pair.rowid"
        found = self._db.execute(query, part.place if part else ())
        for _, group in itertools.groupby(found, key=itemgetter(0, 1)):
            parts = list(group)
            source, pair_id, image_1, _, file, row, image_2, content, *files = parts[0]
            half = len(files) // 2
            first, second = _stored(files[:half]), _stored(files[half:])
            said = json.loads(content)
            model_1, model_2 = said.pop("models")
            record = PreferencePair(
                id=pair_id,
                image_1=public_reference(image_1),
                image_2=public_reference(image_2),
                image_1_id=first and first.image_id,
                image_2_id=second and second.image_id,
                model_1=model_1,
                model_2=model_2,
                source=source,
                file=file,
                row=row,
                split=split_of(said["prompt"] or pair_id, self._shares),
                **said,
                **_decided(_votes(parts), rule),
            )
            yield PublishedPair(record, (first, second))

    def entries(self) -> Iterator[Entry]:
        """Yield what places each pair, in the order of `published`."""
        query = (
            f"SELECT {_KEY}, id, json_extract(content, '$.prompt'), "
            "coalesce(one.num_bytes, 0) + coalesce(two.num_bytes, 0), "
            "min(pair.rowid) "  # SQLite then takes the other values from that row
            f"FROM pairs pair {_SIDES} GROUP BY place, pair.source, id ORDER BY place, pair.source, id"
        )
        for key, pair_id, prompt, num_bytes, _ in self._db.execute(query):
            yield Entry(key, split_of(prompt or pair_id, self._shares), num_bytes)

    def _keep(
        self, input_id: int, source: str, sides: Sequence[Side], files: Sequence[Stored | None]
    ) -> None:
        """Take in image files that came with a row."""
        for side, file in zip(sides, files, strict=False):
            if file is not None:
                self._insert_side(source, side.reference, None, input_id, *_columns(file))

    def _flush(self) -> None:
        self._insert.flush()
        self._insert_side.flush()

    def _note_missing_images(self) -> None:
        """Note each image that was found and cannot be used, and how many of a source are nowhere."""
        query = "SELECT input_id, image, problem FROM sides WHERE problem IS NOT NULL"
        for input_id, image, problem in self._db.execute(query).fetchall():
            self._note(input_id, Reason.IMAGE_NOT_USABLE, problem, image, "correct it, or do without")
        query = (
            "SELECT min(input_id), image, source, count(*) FROM sides "
            "WHERE image_id IS NULL AND problem IS NULL GROUP BY source"
        )
        fix = "give their folder as `images` of this source in [[sources]], or run with --fetch-images"
        for input_id, image, source, count in self._db.execute(query).fetchall():
            message = f"{count:,} images are nowhere here; the pairs of {source} are published without them"
            self._note(input_id, Reason.IMAGE_NOT_HERE, message, image, fix)

    def _note(self, input_id: int, reason: Reason, message: str, image: str, fix: str) -> None:
        file, row, _ = self._ledger.place_of(input_id)
        value = public_reference(image)
        self._ledger.note(input_id, Problem(reason, message, file=file, row=row, value=value, fix=fix))

    def _reject_excluded_images(self) -> None:
        """Reject the rows that name excluded images, whose bytes would else be in `binarized`."""
        # Of two ranks each row names an image; of a pair one row names both.
        query = (
            f"SELECT pair.input_id, image_1, reason FROM pairs pair {_SIDES} "
            "JOIN excluded ON excluded.image_id = one.image_id "
            f"UNION SELECT coalesce(other_id, pair.input_id), image_2, reason FROM pairs pair {_SIDES} "
            "JOIN excluded ON excluded.image_id = two.image_id ORDER BY 1, 2"
        )
        found = {input_id: (image, reason) for input_id, image, reason in self._db.execute(query).fetchall()}
        for input_id, (image, reason) in found.items():
            file, row, _ = self._ledger.place_of(input_id)
            message = f"an image of it is excluded itself: {reason}"
            value = public_reference(image)
            place = Place(file=file, row=row)
            problem = place.problem(Reason.EXCLUDED, message, value=value, fix="no action is needed")
            self._reject(input_id, problem)

    def _reject_same_image(self, query: str) -> None:
        """Reject the rows of pairs that a query gives as (input, file, row, image)."""
        # A row that ranks several images stands here once for each two that are the same.
        rows = {input_id: place for input_id, *place in self._db.execute(query).fetchall()}
        for input_id, (file, row, image) in rows.items():
            message, fix = "both sides are the same image", "correct one of them"
            problem = Problem(Reason.SAME_IMAGE_TWICE, message, file=file, row=row, value=image, fix=fix)
            self._reject(input_id, problem)

    def _reject(self, input_id: int, problem: Problem) -> None:
        self._ledger.reject(input_id, problem)
        self._db.execute("DELETE FROM pairs WHERE input_id = ?1 OR other_id = ?1", (input_id,))

    def _reject_repetitions(self) -> None:
        """Of equal rows that hold all votes on one pair keep the first; of contradictory ones keep none."""
        repeated = self._db.execute(
            "SELECT place, source, id FROM pairs WHERE is_whole GROUP BY 1, 2, 3 HAVING count(*) > 1"
        ).fetchall()
        for key in repeated:
            query = (
                "SELECT input_id, file, row, image_1, image_2, content, votes FROM pairs "
                "WHERE place = ? AND source = ? AND id = ? ORDER BY input_id"
            )
            rows = self._db.execute(query, key).fetchall()
            is_same = len({row[3:] for row in rows}) == 1
            self._reject_repeated([row[:3] for row in rows], key[-1], is_same=is_same)

    def _reject_contradictions(self) -> None:
        """Reject votes on one pair whose rows name other images, models or prompts for it."""
        repeated = self._db.execute(
            "SELECT place, source, id FROM pairs WHERE NOT is_whole GROUP BY 1, 2, 3 HAVING count(*) > 1 "
            "AND count(DISTINCT json_array(image_1, image_2, json_extract(content, '$.models'), "
            "json_extract(content, '$.prompt'))) > 1"
        ).fetchall()
        for key in repeated:
            query = (
                "SELECT input_id, file, row, image_1, image_2, content FROM pairs "
                "WHERE place = ? AND source = ? AND id = ? ORDER BY input_id"
            )
            rows = self._db.execute(query, key).fetchall()
            what = _contradiction([row[3:] for row in rows])
            numbers = name_some((str(row) for _, _, row, *_ in rows), _MAX_NUMBERS)
            for input_id, file, row, *_ in rows if what else ():
                place = Place(file=file, row=row)
                message = f"rows {numbers} are votes on this pair, and give it different {what}"
                fix = "correct the wrong rows, or give other pairs other ids"
                problem = place.problem(Reason.CONFLICTING_ROWS, message, value=key[-1], fix=fix)
                self._reject(input_id, problem)

    def _reject_repeated(self, rows: Sequence[tuple[int, str, int]], value: str, *, is_same: bool) -> None:
        """Reject rows that speak of one thing: all but the first if they are equal, otherwise all."""
        if is_same:
            reason, rejected = Reason.DUPLICATE_ROW, rows[1:]
            message, fix = f"row {rows[0][2]} says the same", "remove one of them"
        else:
            reason, rejected = Reason.CONFLICTING_ROWS, rows
            numbers = ", ".join(str(row) for _, _, row in rows)
            message, fix = f"rows {numbers} speak of this and contradict each other", "keep the true one"
        for input_id, file, row in rejected:
            self._reject(input_id, Problem(reason, message, file=file, row=row, value=value, fix=fix))


def _digest(*parts: str) -> str:
    content = "\0".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(content).hexdigest()[:ID_CHARS]


def _contradiction(rows: Sequence[tuple[str, str, str]]) -> str | None:
    """Say what rows on one pair contradict each other about; None if they do not.

    Args:
        rows: (image_1, image_2, content) of each. Either image may stand first; a row without a model or a
            prompt contradicts no other.
    """
    if len({frozenset(images) for *images, _ in rows}) > 1:
        return "images"
    models: dict[str, set[str]] = {}
    prompts = set()
    for *images, content in rows:
        said = json.loads(content)
        prompts.add(said["prompt"])
        for image, model in zip(images, said["models"], strict=True):
            models.setdefault(image, set()).add(model)
    for named in models.values():
        if len(named - {None}) > 1:
            return f"models: {name_some(sorted(named - {None}), _MAX_NUMBERS)}"
    return "prompts" if len(prompts - {None}) > 1 else None


def _votes(parts: Sequence[tuple[Any, ...]]) -> list[RawVote]:
    """Gather the votes on one pair; where a row has the sides the other way round, its votes are turned."""
    first = parts[0][2]
    votes: list[RawVote] = []
    for _, _, image_1, written, *_ in parts:
        said = (RawVote(*vote) for vote in json.loads(written))
        votes += (vote if image_1 == first else vote.mirrored() for vote in said)
    return votes


def _decided(votes: Sequence[RawVote], rule: str) -> dict[str, Any]:
    """Count votes; the result has fields of `PreferencePair`."""
    counts = RULES[rule].count(votes)
    return {
        "votes": [vote._asdict() for vote in votes],
        "num_responses": len(votes),
        "votes_image_1": counts[Label.IMAGE_1],
        "votes_image_2": counts[Label.IMAGE_2],
        "votes_both_good": counts[Label.BOTH_GOOD],
        "votes_both_bad": counts[Label.BOTH_BAD],
        "votes_tie": counts[Label.TIE],
        "votes_toxic": counts[Label.TOXIC],
        "decision": RULES[rule].decide(counts),
        "rule": rule,
        "agreement": agreement(counts),
    }


def _stored(file: Sequence[Any]) -> Stored | None:
    image_id, path, *rest = file
    return Stored(image_id, ImageFile.from_text(path), *rest) if image_id is not None else None


def _columns(file: Stored) -> tuple[str, str, str, str, int]:
    """Lay a file out as `_FILE` names its columns."""
    return file.image_id, file.file.to_text(), file.sha256, file.format, file.num_bytes
