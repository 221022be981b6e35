"""A grammar as it is used: values with their conditions, texts as parts, every name resolved.

The built-in grammar is `grammars/faces.toml`, with `young-faces.toml` as its variant for people under 18.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builders.generation.english import agree
from builders.generation.grammar_file import (
    AttributeTable,
    ChoiceTable,
    Condition,
    ListTable,
    PhraseTable,
    Read,
    problem_of,
    read_grammar,
)
from builders.generation.phrases import Optional, Text, expand, parse
from builders.generation.rules import find_in_value
from schemas.problems import Problem, SettingsError, suggest
from schemas.prompts import MAX_PROMPT_CHARS

FACES = Path(__file__).parent / "grammars" / "faces.toml"
MAX_VALUES = 100_000  # and texts, of a variant
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Conditions:
    """When something may be in a prompt.

    Attributes:
        when: Attribute → names of values, one of which it must have; None for any.
        unless: Tags that rule it out.
    """

    when: Mapping[str, frozenset[str] | None]
    unless: frozenset[str]


FREE = Conditions({}, frozenset())


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an attribute.

    Attributes:
        name: As it is published.
        text: Its text.
        weight: Relative to the others that fit; 0 if it must be asked for.
        conditions: Its own and those of its attribute.
        gives: Tags that it brings.
    """

    name: str
    text: Text
    weight: int
    conditions: Conditions
    gives: frozenset[str]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes:
        name: As it is published.
        aliases: Other names that a user may write.
        values: Name → value.
        chance: How often it is there if nothing asks for it, in percent.
        shown_by: Attribute whose text shows it; None if it has one of its own.
        reads: Attributes that its conditions name.
        watches: Tags that its conditions name.
    """

    name: str
    aliases: tuple[str, ...]
    values: Mapping[str, Value]
    chance: int
    shown_by: str | None
    reads: tuple[str, ...]
    watches: frozenset[str]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One text of a phrase."""

    text: Text
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Listing:
    """Texts that are joined as a list."""

    items: tuple[Text, ...]
    is_shuffled: bool
    joined_by: str
    last_joined_by: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A whole grammar for some of the prompts.

    Attributes:
        name: Of its file.
        attributes: Name → attribute, in the order in which they are drawn.
        phrases: Name → alternatives.
        lists: Name → texts to join.
        templates: Texts of a whole prompt.
    """

    name: str
    attributes: Mapping[str, Attribute]
    phrases: Mapping[str, tuple[Alternative, ...]]
    lists: Mapping[str, Listing]
    templates: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """What prompts are made of.

    Attributes:
        name: As prompts name it.
        version: As prompts name it.
        path: Its file.
        variants: The first makes all prompts, unless values of another's `select` are asked for.
        select: Attribute that decides which variant makes a prompt; None if there is one only.
    """

    name: str
    version: str
    path: Path
    variants: tuple[Variant, ...]
    select: str | None

    def find(self, name: str) -> str | None:
        """Return the attribute that a user means by a name or an alias, whatever the case; None if none."""
        folded = fold_name(name)
        for variant in self.variants:
            for attribute in variant.attributes.values():
                if folded in (attribute.name, *attribute.aliases):
                    return attribute.name
        return None

    @property
    def names(self) -> list[str]:
        """The attributes of all variants, each once."""
        return list(dict.fromkeys(name for variant in self.variants for name in variant.attributes))

    def suggest_name(self, name: str) -> str:
        """Suggest the attribute or alias nearest to a name that there is none of."""
        attributes = [each for variant in self.variants for each in variant.attributes.values()]
        found = suggest(fold_name(name), [each for one in attributes for each in (one.name, *one.aliases)])
        return found if found.startswith("did you mean") else suggest("", self.names)


def fold_name(name: str) -> str:
    """Write the name of an attribute as grammars do: small letters, _ for blanks and hyphens."""
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def load_grammar(path: Path = FACES) -> Grammar:
    """Read a grammar and check it as a whole.

    Raises:
        SettingsError: It cannot be read, or contradicts itself or the rules; every problem at once.
    """
    read = read_grammar(path)
    compilers = [_Compiler(each) for each in read]
    variants = tuple(compiler.compile() for compiler in compilers)
    problems = [problem for compiler in compilers for problem in compiler.problems]
    main = read[0].main
    if not problems and main.select is not None:
        problems += _selection_problems(read, variants, main.select)
    if problems:
        raise SettingsError(problems)
    return Grammar(main.name, main.version, path, variants, main.select)


def _selection_problems(read: Iterable[Read], variants: Iterable[Variant], select: str) -> Iterator[Problem]:
    """Check that every variant has the deciding attribute, each with values of its own."""
    seen: dict[str, str] = {}
    for each, variant in zip(read, variants, strict=True):
        attribute = variant.attributes.get(select)
        if attribute is None:
            yield problem_of(each.path, "attributes", f"the variant lacks {select}, which selects it")
            continue
        for name in attribute.values:
            if name in seen:
                message = f"{seen[name]} has this value, too, so it cannot select a variant"
                yield problem_of(each.path, f"attributes.{select}", message, value=name)
            seen[name] = variant.name


@dataclass
class _Compiler:
    """Turns one file into a variant, and collects what is wrong with it."""

    read: Read
    problems: list[Problem] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    num_texts: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)

    def compile(self) -> Variant:
        """Return the variant; incomplete if there are problems."""
        vocabulary = self.read.vocabulary
        for name, table in vocabulary.attributes.items():
            self.attributes[name] = self._attribute(name, table)
        phrases = {name: self._phrase(name, texts) for name, texts in vocabulary.phrases.items()}
        lists = {name: self._list(name, table) for name, table in vocabulary.lists.items()}
        templates = tuple(
            Alternative(text, FREE)
            for number, template in enumerate(self.read.main.templates, 1)
            for text in self._texts(template, f"templates.{number}")
        )
        variant = Variant(self.read.path.name, self.attributes, phrases, lists, templates)
        self._check_names(variant)
        if not self.problems:
            self._check_reach(variant)
        return variant

    def _problem(self, key: str, message: str, *, value: str | None = None, fix: str = "") -> None:
        self.problems.append(problem_of(self.read.path, key, message, value=value, fix=fix))

    def _texts(self, text: str, key: str) -> list[Text]:
        try:
            texts = expand(text)
            self.num_texts += len(texts)  # counted before they are kept: a short file can stand for billions
            if self.num_texts > MAX_VALUES:
                if self.num_texts - len(texts) <= MAX_VALUES:
                    message = f"the grammar has more than {MAX_VALUES:,} values and texts"
                    self._problem(key, message, fix="shorten its lists")
                return []
            return [parse(each) for each in texts]
        except ValueError as error:
            self._problem(key, str(error), value=text)
            return []

    def _conditions(self, key: str, *tables: Condition) -> Conditions:
        """Join conditions, all of which must hold."""
        when: dict[str, frozenset[str] | None] = {}
        for table in tables:
            for name, wanted in table.when.items():
                attribute = self.attributes.get(name)
                if attribute is None:
                    fix = suggest(name, self.attributes) if self.attributes else "remove the condition"
                    self._problem(f"{key}.when", "no earlier attribute has this name", value=name, fix=fix)
                    continue
                names = (wanted,) if isinstance(wanted, str) else wanted
                for value in names:
                    if value != _ANY and value not in attribute.values:
                        fix = suggest(value, attribute.values)
                        self._problem(
                            f"{key}.when.{name}", "the attribute has no such value", value=value, fix=fix
                        )
                allowed = None if _ANY in names else frozenset(names)
                known = when.get(name)
                when[name] = allowed if known is None else known if allowed is None else known & allowed
        unless = frozenset(tag for table in tables for tag in table.unless)
        return Conditions(when, unless) if when or unless else FREE

    def _attribute(self, name: str, table: AttributeTable) -> Attribute:
        key = f"attributes.{name}"
        choices = (*([ChoiceTable(values=table.values)] if table.values else []), *table.choices)
        values: dict[str, Value] = {}
        if not choices:
            self._problem(key, "the attribute has no values", fix="add `values`, or [[choices]] with values")
        for choice in choices:
            conditions = self._conditions(key, table, choice)
            self.tags |= set(choice.gives)
            for written in choice.values:
                for text in self._texts(written, key):
                    self._add(
                        values, Value("", text, choice.weight, conditions, frozenset(choice.gives)), key
                    )
        if table.shown_by is not None and table.shown_by not in self.read.vocabulary.attributes:
            fix = suggest(table.shown_by, self.read.vocabulary.attributes)
            self._problem(f"{key}.shown_by", "there is no such attribute", value=table.shown_by, fix=fix)
        every = [value.conditions for value in values.values()]
        return Attribute(
            name,
            table.aliases,
            values,
            table.chance,
            table.shown_by,
            tuple(dict.fromkeys(attribute for each in every for attribute in each.when)),
            frozenset(tag for each in every for tag in each.unless),
        )

    def _add(self, values: dict[str, Value], value: Value, key: str) -> None:
        try:
            name = agree(value.text.value)
        except ValueError as error:
            self._problem(key, str(error), value="".join(map(str, value.text.parts)))
            return
        if name in values:
            self._problem(key, "the value is there twice", value=name, fix="remove one")
        elif name != " ".join(name.split()) or not name:
            self._problem(key, "a value is empty or has blanks too many", value=name, fix="remove the blanks")
        elif found := find_in_value(name):
            self._problem(key, found.message, value=name, fix="remove the value; no prompt may say it")
        else:
            values[name] = Value(name, value.text, value.weight, value.conditions, value.gives)

    def _phrase(self, name: str, texts: Iterable[str | PhraseTable]) -> tuple[Alternative, ...]:
        key = f"phrases.{name}"
        alternatives = []
        for entry in texts:
            table = PhraseTable(text=entry) if isinstance(entry, str) else entry
            conditions = self._conditions(key, table)
            for written in (table.text,) if isinstance(table.text, str) else table.text:
                alternatives += [Alternative(text, conditions) for text in self._texts(written, key)]
        if not alternatives:
            self._problem(key, "the phrase has no texts", fix="add one, or remove the phrase")
        return tuple(alternatives)

    def _list(self, name: str, table: ListTable) -> Listing:
        items = tuple(text for item in table.items for text in self._texts(item, f"lists.{name}"))
        return Listing(items, table.order == "shuffled", table.joined_by, table.last_joined_by)

    def _check_names(self, variant: Variant) -> None:
        """Check that names are unique, slots lead somewhere, and tags are given by something."""
        tables = {"attributes": variant.attributes, "phrases": variant.phrases, "lists": variant.lists}
        names = [name for table in tables.values() for name in table]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._problem(name, "two of attributes, phrases and lists have this name", fix="rename one")
        for key, text in _every_text(variant):
            for slot in text.slots:
                if slot not in names:
                    self._problem(
                        key, "nothing has the name of this slot", value=slot, fix=suggest(slot, names)
                    )
        for key, table in _every_condition(self.read):
            for tag in table.unless:
                if tag not in self.tags:
                    fix = suggest(tag, sorted(self.tags)) if self.tags else "no value gives a tag"
                    self._problem(f"{key}.unless", "no value gives this tag", value=tag, fix=fix)

    def _check_reach(self, variant: Variant) -> None:
        """Check that texts end, are not endless in length, and that each template can say every attribute."""
        reach = _Reach(variant)
        for name in (*variant.attributes, *variant.phrases, *variant.lists):
            if reach.follow(name) is None:
                self._problem(
                    name, "its text leads back to itself", fix="remove the slot that closes the circle"
                )
        if self.problems:
            return
        for number, template in enumerate(variant.templates, 1):
            said, length = reach.of(template.text)
            missing = [
                a.name for a in variant.attributes.values() if a.shown_by is None and a.name not in said
            ]
            if missing:
                message = (
                    f"the template never says {', '.join(missing)}, so what is asked for could be left out"
                )
                self._problem(f"templates.{number}", message, fix="add a [ {slot}] for each")
            if length > MAX_PROMPT_CHARS:
                message = f"the template can make a prompt of more than {MAX_PROMPT_CHARS:,} characters"
                self._problem(f"templates.{number}", message, fix="use fewer slots")


class _Reach:
    """What a text can say, and how long it can be."""

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._known: dict[str, tuple[frozenset[str], int] | None] = {}

    def follow(self, name: str) -> tuple[frozenset[str], int] | None:
        """Return the attributes that a slot can say, and its greatest length; None if it contains itself."""
        if name not in self._known:
            self._known[name] = None
            texts = list(_texts_of(self._variant, name))
            found = [self.of(text) for text in texts]
            if any(length < 0 for _, length in found):
                return None
            is_list = name in self._variant.lists
            lengths = [length for _, length in found]
            longest = sum(lengths) if is_list else max(lengths, default=0)
            extra = len(texts) * 100 if is_list else 0
            own = {name} if name in self._variant.attributes else set()
            # A text that is there for one value only says the value: "woman", "she".
            own |= {other for each in self._variant.phrases.get(name, ()) for other in each.conditions.when}
            self._known[name] = (
                frozenset(own.union(*(said for said, _ in found))),
                min(longest + extra, 10**9),
            )
        return self._known[name]

    def of(self, text: Text) -> tuple[frozenset[str], int]:
        """Return the same of a text; a negative length if it contains itself."""
        said: set[str] = set()
        length = sum(len(each) for each in _words(text))
        for name in text.slots:
            found = self.follow(name)
            if found is None:
                return frozenset(), -1
            said |= found[0]
            length += found[1]
        return frozenset(said), length


def _words(text: Text) -> Iterator[str]:
    for part in text.parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Optional):
            yield from _words(part.text)


def _texts_of(variant: Variant, name: str) -> Iterator[Text]:
    if name in variant.attributes:
        yield from (value.text for value in variant.attributes[name].values.values())
    elif name in variant.phrases:
        for alternative in variant.phrases[name]:
            yield alternative.text
    else:
        yield from variant.lists[name].items


def _every_text(variant: Variant) -> Iterator[tuple[str, Text]]:
    for table in ("attributes", "phrases", "lists"):
        for name in getattr(variant, table):
            for text in _texts_of(variant, name):
                yield f"{table}.{name}", text
    yield from ((f"templates.{number}", each.text) for number, each in enumerate(variant.templates, 1))


def _every_condition(read: Read) -> Iterator[tuple[str, Condition]]:
    for name, table in read.vocabulary.attributes.items():
        yield from ((f"attributes.{name}", each) for each in (table, *table.choices))
    for name, texts in read.vocabulary.phrases.items():
        yield from ((f"phrases.{name}", each) for each in texts if isinstance(each, PhraseTable))
