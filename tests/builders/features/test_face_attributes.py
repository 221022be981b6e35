"""Attributes of a face: the range of an age, abstentions, and how often they are right on real images."""

import csv
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from builders.features.attributing import ModelOptions
from builders.features.face_attributes import FaceAttributes, open_models, range_of_age
from builders.images.faces import Face, FacesFound, load_face_model
from schemas.attributes import preset_of

FACE = Face(left=10, top=20, width=30, height=40, score=0.99)
_MALE, _FEMALE = re.compile(r"\b(male|man|boy)\b"), re.compile(r"\b(female|woman|girl)\b")
_YOUNG = re.compile(r"baby|tod+l+er|child|\b(boy|girl)\b")
_TEENAGER = re.compile(r"teenage")


class Known:
    """Stands for models that are not asked: their name."""

    name = made_by = "known 1"


def answers(found: FacesFound, **thresholds: float) -> dict[str, str | None]:
    """Return the value of each attribute."""
    model = FaceAttributes(Known(), thresholds)  # type: ignore[arg-type]
    return {answer.attribute: answer.value for answer in model.answer(found.to_bytes())}


@pytest.mark.parametrize(
    ("years", "expected"), [(0, "0-10"), (3, "0-15"), (34, "20-45"), (69, "55-80"), (70, "60+"), (80, "70+")]
)
def test_an_age_is_a_range_that_a_release_knows(years: int, expected: str) -> None:
    assert range_of_age(years) == expected
    preset = preset_of("age")
    assert preset is not None
    assert preset.allows(expected)


def test_one_face_has_a_box_an_age_and_a_gender() -> None:
    assert answers(FacesFound((FACE,), 34, "female", 0.97)) == {
        "faces": "1",
        "face_box": "10,20,30,40",
        "age": "20-45",
        "gender": "female",
    }


@pytest.mark.parametrize("number", [0, 2])
def test_another_number_of_faces_is_said_and_nothing_else(number: int) -> None:
    assert answers(FacesFound((FACE,) * number)) == {"faces": str(number), "age": None, "gender": None}


def test_it_abstains_from_gender_where_it_is_not_sure_and_of_children() -> None:
    assert answers(FacesFound((FACE,), 34, "female", 0.79))["gender"] is None
    assert answers(FacesFound((FACE,), 34, "female", 0.79), gender=0.7)["gender"] == "female"
    assert answers(FacesFound((FACE,), 15, "female", 0.99))["gender"] is None


def read_queries(folder: Path) -> dict[str, tuple[str, bool]]:
    """Return image → the gender that its search queries say, and whether they say that it is a child."""
    texts = defaultdict[str, list[str]](list)
    with (folder / "captions.jsonl").open(encoding="utf-8") as file:
        for line in map(json.loads, file):
            texts[line["image_filename"]].append(line["caption"])
    said = {}
    for name, queries in texts.items():
        genders = {
            gender
            for gender, words in (("male", _MALE), ("female", _FEMALE))
            if any(words.search(query) for query in queries)
        }
        if len(genders) == 1:
            is_young = any(_YOUNG.search(query) and not _TEENAGER.search(query) for query in queries)
            said[name] = (genders.pop(), is_young)
    return said


@pytest.mark.slow
def test_real_faces_are_found_and_read_as_their_queries_say(sfhq_sample: Path) -> None:
    """The numbers of CAPTIONING.md; children are counted there and promised nothing."""
    model = load_face_model()
    assert model is not None
    found = {
        path.name: model.find(path.read_bytes()) for path in sorted((sfhq_sample / "images").rglob("*.jpg"))
    }
    with (sfhq_sample / "SFHQ_T2I_dataset.csv").open(encoding="utf-8", newline="") as file:
        assert len(found) == len([*csv.DictReader(file)]) == 400
    num_single = sum(len(each.faces) == 1 for each in found.values())
    assert num_single >= 395
    right: dict[bool, list[bool]] = {True: [], False: []}
    (attributes,) = open_models(ModelOptions())
    num_answered = 0
    for name, (gender, is_young) in read_queries(sfhq_sample).items():
        if found[name].gender is None:
            continue
        right[is_young].append(found[name].gender == gender)
        said = {answer.attribute: answer.value for answer in attributes.answer(found[name].to_bytes())}
        num_answered += said["gender"] is not None and not is_young
    print(num_single, [(sum(each), len(each)) for each in (right[True], right[False])], num_answered)
    assert sum(right[False]) / len(right[False]) >= 0.95
    assert len(right[False]) >= 60
