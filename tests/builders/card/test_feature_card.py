"""What a release says of its features: true, complete, and with the demonstration encoder named as such."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.card.facts.features import compare_captions, compare_prompts
from builders.card.figures.features import lowest_captions, lowest_prompts
from builders.card.readme import read_numbers
from builders.release.reader import ReleaseReader
from builders.sample.captions import sample_captions, true_attributes
from builders.sources.sample import sample_faces
from publish.checks.files import read_manifest
from publish.checks.release import check_release
from schemas.features import DEMO_NOTICE
from schemas.generators import GENERATORS
from tests.publish.checks.test_check import edit_card
from tests.support import copy_folder

CONFIG = "clip_sfhq_demo"


@pytest.fixture(scope="module")
def card(sample_release: Path) -> str:
    """Return the card."""
    return (sample_release / "README.md").read_text(encoding="utf-8")


def test_the_numbers_are_those_of_the_files(sample_release: Path, card: str) -> None:
    prompts = pq.read_table(sample_release / "prompts", columns=["image_id", "generator"])
    found = pq.read_table(sample_release / CONFIG)
    assert found["image_id"].to_pylist() == prompts["image_id"].to_pylist()
    of_sdxl = np.array(prompts["generator"].to_pylist()) == "SDXL"
    own = found["prompt_similarity"].to_numpy()[of_sdxl].astype(np.float64)
    numbers = read_numbers(card)
    name = f"prompts of {CONFIG} SDXL"
    assert numbers[f"{name}, texts"] == own.size == 16
    for head, share in (("5th percentile", 5), ("median", 50), ("95th percentile", 95)):
        assert numbers[f"{name}, {head}"] == pytest.approx(np.percentile(own, share), abs=0.00051)
    assert numbers[f"captions of {CONFIG} one-line 0.3, texts"] == 60
    assert not pq.read_table(sample_release / "near_duplicates.parquet").num_rows
    assert not any("near-duplicates" in name for name in numbers)
    assert "No near-duplicates were found." in card


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (r"\| `SDXL` \| 16 \| [\d.]+ \| ([\d.]+)", f"prompts of {CONFIG} SDXL, median"),
        (r"\| `one-line 0.3` \| (60) \| 0", f"captions of {CONFIG} one-line 0.3, texts"),
    ],
)
def test_a_number_that_is_not_true_is_told(
    pattern: str, name: str, sample_release: Path, card: str, tmp_path: Path
) -> None:
    match = re.search(pattern, card)
    assert match is not None
    line, number = match.group(0), match.group(1)
    start, end = (place - match.start() for place in match.span(1))
    wrong = line[:start] + ("0.999" if "." in number else "7") + line[end:]
    copy = copy_folder(sample_release, tmp_path / "1.0")
    edit_card(line, wrong)(copy)
    problems = [str(problem) for problem in check_release(copy)]
    assert len(problems) == 1
    assert f"the card's number for {name} is not true" in problems[0]


def test_the_card_says_what_made_them(sample_release: Path, card: str) -> None:
    assert f"> **Demonstration encoder.** {DEMO_NOTICE}" in card
    weights = re.search(r"\| SHA-256 of the weights \| `([0-9a-f]{64})` \|", card)
    assert weights is not None
    assert weights.group(1) in (sample_release / "manifest.json").read_text()


def test_figures_are_there_and_on_the_card(sample_release: Path, card: str) -> None:
    names = [
        *(f"search_{CONFIG}_1.jpg", f"search_{CONFIG}_2.jpg", f"adherence_{CONFIG}.png"),
        *(f"lowest_prompts_{CONFIG}.jpg", f"lowest_captions_{CONFIG}.jpg"),
    ]
    for name in names:
        assert f"](figures/{name})" in card
        with Image.open(sample_release / "figures" / name) as image:
            assert min(image.size) > 300
    shown = set(re.findall(r"\]\((figures/[^)]+)\)", card))
    assert shown == {f"figures/{path.name}" for path in (sample_release / "figures").iterdir()}


def erring_captions() -> set[str]:
    """Write down the sample's captions of which an attribute is not what is drawn."""
    faces = {name: face for name, _, face in sample_faces()}
    erring = set()
    for record in sample_captions():
        truth = true_attributes(faces[str(record["image_filename"])])
        attributes = record["attributes"] or []
        assert isinstance(attributes, list)
        if any(one["value"] != truth[one["attribute"]] for one in attributes):
            erring.add(str(record["caption"]))
    return erring


def test_the_lowest_are_shown_of_each_author_and_known_errors_are_among_them(sample_release: Path) -> None:
    release = ReleaseReader(sample_release, read_manifest(sample_release).shards)
    of_captions = lowest_captions(release, compare_captions(release, CONFIG))
    assert {name: len(shown) for name, shown in of_captions.items()} == {
        "attribute-pipeline 1.0": 4,
        "one-line 0.3": 4,
    }
    erring = erring_captions()
    assert sum(one.text in erring for one in of_captions["attribute-pipeline 1.0"]) >= 3
    titles = {name: generator.title for name, generator in GENERATORS.items()}
    of_prompts = lowest_prompts(release, compare_prompts(release, CONFIG), titles)
    made = set(release.column("prompts", "generator"))  # the kit knows generators of which there is no image
    assert len(made) == 5
    # in the order of the card's table
    assert list(of_prompts) == [title for name, title in titles.items() if name in made]
    for shown in (*of_captions.values(), *of_prompts.values()):
        similarities = [one.similarity for one in shown]
        assert similarities == sorted(similarities)


@pytest.mark.slow
def test_the_snippet_searches(sample_release: Path, card: str, tmp_path: Path) -> None:
    section = card.partition("## CLIP features")[2]
    snippet = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    script = snippet.replace("org/sfhq-t2i", str(sample_release))
    script += (
        "\nprint(ids[0] == rows[0]['image_id'], len(set(ids)), round(float(similarities[nearest[0]]), 2))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "10", "1.0"], done.stderr


def test_a_release_without_features_says_nothing_of_them(plain_release: Path) -> None:
    text = (plain_release / "README.md").read_text()
    assert "\n## CLIP features" not in text
    assert not any("near-duplicates" in name for name in read_numbers(text))
    manifest = (plain_release / "manifest.json").read_text()
    assert not any(f'"{key}"' in manifest for key in ("features", "near_duplicates", "search", "exclusions"))
    assert not list(itertools.chain(*(plain_release.glob(each) for each in ("clip_*", "near_duplicates.*"))))
