"""What fails once is read again: a page makes thousands of requests over networks that lose some."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from publish.checks.files import read_manifest
from publish.explorer.space import write_space
from tests.browser import open_page
from tests.publish.explorer.conftest import Explored
from tests.publish.explorer.serving import serve
from tests.publish.explorer.test_likeness import Form, read_in_node, write_vectors
from tests.publish.explorer.test_views import wait_for_count, wait_for_wall

pytestmark = pytest.mark.slow


class FailsOnce:
    """A server whose parts of files all fail once.

    The browser may keep no part: it would ask for the rest of one, which is another part.

    Args:
        app: The server without failures.
        is_cut: Whether the connection ends in the middle of an answer; otherwise the answer is an error.
    """

    def __init__(self, app: Any, *, is_cut: bool) -> None:
        self.app, self.is_cut = app, is_cut
        self.asked: set[tuple[str, bytes]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        asked = scope["path"], dict(scope["headers"]).get(b"range", b"")
        is_known = asked in self.asked
        self.asked.add(asked)
        if not is_known and not self.is_cut:
            await Response(status_code=503)(scope, receive, send)
            return

        async def send_part(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"cache-control", b"no-store")]}
            elif not is_known:
                body = message["body"]
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                raise ConnectionError
            await send(message)

        await self.app(scope, receive, send_part)


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "error"])
def test_a_page_is_whole_where_each_request_fails_once(
    is_cut: bool, sample_release: Path, tmp_path: Path, browser: Any
) -> None:
    write_space(tmp_path, read_manifest(sample_release), "../release/")
    release = FailsOnce(StaticFiles(directory=sample_release), is_cut=is_cut)
    page_files = StaticFiles(directory=tmp_path, html=True)
    app = Starlette(routes=[Mount("/release", release), Mount("/page", page_files)])
    with serve(lambda _: app) as port, open_page(browser, tolerates="Failed to load resource") as page:
        page.goto(f"http://127.0.0.1:{port}/page/")
        wait_for_wall(page)
        wait_for_count(page, 60)
        page.wait_for_selector('[data-facet^="seen:"]', state="attached")
        image_id = page.locator(".tile").first.get_attribute("data-id")
        page.locator(".tile").first.click()
        page.wait_for_selector(".facts[data-whole]")
        assert page.locator(".facts .caption").count()
        assert page.locator(".facts .problem").count() == 0
        page.evaluate("id => { location.hash = `#/pictures?like=${id}` }", image_id)
        page.wait_for_selector(".score")
        assert page.locator("#problem").is_hidden()
    assert len(release.asked) > 10


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "error"])
def test_vectors_are_whole_where_each_request_fails_once(is_cut: bool, app: Path, tmp_path: Path) -> None:
    """A part that is cut off takes the beginning of the page with it, which came with the part before."""
    vectors = np.random.default_rng(2).standard_normal((1500, 1024)).astype(np.float32)
    form = Form({"compression": "none", "data_page_size": 1_500_000, "write_batch_size": 8})
    write_vectors(tmp_path / "0.parquet", form, vectors, ["id"] * len(vectors))
    found, _ = read_in_node(
        app, tmp_path, plain_only=True, wrap=lambda files: FailsOnce(files, is_cut=is_cut)
    )
    np.testing.assert_array_equal(found, vectors.astype(np.float16).ravel())


def test_what_failed_is_read_again_when_it_is_next_shown(
    address: str, explored: Explored, browser: Any
) -> None:
    near = pq.read_table(explored.folder / "near_duplicates.parquet")["image_id"].to_pylist()
    with open_page(browser, tolerates="Failed to load resource") as page:
        page.route("**/near_duplicates.parquet", lambda route: route.fulfill(status=500))
        page.goto(f"{address}#/picture/{near[0]}")
        page.wait_for_selector('.facts[data-whole] .problem:has-text("near_duplicates.parquet")')
        page.unroute("**/near_duplicates.parquet")
        page.evaluate("id => { location.hash = `#/picture/${id}` }", near[1])
        page.wait_for_selector(f'.facts[data-whole="{near[1]}"] .strip')
        assert page.locator(".facts .problem").count() == 0


def _checked_picture(release: Path) -> tuple[str, str]:
    """Return a picture whose caption the checker finds to say more than the attributes, and the caption."""
    rows = pq.read_table(release / "captions").to_pylist()
    row = next(row for row in rows if "top hat" in (row["caption"] or ""))
    return row["image_id"], row["caption"]


def test_a_check_that_fails_leaves_the_caption(address: str, explored: Explored, browser: Any) -> None:
    image_id, caption = _checked_picture(explored.folder)
    with open_page(browser, tolerates="Failed to load resource") as page:
        page.route("**/api/check", lambda route: route.fulfill(status=500))
        page.goto(f"{address}#/picture/{image_id}")
        page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
        assert page.locator("article.caption .text").get_by_text(caption).count()
        assert page.locator(".facts .problem").all_inner_texts() == [
            "the caption could not be checked (HTTP 500)"
        ]


def test_nothing_waits_for_the_check_of_a_caption(address: str, explored: Explored, browser: Any) -> None:
    image_id, caption = _checked_picture(explored.folder)
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    with open_page(browser) as page:
        page.route("**/api/check", hold)
        page.goto(f"{address}#/picture/{image_id}")
        page.wait_for_selector('.facts h3:has-text("Adherence")')
        page.wait_for_selector("article.caption")
        assert page.locator(".facts mark").count() == 0
        assert page.locator(".facts[data-whole]").count() == 0
        held[0].continue_()
        page.wait_for_selector(f'.facts[data-whole="{image_id}"]')
        assert page.locator("article.caption .text mark").count()
        texts = page.locator("article.caption .text").all_text_contents()
        assert caption in texts


_ASKING = """
import { checkCaption } from './checks.js'
let sent = null
globalThis.fetch = async (_, { body }) => {
  sent = JSON.parse(body)
  return Response.json({ missing: [], added: [] })
}
await checkCaption(JSON.parse(process.argv[1]))
console.log(JSON.stringify(sent))
"""
_HAT = {"attribute": "hat", "value": "red"}


@pytest.mark.parametrize(
    ("caption", "attributes", "sent"),
    [
        ("A red hat.", [_HAT], [_HAT]),
        (" \u00a0\x1f ", [_HAT], None),
        (None, [_HAT], None),
        ("A red hat.", [{"attribute": "hair", "value": ""}, _HAT, {"attribute": " ", "value": "x"}], [_HAT]),
        ("A red hat.", [{"attribute": "hair", "value": "x" * 1001}, _HAT], [_HAT]),
        ("A red hat.", [{"attribute": "x" * 101, "value": "x"}], None),
        ("A red hat.", [{"attribute": "hat", "value": "x" * 1000}] * 20, None),
        ("A red hat.", [_HAT] * 201, None),
        ("A red hat. " * 200, [_HAT], None),
    ],
)
def test_only_what_can_be_checked_is_asked(
    caption: str | None, attributes: list[dict[str, str]], sent: Any, app: Path
) -> None:
    row = json.dumps({"caption": caption, "language": "en", "attributes": attributes})
    command = ["node", "--input-type=module", "--eval", _ASKING, row]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=app)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == (sent and {"text": caption, "attributes": sent})
