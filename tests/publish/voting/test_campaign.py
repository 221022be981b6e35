"""`sfhq campaign` from a folder of images to votes, with simulated people whose rates are known."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from builders.generation.image_folder import TABLE_NAME
from publish.campaign import main
from publish.sfhq import main as sfhq
from schemas.campaign import CampaignPair, CampaignVote
from tests.builders.generation.campaign.worlds import digest
from tests.publish.voting.server import Server, image_folder, make_campaign, read_lines, running
from tests.support import ROOT, good_folder

FIRST = "FLUX1_dev"


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command with `--json`; return its exit status and the document."""
    capsys.readouterr()
    status = main([*arguments, "--json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, document


def read_pairs(campaign: Path) -> list[CampaignPair]:
    """Return the pairs of a campaign."""
    lines = (campaign / "pairs.jsonl").read_text().splitlines()
    return [CampaignPair.model_validate_json(line) for line in lines]


def say(task: dict[str, Any], pair: CampaignPair, *, first_wins: bool) -> str:
    """Return the choice for the model `FIRST`, or for the other one."""
    best = pair.image_1 if (pair.model_1 == FIRST) == first_wins else pair.image_2
    return "left" if task["left"] == best else "right"


def work_through(server: Server, number: int, pairs: dict[str, CampaignPair], name: str) -> None:
    """Have a person answer until there is nothing left.

    Args:
        server: Where.
        number: Of the person's link.
        pairs: By id.
        name: `careful` is wrong on one prompt in ten, by chance of the prompt; `moody` is, too, and says
            the opposite when a pair comes again; `left` takes the left image always.
    """
    seen = set[str]()
    headers = {"X-Campaign-Token": server.tokens[number]}
    with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=60) as client:
        state = client.get("/api/state").json()
        while (task := state["task"]) is not None:
            pair = pairs[task["pair_id"]]
            is_true = int(digest(f"{pair.prompt} true"), 16) % 100 < 70
            is_wrong = int(digest(f"{pair.prompt} {number}"), 16) % 10 == 0
            if name == "moody" and pair.id in seen:
                is_wrong = not is_wrong
            choice = "left" if name == "left" else say(task, pair, first_wins=is_true != is_wrong)
            seen.add(pair.id)
            body = {"vote_id": task["vote_id"], "pair_id": pair.id, "choice": choice, "seconds": 3 + number}
            state = client.post("/api/vote", json=body).json()
            assert state["outcome"] == "stored"


def test_known_rates_come_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = make_campaign(tmp_path / "campaign", 100, "--annotators", "3", size=(24, 24))
    pairs = {pair.id: pair for pair in read_pairs(campaign)}
    people = ("left", "moody", "careful")
    with running(campaign) as server:
        for number, name in enumerate(people):
            work_through(server, number, pairs, name)
    status, document = run_json(capsys, "status", str(campaign))
    assert status == 0
    numbers = document["result"]["numbers"]
    assert (numbers["pairs"], numbers["settled"]) == (100, 100)
    votes = [CampaignVote.model_validate(line) for line in read_lines(campaign)]
    firsts = Counter(vote.pair_id for vote in votes if vote.kind == "first")
    assert set(firsts.values()) <= {2, 3}
    assert numbers["spared"] == 300 - firsts.total() > 0
    true = sum(int(digest(f"{pair.prompt} true"), 16) % 100 < 70 for pair in pairs.values()) / 100
    wins = numbers["wins"][FIRST]
    assert wins["low"] <= true <= wins["high"]
    by_median = {each["seconds"]: each for each in numbers["annotators"]}
    left, moody, careful = (by_median[3.0 + number] for number in range(3))
    assert left["left"]["share"] == 1
    assert left["is_one_sided"]
    assert left["mirrored_side"]["count"] == left["mirrored_side"]["total"] > 0
    assert moody["consistency"]["share"] == 0
    assert careful["consistency"]["share"] == 1
    assert not careful["is_one_sided"]
    assert careful["mirrored_side"]["share"] == 0
    kinds = Counter(vote.kind for vote in votes if vote.annotator == moody["annotator"])
    assert (kinds["repeat"], kinds["mirror"]) in {(a, b) for a in (4, 5, 6) for b in (4, 5, 6)}
    main(["status", str(campaign)])
    out = capsys.readouterr().out
    assert "favours a side" in out
    assert "Every pair is settled" in out


def test_a_campaign_is_whole_and_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = image_folder(tmp_path / "images", 9)
    for name in ("one", "two"):
        assert main(["new", str(images), "--out", str(tmp_path / name), "--pairs", "7", "--seed", "3"]) == 0
    one, two = tmp_path / "one", tmp_path / "two"
    assert (one / "pairs.jsonl").read_bytes() == (two / "pairs.jsonl").read_bytes()
    assert (one / "secret").read_bytes() != (two / "secret").read_bytes()
    pairs = read_pairs(one)
    assert len(pairs) == 7
    for pair in pairs:
        for path, image_id in ((pair.image_1, pair.image_1_id), (pair.image_2, pair.image_2_id)):
            assert image_id in path
            assert (one / path).is_file()
    assert abs(Counter(pair.model_1 for pair in pairs)[FIRST] - 3.5) <= 0.5
    before = (one / "campaign.json").read_bytes()
    capsys.readouterr()
    assert main(["new", str(images), "--out", str(one)]) == 2
    assert "in the way" in capsys.readouterr().err
    assert (one / "campaign.json").read_bytes() == before
    assert sfhq(["campaign", "status", str(one)]) == 0
    assert "0 of 7" in capsys.readouterr().out


def test_the_plan_says_what_intervals_take_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = image_folder(tmp_path / "images", 6)
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", str(images), "--plan", "--overlap", "5"]) == 0
    out = capsys.readouterr().out
    row = next(line.split() for line in out.splitlines() if line.split()[:2] == ["±", "10"])
    assert row == ["±", "10", "%", "93", "93", "279", "465", "1.0"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pair_says_what_is_known_of_its_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = image_folder(tmp_path / "images", 6)
    (images / TABLE_NAME).rename(images / "faces.csv")  # the only table
    facts = {"prompt_id": "p-1", "category": "Animation", "sub_category": "Anime", "evolution": "simplified"}
    facts |= {"prompt_license": "cc-by-sa-4.0"}
    records = [
        {"image_filename": f"{generator}_{number:04d}.png", "status": "delivered", **facts}
        for number in range(2)
        for generator in ("FLUX1_dev", "FLUX1_schnell")
    ]
    lines = [*(json.dumps(record) for record in records), "no record", '{"image_filename": null}']
    (images / "generation.jsonl").write_text("\n".join(lines))
    assert main(["new", str(images), "--pairs", "4", "--out", str(tmp_path / "campaign")]) == 0
    pairs = read_pairs(tmp_path / "campaign")
    known = [pair for pair in pairs if pair.category]
    assert len(known) == 2  # both categories have as many, "none" being one
    assert all(pair.model_dump(include=set(facts)) == facts for pair in known)
    _, document = run_json(capsys, "new", str(images), "--plan")
    assert document["result"]["categories"] == {"": 4, "Animation": 2}


def test_what_cannot_be_asked_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = good_folder(tmp_path / "faces", 4)
    folder.rows[0][2] = folder.rows[1][2] = "a naked person"
    folder.rows[2][2] = folder.rows[3][2] = "a person who smiles"
    folder.write()
    assert main(["new", str(folder.path), "--out", str(tmp_path / "campaign")]) == 0
    err = capsys.readouterr().err
    assert err.count("sexual") == 2
    assert [pair.prompt for pair in read_pairs(tmp_path / "campaign")] == ["a person who smiles"]
    assert main(["new", str(folder.path), "--out", str(tmp_path / "other"), "--pairs", "2"]) == 2
    assert "give --pairs 1" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    alone = good_folder(tmp_path / "alone", 3).write()
    assert main(["new", str(alone), "--out", str(tmp_path / "other")]) == 1
    assert "no prompt has two different images" in capsys.readouterr().err
    assert main(["new", str(tmp_path), "--out", str(tmp_path / "other")]) == 1
    assert main(["status", str(tmp_path)]) == 1
    assert main(["new", str(alone)]) == 2


def test_damaged_images_are_named_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = image_folder(tmp_path / "images", 2)
    for name in ("FLUX1_dev_0000.png", "FLUX1_dev_0001.png"):
        (images / "images" / name).write_bytes(b"\x89PNG no more")
    assert main(["new", str(images), "--out", str(tmp_path / "campaign")]) == 1
    err = capsys.readouterr().err
    assert "FLUX1_dev_0000.png" in err
    assert "FLUX1_dev_0001.png" in err
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_gold_pairs_measure_and_do_not_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, gold = image_folder(tmp_path / "images", 30, size=(24, 24)), tmp_path / "gold.jsonl"
    lines = [
        {
            "image_1": f"FLUX1_dev_{each:04d}.png",
            "image_2": f"FLUX1_schnell_{each:04d}.png",
            "label": "image_1",
        }
        for each in range(2)
    ]
    gold.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    campaign = tmp_path / "campaign"
    flags = ("--pairs", "28", "--overlap", "1", "--gold", str(gold))
    assert main(["new", str(images), "--out", str(campaign), *flags]) == 0
    pairs = {pair.id: pair for pair in read_pairs(campaign)}
    assert Counter(pair.gold for pair in pairs.values()) == {None: 28, "image_1": 2}
    with running(campaign) as server:
        work_through(server, 0, pairs, "left")
    votes = read_lines(campaign)
    assert {vote["kind"] for vote in votes if pairs[vote["pair_id"]].gold} == {"gold"}
    _, document = run_json(capsys, "status", str(campaign))
    (person,) = document["result"]["numbers"]["annotators"]
    assert person["gold"]["total"] == 2
    assert document["result"]["numbers"]["settled"] == 28

    wrong = [{**lines[0], "image_1": "FLUX1_dev_9999.png"}, {**lines[0], "label": "left"}, {"image_1": "x"}]
    wrong += [{**lines[0], "image_2": "FLUX1_dev_0001.png"}]
    gold.write_text("".join(f"{json.dumps(line)}\n" for line in wrong))
    capsys.readouterr()
    assert main(["new", str(images), "--out", str(tmp_path / "other"), "--gold", str(gold)]) == 2
    assert capsys.readouterr().err.count("blocking") == 4


def test_gold_pairs_are_taken_off_the_pairs_that_are_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, gold = image_folder(tmp_path / "images", 4, size=(24, 24)), tmp_path / "gold.jsonl"
    line = {"image_1": "FLUX1_dev_0002.png", "image_2": "FLUX1_schnell_0002.png", "label": "both_bad"}
    gold.write_text(json.dumps(line))
    assert main(["new", str(images), "--out", str(tmp_path / "campaign"), "--gold", str(gold)]) == 0
    assert [pair.gold for pair in read_pairs(tmp_path / "campaign")] == [None, None, None, "both_bad"]
    capsys.readouterr()
    flags = ("--out", str(tmp_path / "other"), "--gold", str(gold))
    assert main(["new", str(images), "--pairs", "4", *flags]) == 2
    assert "3 pairs of images with one prompt besides gold ones" in capsys.readouterr().err
    gold.write_text("\n".join(json.dumps(line).replace("0002", f"000{each}") for each in range(4)))
    assert main(["new", str(images), *flags]) == 2
    assert "each pair of the folder is a gold pair" in capsys.readouterr().err


def test_a_gold_pair_that_comes_twice_is_refused_with_the_rows_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, gold = image_folder(tmp_path / "images", 3, size=(24, 24)), tmp_path / "gold.jsonl"
    first, second = "FLUX1_dev_0002.png", "FLUX1_schnell_0002.png"
    line = {"image_1": first, "image_2": second, "label": "image_1"}
    reversed_line = {"image_1": second, "image_2": first, "label": "image_2"}
    other = {**line, "image_1": "FLUX1_dev_0001.png", "note": "a\u2028text"}
    lines = [json.dumps(each, ensure_ascii=False) for each in (line, other, line, reversed_line)]
    gold.write_text("\n \n".join([*lines, "{}"]), encoding="utf-8")
    capsys.readouterr()
    assert main(["new", str(images), "--out", str(tmp_path / "campaign"), "--gold", str(gold)]) == 2
    said = capsys.readouterr().err
    assert re.findall(r"gold\.jsonl:(\d+)", said) == ["3", "5", "7", "9"]
    assert said.count("is in row 1 already") == 2


def test_copies_of_an_image_are_listed_and_make_no_second_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, gold = image_folder(tmp_path / "images", 4, size=(24, 24)), tmp_path / "gold.jsonl"
    images = path / "images"
    (images / "FLUX1_schnell_0000.png").write_bytes((images / "FLUX1_dev_0000.png").read_bytes())
    with (path / TABLE_NAME).open("a") as table:
        for number in range(1, 4):  # under another name, and of another generator
            table.write(f"copy_{number}.png,SDXL,a face with number {number},{{}}\r\n")
            (images / f"copy_{number}.png").hardlink_to(images / f"FLUX1_dev_{number:04d}.png")
    line = {"image_1": "FLUX1_schnell_0003.png", "image_2": "copy_3.png", "label": "image_1"}
    gold.write_text(json.dumps(line))
    capsys.readouterr()
    flags = ("--gold", str(gold), "--out")
    assert main(["new", str(path), *flags, str(tmp_path / "campaign")]) == 0
    said = capsys.readouterr().err
    names = ["FLUX1_schnell_0000.png", "copy_1.png", "copy_2.png", "copy_3.png"]
    assert re.findall(r"(\w+\.png): the image has the same bytes", said) == names
    pairs = read_pairs(tmp_path / "campaign")
    assert sorted(pair.prompt[-1] for pair in pairs) == ["1", "2", "3"]
    assert {pair.model_1 for pair in pairs} | {pair.model_2 for pair in pairs} == {FIRST, "FLUX1_schnell"}
    assert main(["new", str(path), "--pairs", "3", *flags, str(tmp_path / "other")]) == 2
    assert "give --pairs 2" in capsys.readouterr().err
    for again, message in (
        (("copy_3.png", "FLUX1_schnell_0003.png"), "the pair is in row 1 already"),
        (("copy_3.png", "FLUX1_dev_0003.png"), "the same content"),
    ):
        wrong = {**line, "image_1": again[0], "image_2": again[1]}
        gold.write_text(f"{json.dumps(line)}\n{json.dumps(wrong)}")
        assert main(["new", str(path), *flags, str(tmp_path / "other")]) == 2
        assert message in capsys.readouterr().err


def test_a_damaged_campaign_is_named_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = make_campaign(tmp_path / "campaign", 3)
    lines = (campaign / "pairs.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace('"image_1":"images/', '"image_1":"../')
    (campaign / "pairs.jsonl").write_text("\n".join(lines))
    (campaign / "secret").write_text("short")
    capsys.readouterr()
    assert main(["serve", str(campaign), "--port", "0"]) == 1
    err = capsys.readouterr().err
    assert "pairs.jsonl:2" in err
    assert "secret" in err


def test_a_vote_that_is_no_vote_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = make_campaign(tmp_path / "campaign", 2)
    (campaign / "votes.jsonl").write_text('{"vote_id": 1}\n{"half')
    capsys.readouterr()
    for verb in (["status"], ["serve", "--port", "0"]):
        assert main([verb[0], str(campaign), *verb[1:]]) == 1
        assert "votes.jsonl:1" in capsys.readouterr().err
    assert (campaign / "votes.jsonl").read_text() == '{"vote_id": 1}\n{"half'


@pytest.mark.parametrize("verb", ["new", "serve"])
def test_the_guide_has_every_flag(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    flags = set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out)) - {"--help"}
    page = (ROOT / "CAMPAIGNS.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## Flags of campaign {verb}\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) == flags
