"""Sentence plans: how the parts of a caption become sentences, each with one finite verb."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builders.generation.captions.lexicon import load_lexicon
from builders.generation.captions.phrases import Parts, and_list, chunk, or_list, with_article
from builders.generation.draws import Draws
from builders.generation.english import agree, capitalize

_MAX_TRAITS, _MAX_WORN, _MAX_ABSENT = 5, 3, 6
_TRAITS, _WORN, _SETTING, _LIGHT, _POSE = "traits", "worn", "setting", "light", "pose"


@dataclass(slots=True)
class _Rest:
    """What is still to be said, and the names of draws for how."""

    parts: Parts
    choose: Callable[[str, int], int]

    def has(self, *groups: str) -> bool:
        """Return whether something of each group is still to be said."""
        return all(bool(self._items(group)) for group in groups)

    def _items(self, group: str) -> Sequence[object]:
        parts = self.parts
        return {
            _TRAITS: [*([parts.hair_phrase] if parts.hair_phrase else []), *parts.traits],
            _WORN: parts.worn,
            _SETTING: parts.settings,
            _LIGHT: [*parts.lights, *parts.lit],
            _POSE: parts.poses,
        }[group]

    def take_traits(self, before: str = " with ", *, most: int = _MAX_TRAITS) -> str:
        """Return hair and traits as a phrase; empty if there are none."""
        parts = self.parts
        hair = [parts.hair_phrase] if parts.hair_phrase else []
        taken = [*hair, *parts.traits][:most]
        parts.traits = parts.traits[len(taken) - len(hair) :]
        parts.hair, parts.hair_style, parts.hair_noun = [], "", ""
        return f"{before}{and_list(taken)}" if taken else ""

    def take_worn(self, before: str = ", wearing ") -> str:
        """Return what is worn as a phrase; empty if there is none."""
        taken, self.parts.worn = self.parts.worn[:_MAX_WORN], self.parts.worn[_MAX_WORN:]
        return f"{before}{and_list(taken)}" if taken else ""

    def take_setting(self, before: str = " ") -> str:
        """Return where it is as a phrase; empty if that is not known."""
        taken, self.parts.settings, self.parts.backgrounds = self.parts.settings, [], []
        return f"{before}{and_list(taken)}" if taken else ""

    def take_light(self, before: str = ", ") -> str:
        """Return how it is lit as a phrase; empty if that is not known."""
        parts = self.parts
        lights = [f"in {', '.join(parts.lights)} light"] if parts.lights else []
        taken = [*lights, *parts.lit]
        if before == " " and parts.lit:
            before = ", "
        parts.lights, parts.lit = [], []
        return f"{before}{and_list(taken)}" if taken else ""

    def take_pose(self, before: str = ", ") -> str:
        """Return what the person does as a phrase; empty if that is not known."""
        taken, self.parts.poses = self.parts.poses, []
        return f"{before}{and_list(taken)}" if taken else ""


def _take_traits_and_absent(rest: _Rest) -> str:
    """Return hair and traits, at times with the few things that are not there."""
    traits, parts = rest.take_traits(), rest.parts
    absent = [*parts.not_worn, *parts.absent]
    is_last = traits and not rest.has(_TRAITS) and not rest.has(_WORN)
    if not is_last or not 0 < len(absent) <= _MAX_WORN or rest.choose("no", 2):
        return traits
    parts.not_worn, parts.absent = [], []
    return f"{traits}, but no {or_list(absent)}"


def _shown(rest: _Rest) -> str:
    traits, worn, pose = _take_traits_and_absent(rest), rest.take_worn(), rest.take_pose()
    where = rest.take_setting() or " in this portrait"
    who = f"{rest.parts.who}{traits}{worn}{pose}{',' if worn or pose or ', but' in traits else ''}"
    return f"{who} is shown{where}{rest.take_light()}."


def _portrait_shows(rest: _Rest) -> str:
    who, traits = rest.parts.who, _take_traits_and_absent(rest)
    return (
        f"this portrait shows {who}{traits}{rest.take_setting(', ' if traits else ' ')}{rest.take_light()}."
    )


def _wears(rest: _Rest) -> str:
    who = f"{rest.parts.who}{rest.take_traits(most=2)}"
    return f"{who} wears{rest.take_worn(' ')}{rest.take_pose() or _end_worn(rest)}."


def _has(rest: _Rest) -> str:
    return f"{rest.parts.who} has{rest.take_traits(' ')}{rest.take_pose() or _end_traits(rest)}."


def _setting_first(rest: _Rest) -> str:
    where = f"{rest.take_setting('')}{rest.take_light(' ')}"
    return f"{where}, {rest.parts.who}{rest.take_traits(most=2)} wears{rest.take_worn(' ')}."


def _inverted(rest: _Rest) -> str:
    return f"{rest.take_setting('')} is {rest.parts.who}{_take_traits_and_absent(rest)}{rest.take_worn()}."


def _light_first(rest: _Rest) -> str:
    light = rest.take_light("")
    return f"{light}, the portrait shows {rest.parts.who}{_take_traits_and_absent(rest)}{rest.take_worn()}."


def _portrait_of(rest: _Rest) -> str:
    who, setting = rest.parts.who, rest.take_setting()
    return f"this is a portrait of {who}{setting}{rest.take_light()}{rest.take_pose()}."


def _appears(rest: _Rest) -> str:
    who, worn = rest.parts.who, rest.take_worn(" wearing ")
    return f"{who}{worn} appears{rest.take_setting()}{rest.take_light(' ')}{rest.take_pose()}."


def _traits_first(rest: _Rest) -> str:
    traits = rest.take_traits("with ")
    return f"{traits}, {rest.parts.who} appears{rest.take_setting()}{rest.take_light(' ')}."


def _shown_here(rest: _Rest) -> str:
    who, traits = rest.parts.who, _take_traits_and_absent(rest)
    return f"shown here is {who}{traits}{rest.take_worn()}{rest.take_pose()}."


def _wearing_first(rest: _Rest) -> str:
    worn = rest.take_worn("wearing ")
    return f"{worn}, {rest.parts.who}{rest.take_traits()} is seen{rest.take_setting()}{rest.take_light(' ')}."


def _has_where(rest: _Rest) -> str:
    who, where = rest.parts.who, rest.take_setting()
    return f"{who}{where} has{rest.take_traits(' ')}{_end_traits(rest)}."


# Each plan's opening, and what must be there for it.
_OPENINGS: tuple[tuple[Callable[[_Rest], str], tuple[str, ...]], ...] = (
    (_shown, ()),
    (_portrait_shows, ()),
    (_portrait_of, ()),
    (_shown_here, ()),
    (_wears, (_WORN,)),
    (_has, (_TRAITS,)),
    (_setting_first, (_SETTING, _WORN)),
    (_inverted, (_SETTING,)),
    (_light_first, (_LIGHT,)),
    (_appears, (_SETTING,)),
    (_traits_first, (_TRAITS, _SETTING)),
    (_wearing_first, (_WORN, _SETTING)),
    (_has_where, (_TRAITS, _SETTING)),
)
NUM_PLANS = len(_OPENINGS)


def write_caption(parts: Parts, draws: Draws, name: str, avoid: int) -> tuple[str, int]:
    """Write a caption.

    Args:
        parts: What it has to say; used up.
        draws: Decide between plans.
        name: Of the caption among the draws.
        avoid: A plan that is not to be used; -1 for none.

    Returns:
        The caption, and the number of its plan.
    """
    rest = _Rest(parts, lambda what, limit: draws.below(f"{name}/{what}", limit))
    fitting = [number for number, (_, groups) in enumerate(_OPENINGS) if rest.has(*groups)]
    # An opening that says much is used more often than one that fits any bag.
    wide = [number for number in fitting if _OPENINGS[number][1]]
    fitting += wide
    plan = fitting[rest.choose("plan", len(fitting))]
    if plan == avoid:
        others = [number for number in fitting if number != avoid]
        plan = others[rest.choose("other plan", len(others))]
    sentences = [_OPENINGS[plan][0](rest), *_follow(rest), *parts.notes]
    return capitalize(agree(" ".join(capitalize(sentence) for sentence in sentences))), plan


def _follow(rest: _Rest) -> Iterator[str]:
    """Yield sentences for all that the opening did not say."""
    person = list(_of_person(rest))
    around = list(_of_setting(rest))
    yield from [*around, *person] if around and rest.choose("setting first", 3) == 0 else [*person, *around]
    yield from _of_absence(rest)


def _of_person(rest: _Rest) -> Iterator[str]:
    parts = rest.parts
    if parts.hair and not (parts.hair_style or parts.hair_noun) and rest.choose("hair", 2):
        yield f"{parts.possessive} hair is {and_list(parts.hair)}."
        parts.hair = []
    if len(parts.traits) == 1 and not parts.hair_phrase and _is_colored(parts.traits[0]):
        color, _, noun = parts.traits.pop().rpartition(" ")
        yield f"{parts.possessive} {noun} {'are' if noun == 'eyes' else 'is'} {color}."
    if rest.has(_TRAITS, _WORN) and rest.choose("wearing", 2) == 0:
        worn = rest.take_worn("wearing ")
        yield f"{worn}, {_person(rest, 'has', 0)}{rest.take_traits(' ')}{_end_traits(rest)}."
    number = 0
    while rest.has(_TRAITS):
        number += 1
        left = len(parts.traits) + bool(parts.hair_phrase)
        traits = rest.take_traits(" ", most=-(-left // -(-left // _MAX_TRAITS)))
        yield f"{_person(rest, 'has', number)}{traits}{_end_traits(rest)}."
    while rest.has(_WORN):
        number += 1
        verb = ("wears", "is wearing")[rest.choose(f"wears {number}", 2)]
        worn = rest.take_worn(" ")
        yield f"{_person(rest, verb, number)}{worn}{_end_worn(rest)}."
    if rest.has(_POSE):
        shown = " shown" if parts.poses[0].startswith(("with ", "in ")) else ""
        yield f"{_person(rest, 'is', number + 1)}{shown}{rest.take_pose(' ')}."


def _is_colored(trait: str) -> bool:
    """Return whether a trait is an adjective with eyes or skin, such as "dark brown skin"."""
    *color, noun = trait.split()
    return noun in ("eyes", "skin") and bool(color) and load_lexicon().adjective_words >= set(color)


def _end_traits(rest: _Rest) -> str:
    """Return a few absences as the end of a sentence on what the person has."""
    if rest.has(_TRAITS):
        return ""
    parts = rest.parts
    return _take_few(parts.absent) or ("" if parts.absent or parts.worn else _take_few(parts.not_worn))


def _end_worn(rest: _Rest) -> str:
    """Return a few absences as the end of a sentence on what the person wears."""
    return "" if rest.has(_WORN) else _take_few(rest.parts.not_worn)


def _take_few(absent: list[str]) -> str:
    """Return a few absences as the end of a sentence; empty if they are many, or none."""
    if not 0 < len(absent) < 3:
        return ""
    taken = list(absent)
    absent.clear()
    return f", but no {or_list(taken)}"


def _person(rest: _Rest, verb: str, number: int) -> str:
    """Return how a sentence names the person, with the verb: not always by the same word."""
    subject = rest.parts.subject
    if rest.choose(f"name {number}", 3) == 0:
        subject = f"the {rest.parts.noun}"
    if subject == "they":
        for one, many in (("is", "are"), ("has", "have"), ("wears", "wear")):
            verb = re.sub(rf"^{one}\b", many, verb)
    return f"{subject} {verb}"


def _of_setting(rest: _Rest) -> Iterator[str]:
    parts = rest.parts
    if rest.has(_SETTING):
        scenes, choice = parts.backgrounds, rest.choose("setting", 3)
        is_plain = len(scenes) == 1 == len(parts.settings) and scenes[0].endswith(" background")
        setting = rest.take_setting()
        with_light = rest.has(_LIGHT) and rest.choose("with light", 3) > 0
        if (
            choice == 0
            or not scenes
            or f" {scenes[0]}" not in setting
            or len(scenes) != setting.count(" and ") + 1
        ):
            yield f"the picture is set{setting}{rest.take_light(' ') if with_light else ''}."
        elif is_plain and not with_light:
            color = scenes[0].removeprefix("a ").removesuffix(" background")
            yield f"the background is {color}."
        elif is_plain:
            yield f"the picture is set{setting}{rest.take_light(' ')}."
        else:
            is_many = len(scenes) > 1 or scenes[0].endswith("s")
            light = rest.take_light(" ") if with_light else ""
            yield f"behind {parts.object} {'are' if is_many else 'is'} {and_list(scenes)}{light}."
    if rest.has(_LIGHT):
        if parts.lights and not parts.lit:
            noun = ("light", "lighting")[rest.choose("light", 2)]
            lights, parts.lights = and_list(parts.lights), []
            yield f"the {noun} is {lights}."
        else:
            yield f"the portrait is{rest.take_light(' ').replace(',', '', 1)}."


def _of_absence(rest: _Rest) -> Iterator[str]:
    parts = rest.parts
    if parts.not_worn and parts.absent:
        parts.absent, parts.not_worn = [*parts.not_worn, *parts.absent], []
    for number, items in enumerate(chunk(parts.not_worn, _MAX_ABSENT)):
        verb = ("wears", "has")[rest.choose("not worn", 2)]
        is_pair = len(items) == 2 and rest.choose("neither", 2) == 0
        said = f"neither {' nor '.join(map(with_article, items))}" if is_pair else f"no {or_list(items)}"
        yield f"{_person(rest, verb, 20 + number)} {said}."
    for number, items in enumerate(chunk(parts.absent, _MAX_ABSENT)):
        yield f"{_person(rest, 'has', 30 + number)} no {or_list(items)}."
    for number, items in enumerate(chunk(parts.nots, _MAX_ABSENT)):
        yield f"{_person(rest, 'is', 40 + number)} not {or_list(items)}."
