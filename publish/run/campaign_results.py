"""What `--json` writes of campaigns; part of `publish/run/results.py`, whose rules hold here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.generation.campaign.measuring import CampaignNumbers
from builders.generation.campaign.planning import WidthPlan
from builders.generation.campaign.showing import NotShownNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """What `campaign new` would ask.

    Attributes:
        pairs: How many pairs.
        overlap: Most people of a pair.
        categories: Category → its pairs.
        least_votes: Votes, if every pair is settled as early as it can be.
        most_votes: Votes, if every pair needs all its people.
        half_width: Half of the 95 % interval of a rate in the smallest category, as a share.
        widths: What intervals of other widths take.
    """

    pairs: int
    overlap: int
    categories: Mapping[str, int]
    least_votes: int
    most_votes: int
    half_width: float
    widths: Sequence[WidthPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResult:
    """What `campaign new` made.

    Attributes:
        folder: The campaign.
        plan: What it asks.
        num_gold: Pairs with known answers.
        num_annotators: Personal links.
    """

    folder: Path
    plan: CampaignPlan
    num_gold: int
    num_annotators: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """How a campaign goes.

    Attributes:
        folder: The campaign.
        numbers: Every number that is shown, and those of all annotators.
        not_shown: Pairs that could not be shown to some people.
    """

    folder: Path
    numbers: CampaignNumbers
    not_shown: Sequence[NotShownNumbers] = ()
