"""The process that loads releases with `datasets`: one for all checks of a run, another after an error."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from publish.checks.loading import Consumer, LoadingError

pytestmark = pytest.mark.slow


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    made = Consumer()
    yield made
    made.close()


def test_one_process_loads_twice_and_a_new_one_follows_an_error(consumer: Consumer, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    pq.write_table(pa.table({"number": [1, 2, 3]}), release / "train.parquet")
    order: dict[str, object] = {"folder": str(release), "streamed": [], "scratch": None}
    told: list[tuple[str, int, int]] = []

    def load() -> object:
        return consumer.ask(order, lambda *each: told.append(each))

    first = load()
    assert first == {"default": {"plain": {"train": 3}, "streaming": {"train": 3}}}
    process = consumer._process
    assert told == [("default", 1, 1)]
    assert process is not None
    assert load() == first
    assert consumer._process is process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert load() == first
    home = Path(str(process.args[-1]))  # type: ignore[index] # a list
    assert not home.exists()
    shutil.rmtree(release)
    with pytest.raises(LoadingError, match="FileNotFoundError"):
        load()
    assert consumer._process is None
