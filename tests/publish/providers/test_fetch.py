"""Fetching images: every way a server can behave, played by a real one on loopback."""

import errno
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from builders.catalog.reader import FetchError
from publish.network import Clock, RetryPolicy, TimeLimits
from publish.providers.images_by_url import MAX_REDIRECTS, ImageFetcher
from schemas import KIT_VERSION

BODY = bytes(range(256)) * 1000  # 256,000 bytes: several chunks
HALF = len(BODY) // 2
POLICY = RetryPolicy(tries=4, jitter_seconds=0)
ONCE = RetryPolicy(tries=1)

Answer = Callable[[BaseHTTPRequestHandler], None]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: that a client goes away is what is tested."""


class Site:
    """A server that gives its answers one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Message] = []
        self.paths: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append(self.headers)
                site.paths.append(self.path)
                (site.answers.pop(0) if len(site.answers) > 1 else site.answers[0])(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Show nothing."""

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/face.jpg"

    @property
    def ranges(self) -> list[tuple[str | None, str | None]]:
        return [(headers["Range"], headers["If-Range"]) for headers in self.asked]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def waits() -> list[float]:
    """Return the waits of `fetch` in seconds, none of which takes any time."""
    return []


@pytest.fixture
def fetch(tmp_path: Path, waits: list[float]) -> Iterator[ImageFetcher]:
    times, clock = TimeLimits(read_seconds=600), Clock(sleep=waits.append)
    with ImageFetcher(tmp_path / "images", 1_000_000, policy=POLICY, times=times, clock=clock) as fetcher:
        yield fetcher


def answer(body: bytes = b"", status: int = 200, announce: int | None = None, **headers: str) -> Answer:
    """Send a body, announcing its length or another; the connection ends where they differ."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if announce is None else announce))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = announce is not None

    return send


def cut(body: bytes = BODY, **headers: str) -> Answer:
    """Send the first half of a body and hang up."""
    return answer(body[: len(body) // 2], 200, len(body), **headers)


def chunked(body: bytes, *, end: bool = True) -> Answer:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(body), 10_000):
            chunk = body[start : start + 10_000]
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        if end:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = not end

    return send


def until_the_end(body: bytes) -> Answer:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return send


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)
    handler.close_connection = True


def redirect(location: str) -> Answer:
    return answer(b"", 302, Location=location)


def names(tmp_path: Path) -> list[str]:
    """List the folder, shortened to the ends of the names."""
    return sorted(path.suffix or "whole" for path in (tmp_path / "images").iterdir())


# What goes well


def test_a_file_is_downloaded_whole_under_a_name_that_is_not_the_servers(
    site: Site, fetch: ImageFetcher, tmp_path: Path
) -> None:
    site.answers = [answer(BODY, ETag='"a"', Content_Type="image/jpeg")]
    path = fetch(site.url)
    assert path == tmp_path / "images" / hashlib.sha256(site.url.encode()).hexdigest()
    assert path.read_bytes() == BODY
    assert names(tmp_path) == ["whole"]


def test_a_request_says_who_asks_and_asks_for_plain_bytes(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [answer(BODY)]
    fetch(site.url)
    (headers,) = site.asked
    assert headers["User-Agent"] == f"sfhq-release-kit/{KIT_VERSION}"
    assert headers["Accept-Encoding"] == "identity"
    assert site.ranges == [(None, None)]


def test_a_file_that_is_there_is_not_asked_for_again(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [answer(BODY)]
    assert fetch(site.url) == fetch(site.url)
    assert len(site.asked) == 1


def test_a_file_of_chunks_needs_no_length(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [chunked(BODY)]
    assert fetch(site.url).read_bytes() == BODY


def test_many_threads_download_a_file_once(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [answer(BODY)]
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(fetch, [site.url] * 32))
    assert len(paths) == len(site.asked) == 1


def test_many_threads_download_many_files(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [answer(BODY)]
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(fetch, [f"{site.url}?{number}" for number in range(32)]))
    assert len(paths) == len(site.asked) == 32


# After a break


def test_a_broken_download_starts_again_from_the_first_byte(
    site: Site, fetch: ImageFetcher, tmp_path: Path
) -> None:
    site.answers = [cut(ETag='"a"'), answer(BODY, ETag='"a"')]
    assert fetch(site.url).read_bytes() == BODY
    assert site.ranges == [(None, None), (None, None)]
    assert names(tmp_path) == ["whole"]


def test_an_interrupt_leaves_nothing_and_the_next_run_downloads_the_file(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.answers = [answer(BODY, ETag='"a"')]
    real = httpx2.Response.iter_raw

    def interrupted(response: httpx2.Response, chunk_size: int | None = None) -> Iterator[bytes]:
        yield next(real(response, 1000))
        raise KeyboardInterrupt

    with ImageFetcher(tmp_path / "images", 1_000_000) as fetch, monkeypatch.context() as patch:
        patch.setattr(httpx2.Response, "iter_raw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(site.url)
    assert names(tmp_path) == []
    with ImageFetcher(tmp_path / "images", 1_000_000) as fetch:
        assert fetch(site.url).read_bytes() == BODY
    assert site.ranges == [(None, None), (None, None)]


def test_the_rest_of_a_killed_download_is_not_taken_for_a_file(
    site: Site, fetch: ImageFetcher, tmp_path: Path
) -> None:
    name = hashlib.sha256(site.url.encode()).hexdigest()
    (tmp_path / "images" / f".{name}.open").write_bytes(BODY[::-1][:HALF])
    site.answers = [answer(BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert names(tmp_path) == ["whole"]


# What passes


@pytest.mark.parametrize(
    "failure", [cut(), reset, chunked(BODY, end=False), answer(b"", 408), answer(b"", 503), answer(b"", 502)]
)
def test_a_failure_that_passes_is_tried_again(
    site: Site, fetch: ImageFetcher, waits: list[float], failure: Answer
) -> None:
    site.answers = [failure, failure, failure, answer(BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert len(site.asked) == 4
    assert waits == [1, 2, 4]


def test_a_server_that_fails_for_ever_is_given_up(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [answer(b"", 500)]
    with pytest.raises(FetchError, match=r"face\.jpg: the server answers 500 .* \(4 tries\)"):
        fetch(site.url)
    assert len(site.asked) == 4


def test_a_length_that_is_a_lie_is_given_up(site: Site, fetch: ImageFetcher, tmp_path: Path) -> None:
    site.answers = [answer(BODY, announce=len(BODY) + 1, ETag='"a"')]
    with pytest.raises(FetchError, match=r"before the whole answer was there \(4 tries\)"):
        fetch(site.url)
    assert names(tmp_path) == []


def test_a_silent_server_is_tried_again(site: Site, tmp_path: Path, waits: list[float]) -> None:
    site.answers = [silent, answer(BODY)]
    times, clock = TimeLimits(read_seconds=0.1), Clock(sleep=waits.append)
    with ImageFetcher(tmp_path, 1_000_000, policy=POLICY, times=times, clock=clock) as fetch:
        assert fetch(site.url).read_bytes() == BODY
    assert waits == [1]
    site.answers = [silent]
    with (
        ImageFetcher(tmp_path, 1_000_000, policy=ONCE, times=times) as fetch,
        pytest.raises(FetchError, match=r"the server said nothing for 0\.1 s$"),
    ):
        fetch(f"{site.url}?2")


def test_a_server_that_is_not_there_is_tried_again(fetch: ImageFetcher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # without listening
        with pytest.raises(FetchError, match=r"there is no connection: .* \(4 tries\)"):
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/")


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_the_server_says(
    site: Site, fetch: ImageFetcher, waits: list[float], status: int
) -> None:
    site.answers = [answer(b"", status, Retry_After="7"), answer(BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert waits == [7]


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(
    site: Site, fetch: ImageFetcher, waits: list[float]
) -> None:
    site.answers = [answer(b"", 429, Retry_After="86400")]
    with pytest.raises(FetchError, match=r"the server answers 429 .* and asks to wait 86,400 s$"):
        fetch(site.url)
    assert waits == []
    assert len(site.asked) == 1


def test_a_download_has_an_end_as_a_whole(site: Site, tmp_path: Path) -> None:
    seconds = iter(range(0, 10**9, 60))
    clock = Clock(seconds=lambda: float(next(seconds)), sleep=lambda _: None)
    site.answers = [chunked(BODY)]
    times = TimeLimits(total_seconds=100)
    with (
        ImageFetcher(tmp_path / "images", 1_000_000, times=times, clock=clock) as fetch,
        pytest.raises(FetchError, match=r"the download took longer than 100 s$"),
    ):
        fetch(site.url)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


def test_closing_ends_a_pause_in_another_thread(site: Site, tmp_path: Path) -> None:
    site.answers = [answer(b"", 429, Retry_After="60")]
    fetch = ImageFetcher(tmp_path, 1_000_000)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fetch, site.url)
        while not site.asked:
            time.sleep(0.01)
        fetch.close()
        with pytest.raises(FetchError, match="stopped"):
            running.result()
    assert len(site.asked) == 1  # a pause that went on to its end would be followed by a second request


# What does not pass


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 304, 204, 206])
def test_a_refusal_ends_at_once(site: Site, fetch: ImageFetcher, status: int) -> None:
    site.answers = [answer(b"", status)]
    with pytest.raises(FetchError, match=f"the server answers {status}"):
        fetch(site.url)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "too_large", [answer(BODY, ETag='"a"'), chunked(BODY), answer(b"", announce=10**15, ETag='"a"')]
)
def test_a_file_that_is_too_large_leaves_nothing(site: Site, tmp_path: Path, too_large: Answer) -> None:
    site.answers = [too_large]
    with (
        ImageFetcher(tmp_path / "images", len(BODY) - 1) as fetch,
        pytest.raises(FetchError, match=r"the file is larger than 255,999 bytes$"),
    ):
        fetch(site.url)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


def test_a_file_of_just_the_largest_size_is_taken(site: Site, tmp_path: Path) -> None:
    site.answers = [answer(BODY)]
    with ImageFetcher(tmp_path / "images", len(BODY)) as fetch:
        assert fetch(site.url).read_bytes() == BODY


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (answer(b"<html>", Content_Type="Text/HTML; charset=utf-8"), "a web page, not an image"),
        (answer(BODY, Content_Encoding="gzip"), "packs the file"),
        (until_the_end(BODY), "does not say how long"),
    ],
)
def test_what_is_not_a_plain_file_is_refused(
    site: Site, fetch: ImageFetcher, tmp_path: Path, wrong: Answer, message: str
) -> None:
    site.answers = [wrong]
    with pytest.raises(FetchError, match=message):
        fetch(site.url)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/a", "file:///etc/passwd", "data:image/png;base64,AA", "/etc/passwd", "", "http://"],
)
def test_other_schemes_are_refused_without_a_request(fetch: ImageFetcher, url: str) -> None:
    with pytest.raises(FetchError, match=r"only http and https|not a valid address"):
        fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://a\nb/",
        "http://localhost/\udcff",
        "http://a..b/",
        "http://h:0/",
    ],
)
def test_addresses_that_cannot_be_are_refused(fetch: ImageFetcher, url: str) -> None:
    with pytest.raises(FetchError, match="not a valid address"):
        fetch(url)


def test_a_full_disk_is_passed_on(
    site: Site, fetch: ImageFetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    site.answers = [answer(BODY)]
    with monkeypatch.context() as patch:
        patch.setattr("builders.files.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            fetch(site.url)
    assert len(site.asked) == 1
    assert names(tmp_path) == []


# Redirects


def test_redirects_are_followed(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [redirect("/elsewhere?key=1"), *[redirect("next")] * (MAX_REDIRECTS - 1), answer(BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert site.paths[:3] == ["/face.jpg", "/elsewhere?key=1", "/next"]


def test_endless_redirects_end(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [redirect("/face.jpg")]
    with pytest.raises(FetchError, match="more than 5 redirects"):
        fetch(site.url)
    assert len(site.asked) == 1 + MAX_REDIRECTS


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://[::1/", "http://a:99999/"]
)
def test_redirects_elsewhere_are_not_followed(site: Site, fetch: ImageFetcher, location: str) -> None:
    site.answers = [redirect(location)]
    with pytest.raises(FetchError, match=r"it redirects to .* not a valid http or https address"):
        fetch(site.url)
    assert len(site.asked) == 1


def test_redirects_never_give_up_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(302, headers={"Location": "http://u:secret@127.0.0.1/b?token=secret"})

    seen: list[str] = []
    with ImageFetcher(tmp_path, 1) as fetch:
        monkeypatch.setattr(fetch, "_client", httpx2.Client(transport=httpx2.MockTransport(answered)))
        with pytest.raises(FetchError, match=r"redirects from https to http://127\.0\.0\.1/b, which"):
            fetch("https://127.0.0.1/a")
    assert seen == ["https://127.0.0.1/a"]


# Secrets


@pytest.mark.parametrize(
    "failure",
    [answer(b"", 404), answer(b"", 500), cut(), reset, redirect("ftp://u:secret@h/a?token=secret"), silent],
)
def test_messages_hold_no_secrets(site: Site, tmp_path: Path, failure: Answer) -> None:
    site.answers = [failure]
    url = site.url.replace("http://", "http://user:secret@") + "?token=secret#secret"
    with (
        ImageFetcher(tmp_path, 1_000_000, policy=ONCE, times=TimeLimits(read_seconds=0.1)) as fetch,
        pytest.raises(FetchError) as caught,
    ):
        fetch(url)
    assert str(caught.value).startswith(f"{site.url}: ")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_no_credentials_are_sent(
    site: Site, fetch: ImageFetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    with_user = site.url.replace("http://", "http://user:secret@")
    site.answers = [redirect(with_user), answer(BODY)]
    fetch(site.url)
    fetch(with_user)
    assert len(site.asked) == 3
    assert all(headers["Authorization"] is None for headers in site.asked)


def test_no_cookies_are_kept(site: Site, fetch: ImageFetcher) -> None:
    site.answers = [answer(b"", 302, Location="/b", Set_Cookie="a=1"), answer(BODY, Set_Cookie="b=2; Path=/")]
    fetch(site.url)
    fetch(f"{site.url}?2")
    assert len(site.asked) == 3
    assert all(headers["Cookie"] is None for headers in site.asked)
