"""Packs of thumbnails: small, in the rows' order, kept where images are kept."""

import hashlib
import io
import itertools
import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image

from builders.images.thumbnails import MAX_THUMBNAIL_BYTES, make_thumbnail
from builders.parallel import Threads, untracked
from builders.release.reader import ReleaseReader
from builders.release.thumbnails import INDEX_NAME, make_packs
from publish.checks.files import read_manifest
from schemas.manifest import Shard
from schemas.problems import ReleaseError
from tests.support import image_bytes

T = TypeVar("T")


def shards_of(release: Path) -> list[Shard]:
    return [shard for shard in read_manifest(release).shards if shard.config == "default"]


def read_pack(path: Path, num_rows: int) -> list[bytes]:
    data = path.read_bytes()
    offsets = np.frombuffer(data[: 4 * (num_rows + 1)], "<u4").tolist()
    assert offsets[-1] == len(data)
    return [data[start:end] for start, end in itertools.pairwise(offsets)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (24, 16), (600, 600), (3, 900), (1500, 2)])
def test_a_thumbnail_of_noise_is_small(kind: str, size: tuple[int, int]) -> None:
    small = make_thumbnail(image_bytes(1, kind, size=size))
    assert 0 < len(small) <= MAX_THUMBNAIL_BYTES
    with Image.open(io.BytesIO(small)) as image:
        assert image.format == "WEBP"
        assert max(image.size) <= 160


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "1"])
def test_every_mode_has_a_thumbnail(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (300, 200)).save(file, "PNG")
    assert make_thumbnail(file.getvalue())


@pytest.mark.parametrize("data", [b"", b"no image", image_bytes(1)[:100], b"GIF89a" + bytes(20)])
def test_what_does_not_decode_has_no_thumbnail(data: bytes) -> None:
    assert make_thumbnail(data) == b""


def test_a_turned_photograph_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (80, 40)).save(file, "JPEG", exif=exif)
    with Image.open(io.BytesIO(make_thumbnail(file.getvalue()))) as image:
        assert image.size == (40, 80)


def test_packs_have_the_pictures_in_the_order_of_the_rows(sample_release: Path, tmp_path: Path) -> None:
    shards = shards_of(sample_release)
    make_packs(sample_release, shards, tmp_path, Threads(2), untracked)
    index = json.loads((tmp_path / INDEX_NAME).read_text())
    assert [pack["num_rows"] for pack in index["packs"]] == [shard.num_rows for shard in shards]
    found = [each for pack in index["packs"] for each in read_pack(tmp_path / pack["file"], pack["num_rows"])]
    images = ReleaseReader(sample_release, shards).column("default", "image")
    assert found[:5] == [make_thumbnail(image["bytes"]) for image, _ in zip(images, range(5), strict=False)]
    assert all(0 < len(each) <= MAX_THUMBNAIL_BYTES for each in found)


class Stopped(BaseException):
    """A run that is stopped."""


def test_a_stopped_run_leaves_no_half_pack_and_goes_on(sample_release: Path, tmp_path: Path) -> None:
    (shard,) = shards_of(sample_release)
    other = tmp_path / "release"
    paths = ["images/train-00000-a.parquet", "images/train-00001-b.parquet"]
    (other / "images").mkdir(parents=True)
    for path in paths:
        (other / path).write_bytes((sample_release / shard.path).read_bytes())
    shards = [shard.model_copy(update={"path": path}) for path in paths]
    out = tmp_path / "packs"

    def stop_late(items: Iterable[T], stage: str, total: int | None, /) -> Iterator[T]:
        for number, item in enumerate(items):
            if number == shard.num_rows + 3:
                raise Stopped
            yield item

    with pytest.raises(Stopped):
        make_packs(other, shards, out, Threads(1), stop_late)
    (first,) = out.iterdir()
    written = first.stat().st_mtime_ns
    (out / "old.pack").write_bytes(b"of a file that is gone")
    made: list[int] = []

    def count(items: Iterable[T], stage: str, total: int | None, /) -> Iterable[T]:
        made.append(total or 0)
        return items

    make_packs(other, shards, out, Threads(1), count)
    assert made == [shard.num_rows]
    assert first.stat().st_mtime_ns == written
    assert len(list(out.iterdir())) == 3


def test_files_of_others_are_never_removed(sample_release: Path, tmp_path: Path) -> None:
    shards = shards_of(sample_release)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_bytes(b"mine")
    for name in ("real", "link", "file"):
        with pytest.raises(ReleaseError, match="--no-thumbnails"):
            make_packs(sample_release, shards, tmp_path / name, Threads(1), untracked)
    assert (tmp_path / "real" / "photo.jpg").read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_only_packs_of_other_files_are_removed(sample_release: Path, tmp_path: Path) -> None:
    shards = shards_of(sample_release)
    make_packs(sample_release, shards, tmp_path, Threads(1), untracked)
    made = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "old.1.pack").write_bytes(b"of a file that is gone")
    (tmp_path / ".old.1.pack.open").write_bytes(b"of a run that was killed")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    (tmp_path / "folder.pack").mkdir()
    make_packs(sample_release, shards, tmp_path, Threads(1), untracked)
    assert {path.name for path in tmp_path.iterdir()} == {*made, "notes.txt", "folder.pack"}


@pytest.mark.parametrize("place", ["footer", "image"])
def test_a_damaged_file_is_named_and_has_no_pack(sample_release: Path, tmp_path: Path, place: str) -> None:
    """A pack of it would stay, under the digest of the good file."""
    (shard,) = shards_of(sample_release)
    data = bytearray((sample_release / shard.path).read_bytes())
    at = len(data) - 40 if place == "footer" else data.index(b"\xff\xd8\xff") + 200
    data[at : at + 16] = bytes(byte ^ 0x55 for byte in data[at : at + 16])
    path = tmp_path / "release" / shard.path
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    out = tmp_path / "packs"
    with pytest.raises(ReleaseError, match=shard.path):
        make_packs(tmp_path / "release", [shard], out, Threads(1), untracked)
    assert not list(out.iterdir())
    # Arrow raises OSError where only the end of the footer is lost.
    unknown = shard.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    if place == "footer":
        with pytest.raises(ReleaseError, match=shard.path):
            make_packs(tmp_path / "release", [unknown], out, Threads(1), untracked)
        assert not list(out.iterdir())


def test_of_two_runs_one_waits_for_the_other(sample_release: Path, tmp_path: Path) -> None:
    shards = shards_of(sample_release)
    made: list[str] = []
    goes_on, has_begun = threading.Event(), threading.Event()

    def run(name: str) -> None:
        def track(items: Iterable[T], stage: str, total: int | None, /) -> Iterator[T]:
            made.append(name)
            for item in items:
                has_begun.set()
                goes_on.wait(60)
                yield item

        make_packs(sample_release, shards, tmp_path, Threads(1), track)

    first, second = (threading.Thread(target=run, args=(name,)) for name in ("first", "second"))
    first.start()
    assert has_begun.wait(60)
    second.start()
    goes_on.set()
    first.join(60)
    second.join(60)
    assert made == ["first"]
    (pack,) = tmp_path.glob("*.pack")
    assert all(read_pack(pack, shards[0].num_rows))


def test_a_pack_is_written_while_its_thumbnails_are_made(sample_release: Path, tmp_path: Path) -> None:
    """So that memory does not grow with the files of images."""
    sizes: list[int] = []

    def track(items: Iterable[T], stage: str, total: int | None, /) -> Iterator[T]:
        for item in items:
            yield item
            with next(tmp_path.glob(".*.open")).open("rb") as file:
                sizes.append(file.seek(0, io.SEEK_END))

    make_packs(sample_release, shards_of(sample_release), tmp_path, Threads(1), track)
    assert sizes[0] < sizes[-1]
