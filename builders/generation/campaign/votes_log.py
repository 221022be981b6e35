"""Votes on the disk: one line each, only ever added to, on the disk before anybody is answered."""

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from builders.files import sync
from schemas.campaign import CampaignVote
from schemas.problems import Problem, Reason, SourceError

_CODE = "run/campaign"


def read_votes(path: Path) -> tuple[list[CampaignVote], bytes]:
    """Return the lines of a file of votes in their order, and what a killed server left of the last one.

    A last line that is a whole vote counts, also without its newline: editors strip it.

    Raises:
        SourceError: There is no file, or some line is no vote; all such lines are listed.
    """
    votes, problems = list[CampaignVote](), list[Problem]()
    try:
        whole, newline, torn = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError as error:
        raise SourceError(_missing(path)) from error
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
    with suppress(ValidationError):
        votes.append(CampaignVote.model_validate_json(torn))
        torn = b""
    return votes, torn


class VotesLog:
    """Adds lines to a file of votes.

    Args:
        path: The file.

    Attributes:
        votes: Its lines.
        torn: What a killed server left of a last line, which was never answered.
        torn_path: Where that is moved, so that nothing is deleted.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.torn_path = path, path.with_suffix(".torn")
        try:
            self._descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError as error:  # a new file would ask everybody everything again
            raise SourceError(_missing(path)) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            message = "another server is collecting votes for this campaign"
            fix = "use that one, or end it"
            raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=_CODE)) from error
        try:
            self.votes, self.torn = read_votes(path)
            self._size = os.fstat(self._descriptor).st_size
            self._mend()
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, votes: Sequence[CampaignVote]) -> None:
        """Add votes with one write, and force them to the disk: all are there, or none.

        Raises:
            OSError: The disk is full or fails, or another file has taken the place of this one, or somebody
                else has written to it; the file is as it was.
        """
        self._check_place()
        lines = memoryview("".join(f"{vote.model_dump_json()}\n" for vote in votes).encode())
        try:
            self._write(lines)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(lines)

    def _check_place(self) -> None:
        """Refuse to write where nobody would find it, or over what others have written.

        Raises:
            OSError: The path leads elsewhere or nowhere, or the file has another length.
        """
        here, there = os.fstat(self._descriptor), self._path.stat()
        if not os.path.samestat(here, there) or here.st_size != self._size:
            message = "the file was changed while votes are collected; end the server, and start it again"
            raise OSError(errno.ESTALE, message, str(self._path))

    def _mend(self) -> None:
        """End the file with a whole line."""
        if self.torn:
            descriptor = os.open(self.torn_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(self.torn + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync(self._path.parent)
            self._size -= len(self.torn)
            os.ftruncate(self._descriptor, self._size)
        elif self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            self._write(memoryview(b"\n"))
            self._size += 1
        os.fsync(self._descriptor)
        sync(self._path.parent)

    def _write(self, lines: memoryview) -> None:
        written = 0
        while written < len(lines):
            written += os.pwrite(self._descriptor, lines[written:], self._size + written)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file, and let others open it."""
        os.close(self._descriptor)


def _missing(path: Path) -> Problem:
    message = "the file of votes is missing"
    fix = "restore it from a copy; if nobody has voted yet, make an empty file"
    return Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=_CODE)
