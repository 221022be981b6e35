"""What `benchmarks/build.py` times: the kit and its peers, each run in a process of its own.

Called by that command, and by hand to look at one job alone: `python benchmarks/jobs.py kit FOLDER OUT`.
Every job leaves its output on the disk, not in the page cache, since the kit does. Each imports what it needs
itself, so that none pays for another's libraries.
"""

# ruff: noqa: PLC0415

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

VERSION = "1.0"
_IMAGES_PER_BATCH = 100  # as many as the kit puts into a row group


def build_with_kit(folder: Path, out: Path) -> None:
    """Read an SFHQ folder and build a release as `publish/release.py` does, without checking the result."""
    _build(folder, out, None)


def build_with_known_images(folder: Path, out: Path) -> None:
    """Do the same with images that an earlier run found sound: all are hashed, none is decoded."""
    _build(folder, out, checked_path(folder))


def checked_path(folder: Path) -> Path:
    """Say where the digests of a folder's images are, which the first run without them writes."""
    return folder.with_name(f"{folder.name}.checked.txt")


def _build(folder: Path, out: Path, checked: Path | None) -> None:
    from builders.catalog import Catalog
    from builders.catalog.reader import SourceReader
    from builders.features.encoding import Features
    from builders.features.store import FeatureStore
    from builders.images.checked import CheckedImages
    from builders.parallel import IN_THREADS
    from builders.pipeline import Notes, build_release, describe_inputs, plan_build
    from publish.run.settings import Flags, load_settings, open_sources

    settings = load_settings(ROOT / "release.toml", Flags(sfhq=[folder]))
    citation, changelog = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in (settings.release.citation, settings.release.changelog)
    )
    notes = Notes(citation=citation, changelog=changelog)
    out.mkdir()
    with closing(Catalog(out / "catalog.sqlite")) as catalog, CheckedImages(checked) as known:
        sources = open_sources(settings, ROOT, out)
        entries = SourceReader(catalog, settings.build, out, checked=known).read(sources)
        plan = plan_build(catalog, describe_inputs(VERSION, settings.content_with({}), entries, notes), None)
        build_release(out / VERSION, catalog, plan, notes, Features(FeatureStore()), IN_THREADS)
    _sync_tree(out / VERSION)


def copy_folder(folder: Path, out: Path) -> None:
    """Copy a folder with `cp`."""
    subprocess.run(["cp", "-r", str(folder), str(out)], check=True)
    _sync_tree(out)


def convert_with_datasets(folder: Path, out: Path) -> None:
    """Load an image folder with `datasets`, embed the images, which come as paths, and write Parquet."""
    from datasets import load_dataset
    from datasets.table import embed_table_storage

    # Without `data_files`, a name such as `FLUX1_dev_image_0000001.jpg` makes a validation split of its own,
    # and all images whose names say nothing of a split are left out.
    files, cache = {"train": "**"}, str(out / "cache")
    images = load_dataset(
        "imagefolder", data_dir=str(folder), data_files=files, split="train", cache_dir=cache
    )
    tables = images.with_format("arrow")
    embedded = tables.map(embed_table_storage, batched=True, batch_size=_IMAGES_PER_BATCH)
    (out / "data").mkdir()
    embedded.with_format(None).to_parquet(out / "data" / "train.parquet")
    _sync_tree(out / "data")


def build_with_libraries(folder: Path, out: Path) -> None:
    """Do what the kit does with the usual libraries: Parquet, then tars, then the digest of every file."""
    import csv
    import hashlib
    import json

    import webdataset

    convert_with_datasets(folder, out)
    (out / "webdataset").mkdir()
    pattern = str(out / "webdataset" / "train-%05d.tar")
    with (
        (folder / "metadata.csv").open(encoding="utf-8", newline="") as table,
        webdataset.ShardWriter(pattern, maxsize=1e9, maxcount=10_000, verbose=0) as shards,
    ):
        for row in csv.DictReader(table):
            image = (folder / row["file_name"]).read_bytes()
            fields = {**row, "sha256": hashlib.sha256(image).hexdigest()}
            shards.write(
                {
                    "__key__": row["file_name"].partition(".")[0],
                    "jpg": image,
                    "json": json.dumps(fields).encode(),
                    "txt": row["text"].encode(),
                }
            )
    for path in (*(out / "data").iterdir(), *(out / "webdataset").iterdir()):
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
    _sync_tree(out / "webdataset")


JOBS: Mapping[str, Callable[[Path, Path], None]] = {
    "kit": build_with_kit,
    "known": build_with_known_images,
    "libraries": build_with_libraries,
    "copy": copy_folder,
    "datasets": convert_with_datasets,
}


def _sync_tree(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def main() -> None:
    name, folder, out = sys.argv[1:]
    JOBS[name](Path(folder), Path(out))


if __name__ == "__main__":
    main()
