"""Part jobs: one part of a release as plain data, so that any executor can write its files.

The catalog and the store of features are open databases of one process. A job holds what was read from them,
and the paths of images, which its worker reads. So a worker needs the folders of sources and release only.
"""

import itertools
import pickle
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from builders.catalog import Catalog, Part, Stored
from builders.images.files import ImageFile
from builders.release.previous_images import PreviousImages
from builders.release.rows import StoredRecord, part_rows, read_records
from builders.release.shards import write_part
from schemas.configs import Config
from schemas.manifest import Shard
from schemas.settings import BuildSettings

_BYTES_PER_READ, _MAX_IMAGES_PER_READ = 1 << 20, 64

# Config of features, row of the image or caption → row of the features.
FeatureRow = Callable[[Config, Mapping[str, object]], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """The records of one group of the layout, as bytes.

    A part has up to 250,000 captions, which would take half a gigabyte of memory as objects.

    Attributes:
        number: Of the group.
        num_records: How many there are.
        data: A compressed pickle of `StoredRecord`s, made by `pack`.
    """

    number: int
    num_records: int
    data: bytes

    @classmethod
    def pack(cls, number: int, records: Sequence[StoredRecord]) -> Self:
        """Pack the records of a group."""
        # Pickle takes five times as long for data classes and paths as for tuples and texts.
        plain = [(one.row, [_flatten(file) for file in one.files], one.pair, one.features) for one in records]
        return cls(number, len(records), zlib.compress(pickle.dumps(plain), 1))

    def unpack(self) -> Sequence[StoredRecord]:
        """Return the records."""
        # These bytes come from `pack`, here or in the process that handed the job over; never from a file.
        plain = pickle.loads(zlib.decompress(self.data))  # noqa: S301
        return [
            StoredRecord(row, tuple(_restore(file) for file in files), pair, features)
            for row, files, pair, features in plain
        ]


_FlatFile = tuple[str, str, str, str, int]


def _flatten(file: Stored | None) -> _FlatFile | None:
    """Return an image file as texts and a number."""
    if file is None:
        return None
    return file.image_id, file.file.to_text(), file.sha256, file.format, file.num_bytes


def _restore(flat: _FlatFile | None) -> Stored | None:
    """Return the image file that `_flatten` was given."""
    if flat is None:
        return None
    image_id, file, sha256, image_format, num_bytes = flat
    return Stored(image_id, ImageFile.from_text(file), sha256, image_format, num_bytes)


@dataclass(frozen=True, slots=True)
class PartJob:
    """All that is needed to write one part, without the catalog.

    Attributes:
        folder: The release folder being built.
        part: What is written.
        configs: Which files are made of it.
        groups: Its records, with paths and digests of their images.
        settings: Limits for images.
        previous: File of the previous release with images of this part; None if there is none.
    """

    folder: Path
    part: Part
    configs: tuple[Config, ...]
    groups: tuple[PackedGroup, ...]
    settings: BuildSettings
    previous: Path | None = None

    def __str__(self) -> str:
        """Name the part in messages."""
        return f"the part {self.part.split}-{self.part.number:05d} of {self.part.table}"


def read_groups(
    catalog: Catalog, part: Part, configs: Sequence[Config], rule: str, feature_row: FeatureRow
) -> Iterator[PackedGroup]:
    """Yield the records of a part, group by group.

    Args:
        catalog: Settled and arranged.
        part: One of its parts.
        configs: Those that are wanted.
        rule: Rule that decides pairs.
        feature_row: Makes the rows of configs of features; not called if none of them is wanted.
    """
    of_features = [config for config in configs if config.provenance is not None]
    records = read_records(catalog, part, [each for each in configs if each.provenance is None], rule)
    for number, num_records in catalog.layout.groups(part):
        found = list(itertools.islice(records, num_records))
        if of_features:
            found = [
                replace(one, features={each.name: feature_row(each, one.row) for each in of_features})
                for one in found
            ]
        yield PackedGroup.pack(number, found)


def _images_per_read(part: Part) -> int:
    """Return how many images a thread reads at once: a megabyte, and not so many that others wait."""
    num_bytes = part.num_bytes // max(1, part.num_rows)
    return max(1, min(_MAX_IMAGES_PER_READ, _BYTES_PER_READ // max(1, num_bytes)))


def write_part_job(job: PartJob) -> tuple[Shard, ...]:
    """Write the files of a part, in any process that has the folders of sources and release.

    Returns:
        The shards, as `write_part` does.

    Raises:
        BuildError: An image is not the one that was looked at.
    """
    records = itertools.chain.from_iterable(group.unpack() for group in job.groups)
    groups = [(group.number, group.num_records) for group in job.groups]
    with closing(PreviousImages(job.previous)) as previous:
        chunk = _images_per_read(job.part)
        rows = part_rows(records, job.part.table, job.configs, job.settings, previous, chunk)
        return write_part(job.folder, job.part, groups, job.configs, rows)
