"""Show which versions are in the folder and on the hosts: `python publish/status.py`, or `sfhq status`.

Nothing is changed. Exit status: 0 all is as it should be, 1 something is not, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import add_host_flags, make_parser, run_command
from publish.run.terminal import Terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.comparing import show_status  # noqa: PLC0415 - after parsing: --help must load no library

    return show_status(options, terminal)


def _parser() -> argparse.ArgumentParser:
    description = "Show which versions are in the folder and on the hosts."
    parser = make_parser("sfhq status", description)
    add_host_flags(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
