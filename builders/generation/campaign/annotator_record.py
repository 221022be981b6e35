"""What one annotator has answered, with counters: an answer costs the same after thousands of others."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Set
from itertools import islice
from random import Random

from schemas.campaign import CampaignVote
from schemas.preferences import Label, VoteKind

APART = 5  # a pair is not shown again within so many others
_AGAIN: tuple[VoteKind, ...] = ("repeat", "mirror")


class AnnotatorRecord:
    """The answers of one annotator.

    Attributes:
        standing: Answers that hold, by their ids in the order in which they came.
        discarded: Answers that were taken back, likewise.
        by_task: Those that hold, by pair and kind.
        undone: Those that were taken back and are to be asked again, the last one last.
        numbers: Kind → answers that hold.
        turns: Pair and kind → how often an answer was taken back.
        hidden: Pairs that cannot be shown to this annotator.
        num_open: Deciding answers on pairs that are not settled; whoever counts the pairs keeps it.
    """

    def __init__(self) -> None:
        self.standing: dict[str, CampaignVote] = {}
        self.discarded: dict[str, CampaignVote] = {}
        self.by_task: dict[tuple[str, VoteKind], CampaignVote] = {}
        self.undone: list[CampaignVote] = []
        self.numbers = Counter[VoteKind]()
        self.turns = Counter[tuple[str, VoteKind]]()
        self.hidden = set[str]()
        self.num_open = 0
        self._firsts: dict[str, int] = {}  # pair → its place among the first answers; they only grow
        self._num_firsts = 0
        self._fit: list[tuple[int, str]] = []  # places and pairs that may be shown again, in their order

    def add(self, vote: CampaignVote) -> None:
        """Take an answer in, as the last one."""
        self.standing[vote.vote_id] = vote
        self.by_task[task_of(vote)] = vote
        self.numbers[vote.kind] += 1
        if vote.kind == "first":
            self._firsts[vote.pair_id] = self._num_firsts
            self._num_firsts += 1
        self._find_fit(vote.pair_id)

    def remove(self, vote: CampaignVote) -> None:
        """Take an answer out, as if it had not been given."""
        del self.standing[vote.vote_id]
        del self.by_task[task_of(vote)]
        self.numbers[vote.kind] -= 1
        self._find_fit(vote.pair_id)
        if vote.kind == "first":
            del self._firsts[vote.pair_id]

    def discard(self, vote: CampaignVote) -> None:
        """Take an answer back, so that it is asked for again; `vote` is the line that says so."""
        self.remove(vote)
        self.discarded[vote.vote_id] = vote
        self.undone.append(vote)
        self.turns[task_of(vote)] += 1

    def restore(self, vote: CampaignVote) -> None:
        """Undo `discard`."""
        del self.discarded[vote.vote_id]
        self.undone = [each for each in self.undone if each.vote_id != vote.vote_id]
        self.turns[task_of(vote)] -= 1
        self.add(vote.model_copy(update={"status": "submitted"}))

    def choose_known(self, chance: Random, hidden: Set[str]) -> CampaignVote | None:
        """Return the first answer on a pair that may be shown again; None without any.

        It was seen a few pairs ago, is not unsafe, and was not shown again already.

        Args:
            chance: Decides which.
            hidden: Pairs that cannot be shown.
        """
        recent = set(islice(reversed(self._firsts), APART))
        number = len(self._fit) - sum(pair_id in recent for _, pair_id in self._fit[-APART:])
        if hidden:
            known = [pair_id for _, pair_id in self._fit[:number] if pair_id not in hidden]
            return self.by_task[chance.choice(known), "first"] if known else None
        return self.by_task[self._fit[chance.randrange(number)][1], "first"] if number else None

    def _find_fit(self, pair_id: str) -> None:
        """Bring up to date whether a pair may be shown again."""
        if pair_id not in self._firsts:
            return
        entry = self._firsts[pair_id], pair_id
        place = bisect_left(self._fit, entry)
        was_fit = self._fit[place : place + 1] == [entry]
        first = self.by_task.get((pair_id, "first"))
        # What is unsafe is not shown to a person twice.
        is_safe = first is not None and first.label != Label.TOXIC
        is_fit = is_safe and not any((pair_id, kind) in self.by_task for kind in _AGAIN)
        if is_fit and not was_fit:
            insort(self._fit, entry)
        elif was_fit and not is_fit:
            del self._fit[place]


def task_of(vote: CampaignVote) -> tuple[str, VoteKind]:
    """Return what a vote answers: a pair, and why it was asked."""
    return vote.pair_id, vote.kind
