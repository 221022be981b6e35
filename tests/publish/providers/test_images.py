"""Providers of images, with the real clients against servers on loopback that speak each protocol."""

import base64
import itertools
import json
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from huggingface_hub import constants, get_session
from huggingface_hub.inference._providers import _common

from builders.generation.images import (
    ImageAnswer,
    ImageFailureError,
    ImageProvider,
    ImageRefusalError,
    ImageRequest,
    LostAnswerError,
)
from publish.network import Clock, RetryPolicy, TimeLimits
from publish.providers import asking, exchanges
from publish.providers.images import PROVIDERS, ProviderOptions, open_provider
from schemas.problems import KitError, SettingsError
from tests.publish.fake_time import FakeTime
from tests.publish.providers.image_server import (
    BLACK,
    IMAGE,
    MODEL,
    NAMES,
    SEED,
    ImageServer,
    Reply,
    Seen,
    say,
)

KEY = "MarkedSecretKey0123456789"
PROMPT = "A portrait of a woman with grey hair"
HTML = Reply(200, b"<!doctype html><title>sign in</title>", {"Content-Type": "text/html"})
FLUX = {"image_size": "1024x768", "num_inference_steps": 4}
# Those with a protocol of their own; nscale speaks as Together does.
PROTOCOLS = ("fal-ai", "replicate", "together", "openai")
WITH_ADDRESS = ("fal-ai", "replicate", "wavespeed")
TIMES = TimeLimits(connect_seconds=5, read_seconds=30, total_seconds=1000)

Open = Callable[..., ImageProvider]


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageServer]:
    with ImageServer() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)  # as HF_ENDPOINT, which is read on import
        _common._fetch_inference_provider_mapping.cache_clear()
        yield server


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def start(server: ImageServer, time: FakeTime, notes: list[str]) -> Iterator[Open]:
    """Open providers, which are closed after the test."""
    opened = []

    def open_one(name: str, **changes: Any) -> ImageProvider:
        options: dict[str, Any] = {
            "kind": PROVIDERS[name],
            "model": "gpt-image-2" if name == "openai" else MODEL,
            "key": KEY,
            "endpoint": f"{server.endpoint}/v1" if name == "openai" else server.endpoint,
            "times": TIMES,
            "note": notes.append,
            "retry": RetryPolicy(jitter_seconds=0),
            "clock": time.clock,
        } | changes
        opened.append(open_provider(ProviderOptions(**options)))
        return opened[-1]

    yield open_one
    for provider in opened:
        provider.close()


def ask(name: str, **changes: Any) -> ImageRequest:
    settings = {"size": "1024x1024", "quality": "low"} if name == "openai" else FLUX
    generator = "gpt-image-2" if name == "openai" else "FLUX1_schnell"
    values = {"settings": settings, "generator": generator} | changes
    return ImageRequest(key="0" * 24, prompt=PROMPT, attributes=(), seed=7, **values)


def told(error: BaseException) -> str:
    """Return everything that an error shows, and what it carries for the journal."""
    text = "".join(traceback.format_exception(error))
    raw = getattr(error, "raw", "")
    answer = getattr(error, "answer", None)
    return f"{text}{raw}{answer!r}"


def refused(run: Callable[[], object], kind: type[BaseException]) -> Any:
    """Return the error, which holds no key."""
    with pytest.raises(kind) as caught:
        run()
    assert KEY not in told(caught.value)
    return caught.value


# What is sent


@pytest.mark.parametrize(
    ("name", "path", "sent", "authorization"),
    [
        (
            "fal-ai",
            "/fal-ai/flux/schnell",
            {
                "prompt": PROMPT,
                "image_size": {"width": 1024, "height": 768},
                "num_inference_steps": 4,
                "guidance_scale": 3.5,
                "seed": 7,
                "enable_safety_checker": True,
            },
            f"Key {KEY}",
        ),
        (
            "replicate",
            "/v1/models/black-forest-labs/flux-schnell/predictions",
            {
                "input": {
                    "prompt": PROMPT,
                    "width": 1024,
                    "height": 768,
                    "num_inference_steps": 4,
                    "guidance_scale": 3.5,
                    "seed": 7,
                    "disable_safety_checker": False,
                }
            },
            f"Bearer {KEY}",
        ),
        (
            "together",
            "/v1/images/generations",
            {
                "prompt": PROMPT,
                "response_format": "base64",
                "width": 1024,
                "height": 768,
                "steps": 4,
                "guidance_scale": 3.5,
                "seed": 7,
                "disable_safety_checker": False,
                "model": NAMES["together"],
            },
            f"Bearer {KEY}",
        ),
        (
            "nscale",
            "/v1/images/generations",
            {
                "prompt": PROMPT,
                "response_format": "b64_json",
                "size": "1024x768",
                "guidance_scale": 3.5,
                "seed": 7,
                "enable_safety_checker": True,
                "model": NAMES["nscale"],
            },
            f"Bearer {KEY}",
        ),
        (
            "wavespeed",
            "/api/v3/wavespeed-ai/flux-schnell",
            {
                "prompt": PROMPT,
                "size": "1024*768",
                "num_inference_steps": 4,
                "guidance_scale": 3.5,
                "seed": 7,
                "enable_safety_checker": True,
            },
            f"Bearer {KEY}",
        ),
    ],
)
def test_settings_go_out_in_the_names_of_each_provider(
    start: Open, server: ImageServer, name: str, path: str, sent: dict[str, Any], authorization: str
) -> None:
    settings = {**FLUX, "guidance_scale": 3.5, "enable_safety_checker": True}
    answer = start(name).make(ask(name, settings=settings))
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", path)
    assert seen.sent == sent
    assert seen.headers["authorization"] == authorization
    assert seen.headers["content-type"] == "application/json"
    assert answer.data == IMAGE
    assert answer.model == NAMES[name]
    followed = dict(settings)
    if name == "nscale":  # the library takes the steps out
        del followed["num_inference_steps"]
    assert (answer.seed, dict(answer.settings)) == (7, followed)
    assert KEY not in repr(answer)


def test_sdxl_settings_have_the_same_meaning(start: Open, server: ImageServer) -> None:
    settings = {"steps": 30, "cfg_scale": 6.0, "style_preset": "photographic", "engine_id": None}
    start("fal-ai").make(ask("fal-ai", settings=settings, generator="SDXL"))
    sent = server.seen[0].sent
    assert (sent["num_inference_steps"], sent["guidance_scale"], sent["style_preset"]) == (
        30,
        6.0,
        "photographic",
    )
    assert "engine_id" not in sent


@pytest.mark.parametrize(
    ("name", "size"),
    [("fal-ai", {"image_size": "square_hd"}), ("replicate", {"width": 1024, "height": 1024})],
)
def test_a_preset_of_fal_is_a_size_elsewhere(
    start: Open, server: ImageServer, name: str, size: dict[str, object]
) -> None:
    start(name).make(ask(name, settings={"image_size": "square_hd"}))
    sent = server.seen[0].sent
    assert size.items() <= (sent.get("input") or sent).items()


def test_an_unknown_size_is_refused_before_anything_is_sent(start: Open, server: ImageServer) -> None:
    request = ask("together", settings={"image_size": "huge"})
    error = refused(lambda: start("together").make(request), SettingsError)
    assert "the size 'huge' is not known at together" in str(error)
    assert not server.seen


def test_a_token_of_the_hub_goes_through_its_router(start: Open, server: ImageServer) -> None:
    answer = start("fal-ai", key=f"hf_{KEY}").make(ask("fal-ai"))
    (seen,) = server.seen
    assert seen.path == "/fal-ai/fal-ai/flux/schnell"
    assert seen.headers["authorization"] == f"Bearer hf_{KEY}"
    assert answer.model == NAMES["fal-ai"]


def test_hugging_faces_own_provider_answers_with_the_image(start: Open, server: ImageServer) -> None:
    answer = start("hf-inference", key=f"hf_{KEY}").make(ask("hf-inference"))
    (seen,) = server.seen
    assert seen.path == f"/hf-inference/models/{MODEL}"
    assert seen.sent["inputs"] == PROMPT
    assert seen.sent["parameters"]["seed"] == 7
    assert (answer.data, answer.request_id, answer.model) == (IMAGE, "req-hf", MODEL)


def test_gpt_image_gets_its_settings_and_no_seed(start: Open, server: ImageServer) -> None:
    settings = {"size": "1536x1024", "quality": "low", "output_format": "jpeg", "output_compression": 80}
    settings |= {"background": "opaque", "moderation": "low"}
    answer = start("openai").make(ask("openai", settings=settings))
    (seen,) = server.seen
    assert seen.path == "/v1/images/generations"
    assert seen.sent == {"model": "gpt-image-2", "prompt": PROMPT, **settings}
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert answer.seed is None
    assert (answer.data, answer.request_id) == (IMAGE, "gen-1")
    assert json.loads(answer.raw)["body"]["usage"] == {"total_tokens": 9}


def test_a_compatible_server_gets_the_seed_of_a_seeded_generator(start: Open, server: ImageServer) -> None:
    provider = start("openai", key=None, model="flux")
    answer = provider.make(ask("openai", settings=FLUX, generator="FLUX1_schnell"))
    (seen,) = server.seen
    assert seen.sent == {
        "model": "flux", "prompt": PROMPT, "size": "1024x768", "num_inference_steps": 4, "seed": 7,
    }  # fmt: skip
    assert answer.seed == 7
    assert "authorization" not in seen.headers


def test_no_stored_token_takes_the_place_of_a_missing_key(
    start: Open, server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", f"hf_{KEY}")
    start("fal-ai", key=None).make(ask("fal-ai"))
    assert "authorization" not in server.seen[0].headers


# What comes back


@pytest.mark.parametrize("name", [*NAMES, "openai"])
def test_the_bytes_are_those_that_were_delivered(start: Open, name: str) -> None:
    answer = start(name).make(ask(name))
    assert answer.data == IMAGE
    raw = json.loads(answer.raw)
    assert raw["status"] in (200, 201)
    assert "SignatureOfAnImage" not in answer.raw
    assert "iVBOR" not in answer.raw  # how base64 of a PNG begins
    assert len(answer.raw) < 3000
    assert not answer.is_flagged


def test_fal_says_seed_flags_request_and_time(start: Open) -> None:
    answer = start("fal-ai").make(ask("fal-ai"))
    assert (answer.returned_seed, answer.request_id, answer.flags) == (7, "req-fal", ())
    assert answer.revised_prompt is None  # an echo of the prompt is none
    raw = json.loads(answer.raw)
    assert raw["headers"] == {"x-fal-request-id": "req-fal", "x-compute-time": "0.6"}
    assert raw["body"]["timings"] == {"inference": 0.5}


def test_replicate_says_the_seed_in_its_logs(start: Open) -> None:
    answer = start("replicate").make(ask("replicate"))
    assert (answer.returned_seed, answer.request_id) == (SEED, "pred1")


@pytest.mark.parametrize("name", ["fal-ai", "wavespeed"])
def test_a_black_image_comes_with_its_flag(start: Open, server: ImageServer, name: str) -> None:
    path = {"fal-ai": "/fal-ai/flux/schnell", "wavespeed": "/api/v3/x"}[name]
    seen = Seen("POST", path, {}, json.dumps({"prompt": PROMPT}).encode())
    server.replies.append(server.succeed(seen, is_flagged=True))
    server.files.append(Reply(200, BLACK))
    answer = start(name).make(ask(name))
    assert (answer.data, answer.is_flagged, answer.flags) == (BLACK, True, ("nsfw",))


def test_a_changed_prompt_is_kept(start: Open, server: ImageServer) -> None:
    item = {"url": server.address, "revised_prompt": "A dignified portrait"}
    server.replies.append(say({"created": 1, "data": [item]}))
    answer = start("openai").make(ask("openai"))
    assert (answer.revised_prompt, answer.data) == ("A dignified portrait", IMAGE)
    assert answer.address == server.address


def test_an_image_may_come_as_a_data_uri(start: Open, server: ImageServer) -> None:
    lines = base64.encodebytes(IMAGE).decode()
    server.replies.append(say({"data": [{"b64_json": lines.replace("=", "")}]}))
    assert start("together").make(ask("together")).data == IMAGE
    uri = f"data:image/png;base64,{base64.b64encode(IMAGE).decode()}"
    server.replies.append(say({"images": [{"url": uri}], "seed": 5}))
    answer = start("fal-ai").make(ask("fal-ai"))
    assert (answer.data, answer.address, answer.returned_seed) == (IMAGE, None, 5)
    assert "base64" not in answer.raw
    assert not server.fetched


@pytest.mark.parametrize("name", ["replicate", "wavespeed"])
def test_an_unfinished_image_is_asked_for_by_its_id(
    start: Open, server: ImageServer, time: FakeTime, name: str
) -> None:
    pending: dict[str, Any] = {"id": "id-9", "status": "processing", "output": None}
    # A host that the key must not go to.
    pending["urls"] = {"get": f"{server.storage}/v1/steal"}
    if name == "wavespeed":
        pending = {"code": 200, "data": pending}
    done = server.succeed(
        Seen("POST", "/v1/models/x/predictions" if name == "replicate" else "/api/v3/x", {}, b'{"input": {}}')
    )
    server.replies += [say(pending, 201), Reply(502), say(pending), done]
    answer = start(name).make(ask(name))
    assert answer.data == IMAGE
    path = {"replicate": "/v1/predictions/id-9", "wavespeed": "/api/v3/predictions/id-9/result"}[name]
    assert [seen.path for seen in server.seen[1:]] == [path] * 3
    assert all(seen.headers["authorization"] == f"Bearer {KEY}" for seen in server.seen)
    assert sum(time.waits) < 10


def test_an_image_that_is_never_finished_is_uncertain(start: Open, server: ImageServer) -> None:
    server.replies += [say({"id": "id-9", "status": "processing"})] * 30
    times = TimeLimits(total_seconds=20)
    error = refused(lambda: start("replicate", times=times).make(ask("replicate")), LostAnswerError)
    assert "has not finished it in time" in str(error)
    assert error.answer.request_id == "id-9"


def test_threads_get_their_own_answers(start: Open, server: ImageServer) -> None:
    provider = start("fal-ai")
    requests = [
        ImageRequest(
            key="0" * 24, prompt=f"face {i}", attributes=(), generator="FLUX1_schnell", settings={}, seed=i
        )
        for i in range(12)
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(provider.make, requests))
    assert [answer.returned_seed for answer in answers] == list(range(12))
    assert len(server.asked_hub) <= 4  # the names are asked for once, or once by each thread that began first


def test_the_library_gets_a_plain_client_back(start: Open) -> None:
    provider = start("fal-ai")
    assert type(get_session()).__name__ == "_CatchingClient"
    provider.close()
    assert type(get_session()) is httpx2.Client
    provider.close()


def test_one_of_two_providers_may_end_before_the_other(start: Open, server: ImageServer) -> None:
    first, second = start("fal-ai"), start("together")
    assert first.make(ask("fal-ai")).data == second.make(ask("together")).data == IMAGE
    first.close()
    assert second.make(ask("together")).data == IMAGE
    assert [seen.path for seen in server.seen] == ["/fal-ai/flux/schnell", *["/v1/images/generations"] * 2]
    second.close()
    assert type(get_session()) is httpx2.Client


# Refusals

FAL_POLICY = {
    "detail": [
        {
            "loc": ["body", "prompt"],
            "msg": "The content could not be processed: a content checker flagged it.",
            "type": "content_policy_violation",
            "categories": ["sexual"],
            "input": {"prompt": PROMPT},
        }
    ]
}
REFUSALS = {
    "fal-ai": (say(FAL_POLICY, 422, x_fal_request_id="req-9"), "content_policy_violation"),
    "replicate": (
        say(
            {
                "id": "req-9",
                "status": "failed",
                "output": None,
                "error": "NSFW content detected. Try another prompt.",
            }
        ),
        "nsfw",
    ),
    "together": (
        say(
            {
                "id": "req-9",
                "error": {"message": "NSFW content detected in prompt", "type": "invalid_request_error"},
            },
            422,
        ),
        "nsfw",
    ),
    "openai": (
        say(
            {
                "error": {
                    "code": "moderation_blocked",
                    "message": "rejected by the safety system",
                    "type": "image_error",
                }
            },
            400,
            x_request_id="req-9",
        ),
        "moderation_blocked",
    ),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_refusal_has_its_category_and_is_not_repeated(start: Open, server: ImageServer, name: str) -> None:
    reply, category = REFUSALS[name]
    server.replies.append(reply)
    error = refused(lambda: start(name).make(ask(name)), ImageRefusalError)
    assert (error.category, error.request_id) == (category, "req-9")
    assert json.loads(error.raw)["body"]
    assert len(server.seen) == 1


def test_a_failed_prediction_is_a_failure(start: Open, server: ImageServer) -> None:
    server.replies.append(say({"id": "p", "status": "failed", "error": "CUDA out of memory"}))
    error = refused(lambda: start("replicate").make(ask("replicate")), ImageFailureError)
    assert "replicate made no image: CUDA out of memory" in str(error)


# What is sent again, and what is not


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_limit_of_rate_is_waited_for(
    start: Open, server: ImageServer, time: FakeTime, notes: list[str], name: str
) -> None:
    server.replies += [
        say({"error": {"message": "rate limit exceeded"}}, 429, Retry_After="33"),
        say({"detail": "Request was throttled. Your rate limit resets in ~30s."}, 429),
        Reply(503),
    ]
    assert start(name).make(ask(name)).data == IMAGE
    assert time.waits[:2] == [33, 30]
    assert len(server.seen) == 4
    assert notes == [f"{name} asks to wait 33 s", f"{name} asks to wait 30 s"]


def test_a_cold_model_is_waited_for(start: Open, server: ImageServer, time: FakeTime) -> None:
    server.replies.append(say({"error": "Model is currently loading", "estimated_time": 20.5}, 503))
    start("hf-inference").make(ask("hf-inference"))
    assert time.waits == [20.5]


def test_a_quota_of_a_minute_is_waited_for(start: Open, server: ImageServer, time: FakeTime) -> None:
    said = {"error": {"message": "Quota exceeded for requests per minute: try again in 12s"}}
    server.replies.append(say(said, 429))
    start("openai").make(ask("openai"))
    assert time.waits == [12]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_limit_that_stays_is_a_failure(start: Open, server: ImageServer, name: str) -> None:
    server.replies += [Reply(429)] * 5
    error = refused(lambda: start(name).make(ask(name)), ImageFailureError)
    assert f"{name} answers 429" in str(error)
    assert len(server.seen) == 5


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_error_of_the_server_is_repeated_twice(start: Open, server: ImageServer, name: str) -> None:
    server.replies += [Reply(500)] * 2
    provider = start(name)
    assert provider.make(ask(name)).data == IMAGE
    server.replies += [Reply(500, b"oops")] * 3
    refused(lambda: provider.make(ask(name)), ImageFailureError)
    assert len(server.seen) == 6


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(502),
        Reply(504, b"<html>"),
        Reply(524),
        Reply(408),
        Reply(do="reset"),
        Reply(200, b'{"images": [' + b" " * 5000, do="cut"),
        HTML,
    ],
    ids=["502", "504", "524", "408", "reset", "cut", "html"],
)
def test_a_lost_answer_is_never_asked_for_again(
    start: Open, server: ImageServer, name: str, reply: Reply
) -> None:
    server.replies.append(reply)
    refused(lambda: start(name).make(ask(name)), LostAnswerError)
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_silence_after_sending_is_a_lost_answer(start: Open, server: ImageServer, name: str) -> None:
    server.replies.append(Reply(do="silent"))
    times = TimeLimits(connect_seconds=5, read_seconds=0.2)
    error = refused(lambda: start(name, times=times).make(ask(name)), LostAnswerError)
    assert "said nothing for 0.2 s" in str(error)
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_slow_answer_is_waited_for_as_long_as_bytes_come(
    start: Open, server: ImageServer, name: str
) -> None:
    path = {"fal-ai": "/fal-ai/x", "replicate": "/x/predictions"}.get(name, "/v1/images/generations")
    done = server.succeed(Seen("POST", path, {}, b'{"prompt": "", "input": {}, "model": "m"}'))
    server.replies.append(replace(done, do="slow"))
    server.files.append(Reply(200, IMAGE, do="slow"))
    assert start(name).make(ask(name)).data == IMAGE


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_answer_that_never_ends_is_left(start: Open, server: ImageServer, name: str) -> None:
    server.replies.append(Reply(200, b" " * 1000, do="slow"))
    hours = Clock(seconds=itertools.count(step=300).__next__)
    error = refused(lambda: start(name, clock=hours).make(ask(name)), LostAnswerError)
    assert "takes too long" in str(error)


def test_a_server_without_tls_gets_no_request(start: Open, server: ImageServer) -> None:
    endpoint = server.endpoint.replace("http:", "https:")
    refused(lambda: start("fal-ai", endpoint=endpoint).make(ask("fal-ai")), ImageFailureError)
    assert not server.seen


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_connection_means_not_sent(start: Open, time: FakeTime, name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and nobody listens
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
        error = refused(lambda: start(name, endpoint=endpoint).make(ask(name)), ImageFailureError)
    assert f"{name} cannot be reached" in str(error)
    assert len(time.waits) == 4


def test_a_redirect_is_not_followed_with_a_key(start: Open, server: ImageServer) -> None:
    server.replies.append(Reply(307, b"", {"Location": f"{server.storage}/steal"}))
    refused(lambda: start("fal-ai").make(ask("fal-ai")), ImageFailureError)
    assert len(server.seen) == 1


# The image's address


@pytest.mark.parametrize("name", WITH_ADDRESS)
def test_no_key_goes_to_the_images_address(start: Open, server: ImageServer, name: str) -> None:
    start(name).make(ask(name))
    (fetched,) = server.fetched
    assert KEY not in repr(fetched)
    assert not {"authorization", "cookie"} & fetched.headers.keys()


BAD_FILES = {
    "gone": Reply(404, b"<html>not found</html>"),
    "expired": Reply(403, b"<Error><Code>AccessDenied</Code></Error>"),
    "html": HTML,
    "text": Reply(200, b"no image at all", {"Content-Type": "image/png"}),
    "cut": Reply(200, IMAGE, do="cut"),
    "reset": Reply(do="reset"),
    "ftp": Reply(302, b"", {"Location": "ftp://127.0.0.1/face.png"}),
    "svg": Reply(200, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
@pytest.mark.parametrize("name", ["fal-ai", "replicate"])
def test_an_address_that_fails_is_kept_for_later(
    start: Open, server: ImageServer, name: str, fault: str
) -> None:
    provider = start(name)
    server.files += [BAD_FILES[fault]] * 4
    error = refused(lambda: provider.make(ask(name)), LostAnswerError)
    assert len(server.fetched) == 4
    assert "SignatureOfAnImage" not in str(error)
    answer: ImageAnswer = error.answer
    assert (answer.address, answer.data, answer.model) == (server.address, b"", NAMES[name])
    assert answer.request_id is not None
    assert provider.fetch(answer) == IMAGE
    assert len(server.seen) == 1
    server.files += [BAD_FILES[fault]] * 4
    refused(lambda: provider.fetch(answer), LostAnswerError)


def test_an_address_that_fails_for_a_moment_is_asked_again(
    start: Open, server: ImageServer, time: FakeTime
) -> None:
    server.files += [Reply(404), HTML, Reply(200, IMAGE, do="cut")]
    assert start("fal-ai").make(ask("fal-ai")).data == IMAGE
    assert (len(server.fetched), len(server.seen)) == (4, 1)
    assert time.waits == [1, 2, 4]


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "ftp://127.0.0.1/x.png", "", "/relative.png", f"http://127.0.0.1:1/{KEY}.png"],
)
def test_other_addresses_are_not_fetched(start: Open, server: ImageServer, address: str) -> None:
    server.replies.append(say({"images": [{"url": address}]}))
    error = refused(lambda: start("fal-ai").make(ask("fal-ai")), LostAnswerError)
    assert error.answer.address is None
    assert not server.fetched


def test_an_image_that_is_too_large_is_left(
    start: Open, server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_IMAGE_BYTES", 1000)
    server.files += [Reply(200, IMAGE + bytes(2000))] * 4
    error = refused(lambda: start("fal-ai").make(ask("fal-ai")), LostAnswerError)
    assert "larger than 1,000 bytes" in str(error)


# What ends the run

STOPS = {
    "wrong key": (Reply(401), "the key is not accepted"),
    "no rights": (say({"detail": "forbidden"}, 403), "the key is not accepted"),
    "key in the answer": (say({"error": {"message": f"Wrong API key: {KEY}"}}, 401), "Wrong API key: …"),
    "payment": (Reply(402), "no credit left"),
    "fal's balance": (say({"detail": "User is locked. Reason: Exhausted balance."}, 403), "no credit left"),
    "quota": (
        say({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, 429),
        "no credit left",
    ),
    "billing": (say({"error": {"code": "billing_hard_limit_reached"}}, 400), "no credit left"),
    "model": (say({"detail": "Not found"}, 404), "is not there"),
    "setting of fal": (
        say({"detail": [{"loc": ["body", "num_inference_steps"], "msg": "at most 12"}]}, 422),
        "num_inference_steps: a setting is not accepted",
    ),
    "setting of replicate": (
        say({"detail": "- input.num_inference_steps: Must be at most 4\n", "status": 422}, 422),
        "num_inference_steps: a setting is not accepted",
    ),
    "setting of openai": (
        say({"error": {"message": "Invalid value for moderation", "param": "moderation"}}, 400),
        "moderation: a setting is not accepted",
    ),
    "safety setting": (
        say({"detail": [{"loc": ["body", "safety_tolerance"], "msg": "safety_tolerance is 1 to 6"}]}, 422),
        "safety_tolerance: a setting is not accepted",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("case", STOPS)
def test_what_no_request_can_pass_ends_the_run(
    start: Open, server: ImageServer, name: str, case: str
) -> None:
    reply, message = STOPS[case]
    server.replies.append(reply)
    error = refused(lambda: start(name).make(ask(name)), KitError)
    assert message in str(error)
    assert error.problems[0].code == "run/provider-refused"
    assert error.problems[0].fix
    assert len(server.seen) == 1


def test_an_error_of_wavespeed_may_come_with_status_200(start: Open, server: ImageServer) -> None:
    server.replies.append(say({"code": 402, "message": "Insufficient credits", "data": None}))
    error = refused(lambda: start("wavespeed").make(ask("wavespeed")), KitError)
    assert "no credit left: wavespeed answers 402 (Insufficient credits)" in str(error)


def test_a_missing_extra_is_named(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    for name in ("openai_client", "openai_images"):
        monkeypatch.delitem(sys.modules, f"publish.providers.{name}", raising=False)
    with pytest.raises(SettingsError, match=r"pip install '\.\[generate\]'"):
        start("openai")


def test_what_is_wrong_with_one_prompt_ends_nothing(start: Open, server: ImageServer) -> None:
    detail = [{"loc": ["body", "prompt"], "msg": "at most 2000 characters", "type": "string_too_long"}]
    server.replies.append(say({"detail": detail}, 422))
    refused(lambda: start("fal-ai").make(ask("fal-ai")), ImageFailureError)


@pytest.mark.parametrize("key", ["has blank", "line\nbreak", "kéy"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_key_that_no_header_can_hold_is_refused_unseen(start: Open, name: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        start(name, key=key)
    assert key not in told(caught.value)


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "nonsense", "http://a b", "http://["])
@pytest.mark.parametrize("name", ["fal-ai", "openai"])
def test_an_endpoint_must_be_an_address(start: Open, name: str, endpoint: str) -> None:
    with pytest.raises(SettingsError, match="no http or https address"):
        start(name, endpoint=endpoint)


def test_a_library_that_works_offline_is_refused(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SettingsError, match="work offline"):
        start("fal-ai")


# What the Hub says of the model


def test_a_model_that_the_provider_does_not_have(start: Open, server: ImageServer) -> None:
    server.mapping = say({"id": MODEL, "inferenceProviderMapping": {}})
    error = refused(lambda: start("fal-ai").make(ask("fal-ai")), KitError)
    assert f"the Hub has no model '{MODEL}' at fal-ai" in str(error)
    server.mapping = say({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
    refused(lambda: start("replicate").make(ask("replicate")), KitError)
    assert not server.seen


@pytest.mark.parametrize(
    "reply", [Reply(503), Reply(do="reset"), HTML, say([1]), say({"id": 1, "inferenceProviderMapping": 5})]
)
def test_a_hub_that_does_not_answer(start: Open, server: ImageServer, reply: Reply) -> None:
    server.mapping = reply
    error = refused(lambda: start("fal-ai").make(ask("fal-ai")), KitError)
    assert "fal-ai" in str(error)
    assert not server.seen


# Answers of any shape

NONSENSE: list[object] = [
    None, 5, "text", [], {}, [[]], {"images": None}, {"images": 7}, {"images": []}, {"images": [None]},
    {"images": [{"url": 5}]}, {"images": {"url": "x"}}, {"data": []}, {"data": [{"b64_json": "%%%"}]},
    {"data": [{"b64_json": None, "url": None}]}, {"data": "x"}, {"output": {}}, {"output": [[]]},
    {"images": [{"url": "data:image/png;base64,AAAA"}]}, {"images": [{"url": "data:,x"}]},
    {"seed": "x", "has_nsfw_concepts": "yes", "prompt": 7, "id": [], "logs": {}, "status": ["processing"]},
    {"detail": {"a": [{"b": "c"}]}, "error": [["deep"]], "status": 17}, {"error": {"message": {"x": 1}}},
    {"images": [{"url": "http://["}]}, {"images": [{"url": "http://127.0.0.1:99999/x"}]},
    {"\ud800": "\ud800", "prompt": "\ud800", "id": "\ud800", "model": "\ud800"},
    {"seed": 10**400, "n": 1e308}, {"status": "processing", "id": "../../steal"},
]  # fmt: skip


@pytest.mark.parametrize("status", [200, 400, 422, 500, 418])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_nonsense_is_a_sentence_never_a_traceback(
    start: Open, server: ImageServer, name: str, status: int
) -> None:
    provider = start(name, retry=RetryPolicy(tries=1))
    bodies = [json.dumps(value).encode() for value in NONSENSE]
    bodies += [b"", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000, b"NaN", b'{"seed": Infinity}']
    for body in bodies:
        server.replies.append(Reply(status, body))
        with pytest.raises((LostAnswerError, ImageFailureError, KitError)) as caught:
            provider.make(ask(name))
        if status == 200:
            assert isinstance(caught.value, LostAnswerError), body
            assert isinstance(caught.value.answer, ImageAnswer)
            json.loads(caught.value.answer.raw).keys()
            repr(caught.value.answer).encode()
        assert "\n" not in str(caught.value)
        str(caught.value).encode()
        server.replies.clear()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_huge_answer_is_left(
    start: Open, server: ImageServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "_MAX_ANSWER_BYTES", 100_000)
    server.replies.append(Reply(200, b'{"x": "' + b"a" * 1_000_000 + b'"}'))
    error = refused(lambda: start(name).make(ask(name)), LostAnswerError)
    assert "larger than 100,000 bytes" in str(error)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_long_answer_is_kept_short(start: Open, server: ImageServer, name: str) -> None:
    server.replies.append(say({"a": [{"b": "c" * 900} for _ in range(10_000)], "key": KEY}))
    error = refused(lambda: start(name).make(ask(name)), LostAnswerError)
    assert len(error.answer.raw) < 25_000


def test_a_packed_answer_is_left(start: Open, server: ImageServer) -> None:
    server.replies.append(Reply(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}))
    error = refused(lambda: start("fal-ai").make(ask("fal-ai")), LostAnswerError)
    assert "packed" in str(error)


def test_every_key_that_is_echoed_is_taken_out(start: Open, server: ImageServer) -> None:
    item = {"url": server.address, "revised_prompt": f"{KEY} face"}
    body = {"images": [item], "id": f"x{KEY}", "model": KEY, KEY: {KEY: [KEY]}}
    server.replies.append(say(body, x_fal_request_id=KEY))
    answer = start("fal-ai").make(ask("fal-ai"))
    assert answer.data == IMAGE
    assert KEY not in repr(answer)
