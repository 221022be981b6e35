"""Asks a language model for texts: a wrong one is asked for once more, and no answer is paid for twice."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from builders.generation.captions.chat import (
    ChatAnswer,
    ChatFailureError,
    ChatLostError,
    ChatModel,
    ChatRefusalError,
    Message,
    key_of,
    second_messages,
)
from builders.generation.captions.chat_journal import ChatJournal
from builders.generation.request_journal import State
from builders.parallel import open_lanes
from schemas.problems import KitError, Problem, Reason, ReleaseError

T = TypeVar("T")
FIRST, SECOND, AFTER = "llm", "llm-second-try", "rule-after-llm"
_AHEAD = 2  # conversations that are begun before the one that is due, for each that may be open
_MAX_BAD_IN_A_ROW = 5
_MAX_CHARS = 2000  # of a text; a longer one is wrong, and is not sent back


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a language model is asked.

    Attributes:
        server: Who is asked, for the journal and for messages.
        model: The model as the server names it.
        budget_usd: The most that all requests of the journal may cost; None for no limit.
        concurrency: Requests that are open at once, 1 or more.
        sends_again: Whether requests of unknown outcome are sent once more.
    """

    server: str
    model: str
    budget_usd: float | None
    concurrency: int
    sends_again: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a conversation.

    Attributes:
        answer: A right one; None if there is none.
        method: `FIRST`, `SECOND` or `AFTER`; another where the model was not asked.
        is_bad: Whether a request of this run has no usable answer.
    """

    answer: ChatAnswer | None
    method: str
    is_bad: bool = False


class _Waiting(NamedTuple, Generic[T]):
    """Something whose conversation has begun, with the key of its first request."""

    item: T
    key: str
    future: Future[Outcome]


class ChatAsker:
    """Asks a language model, with a journal and a budget.

    Args:
        model: Is asked.
        journal: Has the answers of earlier runs; no other run has it open.
        options: How.

    Attributes:
        complaints: What was wrong → how many requests of this run have no usable answer for it.
    """

    def __init__(self, model: ChatModel, journal: ChatJournal, options: ChatOptions) -> None:
        self._model, self._journal, self._options = model, journal, options
        # Why no more is sent: what ended this run, or its end.
        self._end: KitError | None = None
        self._failed = set[str]()
        self.complaints = Counter[str]()

    def run(
        self,
        items: Iterable[T],
        first: Callable[[T], Sequence[Message]],
        converse: Callable[[T], Outcome],
    ) -> Generator[tuple[T, Outcome]]:
        """Yield each item with what became of its conversation, in order.

        Args:
            items: What texts are wanted for.
            first: Returns the messages that begin a conversation; items with equal ones share it.
            converse: Has the conversation, by `ask_twice`; called in other threads.

        Raises:
            KitError: No request can succeed, the budget is used up, or one request after the other has no
                usable answer. The outcomes before are right, and their requests are not sent again.
        """
        left, waiting, num_bad = iter(items), deque[_Waiting[T]](), 0
        self._end = None

        def fill(pool: ThreadPoolExecutor) -> None:
            while len(waiting) < _AHEAD * self._options.concurrency:
                if (item := next(left, None)) is None:
                    return
                key = key_of(first(item), self._options.model)
                shared = next((each.future for each in waiting if each.key == key), None)
                waiting.append(_Waiting(item, key, shared or pool.submit(converse, item)))

        with open_lanes(self._options.concurrency) as pool:
            try:
                fill(pool)
                while waiting:
                    item, _, future = waiting.popleft()
                    outcome = future.result()
                    num_bad = num_bad + 1 if outcome.is_bad else 0
                    if num_bad >= _MAX_BAD_IN_A_ROW:
                        raise ReleaseError(self._too_many_bad(num_bad))
                    yield item, outcome
                    fill(pool)
            finally:
                stopped = Problem(Reason.RELEASE, "the run was stopped", file=self._options.server)
                self._end = self._end or ReleaseError(stopped)
                for each in waiting:
                    each.future.cancel()

    def ask_twice(
        self, messages: Sequence[Message], find_fault: Callable[[str], str | None], again: str
    ) -> Outcome:
        """Ask for a text, and once more if it is wrong.

        Args:
            messages: The conversation.
            find_fault: Returns what is wrong with a text, in words for the model; None if nothing is.
            again: How the model is asked once more.
        """
        text, is_bad = self.ask(messages)
        if text is None:
            return Outcome(None, AFTER, is_bad)
        fault = find_fault(text.text)
        if fault is None and len(text.text) <= _MAX_CHARS:
            return Outcome(text, FIRST)
        second, is_bad = self.ask(second_messages(messages, text.text[:_MAX_CHARS], f"{fault or ''} {again}"))
        if second is not None and len(second.text) <= _MAX_CHARS and find_fault(second.text) is None:
            return Outcome(second, SECOND)
        return Outcome(None, AFTER, is_bad)

    def ask(self, messages: Sequence[Message]) -> tuple[ChatAnswer | None, bool]:
        """Return the answer to a conversation, from the journal if it is there.

        Returns:
            The answer, None if there is none; and whether a request of this run came to nothing.
        """
        options, key = self._options, key_of(messages, self._options.model)
        entry = self._journal.find(key)
        if entry is not None and entry.state is State.DELIVERED:
            return entry.answer, False
        if entry is not None and (
            entry.state is State.REFUSED
            or key in self._failed
            or (entry.state is State.UNCERTAIN and not options.sends_again)
        ):
            return None, False
        if self._end is not None:
            raise self._end
        price = self._model.price(messages)
        if not self._journal.begin(key, messages, (options.server, options.model), price, options.budget_usd):
            self._end = ReleaseError(self._over_budget())
            raise self._end
        return self._send(key, messages)

    def _send(self, key: str, messages: Sequence[Message]) -> tuple[ChatAnswer | None, bool]:
        try:
            answer = self._model.ask(messages)
        except ChatRefusalError as error:
            self._journal.refuse(key, str(error), is_paid=error.is_paid)
            return None, False
        except ChatFailureError as error:
            self._failed.add(key)
            self._journal.fail(key, str(error))
            self.complaints[str(error)] += 1
            return None, True
        except ChatLostError as error:
            self._failed.add(key)
            self._journal.lose(key, str(error))
            self.complaints[str(error)] += 1
            return None, True
        except KitError as error:
            self._end = self._end or error
            self._journal.fail(key, str(error))
            raise
        self._journal.finish(key, answer)
        return answer, False

    def _over_budget(self) -> Problem:
        spent = self._journal.spent_usd()
        return Problem(
            Reason.RELEASE,
            f"the next request would pass the budget; the requests up to now have cost ${spent:,.4f}",
            column="--budget",
            value=f"{self._options.budget_usd:g}",
            fix="give a larger one to go on; it counts all requests for this file",
            code="run/budget",
        )

    def _too_many_bad(self, number: int) -> Problem:
        said = "; ".join(message for message, _ in self.complaints.most_common(3))
        return Problem(
            Reason.RELEASE,
            f"the last {number} requests have no usable answer, so no more were sent: {said}",
            file=self._options.server,
            fix="correct the server or its address, then run the same command again; answers are kept",
            code="run/chat-answers",
        )
