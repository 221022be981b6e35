"""The ranks of a catalog: images that were ranked for one prompt, of which every two become a pair."""

import itertools
import json
import sqlite3
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol

from builders.catalog.ledger import Insert, Ledger
from builders.preferences.votes import RawVote
from builders.sources.intake import (
    MAX_RANKED,
    InputRow,
    PairInput,
    RankingInput,
    RankInput,
    Side,
    pair_id_of,
)
from schemas.preferences import Label
from schemas.problems import Place, Reason, name_some

_SCHEMA = """
CREATE TABLE ranks (
    input_id INTEGER, file TEXT, row INTEGER, source TEXT, prompt_id TEXT, rank REAL, image TEXT, content TEXT
);
"""
_MAX_NUMBERS = 10
_to_json = json.JSONEncoder(ensure_ascii=False).encode


class AddPair(Protocol):
    """Adds a pair that an input row gives, with a second row for the pair of two ranks."""

    def __call__(  # noqa: D102 - the class says it
        self, input_id: int, row: InputRow, pair: PairInput, *, other_id: int | None = None
    ) -> None: ...


class RejectRepeated(Protocol):
    """Rejects rows, as (input, file, row), that speak of one thing, whose name is `value`."""

    def __call__(  # noqa: D102
        self, rows: Sequence[tuple[int, str, int]], value: str, *, is_same: bool
    ) -> None: ...


class Ranks:
    """Every rank that came in, one image a row, until pairs are made of them.

    Args:
        db: The database, in which it makes its table.
        ledger: The ledger of the same database.
        add_pair: Takes the pairs.
        reject_repeated: Rejects images that one prompt has several times.
    """

    def __init__(
        self, db: sqlite3.Connection, ledger: Ledger, add_pair: AddPair, reject_repeated: RejectRepeated
    ) -> None:
        self._db, self._ledger = db, ledger
        self._add_pair, self._reject_repeated = add_pair, reject_repeated
        db.executescript(_SCHEMA)
        self._insert = Insert(db, f"INSERT INTO ranks VALUES ({', '.join('?' * 8)})")

    def add(self, input_id: int, row: InputRow, rank: RankInput) -> None:
        """Add the rank of one image that is not rejected."""
        content = {name: getattr(rank, name) for name in ("prompt", "of", "license", "prompt_license")}
        self._insert(
            *(input_id, row.file, row.row, row.source, rank.prompt_id, rank.rank, rank.side.reference),
            _to_json(content | {"model": rank.side.model}),
        )

    def add_ranking(self, input_id: int, row: InputRow, ranking: RankingInput) -> None:
        """Make a pair of every two compared images of a ranking; equal ranks are a tie."""
        for first, second in itertools.combinations(range(len(ranking.sides)), 2):
            votes = tuple(
                RawVote(annotator, _label(ranks[first], ranks[second]))
                for annotator, ranks in ranking.rankings
                if ranks[first] is not None and ranks[second] is not None
            )
            sides = ranking.sides[first], ranking.sides[second]
            # Two rows of one id with different prompts then give equal ids of pairs, and contradict.
            pair_id = pair_id_of(None if ranking.id else ranking.prompt, [side.reference for side in sides])
            pair = PairInput(
                id=f"{ranking.id}-{pair_id}" if ranking.id else pair_id,
                prompt=ranking.prompt,
                sides=sides,
                votes=votes,
                is_whole=True,
                of=ranking.of,
                sides_shuffled=False,  # images may be listed in the order of their ranks
                license=ranking.license,
                prompt_license=ranking.prompt_license,
            )
            if votes:
                self._add_pair(input_id, row, pair)

    def make_pairs(self) -> None:
        """Make a pair of every two images that were ranked for one prompt; equal ranks are a tie."""
        self._insert.flush()
        rows = self._db.execute("SELECT * FROM ranks ORDER BY source, prompt_id, rank, input_id").fetchall()
        for _, group in itertools.groupby(map(_Ranked._make, rows), key=attrgetter("source", "prompt_id")):
            rows_of_prompt = list(group)
            prompts = {json.loads(row.content)["prompt"] for row in rows_of_prompt} - {None}
            if len(prompts) > 1:
                self._reject_prompts(rows_of_prompt, len(prompts))
                continue
            ranked = self._without_repetitions(rows_of_prompt)
            if len(ranked) <= MAX_RANKED:
                for better, worse in itertools.combinations(ranked, 2):
                    self._pair(better, worse)
            else:
                message = (
                    f"the prompt has {len(ranked)} ranked images: pairs are made of at most {MAX_RANKED}"
                )
                for image in ranked:
                    self._reject(image, message, "give fewer, or the pairs that were compared")

    def reject_lone(self) -> None:
        """Reject ranks that no pair came of."""
        rows = self._db.execute(
            "SELECT ranks.* FROM ranks JOIN inputs ON inputs.id = input_id WHERE rejected IS NULL "
            "AND input_id NOT IN (SELECT input_id FROM pairs UNION ALL SELECT other_id FROM pairs "
            "WHERE other_id IS NOT NULL) ORDER BY input_id"
        ).fetchall()
        for image in map(_Ranked._make, rows):
            message = "the prompt has no other ranked image to compare this one with"
            self._reject(image, message, "complete the ranking")

    def _without_repetitions(self, ranked: list["_Ranked"]) -> list["_Ranked"]:
        """Leave out images that one prompt has several times."""
        by_image: dict[str, list[_Ranked]] = {}
        for row in ranked:
            by_image.setdefault(row.image, []).append(row)
        kept = []
        for image, rows in by_image.items():
            is_same = len({(row.rank, row.content) for row in rows}) == 1
            if len(rows) > 1:
                self._reject_repeated([row[:3] for row in rows], image, is_same=is_same)
            kept += rows[:1] if is_same else []
        return kept

    def _pair(self, better: "_Ranked", worse: "_Ranked") -> None:
        said, other = json.loads(better.content), json.loads(worse.content)
        prompt = said["prompt"] or other["prompt"]
        pair = PairInput(
            id=f"{better.prompt_id}-{pair_id_of(prompt, [better.image, worse.image])}",
            prompt=prompt,
            sides=(Side(better.image, said["model"]), Side(worse.image, other["model"])),
            votes=(RawVote(None, (Label.TIE if better.rank == worse.rank else Label.IMAGE_1).value),),
            is_whole=False,
            of=said["of"],
            sides_shuffled=False,
            license=said["license"],
            prompt_license=said["prompt_license"],
        )
        row = InputRow(better.source, better.file, better.row, "", pair.id, pair, ())
        self._add_pair(better.input_id, row, pair, other_id=worse.input_id)

    def _reject_prompts(self, ranked: Sequence["_Ranked"], num_prompts: int) -> None:
        """Reject ranks of several prompts under one id: images of different prompts were not compared."""
        numbers = name_some((str(number) for number in sorted(row.row for row in ranked)), _MAX_NUMBERS)
        message = f"rows {numbers} have this prompt_id and {num_prompts} different prompts"
        for image in ranked:
            self._reject(image, message, "give each prompt its own prompt_id", Reason.CONFLICTING_ROWS)

    def _reject(self, image: "_Ranked", message: str, fix: str, reason: Reason = Reason.BAD_VALUE) -> None:
        place = Place(file=image.file, row=image.row, column="prompt_id")
        self._ledger.reject(image.input_id, place.problem(reason, message, value=image.prompt_id, fix=fix))


class _Ranked(NamedTuple):
    """A row of `ranks`."""

    input_id: int
    file: str
    row: int
    source: str
    prompt_id: str
    rank: float
    image: str
    content: str


def _label(first: float | None, second: float | None) -> str:
    """Say what two ranks say of their images; neither is None."""
    if first == second:
        return Label.TIE.value
    return (Label.IMAGE_1 if (first or 0) < (second or 0) else Label.IMAGE_2).value
