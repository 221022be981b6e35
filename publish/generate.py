"""Make images from prompts: `python publish/generate.py prompts.jsonl --out my-faces`.

Also runs as `sfhq generate`. Run it again to go on: nothing that was delivered is asked for twice.
Exit status: 0 every prompt has its image or was refused, 1 some have not, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import (
    add_patience_flag,
    make_parser,
    read_concurrency,
    read_usd,
    run_command,
)
from publish.run.terminal import Terminal

_STOPPED = "Stopped. What was delivered is in the folder; run the same command again to go on."
_MAX_SEED = 2**63 - 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _generate, argv, stopped=_STOPPED)


def _generate(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.generating import generate  # noqa: PLC0415 - after parsing: --help must load no library

    return generate(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq generate", "Make images from a file of prompts, into an SFHQ-T2I folder.")
    parser.add_argument("prompts", type=Path, help="a .jsonl, .csv or .txt file of prompts")
    parser.add_argument("--out", type=Path, help="the folder of images; more images may go into it later")
    parser.add_argument(
        "--generator",
        action="append",
        metavar="NAME[:SETTING=VALUE,…]",
        help="the model to ask for (default: the kit's own drawn portraits), maybe with settings, provider "
        "or price of its own; repeatable: every prompt gets an image of each",
    )
    parser.add_argument(
        "--provider", help="who runs it, such as fal-ai (default: the first that the kit knows)"
    )
    parser.add_argument("--model", help="the model as the provider names it, or its folder on this machine")
    parser.add_argument(
        "--endpoint", metavar="URL", help="a server of yours that speaks the provider's protocol"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the generator, such as num_inference_steps=8; repeatable",
    )
    parser.add_argument("--seed", type=_seed, help="other seeds give other images of a prompt (default: 0)")
    parser.add_argument("--plan", action="store_true", help="show how many images, how long, what it costs")
    parser.add_argument(
        "--budget", type=read_usd, metavar="USD", help="most that the folder may cost in all, in US dollars"
    )
    parser.add_argument(
        "--price",
        type=read_usd,
        metavar="USD",
        help="price of an image, in place of the kit's list of prices",
    )
    parser.add_argument("--concurrency", type=read_concurrency, help="requests that are open at once")
    parser.add_argument(
        "--send-again",
        action="store_true",
        help="send requests whose answer was lost once more; an image may be paid for twice",
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="settings, with a table [generation] (default: release.toml, if it is there)",
    )
    add_patience_flag(parser)
    return parser


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _MAX_SEED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_MAX_SEED}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
