"""Check what encoders made: features beside the rows that they are of, and the table of near-duplicates.

Whether a vector is the one that its encoder makes of the image, only encoding it again would show; that every
row has one, of that encoder's form, is checked here.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from builders.features.vectors import check_vectors, to_half
from builders.release.reader import TableFile, open_table
from schemas.columns import arrow_schema, columns_of, type_names
from schemas.configs import Config
from schemas.duplicates import NearDuplicate
from schemas.manifest import NEAR_DUPLICATES_NAME, Manifest
from schemas.problems import EmbeddingError, Problem, Reason
from schemas.settings import DuplicateSettings

SIMILARITIES = ("prompt_similarity", "similarity")
_FIX = "build the release again"
_ROUNDING = 1e-6  # similarities are compared exactly, and then written as float32


def check_feature_file(file: TableFile, config: Config, path: str) -> Iterator[Problem]:
    """Check that a file of features has their columns, and says that its config's encoder made them."""
    if config.provenance is None:
        return
    found, stated = type_names(file.schema), type_names(arrow_schema(config.columns))
    if found != stated:
        value = ", ".join(f"{name}: {kind}" for name, kind in found.items() if stated.get(name) != kind)
        yield _problem("the columns are not those of features of its encoder", path, value)
    if file.provenance != config.provenance.text.encode():
        yield _problem("another encoder made this file than the manifest says", path)


def check_features(config: Config, batch: pa.Table, place: str) -> Iterator[Problem]:
    """Check the numbers of a row group of features: vectors of length 1, similarities from -1 to 1."""
    if config.provenance is None:
        return
    for name in SIMILARITIES:
        if name in batch.column_names:
            values = batch[name].drop_null().to_numpy()
            if wrong := values[~(np.abs(values) <= 1)].tolist():  # ~(<=), as NaN compares with nothing
                yield _problem(f"{name} is not from -1 to 1", place, f"{wrong[0]:g}")
    if "embedding" in batch.column_names:
        lists = batch["embedding"].combine_chunks()
        values = lists.flatten()
        if lists.null_count or values.null_count:
            yield _problem("a vector, or a number in one, is missing", place)
        elif pa.types.is_fixed_size_list(lists.type):  # if not, its file's columns are told
            try:
                check_vectors(to_half(values.to_numpy(), place).reshape(-1, lists.type.list_size), place)
            except EmbeddingError as error:
                yield from error.problems


def check_near_duplicates(
    folder: Path, manifest: Manifest, is_published: Callable[[str], bool]
) -> Iterator[Problem]:
    """Check that the table of near-duplicates is one, of images of the release, at its thresholds.

    Args:
        folder: The release.
        manifest: Its manifest.
        is_published: Tells whether an image id is that of a published image.
    """
    limits, path = manifest.inputs.near_duplicates, folder / NEAR_DUPLICATES_NAME
    if (limits is not None) != path.is_file():
        message = (
            "it is not there" if limits is not None else "it is there, and the manifest says nothing of it"
        )
        yield _problem(message, NEAR_DUPLICATES_NAME)
    elif limits is not None:
        try:
            with open_table(path) as file:
                if type_names(file.schema) != type_names(arrow_schema(columns_of(NearDuplicate))):
                    yield _problem("these are not the columns of near-duplicates", NEAR_DUPLICATES_NAME)
                    return
                encoder = manifest.inputs.features.get(limits.features or "")
                if file.provenance != (encoder and encoder.text.encode()):
                    yield _problem("another encoder decided than the manifest says", NEAR_DUPLICATES_NAME)
                listed = file.read().to_pylist()
            rows = [NearDuplicate.model_validate(row, strict=False) for row in listed]
        except (pa.ArrowException, OSError, ValidationError) as error:
            yield _problem(f"it is not a table of near-duplicates: {error}", NEAR_DUPLICATES_NAME)
            return
        for problem in _check_groups(rows, limits, is_published):
            yield _problem(problem, NEAR_DUPLICATES_NAME)


def _check_groups(
    rows: list[NearDuplicate], limits: DuplicateSettings, is_published: Callable[[str], bool]
) -> Iterator[str]:
    ids, sizes = Counter(row.image_id for row in rows), Counter(row.group for row in rows)
    if any(count > 1 for count in ids.values()):
        yield "more than one row has the same image_id"
    if not all(is_published(image_id) for image_id in ids):
        yield "it has images that are not in the release"
    if any(count < 2 for count in sizes.values()) or not sizes.keys() <= ids.keys():
        yield "a group has one image alone, or is named after none of its images"
    too_unlike = (
        (row.similarity is not None and row.similarity < limits.similarity - _ROUNDING)
        or (row.hash_distance is not None and row.hash_distance > limits.hash_distance)
        for row in rows
    )
    if any(too_unlike):
        yield "it has images that are less alike than the manifest's thresholds"


def _problem(message: str, place: str, value: str | None = None) -> Problem:
    return Problem(Reason.RELEASE, message, file=place, value=value, fix=_FIX, code="check/features")
