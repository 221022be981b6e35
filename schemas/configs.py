"""Configs: the named tables of a release, as `load_dataset(name, config)` takes them.

`CONFIGS` lists all there can be, each made of the fields of one row type. Those that have no rows are not
part of a release; `default` and `prompts` always are. `webdataset` is the second format of the images: a
folder of tars, which no card can declare beside Parquet, and a choice of the maintainer's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.captions import CaptionRecord
from schemas.columns import ColumnSpec, columns_of
from schemas.preferences import BinarizedPair, PreferencePair
from schemas.records import ImageRecord, ImageRow


class Format(StrEnum):
    """File formats of data; the value is also what the settings and the manifest say."""

    PARQUET = "parquet"
    WEBDATASET = "webdataset"


class Table(StrEnum):
    """What input rows are rows of; counts are kept for each."""

    IMAGES = "images"
    CAPTIONS = "captions"
    PREFERENCES = "preferences"


@dataclass(frozen=True, slots=True)
class Config:
    """A named table of the dataset.

    Attributes:
        name: As `load_dataset` takes it; the default one needs no name.
        folder: Where its files lie in a release.
        table: The input rows that it is made from.
        key: Columns that together name a row.
        columns: Its columns in order.
        description: What it is for.
        format: Format of its files.
        decided_only: Whether only decided pairs are in it.
    """

    name: str
    folder: str
    table: Table
    key: tuple[str, ...]
    columns: tuple[ColumnSpec, ...]
    description: str
    format: Format = Format.PARQUET
    decided_only: bool = False

    @property
    def extension(self) -> str:
        """Give the extension of its files."""
        return "tar" if self.format is Format.WEBDATASET else self.format.value

    @property
    def image_columns(self) -> tuple[str, ...]:
        """Name the columns that carry an image itself."""
        return tuple(column.name for column in self.columns if column.image)


def _begin_with(columns: tuple[ColumnSpec, ...], *names: str) -> tuple[ColumnSpec, ...]:
    """Put some columns first, where a viewer shows them."""
    return tuple(sorted(columns, key=lambda column: (*names, column.name).index(column.name)))


_CONFIGS = (
    Config(
        "default",
        "images",
        Table.IMAGES,
        ("image_id",),
        _begin_with(columns_of(ImageRow), "image"),
        "Every image with its prompt, its captions and how it was made.",
    ),
    Config(
        "prompts",
        "prompts",
        Table.IMAGES,
        ("image_id",),
        columns_of(ImageRecord),
        "The same rows without the images: small, for text and search.",
    ),
    Config(
        "webdataset",
        "webdataset",
        Table.IMAGES,
        ("image_id",),
        _begin_with(columns_of(ImageRow), "image"),
        "The rows of `default` once more as tar files, for streaming training.",
        Format.WEBDATASET,
    ),
    Config(
        "captions",
        "captions",
        Table.CAPTIONS,
        ("caption_id",),
        _begin_with(columns_of(CaptionRecord), "caption_id", "image_id"),
        "Every caption with its captioner, attributes and place of origin; `image_id` leads to the image.",
    ),
    Config(
        "preferences",
        "preferences",
        Table.PREFERENCES,
        ("source", "id"),
        columns_of(PreferencePair),
        "Every pair of images with people's votes, what they come to and how far they agree.",
    ),
    Config(
        "binarized",
        "binarized",
        Table.PREFERENCES,
        ("source", "id"),
        columns_of(BinarizedPair),
        "The decided pairs as chosen and rejected image, for preference training.",
        decided_only=True,
    ),
)
CONFIGS: Mapping[str, Config] = {config.name: config for config in _CONFIGS}
# The config without images that has a row for each row of a table.
CONFIG_OF: Mapping[Table, Config] = {
    Table.IMAGES: CONFIGS["prompts"],
    Table.CAPTIONS: CONFIGS["captions"],
    Table.PREFERENCES: CONFIGS["preferences"],
}


def configs_of(table: Table, formats: Collection[Format]) -> tuple[Config, ...]:
    """List the configs that are made of a table's rows in some formats."""
    return tuple(config for config in _CONFIGS if config.table is table and config.format in formats)
