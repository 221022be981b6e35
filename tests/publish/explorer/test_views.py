"""Every view of the explorer in a real browser: from `sfhq explore`, and as a Space on a plain server."""

import csv
import json
import re
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from builders.generation.captions.checking import Check, check_sentence
from publish.explore import main as explore_release
from publish.release import main as release
from schemas.bags import Bag, Fact
from tests.browser import open_page
from tests.publish.explorer.conftest import HOSTILE, LONG, Explored
from tests.publish.explorer.counting import count_facets, read_facets, select_ids, sort_ids
from tests.publish.explorer.serving import serve

pytestmark = pytest.mark.slow


def wait_for_wall(page: Any) -> None:
    """Wait until pictures are shown, and everything is read."""
    page.wait_for_selector(".tile[data-id] img[src]")
    page.wait_for_function("() => document.querySelector('.tile').getAttribute('aria-label')?.length > 12")


def ids_on_wall(page: Any) -> list[str]:
    """Return the ids of the tiles in the page, in order."""
    page.wait_for_function("() => [...document.querySelectorAll('.tile')].every((tile) => tile.dataset.id)")
    ids: list[str] = page.locator(".tile").evaluate_all(
        "all => all.sort((a, b) => a.dataset.place - b.dataset.place).map(tile => tile.dataset.id)"
    )
    return ids


def wait_for_count(page: Any, number: int, total: int = 60) -> None:
    text = f"{total} pictures" if number == total else f"{number} of {total} pictures"
    page.wait_for_function("text => document.querySelector('#count').textContent === text", arg=text)


@pytest.fixture(scope="module", params=["command", "space"])
def opened(request: pytest.FixtureRequest, explored: Explored, browser: Any) -> Iterator[Any]:
    """Return a page on the release, as each of the two ways shows it."""
    if request.param == "command":
        address = request.getfixturevalue("address")
        with open_page(browser, viewport={"width": 1280, "height": 900}) as page:
            page.goto(address)
            yield page
        return
    space = explored.folder.parent / "space"
    if not space.exists():
        assert explore_release([str(explored.folder), "--space", str(space), "--data", "../2.0"]) == 0
    files = StaticFiles(directory=explored.folder.parent, html=True)
    with (
        serve(lambda _: Starlette(routes=[Mount("/", files)])) as port,
        open_page(browser, viewport={"width": 1280, "height": 900}) as page,
    ):
        page.goto(f"http://127.0.0.1:{port}/space/")
        yield page


@pytest.fixture
def page(opened: Any) -> Any:
    """Return the page at its beginning."""
    opened.evaluate("location.hash = '#/pictures'")
    wait_for_count(opened, 60)
    wait_for_wall(opened)
    return opened


def test_facets_count_as_duckdb_does(page: Any, explored: Explored) -> None:
    page.wait_for_selector('[data-facet^="seen:"]', state="attached")
    page.wait_for_selector('[data-facet^="asked:"]', state="attached")
    assert read_facets(page) == count_facets(explored.folder, "true")
    page.evaluate(
        "location.hash = '#/pictures?generator=SDXL&generator=DALLE3&license=openrail%2B%2B&q=hair'"
    )
    texts = "prompt || array_to_string(captions, ' ')"
    hair = f"{texts} ilike '%hair%'"
    licence, generators = "license = 'openrail++'", "generator in ('SDXL', 'DALLE3')"
    ids = select_ids(explored.folder, f"{hair} and {licence} and {generators}")
    wait_for_count(page, len(ids))
    shown = read_facets(page)
    expected = count_facets(explored.folder, f"{hair} and {licence} and {generators}")
    # A facet's own filter does not count for it: its other values say what they would add.
    expected["generator"] = count_facets(explored.folder, f"{hair} and {licence}")["generator"]
    expected["license"] = count_facets(explored.folder, f"{hair} and {generators}")["license"]
    assert shown == expected
    assert ids_on_wall(page) == ids


def test_pictures_are_sorted_by_adherence(page: Any, explored: Explored) -> None:
    for value, order in (("worst", "asc"), ("best", "desc")):
        page.select_option("#sort", value)
        expected = sort_ids(explored.folder, order)
        page.wait_for_function(
            "id => document.querySelector('.tile[data-place=\"0\"]')?.dataset.id === id", arg=expected[0]
        )
        found = ids_on_wall(page)
        assert found == expected[: len(found)]


def test_adherence_filters(page: Any, explored: Explored) -> None:
    bars = page.locator("#facets .bar")
    numbers = [int(text.split(": ")[1]) for text in bars.evaluate_all("all => all.map(each => each.title)")]
    assert sum(numbers) == 60
    place = numbers.index(max(numbers))
    bars.nth(place).click()
    wait_for_count(page, numbers[place])
    page.get_by_role("button", name=re.compile("remove filter adherence")).click()
    wait_for_count(page, 60)


def test_texts_are_searched(page: Any, explored: Explored) -> None:
    page.keyboard.press("/")
    page.keyboard.type('"red hair" hat')
    texts = "prompt || ' ' || array_to_string(captions, ' ')"
    ids = select_ids(explored.folder, f"{texts} ilike '%red hair%' and {texts} ilike '%hat%'")
    wait_for_count(page, len(ids))
    assert sorted(ids_on_wall(page)) == sorted(ids)
    page.get_by_label("Search", exact=True).fill("no such words (at [all")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('0 of')")
    assert page.locator("#none").is_visible()


def test_one_picture_in_full(page: Any, explored: Explored) -> None:
    rows = pq.read_table(explored.folder / "prompts").to_pylist()
    captions = pq.read_table(explored.folder / "captions").to_pylist()
    asked = {row["image_id"] for row in rows if row["prompt_attributes"]}
    near = set(pq.read_table(explored.folder / "near_duplicates.parquet")["image_id"].to_pylist())
    row = next(row for row in rows if row["image_id"] in asked & near)
    image_id = row["image_id"]
    page.evaluate("id => { location.hash = `#/picture/${id}` }", image_id)
    page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
    text = page.locator(".facts").inner_text()
    for said in (
        row["prompt"],
        row["generator"],
        row["license"],
        row["sha256"],
        row["file_name"],
        row["split"],
    ):
        assert said in text
    for caption in captions:
        if caption["image_id"] == image_id and caption["caption"] is not None:
            assert caption["caption"] in text
            assert caption["captioner"] in text
    for heading in ("Near-duplicates", "Votes", "Request", "Attributes", "Adherence"):
        assert heading in text
    assert "fal-ai" in text
    assert "trainedAlgorithmicMedia" in text
    page.wait_for_function("() => document.querySelector('dialog img.full').naturalWidth === 256")
    page.wait_for_selector(".strip img[src]")


def check(caption: dict[str, Any]) -> Check:
    """Return what the kit's checker says of a row of the captions."""
    facts = tuple(
        Fact(attribute=each["attribute"], value=each["value"], confidence=None, source_model="")
        for each in caption["attributes"]
    )
    return check_sentence(Bag(image_id="", facts=facts), caption["caption"])


def test_the_page_marks_what_the_checker_says(page: Any, explored: Explored) -> None:
    rows = pq.read_table(explored.folder / "captions").to_pylist()
    checked = [(row, check(row)) for row in rows if row["caption"] and row["attributes"]]
    right = next(each for each in checked if each[1].is_right)
    lacking = next(each for each in checked if each[1].missing and not each[1].added)
    more = next(each for each in checked if each[1].added)
    for caption, found in (right, lacking, more):
        image_id = caption["image_id"]
        page.evaluate("id => { location.hash = `#/picture/${id}` }", image_id)
        page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
        article = page.locator("article.caption", has_text=caption["caption"])
        text = article.locator(".text")
        assert text.evaluate("each => each.textContent") == caption["caption"]
        missing = article.locator(".missing mark").all_inner_texts()
        added = text.locator("mark").all_inner_texts()
        if "/space/" in page.url:
            assert missing == added == []
            assert "not compared with the attributes" in page.locator(".facts").inner_text()
        else:
            values = [f"{fact.attribute.replace('_', ' ')}: {fact.value}" for fact in found.missing]
            assert missing == values
            assert added == [each.words for each in found.added]


def test_a_link_leads_to_one_picture_and_back(page: Any, explored: Explored) -> None:
    ids = select_ids(explored.folder, "generator = 'SDXL'")
    page.locator('[data-facet="generator"][data-value="SDXL"]').click()
    wait_for_count(page, len(ids))
    page.locator(".tile").nth(2).click()
    page.wait_for_selector(f'.facts[data-whole="{ids[2]}"]')
    address = page.url
    assert ids[2] in address
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f'.facts[data-whole="{ids[3]}"]')
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f'.facts[data-whole="{ids[2]}"]')
    page.go_back()
    page.wait_for_selector("dialog.picture", state="hidden")
    wait_for_count(page, len(ids))
    page.go_forward()
    page.wait_for_selector(f'.facts[data-whole="{ids[2]}"]')
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(f'.facts[data-whole="{ids[2]}"]')
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.picture", state="hidden")
    wait_for_count(page, len(ids))
    page.evaluate("location.hash = '#/picture/0000000000000000'")
    page.wait_for_selector("text=There is no such picture")
    page.keyboard.press("Escape")


def test_the_wall_is_used_by_keyboard(page: Any) -> None:
    page.locator(".tile").first.focus()
    columns = int(page.locator(".wall").get_attribute("aria-colcount"))
    assert int(page.locator(".wall").get_attribute("aria-rowcount")) == -(-60 // columns)
    place = "Number(document.activeElement.dataset.place)"
    for key, expected in (
        *(("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowLeft", columns), ("ArrowUp", 0)),
        *(("End", 59), ("ArrowRight", 59), ("Home", 0), ("ArrowLeft", 0), ("PageDown", None), ("PageUp", 0)),
    ):
        page.keyboard.press(key)
        if expected is not None:
            page.wait_for_function(f"() => {place} === {expected}")
    assert page.locator(".tile[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] .facts[data-whole]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.picture", state="hidden")
    page.wait_for_function(f"() => {place} === 0")


def test_pairs_begin_with_disagreement(page: Any, explored: Explored) -> None:
    page.get_by_role("link", name="Pairs").click()
    page.wait_for_selector(".pair .small img[src]")
    rows = pq.read_table(explored.folder / "preferences").to_pylist()
    assert page.locator(".page-head p").inner_text().startswith(f"{len(rows)} pairs")
    judged = [row["agreement"] for row in rows if row["num_responses"] > 1 and row["agreement"] is not None]
    first = page.locator(".pair").first.inner_text()
    assert f"agreement {round(100 * min(judged))} %" in first
    category = rows[0]["category"]
    page.get_by_label("Category").select_option(category)
    number = sum(row["category"] == category for row in rows)
    page.wait_for_function(
        "number => document.querySelector('.page-head p')?.textContent.startsWith(`${number} pair`)",
        arg=number,
    )
    assert page.locator(".votes-cast li").count() > 0


def test_near_duplicates_are_grouped(page: Any, explored: Explored) -> None:
    page.get_by_role("link", name="Near-duplicates").click()
    page.wait_for_selector(".group .small img[src]")
    found = pq.read_table(explored.folder / "near_duplicates.parquet").to_pylist()
    assert page.locator(".group .small").count() == len(found) == 2
    page.locator(".group .small").first.click()
    page.wait_for_selector("dialog[open] .facts[data-whole]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.picture", state="hidden")


def test_changes_are_shown_row_by_row(page: Any, explored: Explored, opened: Any) -> None:
    page.get_by_role("link", name="Changes").click()
    page.get_by_label("Table").select_option("prompts")
    page.wait_for_function("() => document.querySelector('.page-head p')?.textContent.startsWith('3 rows')")
    page.wait_for_selector(".change table td")
    text = page.locator(".long-list").inner_text()
    assert "<script>document.title=2</script>" in text
    assert "removed" in text
    if "space" not in page.url:  # a Space has no previous release
        (before,) = (
            row["prompt"]
            for row in pq.read_table(explored.folder.parent / "1.0" / "prompts").to_pylist()
            if row["image_id"] not in select_ids(explored.folder, "true")
        )
        assert before[:80] in text
    else:
        assert "not at hand" in text


def test_rejected_rows_have_their_reasons(page: Any) -> None:
    if "/space/" in page.url:
        assert page.get_by_role("link", name="Rejected").count() == 0  # they are no part of a release
        return
    page.get_by_role("link", name="Rejected").click()
    page.wait_for_selector(".rejected")
    text = page.locator(".long-list").inner_text()
    assert "image missing" in text
    assert "gone.jpg" in text
    assert "there is no such image" in text


def test_numbers_filter_when_clicked(page: Any, explored: Explored) -> None:
    page.get_by_role("link", name="Numbers").click()
    page.wait_for_selector(".chart")
    chart = page.locator(".chart", has_text="Generator").first
    chart.get_by_role("button", name=re.compile("^DALLE3")).click()
    wait_for_count(page, len(select_ids(explored.folder, "generator = 'DALLE3'")))
    page.get_by_role("link", name="Numbers").click()
    page.get_by_role("button", name=re.compile("^undecided")).click()
    page.wait_for_selector(".pair")
    assert "decision=undecided" in page.url


def test_hostile_texts_are_shown_and_not_run(page: Any, explored: Explored) -> None:
    title = page.title()
    (image_id,) = select_ids(explored.folder, "prompt like '<img%'")
    page.evaluate("id => { location.hash = `#/picture/${id}` }", image_id)
    page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
    assert page.locator(".facts .text").first.evaluate("each => each.textContent") == HOSTILE
    assert page.locator(".facts img[src='x']").count() == 0
    page.keyboard.press("Escape")
    page.get_by_label("Search", exact=True).fill("<script>")
    wait_for_count(page, 1)
    page.wait_for_function("() => document.querySelector('.tile').title.includes('<script>')")
    (image_id,) = select_ids(explored.folder, "prompt like 'a very long%'")
    page.evaluate("id => { location.hash = `#/picture/${id}` }", image_id)
    page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
    box = page.locator(".facts .text.long").first
    page.get_by_role("button", name=f"Show all {len(LONG):,} characters").click()
    assert box.evaluate("each => each.textContent") == LONG
    assert box.evaluate("each => each.clientHeight") < 300
    page.evaluate("location.hash = '#/pictures?q=very+long'")
    wait_for_count(page, 1)
    page.wait_for_function("() => document.querySelector('.tile').title.length === 300")
    assert page.title() == title


def test_a_hostile_address_is_only_text(page: Any) -> None:
    page.evaluate(
        "location.hash = '#/picture/%3Cimg%20src%3Dx%3E%zz?generator=%3Cb%3E&seen%3A__proto__=x&sort=no'"
    )
    page.wait_for_selector("text=There is no such picture")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('0 of')")
    page.evaluate("location.hash = '#/no/such?adherence=a~b&like=none'")
    page.wait_for_function("() => document.querySelector('#none').hidden === false")


def test_marked_pictures_are_left_out_of_the_next_release(
    explored: Explored, browser: Any, address: str, tmp_path: Path
) -> None:
    with open_page(browser, downloads=tmp_path) as page:
        page.goto(address)
        wait_for_wall(page)
        page.locator(".tile").first.focus()
        page.keyboard.press("x")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("x")
        page.locator(".tile").nth(4).click(modifiers=["Shift"])
        assert page.locator("#marks a").inner_text() == "3 marked"
        page.reload()
        wait_for_wall(page)
        marked = page.locator(".tile.marked").evaluate_all("all => all.map(each => each.dataset.id)")
        with page.expect_download() as download:
            page.get_by_role("button", name="Export exclusions.csv").click()
        listed = tmp_path / "exclusions.csv"
        download.value.save_as(listed)
    with listed.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == marked
    assert len(marked) == 3
    config = tmp_path / "release.toml"
    text = explored.config.read_text(encoding="utf-8")
    config.write_text(text.replace("# exclusions = ", f'exclusions = "{listed}" # '), encoding="utf-8")
    changes = explored.config.parent / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("### 2.0", "### 3.0 - 2026-11-30\n\n- C\n\n### 2.0"))
    out = tmp_path / "dist"
    given = [
        "--version",
        "3.0",
        "--config",
        str(config),
        "--out",
        str(out),
        "--previous",
        str(explored.folder),
    ]
    assert release(given) == 0
    before, after = (set(select_ids(folder, "true")) for folder in (explored.folder, out / "3.0"))
    assert before - after == set(marked)


VIEWS = {
    "pictures": ".tile",
    "pairs": ".pair",
    "duplicates": ".group",
    "changes": ".change td",
    "rejected": ".rejected",
    "numbers": ".chart",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_is_wider_than_a_phone(browser: Any, address: str, scheme: str) -> None:
    size = {"width": 390, "height": 844}
    with open_page(browser, viewport=size, color_scheme=scheme, has_touch=True, is_mobile=True) as page:
        page.goto(address)
        wait_for_wall(page)
        for view, shown in VIEWS.items():
            page.evaluate("view => { location.hash = `#/${view}` }", view)
            page.wait_for_selector(shown)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.evaluate("location.hash = '#/pictures'")
        page.get_by_role("button", name="Filters").tap()
        page.locator('[data-facet="generator"]').first.tap()
        page.wait_for_function("() => document.querySelector('#count').textContent.includes('of')")
        page.touchscreen.tap(380, 500)  # beside the filters, which closes them
        page.wait_for_selector("#facets", state="hidden")
        page.locator(".tile").first.tap()
        page.wait_for_selector("dialog[open] .facts[data-whole]")
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 390


def test_a_page_of_another_origin_gets_nothing(browser: Any, address: str, tmp_path: Path) -> None:
    target = address.split("?", maxsplit=1)[0]
    (tmp_path / "evil.html").write_text("<title>evil</title>")
    script = """async (target) => {
        const tries = [
            () => fetch(`${target}release/manifest.json`, { credentials: 'include' }).then((r) => r.text()),
            () => fetch(`${target}release/manifest.json`, { mode: 'no-cors', credentials: 'include' })
                .then((r) => (r.type === 'opaque' ? Promise.reject() : r.text())),
            () => new Promise((resolve, reject) => {
                const script = document.createElement('script')
                script.src = `${target}explorer.js`
                script.onload = resolve
                script.onerror = reject
                document.head.append(script)
            }),
            () => fetch(`${target}api/search`, { method: 'POST', body: '{}' }).then((r) => r.text()),
        ]
        const results = await Promise.allSettled(tries.map((each) => each()))
        return results.map((each) => each.status)
    }"""
    files = StaticFiles(directory=tmp_path)
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)  # this browser has the cookie
    wait_for_wall(page)
    with serve(lambda _: Starlette(routes=[Mount("/", files)])) as port:
        other = context.new_page()
        other.goto(f"http://127.0.0.1:{port}/evil.html")
        assert other.evaluate(script, target) == ["rejected"] * 4
    context.close()


class QuietHandler(SimpleHTTPRequestHandler):
    """Python's own file server, which knows no ranges."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def test_a_server_without_ranges_works_and_is_pointed_out(
    explored: Explored, browser: Any, tmp_path: Path
) -> None:
    space = tmp_path / "space"
    assert explore_release([str(explored.folder), "--space", str(space), "--data", "../2.0"]) == 0
    (tmp_path / "2.0").symlink_to(explored.folder)

    def make(*arguments: Any) -> QuietHandler:
        return QuietHandler(*arguments, directory=str(tmp_path))

    with ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with open_page(browser) as page:
            page.goto(f"http://127.0.0.1:{server.server_port}/space/")
            wait_for_wall(page)
            page.wait_for_selector("text=This server sends whole files")
            wait_for_count(page, 60)
        server.shutdown()
        thread.join()


def test_a_space_names_the_hub_and_has_a_card(explored: Explored, tmp_path: Path) -> None:
    space = tmp_path / "space"
    assert explore_release([str(explored.folder), "--space", str(space)]) == 0
    settings = json.loads((space / "explorer.json").read_text())
    assert settings["release"].endswith("/datasets/org/sfhq-t2i/resolve/v2.0/")
    card = (space / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert 'sdk: "static"' in card
    assert "https://*.hf.co" in (space / "index.html").read_text(encoding="utf-8")
    assert explore_release([str(explored.folder), "--space", str(space)]) == 2  # nothing is overwritten
