"""A moderation endpoint that speaks as OpenAI's does, by the `openai` package."""

from urllib.parse import urlsplit

from builders.generation.images import ImageFailureError, ImageRefusalError, LostAnswerError
from builders.generation.opinions import LostOpinionError, Opinion, OpinionError
from publish.providers.answers import load_json
from publish.providers.asking import Asker
from publish.providers.exchanges import Exchange
from publish.providers.images import ProviderKind, ProviderOptions
from publish.providers.openai_client import open_client, record_exchange
from publish.providers.text_judges import JudgeOptions

DEFAULT_MODEL = "omni-moderation-latest"
_CONCURRENCY, _MAX_ANSWER_BYTES = 4, 256 * 1024


class ModerationEndpoint:
    """One endpoint; `open_judge` makes it.

    Args:
        options: `place` is the address up to `/v1`.
    """

    concurrency = _CONCURRENCY

    def __init__(self, options: JudgeOptions) -> None:
        server = urlsplit(options.place).netloc.rpartition("@")[2]
        self.name = f"moderation of {server}"
        self._model, self._threshold = options.model or DEFAULT_MODEL, options.threshold
        self.identity = f"moderation {options.place} {self._model}"
        kind = ProviderKind(self.name, "text_moderation", ("SFHQ_MODERATION_KEY",))
        provider = ProviderOptions(
            kind,
            self._model,
            options.key,
            options.place,
            options.times,
            options.note,
            options.retry,
            options.clock,
        )
        self._asker = Asker(provider, product="a judgement", model_flag="--opinion-model")
        self._client = open_client(provider, _MAX_ANSWER_BYTES)

    def ask(self, text: str) -> str:
        """Return the endpoint's answer on a text: see `TextJudge`."""
        try:
            exchange = self._asker.ask(lambda: self._post(text))
        except LostAnswerError as error:
            raise LostOpinionError(str(error)) from None
        except (ImageRefusalError, ImageFailureError) as error:
            raise OpinionError(str(error)) from None
        return exchange.body.decode(errors="replace")

    def read(self, answer: str) -> Opinion:
        """Return what an answer says: see `TextJudge`."""
        return _read(answer, self._threshold)

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        self._asker.close()

    def _post(self, text: str) -> Exchange | Exception:
        return record_exchange(
            lambda: self._client.moderations.with_raw_response.create(input=text, model=self._model)
        )


def _read(body: str, threshold: float) -> Opinion:
    """Return what an answer says: flagged as a whole, or any of its categories, by itself or by its score.

    Raises:
        OpinionError: It is no answer on one text.
    """
    answer = load_json(body.encode())
    results = answer.get("results") if isinstance(answer, dict) else None
    result = results[0] if isinstance(results, list) and len(results) == 1 else None
    if not isinstance(result, dict) or not isinstance(result.get("flagged"), bool):
        raise OpinionError("its answer does not say whether the text is flagged")
    categories, scores = result.get("categories"), result.get("category_scores")
    if not isinstance(categories, dict) or not isinstance(scores, dict) or not scores:
        raise OpinionError("its answer has no categories with scores")
    if not all(isinstance(score, int | float) and 0 <= score <= 1 for score in scores.values()):
        raise OpinionError("its answer has a score that cannot be read")
    is_flagged = result["flagged"] or any(value is True for value in categories.values())
    is_unsafe = is_flagged or any(score >= threshold for score in scores.values())
    read = {str(name)[:100]: float(score) for name, score in scores.items()}
    return Opinion(read, is_unsafe, unsafe_labels=read)


def open_judge(options: JudgeOptions) -> ModerationEndpoint:
    """Open the endpoint that `options.place` names.

    Raises:
        SettingsError: The address or the key cannot be used.
    """
    return ModerationEndpoint(options)
