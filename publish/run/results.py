"""What `--json` writes: one `Document` for a command, with its results and its problems.

The keys are stable: programs read them. A key may be added, and none is renamed or removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from builders.card.facts.fairness import FairnessSummary
from builders.generation.coverage import Coverage
from publish.run.campaign_results import CampaignPlan, CampaignResult, CampaignStatus
from schemas import KIT_VERSION
from schemas.configs import Table
from schemas.features import Provenance
from schemas.manifest import Counts, Receipt, RowChanges
from schemas.problems import Problem
from schemas.prompts import PromptRecord
from schemas.screening import Finding
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
        edited_columns: Config → column → rows of it that are edited in this column.
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
    edited_columns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsResult:
    """What `prompts` made.

    Attributes:
        grammar: Its name.
        grammar_version: Its version.
        seed: As asked for.
        num_prompts: How many were made.
        out: The file; None if none was asked for.
        prompts: The prompts themselves where there is neither a file nor statistics.
        coverage: Statistics, if asked for.
    """

    grammar: str
    grammar_version: str
    seed: int | None
    num_prompts: int
    out: Path | None = None
    prompts: Sequence[PromptRecord] = ()
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPlan:
    """What `generate` would do, or did.

    Attributes:
        generator: Model that is asked for.
        provider: Who is asked.
        model: The model as the provider names it.
        num_prompts: Different requests of the file.
        states: State → how many of them are in it; see `builders.generation.journal`.
        num_to_send: How many a run sends.
        price_usd: Of one image; None if not known.
        cost_usd: Of all that are to be sent; None if no price is known.
        spent_usd: What the folder has cost up to now.
        seconds: How long a run takes; None if not known.
    """

    generator: str
    provider: str
    model: str
    num_prompts: int
    states: Mapping[str, int]
    num_to_send: int
    price_usd: float | None
    cost_usd: float | None
    spent_usd: float
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationResult:
    """What `generate` made.

    Attributes:
        folder: Where the images are.
        plan: What was to be done; its states are those at the end.
        refusals: Category of the provider → how many requests it refused.
        num_fetched: Images of an earlier run that could be fetched now.
        is_over_budget: Whether requests are left that the budget does not allow.
        missing: Images of the table that are not in the folder.
    """

    folder: Path
    plan: GenerationPlan
    refusals: Mapping[str, int]
    num_fetched: int
    is_over_budget: bool
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyResult:
    """What `prompts --values` lists: attribute → its values; no values if all attributes are listed."""

    grammar: str
    grammar_version: str
    values: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCheckResult:
    """What `prompts check` found.

    Attributes:
        file: The file.
        num_prompts: Its prompts.
        num_refused: Those that break a rule or cannot be read.
    """

    file: Path
    num_prompts: int
    num_refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenResult:
    """What `screen` found.

    Attributes:
        num_images: Images that were looked at, with those that a release would set aside.
        findings: Finding → images that have it; an image may have several.
        num_proposed: Images whose exclusion is proposed.
        encoder: What compared images with prompts and with each other; None if only hashes were compared.
        not_checked: What was not looked for → why, and what to do.
        scores: The table of all images.
        exclusions: The proposed list.
        sheets: Pictures of the images that were found.
    """

    num_images: int
    findings: Mapping[Finding, int]
    num_proposed: int
    encoder: Provenance | None
    not_checked: Mapping[str, str]
    scores: Path
    exclusions: Path
    sheets: Sequence[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeCounts:
    """For how many images an attribute has an answer.

    Attributes:
        answered: Images with a value.
        abstained: Images for which the model was not sure, or which do not show it.
        is_personal: Whether it is inferred about a person.
    """

    answered: int
    abstained: int
    is_personal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionResult:
    """What `caption` wrote.

    Attributes:
        num_images: Images of the sources that a release would publish.
        num_captioned: New lines with a sentence.
        num_attributes_only: New lines with attributes and no sentence.
        num_without_attributes: Images without a line, since every model abstained.
        num_kept: Images that had a line of this captioner and version before.
        num_replaced: Lines of this captioner that were removed.
        attributes: Attribute → for how many images it has an answer.
        never_inferred: Attribute that no picture shows, such as religion → images whose answer is left out.
        captioner: Name of this captioner.
        captioner_version: Its version, which changes with models, wordings and thresholds.
        models: The attribute models.
        left_out: Kind of model → why it did not run.
        out: The file.
    """

    num_images: int
    num_captioned: int
    num_attributes_only: int
    num_without_attributes: int
    num_kept: int
    num_replaced: int
    attributes: Mapping[str, AttributeCounts]
    never_inferred: Mapping[str, int]
    captioner: str
    captioner_version: str
    models: Sequence[str]
    left_out: Mapping[str, str]
    out: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """What `report` compared.

    Attributes:
        kind: `fairness` or `attributes`.
        version: Of the release.
        report: The page that was written.
        figure: The figure in it.
        facts: Every number of the page.
    """

    kind: str
    version: str
    report: Path
    figure: Path
    facts: FairnessSummary


Result = (
    ReleaseResult
    | CheckResult
    | StatusResult
    | VerifyResult
    | SearchResult
    | PromptsResult
    | VocabularyResult
    | PromptCheckResult
    | GenerationPlan
    | GenerationResult
    | ScreenResult
    | CaptionResult
    | ReportResult
    | CampaignPlan
    | CampaignResult
    | CampaignStatus
)


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
