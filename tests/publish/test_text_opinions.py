"""Second opinions on prompts: the real clients against a server on loopback, and a real local model."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from publish import prompts
from publish.providers.text_judges import find_kind
from publish.run.sentence_writing import work_folder
from tests.publish.loopback import Loopback
from tests.publish.providers.image_server import Reply, Seen, answer_with, say
from tests.support import ROOT

Capture = pytest.CaptureFixture[str]
KEY = "MarkedSecretKey0123456789abcdef"
TEXTS = ("a man with a hat", "a woman who dances", "an old sailor", "a young baker")


def flagged(text: str) -> bool:
    return "dances" in text


def moderated(text: str) -> Reply:
    is_bad = flagged(text)
    result = {
        "flagged": is_bad,
        "categories": {"sexual": is_bad, "violence": False},
        "category_scores": {"sexual": 0.9 if is_bad else 0.1, "violence": 0.01},
    }
    return say({"id": "modr-1", "model": "m", "results": [result]})


def classified(text: str, names: tuple[str, str] = ("toxic", "non-toxic")) -> Reply:
    score = 0.8 if flagged(text) else 0.2
    return say([[{"label": names[0], "score": score}, {"label": names[1], "score": 1 - score}]])


class OpinionServer(Loopback):
    """Answers as both APIs do; a test may queue other answers."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.silent_after: int | None = None
        self.names = ("toxic", "non-toxic")
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        super().__init__(self._handler())

    def _reply(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            if self.silent_after is not None and len(self.seen) > self.silent_after:
                return Reply(do="silent")
            if self.replies:
                return self.replies.pop(0)
        if seen.path.endswith("/moderations"):
            return moderated(str(seen.sent["input"]))
        return classified(str(seen.sent["inputs"]), self.names)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return answer_with(self._reply, lambda: self.stopped)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpinionServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)  # no server but OpenAI's own may see it
    for name in ("HF_TOKEN", "SFHQ_CLASSIFIER_KEY", "SFHQ_MODERATION_KEY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with OpinionServer() as server:
        yield server


def clean(
    capsys: Capture, folder: Path, *flags: str, texts: tuple[str, ...] = TEXTS
) -> tuple[dict[str, Any], dict[str, str], str]:
    """Clean a file; return the document, text → decision, and the table of scores."""
    path, out = folder / "raw.txt", folder / "clean.jsonl"
    path.write_text("\n".join(texts))
    listed = [str(path), "--out", str(out), "--any-language", "--overwrite", "--json", *flags]
    status = prompts.main(["clean", *listed])
    shown, noted = capsys.readouterr()
    assert KEY not in shown + noted
    document = json.loads(shown)
    assert document["exit_status"] == status
    if not out.is_file():
        return document, {}, ""
    table = (folder / "clean.scores.csv").read_text()
    decisions = {texts[int(row["row"]) - 1]: row["decision"] for row in csv.DictReader(table.splitlines())}
    return document, decisions, table


def flag(kind: str, server: OpinionServer) -> list[str]:
    return ["--opinion", f"{kind}={server.endpoint}{'/v1' if kind == 'moderation' else ''}"]


@pytest.mark.parametrize("kind", ["moderation", "hugging-face"])
def test_a_classifier_is_asked_about_what_is_left(
    kind: str, server: OpinionServer, tmp_path: Path, capsys: Capture
) -> None:
    texts = (*TEXTS, "a naked man", TEXTS[0])
    document, decisions, table = clean(capsys, tmp_path, *flag(kind, server), texts=texts)
    assert document["exit_status"] == 0
    assert document["result"]["reasons"] == {"second-opinion": 1, "sexual": 1, "repeat": 1}
    assert decisions["a woman who dances"] == "second-opinion"
    assert len(server.seen) == 4
    assert ("sexual" if kind == "moderation" else "toxic") in table.splitlines()[0]
    assert all(KEY not in seen.headers.get("authorization", "") for seen in server.seen)


@pytest.mark.parametrize("kind", ["moderation", "hugging-face"])
@pytest.mark.parametrize(
    "reply",
    [
        say({"error": "broken"}, 418),
        say({"results": []}),
        say([[]]),
        say({"results": [{"flagged": "no", "categories": {}, "category_scores": {"a": 1}}]}),
        say([[{"label": "LABEL_1", "score": 0.1}]]),
        say([[{"label": "toxic", "score": 7}]]),
        Reply(200, b"no JSON", {"Content-Type": "application/json"}),
        Reply(200, b"[" + b" " * 300_000 + b"]", {"Content-Type": "application/json"}),
    ],
)
def test_a_text_without_a_usable_answer_is_never_safe(
    kind: str, reply: Reply, server: OpinionServer, tmp_path: Path, capsys: Capture
) -> None:
    server.replies = [reply]
    document, decisions, _ = clean(capsys, tmp_path, *flag(kind, server))
    assert document["exit_status"] == 1
    assert decisions["a woman who dances"] != "kept"
    assert document["result"]["reasons"]["unjudged"] == 1


def test_a_label_means_what_the_user_says(server: OpinionServer, tmp_path: Path, capsys: Capture) -> None:
    server.names = ("LABEL_1", "LABEL_0")
    texts = tuple(f"{text} {number}" for number in range(2) for text in TEXTS)
    document, decisions, _ = clean(capsys, tmp_path, *flag("hugging-face", server), texts=texts)
    assert (document["exit_status"], decisions) == (1, {})  # five in a row: nothing is written
    assert document["problems"][0]["code"] == "run/text-opinion"
    labels = ["--opinion-label", "LABEL_1=unsafe", "--opinion-label", "LABEL_0=safe"]
    _, decisions, _ = clean(capsys, tmp_path, *flag("hugging-face", server), *labels)
    assert decisions["a woman who dances"] == "second-opinion"
    limit = ["--opinion-threshold", "0.9"]
    assert set(clean(capsys, tmp_path, *flag("hugging-face", server), *labels, *limit)[1].values()) == {
        "kept"
    }


@pytest.mark.parametrize("kind", ["moderation", "hugging-face"])
def test_a_wrong_key_ends_the_run(
    kind: str, server: OpinionServer, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFHQ_MODERATION_KEY", KEY)
    monkeypatch.setenv("SFHQ_CLASSIFIER_KEY", KEY)
    server.replies = [say({"error": {"message": f"bad key {KEY}"}}, 401)] * 20
    document, decisions, _ = clean(capsys, tmp_path, *flag(kind, server))
    assert (document["exit_status"], decisions) == (2, {})
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_in_an_address_is_in_no_message_and_no_file(
    server: OpinionServer, tmp_path: Path, capsys: Capture
) -> None:
    server.replies = [say({"error": {"message": "bad key"}}, 401)] * 20
    document, _, _ = clean(capsys, tmp_path, "--opinion", f"hugging-face={server.endpoint}/x?token={KEY}")
    assert document["exit_status"] == 2
    assert KEY not in json.dumps(document)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 1
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_the_reason_names_the_label_that_makes_a_text_unsafe(
    server: OpinionServer, tmp_path: Path, capsys: Capture
) -> None:
    clean(capsys, tmp_path, *flag("hugging-face", server), "--opinion-threshold", "0.2")
    rejected = (tmp_path / "clean.rejected.jsonl").read_text()
    assert "says toxic (0.20)" in rejected
    assert "non-toxic" not in rejected


def test_the_hubs_token_goes_to_the_hub_alone(
    server: OpinionServer, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", KEY)
    clean(capsys, tmp_path, *flag("hugging-face", server))
    assert server.seen
    assert not any(KEY in str(dict(request.headers)) for request in server.seen)
    kind = find_kind("hugging-face")
    hub = ("org/model", "https://huggingface.co/org/model", "https://x.aws.endpoints.huggingface.cloud/x")
    others = ("http://huggingface.co/x", "https://huggingface.co.other.org/x", "https://nothuggingface.co/x")
    assert all(kind.may_send_key(place) for place in hub)
    assert not any(kind.may_send_key(place) for place in others)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--opinion", "modration=http://127.0.0.1:1/v1"], "did you mean moderation"),
        (["--opinion", "moderation"], "KIND=WHERE"),
        (["--opinion", "moderation=ftp://here"], "begins with http"),
        (["--opinion", "moderation=http://me:pass@127.0.0.1/v1"], "a user or a password"),
        (["--opinion", "moderation=http://[x"], "cannot be read"),
        (["--opinion-label", "LABEL_1=bad"], "LABEL=safe"),
        (["--opinion", "transformers=none-here"], "cannot be loaded"),
    ],
)
def test_wrong_flags_are_refused(tmp_path: Path, capsys: Capture, flags: list[str], message: str) -> None:
    document, decisions, _ = clean(capsys, tmp_path, *flags)
    assert (document["exit_status"], decisions) == (2, {})
    assert message in json.dumps(document["problems"])
    assert "me:pass" not in json.dumps(document)


@pytest.mark.parametrize("kind", ["moderation", "hugging-face"])
def test_an_answer_is_asked_for_once(
    kind: str, server: OpinionServer, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFHQ_MODERATION_KEY", KEY)
    first = clean(capsys, tmp_path, *flag(kind, server))
    assert len(server.seen) == 4
    assert clean(capsys, tmp_path, *flag(kind, server))[1:] == first[1:]
    assert clean(capsys, tmp_path, *flag(kind, server), "--opinion-threshold", "0.1")[1] != first[1]
    assert len(server.seen) == 4  # another threshold needs no other answer
    clean(capsys, tmp_path, *flag(kind, server), texts=(*TEXTS[:3], "a young baker with bread"))
    assert len(server.seen) == 5
    other = flag(kind, server)[1].replace("127.0.0.1", "localhost")
    clean(capsys, tmp_path, "--opinion", other)
    assert len(server.seen) == 9
    if kind == "moderation":
        clean(capsys, tmp_path, *flag(kind, server), "--opinion-model", "newer")
        assert len(server.seen) == 13
    for path in work_folder(tmp_path / "clean.jsonl").iterdir():
        assert KEY.encode() not in path.read_bytes()


NO_JSON = Reply(200, b"no JSON", {"Content-Type": "application/json"})  # came, so it may be charged for


@pytest.mark.parametrize("kind", ["moderation", "hugging-face"])
@pytest.mark.parametrize("reply", [say({"error": "the gateway gave up"}, 504), NO_JSON])
def test_a_lost_answer_is_asked_for_again_only_if_the_user_says_so(
    kind: str, reply: Reply, server: OpinionServer, tmp_path: Path, capsys: Capture
) -> None:
    server.replies = [reply]
    assert clean(capsys, tmp_path, *flag(kind, server))[0]["result"]["reasons"]["unjudged"] == 1
    document, _, _ = clean(capsys, tmp_path, *flag(kind, server))
    assert (document["exit_status"], len(server.seen)) == (1, 4)
    if reply is not NO_JSON:
        assert "--send-again" in (tmp_path / "clean.rejected.jsonl").read_text()
    document, decisions, _ = clean(capsys, tmp_path, *flag(kind, server), "--send-again")
    assert (document["exit_status"], len(server.seen)) == (0, 5)
    assert list(decisions.values()).count("second-opinion") == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["moderation", "hugging-face"])
def test_a_killed_run_asks_for_no_answer_twice(
    kind: str, server: OpinionServer, tmp_path: Path, capsys: Capture
) -> None:
    texts = [f"{text} number {number}" for number in range(6) for text in TEXTS]
    path, out = tmp_path / "raw.txt", tmp_path / "clean.jsonl"
    path.write_text("\n".join(texts))
    flags = [str(path), "--out", str(out), "--any-language", "--near", "1", *flag(kind, server)]
    server.silent_after = 10
    with subprocess.Popen(
        [sys.executable, str(ROOT / "publish" / "prompts.py"), "clean", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        while len(server.seen) <= server.silent_after and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    server.silent_after = None
    # What was on its way may be paid for, and is not sent again unasked.
    assert prompts.main(["clean", *flags]) == 1
    assert "answers of classifiers are of an earlier run" in capsys.readouterr().err
    asked = Counter(str(seen.sent["input" if kind == "moderation" else "inputs"]) for seen in server.seen)
    assert max(asked.values()) == 1
    assert len(texts) - 4 <= len(asked)  # up to four were written as sent, and may not have been
    num_harmless = sum(not flagged(text) for text in texts)
    assert num_harmless - 4 <= len(out.read_text().splitlines())
    assert prompts.main(["clean", *flags, "--send-again", "--overwrite"]) == 0
    assert len(out.read_text().splitlines()) == num_harmless


@pytest.mark.slow
def test_a_model_on_this_machine_judges(tmp_path: Path, capsys: Capture) -> None:
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "man", "woman"]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        num_labels=2,
    )
    config.id2label, config.label2id = {0: "safe", 1: "LABEL_1"}, {"safe": 0, "LABEL_1": 1}
    transformers.BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    place = ["--opinion", f"transformers={folder}"]
    document, _, _ = clean(capsys, tmp_path, *place)
    assert document["exit_status"] == 2
    assert "LABEL_1" in document["problems"][0]["message"]
    meaning = ["--opinion-label", "LABEL_1=unsafe", "--opinion-threshold", "1"]
    document, decisions, table = clean(capsys, tmp_path, *place, *meaning)
    assert set(decisions.values()) == {"kept"}
    assert "classifier model: LABEL_1" in table.splitlines()[0]
    assert str(tmp_path) not in table
