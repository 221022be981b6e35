"""A damaged file costs the page what is in it, and nothing else; the message names it."""

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from publish.checks.files import read_manifest
from publish.explorer.space import write_space
from tests.browser import open_page
from tests.publish.explorer.serving import serve
from tests.publish.explorer.test_views import wait_for_count, wait_for_wall

pytestmark = pytest.mark.slow


def cut(path: Path) -> None:
    """Cut off the second half of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def spoil(path: Path) -> None:
    """Overwrite the pages of a file, and leave its footer whole."""
    group = pq.read_metadata(path).row_group(0)
    last = group.column(group.num_columns - 1)
    end = (last.dictionary_page_offset or last.data_page_offset) + last.total_compressed_size
    data = bytearray(path.read_bytes())
    data[4:end] = b"\xff" * (end - 4)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, spoil])
@pytest.mark.parametrize("config", ["captions", "clip_sfhq_demo"])
def test_a_damaged_table_takes_no_other_with_it(
    config: str, damage: Any, sample_copy: Path, browser: Any
) -> None:
    base, manifest = sample_copy.parent, read_manifest(sample_copy)
    write_space(base / "page", manifest, f"../{sample_copy.name}/")
    (path,) = (sample_copy / config).glob("*.parquet")
    name = f"{config}/{path.name}"
    damage(path)
    files = StaticFiles(directory=base, html=True)
    with (
        serve(lambda _: Starlette(routes=[Mount("/", files)])) as port,
        open_page(browser, tolerates="416 (Range Not Satisfiable)") as page,
    ):
        page.goto(f"http://127.0.0.1:{port}/page/")
        wait_for_wall(page)
        page.wait_for_function(
            "name => document.querySelector('#problem').textContent.includes(name)", arg=name
        )
        wait_for_count(page, 60)
        if config == "captions":
            page.wait_for_selector("#facets .bar")  # adherence is in another file
        else:
            page.wait_for_selector('[data-facet^="seen:"]', state="attached")
        page.locator(".tile").first.click()
        page.wait_for_selector("dialog[open] .facts[data-whole]")
        text = page.locator(".facts").inner_text()
        assert "SHA-256" in text
        if config == "captions":
            assert name in page.locator(".facts .problem").first.inner_text()
            assert re.search(r"votes", text, re.IGNORECASE)
        else:
            assert "Captions" in text
