"""Preference results in every form: what was said comes back, what is wrong is told, nobody is named."""

import csv
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.catalog import Catalog
from builders.catalog.reader import SourceReader, find_below
from builders.release.changes import arrange
from builders.release.rows import Rows, part_rows, read_records
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from builders.sources.preferences import PreferenceSource
from schemas.configs import Format, Table, configs_of
from schemas.preferences import Decision, public_reference
from schemas.problems import Reason, Severity, SourceError
from schemas.records import image_id_of
from schemas.settings import BuildSettings
from tests.exports import LABELS, REAL_RECORD, SCHEMA, argilla_records, upstream_choice, write_argilla
from tests.support import ROOT, Reading, good_folder, image_bytes, read_into_catalog

Row = dict[str, Any]
Write = Callable[[Path, Sequence[Row]], Path]
JPEGS = [image_bytes(number) for number in range(4)]
FLUX, SD = "black-forest-labs/FLUX.1-dev", "stabilityai/stable-diffusion-3.5-large"


def read(work: Path, path: Path, *others: Path, **options: Any) -> Reading:
    """Read a file of votes as a release does, and SFHQ folders with it."""
    folders = [open_sfhq_folder(folder, folder.name) for folder in others]
    return read_into_catalog(work, *folders, PreferenceSource(path, "votes", SourceOptions(**options)))


def parquet(path: Path, rows: Sequence[Row], schema: pa.Schema | None = None) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path


def json_array(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows, indent=1), "utf-8")
    return path


def json_lines(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def csv_with(cell: Callable[[Any], str]) -> Write:
    """Write lists and objects into the cells of a CSV in some way."""

    def write(path: Path, rows: Sequence[Row]) -> Path:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                values = [row.get(name) for name in columns]
                writer.writerow(
                    [cell(value) if isinstance(value, list | dict) else value for value in values]
                )
        return path

    return write


def numpy_cell(value: object) -> str:
    """Write a list as numpy does: ['a' 'b'], over several lines if it is long."""
    return "[" + "\n ".join(map(repr, value)) + "]" if isinstance(value, list) else repr(value)


def dotted(rows: Sequence[Row]) -> list[Row]:
    return [
        {name: value for name, value in row.items() if name != "images"}
        | {f"images.{name}": value for name, value in row["images"].items()}
        for row in rows
    ]


def nested(rows: Sequence[Row]) -> list[Row]:
    """Put the lists of responses into one object, as some tools do."""
    parts = {"responses": "", "users": ".users", "status": ".status"}
    return [
        {name: value for name, value in row.items() if not name.startswith("preference")}
        | {"preference": {name: row[f"preference.responses{end}"] for name, end in parts.items()}}
        for row in rows
    ]


def deeper(rows: Sequence[Row]) -> list[Row]:
    parts = {"value": "", "users": ".users", "status": ".status"}
    return [
        {name: value for name, value in row.items() if not name.startswith("preference")}
        | {
            "preference": {
                "responses": {name: row[f"preference.responses{end}"] for name, end in parts.items()}
            }
        }
        for row in rows
    ]


def shaped(write: Write, *shapes: Callable[[Sequence[Row]], list[Row]]) -> Write:
    def reshape(path: Path, rows: Sequence[Row]) -> Path:
        for shape in shapes:
            rows = shape(rows)
        return write(path, rows)

    return reshape


# Argilla: the columns of open-image-preferences

ARGILLA: dict[str, Write] = {
    "parquet": lambda path, rows: parquet(path, rows, SCHEMA),
    "parquet, dotted": shaped(parquet, dotted),
    "parquet, nested": shaped(parquet, nested),
    "JSON": json_array,
    "JSON, dotted": shaped(json_array, dotted),
    "JSON, nested": shaped(json_array, nested),
    "JSON, nested deeper": shaped(json_array, deeper),
    "JSON Lines": json_lines,
    "JSON Lines, dotted": shaped(json_lines, dotted),
    "JSON Lines, nested": shaped(json_lines, nested),
    "CSV of JSON": csv_with(json.dumps),
    "CSV of JSON, dotted": shaped(csv_with(json.dumps), dotted),
    "CSV of JSON, nested": shaped(csv_with(json.dumps), nested),
    "CSV of Python": csv_with(str),
    "CSV of Python, dotted": shaped(csv_with(str), dotted),
    "CSV of numpy": shaped(csv_with(numpy_cell), dotted),
}


def record(number: int = 1, **changes: Any) -> Row:
    """Return a good Argilla record; `responses`, `users` and `status_of` change the lists."""
    names = {"responses": "", "users": ".users", "statuses": ".status"}
    lists = {
        f"preference.responses{names[name]}": changes.pop(name) for name in list(names) if name in changes
    }
    images = {
        "image_1": f"https://host.example/a_dev/{number}.jpg",
        "image_2": f"https://host.example/a_sd/{number}.jpg",
        "prompt": f"a face, {number}",
    } | {name: changes.pop(name) for name in ("image_1", "image_2") if name in changes}
    return REAL_RECORD | {"id": f"{number}-quality", "images": images} | lists | changes


@pytest.mark.parametrize("name", ARGILLA)
def test_an_argilla_export_comes_back_whatever_its_format(name: str, tmp_path: Path, work: Path) -> None:
    empty = record(2, evolution="simplified", responses=None, users=None, statuses=None, status="pending")
    swapped = record(
        3,
        model_1="sd",
        model_2=None,
        sub_category=None,
        responses=["toxic_content", "image_2", "image_1"],
        statuses=["discarded", "submitted", "draft"],
    )
    path = ARGILLA[name](tmp_path / "export", [REAL_RECORD, empty, swapped])
    reading = read(work, path, annotator_key=b"key")

    assert {problem.reason for problem in reading.problems} == {Reason.IMAGE_NOT_HERE}
    assert len(reading.pairs) == 3
    pairs = {pair.id: pair for pair in reading.pairs}
    real = pairs["3368-quality"]
    annotators = [vote.annotator for vote in real.votes]
    assert len(set(annotators)) == 3
    assert all(annotator is not None and len(annotator) == 16 for annotator in annotators)
    expected = {
        "id": "3368-quality",
        "prompt": "a bustling manga street",
        "image_1": REAL_RECORD["images"]["image_1"],
        "image_2": REAL_RECORD["images"]["image_2"],
        "image_1_id": None,
        "image_2_id": None,
        "model_1": FLUX,
        "model_2": SD,
        "category": "Manga",
        "sub_category": "detailed",
        "evolution": "quality",
        "decision": "image_1",
        "rule": "submitted-majority",
        "votes_image_1": 2,
        "votes_image_2": 0,
        "votes_both_good": 1,
        "votes_both_bad": 0,
        "votes_tie": 0,
        "votes_toxic": 0,
        "num_responses": 3,
        "agreement": 1 / 3,
        "confidence": None,
        "sides_shuffled": True,
        "votes": [
            {"annotator": annotator, "label": label, "status": "submitted"}
            | dict.fromkeys(("left", "time", "seconds", "kind"))
            for annotator, label in zip(annotators, ["both_good", "image_1", "image_1"], strict=True)
        ],
        "status": "completed",
        "license": "apache-2.0",
        "prompt_license": "cc-by-sa-4.0",
        "source": "votes",
        "file": "export",
        "row": 2 if "CSV" in name else 1,
        "split": "train",
    }
    assert real.model_dump(mode="json") == expected
    nobody = pairs["2-quality"]
    assert (nobody.votes, nobody.decision, nobody.evolution) == ([], Decision.NO_VOTES, "simplified")
    other = pairs["3-quality"]
    assert (other.model_1, other.model_2, other.sub_category) == (SD, None, None)
    assert [(vote.annotator, vote.label, vote.status) for vote in other.votes] == [
        (annotators[0], "toxic_content", "discarded"),
        (annotators[1], "image_2", "submitted"),
        (annotators[2], "image_1", "draft"),
    ]
    assert (other.decision, other.votes_image_2, other.num_responses) == ("image_2", 1, 3)


# The other forms


@dataclass(frozen=True)
class Form:
    """A form: good rows, how to write them, and what must come of them.

    Attributes:
        kind: As the source names it.
        rows: Good rows.
        pairs: (prompt, image_1, image_2, decision, [label, ...], model_1) of each pair, in any order.
        write: Writes them.
        sides_shuffled: What is published of the order of sides.
    """

    kind: str
    rows: Sequence[Row]
    pairs: Sequence[tuple[Any, ...]]
    write: Write = parquet
    sides_shuffled: bool = True


def embedded(number: int, name: str) -> str:
    return f"{name}@{image_id_of(hashlib.sha256(JPEGS[number]).hexdigest())}"


def pick(first: int, second: int, labels: tuple[float | None, float | None], user: int, **more: Any) -> Row:
    """Return a row of Pick-a-Pic with bytes."""
    return {
        "caption": "a face",
        "jpg_0": JPEGS[first],
        "jpg_1": JPEGS[second],
        "image_0_uid": f"uid{first}",
        "image_1_uid": f"uid{second}",
        "label_0": labels[0],
        "label_1": labels[1],
        "model_0": f"model{first}",
        "model_1": f"model{second}",
        "ranking_id": user,
        "user_id": user,
        "has_label": True,
        "created_at": "2023-01-01",
    } | more


def linked(row: Row) -> Row:
    """Return a row of Pick-a-Pic with addresses only."""
    sides = {
        f"image_{side}_url": f"https://host.example/{row[f'image_{side}_uid']}.png?X=1" for side in (0, 1)
    }
    return {name: value for name, value in row.items() if not name.startswith("jpg_")} | sides


PICKS = [
    pick(0, 1, (1.0, 0.0), 7),
    pick(1, 0, (0.0, 1.0), 8),  # the same choice with the sides swapped
    pick(0, 1, (0.5, 0.5), 9),
    pick(2, 3, (0.5, 0.5), 7),
    pick(1, 3, (None, None), 7, has_label=False),
]
RATED: Row = {"prompt": "a face", "image1": "a/1.jpg", "image2": "b/1.jpg", "model1": "m1", "model2": "m2"}
COUNTED: list[Row] = [
    RATED | {"votes_image1": 3, "votes_image2": 1},
    RATED | {"prompt": "two", "votes_image1": 0, "votes_image2": 0},
]
IMAGES: list[Row] = [{"bytes": JPEGS[number], "path": f"{number}.jpg"} for number in (0, 1)]
RANKED: list[Row] = [
    {"prompt_id": "p", "prompt": "a face", "image_path": f"{name}.png", "rank": rank, "overall_rating": 5}
    for name, rank in (("b", 2), ("a", 1), ("c", 2))
]
FORMS: dict[str, Form] = {
    "pick-a-pic, bytes": Form(
        "pick-a-pic",
        PICKS,
        [
            (
                *("a face", embedded(0, "uid0"), embedded(1, "uid1"), "image_1"),
                *(["image_1", "image_1", "tie"], "model0"),
            ),
            ("a face", embedded(2, "uid2"), embedded(3, "uid3"), "undecided", ["tie"], "model2"),
            ("a face", embedded(1, "uid1"), embedded(3, "uid3"), "no_votes", [], "model1"),
        ],
    ),
    "pick-a-pic, addresses": Form(
        "pick-a-pic",
        [linked(row) for row in PICKS[:2]],
        [
            (
                *("a face", "https://host.example/uid0.png", "https://host.example/uid1.png", "image_1"),
                *(["image_1", "image_1"], "model0"),
            )
        ],
        csv_with(str),
    ),
    "rapidata, paths": Form(
        "rapidata",
        COUNTED,
        [
            ("a face", "a/1.jpg", "b/1.jpg", "image_1", ["image_1"] * 3 + ["image_2"], "m1"),
            ("two", "a/1.jpg", "b/1.jpg", "no_votes", [], "m1"),
        ],
        json_lines,
    ),
    "rapidata, structs": Form(
        "rapidata",
        [COUNTED[0] | {"image1": IMAGES[0], "image2": IMAGES[1], "detailed_results": "[]"}],
        [
            (
                *("a face", embedded(0, "0.jpg"), embedded(1, "1.jpg"), "image_1"),
                *(["image_1"] * 3 + ["image_2"], "m1"),
            )
        ],
    ),
    "hpdv2": Form(
        "hpdv2",
        [
            {"prompt": "a face", "image_path": ["1.jpg", "2.jpg"], "human_preference": [0, 1]},
            {"prompt": "a face", "image_path": ["2.jpg", "1.jpg"], "human_preference": [1, 0]},
            {"prompt": "b", "image_path": ["1.jpg", "2.jpg"], "human_preference": [1, 0], "user_hash": "u"},
        ],
        [
            ("a face", "1.jpg", "2.jpg", "image_2", ["image_2", "image_2"], None),
            ("b", "1.jpg", "2.jpg", "image_1", ["image_1"], None),
        ],
    ),
    "hpdv3": Form(
        "hpdv3",
        [{"prompt": "a face", "path1": "x/1.jpg", "path2": "x/2.jpg", "model1": "flux", "confidence": 0.75}],
        [("a face", "x/1.jpg", "x/2.jpg", "image_1", ["image_1"], "flux")],
        json_array,
        sides_shuffled=False,
    ),
    "image-reward pairs": Form(
        "image-reward-pairs",
        [{"prompt": "a face", "img_better": "1.webp", "img_worse": "2.webp"}],
        [("a face", "1.webp", "2.webp", "image_1", ["image_1"], None)],
        csv_with(str),
        sides_shuffled=False,
    ),
    "image-reward ranks": Form(
        "image-reward-ranks",
        RANKED,
        [
            ("a face", "a.png", "b.png", "image_1", ["image_1"], None),
            ("a face", "a.png", "c.png", "image_1", ["image_1"], None),
            ("a face", "b.png", "c.png", "undecided", ["tie"], None),
        ],
        csv_with(str),
        sides_shuffled=False,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_comes_back(name: str, tmp_path: Path, work: Path) -> None:
    form = FORMS[name]
    path = form.write(tmp_path / "votes", form.rows)
    assert PreferenceSource(path, "votes", SourceOptions()).kind == f"preferences/{form.kind}"
    reading = read(work, path)
    found = [
        (
            *(pair.prompt, pair.image_1, pair.image_2, pair.decision),
            *([vote.label for vote in pair.votes], pair.model_1),
        )
        for pair in reading.pairs
    ]
    assert sorted(found, key=str) == sorted(form.pairs, key=str)
    counts = reading.tables[Table.PREFERENCES]
    assert (counts.read, counts.published, counts.rejected) == (len(form.rows), len(form.rows), {})
    assert counts.num_rows == len(form.pairs)
    for pair in reading.pairs:
        assert pair.sides_shuffled is form.sides_shuffled
        assert {vote.status for vote in pair.votes} <= {"submitted"}
        assert (pair.license, pair.prompt_license, pair.category, pair.status) == (None,) * 4
    if "bytes" in name or "structs" in name:
        assert all(pair.image_1_id and pair.image_2_id for pair in reading.pairs)


def test_people_of_pick_a_pic_are_told_apart(tmp_path: Path, work: Path) -> None:
    path = parquet(tmp_path / "t", [*PICKS[:2], pick(0, 1, (1.0, 0.0), 7), pick(2, 3, (1.0, 0.0), 7)])
    both = {len(pair.votes): pair for pair in read(work, path).pairs}
    assert both[3].votes[0].annotator == both[3].votes[2].annotator == both[1].votes[0].annotator
    assert both[3].votes[0].annotator != both[3].votes[1].annotator
    assert both[3].votes_image_1 == 2  # one for each person


def test_hpdv3_keeps_its_confidence_and_terms_can_be_told(tmp_path: Path, work: Path) -> None:
    path = json_array(tmp_path / "t", FORMS["hpdv3"].rows)
    (pair,) = read(work, path, license="MIT", prompt_license="CC0-1.0").pairs
    assert (pair.confidence, pair.license, pair.prompt_license) == (0.75, "MIT", "CC0-1.0")


def test_terms_that_are_told_are_kept_of_ranks_too(tmp_path: Path, work: Path) -> None:
    pairs = read(work, csv_with(str)(tmp_path / "t", RANKED), license="MIT", prompt_license="CC0-1.0").pairs
    assert {(pair.license, pair.prompt_license) for pair in pairs} == {("MIT", "CC0-1.0")}


def test_images_inside_of_a_table_of_ranks_are_kept(tmp_path: Path, work: Path) -> None:
    rows = [{"prompt_id": "p", "rank": number + 1, "image": IMAGES[number]} for number in (0, 1)]
    (pair,) = read(work, parquet(tmp_path / "t", rows)).pairs
    assert pair.decision == "image_1"
    assert pair.image_1_id == hashlib.sha256(IMAGES[0]["bytes"]).hexdigest()[:16]
    assert pair.image_2_id == hashlib.sha256(IMAGES[1]["bytes"]).hexdigest()[:16]


# Bad rows: each is told with its place, value and remedy, and costs nothing else


@dataclass(frozen=True)
class Bad:
    """Rows of which the last is bad, and what must be said of it.

    Attributes:
        rows: The rows.
        reason: Kind of problem.
        says: Its message.
        column: Column it is told for.
        value: Part of the value shown; None if none is.
        fix: Part of what to do.
        rejected: Rows set aside.
        write: Writes them.
    """

    rows: Sequence[Row]
    reason: Reason
    says: str
    column: str | None = None
    value: str | None = None
    fix: str = ""
    rejected: int = 1
    write: Write = json_lines


RESPONSES = "preference.responses"
THREE = '["both_good", "image_1", "image_1"]'


def bad_record(
    reason: Reason,
    says: str,
    column: str | None = None,
    value: str | None = None,
    fix: str = "",
    **changes: Any,
) -> Bad:
    """A good record, and one with changes."""
    rejected, write = changes.pop("rejected", 1), changes.pop("write", json_lines)
    return Bad([record(1), record(2, **changes)], reason, says, column, value, fix, rejected, write)


def bad_pick(says: str, column: str | None, value: str | None, fix: str, **changes: Any) -> Bad:
    """A good row of Pick-a-Pic, and one with changes."""
    reason = changes.pop("reason", Reason.BAD_VALUE)
    write = changes.pop("write", json_lines)
    rows = [linked(PICKS[0]), linked(pick(2, 3, (1.0, 0.0), 9)) | changes]
    return Bad(rows, reason, says, column, value, fix, write=write)


def bad_row(form: str, says: str, column: str | None, value: str | None, fix: str, **changes: Any) -> Bad:
    """A good row of another form, and one with changes."""
    reason = changes.pop("reason", Reason.BAD_VALUE)
    row = (
        {"prompt": "another"} | {"prompt_id": "q"} if form == "image-reward ranks" else {"prompt": "another"}
    )
    good = list(FORMS[form].rows[:1] if form != "image-reward ranks" else FORMS[form].rows)
    return Bad([*good, FORMS[form].rows[0] | row | changes], reason, says, column, value, fix)


SHORT = bad_record(
    *(Reason.UNEQUAL_LISTS, "there are 2 responses, 3 users and 3 statuses", RESPONSES),
    *('["image_1", "image_2"]', "give each response its user and status"),
    responses=["image_1", "image_2"],
)
COUNT = "votes_image1"
BAD: dict[str, Bad] = {
    # argilla
    "unknown label": bad_record(
        *(
            Reason.UNKNOWN_LABEL,
            "'image1' is not a response",
            RESPONSES,
            '["image1"',
            "did you mean image_1?",
        ),
        responses=["image1", "image_2", "image_2"],
    ),
    "label of another kind": bad_record(
        *(Reason.UNKNOWN_LABEL, "7 is not a response", RESPONSES, "7", "use one of: image_1, image_2, both_"),
        responses=["image_1", 7, "image_2"],
    ),
    "label is a list": bad_record(
        *(Reason.UNKNOWN_LABEL, "['image_1'] is not a response", RESPONSES, None, ""),
        responses=["image_1", ["image_1"], "image_2"],
    ),
    "a submitted nothing": bad_record(
        *(Reason.UNKNOWN_LABEL, "a submitted response has no answer", RESPONSES, "null", "use one of"),
        responses=["image_1", None, "image_2"],
    ),
    "unknown status": bad_record(
        *(Reason.UNKNOWN_LABEL, "'Submitted' is not the status of a response", f"{RESPONSES}.status"),
        *("Submitted", "did you mean submitted?"),
        statuses=["Submitted", "draft", "pending"],
    ),
    "too few responses": SHORT,
    "too few users": bad_record(
        *(Reason.UNEQUAL_LISTS, "there are 3 responses, 1 users and 3 statuses", RESPONSES, THREE),
        users=["somebody"],
    ),
    "too many statuses": bad_record(
        *(Reason.UNEQUAL_LISTS, "there are 3 responses, 3 users and 4 statuses", RESPONSES, THREE),
        statuses=["submitted"] * 4,
    ),
    "users without responses": bad_record(
        *(Reason.UNEQUAL_LISTS, "there are 0 responses, 3 users and 3 statuses", RESPONSES), responses=None
    ),
    "responses are text": bad_record(
        *(Reason.BAD_VALUE, "the cell is not a list", RESPONSES, "image_1", "write one, such as"),
        responses="image_1",
    ),
    "responses are a list of objects": bad_record(
        *(Reason.BAD_VALUE, "the cell holds no lists of responses", "preference", "user_id", "responses"),
        responses=None,
        users=None,
        statuses=None,
        preference=[{"user_id": 1, "value": "image_1"}],
    ),
    "empty id": bad_record(Reason.BAD_VALUE, "empty or missing", "id", "", "fill it in", id=""),
    "blank id": bad_record(Reason.BAD_VALUE, "empty or missing", "id", "  ", "fill it in", id="  "),
    "no image": bad_record(
        Reason.BAD_VALUE, "empty or missing", "images.image_2", None, "fill it in", image_2=None
    ),
    "no images": bad_record(
        Reason.BAD_VALUE, "empty or missing", "images.image_1", None, "fill it in", images=None
    ),
    "image is a number of half": bad_record(
        Reason.BAD_VALUE, "holds a float, not a text", "images.image_1", "1.5", "write a text", image_1=1.5
    ),
    "model is a list": bad_record(
        Reason.BAD_VALUE, "holds a list, not a text", "model_1", '["dev"]', "write a text", model_1=["dev"]
    ),
    "the same image twice": bad_record(
        *(Reason.SAME_IMAGE_TWICE, "both sides are the same image", None, "x.jpg", "correct one of them"),
        image_1="x.jpg",
        image_2="x.jpg",
    ),
    "the same row twice": Bad(
        [record(1), record(1)],
        *(Reason.DUPLICATE_ROW, "row 1 says the same", None, "1-quality", "remove one of them"),
    ),
    "the same id with other votes": Bad(
        [record(1), record(1, responses=["image_2"] * 3)],
        *(
            Reason.CONFLICTING_ROWS,
            "rows 1, 2 speak of this and contradict",
            None,
            "1-quality",
            "keep the true",
        ),
        rejected=2,
    ),
    "the same id with another image": Bad(
        [record(1), record(1, image_1="x.jpg")],
        *(
            Reason.CONFLICTING_ROWS,
            "rows 1, 2 speak of this and contradict",
            None,
            "1-quality",
            "keep the true",
        ),
        rejected=2,
    ),
    "no line of JSON": Bad([record(1), 7], Reason.BAD_JSON, "not an object", None, "7"),  # type: ignore[list-item]
    # Pick-a-Pic
    "labels that do not sum": bad_pick(
        *("the labels are 1.0 and 1.0: one must be 1, or both 0.5", "label_0", "1.0", "correct them"),
        label_1=1.0,
        reason=Reason.UNKNOWN_LABEL,
    ),
    "labels missing": bad_pick(
        *("the labels are None and 0.0", "label_0", None, "correct them"),
        label_0=None,
        reason=Reason.UNKNOWN_LABEL,
    ),
    "label beyond": bad_pick("not between 0 and 1", "label_0", "2", "correct it", label_0=2),
    "label in words": bad_pick("not a number", "label_0", "first", "write a number", label_0="first"),
    "no picture": bad_pick(
        *("the cell is empty or missing", "jpg_0", None, "fill it in"), image_0_url="", image_0_uid=None
    ),
    "the same picture": bad_pick(
        *("both sides are the same image", None, "https://host.example/uid2.png", "correct one of them"),
        image_1_url="https://host.example/uid2.png?X=1",
        reason=Reason.SAME_IMAGE_TWICE,
    ),
    "person is a list": bad_pick("holds a list", "user_id", "[9]", "write a text", user_id=[9]),
    "bytes that are no image": Bad(
        [PICKS[0], pick(2, 3, (1.0, 0.0), 9, jpg_1=b"no image")],
        *(Reason.IMAGE_FORMAT, "this is not an image in one of the formats", None, "6e 6f", "replace it"),
        write=parquet,
    ),
    "bytes that are half an image": Bad(
        [PICKS[0], pick(2, 3, (1.0, 0.0), 9, jpg_1=JPEGS[3][:-20])],
        *(Reason.IMAGE_DAMAGED, "does not decode", None, None, "replace it"),
        write=parquet,
    ),
    "the same bytes": Bad(
        [PICKS[0], pick(2, 2, (1.0, 0.0), 9, image_1_uid="other")],
        *(Reason.SAME_IMAGE_TWICE, "both sides are the same image", None, "uid2@", "correct one of them"),
        write=parquet,
    ),
    # Rapidata
    "count below 0": bad_row(
        "rapidata, paths", "not between 0 and", COUNT, "-1", "correct it", votes_image1=-1
    ),
    "count of a half": bad_row(
        "rapidata, paths", "the number of votes is not whole", COUNT, "1.5", "correct it", votes_image1=1.5
    ),
    "count too large": bad_row(
        "rapidata, paths", "more than 10,000 votes", COUNT, "10001", "correct the count", votes_image1=10_001
    ),
    "count far too large": bad_row(
        "rapidata, paths", "not between 0 and", COUNT, "1" + "0" * 30, "correct", votes_image1=10**30
    ),
    "count in words": bad_row(
        "rapidata, paths", "not a number", COUNT, "many", "write a number", votes_image1="many"
    ),
    "rapidata without prompt": bad_row(
        "rapidata, paths", "empty or missing", "prompt", None, "fill it in", prompt=None
    ),
    "rapidata without image": bad_row(
        "rapidata, paths", "empty or missing", "image2", "", "fill it in", image2=""
    ),
    # HPDv2
    "one-hot of three": bad_row(
        *("hpdv2", "the cell is not [1, 0] or [0, 1]", "human_preference", "[1, 0, 0]", "mark the one"),
        human_preference=[1, 0, 0],
        reason=Reason.UNKNOWN_LABEL,
    ),
    "one-hot of both": bad_row(
        *("hpdv2", "the cell is not [1, 0] or [0, 1]", "human_preference", "[1, 1]", "mark the one"),
        human_preference=[1, 1],
        reason=Reason.UNKNOWN_LABEL,
    ),
    "one-hot of lists": bad_row(
        *("hpdv2", "the cell is not [1, 0] or [0, 1]", "human_preference", "[[1], [0]]", "mark the one"),
        human_preference=[[1], [0]],
        reason=Reason.UNKNOWN_LABEL,
    ),
    "one path": bad_row(
        *("hpdv2", "the cell does not list two paths", "image_path", '["1.jpg"]', "write both"),
        image_path=["1.jpg"],
    ),
    "a path that is a number": bad_row(
        *("hpdv2", "the cell does not list two paths", "image_path", '["1.jpg", 2]', "write both"),
        image_path=["1.jpg", 2],
    ),
    "a path that is empty": bad_row(
        *("hpdv2", "the cell does not list two paths", "image_path", "", "write both"),
        image_path=["1.jpg", ""],
    ),
    "paths as text": bad_row(
        "hpdv2", "the cell is not a list", "image_path", "1.jpg", "write one", image_path="1.jpg"
    ),
    # HPDv3
    "confidence beyond 1": bad_row(
        "hpdv3", "not between 0 and 1", "confidence", "1.5", "correct it", confidence=1.5
    ),
    "confidence in words": bad_row(
        "hpdv3", "not a number", "confidence", "high", "write a number", confidence="high"
    ),
    "no second path": bad_row("hpdv3", "empty or missing", "path2", None, "fill it in", path2=None),
    "no prompt": bad_row("hpdv3", "empty or missing", "prompt", "", "fill it in", prompt=""),
    "one path twice": bad_row(
        *("hpdv3", "both sides are the same image", None, "x/1.jpg", "correct one of them"),
        path2="x/1.jpg",
        reason=Reason.SAME_IMAGE_TWICE,
    ),
    # ImageReward, pairs
    "no better": bad_row("image-reward pairs", "empty or missing", "img_better", "", "fill", img_better=""),
    "no worse": bad_row("image-reward pairs", "empty or missing", "img_worse", None, "fill", img_worse=None),
    "no words": bad_row("image-reward pairs", "empty or missing", "prompt", None, "fill", prompt=None),
    "better is true": bad_row(
        "image-reward pairs", "holds a bool, not a text", "img_better", "true", "write", img_better=True
    ),
    "better is worse": bad_row(
        *("image-reward pairs", "both sides are the same image", None, "1.webp", "correct"),
        img_worse="1.webp",
        reason=Reason.SAME_IMAGE_TWICE,
    ),
    # ImageReward, ranks
    "no rank": bad_row("image-reward ranks", "the image has no rank", "rank", None, "1 for the", rank=None),
    "rank 0": bad_row("image-reward ranks", "not between 1 and 1,000", "rank", "0", "correct it", rank=0),
    "rank NaN": bad_row("image-reward ranks", "not a number", "rank", "nan", "write a number", rank="nan"),
    "rank without image": bad_row(
        "image-reward ranks", "empty or missing", "image_path", "", "fill it in", image_path=""
    ),
    "rank without prompt": bad_row(
        "image-reward ranks", "empty or missing", "prompt_id", None, "fill it in", prompt_id=None
    ),
    "one image alone": bad_row(
        *("image-reward ranks", "the prompt has no other ranked image", "prompt_id", "q"),
        "complete the ranking",
    ),
    "the same rank twice": Bad(
        [*RANKED, RANKED[0]], Reason.DUPLICATE_ROW, "row 1 says the same", None, "b.png", "remove one of them"
    ),
    "two ranks of one image": Bad(
        [*RANKED, RANKED[0] | {"rank": 1}],
        *(
            Reason.CONFLICTING_ROWS,
            "rows 4, 1 speak of this and contradict",
            None,
            "b.png",
            "keep the true one",
        ),
        rejected=2,
    ),
    "too many ranks": Bad(
        [
            *RANKED,
            *({"prompt_id": "q", "image_path": f"{number}.png", "rank": 1} for number in range(101)),
        ],
        *(Reason.BAD_VALUE, "the prompt has 101 ranked images", "prompt_id", "q", "give fewer"),
        rejected=101,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_told_and_the_others_are_published(name: str, tmp_path: Path, work: Path) -> None:
    case = BAD[name]
    reading = read(work, case.write(tmp_path / "votes", case.rows))
    problems = [problem for problem in reading.problems if problem.reason is case.reason]
    last = max(problems, key=lambda problem: problem.row or 0)
    assert (last.file, last.row, last.column) == ("votes", len(case.rows), case.column)
    assert case.says in last.message
    assert case.fix in last.fix
    assert last.fix
    assert (case.value or "") in (last.value or "")
    assert last.severity is Severity.REJECTED
    counts = reading.tables[Table.PREFERENCES]
    assert counts.rejected == {case.reason: case.rejected}
    assert counts.read == len(case.rows) == counts.published + case.rejected
    assert len(reading.rejected) == case.rejected
    assert counts.num_rows == len(reading.pairs) > 0 or case.rejected == len(case.rows)


def test_responses_without_statuses_are_taken_for_submitted_with_a_warning(
    tmp_path: Path, work: Path
) -> None:
    rows = [{name: value for name, value in record().items() if not name.endswith("status")}]
    reading = read(work, json_lines(tmp_path / "t", rows))
    (problem,) = (problem for problem in reading.problems if problem.reason is Reason.NO_STATUS)
    assert str(problem) == (
        "t:1:preference.responses.status: the responses have no status, and all are taken for submitted "
        "→ export the status, too"
    )
    assert {vote.status for vote in reading.pairs[0].votes} == {"submitted"}
    assert reading.tables[Table.PREFERENCES].warnings[Reason.NO_STATUS] == 1


def test_people_without_an_id_are_not_taken_for_one(tmp_path: Path, work: Path) -> None:
    rows = [record(1, users=["", " ", None]), record(2, users=None)]
    for pair in read(work, json_lines(tmp_path / "t", rows)).pairs:
        assert [vote.annotator for vote in pair.votes] == [None] * 3
        assert pair.decision is Decision.IMAGE_1


def test_all_problems_of_a_row_are_told_at_once(tmp_path: Path, work: Path) -> None:
    row = record(
        id="", image_2=None, responses=["image_9", "image_1", "image_1"], statuses=["x", "draft", "y"]
    )
    reading = read(work, json_lines(tmp_path / "t", [row]))
    (rejected,) = reading.rejected
    status = f"{RESPONSES}.status"
    assert [problem.column for problem in rejected.problems] == [
        *("id", "images.image_2", RESPONSES, status, status)
    ]


# Files of no form, and of several

UNKNOWN = {
    "no known form": (
        [{"left": "a.jpg", "right": "b.jpg"}] * 2,
        None,
        "no known form of preferences has these",
    ),
    "captions": ([{"image": "a.jpg", "caption": "a face"}], None, "no known form of preferences has these"),
    "a form that does not fit": (
        FORMS["hpdv3"].rows,
        "rapidata",
        "the form rapidata needs image1 and image2",
    ),
    "a form that is none": (FORMS["hpdv3"].rows, "hpdv4", "there is no form of preferences 'hpdv4'"),
    "two forms": (
        [FORMS["hpdv3"].rows[0] | FORMS["image-reward pairs"].rows[0]],
        None,
        "this may be hpdv3 or image-reward-pairs",
    ),
}
FIXES = {
    "no known form": (
        "the table has left, right; argilla has images, preference.responses; pick-a-pic has",
        "",
    ),
    "captions": (
        "the table has image, caption; argilla has",
        "image-reward-ranks has prompt_id, rank, image_path",
    ),
    "a form that does not fit": ("the table has prompt, path1, path2, model1, confidence", ""),
    "a form that is none": ("did you mean hpdv", ""),
    "two forms": (
        "say which in release.toml, [[sources]]: ",
        'form = "hpdv3" or form = "image-reward-pairs"',
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_table_whose_form_cannot_be_told_is_a_question(name: str, tmp_path: Path) -> None:
    rows, asked, says = UNKNOWN[name]
    with pytest.raises(SourceError) as caught:
        PreferenceSource(json_lines(tmp_path / "t", rows), "votes", SourceOptions(form=asked))
    (problem,) = caught.value.problems
    assert (problem.file, problem.severity) == ("t", Severity.BLOCKING)
    assert says in problem.message
    assert problem.fix.startswith(FIXES[name][0])
    assert FIXES[name][1] in problem.fix


def test_a_form_that_is_asked_for_answers_the_question(tmp_path: Path, work: Path) -> None:
    rows = UNKNOWN["two forms"][0]
    for form, image in (("hpdv3", "x/1.jpg"), ("image-reward-pairs", "1.webp")):
        (work / form).mkdir()
        (pair,) = read(work / form, json_lines(tmp_path / form, rows), form=form).pairs
        assert pair.image_1 == image


def test_an_object_of_rows_is_no_table_of_votes(tmp_path: Path) -> None:
    path = json_array(tmp_path / "t", {"a.jpg": 1, "b.jpg": 2})  # type: ignore[arg-type]
    for form in (None, "hpdv3"):
        with pytest.raises(SourceError, match="no known form of preferences"):
            PreferenceSource(path, "votes", SourceOptions(form=form))


# People: who they are is not published


def written_rows(catalog: Catalog) -> list[Rows]:
    """Return the rows of pairs as they are written."""
    rule, configs = "submitted-majority", configs_of(Table.PREFERENCES, [Format.PARQUET])
    arrange(catalog, BuildSettings(), rule, None, repack=False)
    (part,) = catalog.layout.parts(Table.PREFERENCES)
    records = read_records(catalog, part, configs, rule)
    return list(part_rows(records, Table.PREFERENCES, configs, BuildSettings()))


def everything_of(work: Path, path: Path, **options: Any) -> tuple[str, str]:
    """Read a file, and give as text all that is published or told of it, and its fingerprint."""
    source = PreferenceSource(path, "votes", SourceOptions(**options))
    with closing(Catalog(work / f"{len(list(work.iterdir()))}.sqlite")) as catalog:
        entries = SourceReader(catalog, BuildSettings(), work).read([source])
        rows = [str(rows) for rows in written_rows(catalog)]
        problems = [str(problem) for level in Severity for problem in catalog.ledger.problems(level, 1000)]
    return "\n".join([*rows, *problems, *map(str, entries), source.sha256]), source.sha256


ZED = "zed@example.com"
USERS = ["ann@example.com", "00000000-0000-4000-8000-000000000002", "4711"]


def test_no_id_of_a_person_is_in_anything_that_is_published_or_told(tmp_path: Path, work: Path) -> None:
    rows = [record(number, users=USERS) for number in range(3)]
    no_status = record(4, users=USERS)
    del no_status["preference.responses.status"]
    bad = record(5, users=[*USERS, ZED])
    for options in ({}, {"annotator_key": b"secret"}):
        text, _ = everything_of(work, json_lines(tmp_path / "t", [*rows, no_status, bad]), **options)
        assert "unequal_lists" not in text
        assert "3 responses, 4 users" in text
        assert not [user for user in [*USERS, ZED] if user in text]
        assert "secret" not in text


def test_ids_of_people_are_published_if_asked_for(tmp_path: Path, work: Path) -> None:
    path = json_lines(tmp_path / "t", [record(users=USERS)])
    text, fingerprint = everything_of(work, path, publish_annotators=True)
    assert all(user in text for user in USERS)
    assert " raw " in fingerprint
    assert fingerprint != everything_of(work, path)[1]


def names_of(work: Path, path: Path, **options: Any) -> list[str | None]:
    (work / "names").mkdir(exist_ok=True)
    (work / "names" / "catalog.sqlite").unlink(missing_ok=True)
    pairs = sorted(read(work / "names", path, **options).pairs, key=lambda pair: pair.row)
    return [vote.annotator for pair in pairs for vote in pair.votes]


def test_names_of_people_hold_within_a_file_and_over_files_with_a_key(tmp_path: Path, work: Path) -> None:
    first = json_lines(tmp_path / "a", [record(1, users=USERS), record(2, users=USERS)])
    second = json_lines(
        tmp_path / "b", [record(1, users=USERS), record(2, users=USERS), record(3, users=USERS)]
    )
    names = names_of(work, first)
    assert names[:3] == names[3:]
    assert len(set(names)) == 3
    assert names_of(work, first) == names
    assert not set(names) & set(names_of(work, second))
    keyed = names_of(work, first, annotator_key=b"one")
    assert keyed == names_of(work, second, annotator_key=b"one")[:6]
    assert not set(keyed) & set(names)
    assert not set(keyed) & set(names_of(work, first, annotator_key=b"two"))
    fingerprints = [
        PreferenceSource(first, "votes", SourceOptions(annotator_key=key)).sha256
        for key in (None, b"one", b"two", b"one")
    ]
    assert len(set(fingerprints)) == 3
    assert fingerprints[1] == fingerprints[3]


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
    st.binary(min_size=1, max_size=100),
)
def test_a_name_is_sixteen_digits_whatever_the_id_and_the_key(user: str, key: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = json_lines(Path(folder) / "t", [record(users=[user, user, "other"])])
        source = PreferenceSource(path, "votes", SourceOptions(annotator_key=key))
        (row,) = source.rows()
    votes = getattr(row.content, "votes", ())
    if not row.problems:
        names = [vote.annotator for vote in votes]
        assert names[0] == names[1]
        assert names[0] is None if not user.strip() else len(names[0]) == 16
        assert (names[0] == names[2]) == (user.strip() == "other")


def test_a_rejected_row_is_kept_as_it_came_beside_the_release(tmp_path: Path, work: Path) -> None:
    (rejected,) = read(work, json_lines(tmp_path / "t", [record(users=[*USERS, ZED])])).rejected
    assert ZED in rejected.raw  # so that it can be mended; it is never in the release


# Images


def test_images_are_found_by_file_name_path_address_and_id(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "faces", 4)
    names = [row[0] for row in folder.rows]
    ids = [image_id_of(hashlib.sha256(folder.images[f"images/{name}"]).hexdigest()) for name in names]
    references = [
        (names[0], f"some/where/{names[1]}"),
        (f"https://host.example/x/{names[2]}?download=true", ids[3]),
        (f"faces/{names[1]}", f"https://host.example/{names[0].removesuffix('.jpg')}"),
        (names[0], "nowhere.jpg"),
    ]
    rows = [record(number, image_1=one, image_2=two) for number, (one, two) in enumerate(references)]
    reading = read(work, json_lines(tmp_path / "t", rows), folder.write())
    found = {pair.id: (pair.image_1_id, pair.image_2_id) for pair in reading.pairs}
    assert found == {
        "0-quality": (ids[0], ids[1]),
        "1-quality": (ids[2], ids[3]),
        "2-quality": (ids[1], ids[0]),
        "3-quality": (ids[0], None),
    }
    (problem,) = (problem for problem in reading.problems if problem.reason is Reason.IMAGE_NOT_HERE)
    assert problem.message == "1 images are nowhere here; the pairs of votes are published without them"
    assert (problem.row, problem.value) == (4, "nowhere.jpg")
    assert "[[sources]]" in problem.fix


def test_two_names_of_one_image_are_no_pair(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "faces", 2)
    name = folder.rows[0][0]
    rows = [record(1, image_1=name, image_2=f"x/{name}"), record(2)]
    reading = read(work, json_lines(tmp_path / "t", rows), folder.write())
    assert [pair.id for pair in reading.pairs] == ["2-quality"]
    assert [row.reason for row in reading.rejected] == ["same_image_twice"]


def test_ranks_of_one_image_under_two_names_are_all_accounted_for(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "faces", 2)
    name = folder.rows[0][0]
    rows = [
        {"prompt_id": "p", "image_path": image, "rank": rank}
        for rank, image in enumerate((name, f"x/{name}"), start=1)
    ]
    reading = read(work, json_lines(tmp_path / "t", rows), folder.write())
    assert reading.pairs == []
    assert reading.tables[Table.PREFERENCES].rejected == {"same_image_twice": 1, "bad_value": 1}


def test_images_of_a_local_folder_are_found_and_unusable_ones_told(tmp_path: Path, work: Path) -> None:
    images = tmp_path / "images"
    (images / "a_dev").mkdir(parents=True)
    (images / "a_dev" / "1.jpg").write_bytes(JPEGS[0])
    (images / "1.jpg").write_bytes(JPEGS[1])
    (images / "2.jpg").write_bytes(b"no image")
    rows = [record(1), record(2, image_1="https://user:pw@host.example/2.jpg?token=t"), record(3)]
    reading = read(work, json_lines(tmp_path / "t", rows), images=images)
    pairs = {pair.id: pair for pair in reading.pairs}
    ids = [image_id_of(hashlib.sha256(data).hexdigest()) for data in JPEGS[:2]]
    assert len(pairs) == 3
    assert [pairs["1-quality"].image_1_id, pairs["1-quality"].image_2_id] == ids
    told = [str(problem) for problem in reading.problems if problem.reason is Reason.IMAGE_NOT_USABLE]
    assert len(told) == 2
    assert all("the image cannot be used: this is not an image" in text for text in told)
    assert "https://host.example/2.jpg" in "".join(told)
    assert not any(secret in text for text in told for secret in ("pw", "token"))
    (missing,) = (problem for problem in reading.problems if problem.reason is Reason.IMAGE_NOT_HERE)
    assert missing.message.startswith("2 images are nowhere here")
    assert reading.tables[Table.PREFERENCES].warnings == {"image_not_usable": 2, "image_not_here": 1}


def test_a_binarized_pair_holds_the_bytes_of_both_images(tmp_path: Path, work: Path) -> None:
    path = parquet(tmp_path / "t", [pick(0, 1, (0.0, 1.0), 7)])
    with closing(Catalog(work / "catalog.sqlite")) as catalog:
        source = PreferenceSource(path, "votes", SourceOptions())
        SourceReader(catalog, BuildSettings(), work).read([source])
        (rows,) = written_rows(catalog)
    binarized: Mapping[str, Any] = rows["binarized"]
    assert binarized["chosen"]["bytes"] == JPEGS[1]
    assert binarized["rejected"]["bytes"] == JPEGS[0]
    assert (binarized["chosen_model"], binarized["rejected_model"]) == ("model1", "model0")


def test_the_longest_path_is_found_first_and_nothing_outside(tmp_path: Path) -> None:
    folder, outside = (tmp_path / "in").resolve(), tmp_path / "secret.jpg"
    for name in ("a/b/c.jpg", "b/c.jpg", "c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    outside.touch()
    (folder / "link.jpg").symlink_to(outside)
    (folder / "inner.jpg").symlink_to("c.jpg")
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop.jpg").symlink_to("loop.jpg")
    for reference, found in {
        "https://host/x/a/b/c.jpg?q=1#f": "a/b/c.jpg",
        "https://host/x/b/c.jpg": "b/c.jpg",
        "https://host/c.jpg": "c.jpg",
        "x/y/c.jpg": "c.jpg",
        "/a/b/c.jpg": "a/b/c.jpg",
        "x\\b\\c.jpg": "b/c.jpg",
        "./c.jpg": "c.jpg",
        "inner.jpg": "c.jpg",
        "https://host/%61/b/c.jpg": "a/b/c.jpg",
    }.items():
        assert find_below(folder, reference) == folder / found
    for reference in (
        *(
            "../secret.jpg",
            "a/../../secret.jpg",
            "https://host/../secret.jpg",
            "https://host/%2e%2e/secret.jpg",
        ),
        *(str(outside), "link.jpg", "up/secret.jpg", "secret.jpg", "loop.jpg", "c.jpg\0", "a", "", "/", "."),
        *("x" * 300, "..\\secret.jpg", "/etc/passwd", "%2e%2e/secret.jpg", "https://host"),
    ):
        assert find_below(folder, reference) is None


@given(st.lists(st.sampled_from(["..", ".", "", "a", "up", "secret.jpg", "in", "c.jpg", "\0", "%2e%2e"])))
def test_whatever_a_reference_says_nothing_outside_is_found(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve() / "in"
        (folder / "a").mkdir(parents=True)
        (folder / "c.jpg").touch()
        (folder / "up").symlink_to(place)
        (folder.parent / "secret.jpg").touch()
        for reference in ("/".join(parts), "https://host/" + "/".join(parts), "\\".join(parts)):
            found = find_below(folder, reference)
            assert found is None or found == folder / "c.jpg"


NAME = st.text("abcxyz0189", min_size=1, max_size=6)
TOKEN = "S3cr3tT0k3n"


@given(
    scheme=st.sampled_from(["http", "https", "HTTPS", "s3", "hf", "gs", "git+https", " https"]),
    user=st.sampled_from(["", f"{TOKEN}@", f"me:{TOKEN}@", f"{TOKEN}:@", f"a@b:{TOKEN}@"]),
    path=st.lists(NAME, max_size=4),
    end=st.sampled_from(
        ["", f"?token={TOKEN}", f"#{TOKEN}", f"?a=1&b={TOKEN}#x", f"?/{TOKEN}", f"#?{TOKEN}"]
    ),
)
def test_no_token_of_an_address_is_published(scheme: str, user: str, path: list[str], end: str) -> None:
    tail = "".join(f"/{part}" for part in path)
    found = public_reference(f"{scheme}://{user}host.example:8080{tail}{end}")
    assert found == f"{scheme.strip()}://host.example:8080{tail}"


@given(
    root=st.sampled_from(
        ["/", "~/", "~me/", "C:\\", "c:/", "\\\\server\\", "//server/", "file:///", "file:/"]
    ),
    path=st.lists(NAME, max_size=4),
    name=NAME,
)
def test_no_folder_of_somebodys_machine_is_published(root: str, path: list[str], name: str) -> None:
    separator = "\\" if "\\" in root else "/"
    reference = root + "".join(f"{part}{separator}" for part in path) + f"{name}.jpg"
    assert public_reference(reference) == f"{name}.jpg"
    assert public_reference(f"{reference}?token={TOKEN}") == f"{name}.jpg"


@given(st.lists(NAME, min_size=1, max_size=4))
def test_a_relative_path_is_published_as_it_is(parts: list[str]) -> None:
    assert public_reference("/".join(parts)) == "/".join(parts)
    assert public_reference("/".join(parts) + f"?token={TOKEN}") == "/".join(parts)
    assert public_reference(f"{parts[0]} #1.jpg") == f"{parts[0]} #1.jpg"


# Many rows


def is_good(row: Row) -> bool:
    """Return whether an Argilla record is one to publish."""
    lists = [
        row["preference.responses"],
        row["preference.responses.users"],
        row["preference.responses.status"],
    ]
    if lists == [None] * 3:
        return True
    return len({len(items) for items in lists}) == 1 and set(lists[0]) <= set(LABELS)


def careful_choice(row: Row) -> str:
    """Decide a record as the release does, straight from its columns."""
    said: dict[str, set[str]] = {}
    columns = (row[f"preference.responses{end}"] or [] for end in (".users", "", ".status"))
    for user, label, status in zip(*columns, strict=True):
        if status == "submitted":
            said.setdefault(user, set()).add(label)
    if any("toxic_content" in labels for labels in said.values()):
        return "toxic"
    counted = Counter(labels.pop() for labels in said.values() if len(labels) == 1)
    sides = [side for side in ("image_1", "image_2") if counted[side] * 2 > counted.total()]
    return sides[0] if sides else "undecided" if counted else "no_votes"


@pytest.mark.slow
def test_ten_thousand_dirty_pairs_are_decided_as_the_references_decide(tmp_path: Path, work: Path) -> None:
    rows = list(argilla_records(10_000))
    good = {row["id"]: row for row in rows if is_good(row)}
    path = parquet(tmp_path / "t", rows, SCHEMA)
    with closing(Catalog(work / "catalog.sqlite")) as catalog:
        source = PreferenceSource(path, "votes", SourceOptions())
        SourceReader(catalog, BuildSettings(), work).read([source])
        counts = catalog.counts()[Table.PREFERENCES]
        by_rule = {
            rule: {pair.record.id: pair.record for pair in catalog.pairs.published(rule)}
            for rule in ("submitted-majority", "open-image-preferences")
        }
    unequal = sum(
        len(row["preference.responses"] or ()) > len(row["preference.responses.users"] or ()) for row in rows
    )
    assert counts.read == len(rows)
    assert counts.rejected == {"unequal_lists": unequal, "unknown_label": len(rows) - len(good) - unequal}
    assert min(counts.rejected.values()) > 20
    assert counts.published == counts.num_rows == len(good)
    careful, upstream = by_rule.values()
    assert {name: pair.decision.value for name, pair in careful.items()} == {
        name: careful_choice(row) for name, row in good.items()
    }
    assert {
        name: pair.decision.value
        for name, pair in upstream.items()
        if pair.decision.value.startswith("image")
    } == {
        name: choice for name, row in good.items() if (choice := upstream_choice(row["preference.responses"]))
    }
    assert sum(pair.num_responses for pair in careful.values()) == sum(
        len(row["preference.responses"] or ()) for row in good.values()
    )
    assert {"toxic", "undecided", "no_votes", "image_1", "image_2"} == {
        pair.decision for pair in careful.values()
    }


MIXED = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "c", "d", "", None, 7]),
            "images.image_1": st.sampled_from(["1.jpg", "2.jpg", "", None, 1.5]),
            "images.image_2": st.sampled_from(["2.jpg", "3.jpg", None]),
            "preference.responses": st.none() | st.lists(st.sampled_from([*LABELS, "x", None]), max_size=3),
            "preference.responses.users": st.none() | st.lists(st.sampled_from(["u", "v", None]), max_size=3),
            "preference.responses.status": st.none()
            | st.lists(st.sampled_from(["submitted", "draft", "?"]), max_size=3),
        }
    ),
    min_size=1,
    max_size=8,
)
RANKS = st.lists(
    st.fixed_dictionaries(
        {
            "prompt_id": st.sampled_from(["p", "q", "r", ""]),
            "image_path": st.sampled_from(["1.jpg", "2.jpg", "x/2.jpg", "3.jpg", None]),
            "rank": st.sampled_from([1, 2, 3, 0, None]),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(MIXED | RANKS)
def test_every_row_is_published_or_rejected(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as place:
        reading = read(Path(place), json_array(Path(place) / "t", rows))
    counts = reading.tables[Table.PREFERENCES]
    assert counts.read == len(rows) == counts.published + sum(counts.rejected.values())
    assert len(reading.rejected) == sum(counts.rejected.values())
    assert counts.num_rows == len(reading.pairs)
    assert (counts.published == 0) == (counts.num_rows == 0)
    assert len({pair.id for pair in reading.pairs}) == len(reading.pairs)
    for rejected in reading.rejected:
        assert all(problem.message and problem.fix for problem in rejected.problems)


READ_ALL = """
import sys, tempfile, time
from pathlib import Path
from builders.catalog import Catalog
from builders.release.changes import arrange
from builders.sources.intake import SourceOptions
from builders.catalog.reader import SourceReader
from builders.sources.preferences import PreferenceSource
from schemas.settings import BuildSettings

path, start = Path(sys.argv[1]), time.monotonic()
with tempfile.TemporaryDirectory() as scratch:
    catalog = Catalog(Path(scratch) / "catalog.sqlite")
    source = PreferenceSource(path, "votes", SourceOptions())
    SourceReader(catalog, BuildSettings(), Path(scratch)).read([source])
    num_pairs = sum(1 for _ in catalog.pairs.published("submitted-majority"))
seconds = time.monotonic() - start
# Not ru_maxrss: a new process inherits it from the one that started it.
status = Path("/proc/self/status").read_text()
peak_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
print(num_pairs, seconds, peak_kib)
"""


@pytest.mark.slow
def test_a_million_responses_are_read_and_decided_within_two_gigabytes(tmp_path: Path) -> None:
    path = write_argilla(tmp_path / "votes.parquet", 333_334)
    command = [sys.executable, "-c", READ_ALL, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    num_pairs, seconds, peak_kib = map(float, done.stdout.split())
    print(f"{num_pairs:,.0f} pairs in {seconds:.1f} s, {peak_kib / 1024:,.0f} MiB at most")
    assert num_pairs > 329_000
    assert peak_kib * 1024 < 2_000_000_000
