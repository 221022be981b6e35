"""The votes of the built-in sample: an export of open-image-preferences' form whose true rates are known.

In each pair one image is truly better: that of model a against model b with the chance that their `STRENGTHS`
give (Bradley and Terry). Votes follow the better image as `VOTE_SHARES` says, whichever side it is on. Into
some records goes the dirt that real ones have: unfinished responses, toxic content, a vote given twice, no
responses at all.
"""

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, combinations, product
from math import comb, exp
from random import Random
from typing import TypeVar
from uuid import UUID

from builders.sample.images import sample_faces, sample_prompts

# A wins against b with chance 1 / (1 + exp(strength of b - strength of a)):
# dev against schnell 0.646, dev against SDXL 0.731, schnell against SDXL 0.599.
STRENGTHS: Mapping[str, float] = {"FLUX1_dev": 1.0, "FLUX1_schnell": 0.4, "SDXL": 0.0}
# What one vote says, of the image that is truly better and the other one.
VOTE_SHARES: Mapping[str, float] = {"better": 0.78, "other": 0.06, "both_good": 0.10, "both_bad": 0.06}
NUM_PAIRS = 100
NUM_ANNOTATORS = 12
NUM_VOTES = (2, 3, 4)  # on one pair, equally likely
CATEGORIES: Mapping[str, Sequence[str]] = {
    "Animation": ("vibrant", "stylized"),
    "Cinematic": ("film grain", "moody"),
    "Manga": ("detailed", "high-energy"),
    "Photographic": ("35mm", "bokeh"),
}
# Number of a pair → its dirt.
UNFINISHED: Mapping[int, str] = {9: "draft", 27: "discarded", 58: "draft", 83: "discarded"}
TOXIC, TWICE, UNANSWERED = (17, 66), (34, 91), (50,)
# Chosen so that the sample is unremarkable: the first from 1 on in which every two models' rate is within 0.1
# of the true one, which lies inside its 95 % Wilson interval, and side 1 has 45 to 55 % of the votes for one
# side and wins 45 to 55 % of the decided pairs. So this sample says nothing of how often intervals hold.
_SEED = 6

_Item = TypeVar("_Item")
_Vote = tuple[str, str, str]  # annotator, label, status


def sample_preferences(seed: int = _SEED) -> Iterator[dict[str, object]]:
    """Yield every line of `preferences.jsonl`.

    Args:
        seed: Decides about everything that varies; another one gives another sample of the same truth.
    """
    rng = Random(seed)  # noqa: S311 - a sample, not a secret
    prompts = sample_prompts()
    annotators = [_uuid(rng) for _ in range(NUM_ANNOTATORS)]
    images = {model: [name for name, by, _ in sample_faces() if by == model] for model in STRENGTHS}
    couples = {(a, b): _shuffled(rng, product(images[a], images[b])) for a, b in combinations(STRENGTHS, 2)}
    for number in range(1, NUM_PAIRS + 1):
        models = list(couples)[number % len(couples)]
        names = couples[models].pop()
        is_first_better, is_turned = rng.random() < _better_rate(*models), rng.random() < 0.5
        if is_turned:
            models, names = models[::-1], names[::-1]
        votes = _draw_votes(rng, _shuffled(rng, annotators), better=1 if is_first_better != is_turned else 2)
        yield _record(rng, number, models, names, prompts[_choose(rng, names)]) | _responses(
            _soil(number, votes)
        )


def true_win_rates() -> dict[tuple[str, str], float]:
    """Return for each two models the chance that the first one's image wins a decided pair.

    Decided is a pair in which one side has more than half of the votes that count. The vote model makes the
    worse image win now and then, so these rates are a little nearer to one half than those of `STRENGTHS`.
    """
    right, wrong = (
        sum(_majority(VOTE_SHARES[side], number) for number in NUM_VOTES) for side in ("better", "other")
    )
    rates = {models: _better_rate(*models) for models in combinations(STRENGTHS, 2)}
    return {models: (rate * right + (1 - rate) * wrong) / (right + wrong) for models, rate in rates.items()}


def _better_rate(model: str, other: str) -> float:
    return 1 / (1 + exp(STRENGTHS[other] - STRENGTHS[model]))


def _majority(share: float, number: int) -> float:
    """Compute the chance that more than half of some votes are for a side with a share of all votes."""
    return sum(
        comb(number, votes) * share**votes * (1 - share) ** (number - votes)
        for votes in range(number // 2 + 1, number + 1)
    )


def _draw_votes(rng: Random, annotators: Sequence[str], better: int) -> list[_Vote]:
    """Draw two to four submitted votes, and behind them one more for a response that is unfinished."""
    number = _choose(rng, NUM_VOTES)
    return [(annotator, _draw_label(rng, better), "submitted") for annotator in annotators[: number + 1]]


def _draw_label(rng: Random, better: int) -> str:
    bounds = list(accumulate(VOTE_SHARES.values()))[:-1]
    said = list(VOTE_SHARES)[bisect(bounds, rng.random())]
    return {"better": f"image_{better}", "other": f"image_{3 - better}"}.get(said, said)


def _soil(number: int, drawn: Sequence[_Vote]) -> list[_Vote]:
    """Return the votes on a pair with the pair's dirt."""
    *votes, (annotator, label, status) = drawn
    if number in UNFINISHED:
        votes.append((annotator, label, UNFINISHED[number]))
    if number in TOXIC:
        votes[-1] = (votes[-1][0], "toxic_content", status)
    if number in TWICE:
        votes.append(votes[0])
    return [] if number in UNANSWERED else votes


def _record(
    rng: Random, number: int, models: tuple[str, str], names: tuple[str, str], prompt: str
) -> dict[str, object]:
    evolution, category = _choose(rng, ("quality", "simplified")), _choose(rng, tuple(CATEGORIES))
    return {
        "id": f"{number:04d}-{evolution}",
        "status": "pending" if number in UNANSWERED else "completed",
        "_server_id": _uuid(rng),
        "images": {"image_1": f"images/{names[0]}", "image_2": f"images/{names[1]}", "prompt": prompt},
        "model_1": models[0],
        "model_2": models[1],
        "evolution": evolution,
        "category": category,
        "sub_category": _choose(rng, CATEGORIES[category]),
    }


def _responses(votes: Sequence[_Vote]) -> dict[str, object]:
    """Lay votes out as three lists; all are null where there is no response."""
    return {
        "preference.responses": [label for _, label, _ in votes] or None,
        "preference.responses.users": [annotator for annotator, _, _ in votes] or None,
        "preference.responses.status": [status for _, _, status in votes] or None,
    }


# Only random() and getrandbits() are drawn from: they give the same on every Python.


def _choose(rng: Random, items: Sequence[_Item]) -> _Item:
    return items[int(rng.random() * len(items))]


def _shuffled(rng: Random, items: Iterable[_Item]) -> list[_Item]:
    return sorted(items, key=lambda _: rng.random())


def _uuid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
