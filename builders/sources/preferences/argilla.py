"""Argilla exports of open-image-preferences, with dotted or nested columns.

https://huggingface.co/datasets/data-is-better-together/open-image-preferences-v1
"""

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput
from builders.sources.preferences.form import Annotators, Form, read_side
from schemas.preferences import MODEL_NAMES, UPSTREAM_LICENSE, UPSTREAM_PROMPT_LICENSE, Label, Status
from schemas.problems import Reason, suggest

_RESPONSES = ("preference.responses", "preference.responses.value", "preference.value")
_USERS = ("preference.responses.users", "preference.users")
_STATUSES = ("preference.responses.status", "preference.status")
_PROMPTS = ("images.prompt", "prompt")
_KNOWN_STATUSES = [status.value for status in Status]
_LABELS = [label.value for label in Label if label is not Label.TIE]


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    pair_id = cells.text("id", required=True)
    models = [cells.text(f"model_{number}") for number in (1, 2)]
    sides = [
        read_side(cells, f"images.image_{number}", MODEL_NAMES.get(model or "", model))
        for number, model in enumerate(models, start=1)
    ]
    prompt = cells.first(_PROMPTS)
    votes = _votes(cells, annotators)
    is_upstream = not MODEL_NAMES.keys().isdisjoint(filter(None, models))
    if pair_id is None or sides[0] is None or sides[1] is None or votes is None:
        return None
    return PairInput(
        id=pair_id,
        prompt=cells.text(prompt) if prompt else None,
        sides=(sides[0], sides[1]),
        votes=votes,
        is_whole=True,
        license=UPSTREAM_LICENSE if is_upstream else None,
        prompt_license=UPSTREAM_PROMPT_LICENSE if is_upstream else None,
        category=cells.text("category"),
        sub_category=cells.text("sub_category"),
        evolution=cells.text("evolution"),
        status=cells.text("status"),
    )


def _votes(cells: Cells, annotators: Annotators) -> tuple[RawVote, ...] | None:
    """Take the three lists of responses; None where they cannot be votes."""
    num_problems = len(cells.problems)
    columns = [cells.first(names) for names in (_RESPONSES, _USERS, _STATUSES)]
    responses, users, statuses = (cells.items(column) if column else None for column in columns)
    if responses is None:
        if cells.value("preference") is not None:
            message = "the cell holds no lists of responses, users and statuses"
            cells.wrong("preference", message, 'write {"responses": [...], "responses.users": [...], ...}')
        if users or statuses:
            _unequal(cells, columns[0] or _RESPONSES[0], [0, len(users or ()), len(statuses or ())])
        return None if len(cells.problems) > num_problems else ()
    if users is None:
        users = [None] * len(responses)
    if statuses is None:
        statuses = [Status.SUBMITTED.value] * len(responses)
        if responses:
            message = "the responses have no status, and all are taken for submitted"
            cells.wrong(_STATUSES[0], message, "export the status, too", Reason.NO_STATUS)
            num_problems += 1
    lengths = [len(items) for items in (responses, users, statuses)]
    if len(set(lengths)) > 1:
        _unequal(cells, columns[0] or _RESPONSES[0], lengths)
        return None
    votes = [
        (
            annotators.name(user),
            _label(cells, label, status),
            _status(cells, status),
        )
        for label, user, status in zip(responses, users, statuses, strict=True)
    ]
    return tuple(votes) if len(cells.problems) == num_problems else None


def _label(cells: Cells, label: object, status: object) -> str | None:
    if label in _LABELS or (label is None and status != Status.SUBMITTED):
        return None if label is None else str(label)
    message = f"{label!r} is not a response" if label is not None else "a submitted response has no answer"
    cells.wrong(cells.first(_RESPONSES) or "", message, suggest(str(label), _LABELS), Reason.UNKNOWN_LABEL)
    return None


def _status(cells: Cells, status: object) -> str:
    if status not in _KNOWN_STATUSES:
        message = f"{status!r} is not the status of a response"
        cells.wrong(
            cells.first(_STATUSES) or "", message, suggest(str(status), _KNOWN_STATUSES), Reason.UNKNOWN_LABEL
        )
    return str(status)


def _unequal(cells: Cells, column: str, lengths: list[int]) -> None:
    message = "there are {} responses, {} users and {} statuses".format(*lengths)
    cells.wrong(column, message, "give each response its user and status", Reason.UNEQUAL_LISTS)


# `_server_id` is Argilla's own number of the record, which says nothing of the pair.
FORM = Form(
    (("images", "images.image_1"), ("preference.responses", "preference")),
    _read,
    reads=(
        *("id", "images.image_2", "model_1", "model_2", "category", "sub_category", "evolution"),
        *("status", "_server_id", *_RESPONSES, *_USERS, *_STATUSES),
    ),
    prompts=_PROMPTS,
)
