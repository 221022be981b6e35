"""The whole path, offline: from prompts to a release whose card has the rates of the simulated people."""

import json
import random
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest

from builders.generation.campaign import folder as campaign_folder
from builders.generation.campaign.folder import Campaign, read_campaign
from publish import campaign, generate, prompts, release
from schemas.campaign import CampaignVote, standing_votes
from tests.publish.voting.server import Server, running
from tests.support import ROOT

NUM_PROMPTS, NUM_VOTES, NUM_PEOPLE = 100, 300, 6
# What the simulated people do: how often the larger image of a pair is truly better, how often they choose
# the left side without a look, and how often they choose the better image otherwise.
LARGER_BETTER, LEFT, RIGHT_ANSWER = 0.7, 0.15, 0.97
SMALL, LARGE = "drawn", "drawn-large"
DECLARED = f"""
[[generators]]
name = "{LARGE}"
title = "Drawn portraits, larger"
url = "https://example.org/drawn-large"
license = "mit"
"""


@dataclass
class Person:
    """A simulated annotator with the page's own requests."""

    client: httpx2.Client
    rng: random.Random

    def vote(self, campaign: Campaign, better: dict[str, str]) -> str | None:
        """Answer the pair on the screen; return what became of it, or None if there is no pair."""
        task = self.client.get("/api/state").json()["task"]
        if task is None:
            return None
        if self.rng.random() < LEFT:
            choice = "left"
        else:
            is_right = self.rng.random() < RIGHT_ANSWER
            choice = "left" if (task["left"] == better[task["pair_id"]]) == is_right else "right"
        body = {"vote_id": task["vote_id"], "pair_id": task["pair_id"], "choice": choice}
        answer = self.client.post("/api/vote", json=body | {"seconds": self.rng.uniform(1, 5)})
        assert answer.status_code == 200
        return str(answer.json()["outcome"])


def vote_all(campaign: Campaign, server: Server, seed: int) -> None:
    """Have people take turns until there are enough votes."""
    rng = random.Random(seed)
    better = {}
    for pair in campaign.pairs:
        images = {pair.model_1: pair.image_1, pair.model_2: pair.image_2}
        better[pair.id] = images[LARGE if rng.random() < LARGER_BETTER else SMALL]
    address = f"http://127.0.0.1:{server.port}"
    people = [
        Person(
            httpx2.Client(base_url=address, headers={"X-Campaign-Token": token}, timeout=60),
            random.Random(f"{seed} {number}"),
        )
        for number, token in enumerate(server.tokens)
    ]
    stored = 0
    while stored < NUM_VOTES and people:
        for person in people:
            outcome = person.vote(campaign, better)
            assert outcome in ("stored", None)
            stored += outcome == "stored"
            if stored == NUM_VOTES:
                break
    for person in people:
        person.client.close()


def interval(card: str, line: str) -> tuple[float, float]:
    """Return the ends of an interval in the card, 0 to 1, by the beginning of its line."""
    found = re.search(rf"^\| {re.escape(line)}.*\((\d+) to (\d+) %\)", card, re.MULTILINE)
    assert found is not None, line
    return int(found[1]) / 100, int(found[2]) / 100


def run(main: Any, *arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


@pytest.mark.slow
def test_rates_that_people_were_given_lie_in_the_intervals_of_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The order of pairs follows from the key, so a fixed key and fixed seeds make the test repeatable.
    monkeypatch.setattr(campaign_folder, "new_secret", lambda: bytes(range(32)))
    for name in ("CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    settings = tmp_path / "release.toml"
    settings.write_text((ROOT / "release.toml").read_text("utf-8") + DECLARED, "utf-8")
    names = ("raw.jsonl", "prompts.jsonl", "evolved.jsonl", "pairs-images", "campaign")
    raw, clean, evolved, images, votes = (tmp_path / name for name in names)
    run(prompts.main, "--count", NUM_PROMPTS, "--seed", 3, "--out", raw)
    run(prompts.main, "clean", raw, "--out", clean, "--license", "cc0-1.0", "--any-language")
    run(prompts.main, "evolve", clean, "--out", evolved, "--count", NUM_PROMPTS)
    run(
        generate.main,
        *(evolved, "--out", images, "--config", settings),
        *("--generator", f"{SMALL}:image_size=128x128"),
        *("--generator", f"{LARGE}:provider=drawn,model=sfhq-drawn,image_size=256x256"),
    )
    run(
        campaign.main,
        *("new", images, "--pairs", NUM_PROMPTS, "--overlap", 4, "--annotators", NUM_PEOPLE, "--out", votes),
    )
    asked = read_campaign(votes)
    assert len(asked.pairs) == NUM_PROMPTS
    with running(votes) as server:
        vote_all(asked, server, seed=5)
    lines = [CampaignVote.model_validate_json(line) for line in asked.votes_path.read_text().splitlines()]
    assert len(standing_votes(lines)) == NUM_VOTES

    out = tmp_path / "dist"
    run(
        release.main,
        *("--version", "1.0", "--out", out, "--config", settings),
        *("--sfhq", images, "--preferences", asked.votes_path),
    )
    card = (out / "1.0" / "README.md").read_text("utf-8")
    # An answer for the better image; the other way round if it is on the right and the person did not look.
    seen = {True: LEFT + (1 - LEFT) * RIGHT_ANSWER, False: (1 - LEFT) * RIGHT_ANSWER}
    truths = {
        f"`{LARGE}`": LARGER_BETTER,
        f"`{SMALL}`": 1 - LARGER_BETTER,
        "Left image chosen": (seen[True] + 1 - seen[False]) / 2,
        "The same answer again, of": sum(each**2 + (1 - each) ** 2 for each in seen.values()) / 2,
    }
    for line, truth in truths.items():
        low, high = interval(card, line)
        assert low <= truth <= high, (line, truth, low, high)
    rows = pq.read_table(out / "1.0" / "preferences").to_pylist()
    assert len(rows) <= NUM_PROMPTS
    kinds = Counter(vote["kind"] for row in rows for vote in row["votes"])
    assert kinds.total() == NUM_VOTES
    assert kinds == Counter(line.kind for line in lines)
    assert {row["category"] for row in rows} > {"Cinematic"}
    assert {row["prompt_license"] for row in rows} == {"cc0-1.0"}
    assert all(row["image_1_id"] and row["image_2_id"] for row in rows)
    wanted = {line.pair_id: json.loads(line.model_dump_json()) for line in lines}
    for row in rows:
        assert row["image_1_id"] == wanted[row["id"]]["image_1_id"]
