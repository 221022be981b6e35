"""Report what a release shows beside what was asked for: `python publish/report.py fairness dist/1.1`.

Also runs as `sfhq report`. Exit status: 0 reported, 1 the release cannot be read or has nothing to compare,
2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import make_parser, run_command
from publish.run.terminal import Terminal

FAIRNESS, ATTRIBUTES = "fairness", "attributes"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.reporting import report  # noqa: PLC0415 - after parsing: --help must load no library

    return report(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "sfhq report", "Compare what models see in images with what was asked for or is true."
    )
    parser.add_argument(
        "kind",
        choices=(FAIRNESS, ATTRIBUTES),
        help="fairness: what prompts ask for and what models see, by group; "
        "attributes: how often models are right, where the truth is known",
    )
    parser.add_argument("release", type=Path, help="a release, such as dist/1.1")
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="FILE",
        help="attributes of images as a person labelled them, in any form of captions "
        "(default: what drawn images show)",
    )
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="ATTRIBUTE",
        help="compare groups of this attribute, too, beside age, gender, ethnicity and generator",
    )
    parser.add_argument("--out", type=Path, help="folder for the report (default: RELEASE-report)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
