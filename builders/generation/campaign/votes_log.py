"""Votes on the disk: one line each, only ever added to, on the disk before anybody is answered."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from builders.files import sync
from schemas.campaign import CampaignVote
from schemas.problems import Problem, Reason, SourceError

_CODE = "run/campaign"


def read_votes(path: Path) -> tuple[list[CampaignVote], bytes]:
    """Return the lines of a file of votes in their order, and what a killed server left of the last one.

    Raises:
        SourceError: Some line is no vote; all such lines are listed.
    """
    votes, problems = list[CampaignVote](), list[Problem]()
    whole, newline, torn = path.read_bytes().rpartition(b"\n")
    for row, line in enumerate(whole.split(b"\n") if newline else [], 1):
        try:
            votes.append(CampaignVote.model_validate_json(line))
        except ValidationError:
            message, fix = "the line is not a vote", "restore the line, or remove it"
            value = line.decode("utf-8", "replace")
            problems.append(
                Problem(Reason.SOURCE, message, file=str(path), row=row, value=value, fix=fix, code=_CODE)
            )
    if problems:
        raise SourceError(problems)
    return votes, torn


class VotesLog:
    """Adds lines to a file of votes.

    Args:
        path: The file; what a killed server left of a last line is cut off, since it was never answered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            message = "another server is collecting votes for this campaign"
            fix = "use that one, or end it"
            raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=_CODE)) from error
        try:
            self.votes, self.torn = read_votes(path)
            self._size = os.fstat(self._descriptor).st_size - len(self.torn)
            if self.torn:
                os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)
            sync(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, votes: Sequence[CampaignVote]) -> None:
        """Add votes with one write, and force them to the disk: all are there, or none.

        Raises:
            OSError: The disk is full or fails; the file is as it was.
        """
        lines = memoryview("".join(f"{vote.model_dump_json()}\n" for vote in votes).encode())
        try:
            written = 0
            while written < len(lines):
                written += os.pwrite(self._descriptor, lines[written:], self._size + written)
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Close the file, and let others open it."""
        os.close(self._descriptor)
