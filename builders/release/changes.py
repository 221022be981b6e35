"""What a version changes: where its rows go, what becomes of each file, and the bump that this is."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.catalog import Catalog, Entry, Limits, Part, RowChange
from builders.release.edits import ColumnEdit, find_edits
from builders.release.previous import PreviousRelease, is_decided, row_digest, row_key, row_name, text_digest
from schemas.columns import arrow_schema, type_names
from schemas.configs import CONFIG_OF, Config, Table
from schemas.manifest import Changes, Inputs, RowChanges, Shard
from schemas.settings import BuildSettings
from schemas.versions import Bump

# What a Parquet file's footer will say is held in memory until it is closed, about 1 kB a row with images.
_MAX_ROWS = {
    Table.IMAGES: 5_000,
    Table.CAPTIONS: 250_000,
    Table.PREFERENCES: 20_000,
    Table.GENERATION: 100_000,
}
# The Hub's viewer refuses to scan a row group above 300 MB; with images these stay well below.
_GROUP_LIMITS = {
    Table.IMAGES: (200, 50_000_000),
    Table.CAPTIONS: (5_000, 0),
    Table.PREFERENCES: (100, 90_000_000),
    Table.GENERATION: (5_000, 0),
}
_ROWS_PER_GROUP = 10_000
_CHANGES_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("config", "split", "change", "id")),
        ("columns", pa.list_(pa.string())),
    ],
    metadata={
        "about": "Rows that differ from the previous release, with the columns in which they are edited."
    },
)


class ShardState(StrEnum):
    """What a version does to a data file."""

    NEW = "new"
    REWRITTEN = "rewritten"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class ShardChange:
    """What becomes of one data file, and why.

    Attributes:
        config: Its config.
        split: Its split.
        number: Its number in that split.
        state: What becomes of it.
        why: In words.
        num_bytes: Its size: the one that it has if it is unchanged or removed, otherwise that of its images.
        kept: The file of the previous release, if it is unchanged.
    """

    config: str
    split: str
    number: int
    state: ShardState
    why: str
    num_bytes: int
    kept: Shard | None = None


def arrange(
    catalog: Catalog, build: BuildSettings, rule: str, previous: PreviousRelease | None, *, repack: bool
) -> None:
    """Place each row of a settled catalog in a part.

    Args:
        catalog: The catalog.
        build: Sizes.
        rule: Rule that decides pairs.
        previous: The release whose rows stay where they are.
        repack: Whether to place all rows again.
    """
    for table in Table:  # images first: captions go with them
        entries = _entries(catalog, table) if previous is None else _compared(catalog, table, rule, previous)
        placed = previous.placed(table) if previous is not None else ()
        limits = Limits(_MAX_ROWS[table], build.max_shard_bytes, *_GROUP_LIMITS[table])
        catalog.layout.arrange(table, entries, limits, placed, repack=repack)


def _entries(catalog: Catalog, table: Table) -> Iterator[Entry]:
    entries: Mapping[Table, Callable[[], Iterator[Entry]]] = {
        Table.IMAGES: catalog.images.entries,
        Table.CAPTIONS: catalog.captions.entries,
        Table.PREFERENCES: catalog.pairs.entries,
        Table.GENERATION: catalog.requests.entries,
    }
    return entries[table]()


def _compared(catalog: Catalog, table: Table, rule: str, previous: PreviousRelease) -> Iterator[Entry]:
    """Yield the rows of a table with digests, to be compared with the previous release's."""
    config = CONFIG_OF[table]
    columns = previous.shared_columns(config)
    for row, num_bytes in _rows(catalog, table, rule):
        key, split, name = row_key(config, row), str(row["split"]), row_name(row)
        digests = row_digest(row, columns), is_decided(row), text_digest(table, row)
        yield Entry(key, split, num_bytes, name, *digests)


def _rows(catalog: Catalog, table: Table, rule: str) -> Iterator[tuple[Mapping[str, object], int]]:
    """Yield each row, with the size of its images."""
    if table is Table.IMAGES:
        for record, _ in catalog.images.published():
            yield record, int(str(record["num_bytes"]))
    elif table in (Table.CAPTIONS, Table.GENERATION):
        of_texts = catalog.captions if table is Table.CAPTIONS else catalog.requests
        for row in of_texts.published():
            yield row, 0
    else:
        for pair in catalog.pairs.published(rule):
            yield pair.record.model_dump(), sum(file.num_bytes for file in pair.files if file)


def plan_shards(catalog: Catalog, inputs: Inputs, previous: PreviousRelease | None) -> list[ShardChange]:
    """Plan each data file, by config, split and number, without writing any.

    Args:
        catalog: Arranged.
        inputs: What the release is built from.
        previous: The release that was given to `arrange`.
    """
    repack = inputs.repack
    changes: list[ShardChange] = []
    for table in Table:
        parts = catalog.layout.parts(table)
        for config in inputs.configs_of(table):
            changes += _plan_config(config, parts, previous, repack=repack)
    planned = {(change.config, change.split, change.number) for change in changes}
    for shard in previous.manifest.shards if previous else ():
        if repack or (shard.config, shard.split, shard.number) not in planned:
            why = "all rows are placed again" if repack else "it is not built any more"
            place = (shard.config, shard.split, shard.number)
            changes.append(ShardChange(*place, ShardState.REMOVED, why, shard.num_bytes))
    return changes


def _plan_config(
    config: Config, parts: Sequence[Part], previous: PreviousRelease | None, *, repack: bool
) -> Iterator[ShardChange]:
    old = previous.shards_of(config) if previous is not None and not repack else {}
    can_keep = previous is not None and previous.makes_alike(config)
    for part in parts:
        place = (config.name, part.split, part.number)
        shard = old.get((part.split, part.number))
        num_bytes = part.num_bytes if config.image_columns else 0
        if part.is_kept_in(config) and can_keep and not repack:
            if shard is not None:  # a part without decided pairs has no file of them
                yield ShardChange(*place, ShardState.UNCHANGED, "", shard.num_bytes, shard)
        elif _num_rows(config, part, previous) == 0:
            if shard is not None:
                why = "all its rows have gone"
                yield ShardChange(*place, ShardState.REMOVED, why, shard.num_bytes)
        elif shard is not None:
            why = _why(config, part, is_remade=previous is not None and previous.is_remade(config))
            yield ShardChange(*place, ShardState.REWRITTEN, why, num_bytes)
        else:
            why = f"{_num_rows(config, part, previous):,} rows"
            yield ShardChange(*place, ShardState.NEW, why, num_bytes)


def _num_rows(config: Config, part: Part, previous: PreviousRelease | None) -> int:
    """Count the rows that a config has of a part; a first release does not know yet which are decided."""
    return part.num_decided if config.decided_only and previous is not None else part.num_rows


def _why(config: Config, part: Part, *, is_remade: bool) -> str:
    if is_remade:
        return "another encoder makes its rows"
    numbers = {"edited": part.num_edited_in(config), "removed": part.num_removed}
    counted = ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)
    if counted:
        return f"{counted} of {part.num_before:,} rows"
    has_moved = part.num_rows < part.num_before
    return "rows had to move to new files" if has_moved else "the columns of its config have changed"


def find_column_edits(catalog: Catalog, inputs: Inputs, previous: PreviousRelease) -> tuple[ColumnEdit, ...]:
    """Compare the rows that both releases have, column by column."""
    return tuple(
        edit
        for table in Table
        if CONFIG_OF[table].name in previous.manifest.columns
        for edit in find_edits(
            catalog.layout,
            table,
            (row for row, _ in _rows(catalog, table, inputs.preferences.rule)),
            previous,
        )
    )


def read_changes(
    catalog: Catalog, inputs: Inputs, previous: PreviousRelease, edits: Iterable[ColumnEdit]
) -> Changes:
    """Sum up what differs from the previous release, and the bump that this is."""
    edited: dict[str, dict[str, int]] = {}
    for edit in edits:
        edited.setdefault(edit.config, {})[edit.column] = edit.num_rows
    rows = {}
    new_columns: list[str] = []
    lost_columns: list[str] = []
    lost_configs: list[str] = []
    differences = _count_changes(catalog, inputs.configs.values(), previous)
    for name, config in {**previous.manifest.inputs.configs, **inputs.configs}.items():
        was = previous.manifest.columns.get(name, {})
        is_made = name in inputs.configs and config.format in inputs.all_formats
        parts = catalog.layout.parts(config.table) if is_made else ()
        num_rows = sum(_num_rows(config, part, previous) for part in parts)
        if not was and not num_rows:
            continue
        now = type_names(arrow_schema(config.columns)) if num_rows else {}
        if was and now:
            new_columns += [f"{name}.{each}" for each, kind in now.items() if was.get(each) != kind]
            lost_columns += [f"{name}.{each}" for each, kind in was.items() if now.get(each) != kind]
        elif was:
            lost_configs.append(name)
        if now and was:
            rows[name] = differences[name]
        elif now:
            rows[name] = RowChanges(added=num_rows, edited=0, removed=0)
    return Changes(
        bump=_bump(rows.values(), new_columns, [*lost_configs, *lost_columns]),
        rows=rows,
        lost_configs=tuple(lost_configs),
        new_columns=tuple(new_columns),
        lost_columns=tuple(lost_columns),
        edited_columns=edited,
    )


def _count_changes(
    catalog: Catalog, configs: Iterable[Config], previous: PreviousRelease
) -> Mapping[str, RowChanges]:
    """Count what differs in each config; those of the same rows share that."""
    counted: dict[tuple[object, ...], RowChanges] = {}
    differences = {}
    for config in configs:
        is_remade = previous.is_remade(config)
        rows = config.table, config.decided_only, config.provenance is not None, is_remade
        if rows not in counted:
            changes = Counter(row.kind for row in catalog.layout.changes(config, is_remade=is_remade))
            counted[rows] = RowChanges(**{kind: changes[kind] for kind in RowChanges.model_fields})
        differences[config.name] = counted[rows]
    return differences


def _bump(rows: Collection[RowChanges], new_columns: Collection[str], lost: Collection[str]) -> Bump:
    if lost or any(change.edited or change.removed for change in rows):
        return Bump.MAJOR
    return Bump.MINOR if new_columns or any(change.added for change in rows) else Bump.PATCH


def _changed_rows(catalog: Catalog, config: Config, previous: PreviousRelease) -> Iterator[RowChange]:
    if config.name in previous.manifest.columns:
        return catalog.layout.changes(config, is_remade=previous.is_remade(config))
    return (RowChange(key, split, "added") for key, split in catalog.layout.rows(config))


def write_changes(
    catalog: Catalog, inputs: Inputs, changes: Changes, previous: PreviousRelease, path: Path
) -> None:
    """Write which rows differ, by config and key, as Parquet."""
    with pq.ParquetWriter(path, _CHANGES_SCHEMA, compression="zstd") as writer:
        rows = (
            {"config": name, "split": row.split, "change": row.kind, "id": row.key, "columns": row.columns}
            for name in changes.rows
            for row in _changed_rows(catalog, inputs.configs[name], previous)
        )
        while batch := list(itertools.islice(rows, _ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(batch, schema=_CHANGES_SCHEMA))
