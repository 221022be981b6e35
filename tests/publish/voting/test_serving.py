"""The server of votes as a program sees it: hostile requests, many people at once, and how it ends."""

import asyncio
import json
import random
import shutil
import signal
import socket
import stat
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from builders.generation.campaign.asking import Asking, Choice
from builders.generation.campaign.votes_log import VotesLog
from publish.campaign import main
from publish.voting.guarding import Guard, known_places
from publish.voting.recording import Recorder
from schemas.campaign import CampaignVote
from tests.builders.generation.campaign.worlds import SECRET, annotators, campaign_pairs, settings
from tests.publish.voting.server import (
    Server,
    labels,
    make_campaign,
    read_lines,
    read_standing,
    running,
    start,
)

NUM_PEOPLE = 50
_CLIENTS: list[httpx2.Client] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """Close the clients of a test's people."""
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


class Person:
    """One annotator with a real HTTP client."""

    def __init__(self, server: Server, number: int = 0) -> None:
        self.token = server.tokens[number]
        self.client = httpx2.Client(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"X-Campaign-Token": self.token},
            timeout=60,
        )
        _CLIENTS.append(self.client)

    def state(self) -> dict[str, Any]:
        """Ask for the pair on the screen."""
        answer = self.client.get("/api/state")
        assert answer.status_code == 200
        state: dict[str, Any] = answer.json()
        return state

    def vote(self, task: dict[str, Any], choice: str = "left", **changes: object) -> httpx2.Response:
        """Answer a pair."""
        body = {"vote_id": task["vote_id"], "pair_id": task["pair_id"], "choice": choice, "seconds": 2.5}
        return self.client.post("/api/vote", json={**body, **changes})

    def undo(self, vote_id: str) -> httpx2.Response:
        """Take a vote back."""
        return self.client.post("/api/undo", json={"vote_id": vote_id})


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign that the tests of hostile requests leave as it is."""
    folder = tmp_path_factory.mktemp("campaigns") / "campaign"
    return make_campaign(folder, 12, "--annotators", "2")


@pytest.fixture(scope="module")
def server(campaign: Path) -> Iterator[Server]:
    """Return its server."""
    with running(campaign) as started:
        yield started


def test_a_vote_has_all_that_a_release_needs(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 3, "--license", "cc0-1.0")
    with running(campaign) as server:
        person = Person(server)
        task = person.state()["task"]
        answer = person.vote(task, "right").json()
        assert answer["outcome"] == "stored"
        (line,) = read_lines(campaign)  # before the answer, not some time later
        assert answer["task"]["pair_id"] != task["pair_id"]
    vote = CampaignVote.model_validate(line)
    assert vote.license == "cc0-1.0"
    assert labels([line]) == ["right"]
    assert (vote.kind, vote.status, vote.seconds) == ("first", "submitted", 2.5)
    assert vote.time.endswith("+00:00")
    assert {vote.model_1, vote.model_2} == {"FLUX1_dev", "FLUX1_schnell"}
    assert (campaign / vote.image_1).is_file()
    assert task["left"] == (vote.image_1 if vote.left == "image_1" else vote.image_2)
    # The page does not know what could sway a person.
    assert not {"model_1", "kind", "gold", "first_left"} & set(task)


def test_links_are_personal_and_not_on_the_disk(campaign: Path, server: Server) -> None:
    first, second = (Person(server, number) for number in range(2))
    assert len(first.token) == 32  # 192 bits
    assert first.token != second.token
    texts = [path.read_bytes() for path in campaign.iterdir() if path.is_file()]
    assert not any(token.encode() in text for token in server.tokens for text in texts)
    assert stat.S_IMODE((campaign / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "path",
    [
        *("/v/{bad}", "/v/", "/v/{bad}/images/{image}", "/v/{good}/images/..%2fsecret", "/v/{good}/"),
        *("/v/{good}/images/%2e%2e%2fsecret", "/v/{good}/images/{image}%00", "/secret", "/votes.jsonl"),
        *("/static/..%2f..%2fapp.py", "/static/page.html", "/v/{good}/images/secret", "/favicon.ico"),
    ],
)
def test_what_is_not_there_and_what_is_not_allowed_look_the_same(path: str, server: Server) -> None:
    person = Person(server)
    image = person.state()["task"]["left"].rpartition("/")[2]
    assert person.client.get(f"/v/{person.token}/images/{image}").status_code == 200
    bad = person.token[:-1] + ("A" if person.token[-1] != "A" else "B")
    answer = person.client.get(path.format(good=person.token, bad=bad, image=image))
    nothing = person.client.get("/nothing/here")
    assert (answer.status_code, answer.content) == (404, nothing.content)
    assert set(answer.headers) == set(nothing.headers)
    assert b"does not work" in answer.content


def test_a_guessed_token_opens_nothing(server: Server, campaign: Path) -> None:
    before = read_lines(campaign)
    person = Person(server)
    task = person.state()["task"]
    answers = set()
    for guess in (
        "",
        "x",
        person.token[:-1],
        person.token.lower(),
        "A" * 32,
        "A" * 10_000,
        "é".encode().hex(),
    ):
        person.client.headers["X-Campaign-Token"] = guess
        for answer in (person.client.get("/api/state"), person.vote(task), person.undo(task["vote_id"])):
            answers.add((answer.status_code, answer.content))
    assert answers == {(404, b'{"error":"This link does not work."}')}
    assert read_lines(campaign) == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 421),  # a name of a stranger that leads to this machine
        ({"Host": ""}, 421),
        ({"Content-Type": "text/plain"}, 415),  # what a form of another page could send
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_requests_of_other_pages_are_refused(
    headers: dict[str, str], status: int, server: Server, campaign: Path
) -> None:
    before, person = read_lines(campaign), Person(server)
    task = person.state()["task"]
    body = {"vote_id": task["vote_id"], "pair_id": task["pair_id"], "choice": "left", "seconds": 1}
    content = {"Content-Type": "application/json", **headers}
    answer = person.client.post("/api/vote", content=json.dumps(body), headers=content)
    assert answer.status_code == status
    assert read_lines(campaign) == before


def test_the_page_itself_is_let_in_and_guarded(server: Server) -> None:
    person = Person(server)
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
    person.client.headers.update(own)
    assert person.vote(person.state()["task"], pair_id="0" * 16).status_code == 409
    page = person.client.get(f"/v/{person.token}")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert "server" not in page.headers
    assert b" style=" not in page.content
    assert b" onclick=" not in page.content
    assert b"://" not in page.content  # nothing comes from elsewhere


def test_forged_and_broken_bodies_write_nothing(server: Server, campaign: Path) -> None:
    before, person, other = read_lines(campaign), Person(server), Person(server, 1)
    task = person.state()["task"]
    assert other.vote(task).status_code == 409  # not asked of this person
    for changes in (
        *({"annotator": "0" * 16}, {"label": "image_1"}, {"choice": "image_1"}, {"choice": None}),
        *({"pair_id": "../secret"}, {"pair_id": 7}, {"vote_id": "x"}, {"seconds": -1}, {"seconds": "NaN"}),
        *({"seconds": 10**400}, {"kind": "gold"}),
    ):
        assert person.vote(task, **changes).status_code == 422, changes
    assert person.vote(task, pair_id="f" * 16).status_code == 409
    assert person.vote(task, vote_id="f" * 32).status_code == 409
    for body in (b"", b"[", b"[1]", b"null", b"\xff\xfe", b'{"a":' * 500 + b"1" + b"}" * 500):
        headers = {"Content-Type": "application/json"}
        assert person.client.post("/api/vote", content=body, headers=headers).status_code == 422, body
    assert person.client.get("/api/vote").status_code == 405
    assert read_lines(campaign) == before


def test_a_huge_body_is_refused_unread(server: Server) -> None:
    person = Person(server)

    def endless() -> Iterator[bytes]:
        yield b"x" * 1000

    headers = {"Content-Type": "application/json"}
    assert person.client.post("/api/vote", content=b"x" * 5000, headers=headers).status_code == 413
    assert person.client.post("/api/vote", content=endless(), headers=headers).status_code == 411
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = (
            f"POST /api/vote HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        )
        connection.sendall(f"{head}Content-Length: {10**15}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(1000)
    assert person.state()["task"]


def test_a_body_in_chunks_is_refused_whatever_length_it_says(server: Server) -> None:
    person = Person(server)
    head = f"POST /api/vote HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    head += f"X-Campaign-Token: {person.token}\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"{head}5\r\n[[[[[\r\n".encode())  # its end does not come
        assert connection.recv(1000).split(b" ")[1] in (b"400", b"411")
    assert person.state()["task"]


def test_a_body_that_is_longer_than_it_says_is_not_read_to_its_end() -> None:
    parts = [0]

    async def receive() -> Message:
        parts[0] += 1
        assert parts[0] < 10, "it would read for ever"
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def read(request: Request) -> Response:
        return Response(await request.body())

    async def call() -> list[Message]:
        sent = list[Message]()

        async def send(message: Message) -> None:
            sent.append(message)

        places = known_places("127.0.0.1", 80, "http://127.0.0.1")
        route = Route("/", read, methods=["POST"])
        application = Starlette(routes=[route], middleware=[Middleware(Guard, places=places)])
        headers = {"host": "127.0.0.1", "content-type": "application/json", "content-length": "10"}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "query_string": b""}
        await application(scope, receive, send)
        return sent

    assert asyncio.run(call())[0]["status"] == 413


def test_a_phone_that_drops_in_the_middle_of_a_vote_is_no_error(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 2)
    with running(campaign) as server:
        head = f"POST /api/vote HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        head += f"Content-Type: application/json\r\nX-Campaign-Token: {server.tokens[0]}\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(f"{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode())
            assert b" 100 " in connection.recv(1000)  # the body is waited for
            connection.sendall(b'{"vote_id"')
        person = Person(server)
        assert person.state()["task"]
        person.client.close()
        status, said = server.stop()
    assert (status, "Traceback" in said) == (0, False), said


@pytest.mark.parametrize("what", ["another file", "no file", "another length"])
def test_votes_are_not_stored_where_nobody_would_find_them(what: str, tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 3)
    votes = campaign / "votes.jsonl"
    with running(campaign) as server:
        person = Person(server)
        task = person.vote(person.state()["task"]).json()["task"]
        before = votes.read_bytes()
        if what == "another file":
            (tmp_path / "copy").write_bytes(before)
            (tmp_path / "copy").replace(votes)
        elif what == "no file":
            votes.unlink()
        else:
            votes.write_bytes(b"")
        for _ in range(2):
            assert person.vote(task).status_code == 503
        assert person.state()["answered"] == 1
        status, said = server.stop()
    assert status == 0
    assert "could not be written" in said
    assert "Traceback" not in said
    votes.write_bytes(before)
    with running(campaign) as server:
        assert Person(server).vote(task).json()["outcome"] == "stored"
    assert len(read_lines(campaign)) == 2


def test_the_end_of_the_votes_is_mended_and_nothing_deleted(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 4)
    votes, torn = campaign / "votes.jsonl", campaign / "votes.torn"
    with running(campaign) as server:
        person = Person(server)
        task = person.vote(person.state()["task"]).json()["task"]
        person.vote(task)
    whole = votes.read_bytes()
    votes.write_bytes(whole.rstrip(b"\n"))  # as some editors do
    log = VotesLog(votes)
    assert (len(log.votes), log.torn) == (2, b"")
    log.append(log.votes[:1])
    log.close()
    assert votes.read_bytes() == whole + whole.splitlines(keepends=True)[0]
    assert not torn.exists()
    for half in (b'{"vote_id": "0', b"\xff"):
        votes.write_bytes(whole + half)
        log = VotesLog(votes)
        assert (len(log.votes), log.torn) == (2, half)
        log.close()
        assert votes.read_bytes() == whole
    assert torn.read_bytes() == b'{"vote_id": "0\n\xff\n'


def test_a_campaign_without_its_votes_is_not_begun_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = make_campaign(tmp_path / "campaign", 2)
    (campaign / "votes.jsonl").unlink()
    capsys.readouterr()
    for verb in (["status"], ["serve", "--port", "0"]):
        assert main([verb[0], str(campaign), *verb[1:]]) == 1
        assert "the file of votes is missing" in capsys.readouterr().err
    assert not (campaign / "votes.jsonl").exists()


def test_images_that_cannot_be_shown_are_listed_before_anybody_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = make_campaign(tmp_path / "campaign", 3)
    images = sorted((campaign / "images").iterdir())
    images[0].unlink()
    images[1].write_bytes(images[2].read_bytes()[:50])
    capsys.readouterr()
    assert main(["serve", str(campaign), "--port", "0"]) == 1
    err = capsys.readouterr().err
    assert [path.name in err for path in images] == [True, True, *[False] * 4]
    shutil.rmtree(campaign / "images")
    assert main(["serve", str(campaign), "--port", "0"]) == 1
    assert capsys.readouterr().err.count("the image cannot be read") == 6


def test_a_pair_whose_image_vanishes_is_left_out_and_reported_and_no_vote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = make_campaign(tmp_path / "campaign", 4, "--annotators", "2")
    with running(campaign) as server:
        person, other = Person(server), Person(server, 1)
        state = person.state()
        task = state["task"]
        image = campaign / task["left"]
        whole = image.read_bytes()
        address = f"/v/{person.token}/{task['left']}"
        assert person.client.get(address).content == whole
        image.write_bytes(whole[:-20])  # half of an image would be voted on
        assert person.client.get(address).status_code == 404
        body = {"vote_id": task["vote_id"], "pair_id": task["pair_id"]}
        assert other.client.post("/api/not-shown", json=body).status_code == 409  # not asked of them
        assert person.client.post("/api/not-shown", json={**body, "x": 1}).status_code == 422
        for _ in range(2):
            answer = person.client.post("/api/not-shown", json=body).json()
            assert answer["outcome"] == "left_out"
            assert answer["task"]["pair_id"] != task["pair_id"]
            assert (answer["answered"], answer["remaining"]) == (0, state["remaining"] - 1)
        asked = []
        while (shown := other.state()["task"]) is not None:
            asked.append(shown["pair_id"])
            other.vote(shown)
        assert task["pair_id"] not in asked  # they would wait for it in vain
        assert len({*asked}) == 3
        # Where the files are in order, only this person is not asked: their browser cannot show it.
        shown = person.state()["task"]
        body = {"vote_id": shown["vote_id"], "pair_id": shown["pair_id"]}
        assert person.client.post("/api/not-shown", json=body).json()["remaining"] == state["remaining"] - 2
        assert person.vote(shown).json()["outcome"] == "stored"  # from another browser of theirs
        person.client.close()
        other.client.close()
        status, said = server.stop()
    assert status == 0
    assert said.count("cannot be shown") == 1
    assert said.count("images are in order") == 1
    assert task["left"] in said
    assert str(tmp_path) not in (campaign / "not_shown.jsonl").read_text()
    assert task["pair_id"] not in {line["pair_id"] for line in read_lines(campaign)}
    with (campaign / "not_shown.jsonl").open("ab") as file:
        file.write(b'{"pair_id": "0')  # half of a line, of a killed server
    capsys.readouterr()
    assert main(["status", str(campaign), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["result"]["not_shown"]
    assert (first["pair"], len(first["annotators"])) == (task["pair_id"], 1)
    assert first["problem"] == f"{task['left']}: the image has other bytes than when the campaign was made"
    assert (second["pair"], second["problem"]) == (shown["pair_id"], "")
    image.write_bytes(whole)
    assert main(["status", str(campaign)]) == 0
    assert "Pairs that could not be shown" in capsys.readouterr().out
    with running(campaign) as server:  # which was repaired, and is asked again
        asked = []
        while (again := Person(server).state()["task"]) is not None:
            asked.append(again["pair_id"])
            Person(server).vote(again)
        assert task["pair_id"] in asked


def test_links_are_written_over_links_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign, other = make_campaign(tmp_path / "campaign", 2), tmp_path / "notes.txt"
    other.write_text("http://127.0.0.1:1/v/" + "A" * 32 + "\nremember the milk\n")
    (tmp_path / "way-in").symlink_to(campaign)
    before = {path: path.read_bytes() for path in (*campaign.iterdir(), other) if path.is_file()}
    places = [campaign / "votes.jsonl", campaign / "new", tmp_path / "way-in" / "secret", other, tmp_path]
    for path in places:
        capsys.readouterr()
        assert main(["serve", str(campaign), "--port", "0", "--links", str(path)]) == 2
        assert "--links" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (*campaign.iterdir(), other) if path.is_file()} == before


@pytest.mark.parametrize("host", ["203.0.113.7", "x..y", "no name"])
def test_a_host_that_is_none_is_named(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_campaign(tmp_path / "other", 2)
    capsys.readouterr()
    assert main(["serve", str(other), "--host", host, "--port", "0"]) == 2
    err = capsys.readouterr().err
    assert "--host" in err
    assert "--port" not in err


def test_two_tabs_a_double_click_and_undo(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 4)
    with running(campaign) as server:
        person = Person(server)
        task = person.state()["task"]
        assert person.state()["task"] == task
        with ThreadPoolExecutor(8) as pool:  # clicks in many tabs at once
            answers = list(pool.map(lambda choice: person.vote(task, choice), ["left", "right"] * 8))
        assert Counter(answer.json()["outcome"] for answer in answers) == {"stored": 1, "known": 15}
        assert len(read_lines(campaign)) == 1
        with ThreadPoolExecutor(8) as pool:
            undone = list(pool.map(person.undo, [task["vote_id"]] * 8))
        assert Counter(answer.json()["outcome"] for answer in undone) == {"stored": 1, "undone": 7}
        assert person.vote(task).json()["outcome"] == "undone"  # a click that comes late
        again = person.state()["task"]
        assert again["pair_id"] == task["pair_id"]
        assert again["vote_id"] != task["vote_id"]
        assert person.vote(again, "both_good").json()["answered"] == 1
    assert [line["status"] for line in read_lines(campaign)] == ["submitted", "discarded", "submitted"]
    assert labels(read_standing(campaign)) == ["both_good"]


def test_who_takes_back_one_of_three_equal_votes_is_asked_the_pair_next(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 1, "--annotators", "3")
    with running(campaign) as server:
        people = [Person(server, number) for number in range(3)]
        tasks = [person.state()["task"] for person in people]
        assert [
            person.vote(task, "both_good").json()["outcome"]
            for person, task in zip(people, tasks, strict=True)
        ] == ["stored"] * 3
        assert [person.state()["remaining"] for person in people] == [0, 0, 0]
        undone = people[0].undo(tasks[0]["vote_id"]).json()
        assert (undone["outcome"], undone["answered"], undone["remaining"]) == ("stored", 0, 1)
        assert undone["task"]["pair_id"] == tasks[0]["pair_id"]
        assert undone["task"]["left"] == tasks[0]["left"]
        assert people[1].state()["task"] is None  # the others are not
        again = people[0].vote(undone["task"], "both_bad").json()
        assert (again["outcome"], again["task"], again["remaining"]) == ("stored", None, 0)
    assert sorted(labels(read_standing(campaign))) == ["both_bad", "both_good", "both_good"]


def test_fifty_people_at_once_have_every_vote_on_the_disk(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 30, "--overlap", "5", "--annotators", str(NUM_PEOPLE))
    with running(campaign) as server:
        stored = asyncio.run(_vote_all(server))
        status, said = server.stop()
    assert (status, "Traceback" in said) == (0, False)
    votes = read_lines(campaign)
    assert {vote["vote_id"] for vote in votes} == stored
    assert len(votes) == len(stored)
    counts = Counter(vote["pair_id"] for vote in votes if vote["kind"] == "first")
    assert len(counts) == 30
    assert max(counts.values()) <= 5
    lefts = Counter(vote["left"] for vote in votes if vote["kind"] == "first")
    assert abs(lefts["image_1"] - lefts["image_2"]) <= 30  # each pair differs by one at most


async def _vote_all(server: Server) -> set[str]:
    """Have everybody answer until there is nothing left; return the votes that were stored."""
    stored = set[str]()

    async def work(client: httpx2.AsyncClient, token: str) -> None:
        headers = {"X-Campaign-Token": token}
        state = (await client.get("/api/state", headers=headers)).json()
        while (task := state["task"]) is not None:
            choice = random.choice([*Choice][:4])
            body = {"vote_id": task["vote_id"], "pair_id": task["pair_id"], "choice": choice, "seconds": 1}
            answer = await client.post("/api/vote", json=body, headers=headers)
            assert answer.status_code == 200
            state = answer.json()
            if state["outcome"] == "stored":
                stored.add(task["vote_id"])

    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}",
        timeout=120,
        limits=httpx2.Limits(max_connections=NUM_PEOPLE),
    ) as client:
        await asyncio.gather(*(work(client, token) for token in server.tokens))
    return stored


@pytest.mark.slow
def test_a_full_disk_is_an_answer_and_the_vote_can_be_sent_again(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "campaign", 3)
    with running(campaign, dies="full") as server:
        person = Person(server)
        task = person.state()["task"]
        for _ in range(2):
            assert person.vote(task).status_code == 503
            assert read_lines(campaign) == []
        state = person.state()
        assert (state["task"], state["answered"]) == (task, 0)
        status, said = server.stop()
        assert (status, "Traceback" in said) == (0, False)
    with running(campaign) as server:
        assert Person(server).vote(task).json()["outcome"] == "stored"
    assert len(read_lines(campaign)) == 1


def test_a_disk_that_is_full_stores_nothing_and_says_so() -> None:
    class FullDisk:
        def __init__(self) -> None:
            self.is_full, self.lines = True, list[CampaignVote]()

        def append(self, votes: list[CampaignVote]) -> None:
            if self.is_full:
                raise OSError(28, "No space left on device")
            self.lines += votes

    async def vote_twice() -> None:
        log, people = FullDisk(), annotators(3)
        asking = Asking(settings(), campaign_pairs(5), SECRET)
        recorder = Recorder(asking, log)  # type: ignore[arg-type]
        for is_full in (True, False):
            log.is_full, votes = is_full, list[CampaignVote]()
            for person in people:
                task = asking.next_task(person, 0.0)
                assert task is not None
                found = asking.answer(person, task.pair.id, task.vote_id, Choice.LEFT, 1.0)
                assert found is not None
                assert found[1] is not None
                votes.append(found[1])
            results = await asyncio.gather(*map(recorder.record, votes), return_exceptions=True)
            assert [isinstance(result, OSError) for result in results] == [is_full] * 3
            assert [asking.progress(person)[0] for person in people] == [int(not is_full)] * 3
        assert log.lines == votes

    asyncio.run(vote_twice())


def test_one_folder_has_one_server_and_a_taken_port_is_named(
    campaign: Path, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(campaign), "--port", "0"]) == 1
    assert "another server" in capsys.readouterr().err
    other = make_campaign(tmp_path / "other", 2)
    capsys.readouterr()
    assert main(["serve", str(other), "--port", str(server.port)]) == 2
    assert f"127.0.0.1:{server.port}" in capsys.readouterr().err
    assert main(["serve", str(other), "--host", "0.0.0.0"]) == 2
    assert "--base-url" in capsys.readouterr().err
    assert main(["serve", str(other), "--base-url", "javascript:alert(1)"]) == 2


@pytest.mark.slow
def test_links_go_to_a_file_with_the_address_of_a_proxy(tmp_path: Path) -> None:
    campaign, links = make_campaign(tmp_path / "campaign", 2), tmp_path / "links.txt"
    links.write_text("http://127.0.0.1:1/v/" + "A" * 32 + "\n")  # of an earlier run
    flags = ("--links", str(links), "--base-url", "https://example.org/faces/", "--annotators", "3")
    process = start(campaign, *flags)
    try:
        assert process.stderr is not None
        while "Ctrl-C" not in (line := process.stderr.readline()):
            assert line, "the server has ended"
        port = line.split("http://127.0.0.1:")[1].partition(";")[0]
        tokens = [line.removeprefix("https://example.org/faces/v/") for line in links.read_text().split()]
        assert len({*tokens}) == 3
        assert stat.S_IMODE(links.stat().st_mode) == 0o600
        address = f"http://127.0.0.1:{port}/v/{tokens[2]}"
        assert httpx2.get(address, headers={"Host": "example.org"}).status_code == 200
        assert httpx2.get(address, headers={"Host": "example.com"}).status_code == 421
        process.send_signal(signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()
