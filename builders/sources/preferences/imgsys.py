"""Results of the arena imgsys.org (https://huggingface.co/datasets/fal/imgsys-results), with images added.

The arena publishes `model_a, model_b, preference, prompt` and no images. A pair needs both, so this form
has two more columns, `image_a` and `image_b`, with paths, addresses or bytes. A preference of 0 is for
model a, 1 for model b, and any other whole number is a draw, as in src/calculate_elo.py of
fal-ai/imgsys-public.
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, pair_id_of
from builders.sources.preferences.form import Annotators, Form, read_side
from schemas.preferences import Label
from schemas.problems import Reason

_LABELS = {0.0: Label.IMAGE_1, 1.0: Label.IMAGE_2}


def _read(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt")
    sides = [read_side(cells, f"image_{side}", cells.text(f"model_{side}")) for side in "ab"]
    preference = cells.number("preference")
    if not cells.problems and (preference is None or not preference.is_integer()):
        message = "the preference is not a whole number"
        cells.wrong("preference", message, "write 0 for image_a, 1 for image_b, or 2", Reason.UNKNOWN_LABEL)
    if sides[0] is None or sides[1] is None or preference is None or cells.problems:
        return None
    return PairInput(
        id=pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=(RawVote(None, _LABELS.get(preference, Label.TIE).value),),
        is_whole=False,
    )


FORM = Form((("model_a",), ("model_b",), ("preference",), ("image_a",), ("image_b",)), _read)
