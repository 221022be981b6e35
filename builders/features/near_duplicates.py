"""Near-duplicates of a release: what embeddings and perceptual hashes say, as rows and as a file.

Images are in one group if they are alike directly or through others, so that the two least alike of a
group can be further apart than the threshold. Files with the same bytes never get here: the catalog publishes
one of them and counts the others as rejected (`duplicate_image`) or as other origins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.features.likeness import Likeness, join_groups, members_of
from builders.features.vectors import blocks_of
from builders.files import open_whole
from builders.images.hashes import HASH_BITS
from schemas.columns import arrow_schema, columns_of
from schemas.duplicates import DuplicateKind, NearDuplicate, kind_of
from schemas.features import PROVENANCE_KEY, Provenance

_ROWS_PER_GROUP = 10_000


@dataclass(frozen=True, slots=True)
class DuplicateSummary:
    """Numbers about near-duplicates.

    Attributes:
        num_images: Images that are like another.
        num_groups: Groups they form.
        num_surplus: Images that would go if one of each group stayed.
        largest: Images in the largest group; 0 if there is none.
        kinds: What found them → images.
    """

    num_images: int
    num_groups: int
    num_surplus: int
    largest: int
    kinds: Mapping[DuplicateKind, int]


def find_near_duplicates(
    image_ids: Sequence[str], by_embedding: Likeness | None, by_hash: Likeness | None
) -> list[NearDuplicate]:
    """Unite what embeddings and hashes say into one row per image that is like another.

    Args:
        image_ids: (n,) ids in the order of the rows compared.
        by_embedding: From `compare_embeddings`, if there are embeddings.
        by_hash: From `compare_hashes`, if there are hashes.

    Returns:
        Rows in the order of the groups' first images, and of the images within each.
    """
    rows = groups = np.arange(len(image_ids))
    for likeness in (by_embedding, by_hash):
        if likeness is not None:
            groups = join_groups(groups, rows, likeness.groups)
    similarities = _scores(by_embedding, len(rows))
    equal = _scores(by_hash, len(rows))
    found = []
    for members in members_of(groups):
        for row in members:
            bits = equal[row]
            distance = None if bits is None else HASH_BITS - int(bits)
            found.append(
                NearDuplicate(
                    image_id=image_ids[row],
                    group=image_ids[members[0]],
                    similarity=similarities[row],
                    hash_distance=distance,
                    kind=kind_of(similarities[row], distance),
                )
            )
    return found


def summarize_near_duplicates(rows: Sequence[NearDuplicate]) -> DuplicateSummary:
    """Count near-duplicates for the card."""
    groups = Counter(row.group for row in rows)
    kinds = Counter(row.kind for row in rows)
    return DuplicateSummary(
        num_images=len(rows),
        num_groups=len(groups),
        num_surplus=len(rows) - len(groups),
        largest=max(groups.values(), default=0),
        kinds={kind: kinds[kind] for kind in DuplicateKind},
    )


def write_near_duplicates(
    path: Path, rows: Sequence[NearDuplicate], encoder: Provenance | None = None
) -> None:
    """Write near-duplicates as Parquet, whole or not at all; a file without rows if there are none.

    The file says, as files of features do, which encoder's similarities these are.
    """
    schema = arrow_schema(columns_of(NearDuplicate))
    if encoder is not None:
        schema = schema.with_metadata({**(schema.metadata or {}), PROVENANCE_KEY: encoder.text})
    with open_whole(path) as open_path, pq.ParquetWriter(open_path, schema, compression="zstd") as writer:
        for block in blocks_of(len(rows), _ROWS_PER_GROUP):
            batch = [row.model_dump() for row in rows[block]]
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _scores(likeness: Likeness | None, num_rows: int) -> list[float | None]:
    """Return the score of the nearest for images in groups, None for the others."""
    if likeness is None:
        return [None] * num_rows
    pairs = zip(likeness.nearest.tolist(), likeness.is_grouped.tolist(), strict=True)
    return [score if is_grouped else None for score, is_grouped in pairs]
