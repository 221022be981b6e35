"""Configs: the named tables of a release, as `load_dataset(name, config)` takes them.

`CONFIGS` lists those that any release can have, each made of the fields of one row type; `configs_with` adds
those of the encoders that one release was made with. Those that have no rows are not part of a release;
`default` and `prompts` always are. Each format except Parquet has a config of its own name: the rows of
`default` once more, which no card can declare beside Parquet, and a choice of the maintainer's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from schemas.captions import CaptionRecord
from schemas.columns import ColumnSpec, columns_of
from schemas.features import OF_CAPTIONS, CaptionFeatures, Provenance, image_feature_columns
from schemas.generation import PublishedRequest
from schemas.preferences import BinarizedPair, PreferencePair
from schemas.records import ImageRecord, ImageRow


class Format(StrEnum):
    """File formats of data; the value is also what the settings and the manifest say.

    `builders.release.formats.FORMATS` holds how each is written and read.

    Attributes:
        extension: Of its files, without a dot; no other format has it.
        media_type: As Croissant names it.
        about: What its files are for.
    """

    extension: str
    media_type: str
    about: str

    PARQUET = (
        "parquet",
        "parquet",
        "application/x-parquet",
        "Tables that the card declares.",
    )
    WEBDATASET = (
        *("webdataset", "tar", "application/x-tar"),
        "The rows of `default` as tar files, for streaming in training.",
    )

    def __new__(cls, value: str, extension: str, media_type: str, about: str) -> Self:
        """Make a member that equals its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.extension, member.media_type, member.about = extension, media_type, about
        return member

    @property
    def is_tar(self) -> bool:
        """Whether its files are archives, which some hosts unpack."""
        return self.extension == "tar"


class Table(StrEnum):
    """The kinds of input row; each is counted separately."""

    IMAGES = "images"
    CAPTIONS = "captions"
    PREFERENCES = "preferences"
    GENERATION = "generation"


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
        provenance: Of features, what made them; a release made with another encoder has other ones.
    """

    name: str
    folder: str
    table: Table
    key: tuple[str, ...]
    columns: tuple[ColumnSpec, ...]
    description: str
    format: Format = Format.PARQUET
    decided_only: bool = False
    provenance: Provenance | None = None

    @property
    def extension(self) -> str:
        """Return the extension of its files."""
        return self.format.extension

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
        "Every image with its prompt, captions, generator and settings.",
    ),
    Config(
        "prompts",
        "prompts",
        Table.IMAGES,
        ("image_id",),
        columns_of(ImageRecord),
        "The rows of `default` without the images.",
    ),
    *(
        Config(
            each.value,
            each.value,
            Table.IMAGES,
            ("image_id",),
            _begin_with(columns_of(ImageRow), "image"),
            each.about,
            each,
        )
        for each in Format
        if each is not Format.PARQUET
    ),
    Config(
        "captions",
        "captions",
        Table.CAPTIONS,
        ("caption_id",),
        _begin_with(columns_of(CaptionRecord), "caption_id", "image_id"),
        "Every caption with its captioner and attributes, by `image_id`.",
    ),
    Config(
        "preferences",
        "preferences",
        Table.PREFERENCES,
        ("source", "id"),
        columns_of(PreferencePair),
        "Every pair of images with its votes, the decision and the agreement.",
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
    Config(
        "generation",
        "generation",
        Table.GENERATION,
        ("request_key",),
        # The image's name in its source is in `default`.
        tuple(
            column
            for column in _begin_with(columns_of(PublishedRequest), "request_key", "image_id")
            if column.name != "image_filename"
        ),
        "Every request for an image with its answer: what was asked of which provider, and what it refused.",
    ),
)
CONFIGS: Mapping[str, Config] = {config.name: config for config in _CONFIGS}
# The config without images that has a row for each row of a table.
CONFIG_OF: Mapping[Table, Config] = {
    Table.IMAGES: CONFIGS["prompts"],
    Table.CAPTIONS: CONFIGS["captions"],
    Table.PREFERENCES: CONFIGS["preferences"],
    Table.GENERATION: CONFIGS["generation"],
}


def feature_config_names(name: str) -> tuple[str, str]:
    """Name the configs of one encoder: that of the images, which is `name`, and that of the captions."""
    return name, f"{name}{OF_CAPTIONS}"


def configs_with(features: Mapping[str, Provenance]) -> Mapping[str, Config]:
    """Return all configs that a release can have, with those of its features.

    Args:
        features: Config → the encoder that makes it.

    Returns:
        Name → config, in the order in which a release lists them.
    """
    more = (config for name in sorted(features) for config in _feature_configs(name, features[name]))
    return {**CONFIGS, **{config.name: config for config in more}}


def configs_of(
    table: Table, formats: Collection[Format], configs: Mapping[str, Config] = CONFIGS
) -> tuple[Config, ...]:
    """List the configs that are made of a table's rows in some formats."""
    return tuple(config for config in configs.values() if config.table is table and config.format in formats)


def _feature_configs(name: str, provenance: Provenance) -> tuple[Config, Config]:
    of_images, of_captions = feature_config_names(name)
    return (
        Config(
            of_images,
            of_images,
            Table.IMAGES,
            ("image_id",),
            image_feature_columns(provenance.dimension),
            f"The embedding of every image, by {provenance.model}, and its similarity to the prompt.",
            provenance=provenance,
        ),
        Config(
            of_captions,
            of_captions,
            Table.CAPTIONS,
            ("caption_id",),
            columns_of(CaptionFeatures),
            f"The similarity of every caption to its image, by {provenance.model}.",
            provenance=provenance,
        ),
    )
