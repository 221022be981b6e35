"""A campaign goes to another tool, votes come back, and they are the votes that were given."""

import hashlib
import importlib.util
import json
import random
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from builders.generation.campaign.exports import EXPORTS
from builders.generation.campaign.folder import Campaign, read_campaign
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from builders.sources.preferences import PreferenceSource
from publish.campaign import main
from schemas.campaign import ANSWERS, CampaignPair, CampaignVote
from schemas.preferences import Label
from schemas.records import image_id_of
from tests.support import Reading, good_folder, read_into_catalog

Row = dict[str, Any]
SECONDS = 3.25
TIME = "2026-11-30T08:00:00.000Z"


@dataclass(frozen=True)
class Given:
    """A vote that somebody gives with a tool: whoever, and which image or answer."""

    pair: str
    annotator: str
    said: str  # an image id, or a label that means both
    kind: str = "first"


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Return a campaign of 8 pairs; each side is the left one of half of them."""
    folder = good_folder(tmp_path / "pairs-images", 16)
    for number, row in enumerate(folder.rows):
        row[2] = f"a face, number {number // 2} <script>alert(1)</script> & {{{{more}}}}"
    folder.write()
    out = tmp_path / "campaign"
    assert (
        main(["new", str(folder.path), "--out", str(out), "--name", 'Faces: "a" <b>', "--license", "cc0-1.0"])
        == 0
    )
    return read_campaign(out)


def export(campaign: Campaign, tool: str, out: Path) -> Path:
    assert main(["export", str(campaign.path), "--for", tool, "--out", str(out)]) == 0
    return out


def votes_on(pairs: Sequence[CampaignPair], seed: int = 1) -> list[Given]:
    """Give three votes on each pair, of five people, with all answers among them."""
    rng = random.Random(seed)
    given = []
    for number, pair in enumerate(pairs):
        for place, annotator in enumerate(rng.sample(["1", "2", "3", "4", "5"], 3)):
            label = ANSWERS[(number + place) % len(ANSWERS)]
            said = {"image_1": pair.image_1_id, "image_2": pair.image_2_id}.get(label, label)
            given.append(Given(pair.id, annotator, str(said)))
    return given


def read_back(work: Path, path: Path, *, with_images: Path | None = None) -> tuple[Reading, Counter[Given]]:
    """Read a tool's votes as a release does, and name the images that were chosen by their content."""
    work.mkdir(exist_ok=True)
    folders = [open_sfhq_folder(with_images, "pairs-images")] if with_images else []
    source = PreferenceSource(path, "votes", SourceOptions(publish_annotators=True))
    reading = read_into_catalog(work, *folders, source)
    found = Counter(
        Given(
            pair.id,
            str(vote.annotator),
            str({Label.IMAGE_1: pair.image_1_id, Label.IMAGE_2: pair.image_2_id}.get(vote.label, vote.label)),
        )
        for pair in reading.pairs
        for vote in pair.votes
        if vote.status == "submitted" and vote.label is not None and vote.kind in (None, "first")
    )
    assert not [problem for problem in reading.problems if problem.severity != "warning"]
    return reading, found


def left_images(reading: Reading) -> dict[str, str | None]:
    """Return the image that was on the left of each pair."""
    found: dict[str, str | None] = {}
    for pair in reading.pairs:
        (left,) = {vote.left for vote in pair.votes}
        assert left is not None
        found[pair.id] = pair.image_1_id if left == "image_1" else pair.image_2_id
    return found


def wanted_left_images(campaign: Campaign) -> dict[str, str]:
    return {
        pair.id: pair.image_1_id if pair.first_left == "image_1" else pair.image_2_id
        for pair in campaign.pairs
    }


def models_by_image(reading: Reading) -> dict[str | None, str | None]:
    return {
        image: model
        for pair in reading.pairs
        for image, model in ((pair.image_1_id, pair.model_1), (pair.image_2_id, pair.model_2))
    }


def answer_in_label_studio(folder: Path, given: Sequence[Given]) -> Path:
    """Write what Label Studio exports once people have answered its tasks."""
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    for number, task in enumerate(tasks, 1):
        data = task["data"]
        shown = {data[f"{data['left']}_id"]: "left"}
        task |= {"id": number, "predictions": [], "drafts": [], "annotations": []}
        for vote in (vote for vote in given if (vote.pair, vote.kind) == (data["pair_id"], data["kind"])):
            is_image = vote.said in (data["image_1_id"], data["image_2_id"])
            answer = shown.get(vote.said, "right") if is_image else vote.said
            value = {"choices": [answer]}
            region = {"from_name": "answer", "to_name": "left", "type": "choices", "value": value}
            task["annotations"].append(
                {
                    "completed_by": int(vote.annotator),
                    "result": [region],
                    "was_cancelled": False,
                    "lead_time": SECONDS,
                    "created_at": TIME,
                }
            )
    path = folder.parent / "label-studio.json"
    path.write_text(json.dumps(tasks), "utf-8")
    return path


def answer_in_argilla(folder: Path, given: Sequence[Given]) -> Path:
    """Write what `Dataset.records.to_json` of Argilla writes once people have answered its records."""
    records = json.loads((folder / "records.json").read_text("utf-8"))
    for record in records:
        ids = {record["metadata"][f"image_{number}_id"]: f"image_{number}" for number in (1, 2)}
        record["responses"] = {
            "preference": [
                {"value": ids.get(vote.said, vote.said), "user_id": vote.annotator, "status": "submitted"}
                for vote in given
                if (vote.pair, vote.kind) == (record["metadata"]["pair_id"], record["metadata"]["kind"])
            ]
        }
        record["status"] = "completed"
    path = folder.parent / "argilla.json"
    path.write_text(json.dumps(records), "utf-8")
    return path


def answer_in_argilla_and_export_a_table(folder: Path, given: Sequence[Given]) -> Path:
    """Write what `Dataset.records.to_datasets` of Argilla has: columns, with the status of each response."""
    rows = []
    for record in json.loads(answer_in_argilla(folder, given).read_text("utf-8")):
        responses = record["responses"]["preference"]
        lists = {"": "value", ".users": "user_id", ".status": "status"}
        columns = {
            f"preference.responses{end}": [each[key] for each in responses] for end, key in lists.items()
        }
        row = {name: record[name] for name in ("id", "status", "_server_id")}
        rows.append(row | {"images": record["fields"]["images"]} | record["metadata"] | columns)
    path = folder.parent / "argilla.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def import_voting(folder: Path) -> ModuleType:
    """Import the file of a Space that asks and writes, as the Space does."""
    spec = importlib.util.spec_from_file_location("space_voting_of_a_test", folder / "voting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def open_space(folder: Path, path: Path, before: Sequence[Row] = (), **changes: Any) -> Any:
    voting = import_voting(folder)
    settings = json.loads((folder / "campaign.json").read_text("utf-8")) | changes
    return voting.Votes(settings, voting.read_lines(folder / "pairs.jsonl"), before, path)


def asked_in_order(folder: Path) -> list[str]:
    """Return the pair of each task, in the order in which people get them."""
    if (folder / "tasks.json").is_file():
        return [task["data"]["pair_id"] for task in json.loads((folder / "tasks.json").read_text("utf-8"))]
    records = json.loads((folder / "records.json").read_text("utf-8"))
    assert len({record["id"] for record in records}) == len(records)
    return [record["metadata"]["pair_id"] for record in records]


MEASURING = ("repeat", "mirror")
Answer = Callable[[Path, Sequence[Given]], Path]
TOOLS: Mapping[str, tuple[str, Answer]] = {
    "label-studio": ("label-studio", answer_in_label_studio),
    "argilla, records": ("argilla", answer_in_argilla),
    "argilla, table": ("argilla", answer_in_argilla_and_export_a_table),
}


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("with_images", [False, True])
def test_votes_of_a_tool_are_those_that_were_given(
    name: str, with_images: bool, campaign: Campaign, tmp_path: Path
) -> None:
    tool, answer = TOOLS[name]
    folder = export(campaign, tool, tmp_path / "out" / "for-others")
    given = votes_on(campaign.pairs)
    path = answer(folder, given)
    # Argilla's records have the images themselves.
    images = campaign.path.parent / "pairs-images" if with_images or tool != "argilla" else None
    reading, found = read_back(tmp_path / "work", path, with_images=images)
    assert found == Counter(given)
    assert left_images(reading) == wanted_left_images(campaign)
    wanted = {pair.image_1_id: pair.model_1 for pair in campaign.pairs} | {
        pair.image_2_id: pair.model_2 for pair in campaign.pairs
    }
    assert models_by_image(reading) == wanted
    prompts = {pair.id: pair.prompt for pair in campaign.pairs}
    assert {pair.id: pair.prompt for pair in reading.pairs} == prompts
    assert {pair.license for pair in reading.pairs} == {"cc0-1.0"}
    if tool == "label-studio":
        assert {(vote.seconds, vote.time) for pair in reading.pairs for vote in pair.votes} == {
            (SECONDS, TIME)
        }


@pytest.mark.parametrize("name", TOOLS)
def test_repeats_and_mirrors_come_back_as_such_with_the_side_that_was_shown(
    name: str, campaign: Campaign, tmp_path: Path
) -> None:
    path = campaign.path / "campaign.json"
    path.write_text(
        json.dumps(json.loads(path.read_text("utf-8")) | {"repeat_share": 0.25, "mirror_share": 0.125})
    )
    tool, answer = TOOLS[name]
    folder = export(campaign, tool, tmp_path / "out" / "for-others")
    # A person who likes one image of each pair, and likes the other one when asked again.
    pairs = {pair.id: pair for pair in campaign.pairs}
    given = [Given(pair.id, "1", pair.image_1_id) for pair in campaign.pairs]
    given += [Given(pair.id, "1", pair.image_2_id, kind) for pair in pairs.values() for kind in MEASURING]
    images = None if tool == "argilla" else campaign.path.parent / "pairs-images"
    reading, found = read_back(tmp_path / "work", answer(folder, given), with_images=images)
    assert found == Counter(given[: len(pairs)])  # these alone decide
    kinds = Counter[str | None]()
    for pair in reading.pairs:
        first_left = pairs[pair.id].first_left
        ids = {"image_1": pair.image_1_id, "image_2": pair.image_2_id}
        wanted = {side: getattr(pairs[pair.id], f"{side}_id") for side in ids}
        for vote in pair.votes:
            kinds[vote.kind] += 1
            side = first_left if vote.kind != "mirror" else {"image_1": "image_2"}.get(first_left, "image_1")
            assert ids[str(vote.left)] == wanted[side]
            assert ids[str(vote.label)] == wanted["image_1" if vote.kind == "first" else "image_2"]
        assert sum(vote.kind == "first" for vote in pair.votes) == 1
    assert kinds == {"first": 8, "repeat": 2, "mirror": 1}
    # And nobody is asked about one pair twice in a row.
    order = asked_in_order(folder)
    for pair_id in pairs:
        places = [place for place, each in enumerate(order) if each == pair_id]
        assert len(places) <= 2
        assert places[-1] - places[0] not in range(1, 6)


def test_a_space_asks_as_the_campaign_says_and_its_votes_are_those_of_the_kit(
    campaign: Campaign, tmp_path: Path
) -> None:
    folder = export(campaign, "space", tmp_path / "space")
    path = tmp_path / "votes.jsonl"
    votes = open_space(folder, path, overlap=4, repeat_share=0.5, mirror_share=0.5)
    given, kinds, lefts = Counter[Given](), Counter[str](), dict[str, list[str]]()
    people = [f"{number:016x}" for number in range(4)]
    seen: dict[str, list[tuple[str, str]]] = {name: [] for name in people}
    tasks = {name: votes.next_task(name) for name in people}
    while tasks := {name: task for name, task in tasks.items() if task is not None}:
        for name, task in tasks.items():
            assert votes.next_task(name) in (task, None)  # until it is answered, or has all its votes
            if votes.answer(name, task, "left", 1.5) is None:
                continue
            kinds[task.kind] += 1
            seen[name].append((task.pair["id"], task.left))
            if task.kind == "first":
                lefts.setdefault(task.pair["id"], []).append(task.left)
                given[Given(task.pair["id"], name, task.pair[f"{task.left}_id"])] += 1
        tasks = {name: votes.next_task(name) for name in people}

    # Every pair has its votes, on sides that take turns; repeats keep the side, and mirrors swap it.
    assert kinds["first"] == 4 * len(campaign.pairs)
    assert kinds["repeat"]
    assert kinds["mirror"]
    for pair in campaign.pairs:
        assert lefts[pair.id][0] == pair.first_left
        assert Counter(lefts[pair.id]) == {"image_1": 2, "image_2": 2}
    lines = [CampaignVote.model_validate_json(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        if line.kind != "first":
            first = next(
                each
                for each in lines
                if (each.annotator, each.pair_id, each.kind) == (line.annotator, line.pair_id, "first")
            )
            assert (line.left == first.left) == (line.kind == "repeat")
    reading, found = read_back(tmp_path / "work", path, with_images=campaign.path.parent / "pairs-images")
    assert found == given
    assert sum(len(pair.votes) for pair in reading.pairs) == kinds.total()
    assert {vote.seconds for pair in reading.pairs for vote in pair.votes} == {1.5}


def test_a_space_goes_on_after_a_restart_and_takes_votes_back(campaign: Campaign, tmp_path: Path) -> None:
    folder = export(campaign, "space", tmp_path / "space")
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    votes = open_space(folder, first)
    ann = import_voting(folder).name_annotator("Ann", "key")
    task = votes.next_task(ann)
    vote_id = votes.answer(ann, task, "both_good", 2)
    assert votes.answer(ann, task, "left", 2) is None  # in another tab
    with first.open("a", encoding="utf-8") as file:
        file.write('{"vote_id": "cut')
    before = import_voting(folder).read_lines(first)
    again = open_space(folder, second, before)
    assert again.progress(ann) == 1
    assert again.next_task(ann).pair["id"] != task.pair["id"]
    undone = again.undo(ann)
    assert (undone.pair["id"], undone.kind, undone.left) == (task.pair["id"], task.kind, task.left)
    assert again.next_task(ann) == undone
    assert again.progress(ann) == 0
    assert again.undo(ann) is None
    assert again.answer(ann, undone, "right", 1) != vote_id
    (tmp_path / "votes.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in before) + second.read_text("utf-8"), "utf-8"
    )
    reading, found = read_back(tmp_path / "work", tmp_path / "votes.jsonl")
    (pair,) = reading.pairs
    assert Counter(vote.status for vote in pair.votes) == {"discarded": 1, "submitted": 1}
    assert len(found) == 1


def test_no_export_has_a_secret_a_link_a_vote_or_a_known_answer(campaign: Campaign, tmp_path: Path) -> None:
    gold = campaign.pairs[0]
    path = campaign.path / "pairs.jsonl"
    lines = path.read_text("utf-8").splitlines()
    lines[0] = gold.model_copy(update={"gold": Label.BOTH_BAD}).model_dump_json()
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    secrets = [
        (campaign.path / "secret").read_text("utf-8").strip(),
        *(token for _, token in campaign.tokens()),
    ]
    for tool in EXPORTS:
        folder = export(campaign, tool, tmp_path / tool)
        files = [each for each in folder.rglob("*") if each.is_file()]
        assert files
        for file in files:
            data = file.read_bytes()
            assert not [secret for secret in [*secrets, gold.id, '"gold"'] if secret.encode() in data], file
            assert str(tmp_path).encode() not in data


def test_what_people_wrote_stays_text(campaign: Campaign, tmp_path: Path) -> None:
    studio = export(campaign, "label-studio", tmp_path / "studio")
    config = ET.parse(studio / "labeling-config.xml").getroot()
    assert [each.get("hotkey") for each in config.iter("Choice")] == list("12345")
    assert {each.get("value") for each in config.iter("Image")} == {"$left_image", "$right_image"}
    template = json.loads(
        (export(campaign, "argilla", tmp_path / "argilla") / ".argilla/settings.json").read_text()
    )
    html = template["fields"][0]["settings"]["template"]
    assert "{{{" not in html  # which would not escape
    space = export(campaign, "space", tmp_path / "space")
    head = yaml.safe_load((space / "README.md").read_text("utf-8").split("---\n")[1])
    assert (head["title"], head["sdk"], head["hf_oauth"]) == ('Faces: "a" <b>', "gradio", True)
    assert [line.count("==") for line in (space / "requirements.txt").read_text().splitlines()] == [1, 1]
    for folder in (studio, space):
        for pair in campaign.pairs:
            data = (folder / pair.image_1).read_bytes()
            assert image_id_of(hashlib.sha256(data).hexdigest()) == pair.image_1_id


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--for", "label-studo", "--out", "new"], 2, "did you mean label-studio?"),
        (["--for", "argilla", "--out", "there"], 2, "nothing is overwritten"),
    ],
)
def test_wrong_flags_are_told(
    arguments: list[str],
    status: int,
    message: str,
    campaign: Campaign,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(["export", str(campaign.path), *arguments]) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_image_that_is_gone_or_a_link_leaves_no_folder(
    campaign: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (
        campaign.path / image for image in (campaign.pairs[0].image_1, campaign.pairs[1].image_2)
    )
    first.unlink()
    second.unlink()
    second.symlink_to("/etc/hostname")
    for tool in EXPORTS:
        assert main(["export", str(campaign.path), "--for", tool, "--out", str(tmp_path / tool)]) == 1
        assert first.name in capsys.readouterr().err
        assert not (tmp_path / tool).exists()
    assert not list(tmp_path.glob(".*"))
