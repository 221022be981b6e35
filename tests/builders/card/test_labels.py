"""Labels: what prompts ask for and what models see get one name, and texts are read with care."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.card.facts.fairness import find_lower, read_fairness_facts, subtract
from builders.card.labels import (
    AGE_GROUPS,
    ethnicity_pattern,
    find_ethnicities,
    label_of,
    labels_met,
    labels_of,
    read_labels,
)
from builders.release.reader import ReleaseReader
from builders.sample.faces.reading import PARTS, find_parts
from schemas.manifest import Shard
from tests.builders.generation.worlds import make


@pytest.mark.parametrize(
    ("attribute", "value", "label"),
    [
        ("age", "34", ("age", "adult")),
        ("age", "30-39", ("age", "adult")),
        ("age", "3 months", ("age", "infant or toddler")),
        ("age", "more than 70", ("age", "senior")),
        ("age", "17", ("age", "teenager")),
        ("age", "18", ("age", "young adult")),
        ("age", "999", None),
        ("age", "unknown", None),
        ("age_group", "toddler", ("age", "infant or toddler")),
        ("sex", "Woman", ("gender", "female")),
        ("gender", "robot", None),
        ("race", "Latino_Hispanic", ("ethnicity", "latino_hispanic")),
        ("ethnicity", "Danish", ("ethnicity", "white")),
        ("ethnicity", "multiracial", None),
        ("hair_color", "auburn", ("hair_color", "red")),
        ("eye_color", "hazel", ("eyes", "hazel")),
        ("hair_style", "falling over one eye", None),
        ("Mood", " very   calm ", ("mood", "very calm")),
    ],
)
def test_a_value_stands_for_one_label(attribute: str, value: str, label: tuple[str, str] | None) -> None:
    assert label_of(attribute, value) == label


def test_a_range_of_ages_meets_each_group_that_it_touches() -> None:
    assert labels_met("age", "0-15") == {"infant or toddler", "child", "teenager"}
    assert labels_met("age", "20-45") == {"young adult", "adult", "middle-aged"}
    assert labels_met("age", "34") == {"adult"}
    assert labels_met("age", "60+") == {"senior"}
    assert labels_met("hair_color", "auburn") == {"red"}
    assert labels_met("age", "unknown") == frozenset()


def test_an_age_goes_before_its_group() -> None:
    assert labels_of([("age_group", "adult"), ("age", "70")]) == {"age": "senior"}


@pytest.mark.parametrize("where", [(), *([("age group", name)] for name in ("child", "infant", "senior"))])
def test_age_and_gender_of_every_prompt_of_the_kit_have_a_label_and_are_read_from_its_text(
    where: Sequence[tuple[str, str]],
) -> None:
    for record in make(40, where=where):
        asked = labels_of((each.attribute, each.value) for each in record.attributes)
        assert {"age", "gender"} <= asked.keys(), record
        read = read_labels(record.prompt)
        assert read.get("age", asked["age"]) == asked["age"], record.prompt
        assert read.get("gender", asked["gender"]) == asked["gender"], record.prompt


@pytest.mark.parametrize(
    ("prompt", "labels"),
    [
        ("a 34 year old Danish woman", {"age": "adult", "gender": "female", "ethnicity": "white"}),
        ("a 2.5 year old toddler", {"age": "infant or toddler"}),
        ("a black haired man near a Persian rug", {"gender": "male"}),
        ("a black woman", {"gender": "female", "ethnicity": "black"}),
        ("a girl with a French braid", {"gender": "female"}),
        ("an 8-month-old baby", {"age": "infant or toddler"}),
        ("a 40-month-old girl", {"age": "infant or toddler", "gender": "female"}),
        ("a white South African man", {"gender": "male"}),
        ("a multiracial woman of Irish and Nigerian descent", {"gender": "female"}),
        ("a West Indian woman", {"gender": "female"}),
        ("an American Indian woman", {"gender": "female"}),
        ("a San Francisco man", {"gender": "male"}),
        ("a castle", {}),
        ("", {}),
    ],
)
def test_texts_are_read_with_care(prompt: str, labels: dict[str, str]) -> None:
    found = read_labels(prompt)
    assert {name: found[name] for name in ("age", "gender", "ethnicity") if name in found} == labels


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    for name, label in read_labels(text).items():
        assert label
        assert name != "age" or label in AGE_GROUPS
    label_of(text, text)
    label_of("age", text)


def test_the_difference_of_two_shares_has_the_interval_of_newcombes_table() -> None:
    """Newcombe (1998), table II, method 10."""
    for high, low, interval in (((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090))):
        found = subtract(high, low)
        assert found.low == pytest.approx(interval[0], abs=1e-4)
        assert found.high == pytest.approx(interval[1], abs=1e-4)


def test_groups_that_do_not_differ_are_seldom_called_lower() -> None:
    """Of 8 equal groups, any is named in at most 5 % of draws; a group that differs is named in most."""
    rng, false, true = Random(5), 0, 0
    for _ in range(2_000):
        groups = {str(name): (sum(rng.random() < 0.9 for _ in range(60)), 60) for name in range(8)}
        false += bool(find_lower(groups))
        groups["wrong"] = (sum(rng.random() < 0.6 for _ in range(60)), 60)
        true += "wrong" in find_lower(groups)
    assert false / 2_000 <= 0.05
    assert true / 2_000 >= 0.9


def test_shares_without_spread_name_nobody() -> None:
    assert find_lower({}) == frozenset()
    assert find_lower({"a": (20, 20), "b": (30, 30)}) == frozenset()
    assert find_lower({"a": (20, 20)}) == frozenset()
    assert not math.isnan(subtract((0, 20), (0, 20)).value or 0.0)


def test_an_image_counts_once_though_its_captions_are_in_several_files(tmp_path: Path) -> None:
    """As after a version that adds a captioner: its rows are in a file of their own."""
    images = [f"{number:016x}" for number in range(30)]
    asked = [{"attribute": "gender", "value": "woman"}]
    seen = [{"attribute": "gender", "value": "female", "confidence": None, "source_model": "m"}]
    row = {"prompt": "a woman", "original_prompt": None, "prompt_attributes": asked, "generator": "SDXL"}
    captions: list[dict[str, object]] = [{"image_id": image_id, "attributes": seen} for image_id in images]
    tables: dict[str, list[dict[str, object]]] = {
        "prompts/train-00000": [{"image_id": image_id, **row} for image_id in images],
        "captions/train-00000": captions,
        "captions/train-00001": captions,
    }
    shards = []
    for name, rows in tables.items():
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
        config, number = name.split("/")[0], int(name[-1])
        shards.append(
            Shard(
                path=f"{name}.parquet",
                num_bytes=path.stat().st_size,
                sha256="0" * 64,
                config=config,
                split="train",
                number=number,
                num_rows=len(rows),
            )
        )
    facts = read_fairness_facts(ReleaseReader(tmp_path, shards))
    assert facts is not None
    assert [(one.attribute, one.agreement.total) for one in facts.comparisons] == [("gender", 30)]


_SAID = (
    *("a", "the", "with", "in", "no", "and", "of", "from", "light", "dark", "long", "wavy", "brown", "side"),
    *("hair", "hair in a bun", "bob", "skin", "eyes", "hats", "cap", "glasses", "greybeard", "light skin"),
    *(
        "side-lit from the left",
        "sunlight",
        "soft light",
        "clean-shaven",
        "shaved head",
        "unshaven",
        "stubble",
    ),
    *("woman", "man", "person", "descent", "South African", "South Sudanese", "French", "french", "Black"),
    *(
        "black-haired",
        "Indian",
        "West",
        "American",
        "Cape Verdean",
        "Afro-Cuban",
        "Sámi",
        "person.",
        "(brown)",
    ),
)


@given(st.lists(st.sampled_from(_SAID), max_size=20), st.sampled_from([" ", " - ", "-", ", "]))
def test_what_is_looked_for_near_words_is_what_the_whole_text_has(words: list[str], between: str) -> None:
    text = " ".join(between.join(words).split())
    assert list(find_ethnicities(text)) == ethnicity_pattern().findall(text)
    text = text.casefold()
    for name, pattern in PARTS.items():
        assert list(find_parts(name, text)) == [part for part in re.findall(pattern, text) if part]
