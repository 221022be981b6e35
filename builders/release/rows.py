"""The rows of a release: what each published record becomes in every config, with its images.

An image is read and decoded once while its source is read, and read once more here; the second time its
digest is compared, so that what is published is what was looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from builders.catalog import Catalog, Part, PublishedPair, Stored
from builders.images.integrity import read_again
from builders.parallel import ordered_map
from schemas.configs import Config, Table
from schemas.preferences import BinarizedPair, Decision, PreferencePair
from schemas.records import EncodedImage, image_path
from schemas.settings import BuildSettings

_IMAGES_PER_READ = 4

# Config → the row that one record makes of it.
Rows = Mapping[str, Mapping[str, object]]


def part_rows(
    catalog: Catalog, part: Part, configs: Iterable[Config], rule: str, settings: BuildSettings
) -> Iterator[Rows]:
    """Yield the rows of a part, in order.

    Args:
        catalog: Settled and arranged.
        part: One of its parts.
        configs: Those that are wanted; images are only read for configs that have them.
        rule: Rule that decides pairs.
        settings: Limits for images.

    Raises:
        BuildError: An image is not the one that was looked at.
    """
    with_images = any(config.image_columns for config in configs)
    if part.table is Table.CAPTIONS:
        return ({"captions": row} for row in catalog.captions.published(part))
    if part.table is Table.IMAGES:
        return _image_rows(catalog.images.published(part), with_images, settings)
    return _pair_rows(catalog.pairs.published(rule, part), with_images, settings)


def _image_rows(
    records: Iterable[tuple[dict[str, object], Path]], with_images: bool, settings: BuildSettings
) -> Iterator[Rows]:
    def read(item: tuple[dict[str, object], Path]) -> bytes:
        row, path = item
        return read_again(path, str(row["sha256"]), settings)

    if not with_images:
        yield from ({"prompts": row} for row, _ in records)
        return
    for (row, _), data in ordered_map(read, records, chunk=_IMAGES_PER_READ):
        path = image_path(str(row["image_id"]), str(row["format"]))
        image_row = row | {"image": {"bytes": data, "path": path}}
        yield {"prompts": row, "default": image_row, "webdataset": image_row}


def _pair_rows(pairs: Iterable[PublishedPair], with_images: bool, settings: BuildSettings) -> Iterator[Rows]:
    """Yield each pair, and of a decided one also the row for trainers, with its images."""

    def read(pair: PublishedPair) -> Rows:
        row = {"preferences": pair.record.model_dump()}
        if not with_images or not pair.record.decision.is_decided:
            return row
        images = [_encode(file, settings) if file else None for file in pair.files]
        return row | {"binarized": _binarized(pair, images).model_dump()}

    return (rows for _, rows in ordered_map(read, pairs))


def _encode(file: Stored, settings: BuildSettings) -> EncodedImage:
    data = read_again(file.path, file.sha256, settings)
    return EncodedImage(bytes=data, path=image_path(file.image_id, file.format))


def _binarized(pair: PublishedPair, images: list[EncodedImage | None]) -> BinarizedPair:
    record = pair.record
    chosen, rejected = (1, 2) if record.decision is Decision.IMAGE_1 else (2, 1)
    shared = BinarizedPair.model_fields.keys() & PreferencePair.model_fields.keys()
    values = {name: getattr(record, name) for name in shared}
    for role, side in (("chosen", chosen), ("rejected", rejected)):
        values[role] = images[side - 1]
        values[f"{role}_id"] = getattr(record, f"image_{side}_id")
        values[f"{role}_model"] = getattr(record, f"model_{side}")
        values[f"{role}_reference"] = getattr(record, f"image_{side}")
    return BinarizedPair(**values)
