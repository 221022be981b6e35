"""What the user asks for: values that every prompt has, and shares of the others.

    --where "hair color=red"              every prompt has it; two values of one attribute share the prompts
    --balance "sex,age group"             each combination equally often
    --balance shares.csv                  combinations and their shares

The order of combinations is Webster's method of seats (Balinski and Young, "Fair Representation", 1982): the
next prompt goes to the combination with the greatest share / (2 x its prompts + 1). So the first 200 of 300
prompts are the same 200, and of n prompts a combination has its share but for about one.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from builders.generation.choosing import Asked, Pools, combine
from builders.generation.draws import Draws
from builders.generation.grammar import Grammar, Value, Variant
from schemas.problems import Problem, Reason, SettingsError, name_some, suggest

CODE = "run/prompt-request"
MAX_COMBINATIONS = 20_000
_MAX_LISTED, _MAX_NEAR = 40, 5  # values in a message
_Names = Mapping[str, str]  # attribute → value


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the attributes that are balanced.

    Attributes:
        names: Attribute → value; empty if nothing is balanced.
        share: Relative to the other cells.
        options: Combinations of everything that is asked for; one is drawn for each prompt.
    """

    names: _Names
    share: float
    options: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What prompts are to be made.

    Attributes:
        grammar: From which grammar.
        cells: Combinations in a fixed order.
        balanced: The attributes that cells combine.
        left_out: Combinations of `balanced` that the conditions of the grammar rule out.
    """

    grammar: Grammar
    cells: tuple[Cell, ...]
    balanced: tuple[str, ...]
    left_out: tuple[_Names, ...]

    def order(self, seed: int) -> Iterator[Cell]:
        """Yield the cell of each prompt, without end."""
        if len(self.cells) == 1:
            while True:
                yield self.cells[0]
        waiting = [_place(seed, number, 0, cell) for number, cell in enumerate(self.cells)]
        heapq.heapify(waiting)
        while True:
            _, _, number, times = waiting[0]
            yield self.cells[number]
            heapq.heapreplace(waiting, _place(seed, number, times + 1, self.cells[number]))


def _place(seed: int, number: int, times: int, cell: Cell) -> tuple[float, int, int, int]:
    """Return the place of a cell's next prompt; equal cells take turns in an order that the seed shuffles."""
    return (2 * times + 1) / cell.share, Draws(seed, times).below(f"cell {number}", 2**62), number, times


def plan_request(
    grammar: Grammar,
    where: Sequence[tuple[str, str]] = (),
    balance: Sequence[str] = (),
    table: Sequence[tuple[_Names, float]] | None = None,
) -> Request:
    """Resolve what is asked for.

    Args:
        grammar: Which values there are.
        where: Attributes and values that prompts must have.
        balance: Attributes whose combinations are equally frequent.
        table: Combinations and their shares, in place of `balance`.

    Raises:
        SettingsError: A name or value is unknown, or what is asked for contradicts itself; all at once.
    """
    problems: list[Problem] = []
    wanted = _resolve_where(grammar, where, problems)
    if table is not None:
        cells = _resolve_table(grammar, table, problems)
        balanced = tuple(cells[0][0]) if cells else ()
    else:
        balanced = tuple(
            dict.fromkeys(_resolve_name(grammar, name, "--balance", problems) for name in balance)
        )
        cells = []
    if problems:
        raise SettingsError(problems)
    if table is None:
        cells = [(names, 1.0) for names in _combinations(grammar, wanted, balanced)]
    rest = {name: values for name, values in wanted.items() if name not in balanced}
    pools: Pools = {}
    made, left_out = [], []
    for names, share in cells:
        if any(value not in wanted.get(name, (value,)) for name, value in names.items()):
            left_out.append(names)
            continue
        options = _options(grammar, names, rest, pools)
        if options:
            made.append(Cell(names, share, options))
        else:
            left_out.append(names)
    if not made or (table is not None and left_out):
        raise SettingsError(_impossible(grammar, wanted, left_out if balanced else []))
    return Request(grammar, tuple(made), balanced, tuple(left_out))


def _resolve_where(
    grammar: Grammar, where: Iterable[tuple[str, str]], problems: list[Problem]
) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for name, value in where:
        if attribute := _resolve_name(grammar, name, "--where", problems):
            found = _resolve_value(grammar, attribute, value, "--where", problems)
            if found and found not in wanted.setdefault(attribute, []):
                wanted[attribute].append(found)
    return wanted


def _resolve_table(
    grammar: Grammar, table: Iterable[tuple[_Names, float]], problems: list[Problem]
) -> list[tuple[_Names, float]]:
    cells: dict[tuple[tuple[str, str], ...], float] = {}
    for names, share in table:
        resolved = {}
        for name, value in names.items():
            if attribute := _resolve_name(grammar, name, "--balance", problems):
                resolved[attribute] = _resolve_value(grammar, attribute, value, "--balance", problems)
        key = tuple(resolved.items())
        if key in cells and not problems:
            shown = ", ".join(f"{name}={value}" for name, value in key)
            problems.append(
                problem_of_request("--balance", "the table has a combination twice", shown, "join them")
            )
        cells[key] = share
    return [(dict(key), share) for key, share in cells.items() if share > 0]


def _resolve_name(grammar: Grammar, name: str, flag: str, problems: list[Problem]) -> str:
    found = grammar.find(name)
    if found is None:
        fix = grammar.suggest_name(name)
        problem = problem_of_request(flag, "the grammar has no such attribute", name, fix)
        if problem not in problems:
            problems.append(problem)
    return found or ""


def _resolve_value(grammar: Grammar, name: str, value: str, flag: str, problems: list[Problem]) -> str:
    folded = " ".join(value.casefold().split())
    tables = [variant.attributes[name].values for variant in grammar.variants if name in variant.attributes]
    known = list(dict.fromkeys(each for table in tables for each in table))
    for each in known:
        if each.casefold() == folded:
            return each
    fix, near = suggest(value, known), [each for each in known if folded in each.casefold()]
    if not fix.startswith("did you mean"):
        if near:
            fix = f"these have the word: {name_some(near, _MAX_NEAR)}"
        elif len(known) > _MAX_LISTED:
            fix = f"`sfhq prompts --values {name}` lists them"
    problem = problem_of_request(flag, f"{name} has no such value", value, fix)
    if problem not in problems:
        problems.append(problem)
    return ""


def _variants(grammar: Grammar, wanted: Mapping[str, Iterable[str]]) -> list[Variant]:
    """Return the variants whose values are asked for; the first if nothing selects one."""
    select = grammar.select
    if select is None or select not in wanted:
        return [grammar.variants[0]]
    return [v for v in grammar.variants if set(wanted[select]) & v.attributes[select].values.keys()]


def _combinations(
    grammar: Grammar, wanted: Mapping[str, Sequence[str]], names: Sequence[str]
) -> list[_Names]:
    """Return every combination of values: those asked for, or all that need not be asked for."""
    values: dict[str, dict[str, None]] = {name: {} for name in names}
    for variant in _variants(grammar, wanted):
        for name in names:
            attribute = variant.attributes.get(name)
            for value in attribute.values.values() if attribute else ():
                if value.name in wanted[name] if name in wanted else value.weight:
                    values[name][value.name] = None
    _check_number(values.values())
    return [dict(zip(names, each, strict=True)) for each in product(*values.values())]


def _options(
    grammar: Grammar, names: _Names, rest: Mapping[str, Sequence[str]], pools: Pools
) -> tuple[Asked, ...]:
    """Return every combination of a cell with what else is asked for that the conditions allow."""
    sets = {**{name: [value] for name, value in names.items()}, **rest}
    _check_number(sets.values())
    options = []
    for variant in _variants(grammar, sets):
        if not sets.keys() <= variant.attributes.keys():
            continue
        tables = [variant.attributes[name].values for name in sets]
        for each in product(*sets.values()):
            if all(value in table for value, table in zip(each, tables, strict=True)):
                fixed: dict[str, Value] = {
                    name: table[value] for name, value, table in zip(sets, each, tables, strict=True)
                }
                if (asked := combine(variant, fixed, pools)).is_possible:
                    options.append(asked)
    return tuple(options)


def _check_number(sets: Iterable[Iterable[str]]) -> None:
    total = 1
    for values in sets:
        total *= len(list(values))
        if total > MAX_COMBINATIONS:
            message = f"what is asked for has more than {MAX_COMBINATIONS:,} combinations"
            raise SettingsError(
                problem_of_request("--balance", message, None, "ask for fewer attributes or values")
            )


def _impossible(
    grammar: Grammar, wanted: Mapping[str, Sequence[str]], left_out: Sequence[_Names]
) -> Iterator[Problem]:
    fix = "leave one of the values out; the grammar's `when` and `unless` say what goes together"
    if (select := grammar.select) is not None and select not in wanted:
        for variant in grammar.variants[1:]:  # such as a value that only people under 18 have
            sets = [(variant.attributes.get(name), values) for name, values in wanted.items()]
            if all(each is not None and each.values.keys() & set(values) for each, values in sets):
                fix = f"ask for one of these, too: {select}={', '.join(variant.attributes[select].values)}"
    asked = ", ".join(f"{name}={value}" for name, values in wanted.items() for value in values)
    if not left_out:
        yield problem_of_request(
            "--where", "the grammar's conditions rule out these values together", asked, fix
        )
    for names in left_out:
        shown = ", ".join(f"{name}={value}" for name, value in names.items())
        message = "the grammar's conditions, or --where, rule out this combination"
        yield problem_of_request("--balance", message, shown, fix)


def problem_of_request(flag: str, message: str, value: str | None, fix: str) -> Problem:
    """Return a problem of what was asked for."""
    return Problem(Reason.SETTINGS, message, column=flag, value=value, fix=fix, code=CODE)
