"""The card: true, complete, and every snippet in it runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from builders.card.notes import bibtex, changelog_entry, dataset_changelog, parse_citation, release_citation
from builders.card.readme import read_numbers
from schemas.columns import flatten
from schemas.configs import CONFIGS
from schemas.generators import GENERATORS
from tests.support import ROOT, good_folder, run_release

ROWS = {
    "default": 60,
    "prompts": 60,
    "captions": 120,
    "preferences": 100,
    "binarized": 74,
    "clip_sfhq_demo": 60,
    "clip_sfhq_demo_captions": 120,
}


@pytest.fixture(scope="module")
def card(sample_release: Path) -> str:
    """Return the sample's card."""
    return (sample_release / "README.md").read_text(encoding="utf-8")


def test_the_header_says_all_that_the_hub_wants(sample_release: Path) -> None:
    header = DatasetCard.load(sample_release / "README.md").data.to_dict()
    assert header["license"] == "other"
    assert (sample_release / header["license_link"]).is_file()
    assert header["license_name"]
    assert header["size_categories"] == ["n<1K"]
    for key in [
        "language",
        "pretty_name",
        "task_categories",
        "tags",
        "annotations_creators",
        "source_datasets",
        "thumbnail",
    ]:
        assert header[key], key
    assert {config["config_name"] for config in header["configs"]} == set(ROWS)
    assert [config["config_name"] for config in header["configs"] if config.get("default")] == ["default"]
    for info in header["dataset_info"]:
        assert info["splits"][0]["num_examples"] == ROWS[info["config_name"]]
        folder = (
            CONFIGS[info["config_name"]].folder if info["config_name"] in CONFIGS else info["config_name"]
        )
        (shard,) = (sample_release / folder).glob("*.parquet")
        assert info["download_size"] == shard.stat().st_size
    # drawn by code, and marked so: no model was trained to make these
    assert header["digital_source_type"] == [
        "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
    ]


def test_numbers_can_be_read_back(card: str) -> None:
    numbers = read_numbers(card)
    assert numbers["default/train"] == numbers["prompts/train"] == 60
    assert numbers["generator FLUX1_schnell"] == 20
    assert numbers["captioner one-line 0.3"] == numbers["attribute emotion"] == 60
    assert numbers["decision toxic"] == 2
    assert numbers["model SDXL"] == 50
    assert len(numbers) == len(ROWS) + 5 + 2 + 11 + 5 + 3 + (5 + 2) * 4  # the last are of features


def test_every_column_and_generator_is_explained(card: str, sample_release: Path) -> None:
    columns = (sample_release / "COLUMNS.md").read_text()
    for name in ROWS.keys() & CONFIGS.keys():
        for column_name, column in flatten(CONFIGS[name].columns):
            assert f"| `{column_name}` |" in columns
            assert column.description
            assert column.description in columns
    licenses = (sample_release / "LICENSES.md").read_text()
    made = set(pq.read_table(sample_release / "prompts", columns=["generator"])["generator"].to_pylist())
    assert len(made) == 5  # a card speaks of no generator that made none of its images
    for generator in GENERATORS.values():
        assert (f"| `{generator.name}` | {generator.title} |" in card) == (generator.name in made)
        if generator.name in made:
            assert generator.terms.url in card
            assert generator.terms.summary in licenses


def test_the_sample_is_not_passed_off_as_the_real_thing(card: str, sample_release: Path) -> None:
    for text in (card, (sample_release / "LICENSES.md").read_text()):
        assert "faces drawn by code, not images from the generators" in text
    assert "drawn by code" in json.loads((sample_release / "croissant.json").read_text())["description"]


def test_links_and_figures_lead_somewhere(card: str, sample_release: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", card)
    local = [link for link in links if not link.startswith(("https://", "#"))]
    assert {"figures/sample.jpg", "figures/generators.png", "LICENSES.md"} <= set(local)
    assert all((sample_release / link).is_file() for link in local)


# Stands in for the Hub's file system, which `test_webdataset.py` has a server for.
LOCAL_HUB = """
from fsspec.implementations.local import LocalFileSystem
class LocalHub(LocalFileSystem):
    def url(self, path):
        return path
"""


@pytest.mark.slow
def test_every_snippet_runs_in_a_process_without_the_kit(
    card: str, sample_release: Path, tmp_path: Path
) -> None:
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 8
    script = LOCAL_HUB + "\n".join(snippets).replace("HfFileSystem()", "LocalHub()")
    script = script.replace("hf://datasets/org/sfhq-t2i", str(sample_release))
    script = script.replace("org/sfhq-t2i", str(sample_release))
    script += "\nassert (len(dataset), len(prompts), len(found), len(pairs)) == (60, 60, 20, 74)"
    environment = {**os.environ, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "FLUX1_schnell" in done.stdout


@pytest.mark.slow
def test_text_from_a_hostile_source_stays_text(tmp_path: Path) -> None:
    """A folder's name is published; it must not become markup or YAML."""
    folder = good_folder(tmp_path / "a|b<script>`{{7531*81}}`---").write()
    assert run_release("--version", "1.0", "--sfhq", folder, "--out", tmp_path / "dist").status == 0
    text = (tmp_path / "dist" / "1.0" / "README.md").read_text()
    assert "<script>" not in text
    assert "610011" not in text
    assert "come from the source `a-b-script-7531-81`" in text


def test_the_citation_gets_version_and_date_of_the_release(sample_release: Path) -> None:
    citation = yaml.safe_load((sample_release / "CITATION.cff").read_text())
    assert citation["version"] == "1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])
    original = parse_citation((ROOT / "CITATION.cff").read_text())
    del original["references"]  # of captions and votes, which the sample only imitates
    assert {key: value for key, value in citation.items() if key in original} == original
    assert "references" not in citation


def test_all_works_are_cited() -> None:
    text = bibtex(parse_citation((ROOT / "CITATION.cff").read_text()), "sfhq-t2i")
    assert re.findall(r"^@(\w+)\{([^,]+),", text, re.MULTILINE) == [
        ("misc", "sfhq-t2i"),
        ("article", "tarasiou2024"),
        ("misc", "dataisbettertogether2024"),
    ]
    assert "doi = {10.34740/kaggle/dsv/9548853}" in text
    assert "author = {Tarasiou, Michail and Moschoglou, Stylianos and Deng, Jiankang and" in text
    assert "eprint = {2405.10864}" in text
    assert "author = {{Data is Better Together}}" in text


def test_a_release_without_a_date_has_none() -> None:
    citation = release_citation({"title": "x", "version": "old", "date-released": "old"}, "2.0", None)
    assert yaml.safe_load(citation) == {"title": "x", "version": "2.0"}


CHANGELOG = """# Changelog
## Dataset
### 1.1 - 2026-12-01
- More.
### 1.0
- First.
## Kit
### 1.1
- Not the dataset's.
"""


@pytest.mark.parametrize(
    ("version", "entry"),
    [("1.1", ("2026-12-01", "- More.")), ("1.0", (None, "- First.")), ("1.2", None), ("1", None)],
)
def test_the_changelogs_dataset_part_is_found_by_version(
    version: str, entry: tuple[str | None, str] | None
) -> None:
    assert changelog_entry(dataset_changelog(CHANGELOG, version), version) == entry


def test_a_release_does_not_speak_of_later_ones() -> None:
    assert dataset_changelog(CHANGELOG, "1.0") == "### 1.0\n- First."
    assert dataset_changelog(CHANGELOG, "1.1").startswith("### 1.1")


def test_a_changelog_without_a_dataset_part_gives_nothing() -> None:
    assert dataset_changelog("# Changelog\n## Kit\n", "1.0") == ""
