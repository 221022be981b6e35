"""Rewrite prompts: which prompt goes into which category, and its wording by rule.

`evolutions.toml` has the categories and the sentences. A rewriting by rule keeps the whole prompt, so that
everything that it asks for is still asked for.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Protocol

from builders.generation.cleaning import TOO_LONG, Removal, make_id, normalise
from builders.generation.draws import Draws
from builders.generation.english import agree, capitalize
from builders.generation.prompt_files import Line
from builders.generation.rules import find_in_prompt
from schemas.problems import Problem, Reason, SettingsError
from schemas.prompts import MAX_PROMPT_CHARS, AskedAttribute, PromptOrigin, PromptRecord

RULE = "rule"
QUALITY, SIMPLIFIED = "quality", "simplified"
EVOLUTIONS = (QUALITY, SIMPLIFIED)
_DATA = Path(__file__).parent / "evolutions.toml"
_END = re.compile(r"[\s,;:.-]+$")


@dataclass(frozen=True, slots=True)
class Category:
    """One category.

    Attributes:
        name: As records have it.
        sub_categories: Name → style, as a noun phrase.
        details: Noun phrases about the picture.
    """

    name: str
    sub_categories: Mapping[str, str]
    details: Sequence[str]


@dataclass(frozen=True, slots=True)
class Evolutions:
    """What `evolutions.toml` says.

    Attributes:
        name: Of the file, for records.
        version: Of its texts.
        sentences: Evolution → sentences, with slots.
        categories: In order.
    """

    name: str
    version: str
    sentences: Mapping[str, Sequence[str]]
    categories: Sequence[Category]


@dataclass(frozen=True, slots=True)
class Base:
    """A prompt that is rewritten.

    Attributes:
        row: Its row in the file.
        text: On one line.
        attributes: What it asks for.
        origin: With the id and the licence that descendants keep: those of the first prompt of all.
    """

    row: int
    text: str
    attributes: tuple[AskedAttribute, ...]
    origin: PromptOrigin


@dataclass(frozen=True, slots=True)
class Task:
    """One rewriting to make.

    Attributes:
        index: Its number, from 0; with the seed, it decides the wording.
        seed: Of the file.
        base: The prompt.
        category: Of the rewriting.
        sub_category: Within the category.
        evolution: One of `EVOLUTIONS`.
    """

    index: int
    seed: int
    base: Base
    category: Category
    sub_category: str
    evolution: str

    @property
    def style(self) -> str:
        """The style as a noun phrase."""
        return self.category.sub_categories[self.sub_category]

    def record(self, index: int, text: str, made_by: tuple[str, str]) -> PromptRecord:
        """Return the rewriting as a line of the new file.

        Args:
            index: Its number in the file.
            text: The new prompt.
            made_by: Name and version of what wrote it.
        """
        return PromptRecord(
            index=index,
            seed=self.seed,
            grammar=made_by[0][:100],
            grammar_version=made_by[1],
            prompt=text,
            attributes=self.base.attributes,
            prompt_id=make_id(f"{self.base.origin.base_prompt_id}\n{text}"),
            base_prompt_id=self.base.origin.base_prompt_id,
            category=self.category.name,
            sub_category=self.sub_category,
            evolution=self.evolution,
            prompt_license=self.base.origin.prompt_license,
        )


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A rewritten prompt.

    Attributes:
        task: What was to be made.
        text: The new prompt.
        method: How it was written: `RULE`, or as `captions/llm_writing.py` names it.
        made_by: Name and version of what wrote it.
    """

    task: Task
    text: str
    method: str
    made_by: tuple[str, str]


class Evolver(Protocol):
    """Rewrites prompts."""

    def write(self, tasks: Iterable[Task]) -> Iterator[Rewriting]:
        """Yield a rewriting for each task, in order.

        Raises:
            KitError: The next one cannot be written.
        """
        ...


@cache
def load_evolutions() -> Evolutions:
    """Return the categories and sentences."""
    table = tomllib.loads(_DATA.read_text(encoding="utf-8"))
    return Evolutions(
        name=table["name"],
        version=table["version"],
        sentences=table["sentences"],
        categories=[Category(**each) for each in table["categories"]],
    )


def read_base(line: Line) -> Base:
    """Return a line of a file as a prompt to rewrite; the first of its line gives id and licence."""
    origin, text = line.origin, normalise(line.text)
    base_id = origin.base_prompt_id or origin.prompt_id or make_id(text)
    asked = tuple(AskedAttribute(attribute=name, value=value) for name, value in line.attributes)
    return Base(
        line.row, text, asked, PromptOrigin(base_prompt_id=base_id, prompt_license=origin.prompt_license)
    )


def plan_evolutions(bases: Sequence[Base], seed: int, number: int | None = None) -> Iterator[Task]:
    """Yield what is to be rewritten: both wordings of a prompt in one cell, then the next prompt.

    Categories are equally frequent among any first prompts, to one; so are sub-categories within each.

    Args:
        bases: The prompts, at least one.
        seed: Decides which prompt goes into which cell, 0 to 2**63 - 1.
        number: How many rewritings; two of each prompt if None. With more, a prompt comes into more cells.

    Raises:
        SettingsError: There are not so many different ones.
    """
    num_cells = sum(len(each.sub_categories) for each in load_evolutions().categories)
    most = len(bases) * num_cells * len(EVOLUTIONS)
    total = len(bases) * len(EVOLUTIONS) if number is None else number
    if total > most:
        message = f"{len(bases):,} prompts have {most:,} different rewritings"
        fix = "ask for fewer, or give more prompts"
        problem = Problem(
            Reason.SETTINGS, message, column="--count", value=str(total), fix=fix, code="run/prompt-request"
        )
        raise SettingsError(problem)
    order = Draws(seed, 0).shuffle("bases", [str(place) for place in range(len(bases))])
    cells, skipped, used = _cells(seed), list[_Cell](), [set[str]() for _ in bases]
    for turn in range((total + 1) // len(EVOLUTIONS)):
        place = int(order[turn % len(bases)])
        category, sub_category = _next_cell(cells, skipped, used[place])
        for evolution in EVOLUTIONS[: total - len(EVOLUTIONS) * turn]:
            index = len(EVOLUTIONS) * turn + EVOLUTIONS.index(evolution)
            yield Task(index, seed, bases[place], category, sub_category, evolution)


def write_by_rule(task: Task) -> str:
    """Return a rewriting: the whole prompt, and sentences about the picture."""
    draws, sentences = Draws(task.seed, task.index), load_evolutions().sentences[task.evolution]
    details = draws.shuffle("details", task.category.details)
    base = _END.sub("", task.base.text)
    text = sentences[draws.below("sentence", len(sentences))].format(
        base=base if base.endswith(("!", "?")) else f"{base}.",
        style=task.style,
        first=details[0],
        second=details[1],
        third=details[2],
    )
    return capitalize(agree(text))


class RuleEvolver:
    """Rewrites by rule."""

    def write(self, tasks: Iterable[Task]) -> Iterator[Rewriting]:
        """Yield a rewriting for each task, in order."""
        evolutions = load_evolutions()
        for task in tasks:
            yield Rewriting(task, write_by_rule(task), RULE, (evolutions.name, evolutions.version))


def find_faults(text: str, base: Base) -> Iterator[Removal]:
    """Yield why a rewriting may not be used: what its words say, and its length."""
    for found in find_in_prompt(text, [(each.attribute, each.value) for each in base.attributes]):
        yield Removal(found.rule, found.message)
    if len(text) > MAX_PROMPT_CHARS:
        yield Removal(TOO_LONG, f"the text has more than {MAX_PROMPT_CHARS:,} characters")


_Cell = tuple[Category, str]


def _next_cell(cells: Iterator[_Cell], skipped: list[_Cell], used: set[str]) -> _Cell:
    """Return the next cell that a prompt was not in; those that it skips are for the prompts that follow."""
    for place, (_, sub_category) in enumerate(skipped):
        if sub_category not in used:
            used.add(sub_category)
            return skipped.pop(place)
    for category, sub_category in cells:
        if sub_category not in used:
            used.add(sub_category)
            return category, sub_category
        skipped.append((category, sub_category))
    raise AssertionError("cells have no end")


def _cells(seed: int) -> Iterator[_Cell]:
    """Yield cells without end: each round has every category once, in an order of its own."""
    categories = {each.name: each for each in load_evolutions().categories}
    for number in count(0):
        for name in Draws(seed, number).shuffle("categories", list(categories)):
            category = categories[name]
            turn, place = divmod(number, len(category.sub_categories))
            shuffled = Draws(seed, turn).shuffle(f"sub-categories of {name}", list(category.sub_categories))
            yield category, shuffled[place]
