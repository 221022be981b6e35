"""Tables with one column for each annotator: `image_1, image_2, anna, ben`, and labels in their cells.

A cell is one of image_1, image_2, both_good, both_bad, tie and toxic_content, or empty for no vote. No
project publishes this form under a name of its own; spreadsheets of small groups have it. Every column
that is not one of the pair's is an annotator, so the form is told only where the first rows have labels
in all of them and no other form fits; or a setting asks for it: `form = "annotator-columns"`.
"""

from collections.abc import Iterable, Sequence

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, pair_id_of
from builders.sources.preferences.form import Annotators, Form, read_side
from builders.sources.tables import TableRow
from schemas.preferences import Label
from schemas.problems import Reason, suggest

_PROMPTS = ("prompt", "caption")
_PAIR = frozenset(
    ("id", "image_1", "image_2", "model_1", "model_2", "category", "sub_category", "evolution", *_PROMPTS)
)
_LABELS = [label.value for label in Label]


def _annotators_of(columns: Iterable[str]) -> list[str]:
    return [column for column in columns if column not in _PAIR and column.partition(".")[0] not in _PAIR]


def _looks_like_votes(rows: Sequence[TableRow]) -> bool:
    """Return whether every column that is not the pair's has labels in the first rows, and nothing else."""
    found: dict[str, set[object]] = {}
    for row in rows:
        for column in _annotators_of(row.cells):
            found.setdefault(column, set()).add(str(row.cells[column] or ""))
    return bool(found) and all(values - {""} and values <= {"", *_LABELS} for values in found.values())


def _read(cells: Cells, annotators: Annotators) -> PairInput | None:
    prompt_column = cells.first(_PROMPTS)
    prompt = cells.text(prompt_column) if prompt_column else None
    sides = [read_side(cells, f"image_{number}", cells.text(f"model_{number}")) for number in (1, 2)]
    votes = []
    for column in _annotators_of(cells.columns):
        label = cells.text(column)
        if label is not None and label not in _LABELS:
            message, fix = f"{label!r} is not a vote", f"{suggest(label, _LABELS)}; or remove the column"
            cells.wrong(column, message, fix, Reason.UNKNOWN_LABEL)
        elif label is not None:
            votes.append(RawVote(annotators.name(column), label))
    if sides[0] is None or sides[1] is None or cells.problems:
        return None
    return PairInput(
        id=cells.text("id") or pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=tuple(votes),
        is_whole=True,
        category=cells.text("category"),
        sub_category=cells.text("sub_category"),
        evolution=cells.text("evolution"),
    )


FORM = Form((("image_1",), ("image_2",)), _read, prompts=_PROMPTS, looks=_looks_like_votes)
