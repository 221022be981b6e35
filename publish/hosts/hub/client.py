"""The Hub's client with limits that it lacks: on each wait, on each stage, on the number of tries.

By itself the client waits for ever for an answer, sleeps as long as a Retry-After header says, and never
repeats some requests while it repeats others six times. Here every request goes through one HTTP client that
ends a wait, and `Hub.ask` repeats what is transient by the policy of `publish.network`. Uploads to the Xet
store do not use that client; they have time limits and retries of their own, and fail into the same place.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

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
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import (  # type: ignore[attr-defined] # public, though not marked so
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
    hf_raise_for_status,
    parse_ratelimit_headers,
)

from publish.network import (
    Clock,
    RequestError,
    RetryPolicy,
    TimeLimits,
    asks_to_wait,
    is_transient_error,
    is_transient_status,
    redact,
    retry,
    retry_after,
)
from schemas import KIT_VERSION
from schemas.problems import KitError, Problem, Reason, ReleaseError, printable

T = TypeVar("T")
_QUOTA = re.compile(r"quota|storage|limit reached|exceed|too large|payment", re.IGNORECASE)
_XET_STATUS = re.compile(r"\((\d{3}) [A-Z]")
AGAIN = "run the same command again; what has arrived is not sent again"
_SIGN_IN = "make a token with write access, and put it into HF_TOKEN or use `hf auth login`"
_PROXY = (
    "correct HTTPS_PROXY, HTTP_PROXY and ALL_PROXY: http://host:port, with other characters than letters and "
    "digits of a name or password as %XX"
)
_GO_ONLINE = "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"
# Beside our own tries of a whole upload: the Xet library would wait five minutes for each answer.
_XET_LIMITS = {"HF_XET_CLIENT_READ_TIMEOUT": "90s", "HF_XET_CLIENT_CONNECT_TIMEOUT": "30s"}


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
        status: Of its answer; None where it gave none that can be read.
        is_transient: It may go better another time; what was asked may even have been done.
        asked_seconds: How long it asks to wait; None where it does not say.
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


class _TransientError(Exception):
    """One request came to nothing. Not an error of httpx2's, so the library does not try again by itself."""

    def __init__(self, message: str, status: int | None = None, asked_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status, self.asked_seconds = status, asked_seconds


class _StageOverError(Exception):
    """The stage has taken longer than it may."""


class Hub:
    """Speaks to the Hub about one dataset repository.

    The token is the client's own: from `HF_TOKEN` or `hf auth login`. It is read when a stage begins, and is
    in no message.

    Args:
        repository: `namespace/name`.
        endpoint: The Hub's address; what `HF_ENDPOINT` or the client says if None.
        limits: Time limits and retries.
        clock: The time; the real one if None.
    """

    def __init__(
        self,
        repository: str,
        endpoint: str | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.repository, self.limits = repository, limits or Limits()
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self.token: str | None = None
        self._clock = clock or Clock()
        self._doing, self._deadline = "", 0.0

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
        for name, value in _XET_LIMITS.items():
            os.environ.setdefault(name, value)
        seconds = self.limits.times.total_seconds + num_bytes / self.limits.min_bytes_per_second
        self._doing, self._deadline = doing, self._clock.seconds() + seconds
        had_bars = not are_progress_bars_disabled()
        set_client_factory(lambda: _LimitedClient(self.limits.times, self._check_time))
        disable_progress_bars()
        try:
            self.token = self._read_token()
            yield
        finally:
            if had_bars:
                enable_progress_bars()
            # The next user of the library has a limit, too, and the errors that the library knows.
            set_client_factory(lambda: _plain_client(self.limits.times))

    def ask(self, call: Callable[[HfApi], T], *, repeat: bool = True) -> T:
        """Have the client do something that may be done twice, until it is done or given up.

        Args:
            call: What to do.
            repeat: Whether to try again what is transient. False for what must not be done twice blindly.

        Raises:
            HubError: It is not done, or that is unknown.
        """
        policy = self.limits.retry if repeat else replace(self.limits.retry, tries=1)
        return retry(lambda: self._call(call), policy, self._clock, self._deadline)

    def retry(self, step: Callable[[], T]) -> T:
        """Return what a step returns; do it again after a `HubError` that is transient.

        Args:
            step: Looks at what is there, and asks once for what must not be done twice blindly.

        Raises:
            HubError: It is not done, or that is unknown.
        """
        return retry(step, self.limits.retry, self._clock, self._deadline)

    def pause(self) -> None:
        """Wait before something is tried once more that says nothing of when."""
        self._clock.sleep(self.limits.retry.first_wait_seconds)

    def read(self, path: str, revision: str, max_bytes: int, take: Callable[[bytes], object]) -> None:
        """Download one file, piece by piece.

        Args:
            path: Its path in the repository.
            revision: A commit's sha.
            max_bytes: Where to stop reading: what is longer than it should be is wrong anyway.
            take: Called with each piece.
        """
        url = hf_hub_url(
            self.repository, path, repo_type="dataset", revision=revision, endpoint=self.endpoint
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
            return call(api)
        except KitError:
            raise
        except Exception as error:  # whatever the library makes of an answer, which may be anything
            raise self._explain(error) from error

    def _check_time(self) -> None:
        if self._clock.seconds() > self._deadline:
            raise _StageOverError

    def _read_token(self) -> str | None:
        try:
            return get_token()
        except Exception as error:  # signing in without a stored token can fail in many ways
            problem = self._problem(
                f"the client cannot get its token: {type(error).__name__}", _SIGN_IN, "host/sign-in"
            )
            raise ReleaseError(problem) from error

    def _problem(self, message: str, fix: str, code: str = "host/unreachable") -> Problem:
        place = f"{self.endpoint}/datasets/{self.repository}"
        return Problem(Reason.RELEASE, message, file=place, fix=fix, code=code)

    def _explain(self, error: Exception) -> HubError:
        """Return in one sentence what went wrong, and what to do."""
        chain = list(_chain(error))
        for cause in chain:
            if isinstance(cause, _StageOverError):
                message = f"{self._doing} took too long and was ended"
                return HubError(self._problem(message, AGAIN))
            if isinstance(cause, _TransientError):
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
            message = f"there is no such thing, or the token may not see it{quoted}"
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
        return HubError(self._problem(message, AGAIN))


def _timeout(times: TimeLimits) -> httpx2.Timeout:
    return httpx2.Timeout(times.read_seconds, connect=times.connect_seconds, pool=None)


def _plain_client(times: TimeLimits) -> httpx2.Client:
    return httpx2.Client(
        follow_redirects=True,
        timeout=_timeout(times),
        verify=_certificates(),
        event_hooks={"request": [_refuse_offline]},
    )


def _refuse_offline(_: httpx2.Request) -> None:
    if is_offline_mode():
        raise OfflineModeIsEnabled("offline mode is set")


class _LimitedClient(httpx2.Client):
    """The HTTP client that the library is given: it ends what takes too long and says what may pass.

    Proxies and certificates named by the environment are used.

    Raises:
        HubError: The environment names a proxy that cannot be used.
    """

    def __init__(self, times: TimeLimits, check_time: Callable[[], None]) -> None:
        certificates = _certificates()
        try:
            super().__init__(follow_redirects=True, timeout=_timeout(times), verify=certificates)
        except (httpx2.InvalidURL, ValueError, ImportError):  # the last where support for SOCKS is missing
            # Without the library's reason: it may quote a part of the proxy's password.
            message = "the proxy in the environment cannot be used"
            raise HubError(Problem(Reason.RELEASE, message, fix=_PROXY, code="host/unreachable")) from None
        self._times, self._check_time = times, check_time

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request.

        Raises:
            _TransientError: No answer, or one that says to try again.
            _StageOverError: There is no time left.
        """
        if is_offline_mode():
            raise OfflineModeIsEnabled("offline mode is set")
        self._check_time()
        where = printable(f"{request.method} {request.url.path}")  # the query may hold a signature
        # Whatever the client's limit is, some of the library's requests ask for none, others for a short one.
        request.extensions = {**request.extensions, "timeout": self._limit(request)}
        try:
            response = super().send(request, stream=True, **options)
            response.stream = _Timed(response.stream, self._check_time)
            if not stream or is_transient_status(response.status_code):
                _read(response)
        except httpx2.TransportError as error:
            if not is_transient_error(error):
                raise
            if isinstance(error, httpx2.TimeoutException):
                seconds = self._silence_seconds(error)
                raise _TransientError(f"no answer for {seconds:g} s to {where}") from error
            raise _TransientError(f"the connection broke at {where}") from error
        if is_transient_status(response.status_code):
            message = f"the Hub answered {response.status_code} to {where}"
            asked_seconds = _asked_seconds(response.headers)
            raise _TransientError(message + asks_to_wait(asked_seconds), response.status_code, asked_seconds)
        response.headers.pop("X-HF-Warning", None)  # the library would print it as it is
        return response

    def _silence_seconds(self, error: httpx2.TimeoutException) -> float:
        is_connect = isinstance(error, httpx2.ConnectTimeout)
        return self._times.connect_seconds if is_connect else self._times.read_seconds

    def _limit(self, request: httpx2.Request) -> dict[str, float | None]:
        asked, own = request.extensions.get("timeout", {}), self.timeout.as_dict()
        return {
            name: min((each for each in (own[name], asked.get(name)) if each is not None), default=None)
            for name in own
        }


class _Timed(httpx2.SyncByteStream):
    """A body that ends when the stage does."""

    def __init__(self, stream: Any, check_time: Callable[[], None]) -> None:
        self._stream, self._check_time = stream, check_time

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._check_time()
            yield piece

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._stream.close()


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # takes longer than a request


def _read(response: httpx2.Response) -> None:
    try:
        response.read()
    except BaseException:
        response.close()
        raise


def _asked_seconds(headers: httpx2.Headers) -> float | None:
    """Read how long the Hub asks to wait: seconds, a date, or the rest of a window whose rate is used up."""
    asked = retry_after(headers.get("Retry-After", ""))
    if asked is not None:
        return asked
    rate = parse_ratelimit_headers(headers)
    return float(rate.reset_in_seconds) if rate is not None and rate.remaining == 0 else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it; the library wraps errors of its threads."""
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
