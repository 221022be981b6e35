"""Screening: what speaks against an image of a source, and the scores that say so."""

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """What speaks against an image, the gravest first."""

    DAMAGED = "damaged"
    SET_ASIDE = "set aside"
    BLACK = "black"
    UNIFORM = "nearly uniform"
    UNSAFE = "unsafe"
    NO_SINGLE_FACE = "no face or several"
    LOW_ADHERENCE = "low adherence"
    NEAR_DUPLICATE = "near-duplicate"

    @property
    def slug(self) -> str:
        """The finding as a part of a file's name."""
        return self.value.replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenLimits:
    """What counts as a finding; limits of near-duplicates are in `schemas.settings.DuplicateSettings`.

    Attributes:
        contrast: A picture is uniform if its brightest and darkest parts differ by less, 0 to 255. Of 400
            photographs by five generators, the least is 159; of 120 drawn faces, 158.
        brightness: A picture is black if its brightest part is darker, 0 to 255. The least of those is 171.
        safety: Highest safety score, 0 to 1, that is no finding. The package's advice is 0.8, and none of
            those 400 is above it.
        better_prompts: Largest share, 0 to 1, of other images' prompts that may fit an image better than its
            own prompt. A prompt of another image has a share anywhere from 0 to 1.
    """

    contrast: int = 32
    brightness: int = 32
    safety: float = 0.8
    better_prompts: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScores:
    """What was measured of an image; None for what was not, or could not be.

    Attributes:
        contrast: Difference of the brightest and the darkest part, in the color that differs most, 0 to 255.
        brightness: Brightest part, in the brightest color, 0 to 255.
        hash_distance: Bits of 255 in which its perceptual hash differs from the nearest.
        similarity: Cosine similarity of its embedding and the nearest, -1 to 1.
        prompt_similarity: Cosine similarity of its embedding and that of its prompt, -1 to 1.
        better_prompts: Share of other images' prompts that fit it better than its own, 0 to 1.
        safety: Probability that it is pornographic, by the safety model, 0 to 1.
        faces: How many faces the detector finds.
    """

    contrast: int | None = None
    brightness: int | None = None
    hash_distance: int | None = None
    similarity: float | None = None
    prompt_similarity: float | None = None
    better_prompts: float | None = None
    safety: float | None = None
    faces: int | None = None


NO_SCORES = ImageScores()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenedImage:
    """One row of a source's images, and what screening says of it.

    Attributes:
        image_id: Its id, as in a release; empty if a release would set the row aside.
        source: Name of its source.
        file_name: As the source names it.
        row: As a spreadsheet numbers it; None for images that come in order of their ids.
        generator: Model that made it; empty if the row is set aside.
        findings: What speaks against it, the gravest first.
        reasons: For each finding a few words with the number.
        stays: Of a near-duplicate, the id of the image that stays in its place; None for others.
        scores: What was measured.
    """

    image_id: str
    source: str
    file_name: str
    row: int | None
    generator: str
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    stays: str | None = None
    scores: ImageScores = NO_SCORES

    @property
    def is_proposed(self) -> bool:
        """Whether its exclusion is proposed; a release sets rows without an id aside by itself."""
        return bool(self.findings and self.image_id)
