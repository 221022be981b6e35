"""The rows of a release: what each published record becomes in every config, with its images.

An image is read and decoded once while its source is read, and read once more here; the second time its
digest is compared, so that what is published is what was looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from builders.catalog import Catalog, Part, Stored
from builders.images.files import ImageFile
from builders.images.integrity import read_again
from builders.parallel import IN_THREADS
from builders.release.previous_images import PreviousImages
from schemas.configs import CONFIG_OF, CONFIGS, Config, Format, Table
from schemas.preferences import BinarizedPair, Decision, PreferencePair
from schemas.records import EncodedImage, image_path
from schemas.settings import BuildSettings

# Config → the row that one record makes of it.
Rows = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Record:
    """One published record, from which every config of its table makes its row.

    Attributes:
        row: The row without images: of an image, of a caption, of a pair, or of a request.
        images: What was read of its images: of an image the one, of a pair the two in the order of its sides
            (None for a side without a file). Empty where no wanted config has images.
        pair: The pair, where it is one.
    """

    row: Mapping[str, object]
    images: Sequence[EncodedImage | None] = ()
    pair: PreferencePair | None = None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A published record whose images are still in their files: plain data, for a worker anywhere.

    Attributes:
        row: As in `Record`.
        files: The files of its images, in the order of `Record.images`.
        pair: As in `Record`.
        features: Config of features → its row.
    """

    row: Mapping[str, object]
    files: Sequence[Stored | None] = ()
    pair: PreferencePair | None = None
    features: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def _without_images(record: Record) -> Mapping[str, object]:
    return record.row


def _with_image(record: Record) -> Mapping[str, object]:
    (image,) = record.images
    return {**record.row, "image": {"bytes": image.bytes, "path": image.path} if image else None}


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
    "generation": _without_images,
}
if CONFIGS.keys() != ROWS.keys():
    raise AssertionError(
        f"configs without a line in ROWS, or the reverse: {sorted(CONFIGS.keys() ^ ROWS.keys())}"
    )


def read_records(
    catalog: Catalog, part: Part, configs: Iterable[Config], rule: str
) -> Iterator[StoredRecord]:
    """Yield the records of a part, in order, without reading an image.

    Args:
        catalog: Settled and arranged.
        part: One of its parts.
        configs: Those that are wanted; files of images are named only if one of them has images.
        rule: Rule that decides pairs.
    """
    with_images = any(config.image_columns for config in configs)
    if part.table is Table.CAPTIONS:
        yield from map(StoredRecord, catalog.captions.published(part))
    elif part.table is Table.GENERATION:
        yield from map(StoredRecord, catalog.requests.published(part))
    elif part.table is Table.IMAGES:
        for row, file in catalog.images.published(part):
            yield StoredRecord(row, (_stored(row, file),) if with_images else ())
    else:
        for pair in catalog.pairs.published(rule, part):
            is_read = with_images and pair.record.decision.is_decided
            yield StoredRecord(pair.record.model_dump(), pair.files if is_read else (), pair.record)


def part_rows(
    records: Iterable[StoredRecord],
    table: Table,
    configs: Iterable[Config],
    settings: BuildSettings,
    previous: PreviousImages | None = None,
    chunk: int = 1,
) -> Iterator[Rows]:
    """Yield the rows that records make: those of the wanted configs, and of the table's own config.

    Args:
        records: From `read_records`, in order.
        table: Their table.
        configs: Those that are wanted; the rows of configs of features are in the records.
        settings: Limits for images.
        previous: Where images are taken from that it has; others come from their sources.
        chunk: Records whose images one thread reads at once, a little ahead.

    Raises:
        BuildError: An image is not the one that was looked at.
        KeyError: A config has no line in `ROWS`.
    """
    wanted = [config.name for config in configs if config.provenance is None]
    names_of: dict[Callable[[Record], Mapping[str, object] | None], list[str]] = {}
    for name in dict.fromkeys((CONFIG_OF[table].name, *wanted)):
        names_of.setdefault(ROWS[name], []).append(name)
    with_images = any(config.image_columns for config in configs if config.provenance is None)

    def read(record: StoredRecord) -> Record:
        return Record(record.row, [_read(file, settings, previous) for file in record.files], record.pair)

    read_ahead = (
        IN_THREADS.threads.map_ordered(read, records, chunk=chunk)
        if with_images
        else ((each, read(each)) for each in records)
    )
    for stored, record in read_ahead:
        rows = dict(stored.features)
        for make, names in names_of.items():
            row = make(record)
            if row is not None:
                rows |= dict.fromkeys(names, row)
        yield rows


def _stored(row: Mapping[str, object], file: ImageFile) -> Stored:
    """Return the image file of a row of an image."""
    texts = (str(row[name]) for name in ("image_id", "sha256", "format"))
    image_id, sha256, image_format = texts
    return Stored(image_id, file, sha256, image_format, int(str(row["num_bytes"])))


def _read(
    file: Stored | None, settings: BuildSettings, previous: PreviousImages | None
) -> EncodedImage | None:
    """Read an image again; None for a side without a file."""
    if file is None:
        return None
    data = previous.find(file.image_id, file.sha256) if previous is not None else None
    if data is None:
        data = read_again(file.file, file.sha256, settings)
    return EncodedImage.model_construct(bytes=data, path=image_path(file.image_id, file.format))
