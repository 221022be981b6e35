"""What `--json` writes of commands on files of prompts; `results.py` has the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCleanResult:
    """What `prompts clean` left out.

    Attributes:
        file: What was read.
        out: The prompts that stay.
        rejected: File with each row that does not, and why.
        scores: Table with what is known of each row.
        num_rows: Of the file.
        num_kept: Rows that stay; with the numbers of `reasons`, these are all rows.
        num_changed: Rows whose line breaks, blanks or invisible characters were changed.
        reasons: Reason → rows that are left out for it first.
    """

    file: Path
    out: Path
    rejected: Path
    scores: Path
    num_rows: int
    num_kept: int
    num_changed: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEvolveResult:
    """What `prompts evolve` wrote.

    Attributes:
        file: What was read.
        out: The rewritten prompts.
        rejected: File with each rewriting that was left out, and why; None if there is none.
        seed: Decides which prompt goes into which category.
        num_bases: Prompts that were rewritten.
        num_prompts: Prompts that were written.
        categories: Category → prompts.
        methods: How they were written → prompts.
        reasons: Reason → rewritings that were left out.
    """

    file: Path
    out: Path
    rejected: Path | None
    seed: int
    num_bases: int
    num_prompts: int
    categories: Mapping[str, int]
    methods: Mapping[str, int]
    reasons: Mapping[str, int]
