"""Votes are on the disk before they are answered; votes that come at once share one wait for the disk."""

import asyncio

from builders.generation.campaign.asking import Asking
from builders.generation.campaign.votes_log import VotesLog
from schemas.campaign import CampaignVote


class Recorder:
    """Writes votes in the order in which they come.

    Waiting for a disk takes milliseconds, whether for one vote or for fifty: what comes while one batch is
    written makes the next. All methods belong to one event loop.

    Args:
        asking: Gets each vote at once, so that the next request knows of it.
        log: Where votes are written.
    """

    def __init__(self, asking: Asking, log: VotesLog) -> None:
        self._asking, self._log = asking, log
        self._waiting: list[tuple[CampaignVote, asyncio.Future[None]]] = []
        self._writing: list[tuple[CampaignVote, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def record(self, vote: CampaignVote) -> None:
        """Take a vote into the state, and return when it is on the disk.

        Raises:
            OSError: It could not be written; the state is as before.
        """
        self._asking.apply(vote)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((vote, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        await asyncio.shield(future)

    async def settle(self, vote_id: str) -> None:
        """Return when no line of a vote is on its way to the disk.

        Raises:
            OSError: It could not be written.
        """
        for vote, future in [*self._writing, *self._waiting]:
            if vote.vote_id == vote_id:
                await asyncio.shield(future)

    async def _write(self) -> None:
        while self._waiting:
            self._writing, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._log.append, [vote for vote, _ in self._writing])
            except Exception as error:  # whatever it is, no page may wait for an answer for ever
                # What came meanwhile stands on what is not written: all goes back, the last first.
                failed, self._waiting = [*self._writing, *self._waiting], []
                self._writing = []
                for vote, _ in reversed(failed):
                    self._asking.revert(vote)
                for _, future in failed:
                    future.set_exception(error)
                    future.exception()  # read here, too: a client may be gone
                continue
            for _, future in self._writing:
                future.set_result(None)
            self._writing = []
