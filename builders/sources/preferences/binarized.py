"""Tables of a chosen and a rejected image, such as the config `binarized` of a release.

open-image-preferences-v1-binarized has the columns of the kit's `binarized` up to `sub_category`
(https://huggingface.co/datasets/data-is-better-together/open-image-preferences-v1-binarized). TRL's
preference tables for models that see images have `images` beside `chosen` and `rejected`, and there both
are texts about the images (https://huggingface.co/docs/trl/dataset_formats): those are no votes on
images, and not this form.

The chosen image comes first, so the order of sides says nothing of a bias. A row is one vote: how many
people voted is not in such a table.
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, Side, pair_id_of
from builders.sources.preferences.form import Annotators, Form, has_image, join_id, read_side
from schemas.preferences import Label


def _read(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt")
    chosen, rejected = _side(cells, "chosen"), _side(cells, "rejected")
    if chosen is None or rejected is None or cells.problems:
        return None
    return PairInput(
        id=join_id(cells) or pair_id_of(prompt, [chosen.reference, rejected.reference]),
        prompt=prompt,
        sides=(chosen, rejected),
        votes=(RawVote(None, Label.IMAGE_1.value),),
        is_whole=False,
        category=cells.text("category"),
        sub_category=cells.text("sub_category"),
        evolution=cells.text("evolution"),
        sides_shuffled=False,
        license=cells.text("license"),
        prompt_license=cells.text("prompt_license"),
    )


def _side(cells: Cells, which: str) -> Side | None:
    """Take an image; where the table has it not, its id or its name in the source of the votes."""
    columns = (which, f"{which}_id", f"{which}_reference")
    column = next((column for column in columns if has_image(cells, column)), which)
    return read_side(cells, column, cells.text(f"{which}_model"))


FORM = Form(
    (("prompt",), ("chosen",), ("rejected",)),
    _read,
    lacks=("images", "image"),
    # The last ones are computed again, or follow from the others.
    reads=(
        *("id", "source", "chosen_model", "rejected_model", "category", "sub_category", "evolution"),
        *("chosen_id", "rejected_id", "chosen_reference", "rejected_reference"),
        *("license", "prompt_license", "agreement", "rule", "split"),
    ),
)
