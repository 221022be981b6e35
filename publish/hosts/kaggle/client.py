"""The kaggle client, with what it lacks: time limits, bounded patience, silence, and errors as sentences.

Its import signs in over the network: only `publish.hosts.kaggle.access` imports this module, under a limit.
What it already does well is left to it: the store of credentials, upload state, requests and their types.
"""

import base64
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from kaggle.api.kaggle_api_extended import KaggleApi
from kaggle.models.kaggle_models_extended import ResumableUploadResult
from kagglesdk import get_access_token_from_env
from kagglesdk.blobs.types.blob_api_service import ApiBlobType
from kagglesdk.datasets.types import dataset_api_service as api
from kagglesdk.datasets.types.dataset_types import DatasetSettings, SettingsLicense
from kagglesdk.users.types.users_enums import CollaboratorType

from publish.hosts.kaggle.access import Limits, Note, SiteError, silence
from publish.hosts.kaggle.asking import Asker, Words, senseless
from publish.hosts.kaggle.contents import RemoteDataset, RemoteVersion
from publish.hosts.kaggle.page import KagglePage
from publish.hosts.kaggle.storage import DifferentBytesError, Storage
from publish.hosts.kaggle.transfer import TimedAdapter, UploadState, arriving, before_body, copy, unpack

T = TypeVar("T")
_PAGE_SIZE, _MAX_PAGES = 200, 1000
_SIGN_INS = 2  # the client takes an answer that is none for a refusal
# An update of the metadata sets all of it: what it leaves out is emptied, and a private dataset made public.
_KEPT = (
    *("title", "subtitle", "keywords", "licenses", "is_private", "collaborators", "data"),
    *("user_specified_sources", "expected_update_frequency"),
)


class Client(KaggleApi):  # type: ignore[misc] # it is not typed
    """Speaks with Kaggle about one dataset.

    Args:
        dataset: As "owner/slug".
        limits: How long to wait for what.
        note: Shows a line about a site that is silent; may be called from another thread.
    """

    def __init__(self, dataset: str, limits: Limits, note: Note) -> None:
        super().__init__()
        self._dataset = dataset
        self._owner, _, self._slug = dataset.partition("/")
        self._words = Words(dataset, limits.times, self._secrets)
        self._asker = Asker(limits, self._words, note)
        self._limits = limits
        self._told: Callable[[int], None] = lambda _: None
        self._digests: Mapping[str, str] = {}
        self._uploads = UploadState(Path())
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
        for _ in range(_SIGN_INS):
            try:
                self._asker.ask("sign in", self.authenticate)
            except SystemExit:
                continue
            return
        raise self._no_credentials()

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
    def user(self) -> str:
        """Name of the signed-in user."""
        return str(self.config_values.get(self.CONFIG_NAME_USER, "")).lower()

    def role(self) -> str | None:
        """Return the user's role: "owner", "admin", "writer", "reader"; None where Kaggle does not say it."""
        if self.user == self._owner.lower():
            return "owner"
        try:
            found = self._metadata()
        except SiteError as error:
            if error.status in (400, 403, 404):  # not shown to everybody
                return None
            raise
        roles = {each.username.lower(): each.role for each in found.collaborators or () if each.username}
        role = roles.get(self.user, CollaboratorType.COLLABORATOR_TYPE_UNSPECIFIED)
        return None if role is CollaboratorType.COLLABORATOR_TYPE_UNSPECIFIED else role.name.lower()

    def _metadata(self) -> Any:
        """Read the settings of the dataset."""
        request = api.ApiGetDatasetMetadataRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        what = "read the metadata"

        def read() -> Any:
            answer = self._send("get_dataset_metadata", request)
            if answer.error_message:
                raise self._words.refused(what, answer.error_message)
            # Settings of another dataset, or none, would be written into this one.
            info = answer.info
            if info is None or not _is_of(self._slug, info.dataset_slug, info.title):
                raise senseless(what)
            return info

        return self._asker.ask(what, read)

    def dataset(self) -> RemoteDataset | None:
        """Look at the dataset; None if there is none that these credentials may see."""
        request = api.ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        what = "look at the dataset"

        def look() -> Any:
            answer = self._send("get_dataset", request)
            if not _is_of(self._dataset, (answer.ref or "").strip("/"), answer.title):
                raise senseless(what)
            return answer

        try:
            found = self._asker.ask(what, look)
        except SiteError as error:
            # Kaggle answers 403 for missing and hidden datasets alike. Treat both as missing: creation fails
            # if it exists, and the upload is kept for the next run.
            if error.status in (403, 404):
                return None
            raise
        versions = (
            RemoteVersion(v.version_number, v.version_notes or "", v.status or "", v.creator_ref or "")
            for v in found.versions
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

    def files(self, number: int, folders: Collection[str]) -> Mapping[str, int]:
        """List the files of a version.

        Args:
            number: Kaggle's number of it.
            folders: Folders to list one by one where the listing of the whole shows nothing in them.

        Returns:
            Size in bytes by path.
        """
        # A release has files: a listing without any is no listing.
        for _ in range(self._limits.retry.tries):
            if listed := self._files(number, folders):
                return listed
            self._limits.clock.sleep(self._limits.poll_seconds)
        raise senseless("list the files")

    def _files(self, number: int, folders: Collection[str]) -> dict[str, int]:
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
                raise self._words.refused("list the files", answer.error_message)
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

        self._asker.ask(f"download {path}", save, end=end)

    def _until(self, end: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._asker.watch.flow()
            yield chunk
            if self._limits.clock.seconds() > end:
                raise SiteError("fetching a file takes too long", "run the same command again")

    def _secrets(self) -> Iterator[str | None]:
        """Yield what no message may hold."""
        user, key, token = (
            str(self.config_values.get(name) or "")
            for name in (self.CONFIG_NAME_USER, self.CONFIG_NAME_KEY, self.CONFIG_NAME_TOKEN)
        )
        basic = base64.b64encode(f"{user}:{key}".encode()).decode()
        yield from (key, token, os.environ.get("KAGGLE_API_TOKEN"), basic)

    # What changes it

    def send_files(
        self, digests: Mapping[Path, str], folder: Path, state: UploadState, progress: Callable[[int], None]
    ) -> Any:
        """Upload a folder's files, as many as its sub-folders hold, or what is missing of them.

        Args:
            digests: SHA-256 of each file that is to be sent, by its path.
            folder: Holds nothing else.
            state: What has been sent already.
            progress: Is told how many bytes more are through; fewer where some must be sent again.

        Returns:
            The folder as a request names it.

        Raises:
            SiteError: A file could not be uploaded, or is not as it should be; the next run continues.
        """
        self._digests = {str(path): digest for path, digest in digests.items()}
        self._told, self._uploads = progress, state
        return self._send_folder(folder)

    def _send_folder(self, folder: Path) -> Any:
        tree = api.ApiUploadDirectoryInfo()
        tree.name = folder.name
        try:
            with silence():
                self.upload_files(tree, None, str(folder), ApiBlobType.DATASET, self._uploads, quiet=True)
        except ValueError as error:
            message = f"Kaggle did not take all of a file: {self._words.clean(str(error))}"
            if self._failure is not None:
                message = f"{message} ({self._failure.problems[0].message})"
            raise SiteError(message, "run the same command again: it continues") from error
        tree.directories = [self._send_folder(below) for below in sorted(folder.iterdir()) if below.is_dir()]
        return tree

    def create_dataset(
        self, tree: Any, page: KagglePage, description: str, before: Callable[[], None]
    ) -> None:
        """Ask once for a new dataset of uploaded files.

        Args:
            tree: The files.
            page: What Kaggle shows around them.
            description: The text of the page.
            before: Is called right before the request is written to the network.

        Raises:
            SiteError: The site refuses, or (`is_unknown`) it is unknown whether it did it.
        """
        request = api.ApiCreateDatasetRequest()
        request.owner_slug, request.slug = self._owner, self._slug
        request.title, request.license_name, request.is_private = page.title, page.license, page.private
        self._create("create_dataset", request, request, (tree, page, description), before)

    def create_version(
        self, tree: Any, page: KagglePage, description: str, notes: str, before: Callable[[], None]
    ) -> None:
        """Ask once for a new version of uploaded files, which replace all those of the version before.

        Args:
            tree: The files.
            page: What Kaggle shows around them.
            description: The text of the page.
            notes: What the list of versions says of it.
            before: Is called right before the request is written to the network.

        Raises:
            SiteError: The site refuses, or (`is_unknown`) it is unknown whether it did it.
        """
        request = api.ApiCreateDatasetVersionRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        request.body = api.ApiCreateDatasetVersionRequestBody()
        request.body.version_notes = notes
        self._create("create_dataset_version", request, request.body, (tree, page, description), before)

    def _create(
        self,
        method: str,
        request: Any,
        body: Any,
        content: tuple[Any, KagglePage, str],
        before: Callable[[], None],
    ) -> None:
        what = "create the version" if body is not request else "create the dataset"
        (tree, page, body.description), is_written = content, False
        body.files, body.directories = tree.files, tree.directories
        body.subtitle, body.category_ids = page.subtitle, list(page.keywords)

        def note_writing() -> None:
            nonlocal is_written
            self._asker.watch.check()  # a request that was given up must not go out after all
            is_written = True
            before()

        with before_body(note_writing):
            answer = self._asker.ask(
                what, lambda: self._send(method, request), may_repeat=lambda: not is_written
            )
        if answer.error:
            raise self._words.refused(what, answer.error)
        is_other = answer.ref and not answer.ref.lower().endswith(self._dataset.lower())
        if (answer.status or "").lower() != "ok" or is_other:
            raise senseless(what)  # so Kaggle may have done it, or not

    def update_page(self, description: str, page: KagglePage | None = None) -> None:
        """Set what the page shows; who may see it, and what else was set by hand, stays.

        Args:
            description: Its text.
            page: What stands around the text; if left out, that stays, too.

        Raises:
            SiteError: The site refuses, or does not answer.
        """
        there = self._metadata()
        settings = DatasetSettings()
        for name in _KEPT:
            setattr(settings, name, getattr(there, name))
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
            raise self._words.refused("update the metadata", "; ".join(map(str, answer.errors)))

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
        return lambda request: self._asker.ask("begin an upload", lambda: func(request))

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
        storage, expected, may_continue = Storage(self._limits, self._tell_sent), self._digests[path], resume
        if not url.startswith(("https://", "http://")):
            return int(ResumableUploadResult.EXPIRED)  # the answer that began this upload was none

        def send() -> tuple[int, bool]:
            nonlocal may_continue
            may_ask, may_continue = may_continue, True
            return storage.send(Path(path), url, expected, resumes=may_ask, end=end)

        try:
            result, is_proven = self._asker.ask(f"send {Path(path).name}", send, end=end)
        except DifferentBytesError:
            self._uploads.begin_anew(path)
            raise
        except SiteError as failure:
            if failure.status not in (400, 401, 403, 404, 410):
                raise
            self._failure = failure
            return int(ResumableUploadResult.EXPIRED)  # the address, which is as good as a token
        if not is_proven:
            self._uploads.mark_unproven(path)
        return result

    def _tell_sent(self, num_bytes: int) -> None:
        self._asker.watch.flow()
        self._told(num_bytes)

    def _call(self, what: str, method: str, request: Any) -> Any:
        return self._asker.ask(what, lambda: self._send(method, request))

    def _send(self, method: str, request: Any) -> Any:
        with self.build_kaggle_client() as kaggle:
            return getattr(kaggle.datasets.dataset_api_client, method)(request)


def _is_of(asked: str, named: str | None, title: str | None) -> bool:
    """Return whether an answer speaks of what was asked for: it names that, or nothing but a title."""
    return named.lower() == asked.lower() if named else bool(title)
