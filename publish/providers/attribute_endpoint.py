"""Attributes by a server: an image is posted to an address, which answers a JSON list of attributes.

    POST the bytes of the image, with its media type
    200  [{"attribute": "hat", "value": "beanie", "confidence": 0.93}, …]

A request costs nothing twice: it is sent again after failures that may pass. The answer may hold anything, so
its size, its types and its number of entries are limited. A key in `SFHQ_ATTRIBUTES_KEY` is sent as a bearer
token.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from typing import Annotated

import httpx2
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from builders.features.attributing import Answer, ModelOptions
from publish.network import (
    Clock,
    RequestError,
    RetryPolicy,
    TimeLimits,
    is_transient_error,
    is_transient_status,
    redact,
    redact_url,
    retry,
    retry_after,
)
from publish.providers.attributes import CODE
from publish.providers.exchanges import AnswerClient, explain_transport
from schemas.problems import BuildError, Problem, Reason, SettingsError

KEY = "SFHQ_ATTRIBUTES_KEY"
_CONCURRENCY = 4
_MAX_ANSWER_BYTES = 256 * 1024
_MEDIA_TYPES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "image/webp"}
_DIGITS = 3
# One or more visible characters, and no control characters or line breaks.
_VISIBLE = r"^[^\p{Cc}\p{Zl}\p{Zp}]*[^\p{C}\p{Z}][^\p{Cc}\p{Zl}\p{Zp}]*$"


class _Said(BaseModel):
    """One entry of an answer; further keys are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)

    attribute: Annotated[str, Field(max_length=100, pattern=_VISIBLE)]
    value: Annotated[str, Field(max_length=200, pattern=_VISIBLE)]
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None


_ANSWER = TypeAdapter(Annotated[list[_Said], Field(max_length=100)])


class _FailedError(RequestError):
    """A request failed."""

    def __init__(self, message: str, *, is_transient: bool, asked_seconds: float | None = None) -> None:
        super().__init__(message)
        self.is_transient, self.asked_seconds = is_transient, asked_seconds


class AttributeEndpoint:
    """One server; `open_models` makes it.

    Args:
        options: `place` is the address, `version` what the user calls the model's version.
        times: Limits of one request.
        policy: How often a request is sent.
        clock: The time.

    Raises:
        SettingsError: It is no address, or the key cannot be sent.
    """

    def __init__(
        self,
        options: ModelOptions,
        times: TimeLimits | None = None,
        policy: RetryPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._times, self._policy, self._clock = (
            times or TimeLimits(),
            policy or RetryPolicy(),
            clock or Clock(),
        )
        self._url, self._key = _read_address(options.place or ""), os.environ.get(KEY, "").strip() or None
        if self._key is not None and not (self._key.isascii() and self._key.isprintable()):
            raise _refusal("the key has a character that no key has", KEY, None, f"set {KEY} again")
        self._shown, self._thresholds = redact_url(str(self._url)), dict(options.thresholds)
        self.source_model = f"{self._url.host} {options.version}".strip()
        said = ["endpoint 1", str(self._url), options.version]
        self.maker = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        self.recipe = json.dumps(self._thresholds, sort_keys=True)
        self.batch_size, self.num_workers = 1, _CONCURRENCY
        self._client = AnswerClient(self._times, self._clock)

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        """Return the server's answer for each image, as `AttributeModel` says.

        Raises:
            BuildError: There is no usable answer.
        """
        return [self._ask(data) for data in images]

    def answer(self, made: bytes) -> Iterable[Answer]:
        """Return what the server said, or an abstention below a threshold, as `AttributeModel` says."""
        for said in _ANSWER.validate_json(made):
            least = self._thresholds.get(said.attribute, 0.0)
            if least and (said.confidence or 0.0) < least:
                yield Answer(said.attribute, None, None, self.source_model)
            else:
                confidence = None if said.confidence is None else round(said.confidence, _DIGITS)
                yield Answer(said.attribute, said.value, confidence, self.source_model)

    def _ask(self, data: bytes) -> bytes:
        def once() -> bytes:
            headers = {"Content-Type": _MEDIA_TYPES.get(data[:2], "application/octet-stream")}
            if self._key is not None:
                headers["Authorization"] = f"Bearer {self._key}"
            try:
                sent = self._client.exchange(
                    self._client.build_request("POST", self._url, content=data, headers=headers)
                )
            except httpx2.HTTPError as error:
                # Not chained: the library's error holds the request with the key.
                failed = _FailedError(
                    explain_transport(error, self._times), is_transient=is_transient_error(error)
                )
            else:
                if sent.status == 200:
                    return self._check(sent.body)
                failed = _FailedError(
                    f"answers {sent.status}",
                    is_transient=is_transient_status(sent.status),
                    asked_seconds=retry_after(sent.headers.get("Retry-After", "")),
                )
            raise failed

        end = self._clock.seconds() + self._times.total_seconds
        try:
            return retry(once, self._policy, self._clock, end)
        except RequestError as error:
            message = redact(f"the server of attributes {error}", [self._key])
        fix = "check the server, and run the same command again; answers are kept"
        raise BuildError(Problem(Reason.SETTINGS, message, file=self._shown, fix=fix, code=CODE))

    def _check(self, body: bytes) -> bytes:
        """Return an answer in the kit's own form.

        Raises:
            _FailedError: It is not a list of attributes, or too much.
        """
        if len(body) > _MAX_ANSWER_BYTES:
            message = f"sent {len(body):,} bytes, and an answer has at most {_MAX_ANSWER_BYTES:,}"
            raise _FailedError(message, is_transient=False)
        problem = ""
        try:
            return _ANSWER.dump_json(_ANSWER.validate_json(body))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            problem = (
                f"sent an answer that is no list of attributes: {place + ': ' if place else ''}{first['msg']}"
            )
        raise _FailedError(problem, is_transient=False)


def _read_address(place: str) -> httpx2.URL:
    try:
        url = httpx2.URL(place)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        message = "an attribute server is named by an http or https address without a password"
        raise _refusal(message, "--model", redact_url(place), f"correct it; a key goes into {KEY}")
    return url


def _refusal(message: str, column: str, value: str | None, fix: str) -> SettingsError:
    return SettingsError(Problem(Reason.SETTINGS, message, column=column, value=value, fix=fix, code=CODE))


def open_models(options: ModelOptions) -> Sequence[AttributeEndpoint]:
    """Open the server that `options.place` names: see `publish/providers/attributes.py`.

    Raises:
        SettingsError: It is no address.
    """
    return [AttributeEndpoint(options)]
