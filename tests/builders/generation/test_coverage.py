"""What a set of prompts covers, counted by hand for a small grammar."""

from pathlib import Path

from builders.generation.coverage import Coverage, cover
from builders.generation.grammar import Grammar, load_grammar
from tests.builders.generation.worlds import asked, faces, make, write_grammar


def covered(grammar: Grammar, count: int) -> Coverage:
    """Return the coverage of prompts of a grammar."""
    return cover(grammar, [(record.prompt, asked(record)) for record in make(count, grammar=grammar)])


def test_pairs_are_possible_seen_and_never_seen(tmp_path: Path) -> None:
    grammar = load_grammar(write_grammar(tmp_path))
    prompts = [
        ("a b", {"kind": "stone house", "color": "red", "place": "by the sea"}),
        ("a b c", {"kind": "old mill", "place": "by a river"}),
        ("a b c", {"kind": "old mill", "place": "by a river"}),
    ]
    coverage = cover(grammar, prompts)
    assert (coverage.num_prompts, coverage.num_texts) == (3, 2)
    assert (coverage.words, coverage.chars) == ([2, 3, 3], [3, 5, 5])
    pairs = {each.names: each for each in coverage.pairs}
    # A ruin has no color and an igloo must be asked for: 4 kinds with 3 colors.
    assert (pairs["kind", "color"].num_seen, pairs["kind", "color"].num_possible) == (1, 12)
    assert ("ruin", "red") not in (pairs["kind", "color"].never_seen or ())
    # Only a mill is by a river.
    assert (pairs["kind", "place"].num_possible, pairs["kind", "place"].num_never_seen) == (6, 4)
    kind = coverage.attributes[0]
    assert (kind.name, kind.num_prompts, kind.num_seen, kind.num_possible) == ("kind", 3, 2, 5)
    assert kind.most_common == ("old mill", 2)


def test_many_prompts_of_a_small_grammar_see_every_pair(tmp_path: Path) -> None:
    # It has 61 texts.
    coverage = covered(load_grammar(write_grammar(tmp_path)), 61)
    assert {each.names: each.never_seen for each in coverage.pairs if each.num_never_seen} == {}


def test_attributes_of_another_grammar_are_counted_too(tmp_path: Path) -> None:
    coverage = cover(
        load_grammar(write_grammar(tmp_path)), [("a", {"windows": "four"}), ("b", {"kind": "tent"})]
    )
    assert [(each.name, each.num_seen) for each in coverage.attributes if each.num_seen] == [
        ("kind", 1),
        ("windows", 1),
    ]


def test_faces_have_no_pair_that_the_conditions_rule_out() -> None:
    coverage = covered(faces(), 400)
    names = {each.names for each in coverage.pairs}
    assert ("gender", "facial_hair") in names
    beards = next(each for each in coverage.pairs if each.names == ("gender", "facial_hair"))
    assert beards.num_possible == 83  # of men only
    assert all(each.num_seen <= each.num_possible for each in coverage.pairs)
    assert not any("infant" in pair for each in coverage.pairs for pair in each.never_seen or ())


def test_no_prompts_cover_nothing() -> None:
    coverage = cover(faces(), [])
    assert (coverage.num_prompts, coverage.words, coverage.pairs) == (0, [], [])
