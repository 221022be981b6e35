"""`sfhq prompts evolve`: equal cells by seed, whose licence and id stay, and texts that may be used."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.generation.evolving import EVOLUTIONS, load_evolutions
from builders.generation.rules import find_in_prompt
from publish import generate, prompts
from schemas.generation import GenerationRecord
from schemas.prompts import PromptRecord
from tests.builders.generation.worlds import make

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Prompts of adults and children, with ids and licences, and two that the kit did not make."""
    rows = [record.model_dump() for record in (*make(30), *make(6, [("age group", "child")]))]
    listed = [
        row | {"prompt_id": f"p{number}", "prompt_license": "cc-by-sa-4.0"} for number, row in enumerate(rows)
    ]
    listed += [{"id": "mine", "prompt": "an honest man, {smiling}  "}, {"prompt": "a woman, laughing!"}]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in listed))
    return path


def evolve(capsys: Capture, path: Path, *flags: str) -> tuple[dict[str, Any], list[PromptRecord]]:
    """Rewrite a file; return the document of `--json`, and the prompts."""
    out = path.with_name("evolved.jsonl")
    status = prompts.main(["evolve", str(path), "--out", str(out), "--json", *flags])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_status"] == status
    lines = out.read_text().splitlines() if not status else []
    return document, [PromptRecord.model_validate_json(line) for line in lines]


def test_every_prompt_gets_both_wordings_in_one_cell(file: Path, capsys: Capture) -> None:
    document, made = evolve(capsys, file, "--seed", "3")
    assert (document["result"]["num_bases"], len(made), document["result"]["reasons"]) == (38, 76, {})
    bases = [json.loads(line) for line in file.read_text().splitlines()]
    texts = {row.get("prompt_id") or row.get("id"): row for row in bases}
    by_base: dict[str | None, list[PromptRecord]] = {}
    for record in made:
        by_base.setdefault(record.base_prompt_id, []).append(record)
    assert len(by_base) == 38
    for base_id, (first, second) in by_base.items():
        assert (first.category, first.sub_category) == (second.category, second.sub_category)
        assert (first.evolution, second.evolution) == EVOLUTIONS
        if base_id in texts and "attributes" in texts[base_id]:
            base = PromptRecord.model_validate(texts[base_id])
            assert base.prompt.rstrip(".") in first.prompt
            assert base.prompt.rstrip(".") in second.prompt
            assert first.attributes == second.attributes == base.attributes
            assert first.prompt_license == "cc-by-sa-4.0"
    assert {text.prompt.split(".")[0] for text in by_base["mine"]} == {"An honest man, {smiling}"}
    assert len({record.prompt_id for record in made}) == len({record.prompt for record in made}) == 76


def test_cells_are_equally_frequent_and_the_seed_decides(file: Path, capsys: Capture) -> None:
    _, made = evolve(capsys, file, "--seed", "3", "--count", "1000")
    assert len(made) == 1000
    categories = Counter(record.category for record in made)
    assert len(categories) == 12
    assert max(categories.values()) - min(categories.values()) <= 4
    for category in load_evolutions().categories:
        inside = Counter(record.sub_category for record in made if record.category == category.name)
        assert inside.keys() == category.sub_categories.keys()
        assert max(inside.values()) - min(inside.values()) <= 4
    assert len({record.prompt for record in made}) == 1000
    assert evolve(capsys, file, "--seed", "3", "--count", "1000", "--overwrite")[1] == made
    assert evolve(capsys, file, "--seed", "3", "--count", "99", "--overwrite")[1] == made[:99]
    assert evolve(capsys, file, "--seed", "4", "--count", "99", "--overwrite")[1] != made[:99]


def test_a_rewriting_of_a_rewriting_names_the_first_prompt(
    file: Path, tmp_path: Path, capsys: Capture
) -> None:
    _, made = evolve(capsys, file)
    again = tmp_path / "again.jsonl"
    again.write_text("".join(f"{record.model_dump_json()}\n" for record in made))
    _, twice = evolve(capsys, again, "--overwrite")
    assert {record.base_prompt_id for record in twice} == {record.base_prompt_id for record in made}
    assert Counter(record.prompt_license for record in twice)["cc-by-sa-4.0"] == 2 * 72


def test_the_categories_say_nothing_of_people_and_nothing_twice() -> None:
    evolutions = load_evolutions()
    names = [name for each in evolutions.categories for name in each.sub_categories]
    styles = [style for each in evolutions.categories for style in each.sub_categories.values()]
    assert len(evolutions.categories) == 12
    assert len(set(names)) == len(names) == len(set(styles))
    for phrase in [*styles, *(detail for each in evolutions.categories for detail in each.details)]:
        assert not find_in_prompt(f"a child. {phrase}"), phrase
        assert not re.search(r"\b(woman|man|he|she|his|her|smil\w*|portra 400|kodak|fuji\w*)\b", phrase), (
            phrase
        )


def test_what_may_not_be_used_is_listed_and_not_rewritten(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "raw.txt"
    path.write_text("a man\na naked man\n")
    document, made = evolve(capsys, path)
    assert document["result"]["reasons"] == {"sexual": 1}
    assert {record.base_prompt_id for record in made} == {made[0].base_prompt_id}
    (line,) = (tmp_path / "evolved.rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == 2
    path.write_text("a naked man\n")
    assert evolve(capsys, path, "--overwrite")[0]["exit_status"] == 1


def test_more_than_there_are_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "raw.txt"
    path.write_text("a man\n")
    document, _ = evolve(capsys, path, "--count", "1000")
    assert document["exit_status"] == 2
    assert "different rewritings" in document["problems"][0]["message"]
    cells = sum(len(each.sub_categories) for each in load_evolutions().categories)
    assert len({record.prompt for record in evolve(capsys, path, "--count", str(2 * cells))[1]}) == 2 * cells


def test_rewritten_prompts_become_pairs_of_images_that_know_their_cell(
    tmp_path: Path, capsys: Capture
) -> None:
    raw, clean, folder = (str(tmp_path / name) for name in ("raw.jsonl", "prompts.jsonl", "images"))
    assert prompts.main(["--count", "6", "--seed", "7", "--out", raw]) == 0
    assert prompts.main(["clean", raw, "--out", clean, "--any-language", "--license", "cc0-1.0"]) == 0
    capsys.readouterr()
    _, made = evolve(capsys, Path(clean))
    two = [part for size in (64, 80) for part in ("--generator", f"drawn:image_size={size}x{size}")]
    assert generate.main([str(tmp_path / "evolved.jsonl"), *two, "--out", folder]) == 0
    lines = (tmp_path / "images" / "generation.jsonl").read_text().splitlines()
    records = [GenerationRecord.model_validate_json(line) for line in lines]
    images = Counter(record.prompt_id for record in records if record.image_filename)
    assert images == {record.prompt_id: 2 for record in made}
    known = {record.prompt_id: record for record in made}
    names = ("prompt", "base_prompt_id", "category", "sub_category", "evolution", "prompt_license")
    for record in records:
        for name in names:
            assert getattr(record, name) == getattr(known[record.prompt_id], name) is not None
