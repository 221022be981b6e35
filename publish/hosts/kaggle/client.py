"""The kaggle client, with what it lacks: time limits, bounded patience, silence, and errors as sentences.

Its import signs in over the network: only `publish.hosts.kaggle.access` imports this module, under a limit.
What it already does well is left to it: the store of credentials, upload state, requests and their types.
"""

import base64
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.request import getproxies

import requests
from kaggle.api.kaggle_api_extended import KaggleApi
from kaggle.models.kaggle_models_extended import ResumableUploadResult
from kagglesdk import get_access_token_from_env
from kagglesdk.blobs.types.blob_api_service import ApiBlobType
from kagglesdk.datasets.types import dataset_api_service as api
from kagglesdk.datasets.types.dataset_types import DatasetSettings, SettingsLicense

from publish.hosts.kaggle.access import Limits, SiteError, silence
from publish.hosts.kaggle.page import KagglePage
from publish.hosts.kaggle.transfer import Body, TimedAdapter, UploadState, arriving, bytes_there, copy, unpack
from publish.network import asks_to_wait, is_transient_error, is_transient_status, redact, retry, retry_after

T = TypeVar("T")
_PAGE_SIZE, _MAX_PAGES = 200, 1000
# An update of the metadata sets all of it: what it leaves out is emptied, and a private dataset made public.
_KEPT = (
    *("title", "subtitle", "keywords", "licenses", "is_private", "collaborators", "data"),
    *("user_specified_sources", "expected_update_frequency"),
)


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """One version of a dataset as Kaggle lists it."""

    number: int
    notes: str
    status: str


@dataclass(frozen=True, slots=True)
class RemoteDataset:
    """A dataset as Kaggle shows it.

    Attributes:
        newest: Number of the newest version.
        versions: What Kaggle says of each; empty where it says nothing.
        description: The text of its page.
    """

    newest: int
    versions: tuple[RemoteVersion, ...]
    description: str


class Client(KaggleApi):  # type: ignore[misc] # it is not typed
    """Speaks with Kaggle about one dataset.

    Args:
        dataset: As "owner/slug".
        limits: How long to wait for what.
    """

    def __init__(self, dataset: str, limits: Limits) -> None:
        super().__init__()
        self._dataset = dataset
        self._owner, _, self._slug = dataset.partition("/")
        self._limits = limits
        self._told: Callable[[int], None] = lambda _: None
        self._failure: SiteError | None = None  # the last one of sending a file
        self.MAX_UPLOAD_RESUME_ATTEMPTS = limits.retry.tries

    def check_endpoint(self, expected: str) -> None:
        """Make sure that requests go where the environment says.

        Raises:
            SiteError: They would go elsewhere.
        """
        actual = super().build_kaggle_client().http_client().get_non_api_endpoint()
        if actual != expected:
            message = f"the client would write to {actual}, and not to {expected}"
            raise SiteError(
                message,
                "start a new process with KAGGLE_API_ENVIRONMENT set as it should be",
                code="host/client",
            )

    def sign_in(self) -> None:
        """Find credentials in the environment or in the client's own store, and try those it can.

        Raises:
            SiteError: There are none, or they are not accepted.
        """
        try:
            self._ask("sign in", self.authenticate)
        except SystemExit:
            raise self._no_credentials() from None

    @staticmethod
    def _no_credentials() -> SiteError:
        _, place = get_access_token_from_env()
        if place:
            message = f"Kaggle does not accept the token in {place}: it is wrong or has expired"
            return SiteError(
                message,
                "make a new one in Kaggle's settings, and run the same command again",
                code="host/sign-in",
            )
        fix = "set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or run: kaggle auth login"
        return SiteError("there are no credentials for Kaggle", fix, code="host/sign-in")

    # What the site has

    @property
    def is_own(self) -> bool:
        """Whether the dataset belongs to the signed-in user, not to an organisation or another user."""
        return self._owner == str(self.config_values.get(self.CONFIG_NAME_USER, "")).lower()

    def dataset(self) -> RemoteDataset | None:
        """Look at the dataset; None if there is none that these credentials may see."""
        request = api.ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        try:
            found = self._call("look at the dataset", "get_dataset", request)
        except SiteError as error:
            # Kaggle answers 403 for missing and hidden datasets alike. Treat both as missing: creation fails
            # if it exists, and the upload is kept for the next run.
            if error.status in (403, 404):
                return None
            raise
        versions = (
            RemoteVersion(v.version_number, v.version_notes or "", v.status or "") for v in found.versions
        )
        return RemoteDataset(
            newest=found.current_version_number or 0,
            versions=tuple(sorted(versions, key=lambda version: version.number)),
            description=found.description or "",
        )

    def status(self) -> str:
        """Return the newest version's state in Kaggle's words: "ready", "failed", or a step on the way."""
        request = api.ApiGetDatasetStatusRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        answer = self._call("look at the state of the dataset", "get_dataset_status", request)
        return str(answer.status.name).lower()

    def files(self, number: int, folders: Iterator[str]) -> Mapping[str, int]:
        """List the files of a version.

        Args:
            number: Kaggle's number of it.
            folders: Folders to list one by one where the listing of the whole shows nothing in them.

        Returns:
            Size in bytes by path.
        """
        request = api.ApiListDatasetFilesRequest()
        found = dict(self._pages(request, number, "list_dataset_files", "dataset_files"))
        for folder in folders:
            if any(path.startswith(f"{folder}/") for path in found):
                continue
            tree = api.ApiListTreeDatasetFilesRequest()
            tree.path = folder
            try:
                listed = dict(self._pages(tree, number, "list_tree_dataset_files", "files"))
            except SiteError as error:
                if error.status != 404:
                    raise
                continue
            found |= {f"{folder}/{path.rpartition('/')[2]}": size for path, size in listed.items()}
        return found

    def _pages(self, request: Any, number: int, method: str, field: str) -> Iterator[tuple[str, int]]:
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        request.dataset_version_number, request.page_size = number, _PAGE_SIZE
        for _ in range(_MAX_PAGES):
            answer = self._call("list the files", method, request)
            if getattr(answer, "error_message", None):
                raise self._refused("list the files", answer.error_message)
            for file in getattr(answer, field):
                yield (file.name or "").strip("/"), file.total_bytes
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def download(self, number: int, path: str, file: BinaryIO, max_bytes: int) -> None:
        """Download one file of a version, unpacking what Kaggle packs on the way.

        Args:
            number: Kaggle's number of the version.
            path: Of the file in it.
            file: Where to write it: empty, and open for reading, too.
            max_bytes: How large it can be.

        Raises:
            SiteError: It cannot be had, or is larger.
        """
        request = api.ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        request.dataset_version_number, request.file_name = number, path

        end = self._limits.clock.seconds() + self._limits.download_seconds

        def save() -> None:
            file.seek(0)
            file.truncate()
            with self.build_kaggle_client() as kaggle:
                answer = kaggle.datasets.dataset_api_client.download_dataset(request)
                copy(self._until(end, arriving(answer)), file, max_bytes)
            unpack(file, max_bytes)

        self._ask(f"download {path}", save, end=end)

    def _until(self, end: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            if self._limits.clock.seconds() > end:
                raise SiteError("fetching a file takes too long", "run the same command again")

    # What changes it

    def send_files(self, folder: Path, state: UploadState, progress: Callable[[int], None]) -> Any:
        """Upload a folder's files, as many as its sub-folders hold, or what is missing of them.

        Args:
            folder: Holds nothing but what is to be sent.
            state: What has been sent already.
            progress: Is told how many bytes more are through; fewer where some must be sent again.

        Returns:
            The folder as a request names it.

        Raises:
            SiteError: A file could not be uploaded; the next run continues.
        """
        self._told = progress
        tree = api.ApiUploadDirectoryInfo()
        tree.name = folder.name
        try:
            with silence():
                self.upload_files(tree, None, str(folder), ApiBlobType.DATASET, state, quiet=True)
        except ValueError as error:
            message = f"Kaggle did not take all of a file: {self._clean(str(error))}"
            if self._failure is not None:
                message = f"{message} ({self._failure.problems[0].message})"
            raise SiteError(message, "run the same command again: it continues") from error
        tree.directories = [
            self.send_files(below, state, progress) for below in sorted(folder.iterdir()) if below.is_dir()
        ]
        return tree

    def create_dataset(self, tree: Any, page: KagglePage, description: str) -> None:
        """Ask once for a new dataset of uploaded files.

        Raises:
            SiteError: The site refuses, or (`is_unknown`) it is unknown whether it did it.
        """
        request = api.ApiCreateDatasetRequest()
        request.owner_slug, request.slug = self._owner, self._slug
        request.title, request.license_name, request.is_private = page.title, page.license, page.private
        self._create("create_dataset", request, request, tree, page, description)

    def create_version(self, tree: Any, page: KagglePage, description: str, notes: str) -> None:
        """Ask once for a new version of uploaded files, which replace all those of the version before.

        Raises:
            SiteError: The site refuses, or (`is_unknown`) it is unknown whether it did it.
        """
        request = api.ApiCreateDatasetVersionRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        request.body = api.ApiCreateDatasetVersionRequestBody()
        request.body.version_notes = notes
        self._create("create_dataset_version", request, request.body, tree, page, description)

    def _create(
        self, method: str, request: Any, body: Any, tree: Any, page: KagglePage, description: str
    ) -> None:
        what = "create the version" if body is not request else "create the dataset"
        body.files, body.directories = tree.files, tree.directories
        body.subtitle, body.description, body.category_ids = page.subtitle, description, list(page.keywords)
        answer = self._call(what, method, request, repeat=False)
        if answer.error or (answer.status or "").lower() != "ok":
            raise self._refused(what, answer.error or answer.status or "it does not say why")
        if answer.ref and not answer.ref.lower().endswith(self._dataset):
            raise self._refused(what, f"it has put the files into {answer.ref}")

    def update_page(self, description: str, page: KagglePage | None = None) -> None:
        """Set what the page shows; who may see it, and what else was set by hand, stays.

        Args:
            description: Its text.
            page: What stands around the text; if left out, that stays, too.

        Raises:
            SiteError: The site refuses, or does not answer.
        """
        request = api.ApiGetDatasetMetadataRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        there = self._call("read the metadata", "get_dataset_metadata", request)
        if there.error_message or there.info is None:
            raise self._refused("read the metadata", there.error_message or "there is none")
        settings = DatasetSettings()
        for name in _KEPT:
            setattr(settings, name, getattr(there.info, name))
        settings.description = description
        if page is not None:
            settings.title, settings.subtitle, settings.keywords = (
                page.title,
                page.subtitle,
                list(page.keywords),
            )
            settings.licenses = [SettingsLicense.from_dict({"name": page.license})]
        update = api.ApiUpdateDatasetMetadataRequest()
        update.owner_slug, update.dataset_slug, update.settings = self._owner, self._slug, settings
        answer = self._call("update the metadata", "update_dataset_metadata", update)
        if answer.errors:
            raise self._refused("update the metadata", "; ".join(map(str, answer.errors)))

    # What the client does by itself, within limits

    def build_kaggle_client(self) -> Any:
        """Return the HTTP client, with a limit on each wait: Kaggle's client has none to set."""
        client = super().build_kaggle_client()
        client.http_client().__enter__()  # makes the session
        for scheme in ("https://", "http://"):
            client.http_client()._session.mount(scheme, TimedAdapter(self._limits.times))
        return client

    def with_retry(self, func: Callable[[Any], T], *_: object, **__: object) -> Callable[[Any], T]:
        """Send the requests that the client repeats by itself as we repeat ours."""
        return lambda request: self._ask("begin an upload", lambda: func(request))

    def upload_complete(self, path: str, url: str, quiet: bool, resume: bool = False) -> int:  # noqa: ARG002
        """Send a file, or the rest of it; the client calls again as long as it is incomplete.

        Its own has no time limit, tries a hundred times, and prints errors.

        Args:
            path: The file.
            url: Where it goes; https://cloud.google.com/storage/docs/resumable-uploads says how.
            quiet: Not used: nothing is ever printed.
            resume: Whether some of it may be there.

        Returns:
            One of `ResumableUploadResult`'s constants.
        """
        end = self._limits.clock.seconds() + self._limits.upload_seconds
        may_continue = resume

        def send() -> int:
            nonlocal may_continue
            may_ask, may_continue = may_continue, True
            return self._send(Path(path), url, may_ask, end)

        try:
            return self._ask(f"send {Path(path).name}", send, end=end)
        except SiteError as failure:
            if failure.status not in (400, 401, 403, 404, 410):
                raise
            self._failure = failure
        return int(ResumableUploadResult.EXPIRED)  # the address, which is as good as a token

    def _send(self, path: Path, url: str, resume: bool, end: float) -> int:
        size, start = path.stat().st_size, 0
        if resume:
            answer = self._put(url, b"", {"Content-Range": f"bytes */{size}"})
            if answer.status_code in (200, 201):
                self._told(size)
                return int(ResumableUploadResult.COMPLETE)
            start = bytes_there(answer, size)
        body = Body(path, start, self._told, self._limits.clock, end)
        headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        try:
            self._told(start)
            answer = self._put(url, body if size > start else b"", headers)
        except BaseException:
            self._told(-start - body.sent)
            raise
        finally:
            body.close()
        if answer.status_code == 308:
            self._told(-start - body.sent)
            return int(ResumableUploadResult.INCOMPLETE)
        return int(ResumableUploadResult.COMPLETE)

    def _put(self, url: str, body: Any, headers: Mapping[str, str]) -> requests.Response:
        timeout = self._limits.times.connect_seconds, self._limits.times.read_seconds
        answer = requests.put(url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False)
        if answer.status_code not in (200, 201, 308):
            raise requests.HTTPError("", response=answer)
        return answer

    def _call(self, what: str, method: str, request: Any, *, repeat: bool = True) -> Any:
        def send() -> Any:
            with self.build_kaggle_client() as kaggle:
                return getattr(kaggle.datasets.dataset_api_client, method)(request)

        return self._ask(what, send, repeat=repeat)

    def _ask(self, what: str, send: Callable[[], T], *, repeat: bool = True, end: float | None = None) -> T:
        """Send a request, and again where it failed for a while and can be repeated without harm.

        Args:
            what: What it asks for, for messages.
            send: Sends it.
            repeat: Whether it may be sent twice where its outcome is not known.
            end: When no further try may begin, in seconds of the clock.
        """
        clock = self._limits.clock

        def send_once() -> T:
            try:
                with silence():
                    return send()
            except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
                failure = self._explain(what, error)  # they are ValueErrors, too
            except (ValueError, TypeError, KeyError, AttributeError):  # first: bad JSON is one of both kinds
                failure = SiteError(
                    f"Kaggle's answer to the request to {what} makes no sense",
                    "run the same command again, or see whether the kaggle client has a newer version",
                )
            except requests.RequestException as error:
                failure = self._explain(what, error)
            # What was turned away with 429 was not done, so even a version may be asked for again.
            failure.is_transient &= repeat or failure.status == 429
            raise failure  # outside of the handlers: their errors can hold secrets

        if end is None:
            end = clock.seconds() + self._limits.times.total_seconds
        return retry(send_once, self._limits.retry, clock, end)

    # What to say of failures

    def _refused(self, what: str, answer: str) -> SiteError:
        fix = "fix that, and run the same command again"
        return SiteError(
            f"Kaggle refused to {what}: {self._clean(answer)}", fix, status=400, code="host/refused"
        )

    def _explain(self, what: str, error: requests.RequestException) -> SiteError:
        again = "run the same command again: it continues"
        if error.response is None:
            unusable = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
            if isinstance(error, unusable) and getproxies():
                # Its text has the address, and that may have a password.
                message = f"the proxy in the environment cannot be used to {what}"
                return SiteError(message, "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or unset them")
            if isinstance(error, requests.Timeout):
                is_connect = isinstance(error, requests.ConnectTimeout)
                times = self._limits.times
                seconds = times.connect_seconds if is_connect else times.read_seconds
                message = f"Kaggle said nothing for {seconds:g} s when asked to {what}"
            else:
                message = f"the connection to Kaggle broke when it was asked to {what}"
            return SiteError(message, again, is_transient=is_transient_error(error))
        status, said = error.response.status_code, self._clean(str(error))
        asked_seconds = retry_after(error.response.headers.get("Retry-After", ""))
        asks = asks_to_wait(asked_seconds)
        if status == 401:
            message = f"Kaggle does not accept the credentials when asked to {what}: wrong, or expired"
            again = "make a new token in Kaggle's settings, and run the same command again: it continues"
        elif status == 403:
            message = f"Kaggle does not allow these credentials to {what}, if {self._dataset} is there at all"
            message = f"{message}: {said}" if said else message
            again = (
                "see that the owner's name is right and that the token may write; then run the command again"
            )
        elif status == 429:
            message = f"Kaggle is asked too often to {what}{asks}"
        elif status >= 500 and is_transient_status(status):
            message = f"Kaggle has a fault of its own ({status}) when asked to {what}{asks}"
        else:
            message = f"Kaggle answers {status} to the request to {what}: {said}"
            again = "fix that, and run the same command again: it continues"
        return SiteError(
            message,
            again,
            status=status,
            is_transient=is_transient_status(status),
            asked_seconds=asked_seconds,
        )

    def _clean(self, text: str) -> str:
        """Make what the site or the client says fit for a terminal: short, one line, and without secrets."""
        user, key = (
            str(self.config_values.get(name, "")) for name in (self.CONFIG_NAME_USER, self.CONFIG_NAME_KEY)
        )
        basic = base64.b64encode(f"{user}:{key}".encode()).decode()
        token = self.config_values.get(self.CONFIG_NAME_TOKEN)
        return redact(text, [key, token, os.environ.get("KAGGLE_API_TOKEN"), basic])
