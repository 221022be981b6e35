"""What holds for every test: no network but loopback, no caches of the user's, no traces left."""

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_HOME = tempfile.mkdtemp(prefix="sfhq-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {"HF_HOME": _HOME, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
os.environ["MPLCONFIGDIR"] = _HOME

import pytest  # noqa: E402 - after the environment that libraries read when they are imported
from hypothesis import settings  # noqa: E402

from publish.release import main  # noqa: E402
from tests.support import MODELS, ROOT, good_folder  # noqa: E402

settings.register_profile("fast", max_examples=30, deadline=None)
settings.load_profile("fast")


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test wants to reach {address!r}")


sys.addaudithook(_refuse_network)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Give an empty folder for what the kit writes, apart from the sources."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def sample_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shipped release of the built-in sample, once."""
    out = tmp_path_factory.mktemp("dist")
    status = main(["--version", "1.0", "--config", str(ROOT / "release.toml"), "--out", str(out)])
    assert status == 0
    return out / "1.0"


@pytest.fixture(scope="session")
def plain_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a release of a folder with the shipped settings, which means without features, once."""
    out = tmp_path_factory.mktemp("plain")
    folder = good_folder(out / "collection").write()
    arguments = ["--config", str(ROOT / "release.toml"), "--sfhq", str(folder), "--out", str(out / "dist")]
    assert main(["--version", "1.0", *arguments]) == 0
    return out / "dist" / "1.0"


@pytest.fixture
def sample_copy(sample_release: Path, tmp_path: Path) -> Path:
    """Give a copy of the sample's release, to spoil."""
    return Path(shutil.copytree(sample_release, tmp_path / "1.0"))


@pytest.fixture(scope="session")
def sfhq_sample() -> Path:
    """Give the folder of real images that lies beside the project on some machines."""
    folder = ROOT.parent / "shared" / "sfhq-sample"
    if not folder.is_dir():
        pytest.skip("there are no real images beside the project")
    return folder


@pytest.fixture
def make_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Have open_clip know a small model for the time of a test, and give the file of its random weights."""
    import open_clip
    import torch
    from open_clip import factory
    from safetensors.torch import save_file

    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", [*factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {**factory._MODEL_CONFIGS})

    def make(name: str) -> Path:
        config = tmp_path / f"{name}.json"
        config.write_text(json.dumps(MODELS[name]))
        open_clip.add_model_config(config)
        torch.manual_seed(0)
        path = tmp_path / "random.safetensors"
        save_file(open_clip.create_model(name, load_weights=False).state_dict(), path)
        return path

    return make
