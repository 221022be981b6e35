"""The Xet library, which sends large files by itself: time limits, retries, and how many bytes are sent.

Its native code uses neither our HTTP client nor our retries. It repeats each request, takes its settings from
the environment once in a process, and reports bytes to a function that `huggingface_hub` makes for its bars.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub.utils import _xet

# `Hub.ask` repeats a whole upload, so the library's five tries of each request, three seconds and more apart,
# would multiply: a store that answers 503 took 12 minutes. By itself it waits 300 s for each answer.
XET_LIMITS = {
    "HF_XET_CLIENT_READ_TIMEOUT": "90s",
    "HF_XET_CLIENT_CONNECT_TIMEOUT": "30s",
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
    "HF_XET_CLIENT_RETRY_BASE_DELAY": "1s",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "60s",
}


def limit_xet() -> None:
    """Give the library its limits; those that the environment sets are kept."""
    for name, value in XET_LIMITS.items():
        os.environ.setdefault(name, value)


def abort_xet() -> None:
    """End all uploads of the library in this process."""
    _xet.abort_xet_session()  # type: ignore[no-untyped-call]


@contextmanager
def watch_xet(flow: Callable[[int], object]) -> Iterator[None]:
    """Yield with `flow` called when bytes of an upload have moved.

    Args:
        flow: Is given how many more bytes are done, 0 where bytes moved and no more are done.
    """
    get_session = _xet.get_xet_session
    # Each upload looks the name up. The library makes no session before its first upload, so neither do we.
    _xet.get_xet_session = lambda: _Session(get_session(), flow)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        _xet.get_xet_session = get_session


class _Session:
    """The library's session, whose uploads report to us."""

    def __init__(self, session: Any, flow: Callable[[int], object]) -> None:
        self._session, self._flow = session, flow

    def new_upload_commit(self, **options: Any) -> Any:
        """Begin an upload."""
        return self._session.new_upload_commit(**{**options, "progress_callback": _Progress(self._flow)})


class _Progress:
    """Follows one upload: what it reports repeats until something has moved."""

    def __init__(self, flow: Callable[[int], object]) -> None:
        self._flow, self._done, self._sent = flow, 0, 0

    def __call__(self, group: Any, _: object = None) -> None:
        done = max(group.total_bytes_completed, self._done)
        sent = max(group.total_transfer_bytes_completed, self._sent)
        more, has_moved = done - self._done, (done, sent) != (self._done, self._sent)
        self._done, self._sent = done, sent
        if has_moved:
            self._flow(more)
