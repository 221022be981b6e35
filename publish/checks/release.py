"""Check a built release without trusting it.

Everything is read back: the manifest, every file's digest, every table's columns and rows, every image's
bytes, the card's numbers, the viewer's limits; and `datasets` loads every config, streaming and plain.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.card.agreement_numbers import has_agreement_table
from builders.card.facts import read_facts
from builders.card.readme import CARD_NAME, read_numbers, true_numbers
from builders.parallel import Track, untracked
from builders.release.formats import FORMATS
from builders.release.reader import ReleaseReader, TableFile, open_table
from publish.checks.features import (
    SIMILARITIES,
    check_feature_file,
    check_features,
    check_near_duplicates,
)
from publish.checks.files import check_files, read_manifest
from publish.checks.loading import Load, check_loading
from schemas.columns import type_names
from schemas.configs import CONFIG_OF, CONFIGS, Config, Format
from schemas.manifest import MANIFEST_NAME, Manifest, Shard
from schemas.problems import KitError, Problem, Reason, ReleaseError
from schemas.records import image_id_of

# The Hub's viewer refuses to scan a row group above 300 MB; these keep well below it.
MAX_IMAGE_ROWS_PER_GROUP = 200
MAX_BYTES_PER_GROUP = 100_000_000
_FIX = "build the release again"
# What reading a damaged file raises; see `builders.release.formats.ReadRows`.
_UNREADABLE = (KitError, pa.ArrowException, OSError, ValueError, KeyError, TypeError)
_CHECKED = (
    *("image", "image_id", "sha256", "captions", "caption_id", "caption", "source", "id"),
    *("chosen", "chosen_id", "rejected", "rejected_id"),
    *("prompt", "embedding", *SIMILARITIES, "request_key", "prompt_attributes"),
)
# The column that says what a prompt asks for, by config.
_ASKED = {"default": "prompt_attributes", "prompts": "prompt_attributes", "generation": "attributes"}


def check_release(
    folder: Path,
    scratch: Path | None = None,
    track: Track = untracked,
    verified: Collection[str] = (),
    load: Load | None = None,
) -> list[Problem]:
    """Check everything about a release.

    Args:
        folder: The release.
        scratch: Folder for the caches of loading, which take as much room as the dataset and are removed;
            the system's temporary folder if None.
        track: Shows progress.
        verified: Paths of files that an earlier release has, and whose bytes have just been compared with
            what that states: their images were checked when it was built.
        load: Loads every config at the end; `publish.checks.loading.load_with_datasets` if None.

    Returns:
        Every problem found; none if it is sound. Where files are not what the manifest says, nothing
        further is read from them.
    """
    try:
        manifest = read_manifest(folder)
    except ReleaseError as error:
        return list(error.problems)
    problems = list(check_files(folder, manifest, verified))
    if not problems:
        problems = [
            *_check_tables(folder, manifest, track, verified),
            *_check_copies(folder, manifest, track, verified),
            *_check_card(folder, manifest),
        ]
    return problems or list(check_loading(folder, manifest, scratch, load, track))


def _check_tables(
    folder: Path, manifest: Manifest, track: Track, verified: Collection[str]
) -> Iterator[Problem]:
    """Check columns, rows, row groups and images of every data file, and that configs fit together."""
    rows: Counter[tuple[str, str]] = Counter()
    configs = manifest.inputs.configs
    keys = _Keys(configs)
    shards = [shard for shard in manifest.shards if shard.format is Format.PARQUET]
    for shard in track(shards, "checking tables", len(shards)):
        config = configs.get(shard.config)
        if config is None:
            yield _problem("there is no such config", shard.path, "use the kit that built it", shard.config)
            continue
        try:
            with open_table(folder / shard.path) as file:
                yield from _check_footer(file, shard, manifest, config)
                yield from check_feature_file(file, config, shard.path)
                rows[shard.config, shard.split] += file.num_rows
                left_out = config.image_columns if shard.path in verified else ()
                wanted = dict.fromkeys((*_CHECKED, _ASKED.get(config.name, "")))
                columns = [name for name in wanted if name in file.schema.names and name not in left_out]
                for group, batch in enumerate(file.row_groups(columns)):
                    place = f"{shard.path}, row group {group}"
                    keys.add(config, batch)
                    yield from check_features(config, batch, place)
                    if not left_out:
                        yield from _check_images(config, batch, place)
        except (pa.ArrowException, OSError, KeyError) as error:
            yield _problem(f"the file is not readable Parquet: {error}", shard.path, _FIX)
    yield from _check_rows(manifest, rows)
    yield from keys.check()
    yield from check_near_duplicates(folder, manifest, keys.has_image)


def _check_footer(file: TableFile, shard: Shard, manifest: Manifest, config: Config) -> Iterator[Problem]:
    stated = manifest.columns.get(shard.config, {})
    found = type_names(file.schema)
    if found != stated:
        different = sorted(
            name for name in found.keys() | stated.keys() if found.get(name) != stated.get(name)
        )
        yield _problem("columns differ from the manifest's", shard.path, _FIX, ", ".join(different))
    if file.num_rows != shard.num_rows:
        value = f"{file.num_rows} rows, {shard.num_rows} in the manifest"
        yield _problem("the number of rows differs from the manifest's", shard.path, _FIX, value)
    has_images = bool(config.image_columns)
    max_rows = MAX_IMAGE_ROWS_PER_GROUP if has_images else file.num_rows
    for index, group in enumerate(file.groups):
        if group.num_rows > max_rows or group.num_bytes > MAX_BYTES_PER_GROUP:
            value = f"row group {index}: {group.num_rows} rows, {group.num_bytes:,} bytes"
            limits = f"at most {MAX_IMAGE_ROWS_PER_GROUP} rows with images and {MAX_BYTES_PER_GROUP:,} bytes"
            yield _problem(
                "a row group is too large for the Hub's viewer", shard.path, f"write {limits}", value
            )


def _check_images(config: Config, batch: pa.Table, place: str) -> Iterator[Problem]:
    """Check that every row's digest and ids are those of its images' bytes."""
    if "sha256" in batch.column_names:
        ids, digests = batch["image_id"].to_pylist(), batch["sha256"].to_pylist()
        for image_id, digest in zip(ids, digests, strict=True):
            if image_id != image_id_of(str(digest)):
                yield _problem("image_id does not begin sha256", place, _FIX, image_id)
    for column in config.image_columns:
        stated = batch["sha256" if column == "image" else f"{column}_id"].to_pylist()
        images = batch[column].combine_chunks().field("bytes")
        for digest, image in zip(stated, images, strict=True):
            found = hashlib.sha256(image.as_buffer()).hexdigest() if image.is_valid else None
            if digest != (found and found[: len(digest or "")]):
                message = f"the bytes of the {column} are not those that its row states"
                yield _problem(message, place, _FIX, digest)


class _Keys:
    """What names the rows of each config, digested: tables of millions of rows are checked in little room."""

    def __init__(self, configs: Mapping[str, Config]) -> None:
        self._configs = configs
        self._keys: dict[str, set[bytes]] = {}
        self._num_rows: Counter[str] = Counter()
        self._orders: dict[str, Any] = {}
        self._texts: dict[str, Any] = {}
        self._captions: dict[str, Counter[bytes]] = {}
        self._asked: dict[str, dict[bytes, bytes]] = {}
        self._requested: set[bytes] = set()

    def add(self, config: Config, batch: pa.Table) -> None:
        """Take in one row group."""
        columns = [batch[name].to_pylist() for name in config.key]
        keys = [_short_digest("\0".join(map(str, key))) for key in zip(*columns, strict=True)]
        self._keys.setdefault(config.name, set()).update(keys)
        self._num_rows[config.name] += len(keys)
        order = self._orders.setdefault(config.name, hashlib.sha256())
        for key in keys:
            order.update(key)
        for name in (*_TEXTS, *SIMILARITIES):
            if name in batch.column_names:
                texts = self._texts.setdefault(config.name, hashlib.sha256())
                texts.update(bytes(value.is_valid for value in batch[name]))
        # A sum, since captions added in later versions come in another order in lists than in their table.
        for image_id, caption in _captions(config, batch):
            said = self._captions.setdefault(config.name, Counter())
            said[_short_digest(image_id)] += int.from_bytes(_short_digest(caption), "big")
        self._add_asked(config, batch)

    def _add_asked(self, config: Config, batch: pa.Table) -> None:
        """Take in which image was asked for with which attributes."""
        column = _ASKED.get(config.name)
        if column not in batch.column_names:  # not of this config, or of an older kit
            return
        asked = self._asked.setdefault(config.name, {})
        for image_id, attributes in zip(
            batch["image_id"].to_pylist(), batch[column].to_pylist(), strict=True
        ):
            if image_id is None:  # a refused request
                continue
            image = _short_digest(image_id)
            if config.name == "generation":
                self._requested.add(image)
            if attributes:
                asked[image] = _short_digest(json.dumps(attributes, sort_keys=True))

    def check(self) -> Iterator[Problem]:
        """Check that keys are unique, and that every config speaks of the same things."""
        for name, keys in self._keys.items():
            if len(keys) != self._num_rows[name]:
                key = " and ".join(self._configs[name].key)
                yield _problem(f"more than one row has the same {key}", name, _FIX)
        orders = {self._orders[name].digest() for name in ("default", "prompts") if name in self._orders}
        if len(orders) != 1 or not {"default", "prompts"} <= self._orders.keys():
            yield _problem("the configs default and prompts do not have the same rows", "prompts", _FIX)
        default, prompts, captions = (self._captions.get(name) for name in ("default", "prompts", "captions"))
        if not default == prompts == captions:
            message = "the lists of captions are not the captions of the config captions"
            yield _problem(message, "captions", _FIX)
        asked = [self._asked.get(name, {}) for name in ("default", "prompts", "generation")]
        if any(each != asked[0] for each in asked) or self._requested - self._keys.get("prompts", set()):
            message = "images and attributes of requests are not those of the configs default and prompts"
            yield _problem(message, "generation", _FIX)
        if self._keys.get("binarized", set()) - self._keys.get("preferences", set()):
            yield _problem("pairs are in binarized that are not in preferences", "binarized", _FIX)
        yield from self._check_features()

    def has_image(self, image_id: str) -> bool:
        """Return whether an image of this id is published."""
        return _short_digest(image_id) in self._keys.get("prompts", ())

    def _check_features(self) -> Iterator[Problem]:
        """Check that features are of every row, in order, and that every text was compared."""
        for name, config in self._configs.items():
            if config.provenance is None:
                continue
            of = CONFIG_OF[config.table].name
            for seen, message in (
                (self._orders, f"it does not have one row for each row of {of}, in the same order"),
                (self._texts, f"not every text of {of} has a similarity, or something else has"),
            ):
                found, expected = (seen[each].digest() if each in seen else None for each in (name, of))
                if found != expected:
                    yield _problem(message, name, _FIX)


# Columns with the texts that features compare with images.
_TEXTS = ("prompt", "caption")


def _captions(config: Config, batch: pa.Table) -> Iterator[tuple[str, str]]:
    """Yield each sentence of a row group with its image's id, in order."""
    if config.name == "captions":
        pairs = zip(batch["image_id"].to_pylist(), batch["caption"].to_pylist(), strict=True)
        yield from ((image_id, caption) for image_id, caption in pairs if caption is not None)
    elif "captions" in batch.column_names:
        for image_id, captions in zip(
            batch["image_id"].to_pylist(), batch["captions"].to_pylist(), strict=True
        ):
            yield from ((image_id, caption) for caption in captions)


def _short_digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


def _check_rows(manifest: Manifest, rows: Counter[tuple[str, str]]) -> Iterator[Problem]:
    stated = {
        (config, split): size.num_rows
        for config, splits in manifest.configs.items()
        for split, size in splits.items()
    }
    if rows != stated:
        yield _problem(
            "the rows of configs and splits differ from the manifest's",
            MANIFEST_NAME,
            _FIX,
            str(rows),
        )
    for table, config in CONFIG_OF.items():
        written = sum(count for (name, _), count in rows.items() if name == config.name)
        counted = manifest.counts[table].num_rows if table in manifest.counts else 0
        if written != counted:
            value = f"{written} rows of {config.name}, {counted} counted"
            yield _problem("the manifest's counts differ from the files", MANIFEST_NAME, _FIX, value)


def _check_copies(
    folder: Path, manifest: Manifest, track: Track, verified: Collection[str]
) -> Iterator[Problem]:
    """Check the rows of `default` in other formats: each file has those of a file of images, and no other."""
    tables = {(shard.split, shard.number): shard for shard in manifest.shards if shard.config == "default"}
    for name, kind in FORMATS.items():
        shards = [shard for shard in manifest.shards if shard.format is name]
        if name is Format.PARQUET or not shards:
            continue
        for shard in track(shards, f"checking {name}", len(shards)):
            table = tables.get((shard.split, shard.number))
            try:
                yield from _check_copy(folder, shard, table, with_images=shard.path not in verified)
            except _UNREADABLE as error:
                yield _problem(f"the file is not readable {name}: {error}", shard.path, _FIX)
        places = {(shard.split, shard.number) for shard in shards}
        for place, table in tables.items():
            if place not in places:
                yield _problem(f"no file of {name} has its rows", table.path, _FIX)
        if kind.check_index is not None:
            try:
                yield from kind.check_index(folder, shards)
            except _UNREADABLE as error:
                yield _problem(f"the index of {name} is not readable: {error}", shards[0].path, _FIX)


def _check_copy(folder: Path, shard: Shard, table: Shard | None, *, with_images: bool) -> Iterator[Problem]:
    """Check that each row is the one in Parquet: images by digest, everything else value by value."""
    columns = CONFIGS[shard.config].columns
    rows = FORMATS[shard.format].read(folder / shard.path, columns, with_images=with_images)
    if table is None:
        yield _problem("no file of images has its rows", shard.path, _FIX)
        return
    others = FORMATS[table.format].read(folder / table.path, columns, with_images=False)
    for row, other in itertools.zip_longest(rows, others):
        if row is None or other is None or row["image_id"] != other["image_id"]:
            yield _problem("it has not the rows of the file of images that it goes with", shard.path, _FIX)
            return
        same = all(
            _digest(row[column.name]["bytes"]) == other["sha256"]
            if column.image
            else _text_or_null(row[column.name]) == _text_or_null(other[column.name])
            for column in columns
            if with_images or not column.image
        )
        if not same:
            message = "the image or the fields of a row are not those in the file of images"
            yield _problem(message, shard.path, _FIX, other["image_id"])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text_or_null(value: object) -> object:
    """Return a value as formats that have no null text can hold it."""
    return None if value == "" else value


def _check_card(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Check the card's numbers against the files."""
    reader = ReleaseReader(folder, manifest.shards)
    try:
        card, facts = (folder / CARD_NAME).read_text(encoding="utf-8"), read_facts(reader)
        if not has_agreement_table(card):  # as those of earlier kits
            facts = replace(facts, fairness=None)
        stated, true = read_numbers(card), true_numbers(facts)
    except KitError as error:  # tables that belong together do not fit
        yield from error.problems
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield _problem(f"the card cannot be read: {error}", CARD_NAME, _FIX, code="check/card")
        return
    for name in sorted(stated.keys() | true.keys()):
        if stated.get(name) != true.get(name):
            value = f"{stated.get(name, 'nothing')} on the card, {true.get(name, 'nothing')} in the files"
            yield _problem(
                f"the card's number for {name} is not true", CARD_NAME, _FIX, value, code="check/card"
            )


def _problem(
    message: str, file: str, fix: str, value: str | None = None, *, code: str = "check/content"
) -> Problem:
    return Problem(Reason.RELEASE, message, file=file, value=value, fix=fix, code=code)
