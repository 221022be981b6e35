"""Reads what providers of images answer: any JSON may come, and nothing of it is trusted.

The shapes are those of fal, Replicate, Together, nscale, WaveSpeed, Hugging Face and OpenAI. One reader knows
all of them, because their names do not clash and compatible servers mix them.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builders.file_kinds import HEAD_BYTES, tell_file_kind
from publish.network import redact, redact_url
from publish.providers.exchanges import MAX_IMAGE_BYTES, Exchange
from schemas.generators import MAX_SEED
from schemas.problems import printable
from schemas.prompts import MAX_PROMPT_CHARS
from schemas.secrets import mask_secrets

_MAX_RAW_CHARS = 20_000
_MAX_TEXT_CHARS = MAX_PROMPT_CHARS
_MAX_DEPTH = 12
_MAX_ITEMS = 100
_MAX_ADDRESS_CHARS = 8_000
_MAX_ID_CHARS = 200
_ENCODED = re.compile(r"[A-Za-z0-9+/=_\r\n-]{1000,}")
_DATA_NAMES = ("b64_json", "base64", "b64", "image_base64")
_USED_SEED = re.compile(r"\bseed[:=]?\s+(\d{1,10})\b", re.IGNORECASE)
_KEPT_HEADERS = re.compile(
    r"(x-fal-.*|.*request-id|x-amzn-trace-id|.*(compute|inference|processing|queue)-(time|ms|type|tokens))"
)
_ID_HEADERS = ("x-fal-request-id", "x-request-id", "request-id", "x-amzn-requestid", "apim-request-id")
_WEBP = (b"RIFF", b"WEBP")


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says of an image.

    Attributes:
        image: Base64, a data URI, or an address; None if there is none.
        request_id: The provider's.
        model: The model as the answer names it.
        seed: That was used.
        revised_prompt: The prompt as the provider changed it.
        flags: What the safety checker said.
        is_flagged: Whether it objects to the image.
        state: "pending", "failed" or "done".
        error: The provider's words where it failed.
    """

    image: str | None
    request_id: str | None
    model: str | None
    seed: int | None
    revised_prompt: str | None
    flags: tuple[str, ...]
    is_flagged: bool
    state: str
    error: str


def load_json(body: bytes) -> object:
    """Return an answer's JSON; None where it is none."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):  # nested too deeply
        return None
    return value


def read_answer(exchange: Exchange, prompt: str) -> Reading:
    """Read an answer.

    Args:
        exchange: The request and its answer.
        prompt: The text that was sent: an echo of it is no revision.
    """
    body = load_json(exchange.body)
    top = body if isinstance(body, dict) else {}
    data = top.get("data")
    inner = data if isinstance(data, dict) else {}  # WaveSpeed's
    first = (
        _first(top.get("images")) or _first(data) or _first(top.get("output")) or _first(inner.get("outputs"))
    )
    item = first if isinstance(first, dict) else {}
    state, error = _read_state(top, inner)
    concepts = top.get("has_nsfw_concepts", inner.get("has_nsfw_contents"))
    is_flagged = isinstance(concepts, list) and any(each is True for each in concepts)
    revised = (
        _text(item.get("revised_prompt")) or _text(top.get("revised_prompt")) or _text(top.get("prompt"))
    )
    return Reading(
        image=first if isinstance(first, str) else _text(item.get("b64_json")) or _text(item.get("url")),
        request_id=_read_id(top, inner, exchange),
        model=_identity(top.get("model"), inner.get("model")),
        seed=_seed(top.get("seed"), inner.get("seed"), item.get("seed"), _seed_in(top.get("logs"))),
        revised_prompt=revised[:MAX_PROMPT_CHARS] if revised and revised != prompt else None,
        flags=("nsfw",) if is_flagged else (),
        is_flagged=is_flagged,
        state=state,
        error=error,
    )


def read_request_id(exchange: Exchange, secrets: tuple[str | None, ...]) -> str | None:
    """Return the provider's id of a request that it answered; None if it gives none."""
    body = load_json(exchange.body)
    found = _read_id(body if isinstance(body, dict) else {}, {}, exchange)
    return None if found is None else hide(found, secrets)


def _read_id(top: Mapping[str, object], inner: Mapping[str, object], exchange: Exchange) -> str | None:
    headers = (exchange.headers.get(name) for name in _ID_HEADERS)
    return _identity(top.get("id"), inner.get("id"), top.get("request_id"), *headers)


def _first(value: object) -> object:
    if isinstance(value, list):
        return value[0] if value else None
    return value if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _identity(*values: object) -> str | None:
    """Return the first that can be an id or a name: a short line."""
    for value in values:
        if isinstance(value, str) and 0 < len(value) <= _MAX_ID_CHARS and value.isprintable():
            return value
    return None


def _seed(*values: object) -> int | None:
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SEED:
            return value
    return None


def _seed_in(logs: object) -> int | None:
    """Return the seed that Replicate's models write into their logs: "Using seed: 7"."""
    found = _USED_SEED.search(logs[:_MAX_TEXT_CHARS]) if isinstance(logs, str) else None
    return int(found[1]) if found else None


def _read_state(top: Mapping[str, object], inner: Mapping[str, object]) -> tuple[str, str]:
    """Return the state of a prediction (Replicate, WaveSpeed), and its error."""
    status = top.get("status") or inner.get("status")
    if status in ("starting", "processing", "created", "queued", "in_progress"):
        return "pending", ""
    if status in ("failed", "canceled", "cancelled", "aborted", "error"):
        said = _text(top.get("error")) or _text(inner.get("error")) or _text(top.get("detail"))
        return "failed", said or str(status)
    return "done", ""


def decode_image(image: str) -> bytes | None:
    """Return the image of base64 or of a data URI; None if it is an address, or nothing that can be read."""
    if image[:5].lower() == "data:":
        head, comma, image = image.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            return None
    if len(image) > MAX_IMAGE_BYTES // 3 * 4 + 1024 * 1024:
        return None
    encoded = "".join(image.split())  # some break it into lines, or leave the padding out
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if is_image(data) else None


def is_address(image: str) -> bool:
    """Return whether an image can be fetched: an http or https address of a sensible length."""
    is_http = image[:8].lower().startswith(("http://", "https://"))
    return is_http and len(image) <= _MAX_ADDRESS_CHARS and image.isprintable() and " " not in image


def is_image(data: bytes) -> bool:
    """Return whether bytes begin as an image does, in a format that can be published or not."""
    kind = tell_file_kind(data[:HEAD_BYTES])
    return kind is not None and kind.is_image and len(data) <= MAX_IMAGE_BYTES and not data.startswith(b"<")


def write_raw(exchange: Exchange, secrets: tuple[str | None, ...]) -> str:
    """Return an answer as JSON: `status`, `headers`, `body`.

    Without image data, secrets and the queries of addresses; long texts and lists are cut.

    Args:
        exchange: The request and its answer.
        secrets: What may be nowhere in it.
    """
    headers = {
        name.lower(): _clean(value, secrets, 0)
        for name, value in exchange.headers.items()
        if _KEPT_HEADERS.fullmatch(name.lower())
    }
    body = load_json(exchange.body)
    kept: dict[str, object] = {
        "status": exchange.status,
        "headers": headers,
        "body": _clean(body, secrets, 0),
    }
    raw = json.dumps(kept, ensure_ascii=False)
    if len(raw) > _MAX_RAW_CHARS:
        kept["body"] = f"({len(exchange.body):,} bytes of JSON)"
        raw = json.dumps(kept, ensure_ascii=False)
    return raw if len(raw) <= _MAX_RAW_CHARS else json.dumps({"status": exchange.status})


def _clean(value: object, secrets: tuple[str | None, ...], depth: int) -> object:
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {
            hide(str(name)[:_MAX_ID_CHARS], secrets): (
                f"({len(each):,} characters of data)"
                if name in _DATA_NAMES and isinstance(each, str)
                else _clean(each, secrets, depth + 1)
            )
            for name, each in list(value.items())[:_MAX_ITEMS]
        }
    if isinstance(value, list):
        return [_clean(each, secrets, depth + 1) for each in value[:_MAX_ITEMS]]
    if isinstance(value, float) and not math.isfinite(value):  # NaN and infinity are no JSON
        return None
    if isinstance(value, int) and abs(value) > 10**18:
        return "…"
    return _clean_text(value, secrets) if isinstance(value, str) else value


def _clean_text(text: str, secrets: tuple[str | None, ...]) -> str:
    if text[:5].lower() == "data:" or _ENCODED.match(text):
        return f"({len(text):,} characters of data)"
    if is_address(text):
        text = redact_url(text)
    return hide(text[:_MAX_TEXT_CHARS], secrets)


def hide(text: str, secrets: tuple[str | None, ...]) -> str:
    """Return a text without secrets, and without what a terminal would obey or a file cannot hold."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return mask_secrets("".join(char if char in "\n\t" else printable(char) for char in text))


@dataclass(frozen=True, slots=True)
class Fault:
    """What an answer says of a request that was not done.

    Attributes:
        message: The provider's words, fit to be shown.
        kinds: Its codes and types, in small letters.
        places: Names of the settings that it complains about.
        asked_seconds: How long it asks to wait; None if it does not say.
    """

    message: str
    kinds: tuple[str, ...]
    places: tuple[str, ...]
    asked_seconds: float | None


# "resets in ~30s" (Replicate), "try again in 20s" and "in 350ms" (OpenAI), "retry after 5 seconds".
_WAIT = re.compile(
    r"(?:resets?|again|retry|available|wait)\s*(?:in|after|for)?\s*~?\s*(\d{1,6}(?:\.\d{1,3})?)\s*"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(r"^\W*(?:body|input|parameters)\.([A-Za-z_]{1,60})\b", re.MULTILINE)
_MESSAGES = ("message", "msg", "detail", "error", "title", "description", "error_description")
_KINDS = ("type", "code", "error_type", "error_code", "status", "categories")


def read_fault(exchange: Exchange, secrets: tuple[str | None, ...]) -> Fault:
    """Read the answer to a request that was not done; any shape will do.

    Args:
        exchange: The request and its answer.
        secrets: What may be nowhere in the message.
    """
    body = load_json(exchange.body)
    messages: list[str] = []
    kinds: list[str] = []
    places: list[str] = []
    for name, text in _walk(body, "", 0):
        if name in _MESSAGES and len(messages) < 8:
            messages.append(text)
        if name in _KINDS and len(kinds) < 20:
            kinds.append(text.lower()[:100])
        if name in ("param", "field", "loc") and text not in ("body", "input", "parameters"):
            places.append(text[:60])
    said = "; ".join(dict.fromkeys(messages))[:4000]
    places += [found[1] for found in _PLACE.finditer(said)]
    estimate = body.get("estimated_time") if isinstance(body, dict) else None  # Hugging Face, of a cold model
    seconds = float(estimate) if isinstance(estimate, int | float) and 0 <= estimate < 1e6 else _wait_in(said)
    shown = redact(mask_secrets(said), secrets)
    return Fault(shown, tuple(kinds), tuple(dict.fromkeys(map(printable, places[:5]))), seconds)


def _walk(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield every text of an answer with the name that it has."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        yield name, value[:2000]
    elif isinstance(value, dict):
        for key, each in list(value.items())[:_MAX_ITEMS]:
            # fal repeats the request in `input`, whose words are no complaint
            if key not in ("input", "ctx", "prompt"):
                yield from _walk(each, str(key), depth + 1)
    elif isinstance(value, list):
        for each in value[:_MAX_ITEMS]:
            yield from _walk(each, name, depth + 1)


def _wait_in(text: str) -> float | None:
    found = _WAIT.search(text)
    if found is None:
        return None
    unit = found[2].lower()
    scale = 0.001 if unit.startswith(("ms", "milli")) else 60 if unit.startswith("m") else 1
    return float(found[1]) * scale
