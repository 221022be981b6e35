"""The config `preferences` of a release: every pair with every vote, and no image files.

An image that the release had is named by its `image_id`, which is exact whatever its file is called now.
The kit computes counts and decisions again from the votes. It hashes annotators' names again, with this
source's key: one annotator keeps one name, but another one than before. Columns: `PreferencePair` in
schemas/preferences.py.
"""

from collections.abc import Mapping
from typing import Any, get_args

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput
from builders.sources.preferences.form import (
    Annotators,
    Form,
    has_image,
    join_id,
    read_choice,
    read_seconds,
    read_side,
    read_time,
)
from schemas.preferences import Label, LeftImage, PreferencePair, Status, VoteKind
from schemas.problems import Reason, suggest


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    pair_id = cells.text("id", required=True)
    sides = []
    for number in (1, 2):
        column = f"image_{number}_id" if has_image(cells, f"image_{number}_id") else f"image_{number}"
        sides.append(read_side(cells, column, cells.text(f"model_{number}")))
    votes = [_vote(cells, annotators, vote) for vote in cells.items("votes") or ()]
    confidence = cells.number("confidence", 0, 1)
    if pair_id is None or sides[0] is None or sides[1] is None or cells.problems:
        return None
    return PairInput(
        id=join_id(cells) or pair_id,
        prompt=cells.text("prompt"),
        sides=(sides[0], sides[1]),
        votes=tuple(votes),
        is_whole=True,
        category=cells.text("category"),
        sub_category=cells.text("sub_category"),
        evolution=cells.text("evolution"),
        confidence=confidence,
        sides_shuffled=str(cells.value("sides_shuffled")).strip().lower() not in ("false", "0"),
        status=cells.text("status"),
        license=cells.text("license"),
        prompt_license=cells.text("prompt_license"),
    )


def _vote(cells: Cells, annotators: Annotators, vote: object) -> RawVote:
    said: Mapping[str, Any] = vote if isinstance(vote, Mapping) else {"label": vote, "status": None}
    label, status = said.get("label"), said.get("status")
    # Places inside of the cell: the cell itself, which a problem would show, names annotators.
    for name, value, choices in (("label", label, list(Label)), ("status", status, list(Status))):
        if value not in choices and not (name == "label" and value is None):
            message = f"{value!r} is not the {name} of a vote"
            cells.wrong(f"votes.{name}", message, suggest(str(value), choices), Reason.UNKNOWN_LABEL)
    return RawVote(
        annotators.name(said.get("annotator")),
        None if label is None else str(label),
        str(status),
        # Releases of before campaigns have none of these.
        read_choice(cells, "votes.left", said.get("left"), get_args(LeftImage)),
        read_time(cells, "votes.time", said.get("time")),
        read_seconds(cells, "votes.seconds", said.get("seconds")),
        read_choice(cells, "votes.kind", said.get("kind"), get_args(VoteKind)),
    )


FORM = Form(
    (("id",), ("image_1",), ("image_2",), ("votes",), ("decision",)),
    _read,
    reads=tuple(PreferencePair.model_fields),
)
