"""Requests for images: seeds and keys that depend on the right things, and prompts that may not be used."""

import json
from pathlib import Path

import pytest

from builders.generation.grammar import FACES, load_grammar
from builders.generation.image_requests import PlannedImage, plan_images
from builders.generation.prompt_files import write_prompts
from builders.generation.prompts import make_prompts
from builders.generation.requests import plan_request
from schemas.problems import SourceError
from schemas.prompts import PromptRecord


def plan(
    path: Path, *texts: str, settings: dict[str, int] | None = None, seed: int = 0
) -> list[PlannedImage]:
    path.write_text("\n".join(texts), encoding="utf-8")
    return list(plan_images(path, "drawn", settings or {}, seed))


def test_a_request_depends_on_prompt_settings_and_seed(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    first, second = plan(path, "a man", "a woman")
    assert [first, second] == plan(path, "a man", "a woman")
    assert plan(path, "a woman", "a man") == [second, first]  # the order of the file decides nothing
    keys = {
        first.key,
        second.key,
        plan(path, "a man", seed=1)[0].key,
        plan(path, "a man", settings={"s": 1})[0].key,
    }
    assert len(keys) == 4
    assert plan(path, "a man", settings={"s": 1})[0].seed == first.seed != second.seed


def test_a_prompt_that_is_there_twice_gives_two_images(tmp_path: Path) -> None:
    one, two, three = plan(tmp_path / "p.txt", "a man", "a man", "  a man ")
    assert len({one.key, two.key, three.key}) == len({one.seed, two.seed, three.seed}) == 3
    assert {one.prompt, two.prompt, three.prompt} == {"a man"}


def test_prompts_of_the_kit_keep_what_they_ask_for(tmp_path: Path) -> None:
    records = list(make_prompts(plan_request(load_grammar(FACES)), 7, 20))
    write_prompts(tmp_path / "p.jsonl", records)
    for record, planned in zip(records, plan_images(tmp_path / "p.jsonl", "drawn", {}, 0), strict=True):
        assert planned.attributes == record.attributes
        assert (planned.prompt, planned.prompt_index, planned.prompt_seed) == (record.prompt, record.index, 7)
        assert (planned.grammar, planned.grammar_version) == (record.grammar, record.grammar_version)


def test_a_rewritten_prompt_keeps_where_it_is_from(tmp_path: Path) -> None:
    origin = {"prompt_id": "p1", "base_prompt_id": "p0", "category": "Cinematic", "sub_category": "close-up"}
    origin |= {"evolution": "quality", "prompt_license": "cc-by-sa-4.0"}
    record = PromptRecord(index=0, prompt="a man", attributes=(), **origin)
    write_prompts(tmp_path / "p.jsonl", [record])
    (planned,) = plan_images(tmp_path / "p.jsonl", "drawn", {}, 0)
    assert {name: getattr(planned, name) for name in origin} == origin
    assert (planned.prompt_index, planned.grammar) == (0, None)
    (plain,) = plan(tmp_path / "p.txt", "a man")
    assert plain.key == planned.key  # who asks, and in which category, changes no image


def test_every_prompt_that_may_not_be_used_is_named_before_the_first_request(tmp_path: Path) -> None:
    lines = [
        json.dumps({"prompt": "a photo of a woman"}),
        json.dumps({"prompt": "a 12-year-old girl with red lipstick"}),
        "not JSON",
        json.dumps({"prompt": "   "}),
        json.dumps(
            {
                "prompt": "a face",
                "attributes": [{"attribute": "age", "value": "9"}, {"attribute": "x", "value": "mini skirt"}],
            }
        ),
        json.dumps({"prompt": "x" * 10_001}),
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(SourceError) as caught:
        plan_images(path, "drawn", {}, 0)
    assert {problem.row for problem in caught.value.problems} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(SourceError, match="no prompts"):
        plan_images(tmp_path / "p.txt", "drawn", {}, 0)


def test_a_text_that_is_too_long_for_a_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a face\n" + "x" * 10_001)
    with pytest.raises(SourceError, match="10,001 characters"):
        plan_images(tmp_path / "p.txt", "drawn", {}, 0)
