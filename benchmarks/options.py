"""Flags that benchmarks share."""

import argparse
import tempfile
from pathlib import Path


def make_parser(prog: str, description: str, *, size: int | None = None) -> argparse.ArgumentParser:
    """Make a parser with `--work`, `--json` and, in most benchmarks, `--size`.

    Args:
        prog: The benchmark's file.
        description: What it measures.
        size: Width and height of images in pixels, where the flag does not say it; None for no such flag.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    if size is not None:
        parser.add_argument(
            "--size",
            type=positive,
            default=size,
            help="width and height of images in pixels (default: %(default)s)",
        )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "sfhq-bench",
        help="folder for images, kept for the next run, and for outputs, removed (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    return parser


def positive(text: str) -> int:
    """Read a number that is 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def share(text: str) -> float:
    """Read a number from 0 to less than 1."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("it must be from 0 to less than 1")
    return number
