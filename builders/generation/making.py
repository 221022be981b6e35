"""Make images: send what is planned, within a budget, and write down each step before the next."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from time import monotonic
from typing import overload

from builders.generation.image_folder import IMAGES, KEPT, ImageFolder, image_name
from builders.generation.image_requests import PlannedImage
from builders.generation.images import (
    ImageAnswer,
    ImageFailureError,
    ImageProvider,
    ImageRefusalError,
    LostAnswerError,
)
from builders.generation.journal import Entry, Journal
from builders.generation.request_journal import State, states_to_send
from builders.images.files import ImageRefusedError
from builders.images.integrity import inspect_image
from builders.parallel import open_lanes
from schemas.generation import MAX_RETURNED_SEED, GenerationRecord
from schemas.problems import KitError, Problem, Reason, ReleaseError
from schemas.prompts import MAX_PROMPT_CHARS, PromptOrigin
from schemas.settings import BuildSettings

FLAGGED = "flagged by the safety checker"
LOST_CODE = "run/images-uncertain"
_MAX_LOST_IN_A_ROW = 5
_LIMITS = BuildSettings()
_MAX_CHARS = 1000
_CENT_PART = 1e-9  # sums of prices are not exact
_TABLES_SECONDS = 60.0  # how often the tables are written: a reader of the folder sees them grow
_TABLES_PAUSE = 20  # times the duration of the last writing


@dataclass(frozen=True, slots=True)
class MakingOptions:
    """How images are made.

    Attributes:
        provider_name: Who is asked.
        model: The model as the provider names it.
        price_usd: Expected cost of an image in US dollars, 0 or more.
        budget_usd: Most that all requests of the folder may cost; None for no limit.
        concurrency: Requests that are open at once, 1 or more.
        is_remote: Whether the provider is elsewhere: its times are worth keeping.
        sends_again: Whether requests of unknown outcome are sent once more.
    """

    provider_name: str
    model: str
    price_usd: float
    budget_usd: float | None
    concurrency: int
    is_remote: bool
    sends_again: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One request has come to its end.

    Attributes:
        state: How it ended.
        spent_usd: What the folder has cost up to now.
    """

    state: State
    spent_usd: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who was asked for an image, by what name of the model, at what price, and when."""

    provider: str
    model: str
    price_usd: float
    sent_at: str | None


class ImageMaker:
    """Makes the images that a journal wants.

    Args:
        folder: Where they go.
        journal: Has the requests; no other run has it open.
        provider: Is asked.
        options: How.
    """

    def __init__(
        self, folder: ImageFolder, journal: Journal, provider: ImageProvider, options: MakingOptions
    ) -> None:
        self._folder, self._journal, self._provider, self._options = folder, journal, provider, options
        self._left: Iterator[Entry] = iter(())
        self._next: Entry | None = None
        self._open = set[Future[State]]()
        self._error: KitError | None = None
        self._num_lost = 0
        self.missing: list[str] = []

    def finish_last_run(self) -> int:
        """Finish what a killed run left: write images, and fetch others; return how many were fetched."""
        for key, file_name, data in self._journal.unwritten():
            self._write(key, file_name, data)
        num_fetched = 0
        for entry in self._journal.entries(State.UNCERTAIN):
            if entry.answer is not None and entry.answer.address and self._options.is_remote:
                num_fetched += self._fetch(entry, entry.answer)
        return num_fetched

    def run(self, tell: Callable[[Step], None], note: Callable[[str], None]) -> None:
        """Send every request that is planned or has failed; write the tables at the end, whatever happens.

        Args:
            tell: Called in this thread when a request has come to its end.
            note: Shows a sentence to the user.

        Raises:
            KitError: No request can succeed, such as with a wrong key.
            KeyboardInterrupt: The user stopped; open requests were waited for.
        """
        self._left = self._journal.entries(*states_to_send(sends_again=self._options.sends_again))
        self._next = next(self._left, None)
        due_at = monotonic() + _TABLES_SECONDS
        try:
            with open_lanes(self._options.concurrency) as pool:
                try:
                    while self._fill(pool):
                        self._collect(tell)
                        if (begun := monotonic()) > due_at:
                            self.missing = self._folder.write_tables(self._journal)
                            # No request is sent meanwhile, so tables of many images are written less often.
                            taken = monotonic() - begun
                            due_at = monotonic() + max(_TABLES_SECONDS, _TABLES_PAUSE * taken)
                except KeyboardInterrupt:
                    note(f"Stopping, after the answers to {len(self._open)} open requests.")
                    raise
        finally:
            self.missing = self._folder.write_tables(self._journal)
        if self._error is not None:
            raise self._error

    @property
    def is_over_budget(self) -> bool:
        """Whether requests are left that the budget does not allow."""
        return self._error is None and self._next is not None

    def _fill(self, pool: ThreadPoolExecutor) -> bool:
        """Send as many requests as may be open; return whether any is."""
        while self._next is not None and self._error is None and self._has_place() and self._affords():
            planned, options = self._next.planned, self._options
            sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            asked = _Asked(options.provider_name, options.model, options.price_usd, sent_at)
            self._journal.send(planned.key, asked.provider, asked.model, sent_at, asked.price_usd)
            self._open.add(pool.submit(self._make, planned, asked))
            self._next = next(self._left, None)
        return bool(self._open)

    def _has_place(self) -> bool:
        return len(self._open) < self._options.concurrency

    def _affords(self) -> bool:
        """Return whether one more request stays within the budget; those that are open count, too."""
        budget = self._options.budget_usd
        return budget is None or self._journal.spent_usd() + self._options.price_usd <= budget + _CENT_PART

    def _collect(self, tell: Callable[[Step], None]) -> None:
        """Wait for a request to end."""
        for done in wait(self._open, return_when=FIRST_COMPLETED).done:
            self._open.discard(done)
            try:
                state = done.result()
            except KitError as error:
                self._error = self._error or error
            else:
                self._watch_losses(state)
                tell(Step(state, self._journal.spent_usd()))

    def _watch_losses(self, state: State) -> None:
        """Stop before much is paid for nothing, where one answer after the other is lost."""
        self._num_lost = self._num_lost + 1 if state is State.UNCERTAIN else 0
        if self._num_lost >= _MAX_LOST_IN_A_ROW and self._error is None:
            message = f"the last {self._num_lost} requests have no usable answer, so no more were sent"
            fix = "see what the other messages say, and try with a few prompts"
            self._error = ReleaseError(
                Problem(Reason.RELEASE, message, file=self._options.provider_name, fix=fix, code=LOST_CODE)
            )

    def _make(self, planned: PlannedImage, asked: _Asked) -> State:
        """Ask for one image, and write down what comes of it."""
        key, begun = planned.key, monotonic()
        try:
            answer = self._provider.make(planned.request)
        except ImageRefusalError as error:
            named = replace(asked, model=error.model or asked.model)
            record = self._record(planned, None, named, monotonic() - begun).model_copy(
                update={"refusal": _cut(error.category), "provider_request_id": _cut(error.request_id)}
            )
            self._journal.refuse(key, str(error), record)
            return State.REFUSED
        except ImageFailureError as error:
            self._journal.fail(key, str(error))
            return State.FAILED
        except LostAnswerError as error:
            self._journal.lose(key, str(error), error.answer, b"", "")
            return State.UNCERTAIN
        except KitError as error:
            self._journal.fail(key, str(error))
            raise
        return self._take(planned, answer, asked, monotonic() - begun)

    def _take(
        self, planned: PlannedImage, answer: ImageAnswer, asked: _Asked, seconds: float | None
    ) -> State:
        """Store an answer, then its image."""
        key, data = planned.key, answer.data
        try:
            facts = inspect_image(data, sha256(data).hexdigest(), _LIMITS)
        except ImageRefusedError as error:
            file_name = f"{KEPT}/{key}"
            self._journal.lose(key, f"the answer is no usable image: {error}", answer, data, file_name)
            self._write(key, file_name, data)
            return State.UNCERTAIN
        name = image_name(planned.generator, key, facts.format)
        record = self._record(planned, answer, asked, seconds)
        if answer.is_flagged:
            record, file_name = record.model_copy(update={"refusal": FLAGGED}), f"{KEPT}/{name}"
        else:
            update = {"status": "delivered", "image_filename": name}
            record, file_name = record.model_copy(update=update), f"{IMAGES}/{name}"
        self._journal.deliver(key, answer, data, file_name, record)
        self._write(key, file_name, data)
        return State.REFUSED if answer.is_flagged else State.DELIVERED

    def _write(self, key: str, file_name: str, data: bytes) -> None:
        self._folder.write_image(file_name, data)
        self._journal.forget_image(key)

    def _fetch(self, entry: Entry, answer: ImageAnswer) -> bool:
        """Fetch an image that an earlier run could not fetch; return whether it is in the folder now."""
        try:
            data = self._provider.fetch(answer)
        except LostAnswerError as error:
            self._journal.lose(entry.planned.key, str(error), answer, b"", "")
            return False
        options = self._options  # of this run, which may ask another provider
        asked = _Asked(
            entry.provider or options.provider_name,
            entry.model or options.model,
            entry.cost_usd,
            entry.sent_at,
        )
        return self._take(entry.planned, replace(answer, data=data), asked, None) is State.DELIVERED

    def _record(
        self, planned: PlannedImage, answer: ImageAnswer | None, asked: _Asked, seconds: float | None
    ) -> GenerationRecord:
        """Return the record of a request that was refused, or of an answer."""
        is_remote, usage = self._options.is_remote, answer.cost_usd if answer else None
        price = asked.price_usd if answer else 0.0
        return GenerationRecord(
            request_key=planned.key,
            status="refused",
            image_filename=None,
            prompt=planned.prompt,
            attributes=planned.attributes,
            grammar=planned.grammar,
            grammar_version=planned.grammar_version,
            prompt_seed=planned.prompt_seed,
            prompt_index=planned.prompt_index,
            generator=planned.generator,
            **{name: getattr(planned, name) for name in PromptOrigin.model_fields},
            provider=asked.provider,
            model=_cut(answer.model if answer else asked.model),
            seed=answer.seed if answer else None,
            returned_seed=_whole(answer.returned_seed) if answer else None,
            revised_prompt=_cut(answer.revised_prompt, MAX_PROMPT_CHARS) if answer else None,
            flags=tuple(_cut(flag) for flag in answer.flags) if answer else (),
            refusal=None,
            provider_request_id=_cut(answer.request_id) if answer else None,
            cost_usd=price if usage is None else usage,
            cost_basis="price" if usage is None else "usage",
            # Times of this machine would make two equal runs differ, and say nothing of anybody.
            requested_at=asked.sent_at if is_remote else None,
            seconds=round(seconds, 3) if seconds is not None and is_remote else None,
        )


@overload
def _cut(text: str, most: int = ...) -> str: ...
@overload
def _cut(text: str | None, most: int = ...) -> str | None: ...
def _cut(text: str | None, most: int = _MAX_CHARS) -> str | None:
    """Shorten what a provider says to what a record holds."""
    return None if text is None else text[:most]


def _whole(seed: int | None) -> int | None:
    return seed if seed is not None and 0 <= seed <= MAX_RETURNED_SEED else None
