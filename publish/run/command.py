"""What all commands share: flags, exit statuses, errors as sentences, and `--json`.

`--help` imports this module, so it loads no library at the top.
"""

import argparse
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from publish.run.terminal import Terminal
from schemas.problems import KitError, Problem, Reason, SettingsError

if TYPE_CHECKING:
    from publish.hosts.protocol import HostOptions

DEFAULT_PATIENCE_MINUTES, MAX_PATIENCE_MINUTES = 5, 1440
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
    add_patience_flag(parser)


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that looks at images: sources, settings and the model that made them."""
    parser.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="SOURCE",
        help="SFHQ folders, or images in other forms (default: the sources of the settings)",
    )
    parser.add_argument(
        "--config", type=Path, default=Path("release.toml"), help="settings (default: release.toml)"
    )
    parser.add_argument("--generator", help="model that made all images whose rows do not say it")


def add_patience_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag of all commands that wait for hosts."""
    parser.add_argument(
        "--patience",
        type=_minutes,
        default=DEFAULT_PATIENCE_MINUTES,
        metavar="MINUTES",
        help="give a host up when nothing has moved for so long (default: 5)",
    )


def host_options(options: argparse.Namespace, terminal: Terminal) -> "HostOptions":
    """Return what the flags of a command say of all hosts."""
    # `--help` must load no library.
    from publish.hosts.protocol import HostOptions  # noqa: PLC0415
    from publish.network import TimeLimits  # noqa: PLC0415

    return HostOptions(
        TimeLimits(patience_seconds=60 * options.patience),
        terminal.note,
        waits=getattr(options, "wait", False),
        trusts_rights=getattr(options, "force_unknown_rights", False),
    )


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 1 <= minutes <= MAX_PATIENCE_MINUTES:  # false for "nan", too
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of minutes from 1 to {MAX_PATIENCE_MINUTES}"
        )
    return minutes


def read_usd(text: str) -> float:
    """Return the amount of a flag in US dollars.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        amount = float(text.removeprefix("$"))
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 1e6:  # false for "nan", too
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in US dollars")
    return amount


def read_concurrency(text: str) -> int:
    """Return how many requests a flag lets be open at once, 1 to 100.

    Raises:
        ArgumentTypeError: It is no such number.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100")
    return int(text)
