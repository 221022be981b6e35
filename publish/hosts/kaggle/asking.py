"""Requests to Kaggle within limits, and what a person is told of those that came to nothing."""

from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import replace
from typing import TypeVar
from urllib.request import getproxies

import requests

from publish.hosts.kaggle.access import Limits, Note, SiteError, silence
from publish.network import (
    StalledError,
    TimeLimits,
    Watch,
    asks_to_wait,
    is_transient_error,
    is_transient_status,
    longer_patience,
    redact,
    retry,
    retry_after,
)

T = TypeVar("T")


class Words:
    """Turns failures into sentences.

    Args:
        dataset: As "owner/slug".
        times: Limits of one request.
        secrets: Returns what no message may hold.
    """

    def __init__(self, dataset: str, times: TimeLimits, secrets: Callable[[], Iterable[str | None]]) -> None:
        self._dataset, self._times, self._secrets = dataset, times, secrets

    def refused(self, what: str, answer: str) -> SiteError:
        """Return the error of a request that Kaggle says no to."""
        fix = "fix that, and run the same command again"
        return SiteError(
            f"Kaggle refused to {what}: {self.clean(answer)}", fix, status=400, code="host/refused"
        )

    def explain(self, what: str, error: requests.RequestException) -> SiteError:
        """Return the error of a request that failed.

        Args:
            what: What it asked for: "create the version".
            error: How it failed.
        """
        again = "run the same command again: it continues"
        if error.response is None:
            unusable = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
            if isinstance(error, unusable) and getproxies():
                # Its text has the address, and that may have a password.
                message = f"the proxy in the environment cannot be used to {what}"
                return SiteError(message, "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or unset them")
            if isinstance(error, requests.Timeout):
                is_connect = isinstance(error, requests.ConnectTimeout)
                times = self._times
                seconds = times.connect_seconds if is_connect else times.read_seconds
                message = f"Kaggle said nothing for {seconds:g} s when asked to {what}"
            else:
                message = f"the connection to Kaggle broke when it was asked to {what}"
            return SiteError(message, again, is_transient=is_transient_error(error))
        status, said = error.response.status_code, self.clean(str(error))
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

    def clean(self, text: str) -> str:
        """Make what the site or the client says fit for a terminal: short, one line, and without secrets."""
        return redact(text, self._secrets())


class Asker:
    """Sends requests, and repeats them as far as that does no harm.

    Args:
        limits: How long to wait for what.
        words: Turns failures into sentences.
        note: Shows a line about a site that is silent; may be called from another thread.
    """

    def __init__(self, limits: Limits, words: Words, note: Note) -> None:
        self._limits, self._words, self._note = limits, words, note
        self.watch = self._make_watch("answer")

    def ask(
        self,
        what: str,
        send: Callable[[], T],
        *,
        may_repeat: Callable[[], bool] = lambda: True,
        end: float | None = None,
    ) -> T:
        """Send a request, and again where it failed for a while and can be repeated without harm.

        Args:
            what: What it asks for, for messages.
            send: Sends it.
            may_repeat: Whether it may be sent again where its outcome is not known.
            end: When no further try may begin, in seconds of the clock.
        """
        clock = self._limits.clock
        watch = self.watch = self._make_watch(what)

        def send_once() -> T:
            context = copy_context()  # `before_body`, for the thread in which the call runs
            try:
                with silence():
                    return watch.run(lambda: context.run(send))
            except StalledError as error:
                failure = SiteError(str(error), longer_patience(self._limits.times), code="host/silent")
            except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
                failure = self._words.explain(what, error)  # they are ValueErrors, too
            except (ValueError, TypeError, KeyError, AttributeError):  # first: bad JSON is one of both kinds
                failure = senseless(what)
            except requests.RequestException as error:
                failure = self._words.explain(what, error)
            # What was turned away with 429 was not done, so even a version may be asked for again.
            failure.is_transient &= failure.status == 429 or may_repeat()
            raise failure  # outside of the handlers: their errors can hold secrets

        if end is None:
            end = clock.seconds() + self._limits.times.total_seconds
        with watch:
            try:
                return retry(send_once, self._limits.retry, clock, end, watch)
            except SiteError as failure:
                if failure.needs_patience:
                    fix = longer_patience(self._limits.times)
                    failure.problems = tuple(replace(each, fix=fix) for each in failure.problems)
                raise

    def _make_watch(self, what: str) -> Watch:
        return Watch(f"waiting for Kaggle to {what}", self._limits.times, self._note, self._limits.clock)


def senseless(what: str) -> SiteError:
    """Return the error of an answer that is none: a proxy's page, or the answer to another request."""
    return SiteError(
        f"Kaggle's answer to the request to {what} makes no sense",
        "run the same command again, or see whether the kaggle client has a newer version",
        is_transient=True,
    )
