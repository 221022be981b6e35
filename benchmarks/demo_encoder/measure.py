"""Measure the demonstration encoder on drawn faces that it was not trained on.

- Search: of the first five faces that a query finds, how many are what it asks for. Queries are written by
  hand, with one to three attributes each.
- Copies: for how many copies of faces (compressed, resized, cropped) the nearest of all faces is the one
  that they are copies of; and how alike the two are, beside different faces.
- Near-duplicates: which of these copies the report of a release finds among all faces at the default
  settings, and how much of what it finds is copies.

    python -m benchmarks.demo_encoder.measure
"""

import argparse
import io
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.demo_encoder.wordings import visible
from builders.features.encoder import Encoder, encode_stream, load_encoder
from builders.features.likeness import compare_embeddings, compare_hashes
from builders.features.near_duplicates import find_near_duplicates
from builders.images.hashes import hash_image, pack_hashes
from builders.sample.faces import Face, draw_face, random_face
from schemas.duplicates import DuplicateKind, NearDuplicate
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings
from schemas.settings import DuplicateSettings

FIRST_FACE, NUM_FACES, NUM_COPIED = 0, 2_000, 200
TOP = 5
PIXELS, QUALITY = 256, 90  # as the built-in sample's images are
_ANY_GLASSES, _ANY_HAT = ("round", "square"), ("beanie", "cap", "wide-brimmed hat")

Wanted = Mapping[str, Sequence[str]]
QUERIES: Mapping[str, Wanted] = {
    "person with green hair and glasses": {"hair_color": ["green"], "glasses": _ANY_GLASSES},
    "person with pink hair": {"hair_color": ["pink"]},
    "woman with red hair and round glasses": {"hair_color": ["red"], "glasses": ["round"]},
    "bald man with a full beard": {"hair_style": ["bald"], "beard": ["full beard"]},
    "person wearing sunglasses": {"glasses": ["sunglasses"]},
    "smiling person with blue hair": {"expression": ["smiling"], "hair_color": ["blue"]},
    "sad face in front of a brick wall": {"expression": ["sad"], "background": ["brick wall"]},
    "person wearing a beanie": {"hat": ["beanie"]},
    "man with a mustache and an orange cap": {"beard": ["mustache"], "hat": ["cap"]},
    "green mohawk": {"hair_color": ["green"], "hair_style": ["mohawk"]},
    "person with a white ponytail": {"hair_color": ["white"], "hair_style": ["ponytail"]},
    "surprised person with square glasses": {"expression": ["surprised"], "glasses": ["square"]},
    "laughing woman at the beach": {"expression": ["laughing"], "background": ["beach"]},
    "person in front of a forest": {"background": ["forest"]},
    "blonde hair in a bun": {"hair_color": ["blond"], "hair_style": ["bun"]},
    "person with gray hair and sunglasses": {"hair_color": ["gray"], "glasses": ["sunglasses"]},
    "face with dark brown skin and white hair": {"skin": ["dark brown"], "hair_color": ["white"]},
    "pale skin and black hair": {"skin": ["porcelain"], "hair_color": ["black"]},
    "person with a goatee, starry night": {"beard": ["goatee"], "background": ["starry night"]},
    "wide-brimmed hat and sunset": {"hat": ["wide-brimmed hat"], "background": ["sunset sky"]},
    "curly red hair": {"hair_style": ["curly"], "hair_color": ["red"]},
    "a person with a pink bob": {"hair_style": ["bob"], "hair_color": ["pink"]},
    "bald person with sunglasses": {"hair_style": ["bald"], "glasses": ["sunglasses"]},
    "someone on a teal background": {"background": ["teal"]},
    "person in front of books wearing a hat": {"background": ["bookshelf"], "hat": _ANY_HAT},
    "long wavy blue hair": {"hair_style": ["long wavy"], "hair_color": ["blue"]},
    "man with a beard and snowy mountains": {"beard": ["full beard"], "background": ["snowy mountains"]},
    "smiling woman with long straight black hair": {
        "expression": ["smiling"],
        "hair_style": ["long straight"],
        "hair_color": ["black"],
    },
    "person with green eyes": {"eyes": ["green"]},
    "clean shaven person without glasses, city skyline": {
        "beard": ["none"],
        "glasses": ["none"],
        "background": ["city skyline"],
    },
}


@dataclass(frozen=True, slots=True)
class Report:
    """How good a report of near-duplicates is, in pairs of images that it puts into one group.

    Attributes:
        recall: Share of the planted pairs that are found.
        precision: Share of the found pairs that were planted; 1 if none is found.
        by_hash: Share of the planted pairs of which both images are found by their hashes.
    """

    recall: float
    precision: float
    by_hash: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured.

    Attributes:
        precisions: Query → share of the first five faces that are what it asks for.
        copies_found: Kind of copy → share of the copies whose nearest face is the right one.
        copies: Kind of copy → the lowest cosine of a face and its copy.
        strangers: The highest cosine of each face and another: faces.
        reports: Kind of copy → the report of near-duplicates where such copies lie among all faces.
    """

    precisions: Mapping[str, float]
    copies_found: Mapping[str, float]
    copies: Mapping[str, float]
    strangers: NDArray[np.float32]
    reports: Mapping[str, Report]

    @property
    def precision(self) -> float:
        """Mean over the queries."""
        return float(np.mean(list(self.precisions.values())))


def measure(encoder: Encoder, faces: Sequence[Face]) -> Quality:
    """Measure an encoder.

    Args:
        encoder: Any encoder.
        faces: Drawn for this; not those that it was trained on.
    """
    files = [_saved(_drawn(face)) for face in faces]
    features = _encode(encoder, files)
    found = np.argsort(-_encode_texts(encoder, list(QUERIES)) @ features.T, axis=1, kind="stable")[:, :TOP]
    precisions = {
        query: float(np.mean([holds(wanted, faces[row]) for row in rows]))
        for (query, wanted), rows in zip(QUERIES.items(), found.tolist(), strict=True)
    }
    some = [_drawn(face) for face in faces[:NUM_COPIED]]
    copied_files = {name: [_saved(copy(image)) for image in some] for name, copy in COPIES.items()}
    copied = {name: _encode(encoder, each) for name, each in copied_files.items()}
    own = np.arange(len(some))
    copies = {name: float((each * features[own]).sum(1).min()) for name, each in copied.items()}
    copies_found = {
        name: float(((each @ features.T).argmax(1) == own).mean()) for name, each in copied.items()
    }
    alike = features @ features.T
    np.fill_diagonal(alike, -1)
    reports = {
        name: _report([*files, *copied_files[name]], np.concatenate([features, copied[name]]), len(files))
        for name in COPIES
    }
    return Quality(precisions, copies_found, copies, alike.max(1), reports)


def rate_report(rows: Iterable[NearDuplicate], planted: Iterable[tuple[str, str]]) -> Report:
    """Hold a report of near-duplicates against the pairs of image ids that were planted."""
    groups: dict[str, dict[str, NearDuplicate]] = {}
    for row in rows:
        groups.setdefault(row.group, {})[row.image_id] = row
    found = {
        frozenset(pair): all(own[image_id].kind is not DuplicateKind.EMBEDDING for image_id in pair)
        for own in groups.values()
        for pair in itertools.combinations(own, 2)
    }
    wanted = {frozenset(pair) for pair in planted}
    right = wanted & found.keys()
    return Report(
        recall=len(right) / len(wanted),
        precision=len(right) / len(found) if found else 1.0,
        by_hash=sum(found[pair] for pair in right) / len(wanted),
    )


def _report(files: Sequence[bytes], features: NDArray[np.float32], num_faces: int) -> Report:
    """Report near-duplicates at the default settings; the files after the faces are copies of the first."""
    limits, ids = DuplicateSettings(), [f"{row:016x}" for row in range(len(files))]
    by_embedding = compare_embeddings(features.astype(np.float16), limits.similarity)
    by_hash = compare_hashes(pack_hashes(list(map(hash_image, files))), limits.hash_distance)
    rows = find_near_duplicates(ids, by_embedding, by_hash)
    return rate_report(rows, zip(ids, ids[num_faces:], strict=False))


def holds(wanted: Wanted, face: Face) -> bool:
    """Return whether a face is what a query asks for, and shows it."""
    seen = visible(face)
    return all(seen[attribute] in values for attribute, values in wanted.items())


def _encode(encoder: Encoder, files: Sequence[bytes]) -> NDArray[np.float32]:
    features = np.empty((len(files), encoder.provenance.dimension), np.float32)
    for rows, vectors in encode_stream(encoder, range(len(files)), files.__getitem__):
        features[list(rows)] = vectors
    return features


def _encode_texts(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    return encoder.encode_texts(texts).astype(np.float32)


def _drawn(face: Face) -> Image.Image:
    return draw_face(face, PIXELS)


def _saved(image: Image.Image, quality: int = QUALITY) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(_saved(image, quality)))


def _resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def _cropped(image: Image.Image, share: float, *, all_sides: bool) -> Image.Image:
    """Cut a share of the width off the left and of the height off the top, or off all sides."""
    left, top = round(image.width * share), round(image.height * share)
    right, bottom = (left, top) if all_sides else (0, 0)
    return image.crop((left, top, image.width - right, image.height - bottom))


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 60": partial(_compressed, quality=60),
    "three quarters of the size": partial(_resized, scale=0.75),
    "1 % cropped off all sides": partial(_cropped, share=0.01, all_sides=True),
    "1 % cropped off the left and the top": partial(_cropped, share=0.01, all_sides=False),
    "3 % cropped off all sides": partial(_cropped, share=0.03, all_sides=True),
    "3 % cropped off the left and the top": partial(_cropped, share=0.03, all_sides=False),
}


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=int, default=NUM_FACES)
    number = parser.parse_args().faces
    encoder = load_encoder(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG))
    quality = measure(encoder, [random_face(FIRST_FACE + index) for index in range(number)])
    for query, precision in quality.precisions.items():
        print(f"{precision:.1f}  {query}")
    print(f"mean precision of the first {TOP}: {quality.precision:.3f}, {number:,} faces")
    near, nearest = np.median(quality.strangers), quality.strangers.max()
    print(f"cosine of a face and the nearest other: {near:.3f} (median), {nearest:.3f} (highest)")
    for name, cosine in quality.copies.items():
        found = quality.copies_found[name]
        print(f"copies, {name}: {found:.1%} nearest to their face, lowest cosine {cosine:.3f}")
    for name, report in quality.reports.items():
        print(
            f"near-duplicates, {name}: recall {report.recall:.1%} ({report.by_hash:.1%} by hash), "
            f"precision {report.precision:.1%}"
        )


if __name__ == "__main__":
    main()
