"""Bytes on their way to and from Kaggle: the client's memory of uploads, time limits, and unpacking.

It imports the client, which signs in over the network by that: see `publish.hosts.kaggle.access`.
"""

import base64
import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, Self

import requests
from kaggle.api.kaggle_api_extended import ResumableUploadContext
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as TransportError

from publish.hosts.kaggle.access import SiteError
from publish.network import Clock, TimeLimits

_CHUNK_BYTES = 1024 * 1024
# The client's upload state knows a file by path, size and time. Ours lies in a folder of its own for each
# manifest, so the time adds nothing but uploads begun again after a rebuild of the same bytes.
_MODIFIED = 0
_UNPROVEN = ".unproven"


class UploadState(ResumableUploadContext):  # type: ignore[misc] # the client is not typed
    """The client's memory of what it has sent, in a folder of ours.

    Args:
        folder: Holds addresses and tokens of uploads, so no other user may read it. Made if missing.
    """

    # The client knows an unfinished upload by path, size and time only: other bytes of the same size would be
    # published as the old ones. So each manifest has its own folder.
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __enter__(self) -> "UploadState":
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        return self

    def get_upload_info_file_path(self, path: str) -> str:
        """Return where the client keeps the state of one file."""
        # Its own name is the whole path, which may be longer than a name can be, or stand for two files.
        return str(self._folder / f"{hashlib.sha256(path.encode()).hexdigest()}.json")

    def new_resumable_file_upload(self, path: str, start_blob_upload_request: Any) -> Any:
        """Begin or continue a file's upload, whatever its time of modification."""
        start_blob_upload_request.last_modified_epoch_seconds = _MODIFIED
        return super().new_resumable_file_upload(path, start_blob_upload_request)

    def begin_anew(self, path: str) -> None:
        """Forget the upload of a file, so that the next run sends it from the beginning."""
        Path(self.get_upload_info_file_path(path)).unlink(missing_ok=True)

    def mark_unproven(self, path: str) -> None:
        """Remember to read a file back: it was sent in parts, and the storage gave no digest."""
        place = Path(self.get_upload_info_file_path(path)).with_suffix(_UNPROVEN)
        place.write_text(path, encoding="utf-8")

    @property
    def age_seconds(self) -> float:
        """How long ago the oldest of the uploads in use was begun."""
        return time.time() - min((upload.timestamp for upload in self._file_uploads), default=time.time())


_BEFORE_BODY: ContextVar[Callable[[], None] | None] = ContextVar("before_body", default=None)


@contextmanager
def before_body(call: Callable[[], None]) -> Iterator[None]:
    """Have a call made right before the body of any request is written to the network.

    A request whose body was not written was heard by nobody, so it may be sent again.
    """
    token = _BEFORE_BODY.set(call)
    try:
        yield
    finally:
        _BEFORE_BODY.reset(token)


def _tell_before_body() -> None:
    if (call := _BEFORE_BODY.get()) is not None:
        call()


class _TellingConnection(HTTPConnection):
    """Tells before it writes a body; `endheaders` writes the head."""

    _is_in_body = False

    def endheaders(self, *args: Any, **options: Any) -> None:
        """Write the head of a request."""
        self._is_in_body = False
        super().endheaders(*args, **options)
        self._is_in_body = True

    def send(self, data: Any) -> None:
        """Write bytes of a request."""
        if self._is_in_body:
            _tell_before_body()
        super().send(data)


class _TellingTlsConnection(_TellingConnection, HTTPSConnection):
    """The same over TLS."""


class _TellingPool(HTTPConnectionPool):
    ConnectionCls = _TellingConnection


class _TellingTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TellingTlsConnection


_POOLS = {"http": _TellingPool, "https": _TellingTlsPool}


class TimedAdapter(HTTPAdapter):
    """Sends requests with a limit on each wait, and tells before it writes a body."""

    def __init__(self, times: TimeLimits) -> None:
        super().__init__()
        self._timeout = times.connect_seconds, times.read_seconds

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections to sites."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the connections to a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request, waiting no longer than the limit unless it has one of its own."""
        options["timeout"] = options.get("timeout") or self._timeout
        proxy = select_proxy(request.url or "", options.get("proxies")) or ""
        if proxy.lower().startswith("socks"):
            _tell_before_body()  # the connections of SOCKS are of another kind, which does not tell
        return super().send(request, *args, **options)


class Body:
    """The rest of a file as `requests` reads it: tells how far it has come, ends in time, and is hashed.

    Args:
        path: The file.
        start: Where to begin, in bytes; what is before that is hashed, too.
        told: Is told how many bytes more are read.
        clock: The time.
        end: When reading ends, in seconds of `clock`.
    """

    def __init__(self, path: Path, start: int, told: Callable[[int], None], clock: Clock, end: float) -> None:
        self._file = path.open("rb")
        self._name, self.start, self.sent = path.name, start, 0
        self._length = path.stat().st_size - start
        self._told, self._clock, self._end = told, clock, end
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        while start and (data := self._read(min(start, _CHUNK_BYTES))):
            start -= len(data)

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        """Digest of all bytes so far."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """MD5 of all bytes so far, in base64 as the storage writes it."""
        return base64.b64encode(self._md5.digest()).decode()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            SiteError: Sending the file takes too long, or it has become shorter.
        """
        if self._clock.seconds() > self._end:
            # Not one of requests' errors: those are taken for a broken connection, and tried again.
            raise SiteError("sending a file takes too long", "run the same command again: it continues")
        left = self._length - self.sent
        data = self._read(left if size < 0 else min(size, left))  # a file may have grown
        if left and size and not data:
            message = f"{self._name} has become shorter while it was sent"
            raise SiteError(message, "see what changes files of the release", code="check/file")
        if data:
            self.sent += len(data)
            self._told(len(data))
        return data

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._sha256.update(data)
        self._md5.update(data)
        return data


def unproven(folder: Path) -> Iterator[Path]:
    """Yield the files that `UploadState.mark_unproven` was told of; `folder` is that of the state."""
    for place in sorted(folder.glob(f"*{_UNPROVEN}")):
        yield Path(place.read_text(encoding="utf-8"))


def bytes_there(answer: requests.Response, size: int) -> int:
    """Read how many bytes of an upload have arrived; 0 where it does not say, or says nonsense."""
    _, _, last = answer.headers.get("Range", "").rpartition("-")
    there = int(last) + 1 if last.isascii() and last.isdigit() else 0
    return there if there < size else 0


def arriving(answer: requests.Response) -> Iterator[bytes]:
    """Return bytes as they come: `iter_content` gives none before a chunk is whole, however long it takes."""
    try:
        while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=True):
            yield chunk
    except TransportError as error:
        raise requests.exceptions.ChunkedEncodingError from error


def copy(chunks: Iterator[bytes], file: BinaryIO, max_bytes: int) -> None:
    """Write bytes to a file.

    Raises:
        SiteError: They are more than there should be.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        # What Kaggle packs can be a little larger than the file.
        if size > max_bytes + max_bytes // 100 + 65536:
            raise SiteError(
                "the file is larger on Kaggle than in the release", "see what it is", code="host/file-differs"
            )
        file.write(chunk)


def unpack(file: BinaryIO, max_bytes: int) -> None:
    """Put the only member of a ZIP archive in its place: Kaggle serves large files so."""
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        return
    with tempfile.TemporaryFile() as packed:
        file.seek(0)
        shutil.copyfileobj(file, packed)
        _unpack_into(file, packed, max_bytes)


def _unpack_into(file: BinaryIO, packed: BinaryIO, max_bytes: int) -> None:
    try:
        with zipfile.ZipFile(packed) as archive, archive.open(archive.namelist()[0]) as member:
            file.seek(0)
            file.truncate()
            while chunk := member.read(_CHUNK_BYTES):
                file.write(chunk)
                if file.tell() > max_bytes:
                    raise SiteError(
                        "the file is larger on Kaggle than in the release",
                        "see what it is",
                        code="host/file-differs",
                    )
    except (zipfile.BadZipFile, IndexError, NotImplementedError, RuntimeError):
        raise SiteError("Kaggle sends a damaged archive", "run the same command again") from None
