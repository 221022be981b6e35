"""The page for voting in a real browser: whole sessions, small screens, lost connections, killed servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser import open_browser, open_page
from tests.publish.voting.server import (
    Server,
    labels,
    make_campaign,
    read_lines,
    read_standing,
    running,
)

SCRIPT = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)> face {}"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser."""
    with open_browser() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Return a function that opens an address as a person with a browser of their own does."""
    with ExitStack() as pages:

        def open_one(address: str, **options: Any) -> Page:
            settings: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, **options}
            # Wrong links, and servers that are gone, are what some tests are about.
            page: Page = pages.enter_context(
                open_page(browser, tolerates="Failed to load resource", **settings)
            )
            page.goto(address)
            return page

        yield open_one


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """Return a campaign of six pairs that one person each decides."""
    return make_campaign(tmp_path / "campaign", 6, "--overlap", "1", "--annotators", "2")


@pytest.fixture
def server(campaign: Path) -> Iterator[Server]:
    """Return a server of the campaign."""
    with running(campaign) as started:
        yield started


def ready(page: Page) -> Locator:
    """Wait until both images of a pair are on the screen."""
    pair = page.locator("#pair[aria-busy=false]")
    expect(pair).to_be_visible()
    return pair


def answered(page: Page, number: int) -> None:
    """Wait until so many answers are stored, and the next pair or the end is shown."""
    expect(page.locator("#count")).to_contain_text(f"{number} answered")
    expect(page.locator("#pair[aria-busy=false], #end:not([hidden])")).to_be_visible()


def is_over(page: Page) -> bool:
    """Return whether the end is shown."""
    return page.locator("#end").is_visible()


def test_a_whole_session_by_keyboard(
    campaign: Path,
    server: Server,
    visit: Visit,
    tmp_path: Path,
) -> None:
    page = visit(server.links[0])
    ready(page)
    expect(page).to_have_title("campaign")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Guidelines")).to_be_visible()
    page.keyboard.press("1")  # no answer while the guidelines are open
    page.keyboard.press("Escape")
    expect(page.locator("#guidelines")).to_be_hidden()
    page.keyboard.press("3")
    answered(page, 1)
    page.keyboard.press("Backspace")
    answered(page, 0)
    expect(page.get_by_role("status")).to_contain_text("Taken back")
    wanted, number = ["left", "right", "both_good", "both_bad", "toxic_content"], 0
    page.screenshot(path=tmp_path / "keyboard.png")
    while not is_over(page):
        page.keyboard.press(str(number % 5 + 1))
        number += 1
        answered(page, number)
    page.keyboard.press("u")
    answered(page, number - 1)
    page.keyboard.press("4")
    answered(page, number)
    expect(page.get_by_role("heading", name="All done. Thank you!")).to_be_visible()
    page.screenshot(path=tmp_path / "end.png")
    votes = read_standing(campaign)
    assert labels(votes) == [*(wanted[each % 5] for each in range(number - 1)), "both_bad"]
    assert sum(line["status"] == "discarded" for line in read_lines(campaign)) == 2


def test_by_tab_and_enter_alone_with_what_a_screen_reader_says(
    server: Server,
    visit: Visit,
) -> None:
    page = visit(server.links[0])
    ready(page)
    page.get_by_role("button", name="Guidelines").focus()
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText || document.activeElement.id"))
    assert "face with number" in names[0]  # a long prompt is scrolled by keys
    assert [each.split("\n")[-1] for each in names[3:]] == [
        *("Left is better", "Right is better", "Both good", "Both bad", "Unsafe"),
    ]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    answered(page, 1)
    # The focus is where it was, and the next prompt is read aloud.
    assert page.evaluate("document.activeElement.dataset.choice") == "both_bad"
    expect(page.get_by_role("status")).to_contain_text("Both bad, stored. Prompt: a face with number")
    expect(page.get_by_role("button", name="Left image is better")).to_be_visible()
    expect(page.get_by_role("img", name="First image")).to_be_visible()
    page.keyboard.press("?")
    page.get_by_role("checkbox", name="Answer with single keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator("#count")).to_contain_text("1 answered")


@pytest.mark.slow
def test_a_whole_session_by_mouse_with_double_clicks_and_two_tabs(
    campaign: Path,
    server: Server,
    visit: Visit,
    tmp_path: Path,
) -> None:
    page = visit(server.links[0])
    ready(page)
    other = page.context.new_page()
    other.goto(server.links[0])
    ready(other)
    page.get_by_role("button", name="Left image is better").dblclick()
    answered(page, 1)
    # The other tab shows the same pair: what is clicked there changes nothing, and it goes on.
    other.get_by_role("button", name="Both bad").click()
    answered(other, 1)
    expect(other.get_by_role("status")).to_contain_text("answered already")
    expect(other.locator("#notice")).to_have_text("This pair was answered already")  # for those who see
    other.close()
    page.get_by_role("button", name="Undo").click()
    answered(page, 0)
    number = 0
    page.screenshot(path=tmp_path / "mouse.png")
    while not is_over(page):
        page.get_by_role("button", name="Right image is better").click()
        number += 1
        answered(page, number)
    votes = read_standing(campaign)
    assert labels(votes) == ["right"] * number
    assert len({vote["vote_id"] for vote in votes}) == number
    # For the other person, nothing is left.
    second = visit(server.links[1])
    expect(second.get_by_role("heading", name="All done. Thank you!")).to_be_visible()


@pytest.mark.parametrize("way", ["mouse", "key", "held Enter"])
def test_a_pair_that_nobody_looked_at_gets_no_answer(
    way: str, campaign: Path, server: Server, visit: Visit
) -> None:
    page = visit(server.links[0])
    page.clock.install(time=0)
    page.reload()
    page.clock.pause_at(60_000)  # from here on, only the test lets time pass
    both_bad = page.get_by_role("button", name="Both bad")

    def press() -> None:
        if way == "key":
            page.keyboard.press("4")
        elif way == "mouse":
            box = both_bad.bounding_box()
            assert box is not None
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        else:
            page.keyboard.down("Enter")  # a second one without "up" in between is what a held key sends

    def shown(number: int) -> None:
        expect(page.locator("#count")).to_contain_text(f"{number} answered")
        for image in ("#left", "#right"):  # seen before they can be answered
            expect(page.locator(f"#pair:not(.loading) {image}[src]")).to_have_css("opacity", "1")

    shown(0)
    page.clock.run_for(1000)
    ready(page)
    both_bad.focus()
    press()
    shown(1)
    for _ in range(3):
        press()
        page.clock.run_for(150)
    if way == "held Enter":
        page.clock.run_for(1000)
        ready(page)
        press()
        page.keyboard.up("Enter")
    page.clock.run_for(1000)
    ready(page)
    assert labels(read_lines(campaign)) == ["both_bad"]
    press()
    shown(2)
    assert labels(read_lines(campaign)) == ["both_bad"] * 2


@pytest.mark.slow
def test_on_a_phone_both_images_are_seen_and_a_script_is_text(
    tmp_path: Path,
    visit: Visit,
) -> None:
    campaign = make_campaign(tmp_path / "campaign", 4, "--overlap", "1", prompt=SCRIPT, size=(120, 150))
    with running(campaign) as server:
        page = visit(server.links[0], **PHONE)
        number = 0
        ready(page)
        expect(page.locator("#prompt")).to_contain_text("<script>document.title = 'taken over'</script><img")
        expect(page).to_have_title("campaign")
        page.screenshot(path=tmp_path / "phone.png")
        boxes = [page.locator(name).bounding_box() for name in ("#left", "#right")]
        for box in boxes:
            assert box is not None
            assert box["x"] >= 0
            assert box["y"] >= 0
            assert box["x"] + box["width"] <= 390
            assert box["y"] + box["height"] <= 844
            assert box["width"] * box["height"] > 40_000  # a square of 200 pixels
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for button in page.locator(".choices button").all():
            place = button.bounding_box()
            assert place is not None
            assert place["height"] >= 44  # a thumb
            assert place["y"] + place["height"] <= 844
        while not is_over(page):
            page.get_by_role("button", name="Upper", exact=True).tap()
            number += 1
            answered(page, number)
    assert labels(read_standing(campaign)) == ["left"] * number


def test_on_each_screen_the_images_are_large_and_each_button_fits_a_thumb(
    campaign: Path, server: Server, visit: Visit, tmp_path: Path
) -> None:
    page = visit(server.links[0], **PHONE)
    ready(page)
    sizes = {
        *((390, 844), (844, 390), (320, 568)),  # phones, one of them turned
        *((820, 1180), (320, 256)),  # a tablet; a window of 1280 x 1024 with everything four times as large
    }
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=tmp_path / f"{width}x{height}.png")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        if height > 256:  # the whole pair is seen at once
            assert page.evaluate("document.documentElement.scrollHeight") == height
        edges = []
        for image in ("#left", "#right"):
            box = page.locator(image).bounding_box()
            assert box is not None
            assert abs(box["width"] - box["height"]) < 1  # as the file is
            edges.append(box["width"])
        assert min(edges) >= 115
        for button in page.locator("header button, .choices button").all():
            place = button.bounding_box()
            assert place is not None
            assert min(place["height"], place["width"]) >= 44
            assert 0 <= place["x"] <= place["x"] + place["width"] <= width
            clipped = "button => button.scrollWidth > button.clientWidth + 1"
            assert not button.evaluate(clipped), button.inner_text()
    page.set_viewport_size({"width": 320, "height": 568})
    page.get_by_role("button", name="Guidelines").tap()
    expect(page.get_by_role("heading", name="Guidelines")).to_be_in_viewport()  # read from the start
    expect(page.get_by_role("button", name="Close")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Close").tap()
    expect(page.locator("#guidelines")).to_be_hidden()
    both_good, both_bad = (page.get_by_role("button", name=name) for name in ("Both good", "Both bad"))
    both_good.tap()
    answered(page, 1)
    # No button looks chosen for a pair that has no answer yet.
    border = both_bad.evaluate("button => getComputedStyle(button).borderColor")
    expect(both_good).to_have_css("border-color", border)


def test_an_answer_without_a_connection_is_kept_and_sent_again(
    campaign: Path,
    server: Server,
    visit: Visit,
) -> None:
    page = visit(server.links[0])
    ready(page)
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_contain_text("No connection. Your answer is kept")
    page.context.set_offline(False)
    answered(page, 1)
    expect(page.get_by_role("alert")).to_be_hidden()
    # A laptop that is closed before the answer comes: the next page sends it.
    page.context.set_offline(True)
    page.keyboard.press("2")
    expect(page.get_by_role("alert")).to_be_visible()
    later = page.context.new_page()
    page.close()
    later.context.set_offline(False)
    later.goto(server.links[0])
    answered(later, 2)
    assert labels(read_standing(campaign)) == ["left", "right"]


def test_what_a_proxy_says_loses_no_answer(campaign: Path, server: Server, visit: Visit) -> None:
    page = visit(server.links[0])
    page.clock.install()
    page.reload()
    ready(page)
    said = [(429, "text/html", "Slow down"), (404, "text/html", "<h1>Not found</h1>"), (403, "text/html", "")]
    said += [(408, "application/json", "{}"), (404, "application/json", '{"message": "no route"}')]
    num_asked = len(said)
    kept = []

    def answer(route: Route) -> None:
        kept.append(route.request.post_data_json)
        if said:
            status, kind, text = said.pop()
            route.fulfill(status=status, content_type=kind, body=text)
        else:
            route.continue_()

    page.route("**/api/vote", answer)
    page.keyboard.press("2")
    expect(page.get_by_role("alert")).to_contain_text("Yours is kept")
    assert page.evaluate("localStorage.length") == 1
    for _ in range(num_asked):
        page.clock.run_for(15_000)  # the longest wait
    answered(page, 1)
    assert len(kept) > num_asked  # a busy machine may lose a connection, too
    assert kept == [kept[0]] * len(kept)
    assert labels(read_lines(campaign)) == ["right"]
    assert page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("fault", ["file", pytest.param("browser", marks=pytest.mark.slow)])
def test_a_pair_that_cannot_be_shown_does_not_stop_anybody(
    fault: str, campaign: Path, server: Server, visit: Visit
) -> None:
    page = visit(server.links[0])
    ready(page)
    left = page.locator("#left").get_attribute("src") or ""
    prompt = page.locator("#prompt").inner_text()
    page = visit("about:blank")  # another browser of this person, which has no copy of the image
    page.clock.install()
    if fault == "file":
        (campaign / "images" / left.rpartition("/")[2]).unlink()
    else:
        page.route(left, lambda route: route.fulfill(status=200, content_type="image/png", body=b"broken"))
    page.goto(server.links[0])
    expect(page.get_by_role("alert")).to_contain_text("asked for again")
    for _ in range(10):
        page.clock.run_for(1000)
    ready(page)
    expect(page.locator("#prompt")).not_to_contain_text(prompt)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("could not be shown")
    expect(page.locator("#notice")).to_contain_text("could not be shown")
    expect(page.locator("#count")).to_have_text("0 answered, 5 to go")
    assert read_lines(campaign) == []
    page.keyboard.press("1")
    answered(page, 1)


@pytest.mark.slow
def test_images_that_a_connection_loses_are_waited_for(campaign: Path, server: Server, visit: Visit) -> None:
    page = visit("about:blank")
    page.clock.install()
    # Of a proxy: it has too much to do, forbids it, or has a page of its own in the place of everything.
    lost: list[int | None] = [None] * 8 + [503, 403, 404, 200] * 4

    def lose(route: Route) -> None:
        fault = lost.pop() if lost else 0
        if fault is None:
            route.abort("connectionreset")
        elif fault:
            route.fulfill(status=fault, body="<p>a proxy's page</p>", content_type="text/html")
        else:
            route.continue_()

    page.route("**/images/*", lose)
    page.goto(server.links[0])
    expect(page.get_by_role("alert")).to_contain_text("asked for again")
    while lost:
        page.clock.run_for(15_000)
    for _ in range(3):
        page.clock.run_for(15_000)
    ready(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert not (campaign / "not_shown.jsonl").exists()


def test_an_answer_waits_for_a_link_that_works_again(campaign: Path, server: Server, visit: Visit) -> None:
    page = visit(server.links[0])
    ready(page)
    people = campaign / "annotators.jsonl"
    lines = people.read_bytes()
    server.kill()
    people.write_bytes(lines.splitlines(keepends=True)[1])
    with running(campaign, port=server.port):
        page.keyboard.press("2")
        expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()
        expect(page.locator("#end")).to_contain_text("Your last answer is kept in this browser")
        expect(page.locator("#end")).to_be_focused()  # so that a screen reader says it
        expect(page.locator("#end svg")).to_be_hidden()  # it is no success
    people.write_bytes(lines)
    with running(campaign, port=server.port):
        page.reload()
        answered(page, 1)
    assert labels(read_lines(campaign)) == ["right"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "torn", "after"])
def test_a_server_killed_between_click_and_answer_loses_and_doubles_nothing(
    moment: str,
    campaign: Path,
    visit: Visit,
) -> None:
    with running(campaign, dies=moment) as server:
        page = visit(server.links[0])
        ready(page)
        page.keyboard.press("1")
        expect(page.get_by_role("alert")).to_contain_text("No connection")
        server.process.communicate()
        assert server.process.returncode == -9
    with running(campaign, port=server.port) as again:
        assert again.links == server.links
        answered(page, 1)
        page.keyboard.press("2")
        answered(page, 2)
        page.close()
        status, said = again.stop()
    assert status == 0
    assert ("not complete" in said) == (moment == "torn")
    votes = read_lines(campaign)
    assert labels(votes) == ["left", "right"]
    assert len({vote["pair_id"] for vote in votes}) == 2


def test_a_link_that_is_wrong_shows_a_page_that_says_so(
    server: Server,
    visit: Visit,
) -> None:
    page = visit(server.links[0][:-1] + "~")
    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    expect(page.locator("main")).to_have_css("text-align", "center")  # in the page's own style
