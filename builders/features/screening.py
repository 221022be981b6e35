"""Screening: everything that can be measured of a collection's images, each image measured once.

What is measured goes into the store of features, by the image's bytes, so that a second run over the same
images only reads them.
"""

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from builders.catalog import Catalog, Shown
from builders.features.encoder import Encoder
from builders.features.encoding import Features
from builders.features.likeness import Likeness, compare_embeddings, compare_hashes
from builders.features.near_duplicates import find_near_duplicates
from builders.features.store import FeatureStore
from builders.features.vectors import Half, blocks_of
from builders.images.brightness import MEASURED_BY, Brightness, measure_brightness
from builders.images.faces import FaceModel, FacesFound
from builders.images.files import ImageFile
from builders.images.hashes import HASH_BITS
from builders.images.integrity import read_again
from builders.images.safety import BATCH_SIZE, Pixels, SafetyModel
from builders.parallel import Execution
from schemas.duplicates import NearDuplicate
from schemas.problems import KitError
from schemas.screening import ImageScores, ScreenLimits
from schemas.settings import BuildSettings, DuplicateSettings

T = TypeVar("T")
_FLOAT = struct.Struct("<f")
_IMAGES_PER_READ = 4
_IMAGES_PER_COMMIT = 256
_TEXTS_PER_BATCH = 64
_ROWS_PER_BLOCK = 2048
# Other prompts that each image is held against: shares are then off by a few percent at most.
_OTHER_PROMPTS = 256
# Fewer say nothing: the share of a prompt that is right is a step of 1 in so many.
MIN_PROMPTS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image that a release would publish; the fields are those of `ImageRecord`."""

    image_id: str
    sha256: str
    source: str
    file_name: str
    generator: str
    prompt: str | None
    num_pixels: int
    num_bytes: int
    file: ImageFile


@dataclass(frozen=True, slots=True)
class Instruments:
    """What images are measured with.

    Attributes:
        store: Keeps what is measured.
        limits: What is black or of one color, which is compared with nothing.
        duplicates: When images are near-duplicates.
        build: Limits for images.
        encoder: Its config and itself; None without one.
        safety: Scores safety; None if it is not installed.
        faces: Counts faces; None if it is not installed, or does not know such images.
    """

    store: FeatureStore
    limits: ScreenLimits
    duplicates: DuplicateSettings
    build: BuildSettings
    encoder: tuple[str, Encoder] | None = None
    safety: SafetyModel | None = None
    faces: FaceModel | None = None


@dataclass(slots=True)
class Measured:
    """What was measured of all images.

    Attributes:
        scores: Image id → scores; images that do not decode have none.
        damaged: Image id → why the image does not decode.
        near_duplicates: Images that look alike, as a release lists them.
    """

    scores: dict[str, ImageScores] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    near_duplicates: Sequence[NearDuplicate] = ()


def list_candidates(catalog: Catalog) -> list[Candidate]:
    """List the images that a release would publish, in the order of their ids; about 1 kB for each."""
    return [
        Candidate(
            image_id=str(record["image_id"]),
            sha256=str(record["sha256"]),
            source=str(record["source"]),
            file_name=str(record["file_name"]),
            generator=str(record["generator"]),
            prompt=None if record["prompt"] is None else str(record["prompt"]),
            num_pixels=_int(record["width"]) * _int(record["height"]),
            num_bytes=_int(record["num_bytes"]),
            file=file,
        )
        for record, file in catalog.images.published()
    ]


def measure_images(candidates: Sequence[Candidate], with_: Instruments, execution: Execution) -> Measured:
    """Measure images, and compare them with each other and with their prompts.

    Args:
        candidates: The images.
        with_: What to measure with.
        execution: Reads images, and shows progress.

    Raises:
        BuildError: An image changed since it was looked at, or the encoder cannot encode it.
    """
    measured = Measured()
    _measure_brightness(candidates, with_, execution, measured)
    sound = [one for one in candidates if one.image_id not in measured.damaged]
    if with_.safety is not None:
        _score_safety(sound, with_.safety, with_, execution, measured)
        sound = [one for one in sound if one.image_id not in measured.damaged]
    # A picture of one color is like every other one, and its hash is noise.
    pictures = [one for one in sound if not is_blank(measured.scores[one.image_id], with_.limits)]
    if with_.faces is not None:
        _count_faces(pictures, with_.faces, with_, execution, measured)
        pictures = [one for one in pictures if one.image_id not in measured.damaged]
    if not pictures:
        return measured
    features = Features(with_.store, dict([with_.encoder] if with_.encoder else []))
    features.prepare_images(map(shown_of, pictures), with_.build, execution)
    _compare_images(pictures, features, with_, execution, measured)
    if with_.encoder is not None:
        _compare_prompts(pictures, features, *with_.encoder, measured)
    return measured


def is_blank(scores: ImageScores, limits: ScreenLimits) -> bool:
    """Return whether an image shows nothing: it is black, or of one color."""
    contrast, brightness = scores.contrast, scores.brightness
    return (contrast is not None and contrast < limits.contrast) or (
        brightness is not None and brightness < limits.brightness
    )


def _measure_brightness(
    candidates: Sequence[Candidate], with_: Instruments, execution: Execution, measured: Measured
) -> None:
    maker = _digest(MEASURED_BY)

    def measure(data: bytes) -> bytes:
        return measure_brightness(data).to_bytes()

    found = _fill_store(candidates, maker, with_, execution, "measuring brightness", measure)
    for batch in _batches(found, _IMAGES_PER_COMMIT):
        _keep(batch, maker, with_.store, measured)
    for one, made in _made(candidates, maker, with_.store, measured):
        value = Brightness.from_bytes(made)
        measured.scores[one.image_id] = ImageScores(contrast=value.contrast, brightness=value.brightest)


def _score_safety(
    candidates: Sequence[Candidate],
    model: SafetyModel,
    with_: Instruments,
    execution: Execution,
    measured: Measured,
) -> None:
    maker = _digest(model.made_by)
    found = _fill_store(candidates, maker, with_, execution, "scoring safety", model.prepare)
    for batch in _batches(found, BATCH_SIZE):
        images: list[Pixels] = [pixels for _, pixels in batch if not isinstance(pixels, str)]
        scores = iter(model.score(images) if images else ())
        made = [
            (shown, pixels if isinstance(pixels, str) else _FLOAT.pack(next(scores)))
            for shown, pixels in batch
        ]
        _keep(made, maker, with_.store, measured)
    for one, packed in _made(candidates, maker, with_.store, measured):
        (score,) = _FLOAT.unpack(packed)
        measured.scores[one.image_id] = replace(measured.scores[one.image_id], safety=score)


def _count_faces(
    candidates: Sequence[Candidate],
    model: FaceModel,
    with_: Instruments,
    execution: Execution,
    measured: Measured,
) -> None:
    """Count faces; `builders/features/face_attributes.py` keeps the same results under the same key."""
    maker = _digest(model.made_by)
    found = _fill_store(
        candidates, maker, with_, execution, "counting faces", lambda data: model.find(data).to_bytes()
    )
    for batch in _batches(found, BATCH_SIZE):
        _keep(batch, maker, with_.store, measured)
    for one, made in _made(candidates, maker, with_.store, measured):
        num_faces = len(FacesFound.from_bytes(made).faces)
        measured.scores[one.image_id] = replace(measured.scores[one.image_id], faces=num_faces)


def _fill_store(
    candidates: Sequence[Candidate],
    maker: str,
    with_: Instruments,
    execution: Execution,
    stage: str,
    measure: Callable[[bytes], T],
) -> Iterator[tuple[Shown, T | str]]:
    """Measure images of which the store has nothing by a maker; yield each with the result or an error."""
    with_.store.want(map(shown_of, candidates))
    if not (num := with_.store.count_missing_images(maker)):
        return

    def run(shown: Shown) -> T | str:
        try:
            return measure(read_again(shown.file, shown.sha256, with_.build))
        except KitError:
            raise
        except Exception as error:  # Decoders raise many types; each one means the same here.
            return str(error) or type(error).__name__

    found = execution.threads.map_ordered(run, with_.store.missing(), chunk=_IMAGES_PER_READ)
    yield from execution.track(found, stage, num)


def _keep(
    made: Sequence[tuple[Shown, bytes | str]], maker: str, store: FeatureStore, measured: Measured
) -> None:
    """Keep what was made of images; note those that do not decode, by their digest."""
    store.add_images(maker, [(shown.sha256, data) for shown, data in made if isinstance(data, bytes)])
    measured.damaged.update({shown.sha256: text for shown, text in made if isinstance(text, str)})


def _made(
    candidates: Sequence[Candidate], maker: str, store: FeatureStore, measured: Measured
) -> Iterator[tuple[Candidate, bytes]]:
    """Yield each image with what a maker made of it; images that do not decode are noted by their ids."""
    for one in candidates:
        message = measured.damaged.pop(one.sha256, None)
        if message is None:
            yield one, store.image(maker, one.sha256)
        else:
            measured.damaged[one.image_id] = message


def _compare_images(
    pictures: Sequence[Candidate],
    features: Features,
    with_: Instruments,
    execution: Execution,
    measured: Measured,
) -> None:
    """Find near-duplicates, and the nearest of each image."""
    if len(pictures) < 2:
        return
    ids, digests = [one.image_id for one in pictures], [one.sha256 for one in pictures]
    by_hash = compare_hashes(features.hashes(digests), with_.duplicates.hash_distance, execution.threads)
    by_embedding: Likeness | None = None
    if with_.encoder is not None:
        vectors = features.vectors(with_.encoder[0], digests)
        by_embedding = compare_embeddings(vectors, with_.duplicates.similarity, ladder=())
    measured.near_duplicates = find_near_duplicates(ids, by_embedding, by_hash)
    for row, image_id in enumerate(ids):
        measured.scores[image_id] = replace(
            measured.scores[image_id],
            hash_distance=HASH_BITS - int(by_hash.nearest[row]),
            similarity=None if by_embedding is None else float(by_embedding.nearest[row]),
        )


def _compare_prompts(
    pictures: Sequence[Candidate], features: Features, name: str, encoder: Encoder, measured: Measured
) -> None:
    """Compare each image with its prompt and with prompts of others.

    The size of a similarity says little: it depends on the model, and on how long prompts are. Whether other
    images' prompts fit better needs no number that is one model's.
    """
    asked = [one for one in pictures if one.prompt is not None]
    own = {one.image_id: features.prompt_similarity(name, one.image_id, one.prompt) for one in asked}
    for image_id, similarity in own.items():
        measured.scores[image_id] = replace(measured.scores[image_id], prompt_similarity=similarity)
    prompts = _choose_prompts(asked)
    if len(prompts) < MIN_PROMPTS:
        return
    texts = _encode_texts(encoder, prompts).astype(np.float32).T
    number_of = {prompt: number for number, prompt in enumerate(prompts)}
    for block in blocks_of(len(asked), _ROWS_PER_BLOCK):
        some = asked[block]
        similarities = features.vectors(name, [one.sha256 for one in some]).astype(np.float32) @ texts
        for one, others in zip(some, similarities, strict=True):
            number = number_of.get(one.prompt or "")
            is_other = np.arange(len(prompts)) != (-1 if number is None else number)
            share = float((others[is_other] > (own[one.image_id] or 0.0)).mean())
            measured.scores[one.image_id] = replace(measured.scores[one.image_id], better_prompts=share)


def _choose_prompts(asked: Sequence[Candidate]) -> list[str]:
    """Choose different prompts, evenly over the images' ids, which are a shuffle; the same in every run."""
    prompts = list(dict.fromkeys(one.prompt or "" for one in asked))
    return prompts[:_OTHER_PROMPTS]


def _encode_texts(encoder: Encoder, texts: Sequence[str]) -> Half:
    batches = (texts[block] for block in blocks_of(len(texts), _TEXTS_PER_BATCH))
    # Filled up, so that a text's vector does not depend on how many others are encoded with it.
    made = (
        encoder.encode_texts([*some, *[""] * (_TEXTS_PER_BATCH - len(some))])[: len(some)] for some in batches
    )
    return np.concatenate(list(made))


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    return iter(lambda: list(itertools.islice(items, size)), [])


def shown_of(one: Candidate) -> Shown:
    """Return an image and its prompt, as the store of features wants them."""
    return Shown(one.sha256, one.file, one.prompt)


def _digest(made_by: str) -> str:
    return hashlib.sha256(made_by.encode()).hexdigest()


def _int(value: object) -> int:
    return int(str(value))
