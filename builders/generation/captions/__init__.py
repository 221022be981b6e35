"""Write captions from bags of facts, and check any caption against its bag.

lexicon     what can be said of a face, and how     meaning    what the facts of a bag mean
mentions    what a text says                        checking   what a text lacks, and what it adds
phrases     what facts become in a sentence         plans      the order of a caption
realising   captions by rule                        llm_writing   captions by a language model
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from schemas.bags import Bag, Sentence


class SentenceWriter(Protocol):
    """Writes captions.

    Attributes:
        captioner: Its name.
        captioner_version: Its version.
    """

    captioner: str
    captioner_version: str

    def write(self, bags: Iterable[Bag]) -> Iterator[Sentence]:
        """Yield a caption for each bag, in order.

        Raises:
            KitError: The next one cannot be written; those before are right.
        """
        ...
