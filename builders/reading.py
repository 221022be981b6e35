"""Reading: sources into the catalog, and published rows out of it again with their images.

Each image is read and decoded once to look at it, and read once more to publish it; the second time its
digest is compared, so that what is published is what was looked at.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from builders.catalog import Catalog
from builders.images import ImageFacts, ImageRefusedError, inspect_image, read_image
from builders.intake import InputRow, Source
from builders.parallel import ordered_map
from schemas.manifest import SourceEntry
from schemas.problems import BuildError, Problem, Reason
from schemas.records import IMAGE_FORMATS, image_path
from schemas.settings import BuildSettings

T = TypeVar("T")
_IMAGES_PER_TASK = 16


class Track(Protocol):
    """Shows progress: passes items on, and tells somebody of which stage and of how many."""

    def __call__(self, items: Iterable[T], stage: str, total: int | None, /) -> Iterable[T]: ...  # noqa: D102


def untracked(items: Iterable[T], _stage: str, _total: int | None, /) -> Iterable[T]:
    """Show no progress."""
    return items


def read_sources(
    sources: Iterable[Source], catalog: Catalog, settings: BuildSettings, track: Track
) -> tuple[SourceEntry, ...]:
    """Read every row of every source, look at every image, and settle the catalog.

    Args:
        sources: Where rows come from.
        catalog: Empty; holds every row afterwards.
        settings: Limits for images.
        track: Shows progress.

    Returns:
        What was read of each source, with digests.
    """
    entries = tuple(_read_source(source, catalog, settings, track) for source in sources)
    catalog.resolve()
    return entries


def rows_with_images(catalog: Catalog, settings: BuildSettings) -> Iterator[dict[str, object]]:
    """Yield the rows to publish, in order, each with its image.

    Raises:
        BuildError: An image is not the one that was looked at.
    """

    def read(item: tuple[dict[str, object], Path]) -> bytes:
        row, path = item
        try:
            data = read_image(path, settings.max_image_bytes)
        except ImageRefusedError:
            data = b""
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            message = "the image changed while the release was being built"
            fix = "let nothing write to the sources, and run again"
            raise BuildError(Problem(Reason.SOURCE, message, file=str(path), fix=fix))
        return data

    for (row, _), data in ordered_map(read, catalog.published()):
        path = image_path(str(row["image_id"]), str(row["format"]))
        yield row | {"image": {"bytes": data, "path": path}}


def _read_source(source: Source, catalog: Catalog, settings: BuildSettings, track: Track) -> SourceEntry:
    digest = hashlib.sha256(source.table_sha256.encode())
    num_rows = num_strays = 0
    catalog.add_table_problems(source.table_problems)
    inspected = ordered_map(partial(_inspect, settings), source.rows(), chunk=_IMAGES_PER_TASK)
    for row, (facts, problems) in track(inspected, f"reading {source.name}", source.num_rows):
        catalog.add(replace(row, problems=(*row.problems, *problems)), facts, source.digital_source_type)
        line = f"{facts.sha256 if facts else '-'} {row.file_name}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        num_rows, num_strays = num_rows + (row.row is not None), num_strays + (row.row is None)
    return SourceEntry(
        name=source.name,
        kind=source.kind,
        num_rows=num_rows,
        num_stray_images=num_strays,
        sha256=digest.hexdigest(),
    )


def _inspect(settings: BuildSettings, row: InputRow) -> tuple[ImageFacts | None, list[Problem]]:
    """Look at a row's image, if it has one: what it is, and what is wrong with it."""
    if row.image is None:
        return None, []
    at = partial(Problem, file=row.file, row=row.row, column="image_filename")
    try:
        facts = inspect_image(read_image(row.image, settings.max_image_bytes), settings)
    except ImageRefusedError as error:
        message = f"{row.file_name}: {error.message}"
        return None, [at(error.reason, message, value=error.value, fix=error.fix)]
    if row.image.suffix.lower().replace("jpeg", "jpg") == f".{IMAGE_FORMATS[facts.format]}":
        return facts, []
    message = f"the name does not fit the image's format, {facts.format}, under which it is published"
    return facts, [at(Reason.FORMAT_DIFFERS_FROM_NAME, message, value=row.file_name)]
