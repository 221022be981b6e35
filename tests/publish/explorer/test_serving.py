"""The explorer's server: parts of files, one folder, one browser."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.generation.captions.checking import check_sentence
from publish.explorer import PAGE_FILES, caption_checks
from publish.explorer.caption_checks import check_caption
from publish.explorer.guard import Guard
from publish.explorer.serving import Folder, Ranking, Shown, make_app
from schemas.bags import Bag, Fact
from schemas.problems import Problem, Reason, SettingsError
from tests.publish.explorer.conftest import APP
from tests.publish.explorer.serving import Answer, ask, serve

DATA = bytes(range(256)) * 4
SECRET = b"not of the release"


def rank(text: str) -> Ranking:
    if text == "unknown":
        raise SettingsError(Problem(Reason.SETTINGS, "no word is known", fix="use others"))
    return Ranking([2, 0], [0.5, 0.25], f"searched for {text}")


class Served:
    """A server, and its token."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        cookie = f"sfhq-explorer-{self.port}={self.token}"
        return ask(self.port, path, method, body, **{"Cookie": cookie, **headers})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base = tmp_path_factory.mktemp("served")
    (base / "release" / "images").mkdir(parents=True)
    (base / "secret.txt").write_bytes(SECRET)
    (base / "release" / "images" / "a.parquet").write_bytes(DATA)
    (base / "release" / "images" / "unlisted.parquet").write_bytes(SECRET)
    (base / "release" / "leaves").symlink_to(base / "secret.txt")
    (base / "release" / "circle").symlink_to(base / "release" / "circle")
    (base / "release" / "stays").symlink_to(base / "release" / "images" / "a.parquet")
    os.mkfifo(base / "release" / "pipe")
    names = {"images/a.parquet", "leaves", "stays", "circle", "pipe", "images", "gone", "../secret.txt"}
    shown = Shown(Folder(base / "release", names), search=rank, check=check_caption)
    with serve(lambda port: Guard(make_app(shown), port, "the-token")) as port:
        yield Served(port, "the-token")


FILE = "/release/images/a.parquet"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, 1024), ("bytes=-4", 1020, 1024), ("bytes=7-99999", 7, 1024)],
)
def test_a_part_of_a_file_is_sent_with_its_place(served: Served, asked: str, start: int, end: int) -> None:
    answer = served.get(FILE, Range=asked)
    assert (answer.status, answer.body) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
    assert answer.headers["content-length"] == str(end - start)


def test_parts_that_are_not_there_are_refused(served: Served) -> None:
    answer = served.get(FILE, Range="bytes=1024-1030")
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */1024")
    assert served.get(FILE, Range="bytes=nine-ten").status == 400


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=0-1023", 206),
        ("bytes= 0 - 3 ", 206),
        ("BYTES=0-3", 206),
        ("bytes=0-3,1020-", 206),
        ("bytes=0-3," * 99 + "0-3", 206),
        ("bytes=0-3," * 100 + "0-3", 200),  # too many to be meant: the whole file is sent, once
        ("bytes=-99999", 206),
        ("bytes=-0", 416),
        ("bytes=0-3,5000-", 416),
        (f"bytes={'9' * 4000}-", 416),
        (f"bytes={'9' * 6000}-", 400),
        (f"bytes=0-{'9' * 4000}", 206),
        ("bytes=9-3", 400),
        ("bytes=--3", 416),
        ("bytes=", 400),
        ("bytes=,", 400),
        ("bytes", 400),
        ("rows=0-3", 400),
        ("bytes=\u00b2-3", 400),
        ("bytes=0x1-0x2", 400),
    ],
)
def test_any_range_is_answered_with_bytes_of_the_file_or_refused(
    served: Served, asked: str, status: int
) -> None:
    answer = served.get(FILE, Range=asked)
    assert answer.status == status
    assert len(answer.body) < 2 * len(DATA), "many ranges are no way to a large answer"
    if status == 200:
        assert answer.body == DATA
    if "," in asked and status == 206:
        parts = answer.body.split(b"Content-Range: bytes ")[1:]
        for part in parts or [answer.headers["content-range"].encode()[6:] + b"\r\n\r\n" + answer.body]:
            place, _, body = part.partition(b"\r\n\r\n")
            start, end = map(int, place.split(b"/")[0].split(b"-"))
            assert body.startswith(DATA[start : end + 1])


@settings(max_examples=60, deadline=None)
@given(asked=st.text("bytes=-,0123456789 x", max_size=30))
def test_no_range_breaks_the_server(served: Served, asked: str) -> None:
    assert served.get(FILE, Range=asked.strip()).status in (200, 206, 400, 416)


@pytest.mark.parametrize(
    "if_range", ["", '""', 'W/"x"', "Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "x" * 5000]
)
def test_another_content_is_sent_whole(served: Served, if_range: str) -> None:
    answer = served.get(FILE, Range="bytes=0-9", If_Range=if_range)
    assert (answer.status, answer.body) == (200, DATA)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "G" * 500])
@pytest.mark.parametrize("path", ["/", FILE, "/api/search", "/explorer.json"])
def test_strange_methods_get_nothing(served: Served, method: str, path: str) -> None:
    answer = served.get(path, method)
    assert answer.status in (400, 404, 405)
    assert DATA not in answer.body


def test_a_token_alone_opens_only_the_page(served: Served) -> None:
    for method in ("HEAD", "POST", "PUT"):
        assert ask(served.port, f"/?token={served.token}", method).status == 403
    for token in ("", "%00", "%ff", "\u00e9", "x" * 10_000, f"{served.token}x", f"x&token={served.token}"):
        assert ask(served.port, f"/?token={quote(token, safe='&=%')}").status == 403


def test_the_head_of_a_file_and_of_a_part(served: Served) -> None:
    whole = served.get(FILE, "HEAD")
    assert (whole.status, whole.body, whole.headers["content-length"]) == (200, b"", "1024")
    assert whole.headers["accept-ranges"] == "bytes"
    part = served.get(FILE, "HEAD", Range="bytes=0-9")
    assert (part.status, part.body, part.headers["content-length"]) == (206, b"", "10")


def test_a_part_of_another_content_is_not_mixed_in(served: Served) -> None:
    tag = served.get(FILE, "HEAD").headers["etag"]
    assert served.get(FILE, Range="bytes=0-9", If_Range=tag).status == 206
    other = served.get(FILE, Range="bytes=0-9", If_Range='"another"')
    assert (other.status, other.body) == (200, DATA)


@pytest.mark.parametrize("folder", ["/release/", "/previous/", "/thumbnails/", "/rejected/", "/", "/api/"])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "../secret.txt",
            "%2e%2e/secret.txt",
            "..%2fsecret.txt",
            "..%5csecret.txt",
            "images/../../secret.txt",
        ),
        *(
            "/etc/passwd",
            "%2fetc/passwd",
            "leaves",
            "circle",
            "pipe",
            "images",
            "gone",
            "images/unlisted.parquet",
        ),
        *("", ".", "..", "%00", "images/a.parquet%00", "images//a.parquet", "a" * 5000, "%ff%fe"),
        *("serving.py", "../serving.py", "app/explorer.js", "static/index.html"),
    ],
)
def test_no_path_leads_out_of_the_release(served: Served, folder: str, name: str) -> None:
    path = folder + name
    answer = served.get(path)
    assert SECRET not in answer.body
    if path != "/":
        assert answer.status in (400, 404, 405)


def test_a_link_that_stays_in_the_release_is_followed(served: Served) -> None:
    assert served.get("/release/stays").body == DATA


@given(name=st.text(max_size=40))
def test_only_listed_names_are_found(name: str) -> None:
    folder = Folder(Path(__file__).parent, {"conftest.py"})
    found = folder.find(name)
    assert (found is not None) == (name == "conftest.py")


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": ""},
        {"Cookie": "sfhq-explorer-1=the-token"},
        {"Cookie": "sfhq-explorer-{port}=wrong"},
        {"Cookie": "sfhq-explorer-{port}=\u00e9"},
        {"Host": "evil.example:{port}"},  # a name that was bound again to 127.0.0.1
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},  # another port of this machine
    ],
)
@pytest.mark.parametrize("path", ["/", "/explorer.json", "/release/images/a.parquet", "/explorer.js"])
def test_others_are_refused(served: Served, headers: dict[str, str], path: str) -> None:
    given = {name: value.replace("{port}", str(served.port)) for name, value in headers.items()}
    cookie = {"Cookie": f"sfhq-explorer-{served.port}={served.token}"}
    answer = ask(served.port, path, "GET", None, **{**cookie, **given})
    assert answer.status == 403
    assert DATA not in answer.body


def test_the_address_gives_the_browser_a_cookie_and_loses_its_token(served: Served) -> None:
    answer = ask(served.port, f"/?token={served.token}")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert f"sfhq-explorer-{served.port}={served.token}" in cookie
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert ask(served.port, "/?token=wrong").status == 403
    assert ask(served.port, f"/explorer.json?token={served.token}").status == 403


@pytest.mark.parametrize("path", ["/", FILE, "/none", "/api/search", "/explorer.json"])
def test_every_answer_keeps_the_page_to_itself(served: Served, path: str) -> None:
    for answer in (served.get(path), ask(served.port, path)):
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "connect-src 'self';" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(served: Served, method: str) -> None:
    for path in ("/", FILE, "/explorer.json"):
        assert served.get(path, method, b"x").status == 405


JSON = {"Content_Type": "application/json"}


def test_a_search_by_meaning_is_answered(served: Served) -> None:
    answer = served.get("/api/search", "POST", b'{"text": " hat "}', **JSON)
    expected = {"rows": [2, 0], "similarities": [0.5, 0.25], "note": "searched for hat"}
    assert (answer.status, json.loads(answer.body)) == (200, expected)
    refused = served.get("/api/search", "POST", b'{"text": "unknown"}', **JSON)
    assert refused.status == 200
    assert "no word is known" in json.loads(refused.body)["problem"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"text": 1}',
        b'{"text": " "}',
        b"\xff",
        b"[" * 15_000,
        b"x" * 20_000,
        b'{"text": "\\ud800"}',
    ],
)
def test_a_search_for_nothing_is_refused(served: Served, body: bytes) -> None:
    assert served.get("/api/search", "POST", body, **JSON).status == 400


BAG = [("hair_color", "red"), ("age", "30-39"), ("hat", "none"), ("gender", "male")]


@pytest.mark.parametrize(
    "text",
    [
        "A man in his thirties with red hair, without a hat.",  # all of it
        "A woman with a red beanie and black hair. \U0001f600 She is in her thirties.",
        "Red.",
    ],
)
def test_a_caption_is_checked_as_the_kit_checks_it(served: Served, text: str) -> None:
    attributes = [{"attribute": attribute, "value": value} for attribute, value in BAG]
    body = json.dumps({"text": text, "attributes": attributes}).encode()
    answer = served.get("/api/check", "POST", body, **JSON)
    facts = tuple(
        Fact(attribute=name, value=value, confidence=None, source_model="any") for name, value in BAG
    )
    found = check_sentence(Bag(image_id="any", facts=facts), text)
    assert found.is_right == text.startswith("A man")
    assert (answer.status, json.loads(answer.body)) == (
        200,
        {
            "missing": [{"attribute": fact.attribute, "value": fact.value} for fact in found.missing],
            "added": [asdict(each) for each in found.added],
        },
    )


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"text": "x"},
        {"attributes": []},
        {"text": 1, "attributes": []},
        {"text": "x", "attributes": {}},
        {"text": "x", "attributes": ["age"]},
        {"text": "x", "attributes": [{"attribute": "age"}]},
        {"text": "x", "attributes": [{"attribute": "age", "value": "\ud800"}]},
        {"text": "x" * 2001, "attributes": []},
        {"text": "x", "attributes": [{"attribute": "age", "value": "1"}] * 201},
        {"text": "x", "attributes": [{"attribute": "x" * 101, "value": "1"}]},
        {"text": "x", "attributes": [{"attribute": "hat", "value": "x" * 1001}]},
        {"text": "x", "attributes": [{"attribute": "hat", "value": "red " * 250}] * 20},
        {"text": "x", "attributes": [], "more": "x" * 1_000_000},
    ],
)
def test_what_is_no_caption_is_not_checked(served: Served, question: dict[str, object]) -> None:
    assert served.get("/api/check", "POST", json.dumps(question).encode(), **JSON).status == 400


def test_the_page_asks_for_no_more_than_is_checked() -> None:
    limits = re.findall(r"^const (MAX_\w+) = (\d+)$", (APP / "checks.js").read_text(), re.MULTILINE)
    own = {name: value for name, value in vars(caption_checks).items() if name.startswith("MAX_")}
    assert {name: int(number) for name, number in limits} == own


def test_a_form_of_another_page_is_no_search(served: Served) -> None:
    answer = served.get("/api/search", "POST", b'{"text": "hat"}', Content_Type="text/plain")
    assert answer.status == 400


def test_the_page_is_complete(served: Served) -> None:
    for name, media_type in PAGE_FILES.items():
        answer = served.get(f"/{name}")
        assert (answer.status, answer.headers["content-type"]) == (200, media_type)
    assert served.get("/").body == served.get("/index.html").body


class Removing(Folder):
    """A folder whose files go as soon as they are found."""

    def find(self, name: str) -> Path | None:
        path = super().find(name)
        if path is not None:
            path.unlink()
        return path


def test_a_file_that_goes_meanwhile_is_not_there(tmp_path: Path) -> None:
    for name in ("a", "rejected"):
        (tmp_path / name).write_bytes(DATA)
    shown = Shown(Removing(tmp_path, {"a"}), rejected=Removing(tmp_path, {"rejected"}))
    with serve(lambda port: Guard(make_app(shown), port, "the-token")) as port:
        assert Served(port, "the-token").get("/release/a").status == 404
        settings = Served(port, "the-token").get("/explorer.json")
        assert "rejectedBytes" not in json.loads(settings.body)
