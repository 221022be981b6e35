"""A small grammar of another subject, and prompts of the built-in one, for the tests of generation."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from builders.generation.grammar import Grammar, load_grammar
from builders.generation.prompts import make_prompts
from builders.generation.requests import plan_request
from schemas.prompts import PromptRecord

HOUSES = """
name = "houses"
version = "1.0"
templates = ["a photo of a[ {color}] {kind}[ with {roof}], {place}."]

[attributes.kind]
values = ["(stone|brick|wooden) house", "old mill"]
[[attributes.kind.choices]]
gives = ["no roof"]
values = ["ruin"]
[[attributes.kind.choices]]
weight = 0
values = ["igloo"]

[attributes.color]
aliases = ["colour"]
chance = 50
unless = ["no roof"]
values = ["red", "white", "ochre"]

[attributes.roof]
chance = 60
unless = ["no roof"]
values = ["a tiled roof", "a thatched roof"]

[attributes.place]
[[attributes.place.choices]]
values = ["by the sea"]
[[attributes.place.choices]]
when = { kind = "old mill" }
values = ["by a river"]
"""


@cache
def faces() -> Grammar:
    """Return the built-in grammar."""
    return load_grammar()


def write_grammar(folder: Path, text: str = HOUSES, name: str = "houses.toml") -> Path:
    """Write a grammar."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def make(
    count: int,
    where: Sequence[tuple[str, str]] = (),
    balance: Sequence[str] = (),
    *,
    seed: int = 7,
    grammar: Grammar | None = None,
) -> Iterator[PromptRecord]:
    """Yield prompts of a grammar, the built-in one by default."""
    return make_prompts(plan_request(grammar or faces(), where, balance), seed, count)


def asked(record: PromptRecord) -> Mapping[str, str]:
    """Return the attributes of a prompt."""
    return {each.attribute: each.value for each in record.attributes}
