"""The Hub's client with the limits that it lacks: on each wait, on each stage, on the number of tries.

The library's own client waits for ever for an answer, and sleeps as long as a Retry-After header says. It
never repeats some requests and repeats others six times. Here each request goes through one HTTP client that
ends a wait (`transport.py`), and `Hub.ask` repeats transient failures by the policy of `publish.network`.
Uploads to the Xet store use a client of their own (`xet.py`).
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import httpx2
from huggingface_hub import (
    HfApi,
    constants,
    get_session,
    get_token,
    hf_hub_url,
    is_offline_mode,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined] # public, though not marked so
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
    hf_raise_for_status,
)

from publish.hosts.hub.transport import LimitedClient, StageOverError, TransientError, make_plain_client
from publish.hosts.hub.xet import abort_xet, limit_xet, watch_xet
from publish.hosts.protocol import UNWATCHED
from publish.network import (
    Clock,
    RequestError,
    RetryPolicy,
    StalledError,
    TimeLimits,
    Watch,
    is_transient_error,
    longer_patience,
    redact,
    retry,
)
from schemas import KIT_VERSION
from schemas.problems import KitError, Problem, Reason, ReleaseError

T = TypeVar("T")
_QUOTA = re.compile(r"quota|storage|limit reached|exceed|too large|payment", re.IGNORECASE)
_XET_STATUS = re.compile(r"\((\d{3}) [A-Z]")
AGAIN = "run the same command again; what has arrived is not sent again"
_SIGN_IN = "make a token with write access, and put it into HF_TOKEN or use `hf auth login`"
_GO_ONLINE = "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often.

    Attributes:
        times: Limits of one request; `total_seconds` is how long a stage may take, apart from sending files.
        retry: How often a request is tried.
        min_bytes_per_second: Slowest upload that is waited for.
    """

    times: TimeLimits = field(default_factory=TimeLimits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    min_bytes_per_second: int = 50_000


class HubError(ReleaseError, RequestError):
    """The Hub did not do what it was asked.

    Attributes:
        status: HTTP status of its answer; None without an answer that can be read.
        is_transient: Whether another try may succeed. The request may have been carried out all the same.
        asked_seconds: How long it asks to wait; None if it does not say.
    """

    def __init__(
        self,
        problem: Problem,
        status: int | None = None,
        *,
        is_transient: bool = False,
        asked_seconds: float | None = None,
    ) -> None:
        super().__init__(problem)
        self.status, self.is_transient, self.asked_seconds = status, is_transient, asked_seconds


class Hub:
    """Speaks to the Hub about one repository.

    The token is the client's own: from `HF_TOKEN` or `hf auth login`. It is read when a stage begins, and is
    in no message.

    Args:
        repository: `namespace/name`.
        endpoint: The Hub's address; what `HF_ENDPOINT` or the client says if None.
        limits: Time limits and retries.
        clock: The time; the real one if None.
        note: Shows a line about a Hub that is silent; may be called from another thread.
        repo_type: Kind of the repository, "dataset" or "space".
    """

    def __init__(
        self,
        repository: str,
        endpoint: str | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        note: Callable[[str], object] = UNWATCHED.note,
        repo_type: str = constants.REPO_TYPE_DATASET,
    ) -> None:
        self.repository, self.repo_type, self.limits = repository, repo_type, limits or Limits()
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self.url = f"{self.endpoint}/{constants.REPO_TYPES_URL_PREFIXES[repo_type]}{repository}"
        self.token: str | None = None
        self._clock = clock or Clock()
        self._note = note
        self._told: Callable[[int], object] = _ignore
        self._doing, self._deadline = "", 0.0
        self.watch = self._make_watch()

    @contextmanager
    def stage(self, doing: str, num_bytes: int = 0) -> Iterator[None]:
        """Yield the client its limits for one stage.

        Args:
            doing: What the stage does, for messages.
            num_bytes: Bytes that it may have to send, which give it more time.

        Raises:
            ReleaseError: The client is set to work offline, or its token cannot be had.
        """
        if is_offline_mode():
            raise ReleaseError(self._problem("the client is set to work offline", _GO_ONLINE))
        limit_xet()
        times = self.limits.times
        seconds = max(times.total_seconds, times.patience_seconds)
        seconds += num_bytes / self.limits.min_bytes_per_second
        self._doing, self._deadline = doing, self._clock.seconds() + seconds
        watch = self.watch = self._make_watch()
        had_bars = not are_progress_bars_disabled()
        set_client_factory(lambda: LimitedClient(times, watch, self._check_time, self._flow))
        disable_progress_bars()
        try:
            self.token = self._read_token()
            with watch, watch_xet(self._flow):
                yield
        finally:
            if had_bars:
                enable_progress_bars()
            # The next user of the library has a limit, too, and the errors that the library knows.
            set_client_factory(lambda: make_plain_client(times))

    def ask(self, call: Callable[[HfApi], T], *, repeat: bool = True) -> T:
        """Return what a call of the client returns; repeat it after transient failures.

        Args:
            call: Sends one or more requests.
            repeat: Whether to try again after a transient failure. False for writes that are only repeated
                after a look.

        Raises:
            HubError: The call failed, or its result is unknown.
        """
        policy = self.limits.retry if repeat else replace(self.limits.retry, tries=1)
        return self._retry(lambda: self._call(call), policy)

    def retry(self, step: Callable[[], T]) -> T:
        """Return what a step returns; do it again after a `HubError` that is transient.

        Args:
            step: Looks at the Hub, and writes once.

        Raises:
            HubError: The step failed, or its result is unknown.
        """
        return self._retry(step, self.limits.retry)

    def pause(self) -> None:
        """Wait before another try of a step whose failure names no time."""
        self._clock.sleep(self.limits.retry.first_wait_seconds)

    @contextmanager
    def count_sent(self, told: Callable[[int], object]) -> Iterator[None]:
        """Yield with `told` called for each piece of a large file that is sent, with its size in bytes."""
        self._told = told
        try:
            yield
        finally:
            self._told = _ignore

    def read(self, path: str, revision: str, max_bytes: int, take: Callable[[bytes], object]) -> None:
        """Download one file, piece by piece.

        Args:
            path: Its path in the repository.
            revision: A commit's sha.
            max_bytes: Where to stop reading: a longer file is wrong in any case.
            take: Called with each piece.
        """
        url = hf_hub_url(
            self.repository, path, repo_type=self.repo_type, revision=revision, endpoint=self.endpoint
        )
        headers = {**build_hf_headers(token=self.token or False), "Accept-Encoding": "identity"}
        with get_session().stream("GET", url, headers=headers) as response:
            hf_raise_for_status(response)
            size = 0
            for piece in response.iter_bytes():
                take(piece)
                size += len(piece)
                if size > max_bytes:
                    return

    @property
    def longer(self) -> str:
        """How to wait for longer than this stage did."""
        return longer_patience(self.limits.times)

    def tell(self, text: str) -> None:
        """Show a line about the present stage; may be called from another thread."""
        self._note(f"hub: {self.redact(text)}")

    def redact(self, text: str) -> str:
        """Return a text of another program for a message: in one line, without the token, not too long."""
        return redact(text, [self.token])

    def _call(self, call: Callable[[HfApi], T]) -> T:
        api = HfApi(
            endpoint=self.endpoint,
            token=self.token or False,
            library_name="sfhq-release-kit",
            library_version=KIT_VERSION,
        )
        try:
            return self.watch.run(lambda: call(api), abort_xet)
        except HubError:
            raise
        except ReleaseError as error:
            raise HubError(error.problems[0]) from error
        except KitError:
            raise
        except Exception as error:  # the library's: an answer may be anything
            raise self._explain(error) from error

    def _retry(self, step: Callable[[], T], policy: RetryPolicy) -> T:
        try:
            return retry(step, policy, self._clock, self._deadline, self.watch)
        except HubError as error:
            if not error.needs_patience:
                raise
            problem = replace(error.problems[0], fix=self.longer)
            raise HubError(problem, error.status) from error

    def _make_watch(self) -> Watch:
        return Watch(self._doing, self.limits.times, self.tell, self._clock)

    def _check_time(self) -> None:
        self.watch.check()
        if self._clock.seconds() > self._deadline:
            raise StageOverError

    def _flow(self, num_bytes: int) -> None:
        """Take note of bytes of a file that were sent."""
        self.watch.flow()
        self._told(num_bytes)

    def _read_token(self) -> str | None:
        try:
            return get_token()
        except Exception as error:  # signing in without a stored token can fail in many ways
            problem = self._problem(
                f"the client cannot get its token: {type(error).__name__}", _SIGN_IN, "host/sign-in"
            )
            raise ReleaseError(problem) from error

    def _problem(self, message: str, fix: str, code: str = "host/unreachable") -> Problem:
        return Problem(Reason.RELEASE, message, file=self.url, fix=fix, code=code)

    def _explain(self, error: Exception) -> HubError:
        """Return in one sentence what went wrong, and what to do."""
        chain = list(_chain(error))
        for cause in chain:
            if isinstance(cause, (StalledError, StageOverError)):
                return self._ended(cause)
            if isinstance(cause, TransientError):
                problem = self._problem(f"{cause} while {self._doing}", AGAIN)
                return HubError(problem, cause.status, is_transient=True, asked_seconds=cause.asked_seconds)
            if isinstance(cause, httpx2.TransportError):
                problem = self._problem(f"the connection broke while {self._doing}", AGAIN)
                return HubError(problem, is_transient=is_transient_error(cause))
            if isinstance(cause, HfHubHTTPError):
                said, status = self.redact(cause.server_message or ""), cause.response.status_code
                is_elsewhere = not str(cause.response.url).startswith(f"{self.endpoint}/")
                if is_elsewhere and status in (401, 403) and not _QUOTA.search(said):
                    problem = self._problem("the address of a file in the store has expired", AGAIN)
                    return HubError(problem, status, is_transient=True)
                return self._refused(status, said)
        return self._strange(chain[0])

    def _ended(self, error: StalledError | StageOverError) -> HubError:
        if isinstance(error, StalledError):
            return HubError(self._problem(str(error), self.longer, "host/silent"))
        return HubError(self._problem(f"{self._doing} took too long and was ended", AGAIN))

    def _refused(self, status: int, said: str) -> HubError:
        quoted = f" ({said})" if said else ""
        namespace, code = self.repository.partition("/")[0], "host/unreachable"
        if status in (402, 413, 507) or (status == 403 and _QUOTA.search(said)):
            message = f"the Hub takes no more data{quoted}"
            fix, code = f"free or buy space, or ask the Hub for more, then {AGAIN}", "host/no-space"
        elif status == 401 and self.token is None:
            message = "the Hub wants a token, and none is set"
            fix, code = f"{_SIGN_IN}, then {AGAIN}", "host/sign-in"
        elif status == 401:
            message = "the token is wrong or has expired"
            fix, code = f"{_SIGN_IN}, then {AGAIN}", "host/sign-in"
        elif status == 403:
            message = f"the token may not do this: it only reads, or has no rights in {namespace}{quoted}"
            fix, code = f"{_SIGN_IN}, then {AGAIN}", "host/no-rights"
        elif status == 404:
            message = f"the Hub has nothing at this address, or does not show it to this token{quoted}"
            fix, code = "see that the repository's name is right and that it still exists", "host/not-found"
        else:
            message, fix = f"the Hub answers {status} while {self._doing}{quoted}", AGAIN
        return HubError(self._problem(message, fix, code), status)

    def _strange(self, error: BaseException) -> HubError:
        said = self.redact(str(error))
        # The Xet library's own errors; local files give these with a file name.
        is_xet = isinstance(error, OSError) and error.filename is None
        found = _XET_STATUS.search(said) if is_xet else None
        if type(error).__name__ == "XetAuthenticationError" or (found and found[1] == "401"):
            return HubError(
                self._problem("the upload's token has expired or is not accepted", AGAIN, "host/sign-in"), 401
            )
        if found and found[1] in ("402", "403", "413", "507"):
            return self._refused(int(found[1]), said)
        if is_transient_error(error):
            return HubError(self._problem(f"the upload broke off ({said})", AGAIN), is_transient=True)
        if isinstance(error, OSError) and error.filename is not None:
            message = f"{error.filename} cannot be read: {error.strerror}"
            return HubError(
                self._problem(self.redact(message), "see what happened to the file", "run/system")
            )
        if "LFS batch" in said and _QUOTA.search(said):
            return self._refused(403, said)
        message = f"the Hub's answer cannot be used while {self._doing} ({type(error).__name__}: {said})"
        return HubError(self._problem(message, AGAIN), is_transient=True)


def _ignore(_: int) -> object:
    """Count nothing."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it; the library wraps errors of its threads."""
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
