"""A preference campaign: its settings, the pairs it asks about, and the votes that people give.

A campaign is a folder that needs no other:

    campaign.json       one `CampaignSettings`
    pairs.jsonl         one `CampaignPair` a line
    images/             the images of the pairs, named after their content
    annotators.jsonl    one `CampaignAnnotator` a line
    secret              the key behind personal links; it is never exported
    votes.jsonl         one `CampaignVote` a line, only ever added to
    not_shown.jsonl     one `PairNotShown` a line; only there if the page could not show some image
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.preferences import Label, LeftImage, VoteKind
from schemas.prompts import MAX_PROMPT_CHARS, MAX_SEED
from schemas.records import IMAGE_FORMATS, Identifier

CAMPAIGN_FILE, PAIRS_FILE, VOTES_FILE = "campaign.json", "pairs.jsonl", "votes.jsonl"
ANNOTATORS_FILE, SECRET_FILE, IMAGES_FOLDER = "annotators.jsonl", "secret", "images"
NOT_SHOWN_FILE = "not_shown.jsonl"
MAX_OVERLAP = 99
MAX_GUIDELINES_CHARS = 20_000
ID_PATTERN = r"^[0-9a-f]{16}$"
VOTE_ID_PATTERN = r"^[0-9a-f]{32}$"

# What an annotator may answer: `Label.TIE` is for sources that do not say which kind of tie it is.
ANSWERS = (Label.IMAGE_1, Label.IMAGE_2, Label.BOTH_GOOD, Label.BOTH_BAD, Label.TOXIC)

Side = LeftImage
VoteStatus = Literal["submitted", "discarded"]
PairId = Annotated[str, Field(pattern=ID_PATTERN)]
AnnotatorId = Annotated[str, Field(pattern=ID_PATTERN)]
VoteId = Annotated[str, Field(pattern=VOTE_ID_PATTERN)]
Answer = Literal[Label.IMAGE_1, Label.IMAGE_2, Label.BOTH_GOOD, Label.BOTH_BAD, Label.TOXIC]
# A path is made of an identifier and a known ending, so that none leaves the folder.
_ImagePath = Annotated[
    str, Field(pattern=rf"^{IMAGES_FOLDER}/[0-9a-f]{{16}}\.({'|'.join(IMAGE_FORMATS.values())})$")
]
_Text = Annotated[str, Field(max_length=1000)]


class CampaignSettings(BaseModel):
    """What a campaign asks, of how many people, and in which order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="Name that annotators see above the page."
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = Field(
        description="Decides the pairs, the sides and the order for each annotator."
    )
    overlap: Annotated[int, Field(ge=1, le=MAX_OVERLAP)] = Field(
        description="Most people who decide one pair; fewer, once no further answer can change the decision."
    )
    repeat_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.05, description="Pairs that an annotator sees again on the same sides, as a share of the others."
    )
    mirror_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.05, description="Pairs that an annotator sees again with the sides swapped, likewise."
    )
    guidelines: Annotated[str, Field(max_length=MAX_GUIDELINES_CHARS)] = Field(
        description="What annotators are asked to look at, as plain text; blank lines part paragraphs."
    )
    license: _Text | None = Field(None, description="Terms of the votes; null if none are stated.")
    created: _Text = Field(description="When the campaign was made, in UTC, as ISO 8601.")


class PairFacts(BaseModel):
    """What pairs and votes both say of two images of one prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS)] = Field(
        description="Prompt that both images were made for."
    )
    image_1: _ImagePath = Field(description="First image: its path in the campaign's folder.")
    image_2: _ImagePath = Field(description="Second image, likewise.")
    image_1_id: Identifier = Field(description="`image_id` of the first image in a release.")
    image_2_id: Identifier = Field(description="The same of the second image.")
    model_1: _Text = Field(description="Model that made the first image.")
    model_2: _Text = Field(description="Model that made the second image.")
    category: _Text | None = Field(None, description="Category of the prompt.")
    sub_category: _Text | None = Field(None, description="Category below it.")
    evolution: _Text | None = Field(None, description="How the prompt was evolved, such as simplified.")
    license: _Text | None = Field(None, description="Terms of the votes; null if none are stated.")
    prompt_license: _Text | None = Field(None, description="Terms of the prompt; null if none are stated.")
    prompt_id: _Text | None = Field(None, description="Identity of the prompt; null if it has none.")


class CampaignPair(PairFacts):
    """One line of `pairs.jsonl`."""

    id: PairId = Field(description="Identity of the pair: a digest of the prompt and both images.")
    first_left: Side = Field("image_1", description="Image that the first annotator sees on the left.")
    gold: Answer | None = Field(
        None, description="The known answer of a pair that measures annotators; null for other pairs."
    )


class CampaignVote(PairFacts):
    """One line of `votes.jsonl`; the last line of a `vote_id` holds."""

    vote_id: VoteId = Field(description="Identity of the vote, equal for a click that is sent twice.")
    pair_id: PairId = Field(description="Pair that it is about.")
    annotator: AnnotatorId = Field(description="Who: the public id of a personal link.")
    label: Answer = Field(description="What they said, as seen from image_1 and image_2 on whatever side.")
    left: Side = Field(description="Image that was shown on the left.")
    kind: VoteKind = Field(
        description="first: decides the pair; repeat, mirror and gold measure the annotator."
    )
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = Field(
        description="Time from showing the pair to the answer, in seconds."
    )
    time: _Text = Field(description="When it was written, in UTC, as ISO 8601.")
    status: VoteStatus = Field(description="submitted, or discarded by undo.")


class PairNotShown(BaseModel):
    """One line of `not_shown.jsonl`: a pair that was left out for one person. It is no vote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair_id: PairId = Field(description="Pair that could not be shown.")
    annotator: AnnotatorId = Field(description="To whom: the public id of a personal link.")
    problem: _Text = Field(description="What was wrong with the files; empty if the person's browser failed.")
    time: _Text = Field(description="When it was reported, in UTC, as ISO 8601.")


class CampaignAnnotator(BaseModel):
    """One line of `annotators.jsonl`: a person who has a link. No name is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: AnnotatorId = Field(description="Public id, as in the votes.")
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of the token in the personal link; the token itself is not kept."
    )


def standing_votes(votes: Iterable[CampaignVote]) -> list[CampaignVote]:
    """Return the votes that hold: the last line of each `vote_id`, unless undo discarded it."""
    last: dict[str, CampaignVote] = {}
    for vote in votes:
        last.pop(vote.vote_id, None)  # in the order of the last lines
        last[vote.vote_id] = vote
    return [vote for vote in last.values() if vote.status == "submitted"]
