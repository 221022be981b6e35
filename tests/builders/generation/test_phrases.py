"""The language of a grammar's texts, and English agreement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.generation.english import agree, capitalize
from builders.generation.phrases import MAX_ALTERNATIVES, expand, parse


def test_alternatives_and_ranges_stand_for_several_texts() -> None:
    assert expand("a (warm|shy) (smile|grin)") == ["a warm smile", "a warm grin", "a shy smile", "a shy grin"]
    assert expand("(9..11) (years|months)") == [
        *("9 years", "9 months", "10 years", "10 months", "11 years", "11 months"),
    ]
    assert expand("(|very )old") == ["old", "very old"]


def test_a_value_leaves_out_its_optional_parts() -> None:
    text = parse("long [{color} ]hair[ with {clip}]")
    assert text.value == "long hair"
    assert list(text.slots) == ["color", "clip"]
    assert text.needs == ()
    assert parse("plain").words == "plain"
    with pytest.raises(ValueError, match="must be in"):
        _ = parse("{color} hair").value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a (b", "do not pair up"),
        ("a b)", "do not pair up"),
        ("((a|b)|c)", "nested"),
        ("a|b", "need brackets"),
        ("(9..1)", "empty"),
        ("(1..999999)", "more than"),
        ("(1..100)" * 3, "more than"),
        ("x" * 3_000, "characters"),
    ],
)
def test_wrong_alternatives_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a [ {b}", "never closed"),
        ("a {b}]", "closes nothing"),
        ("a }", "closes nothing"),
        ("{A b}", "small letters"),
        ("{", "small letters"),
        ("[ nothing ]", "needs a"),
        ("[" * 50, "open at once"),
    ],
)
def test_wrong_slots_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


@given(st.text(alphabet="ab ()|[]{}.19", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        texts = expand(text)
    except ValueError:
        return
    assert 1 <= len(texts) <= MAX_ALTERNATIVES
    try:
        parse(texts[0])
    except ValueError:
        return


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("a 8-year-old, a 11-year-old, a 18-year-old", "an 8-year-old, an 11-year-old, an 18-year-old"),
        ("an 1-year-old, an 80 and an 100", "a 1-year-old, an 80 and a 100"),
        ("a 80-year-old, a 118-page book", "an 80-year-old, a 118-page book"),
        ("a honest man for a hour", "an honest man for an hour"),
        ("an uniform, an European, an one-way street", "a uniform, a European, a one-way street"),
        (
            "a unusual umbrella, a Uzbek, an Ugandan, an Uyghur",
            "an unusual umbrella, an Uzbek, a Ugandan, a Uyghur",
        ),
        ("a HDR photo, a SLR, an RAW file, a X-ray", "an HDR photo, an SLR, a RAW file, an X-ray"),
        ("a amber light and an blue one", "an amber light and a blue one"),
        ("a eucalyptus, a hand", "a eucalyptus, a hand"),
    ],
)
def test_articles_follow_the_sound(wrong: str, right: str) -> None:
    assert agree(wrong) == right


def test_sentences_begin_with_a_capital() -> None:
    assert capitalize("a man. she is old. 3 cats. he") == "A man. She is old. 3 cats. He"
