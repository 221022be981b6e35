"""Small campaigns for tests: candidates without files, and annotators with a will of their own."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from builders.generation.campaign.asking import Asking, Choice, Outcome, Task
from builders.generation.campaign.candidates import Candidate, PromptFacts
from builders.generation.campaign.design import choose_pairs, place_sides
from builders.generation.campaign.links import make_annotator
from schemas.campaign import CampaignPair, CampaignSettings, CampaignVote
from schemas.preferences import Label

SECRET = b"s" * 32
Choose = Callable[[Task], Choice]


def candidates(
    num_prompts: int, generators: Sequence[str] = ("A", "B"), categories: Sequence[str | None] = (None,)
) -> list[Candidate]:
    """Return one image of each generator for each prompt; categories come in turn."""
    return [
        Candidate(
            name := f"{generator}_{number}.png",
            Path(name),
            f"prompt {number}",
            generator,
            "{}",
            PromptFacts(category=categories[number % len(categories)]),
        )
        for number in range(num_prompts)
        for generator in generators
    ]


def digest(text: str) -> str:
    """Return 16 hexadecimal digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def campaign_pairs(num_pairs: int, seed: int = 0, gold: int = 0) -> list[CampaignPair]:
    """Return pairs as a campaign has them, the last of them gold ones with image 1 as the answer."""
    images = candidates(num_pairs + gold)
    chosen = place_sides(choose_pairs(images, num_pairs + gold, seed), seed)
    return [
        CampaignPair(
            id=digest(pair.first.prompt),
            prompt=pair.first.prompt,
            image_1=f"images/{digest(pair.first.name)}.png",
            image_2=f"images/{digest(pair.second.name)}.png",
            image_1_id=digest(pair.first.name),
            image_2_id=digest(pair.second.name),
            model_1=pair.first.generator,
            model_2=pair.second.generator,
            first_left=pair.first_left,
            gold=Label.IMAGE_1 if number >= num_pairs else None,
        )
        for number, pair in enumerate(chosen)
    ]


def settings(overlap: int = 3, seed: int = 0, **changes: float) -> CampaignSettings:
    """Return the settings of a campaign."""
    values: dict[str, object] = {
        "name": "faces",
        "seed": seed,
        "overlap": overlap,
        "guidelines": "Look at the face.",
        "created": "2026-11-30T00:00:00+00:00",
        **changes,
    }
    return CampaignSettings.model_validate(values)


def annotators(number: int) -> list[str]:
    """Return the ids of so many annotators."""
    return [make_annotator(SECRET, each).id for each in range(number)]


def answer(asking: Asking, annotator: str, task: Task, choice: Choice) -> CampaignVote | None:
    """Answer a task, and take the vote into the state; None if nothing is written."""
    found = asking.answer(annotator, task.pair.id, task.vote_id, choice, 1.5)
    assert found is not None
    outcome, vote = found
    assert (vote is not None) == (outcome is Outcome.STORED)
    if vote is not None:
        asking.apply(vote)
    return vote


def work_through(
    asking: Asking, people: Sequence[str], choose: Choose, seed: int = 0, most: int = 100_000
) -> list[CampaignVote]:
    """Have people answer in an order by chance until there is nothing left for anybody."""
    chance, busy, votes = random.Random(seed), list(people), list[CampaignVote]()
    while busy and len(votes) < most:
        person = chance.choice(busy)
        task = asking.next_task(person, 0.0)
        if task is None:
            busy.remove(person)
            continue
        vote = answer(asking, person, task, choose(task))
        if vote is not None:
            votes.append(vote)
    return votes


def by_pair(votes: Sequence[CampaignVote]) -> dict[str, Counter[str]]:
    """Return the labels of deciding votes for each pair."""
    counts: dict[str, Counter[str]] = {}
    for vote in votes:
        if vote.kind == "first":
            counts.setdefault(vote.pair_id, Counter())[vote.label] += 1
    return counts


def lines(votes: Sequence[CampaignVote]) -> str:
    """Return votes as a file has them."""
    return "".join(f"{json.dumps(vote.model_dump(mode='json'))}\n" for vote in votes)
