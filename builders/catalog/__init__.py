"""The catalog: every input row of a build, unified, on disk.

Rows go into an SQLite file as sources are read and come out in the order in which they are published. So
memory does not grow with their number, and identities, conflicts, references and counts are queries. A row
is never dropped: it is published, or it is rejected with its problems.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from builders.catalog.captions import CaptionCatalog
from builders.catalog.exclusions import ExcludedImages
from builders.catalog.findings import Findings
from builders.catalog.images import ImageCatalog, Shown
from builders.catalog.layout import Entry, Layout, Limits, Part, Placed, RowChange
from builders.catalog.ledger import Ledger
from builders.catalog.pairs import Loose, PairCatalog, PublishedPair, Stored
from builders.catalog.privacy import Finding
from builders.catalog.references import References, path_of
from builders.catalog.requests import RequestCatalog
from builders.images.integrity import ImageFacts
from builders.sources.exclusions import Exclusions
from builders.sources.intake import (
    CaptionInput,
    GenerationInput,
    ImageInput,
    InputRow,
    PairInput,
    RankingInput,
    RankInput,
)
from schemas.configs import Table
from schemas.generators import GENERATORS, Generator
from schemas.manifest import Counts
from schemas.problems import Problem
from schemas.settings import PrivacySettings

__all__ = [
    "Catalog",
    "Entry",
    "Layout",
    "Limits",
    "Loose",
    "Part",
    "Placed",
    "PublishedPair",
    "RowChange",
    "Shown",
    "Stored",
    "path_of",
]

_CACHE_KIB = 16 * 1024
_WARN = PrivacySettings()


class Catalog:
    """The unified rows of one build.

    Args:
        path: The SQLite file; an existing one is replaced. It may be lost: sources can be read again.
        shares: Split → its share of the images; see `builders.catalog.splits`.
        exclusions: Images that are not to be published; None where nothing is excluded.
        generators: The generators that images may be of, by name.
        privacy: What becomes of private data.

    Attributes:
        ledger: Every input row with its problems.
        images: One record for each different image.
        captions: What is said of them.
        pairs: Two of them each, with votes.
        requests: What was asked of providers, and their answers.
        layout: Which row goes into which part.
        findings: What is private in rows and images.
    """

    def __init__(
        self,
        path: Path,
        shares: Mapping[str, float] = MappingProxyType({}),
        exclusions: Exclusions | None = None,
        generators: Mapping[str, Generator] = GENERATORS,
        privacy: PrivacySettings = _WARN,
    ) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{_CACHE_KIB};"
        )
        self.ledger = Ledger(self._db)
        self.layout = Layout(self._db)
        self.images = ImageCatalog(self._db, self.ledger, shares, generators)
        self.captions = CaptionCatalog(self._db, self.ledger)
        self.pairs = PairCatalog(self._db, self.ledger, shares)
        self.requests = RequestCatalog(self._db, self.ledger, shares)
        self.findings = Findings(self._db, self.ledger, privacy)
        self._excluded = ExcludedImages(self._db, self.ledger, exclusions)
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def add(
        self,
        row: InputRow,
        table: Table,
        facts: ImageFacts | None = None,
        files: Sequence[Stored | None] = (),
        findings: Sequence[Finding] = (),
    ) -> None:
        """Add one input row.

        Args:
            row: What the source said.
            table: What it is a row of.
            facts: What the bytes of an image say; without them it is rejected.
            files: Where the images are: of a row of images the one, of a row of preferences those that came
                inside of it, in the order of its sides.
            findings: What is private in it and in its images.
        """
        input_id = self.ledger.add(row, table)
        self.findings.add(input_id, findings)
        if isinstance(row.content, ImageInput):
            file = files[0].file if files and files[0] is not None else None
            self.images.add(input_id, row, row.content, facts, file)
        elif row.is_rejected:
            return
        elif isinstance(row.content, CaptionInput):
            self.captions.add(input_id, row.content)
        elif isinstance(row.content, GenerationInput):
            self.requests.add(input_id, row.content)
        elif isinstance(row.content, PairInput):
            self.pairs.add(input_id, row, row.content, files)
        elif isinstance(row.content, RankInput):
            self.pairs.add_rank(input_id, row, row.content, files)
        elif isinstance(row.content, RankingInput):
            self.pairs.add_ranking(input_id, row, row.content, files)

    def add_table_problems(self, problems: Iterable[Problem], table: Table) -> None:
        """Add what is wrong with a file as a whole, whose rows are rows of `table`."""
        for problem in problems:
            self.ledger.note(None, problem, table)

    def resolve(self) -> None:
        """Find out what only all rows together show: repetitions, contradictions, which image is meant.

        Raises:
            BuildError: Two different images share an image id.
            SourceError: What is to be excluded may be several images.
        """
        self.ledger.index()
        self.images.resolve()
        references = References(self._db)
        self._excluded.resolve(references)
        self.captions.resolve(references, self._excluded.reasons)
        self.requests.resolve(references, self._excluded.reasons)
        self.pairs.resolve(references)
        self.ledger.flush()

    def settle(self) -> None:
        """Decide which pairs are published, once images that only they name have been looked for.

        Raises:
            SourceError: Secrets would be published.
        """
        self.pairs.settle()
        self._excluded.note_unused()
        self.findings.settle()
        self.ledger.flush()

    def counts(self) -> Mapping[Table, Counts]:
        """Count, for each table that anything came in of, where its rows went."""
        num_rows = {
            Table.IMAGES: self.images.num_rows(),
            Table.CAPTIONS: self.captions.num_rows(),
            Table.PREFERENCES: self.pairs.num_rows(),
            Table.GENERATION: self.requests.num_rows(),
        }
        counts = {table: self._counts(table, num_rows[table]) for table in Table}
        return {table: count for table, count in counts.items() if count.read or table is Table.IMAGES}

    def _counts(self, table: Table, num_rows: int) -> Counts:
        """Count as the ledger does, and rows with something private instead of the notes on many rows."""
        counts = self.ledger.counts(table, num_rows)
        warnings = {**counts.warnings, **self.findings.counts(table)}
        return counts.model_copy(update={"warnings": dict(sorted(warnings.items()))})
