"""Collections of images in every form that people have them in, each made by the library that makes it."""

import csv
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset

from builders.sources.images.sfhq import TABLE_NAME

# An SFHQ folder → the same collection in another form, below a target folder: what `--images` is given.
Make = Callable[[Path, Path], Path]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Read the table of an SFHQ folder."""
    with (folder / TABLE_NAME).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def image_of(folder: Path, name: str) -> Path:
    """Return the path of an image."""
    return folder / "images" / name


def write_image_folder(folder: Path, target: Path, ending: str = "jsonl") -> Path:
    """Write an image folder, with its images in two folders below."""
    rows = []
    for number, row in enumerate(read_rows(folder)):
        name = f"part{number % 2}/{row['image_filename']}"
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image_of(folder, row["image_filename"]), target / name)
        said = {"generator": row["model_used"], "prompt": row["text_prompt"], "configs": row["configs"]}
        rows.append({"file_name": name, **said})
    path = target / f"metadata.{ending}"
    if ending == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    elif ending == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return target


def _dataset(folder: Path) -> datasets.Dataset:
    rows = [
        {
            "image": {
                "bytes": image_of(folder, row["image_filename"]).read_bytes(),
                "path": row["image_filename"],
            },
            "generator": row["model_used"],
            "prompt": row["text_prompt"] or None,
            "configs": row["configs"] or None,
        }
        for row in read_rows(folder)
    ]
    strings = dict.fromkeys(("generator", "prompt", "configs"), datasets.Value("string"))
    return datasets.Dataset.from_list(
        rows, features=datasets.Features({"image": datasets.Image(), **strings})
    )


def write_parquet(folder: Path, target: Path) -> Path:
    """Write two Parquet files with images, as the Hub has them."""
    dataset = _dataset(folder)
    (target / "data").mkdir(parents=True)
    for index in range(2):
        shard = dataset.shard(2, index, contiguous=True)
        shard.to_parquet(target / "data" / f"train-{index:05d}-of-00002.parquet")
    return target


def write_saved(folder: Path, target: Path) -> Path:
    """Write a folder of `save_to_disk` with two splits."""
    dataset = _dataset(folder)
    half = len(dataset) // 2
    splits = {"train": dataset.select(range(half)), "test": dataset.select(range(half, len(dataset)))}
    datasets.DatasetDict(splits).save_to_disk(target)
    return target


def write_tars(folder: Path, target: Path) -> Path:
    """Write tars of WebDataset: image, settings, and the prompt as text."""
    target.mkdir(parents=True)
    pattern = str(target / "%05d.tar")
    with webdataset.ShardWriter(pattern, maxcount=150, verbose=0) as writer:
        for row in read_rows(folder):
            path = image_of(folder, row["image_filename"])
            said = {"generator": row["model_used"], "configs": row["configs"]}
            text = {"txt": row["text_prompt"]}
            image = {path.suffix.removeprefix("."): path.read_bytes()}
            writer.write({"__key__": path.stem, **image, "json": said, **text})
    return target


def write_zip(folder: Path, target: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Pack an SFHQ folder as a zip, below a folder as archives often have it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, f"faces/{file.relative_to(folder)}")
    return path


def write_tar(folder: Path, target: Path) -> Path:
    """Pack an SFHQ folder as a tar."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")
    return path


def write_nested(folder: Path, target: Path) -> Path:
    """Copy an SFHQ folder with its images in folders below, and their paths in its table."""
    rows = read_rows(folder)
    for number, row in enumerate(rows):
        name = row["image_filename"]
        place = f"images/part{number % 3}"
        (target / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(image_of(folder, name), target / place / name)
        row["image_filename"] = f"{place}/{name}" if number % 2 else name
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (target / TABLE_NAME).write_text(text.getvalue(), encoding="utf-8")
    return target


FORMS: Mapping[str, Make] = {
    "image folder, jsonl": write_image_folder,
    "image folder, csv": lambda folder, target: write_image_folder(folder, target, "csv"),
    "image folder, parquet": lambda folder, target: write_image_folder(folder, target, "parquet"),
    "parquet of datasets": write_parquet,
    "save_to_disk": write_saved,
    "webdataset": write_tars,
    "zip": write_zip,
    "zip, stored": lambda folder, target: write_zip(folder, target, zipfile.ZIP_STORED),
    "tar": write_tar,
    "zip of an image folder": lambda folder, target: write_zip(
        write_image_folder(folder, target / "made"), target / "packed"
    ),
    "paths in the table": write_nested,
}
