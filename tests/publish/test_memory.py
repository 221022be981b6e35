"""Memory is bounded: a run whose process may not have as much as its images passes all the same."""

import json
import sys
from pathlib import Path

import pytest

from tests.support import good_folder, image_bytes, run_release

NUM_IMAGES = 2_500
LIMIT_MB = 700
LIMITED = (
    "import resource, sys; "
    f"resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT_MB * 10**6}, {LIMIT_MB * 10**6})); "
    "from publish.release import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts mapped memory against this limit")
def test_a_release_larger_than_the_memory_it_may_have(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "faces", NUM_IMAGES)
    for number, name in enumerate(list(folder.images)):
        folder.images[name] = image_bytes(number, "PNG", size=(320, 320))
    path = folder.write()
    assert sum(map(len, folder.images.values())) > LIMIT_MB * 10**6
    captions = tmp_path / "captions.jsonl"
    lines = ({"file_name": row[0], "caption": f"caption {n}"} for row in folder.rows for n in range(20))
    captions.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    folder.images.clear()
    arguments: list[str | Path] = ["--sfhq", path, "--captions", captions, "--out", tmp_path / "dist"]
    for version in ("1.0", "1.0.1"):
        run = run_release("--version", version, *arguments, door=["-c", LIMITED])
        assert run.status == 0, run.err
