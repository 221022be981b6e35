"""Clean a file of prompts; `publish/prompts.py` reads the flags."""

import argparse
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from builders.files import open_whole, sync
from builders.generation.cleaning import UNJUDGED, Row, clean_prompts, count_reasons, write_scores
from builders.generation.languages import INSTALL, LanguageModel, load_language_model
from builders.generation.prompt_files import write_prompts
from publish.run.opinions import open_opinions
from publish.run.prompt_results import PromptCleanResult
from publish.run.prompting import check_out
from publish.run.terminal import Terminal
from schemas.problems import Problem, Reason, SettingsError
from schemas.prompts import MAX_NAME_CHARS

_MEANINGS = {
    "unreadable": "the row cannot be read",
    "empty": "nothing that can be seen",
    "too-long": "too many characters",
    "repeated-id": "another text has the same id",
    "language": "not in English",
    "sexual": "sexual content",
    "age": "a person under 18, with words that go with adults only",
    "violence": "violence",
    "hate": "hate",
    "self-harm": "self-harm",
    "repeat": "the text of an earlier row",
    "near-repeat": "nearly the text of an earlier row",
    "second-opinion": "a classifier speaks against it",
    "unjudged": "a classifier has no answer",
}


def clean(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the prompts that stay, the ones that do not, and what is known of each.

    Returns:
        0, or 1 if a classifier has no answer for some.

    Raises:
        KitError: A flag or the file is wrong, or a classifier answers nothing.
    """
    out: Path = options.out
    rejected, scores = name_rejected(out), out.with_name(f"{out.stem}.scores.csv")
    check_out(out, may_replace=options.overwrite)
    for path in (rejected, scores):
        check_beside(path, may_replace=options.overwrite)
    check_source(options.file, out, scores)
    if options.license is not None and not 0 < len(options.license.strip()) <= MAX_NAME_CHARS:
        fix = "write its short name, such as cc0-1.0"
        raise SettingsError(_problem("--license", "the licence has no name", options.license, fix))
    languages = None if options.any_language else _load_languages()
    with open_opinions(options, terminal) as opinions, terminal.progress() as track:
        rows = clean_prompts(options.file, options.near, languages, opinions, track)
    kept, reasons = [row for row in rows if not row.removals], count_reasons(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_rejected(rejected, (_rejected(row) for row in rows if row.removals))
    _write_scores(scores, rows)
    write_prompts(out, (row.record(index, options.license) for index, row in enumerate(kept)))
    num_changed = sum(row.line is not None and row.text != row.raw for row in rows)
    _show(len(rows), len(kept), num_changed, reasons, terminal)
    terminal.table([("file", str(out)), ("left out", str(rejected)), ("scores", str(scores))])
    terminal.give(
        PromptCleanResult(
            file=options.file,
            out=out,
            rejected=rejected,
            scores=scores,
            num_rows=len(rows),
            num_kept=len(kept),
            num_changed=num_changed,
            reasons=reasons,
        )
    )
    return 1 if UNJUDGED in reasons else 0


def name_rejected(out: Path) -> Path:
    """Return the file for what is left out of a file of prompts: beside it."""
    return out.with_name(f"{out.stem}.rejected.jsonl")


def check_beside(path: Path, *, may_replace: bool) -> None:
    """Refuse to write a file beside the prompts where something is.

    Raises:
        SettingsError: There is a file and no --overwrite, or a folder.
    """
    if path.is_dir() or (path.exists() and not may_replace):
        fix = "give another --out, or --overwrite to replace the files beside it, too"
        raise SettingsError(_problem("--out", "there is something in the way of the file", str(path), fix))


def check_source(source: Path, out: Path, *beside: Path) -> None:
    """Refuse to write over the file that is read; `beside` are further files that are written.

    Raises:
        SettingsError: Both are one file.
    """
    if source.resolve() in (path.resolve() for path in (out, name_rejected(out), *beside)):
        fix = "give another --out; the file that is read stays as it is"
        raise SettingsError(_problem("--out", "the file would be written over itself", str(out), fix))


def write_rejected(path: Path, entries: Iterable[Mapping[str, object]]) -> None:
    """Write what is left out as JSON lines, whole or not at all."""
    with open_whole(path) as open_path:
        # Half a character becomes its escape, which JSON has, too.
        with open_path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries)
        sync(open_path)


def _rejected(row: Row) -> Mapping[str, object]:
    removals = [{"reason": each.reason, "message": each.message} for each in row.removals]
    return {"row": row.number, "prompt_id": row.prompt_id, "prompt": row.raw, "reasons": removals}


def _write_scores(path: Path, rows: Sequence[Row]) -> None:
    entries = list(write_scores(rows))
    columns = list(dict.fromkeys(name for entry in entries for name in entry))
    with open_whole(path) as open_path:
        with open_path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(entries)
        sync(open_path)


def _show(
    num_rows: int, num_kept: int, num_changed: int, reasons: Mapping[str, int], terminal: Terminal
) -> None:
    rows = [("rows", f"{num_rows:,}"), ("kept", f"{num_kept:,}")]
    if num_changed:
        rows.append(("changed", f"{num_changed:,}: line breaks, blanks or characters that nothing shows"))
    terminal.table(rows)
    if reasons:
        terminal.title("Left out, by the first reason")
        terminal.grid(
            ("reason", "meaning", "rows"),
            [(reason, _MEANINGS[reason], number) for reason, number in reasons.items()],
            num_texts=2,
        )


def _load_languages() -> LanguageModel:
    languages = load_language_model()
    if languages is None:
        message = "nothing on this machine says in which language a text is, and the rules know English only"
        fix = f"{INSTALL}; or give --any-language, and read the prompts yourself"
        raise SettingsError(_problem("--any-language", message, None, fix))
    return languages


def _problem(flag: str, message: str, value: str | None, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=flag, value=value, fix=fix, code="run/prompt-file")
