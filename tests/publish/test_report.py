"""Reports: what prompts ask for beside what models see, by group, and how often models are right."""

import io
import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from builders.card.readme import read_numbers
from builders.sample.faces import ATTRIBUTES, Face, draw_face, random_face
from publish import release, report
from publish.checks.release import check_release
from tests.support import ROOT, SfhqFolder, request_record, write_requests

NUM_IMAGES, WRONG, RATE = 300, "brown", 0.3
_NAMES = {"skin": "skin", "expression": "expression", "hair_color": "hair_color"}


@dataclass(frozen=True)
class Collection:
    """A release of drawn faces, of which one group is drawn with another expression than asked for."""

    folder: Path
    faces: dict[str, Face]

    @property
    def release(self) -> Path:
        return self.folder / "dist" / "1.0"

    def report(self, *arguments: str) -> int:
        kind, *others = arguments
        return report.main([kind, str(self.release), *others])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Draw faces, ask a faultless model what they show, and release both."""
    place, rng = tmp_path_factory.mktemp("report"), Random(11)
    folder = SfhqFolder(place / "faces")
    faces, captions, records = {}, [], []
    for number in range(NUM_IMAGES):
        asked = replace(random_face(number), skin=ATTRIBUTES["skin"][number % len(ATTRIBUTES["skin"])])
        shown = asked
        if asked.skin == WRONG and rng.random() < RATE:
            others = [value for value in ATTRIBUTES["expression"] if value != asked.expression]
            shown = replace(asked, expression=rng.choice(others))
        name, gender = f"drawn_image_{number:07d}.jpg", ("woman", "man")[number // 6 % 2]
        folder.rows.append([name, "drawn", f"a {gender} who looks {asked.expression}", "{}"])
        folder.images[f"images/{name}"] = _jpeg(shown)
        faces[name] = shown
        wanted = {"gender": gender, "age": str(20 + number % 60), **_attributes(asked)}
        attributes = [{"attribute": key, "value": value} for key, value in wanted.items()]
        records.append(
            request_record(folder, number, generator="drawn", provider="drawn", attributes=attributes)
        )
        seen = {"gender": {"woman": "female", "man": "male"}[gender], **_attributes(shown)}
        said = [
            {"attribute": key, "value": value, "confidence": 0.9, "source_model": "eyes-1"}
            for key, value in seen.items()
        ]
        captions.append({"image_filename": name, "caption": "a face", "captioner": "us", "attributes": said})
    write_requests(folder.write(), records)
    (place / "captions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in captions))
    for name in ("release.toml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, place)
    arguments = ["--config", str(place / "release.toml"), "--sfhq", str(folder.path), "--version", "1.0"]
    captions_flags = ["--captions", str(place / "captions.jsonl"), "--out", str(place / "dist")]
    assert release.main([*arguments, *captions_flags]) == 0
    return Collection(place, faces)


def _jpeg(face: Face) -> bytes:
    data = io.BytesIO()
    draw_face(face, 24).save(data, "JPEG")
    return data.getvalue()


def _attributes(face: Face) -> dict[str, str]:
    return {name: getattr(face, name) for name in _NAMES}


def facts_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)["result"]["facts"]
    return {one["attribute"]: one for one in facts["comparisons"]}


@pytest.mark.slow
def test_a_group_that_is_drawn_wrong_is_named_with_an_interval_that_holds_the_rate(
    drawn: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawn.report("fairness", "--by", "skin", "--json") == 0
    found = facts_of(capsys)
    assert found["gender"]["agreement"]["value"] == 1.0
    groups = {each["name"]: each for each in found["expression"]["groupings"]}
    lowest = groups["skin"]["groups"][0]
    assert lowest["label"] == WRONG
    assert lowest["agreement"]["low"] <= 1 - RATE <= lowest["agreement"]["high"]
    assert [each["label"] for each in groups["skin"]["groups"] if each["is_lower"]] == [WRONG]
    assert groups["skin"]["difference"]["low"] <= RATE <= groups["skin"]["difference"]["high"]
    assert not any(each["is_lower"] for name in ("gender", "age") for each in groups[name]["groups"])


@pytest.mark.slow
def test_the_report_is_a_table_a_page_and_a_figure_and_the_release_stays_as_it_is(
    drawn: Collection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = sorted(path.name for path in drawn.release.iterdir())
    assert drawn.report("fairness", "--by", "skin", "--out", str(tmp_path / "out")) == 0
    captured = capsys.readouterr()
    assert re.search(r"expression +eyes-1 +skin +brown \d\d\.\d %", captured.out)
    assert "expression of skin brown: prompt and model agree on" in captured.err
    page = (tmp_path / "out" / "fairness.md").read_text()
    assert "300 of 300 images have a prompt with attributes." in page
    assert re.search(r"\| brown \| 50 \| \d\d % \(.*\) \| \*lower\* \|", page)
    assert (tmp_path / "out" / "fairness.png").stat().st_size > 5_000
    assert sorted(path.name for path in drawn.release.iterdir()) == before
    assert drawn.report("fairness", "--out", str(drawn.release / "figures")) == 2
    assert "no report is written into it" in capsys.readouterr().err


@pytest.mark.slow
def test_card_and_croissant_say_it_in_short(drawn: Collection) -> None:
    card = (drawn.release / "README.md").read_text()
    table = card[card.index("<!-- asked and seen -->") : card.index("<!-- /asked and seen -->")]
    assert "| `gender` | `eyes-1` | 300 | 100 % (99 to 100 %) |" in table
    assert re.search(r"\| `expression` \| `eyes-1` \| 300 \| 9\d % .* \|", table)
    assert "figures/agreement.png" in card
    croissant = json.loads((drawn.release / "croissant.json").read_text())
    assert "rai:dataBiases" in croissant
    assert check_release(drawn.release) == []
    wrong = card.replace("| `gender` | `eyes-1` | 300 |", "| `gender` | `eyes-1` | 299 |")
    assert read_numbers(wrong) != read_numbers(card)


@pytest.mark.slow
def test_labels_of_a_person_say_how_often_a_model_is_right(
    drawn: Collection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A person labels 100 images, and calls 10 of them sad that are not."""
    truth, names = tmp_path / "labels.csv", list(drawn.faces)[:100]
    sad = [name for name in names if drawn.faces[name].expression != "sad"][:10]
    lines = [
        f"{name},{'sad' if name in sad else drawn.faces[name].expression},{drawn.faces[name].skin}"
        for name in names
    ]
    truth.write_text("\n".join(["file_name,expression,skin", *lines]) + "\n")
    assert drawn.report("attributes", "--truth", str(truth), "--json") == 0
    found = facts_of(capsys)
    assert found["skin"]["agreement"]["value"] == 1.0
    assert (found["expression"]["agreement"]["value"], found["expression"]["agreement"]["total"]) == (
        0.9,
        100,
    )
    assert (
        sum(found["expression"]["table"]["sad"].values()) - found["expression"]["table"]["sad"]["sad"] == 10
    )
    assert drawn.report("fairness", "--truth", str(truth)) == 0
    assert "expression by eyes-1 is right on 90.0 %" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_labels_of_unknown_images_are_refused_all_at_once(
    drawn: Collection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    truth = tmp_path / "labels.csv"
    truth.write_text("file_name,expression\nnobody.jpg,sad\nnowhere.jpg,sad\n")
    assert drawn.report("attributes", "--truth", str(truth)) == 2
    err = capsys.readouterr().err
    assert "labels.csv:2" in err
    assert "labels.csv:3" in err
    assert "nobody.jpg" in err
    assert drawn.report("attributes", "--truth", str(tmp_path / "none.csv")) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
def test_of_drawn_images_the_truth_is_what_their_prompts_ask_for(
    drawn: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawn.report("attributes", "--json") == 0
    assert facts_of(capsys)["hair_color"]["agreement"]["value"] == 1.0
