"""Near-duplicates are found, named and written, and what is found is what was planted."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from builders.features.likeness import Likeness, compare_hashes
from builders.features.near_duplicates import (
    DuplicateSummary,
    find_near_duplicates,
    summarize_near_duplicates,
    write_near_duplicates,
)
from builders.images.hashes import HASH_BITS, hash_image, hash_pixels, pack_hashes
from builders.sample.faces import draw_face, random_face
from schemas.columns import columns_of
from schemas.duplicates import DuplicateKind, NearDuplicate
from schemas.settings import DuplicateSettings

IDS = [f"{number:016x}" for number in range(6)]
DISTANCE = DuplicateSettings().hash_distance


def likeness(groups: list[int], nearest: list[float]) -> Likeness:
    return Likeness(np.array(nearest, np.float32), np.array(groups), ())


BY_EMBEDDING = likeness([0, 1, 0, 3, 4, 5], [0.97, 0.5, 0.97, 0.6, 0.7, 0.1])
BY_HASH = likeness([0, 1, 2, 2, 4, 4], [100, 120, 250, 250, 255, 255])


def test_embeddings_and_hashes_are_united() -> None:
    rows = find_near_duplicates(IDS, BY_EMBEDDING, BY_HASH)
    assert [(row.image_id, row.group, row.hash_distance, row.kind.value) for row in rows] == [
        (IDS[0], IDS[0], None, "embedding"),
        (IDS[2], IDS[0], 5, "both"),
        (IDS[3], IDS[0], 5, "hash"),
        (IDS[4], IDS[4], 0, "hash"),
        (IDS[5], IDS[4], 0, "hash"),
    ]
    assert [row.similarity for row in rows] == pytest.approx([0.97, 0.97, None, None, None])
    assert summarize_near_duplicates(rows) == DuplicateSummary(
        num_images=5,
        num_groups=2,
        num_surplus=3,
        largest=3,
        kinds={DuplicateKind.EMBEDDING: 1, DuplicateKind.HASH: 3, DuplicateKind.BOTH: 1},
    )


def test_one_measure_is_enough() -> None:
    assert [row.kind for row in find_near_duplicates(IDS, BY_EMBEDDING, None)] == ["embedding"] * 2
    assert [row.kind for row in find_near_duplicates(IDS, None, BY_HASH)] == ["hash"] * 4
    assert find_near_duplicates(IDS, None, None) == []


def test_the_file_has_the_described_columns(tmp_path: Path) -> None:
    rows = find_near_duplicates(IDS, BY_EMBEDDING, BY_HASH)
    path = tmp_path / "near_duplicates.parquet"
    write_near_duplicates(path, rows)
    table = pq.read_table(path)
    assert [NearDuplicate.model_validate(row, strict=False) for row in table.to_pylist()] == rows
    assert {field.name: str(field.type) for field in table.schema} == {
        "image_id": "string",
        "group": "string",
        "similarity": "float",
        "hash_distance": "int16",
        "kind": "string",
    }
    assert all(column.description for column in columns_of(NearDuplicate))
    again = tmp_path / "again.parquet"
    write_near_duplicates(again, rows)
    assert again.read_bytes() == path.read_bytes()
    write_near_duplicates(path, [])
    assert pq.read_table(path).num_rows == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["again.parquet", "near_duplicates.parquet"]


def test_a_row_says_what_it_has() -> None:
    good = find_near_duplicates(IDS, BY_EMBEDDING, BY_HASH)[0]
    for change in ({"kind": DuplicateKind.BOTH}, {"similarity": None}):
        with pytest.raises(ValidationError):
            NearDuplicate.model_validate({**good.model_dump(), **change})


def encode(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return file.getvalue()


def crop(image: Image.Image, pixels: int) -> Image.Image:
    """Cut pixels off each side and bring the rest to the old size."""
    width, height = image.size
    return image.crop((pixels, pixels, width - pixels, height - pixels)).resize(image.size)


# What is done to a copy → the least share of copies that the hash finds.
COPIES: Mapping[str, tuple[Callable[[Image.Image], bytes], float]] = {
    "saved anew": (lambda image: encode(image, quality=50), 1.0),
    "as PNG": (lambda image: encode(image, "PNG"), 1.0),
    "as WebP": (lambda image: encode(image, "WEBP", 60), 1.0),
    "half the size": (lambda image: encode(image.resize((128, 128))), 1.0),
    "twice the size": (lambda image: encode(image.resize((512, 512))), 1.0),
    "brighter": (
        lambda image: encode(image.point([min(255, value * 11 // 10) for value in range(256)] * 3)),
        0.9,
    ),
    "cropped by 1 %": (lambda image: encode(crop(image, 2)), 0.6),
}
NUM_FACES = 40


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    """Draw different faces."""
    return [draw_face(random_face(seed)) for seed in range(NUM_FACES)]


@pytest.mark.parametrize("name", COPIES)
def test_planted_copies_are_found(faces: list[Image.Image], name: str) -> None:
    """Each copy belongs to its own original; a pair of others that is found is a false one."""
    copy, least = COPIES[name]
    hashes = pack_hashes([*map(hash_image, map(encode, faces)), *map(hash_image, map(copy, faces))])
    found = compare_hashes(hashes, DISTANCE)
    pairs = {
        (int(left), int(right))
        for left in range(len(hashes))
        for right in range(left + 1, len(hashes))
        if found.groups[left] == found.groups[right]
    }
    planted = {(row, row + NUM_FACES) for row in range(NUM_FACES)}
    assert len(pairs & planted) >= least * NUM_FACES
    assert pairs <= planted


def test_a_hash_does_not_depend_on_how_an_image_is_kept() -> None:
    image = draw_face(random_face(1), 96)
    grey = image.convert("L")
    assert hash_image(encode(grey, "PNG")) == hash_pixels(grey) == hash_pixels(grey.convert("RGBA"))
    assert len(hash_pixels(image)) * 8 == HASH_BITS + 1


def test_images_of_one_colour_have_one_hash() -> None:
    hashes = {
        hash_image(encode(Image.new("RGB", (70, 90), color))) for color in ("black", "white", "#7f1030")
    }
    assert hashes == {bytes(32)}
