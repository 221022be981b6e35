"""Measure how long a vote takes until the page goes on, with many people at once.

A server of `sfhq campaign serve` gets the votes of so many people over loopback, each with a connection of
their own. A vote is on the disk before it is answered, so the same run measures the bare disk: one line that
is added to a file, and `fsync`. Its p95 is the unit of the last column.

- pause of 1 s: each votes again after a pause by chance, as people do.
- no pause: each votes again at once, the most that a server gets.

    python benchmarks/voting.py --people 50
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import asyncio
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.options import make_parser, positive
from tests.publish.voting.server import make_campaign

ROOT = Path(__file__).resolve().parent.parent
NUM_SYNCS, LINE_BYTES = 200, 700
OVERLAP = 9


@dataclass(frozen=True)
class Times:
    """What one job took, and how many a second it did."""

    name: str
    seconds: list[float]
    per_second: float

    def share(self, part: float) -> float:
        """Return the time that so large a part of all took at most, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class Person:
    """One connection; the client is small, so that the two cores are the server's as far as they can be."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send one request, and return the state of the page."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nX-Campaign-Token: {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert " 200 " in answer.partition("\r\n")[0], answer
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
        state: dict[str, Any] = json.loads(await self._reader.readexactly(length))
        return state

    async def vote(self, num_votes: int, think_seconds: float, seconds: list[float]) -> None:
        """Answer so many pairs, and add the time of each."""
        state = await self.ask("GET", "/api/state")
        await asyncio.sleep(random.random() * think_seconds)
        for _ in range(num_votes):
            if (task := state["task"]) is None:
                return
            choice = random.choice(("left", "right", "both_good", "both_bad"))
            body = {"vote_id": task["vote_id"], "pair_id": task["pair_id"], "choice": choice, "seconds": 1}
            start = time.perf_counter()
            state = await self.ask("POST", "/api/vote", body)
            seconds.append(time.perf_counter() - start)
            await asyncio.sleep(think_seconds * (0.5 + random.random()))


async def run_people(port: int, tokens: list[str], num_votes: int, think_seconds: float) -> Times:
    people, seconds = [Person(port, token) for token in tokens], list[float]()
    for person in people:
        await person.open()
    start = time.perf_counter()
    await asyncio.gather(*(person.vote(num_votes, think_seconds, seconds) for person in people))
    name = f"pause of {think_seconds:g} s" if think_seconds else "no pause"
    return Times(name, seconds, len(seconds) / (time.perf_counter() - start))


def measure_disk(folder: Path) -> Times:
    seconds, path = [], folder / "bare"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(NUM_SYNCS):
        start = time.perf_counter()
        os.write(descriptor, b"x" * LINE_BYTES)
        os.fsync(descriptor)
        seconds.append(time.perf_counter() - start)
    os.close(descriptor)
    path.unlink()
    return Times("bare fsync", seconds, NUM_SYNCS / sum(seconds))


def measure(work: Path, num_people: int, num_votes: int, think_seconds: float) -> tuple[list[Times], int]:
    num_pairs, flags = max(10, num_people * num_votes // 3), ("--annotators", str(num_people))
    with redirect_stdout(io.StringIO()):
        campaign = make_campaign(
            work / "campaign", num_pairs, "--overlap", str(OVERLAP), *flags, size=(24, 24)
        )
    command = [sys.executable, "-m", "publish.campaign", "serve", str(campaign), "--port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    links = [server.stdout.readline().strip() for _ in range(num_people)]
    port, tokens = int(links[0].split(":")[2].partition("/")[0]), [link.rpartition("/")[2] for link in links]
    pauses = (think_seconds, 0.0)
    results = [measure_disk(work)]
    results += [asyncio.run(run_people(port, tokens, num_votes, pause)) for pause in pauses]
    server.send_signal(signal.SIGINT)
    server.communicate()
    lines = (campaign / "votes.jsonl").read_text().splitlines()
    assert len(lines) == sum(len(times.seconds) for times in results[1:])
    assert len({json.loads(line)["vote_id"] for line in lines}) == len(lines)
    return results, len(lines)


def main() -> None:
    parser = make_parser("voting.py", "Measure how long a vote takes with many people at once.")
    parser.add_argument("--people", type=positive, default=50, help="people at once (default: 50)")
    parser.add_argument("--votes", type=positive, default=20, help="votes of each, twice (default: 20)")
    parser.add_argument("--pause", type=float, default=1.0, help="mean pause in seconds (default: 1)")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="voting-", dir=options.work))
    try:
        results, num_lines = measure(work, options.people, options.votes, options.pause)
    finally:
        shutil.rmtree(work)
    table = Table("job", "median ms", "p95 ms", "largest ms", "a second", "p95, of fsync's")
    unit = results[0].share(0.95)
    for times in results:
        table.add_row(
            times.name,
            *(f"{1000 * times.share(part):.1f}" for part in (0.5, 0.95, 1.0)),
            f"{times.per_second:,.0f}",
            f"{times.share(0.95) / unit:.1f}",
        )
    Console().print(table)
    print(f"{num_lines:,} votes were sent by {options.people} people, and are in the file once each.")
    if options.json:
        rows = [{"job": times.name, "seconds": times.seconds} for times in results]
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
