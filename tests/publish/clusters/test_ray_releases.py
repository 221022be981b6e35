"""Releases on a Ray cluster: the same as those of threads, refused with a sentence, and ended by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from publish.clusters import EXECUTORS, Folders
from publish.release import main
from schemas.manifest import MANIFEST_NAME
from schemas.problems import ClusterError
from tests.publish.clusters.faults import faulty_folder
from tests.support import ROOT, good_folder

pytestmark = pytest.mark.slow
_WAIT_SECONDS = 900


def release(out: Path, *flags: str | Path) -> int:
    arguments = ("--version", "1.0", "--out", out, *flags)
    return main([str(each) for each in arguments])


@pytest.mark.usefixtures("ray_address")
def test_the_sample_is_the_same_release(sample_release: Path, tmp_path: Path) -> None:
    assert release(tmp_path, "--on", "ray") == 0
    assert (tmp_path / "1.0" / MANIFEST_NAME).read_bytes() == (sample_release / MANIFEST_NAME).read_bytes()


@pytest.mark.usefixtures("ray_address")
def test_rejected_rows_are_the_same(tmp_path: Path) -> None:
    folder = faulty_folder(tmp_path / "collection").write()
    outs = [tmp_path / name for name in ("threads", "ray")]
    for out in outs:
        assert release(out, "--sfhq", folder, "--on", out.name) == 0
    assert len({(out / "1.0" / MANIFEST_NAME).read_bytes() for out in outs}) == 1
    here, there = (pq.read_table(out / "rejected" / "1.0.parquet") for out in outs)
    assert here == there
    assert here.num_rows == 3


@pytest.mark.usefixtures("ray_address")
def test_a_source_that_no_machine_sees_is_refused_before_work(tmp_path: Path) -> None:
    folders = Folders(tmp_path, (tmp_path / "images",))
    with pytest.raises(ClusterError) as caught, EXECUTORS["ray"].open(folders):
        pass
    assert [problem.file for problem in caught.value.problems] == [str(tmp_path / "images")]
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_a_cluster_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ClusterError) as caught, EXECUTORS["ray"].open(Folders(tmp_path)):
        pass
    (problem,) = caught.value.problems
    assert (problem.code, problem.value) == ("run/cluster-unreachable", "127.0.0.1:9")


def test_ctrl_c_ends_the_cluster_of_the_command_and_leaves_the_run_to_be_resumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    folder, out = good_folder(tmp_path / "collection", 40).write(), tmp_path / "out"
    flags = ["--version", "1.0", "--out", str(out), "--sfhq", str(folder)]
    command = [sys.executable, "publish/release.py", *flags, "--on", "ray"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + _WAIT_SECONDS
        while not list(out.glob("1.0.work/1.0/*")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert process.poll() is None
        processes = children(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=_WAIT_SECONDS)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert any("raylet" in name for name in processes.values())
    assert not [pid for pid in processes if is_running(pid)]
    assert release(out, "--sfhq", folder) == 0
    assert release(tmp_path / "other", "--sfhq", folder) == 0
    manifests = {(each / "1.0" / MANIFEST_NAME).read_bytes() for each in (out, tmp_path / "other")}
    assert len(manifests) == 1


def children(pid: int) -> dict[int, str]:
    """Return the commands of all processes that a process started, directly or not."""
    found = dict[int, str]()
    with suppress(FileNotFoundError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
                found |= {child: command.decode(), **children(child)}
    return found


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
