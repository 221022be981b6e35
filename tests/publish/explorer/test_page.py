"""What the explorer's page does when it is used: focus, addresses, filters and what goes wrong."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.browser import open_page
from tests.publish.explorer.conftest import PILED, Explored, explore
from tests.publish.explorer.counting import select_ids
from tests.publish.explorer.test_views import wait_for_count, wait_for_wall

pytestmark = pytest.mark.slow

SIZE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def opened(address: str, browser: Any) -> Iterator[Any]:
    """Return a page on the release."""
    with open_page(browser, viewport=SIZE) as page:
        page.goto(address)
        yield page


@pytest.fixture
def page(opened: Any) -> Any:
    """Return the page at its beginning, with everything read."""
    opened.evaluate("localStorage.clear()")
    opened.evaluate("location.hash = '#/pictures'")
    opened.reload()
    wait_for_count(opened, 60)
    wait_for_wall(opened)
    opened.wait_for_selector('[data-facet^="seen:"]', state="attached")
    return opened


@pytest.fixture(scope="module")
def odd_address(odd: Path) -> Iterator[str]:
    """Return the address of an explorer on the odd release."""
    with explore(odd) as address:
        yield address


@pytest.fixture
def odd_page(odd_address: str, browser: Any) -> Iterator[Any]:
    """Return a page on the odd release, with everything read."""
    with open_page(browser, viewport=SIZE) as page:
        page.goto(odd_address)
        wait_for_count(page, 8, 8)
        page.wait_for_selector('[data-facet^="seen:"]', state="attached")
        yield page


def go(page: Any, address: str) -> None:
    page.evaluate("address => { location.hash = address }", address)


def wait_for_pairs(page: Any, number: int) -> None:
    text = f"{number} pair{'' if number == 1 else 's'};"
    page.wait_for_function(
        "text => document.querySelector('.page-head p')?.textContent.startsWith(text)", arg=text
    )


def focused(page: Any) -> str:
    """Return what has the focus, as its tag and classes."""
    found: str = page.evaluate("`${document.activeElement.tagName}.${document.activeElement.className}`")
    return found


def test_every_bar_leads_to_the_pictures_that_it_counts(page: Any) -> None:
    bars = page.locator("#facets .bar")
    numbers = [int(text.split(": ")[1]) for text in bars.evaluate_all("all => all.map(each => each.title)")]
    assert sum(numbers) == 60
    for place, number in enumerate(numbers):
        if number:
            bars.nth(place).click()
            wait_for_count(page, number)
            assert bars.nth(place).get_attribute("aria-pressed") == "true"
        else:
            assert bars.nth(place).is_disabled()


def test_numbers_are_whole_by_a_link_and_after_a_reload(page: Any, address: str) -> None:
    def titles(page: Any) -> list[str]:
        found: list[str] = page.locator(".chart").evaluate_all("all => all.map(each => each.ariaLabel)")
        return found

    page.get_by_role("link", name="Numbers").click()
    page.wait_for_selector(".chart")
    expected = titles(page)
    assert len(expected) > 15
    page.reload()
    page.wait_for_function(
        "number => document.querySelectorAll('.chart').length === number", arg=len(expected)
    )
    assert titles(page) == expected


def test_a_bar_of_the_numbers_leads_to_what_it_counts(page: Any) -> None:
    go(page, "#/pictures?generator=SDXL&q=hair")
    page.wait_for_function("() => document.querySelector('#count').textContent.includes('of')")
    page.get_by_role("link", name="Numbers").click()
    bars = page.locator(".chart .bar:enabled")
    bars.first.wait_for()
    number = int(bars.last.get_attribute("title").split(": ")[1])
    bars.last.click()
    wait_for_count(page, number)
    assert page.locator(".chip").count() == 1
    page.get_by_role("link", name="Numbers").click()
    bar = page.locator(".chart", has_text="Decided pairs won").locator("button").first
    decided = int(re.findall(r"of (\d+)", bar.inner_text())[0])
    bar.click()
    wait_for_pairs(page, decided)


def test_counts_of_choices_combine(odd_page: Any, odd: Path) -> None:
    rows = pq.read_table(odd / "preferences").to_pylist()
    odd_page.get_by_role("link", name="Pairs").click()
    wait_for_pairs(odd_page, len(rows))

    def options(name: str) -> list[str]:
        found: list[str] = odd_page.get_by_label(name).locator("option").all_inner_texts()
        return found

    unknown = [row for row in rows if row["category"] is None]
    assert options("Category") == [f"all ({len(rows)})", f"not known ({len(unknown)})", "Cinematic (2)"]
    odd_page.get_by_label("Category").select_option(label=f"not known ({len(unknown)})")
    wait_for_pairs(odd_page, len(unknown))
    won = sum(row["decision"] == "image_1" for row in unknown)
    assert f"first preferred ({won})" in options("Decision")
    assert f"one model won ({won})" in options("Decision")
    odd_page.get_by_label("Decision").select_option(label=f"first preferred ({won})")
    wait_for_pairs(odd_page, won)
    assert options("Category") == ["all (3)", "not known (2)", "Cinematic (1)"]


def test_a_removed_picture_is_drawn(page: Any, explored: Explored) -> None:
    go(page, "#/changes?kind=removed&category=prompts")
    page.wait_for_function("() => document.querySelector('[data-removed]')?.naturalWidth === 256")
    image = page.locator("[data-removed]").first
    assert image.get_attribute("data-removed") in select_ids(explored.folder.parent / "1.0", "true")


def test_a_picture_without_a_prompt_has_no_score(odd_page: Any) -> None:
    odd_page.select_option("#sort", "worst")
    odd_page.wait_for_function("() => document.querySelectorAll('.score').length === 7")
    assert "NaN" not in odd_page.locator(".wall").inner_text()


def test_the_order_is_that_of_the_likeness(page: Any) -> None:
    page.select_option("#sort", "worst")
    page.locator(".tile").first.click()
    page.wait_for_selector(".facts[data-whole]")
    page.get_by_role("button", name="More like this").click()
    sort = page.locator("#sort")
    page.wait_for_function(
        "() => document.querySelector('#sort').selectedOptions[0].text === 'most similar first'"
    )
    assert "sort=" not in page.url
    sort.select_option("best")
    page.wait_for_function("() => location.hash === '#/pictures?sort=best'")
    page.wait_for_function(
        "() => !document.querySelector('#sort').textContent.includes('most similar first')"
    )


def test_a_note_goes_with_its_search(page: Any) -> None:
    go(page, "#/pictures?meaning=green+hair+zzzz")
    page.wait_for_function("() => document.querySelector('#search-problem').textContent.includes('zzzz')")
    page.get_by_role("button", name=re.compile("remove filter meaning")).click()
    page.wait_for_function("() => document.querySelector('#search-problem').textContent === ''")
    wait_for_count(page, 60)


def test_a_value_among_hundreds_is_found(odd_page: Any, odd: Path) -> None:
    odd_page.locator("summary", has_text="nick").click()
    odd_page.get_by_label("Find a value of nick").fill("NAME 7-49")
    odd_page.wait_for_function("() => document.querySelectorAll('[data-facet=\"seen:nick\"]').length === 1")
    assert odd_page.evaluate("document.activeElement.type") == "search"
    odd_page.locator('[data-facet="seen:nick"]').click()
    wait_for_count(odd_page, 1, 8)
    odd_page.get_by_label("Find a value of nick").fill("")
    odd_page.locator("#facets .more", has_text="more").click()
    odd_page.wait_for_selector("text=more; find them above.")


def test_marks_of_other_versions_are_counted_apart(page: Any) -> None:
    page.locator(".tile").first.focus()
    page.keyboard.press("x")
    page.evaluate(
        "for (const key of Object.keys(localStorage)) localStorage[key] = "
        "JSON.stringify([...JSON.parse(localStorage[key]), ['0000000000000000', 'gone']])"
    )
    page.reload()
    page.wait_for_selector("#marks >> text=and 1 not in this release")
    page.locator("#marks a", has_text="1 marked").click()
    wait_for_count(page, 1)
    page.locator(".tile").first.focus()
    page.keyboard.press("x")
    wait_for_count(page, 0)
    assert page.locator("#marks a").inner_text() == "0 marked"


def test_marks_are_told_and_come_back(page: Any) -> None:
    page.locator(".tile").first.click()
    page.wait_for_selector(".facts[data-whole]")
    page.keyboard.press("x")
    page.wait_for_selector(".tile.marked[aria-label$=', marked']", state="attached")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.picture", state="hidden")
    page.get_by_role("button", name="Clear").press("Enter")
    page.wait_for_selector(".tile.marked", state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Undo"
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile.marked")
    assert focused(page).startswith("BUTTON.tile")
    page.keyboard.press("x")
    assert not page.locator(".tile").first.get_attribute("aria-label").endswith("marked")


def test_a_slow_search_does_not_hold_a_picture_open(page: Any) -> None:
    held: list[Any] = []
    page.route("**/api/search", lambda route: held.append(route))  # noqa: PLW0108 - it takes no method of C
    image_id = page.locator(".tile").first.get_attribute("data-id")
    go(page, f"#/picture/{image_id}?meaning=a+slow+search")
    page.wait_for_selector("dialog[open] .facts[data-whole]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.picture", state="hidden")
    page.wait_for_function(
        "() => document.querySelector('#search-problem').textContent.includes('searching')"
    )
    page.get_by_role("link", name="Pairs").click()
    page.wait_for_selector(".pair")
    assert len(held) == 1
    page.unroute("**/api/search")


def test_a_picture_leads_back_to_where_it_was_opened(page: Any) -> None:
    page.get_by_role("link", name="Pairs").click()
    page.wait_for_selector(".pair .small img[src]")
    page.locator(".long-list").evaluate("each => { each.scrollTop = 2000 }")
    page.wait_for_selector(".entry[aria-posinset='9']")
    page.locator(".entry[aria-posinset='9'] a").first.click()
    page.wait_for_selector(".facts[data-whole]")
    assert "#/pairs/picture/" in page.url
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.picture", state="hidden")
    assert page.locator(".long-list").evaluate("each => each.scrollTop") == 2000
    assert focused(page).startswith("A.small")
    page.get_by_role("link", name="Changes").click()
    page.wait_for_selector(".change")
    page.go_back()
    page.wait_for_function("() => document.querySelector('.long-list')?.scrollTop === 2000")
    page.wait_for_selector(".pair")


def unfold(page: Any) -> None:
    """Show all values of the facet that has the most."""
    page.locator("summary", has_text="background").press("Enter")
    page.locator('[data-key="more:seen:background"]').press("Enter")


ACTIONS: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "a link to a view": (
        "#/pictures",
        lambda page: page.get_by_role("link", name="Pairs").press("Enter"),
        ".pair",
    ),
    "a bar of the numbers": (
        "#/numbers",
        lambda page: page.locator(".chart .value").first.press("Enter"),
        "#wall-view .tile[data-id]",
    ),
    "a filter that goes": (
        "#/pictures?generator=SDXL",
        lambda page: page.locator(".chip").press("Enter"),
        "#chips:empty",
    ),
    "more values": ("#/pictures", unfold, "button.more:text('fewer'):focus"),
    "the skip link": ("#/pictures", lambda page: page.locator("#skip").press("Enter"), ".tile:focus"),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_focus_is_never_lost(page: Any, action: str) -> None:
    where, act, shown = ACTIONS[action]
    go(page, where)
    page.wait_for_function("where => location.hash === where", arg=where)
    act(page)
    page.wait_for_selector(shown, state="attached")
    page.wait_for_function("() => document.activeElement !== document.body")
    assert "main" not in page.url


def test_choices_are_made_by_keyboard(page: Any) -> None:
    go(page, "#/pairs")
    page.wait_for_selector(".pair")
    seen = set()
    page.get_by_label("Category").focus()
    for _ in range(3):
        before = page.url
        page.keyboard.press("ArrowDown")
        page.wait_for_function("before => location.href !== before", arg=before)
        page.wait_for_selector(".pair")
        page.wait_for_function("() => document.activeElement.dataset.key === 'category'")
        seen.add(page.url)
    assert len(seen) == 3


def test_turning_a_phone_keeps_place_and_focus(page: Any, address: str, browser: Any) -> None:
    with open_page(browser, viewport={"width": 390, "height": 700}) as phone:
        phone.goto(address)
        wait_for_wall(phone)
        phone.locator(".tile").first.focus()
        for _ in range(12):
            phone.keyboard.press("ArrowDown")
        place = phone.evaluate("document.activeElement.dataset.place")
        phone.set_viewport_size({"width": 700, "height": 390})
        phone.wait_for_function("() => Number(document.querySelector('.wall').ariaColCount) > 3")
        phone.wait_for_function("place => document.activeElement.dataset.place === place", arg=place)
        assert phone.locator(".wall").evaluate("each => each.scrollTop") > 0


def test_thumbnails_that_fail_are_asked_again_and_told(address: str, browser: Any) -> None:
    with open_page(browser, viewport=SIZE, tolerates="Failed to load resource") as page:
        failing = True
        page.route("**/*.pack", lambda route: route.fulfill(status=500) if failing else route.continue_())
        page.goto(address)
        page.wait_for_selector("#failures >> text=could not be read")
        assert page.locator(".tile img[src]").count() == 0
        failing = False
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector(".tile img[src]")
        page.wait_for_selector("#failures", state="hidden")
        tries = iter([True])
        page.unroute("**/*.pack")
        page.route(
            "**/*.pack", lambda route: route.fulfill(status=500) if next(tries, False) else route.continue_()
        )
        page.reload()
        page.wait_for_selector(".tile img[src]")
        assert page.locator("#failures").is_hidden()


@pytest.mark.parametrize(
    "where", ["?constructor=1", "?__proto__=x", "?toString=x&generator=SDXL", "?hasOwnProperty=1&no=such"]
)
def test_names_of_objects_in_an_address_are_nothing(page: Any, where: str) -> None:
    go(page, f"#/pictures{where}")
    page.reload()
    wait_for_count(page, 16 if "SDXL" in where else 60)
    assert page.locator("#views a").count() > 3
    assert page.locator("#problem").is_hidden()


def test_filters_can_be_removed_when_they_fail(page: Any) -> None:
    go(page, "#/pictures?generator=SDXL&like=none")
    page.wait_for_selector("#search-problem >> text=no picture has the id none")
    page.get_by_role("button", name="remove filter like none").click()
    wait_for_count(page, 16)
    assert page.locator("#search-problem").inner_text() == ""


COUNTING = """
window.live = new Set()
const make = URL.createObjectURL.bind(URL)
const drop = URL.revokeObjectURL.bind(URL)
URL.createObjectURL = (blob) => { const url = make(blob); live.add(url); return url }
URL.revokeObjectURL = (url) => { live.delete(url); drop(url) }
"""


def test_pictures_that_are_gone_take_no_memory(address: str, browser: Any, explored: Explored) -> None:
    near = pq.read_table(explored.folder / "near_duplicates.parquet")["image_id"].to_pylist()
    with open_page(browser, viewport=SIZE) as page:
        page.add_init_script(COUNTING)
        page.goto(address)
        wait_for_wall(page)
        for view in ("pairs", "pictures", "duplicates", "changes", "pairs"):
            go(page, f"#/{view}")
            page.wait_for_selector(
                ".wall img[src]" if view == "pictures" else "#other-view img[src]", state="attached"
            )
            for image_id in near:
                go(page, f"#/{view}/picture/{image_id}")
                page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
                page.wait_for_selector(".facts .small img[src]")
            go(page, f"#/{view}")
            page.wait_for_selector("dialog.picture", state="hidden")
        go(page, "#/numbers")
        page.wait_for_selector(".chart")
        page.wait_for_function("() => live.size <= document.querySelectorAll('img[src^=blob]').length")


@pytest.mark.parametrize("begins", ["a prompt of 1 MB", PILED[:20]], ids=["words", "accents"])
def test_a_prompt_of_any_length_is_shown(odd_page: Any, odd: Path, begins: str) -> None:
    rows = pq.read_table(odd / "prompts").to_pylist()
    row = next(row for row in rows if (row["prompt"] or "").startswith(begins))
    prompt, image_id = row["prompt"], row["image_id"]
    assert len(prompt) > 50_000
    go(odd_page, f"#/picture/{image_id}")
    odd_page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
    box = odd_page.locator(".facts .text.long").first
    assert prompt.startswith(box.evaluate("each => each.textContent"))
    odd_page.get_by_role("button", name=f"Show all {len(prompt):,} characters").click()
    assert box.evaluate("each => each.textContent") == prompt
    assert box.evaluate("each => each.clientHeight") < 300
    box.evaluate("each => { each.scrollTop = each.scrollHeight }")
    odd_page.keyboard.press("Escape")
    odd_page.wait_for_selector("dialog.picture", state="hidden")
