"""Classifiers of `transformers` on this machine: a folder, or a name whose files the Hub's cache has.

Nothing is downloaded, weights are safetensors, and no code of a model is run.
"""

from typing import Any

from publish.network import redact


class ClassifierNotLoadedError(Exception):
    """A classifier cannot be loaded.

    Attributes:
        fix: What to do.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def load_classifier(model: Any, preprocessor: Any, place: str) -> tuple[Any, Any]:
    """Return a model and what prepares its input.

    Args:
        model: The auto class of the model.
        preprocessor: That of its tokenizer or image processor.
        place: The folder or the name.

    Raises:
        ClassifierNotLoadedError: One of them is not on this machine, or cannot be read.
    """
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        loaded = model.from_pretrained(place, use_safetensors=True, **options)
        return loaded, preprocessor.from_pretrained(place, **options)
    except Exception as error:  # the libraries', about files that may hold anything
        said = redact(f"{type(error).__name__}: {error}")
    fix = f"give a folder with .safetensors weights, or put the model here: hf download {place}"
    raise ClassifierNotLoadedError(f"the classifier cannot be loaded from this machine ({said})", fix)
