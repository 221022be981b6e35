"""Writes captions by rule: all facts of a bag and nothing else, the same on every machine."""

from collections.abc import Iterable, Iterator

from builders.generation.captions.meaning import understand
from builders.generation.captions.phrases import make_parts
from builders.generation.captions.plans import write_caption
from builders.generation.draws import Draws
from schemas.bags import Bag, Sentence

CAPTIONER, VERSION = "sfhq-sentences", "1"
RULE = "rule"


class RuleWriter:
    """Writes captions by rule.

    A caption depends on its bag, the seed, and the plan of the caption before: two neighbours never have the
    same plan. So the same bags in the same order give the same captions.

    Args:
        seed: Other seeds give other plans, 0 or more.

    Attributes:
        captioner: Its name.
        captioner_version: Its version.
        last_plan: Number of the plan of the last caption; -1 before the first.
    """

    captioner, captioner_version = CAPTIONER, VERSION

    def __init__(self, seed: int = 0) -> None:
        self._draws = Draws(seed, 0)
        self.last_plan = -1  # none yet

    def write(self, bags: Iterable[Bag]) -> Iterator[Sentence]:
        """Yield a caption for each bag, in order."""
        for bag in bags:
            yield Sentence(
                text=self.realise(bag),
                method=RULE,
                instruction=None,
                captioner=self.captioner,
                captioner_version=self.captioner_version,
            )

    def realise(self, bag: Bag) -> str:
        """Return the caption of the next bag: one or more sentences."""
        parts = make_parts(understand(bag))
        text, self.last_plan = write_caption(parts, self._draws, bag.image_id, self.last_plan)
        return text
