"""Figures of a release's features, drawn from its written files: searches, near-duplicates, adherence."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from builders.card.facts import Facts
from builders.card.facts.features import (
    Compared,
    FeatureSummary,
    compare_captions,
    compare_prompts,
    read_near_duplicates,
)
from builders.card.figures.charts import AdherencePanel, draw_adherence, draw_thresholds
from builders.card.figures.galleries import (
    AlikeImage,
    SearchResult,
    TextExample,
    draw_examples,
    draw_near_duplicates,
    draw_search,
)
from builders.features.adherence import lowest_rows, split_by_group
from builders.features.likeness import Likeness
from builders.features.vectors import Float64, Half
from builders.release.embeddings import SearchedRelease
from builders.release.reader import read_rows, shards_of
from schemas.duplicates import NearDuplicate
from schemas.features import Provenance
from schemas.generators import GENERATORS
from schemas.manifest import Shard

NEAR_DUPLICATES_PATH = "figures/near_duplicates.jpg"
THRESHOLDS_PATH = "figures/near_duplicate_thresholds.png"

_FOUND = 8
_QUERIES_PER_FIGURE = 4
_GROUPS = 12
_AUTHORS, _EXAMPLES = 8, 4


@dataclass(frozen=True, slots=True)
class Queries:
    """What is searched for in the card's figures.

    Attributes:
        texts: The queries.
        vectors: Config → what its encoder makes of them, (queries, d).
    """

    texts: tuple[str, ...]
    vectors: Mapping[str, Half]


@dataclass(frozen=True, slots=True)
class ComparedPairs:
    """All pairs of a release's images compared.

    Attributes:
        likeness: What came of it.
        threshold: The similarity from which two are near-duplicates.
        encoder: What made the vectors that were compared.
    """

    likeness: Likeness
    threshold: float
    encoder: Provenance


NO_QUERIES = Queries((), {})


def draw_feature_figures(
    folder: Path,
    shards: Sequence[Shard],
    facts: Facts,
    queries: Queries = NO_QUERIES,
    pairs: ComparedPairs | None = None,
) -> dict[str, str]:
    """Draw every figure of features into the release folder.

    Args:
        folder: The release being built; it has a folder `figures`.
        shards: Its data files, in order.
        facts: Its numbers.
        queries: What to search for.
        pairs: What a threshold of near-duplicates is chosen from; that figure is left out where nothing is
            alike at any, or this is None, where hashes alone were compared.

    Returns:
        Path of each figure in the release → what it shows; nothing where there are no features.
    """
    drawn: dict[str, str] = {}
    encoder = name_encoder(pairs.encoder) if pairs is not None else ""
    for summary in facts.features:
        drawn |= _draw_searches(folder, shards, summary, queries)
        drawn |= _draw_adherence(folder, shards, summary)
    if facts.near_duplicates is not None and facts.near_duplicates.num_groups:
        measures = " and ".join(filter(None, (encoder, "perceptual hash")))
        drawn |= _draw_near_duplicates(folder, shards, facts.near_duplicates.num_groups, measures)
    if pairs is not None and pairs.likeness.ladder[0].num_images:
        draw_thresholds(folder / THRESHOLDS_PATH, pairs.likeness, pairs.threshold, encoder)
        drawn[THRESHOLDS_PATH] = "Images with a near-duplicate at each threshold of similarity"
    return drawn


def name_encoder(provenance: Provenance) -> str:
    """Name an encoder beside what it says, above all if it is the demonstration encoder."""
    model = f"{provenance.model}, {provenance.pretrained}"
    return f"demonstration encoder, {provenance.model}" if provenance.is_demonstration else model


def _draw_searches(
    folder: Path, shards: Sequence[Shard], summary: FeatureSummary, queries: Queries
) -> dict[str, str]:
    vectors = queries.vectors.get(summary.config)
    if vectors is None or not queries.texts:
        return {}
    release = SearchedRelease(folder, shards, summary.config)
    hits = [release.search(vector, _FOUND) for vector in vectors]
    results = [
        SearchResult(text, found) for text, found in zip(queries.texts, release.show(hits), strict=True)
    ]
    drawn: dict[str, str] = {}
    for number, start in enumerate(range(0, len(results), _QUERIES_PER_FIGURE), 1):
        some = results[start : start + _QUERIES_PER_FIGURE]
        path = f"figures/search_{summary.config}_{number}.jpg"
        draw_search(folder / path, some, name_encoder(summary.provenance))
        drawn[path] = "What a search finds for " + ", ".join(f"“{result.query}”" for result in some)
    return drawn


def _draw_adherence(folder: Path, shards: Sequence[Shard], summary: FeatureSummary) -> dict[str, str]:
    prompts = compare_prompts(folder, shards, summary.config)
    captions = compare_captions(folder, shards, summary.config)
    note, drawn = name_encoder(summary.provenance), dict[str, str]()
    panels = [
        AdherencePanel(f"{title} · {note}", _groups(compared))
        for title, compared in (("Prompts, by generator", prompts), ("Captions, by captioner", captions))
        if compared.groups
    ]
    if panels:
        path = f"figures/adherence_{summary.config}.png"
        draw_adherence(folder / path, panels)
        drawn[path] = "Similarity of images and what is said of them, by generator and captioner"
    examples = (
        ("prompts", "by generator", lowest_prompts(folder, shards, prompts)),
        ("captions", "by captioner", lowest_captions(folder, shards, captions)),
    )
    for kind, by, lowest in examples:
        if lowest:
            path = f"figures/lowest_{kind}_{summary.config}.jpg"
            title = f"The {kind} least like their images, {by}"
            draw_examples(folder / path, f"{title} · {note}", lowest)
            drawn[path] = title
    return drawn


def _groups(compared: Compared) -> dict[str, Float64]:
    """Give each group's similarities under its title."""
    groups = split_by_group(compared.similarities, compared.groups)
    return {_title(name or "not stated"): values for name, values in groups.items()}


def _title(name: str) -> str:
    return GENERATORS[name].title if name in GENERATORS else name


def lowest_prompts(folder: Path, shards: Sequence[Shard], compared: Compared) -> dict[str, list[TextExample]]:
    """Show the prompts least like their images: generator's title → the lowest first."""
    places = _lowest_places(compared)
    rows = [int(compared.rows[place]) for place in itertools.chain(*places.values())]
    said = read_rows(folder, shards, "prompts", rows, ["prompt"])
    shown = read_rows(folder, shards, "default", rows, ["image"])

    def example(place: int) -> TextExample:
        row = int(compared.rows[place])
        image, text = shown[row]["image"]["bytes"], said[row]["prompt"]
        return TextExample(image, text, float(compared.similarities[place]))

    return {_title(name): [example(place) for place in own] for name, own in places.items()}


def lowest_captions(
    folder: Path, shards: Sequence[Shard], compared: Compared
) -> dict[str, list[TextExample]]:
    """Show the captions least like their images: captioner → the lowest first."""
    places = _lowest_places(compared)
    rows = [int(compared.rows[place]) for place in itertools.chain(*places.values())]
    said = read_rows(folder, shards, "captions", rows, ["image_id", "caption"])
    shown = _read_images(folder, shards, [one["image_id"] for one in said.values()])

    def example(place: int) -> TextExample:
        one = said[int(compared.rows[place])]
        return TextExample(shown[one["image_id"]], one["caption"], float(compared.similarities[place]))

    return {name: [example(place) for place in own] for name, own in places.items()}


def _lowest_places(compared: Compared) -> dict[str, list[int]]:
    """Find the texts least like their images, of those who have the most: texts of one kind alone compare."""
    places = lowest_rows(compared.similarities, compared.groups, _EXAMPLES)
    return {name or "not stated": own for name, own in itertools.islice(places.items(), _AUTHORS)}


def _draw_near_duplicates(
    folder: Path, shards: Sequence[Shard], num_groups: int, measures: str
) -> dict[str, str]:
    """Draw some groups, the largest first."""
    rows = read_near_duplicates(folder)
    groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row.group)]
    groups = sorted(groups, key=len, reverse=True)[:_GROUPS]
    images = _read_images(folder, shards, [row.image_id for group in groups for row in group])
    generators = _read_generators(folder, shards, images)
    more = f", {len(groups)} of {num_groups:,} groups" if len(groups) < num_groups else ""

    def alike(row: NearDuplicate) -> AlikeImage:
        generator = generators[row.image_id]
        image = images[row.image_id]
        return AlikeImage(image, row.image_id, generator, row.similarity, row.hash_distance)

    shown = [[alike(row) for row in group] for group in groups]
    draw_near_duplicates(folder / NEAR_DUPLICATES_PATH, f"Near-duplicates{more} · {measures}", shown)
    return {NEAR_DUPLICATES_PATH: f"Near-duplicates side by side, with their image ids{more}"}


def _read_images(folder: Path, shards: Sequence[Shard], image_ids: Sequence[str]) -> dict[str, bytes]:
    """Read some images by id."""
    rows = _rows_of(folder, shards, set(image_ids))
    found = read_rows(folder, shards, "default", list(rows.values()), ["image"])
    return {image_id: found[row]["image"]["bytes"] for image_id, row in rows.items()}


def _read_generators(
    folder: Path, shards: Sequence[Shard], image_ids: Mapping[str, object]
) -> dict[str, str]:
    rows = _rows_of(folder, shards, set(image_ids))
    found = read_rows(folder, shards, "prompts", list(rows.values()), ["generator"])
    return {image_id: found[row]["generator"] for image_id, row in rows.items()}


def _rows_of(folder: Path, shards: Sequence[Shard], image_ids: set[str]) -> dict[str, int]:
    """Find the rows of images, the same in every config of images."""
    rows: dict[str, int] = {}
    first = 0
    for shard in shards_of(shards, "prompts"):
        ids = pq.read_table(folder / shard.path, columns=["image_id"])["image_id"].to_pylist()
        rows |= {image_id: row for row, image_id in enumerate(ids, first) if image_id in image_ids}
        first += len(ids)
    return rows
