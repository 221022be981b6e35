"""The rule of age and the rule against sexual content, for prompts of any origin."""

import pytest

from builders.generation.rules import find_in_prompt, find_in_value, is_young


@pytest.mark.parametrize(
    "text",
    [
        "a nude woman",
        "A NUDE, sitting",
        "a man wearing nothing",
        "sexy pose",
        "one.nude.woman_nude",
        "a see-through dress",
        "an erotically charged portrait",
        "a woman in lingerie",
        "n\u00fcde portrait",  # with an accent
        "nu\u200bde portrait",  # with a character that nothing shows
        "\uff4eude portrait",  # with a wide letter
        "a n\u0430ked woman",  # with a Cyrillic letter
        "\u039dUDE portrait",  # with a Greek one
        "nu\ufe0fde portrait",
        "a woman, nude, nails painted red",  # "nude nails" is harmless, across a comma it is not said
        "a woman, nude. Lips parted",
        "nude\nlips parted",
        "a woman without any clothes",
        "an un-clothed woman",
        "a woman in her birthday suit",
    ],
)
def test_sexual_content_is_found(text: str) -> None:
    found = find_in_prompt(text)
    assert found
    assert all(each.is_sexual for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "a woman with nude lipstick",
        "a man in a double-breasted suit",
        "the stroke of midnight, seen with the naked eye",
        "a bust portrait of a woman from Essex",
        "a portrait of a woman with makeup and a leather jacket at a bar",
        "a robin redbreast",
    ],
)
def test_what_only_sounds_like_it_is_not(text: str) -> None:
    assert find_in_prompt(text) == []


@pytest.mark.parametrize("text", ["a woman shot to death", "blood everywhere in the room"])
def test_violence_is_found(text: str) -> None:
    assert [each.rule for each in find_in_prompt(text)] == ["violence"]


@pytest.mark.parametrize(
    "text",
    [
        "a girl",
        "a photo of a girl todller",
        "two teenagers",
        "a schoolgirl",
        "a newborn",
        "a high schooler",
        "a schoolkid",
        "a junior high student",
        "a prepubescent person",
        "an only child",
        "a kid brother",
    ],
)
def test_a_text_says_that_a_person_is_under_18(text: str) -> None:
    assert is_young(text)


@pytest.mark.parametrize(
    "text",
    [
        "a baby blue shirt",
        "a man with his grandchildren's drawings",
        "a cowboy with a childlike wonder",
    ],
)
def test_other_texts_do_not(text: str) -> None:
    assert not is_young(text)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("age", "12", True),
        ("Age group", "child", True),
        ("age", "3-9", True),
        ("age", "6 months", True),
        ("age", "34", False),
        ("age_group", "young adult", False),
        ("hair", "12", False),
    ],
)
def test_attributes_say_an_age_too(name: str, value: str, expected: bool) -> None:
    assert is_young("a portrait", [(name, value)]) is expected
    assert bool(find_in_prompt("a portrait with lipstick", [(name, value)])) is expected


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("red lipstick", "make-up"),
        ("a slender waist", "body shape"),
        ("a cocktail dress", "clothing of adults"),
        ("hoop earrings", "jewellery and body art"),
        ("a full beard", "facial hair"),
        ("a glass of wine", "alcohol, drugs and places for adults"),
    ],
)
def test_words_of_adults_are_refused_for_the_young_alone(words: str, kind: str) -> None:
    assert {found.kind for found in find_in_prompt(f"a 15-year-old girl with {words}")} == {kind}
    assert find_in_prompt(f"a 35-year-old woman with {words}") == []


def test_a_value_that_the_text_hides_is_found() -> None:
    found = find_in_prompt("a boy in a park", [("clothing", "a leather corset")])
    assert {each.is_sexual for each in found} == {True, False}


def test_harmless_words_do_not_cover_others() -> None:
    """'nude makeup' is no nudity, and still no makeup for a child."""
    assert [found.kind for found in find_in_prompt("a girl with nude makeup")] == ["make-up"]
    assert find_in_prompt("a girl with a hot chocolate") == []


def test_a_value_may_not_be_sexual_in_any_grammar() -> None:
    assert find_in_value("a thong") is not None
    assert find_in_value("a thatched roof") is None


def test_a_young_performer_is_young_though_those_who_entertain_children_are_not() -> None:
    assert find_in_prompt("a child entertainer in a gown and lipstick")
    assert find_in_prompt("a children's entertainer, 40, in a gown and lipstick") == []
