"""Facts about the requests of a release: what was asked of whom, and what was refused."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from builders.release.reader import ReleaseReader

# A rate of fewer requests says little: of 20 requests, one refusal is 5 %, with a 95 % interval to 24 %.
MIN_REQUESTS = 20
_COLUMNS = ("status", "attributes", "generator", "provider", "model", "refusal", "cost_usd", "requested_at")
_DATE_CHARS = len("2026-11-29")


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """Numbers about the requests to one model of one provider.

    Attributes:
        num_priced: Requests whose cost is known.
        cost_usd: Sum of the costs that are known, in US dollars.
        first: Date of the first request, YYYY-MM-DD in UTC; None where no time is known.
        last: Date of the last one.
    """

    generator: str
    provider: str
    model: str
    num_requests: int
    num_images: int
    num_refused: int
    num_priced: int
    cost_usd: float
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class AskedValue:
    """How often a value was asked for, and how often such a request was refused."""

    attribute: str
    value: str
    num_requests: int
    num_refused: int


@dataclass(frozen=True, slots=True)
class GenerationSummary:
    """Numbers about the requests.

    Attributes:
        total: Requests.
        num_images: Those that led to an image.
        num_refused: Those that were refused.
        groups: By generator, provider and model, the most requests first.
        refusals: Category as the provider names it → refused requests; None where it names none.
        values: Values that were asked for in at least `MIN_REQUESTS` requests and were ever refused, the
            highest rate first.
        num_values: Values that were asked for.
        num_small: Those of them with fewer requests than `MIN_REQUESTS`.
    """

    total: int
    num_images: int
    num_refused: int
    groups: tuple[RequestGroup, ...]
    refusals: Mapping[str | None, int]
    values: tuple[AskedValue, ...]
    num_values: int
    num_small: int


@dataclass(slots=True)
class _Tally:
    """What is added up for one model of one provider."""

    statuses: Counter[str] = field(default_factory=Counter)
    num_priced: int = 0
    cost_usd: float = 0.0
    first: str | None = None
    last: str | None = None

    def add(self, status: str, cost_usd: float | None, requested_at: str | None) -> None:
        self.statuses[status] += 1
        if cost_usd is not None:
            self.num_priced += 1
            self.cost_usd += cost_usd
        if requested_at is not None:
            date = requested_at[:_DATE_CHARS]
            self.first, self.last = min(self.first or date, date), max(self.last or date, date)


def read_generation_facts(release: ReleaseReader) -> GenerationSummary:
    """Read the facts from the config `generation`, one row group at a time."""
    tallies: dict[tuple[str, str, str], _Tally] = {}
    refusals: Counter[str | None] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for group in release.row_groups("generation", _COLUMNS):
        for row in group.to_pylist():
            place = (row["generator"], row["provider"], row["model"])
            tallies.setdefault(place, _Tally()).add(row["status"], row["cost_usd"], row["requested_at"])
            # One prompt may name a value twice, such as two accessories.
            wanted = {(each["attribute"], each["value"]) for each in row["attributes"]}
            asked.update(wanted)
            if row["status"] == "refused":
                refusals[row["refusal"]] += 1
                refused.update(wanted)
    groups = [
        RequestGroup(
            *place,
            num_requests=one.statuses.total(),
            num_images=one.statuses["delivered"],
            num_refused=one.statuses["refused"],
            num_priced=one.num_priced,
            cost_usd=one.cost_usd,
            first=one.first,
            last=one.last,
        )
        for place, one in tallies.items()
    ]
    values = [
        AskedValue(*each, asked[each], refused[each]) for each in refused if asked[each] >= MIN_REQUESTS
    ]
    return GenerationSummary(
        total=sum(one.num_requests for one in groups),
        num_images=sum(one.num_images for one in groups),
        num_refused=sum(one.num_refused for one in groups),
        groups=tuple(
            sorted(groups, key=lambda one: (-one.num_requests, one.generator, one.provider, one.model))
        ),
        refusals=dict(sorted(refusals.items(), key=lambda item: (-item[1], item[0] or ""))),
        values=tuple(
            sorted(values, key=lambda one: (-one.num_refused / one.num_requests, one.attribute, one.value))
        ),
        num_values=len(asked),
        num_small=sum(count < MIN_REQUESTS for count in asked.values()),
    )
