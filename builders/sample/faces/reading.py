"""From a prompt to a face that can be drawn: a tolerant reader of attributes and of plain text.

The drawer has few values, so each of many words stands for the nearest one: "auburn" is drawn as red. What
the prompt does not say follows from the seed; glasses, hats, beards and unusual hair are drawn only if they
are asked for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from builders.sample.faces import ATTRIBUTES, SEEDS, Face, random_face

_WORN = ("glasses", "hat", "beard")
_WORDS_BEFORE = 4  # the most that a pattern has before an anchor
# Drawn only if they are asked for: most prompts leave the hair open, and mean none of these.
_UNUSUAL = {"hair_style": ("bald", "mohawk"), "hair_color": ("green", "blue", "pink")}
# Attribute of a prompt → the drawer's.
_NAMES = {
    "skin": "skin",
    "skin_color": "skin",
    "hair": "hair_style",
    "hair_style": "hair_style",
    "hair_color": "hair_color",
    "eyes": "eyes",
    "eye_color": "eyes",
    "glasses": "glasses",
    "eyewear": "glasses",
    "hat": "hat",
    "headwear": "hat",
    "beard": "beard",
    "facial_hair": "beard",
    "expression": "expression",
    "background": "background",
    "place": "background",
    "lighting": "lighting",
    "light": "lighting",
}
# Drawn value → the words that stand for it. Within an attribute the first value with a match counts, so
# narrower words come first.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "skin": {
        "dark brown": r"dark brown|deep brown|ebony|very dark|deep bronze|black|dark",
        "brown": r"brown|chestnut|sienna|umber|mahogany|cocoa",
        "olive": r"olive|sand|beige",
        "tan": r"tan(?:ned)?|golden|honey|bronze|caramel|amber|medium",
        "porcelain": r"porcelain|ivory|alabaster|very fair|pale|rosy|pink",
        "light": r"light|fair|peachy|cream|white",
    },
    "hair_style": {
        "bald": r"bald|shaved head|shaven head|(?:shaved|shaven|shining) head|hairless",
        "mohawk": r"mohawk|fauxhawk",
        "bun": r"buns?|top knot|chignon|updo|topknot",
        "ponytail": r"ponytails?|pigtails|braids?",
        "bob": r"bob|chin-length|shoulder-length|pixie cut|bowl cut",
        "curly": r"curly|curls|afro|coily|ringlets|frizzy|cornrows|locs|twists",
        "long wavy": r"long wavy|wavy|waves|tousled",
        "long straight": r"long straight|long|straight|silky|parted in the middle",
        "short": r"short|cut|fade|spiky|slicked|receding|thinning|cropped",
    },
    "hair_color": {
        "green": r"green|emerald|mint",
        "blue": r"blue|teal|turquoise|navy|electric",
        "pink": r"pink|rose|magenta|lavender|purple|violet|plum|rainbow\S*",
        "white": r"white|snow|platinum",
        "gray": r"gr[ae]y\w*|silver\S*|salt-and-pepper|pewter",
        "red": r"red|ginger|auburn|copper|burgundy|orange|strawberry",
        "blond": r"blonde?|golden|honey|flaxen|sandy|yellow|peach",
        "black": r"black\S*|jet\S*|raven|ebony",
        "brown": r"brown|brunette|chestnut|caramel|espresso|chocolate",
    },
    "eyes": {
        "hazel": r"hazel|amber|golden",
        "green": r"green|emerald|jade|olive|moss",
        "gray": r"gr[ae]y\S*|silver\S*",
        "blue": r"blue|teal|turquoise|aqua",
        "brown": r"brown|black\S*|copper",
    },
    "glasses": {
        "none": r"no glasses|without glasses|none",
        "sunglasses": r"sunglasses|dark glasses|shades",
        "square": r"(?:square|rectangular|horn-rimmed|thick-rimmed|browline)\b.{0,20}(?:glasses|spectacles)",
        "round": r"glasses|spectacles|monocle|pince-nez|eyeglasses|round|oval",
    },
    "hat": {
        "none": r"no hat|without a hat|none",
        "beanie": r"beanie|woolen hat|knit(?:ted)? (?:hat|cap)|winter hat|headscarf|hijab|turban|headwrap",
        "cap": r"caps?|visor|beret|hard hat|helmet",
        "wide-brimmed hat": r"(?:wide-brimmed |straw |sun |cowboy |top |felt |bucket )?hats?|fedora|sombrero",
    },
    "beard": {
        "none": r"clean-shaven face|clean-shaven|no beard|without a beard|none",
        "stubble": r"stubble|five o'clock shadow|unshaven",
        "goatee": r"goatee|soul patch|van dyke",
        "full beard": r"beards?|bearded|mutton chops",
        "mustache": r"m(?:o|ou)?ustaches?|moustaches?",
    },
    "expression": {
        "laughing": r"laugh(?:s|ing|ter)?|chuckle|grin(?:ning|s)?",
        "surprised": r"surprised?|astonished|shocked|startled|stunned|amazed|wide-eyed|open mouth|wonder",
        "sad": r"sad(?:ness)?|sorrowful|mournful|crying|tears?|dejected|melanchol\w+|frown(?:ing)?|upset",
        "smiling": r"smil(?:e|es|ing)|happy|cheerful|joyful|delighted|smirk",
        "neutral": r"neutral|serious|calm|blank|stoic|expression|look",
    },
    "background": {
        "starry night": r"starry|stars|night sky|galaxy|planetarium|observatory",
        "snowy mountains": r"snow\w*|mountains?|alpine|peaks?|glacier|ski",
        "sunset sky": r"sunset|dusk|golden hour|evening sky",
        "city skyline": r"skyline|city|street|rooftop|skyscrapers?|downtown|plaza|market|bridge|station",
        "brick wall": r"bricks?|alley|warehouse|factory|workshop",
        "bookshelf": r"bookshel\w+|library|books?\w*|study|classroom|office|archive",
        "beach": r"beach|sea|ocean|shore\w*|coast\w*|island|harbou?r|dunes?|lake\w*|river\w*|pier",
        "forest": r"forests?|woods?|trees?|gardens?|park|jungle|orchard|meadow|field|vineyard|savanna|farm",
        "teal": r"(?:teal|turquoise|green|sage green)\b.{0,12}(?:backgrounds?|backdrops?|walls?)",
        "lavender": r"(?:lavender|purple|violet|pink|pale pink)\b.{0,12}(?:backgrounds?|backdrops?|walls?)",
        "coral": r"(?:coral|orange|red|deep red|terracotta)\b.{0,12}(?:backgrounds?|backdrops?|walls?)",
        "cream": r"\w*\s?(?:backgrounds?|backdrops?|studio|walls?)|indoors|room|kitchen|caf[eé]",
    },
    "lighting": {
        "side-lit from the left": r"side-lit from the left|from the left",
        "side-lit from the right": r"side-lit from the right|from the right|from one side|side light",
        "dramatic": r"dramatic|low-key|rembrandt|hard\S*|spotlights?|shadow|candlelight|neon|moonlight",
        "warm": r"warm|golden|sunset|sunrise|amber|firelight|lamp|sunlight",
        "cool": r"cool|blue hour|twilight|dusk|fluorescent|pale|silvery",
        "soft": r"soft\w*|diffused?|even|gentle|window light|daylight|ambient|overhead|light|lighting",
    },
}
# Where a plain text speaks of an attribute: at one of these words, and at up to four before it.
_ANCHORS: Mapping[str, str] = {
    "skin": r"skin",
    "hair_style": r"hair|bob|mohawk|bald|afro|curls|ponytail|bun|braids|shaved head",
    "hair_color": r"hair|bob|mohawk|afro|curls|ponytail|bun|braids",
    "eyes": r"eyes",
    "glasses": r"glasses|spectacles",
    "hat": r"beanie|cap|hat|beret|helmet|turban|hijab|headscarf|visor|fedora|sombrero",
    "beard": r"stubble|goatee|beard|mustache|moustache|clean-shaven|unshaven",
    "expression": r"",
    "background": r"",
    "lighting": r"side-lit|sunlight|candlelight|moonlight|neon|light",
}
# What is said there; the words are looked for in the part that matches.
PARTS: Mapping[str, str] = {
    "skin": r"(?:[\w-]+ ){1,2}(?:toned |colou?red )?skin\b",
    "hair_style": r"(?:[\w-]+ ){0,4}(?:hair(?: in (?:\w+ ){1,3}\w+)?|bob|mohawk|bald head|afro|curls|"
    r"ponytail|bun|braids)\b|\bbald\b|\bshaved head\b",
    "hair_color": r"(?:[\w-]+ ){1,3}(?:hair|bob|mohawk|afro|curls|ponytail|bun|braids)\b",
    "eyes": r"(?:[\w-]+ ){1,2}eyes\b",
    "glasses": r"(?:[\w-]+ ){0,2}(?:glasses|sunglasses|spectacles|eyeglasses)\b",
    "hat": r"(?:[\w-]+ ){0,3}(?:beanie|caps?|hats?|beret|helmet|turban|hijab|headscarf|visor|fedora|"
    r"sombrero)\b",
    "beard": r"(?:[\w-]+ ){0,2}(?:stubble|goatee|beards?|bearded|mustache|moustache|clean-shaven|unshaven)\b",
    "expression": r".*",
    "background": r".*",
    "lighting": r"\bside-lit from the \w+|\b(?:sunlight|candlelight|moonlight|neon)\b|"
    r"(?:[\w-]+ ){1,2}light(?:ing)?\b(?! (?:skin|brown|hair|blue|green|gray))",
}


@dataclass(frozen=True, slots=True)
class ReadFace:
    """A face with what was read of it.

    Attributes:
        face: What is drawn.
        read: The drawer's attributes that the prompt decides, in their order.
    """

    face: Face
    read: tuple[str, ...]


def read_face(prompt: str, attributes: Iterable[tuple[str, str]], seed: int) -> ReadFace:
    """Return the face that comes nearest to a prompt.

    Args:
        prompt: The text.
        attributes: Names and values that it asks for; those with a name that the drawer knows go before the
            text, and the text is read only if there are none.
        seed: Decides what the prompt does not say, 0 to 2**32 - 1.

    Raises:
        ValueError: The seed is out of range.
    """
    if not 0 <= seed < SEEDS:
        raise ValueError(f"seed {seed!r} is not between 0 and {SEEDS - 1}")
    look = {name: str(getattr(random_face(seed), name)) for name in ATTRIBUTES}
    look.update(dict.fromkeys(_WORN, "none"))
    for name, unusual in _UNUSUAL.items():
        if look[name] in unusual:
            others = [value for value in ATTRIBUTES[name] if value not in unusual]
            look[name] = others[seed % len(others)]
    said = _read_attributes(attributes) or read_text(prompt)
    look.update(said)
    if look["hat"] != "none" and "hat" in said and look["hair_style"] in ("bun", "mohawk"):
        look["hair_style"] = "short"  # both need the top of the head
        said.pop("hair_style", None)
    return ReadFace(Face(**look, seed=seed), tuple(name for name in ATTRIBUTES if name in said))


def _read_attributes(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    said = dict[str, str]()
    for name, value in attributes:
        known = _NAMES.get(name.strip().casefold().replace(" ", "_"))
        if known is None:
            continue
        text = value.casefold()
        found = text if text in ATTRIBUTES[known] else _find(known, text)
        if found is not None:
            said.setdefault(known, found)
    return said


def knows(name: str) -> bool:
    """Return whether an attribute of prompts is one that the drawer draws."""
    return name.strip().casefold().replace(" ", "_") in _NAMES


def read_value(name: str, value: str) -> tuple[str, str] | None:
    """Return the drawer's attribute and value that an attribute of a prompt stands for, if there is one."""
    return next(iter(_read_attributes([(name, value)]).items()), None)


def read_text(prompt: str, names: Iterable[str] = tuple(ATTRIBUTES)) -> dict[str, str]:
    """Return the drawer's attributes that a plain text speaks of, with the value that is drawn for each.

    Args:
        prompt: The text.
        names: The attributes to look for.
    """
    text = " ".join(prompt.casefold().split())
    said = dict[str, str]()
    for name in names:
        found = (_find(name, part) for part in find_parts(name, text))
        if (value := next(filter(None, found), None)) is not None:
            said[name] = value
    return said


def find_parts(name: str, text: str) -> Iterator[str]:
    """Yield each part of a text that speaks of an attribute.

    These are the matches of one pattern in the whole text. A pattern that may begin with any words is slow,
    so it is tried from a few words before each anchor on, which takes a quarter of the time.

    Args:
        name: An attribute of the drawer.
        text: In lower case, with one space between words.
    """
    anchor, pattern = _part(name)
    at = 0
    while (near := anchor.search(text, at)) is not None:
        before = text[at : near.start()].split(" ")[-_WORDS_BEFORE - 1 :]
        found = pattern.search(text, near.start() - len(" ".join(before)))
        if found is None or found.end() == at:
            return
        yield found.group()
        at = found.end()


def _find(name: str, text: str) -> str | None:
    """Return the drawn value that a text stands for; None if it has no word for any."""
    exact: Sequence[str] = sorted(ATTRIBUTES[name], key=len, reverse=True)
    for value in exact:
        if value != "none" and name in ("skin", "lighting", "background") and f" {value} " in f" {text} ":
            return value
    return next((value for value, pattern in _patterns(name) if pattern.search(text)), None)


@cache
def _part(name: str) -> "tuple[re.Pattern[str], re.Pattern[str]]":
    return re.compile(_ANCHORS[name]), re.compile(PARTS[name])


@cache
def _patterns(name: str) -> tuple[tuple[str, "re.Pattern[str]"], ...]:
    return tuple((value, re.compile(rf"\b(?:{words})(?!\w)")) for value, words in _WORDS[name].items())
