"""Human Preference Datasets: HPDv2 (arXiv 2306.09341) and HPDv3 (https://huggingface.co/datasets/MizzenAI/HPDv3).

HPDv2 lists two paths and which of them was chosen. HPDv3 puts the preferred image first, so the order of its
sides says nothing of a bias.
"""

from builders.sources.cells import Cells
from builders.sources.intake import PairInput, Side, pair_id_of
from builders.sources.preferences.form import Annotators, Form
from schemas.preferences import Label, Status
from schemas.problems import Reason

_USERS = ("user_hash", "user_id")
_ONE_HOT = {(1, 0): Label.IMAGE_1, (0, 1): Label.IMAGE_2}


def _read_v2(cells: Cells, annotators: Annotators) -> PairInput | None:
    prompt = cells.text("prompt", required=True)
    paths, chosen = cells.items("image_path") or [], cells.items("human_preference") or []
    if len(paths) != 2 or not all(isinstance(path, str) and path for path in paths):
        cells.wrong("image_path", "the cell does not list two paths", "write both: [first, second]")
    label = _ONE_HOT.get(tuple(chosen)) if all(isinstance(mark, int | float) for mark in chosen) else None
    if label is None:
        message = "the cell is not [1, 0] or [0, 1]"
        cells.wrong("human_preference", message, "mark the one that was chosen", Reason.UNKNOWN_LABEL)
    if cells.problems or label is None:
        return None
    annotator = cells.first(_USERS)
    name = annotators.name(cells.text(annotator)) if annotator else None
    return PairInput(
        id=pair_id_of(prompt, paths),
        prompt=prompt,
        sides=(Side(paths[0], None), Side(paths[1], None)),
        votes=((name, label.value, Status.SUBMITTED.value),),
        is_whole=False,
    )


def _read_v3(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt", required=True)
    paths = [cells.text(column, required=True) for column in ("path1", "path2")]
    models = [cells.text(column) for column in ("model1", "model2")]
    confidence = cells.number("confidence", 0, 1)
    if paths[0] is None or paths[1] is None or cells.problems:
        return None
    return PairInput(
        id=pair_id_of(prompt, [paths[0], paths[1]]),
        prompt=prompt,
        sides=(Side(paths[0], models[0]), Side(paths[1], models[1])),
        votes=((None, Label.IMAGE_1.value, Status.SUBMITTED.value),),
        is_whole=False,
        confidence=confidence,
        sides_shuffled=False,
    )


V2 = Form((("prompt",), ("image_path",), ("human_preference",)), _read_v2, reads=_USERS)
V3 = Form((("prompt",), ("path1",), ("path2",)), _read_v3, reads=("model1", "model2", "confidence"))
