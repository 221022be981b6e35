"""Attributes by an image classifier of `transformers`: a folder, or a name whose files the Hub's cache has.

Nothing is downloaded, weights are safetensors, and no code of a model is run.
"""

import hashlib
import io
import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from builders.features.attributing import Answer, ModelOptions
from builders.features.encoder import ImageNotEncodedError
from builders.images.integrity import upright
from publish.providers.attributes import CODE
from publish.providers.local_classifiers import ClassifierNotLoadedError, load_classifier
from schemas.problems import Problem, Reason, SettingsError, name_some
from schemas.records import IMAGE_FORMATS

_BATCH_SIZES = {"cpu": 8, "cuda": 64}
_THRESHOLD = 0.5
_DIGITS = 3
_FLOAT = np.dtype("<f4")


class ImageClassifier:
    """One classifier; `open_models` makes it.

    Args:
        options: `place` is the folder or the name; `attribute` and `labels` say what its labels mean.

    Raises:
        SettingsError: The model is not on this machine, brings code, has no safe weights, or nothing says
            what its labels mean.
    """

    def __init__(self, options: ModelOptions) -> None:
        place = options.place or ""
        transformers.utils.logging.set_verbosity(logging.CRITICAL)  # what goes wrong is said below
        transformers.utils.logging.disable_progress_bar()
        folder = Path(place).expanduser()
        name = folder.resolve().name if folder.is_dir() else place  # paths of this machine go into no record
        if folder.is_dir():
            _refuse_code(folder, place)
        self._model, self._prepare = _load(str(folder) if folder.is_dir() else place)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device).eval()
        config = self._model.config
        self._labels = [str(config.id2label[number]) for number in range(config.num_labels)]
        self._meanings = _read_meanings(options, self._labels, place)
        self._thresholds = {
            attribute: options.thresholds.get(attribute, _THRESHOLD)
            for attribute, _ in self._meanings.values()
        }
        self._is_multiple = getattr(config, "problem_type", None) == "multi_label_classification"
        version = options.version or _digest_weights(self._model)[:8]
        self.source_model = f"{name} {version}"
        self.maker = self._describe()
        self.recipe = json.dumps([self._labels, self._meanings, self._thresholds], sort_keys=True)
        self.batch_size, self.num_workers = _BATCH_SIZES[self._device], 1
        self._turn = threading.Lock()

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        """Return the probability of each label, as `AttributeModel` says."""
        pixels = [self._read(position, data) for position, data in enumerate(images)]
        with self._turn, torch.inference_mode():
            # One by one on a CPU, where a batch is no faster and the numbers would depend on its size.
            sizes = 1 if self._device == "cpu" else len(pixels)
            logits = [
                self._model(pixel_values=torch.stack(pixels[start : start + sizes]).to(self._device)).logits
                for start in range(0, len(pixels), sizes)
            ]
            joined = torch.cat(logits).float()
            shares = joined.sigmoid() if self._is_multiple else joined.softmax(-1)
        return [row.tobytes() for row in shares.cpu().numpy().astype(_FLOAT)]

    def answer(self, made: bytes) -> Iterable[Answer]:
        """Return the likeliest value of each attribute, or an abstention, as `AttributeModel` says."""
        shares = dict(zip(self._labels, np.frombuffer(made, _FLOAT).tolist(), strict=True))
        values = dict[str, dict[str, float]]()
        for label, (attribute, value) in self._meanings.items():
            known = values.setdefault(attribute, {})
            # Labels that mean one thing are added up, unless each stands for itself.
            known[value] = (
                max(known.get(value, 0.0), shares[label])
                if self._is_multiple
                else known.get(value, 0.0) + shares[label]
            )
        for attribute, known in values.items():
            best = max(known, key=lambda value: known[value])
            share = round(min(known[best], 1.0), _DIGITS)
            if share < self._thresholds[attribute]:
                yield Answer(attribute, None, None, self.source_model)
            else:
                yield Answer(attribute, best, share, self.source_model)

    def _read(self, position: int, data: bytes) -> torch.Tensor:
        try:
            with Image.open(io.BytesIO(data), formats=list(IMAGE_FORMATS)) as image:
                prepared = self._prepare(images=upright(image).convert("RGB"), return_tensors="pt")
            pixels: torch.Tensor = prepared["pixel_values"][0]
        except Exception as error:  # decoders and processors raise many types; each one means the same here
            raise ImageNotEncodedError(position, str(error) or type(error).__name__) from error
        return pixels

    def _describe(self) -> str:
        """Return a digest of everything that probabilities depend on."""
        said = [
            _digest_weights(self._model),
            self._model.config.to_json_string(use_diff=False),
            self._prepare.to_json_string(),
            *(f"{each.__name__} {each.__version__}" for each in (transformers, torch)),
            self._device,
        ]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _load(place: str) -> tuple[Any, Any]:
    try:
        return load_classifier(
            transformers.AutoModelForImageClassification, transformers.AutoImageProcessor, place
        )
    except ClassifierNotLoadedError as error:
        raise _refusal(str(error), place, error.fix) from None


def _refuse_code(folder: Path, place: str) -> None:
    code = next(folder.rglob("*.py"), None)
    if code is not None:
        message = f"the model brings code of its own, which is never run: {code.relative_to(folder)}"
        raise _refusal(message, place, "name another model")


def _read_meanings(options: ModelOptions, labels: Sequence[str], place: str) -> Mapping[str, tuple[str, str]]:
    """Return label → attribute and value.

    Raises:
        SettingsError: Nothing says it, or a label is not one of the model's.
    """
    listed = f"the model's labels are: {name_some(labels, 20)}"
    if options.labels:
        unknown = [label for label in options.labels if label not in labels]
        if unknown:
            raise _refusal(f"the model has no label {name_some(unknown, 5)}", place, listed)
        return options.labels
    if options.attribute is None:
        fix = (
            '[[captions.models]] with attribute = "glasses", or labels = { LABEL_0 = "glasses=none" }; '
            f"{listed}"
        )
        raise _refusal("nothing says which attribute the model's labels are values of", place, fix)
    return {label: (options.attribute, label.replace("_", " ").strip().lower()) for label in labels}


def _digest_weights(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(
            tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
            if tensor.ndim
            else repr(tensor.item()).encode()
        )
    return digest.hexdigest()


def _refusal(message: str, place: str, fix: str) -> SettingsError:
    return SettingsError(Problem(Reason.SETTINGS, message, column="--model", value=place, fix=fix, code=CODE))


def open_models(options: ModelOptions) -> Sequence[ImageClassifier]:
    """Open the classifier that `options.place` names: see `publish/providers/attributes.py`.

    Raises:
        SettingsError: It cannot be loaded, or nothing says what its labels mean.
    """
    return [ImageClassifier(options)]
