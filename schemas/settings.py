"""Settings that shape a release: what the maintainer says of the dataset, and how files are cut.

`publish/run/settings.py` reads them from `release.toml`; the manifest stores them, so that a release says
what it was built from.
"""

import operator
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.configs import Format
from schemas.features import Provenance
from schemas.generators import DeclaredGenerator
from schemas.records import DEFAULT_SPLIT

# The Hub's names: https://huggingface.co/docs/hub/datasets-cards
_Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{1,48}[a-z0-9]$")]
REPOSITORY_PATTERN = r"^[\w.-]{1,96}/[\w.-]{1,96}$"
_Repository = Annotated[str, Field(pattern=REPOSITORY_PATTERN)]
_SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
_Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\r\n]+$")]
_Address = Annotated[str, Field(max_length=500, pattern=r"^https?://[^\s<>\"{}|\\^`]+$")]

MIB = 1024 * 1024


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetSettings(_Settings):
    """What the maintainer says of the dataset; the card repeats it."""

    name: _Slug = Field(description="Short name, lower case: the key of the citation.")
    title: _Line = Field(description="Name for people.")
    repository: _Repository = Field(description='Where it is published: "organisation/name".')
    summary: _Line = Field(description="One sentence that says what it is.")
    homepage: _Line | None = Field(None, description="Where the collection comes from.")
    description: str = Field("", description="Markdown: what it is, how it was made.")
    out_of_scope: str = Field("", exclude_if=operator.not_, description="Markdown: what it is not for.")
    contact: _Line | None = Field(
        None,
        exclude_if=operator.not_,
        description="Address, mail or web, for questions and for the removal of an image.",
    )
    limitations: str = Field("", description="Markdown: limits and biases that a user must know.")
    languages: tuple[_Line, ...] = Field(("en",), description="ISO 639 codes of the texts' languages.")
    tags: tuple[_Line, ...] = Field((), description="Free tags for the Hub.")
    task_categories: tuple[_Line, ...] = Field(("text-to-image",), description="The Hub's task names.")
    annotations_creators: tuple[_Line, ...] = ("machine-generated",)
    source_datasets: tuple[_Line, ...] = ("original",)
    # For croissant.json, which says what the files show where these say nothing. Left out of a manifest where
    # they are empty: releases without these have the manifests that they always had.
    use_cases: tuple[_Line, ...] = Field(
        (), exclude_if=operator.not_, description="Uses that the dataset is meant and tested for."
    )
    biases: str = Field(
        "", exclude_if=operator.not_, description="Markdown: known biases; `limitations` if left out."
    )
    social_impact: str = Field(
        "", exclude_if=operator.not_, description="Markdown: who gains, who may be harmed, and what helps."
    )
    personal_information: str = Field(
        "", exclude_if=operator.not_, description="Markdown: personal or sensitive information in the data."
    )
    derived_from: tuple[_Address, ...] = Field(
        (),
        exclude_if=operator.not_,
        description="Addresses of the datasets that this one was made from; `homepage` if left out.",
    )
    generated_by: tuple[_Line, ...] = Field(
        (), exclude_if=operator.not_, description="Steps that the files do not show, such as curation."
    )


class BuildSettings(_Settings):
    """How sources are read and files are cut."""

    max_shard_bytes: Annotated[int, Field(ge=MIB, le=1900 * MIB)] = Field(
        1000 * MIB, description="Images per data file, in bytes of image; kept below the hosts' 2 GB."
    )
    max_image_bytes: Annotated[int, Field(ge=1024, le=90 * MIB)] = Field(
        32 * MIB, description="Largest image file accepted; a row group holds at most 100 MB."
    )
    max_image_pixels: Annotated[int, Field(ge=1, le=178_956_970)] = Field(
        64_000_000, description="Most pixels accepted, read from the header before anything is decoded."
    )
    splits: Mapping[_SplitName, Annotated[float, Field(gt=0, lt=1)]] = Field(
        {}, description='Split → its share of the images, such as {test = 0.05}; the rest is "train".'
    )

    @field_validator("splits")
    @classmethod
    def _leave_some_for_train(cls, splits: Mapping[str, float]) -> Mapping[str, float]:
        if DEFAULT_SPLIT in splits or sum(splits.values()) >= 1:
            raise ValueError(f"shares must add up to less than 1: {DEFAULT_SPLIT!r} is what is left")
        return splits


class PreferenceSettings(_Settings):
    """How people's votes are counted and published."""

    rule: Literal["submitted-majority", "open-image-preferences"] = Field(
        "submitted-majority",
        description="Rule that decides a pair; `builders.preferences.votes.RULES` has them all.",
    )
    publish_annotators: bool = Field(
        default=False, description="Publish annotators' ids as they are, and not as keyed hashes."
    )


class DuplicateSettings(_Settings):
    """How alike two images must be to count as near-duplicates."""

    features: str | None = Field(
        None,
        description="Config of features whose vectors are compared, needed where there are several; null in "
        "a manifest where hashes alone are.",
    )
    similarity: Annotated[float, Field(ge=0.5, le=1)] = Field(
        0.95, description="Least cosine similarity of two images' embeddings."
    )
    hash_distance: Annotated[int, Field(ge=0, le=64)] = Field(
        16, description="Most bits, of 255, in which two images' perceptual hashes differ."
    )


class SearchSettings(_Settings):
    """What is searched for in figures, where a release has features."""

    queries: tuple[_Line, ...] = Field(
        (
            "a smiling woman with red hair",
            "an elderly man with a beard",
            "a person with green hair",
            "a person wearing sunglasses",
            "a person with round glasses",
            "a person wearing a hat",
            "a child",
            "a person in a forest",
        ),
        max_length=40,
        description="Texts, each with the images that are most like it.",
    )


class PrivacySettings(_Settings):
    """What happens to private data in what is published; a token or key always stops the build."""

    texts: Literal["warn", "reject"] = Field(
        "warn",
        description="E-mail addresses, IP addresses and home paths in texts: published with a warning, or "
        "the row is set aside.",
    )
    images: Literal["warn", "reject"] = Field(
        "warn",
        description="Positions, names, serial numbers and such texts in image files, and data after the end "
        "of the image: published with a warning, or the row is set aside.",
    )
    drop_columns: tuple[_Line, ...] = Field(
        (),
        description="Columns that are not published: of the `extras` of captions, and keys of generators' "
        "settings that the kit does not know.",
    )


def is_default_privacy(privacy: PrivacySettings) -> bool:
    """Return whether no key is set; a manifest leaves the settings out then."""
    return privacy == PrivacySettings()


class ContentSettings(_Settings):
    """Every setting that the content of a release depends on."""

    dataset: DatasetSettings
    build: BuildSettings = BuildSettings()
    preferences: PreferenceSettings = PreferenceSettings()
    privacy: PrivacySettings = PrivacySettings()
    formats: Mapping[str, tuple[Format, ...]] = Field(
        {"folder": tuple(Format)}, description="Target → the formats that it is given."
    )
    features: Mapping[str, Provenance] = Field(
        {}, description="Config of features → the encoder that makes it."
    )
    near_duplicates: DuplicateSettings | None = Field(
        None, description="When images are near-duplicates; null if they are not looked for."
    )
    search: SearchSettings | None = Field(
        None, description="What is searched for in figures; null without features."
    )
    generators: tuple[DeclaredGenerator, ...] = Field(
        (), description="Generators that the maintainer declares, beside the built-in ones."
    )
