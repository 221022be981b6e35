"""Features of a release: images and texts go through encoders once, and into rows from the store.

Encoding comes before writing, and each batch goes into the store as soon as it is done, so that a run that is
killed loses only those being computed, at most one for each core, and a new version encodes what is new.
Perceptual hashes of images are kept there, too, some hundred at a time.
"""

import contextlib
import hashlib
import importlib.metadata
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from builders.catalog import Catalog, Part, Shown
from builders.features.adherence import compare_texts
from builders.features.encoder import Encoder, EncoderLoader, Workers, encode_stream
from builders.features.encoder import Features as Vectors
from builders.features.store import FeatureStore
from builders.features.vectors import check_vectors, split_group
from builders.images.hashes import Hashes, hash_image, pack_hashes
from builders.images.integrity import read_again
from builders.parallel import Execution, Threads
from schemas.configs import Config, Table, feature_config_names
from schemas.manifest import Inputs
from schemas.problems import BuildError, EmbeddingError, Problem, Reason
from schemas.settings import BuildSettings

_VECTOR = np.dtype("<f2")
_TEXTS_PER_BATCH = 64
_IMAGES_PER_COMMIT = 500
_IMAGES_PER_READ = 4
_HASHED_BY = ("numpy", "pillow", "scipy")
# Table → the text that is compared, and the column that says what came of it.
_COMPARED = {Table.IMAGES: ("prompt", "prompt_similarity"), Table.CAPTIONS: ("caption", "similarity")}


class FeatureFile(Protocol):
    """A file of an earlier release; `builders.release.reader.TableFile` is one.

    Its methods raise pyarrow's `ArrowException` or `OSError` where the file is damaged.
    """

    def row_groups(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns, row group by row group."""
        ...

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all rows."""
        ...


class EarlierFeatures(Protocol):
    """The features of an earlier release; `builders.release.previous.PreviousRelease` is one."""

    def feature_files(self, config: Config) -> Iterable[tuple[str, FeatureFile, FeatureFile]]:
        """Yield each intact file of features: its name, the file, and that of its texts."""
        ...


class Features:
    """What encoders make of the images and texts of one release.

    Args:
        store: Where it is kept.
        encoders: Config of features → what makes it; the provenances are those of the build's inputs.
        loaders: Config of features → what loads its encoder on other machines, where those are to encode.
    """

    def __init__(
        self,
        store: FeatureStore,
        encoders: Mapping[str, Encoder] = MappingProxyType({}),
        loaders: Mapping[str, EncoderLoader] = MappingProxyType({}),
    ) -> None:
        self._store, self._encoders, self._loaders = store, encoders, loaders
        self._makers = {
            config: encoder.provenance.digest
            for name, encoder in encoders.items()
            for config in feature_config_names(name)
        }

    def prepare(
        self,
        catalog: Catalog,
        missing: Mapping[str, Sequence[Part]],
        inputs: Inputs,
        previous: EarlierFeatures | None,
        execution: Execution,
    ) -> None:
        """Fill the store with all that rows are made of, and encode only what is missing.

        Args:
            catalog: Settled and arranged.
            missing: Config → its parts that are to be written.
            inputs: What the release is built from.
            previous: The release that this one follows; its features are taken over if the same encoder
                made them.
            execution: Hashes images, and shows progress.

        Raises:
            BuildError: An image is not the one that was looked at, or cannot be encoded.
        """
        if inputs.near_duplicates is not None:
            everything = catalog.layout.parts(Table.IMAGES)
            self._store.want(shown for part in everything for shown in catalog.images.shown(part))
            self._hash_images(inputs.build, execution)
        for name, encoder in self._encoders.items():
            configs = [inputs.configs[each] for each in feature_config_names(name)]
            parts = [part for config in configs for part in missing.get(config.name, ())]
            self._store.want(shown for part in parts for shown in _shown(catalog, part))
            if previous is not None and self._is_anything_missing(encoder):
                self._learn(previous, configs, encoder.provenance.dimension)
            self._encode_images(name, encoder, inputs.build, execution)
            self._compare_texts(name, encoder, execution)

    def prepare_images(self, shown: Iterable[Shown], build: BuildSettings, execution: Execution) -> None:
        """Fill the store with hashes, embeddings and similarities of images that are in no release.

        Args:
            shown: The images, each with its prompt if it has one.
            build: Limits for images.
            execution: Hashes images, and shows progress.

        Raises:
            BuildError: An image is not the one that was looked at, or cannot be encoded.
        """
        self._store.want(shown)
        self._hash_images(build, execution)
        for name, encoder in self._encoders.items():
            self._encode_images(name, encoder, build, execution)
            self._compare_texts(name, encoder, execution)

    def vectors(self, name: str, digests: Iterable[str]) -> Vectors:
        """Return what the encoder of a config made of images by the SHA-256 of their bytes: (n, d).

        Raises:
            KeyError: `prepare_images` was not told of one.
        """
        return np.stack([self._vector(self._makers[name], sha256) for sha256 in digests])

    def prompt_similarity(self, name: str, image_id: str, prompt: str | None) -> float | None:
        """Return how like an image its prompt is to the encoder of a config; None without a prompt.

        Raises:
            KeyError: `prepare_images` was not told of them.
        """
        return self._store.similarity(self._makers[name], image_id, prompt)

    def row(self, config: Config, row: Mapping[str, object]) -> Mapping[str, object]:
        """Make the row of a config of features.

        Args:
            config: The config.
            row: The row of the image in `prompts`, or of the caption in `captions`.

        Raises:
            KeyError: `prepare` was not told of it.
        """
        maker, image_id = self._makers[config.name], str(row["image_id"])
        if config.table is Table.CAPTIONS:
            similarity = self._store.similarity(maker, image_id, _text(row["caption"]))
            return {"caption_id": row["caption_id"], "image_id": image_id, "similarity": similarity}
        vector = np.frombuffer(self._store.image(maker, str(row["sha256"])), _VECTOR)
        return {
            "image_id": image_id,
            "embedding": vector.astype(np.float32),
            "prompt_similarity": self._store.similarity(maker, image_id, _text(row["prompt"])),
        }

    def hashes(self, digests: Iterable[str]) -> Hashes:
        """Return the perceptual hashes of images by the SHA-256 of their bytes."""
        maker = _hash_maker()
        return pack_hashes([self._store.image(maker, sha256) for sha256 in digests])

    def encode_queries(self, texts: Sequence[str]) -> Mapping[str, Vectors]:
        """Return the embeddings of some texts by each encoder: config → (texts, d)."""
        return {name: encoder.encode_texts(texts) for name, encoder in self._encoders.items()}

    def _is_anything_missing(self, encoder: Encoder) -> bool:
        maker = encoder.provenance.digest
        return bool(self._store.count_missing_images(maker) or self._store.count_missing_texts(maker))

    def _hash_images(self, build: BuildSettings, execution: Execution) -> None:
        maker = _hash_maker()
        if not (num := self._store.count_missing_images(maker)):
            return

        hash_one = _HashShown(build)
        found = execution.images.map_ordered(hash_one, self._store.missing(), chunk=_IMAGES_PER_READ)
        hashed = execution.track(found, "hashing images", num)
        made = ((shown.sha256, data) for shown, data in hashed)
        while batch := list(itertools.islice(made, _IMAGES_PER_COMMIT)):
            self._store.add_images(maker, batch)

    def _workers(self, name: str, execution: Execution) -> Workers | None:
        """Return who encodes for a config: None for this process, which has the model in memory."""
        if execution.images.shares_memory or name not in self._loaders:
            return None
        return Workers(execution.images, self._loaders[name])

    def _encode_images(self, name: str, encoder: Encoder, build: BuildSettings, execution: Execution) -> None:
        maker = encoder.provenance.digest
        num = self._store.count_missing_images(maker)
        workers = self._workers(name, execution)

        def encode() -> Iterator[Shown]:
            for batch, vectors in encode_stream(encoder, self._store.missing(), _ReadShown(build), workers):
                made = zip((one.sha256 for one in batch), vectors.astype(_VECTOR), strict=True)
                self._store.add_images(maker, [(sha256, vector.tobytes()) for sha256, vector in made])
                yield from batch

        for _ in execution.track(encode(), f"encoding images, {name}", num) if num else ():
            pass

    def _compare_texts(self, name: str, encoder: Encoder, execution: Execution) -> None:
        maker = encoder.provenance.digest
        workers = self._workers(name, execution)
        num = self._store.count_missing_texts(maker)
        missing = self._store.missing()
        batches = iter(lambda: list(itertools.islice(missing, _TEXTS_PER_BATCH)), [])

        def encode() -> Iterator[tuple[list[Shown], Vectors]]:
            if workers is None:
                return Threads(encoder.num_workers).map_loaded(lambda: encoder, _encode_texts, batches)
            uses_gpu = workers.load.settings.device != "cpu"
            return workers.executor.map_loaded(workers.load, _encode_texts, batches, uses_gpu=uses_gpu)

        def compare() -> Iterator[Shown]:
            for batch, texts in encode():
                images = np.stack([self._vector(maker, one.sha256) for one in batch])
                similarities = compare_texts(images, texts, np.arange(len(batch))).clip(-1, 1)
                self._store.add_similarities(maker, zip(batch, similarities.tolist(), strict=True))
                yield from batch

        for _ in execution.track(compare(), f"encoding texts, {name}", num) if num else ():
            pass

    def _vector(self, maker: str, sha256: str) -> Vectors:
        return np.frombuffer(self._store.image(maker, sha256), _VECTOR)

    def _learn(self, previous: EarlierFeatures, configs: Iterable[Config], dimension: int) -> None:
        """Take over what the previous release says; what is damaged there is encoded again."""
        for config in configs:
            for name, file, texts in previous.feature_files(config):
                with contextlib.suppress(EmbeddingError, pa.ArrowException, OSError, KeyError):
                    if config.table is Table.IMAGES:
                        self._learn_vectors(self._makers[config.name], name, file, dimension)
                    self._learn_similarities(config, file, texts)

    def _learn_vectors(self, maker: str, name: str, file: FeatureFile, dimension: int) -> None:
        for group in file.row_groups(["image_id", "embedding"]):
            ids, vectors = split_group(group, dimension, name)
            check_vectors(vectors, name)
            made = zip(ids.to_pylist(), vectors.astype(_VECTOR), strict=True)
            self._store.learn_images(maker, ((image_id, vector.tobytes()) for image_id, vector in made))

    def _learn_similarities(self, config: Config, file: FeatureFile, texts_file: FeatureFile) -> None:
        """Take over similarities from a file of features; `texts_file` has the texts."""
        (key,), (text, similarity) = config.key, _COMPARED[config.table]
        texts = dict(_columns(texts_file, key, text))
        self._store.learn_similarities(
            self._makers[config.name],
            (
                (image_id, texts[name], value)
                for name, image_id, value in _columns(file, key, "image_id", similarity)
                if value is not None and texts.get(name) is not None
            ),
        )


def _columns(file: FeatureFile, *names: str) -> Iterator[tuple[Any, ...]]:
    """Yield some columns of a file, row by row."""
    table = file.read(list(dict.fromkeys(names)))
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _shown(catalog: Catalog, part: Part) -> Iterator[Shown]:
    return catalog.captions.shown(part) if part.table is Table.CAPTIONS else catalog.images.shown(part)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class _ReadShown:
    """Reads an image that was looked at before; plain data, for workers in other processes."""

    build: BuildSettings

    def __call__(self, shown: Shown) -> bytes:
        return read_again(shown.file, shown.sha256, self.build)


@dataclass(frozen=True, slots=True)
class _HashShown:
    """Hashes an image that was looked at before; plain data, for workers in other processes."""

    build: BuildSettings

    def __call__(self, shown: Shown) -> bytes:
        data = read_again(shown.file, shown.sha256, self.build)
        try:
            return hash_image(data)
        except Exception as error:  # Decoders raise many types; what one finds sound, another may not.
            message = f"the image cannot be compared with others: it does not decode: {error}"
            fix = "save it again, or remove its row"
            raise BuildError(Problem(Reason.IMAGE_DAMAGED, message, file=str(shown), fix=fix)) from error


def _encode_texts(encoder: Encoder, batch: list[Shown]) -> Vectors:
    """Encode texts; filled up, so that a text's vector does not depend on how many others are with it."""
    texts = [one.text or "" for one in batch]
    return encoder.encode_texts(texts + [""] * (_TEXTS_PER_BATCH - len(texts)))[: len(texts)]


def _hash_maker() -> str:
    """Return a digest of everything that perceptual hashes depend on."""
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in _HASHED_BY]
    return hashlib.sha256(f"hash_image 3, {', '.join(libraries)}".encode()).hexdigest()
