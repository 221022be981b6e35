"""Write a release for a trainer: `python publish/export.py dist/1.0 --layout text-to-image --out OUT`.

Also runs as `sfhq export`. The new folder is a dataset with a card and licences of its own, and loads with
`load_dataset(folder)`. Exit status: 0 done, 1 problems with the release, 2 wrong usage.
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
    from publish.run.exporting import run_export  # noqa: PLC0415 - after parsing: --help must load no library

    return run_export(options, terminal)


def _parser() -> argparse.ArgumentParser:
    description = "Write a release's images or decided pairs for a trainer."
    parser = make_parser("sfhq export", description, gives_json=False)
    parser.add_argument("release", type=Path, help="a release, such as dist/1.1")
    parser.add_argument("--layout", required=True, help="whose columns: text-to-image or diffusers-dpo")
    parser.add_argument("--out", required=True, type=Path, help="the folder to make")
    only = parser.add_argument_group("flags of text-to-image")
    only.add_argument("--text", help="prompt (the default), caption (the first) or longest-caption")
    only.add_argument("--captioner", metavar="NAME", help="use only the captions of this captioner")
    only.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="make images squares of this size; smaller images are left out (default: images unchanged)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
