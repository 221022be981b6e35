"""Label Studio's export in JSON (https://labelstud.io/guide/export): one task a row, with its annotations.

The tasks are of `sfhq campaign export --for label-studio`, or have `image_1` and `image_2` in their `data`
(`image1` and `image2` in Label Studio's own templates). An annotation says left or right by a control
`Pairwise` or `Choices`, and ties and toxic content by `Choices`. The task's `left` names the image that was
on the left; without it, that is image 1. Its `kind` says whether it asks about its `pair_id` once more, so
that several tasks are of one pair. A skipped task is a discarded vote.
"""

from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import unquote

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, Side
from builders.sources.preferences.form import (
    Annotators,
    Form,
    has_image,
    read_choice,
    read_seconds,
    read_side,
    read_time,
)
from schemas.preferences import Label, LeftImage, Status, VoteKind
from schemas.problems import Reason, suggest

_IMAGES = (
    ("data.image_1", "data.image1", "data.left_image"),
    ("data.image_2", "data.image2", "data.right_image"),
)
_PROMPTS = ("data.prompt", "data.text", "data.caption")
_LOCAL_FILES = "/data/local-files/?d="  # how Label Studio names a file of its own machine
_ON_SCREEN = ("left", "right")
_CHOICES = (*_ON_SCREEN, *(label.value for label in Label))


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    left = read_choice(cells, "data.left", cells.value("data.left"), get_args(LeftImage))
    sides = [
        _side(cells, names, cells.text(f"data.model_{number}")) for number, names in enumerate(_IMAGES, 1)
    ]
    pair_id = cells.text("data.pair_id")
    task_id = pair_id or cells.text("id", required=True)
    kind = read_choice(cells, "data.kind", cells.value("data.kind"), get_args(VoteKind)) if pair_id else None
    prompt = cells.first(_PROMPTS)
    annotations = cells.items("annotations") or ()
    votes = [_vote(cells, annotators, each, left)._replace(kind=kind) for each in annotations]
    if task_id is None or sides[0] is None or sides[1] is None or cells.problems:
        return None
    return PairInput(
        id=task_id,
        prompt=cells.text(prompt) if prompt else None,
        sides=(sides[0], sides[1]),
        votes=tuple(votes),
        is_whole=kind is None,
        category=cells.text("data.category"),
        sub_category=cells.text("data.sub_category"),
        evolution=cells.text("data.evolution"),
        license=cells.text("data.license"),
        prompt_license=cells.text("data.prompt_license"),
    )


def _side(cells: Cells, names: tuple[str, ...], model: str | None) -> Side | None:
    column = next((name for name in names if has_image(cells, name)), names[0])
    reference = cells.value(column)
    if isinstance(reference, str) and reference.startswith(_LOCAL_FILES):
        return Side(unquote(reference.removeprefix(_LOCAL_FILES)), model)
    return read_side(cells, column, model)


def _vote(cells: Cells, annotators: Annotators, annotation: object, left: str | None) -> RawVote:
    said: Mapping[str, Any] = annotation if isinstance(annotation, Mapping) else {}
    is_skipped = bool(said.get("was_cancelled"))
    label = _label(cells, said.get("result"), left or "image_1")
    if label is None and not is_skipped and not cells.problems:
        # Places inside of the cell: the cell itself, which a problem would show, names people.
        message, fix = "a submitted annotation has no answer", "answer the task, or remove the annotation"
        cells.wrong("annotations.result", message, fix, Reason.UNKNOWN_LABEL)
    return RawVote(
        annotator=annotators.name(_annotator(said.get("completed_by"))),
        label=label,
        status=(Status.DISCARDED if is_skipped else Status.SUBMITTED).value,
        left=left,
        time=read_time(cells, "annotations.created_at", said.get("created_at")),
        seconds=read_seconds(cells, "annotations.lead_time", said.get("lead_time")),
    )


def _annotator(completed_by: object) -> object:
    """Return who it was: a number, or an object with one."""
    if isinstance(completed_by, Mapping):
        return completed_by.get("id", completed_by.get("email"))
    return completed_by


def _label(cells: Cells, result: object, left: str) -> str | None:
    """Return the one answer of an annotation; that of `Choices` goes before that of `Pairwise`.

    Args:
        cells: The row, for problems.
        result: What the annotation's controls say.
        left: The image on the left.
    """
    found: dict[str, list[object]] = {"choices": [], "pairwise": []}
    for each in result if isinstance(result, list) else ():
        region: Mapping[str, Any] = each if isinstance(each, Mapping) else {}
        value = region.get("value")
        inner: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if region.get("type") == "choices":
            chosen = inner.get("choices")
            found["choices"] += chosen if isinstance(chosen, list) else [chosen]
        elif region.get("type") == "pairwise":
            found["pairwise"].append(inner.get("selected"))
    answers = found["choices"] or found["pairwise"]
    if len(answers) > 1:
        message, fix = f"an annotation has {len(answers)} answers", "let annotators choose one"
        cells.wrong("annotations.result", message, fix, Reason.UNKNOWN_LABEL)
    for answer in answers[:1]:
        if answer in _ON_SCREEN:
            shown = Label(left)
            return (shown if answer == "left" else shown.mirrored).value
        if answer not in _CHOICES:
            fix = suggest(str(answer), _CHOICES)
            cells.wrong("annotations.result", f"{answer!r} is not an answer", fix, Reason.UNKNOWN_LABEL)
            return None
        return str(answer)
    return None


# Other keys of a task are Label Studio's own: numbers, times, and what a model or an unfinished page said.
FORM = Form(
    (("data",), ("annotations",)),
    _read,
    reads=(
        *("id", "inner_id", "meta", "project", "created_at", "updated_at", "updated_by", "file_upload"),
        *("drafts", "predictions", "total_annotations", "cancelled_annotations", "total_predictions"),
        *("comment_count", "unresolved_comment_count", "last_comment_updated_at", "comment_authors"),
        *("allow_skip", "state"),
    ),
    prompts=_PROMPTS,
)
