"""The check of built releases; `publish/check.py` reads its flags."""

import argparse

from publish.checks.release import check_release
from publish.run.terminal import Terminal


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    """Check each release folder and show its problems.

    Args:
        options: The command line, as `publish.check` parses it.
        terminal: Where to show the results.

    Returns:
        Exit status: 0 if all are sound, 1 if not.
    """
    status = 0
    for folder in options.folder:
        with terminal.progress() as track:
            problems = check_release(folder, track=track)
        status = 1 if problems else status
        terminal.line(f"{folder}: {f'{len(problems)} problems' if problems else 'sound'}")
        for problem in problems:
            terminal.line(f"  {problem}")
    return status
