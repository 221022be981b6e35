"""Facts about the features of a release: what made them, how well images fit texts, what looks alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.features.adherence import AdherenceSummary, summarize_adherence
from builders.features.near_duplicates import DuplicateSummary, summarize_near_duplicates
from builders.features.vectors import Float32, Rows
from builders.release.reader import ReleaseReader
from schemas.features import OF_CAPTIONS, Provenance
from schemas.problems import EmbeddingError, Problem, Reason


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """Numbers about the features of one encoder.

    Attributes:
        config: The config that holds them.
        provenance: What made them, as each file says.
        prompts: Similarity of images and their prompts, by generator.
        captions: Similarity of images and their captions, by captioner.
    """

    config: str
    provenance: Provenance
    prompts: tuple[AdherenceSummary, ...]
    captions: tuple[AdherenceSummary, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """Texts that were compared with their images.

    Attributes:
        rows: (m,) row of each text in its config, whose files follow each other: of `prompts` or `captions`.
        similarities: (m,) cosine similarities.
        groups: (m,) who drew the image or wrote the caption.
    """

    rows: Rows
    similarities: Float32
    groups: Sequence[str]


def read_feature_facts(release: ReleaseReader) -> tuple[FeatureSummary, ...]:
    """Read the facts from the configs of features, one summary for each encoder.

    Raises:
        EmbeddingError: A file does not say what made it, or has other rows than the config it goes with.
    """
    return tuple(
        FeatureSummary(
            config,
            release.provenance(config),
            _summarize(compare_prompts(release, config)),
            _summarize(compare_captions(release, config)),
        )
        for config in release.feature_configs
    )


def compare_prompts(release: ReleaseReader, config: str) -> Compared:
    """Read how similar images and their prompts are; images without a prompt are left out."""
    tables = _side_by_side(release, ("prompts", ["image_id", "generator"]), (config, "image_id"))
    return _compared((said["generator"].to_pylist(), found["prompt_similarity"]) for said, found in tables)


def compare_captions(release: ReleaseReader, config: str) -> Compared:
    """Read how similar images and their captions are; captions without a sentence are left out."""
    columns = ["caption_id", "captioner", "captioner_version"]
    of_captions = (f"{config}{OF_CAPTIONS}", "caption_id")
    tables = _side_by_side(release, ("captions", columns), of_captions)
    return _compared((_captioners(said), found["similarity"]) for said, found in tables)


def read_duplicate_facts(release: ReleaseReader) -> DuplicateSummary | None:
    """Count near-duplicates; None where the release does not list them."""
    listed = release.near_duplicates()
    return None if listed is None else summarize_near_duplicates(listed)


def _side_by_side(
    release: ReleaseReader, said: tuple[str, list[str]], found: tuple[str, str]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield, file by file, some columns of a config and the similarities of the same rows."""
    config, key = found
    tables = {(shard.split, shard.number): shard for shard in release.shards_of(config)}
    for shard in release.shards_of(said[0]) if tables else ():
        other = tables.get((shard.split, shard.number))
        if other is None:
            raise EmbeddingError(_problem(f"no file of {config} has the rows of this one", shard.path))
        similarity = "prompt_similarity" if key == "image_id" else "similarity"
        one = release.read(shard, said[1])
        two = release.read(other, [key, similarity])
        if not one[key].equals(two[key]):
            raise EmbeddingError(_problem(f"it has not the rows of {shard.path}", other.path))
        yield one, two


def _captioners(table: pa.Table) -> list[str]:
    """Name each row's captioner as the card does."""
    pairs = zip(table["captioner"].to_pylist(), table["captioner_version"].to_pylist(), strict=True)
    return [" ".join(filter(None, (captioner or "not stated", version))) for captioner, version in pairs]


def _compared(files: Iterator[tuple[list[str], pa.ChunkedArray]]) -> Compared:
    groups: list[str] = []
    similarities, rows, first = [np.empty(0, np.float32)], [np.empty(0, np.int64)], 0
    for names, values in files:
        places = np.flatnonzero(pc.is_valid(values).to_numpy())
        groups += [names[place] for place in places.tolist()]
        similarities.append(values.drop_null().to_numpy())
        rows.append(places + first)
        first += len(names)
    return Compared(np.concatenate(rows), np.concatenate(similarities), groups)


def _summarize(compared: Compared) -> tuple[AdherenceSummary, ...]:
    return summarize_adherence(compared.similarities, compared.groups) if compared.groups else ()


def _problem(message: str, place: str) -> Problem:
    return Problem(Reason.EMBEDDING, message, file=place, fix="build the release again")
