"""Check a built release without trusting it: `python publish/check.py dist/1.0`, or `sfhq check`.

Exit status: 0 every release is sound, 1 one is not, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import make_parser, run_command
from publish.run.terminal import Terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.checking import check  # noqa: PLC0415 - after parsing: --help must load no library

    return check(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq check", "Check built releases without trusting them.")
    parser.add_argument("folder", nargs="+", type=Path, help="a release, such as dist/1.0")
    return parser


if __name__ == "__main__":
    sys.exit(main())
