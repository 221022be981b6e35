"""A text classifier of `transformers`: a folder, or a name whose files the Hub's cache has.

Nothing is downloaded, weights are safetensors, and no code of a model is run.
"""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import torch
import transformers

from builders.generation.opinions import Opinion
from publish.providers.local_classifiers import ClassifierNotLoadedError, load_classifier
from publish.providers.text_judges import JudgeOptions, meaning_of, problem_of, weigh
from schemas.problems import SettingsError, name_some

_MAX_TOKENS = 512


class TextClassifier:
    """One classifier; `open_judge` makes it.

    Args:
        options: `place` is the folder or the name.

    Raises:
        SettingsError: The model is not on this machine, or nothing says what one of its labels means.
    """

    concurrency = 1
    identity = None  # it costs nothing, and its files may change

    def __init__(self, options: JudgeOptions) -> None:
        transformers.utils.logging.set_verbosity(logging.CRITICAL)  # what goes wrong is said below
        transformers.utils.logging.disable_progress_bar()
        folder = Path(options.place).expanduser()
        # Paths of this machine go into no file.
        self.name = f"classifier {folder.resolve().name if folder.is_dir() else options.place}"
        self._options = options
        self._model, self._split = _load(str(folder) if folder.is_dir() else options.place)
        self._model.eval()
        config = self._model.config
        self._labels = [str(config.id2label[number]) for number in range(config.num_labels)]
        unknown = [label for label in self._labels if meaning_of(label, options.labels) is None]
        if unknown:
            message = f"nothing says what the classifier's labels mean: {name_some(unknown, 10)}"
            raise SettingsError(problem_of(message, options.place, f"--opinion-label {unknown[0]}=unsafe"))
        self._is_multiple = getattr(config, "problem_type", None) == "multi_label_classification"
        self._turn = threading.Lock()

    def ask(self, text: str) -> str:
        """Return labels and scores of a text as JSON; of a long one, of its first 512 tokens."""
        with self._turn, torch.inference_mode():
            tokens = self._split(text, return_tensors="pt", truncation=True, max_length=_MAX_TOKENS)
            logits = self._model(**tokens).logits[0].float()
            shares = logits.sigmoid() if self._is_multiple else logits.softmax(-1)
        return json.dumps(list(zip(self._labels, shares.tolist(), strict=True)))

    def read(self, answer: str) -> Opinion:
        """Return what an answer says: see `TextJudge`."""
        return weigh([(label, score) for label, score in json.loads(answer)], self._options)

    def close(self) -> None:
        """Do nothing: there are no connections."""


def _load(place: str) -> tuple[Any, Any]:
    try:
        return load_classifier(
            transformers.AutoModelForSequenceClassification, transformers.AutoTokenizer, place
        )
    except ClassifierNotLoadedError as error:
        raise SettingsError(problem_of(str(error), place, error.fix)) from None


def open_judge(options: JudgeOptions) -> TextClassifier:
    """Open the classifier that `options.place` names: see `TextClassifier`."""
    return TextClassifier(options)
