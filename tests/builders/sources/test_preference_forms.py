"""Further forms of preference results: arenas, rankings of several images, and what the kit itself writes."""

import base64
import csv
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources import open_source, tell_kind
from builders.sources.images.sfhq import SfhqSource, open_sfhq_folder
from builders.sources.intake import SourceOptions, pair_id_of
from builders.sources.preferences import FORMS, PreferenceSource
from builders.sources.sample import write_sample
from publish.export import main as export
from schemas.configs import Table
from schemas.preferences import PreferencePair
from schemas.problems import Problem, Reason, SourceError
from schemas.records import image_id_of
from tests.support import Reading, image_bytes, read_into_catalog

Row = dict[str, Any]
JPEGS = [image_bytes(number) for number in range(3)]
IDS = [image_id_of(hashlib.sha256(data).hexdigest()) for data in JPEGS]
IMAGES: list[Row] = [{"bytes": data, "path": f"{number}.jpg"} for number, data in enumerate(JPEGS)]
USERS = ["2296d812-c031-44d4-8161-845d4df80daa", "f0da1eac-3dc6-4509-ad46-e2b80b47b252"]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as a JSON array, or as Parquet where they hold bytes."""
    try:
        path.write_text(json.dumps(rows), "utf-8")
    except TypeError:
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def read(work: Path, path: Path, **options: Any) -> Reading:
    """Read a file of votes as a release does."""
    return read_into_catalog(work, PreferenceSource(path, "votes", SourceOptions(**options)))


def told(reading: Reading, reason: Reason) -> list[Problem]:
    """List the problems of one kind."""
    return [problem for problem in reading.problems if problem.reason is reason]


def summary(pairs: Sequence[PreferencePair]) -> set[tuple[Any, ...]]:
    """Return of each pair the prompt, the images, the models, the decision and the labels."""
    return {
        (
            *(pair.prompt, pair.image_1, pair.image_2, pair.model_1, pair.model_2, pair.decision.value),
            tuple(vote.label.value for vote in pair.votes if vote.label),
        )
        for pair in pairs
    }


def arena(vote: str, **more: Any) -> Row:
    """Return a row with the columns of GenAI-Bench's `image_generation`."""
    models = {"left_model": "SDXL", "right_model": "PlayGround V2"}
    images = {"left_image": IMAGES[0], "right_image": IMAGES[1]}
    return {"prompt": f"a face, {vote}", **models, **images, "vote_type": vote} | more


# A record as `Dataset.records.to_json` of argilla 2.8.0 writes it, with names and values of our own.
RECORD: Row = {
    "id": "r1",
    "fields": {"images": {"image_1": "a.jpg", "image_2": "b.jpg", "prompt": "a face"}},
    "metadata": {"model_1": "dev", "model_2": "other", "category": "Manga"},
    "suggestions": {"preference": {"value": "image_1", "score": 0.5, "agent": "m"}},
    "responses": {
        "preference": [
            {"value": "image_1", "user_id": USERS[0]},
            {"value": "both_good", "user_id": USERS[1]},
            {"value": "image_1", "user_id": "third"},
        ]
    },
    "vectors": {},
    "status": "completed",
    "_server_id": None,
}
DEV = "black-forest-labs/FLUX.1-dev"
A, B, C = (f"{number}.jpg" for number in "123")
NAMED = [f"{number}.jpg@{IDS[number]}" for number in range(3)]
RANKED = {"prompt": "a face", "image_path": [A, B, C]}
# Form → (rows, pairs as `summary` gives them)
CASES: dict[str, tuple[list[Row], set[tuple[Any, ...]]]] = {
    "argilla-records": (
        [RECORD],
        {("a face", "a.jpg", "b.jpg", DEV, "other", "image_1", ("image_1", "both_good", "image_1"))},
    ),
    "genai-bench": (
        [arena(vote) for vote in ("leftvote", "rightvote", "tievote", "bothbad_vote")],
        {
            (f"a face, {vote}", NAMED[0], NAMED[1], "SDXL", "PlayGround V2", decision, (label,))
            for vote, decision, label in (
                ("leftvote", "image_1", "image_1"),
                ("rightvote", "image_2", "image_2"),
                ("tievote", "undecided", "tie"),
                ("bothbad_vote", "undecided", "both_bad"),
            )
        },
    ),
    "imgsys": (
        [
            {
                "prompt": str(said),
                "model_a": "m",
                "model_b": "n",
                "preference": said,
                "image_a": A,
                "image_b": B,
            }
            for said in (0.0, 1.0, 2.0)
        ],
        {
            ("0.0", A, B, "m", "n", "image_1", ("image_1",)),
            ("1.0", A, B, "m", "n", "image_2", ("image_2",)),
            ("2.0", A, B, "m", "n", "undecided", ("tie",)),
        },
    ),
    "hpdv2-ranks": (
        [
            RANKED
            | {
                "rank": [1, 3, 2],
                "raw_annotations": [
                    {"rank": [1, 3, 2], "user_hash": "u"},
                    {"rank": [2, 3, 1], "user_hash": "v"},
                ],
            }
        ],
        {
            ("a face", A, B, None, None, "image_1", ("image_1", "image_1")),
            ("a face", A, C, None, None, "undecided", ("image_1", "image_2")),
            ("a face", B, C, None, None, "image_2", ("image_2", "image_2")),
        },
    ),
    "hpdv2": (
        [{"prompt": "a face", "file_path": [A, B, C], "human_preference": [0, 1, 0]}],
        {
            ("a face", A, B, None, None, "image_2", ("image_2",)),
            ("a face", B, C, None, None, "image_1", ("image_1",)),
        },
    ),
    "image-reward-rankings": (
        [{"id": "005658-0040", "prompt": "a face", "generations": [A, B, C], "ranking": [1, 2, 1]}],
        {
            ("a face", A, B, None, None, "image_1", ("image_1",)),
            ("a face", A, C, None, None, "undecided", ("tie",)),
            ("a face", B, C, None, None, "image_2", ("image_2",)),
        },
    ),
    "binarized": (
        [{"prompt": "a face", "chosen": IMAGES[1], "rejected": IMAGES[0], "chosen_model": "m"}],
        {("a face", NAMED[1], NAMED[0], "m", None, "image_1", ("image_1",))},
    ),
    "diffusers-dpo": (
        [
            {"jpg_0": JPEGS[0], "jpg_1": JPEGS[1], "label_0": label, "caption": str(label)}
            for label in (1.0, 0.0, 0.5)
        ],
        {
            (str(number), f"jpg_0@{IDS[0]}", f"jpg_1@{IDS[1]}", None, None, decision, (label,))
            for number, decision, label in (
                (1.0, "image_1", "image_1"),
                (0.0, "image_2", "image_2"),
                (0.5, "undecided", "tie"),
            )
        },
    ),
    "annotator-columns": (
        [
            {"image_1": A, "image_2": B, "prompt": "a face", "anna": "image_2", "ben": "image_2"},
            {"image_1": B, "image_2": C, "prompt": "a face", "anna": "tie", "ben": ""},
        ],
        {
            ("a face", A, B, None, None, "image_2", ("image_2", "image_2")),
            ("a face", B, C, None, None, "undecided", ("tie",)),
        },
    ),
}


@pytest.mark.parametrize("form", CASES)
def test_a_form_is_told_and_comes_back(form: str, tmp_path: Path, work: Path) -> None:
    rows, pairs = CASES[form]
    path = write(tmp_path / "votes", rows)
    assert PreferenceSource(path, "votes", SourceOptions()).kind == f"preferences/{form}"
    assert tell_kind(path) == "preferences"
    reading = read(work, path)
    assert summary(reading.pairs) == pairs
    counts = reading.tables[Table.PREFERENCES]
    assert (counts.read, counts.published, counts.rejected) == (len(rows), len(rows), {})
    assert counts.num_rows == len(pairs)
    is_ranked = form in ("hpdv2", "hpdv2-ranks", "image-reward-rankings", "binarized")
    assert {pair.sides_shuffled for pair in reading.pairs} == {not is_ranked}
    names = [vote.annotator for pair in reading.pairs for vote in pair.votes if vote.annotator]
    assert all(len(name) == 16 for name in names)
    assert bool(names) == (form in ("argilla-records", "hpdv2-ranks", "annotator-columns"))


def test_images_of_an_argilla_record_may_be_in_the_record(tmp_path: Path, work: Path) -> None:
    address = f"data:image/jpeg;base64,{base64.b64encode(JPEGS[0]).decode()}"
    fields = {"image_1": address, "image_2": "b.jpg", "prompt": "a face"}
    broken = RECORD | {"id": "r2", "fields": fields | {"image_1": "data:image/png;base64,?"}}
    reading = read(work, write(tmp_path / "t", [RECORD | {"fields": fields}, broken]))
    (pair,) = reading.pairs
    assert (pair.image_1_id, pair.image_2_id, pair.image_2, pair.prompt) == (IDS[0], None, "b.jpg", "a face")
    (problem,) = told(reading, Reason.BAD_VALUE)
    assert (problem.row, problem.column) == (2, "fields.image_1")


def test_drafts_that_to_json_hides_are_told_without_names(tmp_path: Path, work: Path) -> None:
    drafts = [
        {"value": "image_2", "user_id": USERS[0], "status": "submitted"},
        {"value": "image_1", "user_id": USERS[1], "status": "draft"},
    ]
    wrong = {"preference": [{"value": "left", "user_id": USERS[0]}]}
    rows = [
        RECORD,
        RECORD | {"id": "r2", "responses": {"quality": drafts}},
        RECORD | {"id": "r3", "responses": wrong},
        RECORD | {"id": "r4", "responses": {"quality": drafts, "beauty": drafts}},
        RECORD | {"id": "r5", "responses": {}},
    ]
    reading = read(work, write(tmp_path / "t", rows))
    decisions = {pair.id: pair.decision.value for pair in reading.pairs}
    assert decisions == {"r1": "image_1", "r2": "image_2", "r5": "no_votes"}
    (problem,) = (problem for problem in told(reading, Reason.NO_STATUS) if problem.row == 1)
    assert problem.fix == "export with records.to_datasets(), which has the status of each response"
    (label,), (question,) = told(reading, Reason.UNKNOWN_LABEL), told(reading, Reason.BAD_VALUE)
    assert "'left' is not a response" in label.message
    assert "quality, beauty" in question.message
    assert not [user for user in USERS if user in "".join(map(str, reading.problems))]


BAD: dict[str, tuple[Row, Reason, str]] = {
    "no vote": (arena("upvote", left_image=A, right_image=B), Reason.UNKNOWN_LABEL, "did you mean"),
    "half a preference": (CASES["imgsys"][0][0] | {"preference": 0.5}, Reason.UNKNOWN_LABEL, "write 0 for"),
    "a rank too few": (RANKED | {"rank": [1, 2]}, Reason.BAD_VALUE, "one rank for each of the 3 images"),
    "a rank in words": (RANKED | {"rank": [1, 2, "x"]}, Reason.BAD_VALUE, "a rank is not a number"),
    "one image twice": (RANKED | {"image_path": [A, B, A], "rank": [1, 2, 3]}, Reason.BAD_VALUE, "twice"),
    "one image": (RANKED | {"image_path": [A], "rank": [1]}, Reason.BAD_VALUE, "two or more paths"),
    "too many images": (
        {"prompt": "a", "image_path": [f"{number}.jpg" for number in range(101)], "rank": [1] * 101},
        Reason.BAD_VALUE,
        "the row ranks 101 images",
    ),
    "two chosen of three": (
        {"prompt": "a", "image_path": [A, B, C], "human_preference": [1, 1, 0]},
        Reason.UNKNOWN_LABEL,
        "mark one of the 3 images",
    ),
    "chosen text": (
        {"prompt": "a", "chosen": [{"role": "user"}], "rejected": B},
        Reason.BAD_VALUE,
        "holds a list",
    ),
    "label of 2": (
        {"jpg_0": A, "jpg_1": B, "label_0": "x", "caption": "a"},
        Reason.BAD_VALUE,
        "not a number",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_set_aside_with_what_is_wrong(name: str, tmp_path: Path, work: Path) -> None:
    row, reason, says = BAD[name]
    reading = read(work, write(tmp_path / "t", [row]))
    assert reading.tables[Table.PREFERENCES].published == 0
    assert any(says in str(problem) for problem in told(reading, reason)), reading.problems


def test_texts_that_trl_compares_are_no_votes_on_images(tmp_path: Path) -> None:
    row = {"prompt": "What is it?", "images": [A], "chosen": "a face", "rejected": "a tree"}
    with pytest.raises(SourceError, match="no known form of preferences"):
        PreferenceSource(write(tmp_path / "t", [row]), "votes", SourceOptions())


def test_results_of_imgsys_alone_name_no_images(tmp_path: Path) -> None:
    row = {"prompt": "a", "model_a": "m", "model_b": "n", "preference": 1.0}
    with pytest.raises(SourceError, match="needs image_a and image_b"):
        PreferenceSource(write(tmp_path / "t", [row]), "votes", SourceOptions(form="imgsys"))


def test_columns_are_annotators_only_where_nothing_else_can_be(tmp_path: Path, work: Path) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        rows = [["image_1", "image_2", "anna", "note"], [A, B, "image_1", "nice"], [B, C, "", ""]]
        csv.writer(file).writerows(rows)
    with pytest.raises(SourceError, match="no known form of preferences"):
        PreferenceSource(path, "votes", SourceOptions())
    reading = read(work, path, form="annotator-columns")
    (problem,) = told(reading, Reason.UNKNOWN_LABEL)
    assert (problem.row, problem.column) == (2, "note")
    assert problem.fix.endswith("or remove the column")
    assert [pair.decision.value for pair in reading.pairs] == ["no_votes"]


def test_images_in_a_ranking_are_kept_and_the_same_bytes_are_no_pair(tmp_path: Path, work: Path) -> None:
    rows = [
        {"prompt": "a", "image_path": [IMAGES[0], IMAGES[1]], "rank": [2, 1]},
        {
            "prompt": "b",
            "image_path": [IMAGES[0], IMAGES[0] | {"path": "again.jpg"}, IMAGES[1]],
            "rank": [1, 2, 3],
        },
    ]
    reading = read(work, write(tmp_path / "t", rows))
    (pair,) = reading.pairs
    assert (pair.image_1_id, pair.image_2_id, pair.decision) == (IDS[0], IDS[1], "image_2")
    assert reading.tables[Table.PREFERENCES].rejected == {"same_image_twice": 1}
    assert len(reading.rejected[0].problems) == 1


# Columns that are not published, and prompts that say that there is none


def test_columns_that_are_not_published_are_told_once_for_each_file(tmp_path: Path, work: Path) -> None:
    row = {"prompt": "a", "path1": A, "path2": B, "comment": "x", "created_at": "2099-01-01"}
    reading = read(work, write(tmp_path / "t", [row, row | {"path2": C}]))
    (problem,) = told(reading, Reason.UNPUBLISHED_COLUMNS)
    assert problem.message == "2 columns are not published: comment, created_at"
    assert (problem.file, problem.code) == ("t", "row/unpublished-columns")
    assert reading.tables[Table.PREFERENCES].warnings["unpublished_columns"] == 1
    assert "unpublished_columns" not in reading.counts.warnings


@pytest.mark.parametrize("form", CASES)
def test_no_column_of_a_form_is_told_as_not_published(form: str, tmp_path: Path) -> None:
    source = PreferenceSource(write(tmp_path / "t", CASES[form][0]), "votes", SourceOptions())
    others = {"argilla-records": ["2 columns are not published: suggestions, vectors"]}
    assert [problem.message for problem in source.table_problems] == others.get(form, [])


def test_prompts_that_look_empty_are_told_and_can_be_null(tmp_path: Path, work: Path) -> None:
    prompts = ["nan", "NA", " ", None, "a face"]
    path = write(
        tmp_path / "t",
        [{"jpg_0": f"{A}{n}", "jpg_1": B, "label_0": 1, "caption": text} for n, text in enumerate(prompts)],
    )
    reading = read(work, path)
    assert [problem.row for problem in told(reading, Reason.LOOKS_EMPTY)] == [1, 2]
    assert [problem.row for problem in told(reading, Reason.EMPTY_PROMPT)] == [3, 4]
    assert {pair.prompt for pair in reading.pairs} == {"nan", "NA", None, "a face"}
    (work / "again").mkdir()
    again = read(work / "again", path, null_texts=("nan", "NA"))
    assert again.tables[Table.PREFERENCES].warnings["empty_prompt"] == 4
    assert told(again, Reason.LOOKS_EMPTY) == []
    assert {pair.prompt for pair in again.pairs} == {None, "a face"}
    assert {pair.id for pair in again.pairs} == {pair.id for pair in reading.pairs}
    digests = {
        PreferenceSource(path, "votes", SourceOptions(null_texts=texts)).sha256 for texts in ((), ("nan",))
    }
    assert len(digests) == 2


# Rows that contradict each other

PAIR: Row = {"jpg_0": A, "jpg_1": B, "label_0": 1, "caption": "a", "id": "p", "chosen_model": "dev"}
CONTRADICTIONS: dict[str, tuple[Row, str]] = {
    "models": (PAIR | {"chosen_model": "sd"}, "different models: dev, sd"),
    "prompts": (PAIR | {"caption": "b"}, "different prompts"),
    "images": (PAIR | {"jpg_0": C}, "different images"),
}
RATED: Row = {"prompt": "a", "image1": A, "image2": B, "model1": "dev", "votes_image1": 1, "votes_image2": 0}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_votes_that_contradict_each_other_about_their_pair_are_set_aside(
    name: str, tmp_path: Path, work: Path
) -> None:
    other, says = CONTRADICTIONS[name]
    reading = read(work, write(tmp_path / "t", [PAIR, other, PAIR | {"id": "q"}]))
    assert [pair.id for pair in reading.pairs] == ["q"]
    assert reading.tables[Table.PREFERENCES].rejected == {"conflicting_rows": 2}
    for problem in told(reading, Reason.CONFLICTING_ROWS):
        assert says in problem.message
        assert "rows 1, 2 are votes on this pair" in problem.message
        assert problem.value == "p"


def test_counts_that_name_two_models_for_one_image_are_set_aside(tmp_path: Path, work: Path) -> None:
    turned = {"prompt": "a", "image1": B, "image2": A, "model2": "sd", "votes_image1": 0, "votes_image2": 1}
    reading = read(work, write(tmp_path / "t", [RATED, turned, RATED | {"prompt": "b"}]))
    assert [pair.prompt for pair in reading.pairs] == ["b"]
    problem = told(reading, Reason.CONFLICTING_ROWS)[0]
    assert (problem.value, problem.row) == (pair_id_of("a", [A, B]), 1)
    assert "different models: dev, sd" in problem.message


def test_rankings_of_one_id_and_two_prompts_are_set_aside(tmp_path: Path, work: Path) -> None:
    row = {"id": "x", "prompt": "a", "generations": [A, B, C], "ranking": [1, 2, 3]}
    rows = [row, row | {"prompt": "b"}, row | {"id": "y"}, row | {"id": "y"}]
    reading = read(work, write(tmp_path / "t", rows))
    assert reading.tables[Table.PREFERENCES].rejected == {"conflicting_rows": 2, "duplicate_row": 1}
    assert {pair.row for pair in reading.pairs} == {3}
    assert all(len(rejected.problems) == 1 for rejected in reading.rejected)


def test_turned_sides_and_missing_models_are_no_contradiction(tmp_path: Path, work: Path) -> None:
    turned = PAIR | {"jpg_0": B, "jpg_1": A, "label_0": 0}
    unnamed = {name: value for name, value in PAIR.items() if name not in ("chosen_model", "caption")}
    (pair,) = read(work, write(tmp_path / "t", [PAIR, turned, unnamed])).pairs
    assert (pair.votes_image_1, pair.model_1, pair.prompt) == (3, "dev", "a")


def test_ranks_of_several_prompts_under_one_id_are_set_aside(tmp_path: Path, work: Path) -> None:
    rows = [
        {"prompt_id": prompt_id, "prompt": prompt, "image_path": image, "rank": rank}
        for prompt_id, prompt, image, rank in (
            ("p", "one", A, 1),
            ("q", "one", A, 1),
            ("p", "two", B, 2),
            ("q", None, B, 2),
        )
    ]
    reading = read(work, write(tmp_path / "t", rows))
    assert [(pair.prompt, pair.decision) for pair in reading.pairs] == [("one", "image_1")]
    assert reading.tables[Table.PREFERENCES].rejected == {"conflicting_rows": 2}
    problem = told(reading, Reason.CONFLICTING_ROWS)[0]
    assert problem.message == "rows 1, 3 have this prompt_id and 2 different prompts"
    assert problem.value == "p"


PATHS = st.lists(st.sampled_from([A, B, "x/1.jpg", "", None, 7]), max_size=4)
RANKS = st.lists(st.sampled_from([1, 2, 3, 0, -1, "1", None]), max_size=4)
RANKINGS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "", None]),
            "prompt": st.sampled_from(["p", "q", "nan", None]),
            "generations": PATHS | st.none(),
            "ranking": RANKS | st.none(),
        }
    ),
    min_size=1,
    max_size=6,
)
CHOICES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", ""]),
            "prompt": st.sampled_from(["p", "q", None]),
            "chosen": st.sampled_from([A, B, "", None]),
            "rejected": st.sampled_from([B, C, None]),
            "chosen_model": st.sampled_from(["m", "n", None]),
        }
    ),
    min_size=1,
    max_size=6,
)


@given(RANKINGS | CHOICES)
def test_every_row_is_published_or_rejected(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as place:
        reading = read(Path(place), write(Path(place) / "t", rows))
    counts = reading.tables[Table.PREFERENCES]
    assert counts.read == len(rows) == counts.published + sum(counts.rejected.values())
    assert len(reading.rejected) == sum(counts.rejected.values())
    assert counts.num_rows == len(reading.pairs)
    assert (counts.published == 0) == (counts.num_rows == 0)
    for rejected in reading.rejected:
        assert all(problem.message and problem.fix for problem in rejected.problems)


# What the kit itself writes


def published_pairs(release: Path, config: str) -> list[Row]:
    """Return the rows of a config of a release."""
    return [
        row
        for path in sorted((release / config).glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def read_files(work: Path, folder: Path, *sources: SfhqSource) -> Reading:
    """Read every Parquet file of a folder as votes."""
    files = sorted(folder.glob("*.parquet"))
    votes = [PreferenceSource(path, f"votes-{path.stem}", SourceOptions()) for path in files]
    assert all(source.table_problems == () for source in votes)
    return read_into_catalog(work, *sources, *votes)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["binarized", "diffusers-dpo"])
def test_a_table_for_trainers_comes_back(
    layout: str, sample_release: Path, tmp_path: Path, work: Path
) -> None:
    folder = sample_release / layout
    if layout == "diffusers-dpo":
        folder = tmp_path / "export" / "data"
        assert export([str(sample_release), "--layout", layout, "--out", str(folder.parent)]) == 0
    assert {tell_kind(path) for path in folder.glob("*")} == {"preferences"}
    reading = read_files(work, folder)
    assert {source.kind for path in folder.glob("*") for source in open_preferences(path)} == {
        f"preferences/{layout}"
    }
    wanted = {
        (f"{row['source']}/{row['id']}", row["prompt"], *(row[name] for name in CHOICE), row["license"])
        for row in published_pairs(sample_release, "binarized")
    }
    found = set()
    for pair in reading.pairs:
        sides = [(pair.image_1_id, pair.model_1), (pair.image_2_id, pair.model_2)]
        chosen, rejected = sides if pair.decision == "image_1" else sides[::-1]
        found.add((pair.id, pair.prompt, *chosen, *rejected, pair.license))
        assert pair.decision.is_decided
    assert found == wanted
    assert reading.rejected == []


CHOICE = ("chosen_id", "chosen_model", "rejected_id", "rejected_model")


def open_preferences(path: Path) -> Sequence[Any]:
    """Open a file as preference results."""
    return open_source("preferences", path, "votes", SourceOptions())


@pytest.mark.slow
def test_the_pairs_of_a_release_come_back_with_every_vote(
    sample_release: Path, tmp_path: Path, work: Path
) -> None:
    write_sample(tmp_path / "sample")
    images = open_sfhq_folder(tmp_path / "sample", "renamed")
    reading = read_files(work, sample_release / "preferences", images)
    wanted = {f"{row['source']}/{row['id']}": row for row in published_pairs(sample_release, "preferences")}
    found = {pair.id: pair.model_dump(mode="json") for pair in reading.pairs}
    assert found.keys() == wanted.keys()
    again = {"id", "image_1", "image_2", "source", "file", "row"}  # named by this source
    for pair_id, row in wanted.items():
        votes = [{name: vote[name] for name in ("label", "status")} for vote in row["votes"]]
        kept = [{name: vote[name] for name in ("label", "status")} for vote in found[pair_id]["votes"]]
        assert kept == votes
        for name in row.keys() - again - {"votes"}:
            assert found[pair_id][name] == row[name], (pair_id, name)
    names: dict[str, set[str]] = {
        vote["annotator"]: set() for row in wanted.values() for vote in row["votes"]
    }
    for pair_id, row in wanted.items():
        for before, after in zip(row["votes"], found[pair_id]["votes"], strict=True):
            names[before["annotator"]].add(after["annotator"])
    assert all(len(after) == 1 for after in names.values())
    assert len(set().union(*names.values())) == len(names)


def test_every_form_has_a_test() -> None:
    elsewhere = {"argilla", "pick-a-pic", "rapidata", "hpdv3", "image-reward-pairs", "image-reward-ranks"}
    elsewhere |= {"campaign", "label-studio", "rapidata-results"}
    assert FORMS.keys() - elsewhere - CASES.keys() == {"release"}
