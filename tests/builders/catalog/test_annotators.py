"""Annotators who favour a side are noted at the run, by the numbers that the card has."""

import json
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.annotator_marks import find_side_biases
from builders.card.facts.preferences import count_sides
from builders.catalog import Catalog
from builders.catalog.annotators import read_sides
from builders.catalog.reader import SourceReader
from builders.sources.intake import SourceOptions
from builders.sources.preferences import PreferenceSource
from publish.release import main
from schemas.columns import arrow_schema
from schemas.configs import CONFIGS, Table
from schemas.problems import Reason
from schemas.settings import BuildSettings
from tests.support import ROOT, good_folder, read_into_catalog

Row = dict[str, Any]


def write(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def record(number: int, votes: Sequence[tuple[str | None, str, str]]) -> Row:
    """Return an Argilla record with votes as (annotator, label, status)."""
    return {
        "id": str(number),
        "images": {"image_1": f"{number}a.jpg", "image_2": f"{number}b.jpg", "prompt": "a face"},
        "preference.responses": [label for _, label, _ in votes],
        "preference.responses.users": [annotator for annotator, _, _ in votes],
        "preference.responses.status": [status for _, _, status in votes],
    }


def test_opposite_annotators_are_each_noted_by_the_published_name(tmp_path: Path, work: Path) -> None:
    rng = random.Random(1)
    votes = [
        [
            ("left", "image_1", "submitted"),
            ("right", "image_2", "submitted"),
            *((name, rng.choice(["image_1", "image_2"]), "submitted") for name in ("fair", "fairer")),
            (None, "image_1", "submitted"),
            ("drafts", "image_1", "draft"),
        ]
        for _ in range(40)
    ]
    path = write(tmp_path / "t", [record(number, row) for number, row in enumerate(votes)])
    reading = read_into_catalog(work, PreferenceSource(path, "votes", SourceOptions()))
    noted = [problem for problem in reading.problems if problem.reason is Reason.ONE_SIDED_ANNOTATOR]
    left, right = (reading.pairs[0].votes[place].annotator for place in (0, 1))
    assert {problem.value: problem.message for problem in noted} == {
        left: "an annotator chose side 1 in 40 of 40 votes on shuffled sides",
        right: "an annotator chose side 2 in 40 of 40 votes on shuffled sides",
    }
    assert reading.tables[Table.PREFERENCES].warnings["one_sided_annotator"] == 2
    assert not [name for name in ("left", "right", "fair") if name in "".join(map(str, noted))]


@pytest.mark.slow
def test_the_card_names_each_annotator_who_favours_a_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [("left", "image_1"), ("right", "image_2"), ("fair", None)]
    rows = [
        record(number, [(name, label or f"image_{1 + number % 2}", "submitted") for name, label in names])
        for number in range(30)
    ]
    votes, folder = write(tmp_path / "votes.jsonl", rows), good_folder(tmp_path / "collection").write()
    flags = ["--config", str(ROOT / "release.toml"), "--sfhq", str(folder), "--preferences", str(votes)]
    assert main(["--version", "1.0", *flags, "--out", str(tmp_path / "dist")]) == 0
    (path,) = (tmp_path / "dist/1.0/preferences").glob("*.parquet")
    left, right, fair = (vote["annotator"] for vote in pq.read_table(path, columns=["votes"])[0][0].as_py())
    card = (tmp_path / "dist/1.0/README.md").read_text()
    assert "| Annotators who favour a side, of 3 with 20 or more votes for a side | 2 |" in card
    section = card.split("<!-- side biases -->")[1].split("<!-- /side biases -->")[0]
    assert [line.split("|")[1:4] for line in section.splitlines() if "`" in line] == [
        [f" `{name}` ", f" {share} ", " 30 "]
        for name, share in sorted([(left, "100 % (89 to 100 %)"), (right, "0 % (0 to 11 %)")])
    ]
    assert fair not in card
    assert "row/one-sided-annotator" in capsys.readouterr().err


def test_the_run_counts_what_the_card_counts(tmp_path: Path, work: Path) -> None:
    rng = random.Random(2)
    labels = ["image_1", "image_2", "both_good", "toxic_content"]
    rows = [
        record(
            number,
            [
                (rng.choice(["u", "v", "w", None]), rng.choice(labels), rng.choice(["submitted", "draft"]))
                for _ in range(6)
            ],
        )
        for number in range(200)
    ]
    picks = [
        {
            "caption": "a face",
            **dict(
                zip(("image_0_url", "image_1_url"), rng.sample(["a.jpg", "b.jpg", "c.jpg"], 2), strict=True)
            ),
            **dict(zip(("label_0", "label_1"), rng.choice([(1, 0), (0, 1), (0.5, 0.5)]), strict=True)),
            "user_id": rng.choice(["u", "v", "w"]),
        }
        for _ in range(60)
    ]
    ranked = [{"prompt": "a", "img_better": f"{number}.jpg", "img_worse": "w.jpg"} for number in range(30)]
    sources = [
        PreferenceSource(write(tmp_path / name, each), name, SourceOptions(annotator_key=b"key"))
        for name, each in (("records", rows), ("picks", picks), ("pairs", ranked))
    ]
    with closing(Catalog(work / "catalog.sqlite")) as catalog:
        SourceReader(catalog, BuildSettings(), work).read(sources)
        records = [
            pair.record.model_dump(mode="json") for pair in catalog.pairs.published("submitted-majority")
        ]
        at_run = read_sides(catalog.pairs._db)
    table = pa.Table.from_pylist(records, schema=arrow_schema(CONFIGS["preferences"].columns))
    counted = count_sides(table)
    on_card = {name: (counted[name, "image_1"], counted[name, "image_2"]) for name, _ in counted}
    assert at_run == on_card
    assert len(at_run) == 3
    assert find_side_biases(at_run).num_tested == 3
