"""The lexicon of captions: what can be said of a face, and in which words; `lexicon.toml` has the data."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from builders.generation.captions.words import split_plain

_PATH = Path(__file__).parent / "lexicon.toml"
_ARTICLES = ("a", "an", "the")
Role = Literal[
    "gender", "ethnicity", "mood", "hair", "style", "eyes", "skin", "beard", "trait", "worn", "setting",
    "place", "light", "picture", "young", "none",
]  # fmt: skip


class _Slot(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    atoms: dict[str, list[str]]
    head: str | None = None
    before: list[str] = Field(default_factory=list)


class _Attribute(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: list[str]
    absent: str | None = None


class _Between(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    before_noun: frozenset[str]
    after_noun: frozenset[str]


class _File(BaseModel):
    """The file as it is; names in it lead somewhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    heads: dict[str, list[str]]
    between: _Between
    slots: dict[str, _Slot]
    ages: dict[str, tuple[int, int]]
    grown_up: dict[Literal["words"], frozenset[str]]
    attributes: dict[str, _Attribute]
    values: dict[str, list[str]]
    binary: dict[str, str]
    binary_no: dict[str, str]
    implies: dict[str, list[str]]
    absence_allows: dict[str, list[str]]
    prepositions: dict[str, str]
    denials: dict[str, str]
    not_denials: dict[str, str]

    @model_validator(mode="after")
    def _lead_somewhere(self) -> Self:
        known = {f"{name}/{atom}" for name, slot in self.slots.items() for atom in slot.atoms}
        named = [
            *self.values, *self.implies, *self.prepositions, *self.denials, *self.not_denials,
            *(each for names in (*self.implies.values(), *self.absence_allows.values()) for each in names),
            *(name.removeprefix("-") for name in (*self.binary.values(), *self.binary_no.values())),
            *(attribute.absent for attribute in self.attributes.values() if attribute.absent),
        ]  # fmt: skip
        problems = [f"no atom {name!r}" for name in named if name not in known]
        slots = (name for attribute in self.attributes.values() for name in attribute.slots)
        problems += [f"no slot {name!r}" for name in slots if name not in self.slots]
        heads = (slot.head for slot in self.slots.values() if slot.head)
        problems += [f"no head {name!r}" for name in heads if name not in self.heads]
        for name, slot in self.slots.items():
            problems += [f"{name}/{atom} has no wording" for atom, said in slot.atoms.items() if not said]
            has_adjective = any(text.startswith("~") for said in slot.atoms.values() for text in said)
            if has_adjective and slot.head is None:
                problems.append(f"{name} has adjectives, and no head")
        problems += [
            f"{name!r} is no attribute" for name in self.absence_allows if name not in self.attributes
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to say an atom.

    Attributes:
        words: In small letters.
        atom: What they say.
        head: The head that an adjective needs; None for words that say it by themselves.
        is_denial: Whether they deny it.
    """

    words: tuple[str, ...]
    atom: str
    head: str | None
    is_denial: bool


class Lexicon:
    """All that captions can say, by words and by atoms."""

    def __init__(self, file: _File) -> None:
        self.version, self.ages, self.attributes = file.version, dict(file.ages), file.attributes
        self.grown_up = file.grown_up["words"]
        self.binary = {name.casefold(): atom for name, atom in file.binary.items()}
        self.binary_no = {name.casefold(): atom for name, atom in file.binary_no.items()}
        self.absence_allows, self.prepositions = file.absence_allows, file.prepositions
        self.denials, self.not_denials = file.denials, file.not_denials
        self.before_noun, self.after_noun = file.between.before_noun, file.between.after_noun
        self.roles: Mapping[str, Role] = {name: slot.role for name, slot in file.slots.items()}
        self.heads = {word: head for head, words in file.heads.items() for word in words}
        self.before = {slot.head: frozenset(slot.before) for slot in file.slots.values() if slot.head}
        self.sayings, self.adjectives = dict[str, str](), set[str]()
        self.by_word = dict[str, list[Wording]]()
        self.adjective_words = set[str]()
        for name, slot in file.slots.items():
            for atom, said in slot.atoms.items():
                self._add(f"{name}/{atom}", slot.head, said)
        self.synonyms = {split_plain(text): atom for atom, texts in file.values.items() for text in texts}
        self._parents = file.implies

    def _add(self, atom: str, head: str | None, said: list[str]) -> None:
        self.sayings[atom] = said[0].lstrip("~")
        if said[0].startswith("~"):
            self.adjectives.add(atom)
        for text in said:
            words = split_plain(text.lstrip("~-"))
            if words[0] in _ARTICLES:
                words = words[1:]
            is_adjective = text.startswith("~")
            wording = Wording(words, atom, head if is_adjective else None, text.startswith("-"))
            self.by_word.setdefault(words[0], []).append(wording)
            if is_adjective:
                self.adjective_words.update(words)

    def role_of(self, atom: str) -> Role:
        """Return where an atom stands in a sentence."""
        return self.roles[slot_of(atom)]

    def implied(self, atom: str) -> Iterator[str]:
        """Yield an atom, and all that it says, too."""
        yield atom
        for parent in self._parents.get(atom, ()):
            yield from self.implied(parent)

    def deny(self, atom: str) -> tuple[str, bool]:
        """Return words that deny an atom, and whether "not" belongs before them; else it is "no"."""
        if atom in self.not_denials:
            return self.not_denials[atom], True
        said = self.denials.get(atom) or self.sayings[atom]
        return said.removeprefix("a ").removeprefix("an "), False


def slot_of(atom: str) -> str:
    """Return the slot of an atom."""
    return atom.partition("/")[0]


@cache
def load_lexicon() -> Lexicon:
    """Return the kit's lexicon.

    Raises:
        ValueError: The file is wrong.
    """
    return Lexicon(_File.model_validate(tomllib.loads(_PATH.read_text(encoding="utf-8"))))
