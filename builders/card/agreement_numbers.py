"""The numbers of the card's table of prompts and models: read back from its text, and as files have them."""

import re
from collections.abc import Sequence

from builders.card.facts.fairness import PEOPLE, Comparison, FairnessSummary, Grouping
from builders.card.request_numbers import code

MAX_COMPARISONS = 8  # rows of the table
_TABLE = re.compile(r"<!-- asked and seen -->(.*?)<!-- /asked and seen -->", re.DOTALL)
_ROW = re.compile(r"^\| (`[^`]*` \| `[^`]*`) \| ([\d,]+) \| (\d+) % ", re.M)
_KIND = "asked and seen"


def shown_comparisons(facts: FairnessSummary) -> Sequence[Comparison]:
    """Return the comparisons that a card shows: those about people, then those with the lowest agreement.

    Others are left out where no two groups are large enough to be compared.
    """
    wanted = [one for one in facts.comparisons if one.attribute in PEOPLE or widest_grouping(one) is not None]
    ordered = sorted(
        wanted,
        key=lambda one: (
            one.attribute not in PEOPLE,
            one.agreement.value or 0.0,
            one.attribute,
            one.model or "",
        ),
    )
    return ordered[:MAX_COMPARISONS]


def widest_grouping(one: Comparison) -> Grouping | None:
    """Return the groups whose agreement differs most; None where no two are large enough."""
    pairs = [grouping for grouping in one.groupings if grouping.ratio is not None]
    return min(pairs, key=lambda grouping: grouping.ratio or 0.0, default=None)


def has_agreement_table(card: str) -> bool:
    """Return whether a card has the table; those of earlier kits have none."""
    return _TABLE.search(card) is not None


def read_agreement_numbers(card: str) -> dict[str, float]:
    """Read the numbers of the table; none if the card has none."""
    found = _TABLE.search(card)
    numbers: dict[str, float] = {}
    for name, count, percent in _ROW.findall(found.group(1) if found else ""):
        numbers |= {
            f"{_KIND} {name}, images": int(count.replace(",", "")),
            f"{_KIND} {name}, agree": int(percent),
        }
    return numbers


def true_agreement_numbers(facts: FairnessSummary) -> dict[str, float]:
    """Return the numbers that the table must state, under the names of `read_agreement_numbers`."""
    numbers: dict[str, float] = {}
    for one in shown_comparisons(facts):
        name = f"`{code(one.attribute)}` | `{code(one.model or 'not named')}`"
        numbers[f"{_KIND} {name}, images"] = one.agreement.total
        numbers[f"{_KIND} {name}, agree"] = int(f"{100 * (one.agreement.value or 0.0):.0f}")
    return numbers
