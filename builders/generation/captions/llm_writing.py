"""Captions by a language model: a wrong one is asked for once more, and then written by rule."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from builders.generation.captions.chat import (
    INSTRUCTION,
    INSTRUCTION_VERSION,
    ChatAnswer,
    ChatFailureError,
    ChatLostError,
    ChatModel,
    ChatRefusalError,
    Message,
    first_messages,
    key_of,
    second_messages,
)
from builders.generation.captions.chat_journal import ChatJournal
from builders.generation.captions.checking import check_sentence
from builders.generation.captions.meaning import understand
from builders.generation.captions.realising import CAPTIONER, RULE, VERSION, RuleWriter
from builders.generation.request_journal import State
from builders.parallel import open_lanes
from schemas.bags import Bag, Sentence
from schemas.problems import KitError, Problem, Reason, ReleaseError

FIRST, SECOND, AFTER = "llm", "llm-second-try", "rule-after-llm"
_AHEAD = 2  # conversations that are begun before the one that is due, for each that may be open
_MAX_BAD_IN_A_ROW = 5
_MAX_CHARS = 2000  # of a caption; a longer one is wrong, and is not sent back


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How captions are asked for.

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
class _Outcome:
    """What became of a conversation.

    Attributes:
        answer: A right caption; None if there is none.
        method: "llm", "llm-second-try" or "rule-after-llm".
        is_bad: Whether a request of this run has no usable answer.
    """

    answer: ChatAnswer | None
    method: str
    is_bad: bool = False


class _Waiting(NamedTuple):
    """A bag whose conversation has begun, with the key of its first request."""

    bag: Bag
    key: str
    future: Future[_Outcome]


class LanguageModelWriter:
    """Has a language model write captions.

    Args:
        model: Is asked.
        journal: Has the answers of earlier runs; no other run has it open.
        rule: Writes what the model does not.
        options: How.

    Attributes:
        captioner: Name of the model, as the user gives it.
        captioner_version: Version of the instruction, and the temperature.
        methods: Method → how many captions were written by it.
        complaints: What was wrong → how many requests of this run have no usable answer for it.
    """

    captioner_version = f"instruction-{INSTRUCTION_VERSION};temperature-0"

    def __init__(
        self,
        model: ChatModel,
        journal: ChatJournal,
        rule: RuleWriter,
        options: ChatOptions,
    ) -> None:
        self._model, self._journal, self._rule, self._options = model, journal, rule, options
        # Why no more is sent: what ended this run, or its end.
        self._end: KitError | None = None
        self.captioner = options.model
        self._failed = set[str]()
        self.methods, self.complaints = Counter[str](), Counter[str]()

    def write(self, bags: Iterable[Bag]) -> Iterator[Sentence]:
        """Yield a caption for each bag, in order.

        Raises:
            KitError: No request can succeed, the budget is used up, or one request after the other has no
                usable answer. The captions before are right, and their requests are not sent again.
        """
        left, waiting, num_bad = iter(bags), deque[_Waiting](), 0
        self._end = None
        with open_lanes(self._options.concurrency) as pool:
            try:
                self._fill(left, waiting, pool)
                while waiting:
                    bag, _, future = waiting.popleft()
                    outcome = future.result()
                    num_bad = num_bad + 1 if outcome.is_bad else 0
                    if num_bad >= _MAX_BAD_IN_A_ROW:
                        raise ReleaseError(self._too_many_bad(num_bad))
                    self.methods[outcome.method] += 1
                    yield self._sentence(bag, outcome)
                    self._fill(left, waiting, pool)
            finally:
                stopped = Problem(Reason.RELEASE, "the run was stopped", file=self._options.server)
                self._end = self._end or ReleaseError(stopped)
                for each in waiting:
                    each.future.cancel()

    def _fill(self, left: Iterator[Bag], waiting: deque[_Waiting], pool: ThreadPoolExecutor) -> None:
        """Begin conversations; bags whose facts are equal share one."""
        while len(waiting) < _AHEAD * self._options.concurrency and (bag := next(left, None)) is not None:
            key = key_of(first_messages(bag), self._options.model)
            shared = next((each.future for each in waiting if each.key == key), None)
            waiting.append(_Waiting(bag, key, shared or pool.submit(self._converse, bag)))

    def _sentence(self, bag: Bag, outcome: _Outcome) -> Sentence:
        answer = outcome.answer
        if answer is None:
            return Sentence(
                text=self._rule.realise(bag),
                method=outcome.method,
                instruction=None if outcome.method == RULE else INSTRUCTION,
                captioner=CAPTIONER,
                captioner_version=VERSION,
            )
        return Sentence(
            text=answer.text,
            method=outcome.method,
            instruction=INSTRUCTION,
            captioner=answer.model,
            captioner_version=self.captioner_version,
        )

    def _converse(self, bag: Bag) -> _Outcome:
        """Ask for a caption, and once more if it is wrong."""
        if not understand(bag).meanings:
            return _Outcome(None, RULE)
        messages = first_messages(bag)
        first, is_bad = self._ask(messages)
        if first is None:
            return _Outcome(None, AFTER, is_bad)
        check = check_sentence(bag, first.text)
        if check.is_right and len(first.text) <= _MAX_CHARS:
            return _Outcome(first, FIRST)
        second, is_bad = self._ask(second_messages(messages, first.text[:_MAX_CHARS], check))
        if (
            second is not None
            and len(second.text) <= _MAX_CHARS
            and check_sentence(bag, second.text).is_right
        ):
            return _Outcome(second, SECOND)
        return _Outcome(None, AFTER, is_bad)

    def _ask(self, messages: Sequence[Message]) -> tuple[ChatAnswer | None, bool]:
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
            fix="give a larger one to go on; it counts all requests for this file of captions",
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
