"""The policy of retries against a real server on loopback, and what messages must not hold."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
import requests
import stamina

from publish.network import (
    RequestError,
    RetryPolicy,
    TimeLimits,
    asks_to_wait,
    is_transient_error,
    is_transient_status,
    redact,
    redact_url,
    retry,
    retry_after,
)
from tests.publish.fake_time import FakeTime

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"
POLICY = RetryPolicy(tries=4, jitter_seconds=0)


class FailedError(RequestError):
    """What a client makes of a failed request."""

    def __init__(self, status: int | None, *, is_transient: bool, asked_seconds: float | None = None) -> None:
        super().__init__(f"it failed with {status}{asks_to_wait(asked_seconds)}")
        self.status, self.is_transient, self.asked_seconds = status, is_transient, asked_seconds


@dataclass
class Site:
    """A server that gives its answers one after the other, the last one for ever."""

    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    num_asked: int = 0


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.num_asked += 1
            status, headers = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Show nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Site(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url: str) -> int:
    """Send one request, as clients do."""
    try:
        with httpx2.Client(timeout=TimeLimits().read_seconds) as client:
            answer = client.get(url)
    except httpx2.TransportError as error:
        raise FailedError(None, is_transient=is_transient_error(error)) from error
    status = answer.status_code
    if status != 200:
        asked_seconds = retry_after(answer.headers.get("Retry-After", ""))
        is_transient = is_transient_status(status)
        raise FailedError(status, is_transient=is_transient, asked_seconds=asked_seconds)
    return status


def failing(*errors: Exception) -> Callable[[], str]:
    """Return a call that raises errors one after the other, then succeeds."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


# Tries and waits


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_a_transient_status_is_tried_again(site: Site, time: FakeTime, status: int) -> None:
    site.answers = [(status, {}), (status, {}), (status, {}), (200, {})]
    assert retry(lambda: ask(site.url), POLICY, time.clock, 1000) == 200
    assert site.num_asked == 4
    assert time.waits == [1, 2, 4]


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 409, 410, 412, 413, 501, 505, 507, 511])
def test_another_status_is_asked_for_once(site: Site, time: FakeTime, status: int) -> None:
    site.answers = [(status, {"Retry-After": "1"}), (200, {})]
    with pytest.raises(FailedError, match=f"it failed with {status}") as caught:
        retry(lambda: ask(site.url), POLICY, time.clock, 1000)
    assert (site.num_asked, caught.value.num_tries, time.waits) == (1, 1, [])


def test_the_tries_have_an_end(site: Site, time: FakeTime) -> None:
    site.answers = [(503, {})]
    with pytest.raises(FailedError, match="it failed with 503") as caught:
        retry(lambda: ask(site.url), POLICY, time.clock, 1000)
    assert site.num_asked == caught.value.num_tries == 4
    assert time.waits == [1, 2, 4]


def test_a_connection_that_is_refused_is_tried_again(site: Site, time: FakeTime) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # without listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(FailedError) as caught:
            retry(lambda: ask(url), POLICY, time.clock, 1000)
    assert isinstance(caught.value.__cause__, httpx2.ConnectError)
    assert caught.value.num_tries == 4


def test_one_try_is_one_request(site: Site, time: FakeTime) -> None:
    site.answers = [(503, {"Retry-After": "1"})]
    with pytest.raises(FailedError):
        retry(lambda: ask(site.url), RetryPolicy(tries=1), time.clock, 1000)
    assert (site.num_asked, time.waits) == (1, [])


def test_other_errors_are_passed_on(time: FakeTime) -> None:
    for error in (ValueError("a bug"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            retry(failing(error), POLICY, time.clock, 1000)  # type: ignore[arg-type]
        assert caught.value is error
    assert time.waits == []


def test_a_retry_inside_of_a_retry_does_not_multiply_the_tries(site: Site, time: FakeTime) -> None:
    site.answers = [(503, {})]
    with pytest.raises(FailedError):
        retry(lambda: retry(lambda: ask(site.url), POLICY, time.clock, 1000), POLICY, time.clock, 1000)
    assert site.num_asked == 4


def test_a_wait_has_a_random_part_and_a_longest_length(
    time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: low + (high - low) / 2)
    policy = RetryPolicy(tries=5, first_wait_seconds=10, max_wait_seconds=30, jitter_seconds=4)
    errors = [FailedError(503, is_transient=True) for _ in range(4)]
    assert retry(failing(*errors), policy, time.clock, 1000) == "done"
    assert time.waits == [12, 22, 30, 30]


@pytest.mark.parametrize("tries", [0, -1])
def test_no_tries_make_no_sense(tries: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        RetryPolicy(tries=tries)


def test_stamina_says_nothing_by_itself() -> None:
    """Its log has the error, which can hold secrets, and comes to the terminal as a warning."""
    assert stamina.instrumentation.get_on_retry_hooks() == ()


# What a server asks for


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7), ("0", 1), (OLD, 1), ("soon", 1), ("360", 360)])
def test_the_wait_is_what_the_server_asks_for_and_never_shorter_than_ours(
    site: Site, time: FakeTime, asked: str, seconds: float
) -> None:
    site.answers = [(429, {"Retry-After": asked}), (200, {})]
    assert retry(lambda: ask(site.url), POLICY, time.clock, 1000) == 200
    assert time.waits == [seconds]


def test_a_date_is_waited_for(site: Site, time: FakeTime) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    site.answers = [(503, {"Retry-After": date}), (200, {})]
    assert retry(lambda: ask(site.url), POLICY, time.clock, 1000) == 200
    (seconds,) = time.waits
    assert 20 < seconds <= 30


def test_a_wait_that_is_too_long_ends_the_tries_and_is_named(site: Site, time: FakeTime) -> None:
    site.answers = [(429, {"Retry-After": "86400"}), (200, {})]
    with pytest.raises(FailedError, match="and asks to wait 86,400 s"):
        retry(lambda: ask(site.url), POLICY, time.clock, 10**6)
    assert (site.num_asked, time.waits) == (1, [])


def test_no_try_begins_after_the_end(site: Site, time: FakeTime) -> None:
    site.answers = [(503, {})]
    with pytest.raises(FailedError) as caught:
        retry(lambda: ask(site.url), RetryPolicy(tries=10, jitter_seconds=0), time.clock, time.now + 10)
    assert time.waits == [1, 2, 4]  # the next one, of 8 s, would end after 15 s
    assert caught.value.num_tries == 4


def test_retry_after_is_read_as_seconds_or_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 20 < (retry_after(soon) or 0) <= 30
    assert [retry_after(text) for text in ("0", " 7 ", "9" * 400, OLD)] == [0, 7, 999_999_999, 0]
    far = "Mon, 01 Jan 2024 00:00:00 +9999999999"
    assert [retry_after(text) for text in ("", "soon", "-1", "1.5", "²", far)] == [None] * 6


# Errors of libraries


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (httpx2.ConnectError(""), True),
        (httpx2.ReadTimeout(""), True),
        (httpx2.RemoteProtocolError(""), True),
        (httpx2.UnsupportedProtocol(""), False),
        (httpx2.LocalProtocolError(""), False),
        (requests.ConnectionError(), True),
        (requests.ReadTimeout(), True),
        (requests.exceptions.ChunkedEncodingError(), True),
        (requests.exceptions.InvalidURL(), False),
        (requests.TooManyRedirects(), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FileNotFoundError(), False),
        (ValueError(), False),
    ],
)
def test_errors_of_connections_are_transient_and_others_are_not(error: Exception, is_transient: bool) -> None:
    assert is_transient_error(error) is is_transient


# Secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host:8080/a/b.jpg?token=secret#secret", "https://host:8080/a/b.jpg"),
        ("https://host/a;jsessionid=secret", "https://host/a"),
        ("https://user:se/secret@host/", "(an unreadable URL)"),
        ("https://[secret/", "(an unreadable URL)"),
        ("https:user:secret@host/", "https:…"),
        ("data:image/png;base64,secret", "data:…"),
        ("secret", "(an address without a host)"),
        ("https://host/\x1b[31m", "https://host/\\x1b[31m"),
    ],
)
def test_secrets_are_taken_out_of_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no proxy http://me:secret@proxy:3128/ for it", "no proxy http://proxy:3128/ for it"),
        ("PUT https://s/lfs?sig=secret: 403", "PUT https://s/lfs 403"),
        ("GET /lfs?sig=secret failed", "GET /lfs failed"),
        ("Bearer token-secret\n  in two\tlines", "Bearer … in two lines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a" * 400, "a" * 299 + "…"),
    ],
)
def test_secrets_are_taken_out_of_messages(text: str, shown: str) -> None:
    assert redact(text, ["token-secret", "", None]) == shown
