"""Private data in a run: a secret is nowhere on disk or in the output, and settings decide about the rest."""

import io
import json
import random
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from publish.release import main
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes

TOKEN = "hf_" + "".join(random.Random(11).choices("ABCDEFGHabcdefgh0123456789", k=34))
EMAIL = "jane.doe@example.org"
SETTINGS = f"""
[dataset]
name = "sfhq-t2i"
title = "Faces"
repository = "org/sfhq-t2i"
summary = "Faces."
{{dataset}}
[release]
citation = {json.dumps(str(ROOT / "CITATION.cff"))}
changelog = {json.dumps(str(ROOT / "CHANGELOG.md"))}
{{more}}
"""


class World:
    """A folder of images and a table of captions, and releases of them.

    Args:
        path: An empty folder.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.out = path, path / "dist"
        self.images: SfhqFolder = good_folder(path / "in", num_images=5)
        self.captions: list[dict[str, object]] = [
            {"image": row[0], "caption": f"caption {number}"} for number, row in enumerate(self.images.rows)
        ]

    def run(self, *flags: str, dataset: str = "", more: str = "") -> int:
        """Build version 1.0 and return the exit status."""
        lines = "".join(json.dumps(row) + "\n" for row in self.captions)
        (self.path / "c.jsonl").write_text(lines)
        settings = self.path / "release.toml"
        settings.write_text(SETTINGS.format(dataset=dataset, more=more))
        assert tomllib.loads(settings.read_text())
        sources = ["--sfhq", str(self.images.write()), "--captions", str(self.path / "c.jsonl")]
        place = ["--config", str(settings), "--out", str(self.out)]
        return main(["--version", "1.0", *place, *sources, *flags])

    def holds(self, text: str) -> list[str]:
        """Name the files below the output folder that hold a text, in their bytes or in a cell."""
        return [
            path.name
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
            and (text.encode() in path.read_bytes() or any(text in each for each in cells(path)))
        ]


def cells(path: Path) -> Iterator[str]:
    """Yield the rows of a Parquet file as text; its bytes are compressed."""
    if path.suffix == ".parquet":
        for row in pq.read_table(path).to_pylist():
            yield str(row)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def png(text: str) -> bytes:
    """Encode an image with a workflow that holds a text."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", json.dumps({"key": text}), zip=True)
    file = io.BytesIO()
    with Image.open(io.BytesIO(image_bytes(50))) as image:
        image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def put_secrets(world: World) -> None:
    """Put a token into every kind of place that a release would publish."""
    rows = world.images.rows
    rows[0][2] = f"a face, {TOKEN}, smiling"
    rows[1][3] = json.dumps({"seed": 7, "api_key": TOKEN})
    rows[2][3] = json.dumps({"seed": 7, "nested": {"a": [f"Bearer {TOKEN}"]}})
    world.images.images[f"images/{rows[3][0]}"] = png(TOKEN)
    world.captions[0]["caption"] = f"a face\n{TOKEN}"
    world.captions[1]["captioner"] = TOKEN
    world.captions[2]["who"] = {"key": TOKEN}


@pytest.mark.parametrize("flags", [[], ["--json"], ["--plan"], ["--strict"]])
def test_secrets_stop_the_build_and_are_shown_nowhere(
    world: World, flags: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put_secrets(world)
    assert world.run(*flags) == 1
    said = capsys.readouterr()
    assert not (world.out / "1.0").exists()
    assert not (world.out / "1.0.work").exists()
    assert TOKEN[3:13] not in said.out + said.err
    for place in ("csv:2:prompt", "csv:3:settings.api_key", "csv:4:settings.nested", "PNG workflow"):
        assert place in said.err
    for place in ("c.jsonl:1:caption", "c.jsonl:2:captioner", "c.jsonl:3:extras.who.key"):
        assert place in said.err
    assert world.images.rows[3][0] in said.err
    assert world.holds(TOKEN[3:13]) == []
    if "--json" in flags:
        problems = json.loads(said.out)["problems"]
        assert [each["value"] for each in problems if each["code"] == "secret"] == ["hf_…"] * 7


def test_a_secret_in_what_a_killed_run_left_goes_with_the_refused_run(world: World) -> None:
    put_secrets(world)
    work = world.out / "1.0.work"
    (work / "1.0").mkdir(parents=True)
    (work / "1.0.journal").write_text("")
    (work / "catalog.sqlite").write_text(TOKEN)
    assert world.run() == 1
    assert world.holds(TOKEN[3:13]) == []


@pytest.mark.parametrize(
    ("dataset", "place"),
    [
        (f'description = "see {TOKEN}"', "dataset.description"),
        (f'use_cases = ["a", "see {TOKEN}"]', "dataset.use_cases"),
        (f'[search]\nqueries = ["a face", "{TOKEN}"]', "search.queries"),
    ],
)
def test_a_secret_in_the_settings_is_refused_before_anything_is_read(
    world: World, dataset: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run(dataset=dataset) == 2
    said = capsys.readouterr().err
    assert place in said
    assert "[secret]" in said
    assert TOKEN[3:13] not in said
    assert not world.out.exists()


@pytest.mark.slow
def test_a_rejected_row_keeps_its_secret_for_itself(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    rows = world.images.rows
    rows[0][1] = f"unknown-{TOKEN}"
    rows[1][3] = json.dumps({"seed": f"not a number\n{TOKEN}"})
    rows[2][0] = f"{TOKEN}.jpg"
    world.captions[3] = {"image": f"gone {TOKEN}.jpg", "caption": f"a\n{TOKEN}"}
    assert world.run("--json") == 0
    said = capsys.readouterr()
    assert TOKEN[3:13] not in said.out + said.err
    assert world.holds(TOKEN[3:13]) == []
    rejected = pq.read_table(world.out / "rejected" / "1.0.parquet").to_pylist()
    assert len([row for row in rejected if "hf_…" in row["raw"]]) == 4
    assert "hf_…" in str([row["problems"] for row in rejected])


@pytest.mark.slow
def test_private_texts_and_images_are_told_and_published(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for row in world.captions:
        row |= {"who": EMAIL, "ip": "192.0.2.7"}
    world.images.images[f"images/{world.images.rows[0][0]}"] = png("/home/jane/x") + b"PK\x05\x06"
    assert world.run() == 0
    said = capsys.readouterr().err
    for part in (
        "5 rows with an e-mail address",
        "5 rows with an IP address",
        "1 image file with the path of",
    ):
        assert part in said
    assert f"1 image file with data after the end of the image: {world.images.rows[0][0]}" in said
    manifest = json.loads((world.out / "1.0" / "manifest.json").read_text())
    assert "privacy" not in manifest["inputs"]
    assert manifest["counts"]["captions"]["warnings"] == {"email_address": 5, "ip_address": 5}
    assert manifest["counts"]["images"]["warnings"]["data_after_image"] == 1


@pytest.mark.slow
def test_a_dropped_column_is_in_no_file_and_named_on_the_card(world: World) -> None:
    for row in world.captions:
        row |= {"who": EMAIL, "batch": 3}
    world.images.rows[0][3] = json.dumps({"seed": 7, "api_user": EMAIL})
    assert world.run(more='[privacy]\ndrop_columns = ["who", "api_user"]') == 0
    assert world.holds(EMAIL) == []
    card = (world.out / "1.0" / "README.md").read_text()
    assert "For privacy, these columns of the sources are not published: `who`, `api_user`." in card
    manifest = json.loads((world.out / "1.0" / "manifest.json").read_text())
    assert manifest["inputs"]["privacy"]["drop_columns"] == ["who", "api_user"]
    assert manifest["counts"]["captions"]["warnings"] == {"dropped_column": 5}
    assert manifest["counts"]["images"]["warnings"] == {"dropped_column": 1}


@pytest.mark.slow
def test_settings_set_private_rows_aside(world: World) -> None:
    world.captions[0]["who"] = EMAIL
    world.images.images[f"images/{world.images.rows[1][0]}"] += b"PK\x05\x06"
    assert world.run(more='[privacy]\ntexts = "reject"\nimages = "reject"') == 0
    counts = json.loads((world.out / "1.0" / "manifest.json").read_text())["counts"]
    assert counts["images"]["rejected"] == {"private_image": 1}
    assert counts["captions"]["rejected"] == {"private_text": 1, "rejected_image": 1}


def test_a_wrong_setting_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.run(more='[privacy]\ntexts = "drop"\ndrop_column = ["who"]') == 2
    said = capsys.readouterr().err
    assert "privacy.texts" in said
    assert "did you mean drop_columns?" in said
