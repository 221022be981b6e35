"""Exports: the rows of a release in a trainer's layout, each with the image, model and terms it comes from.

Memory is bounded by one row group of images, and by the captions or terms of one shard's images.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from builders.parallel import Threads, Track
from builders.release.formats import ParquetShard
from builders.release.reader import ReleaseReader
from builders.release.trainers import ExportOptions, Layout, LeftOut, TextChoice
from schemas.columns import ColumnSpec, columns_of
from schemas.generators import Terms
from schemas.manifest import Shard
from schemas.records import Identifier

DATA_FOLDER, EXPORT_CONFIG = "data", "default"
_CHUNK = 4


class ImageOrigin(BaseModel):
    """Where a row of one image comes from."""

    image_id: Identifier = Field(description="`image_id` of the image in the release.")
    generator: str = Field(description="Model that made the image.")
    license: str = Field(description="Terms that bind the image; `LICENSES.md` explains each.")


class PairOrigin(BaseModel):
    """Where a row of two images comes from."""

    chosen_id: Identifier | None = Field(description="`image_id` of the preferred image in the release.")
    rejected_id: Identifier | None = Field(description="`image_id` of the other image.")
    chosen_model: str | None = Field(description="Model that made the preferred image; null if unknown.")
    rejected_model: str | None = Field(description="Model that made the other image; null if unknown.")
    chosen_license: str | None = Field(description="Terms of the preferred image; null if unknown.")
    rejected_license: str | None = Field(description="Terms of the other image; null if unknown.")
    votes_license: str | None = Field(description="Terms of the votes; null where the source states none.")
    prompt_license: str | None = Field(description="Terms of the prompt; null where the source states none.")
    id: str = Field(description="`id` of the pair in the release.")
    source: str = Field(description="Source that the pair came from; with `id` it names the pair.")


_Row = dict[str, Any]
ModelTerms = Mapping[str, Terms]


@dataclass(frozen=True, slots=True)
class Origin:
    """How the rows of one config are read, and what an export says of where they come from.

    Attributes:
        row: Columns that follow those of the layout.
        columns: What is read of the config.
        join: Adds to each row of a group what other configs and the terms of models say of its images, given
            one shard.
        trace: Makes the row of `row` from a joined row.
        images: The columns of `row` with the model and the terms of each image of a row.
        terms: The columns of `row` with other terms, by what they are the terms of.
    """

    row: type[BaseModel]
    columns: tuple[str, ...]
    join: Callable[[ReleaseReader, Shard, ExportOptions, ModelTerms], Callable[[_Row], _Row]]
    trace: Callable[[Mapping[str, Any]], BaseModel]
    images: tuple[tuple[str, str], ...]
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Export:
    """The data files of an export.

    Attributes:
        shards: The files, by their paths in its folder.
        left_out: Why rows are not in it → how many.
    """

    shards: tuple[Shard, ...]
    left_out: Mapping[LeftOut, int]

    @property
    def num_rows(self) -> int:
        """Rows of all files."""
        return sum(shard.num_rows for shard in self.shards)


def export_columns(layout: Layout) -> tuple[ColumnSpec, ...]:
    """Return the columns of an export: the layout's, then those of its origin."""
    return (*columns_of(layout.row), *columns_of(ORIGINS[layout.config].row))


def write_export(
    release: ReleaseReader,
    layout: Layout,
    options: ExportOptions,
    terms: ModelTerms,
    folder: Path,
    track: Track,
) -> Export:
    """Write the data files of an export, one for each shard of which a row is left.

    Args:
        release: Its shards are those of the manifest.
        layout: What to write.
        options: What the user chose.
        terms: Model → terms of its images, as far as they are known.
        folder: Folder to write into; its `data` does not exist.
        track: Shows progress, by shard.
    """
    (folder / DATA_FOLDER).mkdir()
    shards = release.shards_of(layout.config)
    left_out = Counter[LeftOut]()
    numbers = Counter[str]()
    written = []
    for shard in track(shards, "writing", len(shards)):
        join = ORIGINS[layout.config].join(release, shard, options, terms)
        rows = _lay_out(ReleaseReader(release.folder, [shard]), join, layout, options, left_out)
        made = _write_shard(folder, shard.split, numbers[shard.split], layout, rows)
        if made is not None:
            numbers[shard.split] += 1
            written.append(made)
    return Export(tuple(written), {reason: left_out[reason] for reason in LeftOut if left_out[reason]})


def _lay_out(
    shard: ReleaseReader,
    join: Callable[[_Row], _Row],
    layout: Layout,
    options: ExportOptions,
    left_out: Counter[LeftOut],
) -> Iterator[list[_Row]]:
    """Yield the rows of one shard in the layout, row group by row group; count those left out."""
    origin = ORIGINS[layout.config]

    def make(row: _Row) -> _Row | LeftOut:
        joined = join(row)
        laid_out = layout.lay_out(joined, options)
        if isinstance(laid_out, LeftOut):
            return laid_out
        return laid_out.model_dump() | origin.trace(joined).model_dump()

    for group in shard.row_groups(layout.config, origin.columns):
        results = [result for _, result in Threads().map_ordered(make, group.to_pylist(), chunk=_CHUNK)]
        left_out.update(result for result in results if isinstance(result, LeftOut))
        yield [result for result in results if not isinstance(result, LeftOut)]


def _write_shard(
    folder: Path, split: str, number: int, layout: Layout, groups: Iterator[list[dict[str, Any]]]
) -> Shard | None:
    """Write one file; return None, and write none, if there is no row."""
    path = f"{DATA_FOLDER}/{split}-{number:05d}.parquet"
    writer, num_rows = None, 0
    for rows in groups:
        if rows:
            writer = writer or ParquetShard(folder / path, export_columns(layout))
            writer.write_group(rows)
            num_rows += len(rows)
    if writer is None:
        return None
    writer.close()
    return Shard(
        path=path,
        num_bytes=writer.file.num_bytes,
        sha256=writer.file.sha256,
        config=EXPORT_CONFIG,
        split=split,
        number=number,
        num_rows=num_rows,
    )


def _find(
    release: ReleaseReader, config: str, ids: Collection[str], columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a config whose `image_id` is among some."""
    wanted = pa.array(sorted(ids), pa.string())
    for group in release.row_groups(config, ["image_id", *columns]):
        yield from group.filter(pc.is_in(group["image_id"], value_set=wanted)).to_pylist()


def _join_captions(
    release: ReleaseReader, shard: Shard, options: ExportOptions, _: ModelTerms
) -> Callable[[_Row], _Row]:
    """Add `texts` to rows of images: (caption, captioner), in the order of the column `captions`."""
    if options.text is TextChoice.PROMPT:
        return lambda row: row
    ids = release.read(shard, ["image_id"])["image_id"].to_pylist()
    names = ("source", "caption_id", "caption", "captioner")
    found: dict[str, list[tuple[str | None, ...]]] = defaultdict(list)
    for row in _find(release, "captions", ids, names):
        if row["caption"] and options.captioner in (None, row["captioner"]):
            found[row["image_id"]].append(tuple(row[name] for name in names))

    def join(row: dict[str, Any]) -> dict[str, Any]:
        texts = sorted(found.get(row["image_id"], ()), key=lambda each: each[:2])
        return row | {"texts": [each[2:] for each in texts]}

    return join


def _join_terms(
    release: ReleaseReader, shard: Shard, _: ExportOptions, known: ModelTerms
) -> Callable[[_Row], _Row]:
    """Add the terms of both images to pairs: those of the collection's image, else those of the model."""
    sides = ("chosen", "rejected")
    table = release.read(shard, [f"{side}_id" for side in sides])
    ids = {each for side in sides for each in table[f"{side}_id"].to_pylist() if each is not None}
    terms = {row["image_id"]: row["license"] for row in _find(release, "prompts", ids, ["license"])}

    def join(row: _Row) -> _Row:
        models = {side: known.get(row[f"{side}_model"] or "") for side in sides}
        named = {side: model.id if model is not None else None for side, model in models.items()}
        return row | {f"{side}_license": terms.get(row[f"{side}_id"], named[side]) for side in sides}

    return join


def _trace_image(row: Mapping[str, Any]) -> ImageOrigin:
    return ImageOrigin(**{name: row[name] for name in ImageOrigin.model_fields})


def _trace_pair(row: Mapping[str, Any]) -> PairOrigin:
    values = {name: row[name] for name in PairOrigin.model_fields if name != "votes_license"}
    return PairOrigin(**values, votes_license=row["license"])


# The configs that a layout can read. One with a config that is not here is an error when it is written.
ORIGINS: Mapping[str, Origin] = {
    "default": Origin(
        ImageOrigin,
        ("image", "image_id", "prompt", "generator", "license", "width", "height"),
        _join_captions,
        _trace_image,
        (("generator", "license"),),
        {},
    ),
    "binarized": Origin(
        PairOrigin,
        (
            *("prompt", "chosen", "rejected", "chosen_id", "rejected_id", "chosen_model", "rejected_model"),
            *("license", "prompt_license", "id", "source"),
        ),
        _join_terms,
        _trace_pair,
        (("chosen_model", "chosen_license"), ("rejected_model", "rejected_license")),
        {"votes": "votes_license", "prompts of the pairs": "prompt_license"},
    ),
}
