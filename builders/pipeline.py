"""The build on one screen: `build_release` writes tables, compares images, draws, tells, and seals.

`builders.catalog.reader.SourceReader` has filled the catalog before; here the files are made. Between the
two the caller knows what a release would hold, and may decide not to build it.
"""

import hashlib
import importlib.metadata
import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builders.card.croissant import CROISSANT_NAME, render_croissant
from builders.card.facts import Facts, read_facts
from builders.card.notes import (
    CHANGELOG_NAME,
    CITATION_NAME,
    bibtex,
    changelog_entry,
    cite_only,
    dataset_changelog,
    parse_citation,
    release_changelog,
    release_citation,
)
from builders.card.readme import (
    CARD_NAME,
    COLUMNS_NAME,
    LICENSES_NAME,
    CardInputs,
    render_card,
    render_columns,
    render_licenses,
)
from builders.catalog import Catalog, Part
from builders.features.encoding import Features
from builders.features.likeness import compare_embeddings, compare_hashes
from builders.features.near_duplicates import find_near_duplicates, write_near_duplicates
from builders.parallel import Execution
from builders.release.changes import (
    ShardChange,
    ShardState,
    arrange,
    find_column_edits,
    plan_shards,
    read_changes,
    write_changes,
)
from builders.release.edits import ColumnEdit
from builders.release.embeddings import EmbeddingTable
from builders.release.formats import write_indexes
from builders.release.journal import Journal
from builders.release.part_job import PartJob, read_groups, write_part_job
from builders.release.previous import PreviousRelease, keep_shard
from builders.release.reader import ReleaseReader
from builders.sources.exclusions import Exclusions
from schemas import KIT_VERSION, SCHEMA_VERSION
from schemas.columns import arrow_schema, type_names
from schemas.configs import CONFIG_OF, Config, Table
from schemas.manifest import (
    CHANGES_NAME,
    MANIFEST_NAME,
    NEAR_DUPLICATES_NAME,
    Changes,
    Counts,
    FileEntry,
    Inputs,
    Manifest,
    PreviousEntry,
    Shard,
    SourceEntry,
)
from schemas.problems import BuildError, Problem, Reason
from schemas.settings import ContentSettings

if TYPE_CHECKING:
    from builders.card.figures.inputs import ComparedPairs

# The libraries that decide about bytes: another version of one may write other files.
_PYTHON = ".".join(platform.python_version_tuple()[:2])  # writes the tars
_TOOLS = (
    *("choix", "datasets", "jinja2", "matplotlib", "numpy", "pillow", "pyarrow", "pyyaml"),
    *("scipy", "simplejpeg"),
)


@dataclass(frozen=True, slots=True)
class Notes:
    """What the maintainer and the sources say beside the settings.

    Attributes:
        citation: The citation, as text.
        changelog: The changelog, as text.
        notices: What the sources demand to be said first.
        exclusions: Which images are left out; None where there is no such list.
    """

    citation: str
    changelog: str
    notices: tuple[str, ...] = ()
    exclusions: Exclusions | None = None


def read_tools() -> dict[str, str]:
    """Return the versions of all that decides about bytes: library → version, and Python's."""
    return {"python": _PYTHON, **{name: importlib.metadata.version(name) for name in _TOOLS}}


def describe_inputs(
    version: str,
    settings: ContentSettings,
    sources: tuple[SourceEntry, ...],
    notes: Notes,
    previous: PreviousEntry | None = None,
    *,
    repack: bool = False,
) -> Inputs:
    """Describe the inputs of a build. Equal inputs give equal bytes."""
    return Inputs(
        version=version,
        schema_version=SCHEMA_VERSION,
        kit_version=KIT_VERSION,
        tools=read_tools(),
        dataset=settings.dataset,
        build=settings.build,
        preferences=settings.preferences,
        formats=settings.formats,
        features=settings.features,
        near_duplicates=settings.near_duplicates,
        search=settings.search,
        generators=settings.generators,
        privacy=settings.privacy,
        sources=sources,
        previous=previous,
        repack=repack,
        notes={
            CITATION_NAME: _sha256(notes.citation.encode()),
            CHANGELOG_NAME: _sha256(dataset_changelog(notes.changelog, version).encode()),
        },
        exclusions=notes.exclusions.sha256 if notes.exclusions else None,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build will do, known before a file is written.

    Attributes:
        inputs: What the build depends on.
        previous: The release that it follows, if any.
        shards: What becomes of each data file.
        changes: What differs from the previous release; None if there is none.
        edits: Each column in which rows of the previous release are edited.
    """

    inputs: Inputs
    previous: PreviousRelease | None
    shards: Sequence[ShardChange]
    changes: Changes | None
    edits: Sequence[ColumnEdit] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A release that has been built.

    Attributes:
        manifest: Its manifest, as written.
        kept: Paths of the files that are the previous release's, whose bytes have just been compared.
    """

    manifest: Manifest
    kept: frozenset[str]


def plan_build(catalog: Catalog, inputs: Inputs, previous: PreviousRelease | None) -> Plan:
    """Place every row of a settled catalog, and say what that changes.

    Args:
        catalog: Settled by `SourceReader`; arranged afterwards.
        inputs: What the build depends on.
        previous: The release that `inputs` says it follows.

    Raises:
        BuildError: There is nothing to publish.
    """
    counts = catalog.counts()[Table.IMAGES]
    if not counts.published:
        message = f"none of the {counts.read:,} rows of images read can be published"
        raise BuildError(Problem(Reason.SOURCE, message, fix="correct the rejected rows"))
    arrange(catalog, inputs.build, inputs.preferences.rule, previous, repack=inputs.repack)
    edits = find_column_edits(catalog, inputs, previous) if previous is not None else ()
    return Plan(
        inputs=inputs,
        previous=previous,
        shards=plan_shards(catalog, inputs, previous),
        changes=read_changes(catalog, inputs, previous, edits) if previous is not None else None,
        edits=edits,
    )


def expect_manifest(plan: Plan) -> Manifest:
    """Return the manifest that a build would write, as far as it is known before.

    Files that are kept are what they are. New ones have the size of their images, texts that of the release
    before, and all of them a digest of noughts; counts are left out.
    """
    unknown = "0" * 64
    shards = [
        change.kept
        or Shard(
            path=f"{plan.inputs.configs[change.config].folder}/{change.split}-{change.number:05d}-new"
            f".{plan.inputs.configs[change.config].extension}",
            num_bytes=change.num_bytes,
            sha256=unknown,
            config=change.config,
            split=change.split,
            number=change.number,
            num_rows=0,
        )
        for change in plan.shards
        if change.state is not ShardState.REMOVED
    ]
    names = {CARD_NAME, COLUMNS_NAME, LICENSES_NAME, CITATION_NAME, CHANGELOG_NAME, CROISSANT_NAME}
    sizes = dict.fromkeys(sorted(names), 0)
    if plan.previous is not None:
        sizes |= {entry.path: entry.num_bytes for entry in plan.previous.manifest.files}
        sizes.setdefault(CHANGES_NAME, 0)
    return Manifest(
        inputs=plan.inputs,
        changes=plan.changes,
        counts={},
        configs={},
        columns={},
        shards=tuple(shards),
        files=tuple(
            FileEntry(path=path, num_bytes=size, sha256=unknown) for path, size in sorted(sizes.items())
        ),
    )


def build_release(
    folder: Path,
    catalog: Catalog,
    plan: Plan,
    notes: Notes,
    features: Features,
    execution: Execution,
) -> Built:
    """Write a release into a folder, the manifest last.

    Args:
        folder: Where to write; its parent exists. What an earlier run with the same inputs has finished in
            it is kept, anything else is removed.
        catalog: What to publish, settled by `SourceReader` and placed by `plan_build`.
        plan: What `plan_build` says.
        notes: Citation, changelog and notices.
        features: Encodes images and texts, if the inputs ask for that.
        execution: Runs the work, and shows progress.

    Returns:
        The manifest, as written, and which files were there before.

    Raises:
        BuildError: An image changed while it was read, or cannot be encoded.
    """
    from builders.card.figures import draw_figures  # noqa: PLC0415 - matplotlib, which plans do not need
    from builders.card.figures.inputs import FigureInputs, Queries  # noqa: PLC0415

    inputs = plan.inputs
    folder.mkdir(exist_ok=True)
    shards, kept = _write_tables(folder, catalog, plan, features, execution)
    release = ReleaseReader(folder, shards)
    pairs = _compare_images(release, inputs, features, execution)
    facts = read_facts(release)
    texts = inputs.search.queries if inputs.search else ()
    queries = Queries(texts, features.encode_queries(texts) if texts else {})
    figures = draw_figures(FigureInputs(release, facts, inputs.all_generators, queries, pairs))
    write_indexes(folder, shards)
    if plan.changes is not None and plan.previous is not None:
        write_changes(catalog, inputs, plan.changes, plan.previous, folder / CHANGES_NAME)
    _write_card(release, plan, notes, facts, catalog.counts(), figures)
    return Built(_seal(release, plan, facts, catalog.counts()), kept)


def _write_card(
    release: ReleaseReader,
    plan: Plan,
    notes: Notes,
    facts: Facts,
    counts: Mapping[Table, Counts],
    figures: Mapping[str, str],
) -> None:
    """Write the texts about the release: card, licences, citation, changelog, Croissant."""
    inputs = plan.inputs
    # What the sample's captions and votes imitate is no reason to cite others' work.
    cited = frozenset() if notes.notices else frozenset(facts.splits)
    citation = cite_only(parse_citation(notes.citation), cited)
    changelog = dataset_changelog(notes.changelog, inputs.version)
    date, changes = changelog_entry(changelog, inputs.version) or (None, "")
    card = CardInputs(
        dataset=inputs.dataset,
        version=inputs.version,
        facts=facts,
        shards=tuple(release.shards),
        voting=inputs.preferences,
        counts=counts,
        notices=notes.notices,
        bibtex=bibtex(citation, inputs.dataset.name),
        changes=changes,
        previous=inputs.previous,
        differences=plan.changes,
        formats=inputs.formats,
        features=inputs.features,
        limits=inputs.near_duplicates,
        generators=inputs.all_generators,
        dropped_columns=inputs.privacy.drop_columns,
        figures=figures,
    )
    before = inputs.previous.version if inputs.previous else None
    texts = {
        CARD_NAME: render_card(card),
        COLUMNS_NAME: render_columns(card),
        LICENSES_NAME: render_licenses(card),
        CITATION_NAME: release_citation(citation, inputs.version, date),
        CHANGELOG_NAME: release_changelog(
            inputs.dataset.title, changelog, inputs.version, before, plan.changes
        ),
        CROISSANT_NAME: render_croissant(card, citation, date),
    }
    for name, text in texts.items():
        (release.folder / name).write_text(text, encoding="utf-8", newline="\n")


def _seal(release: ReleaseReader, plan: Plan, facts: Facts, counts: Mapping[Table, Counts]) -> Manifest:
    """Write the manifest, which makes the folder a release."""
    shards = tuple(release.shards)
    manifest = Manifest(
        inputs=plan.inputs,
        changes=plan.changes,
        counts=counts,
        configs=facts.splits,
        columns={
            name: type_names(arrow_schema(config.columns))
            for name, config in plan.inputs.configs.items()
            if any(shard.config == name for shard in shards)
        },
        shards=shards,
        files=tuple(_other_files(release.folder, {shard.path for shard in shards})),
    )
    (release.folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    return manifest


def _write_tables(
    folder: Path, catalog: Catalog, plan: Plan, features: Features, execution: Execution
) -> tuple[tuple[Shard, ...], frozenset[str]]:
    """Collect every data file: from the previous release, from a killed run, or written now.

    Returns:
        The files in order, and the paths of those that are the previous release's.
    """
    configs = plan.inputs.configs
    journal = Journal(folder, plan.inputs)
    journal.clear_unknown_files()
    missing: dict[tuple[Table, str, int], list[Config]] = {}
    shards: list[Shard] = []
    kept: set[str] = set()
    wanted = [change for change in plan.shards if change.state is not ShardState.REMOVED]

    def find(change: ShardChange) -> Shard | None:
        shard = change.kept
        if shard is not None and plan.previous and keep_shard(plan.previous, folder, shard):
            kept.add(shard.path)
            return shard
        return journal.finished(change.config, change.split, change.number)

    looked_for: Iterable[tuple[ShardChange, Shard | None]] = execution.threads.map_ordered(find, wanted)
    if not journal.is_empty or any(change.kept for change in wanted):  # a first release has nothing to keep
        looked_for = execution.track(looked_for, "keeping what is there", len(wanted))
    for change, found in looked_for:
        config = configs[change.config]
        if found is not None:
            shards.append(found)
        else:
            missing.setdefault((config.table, change.split, change.number), []).append(config)
    tables = {
        table: {part: missing[part.place] for part in catalog.layout.parts(table) if part.place in missing}
        for table in Table
    }
    features.prepare(catalog, _parts_by_config(tables.values()), plan.inputs, plan.previous, execution)
    for table, parts in tables.items():
        jobs = _read_jobs(folder, catalog, parts, plan, features)
        written = _write_parts(jobs, execution)
        num_rows = sum(part.num_rows for part in parts)
        for shard in itertools.chain.from_iterable(
            execution.track(written, f"writing {table}", num_rows) if parts else ()
        ):
            journal.add(shard)
            shards.append(shard)
    order = list(configs)
    shards.sort(key=lambda shard: (order.index(shard.config), shard.split, shard.number))
    return tuple(shards), frozenset(kept)


def _parts_by_config(tables: Iterable[Mapping[Part, Sequence[Config]]]) -> Mapping[str, Sequence[Part]]:
    parts: dict[str, list[Part]] = {}
    for part, configs in (item for table in tables for item in table.items()):
        for config in configs:
            parts.setdefault(config.name, []).append(part)
    return parts


def _read_jobs(
    folder: Path,
    catalog: Catalog,
    parts: Mapping[Part, Sequence[Config]],
    plan: Plan,
    features: Features,
) -> Iterator[PartJob]:
    """Yield the job of each part, read from the catalog when it is asked for."""
    inputs, previous = plan.inputs, plan.previous
    for part, configs in parts.items():
        groups = read_groups(catalog, part, configs, inputs.preferences.rule, features.row)
        has_images = any(config.image_columns for config in configs)
        images = previous.file_of_images(part) if previous is not None and has_images else None
        # Another machine may work in another folder.
        where = images.absolute() if images is not None else None
        yield PartJob(folder, part, tuple(configs), tuple(groups), inputs.build, where)


def _write_parts(jobs: Iterable[PartJob], execution: Execution) -> Iterator[Sequence[Shard]]:
    """Yield the files of each part once they are finished, and nothing for each further row of it.

    Progress counts items, and parts differ in size, so there is one item for each row.
    """
    for job, shards in execution.parts.map_unordered(write_part_job, jobs):
        yield shards
        yield from itertools.repeat((), job.part.num_rows - 1)


def _compare_images(
    release: ReleaseReader, inputs: Inputs, features: Features, execution: Execution
) -> "ComparedPairs | None":
    """Write which images are near-duplicates, by one encoder's features and by perceptual hashes.

    Returns:
        How alike the features are; None where there are none, or the settings ask for none.
    """
    from builders.card.figures.inputs import ComparedPairs  # noqa: PLC0415 - as above

    limits = inputs.near_duplicates
    if limits is None:
        return None
    images = CONFIG_OF[Table.IMAGES].name
    ids, digests = (list(release.column(images, name)) for name in ("image_id", "sha256"))
    by_embedding, pairs, encoder = None, None, None
    if limits.features is not None:
        encoder = inputs.features[limits.features]
        by_embedding = compare_embeddings(
            EmbeddingTable.read(release.paths(limits.features), ids).vectors, limits.similarity
        )
        pairs = ComparedPairs(by_embedding, limits.similarity, encoder)
    by_hash = compare_hashes(features.hashes(digests), limits.hash_distance, execution.threads)
    found = find_near_duplicates(ids, by_embedding, by_hash)
    write_near_duplicates(release.folder / NEAR_DUPLICATES_NAME, found, encoder)
    return pairs


def _other_files(folder: Path, shard_paths: set[str]) -> Iterator[FileEntry]:
    """Describe every file in the folder that is not a shard."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in shard_paths:
            data = path.read_bytes()
            yield FileEntry(path=name, num_bytes=len(data), sha256=_sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
