"""`sfhq generate`: the whole command, from flags to a folder, exit statuses and `--json`."""

import csv
import fcntl
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builders.sample.faces import ATTRIBUTES, describe_face, random_face
from builders.sample.faces.reading import read_face
from publish import generate, prompts, sfhq
from schemas.generation import GenerationRecord
from schemas.generators import GENERATORS
from tests.publish.test_prompts import flags_of_section
from tests.support import ROOT

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without the keys of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("FAL_KEY", "HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def file(tmp_path: Path, capsys: Capture) -> Path:
    """Six prompts of the kit's."""
    path = tmp_path / "prompts.jsonl"
    assert prompts.main(["--count", "6", "--seed", "7", "--out", str(path)]) == 0
    capsys.readouterr()
    return path


def run(capsys: Capture, *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command; return its exit status, stdout and stderr."""
    status = sfhq.main(["generate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def document(capsys: Capture, *arguments: str | Path) -> Mapping[str, Any]:
    """Run the command with `--json`; return its document."""
    status = generate.main([*map(str, arguments), "--json"])
    result: Mapping[str, Any] = json.loads(capsys.readouterr().out)
    assert result["exit_status"] == status
    return result


def records(folder: Path) -> list[GenerationRecord]:
    lines = (folder / "generation.jsonl").read_text(encoding="utf-8").splitlines()
    return [GenerationRecord.model_validate_json(line) for line in lines]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files that are part of the collection."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".generation" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_seed_draws_the_same_folder(file: Path, tmp_path: Path, capsys: Capture) -> None:
    size = ["--set", "image_size=64x64"]
    status, out, err = run(capsys, file, "--out", tmp_path / "a", *size)
    assert (status, err) == (0, "")
    assert f"--sfhq {tmp_path / 'a'}" in out
    asked = [json.loads(line) for line in file.read_text().splitlines()]
    for line, record in zip(asked, records(tmp_path / "a"), strict=True):
        assert [each.model_dump() for each in record.attributes] == line["attributes"]
        assert (record.prompt, record.prompt_index, record.status) == (
            line["prompt"],
            line["index"],
            "delivered",
        )
        assert (record.cost_usd, record.requested_at, record.seconds) == (0, None, None)
    assert run(capsys, file, "--out", tmp_path / "b", *size, "--concurrency", "1")[0] == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert run(capsys, file, "--out", tmp_path / "c", *size, "--seed", "1")[0] == 0
    assert (
        contents(tmp_path / "c")
        .keys()
        .isdisjoint(contents(tmp_path / "a").keys() - {"generation.jsonl", "SFHQ_T2I_dataset.csv"})
    )


def test_more_images_go_into_the_same_folder(file: Path, tmp_path: Path, capsys: Capture) -> None:
    size, folder = ["--set", "image_size=64x64"], tmp_path / "a"
    first = tmp_path / "first.jsonl"
    first.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    assert document(capsys, first, "--out", folder, *size)["result"]["plan"]["states"] == {"delivered": 2}
    before = contents(folder)
    plan = document(capsys, file, "--out", folder, *size, "--plan")["result"]
    assert (plan["num_prompts"], plan["num_to_send"], plan["states"]) == (
        6,
        4,
        {"planned": 4, "delivered": 2},
    )
    assert run(capsys, file, "--out", folder, *size)[0] == 0
    after = contents(folder)
    assert {name: after[name] for name in before if name.endswith(".jpg")} == {
        name: data for name, data in before.items() if name.endswith(".jpg")
    }
    assert after["SFHQ_T2I_dataset.csv"].startswith(before["SFHQ_T2I_dataset.csv"])
    assert len(records(folder)) == 6


def test_two_settings_of_a_generator_make_two_images_of_each_prompt(
    file: Path, tmp_path: Path, capsys: Capture
) -> None:
    sizes = ("64x64", "96x96")
    generators = [part for size in sizes for part in ("--generator", f"drawn:image_size={size}")]
    plan = document(capsys, file, *generators, "--plan")["result"]
    assert (plan["num_to_send"], [each["num_to_send"] for each in plan["plans"]]) == (12, [6, 6])
    result = document(capsys, file, *generators, "--out", tmp_path / "a")["result"]
    assert [each["plan"]["states"] for each in result["results"]] == [{"delivered": 6}] * 2
    made = contents(tmp_path / "a")
    assert len({data for name, data in made.items() if name.endswith(".jpg")}) == 12
    with (tmp_path / "a" / "SFHQ_T2I_dataset.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    pairs: dict[str, set[str]] = {}
    for row in rows:
        pairs.setdefault(row["text_prompt"], set()).add(json.loads(row["configs"])["image_size"])
    assert list(pairs.values()) == [set(sizes)] * 6
    assert run(capsys, file, *generators, "--out", tmp_path / "a")[0] == 0
    assert contents(tmp_path / "a") == made


def test_a_plan_writes_nothing_and_needs_no_key(file: Path, tmp_path: Path, capsys: Capture) -> None:
    status, out, _ = run(capsys, file, "--generator", "FLUX1_schnell", "--out", tmp_path / "a", "--plan")
    assert status == 0
    assert "$0.0031 an image" in out
    assert "fal-ai" in out
    assert not (tmp_path / "a").exists()
    plan = document(capsys, file, "--generator", "FLUX1_dev", "--set", "image_size=512x512", "--plan")[
        "result"
    ]
    assert plan["cost_usd"] == pytest.approx(6 * 0.025 * 512 * 512 / 1e6)
    assert (
        document(capsys, file, "--generator", "FLUX1_dev", "--price", "2", "--plan")["result"]["cost_usd"]
        == 12
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--generator", "FLUX1_schnell"], "there is no budget"),
        (["--generator", "FLUX1_schnell", "--budget", "1"], "set FAL_KEY or HF_TOKEN"),
        (["--generator", "gpt-image-2", "--budget", "1"], "no price of gpt-image-2"),
        (["--generator", "DALLE3"], "use gpt-image-2"),
        (["--generator", "SD2_1"], "use SDXL"),
        (["--generator", "FLUX1_schnel"], "did you mean FLUX1_schnell"),
        (["--generator", "FLUX1_pro"], "knows no provider"),
        (["--generator", "FLUX1_schnell", "--provider", "fal"], "did you mean fal-ai"),
        (["--generator", "FLUX2_dev", "--provider", "together"], "give --model"),
        (["--generator", "FLUX1_dev", "--set", "steps=3"], "has no such setting"),
        (["--generator", "FLUX1_dev", "--set", "num_inference_steps=many"], "num_inference_steps"),
        (["--generator", "drawn", "--generator", "drawn:"], "two generators would make the same images"),
        (["--generator", "drawn", "--generator", "FLUX1_schnel"], "did you mean FLUX1_schnell"),
        (["--generator", "drawn", "--generator", "FLUX1_dev:steps=3"], "has no such setting"),
        (["--generator", "drawn", "--generator", "FLUX1_schnell"], "6 images cost about $0.02"),
        (["--generator", "FLUX1_dev", "--generator", "FLUX1_schnell"], "12 images cost about $0.18"),
        (["--generator", "drawn", "--generator", "FLUX1_dev:price=much"], "price=0.04"),
        (["--generator", "drawn", "--generator", "FLUX1_dev", "--model", "m"], "no model in common"),
        (["--generator", "drawn", "--generator", "FLUX1_dev", "--budget", "1"], "set FAL_KEY or HF_TOKEN"),
        (["--set", "image_size"], "NAME=VALUE"),
        (["--set", "image_size=64x32"], "squares"),
        (["--set", "image_size=4000x4000"], "squares"),
        (["--set", "seed=3"], "--seed decides"),
        (["--set", "n=4"], "each request makes one image"),
        (["--endpoint", "ftp://here"], "begins with http"),
    ],
)
def test_what_cannot_be_done_is_refused(
    file: Path, tmp_path: Path, capsys: Capture, flags: list[str], message: str
) -> None:
    status, _, err = run(capsys, file, "--out", tmp_path / "a", *flags)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "a" / "images").exists() or not list((tmp_path / "a" / "images").iterdir())


def test_every_retired_generator_says_what_to_use(file: Path, capsys: Capture) -> None:
    retired = [each for each in GENERATORS.values() if each.retired is not None]
    assert len(retired) >= 3
    for generator in retired:
        assert generator.retired is not None
        name = generator.retired.rpartition("use ")[2]
        assert GENERATORS[name].retired is None
        assert generator.retired in run(capsys, file, "--generator", generator.name, "--out", "a")[2]


def test_there_must_be_a_folder_and_prompts(file: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, file)[0] == 2
    assert run(capsys, tmp_path / "none.jsonl", "--out", tmp_path / "a")[0] == 1
    bad = tmp_path / "bad.txt"
    bad.write_text("a man\na 9-year-old with red lipstick\n")
    status, _, err = run(capsys, bad, "--out", tmp_path / "a")
    assert status == 1
    assert f"{bad}:2:prompt" in err
    assert not (tmp_path / "a").exists()


def test_two_runs_in_one_folder_do_not_mix(file: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "a"
    assert run(capsys, file, "--out", folder, "--set", "image_size=64x64")[0] == 0
    descriptor = os.open(folder / ".generation", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        status, _, err = run(capsys, file, "--out", folder, "--seed", "1", "--set", "image_size=64x64")
    finally:
        os.close(descriptor)
    assert status == 1
    assert "another run is working in this folder" in err
    assert len(records(folder)) == 6


def test_settings_say_what_flags_do_not(file: Path, tmp_path: Path, capsys: Capture) -> None:
    settings = tmp_path / "release.toml"  # found by itself, in the folder where the command runs
    text = (
        ROOT / "release.toml"
    ).read_text() + '\n[generation]\nout = "mine"\nsettings = { image_size = "64x64" }\nseed = 3\n'
    settings.write_text(text)
    assert run(capsys, file)[0] == 0
    assert len(records(settings.parent / "mine")) == 6
    with (settings.parent / "mine" / "SFHQ_T2I_dataset.csv").open(newline="") as table:
        assert {json.loads(row["configs"])["image_size"] for row in csv.DictReader(table)} == {"64x64"}
    settings.write_text(text.replace("seed = 3", "sede = 3"))
    assert "generation.sede" in run(capsys, file, "--config", settings)[2]


def test_the_table_of_flags_is_the_commands(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        generate.main(["--help"])
    flags = set(re.findall(r"--[a-z-]+[a-z]", capsys.readouterr().out)) - {"--help"}
    assert flags_of_section("Flags of the generate command") == flags


def test_a_description_of_a_drawn_face_is_read_back() -> None:
    for seed in range(300):
        face = random_face(seed)
        for style in range(6):
            found = read_face(describe_face(face, style), (), seed + 1000).face
            hidden = {"eyes"} if face.glasses == "sunglasses" else set()
            hidden |= {"hair_color"} if face.hair_style == "bald" else set()
            for name in ATTRIBUTES.keys() - hidden:
                assert getattr(found, name) == getattr(face, name), describe_face(face, style)


def test_what_is_worn_is_drawn_only_if_it_is_asked_for() -> None:
    for seed in range(50):
        face = read_face("a portrait of a woman", (), seed).face
        assert (face.glasses, face.hat, face.beard) == ("none", "none", "none")
        assert face.hair_style != "bald"
        assert face.hair_color not in ("green", "blue", "pink")
    asked = [("hair color", "auburn"), ("headwear", "a knitted beanie"), ("unknown", "x")]
    found = read_face("a bald man with blue eyes", asked, 3)
    assert (found.face.hair_color, found.face.hat, found.read) == ("red", "beanie", ("hair_color", "hat"))
