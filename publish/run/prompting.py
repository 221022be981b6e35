"""Make prompts, and check files of them; `publish/prompts.py` reads the flags."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from builders.generation.coverage import Coverage, PairCoverage, cover
from builders.generation.grammar import FACES, Grammar, load_grammar
from builders.generation.prompt_files import check_prompts, read_prompts, read_shares, write_prompts
from builders.generation.prompts import make_prompts
from builders.generation.requests import Request, plan_request
from publish.run.results import PromptCheckResult, PromptsResult, VocabularyResult
from publish.run.terminal import Terminal
from schemas.problems import Problem, Reason, SettingsError, SourceError, name_some
from schemas.prompts import PromptRecord

_SHOWN_PROMPTS, _SHOWN_PAIRS, _SHOWN_VALUES = 3, 15, 4
_TABLES = (".csv", ".json")


def make(options: argparse.Namespace, terminal: Terminal) -> int:
    """Make prompts and write or show them; with `--stats` or `--values`, show those in their place.

    Raises:
        KitError: The grammar, a flag or a file is wrong.
    """
    grammar = load_grammar(options.grammar or FACES)
    if options.values is not None:
        return _list_values(grammar, options.values, terminal)
    if options.stats:
        if options.where or options.balance or options.out:
            fix = "give --stats without a file to look at what these flags would make"
            raise SettingsError(_problem("a file is shown as it is", "--stats", options.stats, fix))
        return _show_file(grammar, Path(options.stats), terminal)
    if options.out is not None:
        check_out(options.out, may_replace=options.overwrite)
    request = _plan(grammar, options)
    with terminal.progress() as track:
        records = list[PromptRecord]()
        stream = track(make_prompts(request, options.seed, options.count), "making prompts", options.count)
        if options.out is None or options.stats is not None:
            records = list(stream)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            shown = records or _keep(stream, records)
            write_prompts(options.out, shown)
    coverage = cover(grammar, map(_attributes, records)) if options.stats is not None else None
    _show(request, options, records, coverage, terminal)
    return 0


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    """Check every prompt of a file; return 1 if some may not be used.

    Raises:
        SourceError: The file as a whole cannot be read.
    """
    num_prompts, problems = check_prompts(options.file)
    num_refused = len({problem.row for problem in problems})
    terminal.problems(problems)
    terminal.table(
        [
            ("prompts", f"{num_prompts:,}"),
            ("may be used", f"{num_prompts - num_refused:,}"),
            ("refused", f"{num_refused:,}"),
        ]
    )
    terminal.give(PromptCheckResult(file=options.file, num_prompts=num_prompts, num_refused=num_refused))
    return 1 if problems else 0


def _plan(grammar: Grammar, options: argparse.Namespace) -> Request:
    problems, where = list[Problem](), list[tuple[str, str]]()
    for text in options.where:
        name, equals, value = text.partition("=")
        where.append((name, value.strip()))
        if not (equals and name.strip() and value.strip()):
            fix = 'write ATTRIBUTE=VALUE, such as --where "hair color=red"'
            problems.append(_problem("the flag has no attribute or no value", "--where", text, fix))
    if problems:
        raise SettingsError(problems)
    balance = options.balance
    if balance is None:
        return plan_request(grammar, where)
    if Path(balance).suffix in _TABLES:
        return plan_request(grammar, where, table=read_shares(Path(balance)))
    return plan_request(grammar, where, [name.strip() for name in balance.split(",") if name.strip()])


def check_out(path: Path, *, may_replace: bool) -> None:
    """Refuse to write where something is.

    Raises:
        SettingsError: There is a file and no --overwrite, or the name does not end in .jsonl.
    """
    if path.suffix != ".jsonl":
        fix = "let the name end in .jsonl: one JSON object a line"
        raise SettingsError(_problem("prompts are written as JSON lines", "--out", str(path), fix))
    if path.is_dir() or (path.exists() and not may_replace):
        fix = "give another --out" if path.is_dir() else "give another --out, or --overwrite to replace it"
        raise SettingsError(_problem("there is something in the way of the file", "--out", str(path), fix))


def _keep(stream: Iterable[PromptRecord], records: list[PromptRecord]) -> Iterator[PromptRecord]:
    """Yield prompts, and keep the first few to show them."""
    for record in stream:
        if len(records) < _SHOWN_PROMPTS:
            records.append(record)
        yield record


def _show(
    request: Request,
    options: argparse.Namespace,
    records: Sequence[PromptRecord],
    coverage: Coverage | None,
    terminal: Terminal,
) -> None:
    grammar = request.grammar
    is_listed = options.out is None and coverage is None
    for record in records if is_listed else records[:_SHOWN_PROMPTS]:
        terminal.line(record.prompt)
    rows = [("prompts", f"{options.count:,}"), ("grammar", f"{grammar.name} {grammar.version}")]
    rows += [("seed", str(options.seed))]
    if request.balanced:
        names = ", ".join(request.balanced)
        rows.append(("balanced", f"{len(request.cells):,} combinations of {names}"))
    if request.left_out:
        rows.append(("left out", f"{len(request.left_out):,} combinations that the grammar rules out"))
    if options.out is not None:
        rows.append(("file", str(options.out)))
    if not is_listed:
        terminal.table(rows)
    if coverage is not None:
        _show_coverage(coverage, terminal)
    terminal.give(
        PromptsResult(
            grammar=grammar.name,
            grammar_version=grammar.version,
            seed=options.seed,
            num_prompts=options.count,
            out=options.out,
            prompts=records if is_listed else (),
            coverage=coverage,
        )
    )


def _show_file(grammar: Grammar, path: Path, terminal: Terminal) -> int:
    """Show statistics of a file.

    Raises:
        SourceError: The file, or a row of it, cannot be read.
    """
    problems = list[Problem]()
    prompts = [(line.text, dict(line.attributes)) for line in read_prompts(path, problems)]
    if problems:
        raise SourceError(problems)
    coverage = cover(grammar, prompts)
    _show_coverage(coverage, terminal)
    terminal.give(
        PromptsResult(
            grammar=grammar.name,
            grammar_version=grammar.version,
            seed=None,
            num_prompts=coverage.num_prompts,
            coverage=coverage,
        )
    )
    return 0


def _show_coverage(coverage: Coverage, terminal: Terminal) -> None:
    if not coverage.num_prompts:
        terminal.line("There are no prompts.")
        return
    terminal.title("Lengths: shortest, median, longest")
    terminal.table([("words", _spread(coverage.words)), ("characters", _spread(coverage.chars))])
    repeats = coverage.num_prompts - coverage.num_texts
    terminal.table([("repeats", f"{repeats:,}")])
    terminal.title("Coverage of each attribute")
    heads = ("attribute", "most common value", "prompts", "values seen", "of")
    terminal.grid(
        heads,
        [
            (
                each.name,
                f"{each.most_common[0]} ({each.most_common[1]:,})",
                each.num_prompts,
                each.num_seen,
                each.num_possible,
            )
            for each in coverage.attributes
        ],
        num_texts=2,
    )
    _show_pairs(coverage.pairs, terminal)


def _show_pairs(pairs: Sequence[PairCoverage], terminal: Terminal) -> None:
    num_possible, num_never = (
        sum(each.num_possible for each in pairs),
        sum(each.num_never_seen for each in pairs),
    )
    terminal.title(f"Pairs of values never seen: {num_never:,} of {num_possible:,} possible pairs")
    gaps = sorted(
        (each for each in pairs if each.num_never_seen), key=lambda each: (each.num_possible, each.names)
    )
    rows = []
    for each in gaps[:_SHOWN_PAIRS]:
        never = [" + ".join(pair) for pair in each.never_seen or ()]
        examples = name_some(never, _SHOWN_VALUES)
        rows.append((" x ".join(each.names), examples, each.num_never_seen, each.num_possible))
    if rows:
        terminal.grid(("attributes", "never seen", "pairs", "of"), rows, num_texts=2)
    if len(gaps) > _SHOWN_PAIRS:
        terminal.line(f"… and {len(gaps) - _SHOWN_PAIRS:,} more pairs of attributes; --json has all of them.")


def _list_values(grammar: Grammar, name: str, terminal: Terminal) -> int:
    """List the attributes, or the values of one.

    Raises:
        SettingsError: There is no such attribute.
    """
    values: dict[str, Sequence[str]] = {}
    found = grammar.find(name) if name else None
    if name and found is None:
        fix = grammar.suggest_name(name)
        raise SettingsError(_problem("the grammar has no such attribute", "--values", name, fix))
    for each in [found] if found else grammar.names:
        tables = [
            variant.attributes[each].values for variant in grammar.variants if each in variant.attributes
        ]
        values[each] = list(dict.fromkeys(value for table in tables for value in table))
    if found:
        for value in values[found]:
            terminal.line(value)
    else:
        rows = [(each, name_some(listed, _SHOWN_VALUES), len(listed)) for each, listed in values.items()]
        terminal.grid(("attribute", "values", "number"), rows, num_texts=2)
    terminal.give(VocabularyResult(grammar=grammar.name, grammar_version=grammar.version, values=values))
    return 0


def _attributes(record: PromptRecord) -> tuple[str, Mapping[str, str]]:
    return record.prompt, {each.attribute: each.value for each in record.attributes}


def _spread(lengths: Sequence[int]) -> str:
    return f"{lengths[0]:,}, {lengths[len(lengths) // 2]:,}, {lengths[-1]:,}"


def _problem(message: str, flag: str, value: str, fix: str) -> Problem:
    code = "run/prompt-file" if flag == "--out" else "run/prompt-request"
    return Problem(Reason.SETTINGS, message, column=flag, value=value, fix=fix, code=code)
