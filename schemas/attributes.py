"""Face attributes: an open vocabulary, with presets for the names and values that are known.

Nothing is refused for being unknown: a name without a preset, or a value outside of its preset, is kept
and noted. Sources of the presets: CelebA's list of 40 binary attributes (Liu et al. 2015), FairFace's
classes of age, gender and race (Kärkkäinen and Joo 2021), the eight emotions of AffectNet (Mollahosseini
et al. 2017), and the parts of a portrait that SFHQ-T2I's prompts combine.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_AGE = re.compile(r"\d{1,3}(\.\d+)?|\d{1,3}\s?[-\u2013]\s?\d{1,3}|(more than )?\d{1,3}\+?")
_YES, _NO = frozenset({"1", "yes", "true", "1.0"}), frozenset({"-1", "0", "no", "false", "-1.0", "0.0"})


class Attribute(BaseModel):
    """One thing that a person or a model says of the person or the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="Name; age, gender, ethnicity and emotion are inferred from the picture."
    )
    value: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description='Value as text; "yes" or "no" for one that is there or not.'
    )
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        description="How sure the model is, 0 to 1; null where it does not say."
    )
    source_model: str | None = Field(description="Model that inferred it; null where unknown.")


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of an attribute.

    Attributes:
        name: As it is published.
        values: The values expected; any if empty.
        is_age: Whether values are numbers of years or ranges of them, such as 34 or 30-39.
        is_binary: Whether it is there or not: values are published as "yes" or "no".
        is_personal: Whether it says of a person what only that person could know.
    """

    name: str
    values: frozenset[str] = frozenset()
    is_age: bool = False
    is_binary: bool = False
    is_personal: bool = False

    def allows(self, value: str) -> bool:
        """Return whether a published value is one that is expected."""
        if self.is_age:
            return _AGE.fullmatch(value.strip()) is not None
        if self.is_binary:
            return value in ("yes", "no")
        return not self.values or value.casefold() in self.values


def _binary(names: str) -> Iterable[Preset]:
    return (Preset(name, is_binary=True, is_personal=name in ("Male", "Young")) for name in names.split())


def _open(names: str) -> Iterable[Preset]:
    return (Preset(name) for name in names.split())


_CELEBA = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair "
    "Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup "
    "High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose "
    "Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat "
    "Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
)
_PORTRAIT = (
    "skin hair hair_style hair_color eyes eye_color glasses hat headwear beard facial_hair expression pose "
    "makeup jewelry clothing accessories background place lighting faces face_box"
)
_RACES = {"white", "black", "indian", "east asian", "southeast asian", "middle eastern", "latino_hispanic"}
_EMOTIONS = {"neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"}
_SYNONYMS = {"happiness", "sadness", "surprised", "fearful", "angry", "disgusted"}
_PRESETS = (
    *_binary(_CELEBA),
    *_open(_PORTRAIT),
    Preset("age", is_age=True, is_personal=True),
    Preset("gender", frozenset({"male", "female", "man", "woman", "non-binary"}), is_personal=True),
    *(Preset(name, frozenset(_RACES), is_personal=True) for name in ("ethnicity", "race")),
    Preset("emotion", frozenset(_EMOTIONS | _SYNONYMS), is_personal=True),
)
PRESETS: Mapping[str, Preset] = {preset.name.casefold(): preset for preset in _PRESETS}
# Other names that models use for what is inferred about a person.
_ALIASES = {
    "sex": "gender",
    **dict.fromkeys(("age_group", "age_range", "age_years"), "age"),
    **dict.fromkeys(("race", "ethnic_group", "ethnic_origin", "nationality", "origin"), "ethnicity"),
    **dict.fromkeys(("emotions", "mood", "facial_emotion"), "emotion"),
    **dict.fromkeys(("religious_belief", "belief", "beliefs", "faith"), "religion"),
    **dict.fromkeys(("sexuality", "sexual_preference"), "sexual_orientation"),
    **dict.fromkeys(("political_view", "political_views", "political_orientation"), "politics"),
    **dict.fromkeys(("health_status", "medical_condition", "disability"), "health"),
    **dict.fromkeys(("criminal", "criminal_record"), "criminality"),
}
# No picture shows these. Most are special categories of personal data in article 9 of the GDPR.
NEVER_INFERRED = frozenset({"religion", "sexual_orientation", "politics", "health", "criminality"})


def preset_of(name: str) -> Preset | None:
    """Find what is known of an attribute, whatever the case and with spaces for underscores."""
    return PRESETS.get(name.strip().casefold().replace(" ", "_"))


def kind_of(name: str) -> str:
    """Return the attribute that a name means, in small letters: "age" for "Age Group"; else the name."""
    folded = re.sub(r"[\s_-]+", "_", name.strip().casefold())
    return _ALIASES.get(folded, folded)


def is_personal(name: str) -> bool:
    """Return whether an attribute is inferred about a person, and not seen in the picture."""
    preset = preset_of(kind_of(name))
    return preset is not None and preset.is_personal


def publish_value(name: str, value: str) -> str:
    """Write a value as it is published: that of a binary attribute as "yes" or "no", any other as it is."""
    preset = preset_of(name)
    if preset is None or not preset.is_binary:
        return value
    folded = value.strip().casefold()
    return "yes" if folded in _YES else "no" if folded in _NO else value
