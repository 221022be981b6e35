"""Opinions of classifiers on texts: an answer that the journal has is never asked for again.

The journal has answers as they came. So other labels or another threshold need no new answer; another text,
classifier, model or address does.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol

from builders.generation.request_journal import RequestJournal, State, states_to_send
from schemas.problems import KitError


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a classifier says of a text.

    Attributes:
        scores: Label → score, 0 to 1.
        is_unsafe: Whether the text may not be used, by its labels.
        unsafe_labels: Labels that can make it so.
    """

    scores: Mapping[str, float]
    is_unsafe: bool
    unsafe_labels: Collection[str]


class OpinionError(Exception):
    """A classifier has no usable answer for a text; the text is not safe by that."""


class LostOpinionError(OpinionError):
    """The answer was lost after the request was sent; it may be charged for."""


class UnaskedOpinionError(OpinionError):
    """The answer was lost in an earlier run, and the question is not sent again."""


class TextJudge(Protocol):
    """A classifier of texts, called from several threads at once; whatever stops all is a `KitError`.

    Attributes:
        name: For people.
        identity: Kind, place and model, on which an answer depends; None if answers cost nothing.
        concurrency: Requests that are open at once.
    """

    name: str
    identity: str | None
    concurrency: int

    def ask(self, text: str) -> str:
        """Return the answer on a text, as JSON.

        Raises:
            LostOpinionError: It was sent, and the answer is lost.
            OpinionError: There is no answer.
            KitError: There will be none for any text.
        """
        ...

    def read(self, answer: str) -> Opinion:
        """Return what an answer says.

        Raises:
            OpinionError: It says nothing that can be used.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class OpinionJournal(RequestJournal):
    """The journal of the questions behind one file of prompts."""

    def find(self, key: str) -> tuple[State, str | None] | None:
        """Return state and answer of a question; None if the journal does not have it."""
        for state, answer in self.read("SELECT state, answer FROM requests WHERE key = ?", key):
            return State(state), answer
        return None

    def begin(self, key: str, judge: TextJudge, text: str) -> None:
        """Write that a question is about to be sent."""
        sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.transaction() as run:
            run.execute(
                "INSERT OR IGNORE INTO requests (key, state, planned) VALUES (?, 'planned', ?)",
                (key, json.dumps({"text": text}, ensure_ascii=True)),
            )
            self.send_in(run, key, (judge.name, "", sent_at, 0.0))

    def finish(self, key: str, answer: str) -> None:
        """Store an answer."""
        self.set_values(key, state=State.DELIVERED, answer=answer, message=None)

    def lose(self, key: str, message: str) -> None:
        """Write that the answer was lost; it may be charged for."""
        self.set_values(key, state=State.UNCERTAIN, message=message)


class OpinionAsker:
    """Asks classifiers, with a journal.

    Args:
        journal: Has the answers of earlier runs; no other run has it open.
        sends_again: Whether questions whose answer was lost, or cannot be used, are sent once more.

    Attributes:
        num_kept: Answers of earlier runs that were used.
    """

    def __init__(self, journal: OpinionJournal, *, sends_again: bool = False) -> None:
        self._journal, self._sends_again = journal, sends_again
        self.num_kept = 0

    def ask(self, judge: TextJudge, text: str) -> Opinion:
        """Return what a classifier says of a text, from the journal if it is there.

        Raises:
            OpinionError: There is no usable answer.
            KitError: There will be none for any text.
        """
        if judge.identity is None:
            return judge.read(judge.ask(text))
        key = key_of(judge.identity, text)
        state, answer = self._journal.find(key) or (State.PLANNED, None)
        if state is State.DELIVERED and answer is not None:
            try:
                opinion = judge.read(answer)
            except OpinionError:
                if not self._sends_again:
                    raise
            else:
                self.num_kept += 1
                return opinion
        elif state not in states_to_send(sends_again=self._sends_again):
            message = "its answer was lost, and may be charged for; --send-again asks once more"
            raise UnaskedOpinionError(message)
        return judge.read(self._send(judge, key, text))

    def _send(self, judge: TextJudge, key: str, text: str) -> str:
        self._journal.begin(key, judge, text)
        try:
            answer = judge.ask(text)
        except LostOpinionError as error:
            self._journal.lose(key, str(error))
            raise
        except (OpinionError, KitError) as error:
            self._journal.fail(key, str(error))
            raise
        self._journal.finish(key, answer)
        return answer


def key_of(identity: str, text: str) -> str:
    """Return the key of a question: the same text to the same classifier."""
    return sha256(json.dumps(["opinion", identity, text]).encode()).hexdigest()
