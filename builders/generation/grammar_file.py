"""Grammar files: TOML that a person writes, read and checked as a whole.

Every problem of a file is told at once, with its key. A file may be a stranger's: its size, the number of
values that its alternatives stand for, and the names that it may include are bounded.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from builders.generation.phrases import MAX_TEXT_CHARS
from schemas.problems import Problem, Reason, SettingsError, suggest

MAX_FILE_BYTES = 4_000_000
CODE = "run/grammar"
_FILE_NAME = re.compile(r"[\w-]{1,100}\.toml")

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]
_Tag = Annotated[str, Field(min_length=1, max_length=100)]
_Texts = Annotated[tuple[_Text, ...], Field(min_length=1)]
_Weight = Annotated[int, Field(ge=0, le=1000)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Condition(_Table):
    """Keys that values, attributes and alternatives of a phrase share."""

    when: dict[_Name, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description='Attribute → the values with which this may be there; "*" for any value.',
    )
    unless: tuple[_Tag, ...] = Field((), description="Tags that rule this out.")


class ChoiceTable(Condition):
    """Values of an attribute that share their conditions."""

    values: _Texts = Field(description="Texts of values; (a|b) and (1..9) stand for several.")
    weight: _Weight = Field(1, description="Of each value, relative to the others; 0: only if asked for.")
    gives: tuple[_Tag, ...] = Field((), description="Tags that a prompt with such a value has.")


class AttributeTable(Condition):
    """One attribute."""

    aliases: tuple[_Name, ...] = Field((), description="Other names that a user may write.")
    values: tuple[_Text, ...] = Field((), description="Values without conditions of their own.")
    choices: tuple[ChoiceTable, ...] = Field((), description="Values with conditions.")
    chance: Annotated[int, Field(ge=0, le=100)] = Field(
        100, description="How often it is there, in percent, if nothing asks for it and it can be."
    )
    shown_by: _Name | None = Field(
        None, description="Attribute whose text shows this one, as an age shows an age group."
    )


class PhraseTable(Condition):
    """An alternative of a phrase that has conditions."""

    text: _Text | _Texts


class ListTable(_Table):
    """Texts that are joined as a list: "a, b and c"."""

    items: _Texts
    order: Literal["fixed", "shuffled"] = "shuffled"
    joined_by: str = Field(", ", max_length=100)
    last_joined_by: str = Field(" and ", max_length=100)


class VocabularyFile(_Table):
    """What a grammar may take from a file beside it."""

    attributes: dict[_Name, AttributeTable] = Field(
        default_factory=dict, description="Drawn in this order; conditions name earlier ones only."
    )
    phrases: dict[_Name, tuple[_Text | PhraseTable, ...]] = Field(
        default_factory=dict, description="Texts of which one that fits is drawn."
    )
    lists: dict[_Name, ListTable] = Field(default_factory=dict)


class GrammarFile(VocabularyFile):
    """A grammar, or a variant of one."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]
    version: Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,6}){0,2}$")]
    include: tuple[str, ...] = Field((), description="Files beside this one that have more attributes.")
    select: _Name | None = Field(None, description="Attribute that decides which variant makes a prompt.")
    variants: tuple[str, ...] = Field(
        (), description="Grammars beside this one that make prompts only if their values are asked for."
    )
    templates: _Texts = Field(description="Texts of a whole prompt; one that fits is drawn.")

    @field_validator("include", "variants")
    @classmethod
    def _is_beside(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _FILE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a .toml file beside this one")
        return names


_File = TypeVar("_File", bound=VocabularyFile)


@dataclass(frozen=True, slots=True)
class Read:
    """One grammar as it was read, with what it includes.

    Attributes:
        path: Its file.
        main: Its content.
        vocabulary: Its own and the included attributes, phrases and lists, the included ones first.
    """

    path: Path
    main: GrammarFile
    vocabulary: VocabularyFile


def read_grammar(path: Path) -> list[Read]:
    """Read a grammar, what it includes, and its variants, itself first.

    Raises:
        SettingsError: A file cannot be read or has wrong keys; every problem of every file at once.
    """
    problems: list[Problem] = []
    main = _read(path, GrammarFile, problems)
    mains = [(path, main)]
    for place in [path.with_name(name) for name in main.variants] if main else []:
        mains += [(place, _read(place, GrammarFile, problems))]
    read: list[Read] = []
    for place, each in mains:
        if each is None:
            continue
        included = [
            (place.with_name(n), _read(place.with_name(n), VocabularyFile, problems)) for n in each.include
        ]
        parts = [(where, part) for where, part in (*included, (place, each)) if part is not None]
        read.append(Read(place, each, _merge(parts, problems)))
        if place != path and (each.variants or each.select):
            message = "a variant has no variants of its own"
            problems.append(problem_of(place, "variants", message, fix="name all variants in the first file"))
    if main and bool(main.select) != bool(main.variants):
        message = "`select` and `variants` belong together"
        problems.append(problem_of(path, "select", message, fix="give both keys, or none"))
    if problems:
        raise SettingsError(problems)
    return read


def problem_of(path: Path, key: str, message: str, *, value: str | None = None, fix: str = "") -> Problem:
    """Return a problem of a grammar file at a key."""
    return Problem(
        Reason.SETTINGS,
        message,
        file=str(path),
        column=key,
        value=value,
        fix=fix or "correct the grammar",
        code=CODE,
    )


def _merge(parts: Iterable[tuple[Path, VocabularyFile]], problems: list[Problem]) -> VocabularyFile:
    merged: dict[str, dict[str, Any]] = {"attributes": {}, "phrases": {}, "lists": {}}
    for path, part in parts:
        for table, entries in merged.items():
            for name, entry in getattr(part, table).items():
                if name in entries:
                    message, fix = "two files have an entry of this name", "rename or remove one"
                    problems.append(problem_of(path, f"{table}.{name}", message, fix=fix))
                entries[name] = entry
    return VocabularyFile.model_construct(None, **merged)


def _read(path: Path, kind: type[_File], problems: list[Problem]) -> _File | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            message = f"the grammar has more than {MAX_FILE_BYTES:,} bytes"
            problems.append(problem_of(path, "", message, fix="split it, or shorten its lists with (a|b)"))
            return None
        values = tomllib.loads(data.decode("utf-8"))
        # JSON, because its lists may stand for tuples in strict mode
        return kind.model_validate_json(json.dumps(values, default=str))
    except OSError as error:
        message, fix = f"the grammar cannot be read: {error.strerror}", "give a TOML file with --grammar"
    except ValidationError as error:
        problems += [_problem(path, detail) for detail in error.errors()]
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message, fix = f"the grammar is not TOML: {error}", "see https://toml.io"
    except (RecursionError, ValueError):  # brackets in brackets without end; integers of too many digits
        message, fix = "the grammar is nested too deeply, or has a number that is too long", "simplify it"
    problems.append(problem_of(path, "", message, fix=fix))
    return None


def _problem(path: Path, detail: Mapping[str, Any]) -> Problem:
    # Of a text that may be one of several kinds, pydantic names the kinds: nothing that a person wrote.
    key = ".".join(
        str(part) for part in detail["loc"] if not re.search(r"[\[(]|^(str|PhraseTable|Text)$", str(part))
    )
    message, value = detail["msg"].removeprefix("Value error, "), detail["input"]
    fix = "see the keys in builders/generation/grammar_file.py"
    if detail["type"] == "extra_forbidden":
        message, value, fix = "there is no such key", None, suggest(str(detail["loc"][-1]), _KEYS)
    elif detail["type"] == "string_pattern_mismatch" and "[key]" in detail["loc"]:
        fix = "a name has small letters, digits and _, and begins with a letter"
    shown = None if value is None or isinstance(value, dict | list) else str(value)
    return problem_of(path, key, message, value=shown, fix=fix)


_KEYS = sorted(
    {
        key
        for table in (AttributeTable, ChoiceTable, PhraseTable, ListTable, GrammarFile)
        for key in table.model_fields
    }
)
