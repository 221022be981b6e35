"""Rewrite a file of prompts; `publish/prompts.py` reads the flags."""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from builders.generation.cleaning import REPEAT, UNREADABLE, Removal
from builders.generation.evolving import (
    Base,
    Evolver,
    RuleEvolver,
    Task,
    find_faults,
    plan_evolutions,
    read_base,
)
from builders.generation.evolving_llm import PRODUCT, ChatEvolver
from builders.generation.prompt_files import FILE_CODE, read_prompts, write_prompts
from publish.run.llm_requests import open_llm, refuse_lone_flags, show_llm
from publish.run.prompt_cleaning import check_beside, check_source, name_rejected, write_rejected
from publish.run.prompt_results import PromptEvolveResult
from publish.run.prompting import check_out
from publish.run.sentence_writing import work_folder
from publish.run.terminal import Terminal
from schemas.problems import Problem, Reason, SourceError
from schemas.prompts import PromptRecord

_Entry = Mapping[str, object]


def evolve(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the rewritten prompts, and beside them those that may not be used.

    Raises:
        KitError: A flag or the file is wrong, or a language model answers nothing.
    """
    out: Path = options.out
    rejected = name_rejected(out)
    check_out(out, may_replace=options.overwrite)
    check_beside(rejected, may_replace=options.overwrite)
    check_source(options.file, out)
    entries = list[_Entry]()
    bases = _read_bases(options.file, entries)
    tasks = plan_evolutions(bases, options.seed, options.count)
    total = options.count or 2 * len(bases)
    out.parent.mkdir(parents=True, exist_ok=True)
    methods = Counter[str]()
    with _open_evolver(options, terminal) as evolver, terminal.progress() as track:
        records = _write(evolver, track(tasks, "rewriting prompts", total), entries, methods)
    if entries or rejected.exists():
        write_rejected(rejected, entries)
    write_prompts(out, records)
    result = PromptEvolveResult(
        file=options.file,
        out=out,
        rejected=rejected if entries else None,
        seed=options.seed,
        num_bases=len(bases),
        num_prompts=len(records),
        categories=dict(Counter(record.category or "" for record in records).most_common()),
        methods=dict(methods),
        reasons=dict(Counter(str(entry["reason"]) for entry in entries)),
    )
    _show(result, terminal)
    terminal.give(result)
    return 0


def _read_bases(path: Path, entries: list[_Entry]) -> list[Base]:
    """Return the prompts that may be rewritten; the others become entries of the rejected file.

    Raises:
        SourceError: The file cannot be read, or none may be rewritten.
    """
    problems, bases = list[Problem](), list[Base]()
    for line in read_prompts(path, problems):
        base = read_base(line)
        removals = list(find_faults(base.text, base))
        if removals or not base.text:
            removal = removals[0] if removals else Removal(UNREADABLE, "the text has nothing to rewrite")
            entries.append(_entry(base.row, base, removal, base.text))
        else:
            bases.append(base)
    entries += [
        {"row": problem.row, "prompt": problem.value, "reason": UNREADABLE, "message": problem.message}
        for problem in problems
    ]
    if not bases:
        message, fix = "the file has no prompts that may be rewritten", "see them with `sfhq prompts clean`"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=FILE_CODE))
    return bases


@contextmanager
def _open_evolver(options: argparse.Namespace, terminal: Terminal) -> Iterator[Evolver]:
    """Open what writes: the kit by rule, or a language model with the kit behind it."""
    if options.llm is None:
        refuse_lone_flags(options)
        yield RuleEvolver()
        return
    with open_llm(options, work_folder(options.out), terminal, PRODUCT) as (model, journal, chat_options):
        evolver = ChatEvolver(model, journal, chat_options)
        try:
            yield evolver
        finally:
            show_llm(evolver, journal, terminal)


def _write(
    evolver: Evolver, tasks: Iterable[Task], entries: list[_Entry], methods: Counter[str]
) -> list[PromptRecord]:
    """Return the rewritten prompts; those that may not be used, or are there already, become entries."""
    records, seen = list[PromptRecord](), set[tuple[str | None, str]]()
    for made in evolver.write(tasks):
        base = made.task.base
        removal = next(find_faults(made.text, base), None)
        if removal is None and (base.origin.base_prompt_id, made.text) in seen:
            removal = Removal(REPEAT, "an earlier rewriting has the same text")
        if removal is not None:
            cell = {"category": made.task.category.name, "sub_category": made.task.sub_category}
            entries.append(_entry(base.row, base, removal, made.text) | cell)
            continue
        seen.add((base.origin.base_prompt_id, made.text))
        methods[made.method] += 1
        records.append(made.task.record(len(records), made.text, made.made_by))
    return records


def _entry(row: int, base: Base, removal: Removal, text: str) -> dict[str, object]:
    return {
        "row": row,
        "base_prompt_id": base.origin.base_prompt_id,
        "prompt": text,
        "reason": removal.reason,
        "message": removal.message,
    }


def _show(result: PromptEvolveResult, terminal: Terminal) -> None:
    rows = [("prompts read", f"{result.num_bases:,}"), ("prompts written", f"{result.num_prompts:,}")]
    rows += [("written by", ", ".join(f"{name} {number:,}" for name, number in result.methods.items()))]
    rows += [("file", str(result.out))]
    if result.rejected is not None:
        listed = ", ".join(f"{name} {number:,}" for name, number in result.reasons.items())
        rows += [("left out", f"{sum(result.reasons.values()):,} ({listed}): {result.rejected}")]
    terminal.table(rows)
    terminal.grid(("category", "prompts"), list(result.categories.items()), num_texts=1)
