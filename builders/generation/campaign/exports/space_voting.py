"""What each annotator is asked, and what an answer writes. The Space has this file as `voting.py`.

It needs the standard library alone. Votes are lines of the kit's `CampaignVote`, which are only ever added:
undo writes a vote once more as discarded, and the last line of a `vote_id` holds.
"""

import hashlib
import hmac
import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHOICES = ("left", "right", "both_good", "both_bad", "toxic_content")
_APART = 5  # a pair is not shown again within so many others
_MAX_SECONDS = 86_400
_LEASE_SECONDS = 900
_OF_VOTE = (
    *("prompt", "image_1", "image_2", "image_1_id", "image_2_id", "model_1", "model_2", "category"),
    *("sub_category", "evolution", "license", "prompt_license", "prompt_id"),
)
_OTHER = {"image_1": "image_2", "image_2": "image_1"}

Vote = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One pair to show: `kind` is first, repeat or mirror, and `left` the image on the left."""

    pair: Mapping[str, Any]
    kind: str
    left: str


class Votes:
    """The votes of a campaign.

    Args:
        settings: campaign.json.
        pairs: Lines of pairs.jsonl.
        votes: Lines that were written before.
        path: The file to add lines to.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        pairs: Sequence[Mapping[str, Any]],
        votes: Iterable[Vote],
        path: Path,
    ) -> None:
        self._settings, self._pairs, self._path = settings, pairs, path
        self._known = {pair["id"] for pair in pairs}
        self._people: dict[str, dict[str, Vote]] = {}
        self._numbers = Counter[str]()
        self._lefts = Counter[tuple[str, str]]()
        self._open: dict[str, tuple[Task, float]] = {}
        for vote in votes:
            self._apply(vote)

    def next_task(self, annotator: str) -> Task | None:
        """Return what to show to an annotator, the same until it is answered; None if nothing is left."""
        own = self._standing(annotator)
        task, _ = self._open.get(annotator, (None, 0.0))
        if task is None or self._is_answered(task, own) or self._is_full(task):
            task = self._again(annotator, own) or self._first(annotator, own)
        self._open.pop(annotator, None)
        if task is not None:
            self._open[annotator] = task, time.monotonic()
        return task

    def answer(self, annotator: str, task: Task, choice: str, seconds: float) -> str | None:
        """Write an answer; return its `vote_id`, or None if it was answered before, or has all its votes."""
        if choice not in CHOICES:
            raise ValueError(f"{choice!r} is no answer")
        own = self._standing(annotator)
        if self._is_answered(task, own) or self._is_full(task):
            return None
        # A pair that is asked about again after an undo is a new vote.
        identity = json.dumps([annotator, task.pair["id"], task.kind, self._numbers[annotator]])
        label = {"left": task.left, "right": _OTHER[task.left]}.get(choice, choice)
        vote = {name: task.pair.get(name) for name in _OF_VOTE} | {
            "vote_id": hashlib.sha256(identity.encode()).hexdigest()[:32],
            "pair_id": task.pair["id"],
            "annotator": annotator,
            "label": label,
            "left": task.left,
            "kind": task.kind,
            "seconds": round(min(max(seconds, 0.0), _MAX_SECONDS), 3),
            "time": _now(),
            "status": "submitted",
        }
        self._write(vote)
        return str(vote["vote_id"])

    def undo(self, annotator: str) -> Task | None:
        """Take back the last vote of an annotator; return its task, or None if there is none."""
        own = self._standing(annotator)
        if not own:
            return None
        last = own[-1]
        self._write(last | {"status": "discarded", "time": _now()})
        pair = next(pair for pair in self._pairs if pair["id"] == last["pair_id"])
        task = Task(pair, last["kind"], last["left"])
        self._open[annotator] = task, time.monotonic()
        return task

    def progress(self, annotator: str) -> int:
        """Return how many votes an annotator has given."""
        return len(self._standing(annotator))

    def _standing(self, annotator: str) -> list[Vote]:
        """Return the votes of an annotator that hold, in the order in which they were given."""
        return list(self._people.get(annotator, {}).values())

    def _is_full(self, task: Task) -> bool:
        return task.kind == "first" and _count(self._lefts, task.pair) >= self._settings["overlap"]

    @staticmethod
    def _is_answered(task: Task, own: Sequence[Vote]) -> bool:
        return any(vote["pair_id"] == task.pair["id"] and vote["kind"] == task.kind for vote in own)

    def _write(self, vote: Vote) -> None:
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(vote, ensure_ascii=False) + "\n")
        self._apply(vote)

    def _apply(self, vote: Vote) -> None:
        if vote["pair_id"] not in self._known:
            return
        own = self._people.setdefault(vote["annotator"], {})
        before = own.pop(vote["vote_id"], None)
        self._numbers[vote["annotator"]] += before is None
        side = vote["pair_id"], vote["left"]
        self._lefts[side] -= before is not None and before["kind"] == "first"
        if vote["status"] == "submitted":
            own[vote["vote_id"]] = vote
            self._lefts[side] += vote["kind"] == "first"

    def _again(self, annotator: str, own: Sequence[Vote]) -> Task | None:
        """Return a pair that measures the annotator, if its turn has come."""
        chance = self._chance(annotator, "again")
        firsts = [vote for vote in own if vote["kind"] == "first"]
        done = {kind: [vote for vote in own if vote["kind"] == kind] for kind in ("repeat", "mirror")}
        # The kind with fewer votes goes first, so that neither takes all pairs of a short campaign.
        for kind in sorted(done, key=lambda each: len(done[each])):
            share = self._settings[f"{kind}_share"]
            # The phase spreads the turns: no two annotators are measured at the same places.
            if len(done[kind]) >= int(len(firsts) * share + chance.random()):
                continue
            seen_again = {vote["pair_id"] for vote in own if vote["kind"] != "first"}
            # What is unsafe is not shown to a person twice.
            known = [
                vote
                for vote in firsts[:-_APART]
                if vote["label"] != "toxic_content" and vote["pair_id"] not in seen_again
            ]
            if known:
                vote = self._chance(annotator, f"{kind} {len(done[kind])}").choice(known)
                pair = next(pair for pair in self._pairs if pair["id"] == vote["pair_id"])
                return Task(pair, kind, vote["left"] if kind == "repeat" else _OTHER[vote["left"]])
        return None

    def _first(self, annotator: str, own: Sequence[Vote]) -> Task | None:
        """Return a pair that is new to the annotator, and has fewer votes than it needs."""
        answered = {vote["pair_id"] for vote in own if vote["kind"] == "first"}
        # Pairs on other screens count as answered for a while.
        oldest = time.monotonic() - _LEASE_SECONDS
        lefts = self._lefts + Counter(
            (task.pair["id"], task.left)
            for other, (task, since) in self._open.items()
            if other != annotator and task.kind == "first" and since > oldest
        )
        order = [pair for pair in self._pairs if pair["id"] not in answered]
        self._chance(annotator, "order").shuffle(order)
        for known in (lefts, self._lefts):
            for pair in order:
                if _count(known, pair) < self._settings["overlap"]:
                    left, right = pair["first_left"], _OTHER[pair["first_left"]]
                    is_turned = lefts[pair["id"], left] > lefts[pair["id"], right]
                    return Task(pair, "first", right if is_turned else left)
        return None

    def _chance(self, annotator: str, what: str) -> random.Random:
        return random.Random(f"{self._settings['seed']} {annotator} {what}")  # noqa: S311 - to be repeated


def _count(lefts: Mapping[tuple[str, str], int], pair: Mapping[str, Any]) -> int:
    """Return how many votes a pair has, with either image on the left."""
    return sum(lefts.get((pair["id"], side), 0) for side in _OTHER)


def name_annotator(account: str, key: str) -> str:
    """Return the public id of an account: a keyed hash, so that nobody can try all accounts."""
    return hmac.digest(key.encode(), account.encode(), "sha256").hex()[:16]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file; one that was cut off is left out, since it was never acknowledged."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
