"""GenAI-Bench (https://huggingface.co/datasets/TIGER-Lab/GenAI-Bench): votes from GenAI-Arena, one a row.

The columns are those of its config `image_generation`; `vote_type` is one of FastChat's four buttons:
left, right, tie, both are bad (arXiv 2406.04485). A tie beside "both are bad" does not say that both are
good.
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, pair_id_of
from builders.sources.preferences.form import Annotators, Form, read_side
from schemas.preferences import Label
from schemas.problems import Reason, suggest

_LABELS = {
    "leftvote": Label.IMAGE_1,
    "rightvote": Label.IMAGE_2,
    "tievote": Label.TIE,
    "bothbad_vote": Label.BOTH_BAD,
}


def _read(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt")
    sides = [read_side(cells, f"{side}_image", cells.text(f"{side}_model")) for side in ("left", "right")]
    vote = cells.text("vote_type", required=True)
    if vote is not None and vote not in _LABELS:
        message = f"{vote!r} is not the type of a vote"
        cells.wrong("vote_type", message, suggest(vote, _LABELS), Reason.UNKNOWN_LABEL)
    if sides[0] is None or sides[1] is None or vote is None or cells.problems:
        return None
    return PairInput(
        id=pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=(RawVote(None, _LABELS[vote].value),),
        is_whole=False,
    )


FORM = Form((("left_image",), ("right_image",), ("vote_type",)), _read, reads=("left_model", "right_model"))
