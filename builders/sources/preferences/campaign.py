"""Votes of a campaign of the kit: one a line of `votes.jsonl`, `CampaignVote` in schemas/campaign.py.

The file is only ever added to. Lines with one `vote_id` are one vote, of which the last line holds: undo
writes the vote once more, as discarded. So an earlier line speaks of its pair and has no vote of its own.
Images are named after their content: the release's own are found by that, others beside the file.
"""

from functools import partial
from typing import get_args

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput
from builders.sources.preferences.form import (
    Annotators,
    Form,
    has_image,
    read_choice,
    read_seconds,
    read_side,
    read_time,
)
from schemas.campaign import ANSWERS, CampaignPair, CampaignVote
from schemas.preferences import LeftImage, Status, VoteKind

_VOTE_ID = "vote_id"
_LABELS = tuple(label.value for label in ANSWERS)
_STATUSES = (Status.SUBMITTED.value, Status.DISCARDED.value)


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    pair_id = cells.text("pair_id", required=True)
    cells.text(_VOTE_ID, required=True)
    sides = []
    for number in (1, 2):
        column = f"image_{number}" if has_image(cells, f"image_{number}") else f"image_{number}_id"
        sides.append(read_side(cells, column, cells.text(f"model_{number}")))
    choice = partial(read_choice, cells)
    vote = RawVote(
        annotator=annotators.name(cells.text("annotator", required=True)),
        label=choice("label", cells.value("label"), _LABELS, required=True),
        status=choice("status", cells.value("status"), _STATUSES, required=True) or "",
        left=choice("left", cells.value("left"), get_args(LeftImage)),
        time=read_time(cells, "time", cells.value("time")),
        seconds=read_seconds(cells, "seconds", cells.value("seconds")),
        kind=choice("kind", cells.value("kind"), get_args(VoteKind)),
    )
    if pair_id is None or sides[0] is None or sides[1] is None or cells.problems:
        return None
    return PairInput(
        id=pair_id,
        prompt=cells.text("prompt"),
        sides=(sides[0], sides[1]),
        votes=(vote,),
        is_whole=False,
        category=cells.text("category"),
        sub_category=cells.text("sub_category"),
        evolution=cells.text("evolution"),
        license=cells.text("license"),
        prompt_license=cells.text("prompt_license"),
    )


FORM = Form(
    ((_VOTE_ID,), ("pair_id",), ("annotator",), ("label",), ("image_1",), ("image_2",)),
    _read,
    reads=(*CampaignVote.model_fields, *CampaignPair.model_fields),
    last_of=_VOTE_ID,
    images_beside=True,
)
