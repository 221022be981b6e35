"""A text classifier by `huggingface_hub.InferenceClient`: a model of the Hub, or an address of one's own."""

import json

import httpx2
from huggingface_hub import InferenceClient, is_offline_mode, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError

from builders.generation.opinions import LostOpinionError, Opinion, OpinionError
from publish.hosts.hub.transport import make_plain_client
from publish.network import (
    RequestError,
    is_transient_status,
    redact,
    redact_url,
    retry,
)
from publish.providers.exchanges import AnswerClient, was_sent
from publish.providers.text_judges import JudgeOptions, problem_of, weigh
from schemas.problems import SettingsError

_CONCURRENCY, _ALL_LABELS, _MAX_ANSWER_BYTES = 4, 100, 256 * 1024
_STOPS = frozenset({401, 402, 403, 404, 410})
_MAYBE_DONE = frozenset({408, 502, 504})
_NO_KEY = "none"  # the library would take the user's token of the Hub for any address


class _FailedError(RequestError):
    def __init__(self, message: str, *, is_transient: bool, is_lost: bool) -> None:
        super().__init__(message)
        self.is_transient, self.is_lost, self.asked_seconds = is_transient, is_lost, None


class InferenceClassifier:
    """One classifier; `open_judge` makes it.

    Args:
        options: `place` is the model's name on the Hub, or an address.

    Raises:
        SettingsError: The library is set to work offline.
    """

    concurrency = _CONCURRENCY

    def __init__(self, options: JudgeOptions) -> None:
        self._options = options
        is_address = options.place.startswith(("http://", "https://"))
        if is_offline_mode():
            fix = "unset HF_HUB_OFFLINE, or leave --opinion out"
            raise SettingsError(problem_of("the Hub's library is set to work offline", options.place, fix))
        self._place = redact_url(options.place) if is_address else options.place
        self.name = f"classifier {self._place}"
        self.identity = f"hugging-face {options.place}"
        # The library's own client reads an answer of any size; this one is for the whole process.
        set_client_factory(lambda: AnswerClient(options.times, options.clock, _MAX_ANSWER_BYTES))
        self._client = InferenceClient(
            model=options.place,
            provider=None if is_address else "hf-inference",
            api_key=options.key or _NO_KEY,
            timeout=options.times.read_seconds,
        )

    def ask(self, text: str) -> str:
        """Return the classifier's labels and scores on a text: see `TextJudge`."""
        options = self._options
        end = options.clock.seconds() + options.times.total_seconds
        try:
            return retry(lambda: self._ask(text), options.retry, options.clock, end)
        except _FailedError as error:
            kind = LostOpinionError if error.is_lost else OpinionError
            raise kind(redact(str(error), [options.key])) from None

    def read(self, answer: str) -> Opinion:
        """Return what an answer says: see `TextJudge`."""
        return weigh([(label, score) for label, score in json.loads(answer)], self._options)

    def close(self) -> None:
        """Give the library its client with time limits back."""
        times = self._options.times
        set_client_factory(lambda: make_plain_client(times))

    def _ask(self, text: str) -> str:
        try:
            found = self._client.text_classification(text, top_k=_ALL_LABELS)
            return json.dumps([(each.label, each.score) for each in found])
        except (HfHubHTTPError, InferenceTimeoutError, httpx2.HTTPError) as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            said = f"answers {status}" if status else f"gives no answer ({type(error).__name__})"
            if status in _STOPS:
                fix = "see the name of the model, and the key in HF_TOKEN"
                raise SettingsError(problem_of(f"{self.name} {said}", self._place, fix)) from None
            # A request that was sent, and may have been done, is never sent again by itself.
            is_lost = status in _MAYBE_DONE if status else was_sent(error)
            is_transient = not is_lost and (is_transient_status(status) if status else True)
            failed = _FailedError(said, is_transient=is_transient, is_lost=is_lost)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            # Of the library, about an answer in another form: it came, so it may be charged for, and is gone.
            said = f"answers in another form ({type(error).__name__})"
            failed = _FailedError(said, is_transient=False, is_lost=True)
        raise failed


def open_judge(options: JudgeOptions) -> InferenceClassifier:
    """Open the classifier that `options.place` names.

    Raises:
        SettingsError: The library is set to work offline.
    """
    return InferenceClassifier(options)
