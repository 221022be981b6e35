"""Measure the demonstration encoder on drawn faces that it was not trained on.

- Search: of the first five faces that a query finds, how many are what it asks for. Queries are written by
  hand, with one to three attributes each.
- Copies: for how many copies of faces (compressed, resized, cropped) the nearest of all faces is the one
  that they are copies of; and how alike the two are, beside different faces.

    python -m builders.demo_encoder.measure
"""

import argparse
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builders.demo_encoder.wordings import visible
from builders.encoder import Encoder, encode_stream, load_encoder
from builders.faces import Face, draw_face, random_face
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings

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
class Quality:
    """What was measured.

    Attributes:
        precisions: Query → share of the first five faces that are what it asks for.
        copies_found: Kind of copy → share of the copies whose nearest face is the right one.
        copies: Kind of copy → the lowest cosine of a face and its copy.
        strangers: The highest cosine of each face and another: faces.
    """

    precisions: Mapping[str, float]
    copies_found: Mapping[str, float]
    copies: Mapping[str, float]
    strangers: NDArray[np.float32]

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
    features = _encode(encoder, map(_drawn, faces))
    found = np.argsort(-_encode_texts(encoder, list(QUERIES)) @ features.T, axis=1, kind="stable")[:, :TOP]
    precisions = {
        query: float(np.mean([holds(wanted, faces[row]) for row in rows]))
        for (query, wanted), rows in zip(QUERIES.items(), found.tolist(), strict=True)
    }
    some = [_drawn(face) for face in faces[:NUM_COPIED]]
    copied = {name: _encode(encoder, map(copy, some)) for name, copy in COPIES.items()}
    own = np.arange(len(some))
    copies = {name: float((each * features[own]).sum(1).min()) for name, each in copied.items()}
    copies_found = {
        name: float(((each @ features.T).argmax(1) == own).mean()) for name, each in copied.items()
    }
    alike = features @ features.T
    np.fill_diagonal(alike, -1)
    return Quality(precisions, copies_found, copies, alike.max(1))


def holds(wanted: Wanted, face: Face) -> bool:
    """Say whether a face is what a query asks for, and shows it."""
    seen = visible(face)
    return all(seen[attribute] in values for attribute, values in wanted.items())


def _encode(encoder: Encoder, images: Iterable[Image.Image]) -> NDArray[np.float32]:
    files = [_saved(image) for image in images]
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


def _cropped(image: Image.Image, share: float) -> Image.Image:
    left, top = round(image.width * share), round(image.height * share)
    return image.crop((left, top, image.width, image.height))


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 60": partial(_compressed, quality=60),
    "three quarters of the size": partial(_resized, scale=0.75),
    "3 % cropped off the left and the top": partial(_cropped, share=0.03),
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


if __name__ == "__main__":
    main()
