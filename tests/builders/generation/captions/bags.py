"""Bags for tests: what attribute models could say of a face, right or wrong."""

from collections.abc import Iterator
from random import Random

from builders.sample.faces import ATTRIBUTES
from schemas.attributes import PRESETS
from schemas.bags import Bag, Fact

_CELEBA = [preset.name for preset in PRESETS.values() if preset.is_binary]
_PERSON = {
    "age": (
        *("34", "0.5", "2", "5", "9", "15", "18", "71", "0-2", "3-9", "10-19", "20-29", "30-39", "40-49"),
        *("25-32", "60-69", "more than 70", "70+", "17-30"),
    ),
    **{name: tuple(sorted(PRESETS[name].values)) for name in ("gender", "ethnicity", "emotion")},
}
_MORE = {
    "makeup": ("none", "heavy", "light", "natural", "red lipstick", "smoky eyes"),
    "jewelry": ("none", "earrings", "necklace", "gold hoops", "a ring"),
    "clothing": ("red knitted sweater", "black t-shirt", "suit", "denim jacket", "white blouse", "uniform"),
    "place": ("kitchen", "park", "a busy market", "indoors", "on a train"),
    "pose": ("facing left", "looking up", "arms crossed", "profile", "head tilted to the right"),
    "mood_board": ("sunny", "rainy day", "yes", "no", 'a text, with "marks"; and more of it: eight words'),
    "eye_color": ("amber", "light blue", "violet"),
    "hair": ("long brown hair", "short curly", "none"),
    "headwear": ("headscarf", "straw hat", "none"),
    "facial_hair": ("none", "sideburns", "soul patch"),
}


def fact(attribute: str, value: str) -> Fact:
    return Fact(attribute=attribute, value=value, confidence=0.9, source_model="model 1")


def bag(image_id: str = "image", /, **values: str) -> Bag:
    """Return a bag of attributes and values."""
    return Bag(image_id=image_id, facts=tuple(fact(name, value) for name, value in values.items()))


def drawn(random: Random) -> list[Fact]:
    """Return what is known of a drawn face, with some of it left out."""
    return [fact(name, random.choice(values)) for name, values in ATTRIBUTES.items() if random.random() < 0.9]


def mixed(random: Random) -> list[Fact]:
    """Return what several models say of a photograph."""
    facts = [fact(name, random.choice(values)) for name, values in _PERSON.items() if random.random() < 0.6]
    facts += [each for each in drawn(random) if random.random() < 0.7]
    return facts + [
        fact(name, random.choice(values)) for name, values in _MORE.items() if random.random() < 0.2
    ]


def celeba(random: Random) -> list[Fact]:
    """Return some or all of CelebA's attributes."""
    share = random.choice((0.15, 0.4, 1))
    return [fact(name, random.choice(("yes", "no"))) for name in _CELEBA if random.random() < share]


def make_bags(number: int, seed: int = 0) -> Iterator[Bag]:
    """Yield bags of all kinds."""
    random = Random(seed)
    for index in range(number):
        make = random.choice((drawn, mixed, mixed, celeba))
        yield Bag(image_id=f"image{index:05}", facts=tuple(make(random)))
