"""The explorer's server: read-only, on 127.0.0.1, for one browser. It answers with parts of files."""

import json
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from publish.explorer import PAGE_FILES, SETTINGS_NAME, STATIC
from publish.explorer.caption_checks import AttributeValue, CaptionCheck, can_check
from schemas.problems import KitError

_MAX_QUESTION_BYTES = 16_384
_MAX_CAPTION_BYTES = 1_000_000
_ANY_BYTES = "application/octet-stream"  # no file of a release is shown by the browser itself


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of which some files are served.

    Attributes:
        path: The folder.
        names: The files, relative to it; there is no way to others.
    """

    path: Path
    names: Collection[str]

    def find(self, name: str) -> Path | None:
        """Return the path of a file that may be served: a regular one, in the folder, and listed."""
        if name not in self.names:
            return None
        try:
            whole = (self.path / name).resolve(strict=True)
            is_regular = stat.S_ISREG(whole.stat().st_mode)
        except (OSError, RuntimeError):  # missing, gone meanwhile, or links in a circle
            return None
        return whole if is_regular and whole.is_relative_to(self.path.resolve()) else None

    def num_bytes(self, name: str) -> int | None:
        """Return the size of a file that may be served, None where there is no such file."""
        path = self.find(name)
        status = _stat(path) if path else None
        return status.st_size if status else None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The pictures that show most of what a text says.

    Attributes:
        rows: Rows of the release, the most similar first.
        similarities: Cosine similarity of each.
        note: What was left out of the text, if anything.
    """

    rows: list[int]
    similarities: list[float]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What is served beside the page.

    Attributes:
        release: The release.
        previous: The one that it follows, if it is at hand.
        thumbnails: Packs of small pictures.
        rejected: A folder with the list of rejected rows.
        search: Ranks pictures by a text; None where the release has no features.
        check: Says what is wrong with a caption; None without the checker.
    """

    release: Folder
    previous: Folder | None = None
    thumbnails: Folder | None = None
    rejected: Folder | None = None
    search: Callable[[str], Ranking] | None = None
    check: Callable[[str, Sequence[AttributeValue]], CaptionCheck] | None = None

    @property
    def folders(self) -> Mapping[str, Folder]:
        """Name in addresses → folder."""
        names = ("release", "previous", "thumbnails", "rejected")
        return {name: folder for name in names if (folder := getattr(self, name)) is not None}

    @property
    def settings(self) -> dict[str, object]:
        """What the page reads first: where everything is."""
        places: dict[str, object] = {
            name: f"{name}/" if name in self.folders else None
            for name in ("release", "previous", "thumbnails")
        }
        if self.rejected is not None:
            (name,) = self.rejected.names
            if (num_bytes := self.rejected.num_bytes(name)) is not None:
                places |= {"rejected": f"rejected/{name}", "rejectedBytes": num_bytes}
        return {**places, "searches": self.search is not None, "checks": self.check is not None}


def make_app(shown: Shown) -> Starlette:
    """Return the application that serves a release; a `Guard` belongs before it."""

    async def send_page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in PAGE_FILES:
            return _not_found()
        return FileResponse(STATIC / name, media_type=PAGE_FILES[name])

    async def send_settings(_: Request) -> Response:
        return JSONResponse(shown.settings)

    async def send_file(request: Request) -> Response:
        folder = shown.folders.get(request.path_params["folder"])
        path = await run_in_threadpool(folder.find, request.path_params["name"]) if folder else None
        status = await run_in_threadpool(_stat, path) if path else None
        if path is None or status is None:
            return _not_found()
        return FileResponse(path, media_type=_ANY_BYTES, stat_result=status)

    return Starlette(
        routes=[
            Route("/", send_page),
            Route(f"/{SETTINGS_NAME}", send_settings),
            *_questions(shown),
            Route("/{name}", send_page),
            Route("/{folder}/{name:path}", send_file),
        ]
    )


def _questions(shown: Shown) -> Iterator[Route]:
    """Yield the routes of what the page asks: pictures that fit a text, and what is wrong with a caption."""

    async def search(request: Request) -> Response:
        question = await _read_question(request, _MAX_QUESTION_BYTES)
        text = _text_of(question.get("text"))
        if shown.search is None or text is None:
            return JSONResponse({"problem": "give a text to search for"}, 400)
        try:
            ranking = await run_in_threadpool(shown.search, text.strip())
        except KitError as error:  # for the person; a status of errors would be one of the page's, too
            return JSONResponse({"problem": "; ".join(str(each) for each in error.problems)})
        return JSONResponse(asdict(ranking))

    async def check(request: Request) -> Response:
        question = await _read_question(request, _MAX_CAPTION_BYTES)
        text, attributes = _text_of(question.get("text")), _attributes_of(question.get("attributes"))
        if shown.check is None or attributes is None or text is None or not can_check(text, attributes):
            return JSONResponse({"problem": "give a caption and its attributes"}, 400)
        return JSONResponse(asdict(await run_in_threadpool(shown.check, text, attributes)))

    yield Route("/api/search", search, methods=["POST"])
    yield Route("/api/check", check, methods=["POST"])


def _stat(path: Path) -> os.stat_result | None:
    """Return what the system knows of a file; None where it has gone since it was found."""
    try:
        return path.stat()
    except OSError:
        return None


def _not_found() -> Response:
    return PlainTextResponse("There is no such file.\n", 404)


async def _read_question(request: Request, max_bytes: int) -> dict[str, object]:
    """Return the JSON object that the page sends; an empty one for anything else."""
    # Pages of other origins cannot send this type without asking first, which is never answered.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return {}
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > max_bytes:
            return {}
    try:
        question = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return question if isinstance(question, dict) else {}


def _text_of(value: object) -> str | None:
    """Return a text that says something; None for anything else."""
    if not isinstance(value, str) or any("\ud800" <= char <= "\udfff" for char in value):
        return None  # halves of characters, which JSON can have, are no text that an encoder takes
    return value if value.strip() else None


def _attributes_of(value: object) -> list[AttributeValue] | None:
    if not isinstance(value, list):
        return None
    found = []
    for each in value:
        cells = each if isinstance(each, dict) else {}
        attribute, own = _text_of(cells.get("attribute")), _text_of(cells.get("value"))
        if attribute is None or own is None:
            return None
        found.append(AttributeValue(attribute, own))
    return found
