"""Packs of thumbnails beside a release: one file for each file of images, so that kept files keep theirs.

A pack begins with num_rows + 1 offsets into itself, as 32-bit little-endian numbers. The thumbnails follow in
the order of the rows. So a reader fetches those of neighbouring rows with one range request.
"""

import fcntl
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from builders.files import is_intact, open_whole, write_whole
from builders.images.thumbnails import make_thumbnail
from builders.parallel import Executor, Track
from builders.release.reader import open_table
from schemas.manifest import Shard
from schemas.problems import Problem, Reason, ReleaseError

INDEX_NAME = "index.json"
_FORM = 1  # raise it when thumbnails or packs are made otherwise; packs of other forms are made again
_CHUNK = 16


def make_packs(release: Path, shards: Sequence[Shard], out: Path, images: Executor, track: Track) -> None:
    """Make the packs that are missing, remove those of other files, and list them in `INDEX_NAME`.

    A run that is stopped keeps the packs that it has finished. Of two runs at once, one waits for the other.

    Args:
        release: The release's folder.
        shards: Its files of the config `default`, in order.
        out: Folder of the packs; made if missing.
        images: Makes thumbnails.
        track: Shows progress, by image.

    Raises:
        ReleaseError: A file of images is damaged, or `out` is something else.
        OSError: The packs cannot be written.
    """
    _refuse_other_folder(out)
    out.mkdir(exist_ok=True)
    with _lock(out):
        names = [pack_name(shard) for shard in shards]
        for left in out.iterdir():
            if left.name not in names and _is_pack(left):
                left.unlink()
        missing = [each for each in zip(shards, names, strict=True) if not (out / each[1]).is_file()]
        total = sum(shard.num_rows for shard, _ in missing)
        thumbnails = (
            thumbnail
            for shard, _ in missing
            for _, thumbnail in images.map_ordered(make_thumbnail, _read_images(release, shard), chunk=_CHUNK)
        )
        tracked = iter(track(thumbnails, "making thumbnails", total) if missing else ())
        for shard, name in missing:
            _write_pack(out / name, itertools.islice(tracked, shard.num_rows), shard.num_rows)
        packs = [
            {"file": name, "num_rows": shard.num_rows} for shard, name in zip(shards, names, strict=True)
        ]
        write_whole(out / INDEX_NAME, json.dumps({"packs": packs}, indent=1).encode())


def pack_name(shard: Shard) -> str:
    """Name a pack; the name of its file of images has a digest of that file."""
    return f"{PurePosixPath(shard.path).stem}.{_FORM}.pack"


def _is_pack(path: Path) -> bool:
    """Return whether a file is a pack, or one that a killed run left half-written."""
    is_named = path.name.endswith(".pack") or (path.name.startswith(".") and path.name.endswith(".pack.open"))
    return is_named and path.is_file() and not path.is_symlink()


def _refuse_other_folder(out: Path) -> None:
    """Refuse to write where packs are not alone: the folder's name may be somebody's own."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        message = "the place of the thumbnails is taken by something else"
    elif out.is_dir() and not (out / INDEX_NAME).is_file() and not all(map(_is_pack, out.iterdir())):
        message = "the folder of the thumbnails has other files"
    else:
        return
    fix = "move it away, or look at the release with --no-thumbnails"
    raise ReleaseError(Problem(Reason.RELEASE, message, file=str(out), fix=fix))


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_images(release: Path, shard: Shard) -> Iterator[bytes]:
    """Yield the bytes of a file's images; memory is that of one row group.

    A pack is found by the digest in its name, so that a damaged file must never become one.
    """
    path = release / shard.path
    if not is_intact(path, shard.num_bytes, shard.sha256):
        raise _damaged(shard, "its bytes are not those of the manifest")
    try:
        with open_table(path) as file:
            for group in file.row_groups(["image"]):
                for image in group["image"]:
                    yield image["bytes"].as_py()
    except (pa.ArrowException, OSError) as error:  # of a damaged footer, Arrow raises OSError
        raise _damaged(shard, str(error)) from error


def _damaged(shard: Shard, why: str) -> ReleaseError:
    fix = "build the release again, or look at it with --no-thumbnails"
    return ReleaseError(
        Problem(Reason.RELEASE, f"the images cannot be read: {why}", file=shard.path, fix=fix)
    )


def _write_pack(path: Path, thumbnails: Iterable[bytes], num_rows: int) -> None:
    """Write thumbnails as they are made, and then their places before them."""
    sizes = [4 * (num_rows + 1)]
    with open_whole(path) as open_path, open_path.open("wb") as file:
        file.seek(sizes[0])
        for thumbnail in thumbnails:
            file.write(thumbnail)
            sizes.append(len(thumbnail))
        file.seek(0)
        file.write(np.cumsum(sizes).astype("<u4").tobytes())
