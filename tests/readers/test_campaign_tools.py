"""Tools open the campaigns that the kit writes for them, each in an environment of its own."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.generation.campaign.exports.space import GRADIO_VERSION
from builders.generation.campaign.folder import Campaign, read_campaign
from publish.campaign import main
from schemas.campaign import ANSWERS, CampaignVote
from tests.publish.hosts.hub_server import WRITE_TOKEN, HubServer
from tests.publish.test_campaign_export import Given, read_back, wanted_left_images
from tests.publish.voting.server import make_campaign
from tests.readers.environments import MakeEnvironment
from tests.support import ROOT

# The client of Argilla imports requests, and does not name it among its dependencies.
ARGILLA = ("argilla==2.8.0", "requests")
LABEL_STUDIO = ("label-studio-sdk==2.1.2",)

pytestmark = pytest.mark.slow


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Return a campaign of eight pairs, with a script in each prompt; three are asked again."""
    prompt = "a face, number {} <script>alert(1)</script>"
    path = make_campaign(tmp_path / "campaign", 8, prompt=prompt)
    settings = read_campaign(path).settings.model_copy(update={"repeat_share": 0.25, "mirror_share": 0.125})
    (path / "campaign.json").write_text(settings.model_dump_json(), "utf-8")
    return read_campaign(path)


def run(python: Path, script: str, *arguments: object, folder: Path, **more: str) -> dict[str, Any]:
    """Run a script with more variables of the environment; return what it prints last."""
    own = ("PYTHON", "HF_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | more
    done = subprocess.run(
        [str(python), "-I", str(ROOT / "tests" / "readers" / script), *map(str, arguments)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads([line for line in done.stdout.splitlines() if line[:1] == "{"][-1])
    return found


def export(campaign: Campaign, tool: str, out: Path) -> Path:
    assert main(["export", str(campaign.path), "--for", tool, "--out", str(out)]) == 0
    return out


def test_argilla_opens_its_folder_and_its_own_export_comes_back(
    campaign: Campaign, tmp_path: Path, environment: MakeEnvironment
) -> None:
    folder, votes = export(campaign, "argilla", tmp_path / "argilla"), tmp_path / "votes.parquet"
    python = environment("argilla", ARGILLA)
    found = run(python, "open_argilla.py", folder, votes, folder=tmp_path)
    assert (found["name"], found["fields"]) == ("campaign", ["images"])
    assert found["labels"] == [answer.value for answer in ANSWERS]
    reading, said = read_back(tmp_path / "work", votes)
    again = {name for name in found["given"] if "-" in name}
    first = {name: answer for name, answer in found["given"].items() if name not in again}
    assert {vote.pair: vote.said for vote in said} == first
    assert first.keys() == wanted_left_images(campaign).keys()
    kinds = Counter(vote.kind for pair in reading.pairs for vote in pair.votes)
    assert kinds == {"first": 8} | Counter(name.partition("-")[2] for name in again)
    assert len(again) == 3
    assert all(pair.model_1 and pair.image_1_id for pair in reading.pairs)


def test_label_studio_takes_the_interface_the_tasks_and_each_answer(
    campaign: Campaign, tmp_path: Path, environment: MakeEnvironment
) -> None:
    folder = export(campaign, "label-studio", tmp_path / "studio")
    found = run(environment("label-studio", LABEL_STUDIO), "open_label_studio.py", folder, folder=tmp_path)
    assert len(found["tasks"]) == len(campaign.pairs) + 3
    answers = ("left", "right", "both_good", "both_bad", "toxic_content")
    assert found["answers"] == dict.fromkeys(answers, True) | {"something else": False}


def test_a_space_runs_with_its_own_requirements_and_its_votes_come_back(
    campaign: Campaign, tmp_path: Path, environment: MakeEnvironment
) -> None:
    folder = export(campaign, "space", tmp_path / "space")
    wanted = (folder / "requirements.txt").read_text("utf-8").split()
    found = run(environment("gradio", wanted), "open_space.py", folder, folder=folder)
    assert found["version"] == GRADIO_VERSION
    assert found["progress"] == [f"{number} votes" for number in range(6)]
    assert found["undone"] == "4 votes"
    assert set(found["files"]) == {403}  # votes and pairs are not for visitors
    (votes,) = (folder / "votes").glob("*.jsonl")
    lines = [CampaignVote.model_validate_json(line) for line in votes.read_text("utf-8").splitlines()]
    assert [line.status for line in lines] == ["submitted"] * 5 + ["discarded"]
    shown = {Path(image).name for image in (lines[0].image_1, lines[0].image_2)}
    assert set(found["images"]) == shown
    _, said = read_back(tmp_path / "work", votes.rename(folder / "votes.jsonl"))  # beside the images
    images = {"image_1": lines[0].image_1_id, "image_2": lines[0].image_2_id}
    assert said[Given(lines[0].pair_id, lines[0].annotator, images[lines[0].left])] == 1
    assert Counter(said.values()) == {1: 4}


def test_a_space_sends_votes_to_a_private_dataset_and_goes_on_from_there(
    campaign: Campaign, tmp_path: Path, environment: MakeEnvironment
) -> None:
    folder = export(campaign, "space", tmp_path / "space")
    python = environment("gradio", (folder / "requirements.txt").read_text("utf-8").split())
    with HubServer() as hub:
        settings = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": WRITE_TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "VOTES_DATASET": "org/votes",
            "ANNOTATOR_KEY": "a long random text",
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        found = []
        for number in range(2):  # the disk of a Space is empty after a restart
            places = {"VOTES_FOLDER": str(tmp_path / f"disk {number}"), "HF_HOME": str(tmp_path / "hf")}
            more = settings | places
            found.append(run(python, "vote_in_space.py", folder, folder=folder, **more)["progress"])
        dataset = hub.repos["org/votes"]
        last = dataset.find("main")
        assert last is not None
        files = sorted(last.files)
        votes = [hub.content("org/votes", name) for name in files if name.startswith("votes/")]
    assert found == ["3 votes", "6 votes"]
    assert dataset.private
    lines = [CampaignVote.model_validate_json(line) for part in votes for line in part.splitlines()]
    assert len({line.vote_id for line in lines}) == len({line.pair_id for line in lines}) == 6
    assert len({line.annotator for line in lines}) == 1
