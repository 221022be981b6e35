"""Pick-a-Pic (https://huggingface.co/datasets/yuvalkirstain/pickapic_v2): one person's choice a row.

Several rows may rank one pair, in either order of sides: they become votes on it.
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, Side, pair_id_of
from builders.sources.preferences.form import Annotators, Form, has_image, read_side
from schemas.preferences import Label
from schemas.problems import Reason

_BY_LABELS = {(1.0, 0.0): Label.IMAGE_1, (0.0, 1.0): Label.IMAGE_2, (0.5, 0.5): Label.TIE}


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    prompt = cells.text("caption")
    sides = [_side(cells, number) for number in (0, 1)]
    votes = _votes(cells, annotators)
    if sides[0] is None or sides[1] is None or votes is None:
        return None
    return PairInput(
        id=pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=votes,
        is_whole=False,
    )


def _side(cells: Cells, number: int) -> Side | None:
    """Take one image: its bytes, or else its address or id."""
    columns = (f"jpg_{number}", f"image_{number}_url", f"image_{number}_uid")
    column = next((column for column in columns if has_image(cells, column)), columns[0])
    return read_side(cells, column, cells.text(f"model_{number}"), cells.text(columns[-1]))


def _votes(cells: Cells, annotators: Annotators) -> tuple[RawVote, ...] | None:
    if str(cells.value("has_label")).strip().lower() in ("false", "0", "0.0"):
        return ()
    labels = cells.number("label_0", 0, 1), cells.number("label_1", 0, 1)
    label = _BY_LABELS.get((labels[0], labels[1])) if None not in labels else None  # type: ignore[arg-type]
    if label is None:
        message = f"the labels are {labels[0]} and {labels[1]}: one must be 1, or both 0.5"
        cells.wrong("label_0", message, "correct them", Reason.UNKNOWN_LABEL)
        return None
    return (RawVote(annotators.name(cells.text("user_id")), label.value),)


FORM = Form(
    (
        *(("label_0",), ("label_1",)),
        *((f"jpg_{number}", f"image_{number}_url", f"image_{number}_uid") for number in (0, 1)),
    ),
    _read,
    reads=("model_0", "model_1", "has_label", "user_id"),
    prompts=("caption",),
)
