"""Files of models: checkpoints and what belongs to a tokenizer. Files that could run code are refused.

A pickle can hold code that runs when it is read, and `torch.save` writes pickles. `weights_only=True` reads
those that hold nothing but tensors and plain containers; safetensors cannot hold anything else.
"""

import hashlib
import json
import pickle
import zipfile
from pathlib import Path

import safetensors
import torch

from schemas.problems import Problem, Reason, SettingsError

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
TEXT_CONFIG = "config.json"
# transformers takes the class of a tokenizer or text tower from one of these.
_NAME_CLASSES = (TEXT_CONFIG, "tokenizer_config.json")


def read_digest(path: Path) -> str:
    """Return the SHA-256 of a checkpoint.

    Raises:
        SettingsError: It cannot be read, or its name does not say that it is a checkpoint.
    """
    if path.suffix not in SUFFIXES:
        raise refuse(
            path, "this is not a checkpoint", f"give a file whose name ends in {', '.join(SUFFIXES)}"
        )
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise refuse(path, f"the weights cannot be read: {error.strerror}", "check the path") from error


def check_checkpoint(path: Path) -> None:
    """Make sure that a checkpoint is whole and holds numbers only.

    Raises:
        SettingsError: It is damaged, or holds what could run code.
    """
    if _is_program(path):
        raise refuse(
            path,
            "this is a TorchScript program, which is code, as OpenAI published its models",
            'use the same weights as safetensors; pretrained = "openai" without a path downloads them',
        )
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt") as file:
                file.keys()
        else:
            torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise refuse(
            path,
            "the checkpoint holds more than numbers, and reading it could run code",
            "use weights in the safetensors format, or convert it yourself if you trust it",
        ) from error
    except Exception as error:  # the two libraries raise many types on damaged files
        raise refuse(
            path,
            f"the checkpoint is damaged or of another kind: {first_line(error)}",
            "copy or download it again",
        ) from error


def _is_program(path: Path) -> bool:
    """Whether a file is a TorchScript archive, which torch tells from a checkpoint by this name, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def check_text_files(folder: Path) -> None:
    """Make sure that the files of a tokenizer, or of a text tower's configuration, name no code to run.

    Args:
        folder: Holds the files; those that are optional may be missing.

    Raises:
        SettingsError: There is no such folder, a file is damaged, or it names Python code of its own.
    """
    if not folder.is_dir():
        raise refuse(folder, "there is no folder of files for the model's texts", "check the path")
    for path in (folder / name for name in _NAME_CLASSES):
        if not path.exists():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"the file is damaged: {first_line(error)}"
            raise refuse(path, message, "copy or download it again") from error
        # For this key transformers asks in the terminal whether to run code, which it then downloads.
        if not isinstance(content, dict) or "auto_map" in content:
            message = "the file names code of its own (auto_map), or is not an object of JSON"
            raise refuse(path, message, "use a model whose classes are part of transformers")


def refuse(path: Path, message: str, fix: str) -> SettingsError:
    """Return an error about a file of a model."""
    return SettingsError(Problem(Reason.SETTINGS, message, file=str(path), fix=fix))


def first_line(error: Exception) -> str:
    """Return the first line of a library's message, which may be pages long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
