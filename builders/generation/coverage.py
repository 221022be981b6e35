"""What a set of prompts covers: lengths, values, and pairs of values that never occur together.

A pair is possible if no condition of the grammar rules it out. A grammar of 2,000 values has a million pairs
and more, so counts are kept for each pair of attributes, and names are listed for those with few values.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from builders.generation.choosing import combine
from builders.generation.grammar import Grammar, Variant

MAX_LISTED = 400  # possible pairs of two attributes, up to which those never seen are named


@dataclass(frozen=True, slots=True)
class AttributeCoverage:
    """How much of one attribute occurs.

    Attributes:
        name: The attribute.
        num_prompts: Prompts that have it.
        num_seen: Different values that occur.
        num_possible: Values of the grammar; those that must be asked for count only if they occur.
        most_common: Its most frequent value, and in how many prompts.
    """

    name: str
    num_prompts: int
    num_seen: int
    num_possible: int
    most_common: tuple[str, int]


@dataclass(frozen=True, slots=True)
class PairCoverage:
    """How many pairs of values of two attributes occur.

    Attributes:
        names: The two attributes.
        num_seen: Different pairs that occur.
        num_possible: Pairs that the conditions of the grammar allow.
        never_seen: The pairs of values that do not occur; None if there are too many to list.
    """

    names: tuple[str, str]
    num_seen: int
    num_possible: int
    never_seen: tuple[tuple[str, str], ...] | None

    @property
    def num_never_seen(self) -> int:
        """Possible pairs that do not occur."""
        return self.num_possible - self.num_seen


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a set of prompts covers.

    Attributes:
        num_prompts: How many there are.
        num_texts: How many different ones.
        words: Number of words of each prompt, ascending.
        chars: Number of characters of each prompt, ascending.
        attributes: By the order of the grammar, then others that the prompts have.
        pairs: Every pair of attributes of the grammar.
    """

    num_prompts: int
    num_texts: int
    words: Sequence[int]
    chars: Sequence[int]
    attributes: Sequence[AttributeCoverage]
    pairs: Sequence[PairCoverage]


def cover(grammar: Grammar, prompts: Iterable[tuple[str, Mapping[str, str]]]) -> Coverage:
    """Return what prompts cover of a grammar.

    Args:
        grammar: Which values and pairs are possible.
        prompts: Text, and attribute → value, of each.
    """
    words, chars, texts = list[int](), list[int](), set[str]()
    values: dict[str, Counter[str]] = {}
    pairs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    order = {name: number for number, name in enumerate(grammar.names)}
    for text, attributes in prompts:
        words.append(len(text.split()))
        chars.append(len(text))
        texts.add(text)
        for name, value in attributes.items():
            values.setdefault(name, Counter())[value] += 1
        known = sorted((name for name in attributes if name in order), key=order.__getitem__)
        for one, other in combinations(known, 2):
            pairs.setdefault((one, other), set()).add((attributes[one], attributes[other]))
    drawn = [_drawable(variant, values, grammar.select) for variant in grammar.variants]
    names = [
        *(name for name in grammar.names if any(name in each for each in drawn)),
        *sorted(values.keys() - order.keys()),
    ]
    return Coverage(
        num_prompts=len(words),
        num_texts=len(texts),
        words=sorted(words),
        chars=sorted(chars),
        attributes=[_cover_attribute(name, values.get(name, Counter()), drawn) for name in names],
        pairs=list(_cover_pairs(grammar, drawn, pairs)),
    )


_Drawable = Mapping[str, Sequence[str]]


def _drawable(variant: Variant, values: Mapping[str, Counter[str]], select: str | None) -> _Drawable:
    """Return the values of a variant that are drawn by themselves or occur; none if it was not asked for."""
    if select is not None and not variant.attributes[select].values.keys() & values.get(select, {}).keys():
        return {}
    return {
        name: [
            each.name
            for each in attribute.values.values()
            if each.weight or each.name in values.get(name, ())
        ]
        for name, attribute in variant.attributes.items()
    }


def _cover_attribute(name: str, seen: Counter[str], drawn: Iterable[_Drawable]) -> AttributeCoverage:
    possible = {value for each in drawn for value in each.get(name, ())}
    common = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:1]
    return AttributeCoverage(name, seen.total(), len(seen), len(possible | seen.keys()), *common or [("", 0)])


def _cover_pairs(
    grammar: Grammar, drawn: Sequence[_Drawable], seen: Mapping[tuple[str, str], set[tuple[str, str]]]
) -> Iterator[PairCoverage]:
    rules = [_Pairs(variant) for variant in grammar.variants]
    for one, other in combinations(grammar.names, 2):
        blocks = [
            block
            for each, values in zip(rules, drawn, strict=True)
            if one in values and other in values
            for block in each.blocks(one, other, values)
        ]
        occurring = seen.get((one, other), set())
        num_possible = sum(len(first) * len(second) for first, second in blocks)
        if num_possible <= MAX_LISTED or sum(map(bool, drawn)) > 1:  # blocks of two variants may overlap
            possible = {pair for first, second in blocks for pair in product(first, second)} | occurring
            missing = tuple(sorted(possible - occurring))
            if possible:
                listed = missing if len(possible) <= MAX_LISTED else None
                yield PairCoverage((one, other), len(occurring), len(possible), listed)
        else:  # what occurs and is not possible comes from another grammar, and counts as possible
            num_possible += sum(
                not any(a in first and b in second for first, second in blocks) for a, b in occurring
            )
            yield PairCoverage((one, other), len(occurring), num_possible, None)


class _Pairs:
    """Which pairs of values the conditions of a variant allow.

    Values of one attribute with equal conditions and tags stand and fall together, so one pair of each two
    kinds of values is looked at.
    """

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        # Attribute → every set of its values that a condition names.
        self._named: dict[str, set[frozenset[str]]] = {}
        for value in (value for each in variant.attributes.values() for value in each.values.values()):
            for name, names in value.conditions.when.items():
                if names is not None:
                    self._named.setdefault(name, set()).add(names)

    def blocks(self, one: str, other: str, values: _Drawable) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Return sets of values of both attributes, each pair of which is possible; no two blocks overlap."""
        first, second = self._kinds(one, values[one]), self._kinds(other, values[other])
        return [
            (frozenset(names), frozenset(more))
            for names in first
            for more in second
            if self._is_possible(one, names[0], other, more[0])
        ]

    def _kinds(self, name: str, values: Iterable[str]) -> list[list[str]]:
        """Return values in groups that no condition tells apart."""
        attribute = self._variant.attributes[name]
        kinds: dict[object, list[str]] = {}
        for value in values:
            each = attribute.values[value]
            named = tuple(value in names for names in self._named.get(name, ()))
            kinds.setdefault((id(each.conditions), each.gives, named), []).append(value)
        return list(kinds.values())

    def _is_possible(self, one: str, value: str, other: str, more: str) -> bool:
        attributes = self._variant.attributes
        fixed = {one: attributes[one].values[value], other: attributes[other].values[more]}
        return combine(self._variant, fixed, {}).is_possible
