"""The page for voting in a process of its own, which a test may kill at a moment of its choice."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builders.generation.image_folder import TABLE_NAME
from publish.campaign import main
from tests.support import ROOT, SfhqFolder, image_bytes

# The server dies at a vote: before it is written, when half of the line is, or when it is on the disk. Or the
# disk has room for no vote.
_SCRIPT = """
import os, resource, signal, sys
from builders.generation.campaign.votes_log import VotesLog
from publish.campaign import main

moment, whole = sys.argv[1], VotesLog.append

def append(log, votes):
    if moment == "torn":
        with open(log._path, "ab") as file:
            file.write(votes[0].model_dump_json().encode()[:200])
    if moment == "after":
        whole(log, votes)
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
elif moment:
    VotesLog.append = append
sys.exit(main(sys.argv[2:]))
"""


def image_folder(
    path: Path, num_prompts: int, prompt: str = "a face with number {}", size: tuple[int, int] = (96, 96)
) -> Path:
    """Write an SFHQ folder with an image of each of two generators for each prompt."""
    folder = SfhqFolder(path)
    for number in range(num_prompts):
        for place, generator in enumerate(("FLUX1_dev", "FLUX1_schnell")):
            name = f"{generator}_{number:04d}.png"
            folder.rows.append([name, generator, prompt.format(number), "{}"])
            folder.images[f"images/{name}"] = image_bytes(2 * number + place, "PNG", size=size)
    return folder.write()


def make_campaign(path: Path, num_pairs: int, *flags: str, **options: Any) -> Path:
    """Make a campaign of so many pairs in `path`; its images are in a folder beside it."""
    images = image_folder(path.parent / f"{path.name}-images", num_pairs, **options)
    assert (images / TABLE_NAME).is_file()
    assert main(["new", str(images), "--out", str(path), *flags]) == 0
    shutil.rmtree(images)  # a campaign needs no other folder
    return path


def start(campaign: Path, *flags: str, port: int = 0, dies: str = "") -> subprocess.Popen[str]:
    """Start a server, which says on stdout and stderr what it does."""
    command = [sys.executable, "-c", _SCRIPT, dies, "serve", str(campaign), "--port", str(port), *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Server:
    """A running server.

    Attributes:
        links: The personal links.
        port: Where it listens.
    """

    def __init__(self, campaign: Path, *flags: str, port: int = 0, dies: str = "") -> None:
        self._campaign = campaign
        self.process = start(campaign, *flags, port=port, dies=dies)
        assert self.process.stdout is not None
        number = len((campaign / "annotators.jsonl").read_text().splitlines())
        self.links = [self.process.stdout.readline().strip() for _ in range(number)]
        assert all(self.links), self.stop()
        self.port = int(self.links[0].split(":")[2].partition("/")[0])

    @property
    def tokens(self) -> list[str]:
        """The tokens in the links."""
        return [link.rpartition("/")[2] for link in self.links]

    def stop(self) -> tuple[int, str]:
        """Press Ctrl-C, and return the exit status with all that was said on stderr."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate()
        return self.process.returncode, said

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def running(campaign: Path, *flags: str, port: int = 0, dies: str = "") -> Iterator[Server]:
    """Yield a server, and end it afterwards."""
    server = Server(campaign, *flags, port=port, dies=dies)
    try:
        yield server
    finally:
        if server.process.returncode is None:
            server.kill()


def read_lines(campaign: Path) -> list[dict[str, Any]]:
    """Return the lines of the votes."""
    return [json.loads(line) for line in (campaign / "votes.jsonl").read_text().splitlines()]


def read_standing(campaign: Path) -> list[dict[str, Any]]:
    """Return the votes that hold, by their last lines."""
    last: dict[str, dict[str, Any]] = {}
    for line in read_lines(campaign):
        last.pop(line["vote_id"], None)
        last[line["vote_id"]] = line
    return [line for line in last.values() if line["status"] == "submitted"]


def labels(votes: Sequence[dict[str, Any]]) -> list[str]:
    """Return what was chosen as the page has it: left, right, or the label."""
    return [
        ("left" if vote["label"] == vote["left"] else "right")
        if vote["label"].startswith("image_")
        else vote["label"]
        for vote in votes
    ]
