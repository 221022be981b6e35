"""Adherence: how well images show what a text says, as the cosine similarity of their embeddings.

The numbers compare texts of one kind and images of one kind under one model; their size alone says little.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builders.features.vectors import Float32, Half, Rows, check_vectors, exact_dots
from schemas.problems import EmbeddingError, Problem, Reason


@dataclass(frozen=True, slots=True)
class AdherenceSummary:
    """Similarities of one generator's images or one captioner's captions; `group` is None where not known."""

    group: str | None
    count: int
    mean: float
    p5: float
    p50: float
    p95: float


def compare_texts(images: Half, texts: Half, image_rows: Rows) -> Float32:
    """Compare each text with its image.

    Args:
        images: (n, d) float16 embeddings of images, each of length 1.
        texts: (m, d) float16 embeddings of texts by the same model, each of length 1.
        image_rows: (m,) row of the image that each text is about, 0 to n - 1.

    Returns:
        (m,) cosine similarities: exact, and then rounded to float32. Memory beside it does not grow with m.

    Raises:
        EmbeddingError: Vectors are not that, the dimensions differ, or a text has no image.
    """
    check_vectors(images, "images")
    check_vectors(texts, "texts")
    if images.shape[1] != texts.shape[1]:
        message = "images and texts must be embedded by the same model; their dimensions differ"
        raise EmbeddingError(_problem(message, f"{images.shape[1]} and {texts.shape[1]}"))
    if len(image_rows) != len(texts) or not ((image_rows >= 0) & (image_rows < len(images))).all():
        message = f"each text must have the row of one of {len(images):,} images"
        raise EmbeddingError(_problem(message, f"{len(image_rows):,} rows for {len(texts):,} texts"))
    return exact_dots(images, texts, (image_rows, np.arange(len(texts)))).astype(np.float32)


def summarize_adherence(similarities: Float32, groups: Sequence[str | None]) -> tuple[AdherenceSummary, ...]:
    """Sum up similarities by generator or captioner.

    Args:
        similarities: (m,) cosine similarities.
        groups: (m,) the group of each.

    Returns:
        One summary per group, the largest group first.
    """
    return tuple(
        AdherenceSummary(
            group, len(values), float(values.mean()), *map(float, np.percentile(values, (5, 50, 95)))
        )
        for group, values in split_by_group(similarities, groups).items()
    )


def split_by_group(
    similarities: Float32, groups: Sequence[str | None]
) -> dict[str | None, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return each group's similarities in float64, the largest group first, then by name."""
    return {group: similarities[own].astype(np.float64) for group, own in _rows_by_group(groups).items()}


def lowest_rows(
    similarities: Float32, groups: Sequence[str | None], count: int
) -> dict[str | None, list[int]]:
    """List each group's rows with the lowest similarities, the lowest first, and by row where two are equal.

    They are chosen group by group, the largest first: a short caption is less like its image than a long one
    whether or not it is true, so that of all groups together one would take every place.
    """
    return {
        group: own[np.argsort(similarities[own], kind="stable")[:count]].tolist()
        for group, own in _rows_by_group(groups).items()
    }


def _rows_by_group(groups: Sequence[str | None]) -> dict[str | None, Rows]:
    """List the rows of each group, the largest group first, then by name."""
    rows: dict[str | None, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    ordered = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    return {group: np.array(own, np.int64) for group, own in ordered}


def _problem(message: str, value: str) -> Problem:
    return Problem(Reason.EMBEDDING, message, value=value, fix="compute the embeddings again")
