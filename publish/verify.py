"""Read a release again wherever it is: `python publish/verify.py --version 1.1`, or `sfhq verify`.

Nothing is changed. Exit status: 0 sound, 1 not, 2 wrong usage.
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
    from publish.run.verifying import verify  # noqa: PLC0415 - after parsing: --help must load no library

    return verify(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq verify", "Read a release again in the folder and on the hosts.")
    add_host_flags(parser)
    parser.add_argument("--version", required=True, help="the release")
    parser.add_argument("--all", action="store_true", help="download every file, and not only a sample")
    return parser


if __name__ == "__main__":
    sys.exit(main())
