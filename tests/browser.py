"""A real browser for tests of pages: the Chromium of the system, without a window, driven by Playwright.

Playwright keeps an event loop in its thread while it runs. So a browser belongs to one module of tests, or to
one test.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlsplit

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 60_000  # a busy machine is no fault of a page


def find_chromium() -> str:
    """Return the browser's path; without one, skip the test, and fail it in CI."""
    path = next(filter(None, map(which, _NAMES)), None)
    if path is None:
        message = "there is no Chromium on PATH; on Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@contextmanager
def open_browser() -> Iterator[Any]:
    """Start a browser of playwright's, and end it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    arguments = [
        "--disable-dev-shm-usage",
        "--disable-gpu",
    ]  # containers have little of the one, and no other
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium does not start for root with it
    path = find_chromium()
    sync_api.expect.set_options(timeout=_PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Any, downloads: Path | None = None, *, tolerates: str | None = None, **options: Any
) -> Iterator[Any]:
    """Open a page of its own context.

    At its end, fail if it has logged an error or a warning, or asked another machine for anything.

    Args:
        browser: Of `open_browser`.
        downloads: Accept downloads, if given.
        tolerates: Part of what may be logged, such as what a lost connection leads to.
        options: Of the context, as playwright names them.
    """
    context = browser.new_context(accept_downloads=downloads is not None, **options)
    context.set_default_timeout(_PATIENCE_MS)
    page = context.new_page()
    problems: list[str] = []

    def note(message: Any) -> None:
        if message.type in ("error", "warning") and not (tolerates and tolerates in message.text):
            problems.append(message.text)

    def check(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https") and address.hostname not in ("127.0.0.1", "localhost"):
            problems.append(f"the page asks for {request.url}")

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", check)
    try:
        yield page
    finally:
        context.close()
    assert not problems
