"""The parts of a caption: what each fact becomes in a sentence, before a plan puts them in order."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from builders.generation.captions.ages import ADULT, OLDEST, Age
from builders.generation.captions.lexicon import Lexicon, load_lexicon, slot_of
from builders.generation.captions.meaning import BagMeaning, Claim, Meaning

_DECADES = ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"]
_ARTICLES = ("a ", "an ", "the ", "some ", "no ", "one ", "two ")
_BEARDS = (
    *("beard", "beards", "stubble", "goatee", "mustache", "moustache", "sideburns", "chops", "shadow"),
    *("facial hair", "whiskers", "shaven", "bearded", "handlebar", "van dyke", "soul patch", "unshaven"),
)
_PREPOSITIONS = (
    *("in ", "on ", "at ", "by ", "near ", "under ", "against ", "behind ", "inside ", "outside ", "beside "),
    *("in front of ", "next to ", "with ", "from ", "over ", "along "),
)
_MASS = frozenset(
    (
        *(
            "jewelry",
            "jewellery",
            "clothing",
            "denim",
            "silk",
            "leather",
            "lace",
            "cotton",
            "wool",
            "gold",
            "silver",
        ),
        *(
            "makeup",
            "lipstick",
            "mascara",
            "eyeliner",
            "blush",
            "stubble",
            "snow",
            "grass",
            "sky",
            "water",
            "nature",
        ),
        *(
            "darkness",
            "fog",
            "smoke",
            "foliage",
            "greenery",
            "space",
            "indoors",
            "outdoors",
            "downtown",
            "home",
        ),
    )
)
_HAIR_NOUNS = ("bob", "mohawk", "afro", "pixie")  # "a brown bob"; others are "brown hair in a bun"
_TIED = ("bun", "ponytail", "pigtails", "braids", "dreadlocks", "updo")
_SHORT_VALUE = re.compile(r"[^\W_]+(?:[ '-][^\W_]+){0,6}")
_SHAVEN = Claim("beard/facial_hair", is_denied=True)
_COLOR_ROLES = ("hair_length", "hair_texture", "hair_color")


@dataclass(slots=True)
class Parts:
    """What a caption has to say.

    Attributes:
        noun: The person, such as "woman".
        subject: How later sentences name the person, "she", "he" or "they".
        possessive: "her", "his" or "their".
        object: "her", "him" or "them".
        adjectives: Before the noun, in order.
        after: Behind the noun: an age.
        hair: Adjectives of the hair.
        hair_style: What the hair is tied into, with its article; empty if it is not.
        hair_noun: A noun in place of "hair"; empty if there is none.
        traits: Noun phrases of what the person has, beside the hair.
        worn: Noun phrases of what the person wears.
        backgrounds: Noun phrases of what is behind.
        settings: The same with a preposition, and places.
        lights: Adjectives of the light.
        lit: Phrases that say how the picture is lit.
        poses: Phrases that say what the person does.
        not_worn: What is not worn, without "no".
        absent: What else is not there, without "no".
        nots: Adjectives that are not true.
        notes: Whole sentences.
    """

    noun: str = "person"
    subject: str = "they"
    possessive: str = "their"
    object: str = "them"
    adjectives: list[str] = field(default_factory=list)
    after: str = ""
    hair: list[str] = field(default_factory=list)
    hair_style: str = ""
    hair_noun: str = ""
    traits: list[str] = field(default_factory=list)
    worn: list[str] = field(default_factory=list)
    backgrounds: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    lights: list[str] = field(default_factory=list)
    lit: list[str] = field(default_factory=list)
    poses: list[str] = field(default_factory=list)
    not_worn: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    nots: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def who(self) -> str:
        """The person with article, adjectives and age; the article is not yet "a" or "an"."""
        return " ".join(filter(None, ["a", *self.adjectives, self.noun, self.after]))

    @property
    def hair_phrase(self) -> str:
        """The hair as a noun phrase; empty if nothing is known of it."""
        if self.hair_noun:
            return " ".join(["a", *self.hair, self.hair_noun])
        if self.hair_style:
            return " ".join([*self.hair, "hair in", self.hair_style])
        return " ".join([*self.hair, "hair"]) if self.hair else ""


def and_list(items: Sequence[str]) -> str:
    """Join items with commas and "and"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


def or_list(items: Sequence[str]) -> str:
    """Join items with commas and "or"."""
    return " or ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


def make_parts(meaning: BagMeaning) -> Parts:
    """Return what a caption has to say of a bag."""
    maker = _Maker(load_lexicon())
    for each in meaning.meanings:
        maker.take(each)
    maker.finish()
    return maker.parts


class _Maker:
    def __init__(self, lexicon: Lexicon) -> None:
        self.parts, self._lexicon = Parts(), lexicon
        self._genders, self._ages = list[str](), list[Age]()
        self._moods, self._ethnicities, self._is_young = list[str](), list[str](), False
        self._hair: dict[str, list[str]] = {slot: [] for slot in _COLOR_ROLES}
        self._scenes, self._is_shaven = list[str](), False
        # Where a value goes that the lexicon does not know.
        self._takers: Mapping[str, Callable[[str], None]] = {
            **dict.fromkeys(("ethnicity", "race"), self._take_ethnicity),
            **dict.fromkeys(("eyes", "eye_color"), self._take_eyes),
            **dict.fromkeys(("clothing", "accessories", "jewelry", "hat", "headwear"), self._take_worn),
            "beard": self._take_beard,
            "facial_hair": self._take_facial_hair,
            **dict.fromkeys(("expression", "emotion"), self._take_mood),
            "hair_color": self._take_color,
            "hair_style": self._take_hair,
            "skin": self._take_skin,
            "glasses": self._take_glasses,
            "makeup": self._take_makeup,
            "pose": self._take_pose,
            "background": self._take_background,
            "place": self._take_place,
            "lighting": self._take_light,
        }

    def take(self, meaning: Meaning) -> None:
        """Take one fact."""
        if meaning.age is not None:
            self._ages.append(meaning.age)
        elif meaning.claims:
            self._is_shaven |= _SHAVEN in meaning.allowed
            for claim in meaning.claims:
                (self._deny if claim.is_denied else self._say)(claim)
        else:
            self._take_words(meaning)

    def _say(self, claim: Claim) -> None:
        lexicon, parts, atom = self._lexicon, self.parts, claim.atom
        said, role = lexicon.sayings[atom], lexicon.role_of(atom)
        lists = {"gender": self._genders, "ethnicity": self._ethnicities, "worn": parts.worn}
        if role in lists:
            _add(lists[role], atom.partition("/")[2] if role == "gender" else said)
        elif role == "mood":
            _add(parts.traits if said.startswith(("a ", "an ")) else self._moods, said)
        elif role == "hair":
            _add(self._hair[slot_of(atom)], said)
        elif role == "style":
            self._say_style(said)
        elif role in ("setting", "place"):
            self._say_setting(atom, said, role)
        elif role == "light":
            _add(parts.lights if atom in lexicon.adjectives else parts.lit, said)
        elif role == "picture":
            _add(parts.notes, f"The picture is {said}.")
        elif role == "young":
            self._is_young = True
        else:
            noun = {"eyes": " eyes", "skin": " skin"}.get(role, "") if atom in lexicon.adjectives else ""
            _add(parts.traits, said + noun)

    def _say_style(self, said: str) -> None:
        bare, parts = said.removeprefix("a ").removeprefix("an "), self.parts
        is_free = not (parts.hair_noun or parts.hair_style)
        if bare in _HAIR_NOUNS and is_free:
            parts.hair_noun = bare
        elif bare in _TIED and is_free:
            parts.hair_style = said
        else:
            _add(parts.traits, said)

    def _say_setting(self, atom: str, said: str, role: str) -> None:
        parts = self.parts
        if atom in self._lexicon.adjectives:
            _add(self._scenes, said)
            return
        before = self._lexicon.prepositions.get(atom, "in front of" if role == "setting" else "in")
        _add(parts.settings, f"{before} {said}".strip())
        if role == "setting":
            _add(parts.backgrounds, said)

    def _deny(self, claim: Claim) -> None:
        said, is_not = self._lexicon.deny(claim.atom)
        role = self._lexicon.role_of(claim.atom)
        if role == "picture":
            _add(self.parts.notes, f"The picture is not {said}.")
        elif role in ("gender", "ethnicity", "mood", "young") or is_not:
            _add(self.parts.nots, said)
        else:
            _add(self.parts.not_worn if role == "worn" else self.parts.absent, said)

    def _take_words(self, meaning: Meaning) -> None:
        """Take a value that the lexicon does not know."""
        parts, value = self.parts, " ".join(meaning.fact.value.split())
        name = meaning.fact.attribute.strip().casefold().replace(" ", "_")
        is_yes_or_no = meaning.is_denied or value.casefold() in ("yes", "true")
        take = self._takers.get(name)
        if is_yes_or_no or take is None or not _SHORT_VALUE.fullmatch(value):
            _add(parts.notes, _note(meaning, value))
        else:
            take(value)

    def _take_ethnicity(self, value: str) -> None:
        _add(self._ethnicities, value)

    def _take_eyes(self, value: str) -> None:
        _add(self.parts.traits, value if value.endswith("eyes") else f"{value} eyes")

    def _take_skin(self, value: str) -> None:
        _add(self.parts.traits, value if value.endswith("skin") else f"{value} skin")

    def _take_glasses(self, value: str) -> None:
        is_named = value.endswith(("glasses", "spectacles", "goggles", "shades"))
        _add(self.parts.worn, with_article(value) if is_named else f"{value} glasses")

    def _take_worn(self, value: str) -> None:
        _add(self.parts.worn, with_article(value))

    def _take_beard(self, value: str) -> None:
        is_named = value.endswith(_BEARDS)
        _add(self.parts.traits, with_article(value if is_named else f"{value} beard"))

    def _take_facial_hair(self, value: str) -> None:
        _add(self.parts.traits, with_article(value) if value.endswith(_BEARDS) else f"{value} facial hair")

    def _take_makeup(self, value: str) -> None:
        _add(self.parts.traits, with_article(value) if " " in value else f"{value} makeup")

    def _take_mood(self, value: str) -> None:
        _add(self.parts.traits, f"a {value} expression")

    def _take_light(self, value: str) -> None:
        _add(self.parts.lit, f"in {value if 'light' in value else value + ' light'}")

    def _take_color(self, value: str) -> None:
        _add(self._hair["hair_color"], value.removesuffix("hair").strip() or value)

    def _take_hair(self, value: str) -> None:
        if value.endswith(("ed", "y", "hair")):
            self._take_color(value)
        else:
            _add(self.parts.traits, with_article(value))

    def _take_pose(self, value: str) -> None:
        first = value.split(maxsplit=1)[0]
        if first.endswith(("ing", "ed")) or value.startswith(_PREPOSITIONS):
            _add(self.parts.poses, value)
        elif " " in value and not value.endswith("pose"):
            _add(self.parts.poses, f"with {value}")
        else:
            _add(self.parts.poses, f"in {with_article(value if value.endswith('pose') else value + ' pose')}")

    def _take_place(self, value: str) -> None:
        before = "" if value.startswith(_PREPOSITIONS) else "in "
        _add(self.parts.settings, f"{before}{with_article(value)}" if before else value)

    def _take_background(self, value: str) -> None:
        is_placed = value.startswith(_PREPOSITIONS)
        _add(self.parts.settings, value if is_placed else f"against a background of {with_article(value)}")

    def finish(self) -> None:
        """Put together what several facts say."""
        parts = self.parts
        for slot in _COLOR_ROLES:
            if self._hair[slot]:
                parts.hair.append(and_list(self._hair[slot]))
        if self._scenes:
            scene = f"a {and_list(self._scenes)} background"
            parts.backgrounds.insert(0, scene)
            parts.settings.insert(0, f"against {scene}")
        age = self._ages[0] if self._ages else None
        gender = self._genders[0] if self._genders else ""
        parts.noun = name_person(age, gender)
        parts.subject = {"male": "he", "female": "she"}.get(gender, "they")
        if gender in ("male", "female"):
            parts.possessive, parts.object = ("his", "him") if gender == "male" else ("her", "her")
        shaven = ""
        if self._is_shaven and parts.noun == "man" and "beard" in parts.absent:
            shaven = "clean-shaven"
            parts.absent.remove("beard")
        before, parts.after = tell_age(age, parts.possessive) if age else ("", "")
        ethnicity = and_list(self._ethnicities)
        # A teenager or young adult, of whom neither is known.
        is_between = parts.noun == "person" and age is not None and age.is_young
        young = "young" if self._is_young or is_between else ""
        parts.adjectives = [
            each for each in (", ".join(self._moods), young, shaven, before, ethnicity) if each
        ]
        for other in dict.fromkeys(self._genders[1:]):
            if other != gender:
                parts.notes.append(f"Another reading of the gender is {other.replace('_', '-')}.")
        parts.notes += [
            f"Another estimate of the age is {_years(other)}." for other in self._ages[1:] if other != age
        ]


def name_person(age: Age | None, gender: str) -> str:
    """Return the noun for a person; children get words for children, whatever else is known."""
    if gender == "non_binary":
        return "non-binary person"
    if age is None or age.share_within(Age(0, ADULT - 1)) < 0.5:
        return {"male": "man", "female": "woman"}.get(gender, "person")
    child = {"male": "boy", "female": "girl"}.get(gender)
    if age.high < 1:
        return f"baby {child}" if child else "baby"
    if age.low >= 13:
        return f"teenage {child}" if child and age.low < age.high else child or "teenager"
    return child or _name_child(age)


def _name_child(age: Age) -> str:
    if age.high <= 3:
        return "toddler" if age.low >= 1 else "baby"
    return "child" if age.high < 13 else "person"


def tell_age(age: Age, possessive: str) -> tuple[str, str]:
    """Return the words for an age before the noun and behind it; one of them is empty."""
    if age.high == 0:
        return "", "less than a year old"
    if age.low == age.high:
        return f"{age.low}-year-old", ""
    if age.high == OLDEST:
        return "", f"over {age.low}" if age.low < OLDEST else f"aged {age.low}"
    if age.low >= 20 and age.low % 10 == 0 and age.high == age.low + 9 and age.low < 100:
        return "", f"in {possessive} {_DECADES[age.low // 10 - 2]}"
    if age.low == 0:
        return "", f"up to {age.high} years old" if age.high > 1 else "up to 1 year old"
    return "", f"aged {age.low} to {age.high}"


def _years(age: Age) -> str:
    if age.high == 0:
        return "less than a year"
    if age.low == age.high:
        return f"{age.low} years" if age.low > 1 else "1 year"
    return f"over {age.low} years" if age.high == OLDEST else f"{age.low} to {age.high} years"


def with_article(value: str) -> str:
    """Return a noun phrase with "a" before it, unless it has a word like that or counts nothing."""
    last = value.rsplit(maxsplit=1)[-1].casefold()
    is_plural = last.endswith("s") and not last.endswith(("ss", "us", "is"))
    if value.casefold().startswith(_ARTICLES) or is_plural or last in _MASS:
        return value
    return f"a {value}"


def _note(meaning: Meaning, value: str) -> str:
    """Return a sentence for a fact of an unknown attribute, or with a value of many words."""
    if meaning.is_denied or value.casefold() in ("yes", "true"):
        not_ = "do not " if meaning.is_denied else ""
        return f"The labels {not_}include {meaning.name}."
    if _SHORT_VALUE.fullmatch(value):
        return f"The {meaning.name} is {value}."
    return f'The {meaning.name} is described as "{value}".'


def _add(items: list[str], item: str) -> None:
    if item not in items:
        items.append(item)


def chunk(items: Iterable[str], size: int) -> list[list[str]]:
    """Split items into lists of at most `size`, about equally long."""
    listed = list(items)
    number = -(-len(listed) // size)
    return (
        [listed[start::number] for start in range(number)]
        if number < 2
        else [
            listed[len(listed) * each // number : len(listed) * (each + 1) // number]
            for each in range(number)
        ]
    )
