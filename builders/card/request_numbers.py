"""The numbers of the card's tables of requests: read back from its text, and as the files have them."""

import re
from collections.abc import Iterable

from builders.card.facts.generation import GenerationSummary

MAX_GROUPS, MAX_VALUES = 20, 10  # rows of the tables
_TOTALS = re.compile(
    r"^The config `generation` has ([\d,]+) requests .* ([\d,]+) led to .* refused ([\d,]+) \(([\d.]+) %\)",
    re.M,
)
_GROUP = re.compile(
    r"^\| (`[^`]*` \| `[^`]*` \| `[^`]*`) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| (?:([\d.]+)|not known)", re.M
)
_VALUE = re.compile(r"^\| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) % \|", re.M)
_OF_TOTAL = ("requests", "requests with an image", "refused requests", "rate of refused requests")
_OF_GROUP = ("requests", "images", "refused", "cost")
_OF_VALUE = ("requests", "refused", "rate")


def read_request_numbers(card: str) -> dict[str, float]:
    """Read the numbers of the tables of requests; none if the card has no such tables."""
    found = _TOTALS.search(card)
    numbers = _name("", _OF_TOTAL, found.groups() if found else ())
    for kind, pattern, names in (("requests", _GROUP, _OF_GROUP), ("refused", _VALUE, _OF_VALUE)):
        table = re.search(rf"<!-- {kind} -->(.*?)<!-- /{kind} -->", card, re.DOTALL)
        for name, *texts in pattern.findall(table.group(1) if table else ""):
            numbers |= _name(f"{kind} {name}, ", names, texts)
    return numbers


def true_request_numbers(facts: GenerationSummary) -> dict[str, float]:
    """Return the numbers that a card must state, under the names of `read_request_numbers`."""
    rate = f"{percent_of(facts.num_refused, facts.total):.1f}"
    totals = (facts.total, facts.num_images, facts.num_refused, rate)
    numbers = _name("", _OF_TOTAL, map(str, totals))
    for one in facts.groups[:MAX_GROUPS]:
        name = " | ".join(f"`{code(each)}`" for each in (one.generator, one.provider, one.model))
        cost = f"{one.cost_usd:.2f}" if one.num_priced else ""
        counts = (one.num_requests, one.num_images, one.num_refused, cost)
        numbers |= _name(f"requests {name}, ", _OF_GROUP, map(str, counts))
    for each in facts.values[:MAX_VALUES]:
        rate = f"{percent_of(each.num_refused, each.num_requests):.1f}"
        values = (each.num_requests, each.num_refused, rate)
        name = code(f"{each.attribute}: {each.value}")
        numbers |= _name(f"refused {name}, ", _OF_VALUE, map(str, values))
    return numbers


def percent_of(number: int, total: int) -> float:
    """Return a share in percent; 0 of nothing."""
    return 100 * number / total if total else 0.0


def code(value: str) -> str:
    """Make a value fit between backticks in a Markdown table."""
    return " ".join(value.replace("`", "'").replace("|", "/").split())


def _name(prefix: str, names: Iterable[str], texts: Iterable[str]) -> dict[str, float]:
    """Name the numbers of a line; an empty text is a number that is not known."""
    pairs = zip(names, texts, strict=False)
    return {f"{prefix}{name}": float(text.replace(",", "")) for name, text in pairs if text}
