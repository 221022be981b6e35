"""Argilla exports in the shape of open-image-preferences: flat records, and the records of `to_json`.

Flat records, with dotted or nested columns, are what `rg.Dataset.records.to_datasets()` gives:
https://huggingface.co/datasets/data-is-better-together/open-image-preferences-v1

`rg.Dataset.records.to_json()` writes a list of {id, fields, metadata, suggestions, responses: {question:
[{value, user_id}]}, vectors, status, _server_id} without the status of a response, so its drafts look
submitted. Source: `to_dict` in argilla/src/argilla/records/_resource.py, and a file that argilla 2.8.0
wrote.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput
from builders.sources.preferences.form import Annotators, Form, has_image, read_choice, read_side
from schemas.preferences import (
    MODEL_NAMES,
    UPSTREAM_LICENSE,
    UPSTREAM_PROMPT_LICENSE,
    Label,
    LeftImage,
    Status,
    VoteKind,
)
from schemas.problems import Reason, name_some, suggest

_RESPONSES = ("preference.responses", "preference.responses.value", "preference.value")
_USERS = ("preference.responses.users", "preference.users")
_STATUSES = ("preference.responses.status", "preference.status")
_PROMPTS = ("images.prompt", "prompt")
_RECORD_PROMPTS = ("fields.images.prompt", "fields.prompt", "metadata.prompt")
_QUESTION = "preference"
_MAX_NAMED = 5
_KNOWN_STATUSES = [status.value for status in Status]
_LABELS = [label.value for label in Label if label is not Label.TIE]


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    images = ("images.image_{}", "image_{}")
    return _read_pair(cells, images, "", _PROMPTS, partial(_votes, cells, annotators))


def _read_record(cells: Cells, annotators: Annotators) -> PairInput | None:
    images = ("fields.images.image_{}", "fields.image_{}")
    return _read_pair(cells, images, "metadata.", _RECORD_PROMPTS, partial(_record_votes, cells, annotators))


def _read_pair(
    cells: Cells,
    images: tuple[str, ...],
    metadata: str,
    prompts: tuple[str, ...],
    read_votes: Callable[[], tuple[RawVote, ...] | None],
) -> PairInput | None:
    """Join the votes of a record and what its other columns say.

    Args:
        cells: The record.
        images: Columns that an image can be in, with a place for the number of the side.
        metadata: What the names of the columns about the pair begin with.
        prompts: Columns that the prompt can be in.
        read_votes: Takes the votes; None where they are wrong.
    """
    record_id, pair_id = cells.text("id", required=True), cells.text(f"{metadata}pair_id")
    # Only the kit's own records say both: a pair that is asked about again is in several.
    kind = (
        read_choice(cells, f"{metadata}kind", cells.value(f"{metadata}kind"), get_args(VoteKind))
        if pair_id
        else None
    )
    models = [cells.text(f"{metadata}model_{number}") for number in (1, 2)]
    sides = []
    for number, model in enumerate(models, start=1):
        columns = [name.format(number) for name in images]
        column = next((name for name in columns if has_image(cells, name)), columns[0])
        image_id = cells.text(f"{metadata}image_{number}_id")  # the same on whichever side it is
        sides.append(read_side(cells, column, MODEL_NAMES.get(model or "", model), image_id))
    prompt = cells.first(prompts)
    votes = read_votes()
    left = read_choice(cells, f"{metadata}left", cells.value(f"{metadata}left"), get_args(LeftImage))
    is_upstream = not MODEL_NAMES.keys().isdisjoint(filter(None, models))
    if record_id is None or sides[0] is None or sides[1] is None or votes is None:
        return None
    return PairInput(
        id=record_id if kind is None else pair_id or record_id,
        prompt=cells.text(prompt) if prompt else None,
        sides=(sides[0], sides[1]),
        votes=tuple(vote._replace(left=left, kind=kind) for vote in votes),
        is_whole=kind is None,
        license=UPSTREAM_LICENSE if is_upstream else cells.text(f"{metadata}license"),
        prompt_license=UPSTREAM_PROMPT_LICENSE if is_upstream else cells.text(f"{metadata}prompt_license"),
        category=cells.text(f"{metadata}category"),
        sub_category=cells.text(f"{metadata}sub_category"),
        evolution=cells.text(f"{metadata}evolution"),
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
            _note_no_status(cells, _STATUSES[0], "export the status, too")
            num_problems += 1
    lengths = [len(items) for items in (responses, users, statuses)]
    if len(set(lengths)) > 1:
        _unequal(cells, columns[0] or _RESPONSES[0], lengths)
        return None
    places = cells.first(_RESPONSES) or "", cells.first(_STATUSES) or ""
    votes = [
        RawVote(
            annotators.name(user),
            _label(cells, places[0], label, status),
            _status(cells, places[1], status),
        )
        for label, user, status in zip(responses, users, statuses, strict=True)
    ]
    return tuple(votes) if len(cells.problems) == num_problems else None


def _record_votes(cells: Cells, annotators: Annotators) -> tuple[RawVote, ...] | None:
    """Take the responses to the one question about the pair; None where they cannot be votes."""
    num_problems = len(cells.problems)
    names = [name for name in cells.columns if name.startswith("responses.")]
    column = f"responses.{_QUESTION}" if f"responses.{_QUESTION}" in names else "".join(names[:1])
    if len(names) > 1 and column != f"responses.{_QUESTION}":
        asked = name_some((name.removeprefix("responses.") for name in names), _MAX_NAMED)
        message = f"the record has several questions, and none is called {_QUESTION}: {asked}"
        cells.wrong("responses", message, f"export one question, or call it {_QUESTION}")
        return None
    responses = cells.items(column) if column else None
    votes: list[RawVote] = []
    for response in responses or ():
        said: Mapping[str, Any] = response if isinstance(response, Mapping) else {"value": response}
        status = said.get("status") or Status.SUBMITTED.value
        # Places inside of the cell: the cell itself, which a problem would show, names people.
        label = _label(cells, f"{column}.value", said.get("value"), status)
        votes.append(
            RawVote(annotators.name(said.get("user_id")), label, _status(cells, f"{column}.status", status))
        )
    if any(not isinstance(each, Mapping) or not each.get("status") for each in responses or ()):
        fix = "export with records.to_datasets(), which has the status of each response"
        num_problems += 1
        _note_no_status(cells, f"{column}.status", fix)
    return tuple(votes) if len(cells.problems) == num_problems else None


def _note_no_status(cells: Cells, column: str, fix: str) -> None:
    message = "the responses have no status, and all are taken for submitted"
    cells.wrong(column, message, fix, Reason.NO_STATUS)


def _label(cells: Cells, column: str, label: object, status: object) -> str | None:
    if label in _LABELS or (label is None and status != Status.SUBMITTED):
        return None if label is None else str(label)
    message = f"{label!r} is not a response" if label is not None else "a submitted response has no answer"
    cells.wrong(column, message, suggest(str(label), _LABELS), Reason.UNKNOWN_LABEL)
    return None


def _status(cells: Cells, column: str, status: object) -> str:
    if status not in _KNOWN_STATUSES:
        message = f"{status!r} is not the status of a response"
        cells.wrong(column, message, suggest(str(status), _KNOWN_STATUSES), Reason.UNKNOWN_LABEL)
    return str(status)


def _unequal(cells: Cells, column: str, lengths: list[int]) -> None:
    message = "there are {} responses, {} users and {} statuses".format(*lengths)
    cells.wrong(column, message, "give each response its user and status", Reason.UNEQUAL_LISTS)


# `_server_id` is Argilla's own number of the record, which says nothing of the pair.
FORM = Form(
    (("images", "images.image_1", "image_1"), ("preference.responses", "preference")),
    _read,
    reads=(
        *("id", "images.image_2", "image_2", "model_1", "model_2", "category", "sub_category", "evolution"),
        *("left", "license", "prompt_license", "image_1_id", "image_2_id", "prompt_id", "pair_id", "kind"),
        *("status", "_server_id", *_RESPONSES, *_USERS, *_STATUSES),
    ),
    prompts=_PROMPTS,
)
RECORDS = Form(
    (("fields",), ("responses",)),
    _read_record,
    reads=("id", "metadata", "status", "_server_id"),
    prompts=_RECORD_PROMPTS,
)
