"""One policy of retries, one set of time limits, and one way to keep secrets out of messages.

A client raises a `RequestError` for a request that failed, in its own words. `retry` decides whether it calls
again, and when. No other module of `publish` sleeps before it repeats a request.
"""

import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
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

# By default stamina logs every retry as a warning, with the error, which Python prints to the terminal. What
# a person must know of a wait is in the clients' own messages, without secrets.
set_on_retry_hooks(())


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a request may take, in seconds, each above 0.

    Attributes:
        connect_seconds: Until a connection stands.
        read_seconds: How long a server may send nothing. The Hub ends a commit by itself after 60 s.
        total_seconds: From the first try to the end of the last one, with the waits between them.
    """

    connect_seconds: float = 30
    read_seconds: float = 90
    total_seconds: float = 1800


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
    """

    status: int | None = None
    is_transient: bool = False
    asked_seconds: float | None = None
    num_tries: int = 1


def retry(call: Callable[[], T], policy: RetryPolicy, clock: Clock, end: float) -> T:
    """Return what `call` returns; call it again after an error that is transient.

    Args:
        call: Sends the request; must be safe to repeat.
        policy: How often, and how long to wait.
        clock: The time.
        end: When no further try may begin, in seconds of `clock`.

    Raises:
        RequestError: The last one of `call`: it is not transient, or there is no try or no time left, or the
            server asks for a longer wait than the policy has.
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
                clock.sleep(wait_seconds)
            num_tries, backoff_seconds = attempt.num, attempt.next_wait
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
        text: Whatever the server wrote.

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

    What cannot be read as a URL with a host is left out altogether.
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
