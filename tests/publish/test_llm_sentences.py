"""Captions by a language model, with the real client against a server on loopback."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from builders.generation.captions.chat import INSTRUCTION
from builders.generation.captions.chat_asking import ChatOptions
from builders.generation.captions.chat_journal import ChatJournal
from builders.generation.captions.checking import check_sentence
from builders.generation.captions.llm_writing import LanguageModelWriter
from builders.generation.captions.realising import RuleWriter
from publish.network import RetryPolicy, TimeLimits
from publish.providers.chat import Prices, kind_of, open_chat
from publish.providers.images import ProviderOptions
from publish.run.sentence_writing import add_llm_flags, open_writer, work_folder
from publish.run.terminal import Terminal
from schemas.bags import Bag, Fact, Sentence
from schemas.problems import KitError, SettingsError
from tests.publish.fake_time import FakeTime
from tests.publish.providers.chat_server import MODEL, RIGHT, ChatServer, answer, caption
from tests.publish.providers.image_server import Reply, say
from tests.support import ROOT

KEY = "MarkedSecretKey0123456789abcdef"
GOOD = "A smiling woman with brown hair and blue eyes. She wears no glasses."
FACTS = {
    "gender": "female",
    "hair_color": "brown",
    "eyes": "blue",
    "glasses": "none",
    "expression": "smiling",
}
PRICES = Prices(1.0, 2.0)

Write = Callable[..., list[Sentence]]


def bag(number: int = 0, facts: dict[str, str] = FACTS) -> Bag:
    """Return a bag; other numbers have other facts."""
    values = {**facts, "number": f"n{number}"} if number else facts
    listed = [
        Fact(attribute=name, value=value, confidence=0.9, source_model="m 1")
        for name, value in values.items()
    ]
    return Bag(image_id=f"image{number:03}", facts=tuple(listed))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)  # no server but OpenAI's own may see it
    monkeypatch.delenv("SFHQ_LLM_KEY", raising=False)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def write(server: ChatServer, clock: FakeTime, notes: list[str], tmp_path: Path) -> Write:
    """Write captions with one request at a time; waits take no time."""

    def write_captions(
        bags: Sequence[Bag],
        *,
        key: str | None = None,
        budget: float | None = None,
        again: bool = False,
        concurrency: int = 1,
    ) -> list[Sentence]:
        options = ProviderOptions(
            kind_of("loopback"),
            MODEL,
            key,
            server.address,
            TimeLimits(connect_seconds=5, read_seconds=30, total_seconds=1000),
            notes.append,
            RetryPolicy(jitter_seconds=0),
            clock.clock,
        )
        chat_options = ChatOptions("loopback", MODEL, budget, concurrency, sends_again=again)
        with (
            closing(open_chat(options, PRICES)) as model,
            ChatJournal(tmp_path / "journal.sqlite") as journal,
        ):
            journal.recover()
            return list(LanguageModelWriter(model, journal, RuleWriter(), chat_options).write(bags))

    return write_captions


def states(tmp_path: Path) -> list[str]:
    with ChatJournal(tmp_path / "journal.sqlite", is_read_only=True) as journal:
        return [state for (state,) in journal.read("SELECT state FROM requests ORDER BY number")]


def spent(tmp_path: Path) -> float:
    with ChatJournal(tmp_path / "journal.sqlite", is_read_only=True) as journal:
        return journal.spent_usd()


def test_a_right_answer_is_the_caption(write: Write, server: ChatServer, tmp_path: Path) -> None:
    server.replies.append(caption(GOOD))
    (sentence,) = write([bag()])
    assert sentence == Sentence(
        text=GOOD,
        method="llm",
        instruction=INSTRUCTION,
        captioner="tiny-writer-2026",
        captioner_version="instruction-1;temperature-0",
    )
    sent = server.seen[0].sent
    assert (sent["model"], sent["temperature"], sent["seed"]) == (MODEL, 0, 0)
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["caption"]
    assert sent["messages"][0] == {"role": "system", "content": INSTRUCTION}
    assert "- hair color: brown" in sent["messages"][1]["content"]
    assert "authorization" not in server.seen[0].headers  # the key of OpenAI is for OpenAI
    assert spent(tmp_path) == pytest.approx((300 * 1 + 50 * 2) / 1e6)
    assert write([bag()]) == [sentence]  # from the journal
    assert len(server.seen) == 1


ADDS = "A beautiful smiling woman with brown hair and blue eyes. She wears no glasses."
DROPS = "A smiling woman with brown hair. She wears no glasses."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (caption(ADDS), '"beautiful" (subjective praise)'),
        (caption(DROPS), "missing: eyes: blue"),
        (answer("I cannot see any picture."), "missing: gender: female"),
        (answer('{"caption": '), "missing: gender: female"),
        (answer(None), "missing: gender: female"),
    ],
    ids=["adds a fact", "drops a fact", "chats", "half of a JSON", "nothing"],
)
def test_a_wrong_answer_is_asked_for_once_more(
    write: Write, server: ChatServer, wrong: Reply, said: str
) -> None:
    server.replies += [wrong, caption(GOOD)]
    assert [(each.text, each.method) for each in write([bag()])] == [(GOOD, "llm-second-try")]
    assert said in server.seen[1].sent["messages"][-1]["content"]
    server.replies += [wrong, wrong]
    (sentence,) = write([bag(1)])
    assert (sentence.method, sentence.captioner) == ("rule-after-llm", "sfhq-sentences")
    assert check_sentence(bag(1), sentence.text).is_right
    assert write([bag(1)])[0].method == "rule-after-llm"  # asked twice, and not again
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    "content",
    [GOOD, f'"{GOOD}"', f'```json\n{{"caption": "{GOOD}"}}\n```', f"<think>A woman.</think>\n{GOOD}"],
    ids=["plain", "quoted", "fenced", "thought about"],
)
def test_plain_text_is_taken_where_a_server_has_no_structured_output(
    write: Write, server: ChatServer, content: str
) -> None:
    unknown = {
        "error": {"message": "response_format json_schema is not supported", "type": "invalid_request_error"}
    }
    server.replies += [say(unknown, 400), answer(content)]
    first, _ = write([bag(), bag(1)])
    assert (first.text, first.method) == (GOOD, "llm")
    assert ["response_format" in seen.sent for seen in server.seen] == [True, False, False]


def test_settings_that_a_server_does_not_take_are_left_out(write: Write, server: ChatServer) -> None:
    server.replies += [
        say({"error": {"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens"}}, 400),
        say({"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}, 422),
        caption(GOOD),
    ]
    assert write([bag()])[0].method == "llm"
    assert server.seen[2].sent["max_completion_tokens"] == 400
    assert not {"seed", "max_tokens"} & server.seen[2].sent.keys()


REFUSALS = [
    answer(None, refusal="I cannot describe people."),
    answer("", finish_reason="content_filter"),
    say({"error": {"message": "flagged", "code": "content_policy_violation"}}, 400),
]


@pytest.mark.parametrize("reply", REFUSALS, ids=["in words", "by a filter", "by status"])
def test_a_refusal_is_never_asked_again(
    write: Write, server: ChatServer, tmp_path: Path, reply: Reply
) -> None:
    server.replies.append(reply)
    assert [each.method for each in write([bag()])] == ["rule-after-llm"]
    assert [each.method for each in write([bag()], again=True)] == ["rule-after-llm"]
    assert (len(server.seen), states(tmp_path)) == (1, ["refused"])


LOST = [
    Reply(200, caption(GOOD).body, caption(GOOD).headers, do="cut"),
    Reply(do="reset"),
    Reply(200, b"<!doctype html><title>sign in</title>", {"Content-Type": "text/html"}),
    Reply(200, b"x" * 2_000_000, {"Content-Type": "application/json"}),
    say({"choices": []}),
    say({}, 504),
]


@pytest.mark.parametrize("reply", LOST, ids=["cut", "reset", "a page", "huge", "no choice", "504"])
def test_a_lost_answer_is_paid_for_once_unless_asked_for(
    write: Write, server: ChatServer, tmp_path: Path, reply: Reply
) -> None:
    server.replies.append(reply)
    assert [each.method for each in write([bag()])] == ["rule-after-llm"]
    assert states(tmp_path) == ["uncertain"]
    lost = spent(tmp_path)
    assert lost > 0
    assert [each.method for each in write([bag()])] == ["rule-after-llm"]
    assert len(server.seen) == 1
    assert [each.method for each in write([bag()], again=True)] == ["llm"]
    assert spent(tmp_path) > lost


def test_what_was_not_done_is_sent_again(
    write: Write, server: ChatServer, clock: FakeTime, tmp_path: Path
) -> None:
    server.replies += [say({"error": {"message": "slow down"}}, 429, Retry_After="7"), caption(GOOD)]
    assert [each.method for each in write([bag()])] == ["llm"]
    assert (clock.waits, len(server.seen)) == ([7], 2)
    server.replies += [say({"error": "broken"}, 500)] * 3
    assert [each.method for each in write([bag(1)])] == ["rule-after-llm"]
    assert (len(server.seen), states(tmp_path)) == (5, ["delivered", "failed"])
    assert [each.method for each in write([bag(1)])] == ["llm"]  # the next run


def test_a_wrong_key_stops_the_run_and_is_shown_nowhere(
    write: Write, server: ChatServer, tmp_path: Path
) -> None:
    server.replies.append(say({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401))
    with pytest.raises(KitError) as caught:
        write([bag(), bag(1), bag(2)], key=KEY)
    assert "the key is not accepted" in str(caught.value)
    assert "SFHQ_LLM_KEY" in str(caught.value.problems[0])
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in "".join(map(str, caught.value.problems))
    assert KEY.encode() not in (tmp_path / "journal.sqlite").read_bytes()
    assert len(server.seen) == 1


def test_a_server_that_answers_nothing_usable_is_not_asked_on(write: Write, server: ChatServer) -> None:
    server.replies += [say({}, 504)] * 20
    with pytest.raises(KitError, match="the last 5 requests have no usable answer"):
        write([bag(number) for number in range(1, 20)])
    assert len(server.seen) < 9


def test_a_budget_holds_over_several_runs(write: Write, server: ChatServer, tmp_path: Path) -> None:
    bags = [bag(number) for number in range(1, 6)]
    for _ in range(2):
        with pytest.raises(KitError) as caught:
            write(bags, budget=0.002)
        assert [problem.code for problem in caught.value.problems] == ["run/budget"]
    assert 0 < spent(tmp_path) <= 0.002
    num_sent = len(server.seen)
    assert 1 < num_sent < 5
    assert {each.method for each in write(bags, budget=1)} == {"llm"}
    assert len(server.seen) == 5


@pytest.mark.parametrize("concurrency", [1, 4])
def test_bags_of_equal_facts_share_a_request_and_an_empty_one_needs_none(
    write: Write, server: ChatServer, concurrency: int
) -> None:
    empty = Bag(image_id="empty", facts=())
    surer = bag().model_copy(
        update={"facts": tuple(fact.model_copy(update={"confidence": 0.95}) for fact in bag().facts)}
    )
    sentences = write([bag(), empty, surer, bag(), surer], concurrency=concurrency)
    assert [each.method for each in sentences] == ["llm", "rule", "llm", "llm", "llm"]
    assert len(server.seen) == 1


def test_captions_keep_the_order_of_the_bags(write: Write, server: ChatServer) -> None:
    bags = [bag(number) for number in range(1, 30)]
    sentences = write(bags, concurrency=8)
    assert all(check_sentence(each, said.text).is_right for each, said in zip(bags, sentences, strict=True))
    assert len(server.seen) == 29


def test_the_error_that_ends_a_run_is_the_one_that_is_shown(write: Write, server: ChatServer) -> None:
    server.replies += [say({"error": {"message": "no such model"}}, 404)] * 20
    with pytest.raises(KitError, match="the model 'tiny-writer' is not there") as caught:
        write([bag(number) for number in range(1, 20)], concurrency=4)
    assert "--llm-model" in str(caught.value.problems[0])
    assert len(server.seen) <= 4


# --- by the flags of the command ------------------------------------------------------------


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_llm_flags(parser)
    return parser.parse_args(arguments)


def test_without_a_language_model_the_kit_writes(tmp_path: Path) -> None:
    with open_writer(parse(), tmp_path / "captions.jsonl", Terminal()) as writer:
        (sentence,) = writer.write([bag()])
    assert (sentence.method, sentence.instruction) == ("rule", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--llm", "ftp://host/v1", "--llm-model", "m"], "no http or https address"),
        (["--llm", "http://127.0.0.1:1/v1"], "the model is not named"),
        (["--llm", "http://me:secret@127.0.0.1:1/v1", "--llm-model", "m"], "a user or a password"),
        (["--llm", "https://host/v1", "--llm-model", "m"], "prices of the model are not known"),
        (["--llm", "https://host/v1", "--llm-model", "m", "--llm-price", "1"], "there is no budget"),
        (["--llm-model", "m", "--send-again"], "none is given"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path: Path, arguments: list[str], message: str) -> None:
    with (
        pytest.raises(SettingsError, match=message),
        open_writer(parse(*arguments), tmp_path / "captions.jsonl", Terminal()),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    for name in ("chat", "openai_client"):
        monkeypatch.delitem(sys.modules, f"publish.providers.{name}", raising=False)
    flags = parse("--llm", "http://127.0.0.1:1/v1", "--llm-model", "m")
    with (
        pytest.raises(SettingsError, match=r"pip install '\.\[generate\]'"),
        open_writer(flags, tmp_path / "captions.jsonl", Terminal()),
    ):
        pass


DRIVER = """
import argparse, pathlib, sys
from publish.run.sentence_writing import add_llm_flags, open_writer
from publish.run.terminal import Terminal
from tests.publish.test_llm_sentences import bag
parser = argparse.ArgumentParser()
add_llm_flags(parser)
with open_writer(parser.parse_args(sys.argv[2:]), pathlib.Path(sys.argv[1]), Terminal()) as writer:
    for sentence in writer.write(bag(number) for number in range(1, 9)):
        print(sentence.method, flush=True)
"""


def start(server: ChatServer, out: Path) -> "subprocess.Popen[str]":
    flags = ["--llm", server.address, "--llm-model", MODEL, "--concurrency", "2"]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(out), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SFHQ_LLM_KEY": KEY},
    )


@pytest.mark.slow
def test_a_killed_run_sends_no_finished_request_again(server: ChatServer, tmp_path: Path) -> None:
    out = tmp_path / "captions.jsonl"
    silent = Reply(do="silent")
    server.replies += [RIGHT] * 3 + [silent, silent]
    with start(server, out) as process:
        for _ in range(6000):
            if len(server.seen) >= 5:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    before = [seen.body for seen in server.seen]
    assert len(before) == 5
    with start(server, out) as process:
        shown, noted = process.communicate()
    assert process.returncode == 0, noted
    assert sorted(shown.split()) == sorted(["llm"] * 6 + ["rule-after-llm"] * 2)
    assert len({seen.body for seen in server.seen}) == len(server.seen) == 8  # none twice
    assert "Sentences: " in noted
    for path in work_folder(out).iterdir():
        assert KEY.encode() not in path.read_bytes()
    assert all(seen.headers["authorization"] == f"Bearer {KEY}" for seen in server.seen)
    assert KEY not in shown + noted
