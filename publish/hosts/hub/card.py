"""Parts of a card on the Hub that a release keeps: texts written by hand, and marks of withdrawn versions.

A text written by hand is between two markers. A new release puts such texts into the places that its own card
has for them (a pair of markers, each on its line), in order, and the rest at the end. The manifest holds the
digest of the built card. So the card on the Hub is compared without these texts, and without the lines that
mark withdrawn versions.
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
        ValueError: The markers do not pair up, so the parts to keep are unknown.
    """
    text = _decode(card)
    parts = _PART.findall(text)
    if not len(parts) == text.count(BEGIN) == text.count(END) or len(parts) > _MAX_PARTS:
        raise ValueError(f"it has {text.count(BEGIN)} of {BEGIN} and {text.count(END)} of {END}")
    return parts


def put_back(built: bytes, kept: Sequence[str], marks: dict[str, str] | None = None) -> bytes:
    """Return a built card with hand-written parts and marks of withdrawn versions."""
    left = list(kept)
    text = carry_over(_decode(built), marks or {})
    text = _PART.sub(lambda place: f"{BEGIN}{left.pop(0)}{END}" if left else place[0], text)
    return _encode(text + "".join(f"\n{BEGIN}{part}{END}\n" for part in left))


def is_card(card: bytes, sha256: str) -> bool:
    """Return whether a card without its hand-written parts is the built card with this digest."""
    text = _decode(card)
    return any(_is_built(each, sha256) for each in (text, *without_marks(text)))


def _is_built(text: str, sha256: str) -> bool:
    if _digest(_encode(text)) == sha256:
        return True
    # The number of parts in places of the built card is unknown here; the others were added at the end.
    return any(
        _digest(_encode(_without_parts(text, num_places))) == sha256
        for num_places in range(min(text.count(BEGIN), _MAX_PARTS) + 1)
    )


def _without_parts(text: str, num_places: int) -> str:
    pieces = _PART.split(text)
    texts = pieces[::2]  # every second piece is inside a pair of markers
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
