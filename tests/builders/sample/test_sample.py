"""The built-in sample: the same each time, and what is invented follows the truth that is stated."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from builders.annotator_marks import proportion
from builders.sample.captions import EMOTIONS, ONE_LINE, PIPELINE
from builders.sample.faces import ATTRIBUTES, Face
from builders.sample.preferences import (
    NUM_ANNOTATORS,
    NUM_PAIRS,
    TOXIC,
    TWICE,
    UNANSWERED,
    UNFINISHED,
)
from builders.sources.sample import (
    COUNTS,
    ERROR_RATE,
    NOTICE,
    STRENGTHS,
    VOTE_SHARES,
    sample_captions,
    sample_faces,
    sample_preferences,
    sample_prompts,
    true_attributes,
    true_win_rates,
    write_sample,
)
from tests.support import tree_digest

CAPTION_KEYS = [
    *("image_filename", "caption", "captioner", "captioner_version", "language"),
    *("attributes", "bag_of_words"),
]
PAIR_KEYS = [
    *("id", "status", "_server_id", "images", "model_1", "model_2", "evolution", "category", "sub_category"),
    *("preference.responses", "preference.responses.users", "preference.responses.status"),
]
FACES: dict[str, Face] = {name: face for name, _, face in sample_faces()}
SIDES = ("image_1", "image_2")
Record = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    write_sample(path)
    return path


def lines(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def captions(captioner: tuple[str, str]) -> list[Record]:
    return [
        record
        for record in sample_captions()
        if (record["captioner"], record["captioner_version"]) == captioner
    ]


def inferred() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the file name and each attribute that the pipeline says."""
    for record in captions(PIPELINE):
        yield from ((record["image_filename"], attribute) for attribute in record["attributes"])


def pairs(seeds: Iterable[int] = ()) -> list[Record]:
    """Return the sample's pairs, or those of other seeds together."""
    seeds = list(seeds)
    return [pair for seed in seeds for pair in sample_preferences(seed)] or list(sample_preferences())


def votes(pair: Record) -> list[tuple[str, str]]:
    """Return (annotator, label) of the submitted votes, as they came."""
    lists = [pair[f"preference.responses{name}"] or [] for name in (".users", "", ".status")]
    return [(user, label) for user, label, status in zip(*lists, strict=True) if status == "submitted"]


def decide(pair: Record) -> str | None:
    """Name the side with more than half of the submitted votes, one for each annotator."""
    labels = [label for _, label in set(votes(pair))]
    if "toxic_content" in labels:
        return None
    return next((side for side in SIDES if 2 * labels.count(side) > len(labels)), None)


def results(some: Iterable[Record]) -> Counter[tuple[str, str]]:
    """Count (winner, loser) of the decided pairs."""
    wins: Counter[tuple[str, str]] = Counter()
    for pair in some:
        if side := decide(pair):
            models = (pair["model_1"], pair["model_2"])
            wins[models if side == "image_1" else models[::-1]] += 1
    return wins


@pytest.mark.slow
def test_the_same_bytes_come_out_each_time(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path)
    assert tree_digest(tmp_path) == tree_digest(folder)


def test_the_texts_never_change(folder: Path) -> None:
    """The same on every machine: nothing in these files is drawn by Pillow."""
    digests = {name: digest[:16] for name, digest in tree_digest(folder).items() if "jsonl" in name}
    assert digests == {
        "captions.jsonl": "5b7ad3f66b5a8e93",
        "preferences.jsonl": "ecee12036221af6a",
    }


def test_the_folder_holds_what_is_stated(folder: Path) -> None:
    files = {path.name for path in folder.iterdir()}
    assert files == {"SFHQ_T2I_dataset.csv", "images", "captions.jsonl", "preferences.jsonl"}
    assert {path.name for path in (folder / "images").iterdir()} == set(FACES)
    assert lines(folder / "captions.jsonl") == list(sample_captions())
    assert lines(folder / "preferences.jsonl") == pairs()


def test_the_notice_says_what_is_invented() -> None:
    assert "Captions and votes are invented by the kit" in NOTICE


# --- captions -------------------------------------------------------------------------------


def test_each_image_has_a_caption_of_each_captioner() -> None:
    records = list(sample_captions())
    assert [list(record) for record in records] == [CAPTION_KEYS] * 120
    for captioner in (PIPELINE, ONE_LINE):
        assert [record["image_filename"] for record in captions(captioner)] == list(FACES)
    assert {record["language"] for record in records} == {"en"}


def test_the_pipeline_errs_at_the_stated_rate() -> None:
    said = [(true_attributes(FACES[name]), attribute) for name, attribute in inferred()]
    wrong = [item for truth, item in said if truth[item["attribute"]] != item["value"]]
    share = proportion(len(wrong), len(said))
    assert share.low is not None
    assert share.high is not None
    assert share.low < ERROR_RATE < share.high
    assert 600 < len(said) < 660


def test_the_pipeline_says_all_that_can_be_seen() -> None:
    for record in captions(PIPELINE):
        face = FACES[record["image_filename"]]
        names = [item["attribute"] for item in record["attributes"]]
        assert names == list(true_attributes(face))
        hidden = {"eyes"} if face.glasses == "sunglasses" else set()
        hidden |= {"hair_color"} if face.hair_style == "bald" else set()
        assert set(names) == {*ATTRIBUTES, "emotion"} - hidden


def test_attributes_have_known_values_and_plausible_confidences() -> None:
    known = ATTRIBUTES | {"emotion": tuple(EMOTIONS.values())}
    for _, item in inferred():
        assert list(item) == ["attribute", "value", "confidence", "source_model"]
        assert item["value"] in known[item["attribute"]]
        assert 0.5 < item["confidence"] <= 1
        assert item["confidence"] == round(item["confidence"], 3)
    models = {item["source_model"]: item["attribute"] for _, item in inferred()}
    assert set(models) == {"drawn-attributes-v1", "drawn-expressions-v1"}


def test_the_pipelines_caption_says_what_its_attributes_say() -> None:
    prompts = sample_prompts()
    for record in captions(PIPELINE):
        present = [item["value"] for item in record["attributes"] if item["value"] != "none"]
        assert all(value in record["caption"] for value in present)
        assert len(record["bag_of_words"]) == len(present)
        assert all(value in word for value, word in zip(present, record["bag_of_words"], strict=True))
        assert "none" not in record["caption"]
        assert record["caption"].count(".") == 1
        assert record["caption"] != prompts[record["image_filename"]]


def test_the_other_captioner_is_short_and_right() -> None:
    for record in captions(ONE_LINE):
        face = FACES[record["image_filename"]]
        assert record["attributes"] is None
        assert record["bag_of_words"] is None
        assert len(record["caption"].split()) < 12
        assert ("bald" if face.hair_style == "bald" else f"{face.hair_color} hair") in record["caption"]


# --- preferences ----------------------------------------------------------------------------


def test_records_have_the_form_of_an_argilla_export() -> None:
    records = pairs()
    assert [list(record) for record in records] == [PAIR_KEYS] * NUM_PAIRS
    assert len({record["id"] for record in records}) == NUM_PAIRS
    for number, record in enumerate(records, start=1):
        assert record["id"] == f"{number:04d}-{record['evolution']}"
        assert UUID(record["_server_id"]).version == 4
    assert {record["evolution"] for record in records} == {"quality", "simplified"}
    assert {record["category"] for record in records} == {"Animation", "Cinematic", "Manga", "Photographic"}


def test_pairs_show_two_images_of_the_models_named() -> None:
    prompts, seen = sample_prompts(), set()
    for pair in pairs():
        names = [pair["images"][side].removeprefix("images/") for side in SIDES]
        models = [name.partition("_image_")[0] for name in names]
        assert set(names) <= set(FACES)
        assert models == [pair["model_1"], pair["model_2"]]
        assert len(set(models) & STRENGTHS.keys() & COUNTS.keys()) == 2
        assert pair["images"]["prompt"] in [prompts[name] for name in names]
        seen.add(frozenset(names))
    assert len(seen) == NUM_PAIRS


def test_there_are_about_three_votes_on_each_pair() -> None:
    records = pairs()
    submitted = [vote for pair in records for vote in votes(pair)]
    assert 285 <= len(submitted) <= 315
    assert len({annotator for annotator, _ in submitted}) == NUM_ANNOTATORS


def test_votes_are_as_frequent_as_stated() -> None:
    labels = Counter(label for pair in pairs() for _, label in votes(pair))
    total = labels.total()
    assert abs(labels["both_good"] / total - VOTE_SHARES["both_good"]) < 0.04
    assert abs(labels["both_bad"] / total - VOTE_SHARES["both_bad"]) < 0.04
    sides = labels["image_1"] + labels["image_2"]
    assert abs(sides / total - VOTE_SHARES["better"] - VOTE_SHARES["other"]) < 0.05


def test_true_rates_lie_inside_the_intervals() -> None:
    wins = results(pairs())
    assert set(true_win_rates()) == set(combinations(STRENGTHS, 2))
    for (one, other), rate in true_win_rates().items():
        estimate = proportion(wins[one, other], wins[one, other] + wins[other, one])
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < rate < estimate.high
        assert estimate.value == pytest.approx(rate, abs=0.1)
        assert estimate.total >= 20


def test_no_side_is_favoured() -> None:
    decisions = Counter(decide(pair) for pair in pairs())
    labels = Counter(label for pair in pairs() for _, label in votes(pair))
    for counts in (decisions, labels):
        assert 0.45 <= counts["image_1"] / (counts["image_1"] + counts["image_2"]) <= 0.55


def test_many_samples_come_to_the_true_rates() -> None:
    """The rates are computed; here they are counted. Three standard errors are 0.03."""
    some = pairs(range(100))
    wins, sides = results(some), Counter(filter(None, map(decide, some)))
    for (one, other), rate in true_win_rates().items():
        assert abs(wins[one, other] / (wins[one, other] + wins[other, one]) - rate) < 0.03
    assert abs(sides["image_1"] / sides.total() - 0.5) < 0.02


def test_the_dirt_is_there() -> None:
    for number, pair in enumerate(pairs(), start=1):
        lists = [pair[f"preference.responses{name}"] for name in ("", ".users", ".status")]
        assert lists == [None] * 3 if number in UNANSWERED else len({len(items) for items in lists}) == 1
        assert pair["status"] == ("pending" if number in UNANSWERED else "completed")
        labels, users, statuses = (items or [] for items in lists)
        assert [status for status in statuses if status != "submitted"] == [
            status for unfinished, status in UNFINISHED.items() if unfinished == number
        ]
        assert labels.count("toxic_content") == (number in TOXIC)
        assert len(users) - len(set(users)) == (number in TWICE)
        assert len(votes(pair)) - len(set(votes(pair))) == (number in TWICE)
