"""Look for images to leave out: `python publish/screen.py my-faces`. Nothing is removed.

Also runs as `sfhq screen`. Exit status: 0 done, 1 problems with a source, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import add_source_flags, make_parser, run_command
from publish.run.terminal import Terminal

_STOPPED = "Stopped; no file was written. The same command goes on from what is measured."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv, stopped=_STOPPED)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.screening import screen  # noqa: PLC0415 - after parsing: --help must load no library

    return screen(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq screen", "Look for images to leave out of a release; nothing is removed.")
    add_source_flags(parser)
    parser.add_argument("--out", type=Path, help="folder for the results (default: SOURCE-screen)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace exclusions.csv in the folder of --out"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep what is measured here; the releases' folder shares it with them (default: --out)",
    )
    parser.add_argument(
        "--max-safety", type=_share, metavar="SCORE", help="highest safety score that is no finding (0.8)"
    )
    parser.add_argument(
        "--max-better-prompts",
        type=_share,
        metavar="SHARE",
        help="share of other images' prompts that may fit an image better than its own (0.2)",
    )
    return parser


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:  # false for "nan", too
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
