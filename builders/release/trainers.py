"""Layouts: the decided pairs of a release under the column names that a trainer reads.

A new layout is one row type, one function and one line in `LAYOUTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from builders.release.formats import ParquetShard
from builders.release.reader import ReleaseReader
from schemas.columns import Column, columns_of
from schemas.manifest import Shard
from schemas.records import EncodedImage


class DiffusersDpoPair(BaseModel):
    """A pair as diffusers' Diffusion-DPO scripts read it, which is as Pick-a-Pic has it."""

    jpg_0: bytes = Field(description="An image file's bytes; which side it is says nothing.")
    jpg_1: bytes = Field(description="The other image file's bytes.")
    label_0: int = Field(description="1 if the first image is the preferred one, 0 if the second is.")
    caption: str = Field(description="Prompt of both images.")


class TrlPair(BaseModel):
    """A pair as TRL's preference datasets have it."""

    prompt: str = Field(description="Prompt of both images.")
    chosen: Annotated[EncodedImage, Column(image=True)] = Field(description="The preferred image.")
    rejected: Annotated[EncodedImage, Column(image=True)] = Field(description="The other image.")


@dataclass(frozen=True, slots=True)
class Layout:
    """Column names of one trainer.

    Attributes:
        row: Its row type.
        lay_out: Turns a row of `binarized` into one.
    """

    row: type[BaseModel]
    lay_out: Callable[[Mapping[str, Any]], BaseModel]


def _diffusers(pair: Mapping[str, Any]) -> DiffusersDpoPair:
    """Put the preferred image on the side that its id and the other's decide: no side is better."""
    images = (pair["chosen"]["bytes"], pair["rejected"]["bytes"])
    is_first = pair["chosen_id"] < pair["rejected_id"]
    first, second = images if is_first else images[::-1]
    return DiffusersDpoPair(jpg_0=first, jpg_1=second, label_0=int(is_first), caption=pair["prompt"])


def _trl(pair: Mapping[str, Any]) -> TrlPair:
    return TrlPair(prompt=pair["prompt"], chosen=pair["chosen"], rejected=pair["rejected"])


_PAIR_COLUMNS = ("prompt", "chosen", "rejected", "chosen_id", "rejected_id")
LAYOUTS: Mapping[str, Layout] = {
    "diffusers-dpo": Layout(DiffusersDpoPair, _diffusers),
    "trl": Layout(TrlPair, _trl),
}


def write_layout(release: Path, shard: Shard, layout: Layout, path: Path) -> tuple[int, int]:
    """Write one shard of `binarized` in a layout, one row group at a time.

    Args:
        release: Folder of the release.
        shard: One of its shards of `binarized`.
        layout: What to write.
        path: File to make.

    Returns:
        Pairs written, and pairs left out since they lack an image or the prompt.
    """
    writer = ParquetShard(path, columns_of(layout.row))
    written = left_out = 0
    for table in ReleaseReader(release, [shard]).row_groups(shard.config, _PAIR_COLUMNS):
        group = table.to_pylist()
        rows = [
            layout.lay_out(pair).model_dump()
            for pair in group
            if None not in (pair["prompt"], pair["chosen"], pair["rejected"])
        ]
        written, left_out = written + len(rows), left_out + len(group) - len(rows)
        if rows:
            writer.write_group(rows)
    writer.close()
    return written, left_out
