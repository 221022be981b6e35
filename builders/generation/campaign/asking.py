"""What each annotator is asked next, and what an answer, a repeated click or an undo does.

Everything here follows from the files of the campaign: a server that was killed goes on where it was. Only
which pairs are on a screen right now is not on the disk.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from builders.generation.campaign.annotator_record import AnnotatorRecord, task_of
from builders.generation.campaign.links import vote_id_of
from builders.generation.campaign.stopping import is_settled, num_wanted
from schemas.campaign import (
    Answer,
    CampaignPair,
    CampaignSettings,
    CampaignVote,
    PairFacts,
    Side,
)
from schemas.preferences import Label, VoteKind

LEASE_SECONDS = 900  # so long a pair on a screen counts as one that will be answered
_BLOCK = 50  # pairs that all annotators go through before the next ones, so that pairs are settled early
_GOLD_SHARE = 0.1
_KINDS: tuple[VoteKind, ...] = ("first", "repeat", "mirror", "gold")
_SIDES: tuple[Side, Side] = ("image_1", "image_2")


class Choice(StrEnum):
    """What the page offers."""

    LEFT = "left"
    RIGHT = "right"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    UNSAFE = "unsafe"


class Outcome(StrEnum):
    """What became of an answer or of an undo."""

    STORED = "stored"
    KNOWN = "known"  # sent twice, or answered in another tab: the first answer holds
    UNDONE = "undone"  # of a vote that was taken back meanwhile
    FINISHED = "finished"  # the pair has all its answers: nothing is written
    NOT_LAST = "not_last"  # only the last vote can be taken back


@dataclass(frozen=True, slots=True)
class Task:
    """One pair to show to one annotator."""

    vote_id: str
    pair: CampaignPair
    kind: VoteKind
    left: Side


class Asking:
    """The state of a campaign.

    Args:
        settings: Of the campaign.
        pairs: In the order of the campaign.
        secret: Its key.
        votes: The lines that were written up to now, in their order.
    """

    def __init__(
        self,
        settings: CampaignSettings,
        pairs: Sequence[CampaignPair],
        secret: bytes,
        votes: Iterable[CampaignVote] = (),
    ) -> None:
        self.settings, self._secret = settings, secret
        self._pairs = {pair.id: pair for pair in pairs}
        self._places = {pair.id: place for place, pair in enumerate(pairs)}
        self._asked = [pair for pair in pairs if pair.gold is None]
        self._gold = [pair for pair in pairs if pair.gold is not None]
        self._counts: dict[str, Counter[str]] = {pair.id: Counter() for pair in pairs}
        self._lefts: dict[str, Counter[Side]] = {pair.id: Counter() for pair in pairs}
        self._voters: dict[str, set[str]] = {pair.id: set() for pair in pairs}
        self._blocks = {pair.id: place // _BLOCK * _BLOCK for place, pair in enumerate(self._asked)}
        self._people: dict[str, AnnotatorRecord] = {}
        self._orders: dict[str, list[CampaignPair]] = {}
        self._starts: dict[str, int] = {}
        self._open: dict[str, tuple[Task, float]] = {}
        self._hidden = set[str]()
        self._num_open = len(self._asked)
        for vote in votes:
            if vote.pair_id in self._pairs:
                self.apply(vote)

    def next_task(self, annotator: str, now: float) -> Task | None:
        """Return what to show to an annotator; None if there is nothing at the moment.

        The same task is returned until it is answered, in every tab.

        Args:
            annotator: Public id.
            now: Seconds of a clock that never goes back.
        """
        person = self._person(annotator)
        if annotator in self._open:
            task, _ = self._open[annotator]
            if (task.pair.id, task.kind) not in person.by_task and self._is_wanted(person, task):
                self._open[annotator] = task, now
                return task
            del self._open[annotator]
        task_or_none = self._again(annotator, person) or self._first(annotator, person, now)
        if task_or_none is not None:
            self._open[annotator] = task_or_none, now
        return task_or_none

    def coming_images(self, annotator: str, number: int) -> list[str]:
        """Return the paths of images that may be shown soon, to be loaded early."""
        person, task = self._person(annotator), self._open.get(annotator)
        shown = task[0].pair.id if task else ""
        paths = list[str]()
        for pair in self._unanswered(annotator, person):
            if pair.id != shown:
                paths += [pair.image_1, pair.image_2]
            if len(paths) >= 2 * number:
                break
        return paths

    def progress(self, annotator: str) -> tuple[int, int]:
        """Return how many answers an annotator has given, and how many pairs could still be asked."""
        person = self._person(annotator)
        again = self._again_although_settled(person)
        hidden = sum(
            self._pairs[pair_id].gold is None
            and (pair_id, "first") not in person.by_task
            and (not self._is_settled(pair_id) or pair_id in again)
            for pair_id in self._hidden | person.hidden
        )
        return len(person.standing), self._num_open - person.num_open + len(again) - hidden

    def last_vote(self, annotator: str) -> str | None:
        """Return the vote that an undo would take back."""
        return next(reversed(self._person(annotator).standing), None)

    def answer(
        self, annotator: str, pair_id: str, vote_id: str, choice: Choice, seconds: float
    ) -> tuple[Outcome, CampaignVote | None] | None:
        """Return what becomes of an answer, and the line to write and `apply`.

        A pair that was settled while it was on the screen takes the answer as long as it has fewer than
        `overlap`: work is not thrown away, and the decision stays. Beyond that, nothing is written.

        Returns:
            None for a vote that was never asked for.
        """
        person, pair = self._person(annotator), self._pairs.get(pair_id)
        if vote_id in person.standing:
            return Outcome.KNOWN, None
        if vote_id in person.discarded:
            return Outcome.UNDONE, None
        task = self._recognise(annotator, person, pair, vote_id) if pair is not None else None
        if task is None:
            return None
        if (task.pair.id, task.kind) in person.by_task:
            return Outcome.KNOWN, None
        if task.kind == "first" and self._counts[task.pair.id].total() >= self.settings.overlap:
            return Outcome.FINISHED, None
        facts = task.pair.model_dump(include=set(PairFacts.model_fields))
        vote = CampaignVote(
            **facts,
            vote_id=vote_id,
            pair_id=task.pair.id,
            annotator=annotator,
            label=_label(choice, task.left),
            left=task.left,
            kind=task.kind,
            seconds=round(seconds, 3),
            time=_now(),
            status="submitted",
        )
        return Outcome.STORED, vote

    def undo(self, annotator: str, vote_id: str) -> tuple[Outcome, CampaignVote | None] | None:
        """Return what becomes of an undo, and the line to write and `apply`; None for an unknown vote."""
        person = self._person(annotator)
        if vote_id in person.discarded:
            return Outcome.UNDONE, None
        if vote_id not in person.standing:
            return None
        if vote_id != self.last_vote(annotator):
            return Outcome.NOT_LAST, None
        change = {"status": "discarded", "time": _now()}
        return Outcome.STORED, person.standing[vote_id].model_copy(update=change)

    def find_pair(self, annotator: str, pair_id: str, vote_id: str) -> CampaignPair | None:
        """Return the pair that an annotator was asked about; None for what was never asked for."""
        pair = self._pairs.get(pair_id)
        task = (
            self._recognise(annotator, self._person(annotator), pair, vote_id) if pair is not None else None
        )
        return None if task is None else task.pair

    def hide(self, pair_id: str, annotator: str | None = None) -> bool:
        """Do not ask about a pair that cannot be shown, until the server is started again.

        Nothing is counted, and an answer that comes all the same is taken.

        Args:
            pair_id: The pair.
            annotator: To whom it cannot be shown; None if it cannot be shown to anyone.

        Returns:
            Whether it was not hidden before.
        """
        hidden = self._hidden if annotator is None else self._person(annotator).hidden
        is_new = pair_id not in hidden
        hidden.add(pair_id)
        return is_new

    def apply(self, vote: CampaignVote) -> None:
        """Take a line of votes into the state."""
        person = self._person(vote.annotator)
        if vote.status == "submitted":
            if vote.vote_id not in person.standing:
                person.undone = [each for each in person.undone if task_of(each) != task_of(vote)]
                person.add(vote)
                self._count(vote, 1)
                task, _ = self._open.get(vote.annotator, (None, 0.0))
                if task is not None and (task.pair.id, task.kind) == task_of(vote):
                    del self._open[vote.annotator]
        elif vote.vote_id in person.standing:
            person.discard(vote)
            self._count(vote, -1)
            self._open.pop(vote.annotator, None)

    def revert(self, vote: CampaignVote) -> None:
        """Take a line out again that was applied last, and could not be written."""
        person = self._person(vote.annotator)
        if vote.status == "submitted":
            person.remove(vote)
            self._count(vote, -1)
            # If it had answered a pair again, that pair is to be asked again as before.
            last = {task_of(each): each.vote_id for each in person.discarded.values()}
            again = {each.vote_id for each in person.undone} | {last.get(task_of(vote))}
            person.undone = [each for each in person.discarded.values() if each.vote_id in again]
        else:
            person.restore(vote)
            self._count(vote, 1)

    def _count(self, vote: CampaignVote, change: Literal[1, -1]) -> None:
        """Count a vote for its pair, or no longer."""
        if vote.kind != "first":
            return
        pair_id, was_settled = vote.pair_id, self._is_settled(vote.pair_id)
        if not was_settled:
            self._count_open(pair_id, -1)
        self._counts[pair_id][vote.label] += change
        self._lefts[pair_id][vote.left] += change
        if change == 1:
            self._voters[pair_id].add(vote.annotator)
        else:
            self._voters[pair_id].discard(vote.annotator)
            block = self._blocks.get(pair_id, 0)
            self._starts = {name: min(start, block) for name, start in self._starts.items()}
        if not self._is_settled(pair_id):
            self._count_open(pair_id, 1)

    def _count_open(self, pair_id: str, change: Literal[1, -1]) -> None:
        """Count a pair that is not settled, for all and for those who have answered it, or no longer."""
        self._num_open += change
        for annotator in self._voters[pair_id]:
            self._people[annotator].num_open += change

    def _person(self, annotator: str) -> AnnotatorRecord:
        return self._people.setdefault(annotator, AnnotatorRecord())

    def _is_settled(self, pair_id: str) -> bool:
        return is_settled(self._counts[pair_id], self.settings.overlap)

    def _is_hidden(self, person: AnnotatorRecord, pair_id: str) -> bool:
        return pair_id in self._hidden or pair_id in person.hidden

    def _is_wanted(self, person: AnnotatorRecord, task: Task) -> bool:
        """Return whether an answer to a task is still of use.

        Who takes an answer back is asked again, also where the others have settled the pair: their answer
        counts, as it did before, while the pair has fewer than `overlap`.
        """
        if self._is_hidden(person, task.pair.id):
            return False
        if task.kind != "first" or not self._is_settled(task.pair.id):
            return True
        return task.pair.id in self._again_although_settled(person)

    def _again_although_settled(self, person: AnnotatorRecord) -> list[str]:
        """Return the settled pairs that a person has taken back, and that may have another answer."""
        return [
            vote.pair_id
            for vote in person.undone
            if vote.kind == "first"
            and self._is_settled(vote.pair_id)
            and self._counts[vote.pair_id].total() < self.settings.overlap
        ]

    def _task(
        self, annotator: str, person: AnnotatorRecord, pair: CampaignPair, kind: VoteKind, left: Side
    ) -> Task:
        # A pair that is asked about again after an undo is a new vote.
        turn = person.turns[pair.id, kind]
        return Task(vote_id_of(self._secret, annotator, pair.id, kind, str(turn), left), pair, kind, left)

    def _recognise(
        self, annotator: str, person: AnnotatorRecord, pair: CampaignPair, vote_id: str
    ) -> Task | None:
        """Return the task that a vote answers, which proves that the server has asked for it."""
        tasks = (self._task(annotator, person, pair, kind, left) for kind in _KINDS for left in _SIDES)
        return next((task for task in tasks if task.vote_id == vote_id), None)

    def _again(self, annotator: str, person: AnnotatorRecord) -> Task | None:
        """Return what an annotator has undone, or what measures them if its turn has come."""
        for vote in reversed(person.undone):
            task = self._task(annotator, person, self._pairs[vote.pair_id], vote.kind, vote.left)
            if self._is_wanted(person, task):
                return task
        chance = random.Random(f"{self.settings.seed} {annotator} again")  # noqa: S311 - no secret
        num_first = person.numbers["first"]
        shares: Mapping[VoteKind, float] = {
            "repeat": self.settings.repeat_share,
            "mirror": self.settings.mirror_share,
            "gold": _GOLD_SHARE if self._gold else 0,
        }
        for kind, share in shares.items():
            # The phase spreads the turns: no two annotators are measured at the same places.
            if person.numbers[kind] < int(num_first * share + chance.random()):
                pair, left = self._measuring(annotator, person, kind)
                if pair is not None:
                    return self._task(annotator, person, pair, kind, left)
        return None

    def _measuring(
        self, annotator: str, person: AnnotatorRecord, kind: VoteKind
    ) -> tuple[CampaignPair | None, Side]:
        """Return a pair that measures an annotator, and its left image; None if there is none."""
        chance = random.Random(f"{self.settings.seed} {annotator} {kind} {person.numbers[kind]}")  # noqa: S311
        if kind == "gold":
            gold = [
                pair
                for pair in self._gold
                if (pair.id, kind) not in person.by_task and not self._is_hidden(person, pair.id)
            ]
            return (chance.choice(gold), chance.choice(_SIDES)) if gold else (None, "image_1")
        vote = person.choose_known(chance, self._hidden | person.hidden)
        if vote is None:
            return None, "image_1"
        left = vote.left if kind == "repeat" else _other(vote.left)
        return self._pairs[vote.pair_id], left

    def _first(self, annotator: str, person: AnnotatorRecord, now: float) -> Task | None:
        """Return a pair that is new to an annotator, and on fewer screens than it needs answers."""
        open_lefts: dict[str, Counter[Side]] = {}
        for other, (task, since) in self._open.items():
            if other != annotator and task.kind == "first" and now - since < LEASE_SECONDS:
                open_lefts.setdefault(task.pair.id, Counter())[task.left] += 1
        spare: CampaignPair | None = None
        for pair in self._unanswered(annotator, person):
            counts, num_open = self._counts[pair.id], open_lefts.get(pair.id, Counter()).total()
            if num_open < num_wanted(counts, self.settings.overlap):
                spare = pair
                break
            if spare is None and counts.total() + num_open < self.settings.overlap:
                spare = pair
        if spare is None:
            return None
        left = self._left(spare, self._lefts[spare.id] + open_lefts.get(spare.id, Counter()))
        return self._task(annotator, person, spare, "first", left)

    def _left(self, pair: CampaignPair, shown: Mapping[Side, int]) -> Side:
        """Return the image to show on the left: each of two showings in a row has another one.

        Which comes first is balanced for each two showings anew. If the third were shown as the first was, it
        would not be by chance: it is asked for where the answer to the first was doubted.
        """
        if shown.get("image_1", 0) != shown.get("image_2", 0):
            return min(_SIDES, key=lambda side: shown.get(side, 0))
        turn = sum(shown.values()) // 2
        return _SIDES[(self._places[pair.id] + turn) % 2] if turn else pair.first_left

    def _unanswered(self, annotator: str, person: AnnotatorRecord) -> Iterator[CampaignPair]:
        """Yield the open pairs that an annotator has not answered, in their order."""
        order, is_start = self._order(annotator), True
        for place in range(self._starts.get(annotator, 0), len(order)):
            pair = order[place]
            if (pair.id, "first") in person.by_task or self._is_settled(pair.id):
                continue
            if self._is_hidden(person, pair.id):
                continue
            if is_start:  # what is before it stays done, unless a vote is taken back
                self._starts[annotator], is_start = place, False
            yield pair

    def _order(self, annotator: str) -> list[CampaignPair]:
        if annotator not in self._orders:
            chance = random.Random(f"{self.settings.seed} {annotator} order")  # noqa: S311 - no secret
            order = list[CampaignPair]()
            for start in range(0, len(self._asked), _BLOCK):
                block = self._asked[start : start + _BLOCK]
                chance.shuffle(block)
                order += block
            self._orders[annotator] = order
        return self._orders[annotator]


def _other(side: Side) -> Side:
    return "image_2" if side == "image_1" else "image_1"


def _label(choice: Choice, left: Side) -> Answer:
    """Return a choice as seen from image 1 and image 2."""
    labels: Mapping[Choice, Answer] = {
        Choice.LEFT: Label.IMAGE_1 if left == "image_1" else Label.IMAGE_2,
        Choice.RIGHT: Label.IMAGE_2 if left == "image_1" else Label.IMAGE_1,
        Choice.BOTH_GOOD: Label.BOTH_GOOD,
        Choice.BOTH_BAD: Label.BOTH_BAD,
        Choice.UNSAFE: Label.TOXIC,
    }
    return labels[choice]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
