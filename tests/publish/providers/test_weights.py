"""Weights are found where the settings say; the Hub is asked only for a tag, and once."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from huggingface_hub import constants

from builders.features.encoder import ModelFiles, load_encoder
from publish.hosts.hub import client
from publish.providers.weights import find_model_files
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings
from schemas.problems import SettingsError
from tests import text_towers

TAG = FeatureSettings(model="ViT-B-32", pretrained="laion2b_s34b_b79k")
REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
COMMIT = "0" * 40


class _Answer(BaseHTTPRequestHandler):
    """Answers as the Hub does for models' repositories: their files, their commit, and the list of files."""

    repositories: ClassVar[Mapping[str, Mapping[str, bytes]]]
    asked: ClassVar[list[str]]

    def do_HEAD(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        path = urllib.parse.urlsplit(self.path).path
        repository = next((each for each in self.repositories if f"/{each}/" in path), None)
        if repository is None:
            self._send(None, "RepoNotFound")
            return
        files = self.repositories[repository]
        place = path.partition(f"/{repository}/")[2]
        if place.startswith("resolve/"):
            self._send(files.get(place.split("/", 2)[2]), "EntryNotFound")
        elif place.startswith("revision/"):
            self._send(json.dumps({"id": repository, "sha": COMMIT}).encode())
        else:
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            self._send(json.dumps(listed).encode())

    def _send(self, data: bytes | None, missing: str = "") -> None:
        self.send_response(404 if data is None else 200)
        if data is None:
            self.send_header("X-Error-Code", missing)
        else:
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if self.command == "GET" and data is not None:
            self.wfile.write(data)

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *arguments: object) -> None:
        pass


class Hub:
    """A Hub on loopback; `files` are those of one repository, and `repositories` may get more."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.repositories: dict[str, Mapping[str, bytes]] = {REPOSITORY: self.files}
        self.asked: list[str] = []
        handler = type("Handler", (_Answer,), {"repositories": self.repositories, "asked": self.asked})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever)
    thread.start()
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


def refusal(settings: FeatureSettings, hub: Hub) -> str:
    with pytest.raises(SettingsError) as caught:
        find_model_files(settings, hub.url)
    return str(caught.value)


def test_a_file_is_taken_as_it_is_and_nobody_is_asked(tmp_path: Path, hub: Hub) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")
    assert find_model_files(FeatureSettings(model="ViT-B-32", pretrained=str(path)), hub.url).weights == path
    here = FeatureSettings(model="ViT-B-32", pretrained="mine.safetensors")
    assert find_model_files(here, hub.url, tmp_path).weights == path
    assert hub.asked == []


def test_a_tags_file_may_be_here_already(tmp_path: Path, hub: Hub) -> None:
    settings = TAG.model_copy(update={"weights": "mine.safetensors"})
    assert find_model_files(settings, hub.url, tmp_path).weights == tmp_path / "mine.safetensors"
    assert hub.asked == []


def test_the_demonstration_encoder_needs_no_file(hub: Hub) -> None:
    assert find_model_files(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG), hub.url) == ModelFiles()
    assert "no other weights" in refusal(FeatureSettings(model=DEMO_MODEL, pretrained="openai"), hub)
    with_a_file = FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG, weights="mine.safetensors")
    assert "leave weights out" in refusal(with_a_file, hub)
    assert hub.asked == []


def test_a_tag_is_downloaded_once_and_then_works_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files |= {"open_clip_model.safetensors": b"numbers", "open_clip_pytorch_model.bin": b"a pickle"}
    path = find_model_files(TAG, hub.url).weights
    assert path is not None
    assert (path.name, path.read_bytes()) == ("open_clip_model.safetensors", b"numbers")
    assert sum(line.startswith("GET") for line in hub.asked) == 1
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    before = len(hub.asked)
    assert find_model_files(TAG, hub.url).weights == path
    assert len(hub.asked) == before


def test_older_repositories_have_another_kind_of_file(hub: Hub) -> None:
    hub.files["open_clip_pytorch_model.bin"] = b"older"
    path = find_model_files(TAG, hub.url).weights
    assert path is not None
    assert path.read_bytes() == b"older"


def test_a_repository_without_weights_is_named(hub: Hub) -> None:
    message = refusal(TAG, hub)
    assert f"{REPOSITORY} has none of open_clip_model.safetensors, open_clip_pytorch_model.bin" in message


@pytest.mark.slow
@pytest.mark.parametrize("offline", [True, False])
def test_without_a_network_it_is_said_what_to_do(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with client.Hub("org/name").stage("asking before"):  # as a run does that publishes to the Hub
        pass
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    hub.url = "http://127.0.0.1:1"  # nobody listens there
    message = refusal(TAG, hub)
    assert f"the weights are not on this machine, and {REPOSITORY} cannot be reached" in message
    assert "be online the first time" in message


@pytest.mark.parametrize(
    ("model", "pretrained", "expected"),
    [
        ("ViT-B-32", "laion2b_s34b_b79", "did you mean laion2b_s34b_b79k?"),
        (
            "ViT-B-32",
            "missing.safetensors",
            "neither a file nor a tag of weights that open_clip has for ViT-B-32",
        ),
        ("ViT-B-33", "openai", "open_clip has no model named ViT-B-33"),
    ],
)
def test_a_name_that_is_wrong_is_refused_with_the_nearest(
    hub: Hub, model: str, pretrained: str, expected: str
) -> None:
    message = refusal(FeatureSettings(model=model, pretrained=pretrained), hub)
    assert "features.pretrained" in message
    assert expected in message
    assert hub.asked == []


# --- tokenizers and text towers of another library -------------------------------------------

TOWER = FeatureSettings(model=text_towers.MODEL, pretrained=text_towers.TAG, dtype="float32", device="cpu")


@pytest.fixture
def tower(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the Hub hold a model and the files for its texts; return the file of its weights."""
    weights = text_towers.add_model(tmp_path, monkeypatch)
    hub.repositories[text_towers.REPOSITORY] = dict(text_towers.TEXT_FILES)
    hub.repositories[text_towers.WEIGHTS_REPOSITORY] = {"open_clip_model.safetensors": weights.read_bytes()}
    return weights


def test_a_tag_downloads_what_the_models_texts_need_and_no_more(
    tower: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_model_files(TOWER, hub.url)
    assert found.weights is not None
    assert found.weights.read_bytes() == tower.read_bytes()
    assert found.tokenizer is not None
    assert found.tokenizer == found.text_config
    wanted = text_towers.TEXT_FILES.keys() - text_towers.UNWANTED
    assert {path.name for path in found.tokenizer.iterdir()} == wanted
    asked = [line for line in hub.asked if f"/{text_towers.REPOSITORY}/" in line]
    assert not [line for line in asked if line.endswith(text_towers.UNWANTED)]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection is opened")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = len(hub.asked)
    assert load_encoder(TOWER, found).encode_texts(["a smiling person"]).shape == (1, 32)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_model_files(TOWER, hub.url) == found
    assert len(hub.asked) == before


def test_a_tags_file_that_is_here_still_needs_the_files_for_texts(tower: Path, hub: Hub) -> None:
    found = find_model_files(TOWER.model_copy(update={"weights": str(tower)}), hub.url)
    assert found.weights == tower
    assert found.tokenizer is not None
    assert not [line for line in hub.asked if text_towers.WEIGHTS_REPOSITORY in line]


def test_a_checkpoint_without_a_tag_downloads_nothing(tower: Path, hub: Hub) -> None:
    alone = TOWER.model_copy(update={"pretrained": str(tower)})
    message = refusal(alone, hub)
    assert "the files of tests/text-tower for tiny-roberta's texts are not on this machine" in message
    assert "a checkpoint without a tag downloads nothing" in message
    assert "hf download tests/text-tower --include" in message
    assert hub.asked == []
    with_tag = find_model_files(TOWER, hub.url)  # afterwards they are in the cache
    asked = len(hub.asked)
    assert find_model_files(alone, hub.url) == ModelFiles(tower, with_tag.tokenizer, with_tag.text_config)
    assert len(hub.asked) == asked


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config.json": b"{}"}, "has none of tokenizer.json, vocab.json, "),
        ({"vocab.json": b"{}"}, "has none of config.json"),
        (None, "tests/text-tower does not give the files for tiny-roberta's texts: "),
    ],
)
def test_a_repository_without_the_files_for_texts_is_named_before_weights_are_downloaded(
    files: Mapping[str, bytes] | None, expected: str, tower: Path, hub: Hub
) -> None:
    del hub.repositories[text_towers.REPOSITORY]
    if files is not None:
        hub.repositories[text_towers.REPOSITORY] = files
    message = refusal(TOWER, hub)
    assert "features.pretrained" in message
    assert expected in message
    assert not [line for line in hub.asked if text_towers.WEIGHTS_REPOSITORY in line]


def test_without_a_network_the_repository_of_the_texts_files_is_named(tower: Path, hub: Hub) -> None:
    hub.url = "http://127.0.0.1:1"  # nobody listens there
    message = refusal(TOWER, hub)
    assert "the files of tests/text-tower for tiny-roberta's texts are not on this machine, and" in message
    assert "be online the first time" in message
