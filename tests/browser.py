"""A real browser for tests of pages: the Chromium of the system, driven by Playwright.

A module of tests imports the fixtures that it uses:

    from tests.browser import browser, open_page  # noqa: F401 - fixtures
"""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 120_000  # a busy machine is no fault of a page
OpenPage = Callable[..., Page]


def find_chromium() -> str:
    """Return the path of the system's Chromium; without one, skip, and fail in CI."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    message = "there is no Chromium on PATH; on Debian: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a Chromium without a window.

    It lives for a module: Playwright has an event loop in the thread meanwhile, which others must not see.
    """
    path = find_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            # Root has no sandbox; /dev/shm is small in containers.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        expect.set_options(timeout=_PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Return a function that opens an address in a context of its own, with Playwright's options for it.

    The test fails at the end if a page had an error, or asked another machine for anything.
    """
    contexts, errors = list[BrowserContext](), list[str]()

    def note(message: ConsoleMessage) -> None:
        # Answers with an error, and a server that is gone, are what some tests are about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    def check(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:")):
            errors.append(f"a page asks {request.url}")

    def open_one(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", check)
        page.goto(address)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not errors
