"""Human Preference Datasets: HPDv2 (arXiv 2306.09341) and HPDv3 (https://huggingface.co/datasets/MizzenAI/HPDv3).

HPDv2's train.json lists two paths and which of them was chosen. Its test.json ranks several: `rank` is
the average of `raw_annotations` [{rank, user_hash}], the smaller the better, as hpsv2/evaluation.py of
tgxs002/HPSv2 compares it with the order of scores. The paths are in `image_path` or `file_path`
(https://huggingface.co/datasets/ymhao/HPDv2). HPDv3 puts the preferred image first, so the order of its
sides says nothing of a bias.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, RankingInput, Side, pair_id_of
from builders.sources.preferences.form import Annotators, Form, read_ranked, read_ranks
from schemas.preferences import Label
from schemas.problems import Reason

_PATHS = ("image_path", "file_path")
_USERS = ("user_hash", "user_id")
_ONE_HOT = {(1, 0): Label.IMAGE_1, (0, 1): Label.IMAGE_2}


def _read_v2(cells: Cells, annotators: Annotators) -> PairInput | RankingInput | None:
    prompt, column = cells.text("prompt", required=True), cells.first(_PATHS) or _PATHS[0]
    paths, chosen = cells.items(column) or [], cells.items("human_preference") or []
    if len(paths) > 2:
        return _read_best(cells, annotators, prompt, column, chosen)
    if len(paths) != 2 or not all(isinstance(path, str) and path for path in paths):
        cells.wrong(column, "the cell does not list two paths", "write both: [first, second]")
    label = _ONE_HOT.get(tuple(chosen)) if all(isinstance(mark, int | float) for mark in chosen) else None
    if label is None:
        message = "the cell is not [1, 0] or [0, 1]"
        cells.wrong("human_preference", message, "mark the one that was chosen", Reason.UNKNOWN_LABEL)
    if cells.problems or label is None:
        return None
    return PairInput(
        id=pair_id_of(prompt, paths),
        prompt=prompt,
        sides=(Side(paths[0], None), Side(paths[1], None)),
        votes=(RawVote(_annotator(cells, annotators), label.value),),
        is_whole=False,
    )


def _annotator(cells: Cells, annotators: Annotators) -> str | None:
    column = cells.first(_USERS)
    return annotators.name(cells.text(column)) if column else None


def _read_best(
    cells: Cells, annotators: Annotators, prompt: str | None, column: str, chosen: Sequence[object]
) -> RankingInput | None:
    """Read which of several images was chosen: it is better than each other, which were not compared."""
    sides = read_ranked(cells, column)
    if [mark for mark in chosen if mark != 0] != [1] or (sides and len(chosen) != len(sides)):
        message = f"the cell does not mark one of the {len(sides or ())} images with 1 and the others with 0"
        cells.wrong("human_preference", message, "mark the one that was chosen", Reason.UNKNOWN_LABEL)
    if sides is None or cells.problems:
        return None
    best, name = chosen.index(1), _annotator(cells, annotators)
    rankings = [
        (name, tuple({best: 1.0, other: 2.0}.get(place) for place in range(len(sides))))
        for other in range(len(sides))
        if other != best
    ]
    return RankingInput(None, prompt, sides, tuple(rankings))


def _read_ranks(cells: Cells, annotators: Annotators) -> RankingInput | None:
    prompt, column = cells.text("prompt", required=True), cells.first(_PATHS) or _PATHS[0]
    sides = read_ranked(cells, column)
    if sides is None:
        return None
    rankings = []
    annotations = cells.items("raw_annotations") or ()
    for annotation in annotations:
        said: Mapping[str, Any] = annotation if isinstance(annotation, Mapping) else {}
        # A place inside of the cell: the cell itself, which a problem would show, names people.
        ranks = read_ranks(cells, "raw_annotations.rank", said.get("rank"), len(sides))
        if ranks is not None:
            rankings.append((annotators.name(said.get("user_hash")), ranks))
    if not annotations:  # the average alone: one vote for each pair
        ranks = read_ranks(cells, "rank", cells.items("rank"), len(sides))
        rankings = [(None, ranks)] if ranks is not None else []
    return RankingInput(None, prompt, sides, tuple(rankings)) if not cells.problems else None


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
        votes=(RawVote(None, Label.IMAGE_1.value),),
        is_whole=False,
        confidence=confidence,
        sides_shuffled=False,
    )


V2 = Form((("prompt",), _PATHS, ("human_preference",)), _read_v2, reads=_USERS)
V2_RANKS = Form(
    (("prompt",), _PATHS, ("rank", "raw_annotations")), _read_ranks, lacks=("prompt_id", "human_preference")
)
V3 = Form((("prompt",), ("path1",), ("path2",)), _read_v3, reads=("model1", "model2", "confidence"))
