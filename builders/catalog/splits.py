"""Splits: which rows are for training and which are held back, by nothing but what they are.

A row's split follows from the hash of its group, so rows of one group stay together, and no row moves when
others come or go. Images with one prompt are one group; so is a pair with that prompt. Captions go with
their image.
"""

import hashlib
from collections.abc import Mapping

from schemas.records import DEFAULT_SPLIT

_HASH_BYTES = 8


def split_of(group: str, shares: Mapping[str, float]) -> str:
    """Return the split of a group.

    Args:
        group: What its rows have in common: a prompt, or an id where there is none.
        shares: Split → its share of all groups, between 0 and 1; what they leave is `train`.
    """
    digest = hashlib.sha256(f"split\0{group}".encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(digest[:_HASH_BYTES], "big") / 256**_HASH_BYTES
    end = 0.0
    for name, share in sorted(shares.items()):
        end += share
        if place < end:
            return name
    return DEFAULT_SPLIT
