"""Texts are compared with their own images, and summed up by who wrote or made them."""

import numpy as np
import pytest

from builders.features.adherence import compare_texts, lowest_rows, split_by_group, summarize_adherence
from schemas.problems import EmbeddingError
from tests.builders.features.test_vectors import unit_vectors


def test_each_text_is_compared_with_its_own_image() -> None:
    images, texts = unit_vectors(50, 64), unit_vectors(20_000, 64, seed=1)
    rows = np.random.default_rng(2).integers(0, 50, 20_000)
    similarities = compare_texts(images, texts, rows)
    assert similarities.dtype == np.float32
    for text in (0, 8191, 8192, 19_999):
        wide = images[rows[text]].astype(np.float64), texts[text].astype(np.float64)
        assert similarities[text] == np.float32(np.dot(*wide))
    assert compare_texts(images, images, np.arange(50)) == pytest.approx(1, abs=1e-3)


def test_texts_without_an_image_are_refused() -> None:
    images, texts = unit_vectors(5), unit_vectors(3)
    for rows in ([0, 1], [0, 1, 5], [0, -1, 2]):
        with pytest.raises(EmbeddingError, match="each text must have the row of one of 5 images"):
            compare_texts(images, texts, np.array(rows))
    with pytest.raises(EmbeddingError, match="same model"):
        compare_texts(images, unit_vectors(3, 9), np.arange(3))


def test_summaries_are_by_group_and_the_largest_comes_first() -> None:
    similarities = np.array([*np.linspace(0, 1, 101), 0.25, 0.5, 0.125], np.float32)
    groups = [*["FLUX"] * 101, None, None, "DALL-E"]
    first, second, third = summarize_adherence(similarities, groups)
    assert (first.group, first.count) == ("FLUX", 101)
    assert (first.mean, first.p5, first.p50, first.p95) == pytest.approx((0.5, 0.05, 0.5, 0.95))
    assert (second.group, second.count, second.mean, second.p50) == (None, 2, 0.375, 0.375)
    assert (third.group, third.count, third.p5, third.p95) == ("DALL-E", 1, 0.125, 0.125)
    assert {group: len(values) for group, values in split_by_group(similarities, groups).items()} == {
        "FLUX": 101,
        None: 2,
        "DALL-E": 1,
    }
    assert summarize_adherence(similarities[:0], []) == ()


def test_the_lowest_come_first_and_ties_by_row() -> None:
    similarities = np.array([0.3, 0.1, 0.2, 0.1, 0.4], np.float32)
    assert lowest_rows(similarities, ["a"] * 5, 3) == {"a": [1, 3, 2]}
    assert lowest_rows(similarities, ["a"] * 5, 9) == {"a": [1, 3, 2, 0, 4]}
    groups = ["low", "low", "high", "low", "high"]
    assert list(lowest_rows(similarities, groups, 2).items()) == [("low", [1, 3]), ("high", [2, 4])]
