"""The journal of requests to a language model: an answer that is in it is never asked for again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from builders.generation.captions.chat import ChatAnswer, Message
from builders.generation.request_journal import RequestJournal, State

_CENT_PART = 1e-9  # sums of prices are not exact


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A request as the journal has it.

    Attributes:
        state: How far it is.
        answer: What came back; None if nothing did.
    """

    state: State
    answer: ChatAnswer | None


class ChatJournal(RequestJournal):
    """The journal of the conversations behind one file of captions."""

    def find(self, key: str) -> ChatEntry | None:
        """Return a request; None if the journal does not have it."""
        for state, answer in self.read("SELECT state, answer FROM requests WHERE key = ?", key):
            return ChatEntry(State(state), ChatAnswer(**json.loads(answer)) if answer else None)
        return None

    def begin(
        self,
        key: str,
        messages: Sequence[Message],
        asked: tuple[str, str],
        price_usd: float,
        budget_usd: float | None,
    ) -> bool:
        """Write that a request is about to be sent, unless it would pass the budget.

        Args:
            key: Of the request.
            messages: The conversation.
            asked: The server, and the model.
            price_usd: The most that it may cost. It counts until the answer says what it did cost.
            budget_usd: The most that all requests may cost; None for no limit.

        Returns:
            Whether it may be sent.
        """
        planned = json.dumps([asdict(message) for message in messages], ensure_ascii=False)
        sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.transaction() as run:
            run.execute(
                "INSERT OR IGNORE INTO requests (key, state, planned) VALUES (?, 'planned', ?)",
                (key, planned),
            )
            if budget_usd is not None and self.spent_usd() + price_usd > budget_usd + _CENT_PART:
                return False
            self.send_in(run, key, (*asked, sent_at, price_usd))
        return True

    def finish(self, key: str, answer: ChatAnswer) -> None:
        """Store an answer, with what it cost; without a word of that, the price stays."""
        values: dict[str, object] = {} if answer.cost_usd is None else {"cost_usd": answer.cost_usd}
        self.set_values(key, state=State.DELIVERED, answer=answer.write(), message=None, **values)

    def refuse(self, key: str, message: str, *, is_paid: bool) -> None:
        """Write that the model declined; `is_paid` if that may be charged for."""
        values: dict[str, object] = {} if is_paid else {"cost_usd": 0}
        self.set_values(key, state=State.REFUSED, message=message, **values)

    def lose(self, key: str, message: str) -> None:
        """Write that the answer was lost; it may be charged for."""
        self.set_values(key, state=State.UNCERTAIN, message=message)
