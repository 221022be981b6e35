"""A built release, searched: the embeddings of its files, and the rows and images that a search finds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.features.search import Hits, SearchIndex
from builders.features.vectors import Half, check_vectors, split_group
from builders.release.reader import ReleaseReader, open_table
from schemas.features import Provenance
from schemas.problems import EmbeddingError, Problem, Reason, SettingsError, suggest

_SHOWN_IDS = 3
_HOW_TO = (
    "add to release.toml a table [[features]] with a model and its weights, such as "
    'model = "ViT-B-32" and pretrained = "laion2b_s34b_b79k", and build the next version'
)


@dataclass(frozen=True, slots=True)
class EmbeddingTable:
    """The embeddings of a release's images.

    Attributes:
        image_ids: The images, in the order of the rows.
        vectors: (n, d) float16, each row of length 1.
        provenance: What the files say of how they were made, as JSON; None where they say nothing.
    """

    image_ids: Sequence[str]
    vectors: Half
    provenance: str | None

    @classmethod
    def read(cls, paths: Sequence[Path], image_ids: Sequence[str]) -> "EmbeddingTable":
        """Read shards with the columns `image_id` and `embedding` (fixed-size list of float32).

        Memory is that of the result (126 MB for 122,726 x 512) and of one row group.

        Args:
            paths: The shards.
            image_ids: Ids of the images that must be there, each once; the result is in their order.

        Raises:
            EmbeddingError: A file cannot be read, has other columns, another dimension or another provenance
                than the first; images are missing, unknown or there twice; vectors are not finite or not of
                length 1.
        """
        if not paths or not image_ids:
            missing = "files" if not paths else "images"
            raise EmbeddingError(_problem(f"there are no {missing}, so there is nothing to compare"))
        dim, provenance = _read_headers(paths)
        vectors = np.zeros((len(image_ids), dim), np.float16)
        expected = pa.array(image_ids, pa.string())
        seen = np.zeros(len(image_ids), np.int64)
        unknown: list[str] = []
        for ids, block in (group for path in paths for group in _read_groups(path, dim)):
            places = pc.index_in(ids, value_set=expected)
            unknown += ids.filter(pc.is_null(places)).to_pylist()
            is_known = places.is_valid().to_numpy(zero_copy_only=False)
            rows = places.drop_null().to_numpy()
            np.add.at(seen, rows, 1)
            vectors[rows] = block[is_known]
        problems = [
            *_list_ids(unknown, "have an embedding but are not in the release"),
            *_list_ids(
                [image_ids[row] for row in np.flatnonzero(seen > 1).tolist()], "have several embeddings"
            ),
            *_list_ids([image_ids[row] for row in np.flatnonzero(seen == 0).tolist()], "have no embedding"),
        ]
        if problems:
            raise EmbeddingError(problems)
        check_vectors(vectors, f"{paths[0].parent.name}/")
        return cls(image_ids, vectors, provenance)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a search found: its bytes, its generator and its similarity with the query."""

    image: bytes
    generator: str
    similarity: float


@dataclass(frozen=True, slots=True)
class FoundRow:
    """One image that a search found, and what its row says of it."""

    row: int
    similarity: float
    image_id: str
    file_name: str
    generator: str
    prompt: str | None


class SearchedRelease:
    """The embeddings of a release in memory, and its rows on disk.

    Args:
        release: The release.
        config: Which of its configs of features; may be left out where there is one.

    Raises:
        SettingsError: It has no features, or several and none is named, or none of this name.
        EmbeddingError: Its files of features are damaged.
    """

    def __init__(self, release: ReleaseReader, config: str | None = None) -> None:
        self._release = release
        self.config = choose_config(release.feature_configs, config)
        self.provenance: Provenance = release.provenance(self.config)
        self.image_ids: list[str] = list(release.column("prompts", "image_id"))
        self.vectors: Half = EmbeddingTable.read(release.paths(self.config), self.image_ids).vectors
        self._index = SearchIndex(self.vectors)

    def search(self, queries: Half, k: int) -> Hits:
        """Find the images most similar to each query; see `SearchIndex.search`."""
        return self._index.search(queries, k)

    def describe(self, hits: Hits) -> list[FoundRow]:
        """Return the rows that one query found."""
        columns = ["image_id", "file_name", "generator", "prompt"]
        found = [int(row) for row in hits.rows]
        rows = self._release.rows("prompts", found, columns)
        scores = map(float, hits.similarities)
        return [FoundRow(row, score, **rows[row]) for row, score in zip(found, scores, strict=True)]

    def show(self, hits: Sequence[Hits]) -> list[list[FoundImage]]:
        """Read the images that queries found, each once."""
        rows = {int(row) for one in hits for row in one.rows}
        found = self._release.rows("default", rows, ["image", "generator"])
        return [
            [
                FoundImage(found[int(row)]["image"]["bytes"], found[int(row)]["generator"], float(score))
                for row, score in zip(one.rows, one.similarities, strict=True)
            ]
            for one in hits
        ]


def choose_config(names: Sequence[str], wanted: str | None) -> str:
    """Choose one of a release's configs of features.

    Raises:
        SettingsError: It cannot be told which.
    """
    if not names:
        problem = Problem(Reason.SETTINGS, "the release has no CLIP features", fix=_HOW_TO)
    elif wanted is None and len(names) > 1:
        message = "the release has features of several models"
        problem = Problem(Reason.SETTINGS, message, column="--config", fix=f"name one: {', '.join(names)}")
    elif wanted is not None and wanted not in names:
        message = "the release has no such config of features"
        fix = suggest(wanted, names)
        problem = Problem(Reason.SETTINGS, message, column="--config", value=wanted, fix=fix)
    else:
        return wanted or names[0]
    raise SettingsError(problem)


def _read_headers(paths: Sequence[Path]) -> tuple[int, str | None]:
    """Read from the footers what all shards must agree on: the dimension and the provenance."""
    problems: list[Problem] = []
    headers: list[tuple[int, str | None]] = []
    for path in paths:
        try:
            with open_table(path) as file:
                schema, text = file.schema, file.provenance
        except (pa.ArrowException, OSError) as error:
            problems.append(_unreadable(path, error))
            continue
        names: dict[str, pa.DataType] = {field.name: field.type for field in schema}
        vector = names.get("embedding", pa.null())
        is_vector = pa.types.is_fixed_size_list(vector) and pa.types.is_float32(vector.value_type)
        if not is_vector or not pa.types.is_string(names.get("image_id", pa.null())):
            problems.append(
                _problem(
                    "a file of embeddings has the columns image_id (string) and embedding (list of a fixed "
                    "number of float32)",
                    path.name,
                    ", ".join(f"{name}: {kind}" for name, kind in names.items()),
                )
            )
            continue
        headers.append((vector.list_size, text.decode("utf-8", "backslashreplace") if text else None))
        problems += _compare_headers(path, headers[0], headers[-1])
    if problems:
        raise EmbeddingError(problems)
    return headers[0]


def _compare_headers(path: Path, first: tuple[int, str | None], own: tuple[int, str | None]) -> list[Problem]:
    if own[0] != first[0]:
        message = f"this file's embeddings have another dimension than the first file's {first[0]}"
        return [_problem(message, path.name, str(own[0]))]
    if own[1] != first[1]:
        message = "mixing tables of different provenance is refused: the first file says another"
        return [_problem(message, path.name, own[1])]
    return []


def _read_groups(path: Path, dim: int) -> Iterator[tuple[pa.Array, Half]]:
    """Yield the ids and the (n, d) vectors of each row group of a file."""
    try:
        with open_table(path) as file:
            for group in file.row_groups(["image_id", "embedding"]):
                yield split_group(group, dim, path.name)
    except (pa.ArrowException, OSError) as error:
        raise EmbeddingError(_unreadable(path, error)) from error


def _list_ids(ids: Sequence[str], what: str) -> Iterator[Problem]:
    if ids:
        shown = ", ".join(ids[:_SHOWN_IDS]) + (", …" if len(ids) > _SHOWN_IDS else "")
        yield _problem(f"{len(ids):,} images {what}", value=shown)


def _unreadable(path: Path, error: Exception) -> Problem:
    return _problem(f"this is not a Parquet file that can be read: {type(error).__name__}", path.name)


def _problem(message: str, place: str = "", value: str | None = None) -> Problem:
    return Problem(Reason.EMBEDDING, message, file=place, value=value, fix="compute the embeddings again")
