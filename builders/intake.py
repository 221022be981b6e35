"""What a source hands to the catalog: one `InputRow` for each thing that came in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.generators import OpenSettings
from schemas.problems import Problem, Severity


@dataclass(frozen=True, slots=True)
class ImageText:
    """What a source's table says of one image; the fields are those of `ImageRecord`."""

    prompt: str | None
    original_prompt: str | None
    generator: str
    settings: OpenSettings | None
    config_json: str | None


@dataclass(frozen=True, slots=True)
class InputRow:
    """One row of a source's table, or one image file that no row names (`row` is None).

    Attributes:
        source: Name of the source.
        file: The table or image file, relative to the source.
        row: As a spreadsheet numbers it; the header is row 1.
        raw: The row as it came, so that a rejected one can be mended and given again.
        file_name: The image it names.
        image: Where that image is; None if the row is rejected before anybody looks.
        text: What the row says; None if it is rejected.
        problems: Everything wrong with it so far.
    """

    source: str
    file: str
    row: int | None
    raw: str
    file_name: str
    image: Path | None
    text: ImageText | None
    problems: tuple[Problem, ...]

    @property
    def is_rejected(self) -> bool:
        """Say whether a problem keeps it from being published."""
        return any(problem.severity is Severity.REJECTED for problem in self.problems)


class Source(Protocol):
    """One collection that can be read.

    Attributes:
        name: Unique among the sources of a release; published in the `source` column.
        kind: Its key in `SOURCES`.
        digital_source_type: IPTC term for its images.
        notice: What the card must say of it before anything else, or None.
        table_sha256: Digest of the table's bytes.
        table_problems: What is wrong with the table as a whole without stopping the run.
        num_rows: Rows in the table, for progress; counting them is cheap.
    """

    name: str
    kind: str
    digital_source_type: str
    notice: str | None
    table_sha256: str
    table_problems: tuple[Problem, ...]
    num_rows: int

    def rows(self) -> Iterator[InputRow]:
        """Yield every row of the table in order, then every stray image by name."""
        ...
