"""Files of captions for tests, in each format, and what the kit publishes of them."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.sources.captions import CaptionSource
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import Source, SourceOptions
from tests.support import Reading, read_into_catalog

Record = dict[str, Any]


def names_of(images: Path) -> list[str]:
    """List the images' names."""
    return sorted(path.name for path in (images / "images").iterdir())


def read(images: Path, path: Path, *, work: Path | None = None, **options: Any) -> Reading:
    """Read captions and the images that they speak of."""
    work = work or path.parent / "work"
    work.mkdir(exist_ok=True)
    sources: list[Source] = [
        open_sfhq_folder(images, "images"),
        CaptionSource(path, "said", SourceOptions(**options)),
    ]
    (work / "catalog.sqlite").unlink(missing_ok=True)
    return read_into_catalog(work, *sources)


def told(reading: Reading) -> list[str]:
    """List the problems of captions."""
    own = [problem for problem in reading.problems if not problem.file.startswith("SFHQ")]
    return [str(problem) for problem in own]


def said(reading: Reading, *fields: str) -> list[tuple[Any, ...]]:
    """List some fields of the published captions, with the image's file name first, sorted."""
    names = {row["image_id"]: row["file_name"] for row in reading.published}
    rows = [(names[row["image_id"]], *(row[field] for field in fields)) for row in reading.captions]
    return sorted(rows, key=lambda row: tuple(map(str, row)))


def jsonl(path: Path, records: Sequence[Record]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def array(path: Path, records: Sequence[Record]) -> Path:
    """Write a JSON array."""
    path.write_text(json.dumps(records, indent=1), encoding="utf-8")
    return path


def delimited(separator: str) -> Callable[[Path, Sequence[Record]], Path]:
    """Return a writer of CSV or TSV; lists and objects become JSON in their cell."""

    def write(path: Path, records: Sequence[Record]) -> Path:
        columns = list(dict.fromkeys(name for record in records for name in record))
        text = io.StringIO()
        table = csv.writer(text, delimiter=separator, lineterminator="\n")
        table.writerow(columns)
        for record in records:
            cells = [record.get(name) for name in columns]
            table.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in cells])
        path.write_text(text.getvalue(), encoding="utf-8")
        return path

    return write


def parquet(path: Path, records: Sequence[Record]) -> Path:
    """Write Parquet."""
    pq.write_table(pa.Table.from_pylist(list(records)), path)
    return path


WRITERS: Mapping[str, Callable[[Path, Sequence[Record]], Path]] = {
    "JSON Lines": jsonl,
    "JSON": array,
    "CSV": delimited(","),
    "TSV": delimited("\t"),
    "Parquet": parquet,
}
