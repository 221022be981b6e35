"""Second opinions on texts: the table of classifiers, and what their labels mean.

A classifier is a module beside this one with `open_judge(JudgeOptions) -> TextJudge`, and one line in
`TEXT_JUDGES`. A label whose meaning nothing says is a failure: it is never taken for safe.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from urllib.parse import urlsplit

from builders.generation.opinions import Opinion, OpinionError, TextJudge
from publish.network import Clock, RetryPolicy, TimeLimits
from schemas.problems import Problem, Reason, SettingsError, name_some, suggest

CODE = "run/text-opinion"
THRESHOLD = 0.5
SAFE, UNSAFE = "safe", "unsafe"
# Labels of well-known classifiers, in small letters with blanks for other signs. LABEL_0 says nothing.
_MEANINGS = {
    **dict.fromkeys(
        ("safe", "sfw", "ok", "neutral", "normal", "non toxic", "not toxic", "nothate", "s"), SAFE
    ),
    **dict.fromkeys(
        (
            *("unsafe", "nsfw", "toxic", "severe toxic", "toxicity", "severe toxicity", "obscene", "threat"),
            *("insult", "identity hate", "identity attack", "hate", "hate speech", "offensive", "sexual"),
            *("sexual explicit", "sexual minors", "violence", "self harm", "harassment", "porn", "h", "v"),
        ),
        UNSAFE,
    ),
}


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What a classifier needs to know.

    Attributes:
        place: Its address, name or folder.
        key: Of its server; None for none.
        labels: Label → "safe" or "unsafe", beside those that the kit knows.
        threshold: Least score of an unsafe label that counts, above 0 to 1.
        model: Name of the model at an address; None for the server's own.
        times: Limits of one request.
        note: Shows a sentence to the user.
        retry: How often a request is sent that was not done.
        clock: The time.
    """

    place: str
    key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    threshold: float = THRESHOLD
    model: str | None = None
    times: TimeLimits = field(default_factory=TimeLimits)
    note: Callable[[str], None] = lambda _: None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class TextJudgeKind:
    """One kind of classifier.

    Attributes:
        name: As `--opinion` takes it.
        module: Its module in this package.
        keys: Environment variables that may hold its key; the first that is set counts.
        extra: The kit's extra that it needs; None if it needs none.
    """

    name: str
    module: str
    keys: tuple[str, ...] = ()
    extra: str | None = None

    def may_send_key(self, place: str) -> bool:
        """Return whether the keys are for a place; a token of the Hub goes to the Hub alone, encrypted."""
        parts = urlsplit(place)
        if "HF_TOKEN" not in self.keys or not parts.netloc:
            return True
        host = f".{parts.hostname or ''}"
        return parts.scheme == "https" and host.endswith(_HUB_HOSTS)


# Of another server than the Hub's, for the kind whose own key is the Hub's token.
OTHER_SERVER_KEY = "SFHQ_CLASSIFIER_KEY"
_HUB_HOSTS = (".huggingface.co", ".endpoints.huggingface.cloud")

TEXT_JUDGES: Mapping[str, TextJudgeKind] = {
    kind.name: kind
    for kind in (
        TextJudgeKind("moderation", "text_moderation", ("SFHQ_MODERATION_KEY",), "generate"),
        TextJudgeKind("hugging-face", "text_inference", ("HF_TOKEN",)),
        TextJudgeKind("transformers", "text_classifier", (), "local"),
    )
}


def open_judge(kind: TextJudgeKind, options: JudgeOptions) -> TextJudge:
    """Open a classifier.

    Raises:
        SettingsError: A library is missing, or the classifier cannot be opened.
    """
    try:
        module = import_module(f"publish.providers.{kind.module}")
    except ImportError as error:
        message = f"the classifier {kind.name} needs a library that is not here: {error.name}"
        raise SettingsError(problem_of(message, kind.name, f"pip install '.[{kind.extra}]'")) from error
    judge: TextJudge = module.open_judge(options)
    return judge


def find_kind(name: str) -> TextJudgeKind:
    """Return a kind of classifier by its name.

    Raises:
        SettingsError: There is none.
    """
    if name not in TEXT_JUDGES:
        fix = f"{suggest(name, TEXT_JUDGES)}; kinds are: {', '.join(TEXT_JUDGES)}"
        raise SettingsError(problem_of("there is no such kind of classifier", name, fix))
    return TEXT_JUDGES[name]


def weigh(scores: Sequence[tuple[object, object]], options: JudgeOptions) -> Opinion:
    """Return what a classifier's labels come to.

    Args:
        scores: Label and score of each, as they came.
        options: Has the meanings and the threshold.

    Raises:
        OpinionError: There are no labels, a label has no meaning, or a score is none.
    """
    read, unknown = dict[str, float](), list[str]()
    for label, score in scores:
        if not isinstance(label, str) or not isinstance(score, int | float) or not 0 <= score <= 1.0001:
            raise OpinionError("its answer has a label or a score that cannot be read")
        if meaning_of(label, options.labels) is None:
            unknown.append(label[:50])
        read[label] = min(float(score), 1.0)
    if not read or any(map(math.isnan, read.values())):
        raise OpinionError("its answer has no labels")
    if unknown:
        raise OpinionError(f"nothing says what its label means: {name_some(unknown, 5)}; see --opinion-label")
    unsafe = [label for label in read if meaning_of(label, options.labels) == UNSAFE]
    return Opinion(read, any(read[label] >= options.threshold for label in unsafe), unsafe)


def meaning_of(label: str, labels: Mapping[str, str]) -> str | None:
    """Return what a label means: "safe", "unsafe", or None if nothing says it."""
    plain = " ".join("".join(char if char.isalnum() else " " for char in label.casefold()).split())
    return labels.get(label) or _MEANINGS.get(plain)


def problem_of(message: str, value: str | None, fix: str) -> Problem:
    """Return a problem with a classifier."""
    return Problem(Reason.SETTINGS, message, column="--opinion", value=value, fix=fix, code=CODE)
