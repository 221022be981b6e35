"""What each annotator is asked, and what an answer writes. The Space has this file as `voting.py`.

It needs the standard library alone. Votes are lines of the kit's `CampaignVote`, which are only ever added:
undo writes a vote once more as discarded, and the last line of a `vote_id` holds.
"""

import hashlib
import hmac
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHOICES = ("left", "right", "both_good", "both_bad", "toxic_content")
_APART = 5  # a pair is not shown again within so many others
_MAX_SECONDS = 86_400
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
        self._counts = Counter[str]()
        for vote in votes:
            self._apply(vote)

    def next_task(self, annotator: str) -> Task | None:
        """Return what to show to an annotator; None if there is nothing left."""
        own = self._standing(annotator)
        return self._again(annotator, own) or self._first(annotator, own)

    def answer(self, annotator: str, task: Task, choice: str, seconds: float) -> str | None:
        """Write an answer; return its `vote_id`, or None if the annotator has answered it before."""
        pair_id = task.pair["id"]
        if choice not in CHOICES:
            raise ValueError(f"{choice!r} is no answer")
        if any(
            vote["pair_id"] == pair_id and vote["kind"] == task.kind for vote in self._standing(annotator)
        ):
            return None
        self._numbers[annotator] += 1
        name = json.dumps([annotator, pair_id, task.kind, self._numbers[annotator]])
        label = {"left": task.left, "right": _OTHER[task.left]}.get(choice, choice)
        vote = {name: task.pair.get(name) for name in _OF_VOTE} | {
            "vote_id": hashlib.sha256(name.encode()).hexdigest()[:32],
            "pair_id": pair_id,
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
        return Task(pair, last["kind"], last["left"])

    def progress(self, annotator: str) -> int:
        """Return how many votes an annotator has given."""
        return len(self._standing(annotator))

    def _standing(self, annotator: str) -> list[Vote]:
        """Return the votes of an annotator that hold, in the order in which they were given."""
        return list(self._people.get(annotator, {}).values())

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
        self._counts[vote["pair_id"]] -= before is not None and before["kind"] == "first"
        if vote["status"] == "submitted":
            own[vote["vote_id"]] = vote
            self._counts[vote["pair_id"]] += vote["kind"] == "first"

    def _again(self, annotator: str, own: Sequence[Vote]) -> Task | None:
        """Return a pair that measures the annotator, if its turn has come."""
        chance = self._chance(annotator, "again")
        firsts = [vote for vote in own if vote["kind"] == "first"]
        for kind, share in (
            ("repeat", self._settings["repeat_share"]),
            ("mirror", self._settings["mirror_share"]),
        ):
            done = [vote for vote in own if vote["kind"] == kind]
            # The phase spreads the turns: no two annotators are measured at the same places.
            if len(done) >= int(len(firsts) * share + chance.random()):
                continue
            seen_again = {vote["pair_id"] for vote in own if vote["kind"] != "first"}
            # What is unsafe is not shown to a person twice.
            known = [
                vote
                for vote in firsts[:-_APART]
                if vote["label"] != "toxic_content" and vote["pair_id"] not in seen_again
            ]
            if known:
                vote = self._chance(annotator, f"{kind} {len(done)}").choice(known)
                pair = next(pair for pair in self._pairs if pair["id"] == vote["pair_id"])
                return Task(pair, kind, vote["left"] if kind == "repeat" else _OTHER[vote["left"]])
        return None

    def _first(self, annotator: str, own: Sequence[Vote]) -> Task | None:
        """Return a pair that is new to the annotator, and has fewer votes than it needs."""
        answered = {vote["pair_id"] for vote in own if vote["kind"] == "first"}
        order = list(self._pairs)
        self._chance(annotator, "order").shuffle(order)
        for pair in order:
            count = self._counts[pair["id"]]
            if pair["id"] not in answered and count < self._settings["overlap"]:
                # The sides of a pair take turns.
                left = pair["first_left"] if count % 2 == 0 else _OTHER[pair["first_left"]]
                return Task(pair, "first", left)
        return None

    def _chance(self, annotator: str, what: str) -> random.Random:
        return random.Random(f"{self._settings['seed']} {annotator} {what}")  # noqa: S311 - to be repeated


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
