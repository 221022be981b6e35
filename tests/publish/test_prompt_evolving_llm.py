"""Prompts rewritten by a language model, with the real client against a server on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.generation.evolving import Base, Task, load_evolutions, plan_evolutions
from builders.generation.evolving_llm import find_fault
from builders.generation.keeping import find_chatter
from builders.generation.rules import find_in_prompt
from publish import prompts
from publish.run.sentence_writing import work_folder
from schemas.prompts import PromptOrigin, PromptRecord
from tests.builders.generation.worlds import make
from tests.publish.providers.chat_server import MODEL, RIGHT, ChatServer, answer
from tests.publish.providers.image_server import Reply, Seen
from tests.support import ROOT

Capture = pytest.CaptureFixture[str]
KEY = "MarkedSecretKey0123456789abcdef"


def prompt(text: str) -> Reply:
    return answer(json.dumps({"prompt": text}))


class RewritingServer(ChatServer):
    """A model that rewrites well, unless a test queues something else."""

    def _reply(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            reply = self.replies.pop(0) if self.replies else RIGHT
        if reply is RIGHT:
            said = asked(seen)
            more = ", with soft tones" if said["Complexity"] == "quality" else ""
            reply = prompt(f"{said['Prompt']} In the style of {said['Style'].split(' (')[0]}{more}.")
        return reply


def asked(seen: Seen) -> dict[str, str]:
    """Return what the first message of a request asks for."""
    return dict(line.split(": ", 1) for line in seen.sent["messages"][1]["content"].splitlines())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RewritingServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SFHQ_LLM_KEY", KEY)
    with RewritingServer() as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    lines = [f"{record.model_dump_json()}\n" for record in make(3)]
    path.write_text("".join([*lines, '{"prompt": "an old sailor with a grey beard on a wooden pier"}\n']))
    return path


def evolve(
    capsys: Capture, server: ChatServer, file: Path, *flags: str
) -> tuple[dict[str, Any], list[PromptRecord]]:
    out = file.with_name("evolved.jsonl")
    listed = ["--llm", server.address, "--llm-model", MODEL, "--concurrency", "1", "--overwrite", *flags]
    status = prompts.main(["evolve", str(file), "--out", str(out), "--json", *listed])
    shown, noted = capsys.readouterr()
    assert KEY not in shown + noted
    document = json.loads(shown)
    assert document["exit_status"] == status
    return document, [PromptRecord.model_validate_json(line) for line in out.read_text().splitlines()] if (
        out.is_file()
    ) else []


def test_a_right_rewriting_is_kept_and_not_asked_for_again(
    server: RewritingServer, file: Path, capsys: Capture
) -> None:
    document, made = evolve(capsys, server, file)
    assert document["result"]["methods"] == {"llm": 8}
    assert len(server.seen) == 8
    assert {record.grammar for record in made} == {f"{MODEL}-2026"}
    bases = [*make(3)]
    for number, record in enumerate(made):
        style = asked(server.seen[number])
        assert (record.evolution, record.category) == (
            style["Complexity"],
            style["Style"].split("(")[1].rstrip(")"),
        )
        assert style["Prompt"] in record.prompt
    kept = {record.attributes for record in made}
    assert kept == {(), *(base.attributes for base in bases)}
    assert evolve(capsys, server, file)[1] == made
    assert len(server.seen) == 8


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A portrait in ink.", "This is missing"),
        ("an old sailor with a grey beard on a wooden pier, naked", "Leave this out"),
        ("a boy with a grey beard on a wooden pier, an old sailor", "The age of the person has changed"),
        ("an old sailor with a grey beard on a wooden pier" + ", waves" * 240, "characters; at most"),
    ],
)
def test_a_wrong_rewriting_is_asked_for_once_more_and_then_written_by_rule(
    server: RewritingServer, tmp_path: Path, capsys: Capture, text: str, complaint: str
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("an old sailor with a grey beard on a wooden pier\n")
    server.replies += [prompt(text), RIGHT, prompt(text), prompt(text)]
    document, made = evolve(capsys, server, file)
    assert document["result"]["methods"] == {"llm-second-try": 1, "rule-after-llm": 1}
    assert len(server.seen) == 4
    assert complaint in server.seen[1].sent["messages"][3]["content"]
    assert [record.grammar for record in made] == [f"{MODEL}-2026", load_evolutions().name]
    assert not [record for record in made if find_in_prompt(record.prompt)]
    assert all("an old sailor" in record.prompt.casefold() for record in made)


BASE = "an old sailor with a long grey beard, no hat, on a wooden pier at dawn, 60 years old"


@pytest.mark.parametrize(
    "text",
    [
        f"I'm sorry, but I cannot rewrite this prompt: {BASE}",
        f"I\u2019m sorry, I can\u2019t help with that. {BASE}",
        f"As an AI language model, I would write: {BASE}",
        f"Unfortunately, I am unable to do that. {BASE}",
        f"{BASE}. This violates our content policy.",
        f"Sure! Here is the new prompt: {BASE}",
        f"Certainly, {BASE}",
        f"Here's the rewritten version: {BASE}",
        f"Prompt: {BASE}",
        f"**{BASE}**",
        f"```{BASE}```",
        f"# Portrait\n{BASE}",
        f"- {BASE}",
        f'"{BASE}"',
        f"\u201c{BASE}\u201d",
        f"{BASE}. Let me know if you want changes.",
        BASE.replace("no hat", "a hat"),
        BASE.replace("no hat, ", ""),
        BASE.replace("a long grey beard", "no long grey beard"),
        BASE.replace("60 years old", "old"),
        "an old sailor, no hat, 60 years old, ink on paper",
    ],
)
def test_a_text_that_is_no_rewriting_is_refused(text: str) -> None:
    assert find_fault(task(), text), text


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        f"Ink portrait of {BASE}, with fine lines.",
        "Watercolour: an old sailor, 60 years old, his beard long and grey, no hat, on a wooden pier, dawn",
        "A sailor of 60, old, without a hat, long grey beard, wooden pier, dawn; cinematic light",
        "At dawn on the wooden pier stands an old sailor of 60 years with a long grey beard and not a hat",
    ],
)
def test_a_text_that_keeps_what_it_must_is_right(text: str) -> None:
    assert find_fault(task(), text) is None


def test_an_answer_of_any_size_is_judged_at_once() -> None:
    for text in ("a" + "\n" * 1_000_000 + "b", "a" + " " * 1_000_000 + "b", "no " * 300_000):
        assert "characters" in (find_fault(task(), text) or "")
        assert bool(find_chatter(text, BASE)) == ("\n" in text)


def test_what_the_prompt_itself_says_is_no_chatter() -> None:
    for text in (
        "Sorry sailor on a pier",
        '"Sure!" says an old sailor on a pier, "certainly"',
        "Okay sign, an old sailor",
    ):
        assert find_fault(task(text), f"{text}, ink") is None, text


def task(text: str = BASE) -> Task:
    base = Base(1, text, (), PromptOrigin(base_prompt_id="a"))
    return next(plan_evolutions([base], 1))


def test_a_budget_ends_a_run_and_a_larger_one_goes_on(
    server: RewritingServer, file: Path, capsys: Capture
) -> None:
    price = ["--llm-price", "100,100"]  # a request may cost about a tenth of a dollar, and costs 0.035
    document, made = evolve(capsys, server, file, *price, "--budget", "0.2")
    assert (document["exit_status"], made) == (1, [])
    assert [problem["code"] for problem in document["problems"]] == ["run/budget"]
    num_before = len(server.seen)
    assert 0 < num_before < 8
    assert evolve(capsys, server, file, *price, "--budget", "5")[0]["result"]["methods"] == {"llm": 8}
    assert len(server.seen) == 8


def test_flags_of_a_model_need_one(file: Path, capsys: Capture) -> None:
    assert prompts.main(["evolve", str(file), "--out", str(file.with_name("e.jsonl")), "--budget", "1"]) == 2
    assert "--llm" in capsys.readouterr().err


def start(server: ChatServer, file: Path) -> "subprocess.Popen[str]":
    flags = ["--llm", server.address, "--llm-model", MODEL, "--concurrency", "1"]
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "publish" / "prompts.py"), "evolve", str(file)),
            *("--out", str(file.with_name("evolved.jsonl")), *flags),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_a_killed_run_asks_for_nothing_twice(server: RewritingServer, file: Path) -> None:
    server.replies += [RIGHT] * 3 + [Reply(do="silent")]
    with start(server, file) as process:
        for _ in range(6000):
            if len(server.seen) >= 4:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not file.with_name("evolved.jsonl").exists()
    with start(server, file) as process:
        shown, noted = process.communicate()
    assert process.returncode == 0, noted
    assert "rule-after-llm 1" in shown  # the lost one may be paid for, and is not sent again unasked
    assert len({seen.body for seen in server.seen}) == len(server.seen) == 8
    for path in work_folder(file.with_name("evolved.jsonl")).iterdir():
        assert KEY.encode() not in path.read_bytes()
