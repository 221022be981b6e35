"""`sfhq generate` with the real clients, against providers on loopback: how runs end, and what they keep."""

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
from huggingface_hub import constants
from huggingface_hub.inference._providers import _common

from publish import generate
from schemas.generation import GenerationRecord
from tests.publish.providers.image_server import BLACK, IMAGE, NAMES, ImageServer, Reply, say
from tests.publish.providers.test_images import HTML, REFUSALS
from tests.support import ROOT

KEY = "MarkedSecretKey0123456789abcdef"
VARIABLES = {"fal-ai": "FAL_KEY", "replicate": "REPLICATE_API_TOKEN", "together": "TOGETHER_API_KEY"}
ALL_VARIABLES = (*VARIABLES.values(), "OPENAI_API_KEY", "HF_TOKEN")
PROMPTS = ("a man", "a woman", "an old man", "an old woman", "a person")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ImageServer]:
    """A server, and an environment that knows it; each provider's key is the marked one."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ALL_VARIABLES:
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    with ImageServer() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        _common._fetch_inference_provider_mapping.cache_clear()
        yield server


def flags(name: str, server: ImageServer) -> list[str]:
    """Return the flags of a run with one provider, one request at a time."""
    is_openai = name == "openai"
    generator, endpoint = (
        ("gpt-image-2", f"{server.endpoint}/v1") if is_openai else ("FLUX1_schnell", server.endpoint)
    )
    return [
        *("prompts.txt", "--generator", generator, "--provider", name, "--endpoint", endpoint),
        *("--out", "faces", "--price", "0.5", "--budget", "10", "--concurrency", "1"),
    ]


def run(capsys: Capture, *arguments: str) -> tuple[dict[str, Any], str]:
    """Run the command; return its result and its messages."""
    generate.main([*arguments, "--json"])
    out, err = capsys.readouterr()
    document: dict[str, Any] = json.loads(out)
    return document, out + err


def records() -> list[GenerationRecord]:
    lines = Path("faces/generation.jsonl").read_text(encoding="utf-8").splitlines()
    return [GenerationRecord.model_validate_json(line) for line in lines]


def assert_no_key(folder: Path, shown: str) -> None:
    """Search the key in everything that was written and shown."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "journal.sqlite" for path in files)
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", [*VARIABLES, "openai"])
def test_each_answer_ends_as_the_journal_says(
    server: ImageServer, capsys: Capture, tmp_path: Path, name: str
) -> None:
    lost = Reply(do="reset")
    echoed = say({"error": {"message": f"no such thing for {KEY}"}}, 500)
    server.replies += [REFUSALS[name][0], lost, *[echoed] * 3]  # 500 is repeated twice
    document, shown = run(capsys, *flags(name, server))
    states = document["result"]["plan"]["states"]
    assert states == {"refused": 1, "uncertain": 1, "failed": 1, "delivered": 2}
    assert document["exit_status"] == 1
    assert {problem["code"] for problem in document["problems"]} == {
        "run/images-failed",
        "run/images-uncertain",
    }
    assert document["result"]["plan"]["spent_usd"] == 1.5  # two images, and one that may have been made
    assert len(server.seen) == 7
    by_prompt = {record.prompt: record for record in records()}
    assert by_prompt["a man"].refusal == REFUSALS[name][1]
    assert len({record.model for record in by_prompt.values()}) == 1  # as the provider names it
    for prompt in ("an old woman", "a person"):
        record = by_prompt[prompt]
        assert record.image_filename is not None
        assert (Path("faces/images") / record.image_filename).read_bytes() == IMAGE
        assert record.provider == name
        assert record.requested_at is not None
        assert record.seed is None if name == "openai" else record.seed is not None
    # Again: what failed is sent, and nothing else.
    document, more = run(capsys, *flags(name, server))
    assert document["result"]["plan"]["states"] == {"refused": 1, "uncertain": 1, "delivered": 3}
    assert len(server.seen) == 8
    document, last = run(capsys, *flags(name, server), "--send-again")
    assert document["result"]["plan"]["states"] == {"refused": 1, "delivered": 4}
    assert (document["exit_status"], len(server.seen)) == (0, 9)
    assert_no_key(tmp_path / "faces", shown + more + last)


@pytest.mark.slow
def test_flagged_and_lost_images(server: ImageServer, capsys: Capture, tmp_path: Path) -> None:
    seen = server.seen
    flagging = server.succeed
    server.succeed = lambda request, **_: flagging(request, is_flagged=len(seen) == 1)  # type: ignore[method-assign]
    gone = Reply(404, b"gone")
    server.files += [Reply(200, BLACK, {"Content-Type": "image/png"}), *[gone] * 10]
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS[:2]))
    document, shown = run(capsys, *flags("fal-ai", server))
    assert document["result"]["plan"]["states"] == {"refused": 1, "uncertain": 1}
    assert document["result"]["refusals"] == {"flagged by the safety checker": 1}
    (kept,) = Path("faces/.generation/kept").iterdir()
    assert kept.read_bytes() == BLACK
    assert len(server.seen) == 2
    server.files.clear()
    document, more = run(capsys, *flags("fal-ai", server))  # the address answers now
    assert document["result"]["plan"]["states"] == {"refused": 1, "delivered": 1}
    assert (document["result"]["num_fetched"], len(server.seen)) == (1, 2)
    assert_no_key(tmp_path / "faces", shown + more)


@pytest.mark.parametrize(
    "reply", [say({"detail": f"Invalid key {KEY}"}, 401), HTML], ids=["wrong key", "a page"]
)
def test_a_run_that_cannot_go_on_says_why(
    server: ImageServer, capsys: Capture, tmp_path: Path, reply: Reply
) -> None:
    server.replies += [reply] * 30
    document, shown = run(capsys, *flags("together", server))
    assert document["exit_status"] in (1, 2)
    assert document["result"]["plan"]["states"].get("delivered", 0) == 0  # what was made is shown, too
    assert document["problems"]
    assert "Traceback" not in shown
    assert not list((tmp_path / "faces" / "images").iterdir())
    assert_no_key(tmp_path / "faces", shown)


def test_images_by_another_provider_are_not_made_again_and_this_is_said(
    server: ImageServer, capsys: Capture
) -> None:
    run(capsys, *flags("fal-ai", server))
    document, shown = run(capsys, *flags("together", server))
    assert (document["result"]["plan"]["num_to_send"], len(server.seen)) == (0, 5)
    assert "5 images are there already, by fal-ai (black-forest-labs/FLUX.1-schnell)" in shown


def test_a_stored_login_goes_to_the_hub_only(
    server: ImageServer, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ALL_VARIABLES:
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("hf_StoredLoginToken")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    document, _ = run(capsys, *flags("fal-ai", server))
    assert document["exit_status"] == 0
    assert all("StoredLogin" not in str(request.headers) for request in server.seen)


def test_a_budget_holds_over_several_runs(server: ImageServer, capsys: Capture) -> None:
    cheap = [*flags("fal-ai", server)[:-4], "--budget", "1.2", "--concurrency", "2"]
    document, _ = run(capsys, *cheap)
    assert document["result"]["plan"]["states"] == {"planned": 3, "delivered": 2}
    assert document["result"]["is_over_budget"]
    assert [problem["code"] for problem in document["problems"]] == ["run/budget"]
    run(capsys, *cheap)
    assert len(server.seen) == 2


def start(server: ImageServer) -> "subprocess.Popen[str]":
    # A shell starts tests in the background with Ctrl-C ignored, and children inherit that.
    program = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    script = str(ROOT / "publish" / "generate.py")
    command = [sys.executable, "-c", program, script, *flags("fal-ai", server)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy()
    )


def wait_for_requests(server: ImageServer, number: int) -> None:
    for _ in range(6000):
        if len(server.seen) >= number:
            return
        time.sleep(0.01)
    raise AssertionError(f"{len(server.seen)} requests came, and not {number}")


@pytest.mark.slow
def test_a_killed_run_pays_for_nothing_twice(server: ImageServer, capsys: Capture, tmp_path: Path) -> None:
    wait = Reply(do="silent")
    server.replies += [server_success(server), wait]
    with start(server) as process:
        wait_for_requests(server, 2)
        process.send_signal(signal.SIGKILL)
    document, _ = run(capsys, *flags("fal-ai", server)[:-6], "--send-again")  # without price and budget
    assert (document["exit_status"], len(server.seen)) == (2, 2)
    document, shown = run(capsys, *flags("fal-ai", server))
    assert document["result"]["plan"]["states"] == {"delivered": 4, "uncertain": 1}
    assert len(server.seen) == len(PROMPTS)  # each was sent once
    assert len({request.sent["prompt"] for request in server.seen}) == len(PROMPTS)
    assert len(records()) == 4
    assert_no_key(tmp_path / "faces", shown)


@pytest.mark.slow
def test_a_second_run_in_the_same_folder_sends_nothing(server: ImageServer, capsys: Capture) -> None:
    server.replies.append(Reply(do="silent"))
    with start(server) as process:
        wait_for_requests(server, 1)
        document, shown = run(capsys, *flags("fal-ai", server))
        assert document["exit_status"] == 1
        assert "another run is working in this folder" in shown
        assert len(server.seen) == 1
        process.kill()


@pytest.mark.slow
def test_a_stopped_run_waits_for_what_it_pays_for(server: ImageServer, capsys: Capture) -> None:
    late = server_success(server)
    server.replies.append(Reply(late.status, late.body, late.headers, do="late"))
    with start(server) as process:
        wait_for_requests(server, 1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    assert "Stopped" in out
    assert "Traceback" not in out
    assert len(records()) == 1
    document, _ = run(capsys, *flags("fal-ai", server))
    assert document["result"]["plan"]["states"] == {"delivered": 5}
    assert len(server.seen) == 5


def server_success(server: ImageServer) -> Reply:
    """Return what fal answers to any prompt."""
    body = {
        "images": [{"url": server.address, "content_type": "image/png"}],
        "seed": 1,
        "has_nsfw_concepts": [False],
        "prompt": "a face",
    }
    return say(body)


def test_every_provider_of_the_server_is_one_of_the_kits() -> None:
    assert set(VARIABLES) < set(NAMES)


def test_a_budget_holds_over_two_generators(server: ImageServer, capsys: Capture) -> None:
    listed = f"provider=fal-ai,endpoint={server.endpoint}"
    generators = [
        *("--generator", f"FLUX1_schnell:{listed},price=0.5", "--generator", f"FLUX1_dev:{listed},price=1"),
    ]
    command = ["prompts.txt", *generators, "--out", "faces", "--concurrency", "1"]
    document, shown = run(capsys, *command, "--budget", "4")
    states = [each["plan"]["states"] for each in document["result"]["results"]]
    assert states == [{"delivered": 5}, {"planned": 4, "delivered": 1}]
    assert [problem["code"] for problem in document["problems"]] == ["run/budget"]
    assert document["exit_status"] == 1
    document, shown = run(capsys, *command, "--budget", "8")
    assert document["exit_status"] == 0, shown
    assert len(server.seen) == len(records()) == 10  # what was paid for is not paid for again
    assert {record.generator for record in records()} == {"FLUX1_schnell", "FLUX1_dev"}
