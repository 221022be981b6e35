"""Captions by a language model: a wrong one is asked for once more, and then written by rule."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing

from builders.generation.captions.chat import (
    AGAIN,
    INSTRUCTION,
    INSTRUCTION_VERSION,
    ChatModel,
    first_messages,
)
from builders.generation.captions.chat_asking import ChatAsker, ChatOptions, Outcome
from builders.generation.captions.chat_journal import ChatJournal
from builders.generation.captions.checking import check_sentence
from builders.generation.captions.meaning import understand
from builders.generation.captions.realising import CAPTIONER, RULE, VERSION, RuleWriter
from schemas.bags import Bag, Sentence


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
        self._rule, self._asker = rule, ChatAsker(model, journal, options)
        self.captioner = options.model
        self.methods, self.complaints = Counter[str](), self._asker.complaints

    def write(self, bags: Iterable[Bag]) -> Iterator[Sentence]:
        """Yield a caption for each bag, in order.

        Raises:
            KitError: As with `ChatAsker.run`.
        """
        with closing(self._asker.run(bags, first_messages, self._converse)) as outcomes:
            for bag, outcome in outcomes:
                self.methods[outcome.method] += 1
                yield self._sentence(bag, outcome)

    def _sentence(self, bag: Bag, outcome: Outcome) -> Sentence:
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

    def _converse(self, bag: Bag) -> Outcome:
        """Ask for a caption, and once more if it is wrong."""
        if not understand(bag).meanings:
            return Outcome(None, RULE)

        def find_fault(text: str) -> str | None:
            check = check_sentence(bag, text)
            return None if check.is_right else check.explain()

        return self._asker.ask_twice(first_messages(bag), find_fault, AGAIN)
