"""Images that a new version takes from a file of the previous release."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.release.previous_images import PreviousImages

IMAGES = {f"{number:016x}": random.Random(number).randbytes(100) for number in range(30)}


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a file of three row groups."""
    images = [{"bytes": data, "path": "a.jpg"} for data in IMAGES.values()]
    table = pa.table({"image_id": list(IMAGES), "image": images})
    pq.write_table(table, tmp_path / "images.parquet", row_group_size=10)
    return tmp_path / "images.parquet"


@pytest.fixture
def previous(path: Path) -> Iterator[PreviousImages]:
    with closing(PreviousImages(path)) as opened:
        yield opened


def test_images_are_found_in_any_order(previous: PreviousImages) -> None:
    ids = random.Random(1).sample(sorted(IMAGES), len(IMAGES))
    assert all(previous.find(name, sha256_of(IMAGES[name])) == IMAGES[name] for name in ids)


def test_an_image_with_another_digest_or_a_new_one_is_not_found(previous: PreviousImages) -> None:
    assert previous.find(next(iter(IMAGES)), "0" * 64) is None
    assert previous.find("f" * 16, "0" * 64) is None


def test_a_missing_or_damaged_file_has_no_images(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])
    name, data = next(iter(IMAGES.items()))
    for place in (path, path.with_name("gone.parquet"), None):
        with closing(PreviousImages(place)) as previous:
            assert previous.find(name, sha256_of(data)) is None
