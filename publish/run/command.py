"""What all commands share: flags, exit statuses, errors as sentences, and `--json`.

`--help` imports this module, so it loads no library at the top.
"""

import argparse
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from publish.run.terminal import Terminal
from schemas.problems import KitError, Problem, Reason, SettingsError

NUM_SAMPLED = 5  # files that `sfhq verify` downloads beside the manifest
NOTHING_CHANGED = "Stopped; nothing was changed."


def run_command(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace, Terminal], int],
    argv: Sequence[str] | None = None,
    *,
    stopped: str = NOTHING_CHANGED,
    advice: str = "correct this, and run the same command again",
) -> int:
    """Read the flags and run a command; show every error as a sentence, never as a traceback.

    Args:
        parser: Reads the flags. With `--json`, the results go to stdout as one JSON document.
        run: Does the work, and returns the exit status.
        argv: The arguments; those of the process if None.
        stopped: What to show after Ctrl-C.
        advice: What to do after an error of the disk.

    Returns:
        Exit status: the command's own, 1 after an error, 2 for wrong settings, 130 after Ctrl-C.
    """
    options = parser.parse_args(argv)
    terminal = Terminal(as_json=getattr(options, "json", False))
    status = _run(options, terminal, run, stopped=stopped, advice=advice)
    terminal.finish(parser.prog.removeprefix("sfhq "), status)
    return status


def _run(
    options: argparse.Namespace,
    terminal: Terminal,
    run: Callable[[argparse.Namespace, Terminal], int],
    *,
    stopped: str,
    advice: str,
) -> int:
    try:
        return run(options, terminal)
    except KitError as error:
        terminal.problems(error.problems)
        return 2 if isinstance(error, SettingsError) else 1
    except (OSError, sqlite3.OperationalError) as error:  # a full disk, a missing permission
        place = getattr(error, "filename", None) or getattr(options, "out", "")
        message = getattr(error, "strerror", None) or str(error)
        terminal.problems([Problem(Reason.RELEASE, message, file=str(place), fix=advice, code="run/system")])
        return 1
    except KeyboardInterrupt:
        terminal.note(stopped)
        return 130


def make_parser(prog: str, description: str, *, gives_json: bool = True) -> argparse.ArgumentParser:
    """Make a command's parser.

    Args:
        prog: Its name, such as `sfhq check`.
        description: What it does, in a sentence.
        gives_json: Whether the command has results that a program may want.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description, allow_abbrev=False)
    if gives_json:
        parser.add_argument(
            "--json", action="store_true", help="write results and problems to stdout as one JSON document"
        )
    return parser


def add_host_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the commands that ask hosts."""
    parser.add_argument(
        "--config", type=Path, default=Path("release.toml"), help="settings (default: release.toml)"
    )
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the releases' folder (default: dist)")
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="HOST",
        help="ask this host, such as hub or kaggle, in place of the configured ones; repeatable",
    )
