"""Look at a release in the browser: `python publish/explore.py dist/1.1`. Ctrl-C ends it.

Also runs as `sfhq explore`. Exit status: 0 done, 1 problems with the release, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import make_parser, run_command
from publish.run.terminal import Terminal

_STOPPED = "Stopped; the same command goes on from the thumbnails that are made."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv, stopped=_STOPPED)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.exploring import explore  # noqa: PLC0415 - after parsing: --help must load no library

    return explore(options, terminal)


def _parser() -> argparse.ArgumentParser:
    description = "Look at a release in the browser, before it goes anywhere."
    parser = make_parser("sfhq explore", description, gives_json=False)
    parser.add_argument("release", type=Path, metavar="RELEASE", help="a release, such as dist/1.1")
    parser.add_argument(
        "--port", type=_port, help="port on 127.0.0.1 (default: one of the dataset's, as marks belong to it)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    parser.add_argument(
        "--no-thumbnails",
        action="store_true",
        help="make no RELEASE.thumbnails; the page then reads whole images",
    )
    parser.add_argument("--config", help="features to search by meaning, where there are several: clip_…")
    parser.add_argument("--weights", type=Path, help="the model's checkpoint, in place of a download")
    parser.add_argument(
        "--space", type=Path, metavar="OUT", help="write the page for a static Space into OUT, and end"
    )
    parser.add_argument(
        "--data",
        metavar="ADDRESS",
        help="where the page of --space finds the release's files, such as ../1.1/ (default: the Hub)",
    )
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 <= int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
