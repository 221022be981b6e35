"""The whole build: catalog → shards → facts → figures, card, notes → manifest.

`builders.reading.read_sources` has filled the catalog before; here the files are made. Between the two the
caller knows what a release would hold, and may decide not to build it.
"""

import hashlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.card.croissant import CROISSANT_NAME, render_croissant
from builders.card.figures import draw_figures
from builders.card.notes import (
    CHANGELOG_NAME,
    CITATION_NAME,
    bibtex,
    changelog_entry,
    dataset_changelog,
    parse_citation,
    release_citation,
)
from builders.card.readme import CARD_NAME, LICENSES_NAME, CardInputs, render_card, render_licenses
from builders.catalog import Catalog
from builders.facts import read_facts
from builders.intake import Source
from builders.reading import Track, caption_rows, image_rows, pair_rows
from builders.shards import write_shards
from schemas import KIT_VERSION, SCHEMA_VERSION
from schemas.columns import arrow_schema, type_names
from schemas.configs import CONFIGS, Table
from schemas.manifest import MANIFEST_NAME, FileEntry, Inputs, Manifest, Shard, SourceEntry
from schemas.problems import BuildError, Problem, Reason
from schemas.records import DEFAULT_SPLIT
from schemas.settings import BuildSettings, DatasetSettings, PreferenceSettings

# The libraries that decide about bytes: another version of one may write other files.
_TOOLS = (
    *("choix", "datasets", "jinja2", "matplotlib", "numpy", "pillow", "pyarrow", "pyyaml"),
    *("scipy", "simplejpeg"),
)


@dataclass(frozen=True, slots=True)
class Notes:
    """The maintainer's citation and changelog, as text."""

    citation: str
    changelog: str


def describe_inputs(
    version: str,
    dataset: DatasetSettings,
    build: BuildSettings,
    preferences: PreferenceSettings,
    sources: tuple[SourceEntry, ...],
    notes: Notes,
) -> Inputs:
    """Say what a build depends on. Equal inputs give equal bytes."""
    return Inputs(
        version=version,
        schema_version=SCHEMA_VERSION,
        kit_version=KIT_VERSION,
        tools={name: importlib.metadata.version(name) for name in _TOOLS},
        dataset=dataset,
        build=build,
        preferences=preferences,
        sources=sources,
        notes={
            CITATION_NAME: _sha256(notes.citation.encode()),
            CHANGELOG_NAME: _sha256(dataset_changelog(notes.changelog, version).encode()),
        },
    )


def build_release(
    folder: Path, catalog: Catalog, inputs: Inputs, notes: Notes, sources: Iterable[Source], track: Track
) -> Manifest:
    """Write a release into a new folder, the manifest last.

    Args:
        folder: The folder to make; its parent exists.
        catalog: What to publish, settled by `read_sources`.
        inputs: What the build depends on.
        notes: Citation and changelog.
        sources: What was read; for what the card must say of them.
        track: Shows progress.

    Returns:
        The manifest, as written.

    Raises:
        BuildError: There is nothing to publish, or a file changed while it was read.
    """
    counts = catalog.counts()
    if not counts[Table.IMAGES].published:
        message = f"none of the {counts[Table.IMAGES].read:,} rows of images read can be published"
        raise BuildError(Problem(Reason.SOURCE, message, fix="mend the rejected rows"))
    folder.mkdir()
    shards = tuple(_write_tables(folder, catalog, inputs, track))
    facts = read_facts(folder, shards)
    figures = draw_figures(folder, shards, facts)
    citation = parse_citation(notes.citation)
    changelog = dataset_changelog(notes.changelog, inputs.version)
    date, changes = changelog_entry(changelog, inputs.version) or (None, "")
    card = CardInputs(
        dataset=inputs.dataset,
        version=inputs.version,
        facts=facts,
        shards=shards,
        voting=inputs.preferences,
        counts=counts,
        notices=tuple(source.notice for source in sources if source.notice),
        bibtex=bibtex(citation, inputs.dataset.name),
        changes=changes,
        figures=figures,
    )
    _write_texts(
        folder,
        {
            CARD_NAME: render_card(card),
            LICENSES_NAME: render_licenses(card),
            CITATION_NAME: release_citation(citation, inputs.version, date),
            CHANGELOG_NAME: f"# Changelog of {inputs.dataset.title}\n\n{changelog}\n",
            CROISSANT_NAME: render_croissant(card, citation, date),
        },
    )
    manifest = Manifest(
        inputs=inputs,
        previous_version=None,
        counts=counts,
        configs=facts.splits,
        columns={name: type_names(arrow_schema(CONFIGS[name].columns)) for name in facts.splits},
        shards=shards,
        files=tuple(_other_files(folder, {shard.path for shard in shards})),
    )
    (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    return manifest


def _write_tables(folder: Path, catalog: Catalog, inputs: Inputs, track: Track) -> Iterator[Shard]:
    """Write the data files of every config that has rows."""
    images, captions, pairs = catalog.images, catalog.captions, catalog.pairs
    tables = (
        (Table.IMAGES, images.num_rows(), image_rows(catalog, inputs.build)),
        (Table.CAPTIONS, captions.num_rows(), caption_rows(catalog)),
        (Table.PREFERENCES, pairs.num_rows(), pair_rows(catalog, inputs.preferences.rule, inputs.build)),
    )
    for table, num_rows, rows in tables:
        configs = [config for config in CONFIGS.values() if config.table is table]
        if num_rows:
            tracked = track(rows, f"writing {table}", num_rows)
            yield from write_shards(folder, DEFAULT_SPLIT, configs, tracked, inputs.build)


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _other_files(folder: Path, shard_paths: set[str]) -> Iterator[FileEntry]:
    """Describe every file in the folder that is not a shard."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in shard_paths:
            data = path.read_bytes()
            yield FileEntry(path=name, num_bytes=len(data), sha256=_sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
