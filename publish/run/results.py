"""What `--json` writes: one `Document` for a command, with its results and its problems.

The keys are stable: programs read them. A key may be added, and none is renamed or removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from schemas import KIT_VERSION
from schemas.configs import Table
from schemas.features import Provenance
from schemas.manifest import Counts, Receipt, RowChanges
from schemas.problems import Problem
from schemas.versions import Bump


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemEntry:
    """A problem, as `schemas.problems.Problem` describes it.

    Attributes:
        severity: `warning`, `rejected` (a row) or `blocking` (the command).
        code: For `sfhq explain`, and for programs.
        message: What is wrong.
        file: Where; empty if nowhere.
        row: As a spreadsheet numbers it.
        column: Of a table, or a key of the settings.
        value: The offending value, whole.
        fix: What to do next.
    """

    severity: str
    code: str
    message: str
    file: str
    row: int | None
    column: str | None
    value: str | None
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedHost:
    """What would be done to a host.

    Attributes:
        steps: What is to be done, in order; empty if nothing is, or if that is known only after the build.
        is_exact: Whether the release is built; if not, names and sizes of new files are estimates.
        num_add: Files to send.
        add_bytes: Their size.
        num_keep: Files that are there already.
        num_remove: Files that the release lacks.
    """

    steps: Sequence[str]
    is_exact: bool
    num_add: int
    add_bytes: int
    num_keep: int
    num_remove: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """What `release` has done, or with `--plan` would do.

    Attributes:
        dataset: Its name.
        version: The release's version.
        is_plan: Whether this is only a plan.
        is_new: Whether anything was, or would be, done.
        folder: The release.
        manifest_sha256: Of the release; None in a plan.
        configs: The release's configs; empty in a plan.
        num_files: Files of the release; None in a plan.
        num_bytes: Their size; None in a plan.
        counts: Table → where its input rows went.
        previous: Version that this one follows, if any.
        bump: What differs from that one, in a word.
        rows: Config → rows that differ from it.
        hosts: Host → what would be done there; in a plan.
        receipts: Of each host that holds the release.
    """

    dataset: str
    version: str
    is_plan: bool
    is_new: bool
    folder: Path
    manifest_sha256: str | None = None
    configs: Sequence[str] = ()
    num_files: int | None = None
    num_bytes: int | None = None
    counts: Mapping[Table, Counts] = field(default_factory=dict)
    previous: str | None = None
    bump: Bump | None = None
    rows: Mapping[str, RowChanges] = field(default_factory=dict)
    hosts: Mapping[str, PlannedHost] = field(default_factory=dict)
    receipts: Sequence[Receipt] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What `check` found: release folder → number of problems."""

    releases: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """What is there of one version in one place.

    Attributes:
        version: The dataset's version.
        target: Where.
        state: In words.
        revision: The host's own name of it; empty where it is not there.
        manifest_sha256: Of what is there; None where it is not, or cannot be read.
        withdrawn: Why it should not be used, as the host says; empty if it does not.
        is_good: Whether it is as it should be, or it was not asked for.
    """

    version: str
    target: str
    state: str
    revision: str = ""
    manifest_sha256: str | None = None
    withdrawn: str = ""
    is_good: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult:
    """What `status` found: what is there of each version in each place."""

    dataset: str
    places: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What `verify` found.

    Attributes:
        dataset: Its name.
        version: The release's version.
        manifests: Place → SHA-256 of the manifest there.
        places: Place → number of problems; a host that could not be asked counts its refusals.
    """

    dataset: str
    version: str
    manifests: Mapping[str, str]
    places: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntry:
    """An image that a search found.

    Attributes:
        rank: 1 is the most similar.
        similarity: Cosine of the angle between its vector and the query's, -1 to 1.
        image_id: Its id.
        file_name: Its name in its source.
        generator: What made it.
        prompt: From which prompt.
    """

    rank: int
    similarity: float
    image_id: str
    file_name: str
    generator: str
    prompt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What `search` found.

    Attributes:
        query: The text, or the image's name.
        config: The features that were searched.
        encoder: What made them.
        num_images: How many were searched.
        found: The most similar first.
    """

    query: str
    config: str
    encoder: Provenance
    num_images: int
    found: Sequence[FoundEntry]


Result = ReleaseResult | CheckResult | StatusResult | VerifyResult | SearchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one run of a command came to.

    Attributes:
        command: The verb.
        kit_version: The kit's.
        exit_status: As the process ends with.
        result: What the command found or did; None if it did not get that far.
        problems: Everything that is wrong.
        problems_left_out: How many more there are.
    """

    command: str
    kit_version: str
    exit_status: int
    result: Result | None
    problems: Sequence[ProblemEntry]
    problems_left_out: int


def write_document(
    command: str, status: int, result: Result | None, problems: Sequence[Problem], left_out: int
) -> str:
    """Return the document of a run as JSON, ASCII only, in one line."""
    document = Document(
        command=command,
        kit_version=KIT_VERSION,
        exit_status=status,
        result=result,
        problems=[_entry(problem) for problem in problems],
        problems_left_out=left_out,
    )
    return TypeAdapter(Document).dump_json(document, ensure_ascii=True).decode()


def _entry(problem: Problem) -> ProblemEntry:
    # A value read from a broken file may hold half of a character, which JSON cannot.
    value = problem.value and problem.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return ProblemEntry(
        severity=problem.severity.value,
        code=problem.code,
        message=problem.message,
        file=problem.file.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        row=problem.row,
        column=problem.column,
        value=value,
        fix=problem.fix,
    )
