"""Grammars of any subject: what a file can say, and every way in which it can be wrong."""

import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.generation import grammar
from builders.generation.grammar import load_grammar
from builders.generation.grammar_file import MAX_FILE_BYTES
from schemas.problems import SettingsError
from tests.builders.generation.worlds import HOUSES, asked, make, write_grammar


def refused(folder: Path, text: str) -> list[str]:
    """Return the problems of a grammar, each as a line without its file."""
    with pytest.raises(SettingsError) as caught:
        load_grammar(write_grammar(folder, text))
    assert {problem.code for problem in caught.value.problems} == {"run/grammar"}
    assert all(problem.fix for problem in caught.value.problems)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_second_maintainer_describes_houses(tmp_path: Path) -> None:
    loaded = load_grammar(write_grammar(tmp_path))
    records = list(make(60, grammar=loaded))
    texts = {record.prompt for record in records}
    assert len(texts) == 60
    assert "A photo of a red stone house, by the sea." in texts
    assert {record.grammar for record in records} == {"houses"}
    kinds = Counter(asked(record)["kind"] for record in records)
    assert kinds.keys() == {"stone house", "brick house", "wooden house", "old mill", "ruin"}
    for record in records:
        has = asked(record)
        assert not (has["kind"] == "ruin" and has.keys() & {"color", "roof"})
        assert has["place"] == "by the sea" or has["kind"] == "old mill"
        assert all(value in record.prompt for name, value in has.items() if name != "place")


def test_what_must_be_asked_for_comes_only_then(tmp_path: Path) -> None:
    loaded = load_grammar(write_grammar(tmp_path))
    assert {asked(record)["kind"] for record in make(5, [("kind", "Igloo")], grammar=loaded)} == {"igloo"}


def test_a_grammar_without_more_texts_says_so(tmp_path: Path) -> None:
    loaded = load_grammar(write_grammar(tmp_path))
    with pytest.raises(SettingsError, match="differs from the others"):
        list(make(500, grammar=loaded))


def test_every_problem_is_told_at_once_with_its_key(tmp_path: Path) -> None:
    text = """
name = "houses"
version = "one"
templats = ["a {kind}"]
templates = []

[attributes.Kind]
values = ["house"]

[attributes.roof]
chanse = 50
values = [1]

[phrases]
x = [{ whn = { roof = "a" }, text = "b" }]
"""
    found = refused(tmp_path, text)
    for expected in (
        "houses.toml:version: ",
        "houses.toml:templats: there is no such key → did you mean templates?",
        "houses.toml:templates: ",
        "houses.toml:attributes.Kind: ",
        "houses.toml:attributes.roof.chanse: there is no such key → did you mean chance?",
        "houses.toml:attributes.roof.values.0: ",
        "houses.toml:phrases.x.0.whn: there is no such key → did you mean when?",
    ):
        assert any(line.startswith(expected) for line in found), (expected, found)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"old mill" }', '"old mil" }', "attributes.place.when.kind: the attribute has no such value"),
        ("when = { kind", "when = { knd", "attributes.place.when: no earlier attribute has this name"),
        ('unless = ["no roof"]', 'unless = ["no rof"]', "did you mean no roof?"),
        ("{place}", "{plce}", "templates.1: nothing has the name of this slot"),
        (", {place}", "", "templates.1: the template never says place"),
        ('"red", "white"', '"red", "red"', "attributes.color: the value is there twice (value: 'red')"),
        ('"red"', '"red "', "attributes.color: a value is empty or has blanks too many"),
        ('"red"', '"(red"', "attributes.color: the brackets ( and ) do not pair up"),
        ('"red"', '"{kind} red"', "attributes.color: a {slot} of a value must be in [ ]"),
        ('"red"', '"[{color} ]red"', "color: its text leads back to itself"),
        ('"red"', '"nude"', "attributes.color: the text has sexual content: 'nude'"),
        ("[attributes.color]", "[attributes.color]\nshown_by = 'rof'", "did you mean roof?"),
        ('values = ["red", "white", "ochre"]', "", "attributes.color: the attribute has no values"),
        ("version", 'select = "kind"\nversion', "select: `select` and `variants` belong together"),
        (
            "version",
            'include = ["../secret.toml"]\nversion',
            "is not the name of a .toml file beside this one",
        ),
        ("version", 'include = ["people.toml"]\nversion', "the grammar cannot be read"),
        ("version", "version = 1 =", "the grammar is not TOML"),
        ("version", "x = " + "[" * 3_000 + "\nversion", "the grammar is nested too deeply"),
        ("version", "x = " + "9" * 9_000 + "\nversion", "a number that is too long"),
        ('"red"', '"(1..9999)(1..9)"', "more than 10,000 alternatives"),
    ],
)
def test_a_wrong_grammar_is_refused(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = HOUSES.replace(old, new, 1)
    assert text != HOUSES
    assert any(expected in line for line in refused(tmp_path, text)), refused(tmp_path, text)


def test_texts_of_exponential_length_are_refused(tmp_path: Path) -> None:
    doubled = "".join(f'p{number} = ["{{p{number + 1}}}{{p{number + 1}}}"]\n' for number in range(60))
    text = HOUSES.replace("{place}", "{place}{p0}") + f'[phrases]\n{doubled}p60 = ["ab"]\n'
    assert any("more than 10,000 characters" in line for line in refused(tmp_path, text))


def test_a_grammar_of_billions_of_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "MAX_VALUES", 1_000)
    many = "".join(f'[attributes.n{number}]\nvalues = ["{number} (0..999)"]\n' for number in range(150))
    said = "".join(f" {{n{number}}}" for number in range(150))
    assert any(
        "more than 1,000 values" in line
        for line in refused(tmp_path, HOUSES.replace("{place}", "{place}" + said) + many)
    )


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_grammar(tmp_path)
    with path.open("ab") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    monkeypatch.setattr("tomllib.loads", lambda _: pytest.fail("read"))
    with pytest.raises(SettingsError, match="more than 4,000,000 bytes"):
        load_grammar(path)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x00", b"name = 'x'\r\n[attributes", b""])
def test_a_file_that_is_no_grammar_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(data)
    with pytest.raises(SettingsError):
        load_grammar(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingsError, match="the grammar cannot be read"):
            load_grammar(path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(HOUSES) - 1), st.text(alphabet='[]{}()"=.,\n|ab', max_size=3))
def test_a_damaged_grammar_is_read_or_refused(place: int, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_grammar(Path(folder), HOUSES[:place] + text + HOUSES[place + 1 :])
        with suppress(SettingsError):
            list(make(3, grammar=load_grammar(path)))


VARIANT = """
name = "young-houses"
version = "1.0"
templates = ["a new {kind}."]
[attributes.kind]
values = ["bungalow"]
"""


def test_a_variant_makes_prompts_only_if_its_values_are_asked_for(tmp_path: Path) -> None:
    write_grammar(tmp_path, VARIANT, "new.toml")
    text = HOUSES.replace("version", 'select = "kind"\nvariants = ["new.toml"]\nversion', 1)
    loaded = load_grammar(write_grammar(tmp_path, text))
    assert "bungalow" not in {asked(record)["kind"] for record in make(50, grammar=loaded)}
    (record,) = make(1, [("kind", "bungalow")], grammar=loaded)
    assert (record.prompt, record.grammar) == ("A new bungalow.", "houses")


def test_two_variants_may_not_share_a_value(tmp_path: Path) -> None:
    write_grammar(tmp_path, VARIANT.replace("bungalow", "ruin"), "new.toml")
    text = HOUSES.replace("version", 'select = "kind"\nvariants = ["new.toml"]\nversion', 1)
    assert any("houses.toml has this value, too" in line for line in refused(tmp_path, text))


def test_included_files_come_first_and_share_no_names(tmp_path: Path) -> None:
    write_grammar(tmp_path, '[attributes.age]\nvalues = ["old", "new"]\n', "ages.toml")
    text = HOUSES.replace("version", 'include = ["ages.toml"]\nversion', 1).replace(
        "a photo", "a photo of {age} age"
    )
    assert next(iter(load_grammar(write_grammar(tmp_path, text)).variants[0].attributes)) == "age"
    assert any(
        "two files have an entry" in line
        for line in refused(tmp_path, text + '[attributes.age]\nvalues = ["x"]')
    )


def test_a_text_that_leaves_an_attribute_out_is_an_error_not_a_prompt(tmp_path: Path) -> None:
    """The check of templates cannot see a phrase whose other text says less; the prompt is not made."""
    text = HOUSES.replace("[ with {roof}]", "[ with {top}]") + '[phrases]\ntop = ["{roof}", "a roof"]\n'
    loaded = load_grammar(write_grammar(tmp_path, text))
    with pytest.raises(SettingsError, match="the text leaves out roof"):
        list(make(50, grammar=loaded))


def test_a_grammar_that_puts_adult_words_on_children_makes_no_prompt(tmp_path: Path) -> None:
    text = HOUSES.replace("old mill", "girl with red lipstick")
    assert any("make-up: 'lipstick'" in line for line in refused(tmp_path, text))
    text = HOUSES.replace("old mill", "girl").replace("a tiled roof", "red lipstick")  # in two attributes
    loaded = load_grammar(write_grammar(tmp_path, text))
    with pytest.raises(SettingsError, match="make-up: 'lipstick'"):
        list(make(50, grammar=loaded))
