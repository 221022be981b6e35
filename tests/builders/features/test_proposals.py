"""Proposals: of near-duplicates the right image stays, and thresholds are as they say."""

from pathlib import Path

import pytest

from builders.features.proposals import judge_images, propose_exclusions, worst_first
from builders.features.screening import Candidate, Measured
from builders.images.files import ImageFile
from schemas.duplicates import DuplicateKind, NearDuplicate
from schemas.screening import Finding, ImageScores, ScreenedImage, ScreenLimits

SOUND = ImageScores(contrast=200, brightness=250)


def candidate(letter: str, num_pixels: int = 100, num_bytes: int = 50) -> Candidate:
    """Make an image of a size; its id is a letter 16 times."""
    return Candidate(
        image_id=letter * 16,
        sha256=letter * 64,
        source="faces",
        file_name=f"{letter}.jpg",
        generator="SDXL",
        prompt="a face",
        num_pixels=num_pixels,
        num_bytes=num_bytes,
        file=ImageFile(Path("nowhere")),
    )


def judge(*candidates: Candidate, **scores: ImageScores) -> dict[str, ScreenedImage]:
    """Judge images that are all near-duplicates of each other."""
    ids = [one.image_id for one in candidates]
    near = [
        NearDuplicate(image_id=name, group=ids[0], similarity=None, hash_distance=3, kind=DuplicateKind.HASH)
        for name in ids
    ]
    measured = Measured({name: scores.get(name[0], SOUND) for name in ids}, {}, near if len(near) > 1 else ())
    return {one.image_id[0]: one for one in judge_images(candidates, measured, ScreenLimits())}


@pytest.mark.parametrize(
    ("images", "stays"),
    [
        ((candidate("a"), candidate("b", num_pixels=200, num_bytes=1)), "b"),
        ((candidate("a"), candidate("b", num_bytes=60)), "b"),
        ((candidate("b"), candidate("a"), candidate("c")), "a"),
    ],
    ids=["most pixels", "most bytes", "image id"],
)
def test_all_near_duplicates_but_the_best_are_proposed(images: tuple[Candidate, ...], stays: str) -> None:
    found = judge(*images)
    assert [name for name, image in found.items() if not image.is_proposed] == [stays]
    assert {image.stays for image in found.values()} == {None, stays * 16}
    assert all(
        f"near-duplicate of {stays * 16}" in reason for _, reason in propose_exclusions(found.values())
    )


def test_an_image_with_another_finding_does_not_stay() -> None:
    unsafe = ImageScores(contrast=200, brightness=250, safety=0.9)
    found = judge(candidate("a", num_pixels=900), candidate("b"), a=unsafe)
    assert found["a"].findings == (Finding.UNSAFE, Finding.NEAR_DUPLICATE)
    assert found["b"].findings == ()
    assert propose_exclusions(found.values()) == [
        (
            "a" * 16,
            f"safety score 0.90, above 0.8; near-duplicate of {'b' * 16}: nearest hash 3 bits off (a.jpg)",
        )
    ]


@pytest.mark.parametrize(
    ("scores", "findings"),
    [
        (ImageScores(contrast=32, brightness=32, safety=0.8, better_prompts=0.2), ()),
        (ImageScores(contrast=10, brightness=31), (Finding.BLACK,)),
        (ImageScores(contrast=31, brightness=255), (Finding.UNIFORM,)),
        (ImageScores(contrast=200, brightness=255, safety=0.81), (Finding.UNSAFE,)),
        (ImageScores(contrast=200, brightness=255, better_prompts=0.21), (Finding.LOW_ADHERENCE,)),
        (ImageScores(), ()),
    ],
)
def test_a_finding_begins_beyond_its_limit(scores: ImageScores, findings: tuple[Finding, ...]) -> None:
    assert judge(candidate("a"), a=scores)["a"].findings == findings


def test_the_worst_come_first() -> None:
    measured = Measured({name * 16: ImageScores(safety=score) for name, score in (("a", 0.85), ("b", 0.99))})
    images = judge_images([candidate("a"), candidate("b")], measured, ScreenLimits())
    assert [image.file_name[0] for image in worst_first(images, Finding.UNSAFE)] == ["b", "a"]
    assert worst_first(images, Finding.BLACK) == []
