"""A built release, searched: the embeddings of its files, and the rows and images that a search finds."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.features.search import Hits, SearchIndex
from builders.features.vectors import EmbeddingTable, Half
from builders.release.reader import ReleaseReader
from schemas.features import Provenance
from schemas.problems import Problem, Reason, SettingsError, suggest

_HOW_TO = (
    "add to release.toml a table [[features]] with a model and its weights, such as "
    'model = "ViT-B-32" and pretrained = "laion2b_s34b_b79k", and build the next version'
)


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
