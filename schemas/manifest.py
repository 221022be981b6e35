"""Manifest and receipt: what was built from what, and where it went.

The manifest is the last file of a build. A folder without one is not a release.
"""

import hashlib
import json
import operator
from collections.abc import Collection, Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.configs import CONFIGS, Config, Format, Table, configs_of, configs_with
from schemas.features import Provenance
from schemas.generators import DeclaredGenerator, Generator, generators_with
from schemas.settings import (
    BuildSettings,
    DatasetSettings,
    DuplicateSettings,
    PreferenceSettings,
    PrivacySettings,
    SearchSettings,
    is_default_privacy,
)
from schemas.versions import Bump

MANIFEST_NAME = "manifest.json"
CHANGES_NAME = "changes.parquet"
NEAR_DUPLICATES_NAME = "near_duplicates.parquet"

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]
# Relative, POSIX, below the release folder: what a manifest names can never be elsewhere.
_Path = Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$", max_length=300)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """Serialise with sorted keys, so that equal values give equal bytes."""
        return (
            json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        ).encode()


class FileEntry(_Frozen):
    """One file of a release, by its path in it."""

    path: _Path
    num_bytes: _Count
    sha256: _Sha256


class Shard(FileEntry):
    """One data file: one part of one split of one config.

    Files of equal `split` and `number` hold the same rows in every config of one table.
    """

    config: str
    split: str
    number: _Count
    num_rows: _Count

    @property
    def format(self) -> Format:
        """Its format, which its extension says."""
        return next(each for each in Format if self.path.endswith(f".{each.extension}"))


class SplitCounts(_Frozen):
    """Size of one split of one config. `num_bytes` is its size in memory (Arrow), as `datasets` counts."""

    num_rows: _Count
    num_bytes: _Count


class SourceEntry(_Frozen):
    """One source as it was read; the digest covers its files and every image it names.

    `num_stray_images` counts image files that no row names: with the rows they are what came in.
    """

    name: str
    kind: str
    num_rows: _Count
    num_stray_images: _Count
    sha256: _Sha256


class Counts(_Frozen):
    """Where every input row of one table went: `read == published + sum(rejected.values())`.

    `num_rows` counts the rows that the published ones make: fewer where several input rows speak of one thing
    (an image found in two folders, the votes on one pair), more where one speaks of several (a ranking).
    """

    read: _Count
    published: _Count
    num_rows: _Count
    rejected: dict[str, _Count]
    warnings: dict[str, _Count]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        num_rejected = sum(self.rejected.values())
        if self.read != self.published + num_rejected:
            raise ValueError(f"{self.read} rows read, {self.published} published, {num_rejected} rejected")
        return self


class PreviousEntry(_Frozen):
    """The release that a release follows."""

    version: str
    manifest_sha256: _Sha256


class RowChanges(_Frozen):
    """How many rows differ from the previous release's, by their keys."""

    added: _Count
    edited: _Count
    removed: _Count


class Changes(_Frozen):
    """What a release does to the one before it; `CHANGES_NAME` in it lists the rows.

    `bump` is what Croissant's rule calls it: major where rows were edited or removed or columns lost, minor
    where something was added, patch where the same rows are written again.
    """

    bump: Bump
    rows: Mapping[str, RowChanges] = Field(description="Config → rows.")
    lost_configs: tuple[str, ...]
    new_columns: tuple[str, ...] = Field(description="Columns, as config.column, new or of another type.")
    lost_columns: tuple[str, ...] = Field(description="Columns, as config.column, gone or of another type.")

    # Left out where there are none: earlier releases did not count them.
    edited_columns: Mapping[str, Mapping[str, _Count]] = Field(
        {},
        exclude_if=operator.not_,
        description="Config → column → rows edited in it. Other configs of the same rows are left out.",
    )

    @property
    def changed_rows(self) -> Mapping[str, RowChanges]:
        """Config → rows, of the configs in which any row differs."""
        return {name: rows for name, rows in self.rows.items() if rows.added or rows.edited or rows.removed}


class Inputs(_Frozen):
    """Everything that a build depends on; equal inputs give equal bytes."""

    version: str
    schema_version: int
    kit_version: str
    tools: Mapping[str, str]
    dataset: DatasetSettings
    build: BuildSettings
    preferences: PreferenceSettings
    formats: Mapping[str, tuple[Format, ...]] = Field(description="Target → what it is given.")
    sources: tuple[SourceEntry, ...]
    previous: PreviousEntry | None
    repack: bool
    notes: Mapping[str, str] = Field(description="SHA-256 of the citation and the changelog, by file name.")
    # Left out where there are none: releases without these have the manifests that they always had.
    exclusions: _Sha256 | None = Field(
        None, exclude_if=operator.not_, description="SHA-256 of the list of images that are left out."
    )
    features: Mapping[str, Provenance] = Field(
        {}, exclude_if=operator.not_, description="Config of features → the encoder that makes it."
    )
    near_duplicates: DuplicateSettings | None = Field(
        None, exclude_if=operator.not_, description="When images are near-duplicates; null if not looked for."
    )
    privacy: PrivacySettings = Field(
        PrivacySettings(), exclude_if=is_default_privacy, description="What happened to private data."
    )
    search: SearchSettings | None = Field(
        None, exclude_if=operator.not_, description="What is searched for in figures; null without features."
    )
    generators: tuple[DeclaredGenerator, ...] = Field(
        (), exclude_if=operator.not_, description="Generators that are declared, beside the built-in ones."
    )

    @property
    def all_formats(self) -> tuple[Format, ...]:
        """Every format that some target is given."""
        return tuple(each for each in Format if any(each in given for given in self.formats.values()))

    @property
    def all_generators(self) -> Mapping[str, Generator]:
        """Every generator that its images can name: the built-in ones, then the declared ones."""
        return generators_with(self.generators)

    @property
    def configs(self) -> Mapping[str, Config]:
        """Every config that the release can have, by name, in order."""
        return configs_with(self.features)

    def configs_of(self, table: Table) -> tuple[Config, ...]:
        """List the configs that are made of a table's rows, in the formats that some target is given."""
        return configs_of(table, self.all_formats, self.configs)


class Manifest(_Frozen):
    """A release: what it was built from, what came of every row, and every file in it."""

    inputs: Inputs
    changes: Changes | None = Field(description="Against the previous release; null where there is none.")
    counts: Mapping[Table, Counts]
    configs: Mapping[str, Mapping[str, SplitCounts]]
    columns: Mapping[str, Mapping[str, str]] = Field(description="Config → column → Arrow type.")
    shards: tuple[Shard, ...]
    files: tuple[FileEntry, ...] = Field(description="Every other file but this one.")

    @model_validator(mode="after")
    def _paths_are_unique(self) -> Self:
        paths = [entry.path for entry in self.all_files]
        if len(set(paths)) < len(paths) or MANIFEST_NAME in paths:
            raise ValueError("a path is listed twice, or the manifest lists itself")
        return self

    @property
    def version(self) -> str:
        """The dataset's version."""
        return self.inputs.version

    @property
    def all_files(self) -> tuple[FileEntry, ...]:
        """Every file of the release but the manifest."""
        return (*self.shards, *self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's bytes: one name for the whole content of a release."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def entries_for(self, target: str) -> tuple[FileEntry, ...]:
        """Return the files that go to `target`, in its formats, manifest.json last."""
        formats = self.inputs.formats.get(target, tuple(Format))
        given = (entry for entry in self.all_files if is_given(entry.path, formats))
        return (*given, own_entry(self.to_json()))


def is_given(path: str, formats: Collection[Format]) -> bool:
    """Whether a target of these formats is given a file.

    What lies in no folder of `CONFIGS`, every target is given: features are, which are Parquet.
    """
    folder = path.partition("/")[0]
    return all(config.folder != folder or config.format in formats for config in CONFIGS.values())


def own_entry(data: bytes) -> FileEntry:
    """Return the entry of the manifest itself, which no manifest can list."""
    return FileEntry(path=MANIFEST_NAME, num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


class Receipt(_Frozen):
    """Proof that a target holds a release."""

    target: str
    url: str
    version: str
    revision: str
    manifest_sha256: _Sha256
