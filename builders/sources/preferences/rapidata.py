"""Rapidata comparisons (https://huggingface.co/Rapidata): how many people chose each image."""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, pair_id_of
from builders.sources.preferences.form import Annotators, Form, read_side
from schemas.preferences import Label

_MAX_COUNT = 10_000  # each vote is published as one


def _read(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt", required=True)
    sides = [read_side(cells, f"image{number}", cells.text(f"model{number}")) for number in (1, 2)]
    counts = [cells.count(f"votes_image{number}") for number in (1, 2)]
    for number, count in enumerate(counts, start=1):
        if count > _MAX_COUNT:
            message = f"there are more than {_MAX_COUNT:,} votes for one image"
            cells.wrong(f"votes_image{number}", message, "correct the count")
    if sides[0] is None or sides[1] is None or cells.problems:
        return None
    # Counts name no annotators, so each vote stands for an annotator of its own.
    votes = [
        RawVote(None, label.value)
        for label, count in zip((Label.IMAGE_1, Label.IMAGE_2), counts, strict=True)
        for _ in range(count)
    ]
    return PairInput(
        id=pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=tuple(votes),
        is_whole=False,
    )


FORM = Form(
    (("prompt",), ("image1",), ("image2",), ("votes_image1",), ("votes_image2",)),
    _read,
    reads=("model1", "model2"),
)
