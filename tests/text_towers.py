"""A small model whose tokenizer and text tower come from transformers, and a stand-in for that library.

The stand-in reads a folder as transformers does. Any other name it looks for on the Hub, as transformers
does: that opens a connection, which tests refuse. It does not load weights of text towers at all.
"""

from __future__ import annotations

import importlib.metadata
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

MODEL, TAG = "tiny-roberta", "ours"
REPOSITORY, WEIGHTS_REPOSITORY = "tests/text-tower", "tests/weights"
_VOCABULARY = {"<pad>": 0, "<other>": 1, "a": 2, "smiling": 3, "person": 4, "child": 5}
# What a repository on the Hub holds; the last three must never be asked for.
TEXT_FILES: Mapping[str, bytes] = {
    "config.json": json.dumps({"model_type": "roberta", "hidden_size": 16, "pad_token_id": 0}).encode(),
    "vocab.json": json.dumps(_VOCABULARY).encode(),
    "tokenizer_config.json": json.dumps({"tokenizer_class": "RobertaTokenizer"}).encode(),
    "model.safetensors": b"weights of the text tower",
    "modeling_ours.py": b"raise SystemExit",
    "vocab.pkl": b"a pickle",
}
UNWANTED = ("model.safetensors", "modeling_ours.py", "vocab.pkl")


def write_text_files(folder: Path) -> Path:
    """Write the files of tokenizer and text tower that a model needs into a folder."""
    folder.mkdir(parents=True)
    for name, data in TEXT_FILES.items():
        if name not in UNWANTED:
            (folder / name).write_bytes(data)
    return folder


def add_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have open_clip know the model and its tag for the time of a test; return a file of random weights."""
    import open_clip
    import torch
    from open_clip import factory, pretrained
    from safetensors.torch import save_file

    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "head_width": 32, "width": 64, "layers": 1},
        "text_cfg": {"hf_model_name": REPOSITORY, "hf_tokenizer_name": REPOSITORY},
    }
    _install(monkeypatch)
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {**factory._MODEL_CONFIGS, MODEL: config})
    monkeypatch.setitem(
        pretrained._PRETRAINED, MODEL, {TAG: pretrained._pcfg(hf_hub=f"{WEIGHTS_REPOSITORY}/")}
    )
    folder = write_text_files(tmp_path / "first")
    torch.manual_seed(0)
    text = {"hf_model_name": str(folder), "hf_model_pretrained": False}
    path = tmp_path / "random.safetensors"
    save_file(
        open_clip.create_model(MODEL, load_weights=False, pretrained_text=False, text_cfg=text).state_dict(),
        path,
    )
    return path


def _install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have open_clip find the stand-in where it looks for transformers."""
    from open_clip import hf_model

    library = ModuleType("transformers")
    made = {"AutoConfig": _AutoConfig, "AutoModel": _AutoModel, "AutoTokenizer": _AutoTokenizer}
    vars(library).update(made)
    monkeypatch.setitem(sys.modules, "transformers", library)
    for name, value in (made | {"transformers": library}).items():
        monkeypatch.setattr(hf_model, name, value, raising=False)
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "5.0" if name == "transformers" else version(name)
    )


def _read(name: str, file: str, *, local_files_only: bool = False) -> Any:
    path = Path(name) / file
    if Path(name).is_dir() and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    if not local_files_only and not Path(name).is_dir():
        socket.create_connection(("huggingface.co", 443)).close()
    raise OSError(f"{name} does not appear to have a file named {file}")


class _AutoConfig:
    @staticmethod
    def from_pretrained(name: str, **options: Any) -> Any:
        return SimpleNamespace(vocab_size=len(_VOCABULARY), **_read(name, "config.json", **options))


class _AutoModel:
    @staticmethod
    def from_config(config: Any, **_: Any) -> Any:
        import torch

        class Tower(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embeddings = torch.nn.Embedding(config.vocab_size, config.hidden_size)

            def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
                return SimpleNamespace(last_hidden_state=self.embeddings(input_ids))

        return Tower()

    @staticmethod
    def from_pretrained(name: str, **_: Any) -> Any:
        raise AssertionError(f"weights of the text tower {name} are loaded, and they are in the checkpoint")


class _AutoTokenizer:
    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary

    @classmethod
    def from_pretrained(
        cls, name: str, *, cache_dir: object, local_files_only: bool = False
    ) -> _AutoTokenizer:
        return cls(_read(name, "vocab.json", local_files_only=local_files_only))

    def __call__(self, texts: Sequence[str], *, max_length: int, **_: object) -> Any:
        import torch

        rows = [[self._vocabulary.get(word, 1) for word in text.split()][:max_length] for text in texts]
        padded = [row + [0] * (max_length - len(row)) for row in rows]
        return SimpleNamespace(input_ids=torch.tensor(padded))
