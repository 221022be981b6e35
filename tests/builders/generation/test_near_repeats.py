"""Near repeats: those that comparing every two texts would find, and no others."""

import random
import re

from builders.generation.near_repeats import find_repeats
from tests.builders.generation.worlds import make


def sequences(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[start : start + 3]) for start in range(len(words) - 2)}


def test_what_is_found_is_what_comparing_all_finds() -> None:
    draw, texts = random.Random(7), list[str]()
    for record in make(120):
        words = record.prompt.split()
        for num_lost in (0, 1, 2, 5):
            lost = draw.sample(range(len(words)), num_lost)
            texts.append(" ".join(word for place, word in enumerate(words) if place not in lost))
    draw.shuffle(texts)
    sets, kept, expected = [sequences(text) for text in texts], list[int](), dict[int, float]()
    for place, one in enumerate(sets):
        best = max((len(one & sets[other]) / len(one | sets[other]) for other in kept), default=0.0)
        if best >= 0.8:
            expected[place] = best
        else:
            kept.append(place)
    found = dict(find_repeats(texts, 0.8))
    assert {place: repeat.likeness for place, repeat in found.items()} == expected
    assert 50 < len(expected) < len(texts)
    assert not {repeat.of for repeat in found.values()} & found.keys()


def test_short_texts_repeat_only_themselves() -> None:
    texts = ["a man", "A man!", "a woman", "", "?", "a man with red hair", "a man with blue hair"]
    assert [(place, repeat.of) for place, repeat in find_repeats(texts, 0.8)] == [(1, 0)]
    assert list(find_repeats([], 0.8)) == []
