"""What a figure can be drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass

from builders.card.facts import Facts
from builders.features.likeness import Likeness
from builders.features.vectors import Half
from builders.release.reader import ReleaseReader
from schemas.features import Provenance
from schemas.generators import Generator


@dataclass(frozen=True, slots=True)
class Queries:
    """What is searched for in the card's figures.

    Attributes:
        texts: The queries.
        vectors: Config → what its encoder makes of them, (queries, d).
    """

    texts: tuple[str, ...]
    vectors: Mapping[str, Half]


@dataclass(frozen=True, slots=True)
class ComparedPairs:
    """All pairs of a release's images compared.

    Attributes:
        likeness: What came of it.
        threshold: The similarity from which two are near-duplicates.
        encoder: What made the vectors that were compared.
    """

    likeness: Likeness
    threshold: float
    encoder: Provenance


NO_QUERIES = Queries((), {})


@dataclass(frozen=True, slots=True)
class FigureInputs:
    """What every figure is drawn from.

    Attributes:
        release: The release being built; figures are written into its folder `figures`.
        facts: Its numbers.
        generators: The generators that it may have, by name, in the order in which they are shown.
        queries: What to search for.
        pairs: What a threshold of near-duplicates is chosen from; None where hashes alone were compared.
    """

    release: ReleaseReader
    facts: Facts
    generators: Mapping[str, Generator]
    queries: Queries = NO_QUERIES
    pairs: ComparedPairs | None = None

    @property
    def titles(self) -> Mapping[str, str]:
        """Name of a generator → its title for people."""
        return {name: generator.title for name, generator in self.generators.items()}

    @property
    def used_generators(self) -> tuple[Generator, ...]:
        """The generators that have images."""
        return tuple(each for each in self.generators.values() if each.name in self.facts.images.generators)
