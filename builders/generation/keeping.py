"""What a rewriting has to keep of a prompt, and what a language model says beside it."""

import re
from collections.abc import Iterator, Sequence

# Of the content words of a prompt whose attributes are not known, the share that stays; numbers all stay.
LEAST_SHARE = 0.8
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+|[.,;:!?()]")
_SMALL = """
    a about above after all along also am an and any are around as at be been before being below
    beside between both but by can did do does doing down during each for from further had has have
    having he her here hers him his how i if in into is it its just me more most my nor of off on
    once only or other our out over own same she so some such than that the their them then there
    these they this those through to too under until up very was we were what when where which while
    who whom why will with you your image photo picture portrait show shows showing seen
"""
_SMALL_WORDS = frozenset(_SMALL.split())
_NO = "no not without never neither none nor non lacking sans free isn't aren't doesn't don't"
_NEGATIONS = frozenset(_NO.split())
_ENDS = "but with in on at while who whose wearing and"
_SCOPE_ENDS = frozenset(_ENDS.split())
_SCOPE_WORDS = 3
_ENDINGS = re.compile(r"(?:'s|ing|edly|ed|ly|ies|es|s|y|e)$")
_LEAST_STEM = 3
# How a model begins that does not answer with the text alone, in small letters.
_REFUSES = re.compile(
    r"^\W*(?:(?:i'?m |i am )?(?:(?:really|very|so) )?sorry\b|my apologies|i apologi[sz]e|unfortunately,? i\b|"
    r"(?:i'm|i am) (?:unable|not able)|i must decline|(?:i'd|i would) (?:rather|prefer) not|"
    r"i (?:can't|can ?not|won't|will not|do not|don't)\b)|"
    r"\bas an? (?:ai|artificial|large language|language model)\b|"
    r"\b(?:against|violates?) (?:\w+ ){0,3}(?:guidelines|policy|policies)\b|"
    r"\bi (?:can't|cannot|am unable to) (?:help|assist|rewrite|comply|fulfil|create|generate)"
)
_NEW = "(?:new|rewritten|revised|updated|simplified|quality|final|enhanced|improved)"
_CHATS = re.compile(
    r"^\W*(?:(?:sure|certainly|absolutely|okay|ok|gladly)\b[,.!:]|of course\b|no problem|great[!,]|happy to|"
    r"here(?:'s| is| are| you)|below is|(?:(?:the|your|a|my) )?"
    rf"(?:{_NEW} )?(?:prompt|version|rewriting|output|answer|result)\b[^.]{{0,40}}:)|"
    r"\b(?:let me know|hope this helps|feel free to|would you like me|"
    r"i(?: have|'ve) (?:rewritten|kept|added|made))\b"
)
_MARKUP = re.compile(
    r"\*\*|__|`[^`]+`|```|^[ \t]*(?:#+ |[-*\u2022] |\d+[.)] |>)|</?[a-z]+>|[{}]", re.MULTILINE
)
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}


def find_chatter(text: str, base: str) -> str | None:
    """Return what a text has that is no part of a prompt, in words for its writer; None if it has nothing.

    Args:
        text: What a language model answered.
        base: The prompt; what it has itself may stay.
    """
    said, known = text.strip(), base.strip()
    lower, known_lower = (each.casefold().replace("\u2019", "'") for each in (said, known))
    if _REFUSES.search(lower) and not _REFUSES.search(known_lower):
        return "This is no prompt, but a refusal."
    if _CHATS.search(lower) and not _CHATS.search(known_lower):
        return "Answer with the new prompt only, without a word before or after it."
    if "\n" in said or (_MARKUP.search(said) and not _MARKUP.search(known)):
        return "Write plain text in one paragraph, without markup."
    if len(said) > 1 and _QUOTES.get(said[0]) == said[-1] and said[0] != known[:1]:
        return "Leave out the quotation marks around the prompt."
    return None


def find_lost_words(text: str, base: str) -> Sequence[str]:
    """Return the content words of a prompt that a text lacks if they are too many, and its numbers always."""
    has = {_stem(word) for word in _words(text)}
    words = list(dict.fromkeys(word for word in _words(base) if _is_content(word)))
    lost = [word for word in words if _stem(word) not in has]
    is_enough = len(words) - len(lost) >= LEAST_SHARE * len(words)
    return [word for word in lost if word.isdigit()] if is_enough else lost


def find_changed_negations(text: str, base: str) -> Sequence[str]:
    """Return what a prompt says is not there and a text says is, or the other way round."""
    wanted, said = list(_negated(base)), set[str]()
    for group in _negated(text):
        said |= {_stem(word) for word in group}
    changed = [" ".join(["no", *group]) for group in wanted if not said & {_stem(word) for word in group}]
    absent = {_stem(word) for group in wanted for word in group}
    there = dict.fromkeys(word for word in _words(base) if _is_content(word) and _stem(word) not in absent)
    return changed + [word for word in there if _stem(word) in said]


def _negated(text: str) -> Iterator[Sequence[str]]:
    """Yield the content words behind each negation, up to a sign or a word that begins something else."""
    words = _WORD.findall(text.casefold().replace("\u2019", "'"))
    for place, word in enumerate(words):
        if word not in _NEGATIONS or (word == "free" and words[place + 1 : place + 2] != ["of"]):
            continue
        group = list[str]()
        for following in words[place + 1 :]:
            ends = following in _SCOPE_ENDS or not following[0].isalnum() or following in _NEGATIONS
            if ends or len(group) == _SCOPE_WORDS:
                break
            if _is_content(following):
                group.append(following)
        if group:
            yield group


def _words(text: str) -> Sequence[str]:
    return [word for word in _WORD.findall(text.casefold()) if word[0].isalnum()]


def _is_content(word: str) -> bool:
    return word.isdigit() or (len(word) > 2 and word not in _SMALL_WORDS and word not in _NEGATIONS)


def _stem(word: str) -> str:
    """Return a word without its ending, so that "curls" is "curly"."""
    stem = _ENDINGS.sub("", word)
    return stem if len(stem) >= _LEAST_STEM else word
