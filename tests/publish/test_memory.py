"""Memory is bounded: a build whose process may not have as much as its images passes all the same."""

import io
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support import ROOT, good_folder

NUM_IMAGES = 3_200
LIMIT_MB = 700
LIMITED = (
    "import resource, sys; from pathlib import Path; "
    f"resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT_MB * 10**6}, {LIMIT_MB * 10**6})); "
    "from benchmarks.jobs import build_with_kit; build_with_kit(*map(Path, sys.argv[1:]))"
)


def noise(number: int) -> bytes:
    """Draw an image as large as its pixels: to compress noise takes longer than to build the release."""
    file = io.BytesIO()
    pixels = random.Random(number).randbytes(3 * 320 * 320)
    Image.frombytes("RGB", (320, 320), pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts mapped memory against this limit")
def test_a_build_of_more_images_than_the_memory_it_may_have(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "faces", NUM_IMAGES)
    for number, name in enumerate(list(folder.images)):
        folder.images[name] = noise(number)
    path = folder.write()
    assert sum(map(len, folder.images.values())) > LIMIT_MB * 10**6
    folder.images.clear()
    # The limit counts what allocators hold: Arrow's reserves a gigabyte of addresses, and glibc's keeps what
    # is freed in up to eight arenas for each core, and of blocks up to 32 MB once it has freed one.
    allocators = {
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
    environment = {**os.environ, **allocators, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LIMITED, str(path), str(tmp_path / "dist")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dist" / "1.0" / "manifest.json").is_file()
