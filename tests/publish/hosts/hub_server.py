"""A small Hub on loopback for the real client: repositories, commits, tags, LFS, Xet, and faults on demand.

It holds what the Hub promises and no more: a commit is atomic and refused (412) when its parent is not the
branch's head; a tag is made once (409); an LFS pointer is only taken for content that has arrived whole.
Large files go to and come from a second origin, as on the Hub, so that a token sent there by mistake is seen.

Nothing in the product knows that this exists: it is reached through `HF_ENDPOINT` or `HfApi(endpoint=…)`.
"""

import base64
import contextlib
import hashlib
import itertools
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.publish.loopback import Loopback

WRITE_TOKEN, READ_TOKEN, SIGNATURE = "hf_WriteSecretWrite", "hf_ReadSecretRead", "SignatureOfAnUploadUrl"
READER = "reader-beside-the-test"  # as a reader's HF_HUB_USER_AGENT_ORIGIN
XET_TOKEN = "xet_SecretOfTheStore"
LARGE_BYTES = 10_000_000
LFS_SUFFIXES = (".parquet", ".tar", ".png", ".jpg", ".zip", ".bin")
# Kinds of request that change something, or that only a writer sends.
WRITES = frozenset({"create_repo", "preupload", "lfs_batch", "upload", "xet_write", "commit", "tag"})

_API = r"/api/(?P<type>datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
_FILES = r"/(?P<type>datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", "/api/whoami-v2", "whoami"),
    ("POST", "/api/repos/create", "create_repo"),
    ("POST", "/api/validate-yaml", "validate_yaml"),
    ("GET", "/api/agent-harnesses", "harnesses"),
    ("GET", f"{_API}/refs", "refs"),
    ("GET", f"{_API}/tree/(?P<revision>[^/]+)(/(?P<path>.+))?", "tree"),
    ("POST", f"{_API}/paths-info/(?P<revision>[^/]+)", "paths_info"),
    ("GET", f"{_API}/commits/(?P<revision>[^/]+)", "commits"),
    ("POST", f"{_API}/preupload/(?P<revision>[^/]+)", "preupload"),
    ("POST", f"{_API}/commit/(?P<revision>[^/]+)", "commit"),
    ("POST", f"{_API}/tag/(?P<revision>[^/]+)", "tag"),
    ("GET", f"{_API}/xet-write-token/(?P<revision>[^/]+)", "xet_write"),
    ("GET", f"{_API}/xet-read-token/(?P<revision>[^/]+)", "xet_read"),
    ("GET", f"{_API}/revision/(?P<revision>[^/]+)", "info"),
    ("GET", _API, "info"),
    ("POST", rf"{_FILES}\.git/info/lfs/objects/batch", "lfs_batch"),
    ("HEAD", f"{_FILES}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "resolve"),
    ("GET", f"{_FILES}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "resolve"),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", "upload"),
    ("HEAD", r"/lfs/(?P<oid>[0-9a-f]{64})", "download"),
    ("GET", r"/lfs/(?P<oid>[0-9a-f]{64})", "download"),
    *((method, r"/cas/.*", "cas") for method in ("HEAD", "GET", "POST", "PUT")),
)


@dataclass(frozen=True)
class File:
    """A file of a commit; `sha256` only for large files, as the Hub lists them."""

    blob_id: str
    size: int
    sha256: str | None = None
    xet_hash: str | None = None


@dataclass(frozen=True)
class Commit:
    """One commit: its whole tree."""

    sha: str
    parent: str | None
    files: Mapping[str, File]
    author: str
    title: str
    message: str


@dataclass
class Repo:
    """One repository.

    Attributes:
        private: Whether only members of its namespace see it.
        type: "datasets" or "spaces".
    """

    private: bool
    type: str = "datasets"
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        """Return the commit that a branch, a tag or a sha names."""
        return self.commits.get(self.branches.get(revision) or self.tags.get(revision) or revision)

    @property
    def history(self) -> list[Commit]:
        """The commits of `main`, newest first."""
        found, sha = [], self.branches.get("main")
        while sha:
            found.append(self.commits[sha])
            sha = found[-1].parent
        return found


@dataclass(frozen=True)
class User:
    """Whom a token stands for."""

    name: str
    orgs: tuple[str, ...] = ()
    role: str = "write"
    role_in_orgs: str = "write"


@dataclass
class Fault:
    """What goes wrong with requests of one kind.

    Attributes:
        kind: As in `_ROUTES`.
        do: "status": answer with `status`, doing nothing. "reset": hang up, doing nothing. "hang": say
            nothing until the server stops. "lost": do it, then hang up. "late": answer `status` now, and do
            it before the next request is looked at. "later": the same, before the next of its kind. "spoil":
            do it wrongly (a byte, a digest or a file). "race": call `action` first, and then do it well.
            "cut": end the answer in its middle. "answer": answer 200 with `body`, doing nothing. "nonsense":
            do it, and answer 200 with `body`.
        skip: How many requests go well first.
        times: How many fail.
        path: Which file of a commit is spoiled.
        body: The whole answer of "answer" and "nonsense".
    """

    kind: str
    do: str = "status"
    status: int = 503
    message: str = "the test wants this to fail"
    headers: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0
    times: int = 1
    path: str = ""
    body: bytes = b"<html>"
    action: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Seen:
    """One request as it came in; names of headers in lower case."""

    kind: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class _Refused(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, status: int, message: str, code: str = "", url: str = "", **headers: str) -> None:
        super().__init__(message)
        body = json.dumps({"error": message, "url": url}).encode()
        told = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}
        self.answer = Answer(status, body, told)


class HubServer(Loopback):
    """The server; use it in a `with`.

    Args:
        xet: Folder of a local Xet store; large files then come through it, not through LFS.
        known: Folders whose files a client may send through Xet: a Xet hash is made from the content, which
            the store does not give back by SHA-256. What is served comes from the store all the same.
        page_size: Entries on one page of a listing.
    """

    def __init__(self, xet: Path | None = None, known: Sequence[Path] = (), page_size: int = 1000) -> None:
        self.users = {
            WRITE_TOKEN: User("alice", ("org",)),
            READ_TOKEN: User("alice", ("org",), "read"),
        }
        self.repos: dict[str, Repo] = {}  # by name; a Space's begins with "spaces/"
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        # Is told each request's kind before all else, except what a reader beside the test asks for.
        self.on_call: Callable[[str], None] = lambda _: None
        self.card_warnings: list[str] = []
        self.stored: dict[str, bytes] = {}  # large files by SHA-256
        self.sent_again: list[str] = []  # SHA-256 of large files that came in though they were there
        self.cas = f"local://{xet}"  # address of the Xet store; one over HTTP only ever fails
        self._blobs: dict[str, bytes] = {}  # small files by git's id
        self._xet, self._known, self._page_size = xet, list(known), page_size
        self._late: list[tuple[str, Callable[[], object]]] = []
        self._clock, self._num_open = itertools.count(), 0
        self._lock = threading.RLock()
        super().__init__(self._handler())

    # For tests

    def fail(self, kind: str, do: str = "status", **options: Any) -> Fault:
        """Switch a fault on."""
        fault = Fault(kind, do, **options)
        self.faults.append(fault)
        return fault

    def kinds(self, *wanted: str) -> list[str]:
        """Return the kinds of the requests so far, in order; of `wanted` only, if any is given."""
        return [seen.kind for seen in self.seen if not wanted or seen.kind in wanted]

    def writes(self) -> list[str]:
        """Return the kinds of the requests so far that write."""
        return self.kinds(*WRITES)

    def bytes_uploaded(self) -> int:
        """Count the bytes of large files that came in, over LFS."""
        return sum(len(seen.body) for seen in self.seen if seen.kind == "upload")

    def edit(self, repo: str, author: str, title: str, files: Mapping[str, bytes | None]) -> str:
        """Commit to `main` as somebody else would; None removes a file. Gives the commit's sha."""
        with self._lock:
            made = self.repos[repo]
            head = made.history[0]
            tree = {
                **head.files,
                **{path: self._small(data) for path, data in files.items() if data is not None},
            }
            for path, data in files.items():
                if data is None:
                    del tree[path]
            return self._add_commit(made, tree, author, title, "").sha

    def content(self, repo: str, path: str, revision: str = "main") -> bytes:
        """Return a file's bytes."""
        commit = self.repos[repo].find(revision)
        assert commit is not None
        return self._bytes(commit.files[path])

    # Answers, one method for each kind of request; each runs under the lock

    def _whoami(self, user: User | None, **_: Any) -> Answer:
        if user is None:
            raise _Refused(401, "Invalid credentials in Authorization header")
        token = {"displayName": "release", "role": user.role}
        orgs = [{"type": "org", "name": name, "roleInOrg": user.role_in_orgs} for name in user.orgs]
        return _json({"type": "user", "name": user.name, "orgs": orgs, "auth": {"accessToken": token}})

    def _harnesses(self, **_: Any) -> Answer:
        raise _Refused(404, "this Hub knows none")

    def _create_repo(self, user: User | None, body: bytes, **_: Any) -> Answer:
        wanted = json.loads(body)
        if user is None:
            raise _Refused(401, "Invalid username or password.")
        namespace = wanted["organization"] or user.name
        self._check_write(user, namespace)
        kind, name = f"{wanted['type']}s", f"{namespace}/{wanted['name']}"
        url = f"{self.endpoint}/{kind}/{name}"
        if _key(kind, name) in self.repos:
            raise _Refused(409, "You already created this repo", url=url)
        is_private = wanted.get("visibility") == "private"
        repo = self.repos[_key(kind, name)] = Repo(is_private, kind)
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        first = {".gitattributes": attributes.encode()}
        if kind == "spaces":
            assert wanted["sdk"] == "static"
            first |= dict.fromkeys(("README.md", "index.html", "style.css"), b"The Hub's own.\n")
        files = {path: self._small(data) for path, data in first.items()}
        self._add_commit(repo, files, "system", "initial commit", "")
        return _json({"url": url})

    def _validate_yaml(self, **_: Any) -> Answer:
        answer = _json({"errors": [], "warnings": [{"message": text} for text in self.card_warnings]})
        if self.card_warnings:
            answer.headers["X-HF-Warning"] = f"card; {self.card_warnings[0]}"
        return answer

    def _refs(self, repo: Repo, **_: Any) -> Answer:
        def listed(refs: Mapping[str, str], kind: str) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}
                for name, sha in refs.items()
            ]

        return _json(
            {"branches": listed(repo.branches, "heads"), "converts": [], "tags": listed(repo.tags, "tags")}
        )

    def _tree(
        self, repo: Repo, revision: str, path: str | None, query: Mapping[str, str], **_: Any
    ) -> Answer:
        commit = _found(repo, revision)
        below = f"{path}/" if path else ""
        entries = [
            _entry(name, commit.files[name]) for name in sorted(commit.files) if name.startswith(below)
        ]
        if path and not entries:
            raise _Refused(404, f"{path} does not exist", "EntryNotFound")
        folders = sorted({name.rpartition("/")[0] for name in commit.files if "/" in name})
        entries += [
            {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
            for name in folders
            if name.startswith(below) and name != path
        ]
        if query.get("recursive", "").lower() != "true":
            entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(below)]
        start = int(query.get("cursor", "0"))
        page, rest = entries[start : start + self._page_size], entries[start + self._page_size :]
        answer = _json(page)
        if rest:
            again = f"tree/{revision}{'/' + quote(path, safe='') if path else ''}"
            recursive = query.get("recursive", "false")
            url = f"{self._api_url(repo)}/{again}?recursive={recursive}&cursor={start + self._page_size}"
            answer.headers["Link"] = f'<{url}>; rel="next"'
        return answer

    def _paths_info(self, repo: Repo, revision: str, body: bytes, **_: Any) -> Answer:
        commit = _found(repo, revision)
        found: list[dict[str, Any]] = []
        for path in parse_qs(body.decode()).get("paths", []):
            if path in commit.files:
                found.append(_entry(path, commit.files[path]))
            elif any(name.startswith(f"{path}/") for name in commit.files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return _json(found)

    def _commits(self, repo: Repo, revision: str, **_: Any) -> Answer:
        _found(repo, revision)
        return _json(
            [
                {
                    "id": commit.sha,
                    "title": commit.title,
                    "message": commit.message,
                    "authors": [{"user": commit.author}],
                    "date": "2026-01-01T00:00:00.000Z",
                }
                for commit in repo.history
            ]
        )

    def _info(self, repo: Repo, name: str, revision: str = "main", **_: Any) -> Answer:
        commit = _found(repo, revision)
        siblings = [{"rfilename": path} for path in sorted(commit.files)]
        told = {"id": name, "sha": commit.sha, "private": repo.private, "siblings": siblings, "tags": []}
        return _json({**told, "lastModified": "2026-01-01T00:00:00.000Z", "downloads": 0, "likes": 0})

    def _preupload(
        self, repo: Repo, name: str, revision: str, user: User | None, body: bytes, **_: Any
    ) -> Answer:
        self._check_write(user, name.partition("/")[0])
        commit = _found(repo, revision)
        answers = []
        for file in json.loads(body)["files"]:
            is_large = file["path"].endswith(LFS_SUFFIXES) or file["size"] > LARGE_BYTES
            there = commit.files.get(file["path"])
            answers.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if is_large else "regular",
                    "shouldIgnore": False,
                    "oid": there and (there.sha256 or there.blob_id),
                }
            )
        return _json({"files": answers})

    def _lfs_batch(self, name: str, user: User | None, body: bytes, **_: Any) -> Answer:
        self._check_write(user, name.partition("/")[0])
        objects = []
        for wanted in json.loads(body)["objects"]:
            there = wanted["oid"] in self.stored
            href = f"{self.storage}/lfs/{wanted['oid']}?X-Amz-Signature={SIGNATURE}"
            objects.append({**wanted, **({} if there else {"actions": {"upload": {"href": href}}})})
        return _json({"transfer": "basic", "objects": objects})

    def _upload(self, oid: str, body: bytes, spoiled: Fault | None, **_: Any) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refused(400, "the content is not that of the name")
        self.sent_again += [oid] if oid in self.stored else []
        self.stored[oid] = body[:-1] + bytes([body[-1] ^ 1]) if spoiled else body
        return Answer(headers={"ETag": f'"{oid}"'})

    def _download(self, oid: str, headers: Mapping[str, str], **_: Any) -> Answer:
        data = self.stored[oid]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        if asked is None:
            return Answer(200, data, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})
        start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
        place = f"bytes {start}-{end}/{len(data)}"
        return Answer(206, data[start : end + 1], {"ETag": f'"{oid}"', "Content-Range": place})

    def _xet_write(self, name: str, user: User | None, **_: Any) -> Answer:
        self._check_write(user, name.partition("/")[0])
        return self._xet_token()

    def _xet_read(self, **_: Any) -> Answer:
        return self._xet_token()

    def _cas(self, **_: Any) -> Answer:
        raise _Refused(404, "this store holds nothing")

    def _xet_token(self) -> Answer:
        assert self._xet is not None, "the client was not told that there is no Xet here"
        told = {"casUrl": self.cas, "accessToken": XET_TOKEN, "exp": int(time.time()) + 3600}
        answer = _json(told)
        answer.headers |= {
            "X-Xet-Cas-Url": str(told["casUrl"]),
            "X-Xet-Access-Token": XET_TOKEN,
            "X-Xet-Token-Expiration": str(told["exp"]),
        }
        return answer

    def _commit(
        self,
        repo: Repo,
        name: str,
        revision: str,
        user: User | None,
        body: bytes,
        spoiled: Fault | None,
        **_: Any,
    ) -> Answer:
        self._check_write(user, name.partition("/")[0])
        assert user is not None
        assert revision == "main"
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        head = repo.history[0]
        if header.get("parentCommit", head.sha) != head.sha:
            raise _Refused(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(head.files)
        for line in lines[1:]:
            self._apply(tree, line["key"], line["value"])
        if spoiled is not None:
            self._spoil(tree, spoiled.path)
        commit = self._add_commit(repo, tree, user.name, header["summary"], header["description"])
        url = f"{self.endpoint}/{repo.type}/{name}/commit/{commit.sha}"
        return _json({"success": True, "commitOid": commit.sha, "commitUrl": url})

    def _apply(self, tree: dict[str, File], key: str, value: Mapping[str, Any]) -> None:
        path = value["path"]
        if key == "file":
            tree[path] = self._small(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            tree[path] = self._large(value["oid"], value["size"])
        else:
            assert key == "deletedFile", key
            if path not in tree:
                raise _Refused(404, "A file with this name doesn't exist", "EntryNotFound")
            del tree[path]

    def _spoil(self, tree: dict[str, File], path: str) -> None:
        """Do to a file what a host must never do: lose it, or list other content than was sent."""
        file = tree.pop(path)
        if file.sha256 is not None:
            other = hashlib.sha256(file.sha256.encode()).hexdigest()
            tree[path] = File(file.blob_id, file.size, other)

    def _tag(self, repo: Repo, name: str, revision: str, user: User | None, body: bytes, **_: Any) -> Answer:
        self._check_write(user, name.partition("/")[0])
        commit, tag = _found(repo, revision), json.loads(body)["tag"]
        if tag in repo.tags or tag in repo.branches:
            raise _Refused(409, f"Tag reference exists already: {tag}")
        repo.tags[tag] = commit.sha
        return _json({"tag": tag})

    def _resolve(self, repo: Repo, name: str, revision: str, path: str, **_: Any) -> Answer:
        commit = _found(repo, revision)
        file = commit.files.get(path)
        if file is None:
            raise _Refused(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": commit.sha})
        headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes", "ETag": f'"{file.blob_id}"'}
        if file.sha256 is None:
            return Answer(200, self._blobs[file.blob_id], headers)
        headers |= {"X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{file.sha256}"'}
        if file.xet_hash is not None:
            route = f"{self.endpoint}/api/{repo.type}/{name}/xet-read-token/{commit.sha}"
            headers |= {"X-Xet-Hash": file.xet_hash, "Link": f'<{route}>; rel="xet-auth"'}
        headers["Location"] = f"{self.storage}/lfs/{file.sha256}?X-Amz-Signature={SIGNATURE}"
        return Answer(302, b"", headers)

    # What the answers share

    def _check_write(self, user: User | None, namespace: str) -> None:
        if user is None:
            raise _Refused(401, "Invalid username or password.")
        if user.role != "write" or user.role_in_orgs == "read":
            raise _Refused(403, "Forbidden: this token has no write access")
        if namespace not in (user.name, *user.orgs):
            raise _Refused(
                403, f"You don't have the rights to create a dataset under the namespace {namespace}"
            )

    def _add_commit(
        self, repo: Repo, files: Mapping[str, File], author: str, title: str, message: str
    ) -> Commit:
        sha = hashlib.sha1(f"{next(self._clock)} {title}".encode()).hexdigest()
        commit = repo.commits[sha] = Commit(
            sha, repo.branches.get("main"), dict(files), author, title, message
        )
        repo.branches["main"] = sha
        return commit

    def _small(self, data: bytes) -> File:
        blob_id = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        self._blobs[blob_id] = data
        return File(blob_id, len(data))

    def _large(self, oid: str, size: int) -> File:
        xet_hash = None
        if self._xet is not None and oid not in self.stored:
            xet_hash, self.stored[oid] = self._from_xet(oid)
        if oid not in self.stored or len(self.stored[oid]) != size:
            raise _Refused(
                400, f"Your push was rejected because an LFS pointer pointed to a missing file: {oid}"
            )
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()
        blob_id = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
        return File(blob_id, size, oid, xet_hash)

    def _from_xet(self, oid: str) -> tuple[str, bytes]:
        """Fetch a file from the local Xet store, and see that it is what it should be."""
        import hf_xet  # type: ignore[import-untyped]

        paths = [path for folder in self._known for path in folder.rglob("*") if path.is_file()]
        source = next(path for path in paths if hashlib.sha256(path.read_bytes()).hexdigest() == oid)
        assert self._xet is not None
        xet_hash = hf_xet.hash_files([str(source)])[0].hash
        target = self._xet / f"{oid}.out"
        info = hf_xet.XetFileInfo(xet_hash, source.stat().st_size)
        with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{self._xet}") as group:
            group.start_download_file(info, str(target))
        data = target.read_bytes()
        target.unlink()
        assert hashlib.sha256(data).hexdigest() == oid
        return xet_hash, data

    def _bytes(self, file: File) -> bytes:
        return self._blobs[file.blob_id] if file.sha256 is None else self.stored[file.sha256]

    def _api_url(self, repo: Repo) -> str:
        name = next(name for name, there in self.repos.items() if there is repo)
        return f"{self.endpoint}/api/{repo.type}/{name.removeprefix('spaces/')}"

    # HTTP

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: two would wait for each other
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                hub._serve(self)

            do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the base's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Show nothing."""

        return Handler

    def settle(self) -> None:
        """Wait until all is done that was asked for, though nobody may be there any more to hear of it."""
        deadline = time.monotonic() + 30
        while self._num_open and time.monotonic() < deadline:
            time.sleep(0.01)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self._num_open += 1
        try:
            self._take(handler)
        finally:
            with self._lock:
                self._num_open -= 1

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = _read_body(handler)
        parts = urlsplit(handler.path)
        kind, named = _route(handler.command, parts.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if f"origin/{READER}" not in headers.get("user-agent", ""):
            self.on_call(kind)
        with self._lock:
            due, self._late = self._late, []
            for after, finish in due:
                if after in ("", kind):
                    finish()
                else:
                    self._late.append((after, finish))
            self.seen.append(Seen(kind, handler.command, handler.path, headers, body))
            fault = self._fault(kind)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            context = {**named, "headers": headers, "query": query, "body": body, "spoiled": None}
            answer = self._outcome(kind, context, fault)
        if fault is not None and fault.do == "hang":
            self.stopped.wait()
        if answer is None:
            _hang_up(handler)
        else:
            _send(handler, answer, cut=fault is not None and fault.do == "cut")

    def _outcome(self, kind: str, context: dict[str, Any], fault: Fault | None) -> Answer | None:
        """Do what is asked, or what the fault makes of it; None where no answer is to come."""
        if fault is None:
            return self._answer(kind, context)
        refused = _Refused(fault.status, fault.message, **fault.headers).answer
        match fault.do:
            case "status":
                return refused
            case "late" | "later":
                after = kind if fault.do == "later" else ""
                self._late.append((after, lambda: self._answer(kind, context)))
                return refused
            case "spoil":
                return self._answer(kind, {**context, "spoiled": fault})
            case "race" | "cut":
                fault.action()
                return self._answer(kind, context)
            case "answer" | "nonsense":
                if fault.do == "nonsense":
                    self._answer(kind, context)
                kind_of_body = "text/html" if fault.body.startswith(b"<") else "application/json"
                return Answer(200, fault.body, {"Content-Type": kind_of_body})
            case "lost":
                self._answer(kind, context)
        return None

    def _fault(self, kind: str) -> Fault | None:
        for fault in self.faults:
            if fault.kind == kind and fault.skip:
                fault.skip -= 1
                return None
            if fault.kind == kind and fault.times:
                fault.times -= 1
                return fault
        return None

    def _answer(self, kind: str, context: dict[str, Any]) -> Answer:
        try:
            if kind == "unknown":
                raise _Refused(404, "there is no such address")
            user = self._user(context["headers"], kind)
            name = context.pop("repo", None)
            if name is not None:
                context |= {"repo": self._visible(context.pop("type"), name, user), "name": name}
            answer: Answer = getattr(self, f"_{kind}")(user=user, **context)
        except _Refused as refused:
            return refused.answer
        return answer

    def _user(self, headers: Mapping[str, str], kind: str) -> User | None:
        token = headers.get("authorization", "")
        if not token or kind in ("upload", "download", "cas"):
            return None
        user = self.users.get(token.removeprefix("Bearer "))
        if user is None:
            raise _Refused(401, "Invalid credentials in Authorization header")
        return user

    def _visible(self, kind: str, name: str, user: User | None) -> Repo:
        repo = self.repos.get(_key(kind, name))
        allowed = repo and (not repo.private or (user and name.partition("/")[0] in (user.name, *user.orgs)))
        if repo is None or not allowed:
            raise _Refused(404 if user else 401, "Repository not found", "RepoNotFound")
        return repo


def _key(kind: str, name: str) -> str:
    return f"spaces/{name}" if kind == "spaces" else name


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _entry(path: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "oid": file.blob_id, "size": file.size}
    if file.sha256 is not None:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 130}
    if file.xet_hash is not None:
        entry["xetHash"] = file.xet_hash
    return entry


def _found(repo: Repo, revision: str) -> Commit:
    commit = repo.find(revision)
    if commit is None:
        raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
    for wanted, pattern, kind in _ROUTES:
        match = re.fullmatch(pattern, path) if method == wanted else None
        if match:
            return kind, {
                name: unquote(value) if value else value for name, value in match.groupdict().items()
            }
    return "unknown", {}


def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    return b"".join(_read_chunks(handler))


def _read_chunks(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    while size := int(handler.rfile.readline().partition(b";")[0], 16):
        yield handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()


def _send(handler: BaseHTTPRequestHandler, answer: Answer, cut: bool) -> None:
    with contextlib.suppress(OSError):  # the client may have gone
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        handler.close_connection |= cut


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    """End the connection with a reset."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
