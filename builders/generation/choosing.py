"""Choose the attributes of one prompt: those that are asked for first, then the others in their order.

What is asked for may have conditions of its own: a beard makes the person a man, and a green eye opens the
eyes. `Asked` holds what follows from them, so that no earlier draw can rule out what was asked for.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from builders.generation.draws import Draws
from builders.generation.grammar import Attribute, Value, Variant

Chosen = dict[str, Value]
Pool = tuple[list[Value], list[int]]  # values that fit, and the ends of their shares
Pools = dict[object, dict[object, Pool]]  # what a combination demands → what is known of it


@dataclass(eq=False)
class Asked:
    """One combination of values that must be in a prompt, and what follows from it.

    Attributes:
        variant: The grammar that has all of them.
        fixed: Attribute → its value.
        limits: Attribute that must be there → names of the values that it may have.
        barred: Tag that nothing may bring → the attributes that bar it; none bars its own tags.
        brought: Tag of a fixed value → the attributes that bring it.
        demands: `limits` of attributes that are not fixed.
        pools: Values to draw from, as far as they were needed.
    """

    variant: Variant
    fixed: Mapping[str, Value]
    limits: dict[str, frozenset[str]] = field(default_factory=dict)
    barred: dict[str, frozenset[str]] = field(default_factory=dict)
    brought: dict[str, frozenset[str]] = field(default_factory=dict)
    demands: dict[str, frozenset[str]] = field(default_factory=dict)
    pools: dict[object, Pool] = field(default_factory=dict)

    @property
    def is_possible(self) -> bool:
        """Whether every value that must be there can be."""
        clashes = (self.barred[tag] | names for tag, names in self.brought.items() if tag in self.barred)
        return all(self.limits.values()) and all(len(names) == 1 for names in clashes)


def combine(variant: Variant, fixed: Mapping[str, Value], pools: Pools) -> Asked:
    """Return a combination of values with everything that follows from their conditions.

    Args:
        variant: Their grammar.
        fixed: Attribute → its value.
        pools: Shared by combinations with equal demands, such as those of `--balance`.
    """
    asked = Asked(variant, fixed, {name: frozenset({value.name}) for name, value in fixed.items()})
    for name, value in fixed.items():
        _add(asked.brought, value.gives, name)
    while _narrow(asked):
        pass
    asked.demands = {name: names for name, names in asked.limits.items() if name not in fixed}
    tables = (asked.demands, asked.barred, asked.brought)
    key = (variant.name, *(frozenset(table.items()) for table in tables))
    asked.pools = pools.setdefault(key, {})
    return asked


def _narrow(asked: Asked) -> bool:
    """Follow the conditions of what must be there by one step; return whether that changed anything."""
    before = dict(asked.limits), dict(asked.barred)
    for name in list(asked.limits):
        attribute = asked.variant.attributes[name]
        values = [attribute.values[each] for each in asked.limits[name]]
        values = [value for value in values if _fits_limits(name, value, asked, asked.limits)]
        asked.limits[name] = frozenset(value.name for value in values)
        if not values:
            return False
        _add(asked.barred, frozenset.intersection(*(value.conditions.unless for value in values)), name)
        for other in set[str].intersection(*(set(value.conditions.when) for value in values)):
            allowed: set[str] = set()
            for value in values:
                wanted = value.conditions.when[other]
                allowed |= asked.variant.attributes[other].values.keys() if wanted is None else wanted
            known = asked.limits.get(other)
            asked.limits[other] = frozenset(allowed) if known is None else known & allowed
    return before != (asked.limits, asked.barred)


def _add(table: dict[str, frozenset[str]], tags: Iterable[str], name: str) -> None:
    for tag in tags:
        table[tag] = table.get(tag, frozenset()) | {name}


def _fits_limits(name: str, value: Value, asked: Asked, limits: Mapping[str, frozenset[str]]) -> bool:
    own = {name}
    if any(asked.barred.get(tag, own) - own for tag in value.gives):
        return False
    if any(asked.brought.get(tag, own) - own for tag in value.conditions.unless):
        return False
    return all(
        other not in limits or wanted is None or wanted & limits[other]
        for other, wanted in value.conditions.when.items()
    )


def choose(asked: Asked, draws: Draws) -> Chosen | None:
    """Return the attributes of one prompt in their order; None if the draws lead nowhere.

    Args:
        asked: What must be among them.
        draws: Those of the prompt.
    """
    chosen: Chosen = {}
    tags = set(asked.brought)
    for name, attribute in asked.variant.attributes.items():
        value = asked.fixed.get(name)
        is_due = name in asked.limits
        if value is None:
            chance = attribute.chance
            if not is_due and chance < 100 and draws.below(f"{name}?", 100) >= chance:
                continue
            value = _draw(attribute, asked, chosen, tags, draws)
        elif not is_met(value.conditions.when, chosen):
            return None
        if value is None:
            if is_due:
                return None
            continue
        chosen[name] = value
        tags |= value.gives
    return chosen


def _draw(
    attribute: Attribute, asked: Asked, chosen: Mapping[str, Value], tags: Iterable[str], draws: Draws
) -> Value | None:
    seen = [chosen[name].name if name in chosen else None for name in attribute.reads]
    key = (attribute.name, *seen, attribute.watches and attribute.watches.intersection(tags))
    if key not in asked.pools:
        asked.pools[key] = _pool(attribute, asked, chosen, tags)
    values, ends = asked.pools[key]
    if not values:
        return None
    return values[bisect_right(ends, draws.below(attribute.name, ends[-1]))]


def _pool(attribute: Attribute, asked: Asked, chosen: Mapping[str, Value], tags: Iterable[str]) -> Pool:
    """Return the values that fit: a fixed attribute decides by its value in `chosen`, as it is earlier."""
    allowed = asked.demands.get(attribute.name)
    fitting = [
        value
        for value in attribute.values.values()
        if (allowed is None or value.name in allowed)
        and _fits_limits(attribute.name, value, asked, asked.demands)
        and _fits(value, chosen, tags)
    ]
    usual = [value for value in fitting if value.weight]
    if usual or allowed is None:
        return usual, list(accumulate(value.weight for value in usual))
    return fitting, list(range(1, len(fitting) + 1))  # nothing but what must be asked for, and it was


def _fits(value: Value, chosen: Mapping[str, Value], tags: Iterable[str]) -> bool:
    return value.conditions.unless.isdisjoint(tags) and is_met(value.conditions.when, chosen)


def is_met(when: Mapping[str, frozenset[str] | None], chosen: Mapping[str, Value]) -> bool:
    """Return whether a prompt has every attribute of a condition, each with a value that it allows."""
    for name, wanted in when.items():
        value = chosen.get(name)
        if value is None or (wanted is not None and value.name not in wanted):
            return False
    return True
