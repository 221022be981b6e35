"""Weights are found where the settings say; the Hub is asked only for a tag, and once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from huggingface_hub import constants

from publish.hosts.hub import client
from publish.providers.weights import find_weights
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings
from schemas.problems import SettingsError

TAG = FeatureSettings(model="ViT-B-32", pretrained="laion2b_s34b_b79k")
REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


class _Answer(BaseHTTPRequestHandler):
    """Answers as the Hub does for files of a model's repository."""

    files: ClassVar[Mapping[str, bytes]]
    asked: ClassVar[list[str]]

    def do_HEAD(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        data = self.files.get(self.path.removeprefix(f"/{REPOSITORY}/resolve/main/"))
        self.send_response(404 if data is None else 200)
        if data is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if self.command == "GET" and data is not None:
            self.wfile.write(data)

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *arguments: object) -> None:
        pass


class Hub:
    """A Hub on loopback with one repository; `files` may be changed."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        handler = type("Handler", (_Answer,), {"files": self.files, "asked": self.asked})
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
        find_weights(settings, hub.url)
    return str(caught.value)


def test_a_file_is_taken_as_it_is_and_nobody_is_asked(tmp_path: Path, hub: Hub) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")
    assert find_weights(FeatureSettings(model="ViT-B-32", pretrained=str(path)), hub.url) == path
    here = FeatureSettings(model="ViT-B-32", pretrained="mine.safetensors")
    assert find_weights(here, hub.url, tmp_path) == path
    assert hub.asked == []


def test_a_tags_file_may_be_here_already(tmp_path: Path, hub: Hub) -> None:
    settings = TAG.model_copy(update={"weights": "mine.safetensors"})
    assert find_weights(settings, hub.url, tmp_path) == tmp_path / "mine.safetensors"
    assert hub.asked == []


def test_the_demonstration_encoder_needs_no_file(hub: Hub) -> None:
    assert find_weights(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG), hub.url) is None
    assert "no other weights" in refusal(FeatureSettings(model=DEMO_MODEL, pretrained="openai"), hub)
    with_a_file = FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG, weights="mine.safetensors")
    assert "leave weights out" in refusal(with_a_file, hub)
    assert hub.asked == []


def test_a_tag_is_downloaded_once_and_then_works_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files |= {"open_clip_model.safetensors": b"numbers", "open_clip_pytorch_model.bin": b"a pickle"}
    path = find_weights(TAG, hub.url)
    assert path is not None
    assert (path.name, path.read_bytes()) == ("open_clip_model.safetensors", b"numbers")
    assert sum(line.startswith("GET") for line in hub.asked) == 1
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    before = len(hub.asked)
    assert find_weights(TAG, hub.url) == path
    assert len(hub.asked) == before


def test_older_repositories_have_another_kind_of_file(hub: Hub) -> None:
    hub.files["open_clip_pytorch_model.bin"] = b"older"
    path = find_weights(TAG, hub.url)
    assert path is not None
    assert path.read_bytes() == b"older"


def test_a_repository_without_weights_is_named(hub: Hub) -> None:
    message = refusal(TAG, hub)
    assert f"{REPOSITORY} has none of open_clip_model.safetensors, open_clip_pytorch_model.bin" in message


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
