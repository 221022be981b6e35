"""What people might call what is drawn: short captions of a face, and the faces for which they hold.

A caption is a few statements about attributes, each in one of several wordings. Which words the encoder knows
follows from the tables here. Nothing drawn makes a woman or a man, so these words say nothing of a face.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders.sample.encoder.words import FILLERS, split_words
from builders.sample.faces import ATTRIBUTES, Face, describe_face

HIDDEN = "hidden"  # eyes behind sunglasses, the hair colour of a bald person


@dataclass(frozen=True, slots=True)
class Statement:
    """Something that can be said of a face, in several wordings.

    Attributes:
        allowed: Attribute → the values for which it holds; every attribute must have one of its values.
        nouns: Wordings that fit after "with".
        adjectives: Wordings that fit before "person".
        places: Wordings that fit after a comma, or alone.
    """

    allowed: Mapping[str, frozenset[str]]
    nouns: tuple[str, ...] = ()
    adjectives: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caption:
    """A text, and what it says of a face."""

    text: str
    allowed: Mapping[str, frozenset[str]]


_WHO = ("person", "person", "person", "face", "woman", "man", "someone", "lady", "guy", "girl", "boy")
_OPENINGS = (
    "",
    "",
    "",
    "a ",
    "a ",
    "photo of a ",
    "a picture of a ",
    "portrait of a ",
    "a drawing of a ",
    "the ",
)
_SKIN = {
    "porcelain": ("porcelain skin", "very pale skin", "pale skin"),
    "light": ("light skin", "fair skin"),
    "olive": ("olive skin",),
    "tan": ("tan skin", "tanned skin"),
    "brown": ("brown skin",),
    "dark brown": ("dark brown skin", "dark skin", "very dark skin"),
}
_COLORS = {
    "black": ("black",),
    "brown": ("brown", "brunette"),
    "blond": ("blond", "blonde", "golden", "yellow"),
    "red": ("red", "ginger"),
    "gray": ("gray", "grey", "silver"),
    "white": ("white",),
    "green": ("green",),
    "blue": ("blue",),
    "pink": ("pink",),
}
_STYLES = {
    "short": ("short {} hair", "short hair in {}"),
    "long straight": ("long straight {} hair", "straight {} hair", "straight long {} hair"),
    "long wavy": ("long wavy {} hair", "wavy {} hair", "wavy long {} hair"),
    "curly": ("curly {} hair", "{} curls", "curled {} hair"),
    "bob": ("a {} bob", "{} hair in a bob", "a {} bob haircut"),
    "bun": ("{} hair in a bun", "a {} bun", "a {} hair bun", "{} hair tied up"),
    "ponytail": ("{} hair in a ponytail", "a {} ponytail", "a {} pony tail"),
    "mohawk": ("a {} mohawk", "{} hair in a mohawk", "a {} punk haircut"),
}
_GLASSES = {
    "round": ("round glasses", "round eyeglasses", "glasses with round frames", "circular glasses"),
    "square": ("square glasses", "rectangular glasses", "glasses with square frames"),
    "sunglasses": ("sunglasses", "dark glasses", "shades", "sun glasses"),
    "none": ("no glasses",),
}
_HATS = {
    "beanie": ("a beanie", "a purple beanie", "a knit hat", "a woolly hat", "a purple hat", "a knitted cap"),
    "cap": ("a cap", "an orange cap", "a baseball cap", "an orange hat"),
    "wide-brimmed hat": ("a wide-brimmed hat", "a beige wide-brimmed hat", "a sun hat", "a straw hat"),
    "none": ("no hat",),
}
_BEARDS = {
    "full beard": ("a full beard", "a beard", "a big beard", "a bushy beard"),
    "stubble": ("stubble", "a stubble beard", "a three-day beard"),
    "mustache": ("a mustache", "a moustache"),
    "goatee": ("a goatee", "a chin beard"),
    "none": ("no beard", "no facial hair"),
}
_MOODS = {
    "smiling": (("a smile", "a smiling face"), ("smiling",)),
    "laughing": (("a laugh", "a laughing face", "a big laugh"), ("laughing",)),
    "surprised": (
        ("a surprised expression", "a surprised look", "surprise"),
        ("surprised", "shocked", "astonished"),
    ),
    "sad": (("a sad expression", "a sad face", "a frown"), ("sad", "unhappy", "frowning")),
    "neutral": (("a neutral expression", "a serious look"), ("neutral", "serious")),
}
_PLACES = {
    "bookshelf": ("a bookshelf", "books", "a library", "shelves with books", "a bookcase"),
    "forest": ("a forest", "trees", "a wood"),
    "brick wall": ("a brick wall", "bricks", "a wall of bricks"),
    "starry night": ("a starry night", "a night sky", "stars", "the moon and stars"),
    "beach": ("a beach", "the sea", "the ocean"),
    "snowy mountains": ("snowy mountains", "mountains", "snow"),
    "city skyline": ("a city skyline", "a city", "skyscrapers", "the city at night"),
    "sunset sky": ("a sunset sky", "a sunset", "the setting sun"),
}
_PLAIN = ("teal", "lavender", "coral", "cream")
_LIGHTS = {
    "soft": ("in soft light", "soft lighting", "softly lit"),
    "warm": ("in warm light", "warm lighting", "warmly lit"),
    "cool": ("in cool light", "cool lighting", "cold light"),
    "side-lit from the left": ("side-lit from the left", "lit from the left", "light from the left"),
    "side-lit from the right": ("side-lit from the right", "lit from the right", "light from the right"),
    "dramatic": ("in dramatic light", "dramatic lighting", "dramatically lit"),
}


def _is(attribute: str, *values: str) -> dict[str, frozenset[str]]:
    return {attribute: frozenset(values)}


def _hair() -> list[Statement]:
    statements = [
        Statement(
            _is("hair_style", "bald"), ("a bald head", "no hair", "a shaved head"), ("bald", "hairless")
        ),
        Statement(_is("hair_style", "long straight", "long wavy"), ("long hair",), ("long haired",)),
    ]
    for style, forms in _STYLES.items():
        plain = tuple(form.replace(" in {}", "").replace("{} ", "") for form in forms)
        statements.append(Statement(_is("hair_style", style), plain))
    for color, names in _COLORS.items():
        nouns = tuple(f"{name} hair" for name in names)
        adjectives = tuple(f"{name} haired" for name in names)
        statements += [Statement(_is("hair_color", color), nouns, adjectives)] * 3
        for style, forms in _STYLES.items():
            both = _is("hair_color", color) | _is("hair_style", style)
            statements.append(Statement(both, tuple(form.format(name) for form in forms for name in names)))
    return statements


@cache
def statements() -> tuple[Statement, ...]:
    """Return everything that captions say; what is said more often is in it more than once."""
    found = _hair()
    for value, words in _SKIN.items():
        found += [Statement(_is("skin", value), words, tuple(f"{word}ned" for word in words))] * 2
    for value in ATTRIBUTES["eyes"]:
        names = {"gray": ("gray", "grey")}.get(value, (value,))
        found += [
            Statement(
                _is("eyes", value), tuple(f"{n} eyes" for n in names), tuple(f"{n} eyed" for n in names)
            )
        ] * 4
    for value, words in _GLASSES.items():
        without: tuple[str, ...] = ("without glasses",) if value == "none" else ()
        found += [Statement(_is("glasses", value), words, places=without)] * 3
    found += [
        Statement(
            _is("glasses", "round", "square"), ("glasses", "eyeglasses", "spectacles"), ("bespectacled",)
        )
    ] * 6
    for value, words in _HATS.items():
        without = ("without a hat", "bareheaded") if value == "none" else ()
        found += [Statement(_is("hat", value), words, places=without)] * 3
    found += [Statement(_is("hat", "beanie", "cap", "wide-brimmed hat"), ("a hat", "headwear"))] * 4
    for value, words in _BEARDS.items():
        without = ("without a beard", "clean shaven", "beardless") if value == "none" else ()
        bearded = {"full beard": ("bearded",), "stubble": ("unshaven",)}.get(value, ())
        found += [Statement(_is("beard", value), words, bearded, without)] * 3
    for value, (nouns, adjectives) in _MOODS.items():
        found += [Statement(_is("expression", value), nouns, adjectives)] * 3
    found.append(
        Statement(_is("expression", "smiling", "laughing"), ("a happy face",), ("happy", "cheerful"))
    )
    for value, words in _PLACES.items():
        found += [Statement(_is("background", value), places=_placed(words))] * 2
    for value in _PLAIN:
        places = (f"on a {value} background", f"against a plain {value} background", f"{value} background")
        found += [Statement(_is("background", value), places=places)] * 2
    for value, words in _LIGHTS.items():
        found += [Statement(_is("lighting", value), places=words)] * 2
    return tuple(found)


def _placed(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{place} {word}" for word in words for place in ("in front of", "against", "with", "and"))


_PLAIN_FACE = Face(
    skin="light",
    hair_style="short",
    hair_color="brown",
    eyes="blue",
    glasses="none",
    hat="none",
    beard="none",
    expression="neutral",
    background="cream",
    lighting="soft",
)


def known_words() -> tuple[str, ...]:
    """Return every word that a caption can hold, sorted."""
    texts = [*_WHO, *_OPENINGS]
    for statement in statements():
        texts += [*statement.nouns, *statement.adjectives, *statement.places]
    for attribute, values in ATTRIBUTES.items():  # and what describe_face says
        for value in values:
            change: dict[str, Any] = {attribute: value}
            texts += [describe_face(replace(_PLAIN_FACE, **change), style) for style in range(6)]
    return tuple(sorted({word for text in texts for word in split_words(text)} - FILLERS))


def visible(face: Face) -> dict[str, str]:
    """Return a face's attributes, what cannot be seen as HIDDEN."""
    values = {name: str(getattr(face, name)) for name in ATTRIBUTES}
    if face.glasses == "sunglasses":
        values["eyes"] = HIDDEN
    if face.hair_style == "bald":
        values["hair_color"] = HIDDEN
    return values


def write_caption(face: Face, rng: Random) -> Caption:
    """Write something true of a face: a few statements about it, or all that there is to say.

    Args:
        face: What is drawn.
        rng: Chooses what is said and how.
    """
    seen = visible(face)
    if rng.random() < 0.1:
        said = {name: frozenset([value]) for name, value in seen.items() if value != HIDDEN}
        return Caption(describe_face(face, rng.randrange(6)), said)
    true = [each for each in statements() if all(seen[name] in each.allowed[name] for name in each.allowed)]
    chosen: list[Statement] = []
    for _ in range(rng.choice((1, 1, 2, 2, 2, 3, 3, 4))):
        taken = {name for each in chosen for name in each.allowed}
        fresh = [each for each in true if taken.isdisjoint(each.allowed)]
        chosen.append(rng.choice(fresh))
    allowed = {name: values for each in chosen for name, values in each.allowed.items()}
    return Caption(_phrase(chosen, rng), allowed)


def _phrase(chosen: Sequence[Statement], rng: Random) -> str:
    before: list[str] = []
    after: list[str] = []
    last: list[str] = []
    for each in chosen:
        forms = [(before, each.adjectives), (after, each.nouns), (last, each.places)]
        weights = [len(words) ** 0.5 if len(words) else 0.0 for _, words in forms]
        place, words = rng.choices(forms, weights)[0]
        place.append(rng.choice(words))
    if len(chosen) == 1 and rng.random() < 0.4:
        return (before + after + last)[0]
    link: str = rng.choice((" with ", " with ", " with ", " who has ", " wearing ", ", "))
    joint = rng.choice((" and ", " and ", ", ", " with "))
    text = " ".join([*before, rng.choice(_WHO)])
    if after:
        text += link + joint.join(after)
    return ", ".join([rng.choice(_OPENINGS) + text, *last])


class Codes:
    """Attributes as numbers, to find all faces for which captions hold."""

    def __init__(self) -> None:
        self._values = {name: (*values, HIDDEN) for name, values in ATTRIBUTES.items()}

    def of_faces(self, faces: Sequence[Face]) -> NDArray[np.int64]:
        """Return the number of each visible attribute's value: faces x attributes."""
        seen = map(visible, faces)
        return np.array([[vs.index(each[name]) for name, vs in self._values.items()] for each in seen])

    def matches(
        self, allowed: Sequence[Mapping[str, frozenset[str]]], codes: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Say which statements hold for which faces: statements x faces."""
        found = np.ones((len(allowed), len(codes)), dtype=np.bool_)
        for column, (name, values) in enumerate(self._values.items()):
            table = np.array(
                [[name not in each or value in each[name] for value in values] for each in allowed]
            )
            found &= table[:, codes[:, column]]
        return found
