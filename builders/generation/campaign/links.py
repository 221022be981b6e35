"""Personal links: who may vote, without a name. On the disk are a key and digests, and no link itself."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from schemas.campaign import CampaignAnnotator

SECRET_BYTES, _TOKEN_BYTES = 32, 24  # 192 bits of a token cannot be guessed
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{32}")


def new_secret() -> bytes:
    """Return a key for the links of a campaign."""
    return secrets.token_bytes(SECRET_BYTES)


def make_annotator(secret: bytes, number: int) -> CampaignAnnotator:
    """Return the annotator of a number, from 0; equal for an equal key."""
    public = _digest(secret, "annotator", str(number)).hex()[:16]
    return CampaignAnnotator(id=public, token_sha256=_sha256(token_of(secret, public)))


def token_of(secret: bytes, annotator: str) -> str:
    """Return the token in an annotator's link, so that a link can be shown again."""
    return base64.urlsafe_b64encode(_digest(secret, "token", annotator)[:_TOKEN_BYTES]).decode()


def vote_id_of(secret: bytes, *parts: str) -> str:
    """Return the identity of a vote that the server asks for: only the server can make one."""
    return _digest(secret, "vote", *parts).hex()[:32]


class Links:
    """Finds out whose a token is.

    Args:
        annotators: Who has a link.
    """

    def __init__(self, annotators: Iterable[CampaignAnnotator]) -> None:
        self._by_digest = {annotator.token_sha256: annotator.id for annotator in annotators}

    def find(self, token: str) -> str | None:
        """Return the annotator of a token; None for every other text."""
        # What is looked up is the digest: how long that takes says nothing about tokens that come near.
        return self._by_digest.get(_sha256(token)) if TOKEN_PATTERN.fullmatch(token) else None


def _digest(secret: bytes, *parts: str) -> bytes:
    return hmac.digest(secret, "\0".join(parts).encode(), hashlib.sha256)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
