"""The rows of a release: what each published record becomes in every config, with its images.

An image is read and decoded once while its source is read, and read once more here; the second time its
digest is compared, so that what is published is what was looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.catalog import Catalog, Part, PublishedPair, Stored
from builders.images.integrity import read_again
from builders.parallel import ordered_map
from schemas.configs import CONFIG_OF, CONFIGS, Config, Format, Table
from schemas.preferences import BinarizedPair, Decision, PreferencePair
from schemas.records import EncodedImage, image_path
from schemas.settings import BuildSettings

_IMAGES_PER_READ = 4

# Config → the row that one record makes of it.
Rows = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Record:
    """One published record, from which every config of its table makes its row.

    Attributes:
        row: The row without images: of an image, of a caption, or of a pair.
        images: What was read of its images: of an image the one, of a pair the two in the order of its sides
            (None for a side without a file). Empty where no wanted config has images.
        pair: The pair, where it is one.
    """

    row: Mapping[str, object]
    images: Sequence[EncodedImage | None] = ()
    pair: PreferencePair | None = None


def _without_images(record: Record) -> Mapping[str, object]:
    return record.row


def _with_image(record: Record) -> Mapping[str, object]:
    (image,) = record.images
    return {**record.row, "image": image.model_dump() if image else None}


def _binarized(record: Record) -> Mapping[str, object] | None:
    """Return a decided pair as chosen and rejected image; None for an undecided one."""
    pair = record.pair
    if pair is None or not pair.decision.is_decided:
        return None
    chosen, rejected = (1, 2) if pair.decision is Decision.IMAGE_1 else (2, 1)
    shared = BinarizedPair.model_fields.keys() & PreferencePair.model_fields.keys()
    values = {name: getattr(pair, name) for name in shared}
    for role, side in (("chosen", chosen), ("rejected", rejected)):
        values[role] = record.images[side - 1]
        values[f"{role}_id"] = getattr(pair, f"image_{side}_id")
        values[f"{role}_model"] = getattr(pair, f"model_{side}")
        values[f"{role}_reference"] = getattr(pair, f"image_{side}")
    return BinarizedPair(**values).model_dump()


# How each config makes its row of a record; None leaves the record out. A config without a line here is an
# error below: it would be missing from every release without a word.
ROWS: Mapping[str, Callable[[Record], Mapping[str, object] | None]] = {
    "default": _with_image,
    "prompts": _without_images,
    **{config.name: _with_image for config in CONFIGS.values() if config.format is not Format.PARQUET},
    "captions": _without_images,
    "preferences": _without_images,
    "binarized": _binarized,
}
if CONFIGS.keys() != ROWS.keys():
    raise AssertionError(
        f"configs without a line in ROWS, or the reverse: {sorted(CONFIGS.keys() ^ ROWS.keys())}"
    )


def part_rows(
    catalog: Catalog, part: Part, configs: Iterable[Config], rule: str, settings: BuildSettings
) -> Iterator[Rows]:
    """Yield the rows of a part, in order: those of the wanted configs, and of the config without images.

    Args:
        catalog: Settled and arranged.
        part: One of its parts.
        configs: Those that are wanted; images are only read for configs that have them. Configs of features
            are left out: their rows come from the store.
        rule: Rule that decides pairs.
        settings: Limits for images.

    Raises:
        BuildError: An image is not the one that was looked at.
        KeyError: A config has no line in `ROWS`.
    """
    wanted = [config for config in configs if config.provenance is None]
    makers = {name: ROWS[name] for name in (CONFIG_OF[part.table].name, *(each.name for each in wanted))}
    with_images = any(config.image_columns for config in wanted)
    for record in _records(catalog, part, rule, settings if with_images else None):
        made = ((name, make(record)) for name, make in makers.items())
        yield {name: row for name, row in made if row is not None}


def _records(catalog: Catalog, part: Part, rule: str, settings: BuildSettings | None) -> Iterator[Record]:
    """Yield the records of a part; their images are read if there are settings for that."""
    if part.table is Table.CAPTIONS:
        yield from map(Record, catalog.captions.published(part))
    elif part.table is Table.IMAGES:
        yield from _image_records(catalog.images.published(part), settings)
    else:

        def read(pair: PublishedPair) -> Record:
            row = pair.record.model_dump()
            if settings is None or not pair.record.decision.is_decided:
                return Record(row, (), pair.record)
            images = [_encode(file, settings) if file else None for file in pair.files]
            return Record(row, images, pair.record)

        yield from (record for _, record in ordered_map(read, catalog.pairs.published(rule, part)))


def _image_records(
    records: Iterable[tuple[dict[str, object], Path]], settings: BuildSettings | None
) -> Iterator[Record]:
    if settings is None:
        yield from (Record(row) for row, _ in records)
        return

    def read(item: tuple[dict[str, object], Path]) -> bytes:
        row, path = item
        return read_again(path, str(row["sha256"]), settings)

    for (row, _), data in ordered_map(read, records, chunk=_IMAGES_PER_READ):
        path = image_path(str(row["image_id"]), str(row["format"]))
        yield Record(row, (EncodedImage.model_construct(bytes=data, path=path),))


def _encode(file: Stored, settings: BuildSettings) -> EncodedImage:
    data = read_again(file.path, file.sha256, settings)
    return EncodedImage(bytes=data, path=image_path(file.image_id, file.format))
