"""An export is a dataset for a trainer: its rows, its numbers and its terms are those of the release."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset
from PIL import Image, ImageStat

from builders.release.trainers import LAYOUTS
from publish.checks.files import read_manifest
from publish.export import main as export
from publish.release import main as release
from tests.builders.card.reading import check_readable
from tests.exports import REAL_RECORD
from tests.support import CONFIGS, ROOT, SfhqFolder, image_bytes, tree_digest

LAYOUT = "text-to-image"
SETTINGS = """
[dataset]
name = "faces"
title = "Faces"
repository = "org/faces"
summary = "Faces."
[build]
splits = {{ validation = 0.3, test = 0.3 }}
[release]
citation = "{root}/CITATION.cff"
changelog = "{root}/CHANGELOG.md"
"""
CAPTIONS = [
    ("a", "short", "first"),
    ("a", "much longer than the other", "second"),
    ("b", "one of another captioner", None),
    ("c", "equal", "first"),
    ("d", "of a small image", "first"),
]


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / name).to_pylist()
    return rows


def write(release_folder: Path, out: Path, *flags: str, layout: str = LAYOUT) -> list[dict[str, Any]]:
    assert export([str(release_folder), "--layout", layout, "--out", str(out), *flags]) == 0
    return rows_of(out, "data")


def encode(image: Image.Image, kind: str = "JPEG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def turned_image() -> bytes:
    """Draw an image, half black and half white, that EXIF turns by a quarter."""
    image = Image.new("RGB", (64, 48), "white")
    image.paste("black", (0, 0, 32, 48))  # left; the top, once turned
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(image, quality=95, exif=exif)


@pytest.fixture(scope="module")
def mixed_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release images of many sizes and modes, some without a prompt or captions, in three splits."""
    work = tmp_path_factory.mktemp("mixed")
    folder = SfhqFolder(work / "images")
    images = {
        "a": image_bytes(1, size=(64, 48)),
        "b": image_bytes(2, "PNG", "L", size=(40, 70)),
        "c": image_bytes(3, "PNG", size=(32, 32)),
        "d": image_bytes(4, size=(33, 31)),
        "e": turned_image(),
        "f": encode(Image.new("RGBA", (50, 50), (255, 0, 0, 128)), "PNG"),
    }
    for number, (name, data) in enumerate(images.items()):
        generator = list(CONFIGS)[number % len(CONFIGS)]
        prompt = "" if name == "c" else f"prompt of {name}"
        folder.rows.append([f"{name}.jpg", generator, prompt, json.dumps(CONFIGS[generator])])
        folder.images[f"images/{name}.jpg"] = data
    folder.write()
    lines = (
        {"file_name": f"{name}.jpg", "caption": text} | ({"captioner": captioner} if captioner else {})
        for name, text, captioner in CAPTIONS
    )
    (work / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pairs = [("e.jpg", "a.jpg"), ("b.jpg", "f.jpg"), ("a.jpg", "https://host.example/gone.jpg")]
    votes = [
        REAL_RECORD
        | {
            "id": f"{number}-quality",
            "images": {
                **{f"image_{side}": name for side, name in enumerate(pair, start=1)},
                "prompt": f"pair {number}",
            },
            "preference.responses": ["image_1", "image_1", "image_2"],
        }
        for number, pair in enumerate(pairs)
    ]
    (work / "votes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in votes))
    config = work / "release.toml"
    config.write_text(SETTINGS.format(root=ROOT))
    arguments = ["--sfhq", str(folder.path), "--captions", str(work / "captions.jsonl")]
    arguments += ["--preferences", str(work / "votes.jsonl"), "--out", str(work / "dist")]
    assert release(["--version", "1.0", "--config", str(config), *arguments]) == 0
    return work / "dist" / "1.0"


def origins(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the release's images by the letter in their file names."""
    return {row["file_name"][0]: row for row in rows_of(folder, "images")}


def test_images_keep_their_bytes_and_have_one_text(
    mixed_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write(mixed_release, tmp_path / "out")
    assert "5 rows in the layout text-to-image" in (shown := capsys.readouterr().out)
    assert "left out: 1, because the prompt is unknown" in shown
    images = {row["image_id"]: row for row in origins(mixed_release).values()}
    for row in rows:
        origin = images.pop(row["image_id"])
        assert row["image"] == origin["image"]
        assert (row["text"], row["text_source"]) == (origin["prompt"], "prompt")
        assert (row["generator"], row["license"]) == (origin["generator"], origin["license"])
    assert [row["prompt"] for row in images.values()] == [None]
    by_split = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    splits = Counter(row["split"] for row in origins(mixed_release).values() if row["prompt"])
    assert {split: len(part) for split, part in by_split.items()} == splits
    assert len(splits) > 1


@pytest.mark.parametrize(
    ("flags", "texts"),
    [
        (("--text", "longest-caption"), {"a": "much longer than the other", "c": "equal"}),
        (("--text", "caption", "--captioner", "first"), {"a": "short", "c": "equal"}),
        (("--text", "caption", "--captioner", "second"), {"a": "much longer than the other"}),
    ],
)
def test_the_text_is_the_one_that_was_chosen(
    flags: tuple[str, ...], texts: dict[str, str], mixed_release: Path, tmp_path: Path
) -> None:
    images = origins(mixed_release)
    names = {row["image_id"]: name for name, row in images.items()}
    found = {names[row["image_id"]]: row["text"] for row in write(mixed_release, tmp_path / "out", *flags)}
    assert found.items() >= texts.items()
    assert "e" not in found
    assert found.keys() <= {name for name, row in images.items() if row["captions"]}


def test_the_first_caption_is_that_of_the_config_default(sample_release: Path, tmp_path: Path) -> None:
    first = {row["image_id"]: row["captions"][0] for row in rows_of(sample_release, "images")}
    rows = write(sample_release, tmp_path / "out", "--text", "caption")
    assert {row["image_id"]: row["text"] for row in rows} == first
    captioners = {
        (row["image_id"], row["caption"]): row["captioner"] for row in rows_of(sample_release, "captions")
    }
    assert all(row["text_source"] == captioners[row["image_id"], row["text"]] for row in rows)
    assert len({row["text_source"] for row in rows}) == 2
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- The texts are captions. They may be wrong." in card  # the sample has no captioner
    for source, count in Counter(row["text_source"] for row in rows).items():
        assert f"| `{source}` | {count} |" in card


def test_a_caption_without_a_captioner_says_so(mixed_release: Path, tmp_path: Path) -> None:
    rows = write(mixed_release, tmp_path / "out", "--text", "caption")
    image_id = origins(mixed_release)["b"]["image_id"]
    (row,) = (row for row in rows if row["image_id"] == image_id)
    assert (row["text"], row["text_source"]) == ("one of another captioner", "caption")


def test_a_size_makes_squares_and_enlarges_none(
    mixed_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write(mixed_release, tmp_path / "out", "--size", "32")
    shown = capsys.readouterr().out
    assert "left out: 1, because the prompt is unknown" in shown
    assert "left out: 1, because the shorter side of the image has fewer pixels than the size" in shown
    names = {row["image_id"]: name for name, row in origins(mixed_release).items()}
    squares = {names[row["image_id"]]: row["image"] for row in rows}
    assert squares.keys() == {"a", "b", "e", "f"}
    for name, square in squares.items():
        with Image.open(io.BytesIO(square["bytes"])) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (32, 32)), name
            assert square["path"].endswith(".jpg")
            if name == "e":  # turned as EXIF says, and not once more by a reader
                assert image.getexif().get(0x0112, 1) == 1
                assert ImageStat.Stat(image.crop((0, 0, 32, 14))).mean[0] < 40
                assert ImageStat.Stat(image.crop((0, 18, 32, 32))).mean[0] > 215
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| Left out because the shorter side of the image has fewer pixels than the size | 1 |" in card


def test_an_image_that_has_the_size_keeps_its_bytes(mixed_release: Path, tmp_path: Path) -> None:
    rows = write(mixed_release, tmp_path / "out", "--size", "32", "--text", "caption")
    image = origins(mixed_release)["c"]
    (row,) = (row for row in rows if row["image_id"] == image["image_id"])
    assert row["image"] == image["image"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_export_loads_and_its_card_is_true(layout: str, sample_release: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = write(sample_release, out, layout=layout)
    dataset = load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(dataset) == len(rows) == {"text-to-image": 60, "diffusers-dpo": 74}[layout]
    card, terms = ((out / name).read_text() for name in ("README.md", "LICENSES.md"))
    header = yaml.safe_load(card.split("---\n")[1])
    assert [each["name"] for each in header["dataset_info"]["features"]] == dataset.column_names
    assert (header["license"], header["license_link"]) == ("other", "LICENSES.md")
    check_readable(card)
    check_readable(terms)
    assert "people prefer" not in card  # no person made the sample's votes
    manifest = read_manifest(sample_release)
    assert manifest.digest in card
    for trial in LAYOUTS[layout].trials:
        assert trial.program in card
    banner = next(line for line in terms.splitlines() if line.startswith("**This release holds"))
    assert f"> {banner}" in card
    assert "@misc{" in card
    pairs = [("generator", "license")]
    if layout == "diffusers-dpo":
        pairs = [("chosen_model", "chosen_license"), ("rejected_model", "rejected_license")]
        assert terms.count("`mit` for 74 pairs") == 2
    counts = Counter((row[model], row[license_id]) for row in rows for model, license_id in pairs)
    assert None not in {license_id for _, license_id in counts}
    for (model, license_id), count in counts.items():
        assert f"| `{model}` | {count} | `{license_id}` |" in card
        assert f"`{license_id}`, {count} images" in terms  # each model of the sample has terms of its own
    assert terms.count("- In the data:") == len({license_id for _, license_id in counts})


def test_an_export_cites_what_is_in_it(mixed_release: Path, tmp_path: Path) -> None:
    keys = ("tarasiou2024", "dataisbettertogether2024")  # of captions, and of preferences
    write(mixed_release, tmp_path / "prompts")
    write(mixed_release, tmp_path / "captions", "--text", "caption")
    write(mixed_release, tmp_path / "pairs", layout="diffusers-dpo")
    cards = {name: (tmp_path / name / "README.md").read_text() for name in ("prompts", "captions", "pairs")}
    found = {name: tuple(key in card for key in keys) for name, card in cards.items()}
    assert found == {"prompts": (False, False), "captions": (True, False), "pairs": (False, True)}


def test_pairs_are_those_of_the_release(sample_release: Path, tmp_path: Path) -> None:
    rows = write(sample_release, tmp_path / "out", layout="diffusers-dpo")
    images = {row["image_id"]: row for row in rows_of(sample_release, "prompts")}
    for row, origin in zip(rows, rows_of(sample_release, "binarized"), strict=True):
        sides = (row["jpg_0"], row["jpg_1"])
        chosen = sides[0] if row["label_0"] == 1 else sides[1]
        assert (chosen, row["caption"]) == (origin["chosen"]["bytes"], origin["prompt"])
        assert (row["id"], row["source"]) == (origin["id"], origin["source"])
        assert row["votes_license"] == origin["license"]
        for side in ("chosen", "rejected"):
            image = images[row[f"{side}_id"]]
            assert row[f"{side}_id"] == origin[f"{side}_id"]
            assert row[f"{side}_license"] == image["license"]
            assert row[f"{side}_model"] == origin[f"{side}_model"]
    assert 20 < sum(row["label_0"] for row in rows) < 54  # no side is better


def test_a_pair_without_an_image_is_left_out_and_counted(
    mixed_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(write(mixed_release, tmp_path / "out", layout="diffusers-dpo")) == 2
    reason = "the release does not have both images"
    assert f"left out: 1, because {reason}" in capsys.readouterr().out
    assert f"| Left out because {reason} | 1 |" in (tmp_path / "out/README.md").read_text()


def test_equal_releases_give_equal_exports(mixed_release: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(mixed_release, tmp_path / name, "--size", "24")
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")


@pytest.mark.parametrize(
    ("flags", "messages"),
    [
        (("--layout", "trl"), ["there is no such layout", "use one of: text-to-image, diffusers-dpo"]),
        (
            ("--layout", "diffusers-dpo", "--size", "9", "--captioner", "x", "--text", "caption"),
            [f"{flag}: the layout diffusers-dpo does not take this flag" for flag in ("--size", "--text")],
        ),
        (
            ("--layout", LAYOUT, "--text", "captions", "--size", "0"),
            ["did you mean caption?", "--size: a size is a number of pixels above 0"],
        ),
        (("--layout", LAYOUT, "--captioner", "first"), ["add --text caption"]),
        (("--layout", LAYOUT, "--text", "caption", "--captioner", "firs"), ["did you mean first?"]),
    ],
)
def test_wrong_flags_are_refused_all_at_once(
    flags: tuple[str, ...],
    messages: list[str],
    mixed_release: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert export([str(mixed_release), *flags, "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert all(message in shown for message in messages)
    assert "[settings]" in shown
    assert not list(tmp_path.iterdir())


def test_an_export_without_a_row_is_refused(
    mixed_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        export([str(mixed_release), "--layout", LAYOUT, "--size", "512", "--out", str(tmp_path / "out")]) == 1
    )
    shown = capsys.readouterr().err
    assert "no row is left: 5 left out, because the shorter side" in shown
    assert "no row is left: 1 left out, because the prompt is unknown" in shown
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_overwritten(sample_release: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export([str(sample_release), "--layout", LAYOUT, "--out", str(tmp_path / "out")]) == 2
    assert not list((tmp_path / "out").iterdir())


def test_a_failure_leaves_nothing(
    sample_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("publish.run.exporting.render_export", fail)
    assert export([str(sample_release), "--layout", LAYOUT, "--out", str(tmp_path / "out")]) == 1
    assert not list(tmp_path.iterdir())
