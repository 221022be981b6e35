"""What a card on the Hub has beside what was built: hand-written parts and marks, which a release keeps.

What stands between the two markers is text written by hand. A new release puts it into the places that its
card has for it (a pair of markers, each on its line), in order, and what is left at the end. The manifest
holds the digest of the card as it was built, so that is compared with the card without these parts, and
without the lines that say which versions are withdrawn.
"""

import hashlib
import re
from collections.abc import Sequence

from schemas.withdrawals import carry_over, without_marks

BEGIN, END = "<!-- keep: begin -->", "<!-- keep: end -->"

_PART = re.compile(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", re.DOTALL)
_PLACE = f"{BEGIN}\n{END}"
_MAX_PARTS = 50


def read_kept(card: bytes) -> list[str]:
    """Return the hand-written parts of a card, in order.

    Raises:
        ValueError: The markers are not pairs, so it is unknown what is to be kept.
    """
    text = _decode(card)
    parts = _PART.findall(text)
    if not len(parts) == text.count(BEGIN) == text.count(END) or len(parts) > _MAX_PARTS:
        raise ValueError(f"it has {text.count(BEGIN)} of {BEGIN} and {text.count(END)} of {END}")
    return parts


def put_back(built: bytes, kept: Sequence[str], marks: dict[str, str] | None = None) -> bytes:
    """Put hand-written parts into a card as it was built, and marks of withdrawn versions."""
    left = list(kept)
    text = carry_over(_decode(built), marks or {})
    text = _PART.sub(lambda place: f"{BEGIN}{left.pop(0)}{END}" if left else place[0], text)
    return _encode(text + "".join(f"\n{BEGIN}{part}{END}\n" for part in left))


def is_card(card: bytes, sha256: str) -> bool:
    """Whether a card, without its hand-written parts, is the one built that has this digest."""
    text = _decode(card)
    return any(_is_built(each, sha256) for each in (text, *without_marks(text)))


def _is_built(text: str, sha256: str) -> bool:
    if _digest(_encode(text)) == sha256:
        return True
    # Unknown here: how many parts stand in places that the card was built with; the others are additions.
    return any(
        _digest(_encode(_without_parts(text, num_places))) == sha256
        for num_places in range(min(text.count(BEGIN), _MAX_PARTS) + 1)
    )


def _without_parts(text: str, num_places: int) -> str:
    pieces = _PART.split(text)
    texts = pieces[::2]  # every second piece is what stands in a pair of markers
    whole = texts[0]
    for number, after in enumerate(texts[1:]):
        if number < num_places:
            whole += _PLACE + after
        else:
            whole = whole.removesuffix("\n") + after.removeprefix("\n")
    return whole


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
