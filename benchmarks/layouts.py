"""Layouts that `benchmarks/upload.py` compares: what each makes of a version, and which files are counted."""

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.jobs import ROOT
from benchmarks.versions import Row
from builders.catalog import Catalog
from builders.catalog.reader import SourceReader
from builders.features.encoding import Features
from builders.features.store import FeatureStore
from builders.images.checked import CheckedImages
from builders.parallel import IN_THREADS
from builders.pipeline import Notes, build_release, describe_inputs, plan_build
from builders.release.previous import PreviousRelease
from builders.sources.images.sfhq import COLUMNS, TABLE_NAME
from publish.checks.files import read_manifest
from publish.run.settings import Flags, load_settings, open_sources
from schemas.records import image_id_of

BASE, NEXT = "1.0", "1.1"
KIT_PARQUET, KIT_TARS, KIT_OTHERS = "kit, Parquet", "kit, tars", "kit, other files"
ALONE, DATASETS = "images alone", "datasets"
FEATURES, BYTES_PER_FEATURE = 512, 2
_FEATURES_FOLDER = "clip_random"
_FEATURE_ROWS_PER_GROUP = 25_000
_SEED = 20_240_902


class Kit:
    """Builds releases as the kit's command does, without its final check, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._out = folder, folder / "out"

    def build(self, version: str, rows: Sequence[Row]) -> Path:
        """Build a version, the next one upon 1.0 and in place of the one before.

        Raises:
            KitError: The rows cannot be released.
        """
        out, base = self._out / version, self._out / BASE
        shutil.rmtree(out, ignore_errors=True)
        self._out.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="source-", dir=self._folder) as name:
            work = Path(name)
            captions = _write_source(work / "sfhq", rows)
            settings = load_settings(ROOT / "release.toml", Flags(sfhq=[work / "sfhq"], captions=[captions]))
            texts = [ROOT / each for each in (settings.release.citation, settings.release.changelog)]
            citation, changelog = (path.read_text(encoding="utf-8") for path in texts)
            notes = Notes(citation=citation, changelog=changelog)
            previous = PreviousRelease(base, read_manifest(base)) if version != BASE else None
            with closing(Catalog(work / "catalog.sqlite")) as catalog, CheckedImages(None) as known:
                sources = open_sources(settings, ROOT, work)
                entries = SourceReader(catalog, settings.build, work, checked=known).read(sources)
                entry = previous.entry if previous is not None else None
                inputs = describe_inputs(version, settings.content_with({}), entries, notes, entry)
                plan = plan_build(catalog, inputs, previous)
                build_release(out, catalog, plan, notes, Features(FeatureStore()), IN_THREADS)
        return out

    def layouts(self, release: Path) -> dict[str, list[Path]]:
        """Sort the files of a release into layouts; a release without tars has one layout less."""
        files = list_files(release)
        parquet = [path for path in files if path.suffix == ".parquet"]
        tars = [path for path in files if path.suffix == ".tar"]
        others = [path for path in files if path not in {*parquet, *tars}]
        features = [path for path in parquet if path.parent.name == _FEATURES_FOLDER]
        found = {KIT_PARQUET: parquet, KIT_TARS: [*tars, *features] if tars else [], KIT_OTHERS: others}
        return {name: paths for name, paths in found.items() if paths}


class HubDataset:
    """Writes what `Dataset.push_to_hub` uploads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "out"

    def build(self, version: str, rows: Sequence[Row]) -> Path:
        """Write a version as `Dataset._push_parquet_shards_to_hub` does before it uploads it."""
        from datasets import Dataset, Image, arrow_writer, config  # noqa: PLC0415 - it reads the environment
        from datasets.table import embed_table_storage  # noqa: PLC0415
        from datasets.utils.py_utils import convert_file_size_to_int  # noqa: PLC0415

        out = self._folder / version
        shutil.rmtree(out, ignore_errors=True)
        (out / "data").mkdir(parents=True)
        plain = [{"image": str(row.image), **row.cells, "captions": list(row.captions)} for row in rows]
        table = Dataset.from_list(plain).cast_column("image", Image())
        num_bytes = table._estimate_nbytes()
        num_shards = int(num_bytes / convert_file_size_to_int(config.MAX_SHARD_SIZE)) + 1
        batch = arrow_writer.get_writer_batch_size_from_features(table.features)
        batch = batch or arrow_writer.get_writer_batch_size_from_data_size(len(table), num_bytes)
        for index in range(num_shards):
            shard = table.shard(num_shards=num_shards, index=index, contiguous=True)
            embedded = shard.with_format("arrow").map(
                embed_table_storage, batched=True, batch_size=batch, keep_in_memory=True
            )
            path = out / "data" / f"train-{index:05d}-of-{num_shards:05d}.parquet"
            embedded.with_format(**shard.format).to_parquet(path, batch_size=batch)
        return out

    def layouts(self, release: Path) -> dict[str, list[Path]]:
        """Return every file as one layout."""
        return {DATASETS: list_files(release)}


class BareImages:
    """Writes the images of a version into one file, without anything between them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "out"

    def build(self, version: str, rows: Sequence[Row]) -> Path:
        """Write a version."""
        out = self._folder / version
        out.mkdir(parents=True, exist_ok=True)
        with (out / "images.bin").open("wb") as file:
            for row in rows:
                file.write(row.image.read_bytes())
        return out

    def layouts(self, release: Path) -> dict[str, list[Path]]:
        """Return the file as one layout, without features."""
        return {ALONE: [release / "images.bin"]}


def write_features(release: Path, rows: Sequence[Row]) -> None:
    """Add a config to a release: a random unit vector, fixed_size_list<float16>[512], for each image."""
    path = release / _FEATURES_FOLDER / "train-00000.parquet"
    vectors = np.random.default_rng(_SEED).standard_normal((len(rows), FEATURES), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = pa.array(vectors.astype(np.float16).ravel())
    ids = [image_id_of(hash_file(row.image)) for row in rows]
    columns = {"image_id": pa.array(ids), "embedding": pa.FixedSizeListArray.from_arrays(flat, FEATURES)}
    path.parent.mkdir()
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=_FEATURE_ROWS_PER_GROUP,
        compression="none",
        use_dictionary=False,
        write_page_index=True,
    )


def _write_source(folder: Path, rows: Sequence[Row]) -> Path:
    """Lay rows out as an SFHQ folder, images as hard links; return their captions, a file beside it."""
    (folder / "images").mkdir(parents=True)
    captions = folder.with_name("captions.jsonl")
    with (
        (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as table,
        captions.open("w", encoding="utf-8") as lines,
    ):
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            os.link(row.image, folder / "images" / row.name)
            writer.writerow(row.cells)
            for caption in row.captions:
                lines.write(json.dumps({"file_name": row.name, "caption": caption, "language": "en"}) + "\n")
    return captions


def list_files(folder: Path) -> list[Path]:
    """List the files in a folder, at any depth."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
