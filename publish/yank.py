"""Mark a release as withdrawn: `python publish/yank.py --version 1.1 --reason "…"`, or `sfhq yank`.

Nothing is removed. Exit status: 0 done, 1 not everywhere (the same command goes on), 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import add_host_flags, make_parser, run_command
from publish.run.terminal import Terminal
from schemas.withdrawals import MAX_REASON_CHARS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv, stopped="Stopped; the same command goes on.")


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.withdrawing import withdraw  # noqa: PLC0415 - after parsing: --help must load no library

    return withdraw(options, terminal)


def _parser() -> argparse.ArgumentParser:
    description = "Mark a release as withdrawn, here and on the hosts; remove nothing."
    parser = make_parser("sfhq yank", description, gives_json=False)
    add_host_flags(parser)
    parser.add_argument("--version", required=True, help="the release")
    parser.add_argument("--reason", required=True, type=_reason, help="why, for those who have it: one line")
    return parser


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise argparse.ArgumentTypeError(f"give 1 to {MAX_REASON_CHARS} characters that can be printed")
    return reason


if __name__ == "__main__":
    sys.exit(main())
