"""The previous release: what was where in it, and which of its files a new version can keep."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.catalog import Part, Placed
from builders.files import is_intact
from builders.images.integrity import ImageFacts
from builders.parallel import IN_THREADS, Threads
from builders.release.reader import ReleaseReader, TableFile, open_table
from schemas.columns import arrow_schema, type_names
from schemas.configs import CONFIG_OF, CONFIGS, Config, Table
from schemas.manifest import Manifest, PreviousEntry, Shard
from schemas.preferences import Decision
from schemas.problems import Problem, Reason, ReleaseError

# The config whose row groups are the groups of a table's layout.
_GROUPED_AS = {
    Table.IMAGES: CONFIGS["default"],
    Table.CAPTIONS: CONFIGS["captions"],
    Table.PREFERENCES: CONFIGS["binarized"],
    Table.GENERATION: CONFIGS["generation"],
}
_ALSO_NEEDED = {
    Table.IMAGES: ("source", "file_name", "num_bytes", "prompt"),
    Table.CAPTIONS: (),
    Table.PREFERENCES: ("decision",),
    Table.GENERATION: (),
}
# What features compare with the image. A caption has no such column: its key says what it says.
_TEXT_OF = {Table.IMAGES: "prompt"}
_PLACE = ("source", "other_origins", "file", "row")
DIGEST_BYTES = 16
_to_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class PreviousRelease:
    """A release that another one follows.

    Attributes:
        folder: Where it is.
        manifest: Its manifest.
        intact: Its files that were compared with the manifest, by path, each with its state at that time.
            A run reads them for several reasons, and hashes each once.
    """

    folder: Path
    manifest: Manifest
    intact: dict[str, tuple[int, int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def reader(self) -> ReleaseReader:
        """Its files, to be read."""
        return ReleaseReader(self.folder, self.manifest.shards)

    @property
    def entry(self) -> PreviousEntry:
        """Name it."""
        return PreviousEntry(version=self.manifest.version, manifest_sha256=self.manifest.digest)

    def verify(self, threads: Threads = IN_THREADS.threads) -> None:
        """Compare the files that are read of it with its manifest.

        Args:
            threads: Hash files, several at a time.

        Raises:
            ReleaseError: Some are missing or damaged.
        """
        names = {config.name for config in CONFIG_OF.values()}
        needed = [shard for shard in self.manifest.shards if shard.config in names]
        problems = [
            Problem(
                Reason.RELEASE,
                "a file of the previous release is missing, or is not what its manifest says",
                file=str(self.folder / shard.path),
                fix="restore it from a copy, or give another release with --previous",
            )
            for shard, is_whole in threads.map_ordered(self.is_intact, needed)
            if not is_whole
        ]
        if problems:
            raise ReleaseError(problems)

    def is_intact(self, shard: Shard) -> bool:
        """Return whether a file of it is what the manifest says; it is hashed once in a run."""
        path = self.folder / shard.path
        state = _state(path)
        if state is not None and self.intact.get(shard.path) == state:
            return True
        if not _is_intact(path, shard):
            return False
        if state is not None:
            self.intact[shard.path] = state
        return True

    def image_facts(self) -> Iterator[ImageFacts]:
        """Yield what is known of each image, which has been decoded and found sound."""
        names = [each.name for each in fields(ImageFacts)]
        for shard in self.reader.shards_of(CONFIG_OF[Table.IMAGES].name):
            for row in _read_rows(self.folder / shard.path, names):
                yield ImageFacts(*(row[name] for name in names))

    def placed(self, table: Table) -> Iterator[Placed]:
        """Yield where each row of a table is, with a digest over the columns that there are still."""
        config = CONFIG_OF[table]
        columns = self.shared_columns(config)
        for shard in self.reader.shards_of(config.name):
            needed = {*columns, *config.key, *_ALSO_NEEDED[table]}
            groups = self._groups(table, shard)
            group = 0
            for index, row in enumerate(_read_rows(self.folder / shard.path, sorted(needed))):
                key = row_key(config, row)
                group = groups.get(key, group)
                yield Placed(
                    key=key,
                    split=shard.split,
                    number=shard.number,
                    group=group,
                    index=index,
                    num_bytes=row.get("num_bytes", 0),
                    name=row_name(row),
                    digest=row_digest(row, columns),
                    is_decided=is_decided(row),
                    text_digest=text_digest(table, row),
                )

    def rows(self, table: Table, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table with some columns and those of its key."""
        config = CONFIG_OF[table]
        for shard in self.reader.shards_of(config.name):
            yield from _read_rows(self.folder / shard.path, sorted({*columns, *config.key}))

    def shared_columns(self, config: Config) -> list[str]:
        """List the columns that make a row what it is and that the previous release has in the same type.

        Where a row stood is not one of them: a folder gets another name, and a row that is put into a file
        moves all below it. A row that is kept says where it stood when its file was written.
        """
        was = self.manifest.columns.get(config.name, {})
        now = type_names(arrow_schema(config.columns))
        changed = {
            name.partition(".")[0] for name in was.keys() | now.keys() if was.get(name) != now.get(name)
        }
        return [
            column.name
            for column in config.columns
            if column.name not in changed and column.name not in _PLACE
        ]

    def makes_alike(self, config: Config) -> bool:
        """Return whether it has a config with the same columns, made by the same encoder if any."""
        has_columns = self.manifest.columns.get(config.name) == type_names(arrow_schema(config.columns))
        return has_columns and not self.is_remade(config)

    def is_remade(self, config: Config) -> bool:
        """Return whether it has a config whose rows another encoder made."""
        old = self.manifest.inputs.configs.get(config.name)
        return old is not None and old.provenance != config.provenance

    def shards_of(self, config: Config) -> Mapping[tuple[str, int], Shard]:
        """Return the files of a config by split and number."""
        return {(shard.split, shard.number): shard for shard in self.reader.shards_of(config.name)}

    def file_of_images(self, part: Part) -> Path | None:
        """Return the file with the images that a part had in it, if it had any."""
        if part.table is not Table.IMAGES:
            return None
        shard = self.shards_of(_GROUPED_AS[Table.IMAGES]).get((part.split, part.number))
        return self.folder / shard.path if shard is not None else None

    def feature_files(self, config: Config) -> Iterator[tuple[str, TableFile, TableFile]]:
        """Yield each intact file of a config of features: its name, the file, and that of its texts.

        Files of another encoder, or with other columns, are left out.
        """
        tables = self.shards_of(CONFIG_OF[config.table])
        for place, shard in self.shards_of(config).items() if self.makes_alike(config) else ():
            path = self.folder / shard.path
            if place in tables and self.is_intact(shard):
                with open_table(path) as file, open_table(self.folder / tables[place].path) as texts:
                    yield path.name, file, texts

    def _groups(self, table: Table, shard: Shard) -> Mapping[str, int]:
        """Return the row group of each row: in the file with images, or in its own file."""
        config = _GROUPED_AS[table]
        file = self.shards_of(config).get((shard.split, shard.number), shard)
        groups: dict[str, int] = {}
        try:
            with open_table(self.folder / file.path) as parquet:
                for group, keys in enumerate(parquet.row_groups(config.key)):
                    groups |= {row_key(config, row): group for row in keys.to_pylist()}
        except (pa.ArrowException, OSError):  # damaged, so it is written again
            return {}
        return groups


def keep_shard(previous: PreviousRelease, folder: Path, shard: Shard) -> bool:
    """Take a file of the previous release into a new one, without writing its bytes again where possible.

    Args:
        previous: The previous release.
        folder: The release being built.
        shard: The file.

    Returns:
        Whether it was taken; if not, it is damaged, and nothing was done.
    """
    source, target = previous.folder / shard.path, folder / shard.path
    if not previous.is_intact(shard):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
        if not _is_intact(target, shard):
            target.unlink()
            return False
    return True


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return size, time of change and inode of a file; ctime changes when a file gets another hard link."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _is_intact(path: Path, shard: Shard) -> bool:
    return is_intact(path, shard.num_bytes, shard.sha256)


def row_key(config: Config, row: Mapping[str, object]) -> str:
    """Name a row in its table."""
    return "/".join(str(row[name]) for name in config.key)


def row_digest(row: Mapping[str, object], columns: Sequence[str]) -> bytes:
    """Digest what a row says in some columns; that it was written and read again makes no difference."""
    content = _to_json([row[name] for name in columns]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def text_digest(table: Table, row: Mapping[str, object]) -> bytes:
    """Digest the text of a row that features compare with its image."""
    return row_digest(row, [_TEXT_OF[table]]) if table in _TEXT_OF else b""


def row_name(row: Mapping[str, object]) -> str:
    """Return the name of an image in its source; empty for other rows."""
    return f"{row['source']}/{row['file_name']}" if "file_name" in row else ""


def is_decided(row: Mapping[str, object]) -> bool:
    """Return whether a row is of a decided pair; a decision that this kit does not know is none."""
    return any(each == row.get("decision") for each in Decision if each.is_decided)


def _read_rows(path: Path, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, one row group at a time.

    Raises:
        ReleaseError: It is not such a table.
    """
    wanted = list(columns)
    try:
        with open_table(path) as file:
            if missing := set(wanted) - set(file.schema.names):
                raise ReleaseError(_unreadable(path, f"columns are missing: {', '.join(sorted(missing))}"))
            for group in file.row_groups(wanted):
                yield from group.to_pylist()
    except pa.ArrowException as error:
        raise ReleaseError(_unreadable(path, str(error))) from error


def _unreadable(path: Path, why: str) -> Problem:
    message = f"a table of the previous release cannot be read ({why})"
    return Problem(Reason.RELEASE, message, file=str(path), fix="give another release with --previous")
