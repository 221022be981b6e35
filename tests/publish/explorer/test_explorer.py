"""The explorer in a real browser, on the sample's release."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from publish.search import main as search
from tests.browser import open_browser, open_page
from tests.publish.explorer.conftest import explore
from tests.publish.explorer.counting import count_facets, read_facets, select_ids
from tests.publish.explorer.test_views import ids_on_wall, wait_for_wall


@pytest.fixture(scope="module")
def address(sample_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an explorer on the sample's release, without thumbnails: the folder is shared."""
    with explore(sample_release, "--no-thumbnails") as address:
        yield address


def test_a_release_is_shown_filtered_and_counted(address: str, sample_release: Path) -> None:
    """One browser for the fast tests: the others are slow."""
    with open_browser() as browser, open_page(browser) as page:
        page.goto(address)
        wait_for_wall(page)
        assert "token" not in page.url
        assert page.locator("#count").inner_text() == "60 pictures"
        page.wait_for_selector('[data-facet^="seen:"]', state="attached")
        assert read_facets(page) == count_facets(sample_release, "true")
        page.locator('[data-facet="generator"][data-value="SDXL"]').click()
        page.wait_for_function("() => document.querySelector('#count').textContent === '16 of 60 pictures'")
        assert set(ids_on_wall(page)) == set(select_ids(sample_release, "generator = 'SDXL'"))
        first = page.locator(".tile").first
        first.click()
        page.wait_for_selector("dialog[open] .facts[data-whole]")
        page.wait_for_function("() => document.querySelector('dialog img.full').naturalWidth === 256")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog.picture:not([open])", state="hidden")
        assert page.evaluate("document.activeElement.className") == "tile"


def similar(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the ids that `sfhq search` finds."""
    assert search(arguments) == 0
    lines = (line.split() for line in capsys.readouterr().out.splitlines())
    return [cells[2] for cells in lines if cells and cells[0].isdecimal()]


SHOWS = """ids => {
    const tiles = [...document.querySelectorAll('.tile')].sort((a, b) => a.dataset.place - b.dataset.place)
    return ids.every((id, place) => tiles[place]?.dataset.id === id)
}"""


def wait_for_first(page: Any, expected: Sequence[str]) -> None:
    """Wait until the wall begins with some pictures."""
    page.wait_for_function(SHOWS, arg=expected)


@pytest.mark.slow
def test_search_by_meaning_finds_what_the_command_finds(
    address: str, sample_release: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = "a person with green hair"
    expected = similar(capsys, text, "--release", str(sample_release), "-k", "12")
    with open_browser() as browser, open_page(browser) as page:
        page.goto(address)
        wait_for_wall(page)
        page.get_by_label("by meaning").check()
        page.get_by_label("Search", exact=True).fill(text)
        page.keyboard.press("Enter")
        wait_for_first(page, expected)
        page.locator(".tile").first.click()
        page.wait_for_selector("dialog[open] .facts[data-whole]")
        image = tmp_path / "image.jpg"
        (row,) = pq.read_table(
            sample_release / "images", columns=["image"], filters=[("image_id", "==", expected[0])]
        ).to_pylist()
        image.write_bytes(row["image"]["bytes"])
        like = similar(capsys, "--image", str(image), "--release", str(sample_release), "-k", "12")
        page.get_by_role("button", name="More like this").click()
        page.wait_for_function("() => location.hash.includes('like=')")
        wait_for_first(page, like)
        page.get_by_label("Search", exact=True).fill("zzzz qqqq")
        page.get_by_label("by meaning").check()
        page.keyboard.press("Enter")
        page.wait_for_function(
            "() => document.querySelector('#search-problem').textContent.includes('knows none')"
        )


@pytest.mark.slow
def test_a_release_of_real_images_without_features_is_shown(sfhq_release: Path) -> None:
    with (
        explore(sfhq_release, "--no-thumbnails") as address,
        open_browser() as browser,
        open_page(browser) as page,
    ):
        page.goto(address)
        wait_for_wall(page)
        total = len(select_ids(sfhq_release, "true"))
        assert page.locator("#count").inner_text() == f"{total} pictures"
        assert read_facets(page) == count_facets(sfhq_release, "true")
        assert page.locator("#sort").count() == 0
        assert not page.get_by_label("by meaning").is_visible()
        page.locator(".tile").first.click()
        page.wait_for_selector("dialog[open] .facts[data-whole]")
        page.wait_for_function("() => document.querySelector('dialog img.full').naturalWidth > 160")
        assert page.get_by_role("button", name="More like this").count() == 0
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Numbers").click()
        page.wait_for_selector(".chart")
        assert page.get_by_role("link", name="Pairs").count() == 0
