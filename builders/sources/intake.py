"""What a source hands to the catalog: one `InputRow` for each thing that came in."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from builders.images.files import ImageFile
from builders.preferences.votes import RawVote
from schemas.captions import CaptionText
from schemas.configs import Table
from schemas.generation import GenerationRecord
from schemas.generators import Generator, OpenSettings
from schemas.problems import Problem, Severity
from schemas.records import ID_CHARS

# Pairs grow with the square of the images that are ranked together: 100 make 4,950.
MAX_RANKED = 100


@dataclass(frozen=True, slots=True)
class ImageText:
    """What a source's table says of one image; the fields are those of `ImageRecord`."""

    prompt: str | None
    original_prompt: str | None
    generator: str
    settings: OpenSettings | None
    config_json: str | None
    digital_source_type: str


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image: where it is, and what its row says; both are None where the row is rejected already.

    Attributes:
        file: Where its bytes are, if they are in a file.
        text: What its row says.
        data: Its bytes, where they came inside of a table that must be decoded to read them.
    """

    file: ImageFile | None
    text: ImageText | None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class CaptionInput:
    """One caption of one image.

    Attributes:
        image: The image as the source names it: file name, path, or id.
        of: Name of the source whose file names these are; None for whichever has such a file.
        text: What is said.
    """

    image: str
    of: str | None
    text: CaptionText


@dataclass(frozen=True, slots=True)
class GenerationInput:
    """One request for an image, with its answer.

    Attributes:
        image: The image that came back, as the source names it; None if the request was refused.
        of: Name of the source whose file that is.
        text: What the record says, without the image's name.
    """

    image: str | None
    of: str
    text: GenerationRecord


@dataclass(frozen=True, slots=True)
class Side:
    """One of two images: as the source names it, who made it, and its bytes where the source holds them."""

    reference: str
    model: str | None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class PairInput:
    """Two images and votes on them; several with one `id` in one source are votes on one pair.

    Attributes:
        id: The source's own, or a digest of prompt and images.
        sides: The two images.
        votes: Each as (annotator, label, status); annotators as they are to be published.
        is_whole: Whether the row holds all votes on its pair, so that a second row is a repetition.
        of: Name of the source whose file names these are; None for whichever has such a file.

    The others are fields of `PreferencePair`.
    """

    id: str
    prompt: str | None
    sides: tuple[Side, Side]
    votes: tuple[RawVote, ...]
    is_whole: bool
    of: str | None = None
    category: str | None = None
    sub_category: str | None = None
    evolution: str | None = None
    confidence: float | None = None
    sides_shuffled: bool = True
    status: str | None = None
    license: str | None = None
    prompt_license: str | None = None


@dataclass(frozen=True, slots=True)
class RankInput:
    """The rank of one image among those of its prompt, 1 for the best; pairs are made from all of them."""

    prompt_id: str
    prompt: str | None
    side: Side
    rank: float
    of: str | None = None
    license: str | None = None
    prompt_license: str | None = None

    @property
    def sides(self) -> tuple[Side, ...]:
        """The image, as the other kinds of votes list theirs."""
        return (self.side,)


@dataclass(frozen=True, slots=True)
class RankingInput:
    """Images of one prompt that people ranked together; each two of them become a pair.

    Attributes:
        id: The source's own id; None if it has none, and ids of pairs follow from prompt and images.
        prompt: Prompt of the images.
        sides: The images, each once.
        rankings: Each as (annotator, ranks in the order of `sides`). The smaller rank is better, equal ranks
            are a tie, and images without a rank were not compared.

    The others are fields of `PairInput`.
    """

    id: str | None
    prompt: str | None
    sides: tuple[Side, ...]
    rankings: tuple[tuple[str | None, tuple[float | None, ...]], ...]
    of: str | None = None
    license: str | None = None
    prompt_license: str | None = None


def pair_id_of(prompt: str | None, references: Iterable[str]) -> str:
    """Derive an id for a pair whose source gives none: the same whichever image stands first."""
    content = json.dumps([prompt, *sorted(references)], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()[:ID_CHARS]


VotesInput = PairInput | RankInput | RankingInput
Content = ImageInput | CaptionInput | VotesInput | GenerationInput


@dataclass(frozen=True, slots=True)
class InputRow:
    """One row of a source's table, or one image file that no row names (`row` is None).

    Attributes:
        source: Name of the source.
        file: The table or image file, relative to the source.
        row: As a spreadsheet numbers it; the header of a CSV is row 1.
        raw: The row as it came, so that a rejected one can be mended and given again.
        name: The image or pair it names.
        content: What it says; None if that cannot be known.
        problems: Everything wrong with it so far.
    """

    source: str
    file: str
    row: int | None
    raw: str
    name: str
    content: Content | None
    problems: tuple[Problem, ...]

    @property
    def is_rejected(self) -> bool:
        """Return whether a problem keeps it from being published."""
        return any(problem.severity is Severity.REJECTED for problem in self.problems)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a maintainer can say of a source beside its path and name.

    Attributes:
        form: Which form a file of captions or preferences has, where that cannot be told from it.
        columns: Role → column, where that cannot be told, such as `image`, `caption` and `prompt`.
        of: Name of the source whose images are meant, where names alone are ambiguous.
        images: Folder in which images that preferences name by address are looked for.
        generator: Model that made all images of which their rows do not say it.
        null_texts: Prompts that mean that there is none.
        scratch: Folder of ours, for what must be copied out of an archive.
        license: Terms of the votes.
        prompt_license: Terms of the prompts of the votes.
        annotator_key: Secret for hashing annotators' ids; None for one derived from the source's bytes.
        publish_annotators: Whether their ids are published as they are.
        generators: Those that the maintainer declares, beside the built-in ones; see `find_generator`.
    """

    form: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    of: str | None = None
    images: Path | None = None
    generator: str | None = None
    null_texts: tuple[str, ...] = ()
    scratch: Path = Path()
    license: str | None = None
    prompt_license: str | None = None
    annotator_key: bytes | None = field(default=None, repr=False)
    publish_annotators: bool = False
    generators: tuple[Generator, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Write what was said that decides what rows say, for a source's digest."""
        said: list[object] = [self.form, self.columns, self.of, self.license, self.prompt_license]
        if self.generator or self.null_texts:  # which came later, and are in no digest of older releases
            said += [self.generator, self.null_texts]
        return json.dumps(said, sort_keys=True)


class Source(Protocol):
    """One collection that can be read.

    Attributes:
        name: Unique among the sources of a release; published in the `source` column.
        kind: Its key in `SOURCES`, with its form where there are several.
        table: What its rows are rows of.
        notice: What the card must say of it before anything else, or None.
        sha256: Digest of its files' bytes and of whatever else decides how they are read.
        table_problems: What is wrong with the table as a whole without stopping the run.
        num_rows: Rows in the table, for progress; counting them is cheap.
        images: Folder in which images that its rows name by address are looked for, or None.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def table(self) -> Table: ...  # noqa: D102
    @property
    def notice(self) -> str | None: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def table_problems(self) -> tuple[Problem, ...]: ...  # noqa: D102
    @property
    def num_rows(self) -> int: ...  # noqa: D102
    @property
    def images(self) -> Path | None: ...  # noqa: D102

    def rows(self) -> Iterator[InputRow]:
        """Yield every row in order, then every stray image by name.

        Raises:
            SourceError: The file turns out to be damaged on the way.
        """
        ...
