"""Asks a provider for an image or a sentence: what is sent again, and what each answer means.

| Answer | Meaning |
|---|---|
| no connection, 425, 429, 503 | surely not done: sent again, after the wait that the provider asks for |
| 500 | nothing was made: sent again twice |
| content policy | a refusal |
| key, credit, settings, model | no request can succeed |
| 408, 502, 504, 52x; silence; a cut answer | it may have been done: never sent again |
"""

import itertools
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2

from builders.catalog.reader import FetchError
from builders.generation.images import (
    ImageAnswer,
    ImageFailureError,
    ImageRefusalError,
    LostAnswerError,
)
from publish.network import RequestError, RetryPolicy, redact, redact_url, retry, retry_after
from publish.providers.answers import (
    Fault,
    decode_image,
    hide,
    is_address,
    is_image,
    read_answer,
    read_fault,
    read_request_id,
    write_raw,
)
from publish.providers.exchanges import MAX_IMAGE_BYTES, Exchange, explain_transport, was_sent
from publish.providers.images import ProviderOptions
from publish.providers.images_by_url import ImageFetcher
from schemas.problems import KitError, Problem, Reason, SettingsError

T = TypeVar("T")
CODE = "run/provider-refused"
_AGAIN = "then run the same command again; what was delivered is kept"
_NOT_DONE = frozenset({425, 429, 503})
_MAYBE_DONE = frozenset({408, 502, 504, *range(520, 531)})
_BROKEN_TRIES = 3
_LONG_WAIT_SECONDS = 10.0
_FETCH_TRIES = 4
_POLICY = re.compile(
    r"content[ _-]?policy|content[ _-]?(?:filter|moderation)|moderation|nsfw|safety|sensitive[ _-]content"
    r"|inappropriate|policy[ _-]violation|sexual|flagged",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[ _](?:quota|credit|balance|fund)|billing|payment|top[ -]up"
    r"|(?:credit|balance|quota)s?\b.{0,40}\b(?:exceeded|exhausted|depleted|insufficient|too low|used up)"
    r"|(?:exceeded|exhausted|depleted|no|out of|not enough)\b.{0,40}\b(?:quota|credits?|balance)\b",
    re.IGNORECASE,
)
_CATEGORY = re.compile(r"[a-z][a-z0-9_.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was asked for.

    Attributes:
        prompt: The text.
        model: The model as the provider names it.
        seed: None if none was sent.
        settings: Those that were sent, by their names in the generator's model.
    """

    prompt: str
    model: str
    seed: int | None
    settings: Mapping[str, object]


class _RetryableError(RequestError):
    """A request failed, and may be sent again.

    Attributes:
        outcome: What it means if it is not.
    """

    def __init__(
        self, outcome: Exception, *, is_transient: bool = True, asked_seconds: float | None = None
    ) -> None:
        super().__init__(str(outcome))
        self.outcome, self.is_transient, self.asked_seconds = outcome, is_transient, asked_seconds


class Asker:
    """Sends requests to one provider.

    Args:
        options: Which provider, and its limits.
        product: What it is asked for, for messages.
        model_flag: The flag that names the model, for messages.
    """

    def __init__(
        self, options: ProviderOptions, *, product: str = "an image", model_flag: str = "--model"
    ) -> None:
        self._options, self._product, self._model_flag = options, product, model_flag
        self._name, self._clock, self._times = options.kind.name, options.clock, options.times
        self.secrets = (options.key,)
        # Says what the provider calls the model that a request was for; a provider may set it.
        self.name_model: Callable[[Exchange], str] = lambda _: options.model
        self._check_options()
        self._numbers = itertools.count()
        self._opened, self._lock = ExitStack(), threading.Lock()
        self._fetcher: ImageFetcher | None = None

    def close(self) -> None:
        """Close connections, and remove what was fetched."""
        self._opened.close()

    def _open_fetcher(self) -> ImageFetcher:
        with self._lock:
            if self._fetcher is None:
                folder = tempfile.TemporaryDirectory(prefix="sfhq-images-")
                # One try at a time: here more is tried again than for images that others name.
                self._fetcher = ImageFetcher(
                    Path(self._opened.enter_context(folder)),
                    MAX_IMAGE_BYTES,
                    policy=RetryPolicy(tries=1),
                    times=self._options.times,
                    clock=self._options.clock,
                )
                self._opened.callback(self._fetcher.close)
            return self._fetcher

    def ask(self, send: Callable[[], Exchange | Exception]) -> Exchange:
        """Return the answer to a request that was done; send it again only where it surely was not.

        Args:
            send: Sends it once; returns an error in place of raising it, so that none chains to another one
                that holds the key.

        Raises:
            ImageRefusalError, ImageFailureError, LostAnswerError, KitError: See the table of this module.
        """
        num_broken = 0

        def once() -> Exchange:
            nonlocal num_broken
            sent = send()
            if isinstance(sent, Exchange) and 200 <= sent.status < 300:
                return sent
            if isinstance(sent, Exchange) and sent.status == 500:
                num_broken += 1
            raise self._judge(sent, may_repeat=num_broken < _BROKEN_TRIES)

        return self._repeat(once, self._options.retry)

    def poll(self, send: Callable[[], Exchange | Exception], lost: ImageAnswer) -> Exchange:
        """Return the answer to a question about an image that is being made; asking again costs nothing.

        Args:
            send: Sends the question once, like that of `ask`.
            lost: What is known of the image so far.

        Raises:
            LostAnswerError: There is no usable answer.
        """

        def once() -> Exchange:
            sent = send()
            if isinstance(sent, Exchange) and 200 <= sent.status < 300:
                return sent
            what = f"answers {sent.status}" if isinstance(sent, Exchange) else self._explain(sent)
            message = f"{self._name} accepted the request, and {what} when asked about its image"
            raise _RetryableError(LostAnswerError(message, lost))

        return self._repeat(once, self._options.retry)

    def fetch(self, answer: ImageAnswer) -> bytes:
        """Return the image at an answer's address; no key is sent there.

        Raises:
            LostAnswerError: It cannot be fetched.
        """
        address = answer.address
        if address is None:
            raise LostAnswerError(f"{self._name} gave no address of the image", answer)

        def once() -> bytes:
            problem = ""
            try:
                # Two answers may name one address; a fragment is not sent, and makes them two files.
                path = self._open_fetcher()(f"{address}#{next(self._numbers)}")
                data = path.read_bytes()
                path.unlink()
            except FetchError as error:
                problem = str(error)
            else:
                if is_image(data):
                    return data
                problem = f"{redact_url(address)}: the file is not an image"
            message = f"the image was made, and its address does not give it: {problem}"
            raise _RetryableError(LostAnswerError(self.redact(message), answer))

        tries = min(_FETCH_TRIES, self._options.retry.tries)
        policy = RetryPolicy(
            tries=tries,
            first_wait_seconds=self._options.retry.first_wait_seconds,
            jitter_seconds=self._options.retry.jitter_seconds,
        )
        return self._repeat(once, policy)

    def redact(self, text: str) -> str:
        """Return a text for a message, without the key."""
        return redact(text, self.secrets)

    def deliver(self, exchange: Exchange, sent: Sent) -> ImageAnswer:
        """Return the image of an answer, fetched if the answer has only its address.

        Args:
            exchange: An answer with status 2xx to a request that is finished.
            sent: What was asked for.

        Raises:
            ImageRefusalError, ImageFailureError: The answer says that no image was made.
            LostAnswerError: The answer has no image that can be read or fetched.
        """
        if is_image(exchange.body):
            return replace(self.describe(exchange, sent), data=exchange.body)
        reading, answer = read_answer(exchange, sent.prompt), self.describe(exchange, sent)
        if reading.state == "failed":
            raise self._failure(exchange, reading.error)
        image, data = reading.image, None
        if image is not None:
            data = decode_image(image)
            # An address that holds the key must not be written down, and not be asked for.
            if (
                data is None
                and is_address(image)
                and not any(each and each in image for each in self.secrets)
            ):
                answer = replace(answer, address=image)
                data = self.fetch(answer)
        if data is None:
            said = self.redact(read_fault(exchange, self.secrets).message)
            what = "without an image that can be read" + (f" ({said})" if said else "")
            raise LostAnswerError(f"{self._name} answers {exchange.status} {what}", answer)
        return replace(answer, data=data)

    def describe(self, exchange: Exchange, sent: Sent) -> ImageAnswer:
        """Return what an answer says, without the image."""
        reading = read_answer(exchange, sent.prompt)
        hidden = {
            name: None if text is None else hide(text, self.secrets)
            for name, text in (
                ("model", reading.model),
                ("request_id", reading.request_id),
                ("revised_prompt", reading.revised_prompt),
            )
        }
        return ImageAnswer(
            data=b"",
            model=hidden["model"] or sent.model,
            seed=sent.seed,
            settings=sent.settings,
            request_id=hidden["request_id"],
            returned_seed=reading.seed,
            revised_prompt=hidden["revised_prompt"],
            flags=reading.flags,
            is_flagged=reading.is_flagged,
            raw=write_raw(exchange, self.secrets),
        )

    def _failure(self, exchange: Exchange, said: str) -> Exception:
        shown = self.redact(said)
        if _POLICY.search(said):
            fault = Fault(shown, (), (), None)
            return self._refusal(exchange, fault)
        return ImageFailureError(f"{self._name} made no image: {shown}")

    def later(self, outcome: Exception) -> Exception:
        """Return an error after which `ask` tries again; `outcome` is raised if no try succeeds."""
        return _RetryableError(outcome)

    def stop(self, message: str, fix: str, *, column: str | None = None) -> SettingsError:
        """Return the error that ends a run: no request can succeed."""
        problem = Problem(
            Reason.SETTINGS, self.redact(message), file=self._name, column=column, fix=fix, code=CODE
        )
        return SettingsError(problem)

    def _check_options(self) -> None:
        key, endpoint = self._options.key, self._options.endpoint
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            keys = " or ".join(self._options.kind.keys)
            raise self.stop(
                "the key holds a blank, a line break or another character that no key has",
                f"set {keys} again",
            )
        if endpoint is not None and not _is_endpoint(endpoint):
            raise self.stop(f"the endpoint {redact_url(endpoint)} is no http or https address", "correct it")

    def _repeat(self, once: Callable[[], T], policy: RetryPolicy) -> T:
        end = self._clock.seconds() + self._times.total_seconds
        try:
            return retry(self._told(once), policy, self._clock, end)
        except _RetryableError as error:
            outcome = error.outcome
        raise outcome

    def _told(self, once: Callable[[], T]) -> Callable[[], T]:
        """Report the long waits that a provider asks for."""

        def told() -> T:
            try:
                return once()
            except _RetryableError as error:
                if error.is_transient and (error.asked_seconds or 0) >= _LONG_WAIT_SECONDS:
                    self._options.note(f"{self._name} asks to wait {error.asked_seconds:,.0f} s")
                raise

        return told

    def _explain(self, error: Exception) -> str:
        return self.redact(explain_transport(error, self._times))

    def _judge(self, sent: Exchange | Exception, *, may_repeat: bool) -> Exception:
        """Return what the answer to a request means that was not done, or no answer."""
        if isinstance(sent, Exchange):
            return self._judge_status(sent, read_fault(sent, self.secrets), may_repeat=may_repeat)
        if isinstance(sent, KitError | _RetryableError):
            return sent
        if not isinstance(sent, httpx2.HTTPError):
            return ImageFailureError(f"{self._name} was not asked: {type(sent).__name__}")
        message = f"{self._name} {self._explain(sent)}"
        if was_sent(sent):
            return LostAnswerError(f"{message}; the request was sent, so {self._product} may have been made")
        return _RetryableError(ImageFailureError(message))

    def _judge_status(self, exchange: Exchange, fault: Fault, *, may_repeat: bool) -> Exception:
        status = exchange.status
        said = f"{self._name} answers {status}" + (f" ({fault.message})" if fault.message else "")
        if status == 451 or (status in (400, 403, 422) and _is_refusal(fault)):
            return self._refusal(exchange, fault)
        stop = self._find_stop(status, fault, said)
        if stop is not None:
            return stop
        if status in _NOT_DONE:
            asked = retry_after(exchange.headers.get("Retry-After", ""))
            seconds = fault.asked_seconds if asked is None else asked
            return _RetryableError(ImageFailureError(said), asked_seconds=seconds)
        if status in _MAYBE_DONE:
            return LostAnswerError(f"{said}; {self._product} may have been made")
        if status == 500:
            return _RetryableError(ImageFailureError(said), is_transient=may_repeat)
        return ImageFailureError(said)

    def _find_stop(self, status: int, fault: Fault, said: str) -> SettingsError | None:
        """Return the error that ends the run; None if other requests may succeed."""
        if status == 402 or (status in (400, 403, 429) and _is_quota(status, fault)):
            return self.stop(f"the account has no credit left: {said}", f"add credit, {_AGAIN}")
        if status in (401, 403):
            keys = " or ".join(self._options.kind.keys) or "the key"
            return self.stop(f"the key is not accepted: {said}", f"set {keys} to a valid key, {_AGAIN}")
        if status in (404, 410):
            message = f"the model {self._options.model!r} is not there: {said}"
            return self.stop(
                message, f"see the provider's list of models, name one with {self._model_flag}, {_AGAIN}"
            )
        # What the provider says of the prompt is true of this request only.
        if status in (400, 422) and "prompt" not in fault.places:
            column = next(iter(fault.places), None)
            fix = f"correct it or leave it out, {_AGAIN}"
            return self.stop(f"a setting is not accepted: {said}", fix, column=column)
        return None

    def _refusal(self, exchange: Exchange, fault: Fault) -> ImageRefusalError:
        raw = write_raw(exchange, self.secrets)
        message = f"{self._name} refused the prompt: {fault.message or 'content policy'}"
        request_id, model = read_request_id(exchange, self.secrets), self.name_model(exchange)
        return ImageRefusalError(message, categorize(fault), request_id, raw, model)


def _is_endpoint(text: str) -> bool:
    try:
        host, port = urlsplit(text).hostname, urlsplit(text).port
        httpx2.URL(text)
    except (ValueError, httpx2.InvalidURL):
        return False
    return is_address(text) and bool(host) and port != 0


def categorize(fault: Fault) -> str:
    """Return the word for a refusal: the provider's code or type, or the one in its message."""
    for kind in fault.kinds:
        if _POLICY.search(kind) and _CATEGORY.fullmatch(kind):
            return kind
    found = _POLICY.search(fault.message)
    return "nsfw" if found and found[0].lower() == "nsfw" else "content_policy"


def _is_quota(status: int, fault: Fault) -> bool:
    if any(_QUOTA.search(kind) for kind in fault.kinds):
        return True
    # "quota exceeded" is also said of requests per minute, and then often with a time to wait.
    is_rate = status == 429 and (fault.asked_seconds is not None or "minute" in fault.message)
    return not is_rate and _QUOTA.search(fault.message) is not None


def _is_refusal(fault: Fault) -> bool:
    if any(_POLICY.search(kind) for kind in fault.kinds):
        return True
    # "safety_tolerance must be …" is about a setting.
    is_of_prompt = not fault.places or "prompt" in fault.places
    return is_of_prompt and _POLICY.search(fault.message) is not None and not _QUOTA.search(fault.message)
