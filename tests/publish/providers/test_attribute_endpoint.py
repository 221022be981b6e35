"""Attributes by a server: what is sent, what is sent again, and that no answer does harm."""

import json
from collections.abc import Iterator

import pytest

from builders.features.attributing import ModelOptions
from publish.network import RetryPolicy, TimeLimits
from publish.providers.attribute_endpoint import KEY, AttributeEndpoint
from schemas.problems import BuildError, SettingsError
from tests.publish.fake_time import FakeTime
from tests.publish.providers.attribute_server import GOOD, AttributeServer, Reply
from tests.support import image_bytes

TIMES = TimeLimits(read_seconds=5)
POLICY = RetryPolicy(tries=3, jitter_seconds=0)


@pytest.fixture
def server() -> Iterator[AttributeServer]:
    with AttributeServer() as server:
        yield server


def ask(
    server: AttributeServer, *replies: Reply, time: FakeTime | None = None, **options: object
) -> list[object]:
    """Return the attribute, value and confidence of each answer."""
    server.replies += replies
    given = ModelOptions(place=f"{server.endpoint}/attributes", **options)  # type: ignore[arg-type]
    model = AttributeEndpoint(given, TIMES, POLICY, (time or FakeTime()).clock)
    (made,) = model.measure([image_bytes(1)])
    return [(each.attribute, each.value, each.confidence) for each in model.answer(made)]


def test_an_image_is_posted_and_its_attributes_come_back(
    server: AttributeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "a-key")
    assert ask(server) == [("hat", "beanie", 0.93), ("glasses", "none", None)]
    ((headers, body),) = server.requests
    assert body == image_bytes(1)
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Authorization"] == "Bearer a-key"


def test_a_threshold_makes_it_abstain(server: AttributeServer) -> None:
    assert ask(server, thresholds={"hat": 0.95}) == [("hat", None, None), ("glasses", "none", None)]


def test_failures_that_may_pass_are_sent_again_after_the_wait_that_the_server_asks_for(
    server: AttributeServer,
) -> None:
    time = FakeTime()
    replies = (Reply(429, b"", {"Retry-After": "7"}), Reply(503, b""))
    assert ask(server, *replies, time=time)[0] == ("hat", "beanie", 0.93)
    assert time.waits == [7, 2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "no list of attributes"),
        (b"{}", "no list of attributes"),
        (b"[" * 5000, "no list of attributes"),
        (json.dumps([GOOD[0] | {"value": 3}]).encode(), "0.value"),
        (json.dumps([GOOD[0] | {"value": "a\x1b[2J"}]).encode(), "0.value"),
        (json.dumps([GOOD[0] | {"value": "  "}]).encode(), "0.value"),
        (json.dumps([GOOD[0] | {"value": "a\x9b2J"}]).encode(), "0.value"),
        (json.dumps([GOOD[0] | {"value": "x" * 201}]).encode(), "0.value"),
        (json.dumps([GOOD[0] | {"confidence": 1.5}]).encode(), "0.confidence"),
        (b'[{"attribute": "hat", "value": "cap", "confidence": NaN}]', "no list of attributes"),
        (json.dumps(GOOD * 51).encode(), "at most 100"),
        (b" " * 300_000, "an answer has at most 262,144"),
        (b"\xff\xfe[]", "no list of attributes"),
    ],
)
def test_an_answer_that_is_no_list_of_attributes_is_refused(
    server: AttributeServer, body: bytes, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        ask(server, Reply(body=body))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "num_tries"),
    [(Reply(401, b""), 1), (Reply(302, b"", {"Location": "/elsewhere"}), 1), (Reply(500, b""), 3)],
)
def test_other_statuses_end_the_run_without_the_key(
    server: AttributeServer, reply: Reply, num_tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "a-key")
    with pytest.raises(BuildError, match=f"answers {reply.status}") as caught:
        ask(server, *[reply] * 3)
    assert len(server.requests) == num_tries
    assert "a-key" not in str(caught.value)


def test_a_cut_answer_is_asked_for_again(server: AttributeServer) -> None:
    assert ask(server, Reply(is_cut=True))[0] == ("hat", "beanie", 0.93)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "place", ["ftp://127.0.0.1/x", "http://user:word@127.0.0.1/", "http://", "not an address"]
)
def test_what_is_no_address_is_refused_without_a_password(place: str) -> None:
    with pytest.raises(SettingsError, match="an http or https address without a password") as caught:
        AttributeEndpoint(ModelOptions(place=place))
    assert "word@" not in str(caught.value)
