"""Measure what a new version of a dataset costs to upload where Xet stores it, beside `datasets`.

Version 1.0 is uploaded once into a store, the library's own (`hf_xet` with a `local://` endpoint). Then each
changed version is uploaded into a copy that holds 1.0 and nothing else, by a client that has never seen 1.0:
its caches are removed, so that it finds old chunks as another machine would, by asking the store.

Layouts, each with a store of its own:

- kit, Parquet; kit, tars; kit, other files: a release by `publish/release.py`, built upon 1.0
  with `--previous`.
- datasets: what `Dataset.push_to_hub` uploads by default, written with the same calls: as many shards as its
  limit of 500 MB asks for, `shard(contiguous=True)`, `map(embed_table_storage)`, and `to_parquet`, which cuts
  pages by content unless told otherwise.

A change concerns 1 % of the rows, the same ones for every layout. Features are a config of their own, image
and float16 vector, in every layout; the tars have it beside them.

- new: bytes of images, cells, captions and vectors that 1.0 has not; gone: the same the other way round.
- sent: what the client uploads, after its own compression: chunks and the metadata of shards.
- sent ÷ changed: over what is new, or where nothing is, over what is gone.

    python benchmarks/upload.py --images 2000 --size 1024 --json upload.json
    python benchmarks/upload.py --changes "1 % appended" "1 % removed"
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import csv
import hashlib
import importlib.metadata
import json
import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import Corpus, invent_caption, make_corpus, read_rows
from benchmarks.jobs import ROOT
from benchmarks.measure import CommandFailedError, measure
from benchmarks.options import make_parser, positive
from builders.sources.images.sfhq import COLUMNS, TABLE_NAME
from schemas.records import image_id_of

BASE, NEXT = "1.0", "1.1"
KIT_PARQUET, KIT_TARS, KIT_OTHERS, DATASETS = "kit, Parquet", "kit, tars", "kit, other files", "datasets"
_LIBRARIES = ("datasets", "hf_xet", "pyarrow")
_COLUMNS = ("new MB", "gone MB", "files changed", "sent MB", "% of all", "sent ÷ changed")
_MB = 1e6
_SEED = 20_240_902
_FEATURES, _BYTES_PER_FEATURE = 512, 2
_FEATURES_FOLDER = "clip_random"
_FEATURE_ROWS_PER_GROUP = 25_000
_OTHER_CAPTION = 9  # number of a caption that no image has yet


@dataclass(frozen=True, slots=True)
class Row:
    """One image with all that is said of it: the table's cells, and captions."""

    cells: Mapping[str, str]
    image: Path
    captions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The image's file name, which a replaced image keeps."""
        return self.cells["image_filename"]


@dataclass(frozen=True, slots=True)
class Material:
    """What all versions are made from.

    Attributes:
        rows: Every row, in the table's order.
        late: Indexes of rows that 1.0 has not, one for each hundred that it has.
        chosen: Indexes of as many rows of 1.0, to remove or change.
    """

    rows: Sequence[Row]
    late: frozenset[int]
    chosen: frozenset[int]

    @property
    def base(self) -> list[Row]:
        """The rows of 1.0."""
        return [row for index, row in enumerate(self.rows) if index not in self.late]

    @property
    def added(self) -> list[Row]:
        """The rows that 1.0 has not."""
        return [self.rows[index] for index in sorted(self.late)]

    def changed(self, change: Callable[[Row], Row | None]) -> list[Row]:
        """Return the rows of 1.0 with the chosen ones changed, or left out where `change` gives None."""
        rows = (
            change(row) if index in self.chosen else row
            for index, row in enumerate(self.rows)
            if index not in self.late
        )
        return [row for row in rows if row is not None]


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change: the rows that the next version has, and whether it has features, too."""

    name: str
    rows: Callable[[Material], list[Row]]
    has_features: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What one upload sent, in bytes; `total_bytes` is the size of its files."""

    total_bytes: int
    sent_bytes: int
    chunk_bytes: int
    metadata_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """One layout after one change; 1.0 itself is the first."""

    change: str
    layout: str
    new_bytes: int
    gone_bytes: int
    files: int
    files_changed: int
    sent: Sent

    @property
    def ratio(self) -> float | None:
        """Bytes sent over bytes changed; None where nothing is."""
        changed = self.new_bytes or self.gone_bytes
        return self.sent.sent_bytes / changed if changed else None


def _insert(material: Material) -> list[Row]:
    base = material.base
    return [*base[: len(base) // 2], *material.added, *base[len(base) // 2 :]]


def _replace(material: Material) -> list[Row]:
    others = iter(material.added)
    return material.changed(lambda row: replace(row, image=next(others).image))


def _edit(row: Row) -> Row:
    return replace(row, captions=(invent_caption(row.name, _OTHER_CAPTION), *row.captions[1:]))


CHANGES = (
    Change("nothing", lambda material: material.base),
    Change("1 % appended", lambda material: [*material.base, *material.added]),
    Change("1 % put in at one place", _insert),
    Change("1 % put in all over", lambda material: list(material.rows)),
    Change("1 % removed", lambda material: material.changed(lambda _: None)),
    Change("1 % of images replaced", _replace),
    Change("captions of 1 % edited", lambda material: material.changed(_edit)),
    Change("features added", lambda material: material.base, has_features=True),
)


def make_material(corpus: Corpus, rows: int) -> Material:
    """Take a corpus apart into 1.0 and what comes later; every other image gets two captions."""
    made = [
        Row(
            cells,
            corpus.folder / "images" / cells["image_filename"],
            tuple(invent_caption(cells["image_filename"], number) for number in range(1 + index % 2)),
        )
        for index, cells in enumerate(read_rows(corpus.table))
    ]
    rng = random.Random(_SEED)
    late = frozenset(rng.sample(range(len(made)), len(made) - rows))
    rest = [index for index in range(len(made)) if index not in late]
    return Material(made, late, frozenset(rng.sample(rest, len(late))))


def contents(rows: Sequence[Row]) -> dict[tuple[str, ...], int]:
    """List what rows hold with the size of each: images, cells and captions."""
    held: dict[tuple[str, ...], int] = {}
    for row in rows:
        held["image", row.name, str(row.image)] = row.image.stat().st_size
        for column, value in row.cells.items():
            held["cell", row.name, column, value] = len(value.encode())
        for caption in row.captions:
            held["caption", row.name, caption] = len(caption.encode())
    return held


def changed_bytes(before: Sequence[Row], after: Sequence[Row]) -> tuple[int, int]:
    """Compare two versions: bytes of content that are new, and that are gone."""
    old, new = contents(before), contents(after)
    return (
        sum(size for key, size in new.items() if key not in old),
        sum(size for key, size in old.items() if key not in new),
    )


class Kit:
    """Builds releases with the kit's own command, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._out = folder, folder / "out"

    def build(self, version: str, rows: Sequence[Row]) -> Path:
        """Build a version, the next one upon 1.0 and in place of the one before.

        Raises:
            CommandFailedError: The command failed.
        """
        shutil.rmtree(self._out / version, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="source-", dir=self._folder) as name:
            source = Path(name)
            captions = _write_source(source / "sfhq", rows)
            script, config = str(ROOT / "publish" / "release.py"), str(ROOT / "release.toml")
            command = [sys.executable, script, "--version", version, "--config", config]
            command += ["--sfhq", str(source / "sfhq"), "--captions", str(captions), "--out", str(self._out)]
            if version != BASE:
                command += ["--previous", str(self._out / BASE), "--allow-bump"]
            measure(command, {"TMPDIR": name}, source / "log")
        return self._out / version

    def layouts(self, release: Path) -> dict[str, list[Path]]:
        """Sort the files of a release into layouts; a release without tars has one layout less."""
        files = _files(release)
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
        return {DATASETS: _files(release)}


def write_features(release: Path, rows: Sequence[Row]) -> None:
    """Add a config to a release: a random unit vector, fixed_size_list<float16>[512], for each image."""
    path = release / _FEATURES_FOLDER / "train-00000.parquet"
    vectors = np.random.default_rng(_SEED).standard_normal((len(rows), _FEATURES), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = pa.array(vectors.astype(np.float16).ravel())
    ids = [image_id_of(_sha256(row.image)) for row in rows]
    columns = {"image_id": pa.array(ids), "embedding": pa.FixedSizeListArray.from_arrays(flat, _FEATURES)}
    path.parent.mkdir()
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=_FEATURE_ROWS_PER_GROUP,
        compression="none",
        use_dictionary=False,
        write_page_index=True,
    )


def upload(store: Path, files: Sequence[Path]) -> Sent:
    """Upload files into a store."""
    import hf_xet  # type: ignore[import-untyped]  # noqa: PLC0415 - it reads the environment

    commit = hf_xet.XetSession().new_upload_commit(endpoint=f"local://{store}")
    for path in files:
        commit.start_upload_file(str(path), sha256=hf_xet.COMPUTE_SHA256)
    counted = commit.wait_to_finish().dedup_metrics
    return Sent(
        total_bytes=counted.total_bytes,
        sent_bytes=counted.total_bytes_uploaded,
        chunk_bytes=counted.xorb_bytes_uploaded,
        metadata_bytes=counted.shard_bytes_uploaded,
    )


def copy_store(store: Path, copy: Path) -> Path:
    """Copy a store without what its client remembers; chunks, being read-only files, are hard links."""
    ignored = shutil.ignore_patterns("shard-cache", "shard-session")
    return Path(shutil.copytree(store, copy, ignore=ignored, copy_function=_link_or_copy))


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        shutil.copy2(source, target)
    else:
        os.link(source, target)


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


def run_all(material: Material, changes: Sequence[Change], run: Path) -> Iterator[Result]:
    """Measure changes in every layout, in a folder for this run."""
    for builder in (Kit, HubDataset):
        with tempfile.TemporaryDirectory(dir=run) as folder:
            yield from _run(builder(Path(folder)), material, changes, Path(folder) / "stores")


def _run(
    builder: Kit | HubDataset, material: Material, changes: Sequence[Change], stores: Path
) -> Iterator[Result]:
    base, known = builder.build(BASE, material.base), {}
    for layout, files in builder.layouts(base).items():
        known[layout] = _digests(base, files)
        new, gone = changed_bytes([], material.base)
        sent = upload(stores / layout, files)
        yield _tell(Result(BASE, layout, new, gone, len(files), len(files), sent))
    for change in changes:
        rows = change.rows(material)
        new, gone = changed_bytes(material.base, rows)
        release = builder.build(NEXT, rows)
        if change.has_features:
            write_features(release, rows)
            new += len(rows) * _FEATURES * _BYTES_PER_FEATURE
        for layout, files in builder.layouts(release).items():
            with tempfile.TemporaryDirectory(dir=stores) as folder:
                sent = upload(copy_store(stores / layout, Path(folder) / "copy"), files)
            changed = len(_digests(release, files) - known[layout])
            yield _tell(Result(change.name, layout, new, gone, len(files), changed, sent))


def _tell(result: Result) -> Result:
    megabytes = f"{result.sent.sent_bytes / _MB:.2f} of {result.sent.total_bytes / _MB:.2f} MB sent"
    print(f"{result.change}: {result.layout}: {megabytes}", file=sys.stderr)
    return result


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digests(folder: Path, files: Sequence[Path]) -> set[tuple[str, str]]:
    return {(path.relative_to(folder).as_posix(), _sha256(path)) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def results_table(results: Sequence[Result], title: str) -> Table:
    """Lay the results out, one section per change, one row per layout."""
    table = Table("change", "layout", title=title, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for change in dict.fromkeys(result.change for result in results):
        table.add_section()
        for result in results:
            if result.change == change:
                name = change if result.layout in (KIT_PARQUET, DATASETS) else ""
                table.add_row(name, result.layout, *_cells(result))
    return table


def _cells(result: Result) -> Iterator[str]:
    sent = result.sent
    yield f"{result.new_bytes / _MB:,.3f}"
    yield f"{result.gone_bytes / _MB:,.3f}"
    yield f"{result.files_changed} of {result.files}"
    yield f"{sent.sent_bytes / _MB:,.3f}"
    yield f"{100 * sent.sent_bytes / sent.total_bytes:.3f}"
    yield "" if result.ratio is None or result.layout == KIT_OTHERS else f"{result.ratio:.2f}"


def write_json(path: Path, results: Sequence[Result], images: int, size: int) -> None:
    """Write every result's raw figures, and what they were measured with."""
    content = {
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "images": images,
        "size": size,
        "results": [asdict(result) | {"ratio": result.ratio} for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    work = options.work.resolve()
    images = options.images + max(1, round(options.images / 100))
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    try:
        corpus = make_corpus(work / "corpus" / f"sfhq-{options.size}px-{images}", images, options.size)
        with tempfile.TemporaryDirectory(prefix="run-", dir=work) as run:
            _keep_inside(Path(run))
            changes = [change for change in CHANGES if change.name in options.changes]
            results = list(run_all(make_material(corpus, options.images), changes, Path(run)))
    except (CommandFailedError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(results_table(results, f"{options.images:,} images of {options.size} pixels square"))
    if options.json:
        write_json(options.json, results, options.images, options.size)
    return 0


def _keep_inside(folder: Path) -> None:
    """Keep libraries, and the command's, silent, off the network, and their caches inside a folder.

    A cache that outlives a run would hide bytes from the next one.
    """
    os.environ |= {
        "HF_HOME": str(folder / "home"),
        "HF_XET_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "upload.py", "Measure what a new version costs to upload, beside `datasets`.", size=1024
    )
    parser.add_argument(
        "--images", type=positive, default=2000, metavar="N", help="how many images 1.0 has (default: 2000)"
    )
    names = [change.name for change in CHANGES]
    parser.add_argument(
        "--changes",
        nargs="+",
        choices=names,
        default=names,
        metavar="CHANGE",
        help=f"which changes to measure (default: all): {', '.join(names)}".replace("%", "%%"),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
