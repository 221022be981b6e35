"""A card speaks only of what its release has, whichever parts the release has, and is easy to read."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from builders.card.readme import read_numbers
from publish.checks.files import read_manifest
from publish.release import main
from schemas.configs import CONFIGS, Format
from schemas.manifest import Manifest
from schemas.preferences import Label
from tests.builders.card.reading import check_readable, tables_of
from tests.exports import REAL_RECORD
from tests.support import ROOT, good_folder

CITED = {"captions": "tarasiou2024", "preferences": "dataisbettertogether2024"}
# Sentences that were once on a card, and their like.
ODD_PHRASES = (
    *(r"\b[Nn]obody\b", r"\b[Ss]omebody\b", r"\banybody\b", r"\bwhoever\b", r"\bWhat binds\b"),
    *("half by hand", "speak of", r"\bbut for\b", "is left out on", "No entry in", "of the 60 images"),
    *("responses of", "hardly", "No label", "is told", r"\bmend\b", "anew"),
)
RELEASES = {"sample": "sample_release", "images": "plain_release", "real": "sfhq_release"}
KINDS = (
    "sample",
    "images",
    "real",
    "captions",
    "undecided votes",
    "votes",
    "parquet",
    "no prompts",
    "second",
)


def votes(folder: Path, names: Sequence[str], label: Label) -> Path:
    """Write one pair with one vote."""
    record = REAL_RECORD | {
        "images": {"image_1": names[0], "image_2": names[1], "prompt": "a prompt"},
        "preference": label.value,
    }
    folder.with_name("votes.jsonl").write_text(json.dumps(record))
    return folder.with_name("votes.jsonl")


def build(kind: str, place: Path) -> Path:
    """Release a folder of four images with some parts; return the release."""
    folder = good_folder(place / "collection")
    names = [row[0] for row in folder.rows]
    arguments = ["--config", str(place / "release.toml"), "--out", str(place / "dist")]
    settings = (ROOT / "release.toml").read_text()
    for name in ("CITATION.cff", "CHANGELOG.md"):
        (place / name).write_bytes((ROOT / name).read_bytes())
    if kind == "parquet":
        settings = settings.replace(
            '# formats = { folder = ["parquet"] }', 'formats = { folder = ["parquet"] }'
        )
    (place / "release.toml").write_text(settings)
    if kind == "no prompts":
        for row in folder.rows:
            row[2] = ""
    arguments += ["--sfhq", str(folder.write())]
    if kind == "captions":
        captions = place / "captions.jsonl"
        captions.write_text(json.dumps({"file_name": names[0], "caption": "a caption"}))
        arguments += ["--captions", str(captions)]
    if "votes" in kind:
        label = Label.BOTH_GOOD if kind.startswith("undecided") else Label.IMAGE_1
        arguments += ["--preferences", str(votes(folder.path, names, label))]
    assert main(["--version", "1.0", *arguments]) == 0
    if kind != "second":
        return place / "dist" / "1.0"
    good_folder(place / "collection", 6).write()
    assert main(["--version", "1.1", *arguments]) == 0
    return place / "dist" / "1.1"


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=[pytest.mark.slow] if kind not in KINDS[:2] else []) for kind in KINDS],
)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param in RELEASES:
        return Path(request.getfixturevalue(RELEASES[request.param]))
    return build(request.param, tmp_path_factory.mktemp("card"))


@pytest.fixture
def manifest(release: Path) -> Manifest:
    return read_manifest(release)


@pytest.fixture
def card(release: Path) -> str:
    """Return the card without its YAML, which `datasets` reads and other tests compare."""
    return (release / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]


def test_every_config_that_it_names_is_there(card: str, manifest: Manifest) -> None:
    possible = {*CONFIGS, *map(str, Format)} - {"parquet"}
    there = {*manifest.configs, *(shard.config for shard in manifest.shards)}
    named = {
        *re.findall(r'load_dataset\("[^"]+", "([^"]+)"', card),
        *re.findall(r"config `([^`]+)`", card),
        *re.findall(r"^\| `(\w+)` \| \w+:\s", card, re.MULTILINE),
        *re.findall(r"hf://datasets/[^/]+/[^/\"]+/([a-z_]+)", card),
        *(name for name in possible - {"default", "captions"} if f"`{name}`" in card or f"`{name}/`" in card),
    }
    assert {"default", "prompts"} <= named <= there
    assert ("WebDataset" in card) == ("webdataset" in there)
    assert ("## CLIP features" in card) == any(name.startswith("clip_") for name in there)
    assert ("## Captions" in card) == ("captions" in there)
    assert ("## Preferences" in card) == ("preferences" in there)


def test_every_file_that_it_names_is_there(card: str, manifest: Manifest) -> None:
    links = set(re.findall(r"\]\(([^)]+)\)", card))
    local = {link for link in links if not link.startswith(("https://", "#"))} - {"manifest.json"}
    assert local <= {entry.path for entry in manifest.all_files}
    shown = {link for link in local if link.startswith("figures/")}
    assert shown == {entry.path for entry in manifest.all_files if entry.path.startswith("figures/")}
    headings = re.findall(r"^#+ (.+)$", card, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {link for link in links if link.startswith("#")} <= anchors


def test_every_count_is_the_manifests(card: str, release: Path, manifest: Manifest) -> None:
    numbers = read_numbers((release / "README.md").read_text(encoding="utf-8"))
    rows = {name: count for name, count in numbers.items() if re.fullmatch(r"\w+/\w+", name)}
    assert rows == {
        f"{config}/{split}": counts.num_rows
        for config, splits in manifest.configs.items()
        for split, counts in splits.items()
    }
    table = re.search(r"## Configs and download sizes\n\n(.*?)\n\n", card, re.DOTALL)
    assert table is not None
    shown = re.findall(r"^\| `(\w+)` \| (\w+):\s([\d,]+) ", table.group(1), re.MULTILINE)
    assert {f"{config}/{split}": int(count.replace(",", "")) for config, split, count in shown} == rows
    for name, counts in manifest.counts.items():
        line = rf"^\| {name} \| {counts.read:,} \| {counts.published:,} \|"
        assert re.search(line, card, re.MULTILINE)
    (total,) = re.findall(r"^\| Images \| ([\d,]+) \(", card, re.MULTILINE)
    assert int(total.replace(",", "")) == sum(
        counts.num_rows for counts in manifest.configs["default"].values()
    )


def test_it_cites_what_it_has(card: str, release: Path, manifest: Manifest) -> None:
    is_sample = "built-in sample" in card
    wanted = {key for config, key in CITED.items() if config in manifest.configs and not is_sample}
    citation = (release / "CITATION.cff").read_text()
    assert set(re.findall(r"^@\w+\{(\w+2024),", card, re.MULTILINE)) == wanted
    assert ("Tarasiou" in citation, "Open Image Preferences" in citation) == tuple(
        key in wanted for key in CITED.values()
    )


def test_the_changelog_is_the_maintainers_and_what_changed_is_counted(
    card: str, release: Path, manifest: Manifest
) -> None:
    section = card.partition("## This version\n")[2].partition("\n## ")[0]
    if manifest.version == "1.1":  # has no entry
        assert "Changes since 1.0" in section
        assert "| `default` | 2 | 0 | 0 |" in section
        assert "writes" not in section
        assert "### 1.1\n\nSince 1.0" in (release / "CHANGELOG.md").read_text()
    else:
        assert "Version 1.0 is the first release." in section
        assert "The maintainer writes:\n\n> - First release." in section


def test_the_sample_claims_nothing_of_the_real_collection(card: str, release: Path) -> None:
    if "built-in sample" in card:
        for claim in ("five text-to-image models", "provider revised", "by models", "People were shown"):
            assert claim not in card
        assert (release / "README.md").stat().st_size <= 20_000


def test_all_texts_are_easy_to_read(release: Path) -> None:
    for name in ("README.md", "LICENSES.md", "COLUMNS.md", "CHANGELOG.md"):
        text = (release / name).read_text(encoding="utf-8")
        check_readable(text)
        for phrase in ODD_PHRASES:
            assert not re.search(phrase, text), phrase


def test_the_first_screen_has_what_a_reader_decides_by(card: str) -> None:
    first, _, rest = card.partition("## Load the dataset\n")
    properties = {row[0]: row[1] for row in tables_of(first)["Property"]}
    assert properties.keys() >= {"Version", "Images", "Sizes in pixels", "Licence", "Contact, removals"}
    order = ["| Property |", "**Intended uses.**", "**Not intended for.**", "<!-- example -->"]
    order += ["## Configs and download sizes\n", "## Sample images\n"]
    places = [first.index(part) for part in order]
    assert places == sorted(places)
    assert len(first.splitlines()) <= 60
    assert "```" not in first
    assert "## Columns\n" in rest


def test_generators_are_in_one_order(card: str) -> None:
    tables = tables_of(card)
    order = [row[0] for row in tables["Generator"]]
    terms = list(dict.fromkeys(row[3].partition("]")[0].strip("[") for row in tables["Generator"]))
    (licence,) = (row[1] for row in tables["Property"] if row[0] == "Licence")
    assert re.findall(r"`([^`]+)` [\d,]+", licence) == terms
    compared = [row[0] for row in tables.get("Prompts, by generator", ())]
    assert compared == [name for name in order if name in compared]
