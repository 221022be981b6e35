"""Tables for Diffusion-DPO, as diffusers and Salesforce read them: `jpg_0, jpg_1, label_0, caption`.

`label_0` is 1 if the first image is preferred and 0 if the second is; Pick-a-Pic's 0.5 is a tie. Sources:
examples/research_projects/diffusion_dpo/train_diffusion_dpo.py of huggingface/diffusers, and the layout
`diffusers-dpo` of `sfhq export`, whose further columns say which models made the images.
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, pair_id_of
from builders.sources.preferences.form import Annotators, Form, join_id, read_side
from schemas.preferences import Label
from schemas.problems import Reason

_LABELS = {1.0: Label.IMAGE_1, 0.0: Label.IMAGE_2, 0.5: Label.TIE}
_MODELS = ("chosen_model", "rejected_model")


def _read(cells: Cells, _: Annotators) -> PairInput | None:
    prompt, number = cells.text("caption"), cells.number("label_0", 0, 1)
    label = _LABELS.get(number) if number is not None else None
    if label is None:
        message = "the label is not 1, 0 or 0.5"
        cells.wrong(
            "label_0", message, "write 1 if the first image is preferred, else 0", Reason.UNKNOWN_LABEL
        )
    models = [cells.text(column) for column in (_MODELS[::-1] if label is Label.IMAGE_2 else _MODELS)]
    sides = [read_side(cells, f"jpg_{side}", model) for side, model in enumerate(models)]
    if sides[0] is None or sides[1] is None or label is None or cells.problems:
        return None
    return PairInput(
        id=join_id(cells) or pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=(RawVote(None, label.value),),
        is_whole=False,
        license=cells.text("votes_license"),
        prompt_license=cells.text("prompt_license"),
    )


FORM = Form(
    (("jpg_0",), ("jpg_1",), ("label_0",)),
    _read,
    lacks=("label_1",),
    # The last ones follow from the images and their models.
    reads=(
        *(*_MODELS, "id", "source", "votes_license", "prompt_license"),
        *("chosen_id", "rejected_id", "chosen_license", "rejected_license"),
    ),
    prompts=("caption",),
)
