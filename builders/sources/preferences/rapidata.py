"""Rapidata comparisons: how many people chose each image.

Datasets (https://huggingface.co/Rapidata) have one row for each pair. The results of an order are one JSON
object with the votes one by one (https://docs.rapidata.ai/understanding_the_results).
"""

from collections.abc import Mapping, Sequence

from builders.preferences.votes import RawVote
from builders.sources.cells import Cells
from builders.sources.intake import PairInput, Side, pair_id_of
from builders.sources.preferences.form import Annotators, Form, read_side
from schemas.preferences import Label
from schemas.problems import Reason

_MAX_COUNT = 10_000  # each vote is published as one
_WINNERS = ("winnerIndex", "winner_index")  # the latter until version 4.1.0
_TIES = {"Both": Label.BOTH_GOOD, "Neither": Label.BOTH_BAD}


def _read(cells: Cells, _: Annotators) -> PairInput | None:
    prompt = cells.text("prompt", required=True)
    sides = [read_side(cells, f"image{number}", cells.text(f"model{number}")) for number in (1, 2)]
    counts = [cells.count(f"votes_image{number}") for number in (1, 2)]
    for number, count in enumerate(counts, start=1):
        if count > _MAX_COUNT:
            message = f"there are more than {_MAX_COUNT:,} votes for one image"
            cells.wrong(f"votes_image{number}", message, "correct the count")
    if sides[0] is None or sides[1] is None or cells.problems:
        return None
    # Counts name no annotators, so each vote stands for an annotator of its own.
    votes = [
        RawVote(None, label.value)
        for label, count in zip((Label.IMAGE_1, Label.IMAGE_2), counts, strict=True)
        for _ in range(count)
    ]
    return PairInput(
        id=pair_id_of(prompt, [sides[0].reference, sides[1].reference]),
        prompt=prompt,
        sides=(sides[0], sides[1]),
        votes=tuple(votes),
        is_whole=False,
    )


def _read_result(cells: Cells, _: Annotators) -> PairInput | None:
    """Read one comparison of an order's results, from version 3.0.0 of their layout on."""
    counts = cells.member("aggregatedResults")
    # In Parquet, each row has the images of all rows, and no counts of those that are not its own.
    columns = [name for name in counts.columns if counts.value(name) is not None] if counts else []
    names = [name for name in columns if name not in _TIES]
    if counts is None or len(names) != 2:
        message = f"the result counts votes for {len(names)} images, and a pair has two"
        cells.wrong("aggregatedResults", message, "give results of an order that compares two images")
        return None
    labels = {names[0]: Label.IMAGE_1, names[1]: Label.IMAGE_2, **_TIES}
    voted = _voted_for(cells, counts, labels)
    _check_winner(cells, names)
    shares = cells.member("summedUserScoresRatios")
    confidence = max((shares.number(name, 0, 1) or 0 for name in names), default=0) if shares else None
    prompt = cells.text("context")
    if cells.problems:
        return None
    return PairInput(
        id=pair_id_of(prompt, names),
        prompt=prompt,
        sides=(Side(names[0], None), Side(names[1], None)),
        votes=tuple(RawVote(None, labels[name].value) for name in voted),
        is_whole=False,
        confidence=confidence,
        sides_shuffled=False,  # images come in the order in which they were asked about
    )


def _voted_for(cells: Cells, counts: Cells, labels: Mapping[str, Label]) -> list[str]:
    """Return what each person chose, as far as it agrees with the counts; else note what does not."""
    counted = {name: counts.count(name) for name in counts.columns if name in labels}
    if sum(counted.values()) > _MAX_COUNT:
        cells.wrong("aggregatedResults", f"there are more than {_MAX_COUNT:,} votes", "correct the counts")
        return []
    details = cells.items("detailedResults")
    if details is None:
        return [name for name, count in counted.items() for _ in range(count)]
    # Places inside of the cell: the cell itself, which a problem would show, describes people.
    voted = [each.get("votedFor") if isinstance(each, Mapping) else None for each in details]
    unknown = next((name for name in voted if name not in labels), "")
    if unknown != "":
        message, fix = f"{unknown!r} is not what can be voted for", "correct it"
        cells.wrong("detailedResults.votedFor", message, fix, Reason.UNKNOWN_LABEL)
    elif any(voted.count(name) != count for name, count in counted.items()):
        message = "the single votes are other ones than their counts say"
        cells.wrong("detailedResults.votedFor", message, "download the results again")
    return [str(name) for name in voted]


def _check_winner(cells: Cells, names: Sequence[str]) -> None:
    """Note a winner that is not the image at its index, as then the order of images is not known."""
    column = cells.first(_WINNERS)
    index = cells.number(column, 0, len(names) + len(_TIES)) if column else None
    if index is not None and index < len(names) and cells.value("winner") not in (None, names[int(index)]):
        message = f"the winner is not image {int(index) + 1} of the result"
        cells.wrong("winner", message, "download the results again")


RESULTS = Form(
    (("aggregatedResults",), _WINNERS),
    _read_result,
    reads=(
        *("winner", "weightedWinner", "weightedWinnerIndex", "detailedResults", "aggregatedResultsRatios"),
        *("summedUserScores", "summedUserScoresRatios", "assetUrls", "context"),
    ),
    prompts=("context",),
)
FORM = Form(
    (("prompt",), ("image1",), ("image2",), ("votes_image1",), ("votes_image2",)),
    _read,
    reads=("model1", "model2"),
)
