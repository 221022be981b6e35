"""Rewritings by a language model: a wrong one is asked for once more, and then written by rule.

A rewriting is right if it is a prompt and nothing else, everything that the prompt asks for is still in it,
nobody has become younger or older than 18, no rule speaks against it, and it is not too long.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache

from builders.generation.captions.chat import ChatModel, Message
from builders.generation.captions.chat_asking import ChatAsker, ChatOptions, Outcome
from builders.generation.captions.chat_journal import ChatJournal
from builders.generation.captions.checking import check_sentence
from builders.generation.evolving import (
    QUALITY,
    SIMPLIFIED,
    Base,
    Rewriting,
    Task,
    find_faults,
    load_evolutions,
    write_by_rule,
)
from builders.generation.keeping import find_changed_negations, find_chatter, find_lost_words
from builders.generation.rules import is_young
from schemas.bags import Bag, Fact

# The instruction is fixed: a change of it needs a new version.
INSTRUCTION_VERSION = "1"
INSTRUCTION = (
    "You rewrite a prompt for a text-to-image model as a portrait in a given style. Keep everything that the "
    "prompt says of the person and the scene, in its own words where you can: sex, age, origin, hair, eyes, "
    "skin, clothes, expression, pose, place and light. Add nothing to the person. Complexity quality: add "
    "two or three details of the picture, such as composition or material. Complexity simplified: use as "
    "few words as say all of it. Nothing sexual, violent or hateful. One paragraph of plain English. Answer "
    "with the new prompt only."
)
AGAIN = "Write the prompt again, with everything that must stay."
PRODUCT = "prompt"
_MOST_CHARS = {QUALITY: 1_500, SIMPLIFIED: 500}
_MORE_CHARS = {QUALITY: 800, SIMPLIFIED: 100}  # than the prompt itself, where that is long


class ChatEvolver:
    """Has a language model rewrite prompts.

    Args:
        model: Is asked.
        journal: Has the answers of earlier runs; no other run has it open.
        options: How.

    Attributes:
        methods: Method → how many rewritings were written by it.
        complaints: What was wrong → how many requests of this run have no usable answer for it.
    """

    def __init__(self, model: ChatModel, journal: ChatJournal, options: ChatOptions) -> None:
        self._asker = ChatAsker(model, journal, options)
        self.methods, self.complaints = Counter[str](), self._asker.complaints

    def write(self, tasks: Iterable[Task]) -> Iterator[Rewriting]:
        """Yield a rewriting for each task, in order.

        Raises:
            KitError: As with `ChatAsker.run`.
        """
        evolutions = load_evolutions()
        with closing(self._asker.run(tasks, _messages, self._converse)) as outcomes:
            for task, outcome in outcomes:
                self.methods[outcome.method] += 1
                answer = outcome.answer
                if answer is None:
                    made_by = evolutions.name, evolutions.version
                    yield Rewriting(task, write_by_rule(task), outcome.method, made_by)
                else:
                    made_by = answer.model, f"instruction-{INSTRUCTION_VERSION};temperature-0"
                    yield Rewriting(task, answer.text, outcome.method, made_by)

    def _converse(self, task: Task) -> Outcome:
        return self._asker.ask_twice(_messages(task), lambda text: find_fault(task, text), AGAIN)


def find_fault(task: Task, text: str) -> str | None:
    """Return what is wrong with a rewriting, in words for its writer; None if nothing is."""
    base = task.base
    most = max(_MOST_CHARS[task.evolution], len(base.text) + _MORE_CHARS[task.evolution])
    if len(text) > most:
        return f"The text has {len(text):,} characters; at most {most:,} are allowed."
    if chatter := find_chatter(text, base.text):
        return chatter
    faults = [f"Leave this out: {each.message}." for each in find_faults(text, base)]
    if missing := _find_missing(base, text):
        faults.append(f"This is missing: {'; '.join(missing)}.")
    if changed := find_changed_negations(text, base.text):
        faults.append(f"The prompt says whether these are there or not: {'; '.join(changed)}.")
    if is_young(text) != is_young(base.text):
        faults.append("The age of the person has changed.")
    return " ".join(faults) or None


def _messages(task: Task) -> Sequence[Message]:
    """Return the conversation that asks for a rewriting."""
    lines = [
        f"Style: {task.style} ({task.category.name})",
        f"Complexity: {task.evolution}",
        f"Prompt: {task.base.text}",
    ]
    return Message("system", INSTRUCTION), Message("user", "\n".join(lines))


def _find_missing(base: Base, text: str) -> list[str]:
    """Return what a prompt asks for and its rewriting does not; what its own text hides may be missing."""
    if base.attributes:
        said = {(fact.attribute, fact.value) for fact in _missing_facts(base, text)}
        hidden = _hidden(base)
        return [f"{name}: {value}" for name, value in sorted(said - hidden)]
    return list(find_lost_words(text, base.text))


@lru_cache(1_000)
def _hidden(base: Base) -> frozenset[tuple[str, str]]:
    return frozenset((fact.attribute, fact.value) for fact in _missing_facts(base, base.text))


def _missing_facts(base: Base, text: str) -> Sequence[Fact]:
    facts = tuple(
        Fact(attribute=each.attribute, value=each.value, confidence=None, source_model="prompt")
        for each in base.attributes
    )
    return check_sentence(Bag(image_id="prompt", facts=facts), text).missing
