"""Packs of thumbnails beside a release: one file for each file of images, so that kept files keep theirs.

A pack begins with num_rows + 1 offsets into itself, as 32-bit little-endian numbers. The thumbnails follow in
the order of the rows. So a reader fetches those of neighbouring rows with one range request.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from builders.files import open_whole, write_whole
from builders.images.thumbnails import make_thumbnail
from builders.parallel import Executor, Track
from builders.release.reader import open_table
from schemas.manifest import Shard

INDEX_NAME = "index.json"
_FORM = 1  # raise it when thumbnails or packs are made otherwise; packs of other forms are made again
_CHUNK = 16


def make_packs(release: Path, shards: Sequence[Shard], out: Path, images: Executor, track: Track) -> None:
    """Make the packs that are missing, remove those of other files, and list them in `INDEX_NAME`.

    A run that is stopped keeps the packs that it has finished.

    Args:
        release: The release's folder.
        shards: Its files of the config `default`, in order.
        out: Folder of the packs; made if missing.
        images: Makes thumbnails.
        track: Shows progress, by image.

    Raises:
        ArrowException: A file of images is damaged.
        OSError: A file cannot be read or written.
    """
    out.mkdir(exist_ok=True)
    names = [pack_name(shard) for shard in shards]
    for left in out.iterdir():
        if left.name not in {*names, INDEX_NAME}:
            left.unlink()
    missing = [each for each in zip(shards, names, strict=True) if not (out / each[1]).is_file()]
    total = sum(shard.num_rows for shard, _ in missing)
    thumbnails = (
        thumbnail
        for shard, _ in missing
        for _, thumbnail in images.map_ordered(
            make_thumbnail, _read_images(release / shard.path), chunk=_CHUNK
        )
    )
    tracked = iter(track(thumbnails, "making thumbnails", total) if missing else ())
    for shard, name in missing:
        _write_pack(out / name, list(itertools.islice(tracked, shard.num_rows)))
    packs = [{"file": name, "num_rows": shard.num_rows} for shard, name in zip(shards, names, strict=True)]
    write_whole(out / INDEX_NAME, json.dumps({"packs": packs}, indent=1).encode())


def pack_name(shard: Shard) -> str:
    """Name a pack; the name of its file of images has a digest of that file."""
    return f"{PurePosixPath(shard.path).stem}.{_FORM}.pack"


def _read_images(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file's images; memory is that of one row group."""
    with open_table(path) as file:
        for group in file.row_groups(["image"]):
            for image in group["image"]:
                yield image["bytes"].as_py()


def _write_pack(path: Path, thumbnails: Sequence[bytes]) -> None:
    sizes = [4 * (len(thumbnails) + 1), *map(len, thumbnails)]
    with open_whole(path) as open_path, open_path.open("wb") as file:
        file.write(np.cumsum(sizes).astype("<u4").tobytes())
        file.writelines(thumbnails)
