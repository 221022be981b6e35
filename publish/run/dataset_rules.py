"""What is refused of the `[dataset]` table before anything is built: hosts or readers would refuse it later.

The models of settings are also those of manifests, so rules that came later stand here: an old release must
stay readable.
"""

import re
from collections.abc import Iterator
from functools import partial

from schemas.problems import Problem, Reason, suggest
from schemas.settings import DatasetSettings

# ISO 639-1, https://www.loc.gov/standards/iso639-2/php/code_list.php. The Hub takes these, codes of ISO 639-3
# (three letters, 7,900 of them: only their form is checked) and two words of its own.
_TWO_LETTERS = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja
jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb
nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so
sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_LANGUAGES = frozenset((*_TWO_LETTERS.split(), "code", "multilingual"))
_THREE_LETTERS = re.compile(r"[a-z]{3}")
_TEXTS = ("description", "out_of_scope", "limitations", "biases", "social_impact", "personal_information")
_MAX_TEXT_CHARS = 100_000
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")


def refuse_dataset(dataset: DatasetSettings, file: str) -> Iterator[Problem]:
    """Yield a problem for each setting of the dataset that no host or card can take.

    Args:
        dataset: The table.
        file: The settings file, for problems.
    """
    at = partial(Problem, Reason.SETTINGS, file=file)
    for code in dataset.languages:
        if code not in _LANGUAGES and not _THREE_LETTERS.fullmatch(code):
            near = suggest(code.lower(), _LANGUAGES) if code.lower() in _LANGUAGES else ""
            fix = near or "write a code of ISO 639 in small letters, such as en or nob"
            message = "the Hub knows no language by this code"
            yield at(message, column="dataset.languages", value=code, fix=fix)
    for name in _TEXTS:
        text: str = getattr(dataset, name)
        if len(text) > _MAX_TEXT_CHARS:
            message = f"the text has {len(text):,} characters, and a card takes {_MAX_TEXT_CHARS:,}"
            yield at(message, column=f"dataset.{name}", fix="shorten it, and link to the rest")
        elif line := find_open_fence(text):
            message = f"the code fence in line {line} is never closed, and would swallow the rest of the card"
            value = text.splitlines()[line - 1]
            yield at(message, column=f"dataset.{name}", value=value, fix="close it with the same signs")


def find_open_fence(text: str) -> int | None:
    """Return the line, from 1, at which a fenced code block of Markdown begins that is never closed, or None.

    A block ends with at least as many of the same signs as it began with, and nothing after them:
    https://spec.commonmark.org/0.31.2/#fenced-code-blocks.
    """
    fence, start = "", None
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if match is None:
            continue
        signs, rest = match.groups()
        if not fence:
            if signs[0] == "~" or "`" not in rest:  # else it is code within a line
                fence, start = signs, number
        elif signs.startswith(fence) and not rest.strip():
            fence, start = "", None
    return start
