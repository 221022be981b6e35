"""A small Kaggle on loopback, for the real client: what it remembers, what it may show, how it may fail.

It is a proxy: with `KAGGLE_API_ENVIRONMENT=LOCALHOST` the client asks for `http://localhost/api/…`, and with
`HTTP_PROXY` pointing here the request comes to this server. Uploads and downloads go to its own address,
another origin, as they go to a storage service on the real site.
"""

import base64
import hashlib
import io
import itertools
import json
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

WRITES = {"StartBlobUpload", "PUT", "CreateDataset", "CreateDatasetVersion", "UpdateDatasetMetadata"}


@dataclass
class Fault:
    """One answer that goes wrong.

    Attributes:
        request: Method of the API, or "PUT" or "GET" of bytes.
        kind: "status", "reset" (nothing is done), "lost" (it is done), "hang" (nothing is done), "cut" (half
            of the bytes arrive), "nonsense" (done, and answered with `body`), "answer" (nothing is done, and
            answered with `body`), "late" (a 504, and done when the dataset has been looked at some more
            times), "drip" (a byte at a time), "flip" (the last byte arrives as another).
        status: For "status".
        body: For "nonsense" and "answer", which have the status 200.
        headers: For "status".
        times: How often.
        skip: How many such requests go well before.
        looks: For "late".
    """

    request: str
    kind: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    skip: int = 0
    looks: int = 0
    body: bytes = b"<html>"


@dataclass
class Version:
    """One version of the dataset: every file, whole."""

    notes: str
    files: dict[str, bytes]
    looks_left: int = 0
    failed: bool = False
    creator: str = "faces"

    @property
    def status(self) -> str:
        """Its state as the site words it."""
        return "Pending" if self.looks_left else "Failed" if self.failed else "Ready"


@dataclass
class Dataset:
    """What the site keeps of the dataset."""

    page: dict[str, Any]
    versions: list[Version] = field(default_factory=list)


@dataclass
class Blob:
    """One upload."""

    name: str
    size: int
    data: bytearray = field(default_factory=bytearray)


@dataclass
class Call:
    """One request as it came in."""

    name: str
    origin: str
    authorization: str
    text: str


class KaggleServer:
    """The site. Its attributes can be changed at any time.

    Attributes:
        token: The access token that it knows, of `username`, who may write below `owners`.
        dataset: By "owner/slug".
        faults: What goes wrong, in their order for each request.
        looks: How often the state of a new version is asked for before it is ready.
        shows_notes: Whether versions are listed with the dataset.
        shows_pending: Whether a version counts before it is ready.
        shows_folders: Whether the listing of all files has those in folders.
        loses: Paths that are missing from new versions.
        fails: Whether it fails to process new versions.
        refuses: What it says instead of creating anything.
        may_write: Whether the credentials are good for more than reading.
        late: What will be done though nobody was told so: looks left, request, its JSON.
        packs: Whether it packs what is downloaded.
        on_call: Is told the name of each request before it is answered.
        flips: Paths of which the last byte comes out wrong.
        shows_settings: Whether it shows a dataset's settings to those who may not edit it.
        storage_tells: How the storage tells what it got: "header", "json" or "nothing".
    """

    def __init__(self) -> None:
        self.token, self.username, self.key = "token-of-the-tests", "faces", "key-of-the-tests"
        self.owners = {"faces"}
        self.datasets: dict[str, Dataset] = {}
        self.blobs: dict[str, Blob] = {}
        self.late: list[tuple[int, str, dict[str, Any]]] = []
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.looks, self.shows_notes, self.shows_pending, self.shows_folders = 1, True, True, True
        self.loses: set[str] = set()
        self.flips: set[str] = set()
        self.fails, self.packs, self.may_write = False, False, True
        self.shows_settings, self.storage_tells = True, "header"
        self.refuses = ""
        self.num_put_bytes = 0
        self.forgotten: set[str] = set()
        self.on_call: Callable[[str], None] = lambda _: None
        self.unhang = threading.Event()
        self.lock = threading.Lock()
        self._numbers = itertools.count()
        self._http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["KaggleServer"]:
        """Answer until the block ends."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.unhang.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    @property
    def names(self) -> list[str]:
        """The requests so far, by name."""
        return [call.name for call in self.calls]

    @property
    def writes(self) -> list[str]:
        """The requests so far that change something."""
        return [name for name in self.names if name in WRITES]

    def forget_tokens(self) -> None:
        """Accept no upload any more that has begun before."""
        self.forgotten |= set(self.blobs)

    def fault(self, name: str) -> Fault | None:
        """Return what goes wrong with a request that has just come."""
        with self.lock:
            for fault in self.faults:
                if fault.request == name and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        return None
                    fault.times -= 1
                    return fault
        return None

    # The API, method by method: each takes and gives JSON.

    def answer(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for."""
        method = getattr(self, f"_do_{name}", None)
        if method is None:
            raise ApiError(404, f"there is no {name}")
        with self.lock:
            if name == "GetDataset":
                self._catch_up()
            return dict(method(body))

    def _catch_up(self) -> None:
        """Do what is late, when it has been looked for often enough."""
        waiting, self.late = self.late, []
        for looks, name, body in waiting:
            if looks > 1:
                self.late.append((looks - 1, name, body))
            else:
                getattr(self, f"_do_{name}")(body)

    def _do_IntrospectToken(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body.get("token") != self.token:
            raise ApiError(400, "Invalid token")
        return {"active": True, "username": self.username}

    def _do_StartBlobUpload(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if not self.may_write:
            raise ApiError(403, "Permission 'blobs.create' was denied")
        assert body["type"] == "DATASET"
        token = f"blob-{next(self._numbers)}"
        self.blobs[token] = Blob(body["name"], body.get("contentLength", 0))
        return {"token": token, "createUrl": f"{self.address}/upload/{token}"}

    def _do_CreateDataset(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ref = f"{body['ownerSlug']}/{body['slug']}"
        if body["ownerSlug"] not in self.owners or not self.may_write:
            raise ApiError(403, "Permission 'datasets.create' was denied")
        if self.refuses or ref in self.datasets:
            return {"status": "error", "error": self.refuses or "The slug is already in use"}
        files = self._files(body)
        if isinstance(files, str):
            return {"status": "error", "error": files}
        page = {key: body.get(key) for key in ("title", "subtitle", "description", "categoryIds")}
        page |= {"isPrivate": body.get("isPrivate", False), "licenses": [{"name": body["licenseName"]}]}
        page["collaborators"] = []
        self.datasets[ref] = Dataset(page)
        self._add(ref, "Initial release", files)
        return {"ref": f"/{ref}", "url": f"http://localhost/datasets/{ref}", "status": "Ok"}

    def _do_CreateDatasetVersion(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ref = self._ref(body)
        self._check_edit(ref)
        if self.refuses:
            return {"status": "error", "error": self.refuses}
        files = self._files(body["body"])
        if isinstance(files, str):
            return {"status": "error", "error": files}
        self._add(ref, body["body"].get("versionNotes", ""), files)
        self.datasets[ref].page |= {key: body["body"].get(key) for key in ("subtitle", "description")}
        return {"ref": f"/{ref}", "url": f"http://localhost/datasets/{ref}", "status": "Ok"}

    def _do_GetDataset(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        dataset = self.datasets[self._ref(body)]
        shown = [v for v in dataset.versions if self.shows_pending or not (v.looks_left or v.failed)]
        listed = [
            {"versionNumber": n, "versionNotes": v.notes, "status": v.status, "creatorRef": v.creator}
            for n, v in enumerate(shown, 1)
        ]
        return {
            "ref": self._ref(body),
            "currentVersionNumber": len(shown),
            "versions": listed[::-1] if self.shows_notes else [],
            **{key: dataset.page[key] for key in ("title", "subtitle", "description", "isPrivate")},
        }

    def _do_GetDatasetStatus(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        newest = self.datasets[self._ref(body)].versions[-1]
        if newest.looks_left:
            newest.looks_left -= 1
            return {"status": "BLOBS_RECEIVED"}
        return {"status": "FAILED" if newest.failed else "READY"}

    def _do_ListDatasetFiles(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = self._version(body).files
        listed = sorted(path for path in files if self.shows_folders or "/" not in path)
        return self._page(body, "datasetFiles", [(path, files[path]) for path in listed])

    def _do_ListTreeDatasetFiles(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = self._version(body).files
        folder = f"{body['path'].strip('/')}/"
        listed = [path for path in sorted(files) if path.startswith(folder)]
        if not listed:
            raise ApiError(404, "There is no such folder")
        return self._page(body, "files", [(path.removeprefix(folder), files[path]) for path in listed])

    def _do_GetDatasetMetadata(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if not self.shows_settings:
            self._check_edit(self._ref(body))
        return {"info": {"datasetSlug": body["datasetSlug"], **self.datasets[self._ref(body)].page}}

    def _do_UpdateDatasetMetadata(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check_edit(self._ref(body))
        settings = {"isPrivate": False, "collaborators": [], **body["settings"]}  # what is not said is not so
        self.datasets[self._ref(body)].page |= settings
        return {"errors": []}

    def _do_DownloadDataset(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        version = self._version(body)
        if body["fileName"] not in version.files:
            raise ApiError(404, "There is no such file")
        number = body["datasetVersionNumber"]
        return {"redirect": f"{self.address}/download/{self._ref(body)}/{number}/{body['fileName']}"}

    def download(self, path: str) -> bytes:
        """Return the bytes of a file as storage serves them."""
        owner, slug, number, name = path.split("/", 3)
        data = self.datasets[f"{owner}/{slug}"].versions[int(number) - 1].files[name]
        if name in self.flips:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if self.packs:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name.rpartition("/")[2], data)
            data = packed.getvalue()
        return data

    def _ref(self, body: dict[str, Any]) -> str:
        ref = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if ref not in self.datasets:
            raise ApiError(403, "Permission 'datasets.get' was denied")  # as the site does
        return ref

    def _check_edit(self, ref: str) -> None:
        editors = {
            each["username"] for each in self.datasets[ref].page["collaborators"] if each["role"] == "WRITER"
        }
        if not self.may_write or not (ref.partition("/")[0] in self.owners or self.username in editors):
            raise ApiError(403, "Permission 'datasets.update' was denied")

    def _version(self, body: dict[str, Any]) -> Version:
        versions = self.datasets[self._ref(body)].versions
        number = body.get("datasetVersionNumber", len(versions))
        if not 1 <= number <= len(versions) or versions[number - 1].looks_left:
            raise ApiError(404, "There is no such version")
        version: Version = versions[number - 1]
        return version

    def _page(self, body: dict[str, Any], key: str, files: list[tuple[str, bytes]]) -> dict[str, Any]:
        start, size = int(body.get("pageToken") or 0), min(body.get("pageSize") or 20, 5)
        listed = [{"name": path, "totalBytes": len(data)} for path, data in files[start : start + size]]
        return {key: listed, "nextPageToken": str(start + size) if start + size < len(files) else ""}

    def _files(self, folder: dict[str, Any], prefix: str = "") -> dict[str, bytes] | str:
        found: dict[str, bytes] = {}
        for file in folder.get("files", []):
            blob = self.blobs.get(file["token"])
            if blob is None or file["token"] in self.forgotten or len(blob.data) < blob.size:
                return "A file's token is not valid"
            found[prefix + blob.name] = bytes(blob.data)
        for below in folder.get("directories", []):
            nested = self._files(below, f"{prefix}{below['name']}/")
            if isinstance(nested, str):
                return nested
            found |= nested
        return found

    def _add(self, ref: str, notes: str, files: dict[str, bytes]) -> None:
        kept = {path: data for path, data in files.items() if path not in self.loses}
        self.datasets[ref].versions.append(Version(notes, kept, self.looks, self.fails, self.username))


class ApiError(Exception):
    """An answer with another status than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Http(ThreadingHTTPServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that go away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Takes the requests of one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True
    site: KaggleServer  # given by a class of its own for each site

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Show nothing."""

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = parts.path.rpartition("/")[2]
        self._note(name, data.decode())
        fault = self.site.fault(name)
        if fault and self._fails(fault):
            return
        try:
            if parts.netloc != "localhost" or not parts.path.startswith("/api/v1/"):
                raise ApiError(404, "This is not the API")
            if name != "IntrospectToken":
                self._authorize()
            if fault and fault.kind == "late":
                self.site.late.append((fault.looks, name, json.loads(data)))
                raise ApiError(504, "Gateway Timeout")
            answer = self.site.answer(name, json.loads(data or b"{}"))
        except ApiError as error:
            self._reply(error.status, {"code": error.status, "message": str(error)})
            return
        if fault and fault.kind == "lost":
            self._break()
        elif fault and fault.kind == "nonsense":
            self._send(200, fault.body, {"Content-Type": "application/json"})
        elif "redirect" in answer:
            self._send(302, b"", {"Location": answer["redirect"]})
        else:
            self._reply(200, answer)

    def do_PUT(self) -> None:
        self._note("PUT", f"{self.path} {self.headers.get('Content-Range', '')}")
        blob = self.site.blobs[self.path.rpartition("/")[2]]
        length = int(self.headers.get("Content-Length", 0))
        kind, _, asked = self.headers.get("Content-Range", "").partition("bytes ")[2].partition("/")
        fault = self.site.fault("PUT") if kind != "*" else None
        if fault and fault.kind == "cut":
            length //= 2
        elif fault and self._fails(fault):
            return
        if kind == "*":
            assert int(asked) == blob.size
        else:
            start = int(kind.partition("-")[0]) if kind else 0
            data = self.rfile.read(length)
            if fault and fault.kind == "flip":
                data = data[:-1] + bytes([data[-1] ^ 1])
            with self.site.lock:
                self.site.num_put_bytes += len(data)
                blob.data[start:] = data
        if fault and fault.kind in ("cut", "lost"):
            self._break()
        elif fault and fault.kind == "nonsense":
            self._send(200, fault.body)
        elif len(blob.data) == blob.size:
            self._tell_stored(bytes(blob.data))
        else:
            there = {"Range": f"bytes=0-{len(blob.data) - 1}"} if blob.data else {}
            self._send(308, b"", there)

    def _tell_stored(self, data: bytes) -> None:
        """Say what has arrived, as the storage does: in a header, or in JSON."""
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        if self.site.storage_tells == "header":
            told = {
                "x-goog-hash": f"crc32c=AAAAAA==,md5={md5}",
                "x-goog-stored-content-length": str(len(data)),
            }
            self._send(200, b"", told)
        elif self.site.storage_tells == "json":
            self._reply(200, {"kind": "storage#object", "size": str(len(data)), "md5Hash": md5})
        else:
            self._send(200, b"")

    def do_GET(self) -> None:
        self._note("GET", self.path)
        fault = self.site.fault("GET")
        if fault and self._fails(fault):
            return
        data = self.site.download(urlsplit(self.path).path.removeprefix("/download/"))
        if fault and fault.kind == "drip":
            self._drip(data)
            return
        if fault and fault.kind == "nonsense":
            data = fault.body
        self._send(200, data[: len(data) // 2] if fault and fault.kind == "cut" else data, whole=len(data))

    def _drip(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.site.unhang.wait(0.01):
                break
        self.close_connection = True

    def _note(self, name: str, text: str) -> None:
        authorization = self.headers.get("Authorization", "")
        origin = urlsplit(self.path).netloc or self.headers.get("Host", "")
        headers = "\n".join(f"{k}: {v}" for k, v in self.headers.items() if k != "Authorization")
        with self.site.lock:
            self.site.calls.append(Call(name, origin, authorization, f"{self.path}\n{headers}\n{text}"))
        self.site.on_call(name)

    def _authorize(self) -> None:
        basic = base64.b64encode(f"{self.site.username}:{self.site.key}".encode()).decode()
        if self.headers.get("Authorization") not in (f"Bearer {self.site.token}", f"Basic {basic}"):
            raise ApiError(401, f"Unauthenticated: {self.headers.get('Authorization')}")

    def _fails(self, fault: Fault) -> bool:
        """Do what a fault says instead of an answer; whether it has."""
        if fault.kind == "status":
            said = self.headers.get("Authorization", "")  # as careless servers do
            self._reply(fault.status, {"code": fault.status, "message": f"A fault {said}"}, fault.headers)
        elif fault.kind == "reset":
            self._break()
        elif fault.kind == "answer":
            self._send(200, fault.body, {"Content-Type": "application/json"})
        elif fault.kind == "hang":
            self.site.unhang.wait(20)
            self.close_connection = True
        else:
            return False
        return True

    def _reply(self, status: int, value: Mapping[str, Any], headers: Mapping[str, str] = {}) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    def _send(
        self,
        status: int,
        data: bytes,
        headers: Mapping[str, str] = {},
        whole: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if whole is None else whole))
        self.end_headers()
        self.wfile.write(data)
        if whole is not None and whole > len(data):
            self.close_connection = True
        if status >= 400:
            self._break()  # the rest of a body that nobody read would be taken for a request

    def _break(self) -> None:
        self.close_connection = True


def digest(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the digest of every file by its path."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
