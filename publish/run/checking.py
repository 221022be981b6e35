"""The check of built releases; `publish/check.py` reads its flags."""

import argparse
from dataclasses import replace
from pathlib import Path

from publish.checks.files import read_manifest
from publish.checks.release import check_release
from publish.checks.viewer import find_missing_statistics
from publish.run.results import CheckResult
from publish.run.terminal import Terminal
from schemas.problems import Problem


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    """Check each release folder and show its problems; of sound ones, what the Hub's viewer will not show.

    Args:
        options: The command line, as `publish.check` parses it.
        terminal: Where to show the results.

    Returns:
        Exit status: 0 if all are sound, 1 if not.
    """
    found: dict[str, int] = {}
    for folder in options.folder:
        with terminal.progress() as track:
            problems = check_release(folder, track=track)
        terminal.line(f"{folder}: {f'{len(problems)} problems' if problems else 'sound'}")
        terminal.problems(_locate(problem, folder) for problem in problems)
        found[str(folder)] = len(problems)
        if not problems:
            warnings = find_missing_statistics(folder, read_manifest(folder))
            terminal.problems(_locate(warning, folder) for warning in warnings)
    terminal.give(CheckResult(releases=found))
    return 1 if any(found.values()) else 0


def _locate(problem: Problem, folder: Path) -> Problem:
    """Write a place within a release as a path, since several releases may be checked at once."""
    inside = "" if problem.file in (folder.name, str(folder)) else problem.file
    return replace(problem, file=str(folder / inside))
