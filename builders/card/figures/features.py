"""Figures of a release's features, drawn from its written files: searches, near-duplicates, adherence."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from builders.card.facts.features import (
    Compared,
    FeatureSummary,
    compare_captions,
    compare_prompts,
)
from builders.card.figures.charts import AdherencePanel, draw_adherence, draw_thresholds
from builders.card.figures.galleries import (
    AlikeImage,
    GalleryRow,
    TextExample,
    draw_examples,
    draw_near_duplicates,
    draw_search,
)
from builders.card.figures.inputs import FigureInputs
from builders.features.adherence import lowest_rows, split_by_group
from builders.features.vectors import Float64
from builders.release.embeddings import SearchedRelease
from builders.release.reader import ReleaseReader
from schemas.duplicates import NearDuplicate
from schemas.features import Provenance

NEAR_DUPLICATES_PATH = "figures/near_duplicates.jpg"
THRESHOLDS_PATH = "figures/near_duplicate_thresholds.png"

_FOUND = 8
_QUERIES_PER_FIGURE = 4
_GROUPS = 12
_MAX_GROUPS = 12
_AUTHORS, _EXAMPLES = 8, 4


def draw_searches(inputs: FigureInputs) -> dict[str, str]:
    """Draw what each encoder finds for the queries."""
    return _drawn(_draw_searches(inputs, each) for each in inputs.facts.features)


# Lowest texts for each captioner: of all together, the sample showed six captions of the right captioner and
# none of the wrong one.
def draw_fits(inputs: FigureInputs) -> dict[str, str]:
    """Draw how well texts fit their images, and the texts that fit least, by each encoder."""
    return _drawn(_draw_adherence(inputs.release, each, inputs.titles) for each in inputs.facts.features)


def draw_duplicates(inputs: FigureInputs) -> dict[str, str]:
    """Draw groups of near-duplicates; nothing where there are none."""
    found = inputs.facts.near_duplicates
    if found is None or not found.num_groups:
        return {}
    encoder = name_encoder(inputs.pairs.encoder) if inputs.pairs is not None else ""
    measures = " and ".join(filter(None, (encoder, "perceptual hash")))
    return _draw_near_duplicates(inputs, found.num_groups, measures)


def draw_duplicate_thresholds(inputs: FigureInputs) -> dict[str, str]:
    """Draw what each threshold would call a near-duplicate.

    Nothing is drawn where no pair is alike at any threshold, or where hashes alone were compared.
    """
    pairs = inputs.pairs
    if pairs is None or not pairs.likeness.ladder[0].num_images:
        return {}
    path = inputs.release.folder / THRESHOLDS_PATH
    draw_thresholds(path, pairs.likeness, pairs.threshold, name_encoder(pairs.encoder))
    return {THRESHOLDS_PATH: "Images with a near-duplicate at each threshold of similarity"}


def _drawn(figures: Iterable[dict[str, str]]) -> dict[str, str]:
    return {path: caption for each in figures for path, caption in each.items()}


def name_encoder(provenance: Provenance) -> str:
    """Name an encoder beside what it says, above all if it is the demonstration encoder."""
    model = f"{provenance.model}, {provenance.pretrained}"
    return f"demonstration encoder, {provenance.model}" if provenance.is_demonstration else model


def _draw_searches(inputs: FigureInputs, summary: FeatureSummary) -> dict[str, str]:
    release, queries = inputs.release, inputs.queries
    vectors = queries.vectors.get(summary.config)
    if vectors is None or not queries.texts:
        return {}
    searched = SearchedRelease(release, summary.config)
    hits = [searched.search(vector, _FOUND) for vector in vectors]
    results = [
        GalleryRow(
            text, [replace(one, generator=inputs.titles.get(one.generator, one.generator)) for one in found]
        )
        for text, found in zip(queries.texts, searched.show(hits), strict=True)
    ]
    drawn: dict[str, str] = {}
    for number, start in enumerate(range(0, len(results), _QUERIES_PER_FIGURE), 1):
        some = results[start : start + _QUERIES_PER_FIGURE]
        path = f"figures/search_{summary.config}_{number}.jpg"
        draw_search(release.folder / path, some, name_encoder(summary.provenance))
        drawn[path] = "Search results for " + ", ".join(f"“{result.query}”" for result in some)
    return drawn


def _draw_adherence(
    release: ReleaseReader, summary: FeatureSummary, titles: Mapping[str, str]
) -> dict[str, str]:
    prompts = compare_prompts(release, summary.config)
    captions = compare_captions(release, summary.config)
    note, drawn = name_encoder(summary.provenance), dict[str, str]()
    panels = [
        AdherencePanel(f"{title} · {note}", _groups(compared, titles))
        for title, compared in (("Prompts, by generator", prompts), ("Captions, by captioner", captions))
        if compared.groups
    ]
    if panels:
        path = f"figures/adherence_{summary.config}.png"
        draw_adherence(release.folder / path, panels)
        drawn[path] = "Similarity of images to prompts by generator, and to captions by captioner"
    examples = (
        ("prompts", "by generator", lowest_prompts(release, prompts, titles)),
        ("captions", "by captioner", lowest_captions(release, captions)),
    )
    for kind, by, lowest in examples:
        if lowest:
            path = f"figures/lowest_{kind}_{summary.config}.jpg"
            title = f"The {kind} least like their images, {by}"
            draw_examples(release.folder / path, f"{title} · {note}", lowest)
            drawn[path] = title
    return drawn


def _groups(compared: Compared, titles: Mapping[str, str]) -> dict[str, Float64]:
    """Return the similarities of the largest groups under their titles, in the order of `titles`."""
    groups = itertools.islice(split_by_group(compared.similarities, compared.groups).items(), _MAX_GROUPS)
    found = {name or "not stated": values for name, values in groups}
    return {titles.get(name, name): found[name] for name in _in_order(found, titles)}


def _in_order(names: Iterable[str], titles: Mapping[str, str]) -> list[str]:
    """Put generators in the order of `titles`, which the rest of the card has; captioners keep theirs."""
    places = {name: place for place, name in enumerate(titles)}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def lowest_prompts(
    release: ReleaseReader, compared: Compared, titles: Mapping[str, str]
) -> dict[str, list[TextExample]]:
    """Show the prompts least like their images: title of each generator → the lowest first."""
    places = _lowest_places(compared)
    rows = [int(compared.rows[place]) for place in itertools.chain(*places.values())]
    said = release.rows("prompts", rows, ["prompt"])
    shown = release.rows("default", rows, ["image"])

    def example(place: int) -> TextExample:
        row = int(compared.rows[place])
        image, text = shown[row]["image"]["bytes"], said[row]["prompt"]
        return TextExample(image, text, float(compared.similarities[place]))

    ordered = _in_order(places, titles)
    return {titles.get(name, name): [example(place) for place in places[name]] for name in ordered}


def lowest_captions(release: ReleaseReader, compared: Compared) -> dict[str, list[TextExample]]:
    """Show the captions least like their images: captioner → the lowest first."""
    places = _lowest_places(compared)
    rows = [int(compared.rows[place]) for place in itertools.chain(*places.values())]
    said = release.rows("captions", rows, ["image_id", "caption"])
    shown = _read_images(release, [one["image_id"] for one in said.values()])

    def example(place: int) -> TextExample:
        one = said[int(compared.rows[place])]
        return TextExample(shown[one["image_id"]], one["caption"], float(compared.similarities[place]))

    return {name: [example(place) for place in own] for name, own in places.items()}


def _lowest_places(compared: Compared) -> dict[str, list[int]]:
    """Find the texts least like their images, of those who have the most: texts of one kind alone compare."""
    places = lowest_rows(compared.similarities, compared.groups, _EXAMPLES)
    return {name or "not stated": own for name, own in itertools.islice(places.items(), _AUTHORS)}


def _draw_near_duplicates(inputs: FigureInputs, num_groups: int, measures: str) -> dict[str, str]:
    """Draw some groups, the largest first."""
    release, titles = inputs.release, inputs.titles
    rows = release.near_duplicates() or []
    groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row.group)]
    groups = sorted(groups, key=len, reverse=True)[:_GROUPS]
    images = _read_images(release, [row.image_id for group in groups for row in group])
    generators = _read_generators(release, images)
    more = f", {len(groups)} of {num_groups:,} groups" if len(groups) < num_groups else ""

    def alike(row: NearDuplicate) -> AlikeImage:
        name, image = generators[row.image_id], images[row.image_id]
        return AlikeImage(image, row.image_id, titles.get(name, name), row.similarity, row.hash_distance)

    shown = [[alike(row) for row in group] for group in groups]
    draw_near_duplicates(release.folder / NEAR_DUPLICATES_PATH, f"Near-duplicates{more} · {measures}", shown)
    return {NEAR_DUPLICATES_PATH: f"Near-duplicates side by side, with their image ids{more}"}


def _read_images(release: ReleaseReader, image_ids: Sequence[str]) -> dict[str, bytes]:
    """Read some images by id."""
    rows = _rows_of(release, set(image_ids))
    found = release.rows("default", list(rows.values()), ["image"])
    return {image_id: found[row]["image"]["bytes"] for image_id, row in rows.items()}


def _read_generators(release: ReleaseReader, image_ids: Mapping[str, object]) -> dict[str, str]:
    rows = _rows_of(release, set(image_ids))
    found = release.rows("prompts", list(rows.values()), ["generator"])
    return {image_id: found[row]["generator"] for image_id, row in rows.items()}


def _rows_of(release: ReleaseReader, image_ids: set[str]) -> dict[str, int]:
    """Find the rows of images, the same in every config of images."""
    ids = enumerate(release.column("prompts", "image_id"))
    return {image_id: row for row, image_id in ids if image_id in image_ids}
