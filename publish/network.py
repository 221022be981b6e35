"""One policy of retries, one set of time limits, and one way to keep secrets out of messages.

A client raises a `RequestError` for a request that failed, in its own words. `retry` decides whether it calls
again, and when. No other module of `publish` sleeps before it repeats a request.

`Watch` watches one stage of work with a host: it reports silence, and ends a stage in which nothing moves.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx2
import stamina
from stamina.instrumentation import set_on_retry_hooks

from schemas.problems import printable

T = TypeVar("T")
# Servers answer these when the same request can succeed later: 408 timeout, 425 too early, 429 too many.
_TRANSIENT = frozenset({408, 425, 429})
# 5xx that another try does not change: not implemented, HTTP version, misconfigured, no storage left, loop,
# missing extension, sign-in of the network (a captive portal).
_LASTING = frozenset({501, 505, 506, 507, 508, 510, 511})
_MAX_MESSAGE_CHARACTERS = 300
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_QUERY = re.compile(r"\?[^\s'\"]+")
_REPORT_SECONDS = 45.0  # a minute of silence looks like a program that hangs
_FLOW_GAP_SECONDS = 30.0
_TICK_SECONDS = 0.5
_LONG_WAIT_SECONDS = 10.0  # shorter ones are not worth a line

# By default stamina logs every retry as a warning, with the error, which Python prints to the terminal. The
# clients' own messages report waits, without secrets.
set_on_retry_hooks(())


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a request may take, in seconds, each above 0.

    Attributes:
        connect_seconds: Until a connection stands.
        read_seconds: How long a server may send nothing. The Hub ends a commit by itself after 60 s.
        total_seconds: From the first try to the end of the last one, with the waits between them.
        patience_seconds: How long a stage may go on without progress; `--patience` sets it. See `Watch`.
    """

    connect_seconds: float = 30
    read_seconds: float = 90
    total_seconds: float = 1800
    patience_seconds: float = 300


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is tried, and how long the waits between are.

    The wait before try n + 1 is `first_wait_seconds` times 2^(n - 1), plus a random part, at most
    `max_wait_seconds`; or what the server asks for, if that is longer.

    Attributes:
        tries: How often a request is sent before it is given up, 1 or more.
        first_wait_seconds: Wait before the second try, 0 or more.
        max_wait_seconds: Longest wait that the server did not ask for.
        jitter_seconds: Largest random part of a wait, so that clients that failed together do not return
            together.
        max_asked_seconds: Longest wait that a server may ask for; a longer one ends the tries. The Hub counts
            its rates over five minutes.
    """

    tries: int = 5
    first_wait_seconds: float = 1
    max_wait_seconds: float = 60
    jitter_seconds: float = 1
    max_asked_seconds: float = 360

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError("tries must be 1 or more")


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, which tests replace.

    Attributes:
        seconds: Returns seconds that only grow.
        unix_seconds: Returns seconds since 1970, for what a later run must know.
        sleep: Waits for so many seconds.
    """

    seconds: Callable[[], float] = time.monotonic
    unix_seconds: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


class RequestError(Exception):
    """A request failed. Clients derive their errors from it.

    Attributes:
        status: HTTP status; None where no answer came.
        is_transient: Whether the same request may succeed later.
        asked_seconds: How long the server asks to wait; None where it does not say.
        num_tries: How often the request was sent.
        needs_patience: Whether there was no other try because the next wait is longer than the stage's
            patience.
    """

    status: int | None = None
    is_transient: bool = False
    asked_seconds: float | None = None
    num_tries: int = 1
    needs_patience: bool = False


class StalledError(RequestError):
    """A stage was ended because nothing has moved for as long as its patience."""


class Watch:
    """Watches one stage: reports silence, and ends the stage when nothing moves. Use it in a `with`.

    A thread reports every 45 seconds of silence, while the stage waits for an answer, between two tries, or
    for a library that repeats its requests. `run` leaves behind a call that cannot be interrupted.

    Silence is time without bytes, from one success (`succeed`) to the next. Bytes that flow (`flow`) stop
    the count without setting it back: a host may take every byte of a file, and fail each time.

    Args:
        doing: What the stage does, such as "sending files".
        times: `patience_seconds` is the longest silence.
        note: Shows a line to a person; may be called from another thread.
        clock: The time; the real one if None.
    """

    def __init__(
        self, doing: str, times: TimeLimits, note: Callable[[str], object], clock: Clock | None = None
    ) -> None:
        self._doing, self._patience, self._note = doing, times.patience_seconds, note
        self._clock = clock or Clock()
        self._silent, self._last, self._told = 0.0, self._clock.seconds(), 0.0
        self._awaited, self._try = "", ""
        self._is_over = False
        self._lock, self._left = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._report, name="watch", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._is_over = True  # a thread that `run` has left behind sends nothing more

    def succeed(self) -> None:
        """Take note of a success: a request, a file or a config is done."""
        with self._lock:
            self._silent, self._last, self._told = 0.0, self._clock.seconds(), 0.0

    def flow(self) -> None:
        """Take note of bytes that flow, though what they are for may still fail."""
        with self._lock:
            now = self._clock.seconds()
            gap = now - self._last
            # A slow line has gaps between pieces. The Xet library reports every 512 kB.
            self._silent += gap if gap > _FLOW_GAP_SECONDS else 0.0
            self._last = now

    def await_answer(self, awaited: str) -> None:
        """Name what the stage waits for, such as "PUT /lfs/…"; it is shown if the wait becomes long."""
        self._awaited = awaited

    def begin_try(self, number: int, tries: int) -> None:
        """Name the try, counted from 1, and how many there are; it is shown if the wait becomes long."""
        self._try = f", try {number} of {tries}"

    def begin_wait(self, seconds: float) -> None:
        """Report a wait that a server asks for, before it begins."""
        self._note(f"{self._doing}: the server asks to wait {seconds:,.0f} s{self._try}")

    def seconds_silent(self) -> float:
        """Return for how many seconds nothing has moved."""
        with self._lock:
            return self._silent + max(self._clock.seconds() - self._last, 0.0)

    def seconds_left(self) -> float:
        """Return after how many more seconds of silence the stage ends; 0 if it is over."""
        return 0.0 if self._is_over else max(self._patience - self.seconds_silent(), 0.0)

    def check(self) -> None:
        """End the stage if nothing has moved for too long.

        Raises:
            StalledError: It is over.
        """
        if self.seconds_left() <= 0:
            self._is_over = True
            silent = _minutes(self.seconds_silent())
            raise StalledError(f"{self._doing} was ended: nothing moved for {silent}{self._waits()}")

    def run(self, call: Callable[[], T], cancel: Callable[[], object] = lambda: None) -> T:
        """Return what `call` returns; leave it behind when the stage ends.

        It runs in a daemon thread: libraries that repeat their requests cannot be interrupted.

        Args:
            call: May take as long as it likes.
            cancel: Ends `call` as far as that is possible; called when it is left behind.

        Raises:
            StalledError: Nothing has moved for too long.
        """
        future: Future[T] = Future()
        threading.Thread(target=_settle, args=(future, call), name="watched", daemon=True).start()
        try:
            while not wait_for([future], _TICK_SECONDS).done:
                self.check()
        except BaseException:  # Ctrl-C, too
            self._is_over = True
            cancel()
            raise
        try:
            return future.result()
        finally:
            del future  # it refers to the error, whose frames refer to it: see `retry`

    def report(self) -> None:
        """Report silence if there has been as much as has not been reported yet."""
        silent = self.seconds_silent()
        if silent - self._told < _REPORT_SECONDS or self._is_over:
            return
        self._told = silent
        left = max(self._patience - silent, 0.0)
        end = time.strftime("%H:%M", time.localtime(self._clock.unix_seconds() + left))
        self._note(
            f"{self._doing}: nothing has moved for {silent:,.0f} s{self._waits()}; "
            f"given up at {end}, after {_minutes(self._patience)}"
        )

    def _report(self) -> None:
        while not self._left.wait(_TICK_SECONDS):
            self.report()

    def _waits(self) -> str:
        return f" (waiting for {self._awaited}{self._try})" if self._awaited else ""


def longer_patience(times: TimeLimits) -> str:
    """Return how to go on after a stage that was ended for its silence."""
    minutes = max(2 * times.patience_seconds / 60, 1)
    return f"run the same command again; add --patience {minutes:.0f} to wait for longer"


def _settle(future: "Future[T]", call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # it is raised again in the thread that waits
        future.set_exception(error)
    finally:
        del future  # as above


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def retry(
    call: Callable[[], T], policy: RetryPolicy, clock: Clock, end: float, watch: Watch | None = None
) -> T:
    """Return what `call` returns; call it again after an error that is transient.

    Args:
        call: Sends the request; must be safe to repeat.
        policy: How often, and how long to wait.
        clock: The time.
        end: When no further try may begin, in seconds of `clock`.
        watch: Watches the stage. Its patience bounds each wait, and it reports those that a server asks for.

    Raises:
        RequestError: The last one of `call`: it is not transient, or there is no try or no time left, or the
            server asks for a longer wait than the policy or the patience has.
    """
    num_tries, backoff_seconds, wait_seconds = 0, 0.0, 0.0

    def decide(error: Exception) -> bool | float:
        nonlocal wait_seconds
        # The error of a `retry` inside of `call` has had its tries: repeating it would multiply them.
        if not isinstance(error, RequestError) or not error.is_transient or error.num_tries > 1:
            return False
        error.num_tries = num_tries
        asked_seconds = error.asked_seconds or 0.0
        jitter_seconds = random.uniform(0, policy.jitter_seconds)  # noqa: S311 - nothing secret
        own_seconds = min(backoff_seconds + jitter_seconds, policy.max_wait_seconds)
        wait_seconds = max(own_seconds, asked_seconds)
        if asked_seconds > policy.max_asked_seconds or clock.seconds() + wait_seconds > end:
            return False
        if watch is not None and num_tries < policy.tries and wait_seconds > watch.seconds_left():
            error.needs_patience = True
            return False
        return 0.0  # stamina has no sleep to replace, and ours can be ended by another thread

    attempts = stamina.retry_context(
        on=decide,
        attempts=policy.tries,
        timeout=None,  # by `end`, in seconds of `clock`
        wait_initial=policy.first_wait_seconds,
        wait_max=policy.max_wait_seconds,
    )
    try:
        for attempt in attempts:
            if attempt.num > 1:
                if watch is not None and wait_seconds >= _LONG_WAIT_SECONDS:
                    watch.begin_wait(wait_seconds)
                clock.sleep(wait_seconds)
            num_tries, backoff_seconds = attempt.num, attempt.next_wait
            if watch is not None and policy.tries > 1:
                watch.begin_try(num_tries, policy.tries)
            with attempt:
                return call()
    except RequestError as error:
        # stamina's frames and `attempt` refer to the error, and it to them: a cycle that would keep the
        # connection of the answer open until the garbage collector runs.
        raise error.with_traceback(None) from error.__cause__
    finally:
        del attempt
    raise AssertionError("unreachable")


def is_transient_status(status: int) -> bool:
    """Return whether a request that was answered with an HTTP status may succeed later."""
    return status in _TRANSIENT or (500 <= status < 600 and status not in _LASTING)


def is_transient_error(error: BaseException) -> bool:
    """Return whether a request that ended in an error of a library may succeed later.

    True for connections that cannot be made or break, and for servers that send nothing for too long; False
    for addresses and requests that can never be sent.
    """
    known = (ConnectionError, TimeoutError, httpx2.TimeoutException, httpx2.NetworkError)
    if isinstance(error, (*known, httpx2.RemoteProtocolError, httpx2.ProxyError)):
        return True
    # `requests` comes with the kaggle client, which is an extra: no import here.
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    return not names.isdisjoint(
        f"requests.exceptions.{name}" for name in ("ConnectionError", "Timeout", "ChunkedEncodingError")
    )


def retry_after(text: str) -> float | None:
    """Read a `Retry-After` header (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after).

    Args:
        text: The header's value.

    Returns:
        Seconds, 0 or more; None where it says neither seconds nor a date.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    date = _parse_date(text)
    return None if date is None else max((date - datetime.now(UTC)).total_seconds(), 0.0)


def _parse_date(text: str) -> datetime | None:
    """Read the date of a header, as UTC where it names no zone; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def asks_to_wait(seconds: float | None) -> str:
    """Return the end of a message about a failed request: what the server asks for; empty if nothing."""
    return "" if seconds is None else f" and asks to wait {seconds:,.0f} s"


def redact(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Return the words of a server or a library for a message.

    Args:
        text: May hold anything.
        secrets: Tokens and keys to take out; None and "" are skipped.

    Returns:
        One line of at most 300 characters, safe on a terminal, without `secrets`, and without the users,
        passwords and queries of URLs: queries of signed addresses are as good as a password.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = _URL.sub(lambda found: redact_url(found[0]), " ".join(text.split()))
    text = printable(_QUERY.sub("", text))
    return text if len(text) <= _MAX_MESSAGE_CHARACTERS else f"{text[: _MAX_MESSAGE_CHARACTERS - 1]}…"


def redact_url(url: str) -> str:
    """Return a URL for messages: without user, password, query and fragment, and safe on a terminal.

    A text that is no URL with a host is left out altogether.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port  # raises where a password with a slash in it passes for a port
    except ValueError:
        return "(an unreadable URL)"
    if not host:
        return printable(f"{parts.scheme}:…" if parts.scheme else "(an address without a host)")
    return printable(urlunsplit((parts.scheme, host, parts.path.partition(";")[0], "", "")))
