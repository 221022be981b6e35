"""How to reach Kaggle: with which client, where, as whom, and for how long to wait."""

import contextlib
import importlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from publish.hosts.protocol import UNWATCHED
from publish.network import Clock, RequestError, RetryPolicy, TimeLimits, Watch
from schemas.problems import Problem, Reason, ReleaseError

if TYPE_CHECKING:
    from publish.hosts.kaggle.client import Client

# Older ones leave a file out whose upload failed, create the version, and say that all is well.
MIN_CLIENT = "2.2.5"

# Two runs that ask in the same moment see each other's versions when this time has passed.
OTHERS_SECONDS = 3.0

# The client knows more names, and sends all of them but these two to the real site, whatever they say.
_PLACES = {"PROD": "https://www.kaggle.com", "LOCALHOST": "http://localhost"}


Note = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and how often to ask again.

    Attributes:
        times: Limits of one request; for a file, `total_seconds` is one of the next two.
        retry: How often a request is tried.
        upload_seconds: How long sending one file may take altogether, with all tries.
        download_seconds: How long fetching one file may take altogether, with all tries.
        settle_seconds: How long a run looks for a version after the answer to its creation was lost, if it is
            not told to stay.
        doubt_seconds: How long such a version may still appear, counted from when Kaggle was asked for it:
            until then no run asks for another. For a new dataset `settle_seconds` are enough.
        others_seconds: How long after making a version to look for that of another run, which asked at the
            same time.
        processing_seconds: How long the site may process a version.
        poll_seconds: Pause between two looks at it.
        clock: The time.
    """

    times: TimeLimits = field(default_factory=TimeLimits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    upload_seconds: float = 6 * 3600
    download_seconds: float = 6 * 3600
    settle_seconds: float = 60
    doubt_seconds: float = 3600
    others_seconds: float = field(default_factory=lambda: OTHERS_SECONDS)
    processing_seconds: float = 2 * 3600
    poll_seconds: float = 10
    clock: Clock = field(default_factory=Clock, compare=False)


class SiteError(ReleaseError, RequestError):
    """A request came to nothing.

    Attributes:
        status: HTTP status; None where no answer came.
        is_transient: It may go better another time, and asking again does no harm.
        asked_seconds: How long the site asks to wait; None where it does not say.
    """

    def __init__(
        self,
        message: str,
        fix: str,
        *,
        status: int | None = None,
        is_transient: bool = False,
        asked_seconds: float | None = None,
        code: str = "host/unreachable",
    ) -> None:
        super().__init__(problem(message, fix, code=code))
        self.status, self.is_transient, self.asked_seconds = status, is_transient, asked_seconds

    @property
    def is_unknown(self) -> bool:
        """Whether the site may have done what it was asked for all the same."""
        return self.status is None or self.status == 408 or (self.status >= 500 and self.status != 507)


def open_client(dataset: str, limits: Limits, note: Note = UNWATCHED.note) -> "Client":
    """Load the client, make sure where it writes to, and sign in.

    Args:
        dataset: The dataset as "owner/slug".
        limits: How long to wait for what.
        note: Shows a line about a site that is silent; may be called from another thread.

    Raises:
        ReleaseError: The client is missing, too old, or would write elsewhere; there are no credentials, or
            the site does not accept them; the site does not answer.
    """
    problems = list(_check_setup())
    if problems:
        raise ReleaseError(problems)
    with Watch("loading Kaggle's client", limits.times, note):
        _load(limits.times.read_seconds)
    from publish.hosts.kaggle.client import Client  # noqa: PLC0415 - its import may reach the site

    client = Client(dataset, limits, note)
    client.check_endpoint(_PLACES[_place()])
    client.sign_in()
    return client


def silence() -> contextlib.AbstractContextManager[object]:
    """Keep what the client prints from the terminal: it may hold anything, headers included."""
    return contextlib.redirect_stdout(io.StringIO())


def _check_setup() -> Iterator[Problem]:
    install = f'install it: pip install "kaggle>={MIN_CLIENT}"'
    try:
        installed = metadata.version("kaggle")
        if Version(installed) < Version(MIN_CLIENT):
            message = (
                f"the kaggle client is too old: {MIN_CLIENT} or newer is needed, since older ones lose files"
            )
            yield problem(message, install, installed, code="host/client")
    except metadata.PackageNotFoundError:
        yield problem(
            f"publishing to Kaggle needs the kaggle client, {MIN_CLIENT} or newer",
            install,
            code="host/client",
        )
    except InvalidVersion:
        yield problem("the version of the kaggle client is unknown", install, code="host/client")
    if _place() not in _PLACES:
        message = "the client does not know this place and would write to the real site in its stead"
        fix = f"unset KAGGLE_API_ENVIRONMENT, or use one of: {', '.join(_PLACES)}"
        yield problem(message, fix, _place(), "KAGGLE_API_ENVIRONMENT", code="host/client")


def _place() -> str:
    return os.environ.get("KAGGLE_API_ENVIRONMENT", "PROD")


def _load(seconds: float) -> None:
    """Import the client: that alone signs in over the network, without a time limit, and prints."""
    errors: list[BaseException] = []

    def load() -> None:
        try:
            # Importing the client signs in over the network without a limit, so import it in a thread. Before
            # 2.2.5 it left out files whose upload failed and exited with 0.
            importlib.import_module("publish.hosts.kaggle.client")
        except BaseException as error:  # it is raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=load, name="load-kaggle", daemon=True)
    with silence(), contextlib.redirect_stderr(io.StringIO()):
        thread.start()
        thread.join(seconds)
    if thread.is_alive():
        message = f"Kaggle said nothing for {seconds:g} s while its client was loaded"
        raise ReleaseError(
            problem(
                message, "look at the connection, and run the same command again", code="host/unreachable"
            )
        )
    if errors:
        raise ReleaseError(
            problem(
                f"the kaggle client cannot be loaded: {type(errors[0]).__name__}",
                "install it anew",
                code="host/client",
            )
        ) from errors[0]


def problem(
    message: str, fix: str, value: str | None = None, column: str | None = None, *, code: str
) -> Problem:
    """Return a problem with Kaggle, or with how it is reached."""
    return Problem(Reason.RELEASE, message, file="kaggle", column=column, value=value, fix=fix, code=code)


def error(message: str, fix: str, *, code: str) -> ReleaseError:
    """Return the error of one problem with Kaggle."""
    return ReleaseError(problem(message, fix, code=code))
