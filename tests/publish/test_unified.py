"""One release of images, captions and preferences: what a maintainer gives, and what a consumer loads."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from builders.card.facts import read_facts
from builders.release.reader import ReleaseReader
from builders.sources.sample import STRENGTHS, true_win_rates
from publish.checks.files import read_manifest
from publish.export import main as export
from publish.release import main
from tests.exports import REAL_RECORD
from tests.support import ROOT, good_folder, image_bytes, tree_digest

SHIPPED = ["--config", str(ROOT / "release.toml")]
SETTINGS = """
[dataset]
name = "faces"
title = "Faces"
repository = "org/faces"
summary = "Faces."
[release]
citation = "{root}/CITATION.cff"
changelog = "{root}/CHANGELOG.md"
"""


def released(out: Path, *arguments: str | Path) -> int:
    """Release in this process."""
    return main(["--version", "1.0", *SHIPPED, "--out", str(out), *map(str, arguments)])


def write_lines(path: Path, *records: object) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def pair(number: int, first: str, second: str, **changes: Any) -> dict[str, Any]:
    """Make a record of an Argilla export."""
    images = {"image_1": first, "image_2": second, "prompt": f"prompt {number}"}
    return REAL_RECORD | {"id": f"{number}-quality", "images": images} | changes


def read_table(folder: Path, config: str) -> list[dict[str, Any]]:
    """Read a config of a release."""
    rows: list[dict[str, Any]] = pq.read_table(folder / config).to_pylist()
    return rows


def test_the_sample_shows_all_three_and_its_true_rates_are_inside_the_intervals(sample_release: Path) -> None:
    facts = read_facts(ReleaseReader(sample_release, read_manifest(sample_release).shards))
    assert facts.captions is not None
    assert [(one.captioner, one.num_captions) for one in facts.captions.captioners] == [
        ("attribute-pipeline", 60),
        ("one-line", 60),
    ]
    votes = facts.preferences
    assert votes is not None
    assert (votes.total, votes.num_responses, votes.num_votes, votes.num_annotators) == (100, 302, 296, 12)
    truth = true_win_rates()
    models = list(STRENGTHS)
    wins = {rate.model: rate.wins for rate in votes.models}
    pairs = read_table(sample_release, "binarized")
    for model in models:
        met = [row for row in pairs if model in (row["chosen_model"], row["rejected_model"])]
        others = [row["rejected_model" if row["chosen_model"] == model else "chosen_model"] for row in met]
        rates = truth | {(b, a): 1 - rate for (a, b), rate in truth.items()}
        expected = sum(rates[model, other] for other in others) / len(others)
        low, high = wins[model].low, wins[model].high
        assert low is not None
        assert high is not None
        assert low < expected < high
    centre = sum(STRENGTHS.values()) / len(STRENGTHS)
    for one in votes.strengths:
        assert one.low is not None
        assert one.high is not None
        assert one.low < STRENGTHS[one.model] - centre < one.high
    assert votes.first_side.low is not None
    assert votes.first_side.high is not None
    assert votes.first_side.low < 0.5 < votes.first_side.high
    assert votes.alpha.value == pytest.approx(0.44, abs=0.005)


def test_the_tables_refer_to_each_other(sample_release: Path) -> None:
    images = {row["image_id"]: row for row in read_table(sample_release, "prompts")}
    captions = read_table(sample_release, "captions")
    listed: dict[str, list[str]] = {}
    for row in captions:
        listed.setdefault(row["image_id"], []).append(row["caption"])
    assert listed == {image_id: row["captions"] for image_id, row in images.items()}
    for row in read_table(sample_release, "binarized"):
        for side in ("chosen", "rejected"):
            assert images[row[f"{side}_id"]]["sha256"] == hashlib.sha256(row[side]["bytes"]).hexdigest()
            assert images[row[f"{side}_id"]]["generator"] == row[f"{side}_model"]


def test_two_folders_captions_and_preferences_make_one_release(tmp_path: Path) -> None:
    first, second = good_folder(tmp_path / "A"), good_folder(tmp_path / "B", 2)
    names = [row[0] for row in first.rows]
    second.images = {f"images/{name}": image_bytes(50 + index) for index, name in enumerate(names[:2])}
    captions = write_lines(
        tmp_path / "captions.jsonl",
        {"image_filename": names[3], "caption": "by name", "model": "m"},
        {"image_filename": f"A/images/{names[0]}", "caption": "in A", "model": "m"},
        {"image_filename": f"B/{names[0]}", "caption": "in B", "model": "m"},
        {"image_filename": names[0], "caption": "in which?", "model": "m"},
        {"image_filename": names[3].replace("0003", "0033"), "caption": "nowhere", "model": "m"},
    )
    # a second file of the same name elsewhere: attributes alone
    (tmp_path / "more").mkdir()
    attributes = tmp_path / "more" / "captions.csv"
    attributes.write_text(f"file_name,attribute,value\n{names[2]},hair,red\n{names[2]},age,30-39\n")
    votes = write_lines(
        tmp_path / "votes.jsonl",
        pair(1, f"https://host.example/A/{names[0]}?token=SECRET", f"https://host.example/B/{names[0]}"),
        pair(2, names[2], names[3], **{"preference.responses": ["image_2", "image_2", "toxic_content"]}),
    )
    sources: list[str | Path] = ["--sfhq", first.write(), "--sfhq", second.write(), "--captions", captions]
    assert released(tmp_path / "dist", *sources, "--captions", attributes, "--preferences", votes) == 0
    folder = tmp_path / "dist" / "1.0"
    images = {(row["source"], row["file_name"]): row for row in read_table(folder, "prompts")}
    assert images["A", names[0]]["captions"] == ["in A"]
    assert images["B", names[0]]["captions"] == ["in B"]
    assert images["A", names[3]]["captions"] == ["by name"]
    attribute_rows = [row for row in read_table(folder, "captions") if row["caption"] is None]
    assert [
        (row["image_id"], [(a["attribute"], a["value"]) for a in row["attributes"]]) for row in attribute_rows
    ] == [(images["A", names[2]]["image_id"], [("hair", "red"), ("age", "30-39")])]
    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    assert counts["captions"]["rejected"] == {"ambiguous_image": 1, "unknown_image": 1}
    assert (counts["captions"]["read"], counts["captions"]["num_rows"]) == (7, 4)
    rejected = pq.read_table(tmp_path / "dist" / "rejected" / "1.0.parquet").to_pylist()
    (nowhere,) = (row for row in rejected if row["reason"] == "unknown_image")
    assert nowhere["problems"][0]["fix"].startswith(f"did you mean {names[3]}")
    by_id = {row["id"]: row for row in read_table(folder, "preferences")}
    assert by_id["1-quality"]["decision"] == "image_1"
    assert by_id["2-quality"]["decision"] == "toxic"
    assert by_id["1-quality"]["image_1_id"] == images["A", names[0]]["image_id"]
    assert by_id["1-quality"]["license"] == "apache-2.0"
    assert by_id["1-quality"]["prompt_license"] == "cc-by-sa-4.0"
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"SECRET" not in everything
    assert REAL_RECORD["preference.responses.users"][0].encode() not in everything
    (only,) = load_dataset(str(folder), "binarized", split="train", cache_dir=str(tmp_path / "cache"))
    assert only["chosen_model"] == "black-forest-labs/FLUX.1-dev"
    assert only["chosen"].size == (24, 16)


@pytest.mark.slow
def test_kinds_are_told_from_content_and_asked_for_where_they_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "images").write()
    name = next((folder / "images").iterdir()).name
    write_lines(tmp_path / "a.data", {"file_name": name, "caption": "x"})
    write_lines(tmp_path / "b.data", pair(1, name, "elsewhere.jpg"))
    config = tmp_path / "release.toml"
    text = SETTINGS.format(root=ROOT)
    paths = "".join(f'[[sources]]\npath = "{path}"\n' for path in ("images", "a.data", "b.data"))
    config.write_text(text + paths)
    out = str(tmp_path / "dist")
    assert main(["--version", "1.0", "--config", str(config), "--out", out]) == 0
    kinds = [source.kind for source in read_manifest(tmp_path / "dist" / "1.0").inputs.sources]
    assert kinds == ["sfhq", "captions/table", "preferences/argilla"]

    write_lines(tmp_path / "c.data", {"file_name": name, "caption": "x", "text": "y"})
    (tmp_path / "d.data").write_text("a,b\n1,2\n")
    config.write_text(text + paths + '[[sources]]\npath = "c.data"\n[[sources]]\npath = "d.data"\n')
    assert main(["--version", "1.1", "--config", str(config), "--out", out]) == 1
    err = capsys.readouterr().err
    assert "more than one column may be the caption: caption, text" in err
    assert 'columns = { caption = "caption" } or columns = { caption = "text" }' in err
    assert "this is no kind of source that the kit knows" in err
    assert 'kind = "captions" or kind = "preferences"' in err

    answered = '[[sources]]\npath = "c.data"\ncolumns = { caption = "text" }\n'
    config.write_text(text + paths + answered)
    assert main(["--version", "2.0", "--config", str(config), "--out", out]) == 0
    captions = {row["caption"] for row in read_table(tmp_path / "dist" / "2.0", "captions")}
    assert captions == {"x", "y"}


class _Images(BaseHTTPRequestHandler):
    """Serves images by number, /7.jpg; whatever else is not there."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        stem = self.path.strip("/").partition(".")[0]
        data = image_bytes(int(stem)) if stem.isdecimal() else b""
        self.send_response(200 if data else 404)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Serve images on loopback; give its address and the list of paths asked for."""
    handler = type("Handler", (_Images,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler.asked  # type: ignore[attr-defined]
        running.shutdown()
        thread.join()


@pytest.mark.slow
def test_images_are_fetched_only_if_asked_for_and_once(
    tmp_path: Path, server: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    address, asked = server
    votes = write_lines(
        tmp_path / "votes.jsonl",
        pair(1, f"{address}/70.jpg", f"{address}/71.jpg"),
        pair(2, f"{address}/70.jpg", f"{address}/gone.jpg"),
    )
    arguments: list[str | Path] = ["--sfhq", good_folder(tmp_path / "images").write()]
    arguments += ["--preferences", votes]
    assert released(tmp_path / "a", *arguments) == 0
    assert asked == []
    assert "3 images are nowhere here" in capsys.readouterr().err
    assert [row["chosen"] for row in read_table(tmp_path / "a" / "1.0", "binarized")] == [None, None]
    assert (
        export([str(tmp_path / "a" / "1.0"), "--layout", "diffusers-dpo", "--out", str(tmp_path / "none")])
        == 1
    )
    assert "2 left out, because the release does not have both images" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()

    assert released(tmp_path / "b", *arguments, "--fetch-images") == 0
    assert sorted(asked) == ["/70.jpg", "/71.jpg", "/gone.jpg"]
    assert "gone.jpg: the server answers 404" in capsys.readouterr().err
    rows = {row["id"]: row for row in read_table(tmp_path / "b" / "1.0", "binarized")}
    assert rows["1-quality"]["chosen"]["bytes"] == image_bytes(70)
    assert rows["1-quality"]["rejected"]["bytes"] == image_bytes(71)
    assert rows["2-quality"]["rejected"] is None
    # fetched images are in pairs, not among the images of the collection
    assert len(read_table(tmp_path / "b" / "1.0", "prompts")) == 4

    assert (
        main(
            [
                "--version",
                "1.1",
                *SHIPPED,
                "--out",
                str(tmp_path / "b"),
                *map(str, arguments),
                "--fetch-images",
            ]
        )
        == 0
    )
    assert asked.count("/70.jpg") == 1


@pytest.mark.slow
def test_a_folder_of_images_takes_the_place_of_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good_folder(tmp_path / "images").write()
    place = tmp_path / "files" / "image_quality_dev"
    place.mkdir(parents=True)
    (place / "3368.jpg").write_bytes(image_bytes(80))
    (tmp_path / "files" / "3368.jpg").write_bytes(image_bytes(81))
    write_lines(tmp_path / "votes.jsonl", REAL_RECORD)
    sources = '[[sources]]\npath = "images"\n[[sources]]\npath = "votes.jsonl"\nimages = "files"\n'
    config = tmp_path / "release.toml"
    config.write_text(SETTINGS.format(root=ROOT) + sources)
    before = tree_digest(tmp_path / "files")
    assert main(["--version", "1.0", "--config", str(config), "--out", str(tmp_path / "dist")]) == 0
    (row,) = read_table(tmp_path / "dist" / "1.0", "binarized")
    assert row["chosen"]["bytes"] == image_bytes(80)
    assert row["rejected"]["bytes"] == image_bytes(81)
    assert tree_digest(tmp_path / "files") == before
    licenses = (tmp_path / "dist" / "1.0" / "LICENSES.md").read_text()
    for terms in ("apache-2.0", "cc-by-sa-4.0", "Stability AI Community License", "FLUX.1 [dev]"):
        assert terms in licenses
    given = [str(tmp_path / "dist" / "1.0"), "--layout", "diffusers-dpo", "--out"]
    assert export([*given, str(tmp_path / "known")]) == 0
    (row,) = read_table(tmp_path / "known", "data")
    assert row["chosen_license"] == "flux-1-dev-non-commercial-license"
    assert row["rejected_license"] == "stability-ai-community-license"
    monkeypatch.setattr("schemas.generators.PREFERENCE_MODELS", {})
    assert export([*given, str(tmp_path / "unknown")]) == 0
    (row,) = read_table(tmp_path / "unknown", "data")
    assert row["chosen_license"] is None
    stated = (tmp_path / "unknown" / "LICENSES.md").read_text()
    assert "## Terms not stated" in stated
    assert "2 images of pairs made by `black-forest-labs/FLUX.1-dev` (1)" in stated


@pytest.mark.slow
def test_the_secret_for_annotators_names_them_alike_over_versions_and_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "images").write()
    names = sorted(path.name for path in (folder / "images").iterdir())

    def annotators(version: str, *records: object) -> list[str]:
        votes = write_lines(tmp_path / "votes.jsonl", *records)
        out = tmp_path / version
        assert released(out, "--sfhq", folder, "--preferences", votes) == 0
        row = next(row for row in read_table(out / "1.0", "preferences") if row["id"] == "1-quality")
        return [vote["annotator"] for vote in row["votes"]]

    one, two = pair(1, *names[:2]), pair(2, *names[2:4])
    first = annotators("a", one)
    assert len(set(first)) == 3
    assert annotators("b", one) == first
    assert annotators("c", one, two) != first  # derived from the file, which has changed
    secret = "a secret that nobody may see"
    monkeypatch.setenv("SFHQ_ANNOTATOR_KEY", secret)
    keyed = annotators("d", one)
    assert keyed != first
    assert annotators("e", one, two) == keyed
    captured = capsys.readouterr()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret.encode() not in written + captured.out.encode() + captured.err.encode()

    monkeypatch.setenv("SFHQ_ANNOTATOR_KEY", "short")
    assert released(tmp_path / "f", "--sfhq", folder) == 2
    err = capsys.readouterr().err
    assert "SFHQ_ANNOTATOR_KEY: the secret has 5 bytes, and at least 16 are needed" in err
    assert "short" not in err


@pytest.mark.slow
def test_the_rule_is_a_setting_and_is_stored(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "images").write()
    names = sorted(path.name for path in (folder / "images").iterdir())
    toxic: dict[str, Any] = {"preference.responses": ["toxic_content", "toxic_content", "image_1"]}
    write_lines(tmp_path / "votes.jsonl", pair(1, *names[:2], **toxic))
    sources = '[[sources]]\npath = "images"\n[[sources]]\npath = "votes.jsonl"\n'
    config, decisions = tmp_path / "release.toml", {}
    for rule in ("submitted-majority", "open-image-preferences"):
        config.write_text(SETTINGS.format(root=ROOT) + f'[preferences]\nrule = "{rule}"\n' + sources)
        out = tmp_path / rule
        assert main(["--version", "1.0", "--config", str(config), "--out", str(out)]) == 0
        (row,) = read_table(out / "1.0", "preferences")
        assert row["rule"] == rule == read_manifest(out / "1.0").inputs.preferences.rule
        assert f"**Rule `{rule}`.**" in (out / "1.0" / "README.md").read_text()
        decisions[rule] = row["decision"]
    assert decisions == {"submitted-majority": "toxic", "open-image-preferences": "image_1"}


def test_real_captions_are_all_there(sfhq_sample: Path, tmp_path: Path) -> None:
    assert released(tmp_path, "--sfhq", sfhq_sample, "--captions", sfhq_sample / "captions.jsonl") == 0
    captions = read_table(tmp_path / "1.0", "captions")
    lines = [json.loads(line) for line in (sfhq_sample / "captions.jsonl").read_text().splitlines()]
    names = {row["image_id"]: row["file_name"] for row in read_table(tmp_path / "1.0", "prompts")}
    assert len(captions) == 502
    assert len({row["image_id"] for row in captions}) == 362
    published = sorted((names[row["image_id"]], row["caption"], row["captioner"]) for row in captions)
    assert published == sorted((line["image_filename"], line["caption"], line["model"]) for line in lines)
    dataset = load_dataset(str(tmp_path / "1.0"), split="train", cache_dir=str(tmp_path / "cache"))
    listed = [(row["file_name"], text) for row in dataset.remove_columns("image") for text in row["captions"]]
    assert sorted(listed) == sorted((line["image_filename"], line["caption"]) for line in lines)
