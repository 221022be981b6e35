"""Write the text of a prompt from its attributes."""

from collections.abc import Iterable
from pathlib import Path

from builders.generation.choosing import Chosen, is_met
from builders.generation.draws import Draws
from builders.generation.english import agree, capitalize
from builders.generation.grammar import FREE, Alternative, Conditions, Variant
from builders.generation.grammar_file import problem_of
from builders.generation.phrases import Slot, Text
from schemas.problems import SettingsError


def write(variant: Variant, chosen: Chosen, draws: Draws) -> str:
    """Return the text that asks for all of the attributes.

    Raises:
        SettingsError: No template of the grammar says all of them.
    """
    writer = _Writer(variant, chosen, draws)
    text = writer.phrase("template", variant.templates)
    if text is None:
        raise _unsaid(variant, chosen, [])
    for name in chosen.keys() - writer.said:
        if variant.attributes[name].shown_by in writer.said:  # an age shows its age group
            writer.said.add(name)
    if len(writer.said) < len(chosen):
        raise _unsaid(variant, chosen, [name for name in chosen if name not in writer.said])
    return capitalize(agree(text))


def _unsaid(variant: Variant, chosen: Chosen, missing: list[str]) -> SettingsError:
    values = ", ".join(f"{name}={value.name}" for name, value in chosen.items())
    what = f"the text leaves out {', '.join(missing)}" if missing else "no template fits"
    fix = "add the slot to the phrases and values that can stand there, or rule the combination out"
    return SettingsError(
        problem_of(Path(variant.name), "templates", f"{what}: a grammar must say all", value=values, fix=fix)
    )


class _Writer:
    """Writes one text, and notes which attributes it has said."""

    def __init__(self, variant: Variant, chosen: Chosen, draws: Draws) -> None:
        self.said: set[str] = set()
        self._variant, self._chosen, self._draws = variant, chosen, draws
        self._tags = {tag for value in chosen.values() for tag in value.gives}
        self._uses: dict[str, int] = {}
        self._presence: dict[str, bool] = {}

    def phrase(self, name: str, alternatives: Iterable[Alternative]) -> str | None:
        """Return the text of one of the alternatives that fit; None if none does."""
        fitting = [each for each in alternatives if self._holds(each.conditions) and self._has(each.text)]
        if not fitting:
            return None
        number = 0
        if len(fitting) > 1:
            times = self._uses[name] = self._uses.get(name, 0) + 1
            number = self._draws.below(f"{name}:{times}", len(fitting))
        self.said.update(fitting[number].conditions.when)
        return self._write(fitting[number].text)

    def _write(self, text: Text) -> str:
        if text.words is not None:
            return text.words
        written = []
        for part in text.parts:
            if isinstance(part, str):
                written.append(part)
            elif isinstance(part, Slot):
                written.append(self._slot(part.name))
            elif self._has(part.text):
                written.append(self._write(part.text))
        return "".join(written)

    def _slot(self, name: str) -> str:
        if name in self._chosen:
            self.said.add(name)
            return self._write(self._chosen[name].text)
        if name in self._variant.phrases:
            return self.phrase(name, self._variant.phrases[name]) or ""
        listing = self._variant.lists[name]
        texts = [self._write(text) for text in listing.items if self._has(text)]
        if listing.is_shuffled and len(texts) > 1:
            texts = self._draws.shuffle(name, texts)
        if len(texts) < 2:
            return "".join(texts)
        return listing.joined_by.join(texts[:-1]) + listing.last_joined_by + texts[-1]

    def _has(self, text: Text) -> bool:
        """Whether every slot of a text that may not be left out has something to say."""
        for name in text.needs:
            if name in self._chosen:
                continue
            is_there = self._presence.get(name)
            if is_there is None:
                is_there = self._presence[name] = self._look(name)
            if not is_there:
                return False
        return True

    def _look(self, name: str) -> bool:
        if name in self._variant.phrases:
            return any(
                self._holds(each.conditions) and self._has(each.text) for each in self._variant.phrases[name]
            )
        return name in self._variant.lists and any(map(self._has, self._variant.lists[name].items))

    def _holds(self, conditions: Conditions) -> bool:
        if conditions is FREE:
            return True
        if not conditions.unless.isdisjoint(self._tags):
            return False
        return is_met(conditions.when, self._chosen)
