"""Search a release's images by text or image: `python publish/search.py "green hair" --release dist/1.1`.

Also runs as `sfhq search`. Exit status: 0 done, 1 problems with the release, 2 wrong usage.
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
    from publish.run.searching import search  # noqa: PLC0415 - after parsing: --help must load no library

    return search(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq search", "Search a release's images by text or by image.")
    parser.add_argument("text", nargs="?", help="what the images should show")
    parser.add_argument("--image", type=Path, help="search for images like this one, in place of a text")
    parser.add_argument("--release", type=Path, required=True, help="a release, such as dist/1.1")
    parser.add_argument("-k", type=_count, default=10, help="how many images to find (default: 10)")
    parser.add_argument("--config", help="features to search, where the release has several: clip_…")
    parser.add_argument("--figure", type=Path, help="draw what was found into this .jpg or .png")
    parser.add_argument("--weights", type=Path, help="the model's checkpoint, in place of a download")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
