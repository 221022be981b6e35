"""Draw the faces of the built-in sample: parametric portraits whose attributes are ground truth.

A generated image carries the prompt that was asked for; a drawn face carries one that is
true, because `describe_face` and `draw_face` read the same ten attributes. Everything else about
a face (proportions, clothes, strands of hair) follows from its seed and stays out of the prompt.
`portrait` puts a picture together; the other modules each draw what they are named after.

Two attributes can be hidden, and are then neither drawn nor described: the eyes behind sunglasses
and the hair colour of a bald person, whose brows and beard are dark brown.

Look at a sheet of forty:

    python -c "
    from PIL import Image; from builders.sample.faces import *
    sheet = Image.new('RGB', (2048, 1280))
    for i in range(40): sheet.paste(draw_face(random_face(i)), (i % 8 * 256, i // 8 * 256))
    sheet.save('sheet.png')"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from builders.sample.faces.portrait import draw_portrait

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "skin": ("porcelain", "light", "olive", "tan", "brown", "dark brown"),
    "hair_style": (
        *("short", "long straight", "long wavy", "curly"),
        *("bob", "bun", "ponytail", "mohawk", "bald"),
    ),
    "hair_color": ("black", "brown", "blond", "red", "gray", "white", "green", "blue", "pink"),
    "eyes": ("brown", "blue", "green", "hazel", "gray"),
    "glasses": ("none", "round", "square", "sunglasses"),
    "hat": ("none", "beanie", "cap", "wide-brimmed hat"),
    "beard": ("none", "stubble", "full beard", "mustache", "goatee"),
    "expression": ("smiling", "neutral", "surprised", "sad", "laughing"),
    "background": (
        *("teal", "lavender", "coral", "cream", "sunset sky", "bookshelf"),
        *("forest", "brick wall", "starry night", "beach", "snowy mountains", "city skyline"),
    ),
    "lighting": (
        *("soft", "warm", "cool"),
        *("side-lit from the left", "side-lit from the right", "dramatic"),
    ),
}
SEEDS = 2**32
SIZES = range(16, 1025)  # pixels; memory grows with the square: about 150 MB at 1024


@dataclass(frozen=True, slots=True)
class Face:
    """What is drawn: every field but the seed is one of its values in ATTRIBUTES."""

    skin: str
    hair_style: str
    hair_color: str
    eyes: str
    glasses: str
    hat: str
    beard: str
    expression: str
    background: str
    lighting: str
    seed: int = 0  # small natural variation, 0 to 2**32 - 1

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            ValueError: A field has an unknown value; the message names the allowed ones.
        """
        for name, allowed in ATTRIBUTES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} {value!r} is not one of: {', '.join(allowed)}")
        if not 0 <= self.seed < SEEDS:
            raise ValueError(f"seed {self.seed!r} is not between 0 and {SEEDS - 1}")


def random_face(seed: int) -> Face:
    """Choose a face: a pure function of the seed, the same on every machine.

    Values are equally likely, except that half of the faces have no glasses, half no beard and
    more than half no hat, so that hair and eyes stay easy to see.

    Args:
        seed: 0 to 2**32 - 1; also becomes the seed of the face.

    Returns:
        A face whose combination of attributes leaves each of them visible.

    Raises:
        ValueError: The seed is out of range.
    """
    rng = Random(seed)  # noqa: S311 - a sample, not a secret
    look = {name: _choose(rng, values) for name, values in ATTRIBUTES.items()}
    if look["hair_style"] in ("bun", "mohawk"):  # both need the top of the head
        look["hat"] = "none"
    return Face(**look, seed=seed)


def _choose(rng: Random, values: Sequence[str]) -> str:
    """Return a value; only random() promises the same draws on every Python."""
    if values[0] == "none" and rng.random() < 0.5:
        return "none"
    options = [value for value in values if value != "none"]
    return options[int(rng.random() * len(options))]


def draw_face(face: Face, size: int = 256) -> Image.Image:
    """Draw a face; equal arguments give equal pixels.

    Args:
        face: What to draw.
        size: Width and height in pixels, 16 to 1024; every size shows the same face.

    Returns:
        An RGB image of `size` x `size` pixels.

    Raises:
        ValueError: The size is out of range.
    """
    if size not in SIZES:
        raise ValueError(f"size {size!r} is not between {SIZES[0]} and {SIZES[-1]} pixels")
    look = {name: str(getattr(face, name)) for name in ATTRIBUTES}
    return draw_portrait(look, face.seed, size)


# --- descriptions ---------------------------------------------------------------------------

_TEMPLATES = (
    "A portrait of {who} with {traits}{wearing}, in front of {scene}, {light}.",
    "{Who} with {traits}{wearing}. Behind the person is {scene}, and the portrait is {light}.",
    "Head and shoulders of {who} against {scene}: {traits}{wearing}, {light}.",
    "In front of {scene}, {light}: {who} with {traits}{wearing}.",
    "{Who} is in front of {scene}{wearing}. The person has {traits}; the portrait is {light}.",
    "An illustrated headshot, {light}, set against {scene}: {who} with {traits}{wearing}.",
)
_HAIR = {
    "bun": "{} hair in a bun",
    "ponytail": "{} hair in a ponytail",
    "bob": "a {} bob",
    "mohawk": "a {} mohawk",
    "bald": "a bald head",
}
_GLASSES = {"round": "round glasses", "square": "square glasses", "sunglasses": "sunglasses"}
_HATS = {  # hats come in one colour each
    "beanie": "a purple beanie",
    "cap": "an orange cap",
    "wide-brimmed hat": "a beige wide-brimmed hat",
}
_BEARDS = {"full beard": "a full beard", "mustache": "a mustache", "goatee": "a goatee"}
_SCENES = {"bookshelf", "forest", "brick wall", "starry night", "beach", "city skyline"}


def describe_face(face: Face, style: int = 0) -> str:
    """Describe exactly what draw_face draws, in plain English.

    Glasses, hat and beard are mentioned where there are any, and what is hidden is not: the eyes
    behind sunglasses, the hair colour of a bald person.

    Args:
        face: What to describe.
        style: Any number; picks one of six wordings, modulo six.

    Returns:
        One or two sentences.
    """
    worn = [words for words in (_GLASSES.get(face.glasses), _HATS.get(face.hat)) if words]
    who = "a person" if face.expression == "neutral" else f"a {face.expression} person"
    return _TEMPLATES[style % len(_TEMPLATES)].format(
        who=who,
        Who=who.capitalize(),
        traits=_listed(_traits(face)),
        wearing=f", wearing {_listed(worn)}" if worn else "",
        scene=_scene(face.background),
        light=face.lighting if face.lighting.startswith("side") else f"in {face.lighting} light",
    )


def _traits(face: Face) -> list[str]:
    hair = _HAIR.get(face.hair_style, face.hair_style + " {} hair").format(face.hair_color)
    traits = [f"{face.skin} skin", hair]
    if face.glasses != "sunglasses":
        traits.append(f"{face.eyes} eyes")
    if face.beard != "none":
        traits.append(_BEARDS.get(face.beard, face.beard))
    if face.expression == "neutral":
        traits.append("a neutral expression")
    return traits


def _scene(background: str) -> str:
    if background == "snowy mountains":
        return background
    if background in _SCENES or background == "sunset sky":
        return f"a {background}"
    return f"a plain {background} background"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
