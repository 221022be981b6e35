"""The application: the page of each annotator, the next pair, and what is answered."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from builders.generation.campaign.asking import Asking, Choice, Outcome, Task
from builders.generation.campaign.folder import Campaign
from builders.generation.campaign.links import Links
from builders.generation.campaign.showing import NotShownError, add_report, find_faults, read_shown
from builders.generation.campaign.votes_log import VotesLog
from publish.voting.guarding import Guard, Places
from publish.voting.recording import Recorder
from schemas.campaign import IMAGES_FOLDER, CampaignPair, PairId, PairNotShown, VoteId

TOKEN_HEADER = "X-Campaign-Token"  # noqa: S105 - its name
_STATIC = files("publish.voting") / "static"
_TYPES: Mapping[str, str] = {
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
}
_MEDIA = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_NUM_COMING = 2
_LOGGER = logging.getLogger("uvicorn.error")  # what it says is on the terminal
_FOR_GOOD = {"Cache-Control": "private, max-age=604800, immutable"}  # a name is a digest of the content


class _Answer(BaseModel):
    """What the page sends for a click."""

    model_config = ConfigDict(extra="forbid")

    vote_id: VoteId
    pair_id: PairId
    choice: Choice
    seconds: float = Field(ge=0, allow_inf_nan=False)


class _Undo(BaseModel):
    """What the page sends to take a vote back."""

    model_config = ConfigDict(extra="forbid")

    vote_id: VoteId


class _NotShown(BaseModel):
    """What the page sends when an image cannot be shown, however often it asks for it."""

    model_config = ConfigDict(extra="forbid")

    vote_id: VoteId
    pair_id: PairId


class Voting:
    """Answers the requests of a campaign's annotators.

    Args:
        campaign: The campaign.
        log: Its votes, those of earlier runs included.
    """

    def __init__(self, campaign: Campaign, log: VotesLog) -> None:
        self._campaign, self._links = campaign, Links(campaign.annotators)
        self._asking = Asking(campaign.settings, campaign.pairs, campaign.secret, log.votes)
        self._recorder = Recorder(self._asking, log)
        # Only images of pairs are shown, by names from the file of pairs.
        self._images = {
            Path(path).name: (path, image_id)
            for pair in campaign.pairs
            for path, image_id in ((pair.image_1, pair.image_1_id), (pair.image_2, pair.image_2_id))
        }
        self._page, self._missing = ((_STATIC / name).read_bytes() for name in ("page.html", "missing.html"))
        self._static = {name: (_STATIC / name).read_bytes() for name in _TYPES}

    def application(self, places: Places) -> Starlette:
        """Return the application, which answers at `places` only."""
        application = Starlette(
            routes=[
                Route("/v/{token}", self._show_page),
                Route(f"/v/{{token}}/{IMAGES_FOLDER}/{{name}}", self._show_image),
                Route("/static/{name}", self._show_static),
                Route("/api/state", self._show_state),
                Route("/api/vote", self._vote, methods=["POST"]),
                Route("/api/undo", self._undo, methods=["POST"]),
                Route("/api/not-shown", self._leave_out, methods=["POST"]),
            ],
            middleware=[Middleware(Guard, places=places)],
            exception_handlers={
                404: self._not_found,
                409: _refused,
                422: _refused,
                OSError: _not_stored,
                ClientDisconnect: _gone,
            },
        )
        application.router.redirect_slashes = False  # behind a proxy, it would not know its own address
        return application

    async def _show_page(self, request: Request) -> Response:
        self._whose(request.path_params["token"])
        return Response(self._page, media_type="text/html")

    async def _show_image(self, request: Request) -> Response:
        self._whose(request.path_params["token"])
        path, image_id = self._images.get(request.path_params["name"], ("", ""))
        if not path:
            raise HTTPException(404)
        try:  # a vote must be about the image that a release has, and not about half of it
            data = await run_in_threadpool(read_shown, self._campaign.path, path, image_id)
        except NotShownError as error:
            raise HTTPException(404) from error
        return Response(data, media_type=_MEDIA[path.rpartition(".")[2]], headers=_FOR_GOOD)

    async def _show_static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _TYPES:
            raise HTTPException(404)
        return Response(self._static[name], media_type=_TYPES[name])

    async def _show_state(self, request: Request) -> Response:
        annotator = self._whose(request.headers.get(TOKEN_HEADER, ""))
        settings = self._campaign.settings
        about = {"name": settings.name, "guidelines": settings.guidelines}
        return JSONResponse({"campaign": about, **self._state(annotator)})

    async def _vote(self, request: Request) -> Response:
        annotator = self._whose(request.headers.get(TOKEN_HEADER, ""))
        answer = await _read(request, _Answer)
        seconds = min(answer.seconds, 86_400.0)  # a page that was open overnight
        found = self._asking.answer(annotator, answer.pair_id, answer.vote_id, answer.choice, seconds)
        if found is None:
            raise HTTPException(409, "Nobody was asked for this.")
        outcome, vote = found
        if vote is not None:
            await self._recorder.record(vote)
        elif outcome is Outcome.KNOWN:  # a click that is sent twice is not answered before it is on the disk
            await self._recorder.settle(answer.vote_id)
        return JSONResponse({"outcome": outcome, **self._state(annotator)})

    async def _undo(self, request: Request) -> Response:
        annotator = self._whose(request.headers.get(TOKEN_HEADER, ""))
        undo = await _read(request, _Undo)
        found = self._asking.undo(annotator, undo.vote_id)
        if found is None:
            raise HTTPException(409, "Nobody was asked for this.")
        outcome, vote = found
        if vote is not None:
            await self._recorder.record(vote)
        elif outcome is Outcome.UNDONE:
            await self._recorder.settle(undo.vote_id)
        return JSONResponse({"outcome": outcome, **self._state(annotator)})

    async def _leave_out(self, request: Request) -> Response:
        annotator = self._whose(request.headers.get(TOKEN_HEADER, ""))
        said = await _read(request, _NotShown)
        pair = self._asking.find_pair(annotator, said.pair_id, said.vote_id)
        if pair is None:
            raise HTTPException(409, "Nobody was asked for this.")
        if self._asking.hide(pair.id, annotator):
            await self._report(pair, annotator)
        return JSONResponse({"outcome": "left_out", **self._state(annotator)})

    async def _report(self, pair: CampaignPair, annotator: str) -> None:
        """Tell the host of a pair that is left out, and keep it for `campaign status`."""
        faults = await run_in_threadpool(find_faults, self._campaign.path, [pair])
        problem = "; ".join(f"{image}: {fault}" for image, fault in faults.items())
        if problem:  # the others would wait for it in vain
            self._asking.hide(pair.id)
            text = "Pair %s cannot be shown, and is left out until the server is started again: %s"
            _LOGGER.error(text, pair.id, problem)
        else:
            text = "The browser of %s could not show pair %s, whose images are in order; it is left out there"
            _LOGGER.warning(text, annotator, pair.id)
        time_now = datetime.now(UTC).isoformat(timespec="milliseconds")
        report = PairNotShown(pair_id=pair.id, annotator=annotator, problem=problem[:1000], time=time_now)
        try:
            await run_in_threadpool(add_report, self._campaign.not_shown_path, report)
        except OSError as error:  # the person can go on all the same
            _LOGGER.error("The report of the pair could not be written: %s", error)

    def _whose(self, token: str) -> str:
        """Return whose a token is.

        Raises:
            HTTPException: It is nobody's: the answer is that of every page that does not exist.
        """
        annotator = self._links.find(token)
        if annotator is None:
            raise HTTPException(404)
        return annotator

    def _state(self, annotator: str) -> dict[str, Any]:
        task = self._asking.next_task(annotator, time.monotonic())
        answered, remaining = self._asking.progress(annotator)
        return {
            "task": None if task is None else _shown(task),
            "answered": answered,
            "remaining": remaining,
            "undo": self._asking.last_vote(annotator),
            "coming": self._asking.coming_images(annotator, _NUM_COMING),
        }

    async def _not_found(self, request: Request, _error: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": "This link does not work."}, 404)
        return Response(self._missing, 404, media_type="text/html")


async def _refused(_request: Request, error: Exception) -> Response:
    """Answer in JSON: by that, the page knows that it was the kit, and no proxy, that has refused a vote."""
    refusal = cast("HTTPException", error)
    return JSONResponse({"error": refusal.detail}, refusal.status_code)


async def _not_stored(_request: Request, error: Exception) -> Response:
    _LOGGER.error("A vote could not be written: %s", error)  # whoever runs the server can do something
    return JSONResponse({"error": "The vote could not be written to the disk."}, 503)


async def _gone(_request: Request, _error: Exception) -> Response:
    """End a request whose client is gone: the page sends the vote again, and nobody reads this answer."""
    return Response(status_code=400)


async def _read(request: Request, kind: type[Any]) -> Any:
    """Return what the body says.

    Raises:
        HTTPException: It says something else.
    """
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, "The request is not one of the page's.") from error


def _shown(task: Task) -> dict[str, str]:
    """Return what the page may know of a task: neither the models, nor whether it measures somebody."""
    pair = task.pair
    left, right = (pair.image_1, pair.image_2) if task.left == "image_1" else (pair.image_2, pair.image_1)
    return {
        "vote_id": task.vote_id,
        "pair_id": pair.id,
        "prompt": pair.prompt,
        "left": left,
        "right": right,
    }
