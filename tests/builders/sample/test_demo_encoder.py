"""The demonstration encoder finds drawn faces by what is said of them, and knows its limits."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from benchmarks.demo_encoder.measure import COPIES, NUM_FACES, QUERIES, holds, measure
from benchmarks.demo_encoder.wordings import Codes, known_words, write_caption
from builders.features.encoder import load_encoder
from builders.sample.encoder import CONTEXT_LENGTH, EXAMPLES, WEIGHTS, sort_words, tokenize, vocabulary
from builders.sample.encoder.words import FILLERS
from builders.sample.faces import random_face
from builders.sources.sample import sample_faces
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings


@pytest.mark.slow
def test_it_finds_what_a_query_asks_for_and_copies_of_a_face() -> None:
    """One test, since measuring takes a minute and workers would each do it."""
    encoder = load_encoder(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG))
    quality = measure(encoder, [random_face(seed) for seed in range(NUM_FACES // 2)])
    assert len(quality.precisions) == 30
    assert quality.precision >= 0.9, quality.precisions

    assert min(quality.copies_found.values()) >= 0.98, quality.copies_found
    whole = [cosine for name, cosine in quality.copies.items() if "cropped" not in name]
    assert min(whole) > 0.98, quality.copies
    assert min(quality.copies.values()) > 0.8, quality.copies
    assert np.median(quality.strangers) < 0.8

    assert quality.reports.keys() == COPIES.keys()
    for name, report in quality.reports.items():
        least = {"3 % cropped off all sides": 0.85, "3 % cropped off the left and the top": 0.6}.get(name, 1)
        assert report.recall >= least, (name, report)
        assert report.precision >= 0.98, (name, report)


@pytest.mark.slow
def test_it_is_measured_on_faces_that_it_has_not_seen() -> None:
    from benchmarks.demo_encoder import train

    trained = range(train.FIRST_FACE, train.FIRST_FACE + train.NUM_FACES)
    assert trained.start >= NUM_FACES
    assert not [face.seed for _, _, face in sample_faces() if face.seed in trained]
    assert all(
        any(holds(wanted, random_face(seed)) for seed in range(NUM_FACES)) for wanted in QUERIES.values()
    )


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 4_000_000


def test_captions_say_what_is_true() -> None:
    rng, codes = Random(1), Codes()
    faces = [random_face(seed) for seed in range(300)]
    captions = [write_caption(face, rng) for face in faces]
    matches = codes.matches([caption.allowed for caption in captions], codes.of_faces(faces))
    assert matches.diagonal().all()
    assert 1 < matches.sum(1).mean() < 150


def test_the_words_are_those_of_the_captions() -> None:
    assert known_words() == vocabulary()


def test_it_says_which_words_it_knows_and_knows_those_of_its_examples() -> None:
    assert sort_words("A person with green, xylophone-GREEN hair") == (
        ["person", "green", "hair"],
        ["xylophone"],
    )
    assert sort_words("a child") == ([], ["child"])
    for example in EXAMPLES:
        known, unknown = sort_words(example)
        assert len(known) >= 2
        assert unknown == []
    assert not FILLERS & set(vocabulary())


def test_words_become_numbers_and_unknown_ones_are_left_out() -> None:
    known, same, other = tokenize(["green hair", "GREEN, xylophone-hair!", "hair green"])
    assert np.array_equal(known, same)
    assert not np.array_equal(known, other)
    assert known.shape == (CONTEXT_LENGTH,)
    assert known.argmax() == 3  # begin, two words, end
    assert tokenize(["hair " * 100]).argmax() == CONTEXT_LENGTH - 1
