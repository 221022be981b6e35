"""Finds what a text says of a person: atoms of the lexicon, each said or denied, and ages.

Words that say an atom by themselves are looked up. An adjective is bound to its noun: the next one to the
right ("long brown hair"), or the one that a verb links it to ("her hair is long and brown").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builders.generation.captions.ages import Age, AgeMention, find_ages
from builders.generation.captions.lexicon import Lexicon, Wording, load_lexicon
from builders.generation.captions.words import Word, split_words

_MAX_LIST = 60  # words in a list of what is denied
_FAR = 14  # words between an adjective and its noun
_NEGATORS = frozenset(
    (
        *(
            "no",
            "not",
            "without",
            "never",
            "neither",
            "nor",
            "lacks",
            "lacking",
            "lack",
            "none",
            "cannot",
            "free",
        ),
        *("absent", "isn't", "aren't", "doesn't", "don't", "hasn't", "haven't", "wasn't", "weren't", "can't"),
    )
)
# Where the scope of "no" and "without" ends.
_SCOPE_ENDS = frozenset(
    (
        *(
            "but",
            "and",
            "with",
            "while",
            "who",
            "whose",
            "which",
            "that",
            "though",
            "although",
            "yet",
            "except",
        ),
        *(
            "instead",
            "is",
            "are",
            "was",
            "were",
            "has",
            "have",
            "wears",
            "shows",
            "looks",
            "appears",
            "seems",
        ),
        *("stands", "he", "she", "they", "his", "her", "their", "wearing"),
    )
)
_COPULAS = frozenset({"is", "are", "was", "were"})
_ABSENT = frozenset({"not", "absent", "missing", "nowhere", "none"})
# After these, an adjective to the left belongs to no noun that comes later.
_AFTER_ADJECTIVE = frozenset(
    (
        *("and", "or", "but", "with", "while", "against", "in", "under", "who", "which", "that", "as", "set"),
        *(
            "lit",
            "wearing",
            "he",
            "she",
            "they",
            "the",
            "a",
            "an",
            "her",
            "his",
            "their",
            "behind",
            "on",
            "at",
        ),
        *("from", "by", "framed", "framing", "toned", "colored", "coloured", "where", "whose", "is", "are"),
        *("giving", "standing", "to"),
    )
)


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that a text says.

    Attributes:
        atom: What, as the lexicon names it.
        is_denied: Whether the text says that it is not so.
        start: Place of the first character.
        end: Place after the last one.
    """

    atom: str
    is_denied: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says.

    Attributes:
        words: Its words and marks.
        denied: For each of them, whether "no", "not" or "without" reaches it.
        mentions: What it says.
        ages: The ages that it says.
        grown_up: Words that are wrong for anyone under 18.
    """

    words: Sequence[Word]
    denied: Sequence[bool]
    mentions: Sequence[Mention]
    ages: Sequence[AgeMention]
    grown_up: Sequence[Word]


def read_text(text: str) -> Reading:
    """Read a text."""
    words = split_words(text)
    finder = _Finder(load_lexicon(), words)
    numbers = list(find_ages(text))
    # The words of "34 years old" and "older than 70" say nothing more.
    taken = [(age.start, age.end) for age in numbers]
    ages = [age for age in finder.find_ages() if not any(start <= age.start < end for start, end in taken)]
    mentions = [
        mention
        for mention in finder.find()
        if not (
            mention.atom.startswith("years/") and any(start <= mention.start < end for start, end in taken)
        )
    ]
    grown_up = [word for word in words if word.text in finder.lexicon.grown_up]
    return Reading(words, finder.denied, mentions, [*numbers, *ages], grown_up)


class _Finder:
    def __init__(self, lexicon: Lexicon, words: Sequence[Word]) -> None:
        self.lexicon, self._words = lexicon, words
        self._texts = tuple(word.text for word in words)
        self.denied = list(self._find_scopes())

    def find(self) -> Iterator[Mention]:
        place = 0
        while place < len(self._words):
            length = 1
            for size, wordings in self._candidates(place):
                found = list(self._choose(place, size, wordings))
                if found:
                    length = size
                    yield from found
                    break
            place += length

    def find_ages(self) -> Iterator[AgeMention]:
        """Yield the ages that words say; not those in a denial."""
        place = 0
        while place < len(self._words):
            sizes = (2, 1) if place + 1 < len(self._words) else (1,)
            size = next(
                (n for n in sizes if " ".join(self._texts[place : place + n]) in self.lexicon.ages), 0
            )
            if size and not self.denied[place]:
                low, high = self.lexicon.ages[" ".join(self._texts[place : place + size])]
                last = self._words[place + size - 1]
                start = self._words[place].start
                yield AgeMention(Age(low, high), is_number=False, start=start, end=last.end)
            place += size or 1

    def _candidates(self, place: int) -> Iterator[tuple[int, list[Wording]]]:
        """Yield the wordings that stand at a place, the longest first, with their number of words."""
        by_size: dict[int, list[Wording]] = {}
        for wording in self.lexicon.by_word.get(self._texts[place], ()):
            size = len(wording.words)
            if self._texts[place : place + size] == wording.words:
                by_size.setdefault(size, []).append(wording)
        yield from sorted(by_size.items(), reverse=True)

    def _choose(self, place: int, size: int, wordings: Sequence[Wording]) -> Iterator[Mention]:
        """Yield what words at a place say: as adjectives of their noun, or else by themselves."""
        heads = {wording.head for wording in wordings if wording.head is not None}
        if size == 1 and self._is_noun(place):
            heads = set()
        bound = self._bind(place, size, heads) if heads else set()
        chosen = [wording for wording in wordings if wording.head in bound]
        chosen = chosen or [wording for wording in wordings if wording.head is None]
        start, end = self._words[place].start, self._words[place + size - 1].end
        for atom, is_denial in dict.fromkeys((each.atom, each.is_denial) for each in chosen):
            # "She is not smiling" denies the smile.
            is_person = self.lexicon.role_of(atom) in ("gender", "young")
            is_denied = self.denied[place] or (not is_person and self._is_denied_after(place + size))
            yield Mention(atom, is_denied != is_denial, start, end)

    def _is_noun(self, place: int) -> bool:
        """Return whether a word is the noun of the adjective before it, such as "light" in "soft light"."""
        head = self.lexicon.heads.get(self._texts[place])
        before = self._texts[place - 1] if place else ""
        return head is not None and any(
            wording.head == head for wording in self.lexicon.by_word.get(before, ())
        )

    def _bind(self, place: int, size: int, wanted: set[str]) -> set[str]:
        """Return the heads of the nouns that an adjective belongs to, of those that are wanted."""
        found = self._bind_right(place + size, wanted) or self._bind_left(place, size, wanted)
        if found:
            return found
        before = self._texts[max(place - 3, 0) : place]
        return {head for head in wanted if self._is_before(head, before)}

    def _bind_right(self, place: int, wanted: set[str]) -> set[str]:
        after_comma = False
        for step in range(place, min(place + _FAR, len(self._words))):
            text, word = self._texts[step], self._words[step]
            head = self.lexicon.heads.get(text)
            if head is not None and not after_comma:
                if head in wanted:
                    return {head, *self._second_head(step, wanted)}
                if not self._is_adjective_again(step):
                    return set()
            elif word.is_end or not (
                word.is_comma
                or text in self.lexicon.before_noun
                or text in self.lexicon.adjective_words
                or text.endswith("ly")
                or text[0].isdigit()
            ):
                return set()
            after_comma = word.is_comma or text in ("and", "or")
        return set()

    def _second_head(self, step: int, wanted: set[str]) -> set[str]:
        """Return the head in "brown hair and eyes"."""
        if self._texts[step + 1 : step + 2] != ("and",) or step + 2 >= len(self._words):
            return set()
        return {self.lexicon.heads.get(self._texts[step + 2], "")} & wanted

    def _is_adjective_again(self, step: int) -> bool:
        """Return whether a head is an adjective here, such as "light" in "light brown hair"."""
        following = self._texts[step + 1 : step + 2]
        return (
            self._texts[step] in self.lexicon.adjective_words
            and bool(following)
            and (following[0] in self.lexicon.adjective_words or following[0] in self.lexicon.heads)
        )

    def _bind_left(self, place: int, size: int, wanted: set[str]) -> set[str]:
        """Return the head that a verb links an adjective to; a noun behind the adjective forbids it."""
        after = self._words[place + size : place + size + 1]
        if after and not (
            after[0].is_mark
            or after[0].text in _AFTER_ADJECTIVE
            or after[0].text in self.lexicon.adjective_words
            or after[0].text in self.lexicon.before_noun
        ):
            return set()
        is_apposition = True  # only adjectives up to here: "her hair, long and brown,"
        for step in range(place - 1, max(place - 1 - _FAR, -1), -1):
            text, word = self._texts[step], self._words[step]
            head = self.lexicon.heads.get(text)
            if head is not None:
                is_linked = head != "person" or set(self._texts[step + 1 : place]) & _COPULAS
                if head in wanted and is_linked:
                    return {head}
                if text not in self.lexicon.adjective_words:
                    return set()
            elif word.is_end or not (
                (word.is_comma and is_apposition)
                or text in self.lexicon.after_noun
                or text in self.lexicon.adjective_words
                or text.endswith("ly")
            ):
                return set()
            is_apposition &= word.is_comma or text == "and" or text in self.lexicon.adjective_words
            if "person" in wanted and text in ("in", "a", "an", "with"):
                wanted = wanted - {"person"}
        return set()

    def _is_before(self, head: str, before: Sequence[str]) -> bool:
        """Return whether words before an adjective say what it is of: "against teal"."""
        marks = self.lexicon.before.get(head, frozenset())
        rest = [text for text in before if text not in ("a", "an", "the", "plain", "simple", "solid")]
        return bool(rest) and rest[-1] in marks

    def _is_denied_after(self, place: int) -> bool:
        """Return whether words behind say that something is not there: "glasses are not worn"."""
        behind = self._texts[place : place + 2]
        return len(behind) == 2 and behind[0] in _COPULAS and behind[1] in _ABSENT

    def _find_scopes(self) -> Iterator[bool]:
        """Yield for each word whether it is in the scope of "no", "not" or "without"."""
        is_denied = was_negator = False
        for place, word in enumerate(self._words):
            is_negator = word.text in _NEGATORS
            ends = word.is_end or word.text in _SCOPE_ENDS or (word.is_comma and not self._goes_on(place))
            if is_negator:
                is_denied = True
            elif ends and not (was_negator and not word.is_mark):  # "not wearing" and "do not have" go on
                is_denied = False
            was_negator = is_negator
            yield is_denied and not is_negator

    def _goes_on(self, comma: int) -> bool:
        """Return whether a list of what is denied goes on behind a comma: "no hat, glasses or beard"."""
        for word in self._words[comma + 1 : comma + 1 + _MAX_LIST]:
            text = word.text
            if text in ("or", "nor"):
                return True
            if word.is_end or text in _SCOPE_ENDS or text in _NEGATORS:
                return False
        return False
