"""Collect votes on images: `python publish/campaign.py new my-faces --pairs 500 --overlap 3 --out campaign`.

Also runs as `sfhq campaign`. `new` chooses the pairs, `serve` shows the page for voting, `status` shows
progress. Exit status: 0 done, 1 problems with a folder, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Callable, Mapping, Sequence

from publish.run.command import NOTHING_CHANGED, make_parser, run_command
from publish.run.terminal import Terminal
from schemas.problems import suggest

_MAX_PAIRS, _MAX_OVERLAP, _MAX_SEED, _MAX_ANNOTATORS = 1_000_000, 99, 2**63 - 1, 10_000
_DESCRIPTION = "Collect votes between two images of one prompt."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    verb = arguments[0] if arguments else ""
    if verb not in VERBS:
        parser = make_parser("sfhq campaign", _DESCRIPTION, gives_json=False)
        parser.add_argument("verb", choices=tuple(VERBS), help="each has its own --help")
        if verb and not verb.startswith("-"):
            parser.error(f"there is no verb {verb!r}; {suggest(verb, VERBS)}")
        parser.parse_args(arguments)
    make, run = VERBS[verb]
    return run_command(make(), run, arguments[1:], stopped=NOTHING_CHANGED)


def _new(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.campaigning import new  # noqa: PLC0415 - after parsing: --help must load no library

    return new(options, terminal)


def _serve(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.campaign_serving import serve  # noqa: PLC0415 - as above

    return serve(options, terminal)


def _status(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.campaigning import status  # noqa: PLC0415 - as above

    return status(options, terminal)


def _new_parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq campaign new", "Choose pairs of images, and make a folder for votes.")
    parser.add_argument("folder", type=Path, help="an SFHQ folder with several images for each prompt")
    parser.add_argument("--pairs", type=_number(1, _MAX_PAIRS), help="how many pairs (default: one a prompt)")
    parser.add_argument(
        "--overlap",
        type=_number(1, _MAX_OVERLAP),
        default=3,
        help="most people for one pair; fewer, once their answers settle it (default: 3)",
    )
    parser.add_argument("--out", type=Path, help="the folder of the campaign, which must not be there yet")
    parser.add_argument("--plan", action="store_true", help="show how many votes intervals take")
    parser.add_argument(
        "--seed", type=_number(0, _MAX_SEED), default=0, help="decides pairs, sides and order (default: 0)"
    )
    parser.add_argument(
        "--annotators",
        type=_number(1, _MAX_ANNOTATORS),
        default=1,
        help="personal links to make (default: 1)",
    )
    parser.add_argument("--name", help="what the page is headed with (default: the name of --out)")
    parser.add_argument("--guidelines", type=Path, metavar="FILE", help="a text on what to look at")
    parser.add_argument(
        "--gold",
        type=Path,
        metavar="FILE",
        help="a .jsonl file with known answers: image_1, image_2 and label in each line",
    )
    parser.add_argument("--license", help="terms of the votes, such as cc0-1.0")
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq campaign serve", "Show the page for voting, until Ctrl-C.", gives_json=False)
    _add_campaign(parser)
    parser.add_argument("--port", type=_number(0, 65535), default=8765, help="0 for any (default: 8765)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument(
        "--base-url", metavar="URL", help="where people reach the page, such as https://example.org/faces"
    )
    parser.add_argument(
        "--annotators", type=_number(1, _MAX_ANNOTATORS), help="make more personal links, so many in all"
    )
    parser.add_argument(
        "--links", type=Path, metavar="FILE", help="write the personal links into this file, and print none"
    )
    return parser


def _status_parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq campaign status", "Show progress, agreement, annotators, and what is missing.")
    _add_campaign(parser)
    return parser


def _add_campaign(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("campaign", type=Path, help="the folder that `sfhq campaign new` made")


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:,} to {most:,}")
        return int(text)

    return read


_Verb = tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace, Terminal], int]]
# A verb is one line: what makes its parser, and what runs it.
VERBS: Mapping[str, _Verb] = {
    "new": (_new_parser, _new),
    "serve": (_serve_parser, _serve),
    "status": (_status_parser, _status),
}


if __name__ == "__main__":
    sys.exit(main())
