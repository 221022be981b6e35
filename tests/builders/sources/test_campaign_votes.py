"""Votes of campaigns: from the kit's own file, from Label Studio, and from orders at Rapidata."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources import tell_kind
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from builders.sources.preferences import PreferenceSource
from schemas.campaign import ANSWERS, CampaignVote, standing_votes
from schemas.configs import Table
from schemas.preferences import Decision, Label, Vote
from schemas.problems import Reason
from schemas.records import image_id_of
from tests.support import Reading, good_folder, image_bytes, read_into_catalog

Row = dict[str, Any]
JPEGS = [image_bytes(number) for number in range(6)]
IDS = [image_id_of(hashlib.sha256(data).hexdigest()) for data in JPEGS]
EMPTY = dict.fromkeys(("left", "time", "seconds", "kind"))


def vote(number: int = 0, pair: int = 0, **changes: Any) -> CampaignVote:
    """Return a vote on the images 2 * pair and 2 * pair + 1."""
    first, second = IDS[2 * pair], IDS[2 * pair + 1]
    values = {
        "vote_id": f"{number:032x}",
        "pair_id": f"{pair:016x}",
        "prompt": f"prompt {pair}",
        "image_1": f"images/{first}.jpg",
        "image_2": f"images/{second}.jpg",
        "image_1_id": first,
        "image_2_id": second,
        "model_1": "FLUX1_schnell",
        "model_2": "FLUX1_dev",
        "category": "Portrait",
        "annotator": f"{number:016x}",
        "label": "image_1",
        "left": "image_2",
        "kind": "first",
        "seconds": 2.5,
        "time": "2026-11-30T08:00:00.000Z",
        "status": "submitted",
    }
    return CampaignVote.model_validate(values | changes)


def write(path: Path, votes: Sequence[CampaignVote]) -> Path:
    path.write_text("".join(each.model_dump_json() + "\n" for each in votes), "utf-8")
    return path


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), "utf-8")
    return path


def read(work: Path, path: Path, *folders: Path, **options: Any) -> Reading:
    images = [open_sfhq_folder(folder, folder.name) for folder in folders]
    return read_into_catalog(work, *images, PreferenceSource(path, "votes", SourceOptions(**options)))


def said(votes: Sequence[Vote]) -> list[Row]:
    """Return votes without their annotators, whose names are hashes."""
    return [each.model_dump(mode="json", exclude={"annotator"}) for each in votes]


# The kit's own votes


def test_votes_of_a_campaign_come_back_with_all_that_they_say(tmp_path: Path, work: Path) -> None:
    given_votes = [
        vote(0),
        vote(1, label="both_good", left="image_1", seconds=0.25),
        vote(2, label="image_1", time="2026-11-30T10:30:00+02:00"),
        vote(3, label="image_2", kind="repeat", annotator=f"{0:016x}"),
        vote(4, label="image_2", kind="mirror", annotator=f"{0:016x}"),
        vote(5, pair=1, label="toxic_content", license="cc0-1.0", prompt_license="cc-by-4.0"),
    ]
    path = write(tmp_path / "votes.jsonl", given_votes)
    assert tell_kind(path) == "preferences"
    folder = good_folder(tmp_path / "pairs-images").write()
    reading = read(work, path, folder, publish_annotators=True)
    counts = reading.tables[Table.PREFERENCES]
    assert (counts.read, counts.published, counts.rejected) == (6, 6, {})
    first, second = sorted(reading.pairs, key=lambda pair: pair.id)
    # The images are those of the release: they are named after their content.
    assert (first.image_1_id, first.image_2_id) == (IDS[0], IDS[1])
    assert (first.model_1, first.model_2, first.category) == ("FLUX1_schnell", "FLUX1_dev", "Portrait")
    assert (second.license, second.prompt_license) == ("cc0-1.0", "cc-by-4.0")
    fields = ("annotator", "label", "status", "left", "seconds", "kind")
    assert [each.model_dump(mode="json", include=set(fields)) for each in first.votes] == [
        each.model_dump(mode="json", include=set(fields)) for each in given_votes[:5]
    ]
    assert first.votes[2].time == "2026-11-30T08:30:00.000Z"
    # A repeat and a mirror measure their annotator, and decide nothing: 2 of 3 votes are for image 1.
    assert (first.votes_image_1, first.votes_both_good, first.votes_image_2) == (2, 1, 0)
    assert (first.decision, first.num_responses) == (Decision.IMAGE_1, 5)
    assert second.decision is Decision.TOXIC


def test_annotators_of_a_campaign_are_published_as_keyed_hashes(tmp_path: Path, work: Path) -> None:
    path = write(tmp_path / "votes.jsonl", [vote(0), vote(1), vote(2, pair=1, annotator=f"{0:016x}")])
    pairs = sorted(read(work, path).pairs, key=lambda pair: pair.id)
    names = [each.annotator for pair in pairs for each in pair.votes]
    assert names[0] == names[2] != names[1]
    assert not {f"{number:016x}" for number in range(2)} & set(names)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(ANSWERS), st.booleans()), max_size=12))
def test_the_last_line_of_a_vote_holds(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, str, bool]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("votes")
    votes = [
        vote(number, pair=number % 2, label=label, status="discarded" if is_undone else "submitted")
        for number, label, is_undone in lines
    ]
    if not votes:
        return
    (tmp_path / "work").mkdir()
    path = write(tmp_path / "votes.jsonl", votes)
    source = PreferenceSource(path, "votes", SourceOptions(publish_annotators=True))
    reading = read_into_catalog(tmp_path / "work", source)
    counts = reading.tables[Table.PREFERENCES]
    assert (counts.read, counts.published) == (len(votes), len(votes))
    found = [each for pair in reading.pairs for each in pair.votes]
    assert len(found) == len({each.vote_id for each in votes})
    standing = standing_votes(votes)
    assert Counter((each.annotator, each.label) for each in found if each.status == "submitted") == Counter(
        (each.annotator, each.label) for each in standing
    )
    assert sum(pair.votes_image_1 for pair in reading.pairs) == sum(
        each.label is Label.IMAGE_1 for each in standing
    )


def test_images_are_found_beside_the_votes_where_the_release_has_none(tmp_path: Path, work: Path) -> None:
    campaign = tmp_path / "campaign"
    (campaign / "images").mkdir(parents=True)
    for place in (0, 1):
        (campaign / "images" / f"{IDS[place]}.jpg").write_bytes(JPEGS[place])
    (pair,) = read(work, write(campaign / "votes.jsonl", [vote(0)])).pairs
    assert (pair.image_1_id, pair.image_2_id) == (IDS[0], IDS[1])


def test_a_path_out_of_the_folder_finds_nothing(tmp_path: Path, work: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(JPEGS[0])
    campaign = tmp_path / "campaign"
    campaign.mkdir()
    images = {"image_1": "../secret.jpg", "image_2": str(tmp_path / "secret.jpg")}
    lines = [vote(0).model_dump(mode="json") | images]
    path = campaign / "votes.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (pair,) = read(work, path).pairs
    assert (pair.image_1_id, pair.image_2_id) == (None, None)


BAD_LINES: dict[str, tuple[Row, Reason, str, str]] = {
    "label": ({"label": "left"}, Reason.UNKNOWN_LABEL, "label", "image_1"),
    "no label": ({"label": None}, Reason.BAD_VALUE, "label", "write one of: image_1, image_2"),
    "tie": ({"label": "tie"}, Reason.UNKNOWN_LABEL, "label", "use one of"),
    "status": ({"status": "draft"}, Reason.UNKNOWN_LABEL, "status", "submitted"),
    "left": ({"left": "left"}, Reason.UNKNOWN_LABEL, "left", "image_1"),
    "kind": ({"kind": "second"}, Reason.UNKNOWN_LABEL, "kind", "first"),
    "time": ({"time": "yesterday"}, Reason.BAD_VALUE, "time", "2026-11-30T12:00:00Z"),
    "seconds": ({"seconds": -1}, Reason.BAD_VALUE, "seconds", "a number of seconds"),
    "seconds in words": ({"seconds": "two"}, Reason.BAD_VALUE, "seconds", "a number of seconds"),
    "nobody": ({"annotator": ""}, Reason.BAD_VALUE, "annotator", "fill it in"),
    "no vote id": ({"vote_id": None}, Reason.BAD_VALUE, "vote_id", "fill it in"),
    "vote id of another kind": ({"vote_id": ["a"]}, Reason.BAD_VALUE, "vote_id", "write a text"),
    "no image": ({"image_1": None, "image_1_id": None}, Reason.BAD_VALUE, "image_1_id", "fill it in"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_told_with_its_place_and_costs_nothing_else(
    name: str, tmp_path: Path, work: Path
) -> None:
    changes, reason, column, fix = BAD_LINES[name]
    path = tmp_path / "votes.jsonl"
    lines = [vote(0).model_dump(mode="json"), vote(1).model_dump(mode="json") | changes]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    reading = read(work, path)
    counts = reading.tables[Table.PREFERENCES]
    assert (counts.read, counts.published, counts.rejected) == (2, 1, {reason.value: 1})
    (problem,) = [each for each in reading.problems if each.reason is reason]
    assert (problem.row, problem.column) == (2, column)
    assert fix in problem.fix
    (pair,) = reading.pairs
    assert len(pair.votes) == 1


def test_a_line_that_was_cut_off_is_set_aside_and_the_vote_before_it_holds(
    tmp_path: Path, work: Path
) -> None:
    undone = vote(0, status="discarded").model_dump_json()
    path = tmp_path / "votes.jsonl"
    path.write_text(vote(0).model_dump_json() + "\n" + undone[:200], "utf-8")
    reading = read(work, path)
    assert reading.tables[Table.PREFERENCES].rejected == {"bad_json": 1}
    (pair,) = reading.pairs
    assert [each.status for each in pair.votes] == ["submitted"]


def test_votes_that_give_one_pair_other_images_are_set_aside(tmp_path: Path, work: Path) -> None:
    votes = [vote(0), vote(1, image_1=f"images/{IDS[4]}.jpg"), vote(2, pair=1)]
    reading = read(work, write(tmp_path / "votes.jsonl", votes))
    assert reading.tables[Table.PREFERENCES].rejected == {"conflicting_rows": 2}
    assert [pair.prompt for pair in reading.pairs] == ["prompt 1"]


# Label Studio


def task(number: int = 1, annotations: Sequence[Row] = (), **data: Any) -> Row:
    """Return a task as Label Studio 1.23 exports it, with only the keys that matter."""
    said = {"prompt": "a face", "image_1": "a.jpg", "image_2": "b.jpg", "left": "image_2", "model_1": "m"}
    return {
        "id": number,
        "data": {name: value for name, value in (said | data).items() if value is not None},
        "annotations": list(annotations),
        "predictions": [],
        "drafts": [],
        "created_at": "2026-11-30T07:00:00.000000Z",
        "project": 1,
    }


def choose(answer: object, **changes: Any) -> Row:
    return {
        "id": 7,
        "completed_by": 3,
        "result": [
            {"type": "choices", "from_name": "answer", "to_name": "left", "value": {"choices": [answer]}}
        ],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-11-30T08:00:00.123456Z",
        "lead_time": 4.75,
    } | changes


def select(side: str) -> Row:
    result = [{"type": "pairwise", "from_name": "pw", "to_name": "pw", "value": {"selected": side}}]
    return choose(None, result=result)


def test_tasks_of_label_studio_come_back(tmp_path: Path, work: Path) -> None:
    annotations = [
        choose("left"),
        choose("right", completed_by={"id": 4, "email": "ann@host.example"}, lead_time=None),
        choose("both_good", completed_by=None),
        choose(None, result=[], was_cancelled=True, completed_by=5),
        select("left"),
        choose("toxic_content", completed_by=6),
    ]
    path = write_json(tmp_path / "export.json", [task(1, annotations), task(2, image_1="c.jpg")])
    assert PreferenceSource(path, "v", SourceOptions()).kind == "preferences/label-studio"
    assert tell_kind(path) == "preferences"
    reading = read(work, path, publish_annotators=True)
    pair, other = sorted(reading.pairs, key=lambda each: each.id)
    assert (other.votes, other.decision) == ([], Decision.NO_VOTES)
    assert (pair.image_1, pair.image_2, pair.model_1, pair.prompt) == ("a.jpg", "b.jpg", "m", "a face")
    assert [(each.annotator, each.label, each.status) for each in pair.votes] == [
        ("3", "image_2", "submitted"),
        ("4", "image_1", "submitted"),
        (None, "both_good", "submitted"),
        ("5", None, "discarded"),
        ("3", "image_2", "submitted"),
        ("6", "toxic_content", "submitted"),
    ]
    assert pair.votes[0].seconds == 4.75
    assert pair.votes[1].seconds is None
    assert {each.left for each in pair.votes} == {"image_2"}
    assert pair.votes[0].time == "2026-11-30T08:00:00.123Z"
    assert not [problem for problem in reading.problems if "ann@host.example" in str(problem)]


def test_tasks_in_the_words_of_label_studios_templates_are_read(tmp_path: Path, work: Path) -> None:
    files = {"image1": "/data/local-files/?d=set/a%20b.jpg", "image2": "/data/upload/1/0a-c.jpg"}
    rows = [task(1, [select("right")], image_1=None, image_2=None, left=None, **files)]
    (pair,) = read(work, write_json(tmp_path / "export.json", rows)).pairs
    assert (pair.id, pair.image_1, pair.image_2) == ("1", "set/a b.jpg", "0a-c.jpg")
    assert said(pair.votes) == [
        EMPTY
        | {"label": "image_2", "status": "submitted", "time": "2026-11-30T08:00:00.123Z", "seconds": 4.75}
    ]


BAD_TASKS: dict[str, tuple[Row, str, str]] = {
    "unknown answer": (task(2, [choose("Left")]), "'Left' is not an answer", "left"),
    "several answers": (
        task(2, [choose(None, result=choose("left")["result"] * 2)]),
        "an annotation has 2 answers",
        "choose one",
    ),
    "no answer": (task(2, [choose(None, result=[])]), "has no answer", "answer the task"),
    "result is no list": (task(2, [choose(None, result="left")]), "has no answer", "answer the task"),
    "annotation is no object": (task(2, ["left"]), "has no answer", "answer the task"),  # type: ignore[list-item]
    "unknown side": (task(2, [choose("left")], left="a.jpg"), "none of the words", "image_1"),
    "no image": (task(2, [choose("left")], image_2=None), "empty or missing", "fill it in"),
    "no time": (task(2, [choose("left", created_at="now")]), "is not a time", "2026-11-30T12:00:00Z"),
}


@pytest.mark.parametrize("name", BAD_TASKS)
def test_a_bad_task_is_told_and_names_nobody(name: str, tmp_path: Path, work: Path) -> None:
    row, message, fix = BAD_TASKS[name]
    reading = read(work, write_json(tmp_path / "export.json", [task(1), row]))
    assert reading.tables[Table.PREFERENCES].published == 1
    (problem,) = [each for each in reading.problems if each.reason is not Reason.IMAGE_NOT_HERE]
    assert problem.row == 2
    assert message in problem.message
    assert fix in problem.fix
    assert "completed_by" not in str(problem)


# Rapidata's orders


def result(first: int = 1, second: int = 2, **changes: Any) -> Row:
    """Return one comparison of an order, laid out as version 3.0.0 is documented."""
    counts = {"a.jpg": first, "b.jpg": second}
    winner = int(second > first)
    voted = [name for name, count in counts.items() for _ in range(count)]
    total = max(first + second, 1)
    return {
        "context": "a face",
        "winner_index": winner,
        "winner": list(counts)[winner],
        "aggregatedResults": counts,
        "aggregatedResultsRatios": {name: count / total for name, count in counts.items()},
        "summedUserScores": {name: 0.5 * count for name, count in counts.items()},
        "summedUserScoresRatios": {"a.jpg": 0.25, "b.jpg": 0.75},
        "detailedResults": [
            {
                "votedFor": name,
                "userDetails": {"country": "CH", "language": "de", "userScores": {"global": 0.5}},
            }
            for name in voted
        ],
    } | changes


def order(*results: Row, version: str = "3.0.0") -> Row:
    info = {"createdAt": "2026-11-30T08:00:00+00:00", "version": version}
    return {"info": info, "summary": {"A_wins_total": 0, "B_wins_total": 1}, "results": list(results)}


NEWER = result(context="newer") | {"winnerIndex": 1, "weightedWinner": "b.jpg", "weightedWinnerIndex": 1}
WITH_TIES = result(
    context="ties",
    aggregatedResults={"a.jpg": 1, "b.jpg": 2, "Both": 1, "Neither": 1},
    detailedResults=[{"votedFor": name} for name in ("b.jpg", "Neither", "a.jpg", "Both", "b.jpg")],
)


@pytest.mark.parametrize("version", ["3.0.0", "4.1.0"])
def test_results_of_an_order_at_rapidata_come_back(version: str, tmp_path: Path, work: Path) -> None:
    without_details = result(3, 0, context="counts", winner=None, winner_index=None)
    del without_details["detailedResults"]
    rows = [result(), NEWER, WITH_TIES, without_details, result(0, 0, context="nobody")]
    path = write_json(tmp_path / "results.json", order(*rows, version=version))
    assert PreferenceSource(path, "v", SourceOptions()).kind == "preferences/rapidata-results"
    assert tell_kind(path) == "preferences"
    reading = read(work, path)
    assert reading.tables[Table.PREFERENCES].published == len(rows)
    found = {pair.prompt: (pair.decision, [each.label for each in pair.votes]) for pair in reading.pairs}
    assert found == {
        "a face": ("image_2", ["image_1", "image_2", "image_2"]),
        "newer": ("image_2", ["image_1", "image_2", "image_2"]),
        "ties": ("undecided", ["image_2", "both_bad", "image_1", "both_good", "image_2"]),
        "counts": ("image_1", ["image_1"] * 3),
        "nobody": ("no_votes", []),
    }
    for pair in reading.pairs:
        assert (pair.image_1, pair.image_2, pair.confidence) == ("a.jpg", "b.jpg", 0.75)
        assert not pair.sides_shuffled


BAD_RESULTS: dict[str, tuple[Callable[[], Row], str]] = {
    "three images": (
        lambda: result(aggregatedResults={"a.jpg": 1, "b.jpg": 2, "c.jpg": 0}),
        "votes for 3 images",
    ),
    "no image": (lambda: result(aggregatedResults={}), "votes for 0 images"),
    "another count": (lambda: result(2, 2, aggregatedResults={"a.jpg": 1, "b.jpg": 2}), "other ones than"),
    "a stranger": (lambda: result(detailedResults=[{"votedFor": "c.jpg"}] * 3), "not what can be voted for"),
    "another winner": (lambda: result(winner="a.jpg"), "the winner is not image 2"),
    "half a vote": (lambda: result(aggregatedResults={"a.jpg": 1.5, "b.jpg": 2}), "not whole"),
    "too many": (lambda: result(aggregatedResults={"a.jpg": 9_999, "b.jpg": 2}), "more than 10,000"),
}


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_a_bad_result_is_told(name: str, tmp_path: Path, work: Path) -> None:
    make, message = BAD_RESULTS[name]
    path = write_json(tmp_path / "results.json", order(result(context="good"), make()))
    reading = read(work, path)
    assert [pair.prompt for pair in reading.pairs] == ["good"]
    problems = [each for each in reading.problems if each.reason is not Reason.IMAGE_NOT_HERE]
    assert {each.row for each in problems} == {2}
    assert message in problems[0].message
