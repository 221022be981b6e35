"""Models whose texts another library reads are loaded from local files, and no connection is opened."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders.features.encoder import Encoder, ModelFiles, load_encoder
from schemas.features import FeatureSettings
from schemas.problems import Reason, SettingsError
from tests.support import image_bytes
from tests.text_towers import MODEL, TAG, add_model, write_text_files

SETTINGS = FeatureSettings(model=MODEL, pretrained=TAG, dtype="float32", device="cpu")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFiles:
    weights = add_model(tmp_path, monkeypatch)
    folder = write_text_files(tmp_path / "given")
    return ModelFiles(weights, folder, folder)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuse and note every connection and every look-up of an address."""
    tried: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        tried.append(arguments[-1])
        raise OSError("a connection is opened")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


def test_a_model_is_loaded_from_its_files_without_a_connection(
    files: ModelFiles, connections: list[object]
) -> None:
    encoder: Encoder = load_encoder(SETTINGS, files)
    assert encoder.encode_images([image_bytes(1)]).shape == (1, 32)
    one, other, same = encoder.encode_texts(["a smiling person", "a child", "a  smiling person"])
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    found = encoder.provenance
    assert (found.pretrained, found.context_length) == (TAG, 77)
    assert found.libraries["transformers"] == "5.0"
    assert connections == []


def test_open_clip_by_itself_would_open_one(files: ModelFiles, connections: list[object]) -> None:
    """The stand-in asks the Hub as transformers does, so the test above would notice."""
    import open_clip

    with pytest.raises(OSError, match="a connection is opened"):
        open_clip.get_tokenizer(MODEL)
    with pytest.raises(OSError, match="a connection is opened"):
        open_clip.create_model(MODEL, str(files.weights), pretrained_text=False)
    assert len(connections) == 2


def refusal(files: ModelFiles) -> str:
    with pytest.raises(SettingsError) as caught:
        load_encoder(SETTINGS, files)
    (problem,) = caught.value.problems
    assert problem.reason is Reason.SETTINGS
    assert problem.fix
    return str(caught.value)


@pytest.mark.parametrize(
    ("missing", "expected", "fix"),
    [
        (
            "tokenizer",
            "the files of its tokenizer, tests/text-tower, were not given",
            "ModelFiles(tokenizer=...)",
        ),
        (
            "text_config",
            "the configuration of its text tower, tests/text-tower, was not given",
            "ModelFiles(text_config=...)",
        ),
    ],
)
def test_files_that_were_not_given_are_named(
    missing: str, expected: str, fix: str, files: ModelFiles, connections: list[object]
) -> None:
    message = refusal(replace(files, **{missing: None}))
    assert f"features.model: {expected} (value: '{MODEL}')" in message
    assert fix in message
    assert connections == []


def drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: object) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop("vocab.json"), "its tokenizer cannot be loaded: "),
        (drop("config.json"), f"config.json: the configuration of {MODEL}'s text tower is missing"),
        (write("config.json", {"auto_map": {"AutoModel": "theirs--code.Model"}}), "names code of its own"),
        (
            write("tokenizer_config.json", {"auto_map": {"AutoTokenizer": "code.Ours"}}),
            "names code of its own",
        ),
        (write("tokenizer_config.json", ["no object"]), "is not an object of JSON"),
        (
            lambda folder: (folder / "config.json").write_text("{"),
            "config.json: the file is damaged: ",
        ),
    ],
)
def test_files_that_are_no_use_are_refused_without_a_connection(
    change: Callable[[Path], object], expected: str, files: ModelFiles, connections: list[object]
) -> None:
    assert files.tokenizer is not None
    change(files.tokenizer)
    assert expected in refusal(files)
    assert connections == []


def test_a_folder_that_does_not_exist_is_named(files: ModelFiles, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert f"{nowhere}: there is no folder of files" in refusal(replace(files, tokenizer=nowhere))


def test_a_tokenizer_that_open_clip_would_take_by_the_models_name_is_refused(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch, connections: list[object]
) -> None:
    """For SigLIP without a named tokenizer, open_clip downloads one from a bucket of Google's."""
    from open_clip import factory

    config = {key: value for key, value in factory._MODEL_CONFIGS[MODEL].items() if key != "text_cfg"}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-SigLIP", config | {"text_cfg": {}})
    with pytest.raises(SettingsError, match="does not say which tokenizer"):
        load_encoder(SETTINGS.model_copy(update={"model": "tiny-SigLIP"}), files)
    assert connections == []
