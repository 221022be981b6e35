"""Captions by rule: all of the bag, nothing else, in English."""

import re
import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest

from builders.generation.captions.checking import check_sentence
from builders.generation.captions.plans import NUM_PLANS
from builders.generation.captions.realising import RuleWriter
from builders.generation.rules import find_in_prompt
from builders.sample.faces import ATTRIBUTES
from schemas.bags import Bag
from tests.builders.generation.captions.bags import bag, drawn, fact, make_bags
from tests.support import ROOT

_FINITE = re.compile(r"\b(?:is|are|was|has|have|wears|wear|shows|appears|do|(?<!not )include)\b")
_VOWEL_SOUND = re.compile(r"(?:[aeio8]|u(?!ni|s)|hour|11|18)(?!ne-)", re.IGNORECASE)


def faults_of(text: str) -> Iterator[str]:
    """Yield what is wrong with the English of a caption."""
    plain = re.sub(r'"[^"]*"', "so", text)  # a quoted value is as it is
    sentences = re.split(r"(?<=\.) ", plain)
    for sentence in sentences:
        if not re.fullmatch(r"[A-Z0-9].*[^\s.,;]\.", sentence):
            yield f"no capital or no full stop: {sentence}"
        if len(_FINITE.findall(sentence)) != 1:
            yield f"not one finite verb: {sentence}"
        for article, word in re.findall(r"\b([Aa]n?) ([\w-]+)", sentence):
            if (article.lower() == "an") != bool(_VOWEL_SOUND.match(word)):
                yield f"{article} {word}"
        for pattern in (
            r"  ",
            r" [,.]",
            r",[^ ]",
            r",,",
            r", (?:and|or) ",
            r"\b(\w+) \1\b",
            r"\b(?:and|with|in)[.,]",
        ):
            if re.search(pattern, sentence):
                yield f"{pattern!r}: {sentence}"
    if len(set(sentences)) != len(sentences):
        yield f"a sentence twice: {text}"


def assert_right(number: int, seed: int) -> None:
    writer, last_plan, last_text = RuleWriter(seed), -1, ""
    for each in make_bags(number, seed):
        text = writer.realise(each)
        check = check_sentence(each, text)
        assert check.is_right, f"{text}\n{check.explain()}"
        assert not list(faults_of(text)), text
        assert writer.last_plan != last_plan
        assert text != last_text
        last_plan, last_text = writer.last_plan, text


def test_every_fact_is_said_and_nothing_else_in_english() -> None:
    assert_right(150, seed=1)


@pytest.mark.slow
def test_ten_thousand_bags_are_said_in_english() -> None:
    assert_right(10_000, seed=2)


def test_all_plans_are_used() -> None:
    writer, random, plans = RuleWriter(), Random(3), set[int]()
    for number in range(200):
        writer.realise(Bag(image_id=str(number), facts=tuple(drawn(random))))
        plans.add(writer.last_plan)
    assert plans == set(range(NUM_PLANS))


@pytest.mark.slow
def test_equal_runs_write_equal_captions_whatever_the_hashes() -> None:
    program = (
        "from tests.builders.generation.captions.bags import make_bags\n"
        "from builders.generation.captions.realising import RuleWriter\n"
        "from hashlib import sha256\n"
        "said = chr(10).join(each.text for each in RuleWriter(7).write(make_bags(40, 7)))\n"
        "print(sha256(said.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_another_seed_writes_other_captions() -> None:
    one, other = (list(RuleWriter(seed).write(make_bags(20, 7))) for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"age": "0.5", "gender": "male"}, "a baby boy less than a year old"),
        ({"age": "2"}, "a 2-year-old toddler"),
        ({"age": "3-9", "gender": "female"}, "a girl aged 3 to 9"),
        ({"age": "8"}, "an 8-year-old child"),
        ({"age": "15"}, "a 15-year-old teenager"),
        ({"age": "10-19"}, "a young person aged 10 to 19"),
        ({"age": "18", "gender": "female"}, "an 18-year-old woman"),
        ({"age": "30-39", "gender": "male"}, "a man in his thirties"),
        ({"age": "more than 70"}, "a person over 70"),
        ({"Male": "no", "Young": "yes"}, "a young woman"),
        ({"ethnicity": "latino_hispanic"}, "a Hispanic or Latino person"),
        ({"hair_style": "bob", "hair_color": "red"}, "a red bob"),
        ({"hair_style": "bun"}, "hair in a bun"),
        ({"glasses": "aviator", "hat": "sombrero"}, "aviator glasses and a sombrero"),
        ({"gender": "male", "beard": "none"}, "a clean-shaven man"),
        ({"gender": "female", "beard": "none"}, "no beard"),
        ({"Male": "yes", "No_Beard": "yes"}, "no beard"),  # there may be a mustache
        ({"Attractive": "no"}, "not rated attractive"),
        ({"Blurry": "yes"}, "The picture is blurry."),
        ({"iris_pattern": "spotted"}, "The iris pattern is spotted."),
        ({"Wearing_Scarf": "no"}, "The labels do not include Wearing Scarf."),
        ({"beard": "full"}, "a full beard"),
        ({"facial_hair": "light"}, "light facial hair"),
        ({}, "a person"),
    ],
)
def test_words_fit_the_facts(values: dict[str, str], said: str) -> None:
    text = RuleWriter().realise(bag(**values))
    assert said.lower() in text.lower()
    assert check_sentence(bag(**values), text).is_right


def test_no_words_for_adults_are_said_of_the_young() -> None:
    young = bag(
        age="6", gender="female", makeup="heavy", beard="full beard", jewelry="earrings", Attractive="yes",
        clothing="cocktail dress", eyes="brown", hat="cap", pose="wearing a bikini",
    )  # fmt: skip
    text = RuleWriter().realise(young)
    assert not find_in_prompt(text, [("age", "6")])
    assert "brown eyes" in text
    assert "cap" in text
    assert {each.attribute for each in check_sentence(young, text).withheld} == {
        "makeup", "beard", "jewelry", "Attractive", "clothing", "pose",
    }  # fmt: skip


def test_models_that_disagree_are_both_said() -> None:
    both = Bag(
        image_id="x",
        facts=(
            *(fact("gender", "male"), fact("Male", "no"), fact("age", "34"), fact("age", "40-49")),
            *(
                fact("glasses", "none"),
                fact("Eyeglasses", "yes"),
                fact("hair_color", "red"),
                fact("Black_Hair", "yes"),
            ),
        ),
    )
    text = RuleWriter().realise(both)
    assert check_sentence(both, text).is_right, text


def test_a_change_of_one_fact_is_seen() -> None:
    writer, random = RuleWriter(), Random(4)
    for number in range(12):
        facts = tuple(drawn(random))
        text = writer.realise(Bag(image_id=str(number), facts=facts))
        for place, each in enumerate(facts):
            others = [value for value in ATTRIBUTES[each.attribute] if value != each.value]
            swapped = (*facts[:place], fact(each.attribute, random.choice(others)), *facts[place + 1 :])
            check = check_sentence(Bag(image_id="x", facts=swapped), text)
            assert check.missing, text
            assert check.added, text
            dropped = facts[:place] + facts[place + 1 :]
            assert check_sentence(Bag(image_id="x", facts=dropped), text).added, text
