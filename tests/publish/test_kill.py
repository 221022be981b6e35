"""Killed at any moment, a run leaves no half release, and the next run succeeds.

The victim kills itself with SIGKILL at the n-th thing it does to the output folder (opening a file to
write, making a folder, renaming): an audit hook sees them all, so the product knows nothing of this.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from publish.checks.release import check_release
from tests.support import (
    ROOT,
    good_folder,
    refused_record,
    request_record,
    run_release,
    tree_digest,
    write_requests,
)

# Each run is a fork of one process, and is killed at every n-th moment, as the second argument says. The
# first run is not killed: it counts the moments, and lists what it imported, which the process then imports
# once for all other runs. Importing takes longer than a run.
RUNS = """
import json, os, signal, sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
import publish.run.releasing
from publish.checks import loading
from publish.checks.release import check_release
from publish.release import main
from tests.support import load_with_pyarrow
loading.load_with_datasets = load_with_pyarrow
place, step, *settings = sys.argv[1:]
counted = Path(place) / "counted.json"
os.makedirs(place)

def in_a_fork(run):
    child = os.fork()
    if child == 0:
        try:
            status = run()
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
            status = 70
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def release(out, moment):
    seen = 0
    def kill(event, arguments):
        nonlocal seen
        if event == "open" and not (isinstance(arguments[1], str) and set("wxa+") & set(arguments[1])):
            return
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.listdir"):
            if str(arguments[0]).startswith(out):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
    if moment is not None:
        sys.addaudithook(kill)
    status = main([*settings, "--out", out])
    if moment == 0:
        counted.write_text(json.dumps([seen, list(sys.modules)]))
    return status

def look(out, again):
    left = sorted(path.name for path in Path(out).iterdir())
    if again:
        assert left == ["1.0", "checked.txt", "known-files.txt", "receipts"], left
    if "1.0" in left:  # the rename was made: then the release is whole
        problems = check_release(Path(out) / "1.0")
        assert problems == [], problems
    return 0

assert in_a_fork(lambda: release(f"{place}/0", 0)) == 0
moments, modules = json.loads(counted.read_text())
for module in modules:
    with suppress(ImportError):
        import_module(module)
for moment in range(int(step), moments + 1, int(step)):
    out = f"{place}/{moment}"
    status = in_a_fork(lambda: release(out, moment))
    assert status == -signal.SIGKILL, (moment, status)
    assert not os.path.isdir(out) or in_a_fork(lambda: look(out, False)) == 0, moment
    assert in_a_fork(lambda: release(out, None)) == 0, moment
    assert in_a_fork(lambda: look(out, True)) == 0, moment
"""


@pytest.mark.slow
def test_a_run_killed_at_every_moment_leaves_no_half_release_and_the_next_one_succeeds(
    tmp_path: Path,
) -> None:
    images = good_folder(tmp_path / "good", 1)  # one image: figures of more take most of a run
    folder = images.write()
    write_requests(folder, [request_record(images, 0), refused_record(images, 1)])
    before = tree_digest(folder)
    settings = ["--version", "1.0", "--config", str(ROOT / "release.toml"), "--sfhq", str(folder)]
    command = [sys.executable, "-c", RUNS, str(tmp_path / "dist"), "1", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tree_digest(folder) == before
    moments, _ = json.loads((tmp_path / "dist" / "counted.json").read_text())
    assert moments > 35


def run_until_two_files_are_finished(folder: Path, out: Path) -> dict[Path, int]:
    """Run a release that kills itself when it notes its third data file; give the inodes of the first two."""
    killed = (
        "import os, signal, sys; from publish.release import main; seen = []\n"
        "def kill(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('.journal') and arguments[1] == 'a':\n"
        "        seen.append(event)\n"
        "        len(seen) == 3 and os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(kill); main(sys.argv[1:])"
    )
    run = run_release("--version", "1.0", "--sfhq", folder, "--out", out, door=["-c", killed])
    assert run.status == -signal.SIGKILL
    work = out / "1.0.work"
    lines = (work / "1.0.journal").read_text().splitlines()[1:]
    paths = [Path(json.loads(line)["path"]) for line in lines]
    assert len(paths) == 2
    return {path: (work / "1.0" / path).stat().st_ino for path in paths}


@pytest.mark.slow
def test_files_that_a_killed_run_had_finished_are_kept_and_not_written_again(tmp_path: Path) -> None:
    folder, out = good_folder(tmp_path / "good").write(), tmp_path / "dist"
    finished = run_until_two_files_are_finished(folder, out)
    kept, torn = finished
    path = out / "1.0.work" / "1.0" / torn
    path.write_bytes(path.read_bytes()[:-1])
    assert run_release("--version", "1.0", "--sfhq", folder, "--out", out).status == 0
    assert (out / "1.0" / kept).stat().st_ino == finished[kept]
    assert (out / "1.0" / torn).is_file()
    assert check_release(out / "1.0") == []


@pytest.mark.slow
def test_what_was_finished_from_other_inputs_is_not_kept(tmp_path: Path) -> None:
    folder, out = good_folder(tmp_path / "good"), tmp_path / "dist"
    finished = run_until_two_files_are_finished(folder.write(), out)
    folder.rows[0][2] = "another prompt"
    assert run_release("--version", "1.0", "--sfhq", folder.write(), "--out", out).status == 0
    assert not any((out / "1.0" / path).exists() for path in finished)
    assert check_release(out / "1.0") == []


@pytest.mark.slow
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    folder, out = good_folder(tmp_path / "good").write(), tmp_path / "dist"
    limited = (
        "import resource, signal, sys; from publish.release import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)); sys.exit(main(sys.argv[1:]))"
    )
    run = run_release("--version", "1.0", "--sfhq", folder, "--out", out, door=["-c", limited])
    assert run.status == 1
    assert "Traceback" not in run.err
    assert "run the same command again" in run.err
    assert not (out / "1.0").exists()
    assert run_release("--version", "1.0", "--sfhq", folder, "--out", out).status == 0


@pytest.mark.slow
def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    folder, out = good_folder(tmp_path / "good").write(), tmp_path / "dist"
    interrupted = (
        "import os, signal, sys, publish.run.releasing; from publish.release import main;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # ignored in the background of a shell
        "sys.addaudithook(lambda event, _: event == 'os.mkdir' and os.kill(os.getpid(), signal.SIGINT));"
        "sys.exit(main(sys.argv[1:]))"
    )
    run = run_release("--version", "1.0", "--sfhq", folder, "--out", out, door=["-c", interrupted])
    assert run.status == 130
    assert "the same command goes on" in run.err
    assert "Traceback" not in run.err


@pytest.mark.slow
def test_a_release_is_not_changed_by_a_later_run(sample_copy: Path) -> None:
    before = tree_digest(sample_copy)
    assert run_release("--version", "1.0", "--out", sample_copy.parent).status == 0
    assert tree_digest(sample_copy) == before
    assert os.path.lexists(sample_copy / "manifest.json")
