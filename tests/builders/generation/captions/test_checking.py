"""The checker on sentences that the kit did not write: synonyms, word order, and what they add."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders.generation.captions.ages import Age, find_ages, read_age
from builders.generation.captions.checking import check_sentence
from builders.generation.captions.lexicon import _File, load_lexicon
from builders.generation.captions.realising import RuleWriter
from schemas.attributes import PRESETS
from tests.builders.generation.captions.bags import bag

WOMAN = {
    "gender": "female",
    "hair_style": "long wavy",
    "hair_color": "brown",
    "eyes": "blue",
    "glasses": "round",
    "expression": "smiling",
    "background": "teal",
    "lighting": "soft",
}
MAN = {
    "gender": "man",
    "age": "40-49",
    "ethnicity": "black",
    "hair_style": "bald",
    "beard": "full beard",
    "glasses": "none",
    "hat": "none",
    "clothing": "navy suit",
    "emotion": "neutral",
}
BEACH = {
    "hair_style": "ponytail",
    "hair_color": "blond",
    "skin": "olive",
    "eyes": "green",
    "glasses": "sunglasses",
    "hat": "cap",
    "beard": "none",
    "expression": "laughing",
    "background": "beach",
    "lighting": "side-lit from the left",
}

RIGHT: list[tuple[dict[str, str], str]] = [
    (
        WOMAN,
        (
            "Her hair is long, wavy and brown; she has blue eyes behind round spectacles and smiles "
            "in soft light before a teal backdrop."
        ),
    ),
    (
        WOMAN,
        (
            "A smiling, brown-haired woman with blue eyes, round glasses and long wavy locks, set "
            "against teal in soft lighting."
        ),
    ),
    (
        WOMAN,
        (
            "A bespectacled woman with a smile: long, wavy brown hair, blue-eyed, round-rimmed "
            "glasses, a teal wall behind her, softly lit."
        ),
    ),
    (
        WOMAN,
        (
            "The image shows a woman whose eyes are blue and whose long hair is brown and wavy. She "
            "is wearing round eyeglasses and is smiling. The background is teal and the lighting is "
            "soft."
        ),
    ),
    (
        WOMAN,
        (
            "In soft light, a woman smiles at the camera. Her long, wavy hair is brown, her eyes "
            "blue, her glasses round. Behind her is a solid teal background."
        ),
    ),
    (
        MAN,
        (
            "A bald Black man in his forties with a full beard and a neutral expression wears a navy "
            "suit, without glasses or a hat."
        ),
    ),
    (
        MAN,
        (
            "This portrait depicts a Black man, aged 40 to 49, who is bald and has a full beard. His "
            "expression is neutral. He wears a navy suit and no hat, and he is not wearing glasses."
        ),
    ),
    (
        MAN,
        (
            "A Black man between 40 and 49 years old. He is bald, fully bearded? He has a full "
            "beard, wears a navy suit, neither glasses nor a hat, and looks neutral. His face has a "
            "neutral expression."
        ),
    ),
    (
        BEACH,
        (
            "A laughing person with blonde hair tied in a ponytail, olive skin and green eyes wears "
            "sunglasses and a baseball cap on a beach, lit from the left. They are clean-shaven."
        ),
    ),
    (
        BEACH,
        (
            "Olive-skinned and green-eyed, the person laughs under a cap. Their hair is blond and "
            "pulled back into a ponytail, sunglasses are worn, there is no beard, and the beach lies "
            "behind; light comes from the left."
        ),
    ),
    (
        {
            "Male": "yes",
            "Young": "yes",
            "No_Beard": "yes",
            "Eyeglasses": "no",
            "Black_Hair": "yes",
            "Big_Nose": "yes",
            "Smiling": "no",
        },
        "A young man with black hair and a large nose. He is not smiling, wears no glasses and has no beard.",
    ),
    ({"age": "2", "gender": "female", "eyes": "brown"}, "A toddler girl with brown eyes."),
    ({"age": "34", "gender": "male"}, "The man is thirty-four years old."),
    ({"age": "34", "gender": "male"}, "A man in his thirties."),
    ({"age": "more than 70", "gender": "female"}, "An elderly woman, over seventy years old."),
    ({"age": "70+", "gender": "female"}, "A woman aged 70 or older."),
    ({"age": "0.5", "gender": "male"}, "A six-month-old baby boy."),
    ({"age": "10-19"}, "A teenager aged 10 to 19."),
    (
        {"ethnicity": "Latino_Hispanic", "gender": "female", "makeup": "heavy", "jewelry": "earrings"},
        "A Latina woman with heavy make-up and earrings.",
    ),
    (
        {"glasses": "none", "beard": "none", "hat": "none"},
        "The person is clean shaven, bareheaded and wears no glasses.",
    ),
    (
        {"glasses": "none", "beard": "none", "hat": "none"},
        "No hat, glasses, or beard are visible on the person.",
    ),
    ({"hair_color": "gray", "eyes": "hazel"}, "A grey-haired person with hazel eyes."),
    ({"hair_color": "gray", "eyes": "gray"}, "A person with gray hair and eyes."),
    ({"clothing": "red sweater", "place": "kitchen"}, "A person in a red sweater in a kitchen."),
    (
        {"background": "starry night", "lighting": "dramatic"},
        "A person in front of a starry night sky under dramatic lighting.",
    ),
    (
        {"background": "city skyline", "lighting": "warm"},
        "A warmly lit person with a cityscape in the background.",
    ),
    (
        {"expression": "surprised", "hair_style": "curly", "hair_color": "red"},
        "A curly redhead looks surprised.",
    ),
    (
        {"hair_style": "short", "hair_color": "white", "beard": "mustache"},
        "A mustachioed person with short, snow-white hair.",
    ),
]
ADDED: list[tuple[dict[str, str], str, str]] = [
    ({"age": "8"}, "An 8-year-old child, a whore.", "whore"),
    ({"age": "8"}, "An 8-year-old Nazi child.", "Nazi"),
    ({"hat": "cap"}, "A person with a cap <b>.", "<"),
    (
        WOMAN,
        (
            "A smiling young woman with long wavy brown hair, blue eyes and round glasses, teal "
            "background, soft light."
        ),
        "young",
    ),
    (
        WOMAN,
        (
            "A friendly smiling woman with long wavy brown hair, blue eyes and round glasses, "
            "against a teal background in soft light, wearing a red dress."
        ),
        "friendly",
    ),
    (
        WOMAN,
        (
            "A smiling woman with long wavy dark brown hair, blue eyes and round glasses, against a "
            "teal background in soft light."
        ),
        "dark brown",
    ),
    (
        MAN,
        (
            "A bald Black man in his forties with a full beard and a neutral expression wears a navy "
            "suit and glasses, without a hat."
        ),
        "glasses",
    ),
    (
        BEACH,
        (
            "A laughing man with blond hair in a ponytail, olive skin, green eyes, sunglasses and a "
            "cap, no beard, on a beach, lit from the left."
        ),
        "man",
    ),
    ({"age": "2", "gender": "female"}, "A 2-year-old girl with makeup.", "makeup"),
    ({"age": "15", "gender": "female"}, "A 15-year-old young woman.", "woman"),
    ({"gender": "male"}, "A handsome man.", "handsome"),
    ({"gender": "male"}, "A man with a strong jawline.", "jawline"),
    (
        {"gender": "male", "hair_color": "blond"},
        "A tall man with blond hair who looks like a model.",
        "tall man",
    ),
    ({"hair_color": "blond"}, "A person without blond hair.", "blond"),
    ({"eyes": "blue"}, "A person with piercing blue eyes.", "piercing"),
    ({"eyes": "blue"}, "A Japanese person with blue eyes.", "Japanese"),
    ({"eyes": "blue"}, "A person with blue eyes outdoors in a park.", "outdoors"),
    ({"age": "30-39", "gender": "male"}, "A man in his late thirties.", "in his late thirties"),
    (WOMAN, "She is not smiling.", "smiling"),
]


@pytest.mark.parametrize(("facts", "text"), RIGHT)
def test_facts_are_found_in_the_words_of_others(facts: dict[str, str], text: str) -> None:
    check = check_sentence(bag(**facts), text)
    assert check.is_right, check.explain()


@pytest.mark.parametrize(("facts", "text", "words"), ADDED)
def test_what_is_added_is_found_with_its_place(facts: dict[str, str], text: str, words: str) -> None:
    added = check_sentence(bag(**facts), text).added
    assert words in [each.words for each in added]
    assert all(text[each.start : each.end] == each.words for each in added)


MISSING = [
    (WOMAN, "A smiling woman with blue eyes and round glasses, teal background, soft light.", 2),
    (MAN, "A man.", 8),
    ({"glasses": "none"}, "A person.", 1),
    ({"clothing": "red sweater"}, "A person in a red scarf and a blue sweater. A person is here.", 0),
    ({"clothing": "red sweater"}, "A person without a red sweater.", 1),
    ({"age": "34"}, "A middle-aged person.", 1),
    ({"mood_board": "no"}, "The labels include a mood board.", 1),
]


@pytest.mark.parametrize(("facts", "text", "number"), MISSING)
def test_what_is_missing_is_named(facts: dict[str, str], text: str, number: int) -> None:
    check = check_sentence(bag(**facts), text)
    assert len(check.missing) == number
    assert all(f"{fact.attribute}: {fact.value}" in check.explain() for fact in check.missing)


def test_an_unknown_value_in_another_script_is_found_as_it_is() -> None:
    facts = bag(clothing="кимоно")
    text = RuleWriter().realise(facts)
    assert "кимоно" in text
    assert check_sentence(facts, text).is_right
    assert check_sentence(facts, "A person.").missing


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("a 34-year-old man", Age(34, 34)),
        ("thirty-four years of age", Age(34, 34)),
        ("aged about 40", Age(40, 40)),
        ("between 20 and 29", Age(20, 29)),
        ("in her mid-thirties", Age(34, 36)),
        ("in their 60s", Age(60, 69)),
        ("in his late teens", Age(17, 19)),
        ("more than seventy", Age(70, 120)),
        ("70 or older", Age(70, 120)),
        ("18 months old", Age(1, 1)),
        ("less than a year old", Age(0, 0)),
    ],
)
def test_ages_are_read_from_texts(text: str, age: Age) -> None:
    assert [found.age for found in find_ages(text)] == [age]


@pytest.mark.parametrize("text", ["photo number 1934", "in the 1960s", "three women", "f/2.8 at 200 mm"])
def test_other_numbers_are_no_ages(text: str) -> None:
    assert not list(find_ages(text))


def test_values_of_ages_are_read() -> None:
    values = ["34", "34.5", "30-39", "30 \u2013 39", "70+", "more than 70", "child"]
    found = [read_age(value) for value in values]
    assert found == [
        Age(34, 34),
        Age(34, 34),
        Age(30, 39),
        Age(30, 39),
        Age(70, 120),
        Age(70, 120),
        Age(0, 12),
    ]
    assert read_age("old enough") is None


def test_any_text_can_be_checked() -> None:
    for text in (
        "no " * 5000,
        "long, " * 5000,
        "between 1 and " * 2000,
        "is" * 10000,
        "\u200b" * 1000,
        "a" * 50_000,
    ):
        assert check_sentence(bag(**WOMAN), text).missing


_SAID = sorted(
    {
        *load_lexicon().ages,
        *(" ".join(each.words) for wordings in load_lexicon().by_word.values() for each in wordings),
        *("no", "not", "without", "years old", "aged", "between", "a", "her", "is", "and", "or", "nor"),
        *("18", "20-year-old", "thirty", "in his", "mid", ".", ",", "!", "(", "stra\u00dfe", "\u0130", "<"),
    }
)
_TEXTS = st.lists(st.sampled_from(_SAID) | st.text(max_size=5), max_size=9).map(" ".join)


@given(text=_TEXTS, end=st.sampled_from(["", ".", ","]), facts=st.sampled_from([WOMAN, MAN, {"age": "2"}]))
@example(text="a photo of a child", end="", facts={"age": "30-39"})
@example(text="a woman, 35 years old", end="", facts=WOMAN)
@example(text="She looks young", end="", facts=MAN)
def test_every_text_gets_an_answer_wherever_it_ends(text: str, end: str, facts: dict[str, str]) -> None:
    for each in check_sentence(bag(**facts), text + end).added:
        assert 0 <= each.start < each.end <= len(text + end)


def test_an_age_is_found_in_the_last_word_as_before_a_mark() -> None:
    for text in ("a photo of a child", "a smiling teenager", "A boy", "a woman, 35 years old"):
        without, within = (check_sentence(bag(age="60-69"), text + end) for end in ("", "."))
        assert without == within
        assert without.added, text


@given(
    before=st.lists(
        st.sampled_from(["Gro\u00dfe", "Stra\u00dfe", "\u0130", "\ufb03", "e\u0301", "tall", "denuded"])
    ),
    said=st.sampled_from(["nude", "NUDE", "N\u00fade", "nud\u0435", "\uff4eude"]),
    after=st.sampled_from(["", ".", " woman", "\u0301 woman"]),
)
def test_forbidden_words_are_marked_where_they_stand(before: list[str], said: str, after: str) -> None:
    text = " ".join([*before, said]) + after
    added = [each for each in check_sentence(bag(), text).added if "not to be said" in each.what]
    start = text.rindex(said)
    assert [(each.start, each.end, each.words) for each in added] == [(start, start + len(said), said)]


def test_a_forbidden_word_in_pieces_marks_the_whole_text() -> None:
    text = "A n a k e d woman in a gro\u00dfe Stra\u00dfe, \u2014 nude."
    added = [each for each in check_sentence(bag(), text).added if "not to be said" in each.what]
    assert {each.words: text[each.start : each.end] for each in added} == {"nude": "nude", "naked": text}


def test_the_lexicon_knows_every_preset_that_has_values() -> None:
    lexicon = load_lexicon()
    unsaid = {"faces", "face_box"}  # what models measure of the picture, which no bag holds
    for preset in PRESETS.values():
        if preset.name in unsaid:
            continue
        known = lexicon.binary if preset.is_binary else lexicon.attributes
        assert preset.is_age or preset.name.casefold() in known, preset.name


def test_a_name_in_the_lexicon_that_leads_nowhere_is_an_error() -> None:
    table = {
        "version": "1",
        "heads": {"hair": ["hair"]},
        "between": {"before_noun": [], "after_noun": []},
        "slots": {"hair": {"role": "hair", "head": "har", "atoms": {"red": ["~red"], "blue": []}}},
        "grown_up": {"words": []},
        **{name: {} for name in ("ages", "attributes", "values", "binary", "binary_no", "absence_allows")},
        **{name: {} for name in ("prepositions", "denials")},
        "implies": {"hair/rde": ["hair/red"]},
        "not_denials": {},
    }
    with pytest.raises(ValueError, match="no atom 'hair/rde'; no head 'har'; hair/blue has no wording"):
        _File.model_validate(table)


def test_any_order_of_facts_is_said() -> None:
    facts = list(bag(**WOMAN).facts)
    for number in range(5):
        Random(number).shuffle(facts)
        shuffled = bag(**WOMAN).model_copy(update={"facts": tuple(facts)})
        assert check_sentence(shuffled, RuleWriter().realise(shuffled)).is_right
