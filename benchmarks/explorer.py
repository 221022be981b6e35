"""Measure the explorer's page in a browser on a release of the real collection's size.

The release has the rows of the built-in sample over and over, with ids of their own, images of 64 pixels, two
captions with attributes for each, and random vectors of 512 numbers. Its files are written as the kit writes
them. Then `sfhq explore` makes the thumbnails, and headless Chromium measures:

- first pictures: from opening the address to the first picture on the screen, with an empty cache
- all read: until every facet is counted
- scrolling: through the whole wall to its end and back, a step with each frame; frames over 100 ms
- search: a text that is typed, until its pictures are counted
- more like this: until the pictures are sorted by similarity, the vectors read for it
- memory: of the processes of the page, the largest and at the end, and what was read over HTTP

    python benchmarks/explorer.py --images 122726
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import hashlib
import io
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.chromium import open_chromium
from benchmarks.options import positive
from builders.release.formats.parquet import ParquetShard, read_parquet
from publish.checks.files import read_manifest
from publish.release import main as release
from schemas.configs import CONFIGS, Config, configs_with
from schemas.features import image_feature_columns
from schemas.manifest import Manifest, Shard

ROOT = Path(__file__).resolve().parent.parent
ROWS_PER_FILE, ROWS_PER_GROUP = 5_000, 1_000
SIDE_PX, DIMENSION = 64, 512
FIRST = "document.querySelector('.tile img')?.naturalWidth > 0"
TRAFFIC = "document.querySelector('#traffic').innerText"
FRAMES = """() => {
    let last = performance.now()
    window.frames_ = []
    const count = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(count) }
    requestAnimationFrame(count)
}"""
SCROLL = """async (steps) => {
    const wall = document.querySelector('.wall')
    const end = wall.scrollHeight - wall.clientHeight
    for (const places of [[0, end], [end, 0]]) {
        for (let step = 0; step <= steps; step++) {
            wall.scrollTop = places[0] + (places[1] - places[0]) * step / steps
            await new Promise((resolve) => requestAnimationFrame(resolve))
        }
    }
}"""


def _new_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _small(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        file = io.BytesIO()
        image.resize((SIDE_PX, SIDE_PX)).save(file, "JPEG", quality=85)
    return file.getvalue()


def _read(folder: Path, manifest: Manifest, config: Config) -> list[dict[str, Any]]:
    paths = [folder / shard.path for shard in manifest.shards if shard.config == config.name]
    return [row for path in paths for row in read_parquet(path, config.columns)]


def _write(folder: Path, config: Config, rows: Iterator[dict[str, Any]], num_rows: int) -> Iterator[Shard]:
    """Write rows into files as the kit does, and yield what the manifest says of each."""
    (folder / config.folder).mkdir()
    for number, start in enumerate(range(0, num_rows, ROWS_PER_FILE)):
        own = min(ROWS_PER_FILE, num_rows - start)
        place = f"{config.folder}/train-{number:05d}-{'0' * 12}.parquet"
        shard = ParquetShard(folder / place, config.columns)
        for first in range(0, own, ROWS_PER_GROUP):
            shard.write_group([next(rows) for _ in range(min(ROWS_PER_GROUP, own - first))])
        shard.close()
        data = (folder / place).read_bytes()
        yield Shard(
            path=place,
            num_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            config=config.name,
            split="train",
            number=number,
            num_rows=own,
        )


def make_release(work: Path, num_images: int) -> Path:
    """Write a release with many images, and return its folder."""
    given = ["--version", "1.0", "--config", str(ROOT / "release.toml"), "--out", str(work / "sample")]
    if release(given):
        raise SystemExit("the sample's release was not built")
    sample = work / "sample" / "1.0"
    manifest = read_manifest(sample)
    pictures = _read(sample, manifest, CONFIGS["default"])
    captions = _read(sample, manifest, CONFIGS["captions"])
    for row in pictures:
        row["image"]["bytes"] = _small(row["image"]["bytes"])
    own = {
        row["image_id"]: [one for one in captions if one["image_id"] == row["image_id"]] for row in pictures
    }
    features = next(iter(_feature_configs(manifest)))

    def make_pictures() -> Iterator[dict[str, Any]]:
        for number in range(num_images):
            sha256 = _new_id(number)
            row = pictures[number % len(pictures)]
            yield {**row, "image_id": sha256[:16], "sha256": sha256, "file_name": f"{number}.jpg"}

    def make_captions() -> Iterator[dict[str, Any]]:
        for number in range(num_images):
            for at, row in enumerate(own[pictures[number % len(pictures)]["image_id"]]):
                caption_id = _new_id(-2 * number - at - 1)[:16]
                yield {**row, "caption_id": caption_id, "image_id": _new_id(number)[:16]}

    def make_vectors() -> Iterator[dict[str, Any]]:
        draw = np.random.default_rng(0)
        for number in range(num_images):
            vector = draw.standard_normal(DIMENSION).astype(np.float32)
            vector = (vector / np.linalg.norm(vector)).astype(np.float16).astype(np.float32)
            score = float(draw.normal(0.3, 0.05))
            yield {"image_id": _new_id(number)[:16], "embedding": vector, "prompt_similarity": score}

    folder = work / "1.0"
    folder.mkdir()
    num_captions = sum(len(own[pictures[number % len(pictures)]["image_id"]]) for number in range(num_images))
    shards = [
        *_write(folder, CONFIGS["default"], make_pictures(), num_images),
        *_write(folder, CONFIGS["prompts"], make_pictures(), num_images),
        *_write(folder, CONFIGS["captions"], make_captions(), num_captions),
        *_write(folder, features, make_vectors(), num_images),
    ]
    whole = manifest.model_copy(update={"shards": tuple(shards), "files": ()})
    (folder / "manifest.json").write_bytes(whole.to_json())
    return folder


def _feature_configs(manifest: Manifest) -> Iterator[Config]:
    for name, config in configs_with(manifest.inputs.features).items():
        if config.provenance is not None:
            yield Config(name, name, config.table, config.key, image_feature_columns(DIMENSION), "")
            return


class Memory:
    """Follows the memory of a browser's renderers, in the background."""

    def __init__(self, pid: int) -> None:
        self._pid, self._stopped, self.peak_mb = pid, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def now_mb(self) -> float:
        """Return what the renderers hold for themselves, in MB."""
        return max((_private_mb(path) for path in _renderers(self._pid)), default=0.0)

    def stop(self) -> None:
        """Stop following."""
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(0.2):
            self.peak_mb = max(self.peak_mb, self.now_mb())


def _renderers(parent: int) -> Iterator[Path]:
    """Yield the folders in /proc of the renderers below a process."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    for pid in parents:
        above = pid
        while above in parents and above != parent:
            above = parents[above]
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if above == parent and "--type=renderer" in command:
            yield Path(f"/proc/{pid}")


def _private_mb(path: Path) -> float:
    try:
        text = (path / "smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(kb) for kb in re.findall(r"Private_\w+:\s+(\d+) kB", text)) / 1000


@contextmanager
def explore(folder: Path) -> Iterator[str]:
    """Run the command, and yield the address that it prints."""
    command = [sys.executable, str(ROOT / "publish" / "explore.py"), str(folder), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    while (found := re.search(r"http://\S+", said)) is None:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(said)
        said += line
    try:
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def measure(address: str, num_steps: int) -> Mapping[str, str]:
    """Open the page in a browser, use it, and return what was measured."""
    found: dict[str, str] = {}
    with open_chromium(1360, 860) as page:
        memory = Memory(os.getpid())
        start = time.perf_counter()

        def since(name: str) -> None:
            found[name] = f"{time.perf_counter() - start:.1f} s"

        page.open(address)
        page.wait(FIRST)
        since("first pictures")
        page.wait("""document.querySelector('[data-facet^="seen:"]')""")
        since("all read")
        found["read for that"] = page.evaluate(TRAFFIC)
        page.evaluate(f"({FRAMES})()")
        start = time.perf_counter()
        page.evaluate(f"({SCROLL})({num_steps})")
        since("scrolling to the end and back")
        frames = page.evaluate("window.frames_")
        long = [each for each in frames if each > 100]
        found["frames over 100 ms"] = f"{len(long)} of {len(frames)}, {sum(long) / 1000:.1f} s in all"
        found["longest frame"] = f"{max(frames):.0f} ms"
        page.wait(FIRST)
        start = time.perf_counter()
        page.evaluate("location.hash = '#/pictures?q=red+hair'")
        page.wait("/ of /.test(document.querySelector('#count').textContent)")
        since("search in texts")
        found["memory, largest until here"] = f"{memory.peak_mb:.0f} MB"
        page.wait("document.querySelector('.tile[data-id]')")
        image_id = page.evaluate("document.querySelector('.tile[data-id]').dataset.id")
        start = time.perf_counter()
        page.evaluate(f"location.hash = '#/pictures?like={image_id}'")
        page.wait("document.querySelector('.score')")
        since("more like this, first time")
        page.evaluate("location.hash = '#/pictures'")
        page.wait("!document.querySelector('.score')")
        start = time.perf_counter()
        page.evaluate(f"location.hash = '#/pictures?like={image_id}&generator=SDXL'")
        page.wait("document.querySelector('.score')")
        since("again, with a filter")
        found["memory, largest"] = f"{memory.peak_mb:.0f} MB"
        found["memory, at the end"] = f"{memory.now_mb():.0f} MB"
        page.evaluate("location.hash = '#/numbers'")
        page.wait("document.querySelector('.chart')")
        found["read in all"] = page.evaluate(TRAFFIC)
        memory.stop()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=positive, default=122_726, help="images of the release")
    parser.add_argument("--steps", type=positive, default=1_500, help="frames of scrolling, each way")
    parser.add_argument("--work", type=Path, help="keep the release here, and use it again")
    options = parser.parse_args(argv)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="sfhq-explorer-") as temporary:
        work = options.work or Path(temporary)
        work.mkdir(exist_ok=True)
        folder = work / "1.0"
        if not folder.is_dir():
            folder = make_release(work, options.images)
        start = time.perf_counter()
        with explore(folder) as address:
            started = f"{time.perf_counter() - start:.1f} s"
            found = measure(address, options.steps)
    table = Table("measured", f"{options.images:,} images")
    table.add_row("the command, with thumbnails that are missing", started)
    for name, value in found.items():
        table.add_row(name, value)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
