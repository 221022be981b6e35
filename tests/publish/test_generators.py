"""Generators that a maintainer declares: in all that a release shows, in the next version and in exports."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.card.readme import read_numbers
from publish.check import main as check
from publish.checks.files import read_manifest
from publish.export import main as export
from publish.release import main
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes

SETTINGS = f"""
[dataset]
name = "faces"
title = "Faces"
repository = "org/faces"
summary = "Faces."
[release]
citation = "{ROOT}/CITATION.cff"
changelog = "{ROOT}/CHANGELOG.md"
formats = {{ folder = ["parquet"] }}
[[sources]]
path = "known"
[[sources]]
path = "new"
"""
VOTES = """
[[sources]]
path = "votes.jsonl"
images = "files"
"""
DECLARED = """
[[generators]]
name = "acme/Face 2"
title = "Face 2 [large]"
url = "https://acme.example/face-2"
license = "acme-terms"
license_name = "ACME Terms"
license_url = "https://acme.example/terms"
license_summary = "Outputs may not be sold."
license_conditions = "forbidden uses"
[[generators]]
name = "Öffnung"
title = "Offen"
url = "https://offen.example"
license = "openrail++"
[[generators]]
name = "acme/Voted"
title = "Voted"
url = "https://acme.example/voted"
license = "acme-terms"
license_name = "ACME Terms"
license_url = "https://acme.example/terms"
license_summary = "Outputs may not be sold."
license_conditions = "forbidden uses"
"""


def new_folder(path: Path, num_images: int = 3) -> SfhqFolder:
    """Make a folder of images by the two declared generators in turn, the first with odd settings."""
    folder = SfhqFolder(path)
    for number in range(num_images):
        name = ("acme/Face 2", "Öffnung")[number % 2]
        settings = {"seed": "any", "orig_prompt": 5, "deep": {"a": [1]}} if number == 0 else {"seed": number}
        folder.rows.append([f"{number}.jpg", name, f"prompt {number}", json.dumps(settings)])
        folder.images[f"images/{number}.jpg"] = image_bytes(100 + number)
    return folder


def write_sources(place: Path) -> Path:
    """Write both folders of images, and a pair of images with a vote; return the settings file."""
    good_folder(place / "known").write()
    new_folder(place / "new").write()
    (place / "files").mkdir()
    for number in range(2):
        (place / "files" / f"side-{number}.jpg").write_bytes(image_bytes(200 + number))
    sides = {f"image_{number}_url": f"https://x.example/side-{number}.jpg" for number in range(2)}
    models = {"model_0": "acme/Voted", "model_1": "unheard-of"}
    vote = {"caption": "a face", "label_0": 1, "label_1": 0, "has_label": True, "user_id": "1"}
    (place / "votes.jsonl").write_text(json.dumps(vote | sides | models) + "\n")
    config = place / "release.toml"
    config.write_text(SETTINGS + VOTES + DECLARED, encoding="utf-8")
    return config


def release(config: Path, version: str = "1.0", *flags: str) -> int:
    """Release into `dist` beside the settings."""
    out = config.parent / "dist"
    return main(["--version", version, "--config", str(config), "--out", str(out), *flags])


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Read a table."""
    rows: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return rows


def assert_is_described(folder: Path, images: dict[str, int]) -> None:
    """Look for the declared generators and their terms in everything that a release shows."""
    rows = read_rows(folder / "prompts")
    terms = {"acme/Face 2": "acme-terms", "Öffnung": "openrail++"}
    assert Counter(row["generator"] for row in rows if row["source"] == "new") == Counter(images)
    assert all(row["license"] == terms[row["generator"]] for row in rows if row["source"] == "new")
    card = (folder / "README.md").read_text(encoding="utf-8")
    line = f"| `acme/Face 2` | Face 2 [large] | {images['acme/Face 2']} | [acme-terms](https://acme.example/terms)"
    assert f"{line} | forbidden uses |" in card
    assert read_numbers(card)["generator Öffnung"] == images["Öffnung"]
    licenses = (folder / "LICENSES.md").read_text(encoding="utf-8")
    assert "## ACME Terms" in licenses
    assert "Outputs may not be sold." in licenses
    assert f"`acme-terms`, {images['acme/Face 2']} images made by Face 2 [large]." in licenses
    assert "images made by Stable Diffusion XL, Offen." in licenses
    assert "Images of `acme/Voted`: ACME Terms (`acme-terms`)." in licenses
    croissant = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert "https://acme.example/terms" in croissant["license"]
    (made,) = [
        each for each in croissant["prov:wasGeneratedBy"] if each["prov:label"] == "Text-to-image generation"
    ]
    agents = {each["prov:label"]: each["@id"] for each in made["prov:wasAssociatedWith"]}
    assert agents["Face 2 [large]"] == "https://acme.example/face-2"
    assert agents["Offen"] == "https://offen.example"
    with Image.open(folder / "figures" / "sample.jpg") as figure:
        assert figure.height > 1000  # one row for each of six generators


@pytest.mark.slow
def test_declared_generators_are_in_a_release_its_exports_and_the_next_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_sources(tmp_path)
    assert release(config, "1.0", "--strict") == 0
    assert "extras" not in capsys.readouterr().err  # of these settings the kit expects nothing
    first = tmp_path / "dist" / "1.0"
    assert check([str(first)]) == 0
    assert_is_described(first, {"acme/Face 2": 2, "Öffnung": 1})
    row = next(
        row for row in read_rows(first / "prompts") if row["config_json"] and "deep" in row["config_json"]
    )
    assert json.loads(row["settings"]["extras"]) == {"seed": "any", "orig_prompt": 5, "deep": {"a": [1]}}
    assert (row["settings"]["seed"], row["original_prompt"]) == (None, None)
    inputs = read_manifest(first).inputs
    assert [each.name for each in inputs.generators] == ["acme/Face 2", "Öffnung", "acme/Voted"]

    assert export([str(first), "--layout", "text-to-image", "--out", str(tmp_path / "images")]) == 0
    terms = {(row["generator"], row["license"]) for row in read_rows(tmp_path / "images" / "data")}
    assert {("acme/Face 2", "acme-terms"), ("Öffnung", "openrail++"), ("SDXL", "openrail++")} <= terms
    stated = (tmp_path / "images" / "LICENSES.md").read_text(encoding="utf-8")
    assert "`acme-terms`, 2 images made by Face 2 [large]." in stated
    assert "Other terms" not in stated
    assert export([str(first), "--layout", "diffusers-dpo", "--out", str(tmp_path / "pairs")]) == 0
    (pair,) = read_rows(tmp_path / "pairs" / "data")
    assert (pair["chosen_license"], pair["rejected_license"]) == ("acme-terms", None)
    assert "made by Voted." in (tmp_path / "pairs" / "LICENSES.md").read_text(encoding="utf-8")

    new_folder(tmp_path / "new", 4).write()
    assert release(config, "1.1") == 0
    second = tmp_path / "dist" / "1.1"
    assert check([str(second)]) == 0
    assert_is_described(second, {"acme/Face 2": 2, "Öffnung": 2})
    changes = read_manifest(second).changes
    assert changes is not None
    assert changes.rows["prompts"].model_dump() == {"added": 1, "edited": 0, "removed": 0}


def test_a_source_of_unknown_generators_alone_is_refused_with_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good_folder(tmp_path / "known").write()
    folder = new_folder(tmp_path / "new", 5)
    folder.rows.append(["6.jpg", "a row", "with a cell too few"])
    folder.write()
    config = tmp_path / "release.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    assert release(config) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "[run/unknown-generator]" in line]
    assert len(told) == 2
    assert "SFHQ_T2I_dataset.csv:model_used: no image of the source new can be published: 3 rows" in told[0]
    assert '[[generators]] name = "acme/Face 2", title = "…", url = "https://…", license = "…"' in told[0]
    assert "2 rows" in told[1]
    assert "(value: 'Öffnung')" in told[1]
    assert not (tmp_path / "dist" / "1.0").exists()


def test_rows_that_name_no_generator_are_counted_beside_the_unknown_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good_folder(tmp_path / "known").write()
    (tmp_path / "new").mkdir()
    lines = ["file_name,text,model"]
    for number, model in enumerate(("", "", "acme/Face 2")):
        (tmp_path / "new" / f"{number}.jpg").write_bytes(image_bytes(number))
        lines.append(f"{number}.jpg,a face,{model}")
    (tmp_path / "new" / "metadata.csv").write_text("\n".join(lines) + "\n")
    config = tmp_path / "release.toml"
    config.write_text(SETTINGS + 'kind = "images"\ncolumns = { generator = "model" }\n', encoding="utf-8")
    assert release(config) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "[run/unknown-generator]" in line]
    assert len(told) == 2
    assert (
        "metadata.csv:model: no image of the source new can be published: 2 rows name no generator" in told[0]
    )
    assert 'write generator = "NAME" under this source' in told[0]
    assert "1 rows are by a generator that the kit does not know (value: 'acme/Face 2')" in told[1]


def test_a_plan_publishes_the_known_rows_of_a_source_and_names_the_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good_folder(tmp_path / "known").write()
    folder = new_folder(tmp_path / "new")
    folder.rows[2][1] = "SDXL"
    folder.rows[2][3] = "{}"
    folder.write()
    config = tmp_path / "release.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    assert release(config, "1.0", "--plan") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "[row/unknown-generator]" in line]
    assert len(told) == 2
    assert (
        "SFHQ_T2I_dataset.csv:2:model_used: this is not a known generator (value: 'acme/Face 2')" in told[0]
    )
    assert "or declare it in release.toml" in told[0]
