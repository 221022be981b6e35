"""Random draws that are the same on every machine and for every version of Python.

A draw is the first 8 bytes of the BLAKE2b digest (RFC 7693) of `seed/index/attempt/name` in UTF-8, read as a
big-endian integer below 2**64; scaled to `below`, it is biased by less than below/2**64. Nothing depends on
the order of draws, on `random`, or on the hashes of strings.
"""

from collections.abc import Sequence
from hashlib import blake2b

_BITS = 64


class Draws:
    """All draws of one prompt, each by a name of its own."""

    def __init__(self, seed: int, index: int, attempt: int = 0) -> None:
        self._base = blake2b(f"{seed}/{index}/{attempt}/".encode(), digest_size=_BITS // 8)

    def below(self, name: str, limit: int) -> int:
        """Return an integer from 0 to `limit` - 1; the same name always gets the same one."""
        state = self._base.copy()
        state.update(name.encode())
        return int.from_bytes(state.digest(), "big") * limit >> _BITS

    def shuffle(self, name: str, items: Sequence[str]) -> list[str]:
        """Return the items in an order of their own: that of the draws with their numbers."""
        order = sorted(range(len(items)), key=lambda number: (self.below(f"{name}#{number}", 2**32), number))
        return [items[number] for number in order]
