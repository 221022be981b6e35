"""Facts about a release, read back from its written files: what the card says and a check compares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from builders.card.facts.captions import CaptionerSummary, CaptionSummary, read_caption_facts
from builders.card.facts.features import FeatureSummary, read_duplicate_facts, read_feature_facts
from builders.card.facts.images import ImageSummary, read_image_facts
from builders.card.facts.preferences import PreferenceSummary, read_preference_facts
from builders.features.near_duplicates import DuplicateSummary
from schemas.configs import Format
from schemas.manifest import Shard, SplitCounts

__all__ = [
    "CaptionSummary",
    "CaptionerSummary",
    "Facts",
    "FeatureSummary",
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
        captions: Numbers about the captions, or None if there are none.
        preferences: Numbers about the preferences, or None if there are none.
        features: Numbers about the features of each encoder.
        near_duplicates: Numbers about near-duplicates, or None if they were not looked for.
    """

    splits: Mapping[str, Mapping[str, SplitCounts]]
    images: ImageSummary
    captions: CaptionSummary | None
    preferences: PreferenceSummary | None
    features: tuple[FeatureSummary, ...]
    near_duplicates: DuplicateSummary | None


def read_facts(folder: Path, shards: Iterable[Shard]) -> Facts:
    """Read the facts about a release from its Parquet files.

    Args:
        folder: The release.
        shards: Its shards; at least one of `default` and `prompts` each.

    Returns:
        The facts. No image is read, and one row group at a time.
    """
    shards = [shard for shard in shards if shard.format is Format.PARQUET]
    splits = _read_splits(folder, shards)
    return Facts(
        splits=splits,
        images=read_image_facts(folder, shards),
        captions=read_caption_facts(folder, shards) if "captions" in splits else None,
        preferences=read_preference_facts(folder, shards) if "preferences" in splits else None,
        features=read_feature_facts(folder, shards),
        near_duplicates=read_duplicate_facts(folder),
    )


def _read_splits(folder: Path, shards: Iterable[Shard]) -> dict[str, dict[str, SplitCounts]]:
    """Add up rows and uncompressed bytes from the files' footers."""
    splits: dict[str, dict[str, SplitCounts]] = {}
    for shard in shards:
        footer = pq.read_metadata(folder / shard.path)
        num_bytes = sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))
        config = splits.setdefault(shard.config, {})
        known = config.get(shard.split, SplitCounts(num_rows=0, num_bytes=0))
        config[shard.split] = SplitCounts(
            num_rows=known.num_rows + footer.num_rows, num_bytes=known.num_bytes + num_bytes
        )
    return splits
