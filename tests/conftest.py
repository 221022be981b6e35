"""What holds for every test: no network but loopback, no caches of the user's, no traces left."""

import atexit
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_HOME = tempfile.mkdtemp(prefix="sfhq-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {"HF_HOME": _HOME, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
os.environ["MPLCONFIGDIR"] = _HOME

import pytest  # noqa: E402 - after the environment that libraries read when they are imported
from hypothesis import settings  # noqa: E402

from publish.checks import loading  # noqa: E402
from publish.clusters.local_ray import set_token, start_cluster  # noqa: E402
from publish.release import main  # noqa: E402
from tests.readers.environments import MakeEnvironment, make_environment  # noqa: E402
from tests.readers.page import RecordResult, record  # noqa: E402
from tests.support import (  # noqa: E402
    MODELS,
    ROOT,
    copy_folder,
    good_folder,
    load_with_pyarrow,
    lock,
    protect,
)

settings.register_profile("fast", max_examples=30, deadline=None)
settings.load_profile("fast")


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test wants to reach {address!r}")


sys.addaudithook(_refuse_network)

# A shell has what it puts into the background ignore Ctrl-C, and so would every command that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Ray reads this once in a process, when it is imported. A test that names an address, which imports Ray
# without a token, would otherwise keep the cluster of the tests after it out of reach.
set_token()

# A process that imports `datasets` takes 2.5 CPU seconds for each release that is checked. Fixtures of
# modules build releases before those of tests run, so this is set here. Child processes have the real one.
load_with_datasets = loading.load_with_datasets
loading.load_with_datasets = load_with_pyarrow


@pytest.fixture(autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test marked `loads` check releases with the real `datasets`."""
    if request.node.get_closest_marker("loads") is not None:
        monkeypatch.setattr(loading, "load_with_datasets", load_with_datasets)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return an empty folder for what the kit writes, apart from the sources."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of this run that all workers share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """Return the address of a Ray cluster on this machine, one for all tests of a worker."""
    with start_cluster(num_cpus=2) as address:
        yield address


@pytest.fixture(scope="module")
def ray_address(ray_cluster: str) -> Iterator[str]:
    """Have RAY_ADDRESS name the cluster of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", ray_cluster)
        yield ray_cluster


def build_once(out: Path, *arguments: str) -> Path:
    """Return the release 1.0 in a shared folder; the first worker that needs it builds it."""
    release = out / "1.0"
    with lock(out.with_suffix(".lock")):
        if not release.exists():  # it comes to its place whole
            arguments = ("--config", str(ROOT / "release.toml"), "--out", str(out), *arguments)
            assert main(["--version", "1.0", *arguments]) == 0
            protect(release)
    return release


@pytest.fixture(scope="session")
def sample_release(shared: Path) -> Path:
    """Return the shipped release of the built-in sample, read-only: `sample_copy` is there to spoil."""
    return build_once(shared / "dist")


@pytest.fixture(scope="session")
def plain_release(shared: Path) -> Path:
    """Return a release of a folder with the shipped settings, which means without features, read-only."""
    collection = shared / "collection"
    with lock(shared / "collection.lock"):
        if not collection.exists():
            good_folder(collection).write()
    return build_once(shared / "plain", "--sfhq", str(collection))


@pytest.fixture(scope="session")
def sfhq_release(shared: Path, sfhq_sample: Path) -> Path:
    """Return the release of the real images and captions beside the project, read-only."""
    captions = ("--captions", str(sfhq_sample / "captions.jsonl"))
    return build_once(shared / "real", "--sfhq", str(sfhq_sample), *captions)


@pytest.fixture
def sample_copy(sample_release: Path, tmp_path: Path) -> Path:
    """Return a copy of the sample's release, to spoil."""
    return copy_folder(sample_release, tmp_path / "1.0")


@pytest.fixture(scope="session")
def sfhq_sample() -> Path:
    """Return the folder of real images that lies beside the project on some machines."""
    folder = ROOT.parent / "shared" / "sfhq-sample"
    if not folder.is_dir():
        pytest.skip("there are no real images beside the project")
    return folder


@pytest.fixture(scope="session")
def environment(shared: Path) -> MakeEnvironment:
    """Return a function that makes an environment once in a run, and returns its interpreter."""

    def make(name: str, wanted: Sequence[str], *, above_ours: bool = False) -> Path:
        folder = shared / "environments" / name
        folder.parent.mkdir(exist_ok=True)
        made = folder / "made"
        with lock(folder.with_suffix(".lock")):
            if not made.exists():
                make_environment(folder, wanted, above_ours=above_ours)
                made.touch()
        return folder / "bin" / "python"

    return make


@pytest.fixture
def record_result() -> RecordResult:
    """Return a function that hands a result (program, version, release, result) to the page READERS.md."""
    return record


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make readers` runs: those with results for its page."""
    for item in items:
        if "record_result" in getattr(item, "fixturenames", ()):
            item.add_marker("reader")


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
