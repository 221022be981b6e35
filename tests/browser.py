"""Headless Chromium for tests of pages; without one, or without playwright, they are skipped."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import pytest


def find_chromium() -> str:
    """Return the browser's path, or skip the test."""
    path = which("chromium") or which("chromium-browser") or which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    return path


@contextmanager
def open_browser() -> Iterator[Any]:
    """Start a browser of playwright's, and end it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium does not start for root with it
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Any, downloads: Path | None = None, **options: Any) -> Iterator[Any]:
    """Open a page of its own context; at its end, fail if it has logged an error or a warning."""
    context = browser.new_context(accept_downloads=downloads is not None, **options)
    page = context.new_page()
    page.set_default_timeout(30_000)  # on a busy machine
    problems: list[str] = []

    def note(message: Any) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert not problems
