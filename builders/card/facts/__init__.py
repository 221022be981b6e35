"""Facts about a release, read back from its written files: what the card says and a check compares."""

from collections.abc import Mapping
from dataclasses import dataclass

from builders.card.facts.captions import CaptionerSummary, CaptionSummary, read_caption_facts
from builders.card.facts.example import ExampleRow, read_example
from builders.card.facts.fairness import FairnessSummary, read_fairness_facts
from builders.card.facts.features import FeatureSummary, read_duplicate_facts, read_feature_facts
from builders.card.facts.generation import GenerationSummary, read_generation_facts
from builders.card.facts.images import ImageSummary, read_image_facts
from builders.card.facts.preferences import PreferenceSummary, read_preference_facts
from builders.features.near_duplicates import DuplicateSummary
from builders.release.reader import ReleaseReader
from schemas.manifest import SplitCounts

__all__ = [
    "CaptionSummary",
    "CaptionerSummary",
    "ExampleRow",
    "Facts",
    "FeatureSummary",
    "GenerationSummary",
    "ImageSummary",
    "PreferenceSummary",
    "read_facts",
]


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers about a release.

    Attributes:
        splits: Config → split → size, as `datasets` counts.
        images: Numbers about the images.
        example: A row to show.
        captions: Numbers about the captions, or None if there are none.
        preferences: Numbers about the preferences, or None if there are none.
        generation: Numbers about requests for images, or None if there are none.
        fairness: How prompts and attribute models agree, or None if nothing can be compared.
        features: Numbers about the features of each encoder.
        near_duplicates: Numbers about near-duplicates, or None if they were not looked for.
    """

    splits: Mapping[str, Mapping[str, SplitCounts]]
    images: ImageSummary
    example: ExampleRow
    captions: CaptionSummary | None
    preferences: PreferenceSummary | None
    generation: GenerationSummary | None
    fairness: FairnessSummary | None
    features: tuple[FeatureSummary, ...]
    near_duplicates: DuplicateSummary | None


def read_facts(release: ReleaseReader) -> Facts:
    """Read the facts about a release from its Parquet files.

    Args:
        release: Has at least one file of `default` and of `prompts`.

    Returns:
        The facts. No image is read, and one row group at a time.
    """
    splits = release.splits()
    return Facts(
        splits=splits,
        images=read_image_facts(release),
        example=read_example(release),
        captions=read_caption_facts(release) if "captions" in splits else None,
        preferences=read_preference_facts(release) if "preferences" in splits else None,
        generation=read_generation_facts(release) if "generation" in splits else None,
        fairness=read_fairness_facts(release) if "captions" in splits else None,
        features=read_feature_facts(release),
        near_duplicates=read_duplicate_facts(release),
    )
